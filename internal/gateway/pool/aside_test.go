package pool

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
)

func TestAside(t *testing.T) {
	f := newFake(t)
	p := New(Config{Dial: client.Config{Addr: f.addr}, Max: 1, Wait: 5 * time.Second, IdleTimeout: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	held, err := p.Get(ctx, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := p.Aside(ctx, []byte("aside")); err != nil {
				t.Errorf("while the pool's only connection is held: %v", err)
			}
		})
	}
	wg.Wait()
	if n := f.seen("aside"); n != 50 {
		t.Errorf("%d statements arrived, want 50", n)
	}
	if n := f.live(); n > 1+maxAside {
		t.Errorf("%d connections, want at most %d", n, 1+maxAside)
	}
	if s := p.Stats(); s.Open != 1 {
		t.Errorf("the pool counts %d connections, want the one that is held", s.Open)
	}

	f.tell("", "refused")
	if _, err := p.Aside(ctx, []byte("refused")); err == nil {
		t.Error("a refused statement came back without an error")
	}
	f.dropAll()
	until(t, "the connections to end", func() bool { return f.live() == 0 })
	if _, err := p.Aside(ctx, []byte("after")); err != nil {
		t.Errorf("after the server closed the idle connections: %v", err)
	}
	held.Discard()
	p.Close()
	until(t, "the connections to end", func() bool { return f.live() == 0 })
	if _, err := p.Aside(ctx, []byte("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("on a closed pool: %v", err)
	}
}
