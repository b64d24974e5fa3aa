// Package vindex maps column values to keyspace ids, as Vitess' vindexes do, byte for byte.
//
// Functional vindexes are pure functions of the value. Lookup vindexes are described here (which table, which
// columns, unique or not) but read and written by the executor: this package does no I/O.
package vindex

// Dest is where a value's rows are: one keyspace id, a key range, or nowhere.
type Dest struct {
	Kind  DestKind
	ID    []byte // DestID; may be empty, which is a valid id
	Start []byte // DestRange: inclusive; empty is the lowest
	End   []byte // DestRange: exclusive; empty is past the highest
}

// DestKind tells the forms of Dest apart.
type DestKind uint8

// Forms of a destination.
const (
	DestNone DestKind = iota // no shard can hold the value
	DestID
	DestRange
)

// Value is a column value as it reaches a vindex: the kind, and the text or bytes of the value without quotes.
type Value struct {
	Kind ValueKind
	Raw  []byte // decimal text for numbers, the bytes themselves for strings
}

// ValueKind is the kind of a value.
type ValueKind uint8

// Kinds of values. The names in vindex-vectors.jsonl (INT64, UINT64, VARCHAR, VARBINARY, ...) map to these.
const (
	Null    ValueKind = iota
	Int               // signed 64 bit, decimal text
	Uint              // unsigned 64 bit, decimal text
	Decimal           // decimal text
	Float             // float text
	Text              // character string, UTF-8
	Binary            // byte string
)

// Vindex is what all vindexes have in common.
type Vindex interface {
	Name() string      // of the instance in the vschema
	Type() string      // "hash", "xxhash", ...
	Cost() int         // 0 (cheapest) and up; the planner takes the cheapest that fits
	Unique() bool      // one value has at most one keyspace id
	NeedsLookup() bool // mapping needs rows of a lookup table: the executor does it
}

// Functional is a vindex over one column that needs no I/O.
type Functional interface {
	Vindex
	// Map appends nothing and allocates nothing in the common case: it writes the keyspace id into scratch (which has room for at
	// least 16 bytes, more is allocated when needed) and returns a Dest whose ID may alias scratch.
	Map(v Value, scratch []byte) (Dest, error)
}

// MultiColumn is a vindex over several columns; fewer values than columns give a range.
type MultiColumn interface {
	Vindex
	Columns() int
	MapMulti(vs []Value, scratch []byte) (Dest, error)
}
