// Package budget divides a gateway's memory among the few things that can be large: packets, statements that need
// parsing, rows that are sorted or grouped, data of prepared statements. Whoever needs much asks first, waits for a bounded
// time if there is no room, and is told so if none comes.
//
// It does not measure memory and does not know what it is used for. Small things do not ask: they are bounded by the
// number of connections.
package budget

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
)

// Budget is a number of bytes that accounts share. Safe for concurrent use.
//
// Accounts that hold nothing yet get no more than three quarters of it together. The last quarter is for those that hold
// some and need more, so that they come to an end instead of waiting for one another.
type Budget struct {
	limit, entry int64
	wait         time.Duration

	mu      sync.Mutex
	used    int64
	waiters []*waiter // holders first, and in the order of their coming
	stats   Stats
}

// Stats is a reading of a Budget.
type Stats struct {
	Limit, Used int64 // bytes
	Waiting     int
	Waits       uint64 // claims that did not get their bytes at once
	Refused     uint64
}

type waiter struct {
	a     *Account
	n     int64
	ready chan struct{} // closed when the bytes are granted
}

// New makes a budget of limit bytes. A claim waits for at most wait.
func New(limit int64, wait time.Duration) *Budget {
	return &Budget{limit: limit, entry: limit / 4 * 3, wait: wait}
}

// Stats returns a reading.
func (b *Budget) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.Limit, s.Used, s.Waiting = b.limit, b.used, len(b.waiters)
	return s
}

// Account is what one session holds. Safe for concurrent use. The zero Account has no budget and gets everything.
type Account struct {
	b    *Budget
	held int64 // guarded by the budget's lock
}

// Account opens one that holds nothing. That of a nil Budget gets everything.
func (b *Budget) Account() Account { return Account{b: b} }

// Held returns the bytes that the account holds.
func (a *Account) Held() int64 {
	if a.b == nil {
		return 0
	}
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	return a.held
}

// Claim takes n bytes, and waits for them if need be. It is for the needs that are known at once: claims step by step
// would make accounts wait for one another. The error is errcode.MemoryLimit.
func (a *Account) Claim(n int) error {
	if a.b == nil || n <= 0 {
		return nil
	}
	b, w := a.b, &waiter{a: a, n: int64(n), ready: make(chan struct{})}
	b.mu.Lock()
	if a.held+w.n > b.limit {
		defer b.mu.Unlock()
		return b.refuse()
	}
	b.enqueue(w)
	if b.grant(); !slices.Contains(b.waiters, w) {
		b.mu.Unlock()
		return nil
	}
	b.stats.Waits++
	b.mu.Unlock()
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	select {
	case <-w.ready:
		return nil
	case <-timer.C:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.Index(b.waiters, w)
	if at < 0 {
		return nil // granted meanwhile
	}
	b.waiters = slices.Delete(b.waiters, at, at+1)
	b.grant() // those behind it may fit
	return b.refuse()
}

// Grow takes n bytes if they are free, without waiting: for needs that grow step by step.
func (a *Account) Grow(n int) error {
	if a.b == nil || n <= 0 {
		return nil
	}
	b := a.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+int64(n) > b.limit {
		return b.refuse()
	}
	b.used += int64(n)
	a.held += int64(n)
	return nil
}

// Release gives n bytes back, which the account must hold.
func (a *Account) Release(n int) {
	if a.b == nil || n <= 0 {
		return
	}
	b := a.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if int64(n) > a.held {
		panic(fmt.Sprintf("budget: %d bytes given back of %d held", n, a.held))
	}
	a.held -= int64(n)
	b.used -= int64(n)
	b.grant()
}

// Close gives back everything.
func (a *Account) Close() {
	if a.b == nil {
		return
	}
	a.Release(int(a.Held()))
}

// refuse counts and words a refusal. The caller holds the lock.
func (b *Budget) refuse() error {
	b.stats.Refused++
	return errcode.New(errcode.MemoryLimit, b.limit)
}

// enqueue puts a waiter behind those of its kind: holders stand before the others. The caller holds the lock.
func (b *Budget) enqueue(w *waiter) {
	at := len(b.waiters)
	if w.a.held > 0 {
		at = slices.IndexFunc(b.waiters, func(x *waiter) bool { return x.a.held == 0 })
		if at < 0 {
			at = len(b.waiters)
		}
	}
	b.waiters = slices.Insert(b.waiters, at, w)
}

// grant serves waiters as long as the next of them fits. A holder that does not fit keeps nobody behind it waiting for
// longer than a claim may wait, and is not overtaken, so that large claims get their turn. The caller holds the lock.
func (b *Budget) grant() {
	for len(b.waiters) > 0 {
		w := b.waiters[0]
		top := b.limit
		if w.a.held == 0 && b.used > 0 { // the first of all gets what it needs, up to the whole
			top = b.entry
		}
		if b.used+w.n > top {
			return
		}
		b.used += w.n
		w.a.held += w.n
		b.waiters = slices.Delete(b.waiters, 0, 1)
		close(w.ready)
	}
}
