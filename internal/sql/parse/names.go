package parse

import "strings"

// maxColumnName is the length of a column's name in bytes beyond which servers cut the text of an expression.
const maxColumnName = 255

// ColumnName returns the name that a server gives to the column of a select item: its alias, the column's own name, or
// the text of the expression as it was written. A star has no name: "".
func ColumnName(src []byte, item SelectItem, mode Mode) string {
	switch {
	case item.Star:
		return ""
	case item.Alias.Name != "":
		return item.Alias.Name
	}
	switch e := bare(item.Expr).(type) {
	case *ColumnRef:
		return e.Name.Name
	case *Literal:
		switch {
		case e.Kind == LitString:
			return cutName(stringName(src, e, mode))
		case e.Kind == LitTrue && mode.MariaDB:
			return "TRUE"
		case e.Kind == LitFalse && mode.MariaDB:
			return "FALSE"
		case e.Kind == LitNull:
			return "NULL"
		case e.Kind == LitInt, e.Kind == LitDecimal, e.Kind == LitFloat:
			return cutName(string(e.Text(src)))
		}
	}
	return cutName(string(item.Expr.Range().Text(src)))
}

// bare takes off the parentheses and plus signs, which leave no trace in the names of columns, numbers, strings and NULL.
func bare(e Expr) Expr {
	for {
		switch outer := e.(type) {
		case *Paren:
			e = outer.Expr
		case *Unary:
			if outer.Op != "+" {
				return e
			}
			e = outer.Expr
		default:
			return e
		}
	}
}

// stringName is the name of a column that is a string: its contents without blanks and control characters in front.
func stringName(src []byte, lit *Literal, mode Mode) string {
	l := lexer{src: src, mode: mode, pos: lit.Start}
	t, ok := l.next()
	for ok && t.kind != kindString && t.kind != kindEOF {
		t, ok = l.next()
	}
	if !ok || t.kind != kindString {
		return string(lit.Text(src))
	}
	if !mode.MariaDB { // MySQL names it by the first of adjacent strings
		end, escaped := skipString(src, int(t.start), !mode.NoBackslashEscapes)
		t.end, t.escaped = int32(end), escaped
	}
	return strings.TrimLeftFunc(l.value(t), func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// cutName cuts a name at its limit, not inside a character.
func cutName(s string) string {
	if len(s) <= maxColumnName {
		return s
	}
	n := maxColumnName
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// SameExpr says whether two expressions are equal token by token: blanks and comments do not matter, nor does the case
// of words, nor backquotes around names. Literals must be written the same. A qualified and an unqualified name differ.
func SameExpr(srcA []byte, a Expr, srcB []byte, b Expr) bool {
	la := lexer{src: a.Range().Text(srcA)}
	lb := lexer{src: b.Range().Text(srcB)}
	for {
		ta, okA := la.next()
		tb, okB := lb.next()
		if !okA || !okB {
			return false
		}
		if ta.kind == kindEOF || tb.kind == kindEOF {
			return ta.kind == tb.kind
		}
		if !sameToken(la.src[ta.start:ta.end], ta.kind, lb.src[tb.start:tb.end], tb.kind) {
			return false
		}
	}
}

func sameToken(a []byte, ka tokenKind, b []byte, kb tokenKind) bool {
	word := func(k tokenKind) bool { return k == kindIdent || k == kindQuoted }
	switch {
	case word(ka) && word(kb):
		return strings.EqualFold(name(a), name(b))
	case ka != kb:
		return false
	case ka == kindUserVar:
		return strings.EqualFold(string(a), string(b))
	}
	return string(a) == string(b)
}
