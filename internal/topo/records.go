package topo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"google.golang.org/protobuf/proto"
)

var (
	// ErrNotEmpty refuses to delete a record that others depend on.
	ErrNotEmpty = errors.New("not empty")
	// ErrExists refuses to create what is there already.
	ErrExists = errors.New("already exists")
)

// existsOr names the reason of a conflict where only "must not exist" was compared; the conflict stays visible.
func existsOr(err error) error {
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("%w (%w)", ErrExists, err)
	}
	return err
}

// Keyspaces returns the names of all keyspaces in order.
func (t *Topo) Keyspaces(ctx context.Context) ([]string, error) {
	kvs, _, err := t.List(ctx, namesPrefix)
	if err != nil {
		return nil, fmt.Errorf("list keyspaces: %w", err)
	}
	names := make([]string, 0, len(kvs))
	for _, kv := range kvs {
		names = append(names, strings.TrimPrefix(kv.Key, namesPrefix))
	}
	return names, nil
}

// Keyspace returns a keyspace's record and its revision.
func (t *Topo) Keyspace(ctx context.Context, name string) (*topov1.Keyspace, int64, error) {
	rec := new(topov1.Keyspace)
	rev, err := t.read(ctx, "keyspace "+name, keyspaceKey(name), rec)
	if err != nil {
		return nil, 0, err
	}
	return rec, rev, nil
}

// CreateKeyspace puts a new keyspace; ErrExists if there is one of that name.
func (t *Topo) CreateKeyspace(ctx context.Context, rec *topov1.Keyspace) error {
	name := rec.GetName()
	if err := ValidateKeyspaceName(name); err != nil {
		return err
	}
	op, err := encode(keyspaceKey(name), rec)
	if err != nil {
		return err
	}
	cmps := []Cmp{{Key: keyspaceKey(name)}, {Key: nameKey(name)}}
	if _, err := t.Txn(ctx, cmps, []Op{op, {Key: nameKey(name), Value: []byte{}}}); err != nil {
		return fmt.Errorf("create keyspace %s: %w", name, existsOr(err))
	}
	return nil
}

// PutKeyspace changes a keyspace's record as it stood at rev.
func (t *Topo) PutKeyspace(ctx context.Context, rec *topov1.Keyspace, rev int64) (int64, error) {
	if rev == 0 {
		return 0, fmt.Errorf("change keyspace %s: the revision read is missing: %w", rec.GetName(), ErrInvalid)
	}
	return t.write(ctx, "keyspace "+rec.GetName(), keyspaceKey(rec.GetName()), rec, rev)
}

// UpdateKeyspace changes a keyspace's record by fn, again after a conflict. An error of fn ends it.
func (t *Topo) UpdateKeyspace(ctx context.Context, name string, fn func(*topov1.Keyspace) error) error {
	return retry(ctx, "keyspace "+name, func() error {
		rec, rev, err := t.Keyspace(ctx, name)
		if err != nil {
			return err
		}
		if err := fn(rec); err != nil {
			return err
		}
		_, err = t.PutKeyspace(ctx, rec, rev)
		return err
	})
}

// DeleteKeyspace removes a keyspace and its vschema; ErrNotEmpty while it has shards or tablets.
//
// CreateShard touches the keyspace's name key, so that no shard can slip in between the look and the deletion.
func (t *Topo) DeleteKeyspace(ctx context.Context, name string) error {
	return retry(ctx, "keyspace "+name, func() error {
		mark, err := t.Get(ctx, nameKey(name))
		if err != nil {
			return fmt.Errorf("delete keyspace %s: %w", name, err)
		}
		kvs, _, err := t.List(ctx, shardsPrefix(name))
		if err != nil {
			return fmt.Errorf("delete keyspace %s: %w", name, err)
		}
		if len(kvs) > 0 {
			return fmt.Errorf("delete keyspace %s: it still has shards or tablets: %w", name, ErrNotEmpty)
		}
		_, err = t.Txn(ctx, []Cmp{{Key: nameKey(name), Revision: mark.ModRevision}}, []Op{
			{Key: keyspaceKey(name), Delete: true},
			{Key: vschemaKey(name), Delete: true},
			{Key: nameKey(name), Delete: true},
		})
		return err
	})
}

// Shards returns the shards of a keyspace in the order of their ranges.
func (t *Topo) Shards(ctx context.Context, keyspace string) ([]*topov1.Shard, error) {
	kvs, _, err := t.List(ctx, shardsPrefix(keyspace))
	if err != nil {
		return nil, fmt.Errorf("list shards of %s: %w", keyspace, err)
	}
	shards, err := decodeAll[topov1.Shard](kvs, func(key string) bool {
		kind, _, _, _ := parseKeyspaceKey(key)
		return kind == kindShard
	})
	if err != nil {
		return nil, fmt.Errorf("list shards of %s: %w", keyspace, err)
	}
	slices.SortFunc(shards, func(a, b *topov1.Shard) int { return CompareShards(a.GetName(), b.GetName()) })
	return shards, nil
}

// CompareShards orders shard names by their ranges: by start, then by end, then by name.
func CompareShards(a, b string) int {
	as, ae, _ := ShardBounds(a) // what is no range sorts as all
	bs, be, _ := ShardBounds(b)
	if c := bytes.Compare(as, bs); c != 0 {
		return c
	}
	switch c := bytes.Compare(ae, be); {
	case c == 0:
		return strings.Compare(a, b)
	case len(ae) == 0:
		return 1
	case len(be) == 0:
		return -1
	default:
		return c
	}
}

// Shard returns a shard's record and its revision.
func (t *Topo) Shard(ctx context.Context, keyspace, shard string) (*topov1.Shard, int64, error) {
	rec := new(topov1.Shard)
	rev, err := t.read(ctx, "shard "+keyspace+"/"+shard, shardKey(keyspace, shard), rec)
	if err != nil {
		return nil, 0, err
	}
	return rec, rev, nil
}

// CreateShard puts a new shard; ErrExists if it exists, ErrNotFound without its keyspace.
func (t *Topo) CreateShard(ctx context.Context, rec *topov1.Shard) error {
	ks, shard := rec.GetKeyspace(), rec.GetName()
	if err := ValidateShardName(shard); err != nil {
		return err
	}
	op, err := encode(shardKey(ks, shard), rec)
	if err != nil {
		return err
	}
	return retry(ctx, "shard "+ks+"/"+shard, func() error {
		mark, err := t.Get(ctx, nameKey(ks))
		if err != nil {
			return fmt.Errorf("create shard %s/%s: its keyspace: %w", ks, shard, err)
		}
		if _, err := t.Get(ctx, shardKey(ks, shard)); !errors.Is(err, ErrNotFound) {
			if err == nil {
				err = ErrExists
			}
			return fmt.Errorf("create shard %s/%s: %w", ks, shard, err)
		}
		cmps := []Cmp{{Key: shardKey(ks, shard)}, {Key: nameKey(ks), Revision: mark.ModRevision}}
		_, err = t.Txn(ctx, cmps, []Op{op, {Key: nameKey(ks), Value: []byte{}}})
		return err
	})
}

// PutShard changes a shard's record as it stood at rev. Further comparisons, such as those of a Lock, may be added.
func (t *Topo) PutShard(ctx context.Context, rec *topov1.Shard, rev int64, also ...Cmp) (int64, error) {
	path := rec.GetKeyspace() + "/" + rec.GetName()
	if rev == 0 {
		return 0, fmt.Errorf("change shard %s: the revision read is missing: %w", path, ErrInvalid)
	}
	key := shardKey(rec.GetKeyspace(), rec.GetName())
	op, err := encode(key, rec)
	if err != nil {
		return 0, err
	}
	newRev, err := t.Txn(ctx, append([]Cmp{{Key: key, Revision: rev}}, also...), []Op{op})
	if err != nil {
		return 0, fmt.Errorf("write shard %s: %w", path, err)
	}
	return newRev, nil
}

// UpdateShard changes a shard's record by fn, again after a conflict. An error of fn ends it.
func (t *Topo) UpdateShard(ctx context.Context, keyspace, shard string, fn func(*topov1.Shard) error) error {
	return retry(ctx, "shard "+keyspace+"/"+shard, func() error {
		rec, rev, err := t.Shard(ctx, keyspace, shard)
		if err != nil {
			return err
		}
		if err := fn(rec); err != nil {
			return err
		}
		_, err = t.PutShard(ctx, rec, rev)
		return err
	})
}

// DeleteShard removes a shard's record as it stood at rev; ErrNotEmpty while tablets are registered in it.
func (t *Topo) DeleteShard(ctx context.Context, keyspace, shard string, rev int64) error {
	kvs, _, err := t.List(ctx, shardPrefix(keyspace, shard)+"tablets/")
	if err != nil {
		return fmt.Errorf("delete shard %s/%s: %w", keyspace, shard, err)
	}
	if len(kvs) > 0 {
		return fmt.Errorf("delete shard %s/%s: %d tablets are registered in it: %w", keyspace, shard, len(kvs), ErrNotEmpty)
	}
	return t.remove(ctx, "shard "+keyspace+"/"+shard, shardKey(keyspace, shard), rev)
}

// MarkReparent writes, while the lock is held, that a shard's servers are about to be fenced or cut off.
func (t *Topo) MarkReparent(ctx context.Context, rec *topov1.Reparent, held Cmp) error {
	op, err := encode(reparentKey(rec.GetKeyspace(), rec.GetShard()), rec)
	if err != nil {
		return err
	}
	if _, err := t.Txn(ctx, []Cmp{held}, []Op{op}); err != nil {
		return fmt.Errorf("mark the reparent of %s/%s: %w", rec.GetKeyspace(), rec.GetShard(), err)
	}
	return nil
}

// UnmarkReparent takes the mark away, while the lock is held.
func (t *Topo) UnmarkReparent(ctx context.Context, keyspace, shard string, held Cmp) error {
	if _, err := t.Txn(ctx, []Cmp{held}, []Op{{Key: reparentKey(keyspace, shard), Delete: true}}); err != nil {
		return fmt.Errorf("unmark the reparent of %s/%s: %w", keyspace, shard, err)
	}
	return nil
}

// Reparents returns the marks of all shards whose reparent is under way or was left in the middle.
func (t *Topo) Reparents(ctx context.Context) ([]*topov1.Reparent, error) {
	return listRecords[topov1.Reparent](ctx, t, "reparents", reparentsPrefix)
}

// VSchema returns a keyspace's vschema and its revision.
func (t *Topo) VSchema(ctx context.Context, keyspace string) (*topov1.VSchema, int64, error) {
	rec := new(topov1.VSchema)
	rev, err := t.read(ctx, "vschema of "+keyspace, vschemaKey(keyspace), rec)
	if err != nil {
		return nil, 0, err
	}
	return rec, rev, nil
}

// PutVSchema writes a keyspace's vschema as it stood at rev (0: there was none) and returns the new revision;
// ErrNotFound without the keyspace.
func (t *Topo) PutVSchema(ctx context.Context, keyspace string, rec *topov1.VSchema, rev int64) (int64, error) {
	if _, err := t.Get(ctx, nameKey(keyspace)); err != nil {
		return 0, fmt.Errorf("write vschema: keyspace %s: %w", keyspace, err)
	}
	return t.write(ctx, "vschema of "+keyspace, vschemaKey(keyspace), rec, rev)
}

// RoutingRules returns the routing rules and their revision; without any it returns an empty record and 0.
func (t *Topo) RoutingRules(ctx context.Context) (*topov1.RoutingRules, int64, error) {
	rec := new(topov1.RoutingRules)
	rev, err := t.read(ctx, "routing rules", routingRulesKey, rec)
	if errors.Is(err, ErrNotFound) {
		return rec, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return rec, rev, nil
}

// PutRoutingRules writes the routing rules as they stood at rev (0: there were none).
func (t *Topo) PutRoutingRules(ctx context.Context, rec *topov1.RoutingRules, rev int64) (int64, error) {
	return t.write(ctx, "routing rules", routingRulesKey, rec, rev)
}

// Users returns all users in order of name.
func (t *Topo) Users(ctx context.Context) ([]*topov1.User, error) {
	return listRecords[topov1.User](ctx, t, "users", usersPrefix)
}

// User returns a user and its revision.
func (t *Topo) User(ctx context.Context, name string) (*topov1.User, int64, error) {
	rec := new(topov1.User)
	rev, err := t.read(ctx, "user "+name, userKey(name), rec)
	if err != nil {
		return nil, 0, err
	}
	return rec, rev, nil
}

// PutUser writes a user as it stood at rev (0: there was none).
func (t *Topo) PutUser(ctx context.Context, rec *topov1.User, rev int64) (int64, error) {
	if err := ValidateUserName(rec.GetName()); err != nil {
		return 0, err
	}
	return t.write(ctx, "user "+rec.GetName(), userKey(rec.GetName()), rec, rev)
}

// DeleteUser removes a user as it stood at rev.
func (t *Topo) DeleteUser(ctx context.Context, name string, rev int64) error {
	return t.remove(ctx, "user "+name, userKey(name), rev)
}

// Cells returns all cells in order of name.
func (t *Topo) Cells(ctx context.Context) ([]*topov1.Cell, error) {
	return listRecords[topov1.Cell](ctx, t, "cells", cellsPrefix)
}

// Cell returns a cell and its revision.
func (t *Topo) Cell(ctx context.Context, name string) (*topov1.Cell, int64, error) {
	rec := new(topov1.Cell)
	rev, err := t.read(ctx, "cell "+name, cellKey(name), rec)
	if err != nil {
		return nil, 0, err
	}
	return rec, rev, nil
}

// PutCell writes a cell as it stood at rev (0: there was none).
func (t *Topo) PutCell(ctx context.Context, rec *topov1.Cell, rev int64) (int64, error) {
	if err := ValidateCellName(rec.GetName()); err != nil {
		return 0, err
	}
	return t.write(ctx, "cell "+rec.GetName(), cellKey(rec.GetName()), rec, rev)
}

// DeleteCell removes a cell as it stood at rev.
func (t *Topo) DeleteCell(ctx context.Context, name string, rev int64) error {
	return t.remove(ctx, "cell "+name, cellKey(name), rev)
}

func listRecords[M any, P interface {
	*M
	proto.Message
}](ctx context.Context, t *Topo, what, prefix string) ([]*M, error) {
	kvs, _, err := t.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	recs, err := decodeAll[M, P](kvs, nil)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	return recs, nil
}
