package answer

import "strings"

// like matches SQL LIKE without regard to case, with % and _ and the backslash as escape.
func like(s, pattern string) bool {
	return likeRunes([]rune(strings.ToLower(s)), []rune(strings.ToLower(pattern)))
}

func likeRunes(s, p []rune) bool {
	// Greedy matching with one point to fall back to: linear in practice, never exponential.
	si, pi, star, mark := 0, 0, -1, 0
	for si < len(s) {
		switch {
		case pi < len(p) && p[pi] == '%':
			star, mark = pi, si
			pi++
		case pi+1 < len(p) && p[pi] == '\\' && p[pi+1] == s[si]:
			pi += 2
			si++
		case pi < len(p) && (p[pi] == '_' || p[pi] == s[si] && p[pi] != '\\'):
			pi++
			si++
		case star >= 0:
			mark++
			si, pi = mark, star+1
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == '%' {
		pi++
	}
	return pi == len(p)
}
