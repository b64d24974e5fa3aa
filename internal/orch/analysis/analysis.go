// Package analysis names what is wrong with a shard: a table of conditions over evidence, each with the recovery that
// mends it or the reason why there is none.
//
// A condition is true, false or unknown; only what is certainly true is a finding that may lead to a recovery, and the
// fewer facts there are the fewer recoveries there can be: hiding any of them never creates one. The package performs
// nothing, keeps no state and knows no clock: how long a condition has held, what people have forbidden and what was tried
// before are the business of packages decision and recovery.
package analysis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
)

// Code names a row of the table, for people and for scripts. It never changes its meaning.
type Code string

// Scope says whether a row is about a shard as a whole or about each of its tablets.
type Scope uint8

// The scopes.
const (
	OfShard Scope = iota
	OfTablet
)

// Recovery is a kind of cure.
type Recovery string

// The recoveries.
const (
	NoRecovery        Recovery = ""
	EmergencyReparent Recovery = "emergency_reparent" // replace a primary that is lost
	PlannedReparent   Recovery = "planned_reparent"   // hand the reign over from a server that answers
	OpenPrimary       Recovery = "open_primary"       // let the primary take writes
	DetachPrimary     Recovery = "detach_primary"     // forget the source of a primary
	FenceTablet       Recovery = "fence_tablet"       // close a server that is not the primary to writes
	SetSource         Recovery = "set_source"         // make a server replicate from the primary
	StartReplication  Recovery = "start_replication"  // start threads that stopped
	SetSemiSync       Recovery = "set_semi_sync"      // set one side of semi-sync as the policy wants it
	SetType           Recovery = "set_type"           // correct a tablet's type in the topology
	Rejoin            Recovery = "rejoin"             // save what nobody else has to a file, then rewind or copy anew
	Copy              Recovery = "copy"               // copy a replica anew that lacks nothing of its own
)

// row is one line of the table.
type row struct {
	code  Code
	scope Scope
	// says is what it means, in words for people.
	says string
	// when is the condition. For rows of a shard the tablet is its primary, which may be one of which nothing is known.
	when func(*scene, *evidence.Tablet) fact.Truth
	// cure is the recovery; none says why there is none.
	cure Recovery
	none string
	// given is a further condition for the recovery, given in words by givenSays; nil for none.
	given     func(*scene, *evidence.Tablet) fact.Truth
	givenSays string
	// after is how long both conditions must have held.
	after time.Duration
	// blocks lists what must not be repaired unless this row is certainly false.
	blocks []Code
}

// Verdict is what the table makes of a finding.
type Verdict uint8

// The verdicts.
const (
	Unclear     Verdict = iota // nobody can tell whether it is so
	Observed                   // it is so, and no recovery exists for it
	Unconfirmed                // it is so, and what the recovery depends on is not, or not known
	HeldBack                   // it is so, and another finding must be dealt with or ruled out first
	Repair                     // it is so, and the recovery is right
)

// String is the verdict in a word.
func (v Verdict) String() string {
	switch v {
	case Observed:
		return "observed"
	case Unconfirmed:
		return "unconfirmed"
	case HeldBack:
		return "held back"
	case Repair:
		return "repair"
	}
	return "unclear"
}

// Used is a fact that an analysis looked at.
type Used struct {
	// Subject is a tablet's alias or "shard"; Name the fact's, such as "server.running".
	Subject, Name string
	// Text is the value with its source and time, or why it is not known.
	Text  string
	Known bool
}

// String is for people.
func (u Used) String() string { return u.Subject + " " + u.Name + ": " + u.Text }

// Finding is a row of the table that holds, or of which nobody can tell.
type Finding struct {
	Code  Code
	Scope Scope
	// Tablet is whom it is about: of a finding about a shard its primary, empty if nobody knows who that is.
	Tablet string
	// Says is what it means; Verdict and Why what follows and for which reason.
	Says    string
	Verdict Verdict
	Why     string
	// Cure is the recovery of the row, also where it must not run now; After is how long the finding must have lasted.
	Cure  Recovery
	After time.Duration
	// Priority orders recoveries: 0 comes first.
	Priority int
	// Used are the facts that were looked at, the unknown ones too.
	Used []Used
}

// Key identifies a finding from one look to the next.
func (f Finding) Key() string { return string(f.Code) + "@" + f.Tablet }

// Unknown are the facts that are missing.
func (f Finding) Unknown() []Used {
	return slices.DeleteFunc(slices.Clone(f.Used), func(u Used) bool { return u.Known })
}

// String is one line for people.
func (f Finding) String() string {
	who := f.Tablet
	if who == "" {
		who = "shard"
	}
	return fmt.Sprintf("%s (%s): %s; %s: %s", f.Code, who, f.Says, f.Verdict, f.Why)
}

// Analyse looks at everything that the table knows, in its order, and returns what holds and what nobody can tell.
func Analyse(w *evidence.World) []Finding {
	s := newScene(w)
	states := s.evaluate()
	var out []Finding
	for i, r := range table {
		for _, c := range states[i] {
			if c.state != fact.False {
				out = append(out, s.finding(i, r, c, states))
			}
		}
	}
	return out
}

// instance is one row for one tablet.
type instance struct {
	tablet *evidence.Tablet
	state  fact.Truth
}

// evaluate gives each row's truth for the shard or for each of its tablets.
func (s *scene) evaluate() [][]instance {
	out := make([][]instance, len(table))
	for i, r := range table {
		if r.scope == OfShard {
			out[i] = []instance{{s.primary, r.when(s, s.primary)}}
			continue
		}
		for _, t := range s.w.Tablets {
			out[i] = append(out[i], instance{t, r.when(s, t)})
		}
	}
	return out
}

func (s *scene) finding(i int, r row, c instance, states [][]instance) Finding {
	f := Finding{Code: r.code, Scope: r.scope, Tablet: c.tablet.Alias, Says: r.says, Cure: r.cure, After: r.after, Priority: i}
	s.trace = new(trace)
	r.when(s, c.tablet)
	given := fact.True
	if r.given != nil && c.state == fact.True {
		given = r.given(s, c.tablet)
	}
	f.Used, s.trace = s.trace.used, nil
	switch {
	case c.state == fact.Unknown:
		f.Verdict, f.Why = Unclear, "facts are missing: "+names(f.Unknown())
	case r.cure == NoRecovery:
		f.Verdict, f.Why = Observed, r.none
	case given == fact.False:
		f.Verdict, f.Why = Unconfirmed, "it is not so that "+r.givenSays
	case given == fact.Unknown:
		f.Verdict, f.Why = Unconfirmed, "nobody can tell whether "+r.givenSays+"; missing: "+names(f.Unknown())
	default:
		f.Verdict, f.Why = Repair, "all that it depends on is known"
		if by := s.blockedBy(r.code, c.tablet, states); by != "" {
			f.Verdict, f.Why = HeldBack, by
		}
	}
	return f
}

// blockedBy says which row stands in the way of a recovery; empty if none does.
func (s *scene) blockedBy(code Code, t *evidence.Tablet, states [][]instance) string {
	for i, r := range table {
		if !slices.Contains(r.blocks, code) {
			continue
		}
		for _, c := range states[i] {
			if c.state == fact.False || r.scope == OfTablet && c.tablet != t {
				continue
			}
			if c.state == fact.True {
				return fmt.Sprintf("%s comes first", r.code)
			}
			return fmt.Sprintf("nobody can tell whether there is %s, which would come first", r.code)
		}
	}
	return ""
}

func names(used []Used) string {
	out := make([]string, len(used))
	for i, u := range used {
		out[i] = u.Subject + " " + u.Name
	}
	return strings.Join(out, ", ")
}

// About is a row of the table, for documentation and for those who ask what an older agent's silence turns off.
type About struct {
	Code  Code
	Scope Scope
	Says  string
	Cure  Recovery
	// Why is what a recovery depends on, or why there is none.
	Why string
	// After is how long it must have been so before it is repaired.
	After time.Duration
	// Needs lists the facts that are looked at: those of the shard and of the tablet itself by their names, others as primary's or replica's.
	Needs []string
}

// Table describes all rows in order of their priority. Which facts a row looks at is found by letting it look at a shard of which
// nothing is known but who its tablets are.
func Table() []About {
	var out []About
	for _, r := range table {
		self, other, primary := "self", "primary", "primary"
		if r.scope == OfShard {
			other, primary = "replica", "self"
		}
		blank := &evidence.World{
			Release: "0.0.0", Tablets: []*evidence.Tablet{{Alias: self}, {Alias: other}},
			Listed: fact.Known(true, time.Time{}, ""), Primary: fact.Known(primary, time.Time{}, ""),
		}
		s := newScene(blank)
		s.trace = new(trace)
		r.when(s, blank.Tablets[0])
		a := About{Code: r.code, Scope: r.scope, Says: r.says, Cure: r.cure, After: r.after, Why: r.none}
		if r.given != nil {
			r.given(s, blank.Tablets[0])
			a.Why = "only if " + r.givenSays
		}
		for _, u := range s.trace.used {
			name := u.Name
			if u.Subject != self && u.Subject != shard {
				name = u.Subject + "'s " + name
			}
			if !slices.Contains(a.Needs, name) && !strings.HasSuffix(name, " of "+other) {
				a.Needs = append(a.Needs, name)
			}
		}
		out = append(out, a)
	}
	return out
}
