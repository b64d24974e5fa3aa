package parse

import "strings"

// show parses SHOW: its words, then the clauses that many kinds of it share. What it does not know it skips.
func (p *parser) show(start int) Statement {
	p.next()
	s := &ShowStmt{}
	words := p.showWords(s)
	s.What = strings.Join(words, " ")
	if len(words) == 0 {
		p.fail()
	}
	last := s.What[strings.LastIndexByte(s.What, ' ')+1:]
	switch {
	case words != nil && words[0] == "CREATE":
		p.ifExists()
		p.showCreate(s, last)
	case last == "COLUMNS" || last == "FIELDS" || last == "INDEX" || last == "INDEXES" || last == "KEYS":
		if p.is("FROM") || p.is("IN") {
			p.next()
			s.Table = p.tableName()
		}
	case strings.HasPrefix(s.What, "VSCHEMA"):
		if p.accept("ON") {
			s.Table = p.tableName()
		}
	case strings.HasSuffix(s.What, " CODE"):
		s.Table = p.tableName()
	}
	p.showClauses(s)
	s.Span = p.from(start)
	return s
}

// showWords takes the words of What.
func (p *parser) showWords(s *ShowStmt) []string {
	var words []string
	for p.tok().kind == kindIdent {
		t := p.tok()
		switch t.word {
		case "FROM", "IN", "LIKE", "WHERE", "LIMIT", "FOR", "ON":
			return words
		case "GLOBAL", "SESSION", "LOCAL":
			if len(words) == 0 {
				if s.Scope = t.word; s.Scope == "LOCAL" {
					s.Scope = "SESSION"
				}
				p.next()
				continue
			}
		case "FULL":
			s.Full = true
		}
		words = append(words, p.upper(p.next()))
		switch {
		case len(words) == 2 && words[0] == "CREATE" && (p.ahead(0).kind != kindIdent || words[1] != "SPATIAL" && words[1] != "RESOURCE" && words[1] != "PACKAGE" || !p.oneOf("REFERENCE", "GROUP", "BODY")):
			return words
		case len(words) == 1 && words[0] == "COUNT" && p.is("("):
			p.skipParens()
			words[0] = "COUNT(*)"
		case words[0] == "ENGINE" && len(words) == 1 && p.tok().kind != kindEOF:
			p.wordOrString()
		case len(words) == 2 && words[1] == "CODE":
			return words
		}
	}
	return words
}

// showCreate takes the name of what is to be created.
func (p *parser) showCreate(s *ShowStmt, kind string) {
	switch kind {
	case "DATABASE", "SCHEMA":
		s.DB = p.ident()
	case "USER":
		p.skipUntil()
	default:
		s.Table = p.tableName()
	}
}

func (p *parser) showClauses(s *ShowStmt) {
	for p.err == nil {
		switch {
		case p.atEnd() || p.is(";"):
			return
		case p.is("FROM") || p.is("IN"):
			p.next()
			if t := p.tok(); nameAt(t) {
				s.DB = p.ident()
			} else {
				p.next()
			}
		case p.accept("LIKE"):
			s.HasLike = true
			s.Like = p.wordOrString()
		case p.is("WHERE"):
			s.Where, _ = p.where()
		case p.is("LIMIT"):
			s.Limit = p.limit()
		default:
			p.skipOne()
		}
	}
}

// skipOne skips a token, or what is in parentheses.
func (p *parser) skipOne() {
	switch {
	case p.is("("):
		p.skipParens()
	case p.is(")"):
		p.fail()
	default:
		p.next()
	}
}

// ifExists skips IF [NOT] EXISTS and says which.
func (p *parser) ifExists() (exists, notExists bool) {
	switch {
	case p.accept2("IF", "EXISTS"):
		return true, false
	case p.is("IF") && p.isAhead(1, "NOT") && p.isAhead(2, "EXISTS"):
		p.i += 3
		return false, true
	}
	return false, false
}
