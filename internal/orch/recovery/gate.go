package recovery

import (
	"fmt"
	"slices"
	"time"

	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/orch/analysis"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
)

const (
	// coolEmergency is how long after an emergency reparent of a cause the same cause starts no other: longer than replicas
	// take to attach, so that one overload does not bring down one primary after the other.
	coolEmergency = 10 * time.Second
	// coolRepair is the same for repairs; after each failure in a row it doubles, up to coolMost.
	coolRepair, coolMost = 30 * time.Second, time.Hour
)

// Scope is what a setting of people is about. An empty Keyspace is the whole cluster, an empty Shard all shards of the keyspace.
type Scope struct{ Keyspace, Shard string }

func (s Scope) covers(keyspace, shard string) bool {
	return (s.Keyspace == "" || s.Keyspace == keyspace) && (s.Shard == "" || s.Shard == shard)
}

// String is for people.
func (s Scope) String() string {
	switch {
	case s.Keyspace == "":
		return "the cluster"
	case s.Shard == "":
		return "keyspace " + s.Keyspace
	}
	return "shard " + s.Keyspace + "/" + s.Shard
}

// Mode says whether findings are acted upon where nothing narrower is set.
type Mode struct {
	Scope
	// Observe says that everything is analysed and written down, and nothing is done.
	Observe bool
	// By is who set it.
	By string
}

// Window is a time in which people want to be left alone.
type Window struct {
	Scope
	// Freeze forbids everything. Without it a lost primary is still replaced.
	Freeze        bool
	Owner, Reason string
	From, Until   time.Time
}

// Policy is what people have decided.
type Policy struct {
	Modes   []Mode
	Windows []Window
}

// Outcome is how a recovery ended.
type Outcome uint8

// The outcomes.
const (
	Done Outcome = iota
	Failed
	Cancelled
)

// Past is a recovery that was run, as its journal has it.
type Past struct {
	Cause  analysis.Code
	Cure   analysis.Recovery
	Tablet string
	// Term is the shard's when it began.
	Term    uint64
	Ended   time.Time
	Outcome Outcome
	// Evidence is what was known when it began; see Statements.
	Evidence []string
	// Cleared says that a person has looked at the failure and allows another.
	Cleared bool
}

// Ledger is what is written down about a shard's recoveries. What cannot be read is unknown, and forbids everything.
type Ledger struct {
	Policy fact.Fact[Policy]
	// Running is the id of the recovery that is under way, empty if none is.
	Running fact.Fact[string]
	// Past are the recoveries that have ended, in any order.
	Past fact.Fact[[]Past]
}

// Ruling says whether a finding is acted upon now.
type Ruling struct {
	Run bool
	// Why is the reason, in words for people.
	Why string
	// Until is when to ask again if nothing else changes; zero if only a change of the evidence or a person can change it.
	Until time.Time
}

// Rule decides about one finding of a shard that has held, with the same verdict, since a time. A finding about which nothing will be
// done is ruled out before anything else is looked at, so that it takes no lock and waits for nobody.
func Rule(f analysis.Finding, since time.Time, w *evidence.World, l Ledger) Ruling {
	if f.Verdict != analysis.Repair {
		return Ruling{Why: f.Why}
	}
	for _, rule := range []func(analysis.Finding, *evidence.World, Ledger) (Ruling, bool){byPeople, byRunning, byFailure, byCoolDown} {
		if r, forbidden := rule(f, w, l); forbidden {
			return r
		}
	}
	if due := since.Add(f.After); w.Now.Before(due) {
		return Ruling{Why: fmt.Sprintf("it must last for %s first", f.After), Until: due}
	}
	return Ruling{Run: true, Why: f.Why}
}

// byPeople looks at modes, maintenance and freezes.
func byPeople(f analysis.Finding, w *evidence.World, l Ledger) (Ruling, bool) {
	p, known := l.Policy.Get()
	if !known {
		return Ruling{Why: "nobody can tell what people have forbidden: " + l.Policy.String()}, true
	}
	if m, ok := p.mode(w.Keyspace, w.Shard); ok && m.Observe {
		return Ruling{Why: fmt.Sprintf("%s is in observe mode (set by %s)", m.Scope, m.By)}, true
	}
	for _, win := range p.Windows {
		switch {
		case !win.covers(w.Keyspace, w.Shard) || w.Now.Before(win.From) || !w.Now.Before(win.Until):
		case win.Freeze:
			return Ruling{Why: fmt.Sprintf("%s is frozen until %s by %s: %s", win.Scope, clock(win.Until), win.Owner, win.Reason), Until: win.Until}, true
		case f.Cure != analysis.EmergencyReparent:
			return Ruling{Why: fmt.Sprintf("%s is under maintenance until %s by %s: %s", win.Scope, clock(win.Until), win.Owner, win.Reason), Until: win.Until}, true
		}
	}
	return Ruling{}, false
}

// mode returns the narrowest setting that covers a shard.
func (p Policy) mode(keyspace, shard string) (Mode, bool) {
	var best Mode
	found := false
	width := func(s Scope) int {
		switch {
		case s.Keyspace == "":
			return 2
		case s.Shard == "":
			return 1
		}
		return 0
	}
	for _, m := range p.Modes {
		if m.covers(keyspace, shard) && (!found || width(m.Scope) < width(best.Scope)) {
			best, found = m, true
		}
	}
	return best, found
}

func byRunning(_ analysis.Finding, _ *evidence.World, l Ledger) (Ruling, bool) {
	id, known := l.Running.Get()
	switch {
	case !known:
		return Ruling{Why: "nobody can tell whether a recovery of the shard is under way: " + l.Running.String()}, true
	case id != "":
		return Ruling{Why: "recovery " + id + " of the shard is under way"}, true
	}
	return Ruling{}, false
}

// byFailure lets no second emergency of a cause begin on what was known at the first, which failed.
func byFailure(f analysis.Finding, w *evidence.World, l Ledger) (Ruling, bool) {
	past, known := l.Past.Get()
	if !known {
		return Ruling{Why: "nobody can tell what was tried before: " + l.Past.String()}, true
	}
	term, known := w.Term.Get()
	if !known {
		return Ruling{Why: "the shard's term is not known"}, true
	}
	last, ok := latest(past, f)
	if !ok || f.Cure != analysis.EmergencyReparent || last.Outcome != Failed || last.Cleared || last.Term != term {
		return Ruling{}, false
	}
	for _, s := range Statements(w) {
		if !slices.Contains(last.Evidence, s) {
			return Ruling{}, false
		}
	}
	return Ruling{Why: fmt.Sprintf("an emergency reparent for the same reason failed at %s, and nothing is known that was not known then: a person has to allow another", clock(last.Ended))}, true
}

// byCoolDown lets some time pass between two recoveries of the same cause.
func byCoolDown(f analysis.Finding, w *evidence.World, l Ledger) (Ruling, bool) {
	past, _ := l.Past.Get() // byFailure has looked
	last, ok := latest(past, f)
	if !ok || last.Cleared {
		return Ruling{}, false
	}
	pause := coolRepair
	if f.Cure == analysis.EmergencyReparent {
		pause = coolEmergency
	} else {
		for range failuresInARow(past, f) - 1 {
			pause = min(2*pause, coolMost)
		}
	}
	if until := last.Ended.Add(pause); w.Now.Before(until) {
		return Ruling{Why: fmt.Sprintf("the same was tried until %s; the next time not before %s", clock(last.Ended), clock(until)), Until: until}, true
	}
	return Ruling{}, false
}

// same says whether a past recovery had a finding's cause. An emergency's is the shard's whoever its primary was: if the next
// primary dies of the same, that is no new cause.
func same(p Past, f analysis.Finding) bool {
	return p.Cause == f.Code && (p.Tablet == f.Tablet || f.Cure == analysis.EmergencyReparent)
}

func latest(past []Past, f analysis.Finding) (Past, bool) {
	var last Past
	found := false
	for _, p := range past {
		if same(p, f) && (!found || p.Ended.After(last.Ended)) {
			last, found = p, true
		}
	}
	return last, found
}

// failuresInARow counts the failures of a cause since it last went well.
func failuresInARow(past []Past, f analysis.Finding) int {
	mine := slices.DeleteFunc(slices.Clone(past), func(p Past) bool { return !same(p, f) })
	slices.SortFunc(mine, func(a, b Past) int { return b.Ended.Compare(a.Ended) })
	n := 0
	for n < len(mine) && mine[n].Outcome == Failed {
		n++
	}
	return n
}

// Statements are what is certainly known of a shard and may make a recovery possible that failed before: who answers, who has lost
// or sees the primary, whether the lease has ended. Fewer facts make fewer statements. They are sorted.
func Statements(w *evidence.World) []string {
	var out []string
	say := func(t fact.Truth, format string, args ...any) {
		if t.IsTrue() {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	if l, known := w.Lease.Get(); known {
		out = append(out, "the lease is "+l.String())
	}
	for _, t := range w.Tablets {
		say(fact.Holds(t.Status.Server.Responding), "%s answers", t.Alias)
		say(fact.Holds(t.Status.Server.Running).Not(), "the server of %s does not run", t.Alias)
		say(t.Lost(), "%s has lost its source", t.Alias)
		say(t.Sees(), "%s gets something from its source", t.Alias)
		say(fact.Is(t.Own.Agent, func(c evidence.Contact) bool { return c.Standing == evidence.Answers }), "the agent of %s is heard", t.Alias)
		say(fact.Is(t.Own.Server, func(c evidence.Contact) bool { return c.Standing == evidence.Refused }), "nobody listens at the server of %s", t.Alias)
	}
	slices.Sort(out)
	return out
}

// clock is a time as people read it in a reason.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
