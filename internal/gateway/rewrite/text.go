package rewrite

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// Ident writes a name in backticks.
func Ident(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// Table writes a table's name, with its schema if it has one.
func Table(t parse.TableName) string {
	if t.Schema.Name != "" {
		return Ident(t.Schema.Name) + "." + Ident(t.Name.Name)
	}
	return Ident(t.Name.Name)
}

// String writes a string that reads the same with and without NO_BACKSLASH_ESCAPES.
func String(v string) string {
	if strings.ContainsRune(v, '\\') {
		return fmt.Sprintf("_utf8mb4 x'%x'", v)
	}
	return "'" + strings.ReplaceAll(v, "'", "''") + "'"
}

// Literal writes a column's value of the text protocol as SQL; nil is NULL.
func Literal(col wire.Column, v []byte) string {
	const binary = 63 // the character set of what is no text
	switch {
	case v == nil:
		return "NULL"
	case col.Type == wire.TypeBit:
		return fmt.Sprintf("b'%s'", bits(v))
	case isNumber(col.Type):
		return string(v)
	case col.Charset == binary:
		return fmt.Sprintf("x'%x'", v)
	default:
		return String(string(v))
	}
}

func bits(v []byte) string {
	var b strings.Builder
	for _, x := range v {
		fmt.Fprintf(&b, "%08b", x)
	}
	return b.String()
}

func isNumber(t byte) bool {
	switch t {
	case wire.TypeTiny, wire.TypeShort, wire.TypeInt24, wire.TypeLong, wire.TypeLongLong,
		wire.TypeDecimal, wire.TypeNewDecimal, wire.TypeFloat, wire.TypeDouble, wire.TypeYear:
		return true
	}
	return false
}

// Unquote returns what a literal of a string says.
func Unquote(literal string, mode parse.Mode) string {
	slot := parse.Slot{End: int32(len(literal)), Kind: parse.SlotString, Escaped: true}
	return string(parse.Unquote([]byte(literal), slot, mode, nil))
}

// Params replaces the parameters of a text by literals, and says how many parameters there are.
func Params(sql []byte, slots []parse.Slot, values [][]byte) ([]byte, int) {
	out := make([]byte, 0, len(sql)+64)
	at, n := 0, 0
	for _, sl := range slots {
		if sl.Kind != parse.SlotParam {
			continue
		}
		if n < len(values) {
			out = append(append(out, sql[at:sl.Start]...), values[n]...)
			at = int(sl.End)
		}
		n++
	}
	return append(out, sql[at:]...), n
}

// Sidecar is the database that belongs to Pelorus itself.
const Sidecar = "_pelorus"

// NamesSidecar says whether a statement names Pelorus' own database outside its literals.
func NamesSidecar(sql []byte, slots []parse.Slot) bool {
	if !containsFold(sql, Sidecar) {
		return false
	}
	at := 0
	for _, sl := range slots {
		if containsFold(sql[at:sl.Start], Sidecar) {
			return true
		}
		at = int(sl.End)
	}
	return containsFold(sql[at:], Sidecar)
}

func containsFold(b []byte, lower string) bool {
	for len(b) >= len(lower) {
		i := bytes.IndexByte(b, lower[0])
		if i < 0 || len(b)-i < len(lower) {
			return false
		}
		if bytes.EqualFold(b[i:i+len(lower)], []byte(lower)) {
			return true
		}
		b = b[i+1:]
	}
	return false
}

// Blank says whether there is nothing but blanks and semicolons.
func Blank(sql []byte) bool { return len(bytes.Trim(sql, " \t\r\n;")) == 0 }

// Empty says whether there is nothing but blanks, semicolons and comments that servers do not read either.
func Empty(sql []byte) bool {
	for {
		sql = bytes.TrimLeft(sql, " \t\r\n;")
		switch {
		case len(sql) == 0:
			return true
		case sql[0] == '#' || bytes.HasPrefix(sql, []byte("-- ")):
			_, sql, _ = bytes.Cut(sql, []byte("\n"))
		case bytes.HasPrefix(sql, []byte("/*")) && !bytes.HasPrefix(sql, []byte("/*!")) && !bytes.HasPrefix(sql, []byte("/*M!")):
			_, sql, _ = bytes.Cut(sql, []byte("*/"))
		default:
			return false
		}
	}
}
