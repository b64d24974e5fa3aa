package agent

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
	"github.com/pelorusdb/pelorus/test/servers"
)

func (m *member) dba(creds credentials.Credentials) *dba.DB {
	db := dba.Open(dba.Config{Network: "unix", Addr: m.server().Socket(), User: creds.DBA.User, Password: creds.DBA.Password})
	m.t.Cleanup(db.Close)
	return db
}

func exec(ctx context.Context, c *client.Conn, sql string) error {
	_, err := c.Exec(ctx, sql)
	return err
}

// TestServerOfOwn looks at what an agent makes of a fresh server: accounts with no more than they need, nobody else who may
// log in, a sidecar that is mended, replication that a restart of the agent leaves alone.
func TestServerOfOwn(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			s := startShard(t, family, 2)
			p, r := s.tablets[0], s.tablets[1]
			s.setPrimary(1, p.cfg.Alias)
			p.wait("the primary to open", writable)
			appRights(s, p)
			noOtherWayIn(s, p)
			mendSidecar(s, p)
			r.wait("replication", replicating(p, true))
			replicaUntouched(s, p, r)
			endpoints(s, p)
			hungServer(s, r)
			schema(s, p)
		})
	}
}

// appRights tries as an application what it may do and what it must not.
func appRights(s *shard, m *member) {
	s.t.Helper()
	c, err := s.app(m, "shop")
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	for _, sql := range []string{
		"CREATE TABLE rights (id INT PRIMARY KEY, v TEXT)", "INSERT INTO rights VALUES (1, 'a')", "UPDATE rights SET v = 'b'",
		"ALTER TABLE rights ADD COLUMN w INT", "CREATE TEMPORARY TABLE tmp (a INT)", "DELETE FROM rights", "DROP TABLE rights",
		"INSERT INTO _pelorus.redo (txn_id, seq, term, participant, statement) VALUES ('x', 1, 1, 'shop/-80', 'select 1')",
		"DELETE FROM _pelorus.redo", "INSERT INTO _pelorus.decision (txn_id, state, participants) VALUES ('x', 'commit', '')", "DELETE FROM _pelorus.decision",
		"SET SESSION sql_mode = ''",
	} {
		if err := exec(s.t.Context(), c, sql); err != nil {
			s.t.Errorf("an application may not %s: %v", sql, err)
		}
	}
	for _, sql := range []string{
		"INSERT INTO _pelorus.reign VALUES (99, 'evil', NOW())", "UPDATE _pelorus.heartbeat SET term = 99", "DELETE FROM _pelorus.meta",
		"DROP TABLE _pelorus.redo", "CREATE DATABASE other", "SET GLOBAL read_only = OFF", "SET SESSION sql_log_bin = 0", "CREATE USER evil",
		"SELECT * FROM mysql.user", "GRANT ALL ON *.* TO pelorus_app", "SHUTDOWN", "SELECT 1 INTO OUTFILE '/tmp/evil'",
	} {
		if err := exec(s.t.Context(), c, sql); err == nil {
			s.t.Errorf("an application may %s", sql)
		}
	}
}

// noOtherWayIn tries the accounts that a fresh server has.
func noOtherWayIn(s *shard, m *member) {
	s.t.Helper()
	ctx := s.t.Context()
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(m.cfg.ServerPort))
	for _, user := range []string{"root", "", "mysql"} {
		if c, err := client.Dial(ctx, client.Config{Network: "tcp", Addr: addr, User: user}); err == nil {
			c.Close()
			s.t.Errorf("user %q may log in by TCP without a password", user)
		}
	}
	if m.status().GetServer().GetFlavor() == servers.MySQL {
		if c, err := client.Dial(ctx, client.Config{Network: "unix", Addr: m.server().Socket(), User: "root"}); err == nil {
			c.Close()
			s.t.Error("root may log in by the socket without a password")
		}
	}
}

// mendSidecar takes a column and an index away, as an older release would not have them; the next agent adds them.
func mendSidecar(s *shard, m *member) {
	s.t.Helper()
	ctx := s.t.Context()
	db := m.dba(s.creds)
	err := db.Session(ctx, func(c *dba.Conn) error {
		return c.Exec(ctx, "SET SESSION sql_log_bin = 0", "ALTER TABLE _pelorus.redo DROP COLUMN conn_id, DROP KEY created_at")
	})
	if err != nil {
		s.t.Fatal(err)
	}
	before := m.status().GetServer()
	m.kill()
	m.start()
	m.wait("the sidecar to be mended", func(*tabletv1.FullStatus) bool {
		r, err := db.Query(ctx, "SELECT conn_id FROM _pelorus.redo FORCE INDEX (created_at)")
		return err == nil && len(r.Rows) == 0
	})
	after := m.wait("the agent to know its role", func(st *tabletv1.FullStatus) bool { return st.Fenced != nil && !st.GetFenced() })
	if !writable(after) || after.GetServer().GetPid() != before.GetPid() {
		s.t.Errorf("mending the sidecar changed the server's role: %v", after.GetServer())
	}
}

// dumpThreads are the ids of the connections by which replicas read the binary log.
func dumpThreads(s *shard, db *dba.DB) string {
	s.t.Helper()
	r, err := db.Query(s.t.Context(), "SELECT GROUP_CONCAT(id ORDER BY id) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Text(0, 0)
}

func replicaUntouched(s *shard, p, r *member) {
	s.t.Helper()
	db := p.dba(s.creds)
	before := dumpThreads(s, db)
	r.kill()
	r.start()
	r.wait("the new agent to find its role", func(st *tabletv1.FullStatus) bool { return st.Fenced != nil && replicating(p, true)(st) })
	if after := dumpThreads(s, db); before == "" || after != before {
		s.t.Errorf("replication was restarted: connections %s before, %s after", before, after)
	}
}

// endpoints asks what people and Prometheus ask.
func endpoints(s *shard, m *member) {
	s.t.Helper()
	m.wait("readiness", func(*tabletv1.FullStatus) bool {
		res, err := http.Get("http://" + m.cfg.Listen + "/healthz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	res, err := http.Get("http://" + m.cfg.Listen + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, want := range []string{"pelorus_tablet_term{", "pelorus_tablet_server_responding{", `tablet="` + m.cfg.Alias + `"`} {
		if !strings.Contains(string(body), want) {
			s.t.Errorf("the metrics lack %s", want)
		}
	}
}

// hungServer stops a server's process for a while: its agent goes on reporting, and reports the server's state as unknown.
func hungServer(s *shard, m *member) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	stream, err := m.client.WatchStatus(ctx, connect.NewRequest(&tabletv1.WatchStatusRequest{}))
	if err != nil {
		s.t.Fatal(err)
	}
	defer stream.Close()
	pid := int(m.status().GetServer().GetPid())
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	silent, begin := 0, time.Now()
	for silent < 3 && stream.Receive() {
		st := stream.Msg().GetStatus()
		if st.Unknowns["server"] == "" {
			continue
		}
		silent++
		if st.Server.ReadOnly != nil || st.Replication != nil || st.Term == nil {
			s.t.Errorf("what a hung server is said to be: %v", st)
		}
	}
	if silent < 3 {
		s.t.Errorf("only %d reports about a hung server in %v: %v", silent, time.Since(begin), stream.Err())
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		s.t.Fatal(err)
	}
	m.wait("the server to answer again", func(st *tabletv1.FullStatus) bool { return st.GetServer().GetResponding() })
}

func schema(s *shard, m *member) {
	s.t.Helper()
	ctx := s.t.Context()
	s.mustExec(m, "CREATE TABLE things (a INT NOT NULL, b VARCHAR(20), c INT AS (a + 1) VIRTUAL, n INT AUTO_INCREMENT, PRIMARY KEY (a, n), KEY (n))")
	res, err := m.client.GetSchema(ctx, connect.NewRequest(&tabletv1.GetSchemaRequest{Tables: []string{"things"}}))
	if err != nil || len(res.Msg.GetTables()) != 1 {
		s.t.Fatalf("schema: %v, %v", res, err)
	}
	table := res.Msg.GetTables()[0]
	if strings.Join(table.GetPrimaryKey(), ",") != "a,n" || len(table.GetColumns()) != 4 || !table.GetColumns()[3].GetAutoIncrement() ||
		!strings.Contains(table.GetColumns()[2].GetGenerationExpression(), "+ 1") || !strings.HasPrefix(table.GetCreateStatement(), "CREATE TABLE") {
		s.t.Errorf("schema: %v", table)
	}
	got, err := m.client.ExecuteSql(ctx, connect.NewRequest(&tabletv1.ExecuteSqlRequest{Sql: proto.String("SELECT NULL, '', 7"), Database: proto.String("shop")}))
	if err != nil {
		s.t.Fatal(err)
	}
	row := got.Msg.GetRows()[0].GetValues()
	if row[0].Text != nil || row[1].Text == nil || string(row[2].GetText()) != "7" || got.Msg.GetColumns()[2].GetMysqlType() != uint32(wire.TypeLongLong) && got.Msg.GetColumns()[2].GetMysqlType() != uint32(wire.TypeLong) {
		s.t.Errorf("result: %v", got.Msg)
	}
	if _, err := m.client.ExecuteSql(ctx, connect.NewRequest(&tabletv1.ExecuteSqlRequest{Sql: proto.String("SELEC 1")})); connect.CodeOf(err) != connect.CodeInvalidArgument {
		s.t.Errorf("a statement that the server refuses: %v", err)
	}
}

// TestAdopt looks after a server that somebody else has started.
func TestAdopt(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			own := servers.Start(t, family)
			s := startShard(t, family, 0)
			db := dba.Open(dba.Config{Network: "unix", Addr: own.Socket, User: "root"})
			defer db.Close()
			grantDBA(t, db, family, s.creds)
			m := s.add(0)
			m.cfg.Adopt, m.cfg.ServerBinary, m.cfg.ServerPort = own.Socket, "", own.Port
			m.start()
			t.Cleanup(m.kill)
			m.wait("the server to be fenced", func(st *tabletv1.FullStatus) bool {
				return st.GetServer().GetReadOnly() && st.GetFenced() && st.Server.Running == nil
			})
			s.setPrimary(1, m.cfg.Alias)
			m.wait("the server to open", writable)
			s.mustExec(m, "CREATE TABLE t (id INT PRIMARY KEY)")
			if _, err := m.client.StopServer(t.Context(), connect.NewRequest(&tabletv1.StopServerRequest{})); connect.CodeOf(err) != connect.CodeFailedPrecondition {
				t.Errorf("stopping an adopted server: %v", err)
			}
		})
	}
}

// grantDBA is what a person does before a server is adopted.
func grantDBA(t *testing.T, db *dba.DB, family string, creds credentials.Credentials) {
	t.Helper()
	plugin := "IDENTIFIED BY"
	if family == servers.MySQL {
		plugin = "IDENTIFIED WITH caching_sha2_password BY"
	}
	err := db.Exec(t.Context(), "CREATE USER '"+creds.DBA.User+"'@'%' "+plugin+" '"+creds.DBA.Password+"'", "GRANT ALL ON *.* TO '"+creds.DBA.User+"'@'%' WITH GRANT OPTION")
	if err != nil {
		t.Fatal(err)
	}
}

func TestConfigValidate(t *testing.T) {
	good := DefaultConfig()
	good.Alias, good.Keyspace, good.Shard, good.Dir = "zone1-101", "shop", "-80", filepath.Join("/", "var", "lib", "pelorus")
	good.Etcd, good.Credentials, good.ServerBinary = []string{"127.0.0.1:2379"}, "c.yaml", "/usr/sbin/mysqld"
	if err := good.Validate(); err != nil {
		t.Fatalf("a good configuration: %v", err)
	}
	for name, change := range map[string]func(*Config){
		"alias":             func(c *Config) { c.Alias = "zone1" },
		"keyspace":          func(c *Config) { c.Keyspace = "mysql" },
		"shard":             func(c *Config) { c.Shard = "80-40" },
		"type":              func(c *Config) { c.Type = "primary" },
		"directory":         func(c *Config) { c.Dir = "data" },
		"listen":            func(c *Config) { c.Listen = "15100" },
		"host":              func(c *Config) { c.Host = "" },
		"etcd":              func(c *Config) { c.Etcd = nil },
		"credentials":       func(c *Config) { c.Credentials = "" },
		"binary":            func(c *Config) { c.ServerBinary = "mysqld" },
		"port":              func(c *Config) { c.ServerPort = 0 },
		"adopt and start":   func(c *Config) { c.Adopt = "/run/mysqld.sock" },
		"heartbeat":         func(c *Config) { c.HeartbeatInterval = time.Hour },
		"no such field":     func(c *Config) { c.HideStatusFields = "11,12.99" },
		"status too seldom": func(c *Config) { c.StatusInterval = time.Second },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestState(t *testing.T) {
	dir := t.TempDir()
	if s, err := loadState(dir); err != nil || s != (state{}) {
		t.Fatalf("a new tablet: %+v, %v", s, err)
	}
	want := state{Term: 7, DemotedTerm: 7, HeldPlus1: 8, Stopped: true}
	if err := want.save(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := loadState(dir); err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	if !want.demoted(7) || want.demoted(8) || !want.held(7) || want.held(8) || (state{}).demoted(0) || (state{}).held(0) {
		t.Error("what was told in a term must hold in it and no longer")
	}
}

// TestDemoteDeadServer holds that a demotion is remembered although the server never answered, and taken back the same way.
func TestDemoteDeadServer(t *testing.T) {
	a := &Agent{cfg: Config{Alias: "zone1-101", Dir: t.TempDir()}, op: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	s := &service{agent: a}
	for _, demoted := range []bool{true, false} {
		var err error
		if demoted {
			_, err = s.Demote(t.Context(), connect.NewRequest(&tabletv1.DemoteRequest{Term: proto.Uint64(4)}))
		} else {
			_, err = s.UndoDemote(t.Context(), connect.NewRequest(&tabletv1.UndoDemoteRequest{Term: proto.Uint64(4)}))
		}
		if connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("demoted %v: error %v, want one that says that the server has not answered", demoted, err)
		}
		st, err := loadState(a.cfg.Dir)
		if err != nil || st.Term != 4 || st.demoted(4) != demoted {
			t.Errorf("the agent remembers %+v (%v), want term 4 demoted: %v", st, err, demoted)
		}
	}
}

func TestRestarts(t *testing.T) {
	var r restarts
	now := time.Unix(1000, 0)
	if !r.due(now) {
		t.Fatal("the first start must not wait")
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		r.tried(now)
		if r.due(now.Add(want*time.Second - 1)) {
			t.Errorf("due before %ds", want)
		}
		now = now.Add(want * time.Second)
		if !r.due(now) {
			t.Errorf("not due after %ds", want)
		}
	}
	now = now.Add(2 * stayedUp)
	r.tried(now)
	if !r.due(now.Add(restartFirst)) {
		t.Error("a server that stayed up starts again at once")
	}
}
