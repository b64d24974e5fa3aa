package plan

import (
	"strconv"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// merger builds the plan of one SELECT whose rows come from several shards.
type merger struct {
	b      *builder
	sel    *parse.SelectStmt
	ed     *editor
	v      *verdict
	hidden []*Text // expressions appended to the select list
	weight int     // hidden sort keys so far that may have to be asked for as numbers
	star   bool    // the select list has a star: columns after it are counted from the end
}

// selectPlan plans a SELECT over several shards.
func (b *builder) selectPlan(a *analysis, in *arm, sel *parse.SelectStmt, v *verdict, ed *editor) (*Plan, error) {
	if sel.Into != nil {
		return nil, errcode.New(errcode.Unsupported, "SELECT ... INTO over several shards", "name the sharding key in the WHERE clause")
	}
	if sel.Procedure.End > sel.Procedure.Start {
		return nil, errcode.New(errcode.Unsupported, "SELECT ... PROCEDURE over several shards", "run it on one shard: USE `KEYSPACE:SHARD`")
	}
	m := &merger{b: b, sel: sel, ed: ed, v: v}
	for _, it := range sel.Items {
		m.star = m.star || it.Star
	}
	if m.alone() {
		return m.plan(m.route(), "push", v.reason), nil
	}
	if hasWindow(sel) || len(sel.Windows) > 0 {
		return nil, errcode.New(errcode.AggregateScatter, "a window function")
	}
	whole := a.keepsShard(in)
	if sel.Rollup && !whole {
		return nil, errcode.New(errcode.AggregateScatter, "WITH ROLLUP")
	}
	if !whole && (len(sel.GroupBy) > 0 || hasAggregate(sel)) {
		return m.grouped()
	}
	return m.rows(whole)
}

// alone reports whether the one value of a unique vindex leads to one shard at most.
func (m *merger) alone() bool {
	d := m.v.dest
	return d.Kind == DestPinned || d.Kind == DestOneShard || d.Kind == DestValue && d.Vindex != nil && d.Vindex.Unique() && d.single()
}

// single reports whether a vindex has all of its columns.
func (d *Dest) single() bool { return d.Lookup != nil || len(d.Values) > 0 }

// plan finishes a plan.
func (m *merger) plan(root Op, way, reason string) *Plan {
	return &Plan{Root: root, Way: way, Reason: reason}
}

// route compiles the text for the shards, with the hidden expressions.
func (m *merger) route() *Route {
	if m.v.dest.Kind == DestHeads {
		m.b.keepNames(m.ed, m.sel)
	}
	for _, t := range m.hidden {
		m.ed.insert(m.sel.ItemsEnd, ", ")
		m.ed.put(parse.Span{Start: m.sel.ItemsEnd, End: m.sel.ItemsEnd}, t.pieces...)
	}
	r := &Route{Keyspace: m.v.keyspace, Dest: m.v.dest, Hidden: len(m.hidden)}
	m.splitIn(r)
	r.Text = m.ed.compile(m.b.whole())
	return r
}

// splitIn gives each shard only its own members of a top-level IN list.
func (m *merger) splitIn(r *Route) {
	if r.Dest.Kind != DestIn {
		return
	}
	in := topIn(m.sel.Where, r.Dest.Values, m.b)
	if in == nil {
		return
	}
	m.ed.putList(in)
	r.Split = true
}

// putList makes the members of an IN list depend on the shard.
func (e *editor) putList(in *parse.InExpr) {
	list := piece{kind: pieceList}
	for _, x := range in.List {
		t := &Text{}
		t.source(e.b, x.Range().Start, x.Range().End)
		list.texts = append(list.texts, t)
	}
	e.put(parse.Span{Start: in.List[0].Range().Start, End: in.List[len(in.List)-1].Range().End}, list)
}

// topIn finds the IN list with the given values among the conjuncts of a condition.
func topIn(e parse.Expr, values []ValueRef, b *builder) *parse.InExpr {
	switch x := e.(type) {
	case *parse.Paren:
		return topIn(x.Expr, values, b)
	case *parse.Binary:
		if x.Op != "AND" {
			return nil
		}
		if in := topIn(x.Left, values, b); in != nil {
			return in
		}
		return topIn(x.Right, values, b)
	case *parse.InExpr:
		if x.Not || len(x.List) != len(values) {
			return nil
		}
		v, ok := b.valueOf(x.List[0])
		if ok && v.Slot == values[0].Slot && v.Param == values[0].Param && v.Const == nil && values[0].Const == nil {
			return x
		}
	}
	return nil
}

// hide appends an expression to the select list and returns its number.
func (m *merger) hide(t *Text) int {
	if fixed, ok := t.fixed(); ok {
		for n, x := range m.hidden {
			if old, ok := x.fixed(); ok && old == fixed {
				return n
			}
		}
	}
	m.hidden = append(m.hidden, t)
	return len(m.hidden) - 1
}

// hideWeight appends what orders rows by an expression, and returns its column and its number among such.
func (m *merger) hideWeight(t *Text) (column, number int) {
	fixed, isFixed := t.fixed()
	for n, x := range m.hidden {
		if len(x.pieces) != 1 || x.pieces[0].kind != pieceWeight || !isFixed {
			continue
		}
		if old, ok := x.pieces[0].texts[0].fixed(); ok && old == fixed {
			return n, x.pieces[0].slot
		}
	}
	p := piece{kind: pieceWeight, slot: m.weight, texts: []*Text{t}}
	m.weight++
	return m.hide(&Text{pieces: []piece{p}}), p.slot
}

// text is the expression with the edits that fall into it.
func (m *merger) text(e parse.Expr) *Text { return m.ed.compile(e.Range()) }

// wrap puts fixed text around a text.
func wrap(before string, t *Text, after string) *Text {
	out := &Text{}
	out.add(piece{kind: pieceFixed, fixed: before})
	for _, p := range t.pieces {
		out.add(p)
	}
	out.add(piece{kind: pieceFixed, fixed: after})
	return out
}

// col turns the number of a hidden expression into a column, once all of them are known.
func (m *merger) col(n int) Column { return Column(n - len(m.hidden)) }

// sortKey is a key of ORDER BY before the hidden columns are numbered.
type sortKey struct {
	item   int // select item; -1: hidden column expr
	expr   int
	weight int
	number int // of the weight; -1 when it is always a weight string
	desc   bool
}

// key appends what is needed to compare rows by an expression.
func (m *merger) key(e parse.Expr, desc bool) sortKey {
	k := sortKey{item: -1, expr: -1, weight: -1, number: -1, desc: desc}
	n := m.b.itemIndex(m.sel, e)
	if n >= 0 && m.sel.Items[n].Expr != nil {
		e = m.sel.Items[n].Expr
		if !m.star {
			k.item = n
		}
	}
	if k.item < 0 {
		k.expr = m.hide(m.text(e))
	}
	t := m.text(e)
	if len(m.sel.GroupBy) > 0 && !containsAggregate(e) {
		t = minOf(e, t)
	}
	k.weight, k.number = m.hideWeight(t)
	return k
}

// keys numbers the columns of sort keys.
func (m *merger) keys(list []sortKey) []Key {
	out := make([]Key, 0, len(list))
	for _, k := range list {
		x := Key{Col: Column(k.item), Weight: NoColumn, Number: k.number, Desc: k.desc}
		if k.item < 0 {
			x.Col = m.col(k.expr)
		}
		if k.weight >= 0 {
			x.Weight = m.col(k.weight)
		}
		out = append(out, x)
	}
	return out
}

// rows plans a SELECT without grouping over shards. whole says that no two shards have rows of one group, or equal
// rows of a DISTINCT.
func (m *merger) rows(whole bool) (*Plan, error) {
	sel, way := m.sel, "scatter"
	dedup := sel.Distinct && !whole
	var order, distinct []sortKey
	for _, o := range sel.OrderBy {
		if isNullLiteral(o.Expr) {
			continue
		}
		order = append(order, m.key(o.Expr, o.Desc))
		// A shard's rows then differ by what orders them too, and rows that are equal without it come again.
		dedup = dedup || sel.Distinct && m.b.itemIndex(sel, o.Expr) < 0
	}
	if dedup {
		if m.star {
			return nil, errcode.New(errcode.Unsupported, "SELECT DISTINCT * over several shards", "name the columns")
		}
		for _, it := range sel.Items {
			distinct = append(distinct, m.key(it.Expr, false))
		}
	}
	push := m.pushLimit
	for _, k := range order {
		if dedup && k.item < 0 {
			// The shards' rows differ by a column that the answer lacks: no shard knows how many it has to send.
			push = func(l *parse.Limit, _ int64) { m.ed.replace(l.Span, "") }
		}
	}
	limit, err := m.limit(push)
	if err != nil {
		return nil, err
	}
	r := m.route()
	var root Op = r
	if len(order) > 0 {
		root, way = &Merge{Input: r, Keys: m.keys(order)}, "merge"
	}
	if dedup {
		root, way = &Dedup{Input: root, Keys: m.keys(distinct)}, "merge"
	}
	if limit != nil {
		limit.Input = root
		root, way = limit, "merge"
	}
	if r.Hidden > 0 {
		root = &Strip{Input: root, Hidden: r.Hidden}
	}
	return m.plan(root, way, m.v.reason), nil
}

func isNullLiteral(e parse.Expr) bool {
	lit, ok := unparenExpr(e).(*parse.Literal)
	return ok && lit.Kind == parse.LitNull
}

// limit reads the LIMIT clause; push is called with its span and the count that each shard has to return.
func (m *merger) limit(push func(*parse.Limit, int64)) (*Limit, error) {
	l := m.sel.Limit
	if l == nil {
		return nil, nil
	}
	out, err := m.b.readLimit(l)
	if err != nil {
		return nil, err
	}
	for _, o := range m.sel.Options {
		if o.Name == "SQL_CALC_FOUND_ROWS" {
			out.CalcFound = true
		}
	}
	switch {
	case out.CalcFound:
		m.ed.replace(l.Span, "")
	case push != nil && out.Count >= 0:
		push(l, out.Count+out.Offset)
	}
	return out, nil
}

// pushLimit lets each shard return no more rows than the whole answer could take from it.
func (m *merger) pushLimit(l *parse.Limit, n int64) {
	if l.Offset != nil {
		m.ed.replace(l.Span, "LIMIT "+strconv.FormatInt(n, 10))
	}
}

// readLimit returns the numbers of a LIMIT clause, which become part of the plan.
func (b *builder) readLimit(l *parse.Limit) (*Limit, error) {
	bad := errcode.New(errcode.Unsupported, "this form of LIMIT over several shards", "write LIMIT with plain numbers")
	if l.Raw {
		return nil, bad
	}
	out := &Limit{Count: -1}
	for _, x := range []struct {
		e  parse.Expr
		to *int64
	}{{l.Count, &out.Count}, {l.Offset, &out.Offset}} {
		if x.e == nil {
			continue
		}
		lit, ok := x.e.(*parse.Literal)
		if !ok || lit.Kind != parse.LitInt {
			return nil, bad
		}
		n, err := strconv.ParseUint(string(lit.Text(b.src)), 10, 64)
		if err != nil {
			return nil, bad
		}
		*x.to = int64(min(n, 1<<62))
		b.guard(lit.Span)
	}
	return out, nil
}
