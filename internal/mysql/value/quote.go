// Package value knows MySQL's values: types, literals and quoting, exact numbers, the order of numbers and times, how
// doubles are printed, character sets and collations of both families.
//
// It does not read packets (mysql/wire does), does not parse SQL, and has no collation weights: strings are ordered by the
// servers' own weight strings or bytewise.
package value

// AppendString appends s as a string literal in single quotes. With noBackslash (sql_mode NO_BACKSLASH_ESCAPES) only
// the quote is doubled; otherwise what MySQL's escapes know is escaped. Bytes are taken as they are, so s must be valid in
// the connection's character set, and that must not be one whose characters contain the byte of a backslash or quote (sjis, gbk,
// big5, gb18030).
func AppendString(dst []byte, s string, noBackslash bool) []byte {
	dst = append(dst, '\'')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if noBackslash && c != '\'' {
			continue
		}
		var esc byte
		switch c {
		case '\'':
			esc = '\''
		case '\\':
			esc = '\\'
		case 0:
			esc = '0'
		case '\n':
			esc = 'n'
		case '\r':
			esc = 'r'
		case 0x1a:
			esc = 'Z'
		default:
			continue
		}
		dst = append(dst, s[start:i]...)
		if esc == '\'' {
			dst = append(dst, '\'', '\'')
		} else {
			dst = append(dst, '\\', esc)
		}
		start = i + 1
	}
	dst = append(dst, s[start:]...)
	return append(dst, '\'')
}

// AppendBytes appends b as a binary literal, x'0a1b': right in every sql_mode and character set.
func AppendBytes(dst []byte, b []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, 'x', '\'')
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return append(dst, '\'')
}

// AppendIdent appends name as an identifier in backticks.
func AppendIdent(dst []byte, name string) []byte {
	dst = append(dst, '`')
	for i := 0; i < len(name); i++ {
		if name[i] == '`' {
			dst = append(dst, '`')
		}
		dst = append(dst, name[i])
	}
	return append(dst, '`')
}

// String returns s as a string literal for sessions without NO_BACKSLASH_ESCAPES.
func String(s string) string { return string(AppendString(nil, s, false)) }

// Ident returns name as an identifier in backticks.
func Ident(name string) string { return string(AppendIdent(nil, name)) }
