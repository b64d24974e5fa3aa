package topo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/protobuf/proto"
)

const (
	// maxAttempts bounds a read-modify-write: each conflict means that another writer got through, and eight in a row
	// on one record mean that two writers fight over it, which a ninth attempt does not cure.
	maxAttempts = 8
	// maxRecord bounds an encoded record: etcd refuses requests over 1.5 MiB, and a transaction may hold a second one.
	maxRecord = 1 << 20
)

// Topo reads and changes the typed records of a Store. It is safe for concurrent use.
//
// Every read returns the record and the revision of its last change; every change takes the revision that the caller
// has read and fails with ErrConflict if somebody else was faster. Records that are returned belong to the caller.
type Topo struct {
	Store
	log *slog.Logger
}

// New makes the typed layer over a store. The store stays the caller's to close.
func New(store Store) *Topo { return &Topo{Store: store, log: slog.Default()} }

// WithLogger returns the same topology with its complaints (undecodable records, lost watches) sent to log.
func (t *Topo) WithLogger(log *slog.Logger) *Topo { return &Topo{Store: t.Store, log: log} }

// read decodes the record at key into rec and returns the revision of its last change.
func (t *Topo) read(ctx context.Context, what, key string, rec proto.Message) (int64, error) {
	kv, err := t.Get(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", what, err)
	}
	if err := proto.Unmarshal(kv.Value, rec); err != nil {
		return 0, fmt.Errorf("read %s: the record at %s cannot be decoded: %w", what, key, err)
	}
	return kv.ModRevision, nil
}

// encode makes the op that puts rec at key. The encoding is deterministic, so equal records are equal bytes.
func encode(key string, rec proto.Message) (Op, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(rec)
	if err != nil {
		return Op{}, fmt.Errorf("encode %s: %w (%w)", key, err, ErrInvalid)
	}
	if len(b) > maxRecord {
		return Op{}, fmt.Errorf("the record at %s has %d bytes, the limit is %d: %w", key, len(b), maxRecord, ErrInvalid)
	}
	if b == nil {
		b = []byte{} // an empty record is a value; nil would be none
	}
	return Op{Key: key, Value: b}, nil
}

// write puts rec at key if the key's last change is rev (0: it must not exist) and returns the new revision.
func (t *Topo) write(ctx context.Context, what, key string, rec proto.Message, rev int64) (int64, error) {
	op, err := encode(key, rec)
	if err != nil {
		return 0, err
	}
	newRev, err := t.Txn(ctx, []Cmp{{Key: key, Revision: rev}}, []Op{op})
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", what, err)
	}
	return newRev, nil
}

// remove deletes key if its last change is rev.
func (t *Topo) remove(ctx context.Context, what, key string, rev int64) error {
	if _, err := t.Txn(ctx, []Cmp{{Key: key, Revision: rev}}, []Op{{Key: key, Delete: true}}); err != nil {
		return fmt.Errorf("delete %s: %w", what, err)
	}
	return nil
}

// retry runs a read-modify-write until it is not disturbed, at most maxAttempts times.
func retry(ctx context.Context, what string, attempt func() error) error {
	for range maxAttempts {
		err := attempt()
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("change %s: %w", what, ctx.Err())
		}
	}
	return fmt.Errorf("change %s: %d attempts met other writers: %w", what, maxAttempts, ErrConflict)
}

// decodeAll decodes every KV that keep accepts, in order.
func decodeAll[M any, P interface {
	*M
	proto.Message
}](kvs []KV, keep func(key string) bool) ([]*M, error) {
	out := make([]*M, 0, len(kvs))
	for _, kv := range kvs {
		if keep != nil && !keep(kv.Key) {
			continue
		}
		rec := P(new(M))
		if err := proto.Unmarshal(kv.Value, rec); err != nil {
			return nil, fmt.Errorf("the record at %s cannot be decoded: %w", kv.Key, err)
		}
		out = append(out, (*M)(rec))
	}
	return out, nil
}
