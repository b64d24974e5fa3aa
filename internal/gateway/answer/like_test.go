package answer

import "testing"

func TestLike(t *testing.T) {
	for _, c := range []struct {
		s, p string
		want bool
	}{
		{"", "", true}, {"", "%", true}, {"a", "", false}, {"abc", "abc", true}, {"ABC", "abc", true}, {"abc", "a%", true},
		{"abc", "%c", true}, {"abc", "%b%", true}, {"abc", "a_c", true}, {"ac", "a_c", false}, {"abc", "____", false},
		{"a_c", `a\_c`, true}, {"abc", `a\_c`, false}, {"50%", `50\%`, true}, {"50x", `50\%`, false},
		{"aab", "%ab", true}, {"aaab", "a%ab", true}, {"éa", "_a", true}, {"mississippi", "%iss%ip%i", true}, {"mississippi", "%iss%ips%", false},
	} {
		if got := like(c.s, c.p); got != c.want {
			t.Errorf("%q LIKE %q: %v", c.s, c.p, got)
		}
	}
}
