package exec

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// maxFinish bounds the rows that are written into a finishing statement: servers parse about 200,000 rows a second in
// this form, and refuse statements beyond max_allowed_packet.
const (
	maxFinishRows  = 100_000
	maxFinishBytes = 12 << 20 // MariaDB's default max_allowed_packet is 16 MB
)

// openFinish writes the merged rows into a statement and lets a server do the rest.
func (r *run) openFinish(ctx context.Context, f *plan.Finish) (stream, error) {
	in, err := r.open(ctx, f.Input)
	if err != nil {
		return nil, err
	}
	fill := plan.Filling{Src: r.in.Src, Slots: r.in.Slots}
	cols := in.Columns()
	for _, at := range f.Inside {
		if t := typeOf(&cols[at]); t.Enum || t.Set {
			return nil, closing(in, errcode.New(errcode.Unsupported, "an ENUM or SET column in the order or an expression beside aggregates",
				"group by column + 0 too and order by that, or order the rows in the client"))
		}
	}
	w := &rowWriter{cols: cols[:max(1, min(f.Columns, len(cols)))], mariadb: r.s.MariaDB(), backslash: !r.s.Mode().NoBackslashEscapes}
	sql := append(f.Head.Fill(nil, fill), " FROM ("...)
	rows := 0
	for in.Next() {
		row := in.Values()
		if rows == 0 {
			w.collations(f.Collate, row)
		}
		if rows++; rows > maxFinishRows || len(sql) > maxFinishBytes {
			return nil, closing(in, errcode.New(errcode.RowLimit, maxFinishRows))
		}
		sql = w.append(sql, row, rows == 1)
	}
	if err := closing(in, in.Err()); err != nil {
		return nil, err
	}
	if rows == 0 {
		sql = w.append(sql, make([][]byte, len(cols)), true)
		sql = append(sql, " FROM DUAL WHERE FALSE"...)
	}
	sql = append(sql, ") AS "+plan.FinishName...)
	sql = f.Tail.Fill(sql, fill)
	shards, err := r.s.Shards(f.Keyspace)
	if err != nil {
		return nil, err
	}
	if len(shards) == 0 {
		return nil, errcode.New(errcode.KeyspaceIncomplete, f.Keyspace, "any key")
	}
	out, err := r.s.Query(ctx, ShardRef{f.Keyspace, shards[0].Name}, Query{SQL: sql})
	if err != nil {
		return nil, fmt.Errorf("finish the statement on %s/%s: %w", f.Keyspace, shards[0].Name, err)
	}
	return &unnamed{stream: out, direct: f.Direct, from: cols}, nil
}

// unnamed hides the name of the inlined rows from column definitions. A column that only passes through is described
// as the shards described it.
type unnamed struct {
	stream
	direct []int // for each column: the column of from that it is; -1 for an expression
	from   []wire.Column
	cols   []wire.Column
}

func (u *unnamed) Columns() []wire.Column {
	if u.cols == nil {
		u.cols = hideName(u.stream.Columns())
		for i, at := range u.direct {
			if at >= 0 && at < len(u.from) && i < len(u.cols) {
				name := u.cols[i].Name
				u.cols[i] = u.from[at]
				u.cols[i].Name = name
			}
		}
	}
	return u.cols
}

// hideName returns the columns without the name that a plan gives to a subquery of its own.
func hideName(cols []wire.Column) []wire.Column {
	out := append([]wire.Column(nil), cols...)
	for i := range out {
		if out[i].Table == plan.FinishName {
			out[i].Schema, out[i].Table, out[i].OrgTable, out[i].OrgName = "", "", "", ""
		}
	}
	return out
}

// rowWriter writes rows as SELECTs of typed constants.
type rowWriter struct {
	cols      []wire.Column
	collation []string
	mariadb   bool
	backslash bool // a backslash in a string is an escape
}

// collations reads the names of the columns' collations from the first row.
func (w *rowWriter) collations(from []plan.Column, row [][]byte) {
	w.collation = make([]string, len(w.cols))
	for i, c := range from {
		if at := index(c, len(row)); c != plan.NoColumn && at >= 0 && i < len(w.collation) && isName(row[at]) {
			w.collation[i] = string(row[at])
		}
	}
}

// isName reports whether a text can stand in a statement as the name of a collation.
func isName(v []byte) bool {
	for _, c := range v {
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return len(v) > 0
}

// append writes one row.
func (w *rowWriter) append(sql []byte, row [][]byte, first bool) []byte {
	if !first {
		sql = append(sql, " UNION ALL "...)
	}
	sql = append(sql, "SELECT "...)
	for i := range w.cols {
		if i > 0 {
			sql = append(sql, ", "...)
		}
		sql = w.value(sql, i, row[i])
		if first {
			sql = append(sql, " AS c"...)
			sql = strconv.AppendInt(sql, int64(i), 10)
		}
	}
	return sql
}

// value writes a constant of the column's type.
func (w *rowWriter) value(sql []byte, i int, v []byte) []byte {
	c := &w.cols[i]
	target := w.castOf(c)
	if target == "" {
		return w.text(sql, i, v)
	}
	inner := w.mariadb && c.Type == wire.TypeLongLong // MariaDB takes the width of a constant for its type
	if sql = append(sql, "CAST("...); inner {
		sql = append(sql, "CAST("...)
	}
	switch {
	case v == nil:
		sql = append(sql, "NULL"...)
	case c.Type == wire.TypeBit:
		sql = append(sql, "0x"...)
		sql = append(sql, hex.EncodeToString(v)...)
	case isNumeric(c.Type):
		sql = append(sql, v...)
	default:
		sql = value.AppendString(sql, string(v), !w.backslash)
	}
	if inner {
		sql = append(sql, " AS DECIMAL(20))"...)
	}
	return append(sql, " AS "+target+")"...)
}

func isNumeric(t byte) bool {
	switch t {
	case wire.TypeTiny, wire.TypeShort, wire.TypeInt24, wire.TypeLong, wire.TypeLongLong, wire.TypeYear,
		wire.TypeDecimal, wire.TypeNewDecimal, wire.TypeFloat, wire.TypeDouble:
		return true
	}
	return false
}

// castOf is the type of CAST that gives the column's type; "" for strings.
func (w *rowWriter) castOf(c *wire.Column) string {
	fraction := ""
	if c.Decimals > 0 && c.Decimals <= 6 {
		fraction = fmt.Sprintf("(%d)", c.Decimals)
	}
	switch c.Type {
	case wire.TypeTiny, wire.TypeShort, wire.TypeInt24, wire.TypeLong, wire.TypeLongLong:
		if c.Flags&wire.FlagUnsigned != 0 {
			return "UNSIGNED"
		}
		return "SIGNED"
	case wire.TypeYear, wire.TypeBit:
		return "UNSIGNED"
	case wire.TypeDecimal, wire.TypeNewDecimal:
		// 65 digits hold every decimal there is; the scale is the column's.
		return fmt.Sprintf("DECIMAL(65,%d)", min(c.Decimals, 30))
	case wire.TypeFloat, wire.TypeDouble:
		return "DOUBLE"
	case wire.TypeDate, wire.TypeNewDate:
		return "DATE"
	case wire.TypeDatetime, wire.TypeTimestamp:
		return "DATETIME" + fraction
	case wire.TypeTime:
		return "TIME" + fraction
	case wire.TypeJSON:
		return "JSON"
	}
	return ""
}

// text writes a string with the collation of its column.
func (w *rowWriter) text(sql []byte, i int, v []byte) []byte {
	if w.cols[i].Charset == value.BinaryID && w.cols[i].Type != wire.TypeNull {
		if v == nil {
			return append(sql, "CAST(NULL AS BINARY)"...)
		}
		if len(v) == 0 {
			return append(sql, "CAST('' AS BINARY)"...)
		}
		// Without the CAST it would be a number wherever a number is wanted.
		sql = append(sql, "CAST(0x"...)
		sql = append(sql, hex.EncodeToString(v)...)
		return append(sql, " AS BINARY)"...)
	}
	if v == nil {
		return append(sql, "NULL"...)
	}
	collation := ""
	if i < len(w.collation) {
		collation = w.collation[i]
	}
	charset, _, named := bytes.Cut([]byte(collation), []byte{'_'})
	if !named || collation == "binary" {
		return value.AppendString(sql, string(v), !w.backslash)
	}
	sql = append(sql, "CONVERT("...)
	sql = value.AppendString(sql, string(v), !w.backslash)
	sql = append(sql, " USING "...)
	sql = append(sql, charset...)
	return append(sql, ") COLLATE "+collation...)
}
