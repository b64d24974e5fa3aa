package topo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MinLockTTL is the shortest life of a lock's lease: etcd counts leases in whole seconds and rounds elections into them.
const MinLockTTL = 2 * time.Second

// Lock is a named lock that its holder keeps alive. When the holder dies or loses the store the lease ends and the lock
// with it; a holder must stop what it does once Done is closed, and may add Cmp to its transactions to be certain.
type Lock struct {
	topo   *Topo
	key    string
	lease  LeaseID
	token  int64
	cancel context.CancelFunc
	done   chan struct{}
}

// Lock takes the named lock, and waits for it as long as ctx allows; the error then says who holds it. Owner is shown to
// others who wait. The lock ends at Unlock, when its lease cannot be renewed for ttl, and not with ctx.
func (t *Topo) Lock(ctx context.Context, name, owner string, ttl time.Duration) (*Lock, error) {
	if err := validateLockName(name); err != nil {
		return nil, err
	}
	if ttl < MinLockTTL {
		return nil, fmt.Errorf("lock %s: ttl %s is under %s: %w", name, ttl, MinLockTTL, ErrInvalid)
	}
	lease, err := t.Grant(ctx, ttl)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	granted := time.Now()
	keep, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &Lock{topo: t, key: lockKey(name), lease: lease, cancel: cancel, done: make(chan struct{})}
	go l.keepAlive(keep, granted, ttl)
	if err := l.acquire(ctx, name, owner); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

// acquire puts the lock's key, after each deletion of another holder's key again.
func (l *Lock) acquire(ctx context.Context, name, owner string) error {
	for {
		rev, err := l.topo.Txn(ctx, []Cmp{{Key: l.key}}, []Op{{Key: l.key, Value: []byte(owner), Lease: l.lease}})
		if err == nil {
			l.token = rev
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("lock %s: %w", name, err)
		}
		holder, rev, err := l.holder(ctx)
		if err != nil {
			return fmt.Errorf("lock %s: %w", name, err)
		}
		if holder == nil {
			continue
		}
		if err := l.waitChange(ctx, rev); err != nil {
			return fmt.Errorf("lock %s: it is held by %s: %w", name, holder.Value, err)
		}
	}
}

// holder returns the key as another one holds it, or nil, and the revision as of which that is true.
func (l *Lock) holder(ctx context.Context) (*KV, int64, error) {
	kvs, rev, err := l.topo.List(ctx, l.key)
	if err != nil {
		return nil, 0, err
	}
	for i := range kvs {
		if kvs[i].Key == l.key {
			return &kvs[i], rev, nil
		}
	}
	return nil, rev, nil
}

// waitChange returns when the key has changed since rev, or may have, or fails when the wait is over.
func (l *Lock) waitChange(ctx context.Context, rev int64) error {
	watch, stop := context.WithCancel(ctx)
	defer stop()
	events, err := l.topo.Watch(watch, l.key, rev)
	if err != nil && !errors.Is(err, ErrCompacted) {
		return err
	}
	if err != nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return errors.New("the own lease ended while waiting")
	case <-events:
		return ctx.Err()
	}
}

// keepAlive renews the lease every third of its life, and closes done when it is gone or may be gone.
func (l *Lock) keepAlive(ctx context.Context, granted time.Time, ttl time.Duration) {
	defer close(l.done)
	// The holder must know a while before others may take over: a sixth of the lease's life.
	end := granted.Add(ttl - ttl/6)
	tick := time.NewTicker(ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sent := time.Now()
		attempt, cancel := context.WithDeadline(ctx, end)
		got, err := l.topo.KeepAlive(attempt, l.lease)
		cancel()
		switch {
		case err == nil:
			end = sent.Add(got - got/6)
		case errors.Is(err, ErrNotFound) || !time.Now().Add(ttl/3).Before(end):
			return
		}
	}
}

// HeldLocks returns the owners of all locks that are held at this moment, by the locks' names.
func (t *Topo) HeldLocks(ctx context.Context) (map[string]string, error) {
	kvs, _, err := t.List(ctx, locksPrefix)
	if err != nil {
		return nil, fmt.Errorf("list locks: %w", err)
	}
	held := make(map[string]string, len(kvs))
	for _, kv := range kvs {
		held[strings.TrimPrefix(kv.Key, locksPrefix)] = string(kv.Value)
	}
	return held, nil
}

// WatchReleases sends something soon after a lock was given back or ended with its holder, until ctx ends; then the channel closes.
// Releases that the receiver has no time for are merged.
func (t *Topo) WatchReleases(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		defer close(out)
		held := map[string]KV{}
		for snap := range t.follow(ctx, locksPrefix) {
			for key, kv := range held {
				if snap.kvs[key].ModRevision == kv.ModRevision {
					continue
				}
				select {
				case out <- struct{}{}:
				default: // the receiver has not looked since the last one
				}
				break
			}
			held = snap.kvs
		}
	}()
	return out
}

// Token is the fencing token: it grows with each new holder of the lock.
func (l *Lock) Token() int64 { return l.token }

// Cmp makes a transaction depend on the lock being held still.
func (l *Lock) Cmp() Cmp { return Cmp{Key: l.key, Revision: l.token} }

// Done is closed when the lock is lost or given back.
func (l *Lock) Done() <-chan struct{} { return l.done }

// Context returns a context that ends with the lock.
func (l *Lock) Context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	stop := make(chan struct{})
	go func() {
		select {
		case <-l.done:
			cancel(fmt.Errorf("the lock %s was lost", l.key))
		case <-ctx.Done():
		case <-stop:
		}
	}()
	return ctx, func() { close(stop); cancel(context.Canceled) }
}

// Unlock gives the lock back at once; if the store cannot be reached it ends with its lease.
func (l *Lock) Unlock() { l.release() }

// unlockTimeout bounds Unlock: the lease ends by itself a few seconds later anyway.
const unlockTimeout = 2 * time.Second

func (l *Lock) release() {
	l.cancel()
	<-l.done
	ctx, cancel := context.WithTimeout(context.Background(), unlockTimeout)
	defer cancel()
	if err := l.topo.Revoke(ctx, l.lease); err != nil && !errors.Is(err, ErrNotFound) {
		l.topo.log.Warn("lock not given back; it ends with its lease", "lock", l.key, "error", err)
	}
}
