// Package mem is a topology store in memory: the twin of topo/etcd for tests and simulations of one process.
//
// It keeps nothing on disk and talks to nobody, so it is no place for a cluster's records.
package mem

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/pelorusdb/pelorus/internal/topo"
)

const (
	maxTxnOps = 100
	// maxHistory bounds what watchers can be behind: older changes are compacted. 10,000 changes of a test are plenty.
	maxHistory = 10_000
)

// Store is a topo.Store in memory. Make it with New.
type Store struct {
	mu       sync.Mutex
	closed   bool
	revision int64
	// compacted is the newest revision whose changes are gone.
	compacted int64
	keys      map[string]topo.KV
	history   []change
	leases    map[topo.LeaseID]*lease
	lastLease topo.LeaseID
	// changed is closed and replaced at each change, to wake watchers.
	changed chan struct{}
}

// change is one revision's events.
type change struct {
	revision int64
	events   []topo.Event
}

type lease struct {
	ttl   time.Duration
	timer *time.Timer
}

var errClosed = errors.New("the store is closed")

// New makes an empty store at revision 1, as etcd does.
func New() *Store {
	return &Store{
		revision: 1, keys: make(map[string]topo.KV), leases: make(map[topo.LeaseID]*lease), changed: make(chan struct{}),
	}
}

// Get implements topo.Store.
func (s *Store) Get(ctx context.Context, key string) (topo.KV, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return topo.KV{}, err
	}
	kv, ok := s.keys[key]
	if !ok {
		return topo.KV{}, fmt.Errorf("%s: %w", key, topo.ErrNotFound)
	}
	return clone(kv), nil
}

// List implements topo.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]topo.KV, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, 0, err
	}
	var kvs []topo.KV
	for key, kv := range s.keys {
		if strings.HasPrefix(key, prefix) {
			kvs = append(kvs, clone(kv))
		}
	}
	sort.Slice(kvs, func(i, j int) bool { return kvs[i].Key < kvs[j].Key })
	return kvs, s.revision, nil
}

// Txn implements topo.Store.
func (s *Store) Txn(ctx context.Context, cmps []topo.Cmp, ops []topo.Op) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if err := s.checkOps(cmps, ops); err != nil {
		return 0, err
	}
	for _, cmp := range cmps {
		if s.keys[cmp.Key].ModRevision != cmp.Revision {
			return 0, fmt.Errorf("%s: %w", cmp.Key, topo.ErrConflict)
		}
	}
	for _, op := range ops {
		if _, ok := s.leases[op.Lease]; op.Lease != 0 && !ok {
			return 0, fmt.Errorf("lease %x of %s: %w", int64(op.Lease), op.Key, topo.ErrNotFound)
		}
	}
	s.apply(ops)
	return s.revision, nil
}

func (s *Store) checkOps(cmps []topo.Cmp, ops []topo.Op) error {
	if len(ops) > maxTxnOps || len(cmps) > maxTxnOps {
		return fmt.Errorf("a transaction of %d comparisons and %d changes is over the limit of %d: %w", len(cmps), len(ops), maxTxnOps, topo.ErrInvalid)
	}
	seen := make(map[string]bool, len(ops))
	for _, op := range ops {
		if seen[op.Key] {
			return fmt.Errorf("a transaction changes %s twice: %w", op.Key, topo.ErrInvalid)
		}
		seen[op.Key] = true
	}
	return nil
}

// apply makes the changes at one new revision; deleting what is not there changes nothing.
func (s *Store) apply(ops []topo.Op) {
	next := s.revision + 1
	var events []topo.Event
	for _, op := range ops {
		if op.Delete {
			if _, ok := s.keys[op.Key]; !ok {
				continue
			}
			delete(s.keys, op.Key)
			events = append(events, topo.Event{KV: topo.KV{Key: op.Key, ModRevision: next}, Deleted: true})
			continue
		}
		kv := clone(topo.KV{Key: op.Key, Value: op.Value, ModRevision: next, Lease: op.Lease})
		s.keys[op.Key] = kv
		events = append(events, topo.Event{KV: kv})
	}
	if len(events) == 0 {
		return
	}
	s.revision = next
	s.history = append(s.history, change{revision: next, events: events})
	if len(s.history) > maxHistory {
		s.compact(s.history[len(s.history)-maxHistory-1].revision)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// Compact forgets the changes up to and including revision; watches that need them are lost.
func (s *Store) Compact(revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.compact(revision)
}

func (s *Store) compact(revision int64) {
	i := sort.Search(len(s.history), func(i int) bool { return s.history[i].revision > revision })
	s.history = append([]change(nil), s.history[i:]...)
	s.compacted = max(s.compacted, min(revision, s.revision))
}

// Watch implements topo.Store.
func (s *Store) Watch(ctx context.Context, prefix string, revision int64) (<-chan []topo.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if revision < s.compacted {
		return nil, fmt.Errorf("watch %s from %d: %w", prefix, revision, topo.ErrCompacted)
	}
	out := make(chan []topo.Event)
	go s.serveWatch(ctx, prefix, revision, out)
	return out, nil
}

// serveWatch sends every change after revision, until ctx or the store ends or the watcher fell behind compaction.
func (s *Store) serveWatch(ctx context.Context, prefix string, revision int64, out chan<- []topo.Event) {
	defer close(out)
	for {
		batches, newest, changed, ok := s.changesSince(prefix, revision)
		if !ok {
			return
		}
		for _, batch := range batches {
			select {
			case out <- batch:
			case <-ctx.Done():
				return
			}
		}
		revision = newest
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Store) changesSince(prefix string, revision int64) (batches [][]topo.Event, newest int64, changed <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || revision < s.compacted {
		return nil, 0, nil, false
	}
	i := sort.Search(len(s.history), func(i int) bool { return s.history[i].revision > revision })
	for _, c := range s.history[i:] {
		var batch []topo.Event
		for _, e := range c.events {
			if strings.HasPrefix(e.KV.Key, prefix) {
				batch = append(batch, topo.Event{KV: clone(e.KV), Deleted: e.Deleted})
			}
		}
		if batch != nil {
			batches = append(batches, batch)
		}
	}
	return batches, s.revision, s.changed, true
}

// Grant implements topo.Store.
func (s *Store) Grant(ctx context.Context, ttl time.Duration) (topo.LeaseID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if ttl <= 0 {
		return 0, fmt.Errorf("lease of %s: %w", ttl, topo.ErrInvalid)
	}
	s.lastLease++
	id := s.lastLease
	s.leases[id] = &lease{ttl: ttl, timer: time.AfterFunc(ttl, func() { s.endLease(id) })}
	return id, nil
}

// KeepAlive implements topo.Store.
func (s *Store) KeepAlive(ctx context.Context, id topo.LeaseID) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	l, ok := s.leases[id]
	if !ok {
		return 0, fmt.Errorf("lease %x: %w", int64(id), topo.ErrNotFound)
	}
	l.timer.Reset(l.ttl)
	return l.ttl, nil
}

// Revoke implements topo.Store.
func (s *Store) Revoke(ctx context.Context, id topo.LeaseID) error {
	s.mu.Lock()
	err := s.usable(ctx)
	_, ok := s.leases[id]
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("lease %x: %w", int64(id), topo.ErrNotFound)
	}
	s.endLease(id)
	return nil
}

// endLease deletes a lease's keys at one revision.
func (s *Store) endLease(id topo.LeaseID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.leases[id]
	if !ok || s.closed {
		return
	}
	l.timer.Stop()
	delete(s.leases, id)
	var ops []topo.Op
	for key, kv := range s.keys {
		if kv.Lease == id {
			ops = append(ops, topo.Op{Key: key, Delete: true})
		}
	}
	sort.Slice(ops, func(i, j int) bool { return ops[i].Key < ops[j].Key })
	s.apply(ops)
}

// Close ends all watches and leases.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for _, l := range s.leases {
		l.timer.Stop()
	}
	close(s.changed)
	return nil
}

func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return errClosed
	}
	return ctx.Err()
}

// clone keeps the caller's bytes and the store's apart.
func clone(kv topo.KV) topo.KV {
	kv.Value = append([]byte{}, kv.Value...)
	return kv
}
