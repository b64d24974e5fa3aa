package vindex

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Lookup is a vindex whose mapping lies in the rows of a table; the executor reads and writes them.
type Lookup interface {
	Vindex
	Table() *LookupTable
}

// ReadLock is how the rows of a lookup table are locked when a transaction that writes reads them.
type ReadLock uint8

// Locks of lookup rows.
const (
	LockExclusive ReadLock = iota // FOR UPDATE
	LockShared                    // LOCK IN SHARE MODE
	LockNone
)

// LookupTable describes the table behind a lookup vindex. It is immutable.
type LookupTable struct {
	Keyspace    string   // of the table; empty: the keyspace is found by the table's name
	Name        string   // of the table, without keyspace
	FromColumns []string // hold the column values of the vindex
	ToColumn    string   // holds the keyspace id (or its number, see EncodeID)
	Unique      bool     // FromColumns are a unique key of the table

	Consistent           bool // consistent_lookup: inserted before and deleted after the transaction of the owner's rows
	Autocommit           bool // written outside the transaction; rows are never deleted, extra rows are harmless
	MultiShardAutocommit bool // Autocommit, and one insert may commit on several shards one by one
	IgnoreNulls          bool // rows whose value is NULL have no lookup row
	WriteOnly            bool // being filled: maintained, but reads go to all shards
	NoVerify             bool // a value is not checked against the table when a row that does not own the vindex is inserted
	BatchLookup          bool // many values may be read by one statement whatever their type
	ReadLock             ReadLock

	numbers bool // ToColumn is an unsigned number: the keyspace id decrypted by "hash"
	folded  bool // the (one) from column is the first 8 bytes of unicode_loose_md5 of the value, as a number
	des     des64
	fold    folder
}

// lookup is the Vindex around a LookupTable.
type lookup struct {
	base
	table LookupTable
}

func (l *lookup) Unique() bool        { return l.table.Unique }
func (l *lookup) NeedsLookup() bool   { return true }
func (l *lookup) Table() *LookupTable { return &l.table }

// lookupKind says what a lookup type means beyond its parameters.
type lookupKind struct{ unique, consistent, numbers, folded bool }

func newLookup(b base, p params, kind lookupKind) (Vindex, error) {
	l := &lookup{base: b, table: LookupTable{Unique: kind.unique, Consistent: kind.consistent, numbers: kind.numbers, folded: kind.folded}}
	t := &l.table
	if err := t.setNames(p); err != nil {
		return nil, err
	}
	if t.folded && len(t.FromColumns) != 1 {
		return nil, fmt.Errorf("parameter from names %d columns: this type takes exactly one", len(t.FromColumns))
	}
	for _, f := range []struct {
		param string
		to    *bool
	}{
		{"autocommit", &t.Autocommit}, {"multi_shard_autocommit", &t.MultiShardAutocommit}, {"ignore_nulls", &t.IgnoreNulls},
		{"write_only", &t.WriteOnly}, {"no_verify", &t.NoVerify}, {"batch_lookup", &t.BatchLookup},
	} {
		switch v, ok := p[f.param]; {
		case !ok || v == "false":
		case v == "true":
			*f.to = true
		default:
			return nil, fmt.Errorf("parameter %s is %q: want true or false", f.param, v)
		}
	}
	t.Autocommit = t.Autocommit || t.MultiShardAutocommit
	switch v := p["read_lock"]; v {
	case "", "exclusive":
		t.ReadLock = LockExclusive
	case "shared":
		t.ReadLock = LockShared
	case "none":
		t.ReadLock = LockNone
	default:
		return nil, fmt.Errorf("parameter read_lock is %q: want exclusive, shared or none", v)
	}
	if t.folded {
		t.fold = newFolder()
	}
	var err error
	t.des, err = newDES64()
	return l, err
}

func (t *LookupTable) setNames(p params) error {
	table := strings.TrimSpace(p["table"])
	ks, name, qualified := strings.Cut(table, ".")
	if !qualified {
		ks, name = "", table
	}
	t.Keyspace, t.Name = unquote(ks), unquote(name)
	if t.Name == "" || qualified && t.Keyspace == "" {
		return fmt.Errorf("parameter table is %q: want the lookup table as keyspace.table", p["table"])
	}
	for from := range strings.SplitSeq(p["from"], ",") {
		from = unquote(strings.TrimSpace(from))
		if from == "" {
			return fmt.Errorf("parameter from is %q: want the lookup table's column names, separated by commas", p["from"])
		}
		t.FromColumns = append(t.FromColumns, from)
	}
	if t.ToColumn = unquote(strings.TrimSpace(p["to"])); t.ToColumn == "" {
		return fmt.Errorf("parameter to is missing: want the lookup table's column that holds the keyspace id")
	}
	return nil
}

func unquote(name string) string {
	if len(name) >= 2 && name[0] == '`' && name[len(name)-1] == '`' {
		return strings.ReplaceAll(name[1:len(name)-1], "``", "`")
	}
	return name
}

// EncodeID returns what stands in ToColumn for a keyspace id: its bytes, or for the lookup_hash types the number that
// "hash" maps to it; an error if there is none.
func (t *LookupTable) EncodeID(id []byte) (Value, error) {
	if !t.numbers {
		return Value{Kind: Binary, Raw: id}, nil
	}
	n, err := t.des.decrypt(id)
	if err != nil {
		return Value{}, fmt.Errorf("lookup table %s: %w", t.Name, err)
	}
	return uintValue(n), nil
}

// DecodeID returns the keyspace id for what was read from ToColumn. The id may alias v.
func (t *LookupTable) DecodeID(v Value) ([]byte, error) {
	if v.Kind == Null {
		return nil, fmt.Errorf("lookup table %s: column %s is NULL", t.Name, t.ToColumn)
	}
	if !t.numbers {
		return v.Raw, nil
	}
	n, ok := asUint64(v)
	if !ok {
		signed, isSigned := asSigned(v.Raw)
		if !isSigned {
			return nil, fmt.Errorf("lookup table %s: column %s holds %.64q, want a 64-bit number", t.Name, t.ToColumn, v.Raw)
		}
		n = uint64(signed)
	}
	id := make([]byte, idBytes)
	t.des.encrypt(n, id)
	return id, nil
}

// FromValue returns what stands in a from column for a column value: the value itself, or for the
// lookup_unicodeloosemd5_hash types the number made of its folded text.
func (t *LookupTable) FromValue(v Value) (Value, error) {
	if !t.folded || v.Kind == Null {
		return v, nil
	}
	b, err := bytesOf(v)
	if err != nil {
		return Value{}, err
	}
	var sum [16]byte
	md5, err := t.fold.appendKey(sum[:0], b, appendMD5)
	if err != nil {
		return Value{}, err
	}
	return uintValue(binary.BigEndian.Uint64(md5)), nil
}

// The statements. Names are quoted and values are "?" placeholders, in the order said; NULLs never reach them: a NULL
// value has no lookup row (IgnoreNulls), or is refused by the executor.

// SelectSQL reads the rows of n values of the first from column: columns (from, to), parameters the n values. With lock it takes the ReadLock.
func (t *LookupTable) SelectSQL(n int, lock bool) string {
	var b strings.Builder
	b.WriteString("select " + quote(t.FromColumns[0]) + ", " + quote(t.ToColumn) + " from " + t.quoted() + " where " + quote(t.FromColumns[0]))
	if n == 1 {
		b.WriteString(" = ?")
	} else {
		b.WriteString(" in (" + placeholders(n) + ")")
	}
	if lock {
		b.WriteString(t.ReadLock.clause())
	}
	return b.String()
}

// InsertSQL inserts n rows. Parameters for each row: all from columns, to. Rows should come sorted, so that two transactions lock
// in one order. With Autocommit and without Unique a row that exists is written over; ignore leaves it as it is.
func (t *LookupTable) InsertSQL(n int, ignore bool) string {
	var b strings.Builder
	b.WriteString("insert ")
	if ignore {
		b.WriteString("ignore ")
	}
	b.WriteString("into " + t.quoted() + " (" + quoteAll(t.FromColumns, ", ") + ", " + quote(t.ToColumn) + ") values ")
	row := "(" + placeholders(len(t.FromColumns)+1) + ")"
	b.WriteString(strings.TrimSuffix(strings.Repeat(row+", ", n), ", "))
	if t.Autocommit && !t.Unique && !ignore {
		b.WriteString(" on duplicate key update " + quote(t.ToColumn) + " = values(" + quote(t.ToColumn) + ")")
	}
	return b.String()
}

// DeleteSQL deletes the row of one full value and keyspace id. Parameters: all from columns, to. Not for Autocommit tables.
func (t *LookupTable) DeleteSQL() string {
	return "delete from " + t.quoted() + t.whereFrom() + " and " + quote(t.ToColumn) + " = ?"
}

func (t *LookupTable) whereFrom() string {
	return " where " + quoteAll(t.FromColumns, " = ? and ") + " = ?"
}

func (t *LookupTable) quoted() string {
	if t.Keyspace == "" {
		return quote(t.Name)
	}
	return quote(t.Keyspace) + "." + quote(t.Name)
}

func (l ReadLock) clause() string {
	switch l {
	case LockExclusive:
		return " for update"
	case LockShared:
		return " lock in share mode"
	default:
		return ""
	}
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func quoteAll(names []string, sep string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, sep)
}

func placeholders(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }
