package topo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func newTopo(t *testing.T) (*topo.Topo, *mem.Store) {
	t.Helper()
	s := mem.New()
	t.Cleanup(func() { s.Close() })
	return topo.New(s).WithLogger(quiet), s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func tablet(alias, ks, shard string) *topov1.Tablet {
	cell, uid, err := topo.ParseAlias(alias)
	if err != nil {
		panic(err)
	}
	return &topov1.Tablet{
		Alias: &alias, Cell: &cell, Uid: &uid, Keyspace: &ks, Shard: &shard, Type: topov1.TabletType_TABLET_TYPE_REPLICA.Enum(),
	}
}

func createKeyspace(t *testing.T, tp *topo.Topo, name string, shards ...string) {
	t.Helper()
	must(t, tp.CreateKeyspace(t.Context(), &topov1.Keyspace{Name: &name}))
	for _, s := range shards {
		must(t, tp.CreateShard(t.Context(), &topov1.Shard{Keyspace: &name, Name: &s}))
	}
}

func TestKeyspaceLife(t *testing.T) {
	tp, _ := newTopo(t)
	ctx := t.Context()
	createKeyspace(t, tp, "shop", "80-", "-80")
	createKeyspace(t, tp, "shop2")
	name := "shop"
	wantErr(t, tp.CreateKeyspace(ctx, &topov1.Keyspace{Name: &name}), topo.ErrExists)
	wantErr(t, tp.CreateShard(ctx, &topov1.Shard{Keyspace: &name, Name: proto.String("-80")}), topo.ErrExists)
	wantErr(t, tp.CreateShard(ctx, &topov1.Shard{Keyspace: proto.String("none"), Name: proto.String("0")}), topo.ErrNotFound)

	names, err := tp.Keyspaces(ctx)
	must(t, err)
	if fmt.Sprint(names) != "[shop shop2]" {
		t.Errorf("keyspaces %v", names)
	}
	shards, err := tp.Shards(ctx, "shop")
	must(t, err)
	if len(shards) != 2 || shards[0].GetName() != "-80" {
		t.Errorf("shards %v", shards)
	}
	wantErr(t, tp.DeleteKeyspace(ctx, "shop"), topo.ErrNotEmpty)
	for _, s := range shards {
		_, rev, err := tp.Shard(ctx, "shop", s.GetName())
		must(t, err)
		must(t, tp.DeleteShard(ctx, "shop", s.GetName(), rev))
	}
	must(t, tp.DeleteKeyspace(ctx, "shop"))
	_, _, err = tp.Keyspace(ctx, "shop")
	wantErr(t, err, topo.ErrNotFound)
}

func TestTabletLife(t *testing.T) {
	tp, store := newTopo(t)
	ctx := t.Context()
	createKeyspace(t, tp, "shop", "-80", "80-")
	must(t, tp.CreateTablet(ctx, tablet("zone1-101", "shop", "-80")))
	wantErr(t, tp.CreateTablet(ctx, tablet("zone1-101", "shop", "80-")), topo.ErrExists)
	wrong := tablet("zone1-101", "shop", "-80")
	wrong.Uid = proto.Uint32(7)
	wantErr(t, tp.CreateTablet(ctx, wrong), topo.ErrInvalid)

	must(t, tp.UpdateTablet(ctx, "zone1-101", func(rec *topov1.Tablet) error {
		rec.Type = topov1.TabletType_TABLET_TYPE_RDONLY.Enum()
		return nil
	}))
	// An agent that starts anew, in another shard, keeps the type that control gave it.
	moved := tablet("zone1-101", "shop", "80-")
	moved.Host = proto.String("10.0.0.7")
	got, err := tp.RegisterTablet(ctx, moved)
	must(t, err)
	if got.GetType() != topov1.TabletType_TABLET_TYPE_RDONLY || got.GetHost() != "10.0.0.7" {
		t.Errorf("registered %v", got)
	}
	for shard, want := range map[string]int{"-80": 0, "80-": 1, "": 1} {
		tablets, err := tp.Tablets(ctx, "shop", shard)
		must(t, err)
		if len(tablets) != want {
			t.Errorf("shard %q has %d tablets, want %d", shard, len(tablets), want)
		}
	}
	_, rev, err := tp.Shard(ctx, "shop", "80-")
	must(t, err)
	wantErr(t, tp.DeleteShard(ctx, "shop", "80-", rev), topo.ErrNotEmpty)
	must(t, tp.DeleteTablet(ctx, "zone1-101"))
	_, _, err = tp.TabletByAlias(ctx, "zone1-101")
	wantErr(t, err, topo.ErrNotFound)
	if kvs, _, err := store.List(ctx, "tablets/"); err != nil || len(kvs) != 0 {
		t.Errorf("locators left: %v, %v", kvs, err)
	}
}

func TestUnknownFieldsSurvive(t *testing.T) {
	tp, store := newTopo(t)
	ctx := t.Context()
	createKeyspace(t, tp, "shop", "0")
	rec, rev, err := tp.Shard(ctx, "shop", "0")
	must(t, err)
	b, err := proto.Marshal(rec)
	must(t, err)
	b = protowire.AppendTag(b, 999, protowire.BytesType) // a field of a later release
	b = protowire.AppendString(b, "from the future")
	_, err = store.Txn(ctx, []topo.Cmp{{Key: "keyspaces/shop/shards/0/record", Revision: rev}}, []topo.Op{{Key: "keyspaces/shop/shards/0/record", Value: b}})
	must(t, err)
	must(t, tp.UpdateShard(ctx, "shop", "0", func(s *topov1.Shard) error { s.Term = proto.Uint64(3); return nil }))
	rec, _, err = tp.Shard(ctx, "shop", "0")
	must(t, err)
	if rec.GetTerm() != 3 || len(rec.ProtoReflect().GetUnknown()) == 0 {
		t.Fatalf("the later release's field was lost: %v", rec)
	}
}

func TestUpdateShardUnderContention(t *testing.T) {
	tp, _ := newTopo(t)
	createKeyspace(t, tp, "shop", "0")
	const workers = 4
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			if err := tp.UpdateShard(t.Context(), "shop", "0", func(s *topov1.Shard) error {
				s.Term = proto.Uint64(s.GetTerm() + 1)
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	rec, _, err := tp.Shard(t.Context(), "shop", "0")
	must(t, err)
	if rec.GetTerm() != workers {
		t.Errorf("term %d after %d increments", rec.GetTerm(), workers)
	}
}

func TestUpdateGivesUp(t *testing.T) {
	tp, _ := newTopo(t)
	createKeyspace(t, tp, "shop", "0")
	calls := 0
	err := tp.UpdateShard(t.Context(), "shop", "0", func(s *topov1.Shard) error {
		calls++
		other, rev, err := tp.Shard(t.Context(), "shop", "0")
		must(t, err)
		other.Term = proto.Uint64(uint64(calls))
		_, err = tp.PutShard(t.Context(), other, rev)
		return err
	})
	wantErr(t, err, topo.ErrConflict)
	if calls != 8 {
		t.Errorf("%d attempts, want 8", calls)
	}
}

func TestVSchemaAndRules(t *testing.T) {
	tp, _ := newTopo(t)
	ctx := t.Context()
	doc := &topov1.VSchema{Json: proto.String(`{"sharded":true}`)}
	_, err := tp.PutVSchema(ctx, "shop", doc, 0)
	wantErr(t, err, topo.ErrNotFound)
	createKeyspace(t, tp, "shop")
	rev, err := tp.PutVSchema(ctx, "shop", doc, 0)
	must(t, err)
	_, err = tp.PutVSchema(ctx, "shop", doc, 0)
	wantErr(t, err, topo.ErrConflict)
	got, gotRev, err := tp.VSchema(ctx, "shop")
	must(t, err)
	if gotRev != rev || got.GetJson() != doc.GetJson() {
		t.Errorf("got %v at %d", got, gotRev)
	}
	rules, rulesRev, err := tp.RoutingRules(ctx)
	must(t, err)
	if rulesRev != 0 || rules.GetJson() != "" {
		t.Errorf("rules before the first: %v at %d", rules, rulesRev)
	}
	_, err = tp.PutRoutingRules(ctx, &topov1.RoutingRules{Json: proto.String("{}")}, 0)
	must(t, err)
}

// await receives views until one satisfies ok.
func await[V any](t *testing.T, views <-chan V, what string, ok func(V) bool) V {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case v, open := <-views:
			if !open {
				t.Fatalf("%s: the views ended", what)
			}
			if ok(v) {
				return v
			}
		case <-timeout:
			t.Fatalf("%s: never seen", what)
		}
	}
}

func TestWatchKeyspace(t *testing.T) {
	tp, store := newTopo(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	createKeyspace(t, tp, "shop", "-80")
	createKeyspace(t, tp, "shopping", "0") // its name begins with the other's
	views := tp.WatchKeyspace(ctx, "shop")
	first := <-views
	if first.Record == nil || len(first.Shards) != 1 || first.VSchema != "" || len(first.Tablets) != 0 {
		t.Fatalf("first view %+v", first)
	}
	must(t, tp.CreateShard(ctx, &topov1.Shard{Keyspace: proto.String("shop"), Name: proto.String("80-")}))
	must(t, tp.CreateTablet(ctx, tablet("zone1-101", "shop", "-80")))
	_, err := tp.PutVSchema(ctx, "shop", &topov1.VSchema{Json: proto.String("{}")}, 0)
	must(t, err)
	full := await(t, views, "shard, tablet and vschema", func(v *topo.KeyspaceView) bool {
		return len(v.Shards) == 2 && v.Tablets["zone1-101"] != nil && v.VSchema == "{}"
	})
	if len(first.Shards) != 1 {
		t.Error("a view was changed after it was sent")
	}
	// A lost watch, here by compaction while the receiver is away, must not lose changes.
	must(t, tp.DeleteTablet(ctx, "zone1-101"))
	_, rev, err := store.List(ctx, "")
	must(t, err)
	store.Compact(rev)
	await(t, views, "deletion", func(v *topo.KeyspaceView) bool { return len(v.Tablets) == 0 && v.Revision > full.Revision })
	cancel()
	for range views {
	}
}

func TestWatchKeepsUndecodableRecord(t *testing.T) {
	tp, store := newTopo(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	createKeyspace(t, tp, "shop", "0")
	views := tp.WatchShard(ctx, "shop", "0")
	if v := <-views; v.Shard == nil || v.ShardRevision == 0 {
		t.Fatalf("first view %+v", v)
	}
	_, err := store.Txn(ctx, nil, []topo.Op{{Key: "keyspaces/shop/shards/0/record", Value: []byte{0xff}}})
	must(t, err)
	if v := <-views; v.Shard.GetName() != "0" {
		t.Fatalf("a broken record took the shard away: %+v", v)
	}
	cancel()
	for range views {
	}
}

func TestWatchGlobalAndNames(t *testing.T) {
	tp, _ := newTopo(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	global, names := tp.WatchGlobal(ctx), tp.WatchKeyspaces(ctx)
	if v := <-global; v.RoutingRules != "" || len(v.Users) != 0 {
		t.Fatalf("first view %+v", v)
	}
	if v := <-names; len(v) != 0 {
		t.Fatalf("first names %v", v)
	}
	_, err := tp.PutUser(ctx, &topov1.User{Name: proto.String("ann")}, 0)
	must(t, err)
	_, err = tp.PutRoutingRules(ctx, &topov1.RoutingRules{Json: proto.String("{}")}, 0)
	must(t, err)
	await(t, global, "user and rules", func(v *topo.GlobalView) bool { return v.Users["ann"] != nil && v.RoutingRules == "{}" })
	createKeyspace(t, tp, "shop", "0")
	await(t, names, "keyspace", func(v []string) bool { return len(v) == 1 && v[0] == "shop" })
	cancel()
	for range global {
	}
	for range names {
	}
}

// flaky is a store that can be cut off.
type flaky struct {
	topo.Store
	mu    sync.Mutex
	down  bool
	lists int
	// cut ends the watches that are open; watched is closed when there is the first one.
	cut     context.CancelFunc
	watched chan struct{}
}

var errDown = errors.New("store is down")

func (f *flaky) List(ctx context.Context, prefix string) ([]topo.KV, int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	if f.down {
		return nil, 0, errDown
	}
	return f.Store.List(ctx, prefix)
}

func (f *flaky) Watch(ctx context.Context, prefix string, rev int64) (<-chan []topo.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, errDown
	}
	if f.cut == nil {
		close(f.watched)
	}
	ctx, f.cut = context.WithCancel(ctx)
	return f.Store.Watch(ctx, prefix, rev)
}

func (f *flaky) set(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	if down {
		f.cut()
	}
}

func TestWatchSurvivesOutage(t *testing.T) {
	store := mem.New()
	defer store.Close()
	f := &flaky{Store: store, watched: make(chan struct{})}
	tp := topo.New(f).WithLogger(quiet)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	createKeyspace(t, tp, "shop", "-80")
	views := tp.WatchKeyspace(ctx, "shop")
	<-views
	<-f.watched // the view goes out before the watch is asked for
	f.set(true)
	// Somebody else, who still reaches the store, changes it.
	direct := topo.New(store)
	must(t, direct.CreateShard(ctx, &topov1.Shard{Keyspace: proto.String("shop"), Name: proto.String("80-")}))
	select {
	case v := <-views:
		t.Fatalf("a view came during the outage: %+v", v)
	case <-time.After(150 * time.Millisecond):
	}
	f.set(false)
	await(t, views, "change made during the outage", func(v *topo.KeyspaceView) bool { return len(v.Shards) == 2 })
	cancel()
	for range views {
	}
}
