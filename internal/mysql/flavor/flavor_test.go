package flavor

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/*.golden anew")

// versions are the servers that have a golden file, by the text with which they greet.
var versions = []string{
	"8.0.20", "8.0.22", "8.0.26", "8.0.40", "8.4.3", "9.7.4",
	"5.5.5-10.6.18-MariaDB", "5.5.5-10.11.19-MariaDB-0+deb12u1-log", "11.4.4-MariaDB-ubu2404", "11.8.2-MariaDB",
}

func must(t testing.TB, text string) *Flavor {
	t.Helper()
	f, _, err := Detect(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDetect(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"8.0.36-28", "mysql 8.0.36"},
		{"8.0.40-0ubuntu0.24.04.1", "mysql 8.0.40"},
		{"8.4.3-debug", "mysql 8.4.3"},
		{"9.7.4-2", "mysql 9.7.4"},
		{"10.11.19-MariaDB-0+deb12u1-log", "mariadb 10.11.19"},
		{"5.5.5-10.6.0-MariaDB", "mariadb 10.6.0"},
		{"12.0.2-MariaDB", "mariadb 12.0.2"},
	} {
		f, v, err := Detect(c.text)
		if err != nil || f.String() != c.want || f.Version() != v {
			t.Errorf("Detect(%q) = %v, %v, %v; want %s", c.text, f, v, err, c.want)
		}
	}
	for _, text := range []string{
		"", "x", "8", "8.0", "8.0.x", "5.7.44", "8.0.19", "5.5.5-10.5.28-MariaDB", "10.5.28-MariaDB", "8.0.11-TiDB-v8.5.1", "8.0.30-Vitess",
		"8.0.mysql_aurora.3.04.0", "8.0.100000000000000000000", strings.Repeat("8", 300),
	} {
		if f, _, err := Detect(text); !errcode.Has(err, errcode.ServerVersion) {
			t.Errorf("Detect(%.20q) = %v, %v; want PLR1801", text, f, err)
		}
	}
}

// TestGolden shows every text of each version, so that a change is reviewed as a difference.
func TestGolden(t *testing.T) {
	for _, text := range versions {
		f := must(t, text)
		path := filepath.Join("testdata", strings.ReplaceAll(f.String(), " ", "-")+".golden")
		got := describe(f)
		if *rewrite {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || string(want) != got {
			t.Errorf("%s differs (%v); run go test ./internal/mysql/flavor -rewrite and review it. Got:\n%s", path, err, got)
		}
	}
}

func semiSync(f *Flavor) *SemiSync {
	vars := map[string]string{}
	for _, name := range []string{"rpl_semi_sync_source_enabled", "rpl_semi_sync_replica_enabled"} {
		vars[f.Option(name)] = "OFF"
	}
	return f.DetectSemiSync(vars)
}

func describe(f *Flavor) string {
	var b strings.Builder
	say := func(what string, texts ...string) {
		fmt.Fprintf(&b, "%s:\n", what)
		for _, s := range texts {
			fmt.Fprintf(&b, "  %s\n", s)
		}
	}
	say("name", f.String(), "announce "+f.Announce("0.1.0", true), "version() "+f.Announce("0.1.0", false), "auth "+f.AuthPlugin())
	caps := ""
	for _, c := range f.Capabilities() {
		caps += " " + c.String()
	}
	say("capabilities", strings.TrimSpace(caps))
	say("change source", f.ChangeSource(Source{Host: "10.0.0.1", Port: 3306, User: "pelorus_repl", Password: "it's"}))
	say("threads", f.StartReplication(), f.StopReplication(), f.StartReceiver(), f.StopReceiver(), f.StartApplier(), f.ForgetSource())
	say("positions", append([]string{f.ResetPositions()}, f.StartFrom("POSITION")...)...)
	say("promote", f.Promote()...)
	say("become replica", f.BecomeReplica()...)
	say("queries", f.ReplicaStatusQuery(), f.ReplicasQuery(), f.BinlogStatusQuery(), f.StateQuery(), f.PreparedXAQuery(),
		f.WaitPosition("POSITION", 1500*time.Millisecond), f.SessionsQuery([]string{"pelorus_app", "o'brien"}))
	s := semiSync(f)
	for _, release := range []bool{false, true} {
		var steps []string
		for _, st := range f.Fence([]string{"pelorus_app"}, s, release) {
			steps = append(steps, fmt.Sprintf("connection %d: %s (may block: %v)", st.Conn, st.SQL, st.MayBlock))
		}
		say(fmt.Sprintf("fence, release %v", release), steps...)
	}
	say("read-only", f.ReadOnly()...)
	say("open", f.Open()...)
	say("admit clients", f.AdmitClients()...)
	say("fenced start", f.FencedStart(false)...)
	say("fenced start as replica", f.FencedStart(true)...)
	var install []string
	for _, st := range f.InstallSemiSync() {
		install = append(install, fmt.Sprintf("%s (done: %d)", st.SQL, st.DoneErrno))
	}
	say("semi-sync install", install...)
	say("semi-sync source", append(s.EnableSource(2), s.DisableSource()...)...)
	say("semi-sync replica", append(s.SetReplica(true), s.SetReplica(false)...)...)
	say("semi-sync queries", f.SemiSyncVariablesQuery(), f.SemiSyncStatusQuery())
	for role, user := range []string{"pelorus_app", "pelorus_dba", "pelorus_repl", "pelorus_stream"} {
		a := Account{User: user, Password: "it's", Role: Role(role)}
		say("account "+user, append(append(f.CreateAccount(a), f.Grants(a, "my_shop")...), f.DropAccount(a))...)
	}
	say("replication options", f.ReplicationOptions(4)...)
	say("other options", "admin_port: "+f.Option("admin_port"), "innodb_redo_log_capacity: "+f.Option("innodb_redo_log_capacity"),
		"replica_net_timeout: "+f.Option("replica_net_timeout"), "max_connections: "+f.Option("max_connections"),
		"binlog_transaction_compression: "+f.Option("binlog_transaction_compression"))
	say("session", f.NoBinlog(), f.TrackGTID(""), f.TrackGTID("sql_mode,time_zone"), f.StatementTimeout(2500*time.Millisecond),
		f.StatementTimeout(0))
	return b.String()
}

func TestCanFollow(t *testing.T) {
	for _, c := range []struct {
		replica, source string
		want            bool
	}{
		{"8.4.3", "8.0.40", true}, {"8.0.40", "8.4.3", false}, {"8.0.36", "8.0.40", true}, {"9.7.4", "9.7.4", true},
		{"10.11.19-MariaDB", "10.6.18-MariaDB", true}, {"10.6.18-MariaDB", "11.4.4-MariaDB", false}, {"10.11.19-MariaDB", "8.0.40", false},
	} {
		if got := must(t, c.replica).CanFollow(must(t, c.source)); got != c.want {
			t.Errorf("%s follows %s: %v", c.replica, c.source, got)
		}
	}
}

func TestParseReplicaStatus(t *testing.T) {
	my := must(t, "9.7.4").ParseReplicaStatus(map[string]string{
		"Source_Host": "10.0.0.1", "Source_Port": "3306", "Source_UUID": "u", "Source_Server_Id": "7", "Replica_IO_Running": "Connecting",
		"Replica_SQL_Running": "Yes", "Last_IO_Errno": "2003", "Last_IO_Error": "e", "Last_SQL_Errno": "0", "Last_SQL_Error": "",
		"Retrieved_Gtid_Set": "", "Executed_Gtid_Set": "u:1", "Auto_Position": "1",
	})
	if *my.SourceHost != "10.0.0.1" || *my.SourcePort != 3306 || *my.Receiver != "Connecting" || *my.LastIOErrno != 2003 || !*my.AutoPosition {
		t.Errorf("%+v", my)
	}
	if my.SecondsBehind != nil || my.Heartbeats != nil {
		t.Error("what the server did not say is known")
	}
	if my.Received == nil || *my.Received != "" {
		t.Error("MySQL's empty Retrieved_Gtid_Set means nothing was received")
	}
	old := must(t, "8.0.20").ParseReplicaStatus(map[string]string{"Master_Host": "h", "Slave_IO_Running": "Yes", "Seconds_Behind_Master": "3"})
	if *old.SourceHost != "h" || *old.Receiver != "Yes" || *old.SecondsBehind != 3 {
		t.Errorf("%+v", old)
	}
	ma := must(t, "10.11.19-MariaDB").ParseReplicaStatus(map[string]string{
		"Master_Host": "h", "Master_Port": "99999999999", "Slave_IO_Running": "Yes", "Slave_SQL_Running": "No", "Gtid_IO_Pos": "", "Gtid_Slave_Pos": "0-1-5",
		"Using_Gtid": "Slave_Pos", "Slave_received_heartbeats": "12", "Slave_heartbeat_period": "0.500",
	})
	if ma.Received != nil {
		t.Error("MariaDB's empty Gtid_IO_Pos is unknown, not empty")
	}
	if ma.SourcePort != nil {
		t.Error("a number out of range is known")
	}
	if *ma.Applied != "0-1-5" || !*ma.AutoPosition || *ma.Heartbeats != 12 || *ma.HeartbeatMS != 500 || ma.SourceUUID != nil {
		t.Errorf("%+v", ma)
	}
	if empty := must(t, "8.4.3").ParseReplicaStatus(nil); empty != (ReplicaStatus{}) {
		t.Errorf("an empty row gives %+v", empty)
	}
}

func TestParseState(t *testing.T) {
	s := must(t, "9.7.4").ParseState(map[string]string{"server_id": "7", "read_only": "1", "super_read_only": "0", "executed": "a:1,\nb:2"})
	if *s.ServerID != 7 || !*s.ReadOnly || *s.SuperReadOnly || *s.Executed != "a:1,b:2" || s.OfflineMode != nil || s.Purged != nil {
		t.Errorf("%+v", s)
	}
	for text, want := range map[string]bool{"ON": true, "OFF": false, "0": false, "NO_LOCK": true, "NO_LOCK_NO_ADMIN": true} {
		if s := must(t, "11.8.2-MariaDB").ParseState(map[string]string{"read_only": text}); s.ReadOnly == nil || *s.ReadOnly != want {
			t.Errorf("read_only %q: %v", text, s.ReadOnly)
		}
	}
	if s := must(t, "11.8.2-MariaDB").ParseState(map[string]string{"read_only": "?"}); s.ReadOnly != nil {
		t.Error("an odd value is known")
	}
}

func TestWaited(t *testing.T) {
	my, ma := must(t, "9.7.4"), must(t, "10.11.19-MariaDB")
	for _, c := range []struct {
		f       *Flavor
		answer  string
		reached bool
		bad     bool
	}{{my, "0", true, false}, {my, "1", false, false}, {my, "-1", false, true}, {my, "", false, true}, {ma, "0", true, false}, {ma, "-1", false, false}, {ma, "1", false, true}} {
		reached, err := c.f.Waited(c.answer)
		if reached != c.reached || (err != nil) != c.bad {
			t.Errorf("%v answered %q: %v, %v", c.f, c.answer, reached, err)
		}
	}
}

func TestSemiSync(t *testing.T) {
	f := must(t, "8.0.40")
	if f.DetectSemiSync(map[string]string{"rpl_semi_sync_source_enabled": "ON"}) != nil {
		t.Error("one side alone was taken for both")
	}
	old := f.DetectSemiSync(map[string]string{"rpl_semi_sync_master_enabled": "ON", "rpl_semi_sync_slave_enabled": "OFF"})
	if old == nil || old.DisableSource()[0] != "SET GLOBAL rpl_semi_sync_master_enabled=OFF" {
		t.Fatalf("an upgraded server with the old plugins: %+v", old)
	}
	good := map[string]string{"rpl_semi_sync_master_enabled": "ON", "rpl_semi_sync_slave_enabled": "OFF", "rpl_semi_sync_master_wait_point": "AFTER_SYNC",
		"rpl_semi_sync_master_timeout": "4294967295", "rpl_semi_sync_master_wait_no_slave": "ON"}
	if got := old.ParseSemiSync(good, nil).Lossless(); got != fact.True {
		t.Errorf("lossless: %v", got)
	}
	for name, bad := range map[string]string{"enabled": "OFF", "wait_point": "AFTER_COMMIT", "timeout": "10000", "wait_no_slave": "OFF"} {
		vars := map[string]string{}
		for k, v := range good {
			vars[k] = v
		}
		vars["rpl_semi_sync_master_"+name] = bad
		if got := old.ParseSemiSync(vars, nil).Lossless(); got != fact.False {
			t.Errorf("%s=%s: lossless %v", name, bad, got)
		}
		delete(vars, "rpl_semi_sync_master_"+name)
		if got := old.ParseSemiSync(vars, nil).Lossless(); got != fact.Unknown {
			t.Errorf("%s not told: lossless %v", name, got)
		}
	}
	st := old.ParseSemiSync(good, map[string]string{"Rpl_semi_sync_master_clients": "1", "Rpl_semi_sync_slave_status": "OFF", "Rpl_semi_sync_master_no_tx": "4"})
	if st.HasAckers(1) != fact.True || st.HasAckers(2) != fact.False || *st.ReplicaActive || *st.NoTx != 4 || st.AckCount != nil {
		t.Errorf("%+v", st)
	}
}

func TestStuckCommit(t *testing.T) {
	my, ma := must(t, "9.7.4"), must(t, "10.11.19-MariaDB")
	if !my.IsStuckCommit("waiting for handler commit") || my.IsStuckCommit("Commit") || !ma.IsStuckCommit("Commit") || ma.IsStuckCommit("") {
		t.Error("states of stuck commits")
	}
}

func FuzzDetect(f *testing.F) {
	for _, v := range versions {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fl, _, err := Detect(text)
		if (fl == nil) != (err != nil) {
			t.Fatal(fl, err)
		}
		var e *errcode.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
	})
}
