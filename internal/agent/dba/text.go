package dba

import "strings"

// briefLength is how much of a statement error messages show.
const briefLength = 60

// brief is the beginning of a statement for messages, without the passwords that follow certain words.
func brief(statement string) string {
	s := strings.Join(strings.Fields(statement), " ")
	upper := strings.ToUpper(s)
	for _, w := range [...]string{"IDENTIFIED", "PASSWORD"} {
		if i := strings.Index(upper, w); i >= 0 && i < len(s) {
			s, upper = s[:i]+"...", upper[:i]
		}
	}
	if len(s) > briefLength {
		s = s[:briefLength] + "..."
	}
	return s
}
