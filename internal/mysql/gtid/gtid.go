// Package gtid is the algebra of replication positions of both families: MySQL's sets of transactions and MariaDB's last
// transaction per domain. It parses and prints them as the servers do, compares, unites and subtracts them.
//
// It talks to no server and does not decide what follows from a comparison. What a position cannot tell (MariaDB's says
// nothing of the transactions below its last) is reported as unknown or diverged, never guessed.
package gtid

import (
	"errors"
	"fmt"

	"github.com/pelorusdb/pelorus/internal/fact"
)

// Family says whose GTIDs they are. The zero value is no family.
type Family uint8

// The two families.
const (
	NoFamily Family = iota
	MySQL
	MariaDB
)

// String is "mysql" or "mariadb".
func (f Family) String() string {
	switch f {
	case MySQL:
		return "mysql"
	case MariaDB:
		return "mariadb"
	}
	return "unknown"
}

// MaxText is the longest text that is parsed, in bytes: 8 MiB is more than 150,000 UUIDs with an interval each.
const MaxText = 8 << 20

// ErrSyntax is in the chain of every error about text or bytes that are no position.
var ErrSyntax = errors.New("malformed gtid")

// ErrFamily is in the chain of errors about positions of different families, or of none.
var ErrFamily = errors.New("positions of different families")

// Order is how two positions stand to each other.
type Order uint8

// The results of Compare.
const (
	Unknown  Order = iota // at least one of the positions is not known, or their families differ
	Equal                 // the same transactions
	Behind                // the first lacks transactions of the second, and has none of its own
	Ahead                 // the first has transactions that the second lacks, and lacks none
	Diverged              // each has transactions that the other lacks
)

// String is the order in one word.
func (o Order) String() string {
	switch o {
	case Equal:
		return "equal"
	case Behind:
		return "behind"
	case Ahead:
		return "ahead"
	case Diverged:
		return "diverged"
	}
	return "unknown"
}

// Position is what a server has executed or received, in either family. It is immutable. The zero value is an unknown
// position, which is not the same as an empty one.
type Position struct {
	family Family
	set    Set     // MySQL
	list   Domains // MariaDB
}

// OfSet makes a position of a MySQL set.
func OfSet(s Set) Position { return Position{family: MySQL, set: s} }

// OfDomains makes a position of a MariaDB list.
func OfDomains(d Domains) Position { return Position{family: MariaDB, list: d} }

// Parse reads a position in the text form of its family. Empty text is the empty position: the caller decides whether
// that may mean "not known", as with MariaDB's Gtid_IO_Pos after a restart.
func Parse(f Family, text string) (Position, error) {
	switch f {
	case MySQL:
		s, err := ParseSet(text)
		return Position{family: MySQL, set: s}, err
	case MariaDB:
		d, err := ParseDomains(text)
		return Position{family: MariaDB, list: d}, err
	}
	return Position{}, fmt.Errorf("parse position %q: %w", clip(text), ErrFamily)
}

// Family says whose position it is; NoFamily if it is unknown.
func (p Position) Family() Family { return p.family }

// Known says whether there is a position at all.
func (p Position) Known() bool { return p.family != NoFamily }

// Empty says that the position is known and has no transaction.
func (p Position) Empty() bool {
	return p.family != NoFamily && p.set.Empty() && len(p.list) == 0
}

// Set returns the MySQL set; ok is false if it is none.
func (p Position) Set() (s Set, ok bool) { return p.set, p.family == MySQL }

// Domains returns the MariaDB list; ok is false if it is none. The caller must not change it.
func (p Position) Domains() (d Domains, ok bool) { return p.list, p.family == MariaDB }

// String is the canonical text, which servers accept; an unknown position is "", so ask Known first.
func (p Position) String() string {
	switch p.family {
	case MySQL:
		return p.set.String()
	case MariaDB:
		return p.list.String()
	}
	return ""
}

// Compare says how a stands to b. Of MariaDB positions it compares domain by domain: equal sequence numbers of
// different servers are a divergence; a smaller number counts as behind, although a position cannot prove that the
// histories below it are the same.
func Compare(a, b Position) Order {
	if a.family != b.family {
		return Unknown
	}
	switch a.family {
	case MySQL:
		return a.set.Compare(b.set)
	case MariaDB:
		return a.list.Compare(b.list)
	}
	return Unknown
}

// Contains says whether all transactions of q are in p. For MariaDB it is unknown when p is beyond q within a domain
// and the servers differ: q's transaction may be in p's history, or have been written by a server that lost its reign.
func (p Position) Contains(q Position) fact.Truth {
	if p.family != q.family {
		return fact.Unknown
	}
	switch p.family {
	case MySQL:
		return fact.Of(p.set.Contains(q.set))
	case MariaDB:
		return p.list.Contains(q.list)
	}
	return fact.Unknown
}

// Union returns the position that has the transactions of both: for MariaDB the later of both in each domain. Diverged
// MariaDB positions have no union.
func (p Position) Union(q Position) (Position, error) {
	if p.family != q.family || p.family == NoFamily {
		return Position{}, fmt.Errorf("union of %v and %v positions: %w", p.family, q.family, ErrFamily)
	}
	if p.family == MySQL {
		return OfSet(p.set.Union(q.set)), nil
	}
	d, err := p.list.Union(q.list)
	return Position{family: MariaDB, list: d}, err
}

// Subtract returns what p has and q lacks: the errant transactions of a replica at p whose source is at q.
func (p Position) Subtract(q Position) (Difference, error) {
	if p.family != q.family || p.family == NoFamily {
		return Difference{}, fmt.Errorf("difference of %v and %v positions: %w", p.family, q.family, ErrFamily)
	}
	if p.family == MySQL {
		return Difference{set: p.set.Subtract(q.set)}, nil
	}
	return Difference{runs: p.list.Subtract(q.list)}, nil
}

// Difference is what one position has and another lacks.
type Difference struct {
	set  Set
	runs []Run
}

// Empty says that there is nothing.
func (d Difference) Empty() bool { return d.set.Empty() && len(d.runs) == 0 }

// Set returns the difference of MySQL positions.
func (d Difference) Set() Set { return d.set }

// Runs returns the difference of MariaDB positions. The caller must not change it.
func (d Difference) Runs() []Run { return d.runs }

// String shows the difference to people: a MySQL set, or runs like 0-11-51..53 (domain, last server, numbers).
func (d Difference) String() string {
	if len(d.runs) == 0 {
		return d.set.String()
	}
	var b []byte
	for i, r := range d.runs {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.append(b)
	}
	return string(b)
}

// clip shortens text for an error message.
func clip(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}
