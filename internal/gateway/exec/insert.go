package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// inserting is the run of one Insert.
type inserting struct {
	run     *run
	op      *plan.Insert
	shards  []vschema.ShardInfo
	columns []string

	rows  [][]plan.InsertValue
	first uint64 // the first value that a sequence gave; 0 for none

	reserved int64 // of a bulk: the sequence's value for the next row that needs one
}

// insert writes rows, each to its shard.
func (r *run) insert(ctx context.Context, op *plan.Insert, sink Sink) (wire.OK, error) {
	n := &inserting{run: r, op: op, columns: op.Columns, rows: slices.Clone(op.Rows)}
	var err error
	if n.shards, err = r.s.Shards(op.Table.Keyspace.Name); err != nil {
		return wire.OK{}, err
	}
	if len(n.shards) == 0 {
		return wire.OK{}, errcode.New(errcode.KeyspaceIncomplete, op.Table.Keyspace.Name, "any key")
	}
	if len(n.columns) == 0 && n.needsColumns() {
		if n.columns, err = n.readColumns(ctx); err != nil {
			return wire.OK{}, err
		}
	}
	if op.Select != nil {
		if n.rows, err = n.selectRows(ctx); err != nil {
			return wire.OK{}, err
		}
		if len(n.rows) == 0 {
			return wire.OK{Info: "Records: 0  Duplicates: 0  Warnings: 0"}, nil
		}
	}
	var ok wire.OK
	if op.Bulk != nil {
		ok, err = n.bulk(ctx, sink)
	} else {
		ok, err = n.send(ctx, sink)
	}
	if err != nil {
		return wire.OK{}, err
	}
	if n.first != 0 {
		r.s.SetInsertID(n.first)
		ok.InsertID = n.first
	}
	return ok, nil
}

// send completes the rows at hand and writes them.
func (n *inserting) send(ctx context.Context, sink Sink) (wire.OK, error) {
	if err := n.compute(ctx); err != nil {
		return wire.OK{}, err
	}
	if err := n.fill(ctx); err != nil {
		return wire.OK{}, err
	}
	ids, err := n.place(ctx)
	if err != nil {
		return wire.OK{}, err
	}
	return n.write(ctx, ids, sink)
}

// needsColumns reports whether the position of a column in the rows matters.
func (n *inserting) needsColumns() bool {
	return n.op.Table.Keyspace.Sharded && len(n.op.Table.ColumnVindexes) > 0 || n.op.Table.AutoIncrement != nil
}

// readColumns asks a shard for the table's columns, because the statement does not name them. They are not kept: a
// list that a schema change made wrong would send rows to the wrong shards.
func (n *inserting) readColumns(ctx context.Context) ([]string, error) {
	t := n.op.Table
	sql := []byte("SELECT column_name FROM information_schema.columns WHERE table_schema = ")
	sql = value.AppendString(sql, t.Keyspace.Name, n.run.s.Mode().NoBackslashEscapes)
	sql = append(sql, " AND table_name = "...)
	sql = value.AppendString(sql, t.Name, n.run.s.Mode().NoBackslashEscapes)
	sql = append(sql, " AND extra NOT LIKE '%INVISIBLE%' ORDER BY ordinal_position"...)
	var out []string
	err := n.run.each(ctx, ShardRef{t.Keyspace.Name, n.shards[0].Name}, sql, func(row [][]byte) error {
		out = append(out, string(row[0]))
		return nil
	})
	if err == nil && len(out) == 0 {
		err = errcode.New(errcode.NoSuchTable, t.Keyspace.Name, t.Name)
	}
	return out, err
}

// rowsOnly collects the rows of a query as values of an INSERT.
type rowsOnly struct {
	n    *inserting
	cols []wire.Column
	rows [][]plan.InsertValue
}

func (s *rowsOnly) Columns(cols []wire.Column) error {
	s.cols = append([]wire.Column(nil), cols...)
	return nil
}

func (s *rowsOnly) RawRow(raw []byte) error {
	values, err := wire.ParseTextRow(raw, make([][]byte, len(s.cols)))
	if err != nil {
		return err
	}
	return s.Row(values)
}

func (s *rowsOnly) Row(values [][]byte) error {
	kept, err := s.n.run.held.keep(values)
	if err != nil {
		return errcode.New(errcode.WriteRowLimit, s.n.run.s.Limits().MaxRows)
	}
	row := make([]plan.InsertValue, len(kept))
	for i := range kept {
		v := columnValue(&s.cols[i], kept[i])
		row[i] = plan.InsertValue{Text: plan.FixedText(string(s.n.run.literal(nil, v))), Value: plan.ConstRef(v), Known: true}
	}
	s.rows = append(s.rows, row)
	return nil
}

// selectRows runs the SELECT of INSERT .. SELECT.
func (n *inserting) selectRows(ctx context.Context) ([][]plan.InsertValue, error) {
	sink := &rowsOnly{n: n}
	if _, err := n.run.root(ctx, n.op.Select, sink); err != nil {
		return nil, err
	}
	if len(n.columns) > 0 && len(sink.cols) != len(n.columns) {
		return nil, errcode.New(errcode.ColumnCount, 1)
	}
	return sink.rows, nil
}

func (n *inserting) column(name string) int {
	for i, c := range n.columns {
		if strings.EqualFold(c, name) {
			return i
		}
	}
	return -1
}

// fill gives values of the sequence to rows that have none of their own.
func (n *inserting) fill(ctx context.Context) error {
	auto := n.op.Table.AutoIncrement
	if auto == nil {
		return nil
	}
	at := n.column(auto.Column)
	if at < 0 {
		at = len(n.columns)
		n.columns = append(append([]string(nil), n.columns...), auto.Column)
		rows := make([][]plan.InsertValue, len(n.rows))
		for i, row := range n.rows {
			if len(row) == 0 {
				return errcode.New(errcode.VindexColumnMissing, auto.Column, n.op.Table.Name)
			}
			rows[i] = append(append([]plan.InsertValue(nil), row...), plan.InsertValue{Default: true})
		}
		n.rows = rows
	}
	var missing []int
	for i, row := range n.rows {
		if at >= len(row) {
			return errcode.New(errcode.ColumnCount, i+1)
		}
		needs, err := n.generates(row[at])
		if err != nil {
			return err
		}
		if needs {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	next := n.reserved
	if n.op.Bulk == nil {
		var err error
		if next, err = n.run.s.Sequence(ctx, auto.Sequence, int64(len(missing))); err != nil {
			return err
		}
	}
	if n.first == 0 {
		n.first = uint64(next)
	}
	for _, i := range missing {
		text := strconv.FormatInt(next, 10)
		row := append([]plan.InsertValue(nil), n.rows[i]...)
		row[at] = plan.InsertValue{Text: plan.FixedText(text), Known: true, Value: plan.ConstRef(vindex.Value{Kind: vindex.Int, Raw: []byte(text)})}
		n.rows[i] = row
		next++
	}
	n.reserved = next
	return nil
}

// generates reports whether a value asks for a generated one: DEFAULT, NULL and 0 do.
func (n *inserting) generates(v plan.InsertValue) (bool, error) {
	if v.Default {
		return true, nil
	}
	if !v.Known {
		return false, nil
	}
	val, err := v.Value.Resolve(n.run.in.Src, n.run.in.Slots, n.run.in.Params)
	if err != nil {
		return false, err
	}
	return val.Kind == vindex.Null || string(val.Raw) == "0", nil
}

// value resolves a column of a row for a vindex.
func (n *inserting) value(row int, column string) (vindex.Value, error) {
	at := n.column(column)
	if at < 0 {
		return vindex.Value{}, errcode.New(errcode.VindexColumnMissing, column, n.op.Table.Name)
	}
	if at >= len(n.rows[row]) {
		return vindex.Value{}, errcode.New(errcode.ColumnCount, row+1)
	}
	v := n.rows[row][at]
	switch {
	case v.Default:
		return vindex.Value{}, errcode.New(errcode.VindexColumnMissing, column, n.op.Table.Name)
	case !v.Known:
		return vindex.Value{}, errcode.New(errcode.VindexNotConstant, column)
	}
	return v.Value.Resolve(n.run.in.Src, n.run.in.Slots, n.run.in.Params)
}

// place finds the keyspace id of each row.
func (n *inserting) place(ctx context.Context) ([][]byte, error) {
	t := n.op.Table
	ids := make([][]byte, len(n.rows))
	if !t.Keyspace.Sharded || t.Pinned != nil {
		for i := range ids {
			ids[i] = t.Pinned
		}
		return ids, nil
	}
	p := t.ColumnVindexes[0]
	groups := make([][]vindex.Value, len(n.rows))
	for i := range n.rows {
		for _, c := range p.Columns {
			v, err := n.value(i, c)
			if err != nil {
				return nil, err
			}
			groups[i] = append(groups[i], v)
		}
	}
	dests, err := n.run.mapValues(ctx, p.Vindex, p.Lookup, groups)
	if err != nil {
		return nil, err
	}
	for i, list := range dests {
		if len(list) != 1 || list[0].Kind != vindex.DestID {
			d, err := n.placeStored(groups[i])
			if err != nil {
				return nil, err
			}
			list = []vindex.Dest{d}
		}
		ids[i] = append([]byte{}, list[0].ID...)
	}
	return ids, n.check(ctx, ids)
}

// placeStored finds the place of a row whose value has none as it is written, by what an integer column keeps of it.
func (n *inserting) placeStored(values []vindex.Value) (vindex.Dest, error) {
	p := n.op.Table.ColumnVindexes[0]
	if values[0].Kind == vindex.Null {
		return vindex.Dest{}, errcode.New(errcode.VindexColumnNull, p.Columns[0])
	}
	d, err := mapFunctional(p.Vindex, values)
	if kept, ok := asStored(values[0]); ok && len(values) == 1 && d.Kind != vindex.DestID {
		d, err = mapFunctional(p.Vindex, []vindex.Value{kept})
	}
	switch {
	case err != nil && !p.Vindex.NeedsLookup():
		return d, errcode.Wrap(errcode.VindexValue, err, quoted(values), p.Name)
	case d.Kind != vindex.DestID:
		return d, errcode.New(errcode.NoShardForValue, n.op.Table.Name, quoted(values), p.Columns[0])
	}
	return d, nil
}

// check makes sure that other functional vindexes agree with the primary about each row.
func (n *inserting) check(_ context.Context, ids [][]byte) error {
	for _, cv := range n.op.Table.ColumnVindexes[1:] {
		if cv.Vindex.NeedsLookup() || !cv.Vindex.Unique() || cv.Owned {
			continue
		}
		for i := range n.rows {
			var vs []vindex.Value
			for _, c := range cv.Columns {
				v, err := n.value(i, c)
				if err != nil {
					return err
				}
				vs = append(vs, v)
			}
			d, err := mapFunctional(cv.Vindex, vs)
			if err != nil || d.Kind != vindex.DestID || string(d.ID) != string(ids[i]) {
				return errcode.New(errcode.VindexValue, quoted(vs), cv.Name)
			}
		}
	}
	return nil
}

// write sends the rows and their lookup rows.
func (n *inserting) write(ctx context.Context, ids [][]byte, sink Sink) (wire.OK, error) {
	byShard := make([][]int, len(n.shards))
	used := 0
	for i, id := range ids {
		at := 0
		if n.op.Table.Keyspace.Sharded {
			if at = vschema.Locate(n.shards, id); at < 0 {
				return wire.OK{}, errcode.New(errcode.KeyspaceIncomplete, n.op.Table.Keyspace.Name, "keyspace id of row "+strconv.Itoa(i+1))
			}
		}
		if len(byShard[at]) == 0 {
			used++
		}
		byShard[at] = append(byShard[at], i)
	}
	targets := make([]target, 0, used)
	for at, rows := range byShard {
		if len(rows) > 0 {
			targets = append(targets, target{shard: ShardRef{n.op.Table.Keyspace.Name, n.shards[at].Name}, sql: n.text(rows)})
		}
	}
	owned := n.op.Table.Owned()
	var oks []wire.OK
	var back *returned
	if n.op.Returning {
		back = &returned{held: &n.run.held}
	}
	err := n.run.atomic(ctx, n.op.Bulk == nil && (len(targets) > 1 || len(owned) > 0), func() (err error) {
		for _, cv := range owned {
			if err := n.insertLookups(ctx, cv, ids); err != nil {
				return err
			}
		}
		if back != nil {
			oks, err = back.collect(ctx, n.run, targets)
		} else {
			oks, err = n.run.execAll(ctx, targets, nil)
		}
		return err
	})
	if err == nil && back != nil {
		err = back.send(byShard, sink)
	}
	if err != nil {
		return wire.OK{}, err
	}
	ok := sumOK(oks)
	ok.Info = n.info(oks, byShard)
	return ok, nil
}

// info is the text that a server sends after an INSERT of several rows. Shards that got one row send none: theirs is
// told from the rows that they say were affected.
func (n *inserting) info(oks []wire.OK, byShard [][]int) string {
	if len(n.rows) < 2 && n.op.Select == nil && n.op.Bulk == nil {
		return ""
	}
	var records, duplicates, warnings, at int
	for _, rows := range byShard {
		if len(rows) == 0 {
			continue
		}
		ok := oks[at]
		at++
		var r, d, w int
		if _, err := fmt.Sscanf(ok.Info, "Records: %d Duplicates: %d Warnings: %d", &r, &d, &w); err != nil {
			r, w = len(rows), int(ok.Warnings)
			switch affected := int(ok.Affected); {
			case affected > r:
				d = affected - r
			case n.op.Ignore:
				d = r - affected
			}
		}
		records, duplicates, warnings = records+r, duplicates+d, warnings+w
	}
	return fmt.Sprintf("Records: %d  Duplicates: %d  Warnings: %d", records, duplicates, warnings)
}

// insertLookups writes the lookup rows of an owned vindex.
func (n *inserting) insertLookups(ctx context.Context, cv *vschema.ColumnVindex, ids [][]byte) error {
	lk, ok := cv.Vindex.(vindex.Lookup)
	if !ok {
		return nil
	}
	rows := make([]lookupRow, 0, len(n.rows))
	for i := range n.rows {
		row := lookupRow{id: ids[i]}
		for _, c := range cv.Columns {
			v, err := n.value(i, c)
			if errcode.Has(err, errcode.VindexColumnMissing) && lk.Table().IgnoreNulls {
				v, err = vindex.Value{Kind: vindex.Null}, nil
			}
			if err != nil {
				return err
			}
			row.values = append(row.values, v)
		}
		rows = append(rows, row)
	}
	err := (&lookupChange{run: n.run, lk: lk, table: cv.Lookup}).insert(ctx, rows)
	var my *wire.MySQLError
	if errors.As(err, &my) && my.Errno == errDuplicate {
		return errcode.New(errcode.CrossShardDuplicate, duplicateValue(my.Message), cv.Name)
	}
	return err
}

// errDuplicate is MySQL's number for a duplicate key.
const errDuplicate = 1062

// duplicateValue takes the value out of "Duplicate entry 'x' for key 'y'".
func duplicateValue(message string) string {
	_, rest, ok := strings.Cut(message, "'")
	if !ok {
		return message
	}
	if at := strings.LastIndex(rest, "' for key"); at >= 0 {
		return rest[:at]
	}
	return rest
}

// text is the INSERT of some of the rows.
func (n *inserting) text(rows []int) []byte {
	fill := plan.Filling{Src: n.run.in.Src, Slots: n.run.in.Slots}
	out := append(n.op.Head.Fill(nil, fill), " ("...)
	if len(n.columns) == 0 {
		out = out[:len(out)-2]
	} else {
		for i, c := range n.columns {
			if i > 0 {
				out = append(out, ", "...)
			}
			out = value.AppendIdent(out, c)
		}
		out = append(out, ')')
	}
	out = append(out, " VALUES "...)
	for i, r := range rows {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = append(out, '(')
		for j, v := range n.rows[r] {
			if j > 0 {
				out = append(out, ", "...)
			}
			if v.Default {
				out = append(out, "DEFAULT"...)
				continue
			}
			out = v.Text.Fill(out, fill)
		}
		out = append(out, ')')
	}
	if !n.op.Tail.Empty() {
		out = n.op.Tail.Fill(append(out, ' '), fill)
	}
	return out
}
