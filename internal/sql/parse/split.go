package parse

// Split finds the first statement of a text of several: its span without blanks around it and without the semicolon,
// and where the next one begins (len(src) when there is none). Semicolons in strings, comments and the bodies of
// compound statements do not count. An empty statement has an empty span. The error wraps ErrSyntax when the text
// has no tokens; then the span is the whole rest, so that a server can be asked for its own words.
func Split(src []byte, mode Mode) (first Span, rest int, err error) {
	if len(src) > maxSource {
		return Span{0, len(src)}, len(src), errTooLong
	}
	start := 0
	for start < len(src) && class[src[start]] == classSpace {
		start++
	}
	s := splitter{l: lexer{src: src, mode: mode, pos: start}}
	for s.step() {
		if s.t[0].word == ";" && s.depth == 0 {
			return trimmed(src, start, int(s.t[0].start)), nextStart(src, int(s.t[0].end)), nil
		}
		s.watch()
	}
	if s.failed {
		return Span{start, len(src)}, len(src), syntaxError(src, s.l.pos)
	}
	return trimmed(src, start, len(src)), len(src), nil
}

func trimmed(src []byte, start, end int) Span {
	for end > start && class[src[end-1]] == classSpace {
		end--
	}
	return Span{start, end}
}

func nextStart(src []byte, i int) int {
	for i < len(src) && class[src[i]] == classSpace {
		i++
	}
	return i
}

// splitter follows the nesting of compound statements. Its window of tokens is the current one and two ahead.
type splitter struct {
	l        lexer
	t        [3]token
	filled   bool
	failed   bool
	prev     string // word of the token before
	seen     int    // tokens so far
	first    string
	compound bool // the statement may hold others
	depth    int
}

// step moves to the next token; false at the end.
func (s *splitter) step() bool {
	if !s.filled {
		s.filled = true
		for i := range s.t {
			s.t[i] = s.pull()
		}
	} else {
		s.prev = s.t[0].word
		s.t[0], s.t[1], s.t[2] = s.t[1], s.t[2], s.pull()
		s.seen++
	}
	return s.t[0].kind != kindEOF
}

func (s *splitter) pull() token {
	if s.failed {
		return token{}
	}
	t, ok := s.l.next()
	if !ok {
		s.failed = true
		return token{}
	}
	return t
}

// watch counts what the current token opens or closes.
func (s *splitter) watch() {
	w := s.t[0].word
	if s.seen == 0 {
		s.first = w
		switch {
		case !s.l.mode.MariaDB:
		case w == "BEGIN":
			s.compound = s.t[1].word == "NOT"
		case w == "IF", w == "WHILE", w == "CASE", w == "LOOP", w == "REPEAT", w == "FOR":
			s.compound = true
		}
	}
	if !s.compound {
		switch w {
		case "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE":
			s.compound = (s.first == "CREATE" || s.first == "ALTER") && s.seen < 24
		}
		return
	}
	switch w {
	case "END":
		s.depth = max(s.depth-1, 0)
	case "BEGIN", "CASE", "WHILE", "LOOP":
		if s.prev != "END" {
			s.depth++
		}
	case "IF", "REPEAT":
		if s.prev != "END" && s.opens() {
			s.depth++
		}
	case "FOR":
		if s.prev != "END" && s.t[2].word == "IN" {
			s.depth++
		}
	}
}

// opens says whether IF or REPEAT begins a statement: not a function with several arguments, not IF [NOT] EXISTS name.
func (s *splitter) opens() bool {
	ahead := s.l
	next, after := s.t[1], s.t[2]
	if next.word == "NOT" {
		next = after
		after, _ = ahead.next()
	}
	if next.word == "EXISTS" {
		return after.word == "("
	}
	if s.t[1].word != "(" {
		return true
	}
	depth := 1
	for t := s.t[2]; t.kind != kindEOF && depth > 0; t, _ = ahead.next() {
		switch t.word {
		case "(":
			depth++
		case ")":
			depth--
		case ",":
			if depth == 1 {
				return false
			}
		}
	}
	return true
}
