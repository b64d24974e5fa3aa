package dba

import "strings"

// briefLength is how much of a statement error messages show.
const briefLength = 60

// secretWords end what messages show of a statement: passwords follow them.
func secretWords() []string { return []string{"IDENTIFIED", "PASSWORD"} }

// brief is the beginning of a statement for messages, without secrets.
func brief(statement string) string {
	s := strings.Join(strings.Fields(statement), " ")
	upper := strings.ToUpper(s)
	for _, w := range secretWords() {
		if i := strings.Index(upper, w); i >= 0 && i < len(s) {
			s, upper = s[:i]+"...", upper[:i]
		}
	}
	if len(s) > briefLength {
		s = s[:briefLength] + "..."
	}
	return s
}

// Quote writes a string literal that means the same whether or not NO_BACKSLASH_ESCAPES is set: backslashes and control
// characters make it a hexadecimal literal.
func Quote(s string) string {
	for i := range len(s) {
		if s[i] == '\\' || s[i] < ' ' || s[i] == 0x7f {
			return hexLiteral(s)
		}
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

func hexLiteral(s string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	b.WriteString("_utf8mb4 0x")
	for i := range len(s) {
		b.WriteByte(digits[s[i]>>4])
		b.WriteByte(digits[s[i]&15])
	}
	return b.String()
}

// Ident quotes a name.
func Ident(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
