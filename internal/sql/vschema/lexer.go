package vschema

import (
	"errors"
	"fmt"
	"strings"
)

// tokenKind tells tokens of ALTER VSCHEMA apart.
type tokenKind uint8

const (
	tokEnd    tokenKind = iota
	tokWord             // a keyword, a bare name or a number
	tokQuoted           // a name in backticks
	tokString           // text in quotes
	tokSign             // one character
)

type token struct {
	kind tokenKind
	text string // without quotes
}

// is says whether the token is the keyword (in any case) or the sign.
func (t token) is(word string) bool {
	return (t.kind == tokWord || t.kind == tokSign) && strings.EqualFold(t.text, word)
}

func (t token) describe() string {
	if t.kind == tokEnd {
		return "the end"
	}
	return fmt.Sprintf("%.40q", t.text)
}

// lexer cuts a statement into tokens. It knows no more of SQL than ALTER VSCHEMA needs.
type lexer struct {
	src string
	at  int
}

func (l *lexer) token() (token, error) {
	if err := l.skip(); err != nil || l.at == len(l.src) {
		return token{}, err
	}
	switch c := l.src[l.at]; {
	case c == '`' || c == '\'' || c == '"':
		return l.quoted(c)
	case isWordByte(c):
		from := l.at
		for l.at < len(l.src) && isWordByte(l.src[l.at]) {
			l.at++
		}
		return token{kind: tokWord, text: l.src[from:l.at]}, nil
	default:
		l.at++
		return token{kind: tokSign, text: string(c)}, nil
	}
}

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// quoted reads up to the closing quote; the quote doubled is one, and in text a backslash escapes.
func (l *lexer) quoted(quote byte) (token, error) {
	t := token{kind: tokString}
	if quote == '`' {
		t.kind = tokQuoted
	}
	var text strings.Builder
	for l.at++; l.at < len(l.src); l.at++ {
		switch c := l.src[l.at]; {
		case c == quote && l.at+1 < len(l.src) && l.src[l.at+1] == quote:
			text.WriteByte(quote)
			l.at++
		case c == quote:
			l.at++
			t.text = text.String()
			return t, nil
		case c == '\\' && quote != '`' && l.at+1 < len(l.src):
			l.at++
			text.WriteByte(unescape(l.src[l.at]))
		default:
			text.WriteByte(c)
		}
	}
	return token{}, fmt.Errorf("a %c is not closed", quote)
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	}
	return c
}

// skip passes white space and comments.
func (l *lexer) skip() error {
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			l.at++
		case rest[0] == '#', rest == "--", len(rest) > 2 && rest[:2] == "--" && rest[2] <= ' ':
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			l.at += n
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return errors.New("a comment is not closed")
			}
			l.at += n + 4
		default:
			return nil
		}
	}
	return nil
}
