package parse

// query parses a query with everything that may follow it.
func (p *parser) query() Query {
	if !p.enter() {
		return &TableStmt{}
	}
	defer p.leave()
	start := p.start()
	var with *With
	if p.is("WITH") {
		with = p.with()
	}
	return p.queryAfterWith(with, start)
}

func (p *parser) queryAfterWith(with *With, start int) Query {
	q := p.setOperations(start, 0)
	p.queryTail(q, with, start)
	return q
}

// setOperations parses operands and the set operators between them; INTERSECT (level 1) binds tighter than the others.
func (p *parser) setOperations(start, level int) Query {
	var left Query
	if level == 1 {
		left = p.operand()
	} else {
		left = p.setOperations(start, 1)
	}
	for n := 0; p.err == nil; n++ {
		op := p.tok().word
		switch {
		case op == "MINUS" && (p.isAhead(1, "SELECT") || p.isAhead(1, "(") || p.isAhead(1, "ALL") || p.isAhead(1, "DISTINCT")):
			op = "EXCEPT"
		case op != "UNION" && op != "EXCEPT" && op != "INTERSECT":
			return left
		}
		if (op == "INTERSECT") != (level == 1) {
			return left
		}
		if n == maxChain {
			p.failWith("too many operations in a row")
		}
		p.next()
		s := &SetOpStmt{Op: op, All: p.accept("ALL"), Left: left}
		if !s.All {
			p.accept("DISTINCT")
		}
		right := p.start()
		if level == 1 {
			s.Right = p.operand()
		} else {
			s.Right = p.setOperations(right, 1)
		}
		s.Span = p.from(left.Range().Start)
		left = s
	}
	return left
}

// operand parses one operand of a set operation, without ORDER BY and what comes after it.
func (p *parser) operand() Query {
	start := p.start()
	switch {
	case p.is("SELECT"):
		return p.selectBlock()
	case p.is("VALUES"):
		return p.valuesList()
	case p.accept("TABLE"):
		return &TableStmt{Table: p.tableName(), Span: p.from(start)}
	case p.accept("("):
		q := &ParenQuery{Query: p.query()}
		p.expect(")")
		q.Span = p.from(start)
		return q
	}
	p.fail()
	return &TableStmt{}
}

// queryAt says whether the ( at token i begins a query in parentheses, not an expression or a join.
func (p *parser) queryAt(i int) bool {
	j := i
	for p.toks[j].word == "(" {
		if j++; j-i > maxDepth {
			return false
		}
	}
	if j == i {
		return false
	}
	switch p.toks[j].word {
	case "SELECT", "WITH":
	case "TABLE":
		if !nameAt(&p.toks[j+1]) {
			return false
		}
	case "VALUES":
		if p.toks[j+1].word != "ROW" && (p.onDup || !p.mode.MariaDB) { // the function
			return false
		}
	default:
		return false
	}
	for j--; j > i; j-- { // what follows each inner parenthesis must be able to follow a query
		after := int(p.toks[j].aux) + 1
		if after == 0 || !isOneOf(p.toks[after].word, ")", "UNION", "EXCEPT", "INTERSECT", "MINUS", "ORDER", "LIMIT", "FOR", "LOCK", "INTO",
			"OFFSET", "FETCH") {
			return false
		}
	}
	return true
}

// queryTail parses ORDER BY, LIMIT, INTO and locks after a query body, and completes it.
func (p *parser) queryTail(q Query, with *With, start int) {
	order, orderSpan := p.orderBy()
	limit := p.limit()
	var procedure Span
	if at := p.start(); p.accept("PROCEDURE") {
		p.skipUntil("INTO", "FOR", "LOCK")
		procedure = p.from(at)
	}
	into := p.into()
	lock := p.lock()
	if into == nil {
		into = p.into()
	}
	span := Span{start, max(p.end(), start)}
	switch q := q.(type) {
	case *SelectStmt:
		if into != nil {
			q.Into = into
		}
		q.With, q.OrderBy, q.OrderBySpan, q.Limit, q.Lock, q.Procedure, q.Span = with, order, orderSpan, limit, lock, procedure, span
	case *SetOpStmt:
		q.With, q.OrderBy, q.OrderBySpan, q.Limit, q.Lock, q.Into, q.Span = with, order, orderSpan, limit, lock, into, span
	case *ParenQuery:
		q.With, q.OrderBy, q.OrderBySpan, q.Limit, q.Lock, q.Into, q.Span = with, order, orderSpan, limit, lock, into, span
	case *ValuesStmt:
		q.With, q.OrderBy, q.Limit, q.Span = with, order, limit, span
	case *TableStmt:
		q.With, q.OrderBy, q.Limit, q.Lock, q.Into, q.Span = with, order, limit, lock, into, span
	}
}

// with parses WITH [RECURSIVE] name [(columns)] AS (query), ...
func (p *parser) with() *With {
	start := p.start()
	p.expect("WITH")
	w := &With{Recursive: p.accept("RECURSIVE")}
	for {
		at := p.start()
		c := CTE{Name: p.ident()}
		if p.is("(") {
			c.Columns = p.names()
		}
		p.expect("AS")
		p.expect("(")
		c.Query = p.query()
		p.expect(")")
		if p.accept("CYCLE") {
			p.ident()
			for p.accept(",") {
				p.ident()
			}
			p.expect("RESTRICT")
		}
		c.Span = p.from(at)
		w.CTEs = append(w.CTEs, c)
		if !p.accept(",") {
			break
		}
	}
	w.Span = p.from(start)
	return w
}

// withStatement parses a statement that begins with WITH.
func (p *parser) withStatement() Statement {
	start := p.start()
	with := p.with()
	switch p.tok().word {
	case "UPDATE":
		return p.update(with, start)
	case "DELETE":
		return p.delete(with, start)
	}
	return p.queryAfterWith(with, start)
}

// selectBlock parses SELECT up to and with HAVING, WINDOW and QUALIFY.
func (p *parser) selectBlock() *SelectStmt {
	start := p.start()
	p.expect("SELECT")
	s := &SelectStmt{}
	p.selectOptions(s)
	s.Items = p.selectItems()
	s.ItemsEnd = p.end()
	s.Into = p.into()
	if at := p.start(); p.accept("FROM") {
		if !p.accept("DUAL") {
			s.From = p.tableRefs()
		}
		s.FromSpan = p.from(at)
	}
	s.Where, s.WhereSpan = p.where()
	p.groupBy(s)
	if at := p.start(); p.accept("HAVING") {
		s.Having = p.expr(0)
		s.HavingSpan = p.from(at)
	}
	if p.is("WINDOW") && nameAt(p.ahead(1)) && p.isAhead(2, "AS") {
		p.next()
		s.Windows = p.windows()
	}
	if p.is("QUALIFY") {
		p.next()
		s.Qualify = p.expr(0)
	}
	s.Span = p.from(start)
	return s
}

func (p *parser) selectOptions(s *SelectStmt) {
	for {
		t := p.tok()
		switch t.word {
		case "ALL", "HIGH_PRIORITY", "STRAIGHT_JOIN", "SQL_SMALL_RESULT", "SQL_BIG_RESULT", "SQL_CALC_FOUND_ROWS":
		case "DISTINCT", "DISTINCTROW":
			s.Distinct = true
		case "SQL_BUFFER_RESULT", "SQL_NO_CACHE", "SQL_CACHE": // may be names
			if n := p.ahead(1); n.kind == kindEOF || isOneOf(n.word, ",", "FROM", ".", ";", ")", "AS") {
				return
			}
		default:
			return
		}
		s.Options = append(s.Options, SelectOption{Span: Span{int(t.start), int(t.end)}, Name: t.word})
		p.next()
	}
}

func (p *parser) selectItems() []SelectItem {
	list := []SelectItem{p.selectItem()}
	for p.accept(",") {
		list = append(list, p.selectItem())
	}
	return list
}

func (p *parser) selectItem() SelectItem {
	start := p.start()
	if p.accept("*") {
		return SelectItem{Star: true, Span: p.from(start)}
	}
	if k := p.tok().kind; k == kindIdent || k == kindQuoted {
		if n := p.starAhead(); n > 0 {
			item := SelectItem{Star: true, Table: p.tableName()}
			p.expect(".")
			p.expect("*")
			item.Span = p.from(start)
			return item
		}
	}
	item := SelectItem{Expr: p.expr(0)}
	item.Alias = p.alias(true)
	item.Span = p.from(start)
	return item
}

// starAhead returns the number of tokens of t.* or s.t.*, 0 if there is none.
func (p *parser) starAhead() int {
	if !p.isAhead(1, ".") {
		return 0
	}
	if p.isAhead(2, "*") {
		return 3
	}
	if p.isAhead(3, ".") && p.isAhead(4, "*") {
		return 5
	}
	return 0
}

// where parses WHERE, if there is one.
func (p *parser) where() (Expr, Span) {
	start := p.start()
	if !p.accept("WHERE") {
		return nil, Span{}
	}
	e := p.expr(0)
	return e, p.from(start)
}

func (p *parser) groupBy(s *SelectStmt) {
	start := p.start()
	if !p.accept2("GROUP", "BY") {
		return
	}
	s.GroupBy = p.orderItems()
	if len(s.GroupBy) == 1 {
		f, ok := s.GroupBy[0].Expr.(*FuncCall)
		s.Rollup = ok && f.Name == "ROLLUP"
	}
	if p.accept2("WITH", "ROLLUP") {
		s.Rollup = true
	}
	s.GroupBySpan = p.from(start)
}

// orderBy parses ORDER BY, if there is one.
func (p *parser) orderBy() ([]OrderItem, Span) {
	start := p.start()
	if !p.accept2("ORDER", "BY") {
		return nil, Span{}
	}
	list := p.orderItems()
	p.accept2("WITH", "ROLLUP")
	return list, p.from(start)
}

func (p *parser) orderItems() []OrderItem {
	var list []OrderItem
	for {
		start := p.start()
		o := OrderItem{Expr: p.expr(0)}
		if p.accept("DESC") {
			o.Desc = true
		} else {
			p.accept("ASC")
		}
		o.Span = p.from(start)
		list = append(list, o)
		if !p.accept(",") {
			return list
		}
	}
}

// limit parses LIMIT, or OFFSET .. FETCH, if there is one.
func (p *parser) limit() *Limit {
	start := p.start()
	l := &Limit{}
	switch {
	case p.accept("LIMIT"):
		if !p.is("ROWS") {
			l.Count = p.expr(bpPredicate)
			if p.accept(",") {
				l.Offset, l.Count = l.Count, p.expr(bpPredicate)
			} else if p.accept("OFFSET") {
				l.Offset = p.expr(bpPredicate)
			}
		}
		if p.accept2("ROWS", "EXAMINED") {
			l.Raw = true
			p.expr(bpPredicate)
		}
	case p.is("OFFSET") || p.is("FETCH"):
		l.Raw = true
		if p.accept("OFFSET") {
			l.Offset = p.expr(bpPredicate)
			if !p.accept("ROW") {
				p.expect("ROWS")
			}
		}
		if p.accept("FETCH") {
			p.skipUntil("ONLY", "WITH", "INTO", "FOR", "LOCK", "PROCEDURE", "UNION", "EXCEPT", "INTERSECT")
			if !p.accept("ONLY") {
				p.accept2("WITH", "TIES")
			}
		}
	default:
		return nil
	}
	l.Span = p.from(start)
	return l
}

// lock parses the locking clauses, which count as one.
func (p *parser) lock() *LockClause {
	start := p.start()
	var l *LockClause
	for {
		update := false
		switch {
		case p.accept2("FOR", "UPDATE"):
			update = true
		case p.accept2("FOR", "SHARE"):
		case p.is("LOCK") && p.isAhead(1, "IN"):
			p.i += 2
			p.expect("SHARE")
			p.expect("MODE")
		default:
			return l
		}
		if p.accept("OF") {
			p.tableNames()
		}
		switch {
		case p.accept("NOWAIT"), p.accept2("SKIP", "LOCKED"):
		case p.accept("WAIT"):
			p.expr(bpPredicate)
		}
		if l == nil {
			l = &LockClause{}
		}
		l.Update = l.Update || update
		l.Span = p.from(start)
	}
}

// into parses INTO variables, OUTFILE or DUMPFILE, if there is one.
func (p *parser) into() *Into {
	start := p.start()
	if !p.is("INTO") {
		return nil
	}
	p.next()
	in := &Into{}
	switch {
	case p.accept("OUTFILE"), p.accept("DUMPFILE"):
		in.File = true
		p.skipUntil("FROM", "FOR", "LOCK", "WHERE", "GROUP", "ORDER", "LIMIT")
	default:
		for {
			t := p.tok()
			switch {
			case t.kind == kindUserVar:
				in.Vars = append(in.Vars, userVar(p.text(t)))
				p.next()
			case nameAt(t): // a variable of a stored procedure
				p.next()
			default:
				p.fail()
			}
			if !p.accept(",") {
				break
			}
		}
	}
	in.Span = p.from(start)
	return in
}

// userVar is the name of @name, @'name', @"name" or @`name`.
func userVar(text []byte) string {
	text = text[1:]
	if len(text) > 1 && text[0] == '\'' {
		return string(unescape(text[1:len(text)-1], '\'', true, nil))
	}
	return name(text)
}

// windows parses name AS (..), ...
func (p *parser) windows() []NamedWindow {
	var list []NamedWindow
	for {
		start := p.start()
		w := NamedWindow{Name: p.ident()}
		p.expect("AS")
		at := p.start()
		p.windowSpec(&w.Over)
		w.Over.Span = p.from(at)
		w.Span = p.from(start)
		list = append(list, w)
		if !p.accept(",") {
			return list
		}
	}
}

// valuesList parses VALUES ROW(..), ROW(..) or VALUES (..), (..).
func (p *parser) valuesList() *ValuesStmt {
	start := p.start()
	p.expect("VALUES")
	v := &ValuesStmt{}
	for {
		p.accept("ROW")
		v.Rows = append(v.Rows, p.row().Values)
		if !p.accept(",") {
			break
		}
	}
	v.Span = p.from(start)
	return v
}

// row parses (expr, ...), which may be empty.
func (p *parser) row() Row {
	start := p.start()
	p.expect("(")
	var r Row
	if !p.is(")") {
		r.Values = p.exprs()
	}
	p.expect(")")
	r.Span = p.from(start)
	return r
}
