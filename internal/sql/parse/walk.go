package parse

// Walk calls f for n and then, if f returns true, for everything inside it in the order of the source: statements,
// queries, table references and expressions, also those of subqueries. Nodes are visited as pointers; the column of an
// assignment is one of them, lists and clauses (SelectItem, OrderItem, Limit, With) only by what they hold.
func Walk(n Node, f func(Node) bool) {
	if n == nil || !f(n) {
		return
	}
	w := walker{f}
	switch n := n.(type) {
	case Expr:
		w.exprChildren(n)
	case TableExpr:
		w.tableChildren(n)
	case Query:
		w.queryChildren(n)
	case Statement:
		w.statementChildren(n)
	}
}

type walker struct{ f func(Node) bool }

func (w walker) expr(e Expr) {
	if e != nil {
		Walk(e, w.f)
	}
}

func (w walker) exprs(list []Expr) {
	for _, e := range list {
		w.expr(e)
	}
}

func (w walker) query(q Query) {
	if q != nil {
		Walk(q, w.f)
	}
}

func (w walker) tables(list []TableExpr) {
	for _, t := range list {
		Walk(t, w.f)
	}
}

func (w walker) items(list []SelectItem) {
	for i := range list {
		w.expr(list[i].Expr)
	}
}

func (w walker) orders(list []OrderItem) {
	for i := range list {
		w.expr(list[i].Expr)
	}
}

func (w walker) limit(l *Limit) {
	if l == nil {
		return
	}
	if l.Offset != nil && l.Count != nil && l.Count.Range().Start < l.Offset.Range().Start {
		w.expr(l.Count)
		w.expr(l.Offset)
		return
	}
	w.expr(l.Offset)
	w.expr(l.Count)
}

func (w walker) with(c *With) {
	if c == nil {
		return
	}
	for i := range c.CTEs {
		w.query(c.CTEs[i].Query)
	}
}

func (w walker) assignments(list []Assignment) {
	for i := range list {
		Walk(&list[i].Column, w.f)
		w.expr(list[i].Value)
	}
}

func (w walker) queryChildren(q Query) {
	switch q := q.(type) {
	case *SelectStmt:
		w.with(q.With)
		w.items(q.Items)
		w.tables(q.From)
		w.expr(q.Where)
		w.orders(q.GroupBy)
		w.expr(q.Having)
		for i := range q.Windows {
			w.over(&q.Windows[i].Over)
		}
		w.expr(q.Qualify)
		w.orders(q.OrderBy)
		w.limit(q.Limit)
	case *SetOpStmt:
		w.with(q.With)
		w.query(q.Left)
		w.query(q.Right)
		w.orders(q.OrderBy)
		w.limit(q.Limit)
	case *ParenQuery:
		w.with(q.With)
		w.query(q.Query)
		w.orders(q.OrderBy)
		w.limit(q.Limit)
	case *ValuesStmt:
		w.with(q.With)
		for _, r := range q.Rows {
			w.exprs(r)
		}
		w.orders(q.OrderBy)
		w.limit(q.Limit)
	case *TableStmt:
		w.with(q.With)
		w.orders(q.OrderBy)
		w.limit(q.Limit)
	}
}

func (w walker) tableChildren(t TableExpr) {
	switch t := t.(type) {
	case *JoinExpr:
		Walk(t.Left, w.f)
		Walk(t.Right, w.f)
		w.expr(t.On)
	case *Derived:
		w.query(t.Query)
	case *ParenTable:
		w.tables(t.List)
	case *TableFunc:
		w.exprs(t.Args)
	}
}

func (w walker) over(o *Over) {
	if o != nil {
		w.exprs(o.PartitionBy)
		w.orders(o.OrderBy)
	}
}

func (w walker) exprChildren(e Expr) {
	switch e := e.(type) {
	case *Binary:
		w.expr(e.Left)
		w.expr(e.Right)
		w.expr(e.Escape)
	case *Unary:
		w.expr(e.Expr)
	case *IsExpr:
		w.expr(e.Expr)
	case *InExpr:
		w.expr(e.Expr)
		w.exprs(e.List)
		w.query(e.Query)
	case *Between:
		w.expr(e.Expr)
		w.expr(e.Low)
		w.expr(e.High)
	case *FuncCall:
		w.exprs(e.Args)
		w.orders(e.OrderBy)
		w.over(e.Over)
	case *CaseExpr:
		w.expr(e.Operand)
		for _, c := range e.Whens {
			w.expr(c.Cond)
			w.expr(c.Result)
		}
		w.expr(e.Else)
	case *Subquery:
		w.query(e.Query)
	case *Tuple:
		w.exprs(e.Items)
	case *Paren:
		w.expr(e.Expr)
	case *Interval:
		w.expr(e.Expr)
	case *Collate:
		w.expr(e.Expr)
	case *Match:
		w.exprs(e.Columns)
		w.expr(e.Against)
	case *RawExpr:
		w.exprs(e.Exprs)
	}
}

func (w walker) statementChildren(s Statement) {
	switch s := s.(type) {
	case *InsertStmt:
		for i := range s.Rows {
			w.exprs(s.Rows[i].Values)
		}
		w.assignments(s.Set)
		w.query(s.Query)
		w.assignments(s.OnDuplicate)
		w.items(s.Returning)
	case *UpdateStmt:
		w.with(s.With)
		w.tables(s.Tables)
		w.assignments(s.Set)
		w.tables(s.From)
		w.expr(s.Where)
		w.orders(s.OrderBy)
		w.limit(s.Limit)
		w.items(s.Returning)
	case *DeleteStmt:
		w.with(s.With)
		w.tables(s.From)
		w.expr(s.Where)
		w.orders(s.OrderBy)
		w.limit(s.Limit)
		w.items(s.Returning)
	case *LoadDataStmt:
		w.assignments(s.Set)
	case *SetStmt:
		for i := range s.Items {
			w.expr(s.Items[i].Value)
		}
		if s.Body != nil {
			Walk(s.Body, w.f)
		}
	case *ShowStmt:
		w.expr(s.Where)
		w.limit(s.Limit)
	case *ExplainStmt:
		if s.Stmt != nil {
			Walk(s.Stmt, w.f)
		}
		w.expr(s.Connection)
	case *KillStmt:
		w.expr(s.ID)
	case *DDLStmt:
		w.query(s.Query)
	case *PrepareStmt:
		w.expr(s.Expr)
	case *ExecuteStmt:
		w.expr(s.Immediate)
		w.exprs(s.Using)
	case *CallStmt:
		w.exprs(s.Args)
	case *DoStmt:
		w.exprs(s.Exprs)
	}
}
