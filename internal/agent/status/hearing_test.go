package status

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
)

func TestHearing(t *testing.T) {
	var h hearing
	start := time.Now()
	look := func(at time.Duration, change func(*tabletv1.ReplicationStatus)) string {
		p := &tabletv1.ReplicationStatus{SourceHost: proto.String("h"), SourcePort: proto.Uint32(1), Received: proto.String("0-1-9"), Heartbeats: proto.Uint64(3)}
		change(p)
		if d := h.silentFor(p, start.Add(at)); d != nil {
			return d.AsDuration().String()
		}
		return "unknown"
	}
	same := func(*tabletv1.ReplicationStatus) {}
	beat := func(p *tabletv1.ReplicationStatus) { p.Heartbeats = proto.Uint64(4) }
	steps := []struct {
		at     time.Duration
		change func(*tabletv1.ReplicationStatus)
		want   string
	}{
		{0, same, "unknown"}, // perhaps the source died an hour ago
		{time.Second, same, "unknown"},
		{2 * time.Second, same, "2s"},
		{3 * time.Second, beat, "0s"},
		{4 * time.Second, beat, "1s"},
		{5 * time.Second, func(p *tabletv1.ReplicationStatus) { beat(p); p.Received = proto.String("0-1-10") }, "0s"},
		{6 * time.Second, func(p *tabletv1.ReplicationStatus) { beat(p); p.SourcePort = proto.Uint32(2) }, "unknown"}, // another source
		{7 * time.Second, func(p *tabletv1.ReplicationStatus) { p.Received, p.Heartbeats = nil, nil }, "unknown"},
		{8 * time.Second, same, "unknown"},
	}
	for _, s := range steps {
		if got := look(s.at, s.change); got != s.want {
			t.Errorf("at %s: %s, want %s", s.at, got, s.want)
		}
	}
}
