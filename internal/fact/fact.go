// Package fact holds values that a peer may not have reported, and conditions over them that may be unknown.
//
// A Fact's value cannot be read without saying what happens when it is not known, so an absent field can never be taken
// for zero or false. The package has no way to turn an unknown into a value by itself, keeps no clock (times are
// passed in), and does not decide what follows from a condition.
package fact

import (
	"cmp"
	"fmt"
	"time"
)

// Reason says why a fact is not known.
type Reason uint8

// Reasons for not knowing.
const (
	NeverReported Reason = iota // nobody reported it: the zero value of a Fact; perhaps the peer is too old to have the field
	Unreachable                 // the peer could not be asked
	Stale                       // it was known once, too long ago
	QueryFailed                 // the peer tried to find out and could not
	NotApplicable               // it has no meaning for this peer, such as a source of a server that does not replicate
)

// String is the reason in words.
func (r Reason) String() string {
	switch r {
	case NeverReported:
		return "never reported"
	case Unreachable:
		return "unreachable"
	case Stale:
		return "stale"
	case QueryFailed:
		return "query failed"
	case NotApplicable:
		return "not applicable"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Fact is a value of a kind T with its provenance, or the reason why there is none. It is immutable. The zero value is
// unknown, never reported.
type Fact[T any] struct {
	value  T
	known  bool
	at     time.Time
	source string
	reason Reason
	detail string
}

// Known is a fact that a source (a tablet's alias, "etcd", ...) reported as of a time.
func Known[T any](value T, at time.Time, source string) Fact[T] {
	return Fact[T]{value: value, known: true, at: at, source: source}
}

// Missing is a fact that is not known, with the reason and words for people (which may be empty).
func Missing[T any](reason Reason, detail string) Fact[T] {
	return Fact[T]{reason: reason, detail: detail}
}

// FromPtr is the fact of a field with explicit presence: nil is never reported. The value is copied.
func FromPtr[T any](p *T, at time.Time, source string) Fact[T] {
	if p == nil {
		return Fact[T]{source: source, at: at}
	}
	return Known(*p, at, source)
}

// Get returns the value and true, or the zero value and false if it is not known. The second result must be looked at.
func (f Fact[T]) Get() (T, bool) { return f.value, f.known }

// IsKnown says whether there is a value.
func (f Fact[T]) IsKnown() bool { return f.known }

// At is when the value was true, by the reporter's clock or by the receiver's, as whoever made the fact decided. It is
// the zero time if that is not known.
func (f Fact[T]) At() time.Time { return f.at }

// Source is who reported the fact, or should have; it may be empty.
func (f Fact[T]) Source() string { return f.source }

// Why returns the reason and detail of an unknown fact; ok is false if the fact is known.
func (f Fact[T]) Why() (reason Reason, detail string, ok bool) { return f.reason, f.detail, !f.known }

// Match calls one of its functions, by whether the fact is known, and returns what that returns.
func Match[T, R any](f Fact[T], known func(T) R, unknown func(Reason, string) R) R {
	if f.known {
		return known(f.value)
	}
	return unknown(f.reason, f.detail)
}

// Fresh returns the fact if it is at most maxAge old at now, and otherwise an unknown fact with reason Stale. A fact
// from the future counts as fresh up to maxAge ahead (clocks differ) and as stale beyond that. An unknown fact is
// returned as it is.
func (f Fact[T]) Fresh(now time.Time, maxAge time.Duration) Fact[T] {
	if !f.known {
		return f
	}
	age := now.Sub(f.at)
	if age <= maxAge && age >= -maxAge {
		return f
	}
	return Fact[T]{at: f.at, source: f.source, reason: Stale, detail: fmt.Sprintf("reported %v ago", age)}
}

// String is the value with its source and time, or why it is not known: for logs and evidence shown to people.
func (f Fact[T]) String() string {
	if f.known {
		return fmt.Sprintf("%v (%s at %s)", f.value, f.source, f.at.UTC().Format("15:04:05.000"))
	}
	s := "unknown: " + f.reason.String()
	if f.detail != "" {
		s += ": " + f.detail
	}
	if f.source != "" {
		s += " (" + f.source + ")"
	}
	return s
}

// Map applies a function to a known value and keeps provenance; an unknown fact stays unknown for the same reason.
func Map[T, R any](f Fact[T], fn func(T) R) Fact[R] {
	out := Fact[R]{known: f.known, at: f.at, source: f.source, reason: f.reason, detail: f.detail}
	if f.known {
		out.value = fn(f.value)
	}
	return out
}

// Is lifts a predicate: unknown if the fact is.
func Is[T any](f Fact[T], pred func(T) bool) Truth {
	if !f.known {
		return Unknown
	}
	return Of(pred(f.value))
}

// Holds lifts a fact that is itself a condition.
func Holds(f Fact[bool]) Truth { return Is(f, func(b bool) bool { return b }) }

// Both lifts a predicate over two facts: unknown if either is.
func Both[A, B any](a Fact[A], b Fact[B], pred func(A, B) bool) Truth {
	if !a.known || !b.known {
		return Unknown
	}
	return Of(pred(a.value, b.value))
}

// Equal says whether two facts have the same value.
func Equal[T comparable](a, b Fact[T]) Truth { return Both(a, b, func(x, y T) bool { return x == y }) }

// EqualTo says whether a fact has the value v.
func EqualTo[T comparable](f Fact[T], v T) Truth { return Is(f, func(x T) bool { return x == v }) }

// Less says whether a is smaller than b.
func Less[T cmp.Ordered](a, b Fact[T]) Truth {
	return Both(a, b, func(x, y T) bool { return cmp.Less(x, y) })
}

// AtMost says whether a fact's value is v or smaller.
func AtMost[T cmp.Ordered](f Fact[T], v T) Truth { return Is(f, func(x T) bool { return x <= v }) }

// Above says whether a fact's value is larger than v.
func Above[T cmp.Ordered](f Fact[T], v T) Truth { return Is(f, func(x T) bool { return x > v }) }

// Newest returns the known fact with the latest time; if none is known the first one, and if there is none an unknown.
func Newest[T any](fs ...Fact[T]) Fact[T] {
	var best Fact[T]
	if len(fs) > 0 {
		best = fs[0]
	}
	for _, f := range fs {
		if f.known && (!best.known || f.at.After(best.at)) {
			best = f
		}
	}
	return best
}
