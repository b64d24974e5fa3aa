package claims

import (
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/test/servers"
)

const password = `p'a\ss`

var accounts = []flavor.Account{
	{User: "pelorus_app", Password: password, Role: flavor.RoleApp},
	{User: "pelorus_dba", Password: password, Role: flavor.RoleDBA},
	{User: "pelorus_repl", Password: password, Role: flavor.RoleRepl},
	{User: "pelorus_stream", Password: password, Role: flavor.RoleStream},
}

// prepare gives a fresh server the accounts, off the binary log, and returns the administrator's session.
func prepare(t *testing.T, srv *servers.Server) (*session, *flavor.Flavor) {
	t.Helper()
	s := root(t, srv)
	f := s.detect()
	s.run(f.NoBinlog(), "CREATE DATABASE _pelorus", "CREATE TABLE _pelorus.redo (a INT PRIMARY KEY)",
		"CREATE TABLE _pelorus.decision (a INT PRIMARY KEY)")
	for _, a := range accounts {
		s.run(f.CreateAccount(a)...)
		s.run(f.CreateAccount(a)...)
		s.run(f.Grants(a, "my_shop")...)
	}
	return login(t, srv, "pelorus_dba", password), f
}

// semiSync installs what is missing and returns the family.
func semiSync(s *session, f *flavor.Flavor) *flavor.SemiSync {
	s.t.Helper()
	for _, st := range f.InstallSemiSync() {
		s.run(st.SQL)
	}
	sync := f.DetectSemiSync(s.pairs(f.SemiSyncVariablesQuery()))
	if sync == nil {
		s.t.Fatal("no semi-sync")
	}
	return sync
}

func position(s *session, f *flavor.Flavor) gtid.Position {
	s.t.Helper()
	st := f.ParseState(s.row(f.StateQuery()))
	if st.Executed == nil {
		s.t.Fatal("the server tells no position")
	}
	p, err := gtid.Parse(f.Family(), *st.Executed)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *session) replica(f *flavor.Flavor) flavor.ReplicaStatus {
	s.t.Helper()
	return f.ParseReplicaStatus(s.row(f.ReplicaStatusQuery()))
}

// follow makes s, whose replication is stopped, a replica of the server.
func follow(s *session, f *flavor.Flavor, source *servers.Server) {
	s.t.Helper()
	s.run(f.ChangeSource(flavor.Source{Host: "127.0.0.1", Port: source.Port, User: "pelorus_repl", Password: password}))
	s.run(f.StartReplication())
	until(s.t, "replication runs", func() bool {
		st := s.replica(f)
		return st.Receiver != nil && *st.Receiver == "Yes" && st.Applier != nil && *st.Applier == "Yes"
	})
}

// TestReparent walks a pair of servers through replication, semi-sync, fencing, promotion and the way back, with the
// administrator's account of Pelorus and nothing but texts of the flavor.
func TestReparent(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			first := servers.StartWith(t, family, servers.Options{ServerID: 11})
			second := servers.StartWith(t, family, servers.Options{ServerID: 12})
			a, f := prepare(t, first)
			b, _ := prepare(t, second)
			if p := position(a, f); !p.Empty() {
				t.Errorf("accounts made the position %v", p)
			}
			syncA, syncB := semiSync(a, f), semiSync(b, f)
			b.run(f.ReadOnly()...)
			b.run(syncB.SetReplica(true)...)
			follow(b, f, first)
			a.run(syncA.EnableSource(1)...)
			until(t, "an acker is connected", func() bool {
				return syncA.ParseSemiSync(a.pairs(f.SemiSyncVariablesQuery()), a.pairs(f.SemiSyncStatusQuery())).HasAckers(1).IsTrue()
			})
			checkSemiSync(t, a, b, f, syncA, syncB)
			a.run("CREATE DATABASE my_shop", "CREATE TABLE my_shop.t (id INT PRIMARY KEY)", "INSERT INTO my_shop.t VALUES (1)")
			checkCaughtUp(t, a, b, f)
			if rows := len(a.column(f.ReplicasQuery())); rows != 1 {
				t.Errorf("%d replicas are registered", rows)
			}
			if log := a.row(f.BinlogStatusQuery()); log["File"] == "" || log["Position"] == "" {
				t.Errorf("binary log status: %v", log)
			}
			fence(t, first, a, f)
			b.run(f.StopReceiver())
			b.run(f.Promote()...)
			if b.row(f.ReplicaStatusQuery()) != nil {
				t.Error("a promoted server still has a source")
			}
			b.run(f.Open()...)
			app := login(t, second, "pelorus_app", password)
			app.run("INSERT INTO my_shop.t VALUES (2)")
			a.run(syncA.DisableSource()...)
			a.run(f.BecomeReplica()...)
			follow(a, f, second)
			checkCaughtUp(t, b, a, f)
			if got := a.value("SELECT COUNT(*) FROM my_shop.t"); got != "2" {
				t.Errorf("%s rows after the way back", got)
			}
		})
	}
}

func checkSemiSync(t *testing.T, a, b *session, f *flavor.Flavor, syncA, syncB *flavor.SemiSync) {
	t.Helper()
	st := syncA.ParseSemiSync(a.pairs(f.SemiSyncVariablesQuery()), a.pairs(f.SemiSyncStatusQuery()))
	if st.Lossless() != fact.True || st.HasAckers(2) != fact.False || st.NoTx == nil {
		t.Errorf("source side: lossless %v, %d ackers", st.Lossless(), *st.Clients)
	}
	st = syncB.ParseSemiSync(b.pairs(f.SemiSyncVariablesQuery()), b.pairs(f.SemiSyncStatusQuery()))
	if st.ReplicaActive == nil || !*st.ReplicaActive || st.Lossless() != fact.False {
		t.Errorf("replica side: %+v", st)
	}
}

func checkCaughtUp(t *testing.T, source, replica *session, f *flavor.Flavor) {
	t.Helper()
	want := position(source, f)
	if reached, err := f.Waited(replica.value(f.WaitPosition(want.String(), 10*time.Second))); err != nil || !reached {
		t.Errorf("position %v is not reached: %v", want, err)
	}
	got := position(replica, f)
	if o := gtid.Compare(got, want); o != gtid.Equal {
		t.Errorf("the replica at %v is %v to its source at %v", got, o, want)
	}
	beyond := want
	if set, ok := want.Set(); ok {
		beyond = gtid.OfSet(set.Add(set.SIDs()[0], set.Last(set.SIDs()[0])+5))
	} else if list, ok := want.Domains(); ok {
		beyond = gtid.OfDomains(list.Add(gtid.Triple{Domain: list[0].Domain, Server: 99, Seq: list[0].Seq + 5}))
	}
	if reached, err := f.Waited(replica.value(f.WaitPosition(beyond.String(), 10*time.Millisecond))); err != nil || reached {
		t.Errorf("position %v: reached %v, %v", beyond, reached, err)
	}
	st := replica.replica(f)
	if st.AutoPosition == nil || !*st.AutoPosition || st.Applied == nil || st.SourcePort == nil || st.LastIOErrno == nil || *st.LastIOErrno != 0 {
		t.Errorf("replica status: %+v", st)
	}
}

// fence cuts off a client with an open transaction by the flavor's sequence, whose first statement may block.
func fence(t *testing.T, srv *servers.Server, dba *session, f *flavor.Flavor) {
	t.Helper()
	app := login(t, srv, "pelorus_app", password)
	app.run("USE my_shop", "BEGIN", "INSERT INTO t VALUES (9)")
	conns := map[int]*session{1: dba, 2: login(t, srv, "pelorus_dba", password)}
	for _, st := range f.Fence([]string{"pelorus_app"}, nil, false) {
		conns[st.Conn].run(st.SQL)
	}
	app.fails("COMMIT")
	st := f.ParseState(dba.row(f.StateQuery()))
	if st.ReadOnly == nil || !*st.ReadOnly || f.Has(flavor.OfflineMode) && !*st.OfflineMode || f.Has(flavor.SuperReadOnly) && !*st.SuperReadOnly {
		t.Errorf("after the fence: %+v", st)
	}
	if n := dba.column(f.SessionsQuery([]string{"pelorus_app"})); len(n) != 0 {
		t.Errorf("sessions of the application after the fence: %v", n)
	}
	dba.run(f.AdmitClients()...)
	login(t, srv, "pelorus_app", password).fails("INSERT INTO my_shop.t VALUES (10)")
	if got := dba.value("SELECT COUNT(*) FROM my_shop.t"); got != "1" {
		t.Errorf("%s rows after the fence", got)
	}
}

// TestGrants holds what each account may do, and that it may no more.
func TestGrants(t *testing.T) {
	servers.ForEach(t, func(t *testing.T, srv *servers.Server) {
		dba, f := prepare(t, srv)
		dba.run("CREATE DATABASE my_shop", "CREATE DATABASE myxshop", "CREATE TABLE my_shop.t (id INT PRIMARY KEY)", "SET GLOBAL log_bin_trust_function_creators=ON")
		app := login(t, srv, "pelorus_app", password)
		app.run("USE my_shop", "INSERT INTO t VALUES (1)", "CREATE TABLE u (a INT)", "ALTER TABLE u ADD b INT", "CREATE INDEX i ON u (b)",
			"CREATE TEMPORARY TABLE tt (a INT)", "CREATE VIEW v AS SELECT 1", "CREATE PROCEDURE p() SELECT 1", "CREATE TRIGGER tr BEFORE INSERT ON u FOR EACH ROW SET @a=1",
			"SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "INSERT INTO _pelorus.redo VALUES (1)", "DELETE FROM _pelorus.redo",
			"INSERT INTO _pelorus.decision VALUES (1)", "LOCK TABLES t WRITE", "UNLOCK TABLES", f.TrackGTID(""), f.StatementTimeout(time.Second))
		for _, q := range []string{
			"CREATE TABLE myxshop.t (a INT)", "DROP TABLE _pelorus.redo", "CREATE TABLE _pelorus.x (a INT)", "SET SESSION sql_log_bin=0",
			"SET GLOBAL read_only=ON", "CREATE USER x", "GRANT SELECT ON my_shop.* TO root@localhost", "SELECT * FROM mysql.user", "SHUTDOWN", "FLUSH TABLES",
			"SET GLOBAL max_connections=5", f.StopReplication(), "SELECT 1 INTO OUTFILE '/tmp/pelorus-never'",
		} {
			app.fails(q)
		}
		for user, queries := range map[string][]string{
			"pelorus_repl":   {"SELECT * FROM my_shop.t", "CREATE TABLE my_shop.y (a INT)", "SET GLOBAL read_only=OFF"},
			"pelorus_stream": {"CREATE TABLE myxshop.y (a INT)", "DROP TABLE _pelorus.redo", "SET GLOBAL read_only=OFF", "CREATE USER x"},
		} {
			s := login(t, srv, user, password)
			for _, q := range queries {
				s.fails(q)
			}
		}
		stream := login(t, srv, "pelorus_stream", password)
		stream.run("SELECT * FROM my_shop.t", "INSERT INTO my_shop.t VALUES (2)", f.BinlogStatusQuery(), "SELECT * FROM _pelorus.redo")
		for _, g := range dba.column("SHOW GRANTS") {
			if strings.Contains(g, "SUPER") || strings.Contains(g, "FILE") {
				t.Errorf("the administrator has %s", g)
			}
		}
		dba.run(f.DropAccount(accounts[3]), f.DropAccount(accounts[3]))
	})
}

// TestOptions starts a server with the options that the flavor names, so that a name that does not exist is found.
func TestOptions(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			probe, _, err := flavor.Detect(versionText(family, servers.Start(t, family).Version))
			if err != nil {
				t.Fatal(err)
			}
			for _, asReplica := range []bool{false, true} {
				extra := append(probe.ReplicationOptions(2), probe.FencedStart(asReplica)...)
				srv := servers.StartWith(t, family, servers.Options{Extra: extra})
				st := probe.ParseState(root(t, srv).row(probe.StateQuery()))
				if st.ReadOnly == nil || !*st.ReadOnly {
					t.Errorf("started fenced, and is not read-only: %+v", st)
				}
			}
		})
	}
}

// versionText is a version as SELECT VERSION() has it.
func versionText(family, version string) string {
	if family == servers.MariaDB && !strings.Contains(version, "MariaDB") {
		return version + "-MariaDB"
	}
	return version
}
