package gtid

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/fact"
)

// ErrDiverged says that two MariaDB positions have different transactions with the same number.
var ErrDiverged = errors.New("histories have diverged")

// Triple is one MariaDB GTID: domain, server, sequence number.
type Triple struct {
	Domain uint32
	Server uint32
	Seq    uint64
}

// String is DOMAIN-SERVER-SEQ.
func (t Triple) String() string { return string(t.append(nil)) }

func (t Triple) append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, uint64(t.Domain), 10)
	dst = strconv.AppendUint(append(dst, '-'), uint64(t.Server), 10)
	return strconv.AppendUint(append(dst, '-'), t.Seq, 10)
}

// Domains is a MariaDB position: the last transaction of each domain, sorted by domain, each domain once. Nil is the
// empty position.
type Domains []Triple

// Run is what one position has beyond another in one domain: the numbers First to Last, of which only the last one's
// server is known.
type Run struct {
	Domain uint32
	Server uint32 // of the last
	First  uint64
	Last   uint64
}

func (r Run) append(dst []byte) []byte {
	dst = Triple{r.Domain, r.Server, r.First}.append(dst)
	if r.Last != r.First {
		dst = strconv.AppendUint(append(dst, ".."...), r.Last, 10)
	}
	return dst
}

// String is DOMAIN-SERVER-FIRST..LAST.
func (r Run) String() string { return string(r.append(nil)) }

// ParseTriple reads one MariaDB GTID.
func ParseTriple(text string) (Triple, error) {
	d, rest, ok1 := strings.Cut(text, "-")
	s, n, ok2 := strings.Cut(rest, "-")
	domain, err1 := strconv.ParseUint(d, 10, 32)
	server, err2 := strconv.ParseUint(s, 10, 32)
	seq, err3 := strconv.ParseUint(n, 10, 64)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || err3 != nil {
		return Triple{}, fmt.Errorf("parse gtid %q: %w", clip(text), ErrSyntax)
	}
	return Triple{uint32(domain), uint32(server), seq}, nil
}

// ParseDomains reads a MariaDB position: triples separated by commas, in any order, white space around them; a domain
// that comes twice is an error, as with the server.
func ParseDomains(text string) (Domains, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("parse gtid position: %d bytes, the limit is %d: %w", len(text), MaxText, ErrSyntax)
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	out := make(Domains, 0, strings.Count(text, ",")+1)
	for part := range strings.SplitSeq(text, ",") {
		t, err := ParseTriple(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Triple) int { return cmp.Compare(a.Domain, b.Domain) })
	for i := 1; i < len(out); i++ {
		if out[i].Domain == out[i-1].Domain {
			return nil, fmt.Errorf("parse gtid position: %v and %v have the same domain: %w", out[i-1], out[i], ErrSyntax)
		}
	}
	return out, nil
}

// String is the text that servers take: triples by domain, separated by commas.
func (d Domains) String() string {
	var b []byte
	for i, t := range d {
		if i > 0 {
			b = append(b, ',')
		}
		b = t.append(b)
	}
	return string(b)
}

// Last returns the last transaction of a domain; ok is false if there is none.
func (d Domains) Last(domain uint32) (t Triple, ok bool) {
	i, ok := slices.BinarySearchFunc(d, domain, func(t Triple, domain uint32) int { return cmp.Compare(t.Domain, domain) })
	if !ok {
		return Triple{}, false
	}
	return d[i], true
}

// Add returns the position with t as the last transaction of its domain, whatever it was before.
func (d Domains) Add(t Triple) Domains {
	i, ok := slices.BinarySearchFunc(d, t.Domain, func(x Triple, domain uint32) int { return cmp.Compare(x.Domain, domain) })
	out := slices.Clone(d)
	if ok {
		out[i] = t
		return out
	}
	return slices.Insert(out, i, t)
}

// Compare says how d stands to e, domain by domain; see the function Compare. It is never Unknown.
func (d Domains) Compare(e Domains) Order {
	behind, ahead, diverged := false, false, false
	d.pair(e, func(a, b *Triple) {
		switch {
		case a == nil || b != nil && a.Seq < b.Seq:
			behind = true
		case b == nil || a.Seq > b.Seq:
			ahead = true
		case a.Server != b.Server:
			diverged = true
		}
	})
	switch {
	case diverged || behind && ahead:
		return Diverged
	case behind:
		return Behind
	case ahead:
		return Ahead
	}
	return Equal
}

// Contains says whether all transactions up to e are in d. Within a domain it is true for the same GTID, or a lower number of
// the server that d's last is from (a server gives a number twice only if it was rewound in between); false when d is
// not that far or has another server's transaction of that number; unknown when d is further and its last is of
// another server.
func (d Domains) Contains(e Domains) fact.Truth {
	out := fact.True
	d.pair(e, func(a, b *Triple) {
		switch {
		case b == nil:
		case a == nil || a.Seq < b.Seq || a.Seq == b.Seq && a.Server != b.Server:
			out = fact.False
		case a.Server != b.Server:
			out = fact.And(out, fact.Unknown)
		}
	})
	return out
}

// Union returns the later of both in each domain, or ErrDiverged.
func (d Domains) Union(e Domains) (Domains, error) {
	var out Domains
	var bad *Triple
	d.pair(e, func(a, b *Triple) {
		switch {
		case a == nil:
			out = append(out, *b)
		case b == nil || a.Seq > b.Seq:
			out = append(out, *a)
		case a.Seq == b.Seq && a.Server != b.Server:
			bad = a
		default:
			out = append(out, *b)
		}
	})
	if bad != nil {
		return nil, fmt.Errorf("union of %v and %v in domain %d: %w", d, e, bad.Domain, ErrDiverged)
	}
	return out, nil
}

// Subtract returns what d has and e lacks, by domain. Where both have the same number from different servers, that
// transaction is counted as lacking.
func (d Domains) Subtract(e Domains) []Run {
	var out []Run
	d.pair(e, func(a, b *Triple) {
		switch {
		case a == nil:
		case b == nil:
			out = append(out, Run{a.Domain, a.Server, min(1, a.Seq), a.Seq})
		case a.Seq > b.Seq:
			out = append(out, Run{a.Domain, a.Server, b.Seq + 1, a.Seq})
		case a.Seq == b.Seq && a.Server != b.Server:
			out = append(out, Run{a.Domain, a.Server, a.Seq, a.Seq})
		}
	})
	return out
}

// pair calls f for each domain of either, in order; nil where a position lacks it.
func (d Domains) pair(e Domains, f func(a, b *Triple)) {
	i, j := 0, 0
	for i < len(d) || j < len(e) {
		switch {
		case j == len(e) || i < len(d) && d[i].Domain < e[j].Domain:
			f(&d[i], nil)
			i++
		case i == len(d) || d[i].Domain > e[j].Domain:
			f(nil, &e[j])
			j++
		default:
			f(&d[i], &e[j])
			i++
			j++
		}
	}
}
