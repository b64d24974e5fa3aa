package plan

import (
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// arms lists the SELECTs of a set operation from left to right. distinct says that equal rows of the whole are one;
// ok is false when the operation cannot be done shard by shard.
func arms(q parse.Query) (list []*parse.SelectStmt, distinct, ok bool) {
	switch x := unparen(q).(type) {
	case *parse.SelectStmt:
		return []*parse.SelectStmt{x}, false, decomposable(x) && len(x.OrderBy) == 0 && x.Lock == nil
	case *parse.SetOpStmt:
		if x.Op != "UNION" || x.Into != nil {
			return nil, false, false
		}
		left, dl, okL := arms(x.Left)
		right, dr, okR := arms(x.Right)
		inner, isOp := unparen(x.Left).(*parse.SetOpStmt)
		nested := isOp && (inner.Limit != nil || inner.With != nil)
		inner, isOp = unparen(x.Right).(*parse.SetOpStmt)
		nested = nested || isOp && (inner.Limit != nil || inner.With != nil)
		return append(left, right...), !x.All, okL && okR && !nested && (!x.All || !dl && !dr)
	}
	return nil, false, false
}

// decideArms judges a set operation arm by arm: it can be done shard by shard when each arm can, and no arm has rows
// that several shards would repeat.
func (b *builder) decideArms(a *analysis, q parse.Query) (*verdict, error) {
	list, _, ok := arms(q)
	refused := errcode.New(errcode.Unsupported, "this set operation over several shards", "run its parts one by one, or bind all tables to one sharding key")
	if !ok {
		return nil, refused
	}
	var out *verdict
	outer := withCTEs(nil, topWith(q))
	for _, sel := range list {
		arm := &analysis{b: b}
		in, err := arm.query(sel, outer, nil, "")
		if err != nil {
			return nil, err
		}
		arm.top, arm.scope = in.block, in.scope
		if !hasData(arm.insts) || !arm.keepsShard(in) {
			return nil, refused
		}
		v, err := arm.decide()
		if err != nil {
			return nil, err
		}
		out = &verdict{keyspace: v.keyspace, dest: Dest{Kind: DestAll}, reason: "each shard does its part of the set operation"}
	}
	return out, nil
}

func topWith(q parse.Query) *parse.With {
	switch x := q.(type) {
	case *parse.SetOpStmt:
		return x.With
	case *parse.ParenQuery:
		if x.With == nil {
			return topWith(x.Query)
		}
		return x.With
	}
	return nil
}

// unionPlan plans a set operation over several shards.
func (b *builder) unionPlan(a *analysis, q parse.Query, v *verdict, ed *editor) (*Plan, error) {
	list, distinct, _ := arms(q)
	var order []parse.OrderItem
	var limit *parse.Limit
	var orderSpan parse.Span
	op, ok := unparen(q).(*parse.SetOpStmt)
	if !ok || list == nil {
		return nil, errcode.New(errcode.Unsupported, "this query over several shards", "write it as one SELECT without outer parentheses")
	}
	order, orderSpan, limit = op.OrderBy, op.OrderBySpan, op.Limit
	r := &Route{Keyspace: v.keyspace, Dest: v.dest}
	if !distinct && len(order) == 0 && limit == nil {
		r.Text = ed.compile(b.whole())
		return &Plan{Root: r, Way: "push", Reason: v.reason}, nil
	}
	if op.With != nil {
		return nil, errcode.New(errcode.Unsupported, "WITH before an ordered or distinct set operation over several shards", "move the WITH into the parts")
	}
	names, err := b.resultNames(list[0])
	if err != nil {
		return nil, err
	}
	w := &wrapper{b: b, names: names}
	for i := range names {
		w.weight(i)
	}
	var keys, all []Key
	for i := range names {
		all = append(all, w.key(i, false))
	}
	for _, o := range order {
		i, err := w.find(o.Expr)
		if err != nil {
			return nil, err
		}
		keys = append(keys, w.key(i, o.Desc))
	}
	var lim *Limit
	if limit != nil {
		if lim, err = b.readLimit(limit); err != nil {
			return nil, err
		}
		ed.replace(limit.Span, "")
	}
	if orderSpan.End > orderSpan.Start {
		ed.replace(orderSpan, "")
	}
	r.Hidden = len(names)
	r.Text = w.text(ed.compile(op.Span), order, lim)
	var root Op = r
	if len(keys) > 0 {
		root = &Merge{Input: r, Keys: keys}
	}
	if distinct {
		root = &Dedup{Input: root, Keys: all}
	}
	if lim != nil {
		lim.Input = root
		root = lim
	}
	return &Plan{Root: &Strip{Input: root, Hidden: r.Hidden}, Way: "merge", Reason: v.reason}, nil
}

// resultNames are the names that a set operation takes from its first SELECT.
func (b *builder) resultNames(sel *parse.SelectStmt) ([]string, error) {
	names := make([]string, 0, len(sel.Items))
	for _, it := range sel.Items {
		if it.Star {
			return nil, errcode.New(errcode.Unsupported, "* in an ordered or distinct set operation over several shards", "name the columns")
		}
		name := it.Alias.Name
		if name == "" {
			name = parse.ColumnName(b.src, it, b.env.Mode)
		}
		names = append(names, name)
	}
	return names, nil
}

// wrapper puts a SELECT with sort keys around a query.
type wrapper struct {
	b       *builder
	names   []string
	weights []*Text
}

func (w *wrapper) weight(i int) {
	col := &Text{pieces: []piece{{kind: pieceFixed, fixed: FinishName + "." + quoteName(w.names[i])}}}
	w.weights = append(w.weights, &Text{pieces: []piece{{kind: pieceWeight, slot: i, texts: []*Text{col}}}})
}

func (w *wrapper) key(i int, desc bool) Key {
	return Key{Col: Column(i), Weight: Column(i - len(w.names)), Number: i, Desc: desc}
}

// find returns the column that a key of the set operation's ORDER BY names.
func (w *wrapper) find(e parse.Expr) (int, error) {
	switch x := unparenExpr(e).(type) {
	case *parse.ColumnRef:
		for i, n := range w.names {
			if strings.EqualFold(n, x.Name.Name) {
				return i, nil
			}
		}
	case *parse.Literal:
		if n, err := strconv.Atoi(string(x.Text(w.b.src))); err == nil && n >= 1 && n <= len(w.names) {
			w.b.guard(x.Span)
			return n - 1, nil
		}
	}
	return 0, errcode.New(errcode.Unsupported, "ORDER BY an expression after a set operation over several shards", "order by columns of the result")
}

// text is SELECT *, weights FROM (inner) ORDER BY .. LIMIT ..
func (w *wrapper) text(inner *Text, order []parse.OrderItem, lim *Limit) *Text {
	t := &Text{}
	t.add(piece{kind: pieceFixed, fixed: "SELECT " + FinishName + ".*"})
	for _, x := range w.weights {
		t.add(piece{kind: pieceFixed, fixed: ", "})
		t.append(x)
	}
	t.add(piece{kind: pieceFixed, fixed: " FROM ("})
	t.append(inner)
	t.add(piece{kind: pieceFixed, fixed: ") AS " + FinishName})
	lead := " ORDER BY "
	for _, o := range order {
		i, err := w.find(o.Expr)
		if err != nil {
			continue
		}
		key := lead + FinishName + "." + quoteName(w.names[i])
		if o.Desc {
			key += " DESC"
		}
		t.add(piece{kind: pieceFixed, fixed: key})
		lead = ", "
	}
	if lim != nil && lim.Count >= 0 {
		t.add(piece{kind: pieceFixed, fixed: " LIMIT " + strconv.FormatInt(lim.Count+lim.Offset, 10)})
	}
	return t
}
