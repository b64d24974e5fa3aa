// Package topotest is the test suite that every topology store must pass, the one in memory as well as the one on etcd.
//
// It tests the contract of topo.Store only; what the typed layer makes of it is tested in package topo.
package topotest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/topo"
)

// Harness is one empty store under test.
type Harness struct {
	Store topo.Store
	// Compact makes the store forget all changes up to and including revision.
	Compact func(ctx context.Context, revision int64) error
}

// patience bounds each wait for something that must happen.
const patience = 15 * time.Second

// Run runs the suite; open makes an empty store for one test and cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	tests := []struct {
		name string
		test func(*testing.T, context.Context, Harness)
	}{
		{"GetMissing", testGetMissing},
		{"CompareAndPut", testCompareAndPut},
		{"TxnAllOrNothing", testTxnAllOrNothing},
		{"TxnLimits", testTxnLimits},
		{"ListPrefix", testListPrefix},
		{"ListManyPages", testListManyPages},
		{"EmptyValue", testEmptyValue},
		{"ConcurrentIncrements", testConcurrentIncrements},
		{"WatchFromRevision", testWatchFromRevision},
		{"WatchBatches", testWatchBatches},
		{"WatchSeesDeletes", testWatchSeesDeletes},
		{"WatchEndsWithContext", testWatchEndsWithContext},
		{"WatchCompacted", testWatchCompacted},
		{"LeaseEnds", testLeaseEnds},
		{"LeaseKeptAlive", testLeaseKeptAlive},
		{"LeaseRevoked", testLeaseRevoked},
		{"LeaseUnknown", testLeaseUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			tt.test(t, ctx, open(t))
		})
	}
}

func put(key, value string) topo.Op { return topo.Op{Key: key, Value: []byte(value)} }

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

func txn(t *testing.T, ctx context.Context, s topo.Store, cmps []topo.Cmp, ops ...topo.Op) int64 {
	t.Helper()
	rev, err := s.Txn(ctx, cmps, ops)
	must(t, err)
	return rev
}

func get(t *testing.T, ctx context.Context, s topo.Store, key string) topo.KV {
	t.Helper()
	kv, err := s.Get(ctx, key)
	must(t, err)
	return kv
}

func testGetMissing(t *testing.T, ctx context.Context, h Harness) {
	_, err := h.Store.Get(ctx, "nothing")
	wantErr(t, err, topo.ErrNotFound)
	kvs, rev, err := h.Store.List(ctx, "nothing")
	must(t, err)
	if len(kvs) != 0 || rev <= 0 {
		t.Fatalf("list of nothing: %v at %d", kvs, rev)
	}
}

func testCompareAndPut(t *testing.T, ctx context.Context, h Harness) {
	rev := txn(t, ctx, h.Store, []topo.Cmp{{Key: "a"}}, put("a", "1"))
	kv := get(t, ctx, h.Store, "a")
	if string(kv.Value) != "1" || kv.ModRevision != rev || kv.Key != "a" {
		t.Fatalf("got %+v, want value 1 at %d", kv, rev)
	}
	_, err := h.Store.Txn(ctx, []topo.Cmp{{Key: "a"}}, []topo.Op{put("a", "2")})
	wantErr(t, err, topo.ErrConflict)
	next := txn(t, ctx, h.Store, []topo.Cmp{{Key: "a", Revision: rev}}, put("a", "2"))
	if next <= rev {
		t.Fatalf("revision went from %d to %d", rev, next)
	}
	_, err = h.Store.Txn(ctx, []topo.Cmp{{Key: "a", Revision: rev}}, []topo.Op{put("a", "3")})
	wantErr(t, err, topo.ErrConflict)
	if v := get(t, ctx, h.Store, "a").Value; string(v) != "2" {
		t.Fatalf("a conflict changed the value to %q", v)
	}
	txn(t, ctx, h.Store, []topo.Cmp{{Key: "a", Revision: next}}, topo.Op{Key: "a", Delete: true})
	_, err = h.Store.Get(ctx, "a")
	wantErr(t, err, topo.ErrNotFound)
	txn(t, ctx, h.Store, []topo.Cmp{{Key: "a"}}, put("a", "born again"))
}

func testTxnAllOrNothing(t *testing.T, ctx context.Context, h Harness) {
	rev := txn(t, ctx, h.Store, nil, put("a", "1"), put("b", "1"))
	if a, b := get(t, ctx, h.Store, "a"), get(t, ctx, h.Store, "b"); a.ModRevision != rev || b.ModRevision != rev {
		t.Fatalf("one transaction, revisions %d and %d, want %d", a.ModRevision, b.ModRevision, rev)
	}
	_, err := h.Store.Txn(ctx, []topo.Cmp{{Key: "a", Revision: rev}, {Key: "b"}}, []topo.Op{put("a", "2"), put("c", "2")})
	wantErr(t, err, topo.ErrConflict)
	if v := get(t, ctx, h.Store, "a").Value; string(v) != "1" {
		t.Fatalf("a failed transaction changed a to %q", v)
	}
	_, err = h.Store.Get(ctx, "c")
	wantErr(t, err, topo.ErrNotFound)
	txn(t, ctx, h.Store, []topo.Cmp{{Key: "b", Revision: rev}}, put("a", "3"), topo.Op{Key: "b", Delete: true})
	_, err = h.Store.Get(ctx, "b")
	wantErr(t, err, topo.ErrNotFound)
}

func testTxnLimits(t *testing.T, ctx context.Context, h Harness) {
	ops := make([]topo.Op, 100)
	for i := range ops {
		ops[i] = put(fmt.Sprintf("k%03d", i), "v")
	}
	txn(t, ctx, h.Store, nil, ops...)
	_, err := h.Store.Txn(ctx, nil, append(ops, put("one more", "v")))
	wantErr(t, err, topo.ErrInvalid)
	_, err = h.Store.Txn(ctx, nil, []topo.Op{put("twice", "1"), put("twice", "2")})
	wantErr(t, err, topo.ErrInvalid)
}

func testListPrefix(t *testing.T, ctx context.Context, h Harness) {
	txn(t, ctx, h.Store, nil, put("p/b", "2"), put("p/a", "1"), put("p", "no"), put("q/a", "no"), put("p0", "no"))
	last := txn(t, ctx, h.Store, nil, put("other", "x"))
	kvs, rev, err := h.Store.List(ctx, "p/")
	must(t, err)
	if rev != last {
		t.Errorf("list is of revision %d, want %d", rev, last)
	}
	var keys []string
	for _, kv := range kvs {
		keys = append(keys, kv.Key+"="+string(kv.Value))
	}
	if got := strings.Join(keys, " "); got != "p/a=1 p/b=2" {
		t.Errorf("got %s", got)
	}
}

func testListManyPages(t *testing.T, ctx context.Context, h Harness) {
	const n = 2300
	for i := 0; i < n; i += 100 {
		ops := make([]topo.Op, 100)
		for j := range ops {
			ops[j] = put(fmt.Sprintf("many/%05d", i+j), "v")
		}
		txn(t, ctx, h.Store, nil, ops...)
	}
	kvs, _, err := h.Store.List(ctx, "many/")
	must(t, err)
	if len(kvs) != n {
		t.Fatalf("listed %d keys, want %d", len(kvs), n)
	}
	for i, kv := range kvs {
		if kv.Key != fmt.Sprintf("many/%05d", i) {
			t.Fatalf("key %d is %s", i, kv.Key)
		}
	}
}

func testEmptyValue(t *testing.T, ctx context.Context, h Harness) {
	rev := txn(t, ctx, h.Store, nil, topo.Op{Key: "empty", Value: []byte{}})
	if kv := get(t, ctx, h.Store, "empty"); len(kv.Value) != 0 || kv.ModRevision != rev {
		t.Fatalf("got %+v", kv)
	}
}

func testConcurrentIncrements(t *testing.T, ctx context.Context, h Harness) {
	const workers, each = 4, 10
	txn(t, ctx, h.Store, nil, put("n", ""))
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for range workers {
		wg.Go(func() {
			for done := 0; done < each; {
				kv, err := h.Store.Get(ctx, "n")
				if err == nil {
					_, err = h.Store.Txn(ctx, []topo.Cmp{{Key: "n", Revision: kv.ModRevision}}, []topo.Op{put("n", string(kv.Value)+"x")})
				}
				switch {
				case err == nil:
					done++
				case !errors.Is(err, topo.ErrConflict):
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
	if got := len(get(t, ctx, h.Store, "n").Value); got != workers*each {
		t.Fatalf("%d increments survived, want %d", got, workers*each)
	}
}

// next returns the next batch of a watch.
func next(t *testing.T, events <-chan []topo.Event) []topo.Event {
	t.Helper()
	select {
	case batch, ok := <-events:
		if !ok {
			t.Fatal("the watch ended")
		}
		return batch
	case <-time.After(patience):
		t.Fatal("no event came")
	}
	return nil
}

func text(batch []topo.Event) string {
	var parts []string
	for _, e := range batch {
		if e.Deleted {
			parts = append(parts, "-"+e.KV.Key)
		} else {
			parts = append(parts, e.KV.Key+"="+string(e.KV.Value))
		}
	}
	return strings.Join(parts, " ")
}

func wantBatch(t *testing.T, events <-chan []topo.Event, want string, rev int64) {
	t.Helper()
	batch := next(t, events)
	if got := text(batch); got != want {
		t.Fatalf("got event %s, want %s", got, want)
	}
	for _, e := range batch {
		if e.KV.ModRevision != rev {
			t.Fatalf("event %s is of revision %d, want %d", want, e.KV.ModRevision, rev)
		}
	}
}

func testWatchFromRevision(t *testing.T, ctx context.Context, h Harness) {
	txn(t, ctx, h.Store, nil, put("w/a", "old"))
	_, rev, err := h.Store.List(ctx, "w/")
	must(t, err)
	r1 := txn(t, ctx, h.Store, nil, put("w/a", "between list and watch"))
	events, err := h.Store.Watch(ctx, "w/", rev)
	must(t, err)
	wantBatch(t, events, "w/a=between list and watch", r1)
	txn(t, ctx, h.Store, nil, put("elsewhere", "x"))
	r2 := txn(t, ctx, h.Store, nil, put("w/b", "live"))
	wantBatch(t, events, "w/b=live", r2)

	resumed, err := h.Store.Watch(ctx, "w/", r1)
	must(t, err)
	wantBatch(t, resumed, "w/b=live", r2)
}

func testWatchBatches(t *testing.T, ctx context.Context, h Harness) {
	_, rev, err := h.Store.List(ctx, "w/")
	must(t, err)
	r1 := txn(t, ctx, h.Store, nil, put("w/a", "1"), put("x", "not ours"), put("w/b", "1"))
	r2 := txn(t, ctx, h.Store, nil, put("w/a", "2"))
	events, err := h.Store.Watch(ctx, "w/", rev)
	must(t, err)
	wantBatch(t, events, "w/a=1 w/b=1", r1)
	wantBatch(t, events, "w/a=2", r2)
}

func testWatchSeesDeletes(t *testing.T, ctx context.Context, h Harness) {
	rev := txn(t, ctx, h.Store, nil, put("w/a", "1"))
	events, err := h.Store.Watch(ctx, "w/", rev)
	must(t, err)
	r := txn(t, ctx, h.Store, nil, topo.Op{Key: "w/a", Delete: true}, topo.Op{Key: "w/never there", Delete: true})
	wantBatch(t, events, "-w/a", r)
}

func testWatchEndsWithContext(t *testing.T, ctx context.Context, h Harness) {
	watch, cancel := context.WithCancel(ctx)
	events, err := h.Store.Watch(watch, "w/", txn(t, ctx, h.Store, nil, put("w/a", "1")))
	must(t, err)
	cancel()
	wantEnd(t, events)
}

func wantEnd(t *testing.T, events <-chan []topo.Event) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case batch, ok := <-events:
			if !ok {
				return
			}
			t.Logf("event before the end: %s", text(batch))
		case <-timeout:
			t.Fatal("the watch did not end")
		}
	}
}

func testWatchCompacted(t *testing.T, ctx context.Context, h Harness) {
	first := txn(t, ctx, h.Store, nil, put("w/a", "1"))
	txn(t, ctx, h.Store, nil, put("w/a", "2"))
	last := txn(t, ctx, h.Store, nil, put("w/a", "3"))
	must(t, h.Compact(ctx, last))
	events, err := h.Store.Watch(ctx, "w/", first)
	if err != nil {
		wantErr(t, err, topo.ErrCompacted)
	} else if batch, ok := <-events; ok {
		t.Fatalf("a watch across a compaction sent %s: changes are missing", text(batch))
	}
	// What is newer than the compaction can still be watched.
	events, err = h.Store.Watch(ctx, "w/", last)
	must(t, err)
	r := txn(t, ctx, h.Store, nil, put("w/a", "4"))
	wantBatch(t, events, "w/a=4", r)
}

func testLeaseEnds(t *testing.T, ctx context.Context, h Harness) {
	id, err := h.Store.Grant(ctx, time.Second)
	must(t, err)
	rev := txn(t, ctx, h.Store, nil, topo.Op{Key: "l/a", Value: []byte("1"), Lease: id}, put("l/b", "stays"))
	if kv := get(t, ctx, h.Store, "l/a"); kv.Lease != id {
		t.Fatalf("lease of the key is %d, want %d", kv.Lease, id)
	}
	events, err := h.Store.Watch(ctx, "l/", rev)
	must(t, err)
	if got := text(next(t, events)); got != "-l/a" {
		t.Fatalf("got %s", got)
	}
	_, err = h.Store.KeepAlive(ctx, id)
	wantErr(t, err, topo.ErrNotFound)
	get(t, ctx, h.Store, "l/b")
}

func testLeaseKeptAlive(t *testing.T, ctx context.Context, h Harness) {
	id, err := h.Store.Grant(ctx, 2*time.Second)
	must(t, err)
	rev := txn(t, ctx, h.Store, nil, topo.Op{Key: "l/a", Value: []byte("1"), Lease: id})
	events, err := h.Store.Watch(ctx, "l/", rev)
	must(t, err)
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for range 8 { // 3.2 s: well past the lease's own life
		select {
		case batch := <-events:
			t.Fatalf("the key went although its lease was kept alive: %s", text(batch))
		case <-tick.C:
		}
		ttl, err := h.Store.KeepAlive(ctx, id)
		must(t, err)
		if ttl < time.Second || ttl > 3*time.Second {
			t.Fatalf("kept alive for %s, want about 2s", ttl)
		}
	}
}

func testLeaseRevoked(t *testing.T, ctx context.Context, h Harness) {
	id, err := h.Store.Grant(ctx, time.Minute)
	must(t, err)
	txn(t, ctx, h.Store, nil, topo.Op{Key: "l/a", Value: []byte("1"), Lease: id}, topo.Op{Key: "l/b", Value: []byte("1"), Lease: id})
	// A put without the lease takes the key out of it.
	txn(t, ctx, h.Store, nil, put("l/b", "2"))
	must(t, h.Store.Revoke(ctx, id))
	_, err = h.Store.Get(ctx, "l/a")
	wantErr(t, err, topo.ErrNotFound)
	get(t, ctx, h.Store, "l/b")
	wantErr(t, h.Store.Revoke(ctx, id), topo.ErrNotFound)
}

func testLeaseUnknown(t *testing.T, ctx context.Context, h Harness) {
	_, err := h.Store.Txn(ctx, nil, []topo.Op{{Key: "l/a", Value: []byte("1"), Lease: 4711}})
	wantErr(t, err, topo.ErrNotFound)
	_, err = h.Store.KeepAlive(ctx, 4711)
	wantErr(t, err, topo.ErrNotFound)
	_, err = h.Store.Grant(ctx, 0)
	wantErr(t, err, topo.ErrInvalid)
}
