package parse

// options takes keywords of a statement.
func (p *parser) options(words ...string) []SelectOption {
	var list []SelectOption
	for p.oneOf(words...) {
		start := p.start()
		word := p.next().word
		list = append(list, SelectOption{Span: p.from(start), Name: word})
	}
	return list
}

func hasOption(list []SelectOption, name string) bool {
	for _, o := range list {
		if o.Name == name {
			return true
		}
	}
	return false
}

// insert parses INSERT and REPLACE.
func (p *parser) insert() Statement {
	start := p.start()
	s := &InsertStmt{Replace: p.next().word == "REPLACE"}
	s.Options = p.options("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE")
	s.Ignore = hasOption(s.Options, "IGNORE")
	p.accept("INTO")
	s.Table = p.tableName()
	if at := p.start(); p.is("PARTITION") {
		p.next()
		p.skipParens()
		s.Partition = p.from(at)
	}
	s.ColumnsSpan = Span{p.end(), p.end()}
	if p.is("(") && !p.queryAt(p.i) {
		at := p.start()
		s.Columns = p.columnNames()
		s.ColumnsSpan = p.from(at)
	}
	p.insertSource(s)
	p.rowAlias(s)
	p.onDuplicate(s)
	s.Returning, s.ReturningSpan = p.returning()
	s.Span = p.from(start)
	return s
}

// columnNames takes (a, t.b, ..), which may be empty.
func (p *parser) columnNames() []Ident {
	p.expect("(")
	var list []Ident
	for !p.accept(")") && p.err == nil {
		list = append(list, p.qualified())
		if !p.accept(",") && !p.is(")") {
			p.fail()
		}
	}
	return list
}

// insertSource parses what is inserted.
func (p *parser) insertSource(s *InsertStmt) {
	switch {
	case p.is("VALUES"), p.is("VALUE"):
		saved := p.i
		p.next()
		at := p.start()
		bulk := p.bulk != nil && p.bulkAt == p.i
		s.Rows = p.rows()
		s.RowsSpan = p.from(at)
		if bulk {
			s.Bulk, s.RowsSpan.End = p.bulk, p.bulk[len(p.bulk)-1].End
		}
		if p.oneOf("ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT") { // the rows are the beginning of a query
			p.i = saved
			s.Rows, s.RowsSpan = nil, Span{}
			s.Query = p.query()
		}
	case p.accept("SET"):
		s.Set = p.assignments()
	case p.is("SELECT"), p.is("WITH"), p.is("TABLE"), p.is("("):
		s.Query = p.query()
	default:
		p.fail()
	}
}

// rowAlias parses AS new[(a, b)].
func (p *parser) rowAlias(s *InsertStmt) {
	if !p.accept("AS") {
		return
	}
	s.RowAlias = p.ident()
	if p.is("(") {
		s.ColAliases = p.names()
	}
}

func (p *parser) onDuplicate(s *InsertStmt) {
	start := p.start()
	if !p.accept2("ON", "DUPLICATE") {
		return
	}
	p.expect("KEY")
	p.expect("UPDATE")
	p.onDup = true
	s.OnDuplicate = p.assignments()
	p.onDup = false
	s.OnDupSpan = p.from(start)
}

func (p *parser) returning() ([]SelectItem, Span) {
	start := p.start()
	if !p.accept("RETURNING") {
		return nil, Span{}
	}
	items := p.selectItems()
	return items, p.from(start)
}

// assignments parses a = x, t.b = y.
func (p *parser) assignments() []Assignment {
	var list []Assignment
	for {
		start := p.start()
		var a Assignment
		if c, ok := p.column(start).(*ColumnRef); ok {
			a.Column = *c
		} else {
			p.fail()
		}
		if !p.accept(":=") {
			p.expect("=")
		}
		a.Value = p.expr(0)
		a.Span = p.from(start)
		list = append(list, a)
		if !p.accept(",") {
			return list
		}
	}
}

// update parses UPDATE, whose WITH has been taken.
func (p *parser) update(with *With, start int) Statement {
	p.expect("UPDATE")
	s := &UpdateStmt{With: with, Options: p.options("LOW_PRIORITY", "IGNORE")}
	at := p.start()
	s.Tables = p.tableRefs()
	s.TablesSpan = p.from(at)
	p.expect("SET")
	s.Set = p.assignments()
	if p.accept("FROM") { // MariaDB 12 and later
		s.From = p.tableRefs()
	}
	s.Where, s.WhereSpan = p.where()
	s.OrderBy, s.OrderBySpan = p.orderBy()
	s.Limit = p.limit()
	s.Returning, _ = p.returning()
	s.Span = p.from(start)
	return s
}

// delete parses DELETE, whose WITH has been taken.
func (p *parser) delete(with *With, start int) Statement {
	p.expect("DELETE")
	s := &DeleteStmt{With: with, Options: p.options("LOW_PRIORITY", "QUICK", "IGNORE")}
	if p.is("HISTORY") && p.isAhead(1, "FROM") {
		s.History = true
		p.next()
	}
	at := p.start()
	if p.accept("FROM") {
		first := p.start()
		saved := p.i
		s.Targets = p.targets()
		switch {
		case p.is("USING"):
			s.Multi = true
			at = p.start()
			p.next()
			s.From = p.tableRefs()
		case len(s.Targets) == 1:
			p.i = saved
			t := p.namedTable(first)
			s.From = []TableExpr{t}
			s.Targets = []TableName{t.Table}
		default:
			p.fail()
		}
	} else {
		s.Multi = true
		s.Targets = p.targets()
		at = p.start()
		p.expect("FROM")
		s.From = p.tableRefs()
	}
	s.FromSpan = p.from(at)
	if s.History && p.is("BEFORE") {
		p.next()
		p.expect("SYSTEM_TIME")
		p.pointInTime()
	}
	s.Where, s.WhereSpan = p.where()
	s.OrderBy, s.OrderBySpan = p.orderBy()
	s.Limit = p.limit()
	s.Returning, _ = p.returning()
	s.Span = p.from(start)
	return s
}

// targets parses t1[.*], s.t2[.*] of a DELETE.
func (p *parser) targets() []TableName {
	var list []TableName
	for {
		t := p.tableName()
		if p.is(".") && p.isAhead(1, "*") {
			p.i += 2
		}
		list = append(list, t)
		if !p.accept(",") {
			return list
		}
	}
}

// load parses LOAD DATA and LOAD XML.
func (p *parser) load() Statement {
	start := p.start()
	if !p.isAhead(1, "DATA") && !p.isAhead(1, "XML") {
		return p.other()
	}
	p.next()
	s := &LoadDataStmt{XML: p.next().word == "XML"}
	s.FieldsTerminated, s.FieldsEscaped, s.LinesTerminated = "\t", "\\", "\n"
	p.options("LOW_PRIORITY", "CONCURRENT")
	if s.Local = p.accept("LOCAL"); !p.accept("INFILE") {
		return p.loadBulk(start)
	}
	s.FileSpan = Span{p.start(), int(p.tok().end)}
	s.File = p.stringValue()
	if p.is("REPLACE") || p.is("IGNORE") {
		s.Duplicate = p.next().word
	}
	p.expect("INTO")
	p.expect("TABLE")
	s.Table = p.tableName()
	if p.accept("PARTITION") {
		p.skipParens()
	}
	if p.accept2("CHARACTER", "SET") {
		s.Charset = p.wordOrString()
	}
	if p.accept2("ROWS", "IDENTIFIED") {
		p.expect("BY")
		p.stringValue()
	}
	p.loadFormat(s)
	if p.accept("IGNORE") {
		s.IgnoreLines = p.integer()
		if !p.accept("LINES") {
			p.expect("ROWS")
		}
	}
	p.loadColumns(s)
	if p.accept("SET") {
		s.Set = p.assignments()
	}
	s.Span = p.from(start)
	return s
}

// loadBulk keeps the forms that load from elsewhere than a file as another statement.
func (p *parser) loadBulk(start int) Statement {
	s := &OtherStmt{Words: []string{"LOAD", "DATA"}}
	p.skipUntil("INTO")
	if p.accept2("INTO", "TABLE") {
		s.Tables = []TableName{p.tableName()}
	}
	p.skipUntil()
	s.Span = p.from(start)
	return s
}

// loadFormat parses the FIELDS and LINES clauses.
func (p *parser) loadFormat(s *LoadDataStmt) {
	if p.accept("FIELDS") || p.accept("COLUMNS") {
		for p.loadFields(s) {
		}
	}
	if !p.accept("LINES") {
		return
	}
	for {
		switch {
		case p.accept2("STARTING", "BY"):
			s.LinesStarting = p.stringValue()
		case p.accept2("TERMINATED", "BY"):
			s.LinesTerminated = p.stringValue()
		default:
			return
		}
	}
}

// loadFields parses one part of the FIELDS clause, if there is one.
func (p *parser) loadFields(s *LoadDataStmt) bool {
	switch {
	case p.accept2("TERMINATED", "BY"):
		s.FieldsTerminated = p.stringValue()
	case p.is("OPTIONALLY"):
		p.next()
		s.FieldsOptionallyEnclosed = true
	case p.accept2("ENCLOSED", "BY"):
		s.FieldsEnclosed = p.stringValue()
	case p.accept2("ESCAPED", "BY"):
		s.FieldsEscaped = p.stringValue()
	default:
		return false
	}
	return true
}

func (p *parser) loadColumns(s *LoadDataStmt) {
	if !p.accept("(") {
		return
	}
	for !p.accept(")") && p.err == nil {
		if t := p.tok(); t.kind == kindUserVar {
			p.next()
			s.Columns = append(s.Columns, LoadColumn{Var: userVar(p.text(t))})
		} else {
			s.Columns = append(s.Columns, LoadColumn{Column: p.qualified()})
		}
		if !p.accept(",") && !p.is(")") {
			p.fail()
		}
	}
}

// stringValue takes a string, or a hexadecimal or binary literal in its place, which is returned as its bytes.
func (p *parser) stringValue() string {
	t := p.tok()
	switch t.kind {
	case kindString:
		p.next()
		return p.value(t)
	case kindHex, kindBit:
		p.next()
		return bitsValue(p.text(t))
	}
	p.fail()
	return ""
}

// bitsValue returns the bytes of 0x.., x'..', 0b.. and b'..'.
func bitsValue(text []byte) string {
	hex := text[1]|0x20 == 'x' || text[0]|0x20 == 'x'
	digits := text[2:]
	if digits[len(digits)-1] == '\'' {
		digits = digits[:len(digits)-1]
	}
	width := 1
	if hex {
		width = 4
	}
	out := make([]byte, (len(digits)*width+7)/8)
	for i, c := range digits {
		v := c - '0'
		if c|0x20 >= 'a' {
			v = c | 0x20 - 'a' + 10
		}
		low := (len(digits) - 1 - i) * width // place of the digit's lowest bit, from the end
		out[len(out)-1-low/8] |= v << (low % 8)
	}
	return string(out)
}

// wordOrString takes a word in or without quotes, as character sets are written.
func (p *parser) wordOrString() string {
	t := p.tok()
	switch t.kind {
	case kindString:
		p.next()
		return p.value(t)
	case kindIdent, kindQuoted:
		p.next()
		return name(p.text(t))
	}
	p.fail()
	return ""
}

// integer takes a plain number.
func (p *parser) integer() uint64 {
	t := p.tok()
	if t.kind != kindInt {
		p.fail()
		return 0
	}
	p.next()
	var n uint64
	for _, c := range p.text(t) {
		n = n*10 + uint64(c-'0')
	}
	return n
}
