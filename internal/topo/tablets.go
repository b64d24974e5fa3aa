package topo

import (
	"context"
	"errors"
	"fmt"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"google.golang.org/protobuf/proto"
)

// Tablets returns the tablets of a shard in order of alias; an empty shard means all of the keyspace, an empty keyspace
// all of the cluster.
func (t *Topo) Tablets(ctx context.Context, keyspace, shard string) ([]*topov1.Tablet, error) {
	prefix := keyspacesPrefix
	switch {
	case keyspace != "" && shard != "":
		prefix = shardPrefix(keyspace, shard) + "tablets/"
	case keyspace != "":
		prefix = shardsPrefix(keyspace)
	}
	kvs, _, err := t.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list tablets: %w", err)
	}
	tablets, err := decodeAll[topov1.Tablet](kvs, func(key string) bool {
		kind, _, _, _ := parseKeyspaceKey(key)
		return kind == kindTablet
	})
	if err != nil {
		return nil, fmt.Errorf("list tablets: %w", err)
	}
	return tablets, nil
}

// Tablet returns a tablet's record and its revision.
func (t *Topo) Tablet(ctx context.Context, keyspace, shard, alias string) (*topov1.Tablet, int64, error) {
	rec := new(topov1.Tablet)
	rev, err := t.read(ctx, "tablet "+alias, tabletKey(keyspace, shard, alias), rec)
	if err != nil {
		return nil, 0, err
	}
	return rec, rev, nil
}

// TabletByAlias finds a tablet's record wherever it is.
func (t *Topo) TabletByAlias(ctx context.Context, alias string) (*topov1.Tablet, int64, error) {
	if _, _, err := ParseAlias(alias); err != nil {
		return nil, 0, err
	}
	loc := new(topov1.TabletLocator)
	if _, err := t.read(ctx, "tablet "+alias, locatorKey(alias), loc); err != nil {
		return nil, 0, err
	}
	return t.Tablet(ctx, loc.GetKeyspace(), loc.GetShard(), alias)
}

// CreateTablet puts a new tablet and its locator; ErrExists if the alias is taken.
func (t *Topo) CreateTablet(ctx context.Context, rec *topov1.Tablet) error {
	if err := validateTablet(rec); err != nil {
		return err
	}
	key := tabletKey(rec.GetKeyspace(), rec.GetShard(), rec.GetAlias())
	ops, err := tabletOps(rec)
	if err != nil {
		return err
	}
	if _, err := t.Txn(ctx, []Cmp{{Key: key}, {Key: locatorKey(rec.GetAlias())}}, ops); err != nil {
		return fmt.Errorf("create tablet %s: %w", rec.GetAlias(), existsOr(err))
	}
	return nil
}

// PutTablet changes a tablet's record as it stood at rev; keyspace, shard and alias must be those it was read from.
func (t *Topo) PutTablet(ctx context.Context, rec *topov1.Tablet, rev int64) (int64, error) {
	if err := validateTablet(rec); err != nil {
		return 0, err
	}
	if rev == 0 {
		return 0, fmt.Errorf("change tablet %s: the revision read is missing: %w", rec.GetAlias(), ErrInvalid)
	}
	ops, err := tabletOps(rec)
	if err != nil {
		return 0, err
	}
	key := tabletKey(rec.GetKeyspace(), rec.GetShard(), rec.GetAlias())
	newRev, err := t.Txn(ctx, []Cmp{{Key: key, Revision: rev}}, ops)
	if err != nil {
		return 0, fmt.Errorf("write tablet %s: %w", rec.GetAlias(), err)
	}
	return newRev, nil
}

// UpdateTablet changes a tablet's record by fn, again after a conflict. An error of fn ends it.
func (t *Topo) UpdateTablet(ctx context.Context, alias string, fn func(*topov1.Tablet) error) error {
	return retry(ctx, "tablet "+alias, func() error {
		rec, rev, err := t.TabletByAlias(ctx, alias)
		if err != nil {
			return err
		}
		if err := fn(rec); err != nil {
			return err
		}
		_, err = t.PutTablet(ctx, rec, rev)
		return err
	})
}

// RegisterTablet is what an agent does at start: it creates the record, or brings the existing one up to date. The type
// of an existing record stays, because control decides it; fields of newer releases stay too. A tablet that moved to
// another shard leaves the old one. It returns the record as it now stands.
func (t *Topo) RegisterTablet(ctx context.Context, rec *topov1.Tablet) (*topov1.Tablet, error) {
	if err := validateTablet(rec); err != nil {
		return nil, err
	}
	var stored *topov1.Tablet
	err := retry(ctx, "tablet "+rec.GetAlias(), func() error {
		old, rev, err := t.TabletByAlias(ctx, rec.GetAlias())
		if errors.Is(err, ErrNotFound) {
			stored = proto.Clone(rec).(*topov1.Tablet)
			return t.CreateTablet(ctx, stored)
		}
		if err != nil {
			return err
		}
		oldKey := tabletKey(old.GetKeyspace(), old.GetShard(), old.GetAlias())
		kept := old.Type
		stored = old
		proto.Merge(stored, rec)
		if kept != nil {
			stored.Type = kept
		}
		ops, err := tabletOps(stored)
		if err != nil {
			return err
		}
		if ops[0].Key != oldKey {
			ops = append(ops, Op{Key: oldKey, Delete: true})
		}
		_, err = t.Txn(ctx, []Cmp{{Key: oldKey, Revision: rev}}, ops)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("register tablet %s: %w", rec.GetAlias(), err)
	}
	return stored, nil
}

// DeleteTablet removes a tablet's record and locator, whatever they say now.
func (t *Topo) DeleteTablet(ctx context.Context, alias string) error {
	return retry(ctx, "tablet "+alias, func() error {
		rec, rev, err := t.TabletByAlias(ctx, alias)
		if err != nil {
			return err
		}
		key := tabletKey(rec.GetKeyspace(), rec.GetShard(), alias)
		_, err = t.Txn(ctx, []Cmp{{Key: key, Revision: rev}}, []Op{
			{Key: key, Delete: true},
			{Key: locatorKey(alias), Delete: true},
		})
		return err
	})
}

// tabletOps puts record and locator together, so that one is never there without the other.
func tabletOps(rec *topov1.Tablet) ([]Op, error) {
	record, err := encode(tabletKey(rec.GetKeyspace(), rec.GetShard(), rec.GetAlias()), rec)
	if err != nil {
		return nil, err
	}
	locator, err := encode(locatorKey(rec.GetAlias()), &topov1.TabletLocator{Keyspace: rec.Keyspace, Shard: rec.Shard})
	if err != nil {
		return nil, err
	}
	return []Op{record, locator}, nil
}

func validateTablet(rec *topov1.Tablet) error {
	cell, uid, err := ParseAlias(rec.GetAlias())
	if err != nil {
		return err
	}
	if rec.GetCell() != cell || rec.GetUid() != uid {
		return fmt.Errorf("tablet %s: its cell %q and number %d do not make that alias: %w", rec.GetAlias(), rec.GetCell(), rec.GetUid(), ErrInvalid)
	}
	if err := ValidateKeyspaceName(rec.GetKeyspace()); err != nil {
		return fmt.Errorf("tablet %s: %w", rec.GetAlias(), err)
	}
	if err := ValidateShardName(rec.GetShard()); err != nil {
		return fmt.Errorf("tablet %s: %w", rec.GetAlias(), err)
	}
	return nil
}
