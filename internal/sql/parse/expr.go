package parse

// Binding powers, from the loosest to the tightest, as the grammars of both families have them.
const (
	bpOr = iota + 1
	bpXor
	bpAnd
	bpNot
	bpCompare
	bpPredicate // LIKE, IN, BETWEEN, REGEXP, ...
	bpBitOr
	bpBitAnd
	bpShift
	bpAdd
	bpMul
	bpBitXor
	bpConcat // || with PIPES_AS_CONCAT
	bpUnary
	bpCollate
	bpArrow
)

// exprs parses a list of at least one expression.
func (p *parser) exprs() []Expr {
	list := []Expr{p.expr(0)}
	for p.accept(",") {
		list = append(list, p.expr(0))
	}
	return list
}

// expr parses an expression of operators that bind at least as tightly as least.
func (p *parser) expr(least int) Expr {
	if !p.enter() {
		p.leave()
		return &RawExpr{}
	}
	left := p.prefix()
	for n := 0; ; n++ {
		e := p.infix(left, least)
		if e == nil {
			break
		}
		if n == maxChain {
			p.failWith("too many operations in a row")
		}
		left = e
	}
	p.leave()
	return left
}

// infix parses what follows left, if it binds tightly enough; nil if nothing does.
func (p *parser) infix(left Expr, least int) Expr {
	t := p.tok()
	if t.word == "" {
		return nil
	}
	bp, op := 0, t.word
	switch t.word {
	case ",", ")":
		return nil
	case "OR":
		bp = bpOr
	case "||":
		if p.mode.PipesAsConcat {
			bp = bpConcat
			break
		}
		bp, op = bpOr, "OR"
	case "XOR":
		bp = bpXor
	case "AND", "&&":
		bp, op = bpAnd, "AND"
	case "=", "<=>", "<>", "<", "<=", ">", ">=":
		bp = bpCompare
	case "|":
		bp = bpBitOr
	case "&":
		bp = bpBitAnd
	case "<<", ">>":
		bp = bpShift
	case "+", "-":
		bp = bpAdd
	case "*", "/", "DIV":
		bp = bpMul
	case "MOD", "%":
		bp, op = bpMul, "MOD"
	case "^":
		bp = bpBitXor
	case "->", "->>":
		bp = bpArrow
	default:
		return p.wordInfix(left, least, t.word)
	}
	if bp < least {
		return nil
	}
	p.next()
	b := &Binary{Op: op, Left: left}
	if bp == bpCompare && p.oneOf("ANY", "SOME", "ALL") && p.isAhead(1, "(") && p.queryAt(p.i+1) {
		b.Right = p.quantified()
	} else {
		b.Right = p.expr(bp + 1)
	}
	b.Span = p.from(left.Range().Start)
	return b
}

// quantified parses ANY (query) and ALL (query).
func (p *parser) quantified() Expr {
	start := p.start()
	kind := p.next().word
	if kind == "SOME" {
		kind = "ANY"
	}
	s := p.subquery(kind)
	s.Start = start
	return s
}

// subquery parses (query).
func (p *parser) subquery(kind string) *Subquery {
	start := p.start()
	p.expect("(")
	s := &Subquery{Kind: kind, Query: p.query()}
	p.expect(")")
	s.Span = p.from(start)
	return s
}

// wordInfix is infix for operators that are not followed by a plain operand.
func (p *parser) wordInfix(left Expr, least int, word string) Expr {
	start := left.Range().Start
	switch word {
	case "IS":
		if bpCompare < least {
			return nil
		}
		p.next()
		e := &IsExpr{Expr: left, Not: p.accept("NOT")}
		if e.What = p.tok().word; e.What == "\\" && p.wordIs(p.ahead(1), "N") {
			p.next()
			e.What = "NULL"
		} else if !isOneOf(e.What, "NULL", "TRUE", "FALSE", "UNKNOWN", "JSON") {
			p.fail()
			return left
		}
		p.next()
		e.Span = p.from(start)
		return e
	case "COLLATE":
		if bpCollate < least {
			return nil
		}
		p.next()
		e := &Collate{Expr: left}
		if t := p.next(); t.kind == kindString {
			e.Name = p.value(t)
		} else {
			e.Name = name(p.text(t))
		}
		e.Span = p.from(start)
		return e
	}
	if bpPredicate < least {
		return nil
	}
	return p.predicate(left, start)
}

// predicate parses [NOT] IN, BETWEEN, LIKE, REGEXP, and SOUNDS LIKE and MEMBER OF; nil if there is none.
func (p *parser) predicate(left Expr, start int) Expr {
	not := p.is("NOT")
	word := p.tok().word
	if not {
		word = p.ahead(1).word
	}
	var op string
	switch word {
	case "IN", "BETWEEN":
	case "LIKE":
		op = "LIKE"
	case "REGEXP", "RLIKE":
		op = "REGEXP"
	case "SOUNDS":
		if not || !p.isAhead(1, "LIKE") {
			return nil
		}
		p.next()
		op = "SOUNDS LIKE"
	case "MEMBER":
		if not || !p.isAhead(1, "OF") && !p.isAhead(1, "(") {
			return nil
		}
		if op = "MEMBER OF"; p.isAhead(1, "OF") {
			p.next()
		}
	default:
		return nil
	}
	if not {
		p.next()
		op = "NOT " + op
	}
	p.next()
	switch word {
	case "IN":
		return p.in(left, not, start)
	case "BETWEEN":
		b := &Between{Expr: left, Not: not, Low: p.expr(bpPredicate)}
		p.expect("AND")
		b.High = p.expr(bpPredicate)
		b.Span = p.from(start)
		return b
	}
	b := &Binary{Op: op, Left: left, Right: p.expr(bpBitOr)}
	if word == "LIKE" && p.accept("ESCAPE") {
		b.Escape = p.expr(bpBitOr)
	}
	b.Span = p.from(start)
	return b
}

func (p *parser) in(left Expr, not bool, start int) Expr {
	e := &InExpr{Expr: left, Not: not}
	if p.is("(") && p.queryAt(p.i) {
		p.next()
		e.Query = p.query()
		p.expect(")")
	} else {
		p.expect("(")
		e.List = p.exprs()
		p.expect(")")
	}
	e.Span = p.from(start)
	return e
}

// prefix parses an operand with the operators before it.
func (p *parser) prefix() Expr {
	t := p.tok()
	start := int(t.start)
	switch t.kind {
	case kindInt, kindDecimal, kindFloat, kindHex, kindBit, kindString:
		return p.literal(start, "")
	case kindParam:
		p.next()
		return &Param{Span: p.from(start), Index: int(t.aux), Slot: int(t.slot)}
	case kindUserVar:
		return p.userVariable(start)
	case kindSysVar:
		return p.systemVariable()
	case kindQuoted:
		return p.column(start)
	case kindPunct:
		return p.punctPrefix(t, start)
	case kindIdent:
		return p.wordPrefix(t, start)
	}
	p.fail()
	return &RawExpr{}
}

var literalKinds = [...]LitKind{kindInt: LitInt, kindDecimal: LitDecimal, kindFloat: LitFloat, kindHex: LitHex, kindBit: LitBit, kindString: LitString}

// literal takes a constant token.
func (p *parser) literal(start int, introducer string) *Literal {
	t := p.next()
	l := p.newLiteral()
	*l = Literal{Span: Span{start, int(t.end)}, Kind: literalKinds[t.kind], Introducer: introducer, Slot: int(t.slot)}
	return l
}

// newLiteral takes a literal from a block, of which big inserts need thousands.
func (p *parser) newLiteral() *Literal {
	if len(p.lits) == cap(p.lits) {
		p.lits = make([]Literal, 0, min(max(8, 2*cap(p.lits)), 512))
	}
	p.lits = p.lits[:len(p.lits)+1]
	return &p.lits[len(p.lits)-1]
}

func (p *parser) constant(kind LitKind) *Literal {
	start := p.start()
	p.next()
	l := p.newLiteral()
	*l = Literal{Span: p.from(start), Kind: kind, Slot: -1}
	return l
}

func (p *parser) userVariable(start int) Expr {
	v := &Variable{Name: userVar(p.text(p.next())), Span: p.from(start)}
	if !p.is(":=") {
		return v
	}
	p.next()
	b := &Binary{Op: ":=", Left: v, Right: p.expr(0)}
	b.Span = p.from(start)
	return b
}

// systemVariable parses @@[scope.]name[.part].
func (p *parser) systemVariable() *Variable {
	start := p.start()
	p.next()
	v := &Variable{System: true}
	t := p.tok()
	switch t.word {
	case "GLOBAL", "SESSION", "LOCAL", "PERSIST", "PERSIST_ONLY":
		if p.isAhead(1, ".") {
			v.Scope = t.word
			p.i += 2
		}
	}
	v.Name = p.variableName()
	v.Span = p.from(start)
	return v
}

// variableName takes name[.part] of a system variable, in lower case.
func (p *parser) variableName() string {
	n := p.identAfterDot().Name
	if p.accept(".") {
		n += "." + p.identAfterDot().Name
	}
	return lower(n)
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// column parses [[schema.]table.]column, or schema.function(..).
func (p *parser) column(start int) Expr {
	p.accept(".") // .table.column
	c := &ColumnRef{Name: p.identAfterDot()}
	if p.is(".") {
		p.next()
		second := p.identAfterDot()
		if p.is("(") {
			return p.call(start, c.Name, second)
		}
		c.Table = TableName{Span: c.Name.Span, Name: c.Name}
		c.Name = second
		if p.accept(".") {
			c.Table = TableName{Span: Span{start, second.End}, Schema: c.Table.Name, Name: second}
			c.Name = p.identAfterDot()
		}
	}
	c.Span = p.from(start)
	return c
}

func (p *parser) punctPrefix(t *token, start int) Expr {
	switch t.word {
	case "(":
		return p.paren(start)
	case "-", "+", "~", "!":
		p.next()
		u := &Unary{Op: t.word, Expr: p.expr(bpUnary)}
		u.Span = p.from(start)
		return u
	case "{": // {d '..'}, {fn x()}
		p.next()
		kind := p.upper(p.tok())
		p.identAfterDot()
		if p.tok().kind == kindString && isOneOf(kind, "D", "T", "TS") {
			l := p.literal(start, "")
			p.expect("}")
			l.Kind, l.Span = LitTemporal, p.from(start)
			return l
		}
		r := &RawExpr{Exprs: []Expr{p.expr(0)}}
		p.expect("}")
		r.Span = p.from(start)
		return r
	case "\\": // \N
		if n := p.ahead(1); n.start == t.end && p.wordIs(n, "N") {
			p.next()
			l := p.constant(LitNull)
			l.Start = start
			return l
		}
	case ".":
		return p.column(start)
	}
	p.fail()
	return &RawExpr{}
}

// paren parses (expr), (a, b) or (query).
func (p *parser) paren(start int) Expr {
	if p.queryAt(p.i) {
		return p.subquery("")
	}
	p.next()
	list := p.exprs()
	p.expect(")")
	if len(list) == 1 {
		return &Paren{Expr: list[0], Span: p.from(start)}
	}
	return &Tuple{Items: list, Span: p.from(start)}
}

// wordPrefix parses an operand that begins with a word.
func (p *parser) wordPrefix(t *token, start int) Expr {
	if t.word == "" {
		return p.plainWord(t, start)
	}
	switch t.word {
	case "NULL":
		return p.constant(LitNull)
	case "TRUE":
		return p.constant(LitTrue)
	case "FALSE":
		return p.constant(LitFalse)
	case "NOT":
		p.next()
		least := bpNot
		if p.mode.HighNotPrecedence {
			least = bpUnary
		}
		u := &Unary{Op: "NOT", Expr: p.expr(least)}
		u.Span = p.from(start)
		return u
	case "BINARY":
		if !p.isAhead(1, ",") && !p.isAhead(1, ")") && p.ahead(1).kind != kindEOF {
			p.next()
			u := &Unary{Op: "BINARY", Expr: p.expr(bpUnary)}
			u.Span = p.from(start)
			return u
		}
	case "EXISTS":
		p.next()
		s := p.subquery("EXISTS")
		s.Start = start
		return s
	case "CASE":
		return p.caseExpr(start)
	case "INTERVAL":
		return p.interval(start)
	case "MATCH":
		return p.match(start)
	}
	if e := p.wordValue(t, start); e != nil {
		return e
	}
	return p.plainWord(t, start)
}

// wordValue parses what only some words begin that may also be names; nil if t is such a name here.
func (p *parser) wordValue(t *token, start int) Expr {
	switch t.word {
	case "DEFAULT":
		p.next()
		d := &Default{}
		if p.accept("(") {
			d.Column = p.qualified()
			p.expect(")")
		}
		d.Span = p.from(start)
		return d
	case "ROW":
		if p.isAhead(1, "(") {
			p.next()
			return &Tuple{Items: p.row().Values, Span: p.from(start)}
		}
	case "DATE", "TIME", "TIMESTAMP":
		if p.ahead(1).kind == kindString {
			p.next()
			l := p.literal(start, "")
			l.Kind = LitTemporal
			return l
		}
	case "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "LOCALTIME", "LOCALTIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP",
		"CURRENT_USER":
		if !p.isAhead(1, "(") {
			p.next()
			return &FuncCall{Name: t.word, NameSpan: p.from(start), Span: p.from(start)}
		}
	case "IGNORE": // MariaDB: as DEFAULT, for values that are not to be set
		if isOneOf(p.ahead(1).word, ",", ")") || p.ahead(1).kind == kindEOF {
			p.next()
			return &RawExpr{Span: p.from(start)}
		}
	case "NEXT", "PREVIOUS":
		return p.nextValue(start)
	}
	return nil
}

// qualified takes a name with qualifiers and returns its last part.
func (p *parser) qualified() Ident {
	id := p.ident()
	for p.accept(".") {
		id = p.identAfterDot()
	}
	return id
}

// plainWord parses a function call, a literal with an introducer, or a column.
func (p *parser) plainWord(t *token, start int) Expr {
	n := p.ahead(1)
	if n.word == "(" && (t.flags&reserved == 0 || isOneOf(t.word, "LEFT", "RIGHT", "IF", "REPLACE", "INSERT", "MOD", "DATABASE", "SCHEMA",
		"VALUES", "CONVERT", "CURRENT_USER", "JSON_TABLE", "OFFSET")) {
		p.next()
		return p.call(start, Ident{}, p.makeIdent(t))
	}
	switch n.kind {
	case kindString, kindHex, kindBit:
		text := p.text(t)
		if text[0] == '_' && isCharset(text[1:]) {
			p.next()
			return p.literal(start, lower(string(text[1:])))
		}
		if len(text) == 1 && text[0]|0x20 == 'n' && n.kind == kindString && n.start == t.end {
			p.next()
			return p.literal(start, "utf8")
		}
	}
	if t.flags&reserved != 0 {
		p.fail()
		return &RawExpr{}
	}
	return p.column(start)
}

// isCharset knows the character sets of both families: _name before a string introduces only those.
func isCharset(name []byte) bool {
	switch lower(string(name)) {
	case "utf8", "utf8mb3", "utf8mb4", "binary", "latin1", "ascii", "ucs2", "utf16", "utf16le", "utf32", "big5", "dec8", "cp850", "hp8",
		"koi8r", "latin2", "swe7", "ujis", "sjis", "hebrew", "tis620", "euckr", "koi8u", "gb2312", "greek", "cp1250", "gbk", "latin5",
		"armscii8", "cp866", "keybcs2", "macce", "macroman", "cp852", "latin7", "cp1251", "cp1256", "cp1257", "geostd8", "cp932", "eucjpms", "gb18030":
		return true
	}
	return false
}

// nextValue parses NEXT VALUE FOR s, PREVIOUS VALUE FOR s, and NEXT [n] VALUE[S] of a sequence in a FROM clause, which
// is the function "NEXT VALUES" with the argument n, if given; nil for anything else.
func (p *parser) nextValue(start int) Expr {
	word := p.tok().word
	f := &FuncCall{Name: word + " VALUE FOR", ReservedArg: true}
	n := p.ahead(1)
	switch {
	case n.word == "VALUE" && p.isAhead(2, "FOR"):
		p.i += 3
		f.NameSpan = p.from(start)
		f.Args = []Expr{p.column(p.start())}
	case word == "NEXT" && n.word == "VALUE" && p.isAhead(2, "FROM"):
		p.i += 2
		f.Name, f.NameSpan = "NEXT VALUES", p.from(start)
	case word == "NEXT" && (n.kind == kindInt || n.kind == kindParam) && isOneOf(p.ahead(2).word, "VALUES", "VALUE"):
		p.next()
		f.Name, f.Args = "NEXT VALUES", []Expr{p.prefix()}
		p.next()
		f.NameSpan = p.from(start)
	default:
		return nil
	}
	f.Span = p.from(start)
	return f
}

func (p *parser) caseExpr(start int) Expr {
	p.next()
	c := &CaseExpr{}
	if !p.is("WHEN") {
		c.Operand = p.expr(0)
	}
	for p.accept("WHEN") {
		w := When{Cond: p.expr(0)}
		p.expect("THEN")
		w.Result = p.expr(0)
		c.Whens = append(c.Whens, w)
	}
	if len(c.Whens) == 0 {
		p.fail()
	}
	if p.accept("ELSE") {
		c.Else = p.expr(0)
	}
	p.expect("END")
	c.Span = p.from(start)
	return c
}

// interval parses INTERVAL expr unit, or the function INTERVAL(a, b, ..).
func (p *parser) interval(start int) Expr {
	if p.isAhead(1, "(") && p.commaIn(p.i+1) {
		t := p.next()
		return p.call(start, Ident{}, p.makeIdent(t))
	}
	p.next()
	i := &Interval{Expr: p.expr(0), Unit: p.tok().word}
	if !isUnit(i.Unit) {
		p.fail()
	}
	p.next()
	i.Span = p.from(start)
	return i
}

// commaIn says whether the parentheses at token i hold a comma of their own.
func (p *parser) commaIn(i int) bool {
	end := int(p.toks[i].aux)
	for j := i + 1; j < end; j++ {
		switch p.toks[j].word {
		case "(":
			if j = int(p.toks[j].aux); j < 0 {
				return false
			}
		case ",":
			return true
		}
	}
	return false
}

func isUnit(word string) bool {
	switch word {
	case "MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "SECOND_MICROSECOND", "MINUTE_MICROSECOND",
		"MINUTE_SECOND", "HOUR_MICROSECOND", "HOUR_SECOND", "HOUR_MINUTE", "DAY_MICROSECOND", "DAY_SECOND", "DAY_MINUTE", "DAY_HOUR", "YEAR_MONTH",
		"SQL_TSI_SECOND", "SQL_TSI_MINUTE", "SQL_TSI_HOUR", "SQL_TSI_DAY", "SQL_TSI_WEEK", "SQL_TSI_MONTH", "SQL_TSI_QUARTER", "SQL_TSI_YEAR":
		return true
	}
	return false
}

// match parses MATCH (a, b) AGAINST (expr [mode]).
func (p *parser) match(start int) Expr {
	p.next()
	m := &Match{}
	if p.accept("(") {
		m.Columns = p.exprs()
		p.expect(")")
	} else {
		m.Columns = p.exprs()
	}
	p.expect("AGAINST")
	end := p.tok().aux
	p.expect("(")
	m.Against = p.expr(bpBitOr)
	if p.err == nil && end >= 0 {
		p.i = int(end)
	}
	p.expect(")")
	m.Span = p.from(start)
	return m
}
