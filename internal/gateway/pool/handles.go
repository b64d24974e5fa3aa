package pool

import (
	"sync/atomic"
	"time"
)

// The idle check needs the time of each return of a connection to about a tenth of a second. Reading the clock costs
// about 50 ns, which is cheap enough to need no shared state.
func coarseNow() time.Time { return time.Now() }

// handles are the prepared statements of one connection: statement to the server's id, with a limit. The oldest goes first.
type handles struct {
	max   int
	byKey map[*Statement]*handle
	order []*Statement // oldest first
}

type handle struct{ id uint32 }

// Statement is the identity of a prepared text that sessions share. Two sessions that prepare one text in one keyspace
// under one mode share it, so that a connection prepares it once.
type Statement struct {
	SQL  string
	uses atomic.Int64
}

// Retain counts a user; Drop takes one away and says whether it was the last.
func (s *Statement) Retain() { s.uses.Add(1) }

// Drop takes a user away and says whether it was the last.
func (s *Statement) Drop() bool { return s.uses.Add(-1) <= 0 }

func newHandles(max int) handles {
	if max <= 0 {
		max = 50
	}
	return handles{max: max}
}

func (h *handles) clear() {
	clear(h.byKey)
	h.order = h.order[:0]
}

// Handle returns the server's id of the statement on this connection, if it is prepared here.
func (c *Conn) Handle(s *Statement) (uint32, bool) {
	if h, ok := c.handles.byKey[s]; ok {
		return h.id, true
	}
	return 0, false
}

// Keep remembers the server's id of a statement that the caller has prepared on this connection. When the limit is
// passed it returns the id of one to close.
func (c *Conn) Keep(s *Statement, id uint32) (evicted uint32, evict bool) {
	h := &c.handles
	if h.byKey == nil {
		h.byKey = make(map[*Statement]*handle, 8)
	}
	if len(h.order) >= h.max {
		old := h.order[0]
		h.order = append(h.order[:0], h.order[1:]...)
		evicted, evict = h.byKey[old].id, true
		delete(h.byKey, old)
	}
	h.byKey[s] = &handle{id: id}
	h.order = append(h.order, s)
	return evicted, evict
}

// Forget drops the handle of a statement, after the server said that it does not know it.
func (c *Conn) Forget(s *Statement) {
	h := &c.handles
	if _, ok := h.byKey[s]; !ok {
		return
	}
	delete(h.byKey, s)
	for i, o := range h.order {
		if o == s {
			h.order = append(h.order[:i], h.order[i+1:]...)
			return
		}
	}
}
