package gtid

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	u1 = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	u2 = "b3e827e1-e5a2-11f1-9c01-02fc00000001"
)

func mustSet(t testing.TB, text string) Set {
	t.Helper()
	s, err := ParseSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The texts and results are what MySQL 9.7 answers to GTID_SUBTRACT(text, ”).
func TestParseSet(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"  \n", ""},
		{",,", ""},
		{u1, ""},
		{u1 + ":a", ""},
		{u1 + ":5-3", ""},
		{u1 + ":1", u1 + ":1"},
		{u1 + ":01", u1 + ":1"},
		{u1 + ":1 - 3", u1 + ":1-3"},
		{u1 + ":3:1:2", u1 + ":1-3"},
		{u1 + ":1-5:3-9", u1 + ":1-9"},
		{u1 + ":5-3,{" + u1 + "}:7 : B: 1-3:7 ,," + strings.ReplaceAll(u1, "-", "") + ":9,", u1 + ":7:9:b:1-3:7"},
		{u1 + ":a:1:1-3:b:3:a:9:1", u1 + ":a:1-3:9:b:3"},
		{u1 + ":a:b:1", u1 + ":b:1"},
		{u1 + ":1:a", u1 + ":1"},
		{strings.ToUpper(u2) + ":1,\n" + u1 + ":2", u1 + ":2," + u2 + ":1"},
		{u1 + ":9223372036854775806", u1 + ":9223372036854775806"},
		{u1 + ":_a123456789012345678901234567890:1", u1 + ":_a123456789012345678901234567890:1"},
	} {
		s, err := ParseSet(c.in)
		if err != nil || s.String() != c.want {
			t.Errorf("ParseSet(%q) = %q, %v; want %q", c.in, s, err, c.want)
		}
	}
	for _, in := range []string{
		u1 + ":", u1 + ":0", u1 + ":1-", u1 + "::1", u1 + ":1::2", u1 + ":+1", u1 + ":1a:1", u1 + ":1a", u1 + " " + u2, u1[:35], "x", "{" + u1 + ":1",
		u1 + ":9223372036854775807", u1 + ":1-9223372036854775807", u1 + ":99999999999999999999", u1 + ":é:1",
		u1 + ":_a1234567890123456789012345678901:1", strings.Replace(u1, "-", "", 1) + ":1",
	} {
		if s, err := ParseSet(in); !errors.Is(err, ErrSyntax) {
			t.Errorf("ParseSet(%q) = %q, %v; want a syntax error", in, s, err)
		}
	}
	if _, err := ParseSet(strings.Repeat(" ", MaxText+1)); !errors.Is(err, ErrSyntax) {
		t.Errorf("text over the limit: %v", err)
	}
}

// naive is a set as a map of single transactions.
type naive map[SID]map[int64]bool

func (n naive) set(t *rapid.T) Set {
	var b strings.Builder
	for sid, nums := range n {
		for num := range nums {
			fmt.Fprintf(&b, "%v:%d,", sid, num)
		}
	}
	s, err := ParseSet(b.String())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (n naive) filter(keep func(SID, int64) bool) naive {
	out := naive{}
	for sid, nums := range n {
		for num := range nums {
			if keep(sid, num) {
				if out[sid] == nil {
					out[sid] = map[int64]bool{}
				}
				out[sid][num] = true
			}
		}
	}
	return out
}

func (n naive) equal(m naive) bool {
	return maps.EqualFunc(n, m, func(a, b map[int64]bool) bool { return maps.Equal(a, b) })
}

func naiveOf(s Set) naive {
	out := naive{}
	for _, sid := range s.SIDs() {
		out[sid] = map[int64]bool{}
		for _, iv := range s.Intervals(sid) {
			for i := iv.First; i <= iv.Last; i++ {
				out[sid][i] = true
			}
		}
	}
	return out
}

func drawNaive(t *rapid.T, label string) naive {
	out := naive{}
	for range rapid.IntRange(0, 4).Draw(t, label+" lines") {
		sid := SID{UUID: [16]byte{rapid.SampledFrom([]byte{0, 1, 255}).Draw(t, "uuid")}, Tag: rapid.SampledFrom([]string{"", "a", "ab", "_z9"}).Draw(t, "tag")}
		nums := rapid.SliceOfN(rapid.Int64Range(1, 12), 1, 10).Draw(t, "numbers")
		out[sid] = map[int64]bool{}
		for _, n := range nums {
			out[sid][n] = true
		}
	}
	return out
}

func checkCanonical(t *rapid.T, s Set) {
	if !slices.IsSortedFunc(s.lines, func(a, b line) int { return compareSIDs(a.sid, b.sid) }) {
		t.Fatalf("lines out of order: %v", s)
	}
	for _, l := range s.lines {
		if len(l.intervals) == 0 {
			t.Fatalf("line without intervals: %v", s)
		}
		last := int64(-1)
		for _, iv := range l.intervals {
			if iv.First <= last+1 || iv.Last < iv.First {
				t.Fatalf("intervals not canonical: %v", s)
			}
			last = iv.Last
		}
	}
}

func TestSetAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		na, nb := drawNaive(t, "a"), drawNaive(t, "b")
		a, b := na.set(t), nb.set(t)
		before := a.String() + b.String()
		inB := func(s SID, n int64) bool { return nb[s][n] }
		sub := na.filter(func(s SID, n int64) bool { return !inB(s, n) })
		rev := nb.filter(func(s SID, n int64) bool { return !na[s][n] })
		both := na.filter(inB)
		union := rev.filter(func(SID, int64) bool { return true })
		for s, nums := range na {
			for n := range nums {
				if union[s] == nil {
					union[s] = map[int64]bool{}
				}
				union[s][n] = true
			}
		}
		for what, c := range map[string]struct {
			got  Set
			want naive
		}{"parse": {a, na}, "subtract": {a.Subtract(b), sub}, "intersect": {a.Intersect(b), both}, "union": {a.Union(b), union}} {
			checkCanonical(t, c.got)
			if !naiveOf(c.got).equal(c.want) {
				t.Fatalf("%s of %v and %v = %v", what, a, b, c.got)
			}
		}
		want := Diverged
		switch {
		case len(sub) == 0 && len(rev) == 0:
			want = Equal
		case len(sub) == 0:
			want = Behind
		case len(rev) == 0:
			want = Ahead
		}
		if got := a.Compare(b); got != want {
			t.Fatalf("%v compared with %v: %v, want %v", a, b, got, want)
		}
		if a.Contains(b) != (len(rev) == 0) || a.Equal(b) != na.equal(nb) {
			t.Fatalf("contains or equal of %v and %v", a, b)
		}
		checkSingles(t, a, na)
		if a.String()+b.String() != before {
			t.Fatal("an operation changed its operands")
		}
	})
}

// checkSingles compares all that concerns one transaction, and both encodings.
func checkSingles(t *rapid.T, a Set, na naive) {
	total := uint64(0)
	for sid, nums := range na {
		total += uint64(len(nums))
		last := int64(0)
		for i := int64(0); i <= 13; i++ {
			if a.Has(sid, i) != nums[i] {
				t.Fatalf("%v has %v:%d: %v", a, sid, i, a.Has(sid, i))
			}
			if nums[i] {
				last = i
			}
			if plus := a.Add(sid, i); i > 0 && (!plus.Has(sid, i) || !plus.Contains(a)) {
				t.Fatalf("%v with %v:%d = %v", a, sid, i, plus)
			}
		}
		if a.Last(sid) != last {
			t.Fatalf("last of %v in %v = %d", sid, a, a.Last(sid))
		}
	}
	if a.Count() != total {
		t.Fatalf("%v has %d transactions, counted %d", a, total, a.Count())
	}
	if again, err := ParseSet(a.String()); err != nil || !again.Equal(a) {
		t.Fatalf("text round trip of %v: %v, %v", a, again, err)
	}
	if again, err := ParseBinary(a.AppendBinary(nil)); err != nil || !again.Equal(a) {
		t.Fatalf("binary round trip of %v: %v, %v", a, again, err)
	}
}

// The tagged bytes are from a PREVIOUS_GTIDS event of MySQL 9.7.4.
func TestBinaryForm(t *testing.T) {
	const uuid = "b3e827e1e5a211f19c0102fc00000001"
	for text, want := range map[string]string{
		"":          "0000000000000000",
		u2 + ":1-2": "0100000000000000" + uuid + "0100000000000000" + "0100000000000000" + "0300000000000000",
		u2 + ":1-2:abc:1-3:zz9:1": "0103000000000001" +
			uuid + "00" + "0100000000000000" + "0100000000000000" + "0300000000000000" +
			uuid + "06616263" + "0100000000000000" + "0100000000000000" + "0400000000000000" +
			uuid + "067a7a39" + "0100000000000000" + "0100000000000000" + "0200000000000000",
	} {
		got := mustSet(t, text).AppendBinary(nil)
		if hex.EncodeToString(got) != want {
			t.Errorf("binary of %q\n got %x\nwant %s", text, got, want)
		}
		for cut := range got {
			if s, err := ParseBinary(got[:cut]); !errors.Is(err, ErrSyntax) {
				t.Errorf("%d of %d bytes of %q give %v, %v", cut, len(got), text, s, err)
			}
		}
		if _, err := ParseBinary(append(got, 0)); !errors.Is(err, ErrSyntax) {
			t.Errorf("a byte too many after %q: %v", text, err)
		}
	}
	huge := bytes.Repeat([]byte{0xff}, 32)
	if _, err := ParseBinary(huge); !errors.Is(err, ErrSyntax) {
		t.Errorf("huge counts: %v", err)
	}
}

func FuzzParseSet(f *testing.F) {
	f.Add(u1 + ":1-3:b:7 , {" + u2 + "}:9")
	f.Add(strings.ReplaceAll(u1, "-", "") + ":_x:1 - 2:2,,")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSet(text)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		again, err := ParseSet(s.String())
		if err != nil || !again.Equal(s) || again.String() != s.String() {
			t.Fatalf("%q prints as %q, which reads as %q, %v", text, s, again, err)
		}
	})
}

func FuzzParseBinary(f *testing.F) {
	for _, text := range []string{"", u1 + ":1-3:9", u1 + ":1:b:7"} {
		f.Add(mustSet(f, text).AppendBinary(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseBinary(data)
		if err != nil {
			return
		}
		if again, err := ParseBinary(s.AppendBinary(nil)); err != nil || !again.Equal(s) {
			t.Fatalf("%v, %v", again, err)
		}
	})
}

// bigSet is a set of about 100 KB of text, as of a cluster with many former servers and holes.
func bigSet(step int64) string {
	var b strings.Builder
	for i := range 400 {
		fmt.Fprintf(&b, "%08x-71ca-11e1-9e33-c80aa9429562", i*7919)
		for j := int64(0); j < 16; j++ {
			fmt.Fprintf(&b, ":%d-%d", j*1000*step+1, j*1000*step+500)
		}
		b.WriteByte(',')
	}
	return b.String()
}

func BenchmarkParse100KB(b *testing.B) {
	text := bigSet(1)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		mustSet(b, text)
	}
}

func BenchmarkSubtract100KB(b *testing.B) {
	x, y := mustSet(b, bigSet(1)), mustSet(b, bigSet(2))
	b.ReportAllocs()
	for b.Loop() {
		if x.Subtract(y).Empty() {
			b.Fatal("empty")
		}
	}
}

func BenchmarkCompare100KB(b *testing.B) {
	x := mustSet(b, bigSet(1))
	y := x.Add(SID{UUID: [16]byte{9}}, 1)
	b.ReportAllocs()
	for b.Loop() {
		if x.Compare(y) != Behind {
			b.Fatal("order")
		}
	}
}
