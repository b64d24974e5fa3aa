package txn

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/redo"
)

// step names what a statement of a commit is.
func step(sql string) string {
	for _, k := range []struct{ prefix, name string }{
		{"INSERT INTO _pelorus.redo", "save"}, {"DELETE FROM _pelorus.redo", "lock"}, {"INSERT INTO _pelorus.decision", "decide"},
		{"DELETE FROM _pelorus.decision", "forget"}, {"COMMIT", "commit"}, {"ROLLBACK", "rollback"},
	} {
		if strings.HasPrefix(sql, k.prefix) {
			return k.name
		}
	}
	return sql
}

// fault is what a fake server does in place of OK.
type fault struct {
	errno uint16 // an error of the server
	hang  bool   // the connection is closed without an answer
	none  bool   // OK, with no row affected
	ended bool   // OK, with no transaction open
}

// fake is a server that notes the steps it is asked for: those on connections beside the pool with a star.
type fake struct {
	mu     sync.Mutex
	faults map[string]fault
	seen   []string
	main   uint32 // the connection that holds the transaction
}

type anybody struct{}

func (anybody) Account(string) (wire.Account, bool) { return wire.Account{}, true }

func (f *fake) serve(nc net.Conn, id uint32) {
	defer nc.Close()
	caps := wire.ClientMySQL | wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth | wire.ClientTransactions
	login, c, err := wire.ServerHandshake(wire.NewConn(nc, 1<<20), id, &wire.ServerConfig{
		Version: "9.7.0-fake", Charset: 45, DefaultAuth: wire.PluginNative, Auth: anybody{}, Caps: caps,
	})
	if err != nil {
		return
	}
	for {
		p, _, err := c.ReadCommand()
		if err != nil || p[0] != wire.ComQuery {
			return
		}
		reply, ok := f.answer(step(string(p[1:])), id, login.Caps)
		if !ok || c.WritePacket(reply) != nil || c.Flush() != nil {
			return
		}
	}
}

func (f *fake) answer(step string, id uint32, caps wire.Capability) ([]byte, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.main != id {
		step += "*"
	}
	f.seen = append(f.seen, step)
	x := f.faults[step]
	ok := wire.OK{Status: wire.StatusInTrans | wire.StatusAutocommit, Affected: 1}
	switch {
	case x.hang:
		return nil, false
	case x.errno != 0:
		return wire.AppendErr(nil, &wire.MySQLError{Errno: x.errno, State: "HY000", Message: "fault"}), true
	case x.none:
		ok.Affected = 0
	case x.ended:
		ok.Status = wire.StatusAutocommit
	}
	return wire.AppendOK(nil, ok, caps, false), true
}

// newFakes starts a coordinator "c" and a participant "p", and opens a transaction's connection to each.
func newFakes(t *testing.T, faults map[string]map[string]fault) (parts []Participant, seen func(server string) string) {
	t.Helper()
	fakes := map[string]*fake{}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	for _, name := range []string{"c", "p"} {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f := &fake{faults: faults[name], main: 1}
		fakes[name] = f
		wg.Go(func() {
			for id := uint32(1); ; id++ {
				nc, err := lis.Accept()
				if err != nil {
					return
				}
				wg.Go(func() { f.serve(nc, id) })
			}
		})
		p := pool.New(pool.Config{Dial: client.Config{Addr: lis.Addr().String()}, Max: 1, Wait: time.Second, IdleTimeout: time.Minute})
		conn, err := p.Get(t.Context(), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Discard(); p.Close(); _ = lis.Close() })
		parts = append(parts, Participant{Keyspace: "k", Shard: name, Conn: conn, Redo: []redo.Statement{{SQL: []byte("x")}}})
	}
	return parts, func(server string) string {
		f := fakes[server]
		f.mu.Lock()
		defer f.mu.Unlock()
		return strings.Join(f.seen, " ")
	}
}

func TestCommit(t *testing.T) {
	const whole = "save* lock commit"
	for _, c := range []struct {
		name         string
		coordinator  map[string]fault
		participant  map[string]fault
		onC, onP     string
		code         errcode.Code // 0 for none
		unknown      bool
		brokenShards string
	}{
		{name: "calm", onC: "decide commit forget*", onP: whole},
		{name: "record refused", participant: map[string]fault{"save*": {errno: 1114}}, onP: "save* rollback lock*", code: errcode.PrepareFailed},
		{name: "record in doubt", participant: map[string]fault{"save*": {hang: true}}, onP: "save* rollback lock*", code: errcode.PrepareFailed},
		{name: "transaction lost", participant: map[string]fault{"lock": {hang: true}}, onP: "save* lock", code: errcode.PrepareFailed},
		{name: "taken for abandoned", participant: map[string]fault{"lock": {none: true}}, onP: "save* lock rollback lock*", code: errcode.TxnRolledBack},
		{name: "ended by the server", participant: map[string]fault{"lock": {ended: true}}, onP: "save* lock rollback lock*", code: errcode.TxnRolledBack},
		{name: "aborted by recovery", coordinator: map[string]fault{"decide": {errno: 1062}}, onC: "decide", onP: "save* lock rollback lock*",
			code: errcode.TxnRolledBack},
		{name: "coordinator lost before", coordinator: map[string]fault{"decide": {hang: true}}, onC: "decide", onP: "save* lock rollback lock*"},
		{name: "commit refused", coordinator: map[string]fault{"commit": {errno: 1290}}, onC: "decide commit", onP: "save* lock rollback lock*"},
		{name: "commit in doubt", coordinator: map[string]fault{"commit": {hang: true}}, onC: "decide commit", onP: "save* lock",
			unknown: true, brokenShards: "c"},
		{name: "participant lost after", participant: map[string]fault{"commit": {hang: true}}, onC: "decide commit", onP: whole, brokenShards: "p"},
		{name: "participant refuses after", participant: map[string]fault{"commit": {errno: 1290}}, onC: "decide commit", onP: whole, brokenShards: "p"},
		{name: "not forgotten", coordinator: map[string]fault{"forget*": {hang: true}}, onC: "decide commit forget*", onP: whole},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts, seen := newFakes(t, map[string]map[string]fault{"c": c.coordinator, "p": c.participant})
			committer := NewCommitter(slog.New(slog.NewTextHandler(io.Discard, nil)), Hooks{})
			broken, err := committer.Commit(t.Context(), parts)
			committer.Close()
			decided := strings.HasSuffix(c.onP, "commit")
			if decided != (err == nil) || errors.Is(err, ErrUnknown) != c.unknown {
				t.Errorf("error %v", err)
			}
			if e, ok := errcode.Of(err); c.code != 0 && (!ok || e.Code() != c.code) {
				t.Errorf("error %v, want code %d", err, c.code)
			}
			var shards []string
			for _, b := range broken {
				i := slices.IndexFunc(parts, func(p Participant) bool { return p.Conn == b })
				shards = append(shards, parts[i].Shard)
			}
			if got := strings.Join(shards, " "); got != c.brokenShards {
				t.Errorf("broken %q, want %q", got, c.brokenShards)
			}
			if got := seen("c"); got != c.onC {
				t.Errorf("on the coordinator: %s\nwant: %s", got, c.onC)
			}
			if got := seen("p"); got != c.onP {
				t.Errorf("on the participant: %s\nwant: %s", got, c.onP)
			}
		})
	}
}

// TestClientGone holds that a client that goes away in the middle does not cut a commit short.
func TestClientGone(t *testing.T) {
	parts, seen := newFakes(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	hooks := Hooks{At: func(step string) {
		if step == "prepared" {
			cancel()
		}
	}}
	committer := NewCommitter(slog.New(slog.NewTextHandler(io.Discard, nil)), hooks)
	if _, err := committer.Commit(ctx, parts); err != nil {
		t.Fatal(err)
	}
	committer.Close()
	if got := seen("c") + "; " + seen("p"); got != "decide commit forget*; save* lock commit" {
		t.Errorf("steps %s", got)
	}
}

// TestForgetTogether holds that decisions are deleted behind the clients' backs, many at once, and that the queue is bounded.
func TestForgetTogether(t *testing.T) {
	parts, seen := newFakes(t, nil)
	c := NewCommitter(slog.New(slog.NewTextHandler(io.Discard, nil)), Hooks{})
	const many = 2*forgetBatch + 1
	for i := range many {
		c.forget.later(strconv.Itoa(i), parts[0].Conn.Pool())
	}
	if got := seen("c"); got != "" {
		t.Errorf("%s before the pause", got)
	}
	c.Close()
	if got := seen("c"); got != "forget* forget* forget*" {
		t.Errorf("%d decisions were forgotten by: %s", many, got)
	}
	c.forget.later("late", parts[0].Conn.Pool())
	if n := len(c.forget.queues); n != 0 {
		t.Errorf("%d queues after the end", n)
	}

	parts, seen = newFakes(t, map[string]map[string]fault{"c": {"forget*": {errno: 1290}}})
	dead := NewCommitter(slog.New(slog.NewTextHandler(io.Discard, nil)), Hooks{})
	for i := range many {
		dead.forget.later(strconv.Itoa(i), parts[0].Conn.Pool())
	}
	dead.Close()
	if got := seen("c"); got != "forget*" {
		t.Errorf("a server that refuses was asked: %s", got)
	}

	full := newForgetter(c)
	full.queues[nil] = make([]string, maxForgets)
	full.later("one more", nil)
	if n := len(full.queues[nil]); n != maxForgets {
		t.Errorf("%d decisions wait, want at most %d", n, maxForgets)
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id, err := newID()
		if err != nil || seen[id] || len(id) > 64 {
			t.Fatalf("id %q: %v", id, err)
		}
		seen[id] = true
	}
}
