package parse

// Class of a byte at the start of a token.
const (
	classPunct = iota
	classSpace
	classIdent // letters, _, $, and all bytes of multi-byte characters
	classDigit
	classQuote
	classDoubleQuote
	classBacktick
	classDash
	classHash
	classSlash
	classStar
	classDot
	classAt
	classParam
	classNul
)

// class and identByte are tables that never change after the program has started.
var (
	class     = makeClasses()
	identByte = makeIdentBytes()
)

func makeClasses() (t [256]uint8) {
	for c := range 256 {
		switch {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c >= 0x80:
			t[c] = classIdent
		case c >= '0' && c <= '9':
			t[c] = classDigit
		case c == ' ' || c >= '\t' && c <= '\r':
			t[c] = classSpace
		}
	}
	t['\''], t['"'], t['`'] = classQuote, classDoubleQuote, classBacktick
	t['-'], t['#'], t['/'], t['*'] = classDash, classHash, classSlash, classStar
	t['.'], t['@'], t['?'], t[0] = classDot, classAt, classParam, classNul
	return t
}

func makeIdentBytes() (t [256]bool) {
	for c, k := range makeClasses() {
		t[c] = k == classIdent || k == classDigit
	}
	return t
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHexDigit(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func skipIdent(src []byte, i int) int {
	for i < len(src) && identByte[src[i]] {
		i++
	}
	return i
}

func skipDigits(src []byte, i int) int {
	for i < len(src) && isDigit(src[i]) {
		i++
	}
	return i
}

// skipQuotedName returns the end of the quoted name that starts at i, or -1. Its quote is doubled inside, never escaped.
func skipQuotedName(src []byte, i int) int {
	q := src[i]
	for i++; i < len(src); i++ {
		if src[i] != q {
			continue
		}
		if i+1 < len(src) && src[i+1] == q {
			i++
			continue
		}
		return i + 1
	}
	return -1
}

// skipString returns the end of the one quoted string that starts at i, or -1, and whether its bytes are not its value.
func skipString(src []byte, i int, backslash bool) (end int, escaped bool) {
	q := src[i]
	for i++; i < len(src); i++ {
		switch c := src[i]; {
		case c == q:
			if i+1 >= len(src) || src[i+1] != q {
				return i + 1, escaped
			}
			escaped = true
			i++
		case c == '\\' && backslash:
			escaped = true
			i++
		}
	}
	return -1, false
}

// skipStrings is skipString for adjacent strings, which are one literal. Blanks and plain comments may part them.
func skipStrings(src []byte, i int, m *Mode) (end int, escaped bool) {
	end, escaped = skipString(src, i, !m.NoBackslashEscapes)
	for end > 0 {
		next := skipPlain(src, end, m)
		if next >= len(src) || src[next] != '\'' && (src[next] != '"' || m.ANSIQuotes) {
			return end, escaped
		}
		escaped = true
		end, _ = skipString(src, next, !m.NoBackslashEscapes)
	}
	return end, escaped
}

// skipPlain skips blanks and plain comments. A comment that does not end is not skipped.
func skipPlain(src []byte, i int, m *Mode) int {
	for i < len(src) {
		switch class[src[i]] {
		case classSpace:
			i++
		case classDash, classHash, classSlash:
			end, what := comment(src, i, m)
			if what != commentLine && what != commentBlock {
				return i
			}
			i = end
		default:
			return i
		}
	}
	return i
}

type commentKind uint8

const (
	commentNone   commentKind = iota
	commentLine               // -- or #, without its line end
	commentBlock              // /* */
	commentHint               // /*+ */
	commentIgnore             // /*!99999 */ of a newer server: no code, but not ours to change
	commentCode               // the opening of /*! */ that the server executes; end is just after its version
	commentBroken             // never ends
)

// comment tells what kind of comment starts at i, and where it ends.
func comment(src []byte, i int, m *Mode) (end int, what commentKind) {
	rest := src[i:]
	switch {
	case rest[0] == '#', rest[0] == '-' && len(rest) == 2 && rest[1] == '-',
		rest[0] == '-' && len(rest) > 2 && rest[1] == '-' && (rest[2] <= ' ' || rest[2] == 0x7f):
		for i < len(src) && src[i] != '\n' {
			i++
		}
		return i, commentLine
	case rest[0] != '/' || len(rest) < 2 || rest[1] != '*':
		return i, commentNone
	case len(rest) > 2 && rest[2] == '!':
		return versioned(src, i, 3, m)
	case len(rest) > 3 && rest[2] == 'M' && rest[3] == '!' && m.MariaDB:
		return versioned(src, i, 4, m)
	}
	if end = skipBlock(src, i+2, 0); end < 0 {
		return len(src), commentBroken
	}
	if rest[2] == '+' {
		return end, commentHint
	}
	return end, commentBlock
}

// Versions that a server executes when Mode.Version is not known: those of the oldest supported servers.
const (
	oldestMySQL   = 80000
	oldestMariaDB = 100600
)

// versioned decides about the comment at i whose version would begin skip bytes later.
func versioned(src []byte, i, skip int, m *Mode) (int, commentKind) {
	at := i + skip
	digits := min(skipDigits(src, at)-at, 6)
	if digits < 5 {
		return at, commentCode
	}
	version := 0
	for _, c := range src[at : at+digits] {
		version = version*10 + int(c-'0')
	}
	have := m.Version
	switch {
	case have == 0 && m.MariaDB:
		have = oldestMariaDB
	case have == 0:
		have = oldestMySQL
	}
	// MariaDB leaves alone what is meant for MySQL 5.7 and later, unless the comment is its own kind.
	foreign := m.MariaDB && skip == 3 && version >= 50700 && version <= 99999
	if version <= have && !foreign {
		return at + digits, commentCode
	}
	if end := skipBlock(src, at, 1); end > 0 {
		return end, commentIgnore
	}
	return len(src), commentBroken
}

// skipBlock returns the end of a block comment whose text begins at i, or -1. nested is how deep comments in it count.
func skipBlock(src []byte, i, nested int) int {
	depth := 0
	for ; i+1 < len(src); i++ {
		switch {
		case src[i] == '*' && src[i+1] == '/':
			if depth == 0 {
				return i + 2
			}
			depth--
			i++
		case src[i] == '/' && src[i+1] == '*' && depth < nested:
			depth++
			i++
		}
	}
	return -1
}

// number returns the end of the number that starts at i with a digit or with a point before a digit, and its kind;
// kindIdent means that it is the beginning of a name such as 1a, whose end it is then.
func number(src []byte, i int) (end int, kind tokenKind) {
	start := i
	if src[i] == '0' && i+2 < len(src) {
		switch src[i+1] {
		case 'x':
			for end = i + 2; end < len(src) && isHexDigit(src[end]); {
				end++
			}
			kind = kindHex
		case 'b':
			for end = i + 2; end < len(src) && (src[end] == '0' || src[end] == '1'); {
				end++
			}
			kind = kindBit
		}
		if kind != 0 {
			if end > i+2 && (end == len(src) || !identByte[src[end]]) {
				return end, kind
			}
			return skipIdent(src, end), kindIdent
		}
	}
	i = skipDigits(src, i)
	if i < len(src) && src[i] == '.' {
		i = skipDigits(src, i+1)
		if end = exponent(src, i); end > 0 {
			return end, kindFloat
		}
		return i, kindDecimal
	}
	if i == len(src) || !identByte[src[i]] {
		return i, kindInt
	}
	if end = exponent(src, i); end > start {
		return end, kindFloat
	}
	return skipIdent(src, i), kindIdent
}

// exponent returns the end of the exponent that starts at i, or -1.
func exponent(src []byte, i int) int {
	if i >= len(src) || src[i]|0x20 != 'e' {
		return -1
	}
	if i++; i < len(src) && (src[i] == '+' || src[i] == '-') {
		i++
	}
	if end := skipDigits(src, i); end > i {
		return end
	}
	return -1
}

// quotedBits says whether x'..' or b'..' starts at i, and where it ends (-1 when it does not end).
func quotedBits(src []byte, i int) (end int, kind tokenKind) {
	if i+1 >= len(src) || src[i+1] != '\'' {
		return i, 0
	}
	switch src[i] | 0x20 {
	case 'x':
		kind = kindHex
	case 'b':
		kind = kindBit
	default:
		return i, 0
	}
	for end = i + 2; end < len(src); end++ {
		if src[end] == '\'' {
			return end + 1, kind
		}
	}
	return -1, kind
}

// dollarQuoted returns the end of the $tag$ .. $tag$ string that starts at i, or -1.
func dollarQuoted(src []byte, i int, m *Mode) int {
	if src[i] != '$' || m.MariaDB || m.Version < 90000 {
		return -1
	}
	tag := i + 1
	for tag < len(src) && identByte[src[tag]] && src[tag] != '$' {
		tag++
	}
	if tag >= len(src) || src[tag] != '$' {
		return -1
	}
	mark := src[i : tag+1]
	for at := tag + 1; at+len(mark) <= len(src); at++ {
		if src[at] == '$' && string(src[at:at+len(mark)]) == string(mark) {
			return at + len(mark)
		}
	}
	return -1
}

// skipVariable returns the end of the @name, @'name', or @@ that starts at i, or -1. It is the host of an account, too.
func skipVariable(src []byte, i int) int {
	if i++; i == len(src) {
		return i
	}
	switch c := src[i]; {
	case c == '@':
		return i + 1
	case c == '\'' || c == '"':
		end, _ := skipString(src, i, true)
		return end
	case c == '`':
		return skipQuotedName(src, i)
	}
	for i < len(src) && (identByte[src[i]] || src[i] == '.') {
		i++
	}
	return i
}

// skipDotted returns the end of the names that follow a name without a blank: after t comes .1a, which is a name.
func skipDotted(src []byte, i int) int {
	for i+1 < len(src) && src[i] == '.' && identByte[src[i+1]] {
		i = skipIdent(src, i+1)
	}
	return i
}

type tokenKind uint8

const (
	kindEOF tokenKind = iota
	kindIdent
	kindQuoted // a name in quotes
	kindString
	kindInt
	kindDecimal
	kindFloat
	kindHex
	kindBit
	kindParam
	kindUserVar // @name
	kindSysVar  // @@
	kindDollar  // $tag$ .. $tag$
	kindPunct
)

// token is a lexical element. word is the upper-case spelling of a word in the table of words, or of an operator.
type token struct {
	start, end int32
	slot       int32 // -1 if it is none
	aux        int32 // of a (: index of its ), -1 if there is none; of a ?: its ordinal
	kind       tokenKind
	escaped    bool
	flags      wordFlags
	word       string
}

// lexer cuts a statement into tokens. After an error (ok false) it has no more tokens.
type lexer struct {
	src    []byte
	mode   Mode
	pos    int
	slots  int32 // slots met so far
	code   bool  // inside an executed comment
	dotted bool  // the token before was a name, and a point follows it directly
}

// next returns the next token; at the end it has the kind kindEOF. ok is false for text that has no tokens.
func (l *lexer) next() (t token, ok bool) {
	if !l.trivia() {
		return token{kind: kindEOF, start: int32(l.pos), end: int32(l.pos), slot: -1}, false
	}
	src, i := l.src, l.pos
	t = token{start: int32(i), end: int32(i), slot: -1}
	if i >= len(src) {
		return t, !l.code
	}
	end := i
	switch class[src[i]] {
	case classIdent:
		if !l.dotted {
			if end, t.kind = quotedBits(src, i); t.kind != 0 {
				break
			}
			if end = dollarQuoted(src, i, &l.mode); end > 0 {
				t.kind = kindDollar
				break
			}
		}
		t.kind, end = kindIdent, skipIdent(src, i+1)
	case classDigit:
		if l.dotted {
			t.kind, end = kindIdent, skipIdent(src, i+1)
			break
		}
		end, t.kind = number(src, i)
	case classQuote:
		t.kind = kindString
		end, t.escaped = skipStrings(src, i, &l.mode)
	case classDoubleQuote:
		if l.mode.ANSIQuotes {
			t.kind, end = kindQuoted, skipQuotedName(src, i)
			break
		}
		t.kind = kindString
		end, t.escaped = skipStrings(src, i, &l.mode)
	case classBacktick:
		t.kind, end = kindQuoted, skipQuotedName(src, i)
	case classParam:
		t.kind, end = kindParam, i+1
	case classAt:
		t.kind, end = kindUserVar, skipVariable(src, i)
		if end == i+2 && src[i+1] == '@' {
			t.kind = kindSysVar
		}
	case classDot:
		if !l.dotted && i+1 < len(src) && isDigit(src[i+1]) {
			end, t.kind = number(src, i)
			break
		}
		t.kind, end, t.word = kindPunct, i+1, "."
	case classNul:
		return t, false
	default:
		t.kind = kindPunct
		end, t.word = operator(src, i)
	}
	if end < 0 {
		return t, false
	}
	l.finish(&t, end)
	return t, true
}

// finish completes a token that ends at end.
func (l *lexer) finish(t *token, end int) {
	l.pos, t.end = end, int32(end)
	switch t.kind {
	case kindString, kindInt, kindDecimal, kindFloat, kindHex, kindBit, kindParam:
		t.slot = l.slots
		l.slots++
	}
	name := t.kind == kindIdent || t.kind == kindQuoted
	before := end+1 < len(l.src) && l.src[end] == '.' && identByte[l.src[end+1]]
	if t.kind == kindIdent && !l.dotted {
		t.word, t.flags = lookUp(l.src[t.start:end])
		if before && !isScope(t.word) { // a name, whatever it spells
			t.word, t.flags = "", 0
		}
	}
	l.dotted = name && before || l.dotted && t.kind == kindPunct && t.word == "."
}

// isScope says whether a word stands before the point of a system variable.
func isScope(word string) bool {
	switch word {
	case "GLOBAL", "SESSION", "LOCAL", "PERSIST", "PERSIST_ONLY":
		return true
	}
	return false
}

// trivia skips blanks and comments; false if a comment does not end.
func (l *lexer) trivia() bool {
	for l.pos < len(l.src) {
		switch class[l.src[l.pos]] {
		case classSpace:
			l.pos++
		case classDash, classHash, classSlash:
			end, what := comment(l.src, l.pos, &l.mode)
			switch what {
			case commentNone:
				return true
			case commentBroken:
				return false
			case commentLine, commentBlock:
				l.slots++
			case commentCode:
				l.code = true
			}
			l.pos = end
		case classStar:
			if !l.code || l.pos+1 >= len(l.src) || l.src[l.pos+1] != '/' {
				return true
			}
			l.code = false
			l.pos += 2
		default:
			return true
		}
		l.dotted = false
	}
	return true
}

// operator returns the end and the spelling of the operator or punctuation at i.
func operator(src []byte, i int) (int, string) {
	if i+2 < len(src) {
		switch string(src[i : i+3]) {
		case "<=>":
			return i + 3, "<=>"
		case "->>":
			return i + 3, "->>"
		}
	}
	if i+1 < len(src) {
		switch string(src[i : i+2]) {
		case "<=":
			return i + 2, "<="
		case ">=":
			return i + 2, ">="
		case "<>", "!=":
			return i + 2, "<>"
		case "<<":
			return i + 2, "<<"
		case ">>":
			return i + 2, ">>"
		case "||":
			return i + 2, "||"
		case "&&":
			return i + 2, "&&"
		case ":=":
			return i + 2, ":="
		case "->":
			return i + 2, "->"
		}
	}
	const single = "!%&()*+,-/:;<=>[]^{|}~\\"
	for k := range len(single) {
		if single[k] == src[i] {
			return i + 1, single[k : k+1]
		}
	}
	return -1, ""
}
