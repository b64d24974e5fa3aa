// Package topo keeps the records of the cluster: cells, keyspaces, shards with their terms and primaries, tablets,
// vschemas, routing rules, users. It knows how they are named, encoded, read, watched and changed by compare-and-put.
//
// It does not decide anything about them, and it holds no state of its own: etcd does (topo/etcd; topo/mem in tests).
package topo

import (
	"context"
	"errors"
	"time"
)

// Errors of a Store. Everything else means: unknown whether it happened.
var (
	// ErrNotFound says that the key does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that a comparison of a transaction did not hold; nothing was changed.
	ErrConflict = errors.New("changed by somebody else")
	// ErrCompacted says that a watch's start revision is gone: list again.
	ErrCompacted = errors.New("revision compacted")
)

// KV is one key as it stood at a revision.
type KV struct {
	Key   string
	Value []byte
	// ModRevision is the revision of the last change; it is what a compare-and-put compares.
	ModRevision int64
	Lease       LeaseID
}

// LeaseID names a lease; 0 is none.
type LeaseID int64

// Cmp is one comparison of a transaction: the key's ModRevision must equal Revision; 0 means the key must not exist.
type Cmp struct {
	Key      string
	Revision int64
}

// Op is one change of a transaction.
type Op struct {
	Key    string
	Value  []byte // nil with Delete
	Delete bool
	Lease  LeaseID
}

// Event is one change seen by a watch.
type Event struct {
	KV      KV
	Deleted bool
}

// Store is what Pelorus needs of etcd. Keys are paths without a leading slash; the store adds the cluster's prefix.
// All methods are safe for concurrent use and end when ctx does.
type Store interface {
	Get(ctx context.Context, key string) (KV, error)
	// List returns all keys with the prefix in order, and the revision of the store as of which they are true.
	List(ctx context.Context, prefix string) ([]KV, int64, error)
	// Txn applies all ops in order at one revision if all comparisons hold, or fails with ErrConflict. At most 100 ops.
	Txn(ctx context.Context, cmps []Cmp, ops []Op) (revision int64, err error)
	// Watch sends the changes of keys with the prefix that are newer than revision, in batches of one revision each. The channel closes when ctx
	// ends or the watch is lost; then list and watch again. A lost connection is retried inside.
	Watch(ctx context.Context, prefix string, revision int64) (<-chan []Event, error)
	// Grant makes a lease that ends ttl after the last KeepAlive; its keys are then deleted.
	Grant(ctx context.Context, ttl time.Duration) (LeaseID, error)
	KeepAlive(ctx context.Context, id LeaseID) (ttl time.Duration, err error)
	Revoke(ctx context.Context, id LeaseID) error
	Close() error
}
