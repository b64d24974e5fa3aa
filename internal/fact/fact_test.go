package fact

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var all = []Truth{Unknown, False, True}

// worlds lists what the unknowns may really be: a Kleene connective is right if it is certain exactly when all worlds
// that fit agree.
func worlds(ts []Truth) [][]bool {
	out := [][]bool{nil}
	for _, t := range ts {
		var next [][]bool
		for _, w := range out {
			if t != False {
				next = append(next, append(w[:len(w):len(w)], true))
			}
			if t != True {
				next = append(next, append(w[:len(w):len(w)], false))
			}
		}
		out = next
	}
	return out
}

func overWorlds(ts []Truth, f func([]bool) bool) Truth {
	yes, no := false, false
	for _, w := range worlds(ts) {
		if f(w) {
			yes = true
		} else {
			no = true
		}
	}
	if yes && no {
		return Unknown
	}
	return Of(yes)
}

func count(w []bool) (n int) {
	for _, b := range w {
		if b {
			n++
		}
	}
	return n
}

func TestConnectivesExhaustive(t *testing.T) {
	var check func(ts []Truth)
	check = func(ts []Truth) {
		if got, want := And(ts...), overWorlds(ts, func(w []bool) bool { return count(w) == len(w) }); got != want {
			t.Errorf("And(%v) = %v, want %v", ts, got, want)
		}
		if got, want := Or(ts...), overWorlds(ts, func(w []bool) bool { return count(w) > 0 }); got != want {
			t.Errorf("Or(%v) = %v, want %v", ts, got, want)
		}
		for n := 0; n <= len(ts)+1; n++ {
			if got, want := AtLeast(n, ts...), overWorlds(ts, func(w []bool) bool { return count(w) >= n }); got != want {
				t.Errorf("AtLeast(%d, %v) = %v, want %v", n, ts, got, want)
			}
		}
		if len(ts) < 4 {
			for _, x := range all {
				check(append(ts[:len(ts):len(ts)], x))
			}
		}
	}
	check(nil)
	for _, x := range all {
		if got, want := x.Not(), overWorlds([]Truth{x}, func(w []bool) bool { return !w[0] }); got != want {
			t.Errorf("Not(%v) = %v, want %v", x, got, want)
		}
	}
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestZeroValuesAreUnknown(t *testing.T) {
	var f Fact[bool]
	if v, ok := f.Get(); ok || v {
		t.Error("the zero fact is known")
	}
	if reason, _, ok := f.Why(); !ok || reason != NeverReported {
		t.Errorf("reason %v", reason)
	}
	var tr Truth
	if tr != Unknown || tr.IsTrue() || tr.IsFalse() {
		t.Error("the zero truth is not unknown")
	}
	if got := FromPtr[bool](nil, noon, "a"); got.IsKnown() {
		t.Error("an absent field is known")
	}
	no := false
	if got := Holds(FromPtr(&no, noon, "a")); got != False {
		t.Errorf("a reported false is %v", got)
	}
}

func TestFresh(t *testing.T) {
	f := Known(7, noon, "zone1-101")
	for _, c := range []struct {
		after time.Duration
		known bool
	}{{0, true}, {time.Second, true}, {time.Second + 1, false}, {-time.Second, true}, {-time.Second - 1, false}} {
		got := f.Fresh(noon.Add(c.after), time.Second)
		if got.IsKnown() != c.known {
			t.Errorf("after %v: known %v", c.after, got.IsKnown())
		}
		if reason, _, unknown := got.Why(); unknown && reason != Stale {
			t.Errorf("after %v: reason %v", c.after, reason)
		}
	}
	gone := Missing[int](Unreachable, "connection refused")
	if reason, detail, _ := gone.Fresh(noon, time.Hour).Why(); reason != Unreachable || detail != "connection refused" {
		t.Errorf("Fresh changed an unknown: %v %q", reason, detail)
	}
}

func TestMatchMapNewest(t *testing.T) {
	f := Known(3, noon, "a")
	if got := Match(f, func(int) string { return "known" }, func(Reason, string) string { return "unknown" }); got != "known" {
		t.Error(got)
	}
	if got := Match(Missing[int](Stale, ""), func(int) string { return "known" }, func(r Reason, _ string) string { return r.String() }); got != "stale" {
		t.Error(got)
	}
	d := Map(f, func(n int) string { return strings.Repeat("x", n) })
	if v, ok := d.Get(); !ok || v != "xxx" || d.Source() != "a" || !d.At().Equal(noon) {
		t.Errorf("Map: %v", d)
	}
	if m := Map(Missing[int](QueryFailed, "1064"), func(int) bool { t.Error("called on unknown"); return true }); m.IsKnown() {
		t.Error("Map made an unknown known")
	}
	newer := Known(4, noon.Add(time.Second), "b")
	if v, _ := Newest(Missing[int](Stale, ""), f, newer, f).Get(); v != 4 {
		t.Errorf("Newest = %d", v)
	}
	if Newest[int]().IsKnown() {
		t.Error("Newest of nothing is known")
	}
	if s := f.String(); s != "3 (a at 12:00:00.000)" {
		t.Errorf("String = %q", s)
	}
	if s := Missing[int](QueryFailed, "1064").String(); s != "unknown: query failed: 1064" {
		t.Errorf("String = %q", s)
	}
}

// Hiding facts never makes a condition certain that the full picture decides otherwise.
func TestHidingNeverChangesAnAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		full := make([]Fact[int], n)
		hidden := make([]Fact[int], n)
		for i := range full {
			full[i] = Known(rapid.IntRange(0, 3).Draw(t, "v"), noon, "x")
			hidden[i] = full[i]
			if rapid.Bool().Draw(t, "hide") {
				hidden[i] = Missing[int](Unreachable, "")
			}
		}
		seed := rapid.SliceOfN(rapid.IntRange(0, 5), 8, 8).Draw(t, "shape")
		a, b := condition(full, seed), condition(hidden, seed)
		if b != Unknown && a != b {
			t.Fatalf("full picture %v, with facts hidden %v", a, b)
		}
		if a == Unknown {
			t.Fatalf("all facts known and still unknown")
		}
	})
}

func condition(fs []Fact[int], seed []int) Truth {
	cur := EqualTo(fs[0], 1)
	for i, s := range seed {
		f, g := fs[i%len(fs)], fs[(i*3+1)%len(fs)]
		switch s {
		case 0:
			cur = And(cur, Equal(f, g))
		case 1:
			cur = Or(cur, Less(f, g))
		case 2:
			cur = cur.Not()
		case 3:
			cur = Or(cur, AtMost(f, 1).Not())
		case 4:
			cur = And(cur, Above(f, 0))
		case 5:
			cur = AtLeast(2, cur, EqualTo(g, 2), Is(f, func(v int) bool { return v%2 == 0 }))
		}
	}
	return cur
}
