package gtid

import (
	"errors"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/fact"
	"pgregory.net/rapid"
)

func TestParseDomains(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{" \n", ""},
		{"0-1-1", "0-1-1"},
		{"00-1-1", "0-1-1"},
		{"1-2-3,0-1-1", "0-1-1,1-2-3"},
		{"0-11-50, 7-3-9", "0-11-50,7-3-9"},
		{"4294967295-1-18446744073709551615", "4294967295-1-18446744073709551615"},
	} {
		d, err := ParseDomains(c.in)
		if err != nil || d.String() != c.want {
			t.Errorf("ParseDomains(%q) = %q, %v; want %q", c.in, d, err, c.want)
		}
	}
	for _, in := range []string{"0-1", "0-1-1,", ",", "0-1-1,0-2-3", "4294967296-1-1", "0-4294967296-1", "0-1-18446744073709551616", "0-1-1-1", "a-1-1", "-1-1-1", u1 + ":1"} {
		if d, err := ParseDomains(in); !errors.Is(err, ErrSyntax) {
			t.Errorf("ParseDomains(%q) = %q, %v; want a syntax error", in, d, err)
		}
	}
	if _, err := ParseDomains(strings.Repeat(" ", MaxText+1)); !errors.Is(err, ErrSyntax) {
		t.Errorf("text over the limit: %v", err)
	}
}

func TestDomainsRelations(t *testing.T) {
	for _, c := range []struct {
		a, b     string
		order    Order
		contains fact.Truth // a contains b
		extra    string     // a minus b
	}{
		{"", "", Equal, fact.True, ""},
		{"0-1-5", "", Ahead, fact.True, "0-1-1..5"},
		{"", "0-1-5", Behind, fact.False, ""},
		{"0-1-5", "0-1-5", Equal, fact.True, ""},
		{"0-1-7", "0-1-5", Ahead, fact.True, "0-1-6..7"},
		{"0-1-5", "0-2-5", Diverged, fact.False, "0-1-5"},
		{"0-2-7", "0-1-5", Ahead, fact.Unknown, "0-2-6..7"},
		{"0-1-5", "0-2-7", Behind, fact.False, ""},
		{"0-1-5,1-1-9", "0-1-6,1-1-8", Diverged, fact.False, "1-1-9"},
		{"0-1-5,1-1-9", "0-1-5", Ahead, fact.True, "1-1-1..9"},
		{"0-2-7,1-1-3", "0-1-5,1-1-4", Diverged, fact.False, "0-2-6..7"},
		{"0-2-7,1-1-4", "0-1-5,1-1-4", Ahead, fact.Unknown, "0-2-6..7"},
	} {
		a, errA := Parse(MariaDB, c.a)
		b, errB := Parse(MariaDB, c.b)
		diff, errD := a.Subtract(b)
		if err := errors.Join(errA, errB, errD); err != nil {
			t.Fatal(err)
		}
		if got := Compare(a, b); got != c.order {
			t.Errorf("%q compared with %q: %v, want %v", c.a, c.b, got, c.order)
		}
		if got := a.Contains(b); got != c.contains {
			t.Errorf("%q contains %q: %v, want %v", c.a, c.b, got, c.contains)
		}
		if diff.String() != c.extra || diff.Empty() != (c.extra == "") {
			t.Errorf("%q minus %q = %q, want %q", c.a, c.b, diff, c.extra)
		}
	}
}

func TestUnknownPositions(t *testing.T) {
	var none Position
	empty, _ := Parse(MariaDB, "")
	my, _ := Parse(MySQL, u1+":1")
	if none.Known() || none.Empty() || !empty.Known() || !empty.Empty() || my.Empty() {
		t.Error("unknown, empty and not empty are mixed up")
	}
	for _, pair := range [][2]Position{{none, none}, {none, my}, {my, none}, {my, empty}} {
		if got := Compare(pair[0], pair[1]); got != Unknown {
			t.Errorf("%v compared with %v: %v", pair[0], pair[1], got)
		}
		if got := pair[0].Contains(pair[1]); got != fact.Unknown {
			t.Errorf("%v contains %v: %v", pair[0], pair[1], got)
		}
		if _, err := pair[0].Subtract(pair[1]); !errors.Is(err, ErrFamily) {
			t.Errorf("difference: %v", err)
		}
		if _, err := pair[0].Union(pair[1]); !errors.Is(err, ErrFamily) {
			t.Errorf("union: %v", err)
		}
	}
	if _, err := Parse(NoFamily, "0-1-1"); !errors.Is(err, ErrFamily) {
		t.Errorf("Parse without a family: %v", err)
	}
}

// drawDomains draws from a small world, so that equal numbers of different servers are frequent.
func drawDomains(t *rapid.T, label string) Domains {
	var d Domains
	for domain := range uint32(3) {
		if rapid.Bool().Draw(t, label) {
			d = append(d, Triple{domain, uint32(rapid.IntRange(1, 2).Draw(t, "server")), uint64(rapid.IntRange(1, 4).Draw(t, "seq"))})
		}
	}
	return d
}

func TestDomainsLaws(t *testing.T) {
	mirror := map[Order]Order{Equal: Equal, Behind: Ahead, Ahead: Behind, Diverged: Diverged}
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawDomains(t, "a"), drawDomains(t, "b")
		order := a.Compare(b)
		if b.Compare(a) != mirror[order] {
			t.Fatalf("%v, %v: %v one way, %v the other", a, b, order, b.Compare(a))
		}
		if (a.String() == b.String()) != (order == Equal) {
			t.Fatalf("%v, %v: %v", a, b, order)
		}
		if a.Contains(b) == fact.True && order != Equal && order != Ahead {
			t.Fatalf("%v contains %v and is %v", a, b, order)
		}
		if len(a.Subtract(b)) == 0 && order != Equal && order != Behind {
			t.Fatalf("%v minus %v is empty, and it is %v", a, b, order)
		}
		u, err := a.Union(b)
		if err != nil {
			if order != Diverged {
				t.Fatalf("no union of %v and %v, which are %v", a, b, order)
			}
			return
		}
		for _, x := range []Domains{a, b} {
			if o := u.Compare(x); o != Equal && o != Ahead {
				t.Fatalf("union %v of %v and %v is %v of %v", u, a, b, o, x)
			}
		}
		for _, x := range u {
			if last, ok := u.Last(x.Domain); !ok || last != x {
				t.Fatalf("last of domain %d in %v", x.Domain, u)
			}
			if plus := a.Add(x); plus.String() == "" || plus.Contains(Domains{x}) != fact.True {
				t.Fatalf("%v with %v = %v", a, x, plus)
			}
		}
		if again, err := ParseDomains(u.String()); err != nil || again.Compare(u) != Equal {
			t.Fatalf("round trip of %v: %v, %v", u, again, err)
		}
	})
}

func FuzzParseDomains(f *testing.F) {
	f.Add("0-1-5, 7-3-9")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDomains(text)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		if again, err := ParseDomains(d.String()); err != nil || again.Compare(d) != Equal {
			t.Fatalf("%q prints as %q, which reads as %q, %v", text, d, again, err)
		}
	})
}
