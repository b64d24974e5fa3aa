package parse

import "strings"

// sessionStatement parses the statements about sessions, transactions and the server; nil if it is none of them.
func (p *parser) sessionStatement(t *token) Statement {
	start := int(t.start)
	second := p.ahead(1).word
	switch t.word {
	case "SET":
		return p.set(start)
	case "USE":
		return p.use(start)
	case "SHOW":
		return p.show(start)
	case "BEGIN":
		if second == "NOT" {
			return nil
		}
		p.next()
		p.accept("WORK")
		return &TxnStmt{Kind: "BEGIN", Span: p.from(start)}
	case "START":
		if second == "TRANSACTION" {
			return p.startTransaction(start)
		}
	case "COMMIT", "ROLLBACK":
		return p.finishTransaction(start)
	case "SAVEPOINT":
		p.next()
		return &TxnStmt{Kind: "SAVEPOINT", Name: p.ident(), Span: p.from(start)}
	case "RELEASE":
		p.next()
		p.expect("SAVEPOINT")
		return &TxnStmt{Kind: "RELEASE", Name: p.ident(), Span: p.from(start)}
	case "EXPLAIN", "DESCRIBE", "DESC":
		return p.explain(start)
	case "ANALYZE":
		if second == "FORMAT" || isBodyStart(second) && second != "TABLE" {
			return p.explain(start)
		}
	case "KILL":
		return p.kill(start)
	case "LOCK", "UNLOCK":
		if second == "TABLE" || second == "TABLES" {
			return p.lockTables(start)
		}
	case "PREPARE":
		return p.prepare(start)
	case "EXECUTE":
		return p.execute(start)
	case "DEALLOCATE", "DROP":
		if second == "PREPARE" {
			p.i += 2
			return &DeallocateStmt{Name: p.ident(), Span: p.from(start)}
		}
	case "CALL":
		return p.callStatement(start)
	case "DO":
		return p.do(start)
	}
	return nil
}

func (p *parser) callStatement(start int) Statement {
	p.next()
	c := &CallStmt{Name: p.tableName()}
	if p.is("(") {
		c.Args = p.row().Values
	}
	c.Span = p.from(start)
	return c
}

func (p *parser) do(start int) Statement {
	p.next()
	d := &DoStmt{}
	for {
		d.Exprs = append(d.Exprs, p.expr(0))
		p.alias(true)
		if !p.accept(",") {
			break
		}
	}
	d.Span = p.from(start)
	return d
}

func (p *parser) use(start int) Statement {
	p.next()
	u := &UseStmt{}
	first := p.tok()
	if first.kind == kindQuoted {
		p.next()
		u.DB = name(p.text(first))
	}
	for { // db:shard@type, whose parts are tokens of several kinds
		t := p.tok()
		if t.kind == kindEOF || t.word == ";" || t != first && int(t.start) != p.end() {
			break
		}
		u.DB += string(p.text(p.next()))
	}
	if u.DB == "" {
		p.fail()
	}
	u.Span = p.from(start)
	return u
}

func (p *parser) startTransaction(start int) Statement {
	p.i += 2
	s := &TxnStmt{Kind: "BEGIN"}
	for {
		switch {
		case p.accept2("READ", "ONLY"):
			s.ReadOnly = true
		case p.accept2("READ", "WRITE"):
			s.ReadWrite = true
		case p.is("WITH") && p.isAhead(1, "CONSISTENT") && p.isAhead(2, "SNAPSHOT"):
			p.i += 3
			s.Snapshot = true
		default:
			s.Span = p.from(start)
			return s
		}
		if !p.accept(",") {
			s.Span = p.from(start)
			return s
		}
	}
}

func (p *parser) finishTransaction(start int) Statement {
	s := &TxnStmt{Kind: p.next().word}
	p.accept("WORK")
	if s.Kind == "ROLLBACK" && p.accept("TO") {
		if nameAt(p.ahead(1)) { // else it is the savepoint's name
			p.accept("SAVEPOINT")
		}
		s.Kind, s.Name = "ROLLBACK TO", p.ident()
	} else {
		if p.is("AND") {
			p.next()
			s.Chain = !p.accept("NO")
			p.expect("CHAIN")
		}
		no := p.is("NO") && p.isAhead(1, "RELEASE")
		if no {
			p.next()
		}
		s.Release = p.accept("RELEASE") && !no
	}
	s.Span = p.from(start)
	return s
}

func isBodyStart(word string) bool {
	return isOneOf(word, "SELECT", "WITH", "(", "INSERT", "REPLACE", "UPDATE", "DELETE", "TABLE", "VALUES", "SET")
}

// explain parses EXPLAIN, DESCRIBE, and MariaDB's ANALYZE of a statement.
func (p *parser) explain(start int) Statement {
	e := &ExplainStmt{Analyze: p.next().word == "ANALYZE"}
	for {
		switch {
		case p.is("ANALYZE"):
			p.next()
			e.Analyze = true
		case p.is("FORMAT") && p.isAhead(1, "="):
			p.i += 2
			e.Format = strings.ToUpper(p.wordOrString())
		case p.is("EXTENDED"), p.is("PARTITIONS"):
			p.next()
		case p.is("INTO") && p.ahead(1).kind == kindUserVar:
			p.i += 2
		case p.is("FOR") && (p.isAhead(1, "SCHEMA") || p.isAhead(1, "DATABASE")):
			p.i += 2
			e.Schema = p.ident()
		default:
			p.explainBody(e)
			e.Span = p.from(start)
			return e
		}
	}
}

func (p *parser) explainBody(e *ExplainStmt) {
	at := p.start()
	switch {
	case isBodyStart(p.tok().word):
		e.Stmt = p.statement()
		e.BodySpan = p.from(at)
	case p.accept2("FOR", "CONNECTION"):
		e.Connection = p.expr(0)
	default:
		e.Table = p.tableName()
		if t := p.tok(); t.kind == kindString {
			p.next()
			e.Column = p.value(t)
		} else if nameAt(t) {
			e.Column = p.ident().Name
		}
	}
}

func (p *parser) kill(start int) Statement {
	p.next()
	k := &KillStmt{}
	if p.oneOf("HARD", "SOFT") {
		p.next()
	}
	switch {
	case p.is("QUERY"):
		p.next()
		k.Query = true
		if p.wordIs(p.tok(), "ID") && p.ahead(1).kind != kindEOF {
			p.next()
		}
	case p.is("CONNECTION"):
		p.next()
	}
	if p.is("USER") && p.ahead(1).kind != kindEOF {
		p.next()
		k.User = true
	}
	k.ID = p.expr(0)
	if t := p.tok(); t.kind == kindUserVar { // the host of an account
		p.next()
	}
	k.Span = p.from(start)
	return k
}

func (p *parser) lockTables(start int) Statement {
	l := &LockTablesStmt{Unlock: p.next().word == "UNLOCK"}
	p.next()
	for !l.Unlock && p.err == nil {
		t := p.tableName()
		p.alias(false)
		l.Tables = append(l.Tables, t)
		switch {
		case p.accept("READ"):
			p.accept("LOCAL")
		default:
			if p.is("LOW_PRIORITY") || p.is("CONCURRENT") {
				p.next()
			}
			p.expect("WRITE")
			p.accept("CONCURRENT")
		}
		if !p.accept(",") {
			break
		}
	}
	if p.accept("WAIT") {
		p.integer()
	} else {
		p.accept("NOWAIT")
	}
	l.Span = p.from(start)
	return l
}

func (p *parser) prepare(start int) Statement {
	p.next()
	s := &PrepareStmt{Name: p.ident()}
	p.expect("FROM")
	switch t := p.tok(); {
	case t.kind == kindString:
		p.next()
		s.Text = p.value(t)
	case t.kind == kindUserVar:
		p.next()
		s.Var = userVar(p.text(t))
	default:
		s.Expr = p.expr(0)
	}
	s.Span = p.from(start)
	return s
}

func (p *parser) execute(start int) Statement {
	p.next()
	s := &ExecuteStmt{}
	if p.is("IMMEDIATE") {
		p.next()
		s.Immediate = p.expr(0)
	} else {
		s.Name = p.ident()
	}
	if p.accept("USING") {
		for {
			if t := p.tok(); t.kind == kindUserVar {
				s.Vars = append(s.Vars, userVar(p.text(t)))
				s.Using = append(s.Using, p.expr(0))
			} else {
				s.Using = append(s.Using, p.expr(0))
			}
			if !p.accept(",") {
				break
			}
		}
	}
	s.Span = p.from(start)
	return s
}

// set parses SET in all its forms.
func (p *parser) set(start int) Statement {
	p.next()
	s := &SetStmt{}
	switch t := p.tok(); {
	case t.word == "NAMES" && !p.isAhead(1, "="):
		p.next()
		s.Special = "NAMES"
		p.setNames(s)
	case t.word == "CHARACTER" && p.isAhead(1, "SET"), t.word == "CHARSET" && !p.isAhead(1, "="):
		p.next()
		p.accept("SET")
		s.Special = "CHARACTER SET"
		p.setNames(s)
	case t.word == "TRANSACTION", isOneOf(t.word, "GLOBAL", "SESSION", "LOCAL") && p.isAhead(1, "TRANSACTION"):
		p.setTransaction(s)
	case t.word == "STATEMENT" && !p.isAhead(1, "="):
		p.next()
		s.Special = "STATEMENT"
		s.Items = p.setItems()
		p.expect("FOR")
		s.Body = p.statement()
	case t.word == "PASSWORD":
		s.Special = "PASSWORD"
		p.skipUntil()
	case t.word == "ROLE" && !p.isAhead(1, "="):
		s.Special = "ROLE"
		p.skipUntil()
	case t.word == "DEFAULT" && p.isAhead(1, "ROLE"):
		s.Special = "DEFAULT ROLE"
		p.skipUntil()
	case t.word == "RESOURCE" && p.isAhead(1, "GROUP"):
		s.Special = "RESOURCE GROUP"
		p.skipUntil()
	default:
		s.Items = p.setItems()
	}
	s.Span = p.from(start)
	return s
}

func (p *parser) setNames(s *SetStmt) {
	s.Args = []string{p.wordOrString()}
	if p.accept("COLLATE") {
		s.Args = append(s.Args, p.wordOrString())
	}
	if p.accept(",") { // SET NAMES x, @a = 1
		s.Items = p.setItems()
	}
}

func (p *parser) setTransaction(s *SetStmt) {
	s.Special = "TRANSACTION"
	item := SetItem{Span: p.tok().span()}
	item.Var.System = true
	if !p.is("TRANSACTION") {
		item.Var.Scope = p.next().word
	}
	p.expect("TRANSACTION")
	for {
		var words []string
		for p.oneOf("ISOLATION", "LEVEL", "READ", "COMMITTED", "UNCOMMITTED", "REPEATABLE", "SERIALIZABLE", "ONLY", "WRITE") {
			words = append(words, p.next().word)
		}
		if len(words) == 0 {
			p.fail()
		}
		s.Args = append(s.Args, strings.Join(words, " "))
		if !p.accept(",") {
			break
		}
	}
	s.Items = []SetItem{item}
}

func (t *token) span() Span { return Span{int(t.start), int(t.end)} }

func (p *parser) setItems() []SetItem {
	var list []SetItem
	for {
		start := p.start()
		it := SetItem{Var: p.setVariable()}
		if !p.accept(":=") {
			p.expect("=")
		}
		it.Value = p.setValue()
		it.Span = p.from(start)
		list = append(list, it)
		if !p.accept(",") {
			return list
		}
	}
}

// setVariable takes @a, @@[scope.]a, and [scope] a[.b].
func (p *parser) setVariable() Variable {
	start := p.start()
	switch t := p.tok(); t.kind {
	case kindUserVar:
		p.next()
		return Variable{Name: userVar(p.text(t)), Span: p.from(start)}
	case kindSysVar:
		return *p.systemVariable()
	}
	v := Variable{System: true}
	switch t := p.tok(); t.word {
	case "GLOBAL", "SESSION", "LOCAL", "PERSIST", "PERSIST_ONLY":
		if !p.isAhead(1, "=") && !p.isAhead(1, ":=") {
			v.Scope = t.word
			p.next()
		}
	}
	v.Name = p.variableName()
	v.Span = p.from(start)
	return v
}

// setValue parses an expression, or takes a bare word that elsewhere is no name, such as ON or BINARY.
func (p *parser) setValue() Expr {
	t, n := p.tok(), p.ahead(1)
	bare := t.kind == kindIdent && (t.flags&reserved != 0 || t.word == "BINARY") && !isOneOf(t.word, "NULL", "TRUE", "FALSE", "DEFAULT", "CURRENT_USER")
	if bare && (n.kind == kindEOF || isOneOf(n.word, ",", ";", "FOR")) {
		p.next()
		return &ColumnRef{Name: p.makeIdent(t), Span: t.span()}
	}
	return p.expr(0)
}
