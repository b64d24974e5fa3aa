package parse

import "strings"

// Parse parses one statement. A semicolon may follow it. An empty text, or one of comments alone, is an *OtherStmt without
// words. The error is a *SyntaxError, which wraps ErrSyntax. The tree keeps no reference to src.
func Parse(src []byte, mode Mode) (Statement, error) {
	if len(src) > maxSource {
		return nil, errTooLong
	}
	p := &parser{src: src, mode: mode, mayBulk: len(src) >= bulkFrom}
	if !p.tokenise(0) {
		return nil, p.err
	}
	stmt := p.statement()
	if x, ok := stmt.(*InsertStmt); p.bulk != nil && (!ok || x.Bulk == nil) { // rows were left out that belong to something else
		p = &parser{src: src, mode: mode}
		if !p.tokenise(0) {
			return nil, p.err
		}
		stmt = p.statement()
	}
	for p.accept(";") {
	}
	if !p.atEnd() {
		p.fail()
	}
	if p.err != nil {
		return nil, p.err
	}
	return stmt, nil
}

// parser walks over the tokens of a statement. After the first error it stands at the end for good: every test for
// a token is false from then on, so that loops end and callers need not ask.
type parser struct {
	src   []byte
	mode  Mode
	toks  []token
	i     int
	depth int
	onDup bool // in ON DUPLICATE KEY UPDATE, where VALUES(a) is a function
	lits  []Literal
	err   *SyntaxError

	mayBulk bool   // rows of an INSERT may be left out of the tokens
	bulk    []Span // the batches of rows that were, the first row with them
	bulkAt  int    // the index of the token behind VALUES
}

// maxTokens is for how many tokens memory is taken beforehand: 48 bytes each. A large statement is often one long literal.
const maxTokens = 4096

// tokenise reads all tokens from a place on and pairs the parentheses; false leaves the error in p.err.
func (p *parser) tokenise(from int) bool {
	l := lexer{src: p.src, mode: p.mode, pos: from}
	p.toks = make([]token, 0, min((len(p.src)-from)/3+8, maxTokens))
	var open []int32
	params := int32(0)
	for {
		t, ok := l.next()
		if !ok {
			p.err = syntaxError(p.src, int(t.start))
			return false
		}
		switch {
		case t.kind == kindParam:
			t.aux = params
			params++
		case t.word == "(" && t.kind == kindPunct:
			t.aux = -1
			open = append(open, int32(len(p.toks)))
		case t.word == ")" && t.kind == kindPunct && len(open) > 0:
			p.toks[open[len(open)-1]].aux = int32(len(p.toks))
			open = open[:len(open)-1]
		case p.mode.MariaDB && t.flags&reservedMariaDB != 0, !p.mode.MariaDB && t.flags&reservedMySQL != 0:
			t.flags |= reserved
		}
		p.toks = append(p.toks, t)
		if t.kind == kindEOF {
			return true
		}
		if p.mayBulk && len(open) == 0 && p.rowsFollow(&t) {
			p.mayBulk = false
			p.bulkAt = len(p.toks)
			p.bulkRows(&l)
		}
	}
}

// rowsFollow says whether the token is the VALUES of an INSERT. It gives the search up at whatever else rows may come from.
func (p *parser) rowsFollow(t *token) bool {
	switch {
	case len(p.toks) == 1:
		p.mayBulk = t.word == "INSERT" || t.word == "REPLACE"
	case t.word == "SELECT", t.word == "SET", t.word == "WITH", t.word == "TABLE":
		p.mayBulk = false
	case t.kind == kindIdent && (t.word == "VALUES" || t.word == "VALUE"):
		return true
	}
	return false
}

// fail reports the current token as the one that does not fit.
func (p *parser) fail() { p.failWith("") }

func (p *parser) failWith(reason string) {
	if p.err == nil {
		p.err = syntaxError(p.src, int(p.tok().start))
		p.err.Reason = reason
	}
	p.i = len(p.toks) - 1
}

// enter counts a level of nesting, which the caller must leave again; false when it is one too many.
func (p *parser) enter() bool {
	if p.depth++; p.depth > maxDepth {
		p.failWith("nested more than 500 levels deep")
		return false
	}
	return p.err == nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) tok() *token { return &p.toks[p.i] }

// ahead returns the token n places further, the end token beyond the end.
func (p *parser) ahead(n int) *token { return &p.toks[min(p.i+n, len(p.toks)-1)] }

func (p *parser) atEnd() bool { return p.toks[p.i].kind == kindEOF }

func (p *parser) next() *token {
	t := &p.toks[p.i]
	if t.kind != kindEOF {
		p.i++
	}
	return t
}

// start is where the current token begins, end where the one before it ended.
func (p *parser) start() int { return int(p.toks[p.i].start) }

func (p *parser) end() int {
	if p.i == 0 {
		return 0
	}
	return int(p.toks[p.i-1].end)
}

// from is the span from a start to the end of the last token.
func (p *parser) from(start int) Span { return Span{start, max(start, p.end())} }

func (p *parser) is(word string) bool { return p.toks[p.i].word == word }

func (p *parser) isAhead(n int, word string) bool { return p.ahead(n).word == word }

func (p *parser) accept(word string) bool {
	if p.toks[p.i].word != word {
		return false
	}
	p.i++
	return true
}

// accept2 accepts two words, or neither.
func (p *parser) accept2(first, second string) bool {
	if !p.is(first) || !p.isAhead(1, second) {
		return false
	}
	p.i += 2
	return true
}

func (p *parser) expect(word string) {
	if !p.accept(word) {
		p.fail()
	}
}

// oneOf says whether the current token is one of the words.
func (p *parser) oneOf(words ...string) bool { return isOneOf(p.tok().word, words...) }

func isOneOf(word string, words ...string) bool {
	if word == "" {
		return false
	}
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// text returns the bytes of a token.
func (p *parser) text(t *token) []byte { return p.src[t.start:t.end] }

// upper returns the upper-case spelling of a word token.
func (p *parser) upper(t *token) string {
	if t.word != "" {
		return t.word
	}
	return strings.ToUpper(string(p.text(t)))
}

// wordIs compares a word that need not be in the table of words. word is in upper case.
func (p *parser) wordIs(t *token, word string) bool {
	return t.kind == kindIdent && strings.EqualFold(string(p.text(t)), word)
}

// nameAt says whether a token can be a name.
func nameAt(t *token) bool {
	return t.kind == kindQuoted || t.kind == kindIdent && t.flags&reserved == 0
}

// ident takes a name.
func (p *parser) ident() Ident {
	t := p.tok()
	if !nameAt(t) {
		p.fail()
		return Ident{}
	}
	return p.makeIdent(p.next())
}

// identAfterDot takes a name where every word is one.
func (p *parser) identAfterDot() Ident {
	if t := p.tok(); t.kind != kindQuoted && t.kind != kindIdent {
		p.fail()
		return Ident{}
	}
	return p.makeIdent(p.next())
}

func (p *parser) makeIdent(t *token) Ident {
	return Ident{Span: Span{int(t.start), int(t.end)}, Name: name(p.text(t))}
}

// alias takes [AS] name, if there is one. With strings it may be a string.
func (p *parser) alias(strings bool) Ident {
	as := p.accept("AS")
	t := p.tok()
	switch {
	case nameAt(t) && (as || !p.goesOn(t)):
		return p.makeIdent(p.next())
	case t.kind == kindString && strings:
		p.next()
		return Ident{Span: Span{int(t.start), int(t.end)}, Name: p.value(t)}
	case as && t.kind == kindIdent:
		return p.makeIdent(p.next())
	case as:
		p.fail()
	}
	return Ident{}
}

// goesOn says whether a word that may be a name begins the next clause instead of being an alias.
func (p *parser) goesOn(t *token) bool {
	n := p.ahead(1)
	switch t.word {
	case "WINDOW":
		return nameAt(n) && p.isAhead(2, "AS")
	case "MINUS":
		return n.word == "SELECT" || n.word == "("
	case "QUALIFY":
		return n.kind != kindEOF && !isOneOf(n.word, ",", "FROM", ")", ";", "JOIN", "WHERE")
	case "TABLESAMPLE":
		return nameAt(n)
	case "OFFSET":
		return n.kind == kindInt || n.kind == kindParam
	case "BEFORE":
		return n.word == "SYSTEM_TIME"
	case "RETURNING", "EXCEPT", "INTERSECT":
		return p.mode.MariaDB || n.word == "SELECT" || n.word == "("
	}
	return false
}

// value is the value of a string token.
func (p *parser) value(t *token) string {
	l := lexer{src: p.src, mode: p.mode}
	return l.value(*t)
}

// tableName takes [schema.]table.
func (p *parser) tableName() TableName {
	start := p.start()
	if p.accept(".") { // .t is t
		return TableName{Name: p.identAfterDot(), Span: p.from(start)}
	}
	n := TableName{Name: p.ident()}
	if p.is(".") && !p.isAhead(1, "*") {
		p.next()
		n.Schema, n.Name = n.Name, p.identAfterDot()
	}
	n.Span = p.from(start)
	return n
}

// tableNames takes a list of table names.
func (p *parser) tableNames() []TableName {
	list := []TableName{p.tableName()}
	for p.accept(",") {
		list = append(list, p.tableName())
	}
	return list
}

// names takes (a, b, c).
func (p *parser) names() []Ident {
	p.expect("(")
	var list []Ident
	for !p.accept(")") && p.err == nil {
		list = append(list, p.ident())
		if !p.accept(",") && !p.is(")") {
			p.fail()
		}
	}
	return list
}

// skipParens skips a balanced (..).
func (p *parser) skipParens() {
	t := p.tok()
	if t.word != "(" || t.aux < 0 {
		p.fail()
		return
	}
	p.i = int(t.aux) + 1
}

// skipUntil skips balanced text up to one of the words, a closing parenthesis, a semicolon or the end.
func (p *parser) skipUntil(words ...string) {
	for !p.atEnd() && !p.is(")") && !p.is(";") && !p.oneOf(words...) {
		if p.is("(") {
			p.skipParens()
			continue
		}
		p.next()
	}
}

// statement parses a statement by its first word.
func (p *parser) statement() Statement {
	if !p.enter() {
		return &OtherStmt{}
	}
	defer p.leave()
	t := p.tok()
	if t.kind == kindEOF || t.word == ";" {
		if p.depth > 1 {
			p.fail()
		}
		return &OtherStmt{Span: Span{int(t.start), int(t.start)}}
	}
	switch t.word {
	case "SELECT", "(", "VALUES", "TABLE":
		return p.query()
	case "WITH":
		return p.withStatement()
	case "INSERT", "REPLACE":
		return p.insert()
	case "UPDATE":
		return p.update(nil, p.start())
	case "DELETE":
		return p.delete(nil, p.start())
	case "LOAD":
		return p.load()
	}
	if s := p.sessionStatement(t); s != nil {
		return s
	}
	if s := p.ddl(t); s != nil {
		return s
	}
	return p.other()
}
