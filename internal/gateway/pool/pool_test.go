package pool

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeServer logs clients in and answers OK to every command, but to statements that it was told to treat otherwise.
type fakeServer struct {
	addr string

	mu      sync.Mutex
	conns   map[net.Conn]bool
	queries []string
	logins  int
	resets  int
	closeOn string // a statement that closes the connection in place of an answer
	errOn   string // a statement that is refused
}

type anybody struct{}

func (anybody) Account(string) (wire.Account, bool) { return wire.Account{}, true }

func newFake(t *testing.T) *fakeServer {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{addr: lis.Addr().String(), conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := lis.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns[nc] = true
			f.mu.Unlock()
			wg.Go(func() { f.serve(nc) })
		}
	})
	t.Cleanup(func() {
		_ = lis.Close()
		f.dropAll()
		wg.Wait()
	})
	return f
}

// dropAll closes every connection, as a server that dies.
func (f *fakeServer) dropAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for nc := range f.conns {
		_ = nc.Close()
	}
}

// tell names the statements that are treated otherwise.
func (f *fakeServer) tell(closeOn, errOn string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closeOn, f.errOn = closeOn, errOn
}

func (f *fakeServer) resetCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.resets
}

func (f *fakeServer) live() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

func (f *fakeServer) seen(sql string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range f.queries {
		if q == sql {
			n++
		}
	}
	return n
}

func (f *fakeServer) serve(nc net.Conn) {
	defer func() {
		_ = nc.Close()
		f.mu.Lock()
		delete(f.conns, nc)
		f.mu.Unlock()
	}()
	f.mu.Lock()
	f.logins++
	id := uint32(f.logins)
	f.mu.Unlock()
	cfg := &wire.ServerConfig{
		Version: "9.7.0-fake", Charset: 45, DefaultAuth: wire.PluginNative, Auth: anybody{},
		Caps: wire.ClientMySQL | wire.ClientProtocol41 | wire.ClientSecureConnection | wire.ClientPluginAuth | wire.ClientTransactions |
			wire.ClientDeprecateEOF | wire.ClientSessionTrack | wire.ClientFoundRows | wire.ClientConnectWithDB,
	}
	login, c, err := wire.ServerHandshake(wire.NewConn(nc, 1<<20), id, cfg)
	if err != nil {
		return
	}
	for {
		p, _, err := c.ReadCommand()
		if err != nil || p[0] == wire.ComQuit {
			return
		}
		reply := wire.AppendOK(nil, wire.OK{Status: wire.StatusAutocommit}, login.Caps, false)
		f.mu.Lock()
		switch p[0] {
		case wire.ComResetConnection:
			f.resets++
		case wire.ComQuery:
			q := string(p[1:])
			f.queries = append(f.queries, q)
			if q == f.closeOn {
				f.mu.Unlock()
				return
			}
			if q == f.errOn {
				reply = wire.AppendErr(nil, &wire.MySQLError{Errno: 1231, State: "42000", Message: "no such value"})
			}
		}
		f.mu.Unlock()
		if c.WritePacket(reply) != nil || c.Flush() != nil {
			return
		}
	}
}

func newPool(f *fakeServer, limit int, wait time.Duration) *Pool {
	return New(Config{
		Dial: client.Config{Addr: f.addr, User: "u", ConnectTimeout: 5 * time.Second},
		Max:  limit, Wait: wait, IdleTimeout: time.Minute, MaxHandles: 3,
	})
}

func get(t *testing.T, p *Pool, class Class, s *Settings) *Conn {
	t.Helper()
	c, err := p.Get(t.Context(), class, s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// until waits for a condition that another goroutine brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func wantStats(t *testing.T, p *Pool, open, idle int) {
	t.Helper()
	if st := p.Stats(); st.Open != open || st.Idle != idle {
		t.Errorf("pool has %d open, %d idle; want %d, %d", st.Open, st.Idle, open, idle)
	}
}

func TestLastInFirstOut(t *testing.T) {
	p := newPool(newFake(t), 5, time.Second)
	defer p.Close()
	a, b := get(t, p, 0, nil), get(t, p, 0, nil)
	a.Release()
	b.Release()
	if c := get(t, p, 0, nil); c != b {
		t.Error("the connection used last is not given first")
	} else {
		c.Release()
	}
	wantStats(t, p, 2, 2)
}

func TestLimitAndTimeout(t *testing.T) {
	p := newPool(newFake(t), 2, 20*time.Millisecond)
	defer p.Close()
	a, b := get(t, p, 0, nil), get(t, p, 0, nil)
	if _, err := p.Get(t.Context(), 0, nil); !errors.Is(err, ErrExhausted) {
		t.Fatalf("a third of two connections: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Get(ctx, 0, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("waiting under an ended context: %v", err)
	}
	wantStats(t, p, 2, 0)
	if st := p.Stats(); st.Waiting != 0 || st.Timeouts != 1 {
		t.Errorf("%d wait, %d timeouts", st.Waiting, st.Timeouts)
	}
	a.Release()
	b.Discard()
	wantStats(t, p, 1, 1)
}

func TestWaitersAreServedInOrder(t *testing.T) {
	p := newPool(newFake(t), 1, 10*time.Second)
	defer p.Close()
	held := get(t, p, 0, nil)
	const n = 5
	order := make(chan int, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			c, err := p.Get(context.Background(), 0, nil)
			if err != nil {
				t.Error(err)
				return
			}
			order <- i
			if i%2 == 0 {
				c.Release()
			} else {
				c.Discard() // the next one gets the place and dials
			}
		})
		until(t, "one more waits", func() bool { return p.Stats().Waiting == i+1 })
	}
	held.Release()
	wg.Wait()
	for i := range n {
		if got := <-order; got != i {
			t.Errorf("waiter %d was served as number %d", got, i)
		}
	}
	wantStats(t, p, 1, 1)
}

func TestCloseWakesWaiters(t *testing.T) {
	f := newFake(t)
	p := newPool(f, 1, time.Minute)
	held := get(t, p, 0, nil)
	errs := make(chan error, 1)
	go func() {
		_, err := p.Get(context.Background(), 0, nil)
		errs <- err
	}()
	until(t, "one waits", func() bool { return p.Stats().Waiting == 1 })
	p.Close()
	if err := <-errs; !errors.Is(err, ErrClosed) {
		t.Errorf("a waiter of a closed pool got %v", err)
	}
	if _, err := p.Get(t.Context(), 0, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed pool gave %v", err)
	}
	held.Release()
	wantStats(t, p, 0, 0)
	until(t, "the server has no connection", func() bool { return f.live() == 0 })
}

func TestSettingsAndClasses(t *testing.T) {
	f := newFake(t)
	p := newPool(f, 2, time.Second)
	defer p.Close()
	latin, ansi := &Settings{SQL: "SET NAMES latin1"}, &Settings{SQL: "SET sql_mode = 'ANSI'"}
	a := get(t, p, 0, latin)
	a.Keep(&Statement{SQL: "SELECT ?"}, 7)
	a.Release()
	b := get(t, p, 0, ansi) // below the limit: a new one
	if b == a || f.seen(ansi.SQL) != 1 {
		t.Error("a pool with room did not open a connection for other settings")
	}
	a2 := get(t, p, 0, latin)
	if a2 != a || f.seen(latin.SQL) != 1 {
		t.Error("a connection that has the settings was not used as it is")
	}
	a.Release()
	c := get(t, p, 0, nil) // at the limit: the idle one is changed
	if c != a || f.resetCount() != 1 || c.Settings() != nil || f.seen(baseSQL) != 1 {
		t.Errorf("changed: same %v, %d resets, settings %v", c == a, f.resetCount(), c.Settings())
	}
	if len(c.handles.byKey) != 0 {
		t.Error("a reset connection keeps its statements")
	}
	c.Dirty = true
	c.Release()
	if c = get(t, p, 0, nil); f.resetCount() != 2 || c.Dirty {
		t.Error("a dirty connection was not reset")
	}
	c.Release()
	d := get(t, p, DeprecateEOF|FoundRows, nil)
	if d == a || d.Caps()&wire.ClientDeprecateEOF == 0 || d.Caps()&wire.ClientFoundRows == 0 || a.Caps()&wire.ClientFoundRows != 0 {
		t.Error("the class does not decide the options of the login")
	}
	wantStats(t, p, 2, 0)
	b.Release()
	d.Release()
	wantStats(t, p, 2, 2)
}

func TestRefusedSettings(t *testing.T) {
	f := newFake(t)
	bad := &Settings{SQL: "SET sql_mode = 'x'"}
	f.tell("", bad.SQL)
	p := newPool(f, 1, time.Second)
	defer p.Close()
	get(t, p, 0, nil).Release()
	for range 3 { // by a change, then by new connections
		var my *wire.MySQLError
		if _, err := p.Get(t.Context(), 0, bad); !errors.As(err, &my) || my.Errno != 1231 {
			t.Fatalf("refused settings: %v", err)
		}
		wantStats(t, p, 0, 0)
	}
}

func TestStaleAndBroken(t *testing.T) {
	f := newFake(t)
	f.tell("boom", "")
	p := newPool(f, 3, time.Second)
	defer p.Close()
	a := get(t, p, 0, nil)
	if _, err := a.Exec(t.Context(), "boom"); err == nil {
		t.Fatal("a statement whose connection broke has no error")
	}
	a.Release() // a caller that does not look
	wantStats(t, p, 0, 0)

	b := get(t, p, 0, nil)
	b.Release()
	b.idleAt = time.Now().Add(-checkAfter)
	f.dropAll()
	until(t, "the close arrives", func() bool { return b.Wire().CheckIdle() != nil })
	c := get(t, p, 0, nil)
	if c == b || p.Stats().StaleDiscarded != 1 {
		t.Error("a connection that the server closed was given out")
	}
	c.Discard()
	c.Discard() // as when two levels of a caller clean up
	c.Release()
	wantStats(t, p, 0, 0)
}

func TestReap(t *testing.T) {
	f := newFake(t)
	p := newPool(f, 3, time.Second)
	defer p.Close()
	a, b := get(t, p, 0, nil), get(t, p, 0, nil)
	a.Release()
	b.Release()
	a.idleAt = time.Now().Add(-2 * time.Minute)
	p.Reap(time.Now())
	wantStats(t, p, 1, 1)
	if c := get(t, p, 0, nil); c != b {
		t.Error("the wrong connection was closed")
	} else {
		c.Release()
	}
	p.DropIdle()
	wantStats(t, p, 0, 0)
	if len(p.stacks) != 0 {
		t.Error("empty stacks are kept")
	}
	until(t, "the server has no connection", func() bool { return f.live() == 0 })
}

func TestHandles(t *testing.T) {
	p := newPool(newFake(t), 1, time.Second)
	defer p.Close()
	c := get(t, p, 0, nil)
	defer c.Release()
	var st [5]*Statement
	for i := range st {
		st[i] = &Statement{SQL: "s"}
		old, evict := c.Keep(st[i], uint32(i+10))
		if evict != (i >= 3) || evict && old != uint32(i-3+10) {
			t.Errorf("keeping %d closes %d, %v", i, old, evict)
		}
	}
	if id, ok := c.Handle(st[4]); !ok || id != 14 {
		t.Errorf("handle %d, %v", id, ok)
	}
	if _, ok := c.Handle(st[0]); ok {
		t.Error("a handle that was closed is still known")
	}
	c.Forget(st[3])
	c.Forget(st[3])
	if _, ok := c.Handle(st[3]); ok || len(c.handles.order) != 2 {
		t.Error("a forgotten handle is still known")
	}
}

func TestKillWorksWhenAllAreBusy(t *testing.T) {
	f := newFake(t)
	p := newPool(f, 1, time.Minute)
	defer p.Close()
	c := get(t, p, 0, nil)
	for _, hard := range []bool{false, true} {
		if err := p.Kill(t.Context(), c.ConnectionID(), hard); err != nil {
			t.Fatal(err)
		}
	}
	if f.seen("KILL QUERY 1") != 1 || f.seen("KILL 1") != 1 {
		t.Errorf("the server was asked %q", f.queries)
	}
	c.Release()
	wantStats(t, p, 1, 1)
}

// TestPlaces checks that places are neither lost nor made, whatever happens to the connections.
func TestPlaces(t *testing.T) {
	f := newFake(t)
	f.tell("boom", "")
	p := newPool(f, 4, 5*time.Millisecond)
	defer p.Close()
	settings := []*Settings{nil, {SQL: "SET a = 1"}, {SQL: "SET a = 2"}}
	var wg sync.WaitGroup
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for w := range uint64(8) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, w))
			for range 60 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rnd.IntN(20)+1)*time.Millisecond)
				c, err := p.Get(ctx, Class(rnd.IntN(2)), settings[rnd.IntN(len(settings))])
				if err == nil {
					switch rnd.IntN(6) {
					case 0:
						c.Discard()
					case 1:
						_, _ = c.Exec(context.Background(), "boom")
						c.Release()
					case 2:
						c.Dirty = true
						c.Release()
					default:
						_, _ = c.Exec(context.Background(), "SELECT 1")
						c.Release()
					}
				}
				cancel()
				if st := p.Stats(); st.Open > 4 || st.Idle > st.Open {
					t.Errorf("%d open, %d idle of 4", st.Open, st.Idle)
				}
				if rnd.IntN(20) == 0 {
					p.DropIdle()
				}
			}
		})
	}
	wg.Wait()
	if st := p.Stats(); st.Open != st.Idle || st.Waiting != 0 {
		t.Errorf("nothing is in use, but %d are open, %d idle and %d wait", st.Open, st.Idle, st.Waiting)
	}
	until(t, "the server agrees on the number", func() bool { return f.live() == p.Stats().Open })
}
