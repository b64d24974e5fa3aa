package status

import (
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
)

// silenceLeast is how long a receiver of which nothing was ever seen to come must have been watched before that is told:
// four heartbeats.
const silenceLeast = 2 * time.Second

// hearing tells for how long a receiver has got nothing, by what it has received and how many heartbeats it has counted: servers
// themselves call a receiver running for up to a minute after its source fell silent. It is safe for concurrent use.
type hearing struct {
	mu sync.Mutex
	// mark is what had been got at the last look, since when it has been that; moved says that it was ever seen to change.
	mark  heardMark
	since time.Time
	moved bool
}

// heardMark is what a receiver has got from its source so far.
type heardMark struct {
	source     string
	port       uint32
	received   string
	heartbeats uint64
}

// silentFor looks at the status of replication and says for how long nothing has come; nil if that is not known.
func (h *hearing) silentFor(p *tabletv1.ReplicationStatus, now time.Time) *durationpb.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	mark := heardMark{p.GetSourceHost(), p.GetSourcePort(), p.GetReceived(), p.GetHeartbeats()}
	switch {
	case p.Received == nil && p.Heartbeats == nil:
		h.mark, h.since, h.moved = heardMark{}, time.Time{}, false
		return nil
	case h.since.IsZero() || mark.source != h.mark.source || mark.port != h.mark.port:
		h.mark, h.since, h.moved = mark, now, false
	case mark != h.mark:
		h.mark, h.since, h.moved = mark, now, true
	}
	if silent := now.Sub(h.since); h.moved || silent >= silenceLeast {
		return durationpb.New(silent)
	}
	return nil
}
