package decision_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/orch/analysis"
	"github.com/pelorusdb/pelorus/internal/orch/decision"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
	et "github.com/pelorusdb/pelorus/internal/orch/evidence/evidencetest"
	"github.com/pelorusdb/pelorus/internal/orch/recovery"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"
)

// node is a control node that watches one shard.
type node struct {
	shard  *et.Shard
	state  decision.State
	ledger recovery.Ledger
	last   decision.Actions
	start  time.Time
}

// newNode has watched a healthy shard for a while; its clock starts at zero then.
func newNode(flavor string) *node {
	n := &node{shard: et.New(flavor)}
	now := n.shard.Now
	n.ledger = recovery.Ledger{
		Policy: fact.Known(recovery.Policy{}, now, "topology"), Running: fact.Known("", now, "topology"), Past: fact.Known[[]recovery.Past](nil, now, "topology"),
	}
	n.start = n.shard.Now.Add(-time.Hour)
	n.run(2 * time.Second)
	n.start = n.shard.Now
	return n
}

func (n *node) step() *decision.Begin {
	n.state, n.last = decision.Step(n.state, decision.Input{Evidence: n.shard.Input, Ledger: n.ledger}, n.shard.Now)
	return n.last.Begin
}

// run lets time pass until a recovery begins, and returns it with the time since the start: in steps of 50 ms while it matters, then in
// longer ones.
func (n *node) run(d time.Duration) (*decision.Begin, time.Duration) {
	for end := n.shard.Now.Add(d); n.shard.Now.Before(end); {
		step := 50 * ms
		if n.shard.Now.Sub(n.start) >= 4*time.Second {
			step = 200 * ms
		}
		n.shard.Tick(min(step, end.Sub(n.shard.Now)))
		if b := n.step(); b != nil {
			return b, n.shard.Now.Sub(n.start)
		}
	}
	return nil, 0
}

// event is something that is noticed at a time after the fault.
type event struct {
	at time.Duration
	do func(*et.Shard)
}

// play lets events come in and returns what begins, and when.
func (n *node) play(events []event, total time.Duration) (*decision.Begin, time.Duration) {
	for _, e := range append(events, event{at: total, do: func(*et.Shard) {}}) {
		if b, at := n.run(e.at - n.shard.Now.Sub(n.start)); b != nil {
			return b, at
		}
		e.do(n.shard)
		if b := n.step(); b != nil {
			return b, n.shard.Now.Sub(n.start)
		}
	}
	return nil, 0
}

const ms = time.Millisecond

// TestDetection plays what is noticed after a fault, at the times at which agents and servers were seen to notice it.
func TestDetection(t *testing.T) {
	loseAll := func(how et.Losses) func(*et.Shard) {
		return func(s *et.Shard) { s.Lose(how, et.Followers()...) }
	}
	quietly := func(f func(*et.Shard)) func(*et.Shard) { // the replicas have not noticed yet
		return func(s *et.Shard) { f(s); s.Regain(et.Followers()...) }
	}
	refusedServer := func(s *et.Shard) { s.KillServer(et.Primary); s.Regain(et.Followers()...); s.KillAgent(et.Primary) }
	tests := []struct {
		name   string
		events []event
		cause  analysis.Code
		cure   analysis.Recovery
		from   time.Duration
		within time.Duration
	}{
		{"server killed", []event{
			{50 * ms, quietly(func(s *et.Shard) { s.KillServer(et.Primary) })},
			{80 * ms, func(s *et.Shard) { s.Lose(et.LostRefused, et.Near) }},
		}, analysis.PrimaryServerDead, analysis.EmergencyReparent, 80 * ms, 400 * ms},
		{"server and agent killed", []event{
			{10 * ms, func(s *et.Shard) { s.Silence(et.Primary) }},
			{80 * ms, loseAll(et.LostRefused)},
			{300 * ms, func(s *et.Shard) { refusedServer(s); s.Lose(et.LostRefused, et.Followers()...) }},
		}, analysis.PrimaryProcessesDead, analysis.EmergencyReparent, 300 * ms, time.Second},
		{"host vanishes", []event{
			{1500 * ms, func(s *et.Shard) { s.Silence(et.Primary) }},
			{2000 * ms, loseAll(et.LostQuiet)},
			{3000 * ms, (*et.Shard).ExpireLease},
		}, analysis.PrimaryHostDead, analysis.EmergencyReparent, 3000 * ms, 3200 * ms},
		{"host vanishes, and one of three replicas is deaf", []event{
			{1500 * ms, func(s *et.Shard) { s.Silence(et.Primary) }},
			{2000 * ms, func(s *et.Shard) { s.Lose(et.LostSilent, et.Near, et.Far) }},
			{3000 * ms, (*et.Shard).ExpireLease},
		}, analysis.PrimaryHostDead, analysis.EmergencyReparent, 3000 * ms, 3200 * ms},
		{"only this node is cut off", []event{
			{1500 * ms, func(s *et.Shard) { s.Silence(et.Primary) }},
		}, "", "", 0, 0},
		{"only this node is cut off, and the lease ends", []event{
			{1500 * ms, func(s *et.Shard) { s.Silence(et.Primary); s.ExpireLease() }},
		}, "", "", 0, 0},
		{"the primary reaches the topology and nobody else", []event{
			{2000 * ms, func(s *et.Shard) { s.KillHost(et.Primary) }},
		}, analysis.PrimaryIsolated, analysis.EmergencyReparent, 12 * time.Second, 12400 * ms},
		{"one replica is cut off", []event{
			{2000 * ms, func(s *et.Shard) { s.Lose(et.LostSilent, et.Near) }},
		}, "", "", 0, 0},
		{"only the agent is killed", []event{
			{10 * ms, func(s *et.Shard) { s.KillAgent(et.Primary) }}, {3000 * ms, (*et.Shard).ExpireLease},
		}, analysis.PrimaryAgentDead, analysis.PlannedReparent, 30 * time.Second, 31 * time.Second},
		{"overloaded", []event{
			{2000 * ms, func(s *et.Shard) { s.Overload(et.Primary) }},
		}, "", "", 0, 0},
		{"overloaded, and two replicas hear nothing for a while", []event{
			{2000 * ms, func(s *et.Shard) { s.Overload(et.Primary); s.Lose(et.LostQuiet, et.Near, et.Far) }},
		}, "", "", 0, 0},
		{"etcd is away", []event{
			{0, func(s *et.Shard) { s.Lease = fact.Missing[evidence.Lease](fact.Unreachable, "no leader") }},
		}, "", "", 0, 0},
		{"the disk stalls", []event{
			{15 * time.Second, func(s *et.Shard) {
				sv := s.Status(et.Primary).Server
				sv.DiskBlockedFor, sv.CommitBlockedFor = durationpb.New(16*time.Second), durationpb.New(16*time.Second)
			}},
		}, analysis.PrimaryDiskStalled, analysis.EmergencyReparent, 15 * time.Second, 15400 * ms},
	}
	for _, tt := range tests {
		for _, flavor := range []string{"mysql", "mariadb"} {
			b, at := newNode(flavor).play(tt.events, 16*time.Second)
			if tt.cure == analysis.PlannedReparent {
				b, at = newNode(flavor).play(tt.events, time.Minute)
			}
			switch {
			case b == nil && tt.cause != "":
				t.Errorf("%s: nothing is done", tt.name)
			case b == nil:
			case b.Code != tt.cause || b.Cure != tt.cure || at < tt.from || at > tt.within:
				t.Errorf("%s: %s for %s after %s, want %s between %s and %s", tt.name, b.Cure, b.Code, at, tt.cause, tt.from, tt.within)
			case len(b.Statements) == 0 || len(b.Used) == 0:
				t.Errorf("%s: without evidence", tt.name)
			}
		}
	}
}

// TestFreshNode: a node that starts in the middle of a failure does what one does that was there, a moment later.
func TestFreshNode(t *testing.T) {
	n := newNode("mysql")
	n.shard.KillServer(et.Primary)
	n.state = decision.State{}
	b, at := n.run(10 * time.Second)
	if b == nil || b.Code != analysis.PrimaryServerDead || at < 1500*ms || at > 1700*ms {
		t.Fatalf("%+v after %s", b, at)
	}
	if fresh := newNode("mysql"); fresh.last.Begin != nil || len(fresh.last.Findings) != 0 {
		t.Errorf("a healthy shard: %+v", fresh.last)
	}
}

// TestPausedNode: a node that stood still does not act on what it heard before, and not on what waited in its buffers.
func TestPausedNode(t *testing.T) {
	n := newNode("mysql")
	n.shard.KillHost(et.Primary)
	n.shard.ExpireLease()
	n.shard.Now = n.shard.Now.Add(20 * time.Second) // nothing was heard meanwhile
	if b := n.step(); b != nil {
		t.Fatalf("just resumed: %+v", b)
	}
	n.shard.KillServer(et.Primary) // an old report, from the buffer
	n.shard.Tick(0)
	if b := n.step(); b != nil {
		t.Fatalf("on an old report: %+v", b)
	}
	n = newNode("mysql")
	n.shard.KillServer(et.Primary)
	n.shard.Now = n.shard.Now.Add(20 * time.Second)
	if b, at := n.run(5 * time.Second); b == nil || at < 21500*ms {
		t.Errorf("a primary that is dead: %+v after %s", b, at)
	}
	n = newNode("mysql")
	n.shard.Now = n.shard.Now.Add(-time.Minute)
	n.step()
	if b, _ := n.run(5 * time.Second); b != nil {
		t.Errorf("the clock stepped back: %+v", b)
	}
}

// TestOneAtATime: what has begun is not begun again, in whatever state the ledger is.
func TestOneAtATime(t *testing.T) {
	n := newNode("mysql")
	n.shard.KillServer(et.Primary)
	first, began := n.run(time.Second)
	if first == nil {
		t.Fatal("nothing began")
	}
	if b, at := n.run(10 * time.Second); b == nil || at-began < 5*time.Second {
		t.Errorf("it never got into the ledger: %+v after %s", b, at-began)
	}
	n.ledger.Running = fact.Known("r-1", n.shard.Now, "topology")
	if b, at := n.run(time.Minute); b != nil {
		t.Errorf("one is under way: %+v after %s", b, at)
	}
	n.ledger.Running = fact.Known("", n.shard.Now, "topology")
	n.ledger.Past = fact.Known([]recovery.Past{{
		Cause: first.Code, Cure: first.Cure, Tablet: first.Tablet, Term: et.Term, Ended: n.shard.Now, Outcome: recovery.Failed, Evidence: first.Statements,
	}}, n.shard.Now, "topology")
	if b, at := n.run(time.Minute); b != nil {
		t.Errorf("it failed and nothing is new: %+v after %s", b, at)
	}
	n.shard.KillAgent(et.Far)
	n.shard.KillAgent(et.Reader)
	if b, at := n.run(time.Minute); b != nil {
		t.Errorf("less is known than before: %+v after %s", b, at)
	}
}

// TestWhyNot: what is not done says why, is told once, and nothing of it asks for a lock.
func TestWhyNot(t *testing.T) {
	n := newNode("mysql")
	n.ledger.Policy = fact.Known(recovery.Policy{Modes: []recovery.Mode{{Observe: true, By: "ann"}}}, n.shard.Now, "topology")
	n.shard.KillServer(et.Primary)
	changes := 0
	for range 40 {
		n.shard.Tick(50 * ms)
		if b := n.step(); b != nil {
			t.Fatalf("in observe mode: %+v", b)
		}
		if n.last.Changed {
			changes++
		}
	}
	if changes != 1 {
		t.Errorf("told %d times", changes)
	}
	i := slices.IndexFunc(n.last.Findings, func(d decision.Decided) bool { return d.Code == analysis.PrimaryServerDead })
	if i < 0 || !strings.Contains(n.last.Findings[i].Ruling.Why, "observe mode (set by ann)") || n.last.Findings[i].Since.IsZero() {
		t.Errorf("%+v", n.last.Findings)
	}
}

// TestOrderOfRepairs: the most urgent first, the others wait and say so.
func TestOrderOfRepairs(t *testing.T) {
	n := newNode("mysql")
	n.shard.Status(et.Near).Server.ReadOnly = proto.Bool(false)
	n.shard.Status(et.Far).Replication.Configured = proto.Bool(false)
	b, _ := n.run(time.Minute)
	if b == nil || b.Code != analysis.ReplicaWritable || b.Tablet != et.Near {
		t.Fatalf("%+v", b)
	}
	n.shard.Status(et.Near).Server.ReadOnly = proto.Bool(true)
	n.ledger.Past = fact.Known([]recovery.Past{{Cause: b.Code, Tablet: b.Tablet, Term: et.Term, Ended: n.shard.Now.Add(1)}}, n.shard.Now, "topology")
	if b, _ = n.run(time.Minute); b == nil || b.Code != analysis.ReplicationNotSet || b.Tablet != et.Far {
		t.Fatalf("%+v", b)
	}
}

// TestProbes: servers are tried over SQL where their agents do not say that they are well, and not too often.
func TestProbes(t *testing.T) {
	n := newNode("mysql")
	if len(n.last.Probe) != 0 {
		t.Errorf("a healthy shard: %v", n.last.Probe)
	}
	n.shard.KillAgent(et.Primary)
	n.shard.KillAgent(et.Near)
	count := map[string]int{}
	for range 80 {
		n.shard.Tick(50 * ms)
		n.step()
		for _, alias := range n.last.Probe {
			count[alias]++
		}
	}
	if count[et.Primary] != 16 || count[et.Near] != 2 || len(count) != 2 {
		t.Errorf("in four seconds: %v", count)
	}
}

func TestNext(t *testing.T) {
	n := newNode("mysql")
	if got := n.last.Next.Sub(n.shard.Now); got != decision.Calm {
		t.Errorf("calm: %s", got)
	}
	n.shard.Status(et.Near).Host = nil
	n.step()
	if got := n.last.Next.Sub(n.shard.Now); got != decision.Calm || len(n.last.Findings) == 0 {
		t.Errorf("an older agent: %s, %v", got, n.last.Findings)
	}
	n.shard.KillAgent(et.Near)
	n.step()
	if got := n.last.Next.Sub(n.shard.Now); got != decision.Alert {
		t.Errorf("alert: %s", got)
	}
}

// TestHidingNeverBegins: over a time in which things happen one after the other, who knows less begins nothing that who knows all
// would not find right at that moment.
func TestHidingNeverBegins(t *testing.T) {
	faults := []func(*et.Shard){
		func(s *et.Shard) { s.KillServer(et.Primary) }, func(s *et.Shard) { s.KillAgent(et.Primary) },
		func(s *et.Shard) { s.KillHost(et.Primary) }, (*et.Shard).ExpireLease, func(s *et.Shard) { s.Silence(et.Primary) },
		func(s *et.Shard) { s.Lose(et.LostSilent, et.Near) }, func(s *et.Shard) { s.KillAgent(et.Far) },
		func(s *et.Shard) { s.Record(et.Near).Type = topov1.TabletType_TABLET_TYPE_DRAINED.Enum() },
		func(s *et.Shard) { s.Status(et.Far).Server.ReadOnly = proto.Bool(false) }, func(s *et.Shard) { s.Overload(et.Primary) },
	}
	hidings := []func(*et.Shard, string){
		func(s *et.Shard, a string) { s.Status(a).Server.Responding = nil }, func(s *et.Shard, a string) { s.Status(a).Server = nil },
		func(s *et.Shard, a string) { s.Status(a).Replication = nil }, func(s *et.Shard, a string) { s.Status(a).Term = nil },
		func(s *et.Shard, a string) { delete(s.Servers, a) }, func(s *et.Shard, a string) { s.Older(a) },
		func(s *et.Shard, _ string) { s.Lease = fact.Fact[evidence.Lease]{} }, func(s *et.Shard, a string) { s.Status(a).OwnType = nil },
	}
	begun := 0
	rapid.Check(t, func(t *rapid.T) {
		full, hidden := newNode("mysql"), newNode("mysql")
		var hide []func(*et.Shard)
		for range rapid.IntRange(0, 4).Draw(t, "hidden") {
			h, a := rapid.SampledFrom(hidings).Draw(t, "what"), rapid.SampledFrom(et.Aliases()).Draw(t, "of")
			hide = append(hide, func(s *et.Shard) { h(s, a) })
		}
		for range 60 {
			if rapid.IntRange(0, 9).Draw(t, "event") == 0 {
				attempt(full.shard, rapid.SampledFrom(faults).Draw(t, "fault"))
			}
			full.shard.Tick(500 * ms)
			full.step()
			hidden.shard = full.shard.Clone()
			for _, h := range hide {
				attempt(hidden.shard, h)
			}
			b := hidden.step()
			if b == nil {
				continue
			}
			begun++
			right := slices.ContainsFunc(full.last.Findings, func(d decision.Decided) bool {
				return d.Key() == b.Key() && d.Verdict == analysis.Repair && d.Cure == b.Cure && !d.Since.After(b.Since)
			})
			if !right {
				t.Fatalf("begun with facts hidden: %v; with all facts: %v", b.Finding, full.last.Findings)
			}
		}
	})
	if begun == 0 {
		t.Error("nothing ever began")
	}
}

// attempt lets something happen that may find nothing left to happen to.
func attempt(s *et.Shard, f func(*et.Shard)) {
	defer func() { _ = recover() }()
	f(s)
}

// BenchmarkStep is what a healthy shard costs a control node twice a second.
func BenchmarkStep(b *testing.B) {
	n := newNode("mysql")
	b.ReportAllocs()
	for b.Loop() {
		n.step()
	}
}
