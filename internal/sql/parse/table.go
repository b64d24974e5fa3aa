package parse

// tableRefs parses the comma-separated references of a FROM clause.
func (p *parser) tableRefs() []TableExpr {
	list := []TableExpr{p.tableRef()}
	for p.accept(",") {
		list = append(list, p.tableRef())
	}
	return list
}

// joinItem is a reference that waits for the condition of the join that puts it to what stands before it.
type joinItem struct {
	table TableExpr
	kind  string
}

// tableRef parses a reference with its joins. A condition belongs to the nearest join before it that has none.
func (p *parser) tableRef() TableExpr {
	if !p.enter() {
		return &TableRef{}
	}
	defer p.leave()
	stack := []joinItem{{table: p.tableFactor()}}
	for n := 0; p.err == nil; n++ {
		if n == maxChain {
			p.failWith("too many operations in a row")
		}
		if kind := p.joinKind(); kind != "" {
			stack = append(stack, joinItem{p.tableFactor(), kind})
			if len(kind) < 7 || kind[:7] != "NATURAL" {
				continue
			}
			stack = p.reduce(stack, nil, nil)
			continue
		}
		switch {
		case len(stack) > 1 && p.is("ON") && !p.isAhead(1, "DUPLICATE"):
			p.next()
			stack = p.reduce(stack, p.expr(0), nil)
		case len(stack) > 1 && p.is("USING") && p.isAhead(1, "("):
			p.next()
			stack = p.reduce(stack, nil, p.names())
		default:
			return foldJoins(stack)
		}
	}
	return foldJoins(stack)
}

// reduce joins the last two items.
func (p *parser) reduce(stack []joinItem, on Expr, using []Ident) []joinItem {
	left, right := &stack[len(stack)-2], stack[len(stack)-1]
	left.table = &JoinExpr{Kind: right.kind, Left: left.table, Right: right.table, On: on, Using: using, Span: p.from(left.table.Range().Start)}
	return stack[:len(stack)-1]
}

// foldJoins joins what is left, from the left: a JOIN b JOIN c ON x is (a JOIN b) JOIN c ON x.
func foldJoins(stack []joinItem) TableExpr {
	left := stack[0].table
	for _, item := range stack[1:] {
		start := left.Range().Start
		at := &item.table
		for {
			j, ok := (*at).(*JoinExpr)
			if !ok {
				break
			}
			j.Start = start
			at = &j.Left
		}
		inner := *at
		*at = &JoinExpr{Kind: item.kind, Left: left, Right: inner, Span: Span{start, inner.Range().End}}
		left = item.table
	}
	return left
}

// joinKind takes the keywords of a join; "" if there is none.
func (p *parser) joinKind() string {
	switch p.tok().word {
	case "JOIN":
		p.next()
		return "INNER"
	case "INNER", "CROSS":
		p.next()
		p.expect("JOIN")
		return "INNER"
	case "STRAIGHT_JOIN":
		p.next()
		return "STRAIGHT"
	case "LEFT", "RIGHT":
		kind := p.next().word
		p.accept("OUTER")
		p.expect("JOIN")
		return kind
	case "NATURAL":
		p.next()
		kind := "NATURAL"
		if p.is("LEFT") || p.is("RIGHT") {
			kind = "NATURAL " + p.next().word
			p.accept("OUTER")
		} else {
			p.accept("INNER")
		}
		p.expect("JOIN")
		return kind
	}
	return ""
}

// tableFactor parses one operand of joins.
func (p *parser) tableFactor() TableExpr {
	start := p.start()
	switch {
	case p.is("("):
		if p.queryAt(p.i) {
			return p.derived(start, false)
		}
		p.next()
		t := &ParenTable{List: p.tableRefs()}
		p.expect(")")
		t.Span = p.from(start)
		return t
	case p.is("LATERAL") && p.isAhead(1, "("):
		p.next()
		return p.derived(start, true)
	case p.is("{"): // {OJ a LEFT JOIN b ON x}
		p.next()
		p.ident()
		t := &ParenTable{List: p.tableRefs()}
		p.expect("}")
		t.Span = p.from(start)
		return t
	case p.tok().kind == kindIdent && p.isAhead(1, "("):
		return p.tableFunc(start)
	}
	return p.namedTable(start)
}

// derived parses (query) [AS] alias [(columns)].
func (p *parser) derived(start int, lateral bool) *Derived {
	p.expect("(")
	d := &Derived{Lateral: lateral, Query: p.query()}
	p.expect(")")
	d.Alias = p.alias(false)
	if p.is("(") && d.Alias.Name != "" {
		d.Columns = p.names()
	}
	d.Span = p.from(start)
	return d
}

// tableFunc parses JSON_TABLE(expr, path COLUMNS(..)) [AS] alias and the like.
func (p *parser) tableFunc(start int) *TableFunc {
	f := &TableFunc{Name: p.upper(p.next())}
	end := p.tok().aux
	p.expect("(")
	if end < 0 {
		p.fail()
	}
	for p.err == nil && !p.is(")") {
		f.Args = append(f.Args, p.expr(0))
		if !p.accept(",") {
			break
		}
	}
	if p.err == nil {
		p.i = int(end)
	}
	p.expect(")")
	f.Alias = p.alias(false)
	f.Span = p.from(start)
	return f
}

// namedTable parses a table's name with what belongs to it.
func (p *parser) namedTable(start int) *TableRef {
	t := &TableRef{Table: p.tableName()}
	at := p.start()
	if p.is("PARTITION") && p.isAhead(1, "(") {
		p.next()
		p.skipParens()
	}
	p.systemTime()
	if extra := p.from(at); p.end() > at {
		t.Extra = extra
	}
	t.Alias = p.alias(false)
	at = p.start()
	if p.is("PARTITION") && p.isAhead(1, "(") { // DELETE has it behind the alias
		p.next()
		p.skipParens()
	}
	for p.indexHint() {
	}
	if p.accept("TABLESAMPLE") {
		p.next()
		p.skipParens()
	}
	if hints := p.from(at); p.end() > at {
		t.Hints = hints
	}
	t.Span = p.from(start)
	return t
}

// systemTime skips FOR SYSTEM_TIME .. and FOR PORTION OF .., MariaDB's.
func (p *parser) systemTime() {
	switch {
	case p.accept2("FOR", "SYSTEM_TIME"):
		switch {
		case p.accept("ALL"):
		case p.accept2("AS", "OF"):
			p.pointInTime()
		case p.accept("BETWEEN"):
			p.pointInTime()
			p.expect("AND")
			p.pointInTime()
		case p.accept("FROM"):
			p.pointInTime()
			p.expect("TO")
			p.pointInTime()
		default:
			p.fail()
		}
	case p.accept2("FOR", "PORTION"):
		p.expect("OF")
		p.ident()
		p.expect("FROM")
		p.expr(bpBitOr)
		p.expect("TO")
		p.expr(bpBitOr)
	}
}

func (p *parser) pointInTime() {
	if p.is("TRANSACTION") || p.is("TIMESTAMP") && p.ahead(1).kind != kindString && !p.isAhead(1, "(") {
		p.next()
	}
	p.expr(bpBitOr)
}

// indexHint skips one {USE|FORCE|IGNORE} {INDEX|KEY} [FOR ..] (..), if there is one.
func (p *parser) indexHint() bool {
	if !p.oneOf("USE", "FORCE", "IGNORE") || !p.isAhead(1, "INDEX") && !p.isAhead(1, "KEY") {
		return false
	}
	p.i += 2
	if p.accept("FOR") {
		switch {
		case p.accept("JOIN"), p.accept2("ORDER", "BY"), p.accept2("GROUP", "BY"):
		default:
			p.fail()
		}
	}
	p.skipParens()
	if p.is(",") && isOneOf(p.ahead(1).word, "USE", "FORCE", "IGNORE") {
		p.next()
	}
	return true
}
