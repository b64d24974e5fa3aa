package agent

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pelorusdb/pelorus/internal/agent/sidecar"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/redo"
	"github.com/pelorusdb/pelorus/test/servers"
)

// TestRedo kills a participant's server in the middle of commits over two shards: once so that its agent starts it again,
// once so that a replica is promoted. What was decided must be there, what was not must not, and nobody may write the rows
// in between.
func TestRedo(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			s := startShard(t, family, 3)
			a, b := s.tablets[0], s.tablets[1]
			s.setPrimary(1, a.cfg.Alias)
			a.wait("the primary to open", writable)
			a.wait("two ackers", lossless)
			s.mustExec(a, "CREATE TABLE t (id INT PRIMARY KEY)")
			coordinator := s.addCoordinator(family)

			s.prepared(a, coordinator, 1, true)
			s.prepared(a, coordinator, 2, false)
			if err := a.server().Kill(); err != nil {
				t.Fatal(err)
			}
			s.unmistaken(a, 1, 2)

			s.prepared(a, coordinator, 3, true)
			s.prepared(a, coordinator, 4, false)
			a.kill()
			if err := a.server().Kill(); err != nil {
				t.Fatal(err)
			}
			s.setPrimary(2, b.cfg.Alias)
			s.unmistaken(b, 3, 4)
			if n := s.count(b); n != "4" { // 1 and 3 by replay, 2 and 4 by the test itself
				t.Errorf("%s rows, want 4", n)
			}
		})
	}
}

// addCoordinator makes a second shard of one server without an agent.
func (s *shard) addCoordinator(family string) *client.Conn {
	s.t.Helper()
	srv := servers.Start(s.t, family)
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	fl, _, err := flavor.Detect(srv.Version)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := client.Dial(ctx, client.Config{Addr: srv.Addr, User: "root"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	account := flavor.Account{User: s.creds.App.User, Password: s.creds.App.Password, Role: flavor.RoleApp}
	statements := sidecar.Plan(sidecar.Tables(), sidecar.Existing{}, sidecar.Version)
	statements = append(append(statements, fl.CreateAccount(account)...), fl.Grants(account, "shop")...)
	for _, sql := range statements {
		if _, err := c.Exec(ctx, sql); err != nil {
			s.t.Fatal(err)
		}
	}
	alias := "zone1-900"
	rec := &topov1.Shard{Keyspace: proto.String("shop"), Name: proto.String("80-"), Term: proto.Uint64(1), Primary: &alias, Serving: proto.Bool(true)}
	tablet := &topov1.Tablet{Alias: &alias, Cell: proto.String("zone1"), Uid: proto.Uint32(900), Keyspace: rec.Keyspace, Shard: rec.Name,
		Type: topov1.TabletType_TABLET_TYPE_PRIMARY.Enum(), Host: proto.String("127.0.0.1"), MysqlPort: proto.Uint32(uint32(srv.Port))}
	if err := errors.Join(s.topo.CreateShard(ctx, rec), s.topo.CreateTablet(ctx, tablet)); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// prepared brings a transaction that inserts a row to where only the participant's commit is missing, decided or not.
func (s *shard) prepared(m *member, coordinator *client.Conn, id int, decided bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	c, err := s.app(m, "shop")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	txnID, insert := fmt.Sprintf("txn-%d", id), fmt.Sprintf(`INSERT INTO "t" VALUES (%d)`, id)
	const settings = "SET SESSION sql_mode = 'ANSI_QUOTES'" // without which the statement is none
	r := redo.Record{TxnID: txnID, Participant: "shop/-80", Coordinator: "shop/80-", Term: 1, ConnID: uint64(c.ConnectionID()),
		CoordConnID: uint64(coordinator.ConnectionID()), Database: "shop", Settings: settings, Statements: []redo.Statement{{SQL: []byte(insert)}}}
	exec := func(c *client.Conn, sql string) {
		s.t.Helper()
		if _, err := c.Exec(ctx, sql); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
	}
	exec(c, settings)
	exec(c, "BEGIN")
	exec(c, insert)
	s.mustExec(m, string(redo.InsertRecord(&r)))
	exec(c, redo.DeleteRecord(txnID))
	if decided {
		exec(coordinator, redo.Decide(txnID, redo.Commit, []string{"shop/80-", "shop/-80"}))
	}
}

// unmistaken waits until a server is open, and holds that the decided transaction's row can't be inserted by others from the
// first moment on, and the other one's can in the end.
func (s *shard) unmistaken(m *member, decided, undecided int) {
	s.t.Helper()
	insert := func(id int) error {
		c, err := s.app(m, "shop")
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
		defer cancel()
		if _, err := c.Exec(ctx, "SET innodb_lock_wait_timeout = 1"); err != nil {
			return err
		}
		_, err = c.Exec(ctx, fmt.Sprintf("INSERT INTO t VALUES (%d)", id))
		return err
	}
	m.wait("the row of the decided transaction", func(*tabletv1.FullStatus) bool {
		err := insert(decided)
		var my *wire.MySQLError
		if err == nil {
			s.t.Fatalf("the row of transaction %d could be written by another before it was replayed", decided)
		}
		return errors.As(err, &my) && my.Errno == 1062
	})
	m.wait("the undecided one to be gone", func(*tabletv1.FullStatus) bool { return insert(undecided) == nil })
	m.wait("nothing to be left", func(st *tabletv1.FullStatus) bool {
		return st.GetRedo().Undecided != nil && st.GetRedo().GetUndecided() == 0 && st.GetRedo().GetFailing() == 0
	})
}
