package recovery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/orch/analysis"
	et "github.com/pelorusdb/pelorus/internal/orch/evidence/evidencetest"
	"github.com/pelorusdb/pelorus/internal/orch/recovery"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// known is a ledger that can be read.
func known(p recovery.Policy, running string, past ...recovery.Past) recovery.Ledger {
	now := et.New("mysql").Now
	return recovery.Ledger{
		Policy: fact.Known(p, now, "topology"), Running: fact.Known(running, now, "topology"), Past: fact.Known(past, now, "topology"),
	}
}

func TestRule(t *testing.T) {
	s := et.New("mysql")
	w, now := s.Build(), s.Now
	emergency := analysis.Finding{Code: analysis.PrimaryServerDead, Tablet: et.Primary, Verdict: analysis.Repair, Cure: analysis.EmergencyReparent}
	repair := analysis.Finding{Code: analysis.ReplicaStopped, Tablet: et.Near, Verdict: analysis.Repair, Cure: analysis.StartReplication, After: 3 * time.Second}
	shop, other := recovery.Scope{Keyspace: "shop"}, recovery.Scope{Keyspace: "blog"}
	shard := recovery.Scope{Keyspace: "shop", Shard: "0"}
	window := func(scope recovery.Scope, freeze bool, from, until time.Duration) recovery.Policy {
		return recovery.Policy{Windows: []recovery.Window{{Scope: scope, Freeze: freeze, Owner: "ann", Reason: "upgrade", From: now.Add(from), Until: now.Add(until)}}}
	}
	mode := func(modes ...recovery.Mode) recovery.Ledger { return known(recovery.Policy{Modes: modes}, "") }
	past := func(code analysis.Code, tablet string, ago time.Duration, outcome recovery.Outcome, evidence ...string) recovery.Past {
		return recovery.Past{Cause: code, Tablet: tablet, Term: et.Term, Ended: now.Add(-ago), Outcome: outcome, Evidence: evidence}
	}
	all := recovery.Statements(w)
	failed := past(analysis.PrimaryServerDead, et.Primary, time.Hour, recovery.Failed, all...)
	cleared, earlier := failed, failed
	cleared.Cleared, earlier.Term = true, et.Term-1
	unreadable, unpoliced, unwatched := known(recovery.Policy{}, ""), known(recovery.Policy{}, ""), known(recovery.Policy{}, "")
	unpoliced.Policy = fact.Missing[recovery.Policy](fact.Unreachable, "no leader")
	unwatched.Running = fact.Missing[string](fact.Unreachable, "no lock")
	unreadable.Past = fact.Missing[[]recovery.Past](fact.Unreachable, "no quorum")
	minute := time.Minute
	tests := []struct {
		name    string
		finding analysis.Finding
		lasted  time.Duration
		ledger  recovery.Ledger
		why     string // empty: it runs
		until   time.Duration
	}{
		{"nothing against it", emergency, 0, known(recovery.Policy{}, ""), "", 0},
		{"too young", repair, 2 * time.Second, known(recovery.Policy{}, ""), "must last", time.Second},
		{"old enough", repair, 3 * time.Second, known(recovery.Policy{}, ""), "", 0},
		{"nothing is known", emergency, 0, recovery.Ledger{}, "nobody can tell", 0},
		{"what people forbid is not known", emergency, 0, unpoliced, "no leader", 0},
		{"what is under way is not known", emergency, 0, unwatched, "no lock", 0},
		{"the past is not known", emergency, 0, unreadable, "no quorum", 0},
		{"the cluster is observed", emergency, 0, mode(recovery.Mode{Observe: true, By: "ann"}), "the cluster is in observe mode (set by ann)", 0},
		{"narrower wins", emergency, 0, mode(recovery.Mode{Observe: true}, recovery.Mode{Scope: shop}), "", 0},
		{"narrowest wins", emergency, 0, mode(recovery.Mode{Scope: shard, Observe: true}, recovery.Mode{Scope: shop}), "shard shop/0 is in observe mode", 0},
		{"another keyspace is observed", emergency, 0, mode(recovery.Mode{Scope: other, Observe: true}), "", 0},
		{"frozen", emergency, 0, known(window(shop, true, -minute, minute), ""), "frozen", minute},
		{"maintenance does not leave a shard without primary", emergency, 0, known(window(shop, false, -minute, minute), ""), "", 0},
		{"maintenance", repair, minute, known(window(shard, false, -minute, minute), ""), "under maintenance", minute},
		{"maintenance is over", repair, minute, known(window(shard, false, -2*minute, 0), ""), "", 0},
		{"maintenance has not begun", repair, minute, known(window(shard, false, 1, minute), ""), "", 0},
		{"elsewhere", emergency, 0, known(window(other, true, -minute, minute), ""), "", 0},
		{"one at a time", emergency, 0, known(recovery.Policy{}, "r-17"), "r-17", 0},
		{"just done", emergency, 0, known(recovery.Policy{}, "", past(analysis.PrimaryServerDead, "z-9", 4*time.Second, recovery.Done)), "tried until", 6 * time.Second},
		{"done a while ago", emergency, 0, known(recovery.Policy{}, "", past(analysis.PrimaryServerDead, "z-9", 10*time.Second, recovery.Done)), "", 0},
		{"another cause", emergency, 0, known(recovery.Policy{}, "", past(analysis.PrimaryHostDead, et.Primary, time.Second, recovery.Done)), "", 0},
		{"another tablet", repair, minute, known(recovery.Policy{}, "", past(analysis.ReplicaStopped, et.Far, time.Second, recovery.Done)), "", 0},
		{"repaired again and again", repair, minute, known(recovery.Policy{}, "", past(analysis.ReplicaStopped, et.Near, 40*time.Second, recovery.Failed),
			past(analysis.ReplicaStopped, et.Near, 2*minute, recovery.Failed), past(analysis.ReplicaStopped, et.Near, 3*minute, recovery.Done)), "tried until", 20 * time.Second},
		{"failed, nothing new", emergency, 0, known(recovery.Policy{}, "", failed), "a person", 0},
		{"failed, a person allows it", emergency, 0, known(recovery.Policy{}, "", cleared), "", 0},
		{"failed in an earlier term", emergency, 0, known(recovery.Policy{}, "", earlier), "", 0},
		{"failed, and now somebody else answers", emergency, 0, known(recovery.Policy{}, "", past(analysis.PrimaryServerDead, et.Primary, time.Hour, recovery.Failed, all[1:]...)), "", 0},
		{"no recovery", analysis.Finding{Verdict: analysis.Observed, Why: "none exists"}, minute, recovery.Ledger{}, "none exists", 0},
	}
	for _, tt := range tests {
		got := recovery.Rule(tt.finding, now.Add(-tt.lasted), w, tt.ledger)
		until := time.Time{}
		if tt.until != 0 {
			until = now.Add(tt.until)
		}
		if got.Run != (tt.why == "") || !strings.Contains(got.Why, tt.why) || !got.Until.Equal(until) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

// TestCoolDownIsBounded: however often a repair fails, it is tried again at last.
func TestCoolDownIsBounded(t *testing.T) {
	s := et.New("mysql")
	f := analysis.Finding{Code: analysis.ReplicaStopped, Tablet: et.Near, Verdict: analysis.Repair, Cure: analysis.StartReplication}
	var past []recovery.Past
	for i := range 100 {
		past = append(past, recovery.Past{Cause: f.Code, Tablet: f.Tablet, Ended: s.Now.Add(-time.Duration(i) * time.Hour), Outcome: recovery.Failed})
	}
	if got := recovery.Rule(f, s.Now, s.Build(), known(recovery.Policy{}, "", past...)); got.Run || !got.Until.Equal(s.Now.Add(time.Hour)) {
		t.Errorf("%+v", got)
	}
}

// TestFewerFactsMakeNoNewEvidence: what counts as new after a failure cannot come from knowing less.
func TestFewerFactsMakeNoNewEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := et.New("mysql")
		if rapid.Bool().Draw(t, "dead") {
			s.KillServer(et.Primary)
		}
		full := recovery.Statements(s.Build())
		for _, a := range et.Aliases() {
			st := s.Status(a)
			switch rapid.IntRange(0, 5).Draw(t, "hide") {
			case 0:
				st.Server = nil
			case 1:
				st.Replication = nil
			case 2:
				st.Server.Responding = nil
			case 3:
				if st.Replication != nil {
					st.Replication.Receiver = nil
				}
			}
		}
		for _, say := range recovery.Statements(s.Build()) {
			if !strings.Contains(strings.Join(full, "\n"), say) {
				t.Fatalf("%q is new", say)
			}
		}
	})
	s := et.New("mysql")
	before := recovery.Statements(s.Build())
	s.Status(et.Near).Server.Responding = proto.Bool(false)
	if len(recovery.Statements(s.Build())) >= len(before) {
		t.Error("statements do not depend on what is known")
	}
}
