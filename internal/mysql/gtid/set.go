package gtid

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// MaxNumber is the largest transaction number that MySQL gives.
const MaxNumber = 1<<63 - 2

// SID names a line of transactions: the UUID of the server that began them, and a tag (MySQL 8.3 and later) or "".
type SID struct {
	UUID [16]byte
	Tag  string // lower case, up to 32 letters, digits and underscores, no digit first
}

// String is uuid or uuid:tag.
func (s SID) String() string {
	b := appendUUID(make([]byte, 0, 36+33), s.UUID)
	if s.Tag != "" {
		b = append(append(b, ':'), s.Tag...)
	}
	return string(b)
}

// compareSIDs is the canonical order: by the UUID's bytes, then by tag, untagged first.
func compareSIDs(a, b SID) int {
	if c := slices.Compare(a.UUID[:], b.UUID[:]); c != 0 {
		return c
	}
	return strings.Compare(a.Tag, b.Tag)
}

// Interval is the transactions from First to Last, both included; 1 <= First <= Last <= MaxNumber.
type Interval struct{ First, Last int64 }

// Set is a MySQL GTID set. It is immutable and canonical: lines sorted, intervals sorted, disjoint and not adjacent, no
// line without an interval. The zero value is the empty set.
type Set struct{ lines []line }

type line struct {
	sid       SID
	intervals []Interval
}

// Empty says that there is no transaction in the set.
func (s Set) Empty() bool { return len(s.lines) == 0 }

// Count returns how many transactions the set has; saturated at the largest uint64.
func (s Set) Count() uint64 {
	var n uint64
	for _, l := range s.lines {
		for _, iv := range l.intervals {
			if d := uint64(iv.Last-iv.First) + 1; n+d >= n {
				n += d
			} else {
				return 1<<64 - 1
			}
		}
	}
	return n
}

// SIDs returns the set's lines in canonical order.
func (s Set) SIDs() []SID {
	out := make([]SID, len(s.lines))
	for i, l := range s.lines {
		out[i] = l.sid
	}
	return out
}

// Intervals returns the transactions of one line, in order; nil if it has none.
func (s Set) Intervals(sid SID) []Interval {
	if i, ok := s.find(sid); ok {
		return slices.Clone(s.lines[i].intervals)
	}
	return nil
}

// Last returns the largest number of a line, or 0 if it has none.
func (s Set) Last(sid SID) int64 {
	if i, ok := s.find(sid); ok {
		ivs := s.lines[i].intervals
		return ivs[len(ivs)-1].Last
	}
	return 0
}

func (s Set) find(sid SID) (int, bool) {
	return slices.BinarySearchFunc(s.lines, sid, func(l line, sid SID) int { return compareSIDs(l.sid, sid) })
}

// Has says whether one transaction is in the set.
func (s Set) Has(sid SID, number int64) bool {
	i, ok := s.find(sid)
	if !ok {
		return false
	}
	_, in := slices.BinarySearchFunc(s.lines[i].intervals, number, func(iv Interval, n int64) int {
		if n < iv.First {
			return 1
		}
		if n > iv.Last {
			return -1
		}
		return 0
	})
	return in
}

// Equal says whether both have the same transactions.
func (s Set) Equal(t Set) bool {
	return slices.EqualFunc(s.lines, t.lines, func(a, b line) bool {
		return a.sid == b.sid && slices.Equal(a.intervals, b.intervals)
	})
}

// Contains says whether all transactions of t are in s.
func (s Set) Contains(t Set) bool {
	if len(t.lines) > len(s.lines) {
		return false
	}
	i := 0
	for _, tl := range t.lines {
		for i < len(s.lines) && compareSIDs(s.lines[i].sid, tl.sid) < 0 {
			i++
		}
		if i == len(s.lines) || s.lines[i].sid != tl.sid || !covers(s.lines[i].intervals, tl.intervals) {
			return false
		}
	}
	return true
}

func covers(a, b []Interval) bool {
	i := 0
	for _, iv := range b {
		for i < len(a) && a[i].Last < iv.First {
			i++
		}
		if i == len(a) || a[i].First > iv.First || a[i].Last < iv.Last {
			return false
		}
	}
	return true
}

// Compare says how s stands to t; it is never Unknown.
func (s Set) Compare(t Set) Order {
	has, lacks := s.Contains(t), t.Contains(s)
	switch {
	case has && lacks:
		return Equal
	case has:
		return Ahead
	case lacks:
		return Behind
	}
	return Diverged
}

// Union returns the transactions that are in either.
func (s Set) Union(t Set) Set {
	if s.Empty() {
		return t
	}
	if t.Empty() {
		return s
	}
	out := make([]line, 0, max(len(s.lines), len(t.lines)))
	s.pair(t, func(sid SID, a, b []Interval) {
		switch {
		case len(b) == 0:
			out = append(out, line{sid, a})
		case len(a) == 0:
			out = append(out, line{sid, b})
		default:
			out = append(out, line{sid, unite(a, b)})
		}
	})
	return Set{out}
}

// Subtract returns the transactions of s that are not in t.
func (s Set) Subtract(t Set) Set {
	var out []line
	s.pair(t, func(sid SID, a, b []Interval) {
		if rest := subtract(a, b); len(rest) > 0 {
			out = append(out, line{sid, rest})
		}
	})
	return Set{out}
}

// Intersect returns the transactions that are in both.
func (s Set) Intersect(t Set) Set { return s.Subtract(s.Subtract(t)) }

// Add returns the set with one more transaction. Numbers outside 1 to MaxNumber change nothing.
func (s Set) Add(sid SID, number int64) Set {
	if number < 1 || number > MaxNumber {
		return s
	}
	return s.Union(Set{[]line{{sid, []Interval{{number, number}}}}})
}

// pair calls f for each line of either set, in order, with the intervals of both (nil if a set lacks the line).
func (s Set) pair(t Set, f func(sid SID, a, b []Interval)) {
	i, j := 0, 0
	for i < len(s.lines) || j < len(t.lines) {
		c := 0
		switch {
		case i == len(s.lines):
			c = 1
		case j == len(t.lines):
			c = -1
		default:
			c = compareSIDs(s.lines[i].sid, t.lines[j].sid)
		}
		switch {
		case c < 0:
			f(s.lines[i].sid, s.lines[i].intervals, nil)
			i++
		case c > 0:
			f(t.lines[j].sid, nil, t.lines[j].intervals)
			j++
		default:
			f(s.lines[i].sid, s.lines[i].intervals, t.lines[j].intervals)
			i++
			j++
		}
	}
}

// unite merges two canonical lists.
func unite(a, b []Interval) []Interval {
	out := make([]Interval, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].First <= b[0].First {
			out = extend(out, a[0])
			a = a[1:]
		} else {
			out = extend(out, b[0])
			b = b[1:]
		}
	}
	return out
}

// extend appends an interval that begins no earlier than the last one, joining what overlaps or touches.
func extend(list []Interval, iv Interval) []Interval {
	if n := len(list); n > 0 && iv.First <= list[n-1].Last+1 {
		list[n-1].Last = max(list[n-1].Last, iv.Last)
		return list
	}
	return append(list, iv)
}

// subtract returns the parts of a that are not in b; both are canonical.
func subtract(a, b []Interval) []Interval {
	var out []Interval
	for _, iv := range a {
		for len(b) > 0 && b[0].Last < iv.First {
			b = b[1:]
		}
		rest := b
		for len(rest) > 0 && rest[0].First <= iv.Last {
			if rest[0].First > iv.First {
				out = append(out, Interval{iv.First, rest[0].First - 1})
			}
			iv.First = rest[0].Last + 1
			rest = rest[1:]
		}
		if iv.First <= iv.Last {
			out = append(out, iv)
		}
	}
	return out
}

// String is the canonical text: lines separated by a comma, the tags of one UUID behind its untagged intervals.
func (s Set) String() string { return string(s.AppendText(nil)) }

// AppendText appends the canonical text to dst.
func (s Set) AppendText(dst []byte) []byte {
	for i, l := range s.lines {
		switch {
		case i == 0:
			dst = appendUUID(dst, l.sid.UUID)
		case l.sid.UUID != s.lines[i-1].sid.UUID:
			dst = appendUUID(append(dst, ','), l.sid.UUID)
		}
		if l.sid.Tag != "" {
			dst = append(append(dst, ':'), l.sid.Tag...)
		}
		for _, iv := range l.intervals {
			dst = strconv.AppendInt(append(dst, ':'), iv.First, 10)
			if iv.Last != iv.First {
				dst = strconv.AppendInt(append(dst, '-'), iv.Last, 10)
			}
		}
	}
	return dst
}

func appendUUID(dst []byte, u [16]byte) []byte {
	const hex = "0123456789abcdef"
	for i, c := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hex[c>>4], hex[c&15])
	}
	return dst
}

// canonical sorts lines and intervals of any order, joins what belongs together and drops what is empty.
func canonical(lines []line) Set {
	slices.SortStableFunc(lines, func(a, b line) int { return compareSIDs(a.sid, b.sid) })
	out := lines[:0]
	for _, l := range lines {
		if n := len(out); n > 0 && out[n-1].sid == l.sid {
			out[n-1].intervals = append(out[n-1].intervals, l.intervals...)
			continue
		}
		out = append(out, l)
	}
	kept := out[:0]
	for _, l := range out {
		byFirst := func(a, b Interval) int { return cmp.Compare(a.First, b.First) }
		if !slices.IsSortedFunc(l.intervals, byFirst) {
			slices.SortFunc(l.intervals, byFirst)
		}
		joined := l.intervals[:0]
		for _, iv := range l.intervals {
			joined = extend(joined, iv)
		}
		if len(joined) > 0 {
			kept = append(kept, line{l.sid, joined})
		}
	}
	if len(kept) == 0 {
		return Set{}
	}
	return Set{kept}
}
