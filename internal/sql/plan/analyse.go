package plan

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// maxInsts bounds the tables of one statement: checking them is quadratic, and servers allow 61 in a join.
const maxInsts = 500

// analysis is what is known of all tables of a statement and of the equalities between them.
type analysis struct {
	b     *builder
	insts []*inst
	top   *block       // of the outermost SELECT; nil when the statement is a set operation
	scope *scope       // of the outermost SELECT
	busy  []*parse.CTE // being expanded: a reference to one of these is recursive
}

// arm is one SELECT of a set operation.
type arm struct {
	sel   *parse.SelectStmt
	block *block
	scope *scope
}

// query analyses a query. parent is the block whose equalities hold inside; nil for none.
func (a *analysis) query(q parse.Query, sc *scope, parent *block, place string) (*arm, error) {
	if len(a.insts) > maxInsts {
		return nil, errcode.New(errcode.StatementLimit, "tables", maxInsts)
	}
	switch x := q.(type) {
	case *parse.SelectStmt:
		return a.selectStmt(x, sc, parent, place)
	case *parse.ParenQuery:
		sc = withCTEs(sc, x.With)
		return a.query(x.Query, sc, parent, place)
	case *parse.SetOpStmt:
		sc = withCTEs(sc, x.With)
		for _, side := range []parse.Query{x.Left, x.Right} {
			if _, err := a.query(side, sc, parent, place); err != nil {
				return nil, err
			}
		}
		return nil, nil
	case *parse.TableStmt:
		blk := &block{parent: parent, place: place, sub: true}
		return nil, a.tableExpr(&parse.TableRef{Span: x.Table.Span, Table: x.Table}, &scope{parent: sc}, blk)
	case *parse.ValuesStmt:
		blk := &block{parent: parent, place: place, sub: true}
		for _, row := range x.Rows {
			for _, e := range row {
				if err := a.expr(e, sc, blk); err != nil {
					return nil, err
				}
			}
		}
	}
	return nil, nil
}

// withCTEs opens a scope for the tables of a WITH clause.
func withCTEs(sc *scope, w *parse.With) *scope {
	if w == nil {
		return sc
	}
	out := &scope{parent: sc, ctes: map[string]*parse.CTE{}}
	for i := range w.CTEs {
		out.ctes[strings.ToLower(w.CTEs[i].Name.Name)] = &w.CTEs[i]
	}
	return out
}

// cte finds a common table expression by name.
func (s *scope) cte(name string) *parse.CTE {
	for ; s != nil; s = s.parent {
		if c := s.ctes[strings.ToLower(name)]; c != nil {
			return c
		}
	}
	return nil
}

// selectStmt analyses one SELECT block.
func (a *analysis) selectStmt(sel *parse.SelectStmt, sc *scope, parent *block, place string) (*arm, error) {
	blk := &block{parent: parent, place: place, sub: place != ""}
	inner := &scope{parent: withCTEs(sc, sel.With)}
	if err := a.from(sel.From, inner, blk); err != nil {
		return nil, err
	}
	if err := a.where(sel.Where, inner, blk); err != nil {
		return nil, err
	}
	exprs := []parse.Expr{sel.Having}
	for _, it := range sel.Items {
		exprs = append(exprs, it.Expr)
	}
	for _, list := range [][]parse.OrderItem{sel.GroupBy, sel.OrderBy} {
		for _, o := range list {
			exprs = append(exprs, o.Expr)
		}
	}
	for _, e := range exprs {
		if err := a.expr(e, inner, blk); err != nil {
			return nil, err
		}
	}
	return &arm{sel: sel, block: blk, scope: inner}, nil
}

func (a *analysis) from(list []parse.TableExpr, sc *scope, blk *block) error {
	for _, t := range list {
		if err := a.tableExpr(t, sc, blk); err != nil {
			return err
		}
	}
	return nil
}

// add puts an inst into the scope and the block.
func (a *analysis) add(i *inst, sc *scope, blk *block) {
	i.block = blk
	sc.insts = append(sc.insts, i)
	blk.insts = append(blk.insts, i)
	a.insts = append(a.insts, i)
}

// tableExpr analyses an item of a FROM clause.
func (a *analysis) tableExpr(t parse.TableExpr, sc *scope, blk *block) error {
	switch x := t.(type) {
	case *parse.TableRef:
		if x.Table.Schema.Name == "" {
			if c := sc.cte(x.Table.Name.Name); c != nil {
				return a.cteRef(x, c, sc, blk)
			}
		}
		i, err := a.b.newInst(x)
		if err != nil {
			return err
		}
		a.add(i, sc, blk)
		return nil
	case *parse.ParenTable:
		return a.from(x.List, sc, blk)
	case *parse.JoinExpr:
		return a.join(x, sc, blk)
	case *parse.Derived:
		outer := sc.parent
		if x.Lateral {
			outer = sc
		}
		return a.derived(x.Query, x.Alias.Name, x.Columns, outer, sc, blk)
	case *parse.TableFunc:
		a.add(&inst{name: x.Alias.Name, kind: instSystem}, sc, blk)
		for _, e := range x.Args {
			if err := a.expr(e, sc, blk); err != nil {
				return err
			}
		}
	}
	return nil
}

// cteRef analyses one use of a common table expression as a subquery of its own.
func (a *analysis) cteRef(ref *parse.TableRef, c *parse.CTE, sc *scope, blk *block) error {
	name := ref.Alias.Name
	if name == "" {
		name = ref.Table.Name.Name
	}
	for _, b := range a.busy {
		if b == c {
			a.add(&inst{name: name, kind: instOpaque}, sc, blk)
			return nil
		}
	}
	a.busy = append(a.busy, c)
	defer func() { a.busy = a.busy[:len(a.busy)-1] }()
	return a.derived(c.Query, name, c.Columns, sc.parent, sc, blk)
}

// join analyses both sides of a join; the side that may be filled with NULLs is a block of its own.
func (a *analysis) join(j *parse.JoinExpr, sc *scope, blk *block) error {
	left, right, on := blk, blk, blk
	switch {
	case strings.HasSuffix(j.Kind, "LEFT"):
		right = &block{parent: blk, place: blk.place}
		on = right
	case strings.HasSuffix(j.Kind, "RIGHT"):
		left = &block{parent: blk, place: blk.place}
		on = left
	}
	first := len(sc.insts)
	if err := a.tableExpr(j.Left, sc, left); err != nil {
		return err
	}
	mid := len(sc.insts)
	if err := a.tableExpr(j.Right, sc, right); err != nil {
		return err
	}
	for _, u := range j.Using {
		c := &parse.ColumnRef{Name: u}
		l := (&scope{insts: sc.insts[first:mid]}).owner(c)
		r := (&scope{insts: sc.insts[mid:]}).owner(c)
		if l != nil && r != nil {
			on.eqs = append(on.eqs, [2]colKey{l.column(u.Name), r.column(u.Name)})
		}
	}
	return a.where(j.On, sc, on)
}

// derived analyses a subquery in FROM. One whose rows are each made from rows of one shard is looked through.
func (a *analysis) derived(q parse.Query, name string, columns []parse.Ident, outer, sc *scope, blk *block) error {
	x := &inst{name: name, kind: instOpaque}
	first := len(a.insts)
	db := &block{parent: blk, place: name, sub: true}
	if !decomposable(q) {
		db = nil
	}
	in, err := a.query(q, outer, db, "named "+name)
	if err != nil {
		return err
	}
	if !hasData(a.insts[first:]) {
		x.kind = instReference
		for _, i := range a.insts[first:] {
			if i.kind == instReference {
				x.table = i.table
			}
		}
	} else if in != nil && db != nil && hasShardedInst(in.block) && a.keepsShard(in) {
		x.kind = instDerived
		a.export(x, in, columns, db)
	} else if db != nil {
		db.parent = nil
	}
	a.add(x, sc, blk)
	return nil
}

// hasData reports whether any of the insts has rows that other shards do not have.
func hasData(insts []*inst) bool {
	for _, i := range insts {
		if i.kind != instReference && i.kind != instSystem {
			return true
		}
	}
	return false
}

func hasShardedInst(b *block) bool {
	for _, i := range b.insts {
		if i.kind == instSharded || i.kind == instDerived || i.kind == instPinned {
			return true
		}
	}
	return false
}

// decomposable reports whether a query might give, shard by shard, what it gives over all shards.
func decomposable(q parse.Query) bool {
	sel, ok := unparen(q).(*parse.SelectStmt)
	return ok && sel.Limit == nil && !sel.Rollup && sel.Into == nil && len(sel.Windows) == 0 && !hasWindow(sel)
}

// keepsShard reports whether each row of the SELECT is made from rows of one shard: no grouping, or grouping by the
// columns of a vindex.
func (a *analysis) keepsShard(in *arm) bool {
	sel := in.sel
	if sel.Distinct {
		var list []parse.Expr
		for _, it := range sel.Items {
			list = append(list, it.Expr)
		}
		if !a.coversVindex(list, in) {
			return false
		}
	}
	if len(sel.GroupBy) == 0 {
		return !hasAggregate(sel)
	}
	var list []parse.Expr
	for _, g := range sel.GroupBy {
		list = append(list, a.b.itemExpr(sel, g.Expr))
	}
	return a.coversVindex(list, in)
}

// coversVindex reports whether the expressions include all columns of a unique vindex of one of the SELECT's tables.
func (a *analysis) coversVindex(list []parse.Expr, in *arm) bool {
	have := map[colKey]bool{}
	e := in.block.equalities()
	for _, x := range list {
		if c, ok := x.(*parse.ColumnRef); ok {
			if k, ok := in.scope.find(c); ok {
				have[e.root(k)] = true
			}
		}
	}
	for _, i := range in.block.insts {
		for _, v := range i.vcols {
			all := true
			for _, c := range v.columns {
				all = all && have[e.root(colKey{i, c})]
			}
			if all {
				return true
			}
		}
	}
	return false
}

// export tells what the columns of a derived table are inside, and gives it the vindexes of which it has all columns.
func (a *analysis) export(x *inst, in *arm, columns []parse.Ident, db *block) {
	x.exports = map[string]colKey{}
	for n, it := range in.sel.Items {
		if it.Star {
			if len(in.scope.insts) == 1 && len(in.sel.Items) == 1 && len(columns) == 0 {
				x.all = in.scope.insts[0]
			}
			continue
		}
		c, ok := it.Expr.(*parse.ColumnRef)
		if !ok {
			continue
		}
		k, ok := in.scope.find(c)
		if !ok {
			continue
		}
		name := c.Name.Name
		if it.Alias.Name != "" {
			name = it.Alias.Name
		}
		if len(columns) > n {
			name = columns[n].Name
		}
		x.exports[strings.ToLower(name)] = k
		in.block.eqs = append(in.block.eqs, [2]colKey{x.column(name), k})
	}
	if x.all != nil {
		for _, v := range x.all.vcols {
			x.vcols = append(x.vcols, v)
			for _, c := range v.columns {
				in.block.eqs = append(in.block.eqs, [2]colKey{{x, c}, {x.all, c}})
			}
		}
		return
	}
	e := in.block.equalities()
	for _, i := range in.block.insts {
		for _, v := range i.vcols {
			names := make([]string, 0, len(v.columns))
			for _, c := range v.columns {
				for name := range sortedKeys(x.exports) {
					if e.root(colKey{x, name}) == e.root(colKey{i, c}) {
						names = append(names, name)
						break
					}
				}
			}
			if len(names) == len(v.columns) {
				x.vcols = append(x.vcols, vcol{vindex: v.vindex, columns: names})
			}
		}
	}
}

// where takes the conjuncts of a condition that holds for all rows of the block.
func (a *analysis) where(e parse.Expr, sc *scope, blk *block) error {
	switch x := e.(type) {
	case nil:
		return nil
	case *parse.Paren:
		return a.where(x.Expr, sc, blk)
	case *parse.Binary:
		switch x.Op {
		case "AND":
			if err := a.where(x.Left, sc, blk); err != nil {
				return err
			}
			return a.where(x.Right, sc, blk)
		case "=":
			a.equal(x.Left, x.Right, sc, blk)
		case "<=>":
			a.nullSafe(x, sc, blk)
		}
	case *parse.InExpr:
		if !x.Not && x.Query == nil {
			a.in(x, sc, blk)
		}
		if !x.Not && x.Query != nil {
			return a.inQuery(x, sc, blk)
		}
	}
	return a.expr(e, sc, blk)
}

// equal notes an equality between columns, or between a column and a constant.
func (a *analysis) equal(l, r parse.Expr, sc *scope, blk *block) {
	l, r = unparenExpr(l), unparenExpr(r)
	if tl, ok := l.(*parse.Tuple); ok {
		if tr, ok := r.(*parse.Tuple); ok && len(tl.Items) == len(tr.Items) {
			for i := range tl.Items {
				a.equal(tl.Items[i], tr.Items[i], sc, blk)
			}
		}
		return
	}
	cl, okL := l.(*parse.ColumnRef)
	cr, okR := r.(*parse.ColumnRef)
	switch {
	case okL && okR:
		kl, ok1 := sc.find(cl)
		kr, ok2 := sc.find(cr)
		if ok1 && ok2 {
			blk.eqs = append(blk.eqs, [2]colKey{kl, kr})
		}
	case okL:
		a.constant(cl, r, sc, blk)
	case okR:
		a.constant(cr, l, sc, blk)
	}
}

func (a *analysis) constant(c *parse.ColumnRef, e parse.Expr, sc *scope, blk *block) {
	v, ok := a.b.valueOf(e)
	if !ok || a.b.env.Unbound {
		return
	}
	if k, ok := sc.find(c); ok {
		blk.consts = append(blk.consts, constraint{col: k, values: []ValueRef{v}})
	}
}

// nullSafe treats <=> as = unless the constant is NULL, which equals NULL here.
func (a *analysis) nullSafe(x *parse.Binary, sc *scope, blk *block) {
	for _, e := range []parse.Expr{x.Left, x.Right} {
		if v, ok := a.b.valueOf(e); ok && v.Const == nil && v.Param < 0 {
			a.equal(x.Left, x.Right, sc, blk)
		}
	}
}

// in notes col IN (constants).
func (a *analysis) in(x *parse.InExpr, sc *scope, blk *block) {
	c, ok := unparenExpr(x.Expr).(*parse.ColumnRef)
	if !ok || a.b.env.Unbound {
		return
	}
	values := make([]ValueRef, 0, len(x.List))
	for _, e := range x.List {
		v, ok := a.b.valueOf(e)
		if !ok {
			return
		}
		values = append(values, v)
	}
	if k, ok := sc.find(c); ok {
		con := constraint{col: k, values: values}
		if len(values) > 1 {
			con.in = x
		}
		blk.consts = append(blk.consts, con)
	}
}

// inQuery takes col IN (SELECT col2 ...) for an equality inside the subquery when that keeps its meaning there.
func (a *analysis) inQuery(x *parse.InExpr, sc *scope, blk *block) error {
	if err := a.expr(x.Expr, sc, blk); err != nil {
		return err
	}
	var sub *block
	if decomposable(x.Query) {
		sub = &block{parent: blk, place: "in IN", sub: true}
	} else {
		sub = blk
	}
	in, err := a.query(x.Query, sc, sub, "in IN")
	if err != nil || in == nil || sub == blk || !a.keepsShard(in) || len(in.sel.Items) != 1 {
		return err
	}
	outer, ok1 := unparenExpr(x.Expr).(*parse.ColumnRef)
	inner, ok2 := in.sel.Items[0].Expr.(*parse.ColumnRef)
	if ok1 && ok2 {
		ko, ok1 := sc.find(outer)
		ki, ok2 := in.scope.find(inner)
		if ok1 && ok2 {
			in.block.eqs = append(in.block.eqs, [2]colKey{ko, ki})
		}
	}
	return nil
}

// expr looks for subqueries in an expression.
func (a *analysis) expr(e parse.Expr, sc *scope, blk *block) error {
	if e == nil {
		return nil
	}
	var failed error
	parse.Walk(e, func(n parse.Node) bool {
		if failed != nil {
			return false
		}
		if q, ok := n.(parse.Query); ok {
			_, failed = a.query(q, sc, blk, "in an expression")
			return false
		}
		return true
	})
	return failed
}

func unparen(q parse.Query) parse.Query {
	for {
		p, ok := q.(*parse.ParenQuery)
		if !ok || p.With != nil || p.Limit != nil || len(p.OrderBy) > 0 {
			return q
		}
		q = p.Query
	}
}

func unparenExpr(e parse.Expr) parse.Expr {
	for {
		p, ok := e.(*parse.Paren)
		if !ok {
			return e
		}
		e = p.Expr
	}
}
