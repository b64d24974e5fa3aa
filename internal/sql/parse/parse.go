// Package parse turns the text of a MySQL or MariaDB statement into a tree whose every node knows the bytes
// that it came from, and into a fingerprint: a hash of the statement's shape and the places of its literals.
//
// It is tolerant: what it does not know it keeps as raw, balanced text, as long as it can still tell which tables,
// columns and values take part. It does not resolve names, does not check types, does not print trees: a statement
// is changed by editing the client's own bytes at the places that the tree names.
package parse

import "errors"

// Mode is the part of the session that changes how bytes are read.
type Mode struct {
	ANSIQuotes         bool // sql_mode ANSI_QUOTES: "x" is a name
	NoBackslashEscapes bool // sql_mode NO_BACKSLASH_ESCAPES
	PipesAsConcat      bool // sql_mode PIPES_AS_CONCAT
	IgnoreSpace        bool // sql_mode IGNORE_SPACE
	HighNotPrecedence  bool // sql_mode HIGH_NOT_PRECEDENCE
	MariaDB            bool // flavor: decides /*M! */ comments and words that differ
	Version            int  // announced server version as in versioned comments, e.g. 80400 or 101119
}

// ErrSyntax is wrapped by every error of Parse that is the statement's own fault.
var ErrSyntax = errors.New("syntax error")

// SlotKind is what a slot of a fingerprint holds.
type SlotKind uint8

// Kinds of slots.
const (
	SlotString  SlotKind = iota + 1
	SlotNumber           // integer, decimal or float
	SlotHexBit           // 0x.., x'..', 0b.., b'..'
	SlotParam            // ?
	SlotComment          // a plain comment: not part of the shape, carried along verbatim
)

// Slot is a place in the text that may differ between statements of one shape.
type Slot struct {
	Start, End int32
	Kind       SlotKind
	Escaped    bool // a string with backslashes or doubled quotes or adjacent parts: needs Unquote
}

// Shape is the 128-bit hash of all bytes of a statement but the contents of its slots. Two statements with equal
// shapes (and equal Mode) differ only in their slots.
type Shape struct{ Hi, Lo uint64 }
