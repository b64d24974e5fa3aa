package repl_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/agent/repl"
	"github.com/pelorusdb/pelorus/internal/agent/sidecar"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
	"github.com/pelorusdb/pelorus/test/servers"
)

// site is a server with accounts, sidecar and semi-sync, but without an agent.
type site struct {
	*servers.Server
	db    *dba.DB
	rp    *repl.Repl
	fl    *flavor.Flavor
	creds credentials.Credentials
}

func newSite(t *testing.T, family string, id uint32, creds credentials.Credentials) *site {
	t.Helper()
	s := &site{Server: servers.StartWith(t, family, servers.Options{ServerID: id}), creds: creds}
	s.db = dba.Open(dba.Config{Network: "unix", Addr: s.Socket, User: "root"})
	t.Cleanup(s.db.Close)
	var err error
	if s.fl, _, err = flavor.Detect(s.Version); err != nil {
		t.Fatal(err)
	}
	statements := append([]string{s.fl.NoBinlog()}, sidecar.Plan(sidecar.Tables(), sidecar.Existing{}, sidecar.Version)...)
	for _, a := range []flavor.Account{{User: creds.DBA.User, Password: creds.DBA.Password, Role: flavor.RoleDBA}, {User: creds.App.User, Password: creds.App.Password, Role: flavor.RoleApp}, {User: creds.Repl.User, Password: creds.Repl.Password, Role: flavor.RoleRepl}} {
		statements = append(statements, s.fl.CreateAccount(a)...)
		statements = append(statements, s.fl.Grants(a, "shop")...)
	}
	for _, i := range s.fl.InstallSemiSync() {
		statements = append(statements, i.SQL)
	}
	err = s.db.Session(t.Context(), func(c *dba.Conn) error { return c.Exec(t.Context(), statements...) })
	if err != nil {
		t.Fatal(err)
	}
	s.rp = repl.New(s.db, s.fl, creds, slog.New(slog.DiscardHandler))
	return s
}

func (s *site) source() repl.Source {
	return repl.Source{Host: "127.0.0.1", Port: uint32(s.Port), Acks: true}
}

func (s *site) app(t *testing.T) *client.Conn {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Config{
		Network: "tcp", Addr: net.JoinHostPort("127.0.0.1", s.Addr[strings.LastIndexByte(s.Addr, ':')+1:]), User: s.creds.App.User, Password: s.creds.App.Password,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *site) text(t *testing.T, query string) string {
	t.Helper()
	r, err := s.db.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	return r.Text(0, 0)
}

func both(t *testing.T, f func(t *testing.T, family string)) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) { f(t, family) })
	}
}

// promoted is a primary of term 1 that is open, with or without semi-sync, and one table.
func promoted(t *testing.T, family string, semiSync bool) *site {
	t.Helper()
	s := newSite(t, family, 1, credentials.Generate())
	ctx := t.Context()
	if _, err := s.rp.Promote(ctx, repl.Reign{Term: 1, Alias: "zone1-1", Database: "shop"}); err != nil {
		t.Fatal(err)
	}
	if err := s.rp.Open(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Exec(ctx, "CREATE TABLE shop.t (id INT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	if semiSync {
		if _, err := s.rp.Promote(ctx, repl.Reign{Term: 1, Alias: "zone1-1", Database: "shop", SemiSync: true}); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := s.rp.Reigns(ctx, 1); err != nil || !ok {
		t.Fatalf("reigns: %v, %v", ok, err)
	}
	return s
}

// stuck starts writes that nobody will acknowledge, and waits until the server holds them.
func stuck(t *testing.T, s *site, n int) <-chan error {
	t.Helper()
	answers := make(chan error, n)
	for i := range n {
		c := s.app(t)
		go func() {
			_, err := c.Exec(context.WithoutCancel(t.Context()), "INSERT INTO shop.t VALUES ("+string(rune('1'+i))+")")
			answers <- err
		}()
	}
	until(t, "commits to wait", func() bool {
		r, err := s.db.Query(t.Context(), "SHOW PROCESSLIST")
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for i := range r.Rows {
			if s.fl.IsStuckCommit(r.Map(i)["State"]) {
				found++
			}
		}
		return found == n
	})
	return answers
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-tick.C
	}
}

// TestFenceNeverAnswersOK: commits without an acknowledgement must not be answered OK by the way their server is fenced.
func TestFenceNeverAnswersOK(t *testing.T) {
	both(t, func(t *testing.T, family string) {
		s := promoted(t, family, true)
		answers := stuck(t, s, 3)
		begin := time.Now()
		if err := s.rp.Fence(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("fenced in %v", time.Since(begin))
		for range 3 {
			if err := <-answers; err == nil {
				t.Error("a client was told OK for a commit that nobody acknowledged")
			}
		}
		if v := s.text(t, "SELECT @@GLOBAL.read_only"); v != "1" {
			t.Errorf("read_only is %s", v)
		}
		if err := s.rp.Fence(t.Context()); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}

// TestDemoteDoesNotReleaseCommits: a planned demotion gives up rather than let unacknowledged commits become visible.
func TestDemoteDoesNotReleaseCommits(t *testing.T) {
	both(t, func(t *testing.T, family string) {
		s := promoted(t, family, true)
		answers := stuck(t, s, 2)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := s.rp.Demote(ctx, 0)
		if family == servers.MariaDB {
			// There the sessions that waited end with their clients, and their rows are committed.
			if err != nil {
				t.Fatal(err)
			}
		} else if !errors.Is(err, repl.ErrTimeout) {
			t.Fatalf("demoted although commits wait: %v", err)
		} else if v := s.text(t, "SELECT @@GLOBAL.rpl_semi_sync_source_enabled"); v != "1" {
			t.Error("semi-sync was turned off")
		}
		for range 2 {
			if err := <-answers; err == nil {
				t.Error("a client was told OK for a commit that nobody acknowledged")
			}
		}
	})
}

// TestDemoteHealthy: a demotion is quick, cuts clients off, and its position does not move any more.
func TestDemoteHealthy(t *testing.T) {
	both(t, func(t *testing.T, family string) {
		s := promoted(t, family, false)
		idle, busy := s.app(t), s.app(t)
		if _, err := idle.Exec(t.Context(), "INSERT INTO shop.t VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		if _, err := busy.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		if _, err := busy.Exec(t.Context(), "INSERT INTO shop.t VALUES (2)"); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		d, err := s.rp.Demote(t.Context(), 300*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 300*time.Millisecond {
			t.Errorf("an open transaction got no time to end: %v", took)
		}
		if d.PreparedXA != 0 || d.Position == "" {
			t.Errorf("%+v", d)
		}
		if _, err := busy.Exec(t.Context(), "COMMIT"); err == nil {
			t.Error("a transaction was committed after the demotion")
		}
		again, err := s.rp.Demote(t.Context(), 0)
		if err != nil || again != d {
			t.Errorf("again: %+v, %v; want %+v", again, err, d)
		}
		if n := s.text(t, "SELECT COUNT(*) FROM shop.t"); n != "1" {
			t.Errorf("%s rows", n)
		}
	})
}

// TestFollow sets up replication, finds it unchanged, holds and releases the receiver, and moves a former primary.
func TestFollow(t *testing.T) {
	both(t, func(t *testing.T, family string) {
		p := promoted(t, family, false)
		r := newSite(t, family, 2, p.creds)
		ctx := t.Context()
		changed, err := r.rp.Follow(ctx, p.source())
		if err != nil || !changed {
			t.Fatalf("follow: %v, %v", changed, err)
		}
		if changed, err := r.rp.Follow(ctx, p.source()); err != nil || changed {
			t.Fatalf("a replica that follows already was touched: %v, %v", changed, err)
		}
		if err := p.db.Exec(ctx, "INSERT INTO shop.t VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		pos := p.text(t, "SELECT @@GLOBAL."+position(family))
		if reached, at, err := r.rp.WaitPosition(ctx, pos, 10*time.Second); err != nil || !reached {
			t.Fatalf("wait for %s: %v, at %s, %v", pos, reached, at, err)
		}
		if reached, _, err := p.rp.WaitPosition(ctx, pos, time.Second); err != nil || !reached {
			t.Fatalf("a primary is at its own position: %v, %v", reached, err)
		}
		if _, _, err := r.rp.WaitPosition(ctx, "rubbish", time.Second); !errors.Is(err, repl.ErrInvalid) {
			t.Errorf("rubbish: %v", err)
		}
		holdReceiver(t, p, r)
		swap(t, p, r)
	})
}

// TestErrant: a server with a transaction of its own does not join, and is told which.
func TestErrant(t *testing.T) {
	both(t, func(t *testing.T, family string) {
		p := promoted(t, family, false)
		r := newSite(t, family, 2, p.creds)
		ctx := t.Context()
		if _, err := r.rp.Follow(ctx, p.source()); err != nil {
			t.Fatal(err)
		}
		until(t, "the replica to have all", func() bool {
			return r.text(t, "SELECT @@GLOBAL."+position(family)) == p.text(t, "SELECT @@GLOBAL."+position(family))
		})
		if err := r.db.Exec(ctx, r.fl.Promote()...); err != nil {
			t.Fatal(err)
		}
		if err := r.db.Exec(ctx, append(r.fl.Open(), "INSERT INTO shop.t VALUES (666)")...); err != nil {
			t.Fatal(err)
		}
		_, err := r.rp.Follow(ctx, p.source())
		if !errors.Is(err, repl.ErrRefused) {
			t.Fatalf("a server with a transaction of its own joined: %v", err)
		}
		t.Log(err)
		if v := r.text(t, "SELECT @@GLOBAL.read_only"); v != "1" {
			t.Error("it was left writable")
		}
	})
}

// TestAdjustSemiSync: commits begin to wait once a replica can acknowledge them, and go on waiting when it is lost.
func TestAdjustSemiSync(t *testing.T) {
	both(t, func(t *testing.T, family string) {
		p := promoted(t, family, false)
		ctx := t.Context()
		if changed, err := p.rp.AdjustSemiSync(ctx, true, false); err != nil || changed {
			t.Fatalf("without any replica: %v, %v", changed, err)
		}
		r := newSite(t, family, 2, p.creds)
		if _, err := r.rp.Follow(ctx, p.source()); err != nil {
			t.Fatal(err)
		}
		until(t, "semi-sync to be turned on", func() bool {
			changed, err := p.rp.AdjustSemiSync(ctx, true, false)
			if err != nil {
				t.Fatal(err)
			}
			return changed
		})
		if _, err := p.app(t).Exec(ctx, "INSERT INTO shop.t VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ want, never, changed bool }{{true, false, false}, {false, false, false}, {false, true, true}, {false, true, false}} {
			if changed, err := p.rp.AdjustSemiSync(ctx, c.want, c.never); err != nil || changed != c.changed {
				t.Errorf("%+v: %v, %v", c, changed, err)
			}
		}
	})
}

// TestReviveAcks: a receiver that connected without semi-sync, because its source had none yet, is made to acknowledge.
func TestReviveAcks(t *testing.T) {
	both(t, func(t *testing.T, family string) {
		p := promoted(t, family, true)
		r := newSite(t, family, 2, p.creds)
		ctx := t.Context()
		src := p.source()
		src.Acks = false
		if _, err := r.rp.Follow(ctx, src); err != nil {
			t.Fatal(err)
		}
		until(t, "the receiver to be connected without semi-sync", func() bool {
			res, err := r.db.Query(ctx, r.fl.ReplicaStatusQuery())
			if err != nil {
				t.Fatal(err)
			}
			rs := r.fl.ParseReplicaStatus(res.Map(0))
			return rs.Receiver != nil && *rs.Receiver == "Yes"
		})
		res, err := r.db.Query(ctx, r.fl.SemiSyncVariablesQuery())
		if err != nil {
			t.Fatal(err)
		}
		semi := r.fl.DetectSemiSync(res.Pairs())
		// Turned on behind the connection's back: it has no effect until the receiver connects anew.
		if err := r.db.Exec(ctx, semi.SetReplica(true)...); err != nil {
			t.Fatal(err)
		}
		src.Acks = true
		active := func() bool {
			st, err := r.db.Query(ctx, r.fl.SemiSyncStatusQuery())
			if err != nil {
				t.Fatal(err)
			}
			a := semi.ParseSemiSync(nil, st.Pairs()).ReplicaActive
			return a != nil && *a
		}
		if active() {
			t.Fatal("it acknowledges already: the test proves nothing")
		}
		until(t, "the replica to acknowledge", func() bool {
			if _, err := r.rp.Follow(ctx, src); err != nil {
				t.Fatal(err)
			}
			return active()
		})
	})
}

func position(family string) string {
	if family == servers.MariaDB {
		return "gtid_current_pos"
	}
	return "gtid_executed"
}

func holdReceiver(t *testing.T, p, r *site) {
	t.Helper()
	ctx := t.Context()
	got, err := r.rp.StopReceiver(ctx)
	if err != nil || got.Applied == nil || got.Received == nil || *got.Received != *got.Applied {
		t.Fatalf("stop the receiver: %+v, %v", got, err)
	}
	held := p.source()
	held.HoldReceiver = true
	if changed, err := r.rp.Follow(ctx, held); err != nil || changed {
		t.Fatalf("a held receiver was started: %v, %v", changed, err)
	}
	if err := p.db.Exec(ctx, "INSERT INTO shop.t VALUES (2)"); err != nil {
		t.Fatal(err)
	}
	if reached, _, err := r.rp.WaitPosition(ctx, p.text(t, "SELECT @@GLOBAL."+position(p.Family)), 200*time.Millisecond); err != nil || reached {
		t.Fatalf("a replica without receiver went on: %v, %v", reached, err)
	}
	if err := r.rp.StartReceiver(ctx); err != nil {
		t.Fatal(err)
	}
}

// swap promotes the replica and makes the former primary follow it.
func swap(t *testing.T, p, r *site) {
	t.Helper()
	ctx := t.Context()
	d, err := p.rp.Demote(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if reached, at, err := r.rp.WaitPosition(ctx, d.Position, 10*time.Second); err != nil || !reached {
		t.Fatalf("wait for %s: %v, at %s, %v", d.Position, reached, at, err)
	}
	if _, err := r.rp.Promote(ctx, repl.Reign{Term: 2, Alias: "zone1-2", Database: "shop", SemiSync: true}); err != nil {
		t.Fatal(err)
	}
	if err := r.rp.Open(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := r.rp.Promote(ctx, repl.Reign{Term: 1, Alias: "zone1-2", Database: "shop"}); !errors.Is(err, repl.ErrRefused) {
		t.Errorf("a promotion for an older term: %v", err)
	}
	if _, err := p.rp.Follow(ctx, r.source()); err != nil {
		t.Fatal(err)
	}
	c := r.app(t)
	if _, err := c.Exec(ctx, "INSERT INTO shop.t VALUES (3)"); err != nil {
		t.Fatalf("a write that the former primary acknowledges: %v", err)
	}
	pos := r.text(t, "SELECT @@GLOBAL."+position(r.Family))
	if reached, at, err := p.rp.WaitPosition(ctx, pos, 10*time.Second); err != nil || !reached {
		t.Fatalf("the former primary does not reach %s: at %s, %v", pos, at, err)
	}
	if n := p.text(t, "SELECT COUNT(*) FROM shop.t"); n != "3" {
		t.Errorf("%s rows on the former primary", n)
	}
}
