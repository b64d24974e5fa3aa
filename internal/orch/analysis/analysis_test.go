package analysis_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/orch/analysis"
	et "github.com/pelorusdb/pelorus/internal/orch/evidence/evidencetest"

	"google.golang.org/protobuf/proto"
)

// find returns the finding of a code for a tablet, and whether there is one.
func find(fs []analysis.Finding, code analysis.Code, tablet string) (analysis.Finding, bool) {
	i := slices.IndexFunc(fs, func(f analysis.Finding) bool { return f.Code == code && f.Tablet == tablet })
	if i < 0 {
		return analysis.Finding{}, false
	}
	return fs[i], true
}

func TestRows(t *testing.T) {
	for _, flavor := range []string{"mysql", "mariadb"} {
		for _, e := range examples() {
			t.Run(flavor+"/"+string(e.code), func(t *testing.T) { checkRow(t, flavor, e) })
		}
	}
}

func checkRow(t *testing.T, flavor string, e example) {
	look := func(change func(world)) (analysis.Finding, bool) {
		s := et.New(flavor)
		change(s)
		return find(analysis.Analyse(s.Build()), e.code, e.tablet)
	}
	about := row(t, e.code)
	f, ok := look(e.yes)
	if !ok || (about.Cure == analysis.NoRecovery) != (f.Verdict == analysis.Observed) || f.Verdict == analysis.Unclear || f.Verdict == analysis.Unconfirmed {
		t.Errorf("positive: found %v, %v", ok, f)
	}
	if f.Why == "" || f.Says == "" || len(f.Used) == 0 || len(f.Used) == len(f.Unknown()) {
		t.Errorf("positive: without reason or evidence: %+v", f)
	}
	if f, ok := look(e.no); ok {
		t.Errorf("negative: %v", f)
	}
	s := et.New(flavor)
	e.unclear(s)
	i := slices.IndexFunc(analysis.Analyse(s.Build()), func(f analysis.Finding) bool {
		return f.Code == e.code && f.Verdict == analysis.Unclear && len(f.Unknown()) > 0 && strings.Contains(f.Why, "missing")
	})
	if i < 0 {
		t.Errorf("unknown: not said: %v", analysis.Analyse(s.Build()))
	}
	if e.unconfirmed == nil {
		return
	}
	if f, ok := look(e.unconfirmed); !ok || f.Verdict != analysis.Unconfirmed || f.Cure != about.Cure {
		t.Errorf("unconfirmed: found %v, %v", ok, f)
	}
}

func row(t *testing.T, code analysis.Code) analysis.About {
	t.Helper()
	for _, a := range analysis.Table() {
		if a.Code == code {
			return a
		}
	}
	t.Fatalf("no row %s", code)
	return analysis.About{}
}

// TestEveryRowHasExamples: a row cannot be added without a positive, a negative and an unknown test.
func TestEveryRowHasExamples(t *testing.T) {
	seen := map[analysis.Code]example{}
	for _, e := range examples() {
		seen[e.code] = e
	}
	codes := map[analysis.Code]bool{}
	for _, a := range analysis.Table() {
		if codes[a.Code] {
			t.Errorf("%s is there twice", a.Code)
		}
		codes[a.Code] = true
		e := seen[a.Code]
		if e.yes == nil || e.no == nil || e.unclear == nil {
			t.Errorf("%s lacks an example of true, false or unknown", a.Code)
		}
		if strings.HasPrefix(a.Why, "only if") != (e.unconfirmed != nil) {
			t.Errorf("%s: its recovery depends on more (%q), and there must be an example of that: %v", a.Code, a.Why, e.unconfirmed != nil)
		}
		if a.Says == "" || len(a.Needs) == 0 || (a.Cure == analysis.NoRecovery) == (a.Why == "" || strings.HasPrefix(a.Why, "only if")) {
			t.Errorf("%s: words are missing: %+v", a.Code, a)
		}
	}
	for code := range seen {
		if !codes[code] {
			t.Errorf("%s has examples and is no row", code)
		}
	}
}

// TestHealthy: nothing is found in a healthy shard, also with agents of the release before, and nothing is repaired when nothing
// is known.
func TestHealthy(t *testing.T) {
	for _, flavor := range []string{"mysql", "mariadb"} {
		s := et.New(flavor)
		if got := analysis.Analyse(s.Build()); len(got) != 0 {
			t.Errorf("%s: %v", flavor, got)
		}
		for _, alias := range et.Aliases() {
			s.Older(alias)
		}
		for _, f := range analysis.Analyse(s.Build()) {
			if f.Verdict != analysis.Unclear {
				t.Errorf("%s, older agents: %v", flavor, f)
			}
		}
		s.Reports = nil
		for _, f := range analysis.Analyse(s.Build()) {
			if f.Verdict != analysis.Unclear {
				t.Errorf("%s, nothing reported: %v", flavor, f)
			}
		}
	}
}

// TestOlderAgents: what really happens is still seen with agents of the release before.
func TestOlderAgents(t *testing.T) {
	faults := map[analysis.Code]func(world){
		analysis.PrimaryServerDead:    func(s world) { s.KillServer(et.Primary) },
		analysis.PrimaryProcessesDead: func(s world) { s.KillProcesses(et.Primary) },
		analysis.PrimaryHostDead:      func(s world) { s.KillHost(et.Primary); s.ExpireLease() },
		analysis.ReplicationNotSet:    func(s world) { s.Status(et.Near).Replication.Configured = new(bool) },
		analysis.ReplicaWritable:      func(s world) { s.Status(et.Near).Server.ReadOnly = new(bool) },
	}
	for code, fault := range faults {
		s := et.New("mysql")
		fault(s)
		for _, alias := range et.Aliases() {
			s.Older(alias)
		}
		found := slices.ContainsFunc(analysis.Analyse(s.Build()), func(f analysis.Finding) bool { return f.Code == code && f.Verdict == analysis.Repair })
		if !found {
			t.Errorf("%s is not repaired: %v", code, analysis.Analyse(s.Build()))
		}
	}
}

// order is a world in which one finding comes before another.
type order struct {
	name   string
	change func(world)
	want   map[analysis.Code]analysis.Verdict
}

func orders() []order {
	stopped := func(s world) { receiverStops(s, et.Near, 0, "") }
	purged := func(s world) {
		receiverStops(s, et.Near, 1236, "Could not find GTID state requested by slave in any binlog files.")
	}
	return []order{
		{"a dead primary before its replicas", all(stopped, func(s world) {
			s.Status(et.Near).Replication.SourceHost = proto.String("10.0.0.9")
			s.KillServer(et.Primary)
		}), map[analysis.Code]analysis.Verdict{analysis.PrimaryServerDead: analysis.Repair}},
		{"transactions of its own before its threads", all(errant, stopped),
			map[analysis.Code]analysis.Verdict{analysis.ErrantTransactions: analysis.Repair, analysis.ReplicaStopped: analysis.HeldBack}},
		{"transactions of its own before it is copied", all(errant, func(s world) { applierStops(s, et.Near, 1205) }, purged),
			map[analysis.Code]analysis.Verdict{analysis.ErrantTransactions: analysis.Repair, analysis.ReplicaFailingForNow: analysis.HeldBack}},
		{"nobody knows of transactions of its own", all(stopped, func(s world) { s.Status(et.Near).Server.Executed = nil }),
			map[analysis.Code]analysis.Verdict{analysis.ErrantTransactions: analysis.Unclear, analysis.ReplicaStopped: analysis.HeldBack}},
		{"problems of two tablets are mended side by side", all(errant, func(s world) { receiverStops(s, et.Far, 0, "") }),
			map[analysis.Code]analysis.Verdict{analysis.ErrantTransactions: analysis.Repair, analysis.ReplicaStopped: analysis.Repair}},
		{"several problems of one tablet are all seen", func(s world) {
			s.Status(et.Near).Server.ReadOnly = new(bool)
			s.Status(et.Near).Replication.Configured = new(bool)
		}, map[analysis.Code]analysis.Verdict{analysis.ReplicaWritable: analysis.Repair, analysis.ReplicationNotSet: analysis.Repair}},
	}
}

// TestOrder: what is repaired first holds back what it would change anyway.
func TestOrder(t *testing.T) {
	for _, tt := range orders() {
		s := et.New("mysql")
		tt.change(s)
		fs := analysis.Analyse(s.Build())
		for code, want := range tt.want {
			i := slices.IndexFunc(fs, func(f analysis.Finding) bool { return f.Code == code && f.Verdict == want })
			if i < 0 {
				t.Errorf("%s: %s is not %s: %v", tt.name, code, want, fs)
			}
		}
		if !slices.IsSortedFunc(fs, func(a, b analysis.Finding) int { return a.Priority - b.Priority }) {
			t.Errorf("%s: not in order", tt.name)
		}
	}
}
