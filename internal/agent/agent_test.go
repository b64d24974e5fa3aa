package agent

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pelorusdb/pelorus/internal/api/presence"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/test/servers"
)

// TestShard takes a shard of three real servers through its life, on both families.
func TestShard(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			begin := time.Now()
			s := startShard(t, family, 3)
			a, b, c := s.tablets[0], s.tablets[1], s.tablets[2]
			for _, m := range s.tablets {
				st := m.wait("a fenced server without a role", func(st *tabletv1.FullStatus) bool {
					return st.GetServer().GetResponding() && st.GetServer().GetReadOnly() && st.ReignTerm == nil && st.GetFenced()
				})
				if pos := st.GetServer().GetExecuted(); pos != "" {
					t.Errorf("a fresh server has position %q", pos)
				}
			}
			t.Logf("three servers set up after %v", time.Since(begin))
			s.setPrimary(1, a.cfg.Alias)
			a.wait("the primary to open", writable)
			b.wait("replication", replicating(a, true))
			c.wait("replication", replicating(a, true))
			st := a.wait("two ackers", lossless)
			if ss := st.GetSemiSync(); !ss.GetSourceEnabled() || ss.GetWaitPoint() != "AFTER_SYNC" || ss.GetTimeoutMs() < 1<<31 {
				t.Errorf("semi-sync is not lossless: %v", ss)
			}
			for _, m := range s.tablets {
				var left []string
				if !m.soon(func(st *tabletv1.FullStatus) bool { left = unexplained(st); return len(left) == 0 }) {
					t.Errorf("%s does not report %v, and does not say why", m.cfg.Alias, left)
				}
			}
			t.Logf("shard ready after %v", time.Since(begin))
			s.mustExec(a, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2), (3)")

			agentRestart(s, a)
			planned(s, a, b, c)
			crash(s, b, a)
			stopStart(s, c, b)
			s.mustExec(b, "INSERT INTO t VALUES (6)")
			for _, m := range []*member{a, c} {
				m.wait("all rows", func(*tabletv1.FullStatus) bool { return s.count(m) == "6" })
				m.wait("a small lag", func(st *tabletv1.FullStatus) bool {
					return st.GetLag().HeartbeatLag != nil && st.GetLag().GetHeartbeatLag().AsDuration() < 3*time.Second
				})
			}
		})
	}
}

// unexplained lists the fields that a status lacks without saying why. Leases and peers are reported by those who hold and ask them.
func unexplained(st *tabletv1.FullStatus) []string {
	return slices.DeleteFunc(presence.Absent(st), func(field string) bool {
		for part := field; ; {
			if _, ok := st.GetUnknowns()[part]; ok {
				return true
			}
			cut := strings.LastIndexByte(part, '.')
			if cut < 0 {
				break
			}
			part = part[:cut]
		}
		return slices.Contains([]string{
			"lease", "peers",
			"host.paused_for", "host.paused_until", // it never stood still
			"server.commit_blocked_for", // it does not reign
			"redo.oldest_at",            // there is none
		}, field) || strings.HasPrefix(field, "replication.") && !st.GetReplication().GetConfigured() ||
			strings.HasPrefix(field, "lag") && !st.GetReplication().GetConfigured()
	})
}

// TestFailover kills a primary that has a commit nobody acknowledged, and promotes a replica. The commit must not have been
// answered OK, no acknowledged one may be lost, and the former primary must not show its extra row as if it were true:
// MariaDB cuts it off and joins, MySQL stays closed and says which transaction it is.
func TestFailover(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			s := startShard(t, family, 3)
			a := s.tablets[0]
			s.setPrimary(1, a.cfg.Alias)
			a.wait("the primary to open", writable)
			a.wait("two ackers", lossless)
			s.mustExec(a, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
			answer, b, c := failed(s, a, s.tablets[1], s.tablets[2])
			if err := <-answer; err == nil {
				t.Error("a client was told OK for a commit that nobody acknowledged")
			}
			for _, m := range []*member{b, c} {
				m.wait("the acknowledged row", func(*tabletv1.FullStatus) bool { return s.count(m) == "1" })
			}
			a.start()
			if family == servers.MariaDB {
				a.wait("the former primary to join", replicating(b, true))
				if n := s.count(a); n != "1" {
					t.Errorf("the former primary has %s rows", n)
				}
				return
			}
			a.wait("the former primary to say what it has", func(st *tabletv1.FullStatus) bool {
				return strings.Contains(st.GetServer().GetLastError(), "transactions that 127.0.0.1:"+strconv.Itoa(b.cfg.ServerPort)+" lacks")
			})
			if st := a.status(); !st.GetServer().GetOfflineMode() || !st.GetServer().GetSuperReadOnly() {
				t.Errorf("the former primary is open: %v", st.GetServer())
			}
		})
	}
}

// lossless says that commits wait for one of two replicas. A primary that opened before the replicas had registered turns
// that on when they are there.
func lossless(st *tabletv1.FullStatus) bool {
	return st.GetSemiSync().GetSourceEnabled() && st.GetSemiSync().GetClients() == 2
}

// failed stops the receivers, lets a commit wait, kills the primary, and promotes the replica that has received most, as control
// would. It returns what the client of the commit is told, the new primary and the other replica.
func failed(s *shard, a, b, c *member) (_ <-chan error, primary, other *member) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	var received []gtid.Position
	for _, m := range []*member{b, c} {
		r, err := m.client.StopReceiver(ctx, connect.NewRequest(&tabletv1.StopReceiverRequest{Term: proto.Uint64(1)}))
		if err != nil {
			s.t.Fatalf("stop the receiver of %s: %v", m.cfg.Alias, err)
		}
		pos, err := gtid.Parse(m.server().Binary().Flavor.Family(), r.Msg.GetReceived())
		if err != nil {
			s.t.Fatal(err)
		}
		received = append(received, pos)
	}
	if gtid.Compare(received[1], received[0]) == gtid.Ahead {
		b, c = c, b
	}
	conn, err := s.app(a, "shop")
	if err != nil {
		s.t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		defer conn.Close()
		_, err := conn.Exec(context.WithoutCancel(s.t.Context()), "INSERT INTO t VALUES (2)")
		answer <- err
	}()
	a.wait("the commit to wait", func(st *tabletv1.FullStatus) bool { return st.GetServer().GetStuckCommits() > 0 })
	a.kill()
	if err := a.server().Kill(); err != nil {
		s.t.Fatal(err)
	}
	s.setPrimary(2, b.cfg.Alias)
	if _, err := b.client.Promote(ctx, connect.NewRequest(&tabletv1.PromoteRequest{Term: proto.Uint64(2), SemiSync: proto.Bool(true)})); err != nil {
		s.t.Fatalf("promote: %v", err)
	}
	b.wait("the new primary to open", writable)
	c.wait("the other replica to follow the record", replicating(b, true))
	s.mustExec(b, "UPDATE t SET id = 1")
	return answer, b, c
}

// agentRestart ends the primary's agent and starts it again: the server must not notice.
func agentRestart(s *shard, m *member) {
	s.t.Helper()
	before := m.status()
	c, err := s.app(m, "shop")
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	m.kill()
	if _, err := c.Exec(s.t.Context(), "INSERT INTO t VALUES (4)"); err != nil {
		s.t.Fatalf("a write while the agent is away: %v", err)
	}
	m.start()
	after := m.wait("the new agent to find its role", func(st *tabletv1.FullStatus) bool { return writable(st) && st.Fenced != nil && !st.GetFenced() })
	if before.GetServer().GetPid() != after.GetServer().GetPid() {
		s.t.Error("the server was restarted")
	}
	if _, err := c.Exec(s.t.Context(), "INSERT INTO t VALUES (5)"); err != nil {
		s.t.Errorf("the restart of the agent broke a connection: %v", err)
	}
}

// planned moves the reign from one tablet to another as control does.
func planned(s *shard, from, to, third *member) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	d, err := from.client.Demote(ctx, connect.NewRequest(&tabletv1.DemoteRequest{Term: proto.Uint64(1), Drain: durationpb.New(100 * time.Millisecond)}))
	if err != nil {
		s.t.Fatalf("demote: %v", err)
	}
	if c, err := s.app(from, "shop"); err == nil {
		if _, err := c.Exec(ctx, "INSERT INTO t VALUES (100)"); err == nil {
			s.t.Error("a demoted server takes a write")
		}
		c.Close()
	}
	// A demotion outlives the agent.
	from.kill()
	from.start()
	from.wait("the agent to be back", func(st *tabletv1.FullStatus) bool {
		return st.GetServer().GetResponding() && st.OwnType != nil && st.GetFenced()
	})
	if st := from.status(); writable(st) {
		s.t.Fatal("a restarted agent opened a demoted server")
	}
	w, err := to.client.WaitPosition(ctx, connect.NewRequest(&tabletv1.WaitPositionRequest{Position: proto.String(d.Msg.GetPosition()), Timeout: durationpb.New(10 * time.Second)}))
	if err != nil || !w.Msg.GetReached() {
		s.t.Fatalf("the candidate does not reach %s: %v, %v", d.Msg.GetPosition(), w, err)
	}
	s.setPrimary(2, to.cfg.Alias)
	if _, err := to.client.Promote(ctx, connect.NewRequest(&tabletv1.PromoteRequest{Term: proto.Uint64(2), SemiSync: proto.Bool(true)})); err != nil {
		s.t.Fatalf("promote: %v", err)
	}
	for _, m := range []*member{from, third} {
		_, err := m.client.SetSource(ctx, connect.NewRequest(&tabletv1.SetSourceRequest{
			Term: proto.Uint64(2), SourceAlias: &to.cfg.Alias, Host: proto.String("127.0.0.1"), Port: proto.Uint32(uint32(to.cfg.ServerPort)), Acks: proto.Bool(true),
		}))
		if err != nil {
			s.t.Fatalf("set source of %s: %v", m.cfg.Alias, err)
		}
		m.wait("replication from the new primary", replicating(to, true))
	}
	st := to.wait("the new primary to open", writable)
	if st.GetReignTerm() != 2 || st.GetReplication().GetConfigured() {
		s.t.Errorf("the new primary: %v", st)
	}
	if _, err := from.client.Promote(ctx, connect.NewRequest(&tabletv1.PromoteRequest{Term: proto.Uint64(1)})); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		s.t.Errorf("a promotion of an old term: %v", err)
	}
}

// crash kills the primary's server: its agent starts it again and it reigns on.
func crash(s *shard, m, replica *member) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	stream, err := m.client.WatchStatus(ctx, connect.NewRequest(&tabletv1.WatchStatusRequest{}))
	if err != nil {
		s.t.Fatal(err)
	}
	defer stream.Close()
	if !stream.Receive() {
		s.t.Fatalf("no status: %v", stream.Err())
	}
	if err := m.server().Kill(); err != nil {
		s.t.Fatal(err)
	}
	// Its agent starts it again at once, and tells of its death all the same.
	for told := false; !told; {
		if !stream.Receive() {
			s.t.Fatalf("the death of the server is not told: %v", stream.Err())
		}
		sv := stream.Msg().GetStatus().GetServer()
		told = sv.Running != nil && !sv.GetRunning() && sv.Responding != nil && !sv.GetResponding()
	}
	m.wait("the server to be back and open", writable)
	replica.wait("replication to be back", replicating(m, true))
}

// stopStart stops a replica's server, which must stay down, and starts it again.
func stopStart(s *shard, m, primary *member) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if _, err := m.client.StopServer(ctx, connect.NewRequest(&tabletv1.StopServerRequest{KeepDown: proto.Bool(true)})); err != nil {
		s.t.Fatalf("stop the server: %v", err)
	}
	m.kill()
	m.start()
	m.wait("the server to stay down", func(st *tabletv1.FullStatus) bool {
		return st.GetServer().Running != nil && !st.GetServer().GetRunning() && st.PrimaryAlias != nil
	})
	if _, err := m.client.StartServer(ctx, connect.NewRequest(&tabletv1.StartServerRequest{})); err != nil {
		s.t.Fatalf("start the server: %v", err)
	}
	m.wait("replication to be back", replicating(primary, true))
}
