package evidence

import (
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
)

// SilentAfter is how long a receiver that calls itself running may get nothing before it counts as having lost its source:
// heartbeats come each 500 ms, so two are missing. Servers themselves take up to a minute to notice.
const SilentAfter = 1500 * time.Millisecond

// both makes a fact of two; it is unknown if either is.
func both[A, B, R any](a fact.Fact[A], b fact.Fact[B], fn func(A, B) R) fact.Fact[R] {
	if reason, why, unknown := a.Why(); unknown {
		return fact.Missing[R](reason, why)
	}
	x, _ := a.Get()
	return fact.Map(b, func(y B) R { return fn(x, y) })
}

// ReceiverFailure is what kind of trouble the receiver is in, by its error's number and text.
func (t *Tablet) ReceiverFailure() fact.Fact[flavor.Failure] {
	r := t.Status.Replication
	if n, known := r.LastIOErrno.Get(); known && n == 0 {
		return fact.Map(r.LastIOErrno, func(uint32) flavor.Failure { return flavor.NoFailure })
	}
	return both(r.LastIOErrno, r.LastIOError, flavor.ReceiverFailure)
}

// ApplierFailure is what kind of trouble the applier is in.
func (t *Tablet) ApplierFailure() fact.Fact[flavor.Failure] {
	return fact.Map(t.Status.Replication.LastSQLErrno, flavor.ApplierFailure)
}

// Follows says whether the server is set up to replicate from another tablet's server.
func (t *Tablet) Follows(source *Tablet) fact.Truth {
	r := t.Status.Replication
	return fact.And(fact.Holds(r.Configured), fact.Equal(r.SourceHost, source.Host), fact.Equal(r.SourcePort, source.Port))
}

// Sees says whether the receiver gets something from its source: transactions or heartbeats, not merely that it calls itself
// running, which it does for up to a minute after a silent death.
func (t *Tablet) Sees() fact.Truth {
	r := t.Status.Replication
	age := both(r.LastHeartbeatAt, t.Status.TakenAt, func(beat, taken time.Time) time.Duration { return taken.Sub(beat) })
	beat, fresh := fact.AtMost(age, SilentAfter), fact.AtMost(r.SilentFor, SilentAfter)
	if beat.IsFalse() && !fresh.IsFalse() {
		beat = fact.Unknown // while transactions come no heartbeat is sent: that it is old says nothing
	}
	return fact.And(fact.EqualTo(r.Receiver, "Yes"), fact.Or(fresh, beat))
}

// Lost says whether the receiver has lost its source: it is trying to connect again without having been turned away, or
// has given up for want of a connection, or gets nothing.
func (t *Tablet) Lost() fact.Truth {
	r, failure := t.Status.Replication, t.ReceiverFailure()
	gone := func(f flavor.Failure) bool { return f == flavor.Refused || f == flavor.Unreachable }
	return fact.Or(
		fact.And(fact.EqualTo(r.Receiver, "Connecting"), fact.Is(failure, func(f flavor.Failure) bool { return gone(f) || f == flavor.NoFailure })),
		fact.And(fact.EqualTo(r.Receiver, "No"), fact.Is(failure, gone)),
		fact.And(fact.EqualTo(r.Receiver, "Yes"), fact.Above(r.SilentFor, SilentAfter)),
	)
}

// Refused says whether the source's host answered the receiver that nobody listens there.
func (t *Tablet) Refused() fact.Truth {
	return fact.And(fact.EqualTo(t.Status.Replication.Receiver, "Connecting"), fact.EqualTo(t.ReceiverFailure(), flavor.Refused))
}

// Version is the server's version: as it reports it, or as it was registered if its agent is not heard.
func (t *Tablet) Version() fact.Fact[*flavor.Flavor] {
	version, name := t.Status.Server.Version, t.Status.Server.Flavor
	if reason, _, unknown := version.Why(); unknown && (reason == fact.Unreachable || reason == fact.Stale) {
		version, name = t.RecordVersion, t.RecordFlavor
	}
	text := both(version, name, func(version, name string) string {
		if name == "mariadb" && !strings.Contains(strings.ToLower(version), "mariadb") {
			version += "-MariaDB"
		}
		return version
	})
	return parsed(text, func(text string) (*flavor.Flavor, error) {
		fl, _, err := flavor.Detect(text)
		return fl, err
	})
}

// parsed is a fact of what a text says; a text that cannot be read is unknown.
func parsed[T any](text fact.Fact[string], parse func(string) (T, error)) fact.Fact[T] {
	s, known := text.Get()
	if !known {
		reason, why, _ := text.Why()
		return fact.Missing[T](reason, why)
	}
	v, err := parse(s)
	if err != nil {
		return fact.Missing[T](fact.QueryFailed, err.Error())
	}
	return fact.Known(v, text.At(), text.Source())
}

// Position is the server's whole position.
func (t *Tablet) Position() fact.Fact[gtid.Position] {
	name, known := t.Status.Server.Flavor.Get()
	families := map[string]gtid.Family{"mysql": gtid.MySQL, "mariadb": gtid.MariaDB}
	if !known || families[name] == gtid.NoFamily {
		return fact.Missing[gtid.Position](fact.NeverReported, "the server's family is not known")
	}
	return parsed(t.Status.Server.Executed, func(text string) (gtid.Position, error) { return gtid.Parse(families[name], text) })
}

// Errant is what this server has and the primary lacks although it did not come from it: empty if there is nothing. It is
// known only once the primary reports to have begun the reign of the term, because from then on it has all that it will
// ever have of earlier reigns; its own newer transactions, which the replica may have reported sooner, do not count.
func (t *Tablet) Errant(primary *Tablet, term fact.Fact[uint64]) fact.Fact[string] {
	if !fact.Equal(primary.Status.ReignTerm, term).IsTrue() {
		return fact.Missing[string](fact.NeverReported, "the primary has not reported to reign in this term")
	}
	mine, theirs := t.Position(), primary.Position()
	for _, p := range []fact.Fact[gtid.Position]{mine, theirs} {
		if reason, why, unknown := p.Why(); unknown {
			return fact.Missing[string](reason, why)
		}
	}
	a, _ := mine.Get()
	b, _ := theirs.Get()
	diff, err := a.Subtract(b)
	switch {
	case err != nil:
		return fact.Missing[string](fact.QueryFailed, err.Error())
	case a.Family() == gtid.MariaDB:
		return fact.Map(primary.Status.Server.ServerID, func(id uint32) string { return foreignRuns(diff.Runs(), id) })
	}
	return fact.Map(primary.Status.Server.ServerUUID, func(uuid string) string { return foreignSet(diff.Set(), uuid) })
}

// foreignSet is the part of a set that a server did not begin itself, as text.
func foreignSet(set gtid.Set, uuid string) string {
	var out []string
	for _, line := range strings.Split(set.String(), ",") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, strings.ToLower(uuid)) {
			out = append(out, line)
		}
	}
	return strings.Join(out, ",")
}

// foreignRuns is those runs whose last transaction another server began, as text.
func foreignRuns(runs []gtid.Run, id uint32) string {
	var out []string
	for _, r := range runs {
		if r.Server != id {
			out = append(out, r.String())
		}
	}
	return strings.Join(out, ",")
}
