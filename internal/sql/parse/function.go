package parse

// call parses the arguments of a function whose name is taken, and what may follow it.
func (p *parser) call(start int, schema, fn Ident) Expr {
	f := &FuncCall{Schema: schema, NameSpan: fn.Span}
	f.Name, _ = lookUp([]byte(fn.Name))
	if f.Name == "" {
		f.Name = upperASCII(fn.Name)
	}
	end := int(p.tok().aux)
	p.expect("(")
	if end < 0 {
		p.fail()
		return f
	}
	if schema.Name != "" || !p.keywordArgs(f) {
		p.plainArgs(f)
	}
	if p.err == nil && p.i != end { // keywords of the function's own
		f.ReservedArg = true
		p.i = end
	}
	p.expect(")")
	p.afterCall(f)
	f.Span = p.from(start)
	return f
}

func upperASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// plainArgs parses [DISTINCT] a, b [ORDER BY ..]; it stops where it does not know how to go on.
func (p *parser) plainArgs(f *FuncCall) {
	switch {
	case p.is(")"):
		return
	case p.accept("*"):
		f.Star = true
		return
	case p.accept("DISTINCT"):
		f.Distinct = true
	case p.is("ALL"):
		p.next()
	}
	for {
		f.Args = append(f.Args, p.expr(0))
		if p.is("AS") && nameAt(p.ahead(1)) && (p.isAhead(2, ",") || p.isAhead(2, ")")) { // of a loadable function
			p.i += 2
			f.ReservedArg = true
		}
		if !p.accept(",") {
			break
		}
	}
	f.OrderBy, _ = p.orderBy()
}

// keywordArgs parses the arguments of the functions that part them by words; false if f is not one of them.
func (p *parser) keywordArgs(f *FuncCall) bool {
	switch f.Name {
	case "CAST", "CONVERT":
		f.Args = []Expr{p.expr(0)}
	case "EXTRACT":
		if !isUnit(p.tok().word) || !p.isAhead(1, "FROM") {
			return false
		}
		p.i += 2
		f.ReservedArg = true
		f.Args = []Expr{p.expr(0)}
	case "TIMESTAMPADD", "TIMESTAMPDIFF":
		if !isUnit(p.tok().word) || !p.isAhead(1, ",") {
			return false
		}
		p.i += 2
		f.ReservedArg = true
		f.Args = p.exprs()
	case "GET_FORMAT":
		p.next()
		p.expect(",")
		f.ReservedArg = true
		f.Args = p.exprs()
	case "TRIM", "TRIM_ORACLE":
		p.trimArgs(f)
	case "SUBSTRING", "SUBSTR", "MID":
		f.Args = []Expr{p.expr(0)}
		if p.accept("FROM") {
			f.ReservedArg = true
			f.Args = append(f.Args, p.expr(0))
			if p.accept("FOR") {
				f.Args = append(f.Args, p.expr(0))
			}
			return true
		}
		for p.accept(",") {
			f.Args = append(f.Args, p.expr(0))
		}
	case "POSITION":
		f.Args = []Expr{p.expr(bpBitOr)}
		if p.accept("IN") {
			f.ReservedArg = true
			f.Args = append(f.Args, p.expr(0))
		}
	case "CHAR":
		f.Args = p.exprs()
	default:
		return false
	}
	return true
}

// trimArgs parses [BOTH|LEADING|TRAILING] [what FROM] text.
func (p *parser) trimArgs(f *FuncCall) {
	if p.oneOf("BOTH", "LEADING", "TRAILING") {
		p.next()
		f.ReservedArg = true
		if p.accept("FROM") {
			f.Args = []Expr{p.expr(0)}
			return
		}
	}
	f.Args = []Expr{p.expr(0)}
	if p.accept("FROM") {
		f.ReservedArg = true
		f.Args = append(f.Args, p.expr(0))
	}
}

// afterCall parses WITHIN GROUP, FROM FIRST, RESPECT NULLS and OVER.
func (p *parser) afterCall(f *FuncCall) {
	if p.is("WITHIN") && p.isAhead(1, "GROUP") {
		p.i += 2
		p.expect("(")
		f.OrderBy, _ = p.orderBy()
		p.expect(")")
	}
	if p.is("FROM") && (p.isAhead(1, "FIRST") || p.isAhead(1, "LAST")) && isOneOf(p.ahead(2).word, "OVER", "RESPECT", "IGNORE") {
		p.i += 2
	}
	if (p.is("RESPECT") || p.is("IGNORE")) && p.isAhead(1, "NULLS") {
		p.i += 2
	}
	start := p.start()
	if !p.is("OVER") || !p.isAhead(1, "(") && !nameAt(p.ahead(1)) {
		return
	}
	p.next()
	f.Over = &Over{}
	if p.is("(") {
		p.windowSpec(f.Over)
	} else {
		f.Over.Name = p.ident()
	}
	f.Over.Span = p.from(start)
}

// windowSpec parses ([name] [PARTITION BY ..] [ORDER BY ..] [frame]).
func (p *parser) windowSpec(o *Over) {
	end := int(p.tok().aux)
	p.expect("(")
	if end < 0 {
		p.fail()
		return
	}
	if nameAt(p.tok()) && !p.oneOf("ROWS", "RANGE", "GROUPS") {
		o.Name = p.ident()
	}
	if p.accept2("PARTITION", "BY") {
		o.PartitionBy = p.exprs()
	}
	o.OrderBy, _ = p.orderBy()
	if p.err == nil && p.i != end {
		if !p.oneOf("ROWS", "RANGE", "GROUPS") {
			p.fail()
			return
		}
		p.i = end
	}
	p.expect(")")
}
