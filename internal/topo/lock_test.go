package topo_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
)

func TestLockExcludesAndHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp, _ := newTopo(t)
		first, err := tp.Lock(t.Context(), "shard/shop/-80", "ann", 3*time.Second)
		must(t, err)
		// Much longer than the ttl: the lease is kept alive.
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err = tp.Lock(ctx, "shard/shop/-80", "bob", 3*time.Second)
		wantErr(t, err, context.DeadlineExceeded)
		if !strings.Contains(err.Error(), "ann") {
			t.Errorf("the error does not name the holder: %v", err)
		}
		other, err := tp.Lock(t.Context(), "shard/shop/-8", "bob", 3*time.Second)
		must(t, err)
		defer other.Unlock()

		got := make(chan *topo.Lock)
		go func() {
			l, err := tp.Lock(t.Context(), "shard/shop/-80", "cyd", 3*time.Second)
			if err != nil {
				t.Error(err)
			}
			got <- l
		}()
		synctest.Wait()
		first.Unlock()
		second := <-got
		if second.Token() <= first.Token() {
			t.Errorf("fencing token went from %d to %d", first.Token(), second.Token())
		}
		select {
		case <-first.Done():
		default:
			t.Error("a lock that was given back is not done")
		}
		// The lock's comparison lets only its holder write.
		_, err = tp.Txn(t.Context(), []topo.Cmp{first.Cmp()}, []topo.Op{{Key: "x", Value: []byte("1")}})
		wantErr(t, err, topo.ErrConflict)
		_, err = tp.Txn(t.Context(), []topo.Cmp{second.Cmp()}, []topo.Op{{Key: "x", Value: []byte("1")}})
		must(t, err)
		second.Unlock()
	})
}

func TestLockIsLostWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := mem.New()
		tp := topo.New(store).WithLogger(quiet)
		l, err := tp.Lock(t.Context(), "a", "ann", 3*time.Second)
		must(t, err)
		ctx, cancel := l.Context(t.Context())
		defer cancel()
		began := time.Now()
		store.Close()
		<-l.Done()
		if took := time.Since(began); took >= 3*time.Second {
			t.Errorf("the holder learnt of the loss after %s, later than the lease ended", took)
		}
		<-ctx.Done()
		if !strings.Contains(context.Cause(ctx).Error(), "lost") {
			t.Errorf("cause %v", context.Cause(ctx))
		}
		l.Unlock()
	})
}

func TestLockRefusesNonsense(t *testing.T) {
	tp, _ := newTopo(t)
	for _, name := range []string{"", "a b", "\n", strings.Repeat("x", 300)} {
		_, err := tp.Lock(t.Context(), name, "ann", 3*time.Second)
		wantErr(t, err, topo.ErrInvalid)
	}
	_, err := tp.Lock(t.Context(), "a", "ann", time.Second)
	wantErr(t, err, topo.ErrInvalid)
}
