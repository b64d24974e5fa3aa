package parse

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"
)

func slotTexts(src string, slots []Slot) string {
	var out []string
	for _, s := range slots {
		out = append(out, src[s.Start:s.End])
	}
	return strings.Join(out, "|")
}

func TestFingerprintSlots(t *testing.T) {
	mariaDB := Mode{MariaDB: true, Version: 101119}
	for _, c := range []struct {
		name, src, slots string
		mode             Mode
	}{
		{name: "point select", src: "SELECT c FROM sbtest1 WHERE id=50123", slots: "50123"},
		{name: "sign stays outside", src: "select -5, +6", slots: "5|6"},
		{name: "names with digits", src: "select a1, 1a, t.1a, t.2, `t`.1b from t1", slots: ""},
		{name: "numbers", src: "select 1, 1.5, .5, 1., 1e5, 1.e5, 1e+5, 1E-5, 1.5e3", slots: "1|1.5|.5|1.|1e5|1.e5|1e+5|1E-5|1.5e3"},
		{name: "broken exponents", src: "select 1e, 1e+a, 1e5a", slots: "1e5"},
		{name: "hex and bits", src: "select 0x1F, x'1f', X'', 0b01, b'01', 0X1F, 0xg, 0b2", slots: "0x1F|x'1f'|X''|0b01|b'01'"},
		{name: "strings", src: `select 'a', "b", 'it''s', 'a\'b', "x""y"`, slots: `'a'|"b"|'it''s'|'a\'b'|"x""y"`},
		{name: "adjacent", src: "select 'a' 'b' \"c\", 'd'/* x */'e'", slots: `'a' 'b' "c"|'d'/* x */'e'`},
		{name: "introducers", src: "select N'x', _utf8'y', _latin1 'z'", slots: "'x'|'y'|'z'"},
		{name: "ansi quotes", src: `select "a" 'b'`, slots: `'b'`, mode: Mode{ANSIQuotes: true}},
		{name: "no backslash", src: `select '\', 'b'`, slots: `'\'|'b'`, mode: Mode{NoBackslashEscapes: true}},
		{name: "params", src: "select ?, a=?", slots: "?|?"},
		{name: "variables", src: "select @a, @1, @'x y', @a.b, @@x, @@global.y1", slots: ""},
		{name: "comments", src: "select 1 -- x 2\n, 2 # 3\n/* 4 */--5", slots: "1|-- x 2|2|# 3|/* 4 */|5"},
		{name: "hints are code", src: "select /*+ MAX_EXECUTION_TIME(1000) */ 1", slots: "1"},
		{name: "versioned", src: "/*!40101 SET NAMES 'x' */", slots: "'x'"},
		{name: "of a newer server", src: "select 1 /*!99999 + 2 */", slots: "1"},
		{name: "MariaDB's", src: "select 1 /*M!100100 + 2 */", slots: "1|2", mode: mariaDB},
		{name: "MariaDB's at MySQL", src: "select 1 /*M!100100 + 2 */", slots: "1|/*M!100100 + 2 */"},
		{name: "MySQL 8's at MariaDB", src: "select 1 /*!80000 + 2 */", slots: "1", mode: mariaDB},
		{name: "account", src: "create user 'a'@'%' identified by 'p'", slots: "'a'|'p'"},
		{name: "dollar quotes", src: "as $$ return 'x $$ 5", slots: "5", mode: Mode{Version: 90700}},
		{name: "limit", src: "select a from t limit 5,10", slots: "5|10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, slots, ok := Fingerprint([]byte(c.src), c.mode, nil)
			if got := slotTexts(c.src, slots); !ok || got != c.slots {
				t.Errorf("%s: slots %q %v, want %q", c.src, got, ok, c.slots)
			}
			compareWithLexer(t, []byte(c.src), c.mode)
		})
	}
}

// compareWithLexer checks that both ways to find literals find the same, and returns how many there are.
func compareWithLexer(t *testing.T, src []byte, mode Mode) {
	t.Helper()
	_, slots, ok := Fingerprint(src, mode, nil)
	if !ok {
		return
	}
	l := lexer{src: src, mode: mode}
	for {
		tok, lexed := l.next()
		if !lexed {
			return // operators that no statement has: Fingerprint does not look at them
		}
		if tok.kind == kindEOF {
			break
		}
		if tok.slot < 0 {
			continue
		}
		if int(tok.slot) >= len(slots) || slots[tok.slot].Start != tok.start || slots[tok.slot].End != tok.end || slots[tok.slot].Escaped != tok.escaped {
			t.Fatalf("%q: token %q has slot %d of %v", src, src[tok.start:tok.end], tok.slot, slots)
		}
	}
	if int(l.slots) != len(slots) {
		t.Fatalf("%q: lexer counts %d slots, fingerprint %d", src, l.slots, len(slots))
	}
}

func TestFingerprintRefuses(t *testing.T) {
	for _, src := range []string{"select 'a", "select `a", `select "a`, "select /* a", "select x'1", "a\x00b", "/*!40000 select 1",
		"select '\\'", "(" + strings.Repeat("1,", maxSlots+1) + ")"} {
		if _, _, ok := Fingerprint([]byte(src), Mode{}, nil); ok {
			t.Errorf("%.40q has a fingerprint", src)
		}
	}
}

func TestShapes(t *testing.T) {
	same := [][2]string{
		{"select 1", "select 22222222222222222"},
		{"select 'a'", "select 'it''s'"},
		{"select /* a */ 1", "select /* longer */ 2"},
		{"select 'a' 'b'", "select 'c'"},
	}
	other := [][2]string{
		{"select 1", "select '1'"}, {"select 1", "Select 1"}, {"select 1", "select  1"}, {"select 1", "select -1"},
		{"select ?", "select 1"}, {"select 0x31", "select 1"}, {"select _utf8'a'", "select _utf8mb4'a'"},
		{"select /*+ A(1) */ 1", "select /*+ A(2) */ 1"}, {"select 1,2", "select 1, 2"}, {"select 1,2", "select 1,2,3"},
		{"select a1 from t", "select a2 from t"}, {"select `1`", "select `2`"}, {"select @'1'", "select @'2'"},
		{"select 1 -- x\n", "select 1 /* x */\n"}, {"select 12", "select 1 2"},
	}
	shape := func(src string) Shape {
		s, _, ok := Fingerprint([]byte(src), Mode{}, nil)
		if !ok {
			t.Fatalf("no fingerprint: %s", src)
		}
		return s
	}
	for _, p := range same {
		if shape(p[0]) != shape(p[1]) {
			t.Errorf("%q and %q differ", p[0], p[1])
		}
	}
	for _, p := range other {
		if shape(p[0]) == shape(p[1]) {
			t.Errorf("%q and %q are the same", p[0], p[1])
		}
	}
}

// TestShapeQuality looks for collisions of each half (which would show long before those of the whole), and for bits that
// do not react to a change of one byte.
func TestShapeQuality(t *testing.T) {
	const n = 200_000 // expected collisions in 64 bits: n*n/2^65, about 1e-9
	hi, lo := make(map[uint64]bool, n), make(map[uint64]bool, n)
	for i := range n {
		src := fmt.Sprintf("select c%d from t%d where %s = 5", i%997, i/997, strings.Repeat("x", i%13)+"y")
		s, _, _ := Fingerprint([]byte(src), Mode{}, nil)
		hi[s.Hi], lo[s.Lo] = true, true
	}
	if len(hi) != n || len(lo) != n {
		t.Errorf("of %d shapes %d and %d differ in their halves", n, len(hi), len(lo))
	}
	base := []byte("select aaaaaaaaaaaaaaaaaaaaaaaaaaa from bbbbbbbbbbbb where id = 5")
	was, _, _ := Fingerprint(base, Mode{}, nil)
	var flips [128]int
	changes := 0
	for i := 7; i < 34; i++ {
		for c := byte('b'); c <= 'z'; c++ {
			changed := append([]byte(nil), base...)
			changed[i] = c
			now, _, _ := Fingerprint(changed, Mode{}, nil)
			changes++
			for b := range 64 {
				flips[b] += int(bits.RotateLeft64(was.Hi^now.Hi, -b) & 1)
				flips[64+b] += int(bits.RotateLeft64(was.Lo^now.Lo, -b) & 1)
			}
		}
	}
	for b, f := range flips {
		if f < changes*4/10 || f > changes*6/10 {
			t.Errorf("bit %d changes %d times of %d", b, f, changes)
		}
	}
}

func TestFingerprintDoesNotAllocate(t *testing.T) {
	src := []byte("SELECT c FROM sbtest1 WHERE id=50123 AND k IN (1,2,3) AND pad = 'x'")
	slots := make([]Slot, 0, 16)
	if n := testing.AllocsPerRun(100, func() { _, slots, _ = Fingerprint(src, Mode{}, slots[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestUnquote(t *testing.T) {
	for _, c := range []struct {
		src, want string
		mode      Mode
	}{
		{src: `'abc'`, want: "abc"},
		{src: `''`, want: ""},
		{src: `'it''s'`, want: "it's"},
		{src: `"a""b"`, want: `a"b`},
		{src: `"it''s"`, want: `it''s`},
		{src: `'a' 'b' /* c */ "d"`, want: "abd"},
		{src: `'\n\t\r\b\0\Z\\\'\"\x\%\_'`, want: "\n\t\r\b\x00\x1a\\'\"x\\%\\_"},
		{src: `'a\nb'`, want: `a\nb`, mode: Mode{NoBackslashEscapes: true}},
		{src: "'\xff\\\\'", want: "\xff\\"},
	} {
		_, slots, ok := Fingerprint([]byte(c.src), c.mode, nil)
		if !ok || len(slots) != 1 {
			t.Fatalf("%s: %v %v", c.src, slots, ok)
		}
		if got := string(Unquote([]byte(c.src), slots[0], c.mode, nil)); got != c.want {
			t.Errorf("%s: %q, want %q", c.src, got, c.want)
		}
	}
}

func BenchmarkFingerprint(b *testing.B) {
	for _, src := range []string{
		"SELECT c FROM sbtest1 WHERE id=50123",
		"SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 50123 AND 50222 ORDER BY c",
		"INSERT INTO sbtest1 (id, k, c, pad) VALUES (0, 5033, '" + strings.Repeat("12345678901-", 10) + "', '" + strings.Repeat("98765432109-", 5) + "')",
	} {
		b.Run(fmt.Sprint(len(src)), func(b *testing.B) {
			text, slots := []byte(src), make([]Slot, 0, 16)
			b.ReportAllocs()
			for b.Loop() {
				_, slots, _ = Fingerprint(text, Mode{}, slots[:0])
			}
		})
	}
}

func FuzzFingerprint(f *testing.F) {
	f.Add([]byte("select 'a' 'b', 1a, t.1, .5, 0x1, x'1', @'a', /*!40000 1 */ -- x\n?"), uint8(0))
	f.Add([]byte(`select "a\"b" /*M!100000 x */ , $$ a $$, 1e5e5, a.b.1c . 5`), uint8(7))
	f.Fuzz(func(t *testing.T, src []byte, bits uint8) {
		mode := fuzzMode(bits)
		_, slots, _ := Fingerprint(src, mode, nil)
		at := int32(0)
		for _, s := range slots {
			if s.Start < at || s.End <= s.Start && s.Kind != SlotComment || int(s.End) > len(src) {
				t.Fatalf("%q: slots %v", src, slots)
			}
			at = s.End
			Unquote(src, s, mode, nil)
		}
		compareWithLexer(t, src, mode)
	})
}

func fuzzMode(bits uint8) Mode {
	m := Mode{ANSIQuotes: bits&1 != 0, NoBackslashEscapes: bits&2 != 0, PipesAsConcat: bits&4 != 0, HighNotPrecedence: bits&8 != 0, Version: 90700}
	if bits&16 != 0 {
		m.MariaDB, m.Version = true, 101119
	}
	return m
}
