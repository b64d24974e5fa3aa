// Package decision is the deciding core of a control node for one shard: from what it remembers, what is known now and
// the time it makes what it remembers next and what is to be done. The loop that runs it and the simulator drive the same code.
//
// It is pure: it asks nobody and performs nothing, and all that it remembers may be lost at any time. A node that starts in
// the middle of a failure listens for a moment and then decides as one would that has been there all along; what
// must survive (what was tried, what people forbid) comes to it from the topology.
package decision

import (
	"slices"
	"time"

	"github.com/pelorusdb/pelorus/internal/orch/analysis"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
	"github.com/pelorusdb/pelorus/internal/orch/recovery"
)

const (
	// Calm and Alert are how often to step when nothing new comes in: while nothing is wrong, and while something is.
	Calm, Alert = 500 * time.Millisecond, 100 * time.Millisecond
	// maxGap is how far apart two steps may be before the node counts as having stood still itself: what it has heard last
	// may then be old, whatever it says.
	maxGap = 2 * time.Second
	// listen is how long a node that has just started, or stood still, listens before it does anything: agents repeat
	// themselves each 500 ms, so that everything is heard that was not heard before.
	listen = evidence.Quiet
	// begins is how long a recovery may take to appear in the ledger before it counts as not begun.
	begins = 5 * time.Second
	// probePrimary and probeOthers are how often servers are tried over SQL whose agents do not say that they are well.
	probePrimary, probeOthers = 250 * time.Millisecond, 2 * time.Second
)

// State is what the core remembers of a shard. The zero value is a node that has just started. A State is not changed by Step.
type State struct {
	// last is when the last step was; resumed since when the node listens without a gap.
	last, resumed time.Time
	// since holds, by finding, since when its recovery has been right.
	since map[string]time.Time
	// probed holds, by alias, when a server was last tried.
	probed map[string]time.Time
	// begun is when the last recovery was begun, until it was seen in the ledger.
	begun time.Time
	// said is what was last reported.
	said []string
}

// Input is what is known at a step.
type Input struct {
	Evidence evidence.Input
	Ledger   recovery.Ledger
}

// Decided is a finding with what is done about it.
type Decided struct {
	analysis.Finding
	// Since is when the finding became one that a recovery is right for; zero if it is not.
	Since  time.Time
	Ruling recovery.Ruling
}

// Begin asks for a recovery. The shard's lock is to be taken, and the preconditions read again from the servers.
type Begin struct {
	Decided
	// Statements are what was known, for the journal: see recovery.Past.
	Statements []string
}

// Actions are what a step wants done.
type Actions struct {
	// Begin is nil in nearly all steps.
	Begin *Begin
	// Probe lists tablets whose servers are to be tried over SQL, in order.
	Probe []string
	// Findings is everything that was found, in order of priority; Changed says that it is not what it was at the step before.
	Findings []Decided
	Changed  bool
	// Next is when to step again at the latest; earlier when something comes in.
	Next time.Time
}

// Step looks at a shard. Times of steps must not run backwards; if they do, that is taken for a pause of the node.
func Step(s State, in Input, now time.Time) (State, Actions) {
	n := State{last: now, resumed: s.resumed, since: map[string]time.Time{}, probed: map[string]time.Time{}, begun: s.begun}
	if gap := now.Sub(s.last); s.last.IsZero() || gap > maxGap || gap < 0 {
		n.resumed, s.since = now, nil
	}
	in.Evidence.Resumed = n.resumed
	w := evidence.Build(in.Evidence, now)
	var a Actions
	for _, f := range analysis.Analyse(w) {
		a.Findings = append(a.Findings, n.decide(s, f, w, in.Ledger))
	}
	n.forgetBegun(in.Ledger, now)
	a.Begin = n.begin(a.Findings, w)
	a.Probe = n.probe(s, w)
	n.said = signature(a.Findings)
	a.Changed = !slices.Equal(n.said, s.said)
	a.Next = n.next(a.Findings)
	return n, a
}

// decide rules about one finding.
func (n *State) decide(s State, f analysis.Finding, w *evidence.World, l recovery.Ledger) Decided {
	d := Decided{Finding: f}
	if f.Verdict == analysis.Repair {
		since, ok := s.since[f.Key()]
		if !ok {
			since = n.last
		}
		n.since[f.Key()], d.Since = since, since
	}
	d.Ruling = recovery.Rule(f, d.Since, w, l)
	switch ready := n.resumed.Add(listen); {
	case !d.Ruling.Run:
	case n.last.Before(ready):
		d.Ruling = recovery.Ruling{Why: "this node has only just begun to listen", Until: ready}
	case !n.begun.IsZero() && n.last.Before(n.begun.Add(begins)):
		d.Ruling = recovery.Ruling{Why: "a recovery of the shard is beginning", Until: n.begun.Add(begins)}
	}
	return d
}

// forgetBegun notes that the recovery which was begun is in the ledger, or has not come to be.
func (n *State) forgetBegun(l recovery.Ledger, now time.Time) {
	if n.begun.IsZero() {
		return
	}
	id, known := l.Running.Get()
	past, _ := l.Past.Get()
	seen := known && id != "" || slices.ContainsFunc(past, func(p recovery.Past) bool { return p.Ended.After(n.begun) })
	if seen || !now.Before(n.begun.Add(begins)) {
		n.begun = time.Time{}
	}
}

// begin takes the first recovery that may run: findings are in order of priority. A shard has one at a time, whatever else it needs.
func (n *State) begin(ds []Decided, w *evidence.World) *Begin {
	for i := range ds {
		if !ds[i].Ruling.Run {
			continue
		}
		n.begun = n.last
		b := &Begin{Decided: ds[i], Statements: recovery.Statements(w)}
		for j := range ds[i+1:] {
			if other := &ds[i+1+j]; other.Ruling.Run {
				other.Ruling = recovery.Ruling{Why: string(ds[i].Code) + " comes first"}
			}
		}
		return b
	}
	return nil
}

// probe chooses whose server is to be tried: the primary's unless its agent says that it answers, and those of agents that are gone.
func (n *State) probe(s State, w *evidence.World) []string {
	var out []string
	primary, _ := w.Primary.Get()
	for _, t := range w.Tablets {
		contact, _ := t.Own.Agent.Get()
		answers, _ := t.Status.Server.Responding.Get()
		every := probeOthers
		if t.Alias == primary {
			every = probePrimary
		}
		last := s.probed[t.Alias]
		switch well := contact.Standing == evidence.Answers && (answers || t.Alias != primary); {
		case well:
			continue
		case n.last.Sub(last) >= every || last.After(n.last):
			out, last = append(out, t.Alias), n.last
		}
		n.probed[t.Alias] = last
	}
	return out
}

// next is when something changes by time alone.
func (n *State) next(ds []Decided) time.Time {
	pause := Calm
	// What nobody can tell, such as what older agents never report, does not change by looking more often.
	if slices.ContainsFunc(ds, func(d Decided) bool { return d.Verdict != analysis.Unclear }) {
		pause = Alert
	}
	next := n.last.Add(pause)
	for _, d := range ds {
		if !d.Ruling.Until.IsZero() && d.Ruling.Until.After(n.last) && d.Ruling.Until.Before(next) {
			next = d.Ruling.Until
		}
	}
	return next
}

// signature is what of findings is worth being told again when it changes.
func signature(ds []Decided) []string {
	out := make([]string, len(ds))
	for i, d := range ds {
		out[i] = d.Key() + " " + d.Verdict.String() + ": " + d.Ruling.Why
	}
	return out
}
