package evidence_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/presence"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// fill sets all fields of a message, those of other packages' messages to an empty one.
func fill(m protoreflect.Message) {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		switch {
		case f.IsMap():
		case f.IsList() && f.Message() != nil:
			fill(m.Mutable(f).List().AppendMutable().Message())
		case f.IsList():
			m.Mutable(f).List().Append(protoreflect.ValueOfString("x"))
		case f.Message() != nil:
			fill(m.Mutable(f).Message())
		case f.Enum() != nil:
			m.Set(f, protoreflect.ValueOfEnum(1))
		default:
			m.Set(f, f.Default())
		}
	}
}

// known counts the known facts in a value.
func known(v reflect.Value) (n int) {
	if f, ok := v.Interface().(interface{ IsKnown() bool }); ok {
		if f.IsKnown() {
			return 1
		}
		return 0
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			n += known(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += known(v.Index(i))
		}
	}
	return n
}

func build(st *tabletv1.FullStatus, at time.Time) *evidence.World {
	rec := &topov1.Tablet{Alias: proto.String("a-1"), Host: proto.String("h"), MysqlPort: proto.Uint32(101)}
	return evidence.Build(evidence.Input{
		Observer: "c1", Shard: &topov1.Shard{Keyspace: proto.String("shop"), Name: proto.String("0"), Term: proto.Uint64(3), Primary: proto.String("a-1")},
		Keyspace: &topov1.Keyspace{}, Tablets: []*topov1.Tablet{rec}, RecordsAt: now,
		Reports: map[string]evidence.Observation{"a-1": {Record: rec, Status: st, ReceivedAt: now}},
	}, at)
}

// TestEveryFieldIsAFact: each field of a status makes exactly one fact known, and hiding it makes that one unknown.
func TestEveryFieldIsAFact(t *testing.T) {
	whole := &tabletv1.FullStatus{}
	fill(whole.ProtoReflect())
	facts := func(st *tabletv1.FullStatus) int { return known(reflect.ValueOf(build(st, now).Tablets[0].Status)) }
	all, leaves := facts(whole), 0
	for _, p := range presence.Paths(whole) {
		hidden := proto.Clone(whole).(*tabletv1.FullStatus)
		presence.Hide(hidden, p)
		lost := all - facts(hidden)
		switch {
		case p.String() == "15" || p.String() == "5.1": // the reasons; a list without names is known to be empty
		case lost == 0:
			t.Errorf("field %s makes no fact", p)
		case lost == 1:
			leaves++
		}
	}
	if leaves < all {
		t.Errorf("%d facts, but only %d fields of their own", all, leaves)
	}
	for _, st := range []*tabletv1.FullStatus{nil, {}} {
		if n := facts(st); n != 0 {
			t.Errorf("%d facts of an empty status", n)
		}
	}
}

func TestAges(t *testing.T) {
	st := &tabletv1.FullStatus{Term: proto.Uint64(0)}
	tests := []struct {
		after                time.Duration
		status, contact, rec bool
		standing             evidence.Standing
	}{
		{0, true, true, true, evidence.Answers},
		{evidence.Quiet, true, true, true, evidence.Answers},
		{evidence.Quiet + 1, true, true, true, evidence.Silent},
		{evidence.MaxAge + 1, false, true, true, evidence.Silent},
		{evidence.RecordsMaxAge + 1, false, true, false, evidence.Silent},
	}
	for _, tt := range tests {
		w := build(st, now.Add(tt.after))
		tab := w.Tablets[0]
		c, ok := tab.Own.Agent.Get()
		if tab.Status.Term.IsKnown() != tt.status || ok != tt.contact || c.Standing != tt.standing || w.Primary.IsKnown() != tt.rec ||
			w.Listed.IsKnown() != tt.rec || tab.Host.IsKnown() != tt.rec {
			t.Errorf("after %s: status %v, agent %v, primary %v", tt.after, tab.Status.Term, tab.Own.Agent, w.Primary)
		}
	}
}

// TestOwnPause: a control node that stood still takes nobody for silent because of that.
func TestOwnPause(t *testing.T) {
	rec := &topov1.Tablet{Alias: proto.String("a-1")}
	later := now.Add(20 * time.Second)
	in := evidence.Input{
		Shard: &topov1.Shard{}, Tablets: []*topov1.Tablet{rec}, RecordsAt: later, Resumed: later,
		Reports: map[string]evidence.Observation{"a-1": {Record: rec, Status: &tabletv1.FullStatus{}, ReceivedAt: now}},
	}
	if c := evidence.Build(in, later).Tablets[0].Own.Agent; c.IsKnown() {
		t.Errorf("just resumed: %v", c)
	}
	c, _ := evidence.Build(in, later.Add(evidence.Quiet+1)).Tablets[0].Own.Agent.Get()
	if c.Standing != evidence.Silent || !c.Since.Equal(later) {
		t.Errorf("resumed for a while: %v", c)
	}
}

func TestBrokenStream(t *testing.T) {
	rec := &topov1.Tablet{Alias: proto.String("a-1")}
	for _, refused := range []bool{true, false} {
		in := evidence.Input{Shard: &topov1.Shard{}, Tablets: []*topov1.Tablet{rec}, RecordsAt: now, Reports: map[string]evidence.Observation{
			"a-1": {Record: rec, Status: &tabletv1.FullStatus{Term: proto.Uint64(3)}, ReceivedAt: now, Unreachable: "gone", Refused: refused, Since: now, TriedAt: now},
		}}
		tab := evidence.Build(in, now).Tablets[0]
		want := map[bool]evidence.Standing{true: evidence.Refused, false: evidence.Silent}[refused]
		if c, _ := tab.Own.Agent.Get(); c.Standing != want {
			t.Errorf("refused %v: %v", refused, c)
		}
		if reason, why, unknown := tab.Status.Term.Why(); !unknown || reason != fact.Unreachable || why != "gone" {
			t.Errorf("what came over a broken stream is believed: %v", tab.Status.Term)
		}
	}
}

func TestReasonsOfTheAgent(t *testing.T) {
	st := &tabletv1.FullStatus{Unknowns: map[string]string{"server": "it hangs", "replication.received": "nothing yet"}}
	s := build(st, now).Tablets[0].Status
	for name, f := range map[string]fact.Fact[string]{"it hangs": s.Server.Executed, "nothing yet": s.Replication.Received} {
		if reason, why, _ := f.Why(); reason != fact.QueryFailed || why != name {
			t.Errorf("want %q: %v", name, f)
		}
	}
	if reason, _, _ := s.Term.Why(); reason != fact.NeverReported {
		t.Errorf("without a reason: %v", s.Term)
	}
}

// TestEnums: a zero, and a number that this release does not know, say nothing.
func TestEnums(t *testing.T) {
	for n, want := range map[int32]bool{0: false, 1: true, 4711: false} {
		st := &tabletv1.FullStatus{OwnType: topov1.TabletType(n).Enum()}
		if got := build(st, now).Tablets[0].Status.OwnType; got.IsKnown() != want {
			t.Errorf("%d: %v", n, got)
		}
	}
}

func TestPeersAreObservers(t *testing.T) {
	rec := func(alias string) *topov1.Tablet { return &topov1.Tablet{Alias: &alias} }
	for c, want := range map[tabletv1.Contact]evidence.Standing{
		tabletv1.Contact_CONTACT_ANSWERS: evidence.Answers, tabletv1.Contact_CONTACT_REFUSED: evidence.Refused, tabletv1.Contact_CONTACT_SILENT: evidence.Silent,
	} {
		st := &tabletv1.FullStatus{Peers: &tabletv1.Peers{List: []*tabletv1.Peer{
			{Alias: proto.String("a-1"), Agent: c.Enum(), AgentSince: durationpb.New(time.Second)}, {Alias: proto.String("a-9")}, {Alias: proto.String("a-2")}, {},
		}}}
		w := evidence.Build(evidence.Input{
			Shard: &topov1.Shard{}, Tablets: []*topov1.Tablet{rec("a-2"), rec("a-1")}, RecordsAt: now,
			Reports: map[string]evidence.Observation{"a-2": {Status: st, ReceivedAt: now}},
			Others:  map[string][]evidence.View{"a-1": {{Observer: "c2"}}},
		}, now)
		views := w.Tablet("a-1").Others
		if len(views) != 2 || views[0].Observer != "a-2" || views[1].Observer != "c2" || views[0].Server.IsKnown() {
			t.Fatalf("views %+v", views)
		}
		if got, ok := views[0].Agent.Get(); !ok || got.Standing != want || !got.Since.Equal(now.Add(-time.Second)) {
			t.Errorf("%v: %v", c, got)
		}
		if v := w.Tablet("a-2").Others; len(v) != 1 || v[0].Observer != "a-1" || v[0].Agent.IsKnown() {
			t.Errorf("an agent that says nothing sees unknown things, and its word about itself is no view: %+v", v)
		}
	}
}

func TestSight(t *testing.T) {
	rep := func(change func(*tabletv1.ReplicationStatus)) *tabletv1.ReplicationStatus {
		r := &tabletv1.ReplicationStatus{Receiver: proto.String("Yes"), LastIoErrno: proto.Uint32(0), LastIoError: proto.String(""), SilentFor: durationpb.New(0)}
		change(r)
		return r
	}
	long, ago := durationpb.New(2*time.Second), func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(-d)) }
	tests := []struct {
		name                string
		rep                 *tabletv1.ReplicationStatus
		sees, lost, refused fact.Truth
	}{
		{"well", rep(func(*tabletv1.ReplicationStatus) {}), fact.True, fact.False, fact.False},
		{"nothing comes", rep(func(r *tabletv1.ReplicationStatus) { r.SilentFor = long }), fact.Unknown, fact.True, fact.False},
		{"nothing comes, heartbeats old", rep(func(r *tabletv1.ReplicationStatus) { r.SilentFor, r.LastHeartbeatAt = long, ago(9*time.Second) }), fact.False, fact.True, fact.False},
		{"older agent, fresh heartbeat", rep(func(r *tabletv1.ReplicationStatus) { r.SilentFor, r.LastHeartbeatAt = nil, ago(time.Second) }), fact.True, fact.Unknown, fact.False},
		{"older agent, busy", rep(func(r *tabletv1.ReplicationStatus) { r.SilentFor, r.LastHeartbeatAt = nil, ago(9*time.Second) }), fact.Unknown, fact.Unknown, fact.False},
		{"connecting, no error yet", rep(func(r *tabletv1.ReplicationStatus) { r.Receiver = proto.String("Connecting") }), fact.False, fact.True, fact.False},
		{"connecting, refused", rep(func(r *tabletv1.ReplicationStatus) {
			r.Receiver, r.LastIoErrno, r.LastIoError = proto.String("Connecting"), proto.Uint32(2003), proto.String("(111)")
		}), fact.False, fact.True, fact.True},
		{"connecting, turned away", rep(func(r *tabletv1.ReplicationStatus) {
			r.Receiver, r.LastIoErrno = proto.String("Connecting"), proto.Uint32(1045)
		}), fact.False, fact.False, fact.False},
		{"connecting, error unknown", rep(func(r *tabletv1.ReplicationStatus) {
			r.Receiver, r.LastIoErrno = proto.String("Connecting"), nil
		}), fact.False, fact.Unknown, fact.Unknown},
		{"stopped", rep(func(r *tabletv1.ReplicationStatus) { r.Receiver = proto.String("No") }), fact.False, fact.False, fact.False},
		{"given up", rep(func(r *tabletv1.ReplicationStatus) {
			r.Receiver, r.LastIoErrno = proto.String("No"), proto.Uint32(2003)
		}), fact.False, fact.True, fact.False},
		{"not reported", nil, fact.Unknown, fact.Unknown, fact.Unknown},
	}
	for _, tt := range tests {
		tab := build(&tabletv1.FullStatus{TakenAt: timestamppb.New(now), Replication: tt.rep}, now).Tablets[0]
		if tab.Sees() != tt.sees || tab.Lost() != tt.lost || tab.Refused() != tt.refused {
			t.Errorf("%s: sees %v, lost %v, refused %v", tt.name, tab.Sees(), tab.Lost(), tab.Refused())
		}
	}
}

func TestErrant(t *testing.T) {
	const p, r = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
	tests := []struct {
		flavor, primary, replica string
		reign                    uint64
		want                     string
		unknown                  bool
	}{
		{flavor: "mysql", primary: p + ":1-9", replica: p + ":1-8", reign: 3},
		{flavor: "mysql", primary: p + ":1-9", replica: p + ":1-12", reign: 3}, // its report is newer
		{flavor: "mysql", primary: p + ":1-9", replica: p + ":1-9," + r + ":1-2", reign: 3, want: r + ":1-2"},
		{flavor: "mysql", primary: p + ":1-9," + r + ":1-2", replica: p + ":1-9," + r + ":1-2", reign: 3},
		{flavor: "mysql", primary: p + ":1-9", replica: p + ":1-9," + r + ":1-2", reign: 2, unknown: true},
		{flavor: "mysql", primary: "rubbish", replica: p + ":1-9", reign: 3, unknown: true},
		{flavor: "", primary: p + ":1-9", replica: p + ":1-9", reign: 3, unknown: true},
		{flavor: "mariadb", primary: "0-1-9", replica: "0-1-12", reign: 3},
		{flavor: "mariadb", primary: "0-1-9", replica: "0-2-10", reign: 3, want: "0-2-10"},
		{flavor: "mariadb", primary: "0-1-9", replica: "0-2-9", reign: 3, want: "0-2-9"},
	}
	for _, tt := range tests {
		tablet := func(id uint32, uuid, executed string) *evidence.Tablet {
			return build(&tabletv1.FullStatus{ReignTerm: &tt.reign, Server: &tabletv1.ServerStatus{
				Flavor: &tt.flavor, Executed: &executed, ServerId: &id, ServerUuid: &uuid,
			}}, now).Tablets[0]
		}
		got := tablet(2, r, tt.replica).Errant(tablet(1, p, tt.primary), fact.Known(uint64(3), now, "topology"))
		if text, ok := got.Get(); ok == tt.unknown || text != tt.want {
			t.Errorf("%s %s against %s: %v", tt.flavor, tt.replica, tt.primary, got)
		}
	}
}

func TestVersion(t *testing.T) {
	st := func(version, name string) *tabletv1.FullStatus {
		return &tabletv1.FullStatus{Server: &tabletv1.ServerStatus{Version: &version, Flavor: &name}}
	}
	for _, tt := range []struct {
		st   *tabletv1.FullStatus
		want string
	}{
		{st("9.7.4", "mysql"), "mysql 9.7.4"}, {st("10.11.19-MariaDB-log", "mariadb"), "mariadb 10.11.19"}, {st("10.11.19", "mariadb"), "mariadb 10.11.19"},
		{st("5.7.44", "mysql"), ""}, {&tabletv1.FullStatus{}, ""},
	} {
		got, ok := build(tt.st, now).Tablets[0].Version().Get()
		if ok != (tt.want != "") || ok && got.String() != tt.want {
			t.Errorf("%v: %v", tt.st, got)
		}
	}
	if !strings.Contains(build(st("5.7.44", "mysql"), now).Tablets[0].Version().String(), "oldest") {
		t.Error("why a version is not supported is not said")
	}
}
