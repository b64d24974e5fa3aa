package exec

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// lookupBatch is how many values one statement to a lookup table carries.
const lookupBatch = 500

// readLookup reads the keyspace ids of values from a lookup table into out.
func (r *run) readLookup(ctx context.Context, lk vindex.Lookup, table *vschema.Table, groups [][]vindex.Value, out [][]vindex.Dest) error {
	t := lk.Table()
	type place struct{ groups []int }
	wanted := map[string]*place{}
	byShard := map[ShardRef][]vindex.Value{}
	for i, g := range groups {
		if g[0].Kind == vindex.Null {
			continue
		}
		from, err := t.FromValue(g[0])
		if err != nil { // a value that the table can't hold, but that servers may convert to one of it
			out[i] = []vindex.Dest{{Kind: vindex.DestRange}}
			continue
		}
		if p := wanted[string(from.Raw)]; p != nil {
			p.groups = append(p.groups, i)
			continue
		}
		wanted[string(from.Raw)] = &place{groups: []int{i}}
		shards, err := r.lookupShards(table, from)
		if err != nil {
			return err
		}
		for _, s := range shards {
			byShard[s] = append(byShard[s], from)
		}
	}
	for _, shard := range sortedShards(byShard) {
		values := byShard[shard]
		for len(values) > 0 {
			n := min(len(values), lookupBatch)
			sql := r.bind(t.SelectSQL(n, false), values[:n])
			err := r.each(ctx, shard, sql, func(row [][]byte) error {
				p := wanted[string(row[0])]
				if p == nil {
					// The server's idea of equality is wider than the bytes': any of the values may be meant.
					p = &place{}
					for _, other := range wanted {
						p.groups = append(p.groups, other.groups...)
					}
					sort.Ints(p.groups)
				}
				id, err := t.DecodeID(vindex.Value{Kind: vindex.Binary, Raw: append([]byte{}, row[1]...)})
				if err != nil {
					return errcode.Wrap(errcode.LookupTable, err, lk.Name(), "a row cannot be read")
				}
				for _, i := range p.groups {
					out[i] = append(out[i], vindex.Dest{Kind: vindex.DestID, ID: id})
				}
				return nil
			})
			if err != nil {
				return errcode.Wrap(errcode.LookupTable, err, lk.Name(), "it cannot be read")
			}
			values = values[n:]
		}
	}
	return nil
}

func sortedShards[V any](m map[ShardRef]V) []ShardRef {
	out := make([]ShardRef, 0, len(m))
	for s := range m {
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Keyspace != out[j].Keyspace {
			return out[i].Keyspace < out[j].Keyspace
		}
		return out[i].Shard < out[j].Shard
	})
	return out
}

// lookupShards returns where the rows of a value of the first column of a lookup table are.
func (r *run) lookupShards(table *vschema.Table, from vindex.Value) ([]ShardRef, error) {
	shards, err := r.s.Shards(table.Keyspace.Name)
	if err != nil {
		return nil, err
	}
	var at []int
	if p := table.Primary(); table.Keyspace.Sharded && p != nil {
		d, err := mapFunctional(p.Vindex, []vindex.Value{from})
		if err != nil {
			return nil, errcode.Wrap(errcode.VindexValue, err, quoted([]vindex.Value{from}), p.Name)
		}
		if at, err = within(shards, d, table.Keyspace.Name); err != nil {
			return nil, err
		}
	} else if len(shards) > 0 {
		at = []int{0}
	}
	out := make([]ShardRef, 0, len(at))
	for _, i := range at {
		out = append(out, ShardRef{table.Keyspace.Name, shards[i].Name})
	}
	return out, nil
}

// each runs a statement on one shard and calls f for its rows.
func (r *run) each(ctx context.Context, shard ShardRef, sql []byte, f func(row [][]byte) error) error {
	rows, err := r.s.Query(ctx, shard, Query{SQL: sql})
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := f(rows.Values()); err != nil {
			return closing(rows, err)
		}
	}
	return closing(rows, rows.Err())
}

// bind puts values in the places of the question marks of a statement that has no other ones.
func (r *run) bind(sql string, values []vindex.Value) []byte {
	out := make([]byte, 0, len(sql)+16*len(values))
	for _, part := range strings.SplitAfter(sql, "?") {
		if len(values) == 0 || !strings.HasSuffix(part, "?") {
			out = append(out, part...)
			continue
		}
		out = append(out, part[:len(part)-1]...)
		out = r.literal(out, values[0])
		values = values[1:]
	}
	return out
}

// literal writes a value as SQL.
func (r *run) literal(dst []byte, v vindex.Value) []byte {
	switch v.Kind {
	case vindex.Null:
		return append(dst, "NULL"...)
	case vindex.Int, vindex.Uint, vindex.Decimal, vindex.Float:
		return append(dst, v.Raw...)
	case vindex.Binary:
		return value.AppendBytes(dst, v.Raw)
	}
	return value.AppendString(dst, string(v.Raw), r.s.Mode().NoBackslashEscapes)
}

// lookupRow is one row of a lookup table: the values of its from columns, and the keyspace id.
type lookupRow struct {
	values []vindex.Value
	id     []byte
}

// lookupChange writes rows of one lookup table.
type lookupChange struct {
	run   *run
	lk    vindex.Lookup
	table *vschema.Table
}

// params are the parameters of a row in the statements of the lookup table; ok is false when the row has no lookup
// row, because a value is NULL and such are ignored.
func (c *lookupChange) params(row lookupRow) (params []vindex.Value, ok bool, err error) {
	t := c.lk.Table()
	for _, v := range row.values {
		if v.Kind == vindex.Null {
			if t.IgnoreNulls || len(row.values) > 1 {
				return nil, false, nil
			}
			return nil, false, errcode.New(errcode.VindexColumnNull, c.lk.Name())
		}
		from, err := t.FromValue(v)
		if err != nil {
			return nil, false, errcode.Wrap(errcode.VindexValue, err, quoted(row.values), c.lk.Name())
		}
		params = append(params, from)
	}
	to, err := t.EncodeID(row.id)
	if err != nil {
		return nil, false, errcode.Wrap(errcode.VindexValue, err, fmt.Sprintf("%x", row.id), c.lk.Name())
	}
	return append(params, to), true, nil
}

// insert writes new lookup rows, sorted by value so that two transactions lock in one order.
func (c *lookupChange) insert(ctx context.Context, rows []lookupRow) error {
	byShard := map[ShardRef][][]vindex.Value{}
	for _, row := range rows {
		params, ok, err := c.params(row)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		shards, err := c.run.lookupShards(c.table, params[0])
		if err != nil {
			return err
		}
		if len(shards) != 1 {
			return errcode.New(errcode.LookupTable, c.lk.Name(), "a value belongs to no shard of it")
		}
		byShard[shards[0]] = append(byShard[shards[0]], params)
	}
	for _, shard := range sortedShards(byShard) {
		list := byShard[shard]
		sort.SliceStable(list, func(i, j int) bool { return string(list[i][0].Raw) < string(list[j][0].Raw) })
		for len(list) > 0 {
			n := min(len(list), lookupBatch)
			var flat []vindex.Value
			for _, p := range list[:n] {
				flat = append(flat, p...)
			}
			if err := c.exec(ctx, shard, c.lk.Table().InsertSQL(n, false), flat); err != nil {
				return err
			}
			list = list[n:]
		}
	}
	return nil
}

// delete removes the lookup rows of rows that go.
func (c *lookupChange) delete(ctx context.Context, rows []lookupRow) error {
	if c.lk.Table().Autocommit {
		return nil // its rows are never deleted; those left over are harmless
	}
	for _, row := range rows {
		params, ok, err := c.params(row)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		shards, err := c.run.lookupShards(c.table, params[0])
		if err != nil {
			return err
		}
		for _, shard := range shards {
			if err := c.exec(ctx, shard, c.lk.Table().DeleteSQL(), params); err != nil {
				return err
			}
		}
	}
	return nil
}

// exec runs one write on the lookup table, in the transaction unless the vindex says otherwise.
func (c *lookupChange) exec(ctx context.Context, shard ShardRef, sql string, params []vindex.Value) error {
	q := Query{SQL: c.run.bind(sql, params), Write: true}
	ask := c.run.s.Query
	if c.lk.Table().Autocommit {
		ask = c.run.s.Autonomous
	}
	rows, err := ask(ctx, shard, q)
	if err != nil {
		return err
	}
	_, err = finishWrite(rows, nil)
	return err
}
