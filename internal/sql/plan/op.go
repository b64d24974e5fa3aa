package plan

import (
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// Op is a node of the tree that package exec runs.
type Op interface {
	// Inputs are the nodes whose rows this one works on.
	Inputs() []Op
	// line is the node's line in Explain.
	line() string
}

// DestKind is how the shards of a Route are found.
type DestKind uint8

// Kinds of destinations.
const (
	DestAll      DestKind = iota + 1 // every shard of the keyspace
	DestAny                          // one shard, whichever
	DestValue                        // the shard of one value
	DestIn                           // the shards of the values of a list
	DestPinned                       // the shard of a fixed keyspace id
	DestOneShard                     // a shard by name
	DestHeads                        // one shard of each keyspace, for what each keyspace says of itself
)

// Dest says which shards a Route goes to.
type Dest struct {
	Kind   DestKind
	Vindex vindex.Vindex  // DestValue, DestIn: functional, multi-column or lookup
	Lookup *vschema.Table // the table behind a lookup vindex; nil for others
	Values []ValueRef     // DestValue: one per column of the vindex; DestIn: the list
	ID     []byte         // DestPinned
	Shard  string         // DestOneShard
	Heads  []string       // DestHeads: the keyspaces
	Strict bool           // a value that no shard can hold is an error; otherwise any shard gives the empty answer
}

// Route runs a text on shards; its rows are theirs, one shard after the other.
type Route struct {
	Keyspace string
	Dest     Dest
	Text     *Text
	Split    bool // each shard gets only its own members of the text's IN list
	Write    bool
	Lock     bool     // takes row locks
	Hidden   int      // columns appended for merging, at the end of each row
	Copies   []*Route // of a write: the same one in other keyspaces, in the same transaction
	FirstOK  bool     // affected rows count once: each shard changes the same rows (reference tables)
}

// Column is the index of a column of a row: from the start when it is >= 0, from the end when negative (-1 is the
// last). Indexes from the end are needed because the width of * is not known when planning.
type Column int

// Key is a column that rows are compared by.
type Key struct {
	Col    Column
	Weight Column // column with the server's weight string of Col; NoColumn when there is none
	Number int    // of Weight among the text's sort keys, for Filling.Plus; -1 when it has none
	Desc   bool
}

// NoColumn stands for a column that is absent.
const NoColumn Column = 1 << 30

// Merge joins the rows of the shards, each ordered by Keys, to one ordered stream.
type Merge struct {
	Input *Route
	Keys  []Key
}

// Dedup passes the first of the rows that are equal by Keys, of which there is at least one.
type Dedup struct {
	Input Op
	Keys  []Key
}

// AggKind is how partial values of one column become one.
type AggKind uint8

// Kinds of aggregates.
const (
	AggCount AggKind = iota + 1 // sum of integers, 0 for none
	AggSum
	AggMin
	AggMax
	AggAvg // from the columns Sum and Count
	AggBitAnd
	AggBitOr
	AggBitXor
	AggCountDistinct // from the columns Args
	AggSumDistinct
	AggAvgDistinct
	AggConcat // texts joined by commas, as GROUP_CONCAT without an order does
)

// Agg merges one column of a Group.
type Agg struct {
	Kind   AggKind
	Col    Column
	Weight Column // AggMin, AggMax: weight string of Col
	Sum    Column // AggAvg; AggSum: what to add instead of Col, with more digits, or NoColumn
	Count  Column // AggAvg
	Args   []Key  // distinct ones: the argument columns
}

// Group merges the rows of the shards that are equal by Keys into one. Without Keys there is exactly one group, even
// when no row comes.
type Group struct {
	Input  Op
	Keys   []Key
	Aggs   []Agg
	Scalar bool // no GROUP BY: exactly one row
}

// Sort orders rows in memory.
type Sort struct {
	Input Op
	Keys  []Key
}

// Strip drops the hidden columns at the end of each row.
type Strip struct {
	Input  Op
	Hidden int
}

// Limit skips Offset rows and passes Count. Count -1 has no limit.
type Limit struct {
	Input         Op
	Count, Offset int64
	CalcFound     bool // all rows are counted, for FOUND_ROWS()
}

// Finish runs a statement over the rows of its input, on any shard of the keyspace: what the gateway does not
// compute itself (HAVING, expressions over aggregates) is computed by a server. The input's rows stand in the text
// as the table Name with columns c0, c1, ...
type Finish struct {
	Input    Op
	Keyspace string
	Direct   []int    // for each column of the result: the input's column that it is; -1 for an expression
	Inside   []int    // columns of the input that the statement orders by or computes with
	Columns  int      // how many of the input's columns are passed on, from the start
	Collate  []Column // for each column: where the name of its collation stands; NoColumn when it has none
	Head     *Text    // up to the table
	Tail     *Text    // after the table
}

// Inputs implements Op.
func (r *Route) Inputs() []Op {
	var out []Op
	for _, c := range r.Copies {
		out = append(out, c)
	}
	return out
}

// Inputs implements Op.
func (m *Merge) Inputs() []Op { return []Op{m.Input} }

// Inputs implements Op.
func (d *Dedup) Inputs() []Op { return []Op{d.Input} }

// Inputs implements Op.
func (g *Group) Inputs() []Op { return []Op{g.Input} }

// Inputs implements Op.
func (s *Sort) Inputs() []Op { return []Op{s.Input} }

// Inputs implements Op.
func (s *Strip) Inputs() []Op { return []Op{s.Input} }

// Inputs implements Op.
func (l *Limit) Inputs() []Op { return []Op{l.Input} }

// Inputs implements Op.
func (f *Finish) Inputs() []Op { return []Op{f.Input} }

// InsertValue is one column of one row of an Insert.
type InsertValue struct {
	Text    *Text    // as it was written; nil for the keyword DEFAULT
	Value   ValueRef // set when Known
	Known   bool     // the text is a constant
	Alone   bool     // not a constant, but a server can compute it without the rest of the statement
	Default bool     // the keyword DEFAULT
}

// Insert writes rows, each to its own shard.
type Insert struct {
	Table     *vschema.Table
	Replace   bool
	Ignore    bool
	Head      *Text    // up to and without the column list
	Columns   []string // as in the column list; nil when the table's own order has to be asked for
	Rows      [][]InsertValue
	Bulk      []parse.Span // a large statement's rows in batches, for BulkRows, instead of Rows
	Select    *Plan        // INSERT .. SELECT: rows come from there
	Tail      *Text        // after the rows, with ON DUPLICATE KEY
	Returning bool
}

// Inputs implements Op.
func (i *Insert) Inputs() []Op {
	if i.Select != nil && i.Select.Root != nil {
		return []Op{i.Select.Root}
	}
	return nil
}

// Owned is a lookup vindex whose rows a write has to keep.
type Owned struct {
	Vindex  vindex.Lookup
	Table   *vschema.Table // the lookup table
	Columns []string       // the owner's columns; in each row of Read their old values and, for an UPDATE, the new ones
}

// Change is an UPDATE or DELETE of a table that owns lookup vindexes: the rows are read and locked first, their
// lookup rows changed, then the statement is run.
type Change struct {
	Route   *Route
	Table   *vschema.Table
	Read    *Text // SELECT of KeyCols, then for each Owned its columns and their new values, FOR UPDATE
	KeyCols int   // columns of the primary vindex at the start of each row of Read
	Owned   []Owned
	Delete  bool
}

// Inputs implements Op.
func (c *Change) Inputs() []Op { return []Op{c.Route} }

// Broadcast runs a text on every shard of a keyspace, as schema changes do.
type Broadcast struct {
	Keyspace string
	Text     *Text
	Again    string // what to do after it has failed on some of the shards
}

// Inputs implements Op.
func (*Broadcast) Inputs() []Op { return nil }

// Lines answers with rows of one text column that are part of the plan.
type Lines struct {
	Name string
	Text []string
}

// Inputs implements Op.
func (*Lines) Inputs() []Op { return nil }

// Note does nothing and succeeds, with a note among the statement's warnings.
type Note struct {
	Code     uint16 // MySQL's number
	Text     string
	Affected uint64 // as a server counts it
}

// Inputs implements Op.
func (*Note) Inputs() []Op { return nil }

// NextValue takes values from a sequence.
type NextValue struct {
	Sequence *vschema.Table
	Count    int64
	Name     string // of the result's column
}

// Inputs implements Op.
func (*NextValue) Inputs() []Op { return nil }
