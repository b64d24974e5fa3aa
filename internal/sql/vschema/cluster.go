// Package vschema is the model of how a cluster's keyspaces, tables and columns are sharded: it reads the vschemas and
// routing rules that operators write, checks them, and compiles them into an immutable, indexed Cluster for the planner.
//
// It refuses to guess: an entry that contradicts another is a problem with a place and a reason, the table concerned answers with that
// error, and all other tables work. It does no I/O, knows no columns that the vschema does not name, and never changes a Cluster.
package vschema

import (
	"maps"
	"slices"
	"strings"

	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// Types of tables, as in TableDoc.Type. An ordinary table's type is empty.
const (
	TypeSequence  = "sequence"
	TypeReference = "reference"
)

// Cluster is the compiled vschema of all keyspaces. It is immutable: everything that it hands out is shared and must not be changed.
type Cluster struct {
	version   uint64
	keyspaces map[string]*Keyspace
	global    map[string][]*Table // by name, of the keyspaces without RequireExplicitRouting
	rules     routes
}

// Keyspace is a logical database.
type Keyspace struct {
	Name                   string
	Sharded                bool
	Shards                 []ShardInfo // sorted by range; as they were when the Cluster was made
	RequireExplicitRouting bool        // its tables are found only by keyspace
	ForeignKeyMode         string      // "" or unspecified, disallow, unmanaged, managed

	tables   map[string]*Table
	vindexes map[string]vindex.Vindex
	broken   error // the whole vschema is not usable
}

// ShardInfo is a shard's name and range.
type ShardInfo struct {
	Name  string
	Range vindex.KeyRange
}

// Table is a table as the planner sees it.
type Table struct {
	Keyspace       *Keyspace
	Name           string
	Type           string         // "", TypeSequence or TypeReference
	ColumnVindexes []ColumnVindex // the first is the primary; none in unsharded keyspaces, for reference and for pinned tables
	AutoIncrement  *AutoInc       // nil: the servers' own, if any
	Pinned         []byte         // not nil: all rows are on the shard of this keyspace id
	Reference      bool           // every shard has all rows
	Source         *Table         // of a reference table: where it is written first; nil: it has no other home
	ReferencedBy   []*Table       // the reference tables whose Source this is, sorted by keyspace
	Columns        []Column       // as far as the vschema names them
	Authoritative  bool           // Columns are all columns, in order

	broken error // using the table is this error
}

// Column is a column that the vschema names. Names are compared without regard to case.
type Column struct {
	Name      string
	Type      string // INT64, VARCHAR, ...; may be empty
	Collation string // may be empty
	Invisible bool
}

// ColumnVindex ties columns of a table to a vindex.
type ColumnVindex struct {
	Name    string // of the vindex
	Columns []string
	Vindex  vindex.Vindex
	Owned   bool   // writes of this table maintain the lookup table
	Lookup  *Table // the lookup table; nil for functional vindexes
}

// AutoInc says which sequence fills a column that an INSERT leaves out.
type AutoInc struct {
	Column   string
	Sequence *Table
}

// Version returns the number that NewCluster was given: plans made with one Cluster are not for another.
func (c *Cluster) Version() uint64 { return c.version }

// Keyspace returns a keyspace, nil if there is none of the name.
func (c *Cluster) Keyspace(name string) *Keyspace { return c.keyspaces[name] }

// Keyspaces returns all keyspaces, sorted by name.
func (c *Cluster) Keyspaces() []*Keyspace { return sortedByName(c.keyspaces) }

// Table returns a table that the vschema declares, nil if it declares none of the name; see Cluster.FindTable for the rest.
func (k *Keyspace) Table(name string) *Table { return k.tables[name] }

// Tables returns the tables that the vschema declares, sorted by name.
func (k *Keyspace) Tables() []*Table { return sortedByName(k.tables) }

// Vindex returns a vindex, nil if there is none of the name, or it is not usable.
func (k *Keyspace) Vindex(name string) vindex.Vindex { return k.vindexes[name] }

// Err returns why no table of the keyspace can be used; nil if they can.
func (k *Keyspace) Err() error { return k.broken }

// Err returns why the table can't be used; nil if it can.
func (t *Table) Err() error { return t.broken }

// Primary returns the vindex that says where rows are; nil if the table has none.
func (t *Table) Primary() *ColumnVindex {
	if len(t.ColumnVindexes) == 0 {
		return nil
	}
	return &t.ColumnVindexes[0]
}

// Owned returns the vindexes whose lookup tables follow this table's rows.
func (t *Table) Owned() []*ColumnVindex {
	var owned []*ColumnVindex
	for i := range t.ColumnVindexes {
		if t.ColumnVindexes[i].Owned {
			owned = append(owned, &t.ColumnVindexes[i])
		}
	}
	return owned
}

// Column returns the column of the name (in any case), nil if the vschema does not name it.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if strings.EqualFold(t.Columns[i].Name, name) {
			return &t.Columns[i]
		}
	}
	return nil
}

// String returns keyspace.table.
func (t *Table) String() string { return t.Keyspace.Name + "." + t.Name }

// Index returns where in the vindex' columns the column stands, in any case; -1 if it is not one of them.
func (cv *ColumnVindex) Index(column string) int {
	return slices.IndexFunc(cv.Columns, func(c string) bool { return strings.EqualFold(c, column) })
}

// Locate returns the index of the shard that holds the keyspace id, among shards sorted by range; -1 if none does. It allocates nothing.
func Locate(shards []ShardInfo, id []byte) int {
	lo, hi := 0, len(shards)
	for lo < hi { // the first shard that starts above id
		if mid := (lo + hi) / 2; string(shards[mid].Range.Start) <= string(id) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo > 0 && shards[lo-1].Range.Contains(id) {
		return lo - 1
	}
	return -1
}

// Within returns the shards that a destination may be on, in their order: none, one, or those that its range touches.
func Within(shards []ShardInfo, d vindex.Dest) []ShardInfo {
	switch d.Kind {
	case vindex.DestID:
		if i := Locate(shards, d.ID); i >= 0 {
			return shards[i : i+1]
		}
	case vindex.DestRange:
		var in []ShardInfo
		for _, s := range shards {
			if s.Range.Intersects(d.KeyRange()) {
				in = append(in, s)
			}
		}
		return in
	}
	return nil
}

func sortedByName[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[name])
	}
	return out
}
