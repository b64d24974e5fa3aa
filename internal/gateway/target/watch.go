package target

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
	"github.com/pelorusdb/pelorus/internal/topo"
)

// Config says how a Watcher makes its endpoints.
type Config struct {
	// NewPool makes the pool of connections to a server's database. socket is the path of the server's Unix socket if the server
	// is on this machine, else empty.
	NewPool func(addr, socket, db string) *pool.Pool
	Log     *slog.Logger
}

// Watcher follows the topology.
type Watcher struct {
	cfg  Config
	topo *topo.Topo
	cur  atomic.Pointer[Snapshot]

	mu        sync.Mutex
	views     map[string]*topo.KeyspaceView
	rules     string
	inputs    map[string]vschema.Input // of the newest snapshot; never changed once made
	endpoints map[string]*Endpoint     // by address and database
	terms     map[string]uint64        // newest term seen, by keyspace/shard
	version   uint64
	changed   chan struct{} // closed and replaced at each new snapshot
}

// NewWatcher makes a Watcher with an empty snapshot.
func NewWatcher(t *topo.Topo, cfg Config) *Watcher {
	w := &Watcher{
		cfg: cfg, topo: t,
		views: map[string]*topo.KeyspaceView{}, endpoints: map[string]*Endpoint{}, terms: map[string]uint64{},
		changed: make(chan struct{}),
	}
	vs, _ := vschema.NewCluster(nil, "", 0)
	w.cur.Store(&Snapshot{Keyspaces: map[string]*Keyspace{}, VSchema: vs})
	return w
}

// Current returns the newest snapshot. It never blocks and never returns nil.
func (w *Watcher) Current() *Snapshot { return w.cur.Load() }

// Changed returns a channel that is closed when a snapshot newer than the one that Current returned before is there.
func (w *Watcher) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// Run follows the topology until ctx ends. An outage of the topology leaves the last snapshot in place.
func (w *Watcher) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	running := map[string]context.CancelFunc{}
	names := w.topo.WatchKeyspaces(ctx)
	global := w.topo.WatchGlobal(ctx)
	reap := time.NewTicker(10 * time.Second)
	defer reap.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-reap.C:
			w.reap(now)
		case g, ok := <-global:
			if !ok {
				global = nil
				continue
			}
			w.setRules(g.RoutingRules)
		case list, ok := <-names:
			if !ok {
				return
			}
			for _, n := range list {
				if running[n] != nil {
					continue
				}
				kctx, cancel := context.WithCancel(ctx)
				running[n] = cancel
				wg.Go(func() { w.follow(kctx, n) })
			}
			for n, cancel := range running {
				if !slices.Contains(list, n) {
					cancel()
					delete(running, n)
					w.forget(n)
				}
			}
		}
	}
}

func (w *Watcher) follow(ctx context.Context, ks string) {
	for view := range w.topo.WatchKeyspace(ctx, ks) {
		if !w.show(ctx, ks, view) {
			return
		}
	}
}

// show takes a keyspace's view in, unless the keyspace was forgotten in the meantime.
func (w *Watcher) show(ctx context.Context, ks string, view *topo.KeyspaceView) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	w.views[ks] = view
	w.rebuild()
	return true
}

func (w *Watcher) forget(ks string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.views, ks)
	w.forgetTerms(ks, nil)
	w.rebuild()
}

// forgetTerms drops the terms of the shards that a keyspace has no more: a shard of the same name that is made later
// begins to count anew.
func (w *Watcher) forgetTerms(ks string, view *topo.KeyspaceView) {
	for key := range w.terms {
		name, shard, _ := strings.Cut(key, "/")
		if name != ks {
			continue
		}
		if view != nil && view.Shards[shard] != nil {
			continue
		}
		delete(w.terms, key)
	}
}

func (w *Watcher) setRules(rules string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules = rules
	w.rebuild()
}

func (w *Watcher) reap(now time.Time) {
	w.mu.Lock()
	list := make([]*Endpoint, 0, len(w.endpoints))
	for _, e := range w.endpoints {
		list = append(list, e)
	}
	w.mu.Unlock()
	for _, e := range list {
		e.Pool.Reap(now)
	}
}

// rebuild makes a snapshot of the views. The caller holds the lock.
func (w *Watcher) rebuild() {
	w.version++
	snap := &Snapshot{Version: w.version, Keyspaces: make(map[string]*Keyspace, len(w.views))}
	used := map[string]bool{}
	w.inputs = make(map[string]vschema.Input, len(w.views))
	for name, view := range w.views {
		ks := w.keyspace(name, view, used, snap)
		snap.Keyspaces[name] = ks
		in := vschema.Input{JSON: view.VSchema}
		for _, sh := range ks.Shards {
			in.Shards = append(in.Shards, sh.Name)
		}
		w.inputs[name] = in
	}
	snap.VSchema, snap.Problems = vschema.NewCluster(w.inputs, w.rules, w.version)
	for _, p := range snap.Problems {
		w.cfg.Log.Warn("vschema has a problem", "error", p)
	}
	for key, e := range w.endpoints {
		if !used[key] {
			delete(w.endpoints, key)
			e.Pool.Close()
		}
	}
	w.cur.Store(snap)
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Watcher) keyspace(name string, view *topo.KeyspaceView, used map[string]bool, snap *Snapshot) *Keyspace {
	ks := &Keyspace{Name: name, DBName: name}
	if db := view.Record.GetDbName(); db != "" {
		ks.DBName = db
	}
	w.forgetTerms(name, view)
	for shName, rec := range view.Shards {
		r, err := vindex.ParseShardName(shName)
		if err != nil {
			w.cfg.Log.Error("shard has a name that is no key range", "keyspace", name, "shard", shName, "error", err)
			continue
		}
		key := name + "/" + shName
		if rec.GetTerm() < w.terms[key] {
			// An older reign than one that was seen: keep what the newer one said.
			if old := w.cur.Load().Keyspaces[name]; old != nil {
				if sh := old.Shard(shName); sh != nil && sh.Primary != nil {
					used[endpointKey(sh.Primary, ks.DBName)] = true
					for _, r := range sh.Replicas {
						used[endpointKey(r, ks.DBName)] = true
					}
					cp := *sh
					cp.Keyspace = ks
					ks.Shards = append(ks.Shards, &cp)
				}
			}
			continue
		}
		w.terms[key] = rec.GetTerm()
		sh := &Shard{Keyspace: ks, Name: shName, Range: r, Term: rec.GetTerm(), Serving: rec.GetServing()}
		w.attach(sh, rec, view, used, snap)
		if sh.Serving {
			ks.Shards = append(ks.Shards, sh)
		}
	}
	slices.SortFunc(ks.Shards, func(a, b *Shard) int { return strings.Compare(string(a.Range.Start), string(b.Range.Start)) })
	return ks
}

// attach finds the shard's primary and replicas among the tablets.
func (w *Watcher) attach(sh *Shard, rec *topov1.Shard, view *topo.KeyspaceView, used map[string]bool, snap *Snapshot) {
	aliases := make([]string, 0, len(view.Tablets))
	for a := range view.Tablets {
		aliases = append(aliases, a)
	}
	slices.Sort(aliases)
	for _, a := range aliases {
		t := view.Tablets[a]
		if t.GetShard() != sh.Name || t.GetMysqlPort() == 0 {
			continue
		}
		primary := rec.GetPrimary() == a
		if !primary && t.GetType() != topov1.TabletType_TABLET_TYPE_REPLICA && t.GetType() != topov1.TabletType_TABLET_TYPE_RDONLY {
			continue
		}
		e := w.endpoint(t, sh.Keyspace.DBName, used)
		if primary {
			sh.Primary = &Endpoint{Alias: a, Addr: e.Addr, socket: e.socket, Type: "primary", Pool: e.Pool}
			if snap.ServerVersion == "" {
				snap.ServerVersion, snap.Flavor = t.GetServerVersion(), t.GetFlavor()
			}
			continue
		}
		kind := "replica"
		if t.GetType() == topov1.TabletType_TABLET_TYPE_RDONLY {
			kind = "rdonly"
		}
		sh.Replicas = append(sh.Replicas, &Endpoint{Alias: a, Addr: e.Addr, socket: e.socket, Type: kind, Pool: e.Pool})
	}
}

func endpointKey(e *Endpoint, db string) string { return e.Addr + "/" + db + "/" + e.socket }

func (w *Watcher) endpoint(t *topov1.Tablet, db string, used map[string]bool) *Endpoint {
	e := &Endpoint{
		Alias: t.GetAlias(), Addr: net.JoinHostPort(t.GetHost(), strconv.Itoa(int(t.GetMysqlPort()))), socket: localSocket(t),
	}
	key := endpointKey(e, db)
	used[key] = true
	if known := w.endpoints[key]; known != nil {
		return known
	}
	e.Pool = w.cfg.NewPool(e.Addr, e.socket, db)
	w.endpoints[key] = e
	return e
}

// localSocket is the path of a tablet's Unix socket, which is cheaper than TCP, if the tablet's host is this one's loopback
// address; else empty. Another name of this machine does not count: whoever cuts it off from the network means it.
func localSocket(t *topov1.Tablet) string {
	if ip, err := netip.ParseAddr(t.GetHost()); err == nil && ip.IsLoopback() {
		return t.GetMysqlSocket()
	}
	return ""
}

// VSchemas returns what the newest snapshot's vschemas were made of. The caller does not change it.
func (w *Watcher) VSchemas() map[string]vschema.Input {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inputs
}

// RoutingRules returns the routing rules' JSON, "" without any.
func (w *Watcher) RoutingRules() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rules
}

// Pools returns the pools of all endpoints, for readings.
func (w *Watcher) Pools() map[string]*pool.Pool {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := make(map[string]*pool.Pool, len(w.endpoints))
	for key, e := range w.endpoints {
		m[key] = e.Pool
	}
	return m
}

// Close closes all pools.
func (w *Watcher) Close() {
	for _, p := range w.Pools() {
		p.Close()
	}
}
