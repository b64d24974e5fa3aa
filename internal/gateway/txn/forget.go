package txn

import (
	"context"
	"sync"
	"time"

	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/redo"
)

const (
	// forgetPause is how long decisions are gathered before they are deleted: a delete is a commit of its own, with a flush
	// and an acknowledgement, and clients must not pay for it.
	forgetPause = 100 * time.Millisecond
	// maxForgets bounds the decisions that wait for each server, 50 bytes each, and those of one delete. What does not fit
	// is left to recovery, which removes it after a minute.
	maxForgets, forgetBatch = 20_000, 500
	// forgetTime bounds one delete.
	forgetTime = 5 * time.Second
)

// forgetter deletes the decisions of transactions that are committed everywhere, later and many at once.
type forgetter struct {
	c *Committer

	mu     sync.Mutex
	closed bool
	queues map[*pool.Pool][]string // a server has an entry as long as somebody works on it
	stop   chan struct{}
	wg     sync.WaitGroup
}

func newForgetter(c *Committer) *forgetter {
	return &forgetter{c: c, queues: map[*pool.Pool][]string{}, stop: make(chan struct{})}
}

// later takes a decision on; it does not wait.
func (f *forgetter) later(id string, p *pool.Pool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids, working := f.queues[p]
	if f.closed || len(ids) >= maxForgets {
		return
	}
	f.queues[p] = append(ids, id)
	if !working {
		f.wg.Go(func() { f.work(p) })
	}
}

// work deletes one server's decisions until there are none.
func (f *forgetter) work(p *pool.Pool) {
	timer := time.NewTimer(forgetPause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-f.stop:
		}
		ids := f.take(p)
		if len(ids) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), forgetTime)
		_, err := p.Aside(ctx, []byte(redo.ForgetAll(ids)))
		cancel()
		if err != nil {
			// The others would fail as well, and an end of the gateway would wait for each of them.
			f.c.log.Info("decision rows are left to recovery", "server", p.Addr(), "rows", len(ids)+f.drop(p), "first", ids[0], "error", err)
			return
		}
		timer.Reset(forgetPause)
	}
}

// take removes the oldest decisions from a server's queue, and the queue when it is empty.
func (f *forgetter) take(p *pool.Pool) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := f.queues[p]
	if len(ids) == 0 {
		delete(f.queues, p)
		return nil
	}
	n := min(len(ids), forgetBatch)
	f.queues[p] = ids[n:]
	return ids[:n]
}

// drop gives a server's queue up and returns how many decisions it had.
func (f *forgetter) drop(p *pool.Pool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.queues[p])
	delete(f.queues, p)
	return n
}

// close deletes what is waiting and waits for the end of that.
func (f *forgetter) close() {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.stop)
	}
	f.mu.Unlock()
	f.wg.Wait()
}
