package target

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ptr[T any](v T) *T { return &v }

// world is a topology with a Watcher on it.
type world struct {
	t   *testing.T
	top *topo.Topo
	w   *Watcher
	log *logBuffer

	mu    sync.Mutex
	made  []string // addresses for which pools were made, in order
	pools []*pool.Pool
}

// logBuffer is a log that tests can read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store := mem.New()
	x := &world{t: t, top: topo.New(store), log: &logBuffer{}}
	x.w = NewWatcher(x.top, Config{
		Log: slog.New(slog.NewTextHandler(x.log, nil)),
		NewPool: func(addr, _, db string) *pool.Pool {
			p := pool.New(pool.Config{Dial: client.Config{Addr: addr, Database: db}, Max: 1})
			x.mu.Lock()
			defer x.mu.Unlock()
			x.made, x.pools = append(x.made, addr+"/"+db), append(x.pools, p)
			return p
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { x.w.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		x.w.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func (x *world) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// await waits for a snapshot of which ok is true.
func (x *world) await(what string, ok func(*Snapshot) bool) *Snapshot {
	x.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		changed := x.w.Changed()
		if s := x.w.Current(); ok(s) {
			return s
		}
		select {
		case <-changed:
		case <-deadline:
			x.t.Fatalf("no snapshot within 10 s: %s; now %+v", what, x.w.Current())
		}
	}
}

func (x *world) keyspace(name string, shards ...string) {
	x.t.Helper()
	x.must(x.top.CreateKeyspace(x.t.Context(), &topov1.Keyspace{Name: ptr(name)}))
	for _, sh := range shards {
		x.must(x.top.CreateShard(x.t.Context(), &topov1.Shard{Keyspace: ptr(name), Name: ptr(sh), Term: ptr(uint64(1)), Serving: ptr(true)}))
	}
}

func (x *world) tablet(uid uint32, ks, shard string, typ topov1.TabletType, port uint32) string {
	x.t.Helper()
	alias := topo.Alias("zone1", uid)
	x.must(x.top.CreateTablet(x.t.Context(), &topov1.Tablet{Alias: ptr(alias), Cell: ptr("zone1"), Uid: ptr(uid), Keyspace: ptr(ks), Shard: ptr(shard),
		Type: typ.Enum(), Host: ptr("127.0.0.1"), MysqlPort: ptr(port), ServerVersion: ptr("9.7.0"), Flavor: ptr("mysql")}))
	return alias
}

// reign sets a shard's primary and term without asking whether that may be.
func (x *world) reign(ks, shard, alias string, term uint64) {
	x.t.Helper()
	x.must(x.top.UpdateShard(x.t.Context(), ks, shard, func(s *topov1.Shard) error {
		s.Primary, s.Term = ptr(alias), ptr(term)
		return nil
	}))
}

func primary(s *Snapshot, ks, shard string) string {
	if k := s.Keyspaces[ks]; k != nil {
		if sh := k.Shard(shard); sh != nil && sh.Primary != nil {
			return sh.Primary.Alias
		}
	}
	return ""
}

func usable(p *pool.Pool) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := p.Get(ctx, 0, nil)
	return err == nil || !strings.Contains(err.Error(), pool.ErrClosed.Error())
}

const (
	typePrimary = topov1.TabletType_TABLET_TYPE_PRIMARY
	typeReplica = topov1.TabletType_TABLET_TYPE_REPLICA
	typeRdonly  = topov1.TabletType_TABLET_TYPE_RDONLY
	typeSpare   = topov1.TabletType_TABLET_TYPE_SPARE
)

func TestPrimaryMoves(t *testing.T) {
	x := newWorld(t)
	x.keyspace("k", "-80", "80-")
	a := x.tablet(1, "k", "-80", typePrimary, 1001)
	b := x.tablet(2, "k", "-80", typeReplica, 1002)
	x.tablet(3, "k", "-80", typeRdonly, 1003)
	x.tablet(4, "k", "-80", typeSpare, 1004)
	x.reign("k", "-80", a, 2)
	s := x.await("first primary", func(s *Snapshot) bool {
		return primary(s, "k", "-80") == a && len(s.Keyspaces["k"].Shard("-80").Replicas) == 2
	})
	sh := s.Keyspaces["k"].Shard("-80")
	if sh.Replicas[0].Alias != b || sh.Replicas[0].Type != "replica" || sh.Replicas[1].Type != "rdonly" {
		t.Errorf("replicas %+v", sh.Replicas)
	}
	if s.ServerVersion != "9.7.0" || s.Flavor != "mysql" {
		t.Errorf("version %q of %q", s.ServerVersion, s.Flavor)
	}
	oldPool, newPool := sh.Primary.Pool, sh.Replicas[0].Pool
	x.reign("k", "-80", b, 3)
	s = x.await("second primary", func(s *Snapshot) bool { return primary(s, "k", "-80") == b })
	sh = s.Keyspaces["k"].Shard("-80")
	if sh.Term != 3 || sh.Primary.Pool != newPool {
		t.Errorf("term %d; the pool of the replica is used as primary's: %v", sh.Term, sh.Primary.Pool == newPool)
	}
	if sh.Primary.Type != "primary" || !usable(newPool) {
		t.Error("the new primary can't be used")
	}
	if usable(oldPool) {
		t.Error("the pool of a primary whose record is neither primary's nor replica's stays open")
	}
	if s.Keyspaces["k"].Shard("80-").Primary != nil {
		t.Error("a shard without primary has one")
	}
}

func TestTermGoesBack(t *testing.T) {
	x := newWorld(t)
	x.keyspace("k", "-")
	a := x.tablet(1, "k", "-", typeReplica, 1001)
	b := x.tablet(2, "k", "-", typeReplica, 1002)
	x.reign("k", "-", b, 7)
	s := x.await("term 7", func(s *Snapshot) bool {
		return primary(s, "k", "-") == b && s.Keyspaces["k"].Shard("-").Term == 7 && len(s.Keyspaces["k"].Shard("-").Replicas) == 1
	})
	v := s.Version
	x.reign("k", "-", a, 6)
	s = x.await("the older record was seen", func(s *Snapshot) bool { return s.Version > v })
	sh := s.Keyspaces["k"].Shard("-")
	if sh == nil || sh.Term != 7 || sh.Primary.Alias != b {
		t.Fatalf("an older reign took over: %+v", sh)
	}
	if sh.Keyspace != s.Keyspaces["k"] {
		t.Error("the shard points to a keyspace of another snapshot")
	}
	if !usable(sh.Primary.Pool) || !usable(sh.Replicas[0].Pool) {
		t.Error("pools of the kept shard were closed")
	}
	x.reign("k", "-", a, 8)
	x.await("term 8", func(s *Snapshot) bool { return primary(s, "k", "-") == a })
}

func TestTabletsComeAndGo(t *testing.T) {
	x := newWorld(t)
	x.keyspace("k", "-")
	a := x.tablet(1, "k", "-", typePrimary, 1001)
	b := x.tablet(2, "k", "-", typeReplica, 1002)
	x.reign("k", "-", a, 2)
	s := x.await("both", func(s *Snapshot) bool {
		return primary(s, "k", "-") == a && len(s.Keyspaces["k"].Shard("-").Replicas) == 1
	})
	gone, kept := s.Keyspaces["k"].Shard("-").Replicas[0].Pool, s.Keyspaces["k"].Shard("-").Primary.Pool
	x.must(x.top.DeleteTablet(t.Context(), b))
	s = x.await("no replica", func(s *Snapshot) bool { return len(s.Keyspaces["k"].Shard("-").Replicas) == 0 })
	if usable(gone) || !usable(kept) || s.Keyspaces["k"].Shard("-").Primary.Pool != kept {
		t.Error("the wrong pool was closed")
	}
	// Another tablet at the same address: the same server, the new name.
	c := x.tablet(3, "k", "-", typeReplica, 1001)
	x.reign("k", "-", c, 3)
	s = x.await("another alias", func(s *Snapshot) bool { return primary(s, "k", "-") == c })
	if s.Keyspaces["k"].Shard("-").Primary.Pool != kept {
		t.Error("a pool to the same address was not used again")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.made) != 2 {
		t.Errorf("pools were made for %v", x.made)
	}
}

func TestKeyspacesComeAndGo(t *testing.T) {
	x := newWorld(t)
	x.keyspace("k", "-")
	a := x.tablet(1, "k", "-", typePrimary, 1001)
	x.reign("k", "-", a, 9)
	p := x.await("keyspace", func(s *Snapshot) bool { return primary(s, "k", "-") == a }).Keyspaces["k"].Shard("-").Primary.Pool
	x.keyspace("other", "-")
	x.await("two keyspaces", func(s *Snapshot) bool { return strings.Join(s.Names(), " ") == "k other" })

	x.must(x.top.DeleteTablet(t.Context(), a))
	x.must(x.top.DeleteShard(t.Context(), "k", "-", shardRev(t, x, "k", "-")))
	x.must(x.top.DeleteKeyspace(t.Context(), "k"))
	x.await("keyspace is gone", func(s *Snapshot) bool { return s.Keyspaces["k"] == nil })
	if usable(p) {
		t.Error("the pool of a keyspace that is gone stays open")
	}
	// Made again under its name, it counts its terms from the start.
	x.keyspace("k", "-")
	b := x.tablet(2, "k", "-", typePrimary, 1002)
	x.reign("k", "-", b, 2)
	x.await("keyspace made anew", func(s *Snapshot) bool { return primary(s, "k", "-") == b })
}

func shardRev(t *testing.T, x *world, ks, shard string) int64 {
	t.Helper()
	_, rev, err := x.top.Shard(t.Context(), ks, shard)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func TestVSchemaProblems(t *testing.T) {
	x := newWorld(t)
	x.keyspace("good", "-80", "80-")
	x.keyspace("bad", "-")
	put := func(ks, json string) {
		t.Helper()
		_, rev, err := x.top.VSchema(t.Context(), ks)
		if err != nil {
			rev = 0
		}
		_, err = x.top.PutVSchema(t.Context(), ks, &topov1.VSchema{Json: ptr(json)}, rev)
		x.must(err)
	}
	put("good", `{"sharded": true, "vindexes": {"hash": {"type": "hash"}}, "tables": {"t": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}`)
	put("bad", `{"sharded": true, "tables": {"t": {"column_vindexes": [{"column": "id", "name": "nowhere"}]}}}`)
	s := x.await("a problem is reported", func(s *Snapshot) bool {
		g := s.VSchema.Keyspace("good")
		return len(s.Problems) > 0 && g != nil && len(g.Tables()) == 1
	})
	if len(s.Keyspaces) != 2 {
		t.Errorf("keyspaces %v", s.Names())
	}
	if !x.log.has("vschema has a problem") {
		t.Error("the problem is not logged")
	}
	put("bad", `{"sharded": false, "tables": {"t": {}}}`)
	x.await("it is repaired", func(s *Snapshot) bool { return len(s.Problems) == 0 })
}

func TestFind(t *testing.T) {
	ks := &Keyspace{}
	for _, n := range []string{"-40", "40-80", "c0-"} { // 80-c0 is missing
		r, err := vindex.ParseShardName(n)
		if err != nil {
			t.Fatal(err)
		}
		ks.Shards = append(ks.Shards, &Shard{Keyspace: ks, Name: n, Range: r})
	}
	for _, c := range []struct {
		id   []byte
		want string
	}{
		{nil, "-40"}, {[]byte{0}, "-40"}, {[]byte{0x3f, 0xff, 0xff}, "-40"}, {[]byte{0x40}, "40-80"}, {[]byte{0x7f}, "40-80"},
		{[]byte{0x80}, ""}, {[]byte{0xbf, 0xff}, ""}, {[]byte{0xc0}, "c0-"}, {[]byte{0xff, 0xff, 0xff}, "c0-"},
	} {
		got := ""
		if sh := ks.Find(c.id); sh != nil {
			got = sh.Name
		}
		if got != c.want {
			t.Errorf("id %x is on %q, want %q", c.id, got, c.want)
		}
	}
	if (&Keyspace{}).Find([]byte{1}) != nil {
		t.Error("a keyspace without shards holds an id")
	}
	if n := testing.AllocsPerRun(100, func() { ks.Find([]byte{0x41}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A server on loopback is reached by its socket; one that has another address is not, even if it says that it is here.
func TestLocalSocket(t *testing.T) {
	for host, want := range map[string]string{"127.0.0.1": "/s", "::1": "/s", "10.0.0.1": "", "localhost": "", "db1.example": "", "": ""} {
		if got := localSocket(&topov1.Tablet{Host: &host, MysqlSocket: ptr("/s")}); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
	if got := localSocket(&topov1.Tablet{Host: ptr("127.0.0.1")}); got != "" {
		t.Errorf("an older agent that does not say its socket: %q", got)
	}
}
