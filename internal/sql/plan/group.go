package plan

import (
	"fmt"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// grouper builds the plan of a SELECT whose groups have rows on several shards: the shards send partial values.
type grouper struct {
	*merger
	aggs     []pendingAgg
	extra    []*Text // expressions that the shards group by besides those of the statement
	distinct bool    // there is an aggregate with DISTINCT
}

// pendingAgg is an Agg before hidden columns are numbered; -1 is none.
type pendingAgg struct {
	kind               AggKind
	item, hidden       int
	weight, sum, count int
	args               []sortKey
}

// mergeKinds are the aggregates that can be made from partial values.
var mergeKinds = map[string]AggKind{
	"COUNT": AggCount, "SUM": AggSum, "MIN": AggMin, "MAX": AggMax, "AVG": AggAvg,
	"GROUP_CONCAT": AggConcat, "BIT_AND": AggBitAnd, "BIT_OR": AggBitOr, "BIT_XOR": AggBitXor,
}

// grouped plans a SELECT with grouping or aggregates over shards.
func (m *merger) grouped() (*Plan, error) {
	g := &grouper{merger: m}
	if m.star {
		return nil, errcode.New(errcode.Unsupported, "SELECT * with grouping over several shards", "name the columns")
	}
	if g.simple() {
		return g.direct()
	}
	return g.finished()
}

// simple reports whether the gateway itself can make the answer: each item is an aggregate or has none inside, and
// the order is by items or grouping expressions.
func (g *grouper) simple() bool {
	if g.sel.Having != nil || g.sel.Distinct {
		return false
	}
	for _, it := range g.sel.Items {
		if f, ok := unparenExpr(it.Expr).(*parse.FuncCall); ok && isAggregate(f) {
			continue
		}
		if containsAggregate(it.Expr) {
			return false
		}
	}
	for _, o := range g.sel.OrderBy {
		if isNullLiteral(o.Expr) || g.b.itemIndex(g.sel, o.Expr) >= 0 {
			continue
		}
		if g.groupIndex(o.Expr) < 0 {
			return false
		}
	}
	return true
}

// groupIndex returns the key of GROUP BY that is written like the expression; -1 for none.
func (g *grouper) groupIndex(e parse.Expr) int {
	for i, k := range g.sel.GroupBy {
		if g.b.same(g.b.itemExpr(g.sel, k.Expr), e) {
			return i
		}
	}
	return -1
}

// direct plans the merge of the select items themselves.
func (g *grouper) direct() (*Plan, error) {
	for i, it := range g.sel.Items {
		if err := g.aggregate(it.Expr, i); err != nil {
			return nil, err
		}
	}
	keys := g.groupKeys()
	var order []sortKey
	for _, o := range g.sel.OrderBy {
		if !isNullLiteral(o.Expr) {
			order = append(order, g.orderKey(o))
		}
	}
	limit, err := g.limit(nil)
	if err != nil {
		return nil, err
	}
	g.strip(g.sel.OrderBySpan)
	if g.sel.Limit != nil {
		g.strip(g.sel.Limit.Span)
	}
	root, hidden := g.group(keys)
	if len(order) > 0 {
		root = &Sort{Input: root, Keys: g.keys(order)}
	}
	if limit != nil {
		limit.Input = root
		root = limit
	}
	if hidden > 0 {
		root = &Strip{Input: root, Hidden: hidden}
	}
	return g.plan(root, "merge", "groups have rows on several shards"), nil
}

// strip leaves a clause out of the shards' text.
func (g *grouper) strip(s parse.Span) {
	if s.End > s.Start {
		g.ed.replace(s, "")
	}
}

// group compiles the route and puts the Group over it.
func (g *grouper) group(keys []sortKey) (Op, int) {
	g.groupMore()
	r := g.route()
	op := &Group{Input: r, Keys: g.keys(keys), Scalar: len(g.sel.GroupBy) == 0}
	for _, p := range g.aggs {
		a := Agg{Kind: p.kind, Col: Column(p.item), Weight: g.optional(p.weight), Sum: g.optional(p.sum), Count: g.optional(p.count), Args: g.keys(p.args)}
		if p.item < 0 {
			a.Col = g.col(p.hidden)
		}
		op.Aggs = append(op.Aggs, a)
	}
	return op, r.Hidden
}

func (g *grouper) optional(n int) Column {
	if n < 0 {
		return NoColumn
	}
	return g.col(n)
}

// groupMore lets the shards group by the arguments of DISTINCT aggregates too.
func (g *grouper) groupMore() {
	if len(g.extra) == 0 {
		return
	}
	at, lead := g.sel.GroupBySpan.End, ", "
	if len(g.sel.GroupBy) == 0 {
		at, lead = g.afterWhere(), " GROUP BY "
	}
	for _, t := range g.extra {
		g.ed.insert(at, lead)
		g.ed.put(parse.Span{Start: at, End: at}, t.pieces...)
		lead = ", "
	}
}

// afterWhere is where a GROUP BY can be inserted.
func (g *grouper) afterWhere() int {
	switch {
	case g.sel.WhereSpan.End > g.sel.WhereSpan.Start:
		return g.sel.WhereSpan.End
	case g.sel.FromSpan.End > g.sel.FromSpan.Start:
		return g.sel.FromSpan.End
	}
	return g.sel.ItemsEnd
}

// moreDigits makes a server show digits of a sum of quotients that it has but would round away: partial sums that
// are each rounded would not add up to the rounded sum. 30 digits are the most that a decimal can have.
const moreDigits = " + 0.000000000000000000000000000000"

// aggregate notes how the column of a select item (item < 0: of a hidden leaf) is merged.
func (g *grouper) aggregate(e parse.Expr, item int) error {
	f, ok := unparenExpr(e).(*parse.FuncCall)
	if !ok || !isAggregate(f) {
		return nil
	}
	kind, ok := mergeKinds[f.Name]
	if !ok || f.ReservedArg || len(f.OrderBy) > 0 || len(f.Args) == 0 && !f.Star {
		return errcode.New(errcode.AggregateScatter, f.Name+"()")
	}
	p := pendingAgg{kind: kind, item: item, weight: -1, sum: -1, count: -1}
	switch {
	case f.Distinct && kind != AggMin && kind != AggMax:
		return g.distinctAgg(f, p)
	case kind == AggSum && divides(f.Args[0]):
		p.sum = g.hide(wrap("", g.text(f), moreDigits))
	case kind == AggAvg:
		arg, after := g.text(f.Args[0]), ")"
		if divides(f.Args[0]) {
			after += moreDigits
		}
		p.sum = g.hide(wrap("SUM(", arg, after))
		p.count = g.hide(wrap("COUNT(", arg, ")"))
	case kind == AggMin || kind == AggMax:
		p.weight = g.hide(weightOf(g.text(f)))
	}
	g.aggs = append(g.aggs, p)
	return nil
}

// distinctAgg lets the shards send the distinct arguments, one row each.
func (g *grouper) distinctAgg(f *parse.FuncCall, p pendingAgg) error {
	switch p.kind {
	case AggCount:
		p.kind = AggCountDistinct
	case AggSum:
		p.kind = AggSumDistinct
	case AggAvg:
		p.kind = AggAvgDistinct
	default:
		return errcode.New(errcode.AggregateScatter, f.Name+"(DISTINCT)")
	}
	g.distinct = true
	for _, arg := range f.Args {
		t := g.text(arg)
		least := minOf(arg, t)
		if p.kind != AggCountDistinct {
			// What is distinct in a sum is the number that a text, a date or an enumeration stands for.
			t = wrap("(", t, ") + 0")
			least = wrap("MIN(", t, ")")
		}
		p.args = append(p.args, sortKey{item: -1, expr: g.hide(t), weight: g.hide(weightOf(least))})
		g.extra = append(g.extra, g.keyText(arg, t))
	}
	g.aggs = append(g.aggs, p)
	return nil
}

// keyText is the text of an expression in GROUP BY, where a plain number would be the position of an item.
func (g *grouper) keyText(e parse.Expr, t *Text) *Text {
	if _, constant := g.b.valueOf(e); constant {
		return wrap("IFNULL(", t, ", NULL)")
	}
	return t
}

// minOf is a text that stands for any value of a group: the column itself, or the least of equal values, which
// servers accept whatever their idea of functional dependence.
func minOf(e parse.Expr, t *Text) *Text {
	if _, ok := unparenExpr(e).(*parse.ColumnRef); ok {
		return t
	}
	return wrap("MIN(", t, ")")
}

// groupKeys appends what tells groups apart.
func (g *grouper) groupKeys() []sortKey {
	var out []sortKey
	for _, k := range g.sel.GroupBy {
		e := g.b.itemExpr(g.sel, k.Expr)
		if isNullLiteral(e) {
			continue
		}
		t := g.text(e)
		key := sortKey{item: -1, expr: -1}
		if n := g.b.itemIndex(g.sel, k.Expr); n >= 0 && g.visible(n) {
			key.item = n
		} else {
			key.expr = g.hide(t)
		}
		key.weight, key.number = g.hideWeight(minOf(e, t))
		out = append(out, key)
	}
	return out
}

// visible reports whether select item n is column n of the shards' rows.
func (g *grouper) visible(n int) bool { return n < len(g.sel.Items) && !g.star }

// orderKey appends what orders groups by an item or a grouping expression.
func (g *grouper) orderKey(o parse.OrderItem) sortKey {
	n := g.b.itemIndex(g.sel, o.Expr)
	if n < 0 {
		e := g.b.itemExpr(g.sel, g.sel.GroupBy[g.groupIndex(o.Expr)].Expr)
		t := g.text(e)
		k := sortKey{item: -1, expr: g.hide(t), desc: o.Desc}
		k.weight, k.number = g.hideWeight(minOf(e, t))
		return k
	}
	k := sortKey{item: n, expr: -1, weight: -1, number: -1, desc: o.Desc}
	e := unparenExpr(g.sel.Items[n].Expr)
	if f, ok := e.(*parse.FuncCall); ok && isAggregate(f) {
		for _, p := range g.aggs {
			if p.item == n {
				k.weight = p.weight
			}
		}
		return k
	}
	k.weight, k.number = g.hideWeight(minOf(e, g.text(e)))
	return k
}

// leaf is an expression that the shards compute and the finishing statement takes as a column.
type leaf struct {
	expr parse.Expr
}

// finished plans a SELECT whose items, HAVING or order are expressions over aggregates: the merged parts are handed
// to a server that computes the rest.
func (g *grouper) finished() (*Plan, error) {
	if err := g.finishable(); err != nil {
		return nil, err
	}
	leaves := g.leaves()
	final := &editor{b: g.b}
	shard := &Text{}
	collate := make([]int, len(leaves))
	for i, l := range leaves {
		if err := g.aggregate(l.expr, i); err != nil {
			return nil, err
		}
		if i > 0 {
			shard.add(piece{kind: pieceFixed, fixed: ", "})
		}
		t := g.text(l.expr)
		for _, p := range t.pieces {
			shard.add(p)
		}
		collate[i] = -1
		if f, ok := l.expr.(*parse.FuncCall); !ok || !isAggregate(f) || f.Name == "MIN" || f.Name == "MAX" {
			collate[i] = g.hide(wrap("COLLATION(", g.anyOf(l.expr, t), ")"))
		}
	}
	if len(leaves) == 0 {
		shard.add(piece{kind: pieceFixed, fixed: "1"})
	}
	keys := g.leafKeys(leaves)
	head, tail := g.finalText(final, leaves)
	g.shardText(shard)
	root, _ := g.group(keys)
	f := &Finish{Input: root, Keyspace: g.v.keyspace, Columns: len(leaves), Head: head, Tail: tail}
	for _, it := range g.sel.Items {
		f.Direct = append(f.Direct, g.leafIndex(leaves, it.Expr))
		if g.leafIndex(leaves, it.Expr) < 0 {
			f.Inside = g.inside(f.Inside, leaves, it.Expr)
		}
	}
	for _, o := range g.sel.OrderBy {
		f.Inside = g.inside(f.Inside, leaves, g.b.itemExpr(g.sel, o.Expr))
	}
	for _, n := range collate {
		f.Collate = append(f.Collate, g.optional(n))
	}
	g.b.guard(g.b.whole())
	return g.plan(f, "merge", "expressions over aggregates of several shards are finished by a server"), nil
}

// inside adds the leaves of an expression.
func (g *grouper) inside(list []int, leaves []leaf, e parse.Expr) []int {
	g.cut(e, func(x parse.Expr) {
		if n := g.leafIndex(leaves, x); n >= 0 {
			list = append(list, n)
		}
	})
	return list
}

// anyOf stands for any value of a group of an expression that may itself be an aggregate.
func (g *grouper) anyOf(e parse.Expr, t *Text) *Text {
	if f, ok := e.(*parse.FuncCall); ok && isAggregate(f) {
		return t
	}
	return minOf(e, t)
}

// finishable refuses what the finishing statement could not express.
func (g *grouper) finishable() error {
	for _, o := range g.sel.Options {
		if o.Name == "SQL_CALC_FOUND_ROWS" {
			return errcode.New(errcode.Unsupported, "SQL_CALC_FOUND_ROWS with expressions over aggregates of several shards", "count in a statement of its own")
		}
	}
	exprs := []parse.Expr{g.sel.Having}
	for _, it := range g.sel.Items {
		exprs = append(exprs, it.Expr)
	}
	for _, o := range g.sel.OrderBy {
		exprs = append(exprs, o.Expr)
	}
	for _, e := range exprs {
		if containsQuery(e) {
			return errcode.New(errcode.CrossShardSubquery, "beside aggregates")
		}
	}
	return nil
}

// leaves collects what the shards have to compute: grouping expressions, aggregates, and other columns.
func (g *grouper) leaves() []leaf {
	var out []leaf
	collect := func(e parse.Expr) {
		g.cut(e, func(x parse.Expr) {
			if g.leafIndex(out, x) < 0 {
				out = append(out, leaf{expr: x})
			}
		})
	}
	for _, it := range g.sel.Items {
		collect(it.Expr)
	}
	if g.sel.Having != nil {
		collect(g.sel.Having)
	}
	for _, o := range g.sel.OrderBy {
		if _, ok := unparenExpr(o.Expr).(*parse.Literal); !ok && g.aliasIndex(o.Expr) < 0 {
			collect(o.Expr)
		}
	}
	return out
}

// cut calls f for each maximal part of the expression that a shard computes.
func (g *grouper) cut(e parse.Expr, f func(parse.Expr)) {
	parse.Walk(e, func(n parse.Node) bool {
		x, ok := n.(parse.Expr)
		if !ok {
			return true
		}
		switch y := x.(type) {
		case *parse.Literal:
			return false
		case *parse.ColumnRef:
			if g.aliasIndex(y) < 0 || g.groupIndex(y) >= 0 {
				f(y)
			}
			return false
		case *parse.FuncCall:
			if isAggregate(y) {
				f(y)
				return false
			}
		}
		if g.groupIndex(x) >= 0 {
			f(unparenExpr(x))
			return false
		}
		return true
	})
}

func (g *grouper) leafIndex(list []leaf, e parse.Expr) int {
	for i, l := range list {
		if g.b.same(l.expr, e) {
			return i
		}
	}
	return -1
}

// aliasIndex returns the item whose alias the expression is; -1 for none.
func (g *grouper) aliasIndex(e parse.Expr) int {
	c, ok := unparenExpr(e).(*parse.ColumnRef)
	if !ok || c.Table.Name.Name != "" {
		return -1
	}
	for i, it := range g.sel.Items {
		if it.Alias.Name != "" && strings.EqualFold(it.Alias.Name, c.Name.Name) {
			return i
		}
	}
	return -1
}

// leafKeys appends what tells groups apart, where the leaves are the visible columns.
func (g *grouper) leafKeys(leaves []leaf) []sortKey {
	var out []sortKey
	for _, k := range g.sel.GroupBy {
		e := g.b.itemExpr(g.sel, k.Expr)
		if isNullLiteral(e) {
			continue
		}
		t := g.text(e)
		key := sortKey{item: g.leafIndex(leaves, e), expr: -1}
		if key.item < 0 {
			key.expr = g.hide(t)
		}
		key.weight, key.number = g.hideWeight(minOf(e, t))
		out = append(out, key)
	}
	return out
}

// shardText makes the shards select the leaves, without what is done afterwards.
func (g *grouper) shardText(items *Text) {
	// Keys that name an item by number or alias lose their item: they get its text, while it is still the statement's.
	for _, k := range g.sel.GroupBy {
		if e := g.b.itemExpr(g.sel, k.Expr); e != unparenExpr(k.Expr) {
			g.ed.put(k.Expr.Range(), g.keyText(e, g.text(e)).pieces...)
		}
	}
	for _, o := range g.sel.Options {
		if o.Name == "DISTINCT" || o.Name == "DISTINCTROW" {
			g.strip(o.Span)
		}
	}
	start := g.sel.Items[0].Start
	g.ed.put(parse.Span{Start: start, End: g.sel.ItemsEnd}, items.pieces...)
	g.strip(g.sel.HavingSpan)
	g.strip(g.sel.OrderBySpan)
	if g.sel.Limit != nil {
		g.strip(g.sel.Limit.Span)
	}
}

// FinishName is the name of the inlined rows in the finishing statement.
const FinishName = "pelorus_rows"

// finalText builds the finishing statement around the rows.
func (g *grouper) finalText(ed *editor, leaves []leaf) (head, tail *Text) {
	put := func(e parse.Expr) {
		g.cut(e, func(x parse.Expr) {
			ed.replace(x.Range(), fmt.Sprintf("%s.c%d", FinishName, g.leafIndex(leaves, x)))
		})
	}
	for _, it := range g.sel.Items {
		put(it.Expr)
	}
	head = &Text{}
	lead := "SELECT "
	if g.sel.Distinct {
		lead = "SELECT DISTINCT "
	}
	for i, it := range g.sel.Items {
		head.add(piece{kind: pieceFixed, fixed: lead})
		for _, p := range ed.compile(it.Expr.Range()).pieces {
			head.add(p)
		}
		name := it.Alias.Name
		if name == "" {
			name = parse.ColumnName(g.b.src, g.sel.Items[i], g.b.env.Mode)
		}
		head.add(piece{kind: pieceFixed, fixed: " AS " + quoteName(name)})
		lead = ", "
	}
	tail = &Text{}
	if g.sel.Having != nil {
		put(g.sel.Having)
		tail.add(piece{kind: pieceFixed, fixed: " WHERE "})
		g.inlineAliases(ed, g.sel.Having)
		tail.append(ed.compile(g.sel.Having.Range()))
	}
	lead = " ORDER BY "
	for _, o := range g.sel.OrderBy {
		if _, ok := unparenExpr(o.Expr).(*parse.Literal); !ok && g.aliasIndex(o.Expr) < 0 {
			put(o.Expr)
		}
		tail.add(piece{kind: pieceFixed, fixed: lead})
		tail.append(ed.compile(o.Span))
		lead = ", "
	}
	if g.sel.Limit != nil {
		tail.add(piece{kind: pieceFixed, fixed: " "})
		tail.append(ed.compile(g.sel.Limit.Span))
	}
	return head, tail
}

// inlineAliases replaces aliases in HAVING by what they stand for, because the finishing statement filters with WHERE.
func (g *grouper) inlineAliases(ed *editor, having parse.Expr) {
	parse.Walk(having, func(n parse.Node) bool {
		c, ok := n.(*parse.ColumnRef)
		if !ok {
			return true
		}
		if i := g.aliasIndex(c); i >= 0 && g.groupIndex(c) < 0 {
			t := wrap("(", ed.compile(g.sel.Items[i].Expr.Range()), ")")
			ed.put(c.Span, t.pieces...)
		}
		return false
	})
}

// append adds all pieces of another text.
func (t *Text) append(o *Text) {
	for _, p := range o.pieces {
		t.add(p)
	}
}
