package parse

// treeBytes is what a token costs until its statement is planned: 48 bytes for itself, the rest for its part of the tree
// and the plan. Measured: 480 MiB for an IN list of 1.4 million tokens.
const treeBytes = 350

// Weight estimates how many bytes of memory it takes to parse and plan a statement, from above. It reads the statement
// once and allocates next to nothing. Memory for copies of the text is not in it.
func Weight(src []byte, mode Mode) int {
	if len(src) > maxSource {
		return 0 // Parse refuses it
	}
	p := &parser{src: src, mode: mode, mayBulk: len(src) >= bulkFrom}
	l := lexer{src: src, mode: mode}
	for n, depth := 1, 0; ; n++ {
		t, ok := l.next()
		if !ok || t.kind == kindEOF {
			return n * treeBytes
		}
		switch {
		case t.kind == kindPunct && t.word == "(":
			depth++
		case t.kind == kindPunct && t.word == ")":
			depth--
		}
		p.toks = append(p.toks[:min(len(p.toks), 1)], t) // rowsFollow looks whether a token is the first
		if p.mayBulk && depth == 0 && p.rowsFollow(&t) {
			p.mayBulk = false
			p.bulkRows(&l)
		}
	}
}
