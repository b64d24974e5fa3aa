package plan

import (
	"slices"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// copied reports whether the table has the same rows in several places: it is a reference table, or the source of one.
func copied(i *inst) bool {
	return i.kind == instReference || i.table != nil && len(i.table.ReferencedBy) > 0
}

// everywhere changes a table in all of its places: its source first, then the copies in other keyspaces, on each of
// their shards. It is one transaction.
func (b *builder) everywhere(target *inst, stmt parse.Node, insts []*inst) (*Plan, error) {
	own := target.table
	defer func() { target.table = own }()
	source := own
	if own.Source != nil {
		source = own.Source
	}
	if source.Keyspace.Sharded && !source.Reference {
		return nil, errcode.New(errcode.Unsupported, "writing the copies of "+source.String()+", which is itself sharded,", "make its source a table of an unsharded keyspace")
	}
	var first *Route
	for _, home := range append([]*vschema.Table{source}, source.ReferencedBy...) {
		target.table = home
		b.see(home.Keyspace.Name, home.Name)
		r := &Route{Keyspace: home.Keyspace.Name, Dest: Dest{Kind: DestAll}, Text: b.qualify(stmt, insts).compile(b.whole()), Write: true, FirstOK: true}
		if first == nil {
			first = r
			continue
		}
		first.Copies = append(first.Copies, r)
	}
	return &Plan{Class: Write, Root: first, Way: "write", Reason: "a reference table has its rows in several places"}, nil
}

func without(insts []*inst, one *inst) []*inst {
	return slices.DeleteFunc(slices.Clone(insts), func(i *inst) bool { return i == one })
}
