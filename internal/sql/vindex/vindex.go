// Package vindex maps column values to keyspace ids, as Vitess' vindexes do, byte for byte.
//
// Functional vindexes are pure functions of the value. Lookup vindexes are described here (which table, which
// columns, unique or not, the statements they need) but read and written by the executor.
//
// It refuses to do I/O: a vindex whose parameters name a file gets the file's bytes through Options.ReadFile. It does not
// convert values between SQL types: what a literal means for a column is the planner's to decide before it asks.
package vindex

import "bytes"

// Dest is where a value's rows are: one keyspace id, a key range, or nowhere.
type Dest struct {
	Kind  DestKind
	ID    []byte // DestID; may be empty, which is a valid id
	Start []byte // DestRange: inclusive; empty is the lowest
	End   []byte // DestRange: exclusive; empty is past the highest
}

// KeyRange returns the range of a DestRange.
func (d Dest) KeyRange() KeyRange { return KeyRange{Start: d.Start, End: d.End} }

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
	Null       ValueKind = iota
	Int                  // signed 64 bit, decimal text
	Uint                 // unsigned 64 bit, decimal text
	Decimal              // decimal text
	Float                // float text
	Text                 // character string, UTF-8; also dates, times, enums and sets, as text
	Binary               // byte string
	HexLiteral           // 0xA1 or x'A1' as written; its bytes are the decoded ones, as a number it is none
	BitLiteral           // 0b101 or b'101' as written; the same
)

// NoRows says whether d, a vindex's answer for v, proves that no row is equal to v. DestNone alone does not: MySQL compares an
// integer column with text, decimals or hexadecimal literals by conversion (id = '1abc', id = 1.0 and id = 0x31 find
// rows), where the vindex maps none of these. A reader must then ask all shards; a writer refuses the value.
func NoRows(d Dest, v Value) bool {
	return d.Kind == DestNone && (v.Kind == Null || v.Kind == Int || v.Kind == Uint)
}

// Fraction reports whether v is a number that is not written as an integer is. A row that equals it may hold it in another
// form (4 for 4.0), so that a vindex over bytes does not find the row.
func Fraction(v Value) bool {
	return (v.Kind == Decimal || v.Kind == Float) && bytes.ContainsAny(v.Raw, ".eE")
}

// Vindex is what all vindexes have in common. A vindex is immutable and safe for concurrent use.
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
	// least 16 bytes, more is allocated when needed) and returns a Dest whose ID may alias scratch or v.Raw. A value that no row
	// can have under this vindex (text for a numeric one, NULL for most) is DestNone, not an error; an error is a value that
	// has no answer at all, such as invalid UTF-8 for a vindex that folds letters. For what DestNone proves see NoRows.
	Map(v Value, scratch []byte) (Dest, error)
}

// MultiColumn is a vindex over several columns; fewer values than columns give a range, where the type can (Partial).
type MultiColumn interface {
	Vindex
	Columns() int
	Partial() bool // leading columns alone give a key range
	// MapMulti is Map for several columns, in the order of the vschema. Fewer values than Columns give DestRange if Partial, else DestNone.
	MapMulti(vs []Value, scratch []byte) (Dest, error)
}
