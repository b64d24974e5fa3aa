package parse

const (
	// bulkFrom is the length of an INSERT from which its rows are not all kept as a tree: that takes twenty times the
	// memory of their text, here 5 MB.
	bulkFrom = 256 << 10
	// bulkBatch is the least length of a batch of rows. Of 128 KiB a server makes several thousand rows in one statement,
	// which is where sending more at once stops being faster.
	bulkBatch = 128 << 10
)

// bulkRows passes over the rows of a large INSERT ... VALUES. The lexer stands behind VALUES; it is moved behind the
// last row if there are at least two batches and all values are plain literals, and not at all otherwise. The tokens of
// the first row are kept, so that the statement has the form of its kind.
func (p *parser) bulkRows(l *lexer) {
	m, kept := *l, len(p.toks)
	var batches []Span
	start, end := -1, 0
	for first := true; ; first = false {
		from, ok := p.plainRow(&m, first)
		if !ok {
			break
		}
		if start < 0 {
			start = from
		} else if end-start >= bulkBatch {
			batches = append(batches, Span{start, end})
			start = from
		}
		end = m.pos
		after := m
		t, ok := m.next()
		if !ok || m.code {
			break
		}
		if t.word == "," && t.kind == kindPunct {
			continue
		}
		switch t.word {
		case "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT": // the rows are the beginning of a query
			p.toks = p.toks[:kept]
			return
		}
		if len(batches) == 0 {
			break
		}
		*l, p.bulk = after, append(batches, Span{start, end})
		return
	}
	p.toks = p.toks[:kept]
}

// plainRow reads one row and returns where it begins. ok is false if it is not made of plain literals.
func (p *parser) plainRow(l *lexer, keep bool) (from int, ok bool) {
	from = -1
	open := len(p.toks)
	next := func() (token, bool) {
		t, ok := l.next()
		if ok && keep {
			p.toks = append(p.toks, t)
		}
		return t, ok
	}
	t, ok := next()
	if !ok || t.kind != kindPunct || t.word != "(" {
		return from, false
	}
	from = int(t.start)
	for {
		if t, ok = next(); !ok {
			return from, false
		}
		switch {
		case t.kind == kindPunct && (t.word == "-" || t.word == "+"):
			if t, ok = next(); !ok || t.kind != kindInt && t.kind != kindDecimal && t.kind != kindFloat {
				return from, false
			}
		case t.kind == kindIdent && p.src[t.start] == '_': // an introducer such as _binary
			if t, ok = next(); !ok || t.kind != kindString && t.kind != kindHex && t.kind != kindBit {
				return from, false
			}
		case !plainValue(&t):
			return from, false
		}
		if t, ok = next(); !ok || t.kind != kindPunct {
			return from, false
		}
		switch t.word {
		case ",":
		case ")":
			if keep {
				p.toks[open].aux = int32(len(p.toks) - 1)
			}
			return from, true
		default:
			return from, false
		}
	}
}

// plainValue says whether a token is a value that means the same wherever it stands.
func plainValue(t *token) bool {
	switch t.kind {
	case kindString, kindInt, kindDecimal, kindFloat, kindHex, kindBit:
		return true
	case kindIdent:
		return t.word == "NULL" || t.word == "DEFAULT" || t.word == "TRUE" || t.word == "FALSE"
	}
	return false
}

// Rows parses a batch of an InsertStmt's Bulk. The spans in the rows are places in src.
func Rows(src []byte, batch Span, mode Mode) ([]Row, error) {
	p := &parser{src: src[:batch.End], mode: mode}
	if !p.tokenise(batch.Start) {
		return nil, p.err
	}
	rows := p.rows()
	if !p.atEnd() {
		p.fail()
	}
	if p.err != nil {
		return nil, p.err
	}
	return rows, nil
}

// rows parses (..), (..).
func (p *parser) rows() []Row {
	var list []Row
	for {
		start := p.start()
		p.accept("ROW")
		r := p.row()
		r.Start = start
		list = append(list, r)
		if !p.accept(",") {
			return list
		}
	}
}
