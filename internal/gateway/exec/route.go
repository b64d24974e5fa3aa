package exec

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// ErrSpread says that a plan for the one shard of a value met a value that no vindex can map, but that servers may
// convert to one that rows have: 'abc' is 0 to an integer column. Nothing was sent; the statement has to be planned
// again as one of all shards.
var ErrSpread = errors.New("the value may be on any shard")

// target is a statement for one shard.
type target struct {
	shard ShardRef
	sql   []byte
}

// targets finds the shards of a route and writes their texts. There is always at least one: where no row can be, any
// shard gives the empty answer.
func (r *run) targets(ctx context.Context, route *plan.Route, plus uint64) ([]target, error) {
	if route.Dest.Kind == plan.DestHeads {
		return r.heads(route, plus)
	}
	shards, err := r.s.Shards(route.Keyspace)
	if err != nil {
		return nil, err
	}
	if len(shards) == 0 {
		return nil, errcode.New(errcode.KeyspaceIncomplete, route.Keyspace, "any key")
	}
	chosen, lists, err := r.choose(ctx, route, shards)
	if err != nil {
		return nil, err
	}
	out := make([]target, 0, len(chosen))
	for i, n := range chosen {
		t := target{shard: ShardRef{route.Keyspace, shards[n].Name}, sql: r.in.Src}
		if route.Text != nil {
			f := plan.Filling{Src: r.in.Src, Slots: r.in.Slots, Plus: plus}
			if route.Split && lists != nil {
				f.List = lists[i]
			}
			t.sql = route.Text.Fill(nil, f)
		}
		out = append(out, t)
	}
	return out, nil
}

// heads are one shard of each keyspace that is served and that the client may see. There is always at least one.
func (r *run) heads(route *plan.Route, plus uint64) ([]target, error) {
	var out []target
	may, limited := r.s.(Visibility)
	var failed error
	for _, ks := range route.Dest.Heads {
		shards, err := r.s.Shards(ks)
		if err != nil || len(shards) == 0 {
			failed = errcode.New(errcode.KeyspaceIncomplete, ks, "any key")
			continue
		}
		f := plan.Filling{Src: r.in.Src, Slots: r.in.Slots, Plus: plus, Own: ks, First: len(out) == 0}
		if limited && !may.MaySee(ks) {
			if f.Own = ""; !f.First {
				continue
			}
		}
		out = append(out, target{shard: ShardRef{ks, shards[0].Name}, sql: route.Text.Fill(nil, f)})
	}
	if len(out) == 0 {
		return nil, failed
	}
	return out, nil
}

// choose returns the indexes of the shards, sorted, and for each the members of the list that belong to it.
func (r *run) choose(ctx context.Context, route *plan.Route, shards []vschema.ShardInfo) (chosen []int, lists [][]int, err error) {
	d := &route.Dest
	switch d.Kind {
	case plan.DestAll:
		for i := range shards {
			chosen = append(chosen, i)
		}
		return chosen, nil, nil
	case plan.DestPinned:
		if i := vschema.Locate(shards, d.ID); i >= 0 {
			return []int{i}, nil, nil
		}
		return nil, nil, errcode.New(errcode.KeyspaceIncomplete, route.Keyspace, fmt.Sprintf("keyspace id %x", d.ID))
	case plan.DestOneShard:
		for i := range shards {
			if shards[i].Name == d.Shard {
				return []int{i}, nil, nil
			}
		}
		return nil, nil, errcode.New(errcode.NoSuchShard, route.Keyspace, d.Shard)
	case plan.DestValue, plan.DestIn:
		return r.byValues(ctx, route, shards)
	}
	return []int{0}, nil, nil
}

// byValues maps the values of a route to shards.
func (r *run) byValues(ctx context.Context, route *plan.Route, shards []vschema.ShardInfo) ([]int, [][]int, error) {
	d := &route.Dest
	values := make([]vindex.Value, len(d.Values))
	for i := range d.Values {
		v, err := d.Values[i].Resolve(r.in.Src, r.in.Slots, r.in.Params)
		if err != nil {
			return nil, nil, err
		}
		values[i] = v
	}
	groups := [][]vindex.Value{values}
	if d.Kind == plan.DestIn {
		groups = groups[:0]
		for i := range values {
			groups = append(groups, values[i:i+1])
		}
	}
	dests, err := r.mapValues(ctx, d.Vindex, d.Lookup, groups)
	if err != nil {
		return nil, nil, err
	}
	if d.Kind == plan.DestValue && !d.Strict && d.Vindex.Unique() && len(dests[0]) == 1 && dests[0][0].Kind == vindex.DestRange {
		return nil, nil, ErrSpread
	}
	members := map[int][]int{}
	for i, list := range dests {
		for _, dest := range list {
			found, err := within(shards, dest, route.Keyspace)
			if err != nil {
				return nil, nil, err
			}
			for _, n := range found {
				if m := members[n]; len(m) == 0 || m[len(m)-1] != i {
					members[n] = append(m, i)
				}
			}
		}
	}
	if len(members) == 0 {
		if d.Strict {
			return nil, nil, errcode.New(errcode.NoShardForValue, route.Keyspace, quoted(values), d.Vindex.Name())
		}
		return []int{0}, nil, nil
	}
	chosen := make([]int, 0, len(members))
	for n := range members {
		chosen = append(chosen, n)
	}
	sort.Ints(chosen)
	lists := make([][]int, 0, len(chosen))
	for _, n := range chosen {
		lists = append(lists, members[n])
	}
	return chosen, lists, nil
}

// within returns the indexes of the shards that a destination may be on.
func within(shards []vschema.ShardInfo, d vindex.Dest, keyspace string) ([]int, error) {
	switch d.Kind {
	case vindex.DestID:
		i := vschema.Locate(shards, d.ID)
		if i < 0 {
			return nil, errcode.New(errcode.KeyspaceIncomplete, keyspace, fmt.Sprintf("keyspace id %x", d.ID))
		}
		return []int{i}, nil
	case vindex.DestRange:
		var out []int
		for i := range shards {
			if shards[i].Range.Intersects(d.KeyRange()) {
				out = append(out, i)
			}
		}
		return out, nil
	}
	return nil, nil
}

// mapValues maps each group of values (one per column of the vindex) to its destinations: all shards where the vindex
// has no answer. Lookup vindexes read their table.
func (r *run) mapValues(ctx context.Context, v vindex.Vindex, table *vschema.Table, groups [][]vindex.Value) ([][]vindex.Dest, error) {
	out := make([][]vindex.Dest, len(groups))
	if lk, ok := v.(vindex.Lookup); ok {
		return out, r.readLookup(ctx, lk, table, groups, out)
	}
	for i, g := range groups {
		if len(g) == 1 && vindex.Fraction(g[0]) {
			out[i] = []vindex.Dest{{Kind: vindex.DestRange}}
			continue
		}
		d, err := mapFunctional(v, g)
		switch {
		case err != nil:
			out[i] = []vindex.Dest{{Kind: vindex.DestRange}}
		case d.Kind != vindex.DestNone:
			out[i] = []vindex.Dest{d}
		case len(g) != 1 || !vindex.NoRows(d, g[0]):
			// The servers may convert the value to one that rows have: all shards are asked. A writer takes only an id.
			out[i] = []vindex.Dest{{Kind: vindex.DestRange}}
		}
	}
	return out, nil
}

// mapFunctional maps the values of a vindex that needs no table.
func mapFunctional(v vindex.Vindex, values []vindex.Value) (vindex.Dest, error) {
	switch x := v.(type) {
	case vindex.MultiColumn:
		return x.MapMulti(values, nil)
	case vindex.Functional:
		return x.Map(values[0], nil)
	}
	return vindex.Dest{}, fmt.Errorf("vindex %s of type %s cannot be computed", v.Name(), v.Type())
}

// quoted prints values for an error message, shortened.
func quoted(values []vindex.Value) string {
	out := ""
	for i, v := range values {
		if i > 0 {
			out += ", "
		}
		switch {
		case v.Kind == vindex.Null:
			out += "NULL"
		case v.Kind == vindex.Text || v.Kind == vindex.Binary:
			out += fmt.Sprintf("%.64q", v.Raw)
		default:
			out += string(v.Raw[:min(len(v.Raw), 64)])
		}
	}
	return out
}
