package redo_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/redo"
	"github.com/pelorusdb/pelorus/test/servers"
)

// tables are those that agents make, as far as the statements of this package care.
func tables() []string {
	return []string{
		"CREATE DATABASE _pelorus",
		"CREATE TABLE _pelorus.redo (txn_id varbinary(64) NOT NULL, seq int unsigned NOT NULL, term bigint unsigned NOT NULL," +
			" participant varbinary(160) NOT NULL, statement longblob NOT NULL, settings blob, conn_id bigint unsigned NOT NULL DEFAULT 0," +
			" created_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), coordinator varbinary(160) NOT NULL DEFAULT ''," +
			" coord_conn_id bigint unsigned NOT NULL DEFAULT 0, db varbinary(256) NOT NULL DEFAULT '', PRIMARY KEY (txn_id, seq), KEY (created_at))",
		"CREATE TABLE _pelorus.decision (txn_id varbinary(64) NOT NULL PRIMARY KEY, state enum('commit','abort') NOT NULL," +
			" participants longblob NOT NULL, created_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), KEY (created_at))",
		"CREATE DATABASE k",
		"CREATE TABLE k.t (id int AUTO_INCREMENT PRIMARY KEY, v longblob NOT NULL, at datetime(6) NOT NULL)",
	}
}

// session is a connection of a test.
type session struct {
	*client.Conn
	t *testing.T
}

func connect(t *testing.T, s *servers.Server) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Config{Addr: s.Addr, User: "root", InitSQL: []string{"SET time_zone = 'SYSTEM', innodb_lock_wait_timeout = 1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &session{c, t}
}

func (s *session) exec(sql string) wire.OK {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	ok, err := s.Exec(ctx, sql)
	if err != nil {
		s.t.Fatalf("%.80s: %v", sql, err)
	}
	return ok
}

// fails returns the error number of a statement that must fail.
func (s *session) fails(sql string) uint16 {
	s.t.Helper()
	_, err := s.Exec(s.t.Context(), sql)
	var my *wire.MySQLError
	if !errors.As(err, &my) {
		s.t.Fatalf("%.80s: %v, want an error of the server", sql, err)
	}
	return my.Errno
}

func (s *session) rows(sql string) [][]client.Value {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	_, rows, err := s.QueryAll(ctx, sql)
	if err != nil {
		s.t.Fatalf("%.80s: %v", sql, err)
	}
	return rows
}

func TestOnServers(t *testing.T) {
	servers.ForEach(t, func(t *testing.T, srv *servers.Server) {
		a := connect(t, srv)
		for _, sql := range tables() {
			a.exec(sql)
		}
		t.Run("records", func(t *testing.T) { testRecords(t, srv) })
		t.Run("locks", func(t *testing.T) { testLocks(t, srv) })
		t.Run("decisions", func(t *testing.T) { testDecisions(t, srv) })
		t.Run("replay", func(t *testing.T) { testReplay(t, srv) })
	})
}

// odd is a statement's text with every byte that there is, and all that quoting may stumble over.
func odd(size int) []byte {
	b := make([]byte, 0, size)
	for len(b) < size {
		for i := range 256 {
			b = append(b, byte(i))
		}
		b = append(b, `'"\`+"`"+`; -- /* \' '' \0 \Z %_`...)
	}
	return b[:size]
}

func testRecords(t *testing.T, srv *servers.Server) {
	c := connect(t, srv)
	for _, mode := range []string{"''", "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"} {
		c.exec("SET sql_mode = " + mode)
		for _, charset := range []string{"utf8mb4", "latin1"} {
			c.exec("SET NAMES " + charset)
			for _, size := range []int{1, 1000, 8 << 20} {
				r := redo.Record{
					TxnID: string(odd(64)), Participant: "k/80-", Coordinator: "k/-80", Term: 7, ConnID: 1 << 40, CoordConnID: 12,
					Database: "k`'\"\\", Settings: "SET sql_mode = ''", Statements: []redo.Statement{{SQL: odd(size), InsertID: 9, UnixMicro: 11}, {SQL: []byte("x")}},
				}
				c.exec(string(redo.InsertRecord(&r)))
				head := c.rows(redo.SelectHeads(10))
				if len(head) != 1 || head[0][0].String() != r.TxnID || head[0][1].String() != r.Participant || head[0][2].String() != r.Coordinator ||
					head[0][3].String() != "7" || head[0][4].String() != "1099511627776" || head[0][5].String() != "12" {
					t.Fatalf("head %q", head)
				}
				if got := c.rows(redo.SelectSession(r.TxnID)); len(got) != 1 || got[0][0].String() != r.Database || got[0][1].String() != r.Settings {
					t.Fatalf("session %q", got)
				}
				row := c.rows(redo.LockRecord(r.TxnID))
				if len(row) != 1 || row[0][0].String() != r.Database || row[0][1].String() != r.Settings {
					t.Fatal("the record came back otherwise")
				}
				statements, err := redo.Unpack(row[0][2])
				if err != nil || !reflect.DeepEqual(statements, r.Statements) {
					t.Fatalf("the statements of %d bytes came back otherwise: %v", size, err)
				}
				if n := c.exec(redo.DeleteRecord(r.TxnID)).Affected; n != 1 {
					t.Fatalf("%d records deleted", n)
				}
			}
		}
	}
}

// testLocks holds that a record is locked by itself: others see at once that it is, and put theirs beside it, also where
// the table is small enough for the server to read it whole.
func testLocks(t *testing.T, srv *servers.Server) {
	a, b := connect(t, srv), connect(t, srv)
	insert := func(id string) string {
		return string(redo.InsertRecord(&redo.Record{TxnID: id, Statements: []redo.Statement{{SQL: []byte("x")}}}))
	}
	noWait := uint16(redo.NoWaitMySQL)
	if srv.Family == servers.MariaDB {
		noWait = redo.NoWaitMariaDB
	}
	for name, lock := range map[string]func(id string) string{"delete": redo.DeleteRecord, "select": redo.LockRecord} {
		a.exec(insert("m"))
		a.exec("BEGIN")
		a.rows(lock("m"))
		for _, id := range []string{"l", "m0", "n"} {
			b.exec(insert(id))
		}
		if n := b.fails(redo.LockRecord("m")); n != noWait {
			t.Errorf("%s: error %d for a locked record, want %d", name, n, noWait)
		}
		// Two commits at once, each deleting its own record among those of the other.
		b.exec("BEGIN")
		for _, id := range []string{"l", "m0", "n"} {
			if n := b.exec(redo.DeleteRecord(id)).Affected; n != 1 {
				t.Errorf("%s: %d records deleted", name, n)
			}
		}
		a.exec(insert("o"))
		b.exec("COMMIT")
		a.exec("COMMIT")
		if got := b.rows(redo.CountRecord("o")); got[0][0].String() != "1" {
			t.Errorf("%s: %s records", name, got[0][0])
		}
		a.exec("DELETE FROM _pelorus.redo")
	}
	if got := b.rows(redo.LockRecord("none")); len(got) != 0 {
		t.Errorf("a record that is not there: %q", got)
	}
}

func testDecisions(t *testing.T, srv *servers.Server) {
	a, b := connect(t, srv), connect(t, srv)
	a.exec("BEGIN")
	a.exec(redo.Decide("t1", redo.Commit, []string{"k/-80", "k/80-"}))
	if n := b.fails(redo.Decide("t1", redo.Abort, nil)); n != 1205 {
		t.Errorf("an abort beside an undecided commit: error %d, want a wait for its lock", n)
	}
	if got := b.rows(redo.SelectDecision("t1")); len(got) != 0 {
		t.Errorf("an undecided decision shows: %q", got)
	}
	a.exec("COMMIT")
	if n := b.fails(redo.Decide("t1", redo.Abort, nil)); n != 1062 {
		t.Errorf("a second decision: error %d", n)
	}
	if got := b.rows(redo.SelectDecision("t1")); len(got) != 1 || got[0][0].String() != string(redo.Commit) {
		t.Errorf("decision %q", got)
	}
	b.exec(redo.Decide("t2", redo.Abort, nil))
	b.exec("UPDATE _pelorus.decision SET created_at = NOW(6) - INTERVAL 100 SECOND")
	for _, c := range []struct {
		commitAge, abortAge int
		want                string
	}{{60, 60, "t1 t2"}, {60, 200, "t1"}, {200, 60, "t2"}, {200, 200, ""}} {
		var ids []string
		for _, row := range b.rows(redo.SelectOldDecisions(c.commitAge, c.abortAge, 10)) {
			ids = append(ids, row[0].String())
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("commits of %d s and aborts of %d s: %q, want %q", c.commitAge, c.abortAge, got, c.want)
		}
	}
	for _, sql := range append(redo.Barrier("b1"), redo.Forget("t1"), redo.Forget("t2")) {
		b.exec(sql)
	}
	if got := a.rows("SELECT COUNT(*) FROM _pelorus.decision"); got[0][0].String() != "0" {
		t.Errorf("%s decisions are left", got[0][0])
	}
	id := a.rows("SELECT CONNECTION_ID()")[0][0].String()
	if got := b.rows(redo.SelectSessions([]uint64{uint64(a.ConnectionID()), 1 << 40})); len(got) != 1 || got[0][0].String() != id {
		t.Errorf("sessions %q, want %s", got, id)
	}
}

// testReplay holds that what depends on time and counters comes out as it did.
func testReplay(t *testing.T, srv *servers.Server) {
	c := connect(t, srv)
	blob := odd(1 << 20)
	literal := "x'" + hex.EncodeToString(blob) + "'"
	for _, st := range []redo.Statement{
		{SQL: []byte("INSERT INTO k.t (v, at) VALUES (" + literal + ", NOW(6)), ('b', NOW(6))"), InsertID: 41, UnixMicro: 1_700_000_000_000_007},
		{SQL: []byte("SAVEPOINT s")}, {SQL: []byte("DELETE FROM k.t")}, {SQL: []byte("ROLLBACK TO s")},
	} {
		for _, sql := range st.Before() {
			c.exec(sql)
		}
		if bytes.HasPrefix(st.SQL, []byte("INSERT")) {
			c.exec("BEGIN")
		}
		c.exec(string(st.SQL))
	}
	c.exec("COMMIT")
	got := c.rows("SELECT id, v, UNIX_TIMESTAMP(at) FROM k.t ORDER BY id")
	if len(got) != 2 || got[0][0].String() != "41" || got[1][0].String() != "42" || !bytes.Equal(got[0][1], blob) || got[0][2].String() != "1700000000.000007" {
		t.Errorf("%d rows, first %s at %s", len(got), got[0][0], got[0][2])
	}
}
