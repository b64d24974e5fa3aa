package status

import (
	"context"
	"sync"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
)

// Hub holds the last status and tells everybody who waits about a new one. Statuses are not changed once published.
type Hub struct {
	mu   sync.Mutex
	last *tabletv1.FullStatus
	next chan struct{}
}

// NewHub makes a hub without a status.
func NewHub() *Hub { return &Hub{next: make(chan struct{})} }

// Publish makes s the last status.
func (h *Hub) Publish(s *tabletv1.FullStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = s
	close(h.next)
	h.next = make(chan struct{})
}

// Last returns the last status, nil if there was none, and a channel that closes when there is a newer one.
func (h *Hub) Last() (*tabletv1.FullStatus, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last, h.next
}

// Wait returns the next status after the one that it is given (nil for the first), or ctx's error. Statuses that came
// meanwhile are skipped: a slow reader gets the newest.
func (h *Hub) Wait(ctx context.Context, seen *tabletv1.FullStatus) (*tabletv1.FullStatus, error) {
	for {
		last, next := h.Last()
		if last != nil && last != seen {
			return last, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
