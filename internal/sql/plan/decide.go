package plan

import (
	"iter"
	"slices"
	"sort"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// verdict is where a statement goes as a whole.
type verdict struct {
	keyspace string
	fast     *Fast // one shard
	dest     Dest  // otherwise: these shards, each with its part of the answer
	anchor   *inst // the table whose rows decide the shard
	reason   string
}

// decide finds the shards of the statement, or says why no set of shards can answer it part by part.
func (a *analysis) decide() (*verdict, error) {
	sharded, rest, err := a.keyspaces()
	if err != nil {
		return nil, err
	}
	if len(sharded) == 0 {
		return rest, nil
	}
	v := &verdict{keyspace: sharded[0].table.Keyspace.Name, anchor: sharded[0]}
	if f := a.single(sharded); f != nil {
		f.Keyspace = v.keyspace
		v.fast, v.reason = f, "all tables are bound to one value"
		if f.Kind == Pinned {
			v.reason = "pinned table"
		}
		return v, nil
	}
	if err := a.together(v, sharded); err != nil {
		return nil, err
	}
	return v, nil
}

// keyspaces sorts the tables by kind. Without sharded ones the verdict is ready.
func (a *analysis) keyspaces() (sharded []*inst, v *verdict, err error) {
	names := map[string]bool{}
	var reference, unsharded string
	for _, i := range a.insts {
		if i.table == nil {
			continue
		}
		ks := i.table.Keyspace.Name
		switch i.kind {
		case instSharded, instPinned:
			sharded = append(sharded, i)
		case instUnsharded:
			unsharded = ks
		case instReference:
			reference = ks
		default:
			continue
		}
		names[ks] = true
	}
	if len(names) > 1 {
		var list []string
		for n := range sortedKeys(names) {
			list = append(list, n)
		}
		return nil, nil, errcode.New(errcode.CrossKeyspace, strings.Join(list, ", "))
	}
	if len(sharded) > 0 {
		return sharded, nil, nil
	}
	switch {
	case unsharded != "":
		return nil, &verdict{keyspace: unsharded, fast: &Fast{Keyspace: unsharded, Kind: Unsharded}, reason: "unsharded keyspace"}, nil
	case reference != "":
		return nil, &verdict{keyspace: reference, fast: &Fast{Keyspace: reference, Kind: AnyShard}, reason: "reference table"}, nil
	}
	ks := a.b.env.Keyspace
	if isSystemSchema(ks) {
		ks = ""
	}
	return nil, &verdict{keyspace: ks, fast: a.b.anyShard(ks), reason: "no sharded table"}, nil
}

// anyShard goes to whichever shard of the keyspace.
func (b *builder) anyShard(keyspace string) *Fast {
	if ks := b.keyspace(keyspace); ks != nil && !ks.Sharded {
		return &Fast{Keyspace: keyspace, Kind: Unsharded}
	}
	return &Fast{Keyspace: keyspace, Kind: AnyShard}
}

func (b *builder) keyspace(name string) *vschema.Keyspace {
	if b.env.VSchema == nil || name == "" {
		return nil
	}
	return b.env.VSchema.Keyspace(name)
}

// single returns the one destination to which every table is bound; nil when there is none.
func (a *analysis) single(sharded []*inst) *Fast {
	var first *Fast
	for _, i := range sharded {
		f := a.bound(i, first)
		if f == nil {
			return nil
		}
		if first == nil {
			first = f
		}
	}
	return first
}

// bound returns the destination to which the table is bound; the one that equals want when want is set.
func (a *analysis) bound(i *inst, want *Fast) *Fast {
	if i.kind == instPinned {
		if want != nil && (want.Kind != Pinned || string(want.ID) != string(i.table.Pinned)) {
			return nil
		}
		return &Fast{Kind: Pinned, ID: i.table.Pinned}
	}
	e := i.block.equalities()
	for _, v := range i.vcols {
		f := fastOf(v, i, e)
		if f != nil && (want == nil || a.sameFast(f, want)) {
			return f
		}
	}
	return nil
}

// fastOf builds the destination of a vindex whose columns all equal constants.
func fastOf(v vcol, i *inst, e *equalities) *Fast {
	values := make([]ValueRef, len(v.columns))
	for n, c := range v.columns {
		val, ok := e.value(colKey{i, c})
		if !ok {
			return nil
		}
		values[n] = val
	}
	switch x := v.vindex.(type) {
	case vindex.Functional:
		return &Fast{Kind: ByValue, Vindex: x, Value: values[0]}
	case vindex.MultiColumn:
		return &Fast{Kind: ByValue, Multi: x, Values: values}
	}
	return nil
}

// sameFast reports whether both go to one shard in any statement that the guards let pass.
func (a *analysis) sameFast(f, want *Fast) bool {
	if f.Kind != want.Kind || f.Vindex != want.Vindex || f.Multi != want.Multi {
		return false
	}
	x, y := f.refs(), want.refs()
	if len(x) != len(y) {
		return false
	}
	for n := range x {
		same, guard := a.b.sameValue(x[n], y[n])
		if !same {
			return false
		}
		if guard {
			a.b.guardSlot(x[n].Slot)
			a.b.guardSlot(y[n].Slot)
		}
	}
	return true
}

// refs are the values of a ByValue destination, one per column.
func (f *Fast) refs() []ValueRef {
	if f.Vindex != nil {
		return []ValueRef{f.Value}
	}
	return f.Values
}

// together checks that rows which meet are always on one shard, and finds the shards.
func (a *analysis) together(v *verdict, sharded []*inst) error {
	if a.top == nil {
		return errcode.New(errcode.Unsupported, "a set operation over several shards", "run its parts one by one, or bind all tables to one sharding key")
	}
	var tops []*inst
	for _, i := range a.top.insts {
		if i.kind == instSharded || i.kind == instDerived || i.kind == instPinned {
			tops = append(tops, i)
		}
	}
	if len(tops) == 0 {
		return a.apart(sharded[0])
	}
	v.anchor = tops[0]
	connected := []*inst{tops[0]}
	pending := make([]*inst, 0, len(a.insts))
	for _, i := range a.insts {
		switch {
		case i == tops[0]:
		case i.kind == instOpaque:
			return a.apart(i)
		case i.kind == instSharded || i.kind == instDerived || i.kind == instPinned:
			pending = append(pending, i)
		}
	}
	for progress := true; progress && len(pending) > 0; {
		progress = false
		for n := 0; n < len(pending); n++ {
			if a.connects(pending[n], connected) {
				connected = append(connected, pending[n])
				pending = slices.Delete(pending, n, n+1)
				progress = true
				n--
			}
		}
	}
	if len(pending) > 0 {
		return a.apart(pending[0])
	}
	v.dest = a.destination(tops, connected)
	v.reason = "the tables' rows meet on their shards"
	if len(connected) == 1 {
		v.reason = "rows of several shards"
	}
	return nil
}

// connects reports whether i's rows are on the shard of the rows of a connected table that they meet.
func (a *analysis) connects(i *inst, connected []*inst) bool {
	e := i.block.equalities()
	for _, c := range connected {
		if i.block.within(c.block) && a.b.sameShard(i, c, e) {
			return true
		}
		// The other way round: what a derived table is made of connects it to the rest.
		if c.block.within(i.block) && c.block != i.block && a.b.sameShard(i, c, c.block.equalities()) && i.kind == instDerived {
			return true
		}
	}
	return false
}

// apart is the error for a table whose rows may be elsewhere.
func (a *analysis) apart(i *inst) error {
	if i.block != nil && i.block.sub || i.kind == instOpaque {
		place := i.name
		if i.block != nil && i.block.place != "" {
			place = i.block.place
		}
		return errcode.New(errcode.CrossShardSubquery, place)
	}
	var names []string
	for _, x := range a.top.insts {
		names = append(names, x.name)
	}
	if !slices.Contains(names, i.name) {
		names = append(names, i.name)
	}
	return errcode.New(errcode.CrossShardJoin, strings.Join(names, ", "))
}

// destination narrows the shards by the constants that bind the tables.
func (a *analysis) destination(tops, connected []*inst) Dest {
	for _, i := range connected {
		if i.block != a.top || i.kind == instPinned {
			continue
		}
		e := i.block.equalities()
		for _, v := range i.vcols {
			if f := fastOf(v, i, e); f != nil {
				return Dest{Kind: DestValue, Vindex: v.vindex, Values: f.refs()}
			}
			if len(v.columns) != 1 {
				continue
			}
			for _, c := range e.consts[e.root(colKey{i, v.columns[0]})] {
				if len(c.values) > 1 {
					return Dest{Kind: DestIn, Vindex: v.vindex, Values: c.values}
				}
			}
		}
	}
	for _, i := range tops {
		if d, ok := a.lookup(i); ok {
			return d
		}
	}
	if tops[0].kind == instPinned {
		return Dest{Kind: DestPinned, ID: tops[0].table.Pinned}
	}
	return Dest{Kind: DestAll}
}

// lookup finds a lookup vindex whose column is bound.
func (a *analysis) lookup(i *inst) (Dest, bool) {
	if i.table == nil {
		return Dest{}, false
	}
	e := i.block.equalities()
	for _, cv := range i.table.ColumnVindexes {
		lk, ok := cv.Vindex.(vindex.Lookup)
		if !ok || len(cv.Columns) == 0 || lk.Table().WriteOnly || cv.Lookup == nil {
			continue
		}
		for _, c := range e.consts[e.root(i.column(cv.Columns[0]))] {
			kind := DestValue
			if len(c.values) > 1 {
				kind = DestIn
			}
			return Dest{Kind: kind, Vindex: cv.Vindex, Lookup: cv.Lookup, Values: c.values}, true
		}
	}
	return Dest{}, false
}

// tableNames are the tables that were found, sorted.
func (b *builder) tableNames() []string {
	var out []string
	for n := range sortedKeys(b.seen) {
		out = append(out, n)
	}
	return out
}

// sortedKeys iterates over a map's keys in order.
func sortedKeys[V any](m map[string]V) iter.Seq[string] {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return slices.Values(keys)
}
