package evidence_test

import (
	"strings"
	"testing"
	"time"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

var now = time.Unix(1_800_000_000, 0)

func observation(alias string, change func(*tabletv1.FullStatus)) evidence.Observation {
	st := &tabletv1.FullStatus{
		Server:      &tabletv1.ServerStatus{Responding: proto.Bool(true), ReadOnly: proto.Bool(true)},
		Replication: &tabletv1.ReplicationStatus{Configured: proto.Bool(true), Receiver: proto.String("Yes"), Applier: proto.String("Yes")},
	}
	if alias == "a-1" {
		st.Server.ReadOnly, st.Replication = proto.Bool(false), &tabletv1.ReplicationStatus{Configured: proto.Bool(false)}
	}
	if change != nil {
		change(st)
	}
	return evidence.Observation{
		Record: &topov1.Tablet{Alias: &alias, Type: topov1.TabletType_TABLET_TYPE_REPLICA.Enum()}, Status: st, ReceivedAt: now,
	}
}

var shard = &topov1.Shard{Term: proto.Uint64(3), Primary: proto.String("a-1")}

func TestTablet(t *testing.T) {
	tests := []struct {
		name, alias string
		change      func(*tabletv1.FullStatus)
		want        evidence.Health
		reason      string
	}{
		{"primary well", "a-1", nil, evidence.OK, ""},
		{"replica well", "a-2", nil, evidence.OK, ""},
		{"dead", "a-2", func(s *tabletv1.FullStatus) { s.Server.Responding = proto.Bool(false) }, evidence.Down, "does not answer"},
		{"not reported", "a-2", func(s *tabletv1.FullStatus) { s.Server.Responding = nil }, evidence.Unknown, "not reported"},
		{"no server at all", "a-2", func(s *tabletv1.FullStatus) { s.Server = nil }, evidence.Unknown, "not reported"},
		{"fenced primary", "a-1", func(s *tabletv1.FullStatus) { s.Fenced = proto.Bool(true) }, evidence.Down, "fenced"},
		{"read-only primary", "a-1", func(s *tabletv1.FullStatus) { s.Server.ReadOnly = proto.Bool(true) }, evidence.Down, "read-only"},
		{"primary, unknown", "a-1", func(s *tabletv1.FullStatus) { s.Server.ReadOnly = nil }, evidence.Unknown, "not reported"},
		{"primary follows", "a-1", func(s *tabletv1.FullStatus) { s.Replication.Configured = proto.Bool(true) }, evidence.Degraded, "source"},
		{"writable replica", "a-2", func(s *tabletv1.FullStatus) { s.Server.ReadOnly = proto.Bool(false) }, evidence.Degraded, "takes writes"},
		{"replica, read-only unknown", "a-2", func(s *tabletv1.FullStatus) { s.Server.ReadOnly = nil }, evidence.OK, ""},
		{"connecting", "a-2", func(s *tabletv1.FullStatus) { s.Replication.Receiver = proto.String("Connecting") }, evidence.Degraded, "receiver"},
		{"applier stopped", "a-2", func(s *tabletv1.FullStatus) { s.Replication.Applier = proto.String("No") }, evidence.Degraded, "applier"},
		{"threads unknown", "a-2", func(s *tabletv1.FullStatus) { s.Replication.Receiver = nil }, evidence.Unknown, "threads"},
		{"replication unknown", "a-2", func(s *tabletv1.FullStatus) { s.Replication = nil }, evidence.Unknown, "replication"},
		{"lag", "a-2", func(s *tabletv1.FullStatus) {
			s.Lag = &tabletv1.LagStatus{HeartbeatLag: durationpb.New(time.Minute)}
		}, evidence.Degraded, "1m0s behind"},
		{"redo", "a-1", func(s *tabletv1.FullStatus) { s.Redo = &tabletv1.RedoStatus{Undecided: proto.Uint32(2)} }, evidence.Degraded, "decision"},
		{"redo fails", "a-1", func(s *tabletv1.FullStatus) {
			s.Redo = &tabletv1.RedoStatus{Failing: proto.Uint32(1), LastError: proto.String("no such table")}
		}, evidence.Degraded, "no such table"},
	}
	for _, tt := range tests {
		got := evidence.TabletHealth(observation(tt.alias, tt.change), shard, now)
		if got.Health != tt.want || !strings.Contains(strings.Join(got.Reasons, "; "), tt.reason) {
			t.Errorf("%s: %s, %v", tt.name, got.Health, got.Reasons)
		}
	}
}

func TestStaleIsUnknown(t *testing.T) {
	o := observation("a-1", nil)
	if got := evidence.TabletHealth(o, shard, now.Add(evidence.MaxAge)); got.Health != evidence.OK {
		t.Errorf("at the limit: %+v", got)
	}
	if got := evidence.TabletHealth(o, shard, now.Add(evidence.MaxAge+1)); got.Health != evidence.Unknown {
		t.Errorf("past the limit: %+v", got)
	}
}

func TestShard(t *testing.T) {
	well := func() map[string]evidence.Observation {
		return map[string]evidence.Observation{"a-1": observation("a-1", nil), "a-2": observation("a-2", nil), "a-3": observation("a-3", nil)}
	}
	tests := []struct {
		name   string
		change func(map[string]evidence.Observation)
		rec    *topov1.Shard
		want   evidence.Health
	}{
		{"well", func(map[string]evidence.Observation) {}, shard, evidence.OK},
		{"new", func(map[string]evidence.Observation) {}, &topov1.Shard{}, evidence.Down},
		{"primary gone", func(m map[string]evidence.Observation) { delete(m, "a-1") }, shard, evidence.Down},
		{"primary silent", func(m map[string]evidence.Observation) { m["a-1"] = evidence.Observation{Record: m["a-1"].Record} }, shard, evidence.Unknown},
		{"replica silent", func(m map[string]evidence.Observation) { m["a-2"] = evidence.Observation{Record: m["a-2"].Record} }, shard, evidence.Degraded},
		{"nobody acknowledges", func(m map[string]evidence.Observation) {
			m["a-1"].Status.SemiSync = &tabletv1.SemiSyncStatus{Clients: proto.Uint32(0)}
		}, shard, evidence.Degraded},
		{"acknowledgers unknown", func(m map[string]evidence.Observation) {
			m["a-1"].Status.SemiSync = &tabletv1.SemiSyncStatus{}
		}, shard, evidence.OK},
	}
	for _, tt := range tests {
		tablets := well()
		tt.change(tablets)
		if got := evidence.ShardHealth(tt.rec, &topov1.Keyspace{}, tablets, now); got.Health != tt.want {
			t.Errorf("%s: %s, %v", tt.name, got.Health, got.Reasons)
		}
	}
}
