package plan

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// insert plans INSERT and REPLACE.
func (b *builder) insert(x *parse.InsertStmt) (*Plan, error) {
	if b.env.Replica {
		return nil, errcode.New(errcode.NotOnReplica, "INSERT")
	}
	target, err := b.newInst(&parse.TableRef{Span: x.Table.Span, Table: x.Table})
	if err != nil {
		return nil, err
	}
	t := target.table
	if t == nil {
		return b.anywhere(Write, "a table of the system"), nil
	}
	switch {
	case copied(target):
		return b.insertEverywhere(x, target)
	case target.kind == instUnsharded && t.AutoIncrement == nil, target.kind == instPinned && t.AutoIncrement == nil:
		return b.insertWhole(x, target)
	}
	if x.Query != nil {
		if p, ok, err := b.insertSelectLocal(x, target); ok || err != nil {
			return p, err
		}
	}
	return b.insertRows(x, target)
}

// insertWhole sends the statement to the table's only shard, if its SELECT can run there too.
func (b *builder) insertWhole(x *parse.InsertStmt, target *inst) (*Plan, error) {
	a := &analysis{b: b}
	blk := &block{}
	a.add(target, &scope{}, blk)
	a.top = blk
	if err := a.insertParts(x, blk); err != nil {
		return nil, err
	}
	v, err := a.decide()
	if err != nil {
		if x.Query != nil {
			return b.insertRows(x, target)
		}
		return nil, err
	}
	if v.fast == nil {
		return b.insertRows(x, target)
	}
	return b.push(Write, v, b.qualify(x, a.insts).rewrite(b.whole())), nil
}

// insertParts analyses the subqueries of an INSERT.
func (a *analysis) insertParts(x *parse.InsertStmt, blk *block) error {
	sc := &scope{}
	if x.Query != nil {
		if _, err := a.query(x.Query, sc, blk, "of the INSERT"); err != nil {
			return err
		}
	}
	for _, r := range x.Rows {
		for _, e := range r.Values {
			if err := a.expr(e, sc, blk); err != nil {
				return err
			}
		}
	}
	for _, s := range append(append([]parse.Assignment(nil), x.Set...), x.OnDuplicate...) {
		if err := a.expr(s.Value, sc, blk); err != nil {
			return err
		}
	}
	return nil
}

// insertEverywhere writes a reference table in all of its places.
func (b *builder) insertEverywhere(x *parse.InsertStmt, target *inst) (*Plan, error) {
	a := &analysis{b: b}
	a.add(target, &scope{}, &block{})
	if err := a.insertParts(x, target.block); err != nil {
		return nil, err
	}
	if hasData(without(a.insts, target)) {
		return nil, errcode.New(errcode.Unsupported, "INSERT into a reference table from a table that is not one", "select the rows first and insert them as values")
	}
	return b.everywhere(target, x, a.insts)
}

// insertSelectLocal pushes INSERT .. SELECT whose rows stay on one shard. ok is false when rows have to move.
func (b *builder) insertSelectLocal(x *parse.InsertStmt, target *inst) (p *Plan, ok bool, err error) {
	if target.table.AutoIncrement != nil || len(owned(target.table)) > 0 {
		return nil, false, nil
	}
	a := &analysis{b: b}
	in, err := a.query(x.Query, nil, nil, "")
	if err != nil {
		return nil, false, err
	}
	if in == nil || len(a.insts) == 0 {
		return nil, false, nil
	}
	a.top = in.block
	v, err := a.decide()
	if err != nil || v.fast == nil || v.fast.Kind != ByValue || v.keyspace != target.table.Keyspace.Name {
		return nil, false, nil
	}
	// The selected value of the target's primary vindex must be the value that the SELECT is bound to.
	pv := target.table.ColumnVindexes[0]
	if v.fast.Vindex == nil || pv.Vindex != vindex.Vindex(v.fast.Vindex) || len(pv.Columns) != 1 || len(x.Columns) == 0 {
		return nil, false, nil
	}
	n := columnIndex(x.Columns, pv.Columns[0])
	if n < 0 || n >= len(in.sel.Items) || in.sel.Items[n].Star {
		return nil, false, nil
	}
	item := unparenExpr(in.sel.Items[n].Expr)
	if c, isCol := item.(*parse.ColumnRef); isCol {
		k, found := in.scope.find(c)
		if !found {
			return nil, false, nil
		}
		val, bound := in.block.equalities().value(k)
		if !bound || val.Slot != v.fast.Value.Slot || val.Param != v.fast.Value.Param {
			return nil, false, nil
		}
	} else if val, isConst := b.valueOf(item); !isConst {
		return nil, false, nil
	} else if same, guard := b.sameValue(val, v.fast.Value); !same {
		return nil, false, nil
	} else if guard {
		b.guardSlot(val.Slot)
		b.guardSlot(v.fast.Value.Slot)
	}
	if err := b.upsertAllowed(x, target.table); err != nil {
		return nil, false, err
	}
	v.fast.Strict = true
	return b.push(Write, v, b.qualify(x, append(a.insts, target)).rewrite(b.whole())), true, nil
}

func columnIndex(columns []parse.Ident, name string) int {
	for i, c := range columns {
		if strings.EqualFold(c.Name, name) {
			return i
		}
	}
	return -1
}

// owned lists the lookup vindexes whose rows a write of the table has to keep.
func owned(t *vschema.Table) []vschema.ColumnVindex {
	var out []vschema.ColumnVindex
	for _, cv := range t.ColumnVindexes {
		if _, ok := cv.Vindex.(vindex.Lookup); ok && cv.Owned {
			out = append(out, cv)
		}
	}
	return out
}

// upsertAllowed refuses ON DUPLICATE KEY UPDATE of columns that decide the shard or have lookup rows.
func (b *builder) upsertAllowed(x *parse.InsertStmt, t *vschema.Table) error {
	for _, s := range x.OnDuplicate {
		if isVindexColumn(t, s.Column.Name.Name) && !keepsColumn(s) {
			return errcode.New(errcode.UpsertShardingKey, s.Column.Name.Name)
		}
	}
	return nil
}

// keepsColumn reports whether an assignment gives a column its own old value.
func keepsColumn(s parse.Assignment) bool {
	c, ok := unparenExpr(s.Value).(*parse.ColumnRef)
	return ok && strings.EqualFold(c.Name.Name, s.Column.Name.Name) && c.Table.Name.Name == ""
}

// isVindexColumn reports whether a vindex of the table reads the column.
func isVindexColumn(t *vschema.Table, name string) bool {
	for _, cv := range t.ColumnVindexes {
		for _, c := range cv.Columns {
			if strings.EqualFold(c, name) {
				return true
			}
		}
	}
	return false
}

// insertRows plans an INSERT row by row.
func (b *builder) insertRows(x *parse.InsertStmt, target *inst) (*Plan, error) {
	t := target.table
	if err := b.upsertAllowed(x, t); err != nil {
		return nil, err
	}
	if len(owned(t)) > 0 && (x.Replace || x.Ignore || len(x.OnDuplicate) > 0) {
		return nil, errcode.New(errcode.Unsupported, "REPLACE, INSERT IGNORE or ON DUPLICATE KEY UPDATE of a table that owns lookup vindexes",
			"use INSERT, and UPDATE or DELETE by key")
	}
	if len(x.Returning) > 0 && x.Query != nil {
		return nil, errcode.New(errcode.Unsupported, "INSERT ... SELECT ... RETURNING", "select the rows first and insert them with VALUES")
	}
	ed := b.qualify(x, []*inst{target})
	if p := b.insertOne(x, target, ed); p != nil {
		return p, nil
	}
	op := &Insert{Table: t, Replace: x.Replace, Ignore: x.Ignore, Returning: len(x.Returning) > 0}
	if err := b.insertText(op, x, ed); err != nil {
		return nil, err
	}
	if len(op.Columns) == 0 && t.Authoritative {
		for _, c := range t.Columns {
			op.Columns = append(op.Columns, c.Name)
		}
	}
	if x.Query != nil {
		sub := &builder{src: b.src, slots: b.slots, env: b.env, part: x.Query.Range()}
		p, err := sub.query(x.Query)
		if err != nil {
			return nil, err
		}
		b.guards = append(b.guards, sub.guards...)
		for n := range sub.seen {
			b.seen[n] = true
		}
		op.Select = p
	}
	return &Plan{Class: Write, Root: op, NoCache: len(b.slots) > maxCachedValues || len(b.slots) == 0 || op.Bulk != nil, Way: "write", Reason: "each row goes to its shard"}, nil
}

// maxCachedValues bounds the literals of an INSERT whose plan may be kept: a plan takes about 100 bytes for each.
const maxCachedValues = 256

// insertText takes the statement apart into head, rows and tail.
func (b *builder) insertText(op *Insert, x *parse.InsertStmt, ed *editor) error {
	end := x.Table.End
	if x.Partition.End > x.Partition.Start {
		end = x.Partition.End
	}
	op.Head = ed.compile(parse.Span{Start: 0, End: end})
	for _, c := range x.Columns {
		op.Columns = append(op.Columns, c.Name)
	}
	after := end
	switch {
	case len(x.Set) > 0:
		row := make([]InsertValue, 0, len(x.Set))
		for _, s := range x.Set {
			op.Columns = append(op.Columns, s.Column.Name.Name)
			row = append(row, b.insertValue(s.Value))
			after = s.End
		}
		op.Rows = [][]InsertValue{row}
	case x.Query != nil:
		after = x.Query.Range().End
	default:
		after = x.RowsSpan.End
		if op.Bulk = x.Bulk; op.Bulk != nil {
			break
		}
		for i, r := range x.Rows {
			if len(x.Columns) > 0 && len(r.Values) != len(x.Columns) && len(r.Values) > 0 {
				return errcode.New(errcode.ColumnCount, i+1)
			}
			row := make([]InsertValue, 0, len(r.Values))
			for _, e := range r.Values {
				row = append(row, b.insertValue(e))
			}
			op.Rows = append(op.Rows, row)
		}
	}
	tail := len(b.src)
	for tail > after && strings.IndexByte("; \t\r\n", b.src[tail-1]) >= 0 {
		tail--
	}
	op.Tail = ed.compile(parse.Span{Start: after, End: tail})
	return nil
}

// BulkRows describes the rows of one batch of an Insert's Bulk. The values are part of the rows, not places in src.
func BulkRows(src []byte, batch parse.Span, mode parse.Mode) ([][]InsertValue, error) {
	list, err := parse.Rows(src, batch, mode)
	if err != nil {
		return nil, err
	}
	b := &builder{src: src, env: Env{Mode: mode}}
	rows := make([][]InsertValue, len(list))
	for i, r := range list {
		rows[i] = make([]InsertValue, 0, len(r.Values))
		for _, e := range r.Values {
			rows[i] = append(rows[i], b.insertValue(e))
		}
	}
	return rows, nil
}

// insertValue describes one value of a row.
func (b *builder) insertValue(e parse.Expr) InsertValue {
	if d, ok := e.(*parse.Default); ok && d.Column.Name == "" {
		return InsertValue{Default: true}
	}
	v := InsertValue{Text: &Text{}}
	v.Text.source(b, e.Range().Start, e.Range().End)
	v.Value, v.Known = b.valueOf(e)
	v.Alone = !v.Known && standsAlone(e)
	return v
}

// standsAlone reports whether an expression reads neither columns nor tables.
func standsAlone(e parse.Expr) bool {
	alone := true
	parse.Walk(e, func(n parse.Node) bool {
		switch n.(type) {
		case parse.Query, *parse.ColumnRef, *parse.Default:
			alone = false
		}
		return alone
	})
	return alone
}

// totalVindexes map every value of the given kinds to a shard, so that an insert of one row needs no check.
func totalFor(v vindex.Vindex, lit *parse.Literal) bool {
	switch v.Type() {
	case "xxhash", "binary", "binary_md5", "unicode_loose_md5", "unicode_loose_xxhash":
		return true
	case "hash", "reverse_bits", "numeric":
		return lit.Kind == parse.LitInt
	}
	return false
}

// insertOne plans the INSERT of one row whose shard is a function of one literal; nil when there is more to do.
func (b *builder) insertOne(x *parse.InsertStmt, target *inst, ed *editor) *Plan {
	t := target.table
	if len(t.ColumnVindexes) == 0 || len(t.ColumnVindexes[0].Columns) != 1 || len(t.ColumnVindexes) > 1 || t.AutoIncrement != nil || target.kind != instSharded {
		return nil
	}
	f, ok := t.ColumnVindexes[0].Vindex.(vindex.Functional)
	if !ok || f.NeedsLookup() {
		return nil
	}
	column := t.ColumnVindexes[0].Columns[0]
	var e parse.Expr
	switch {
	case len(x.Rows) == 1 && len(x.Columns) == len(x.Rows[0].Values):
		if n := columnIndex(x.Columns, column); n >= 0 {
			e = x.Rows[0].Values[n]
		}
	case len(x.Rows) == 1 && len(x.Columns) == 0 && t.Authoritative && len(t.Columns) == len(x.Rows[0].Values):
		for n, c := range t.Columns {
			if strings.EqualFold(c.Name, column) {
				e = x.Rows[0].Values[n]
			}
		}
	case len(x.Set) > 0:
		for _, s := range x.Set {
			if strings.EqualFold(s.Column.Name.Name, column) {
				e = s.Value
			}
		}
	}
	if e == nil || x.Bulk != nil || insertHasQuery(x) {
		return nil
	}
	_, isParam := e.(*parse.Param)
	lit, isLit := e.(*parse.Literal)
	if !isParam && (!isLit || !totalFor(f, lit)) {
		return nil
	}
	v, ok := b.valueOf(e)
	if !ok || v.Const != nil {
		return nil
	}
	fast := &Fast{Keyspace: t.Keyspace.Name, Kind: ByValue, Vindex: f, Value: v, Rewrite: ed.rewrite(b.whole()), Strict: true}
	return &Plan{Class: Write, Fast: fast, Guards: b.guards, Way: "push", Reason: "one row"}
}

// insertHasQuery reports whether values of the INSERT come from subqueries.
func insertHasQuery(x *parse.InsertStmt) bool {
	for _, r := range x.Rows {
		for _, e := range r.Values {
			if containsQuery(e) {
				return true
			}
		}
	}
	for _, s := range append(append([]parse.Assignment(nil), x.Set...), x.OnDuplicate...) {
		if containsQuery(s.Value) {
			return true
		}
	}
	return false
}
