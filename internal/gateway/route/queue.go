package route

import (
	"sync/atomic"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
)

// Queue bounds the statements of a gateway that wait for a primary at the same time. Those beyond it are refused at once,
// with an error after which clients may try again. The nil Queue has no bounds. Safe for concurrent use.
type Queue struct {
	maxStatements, maxBytes int64
	statements, bytes       atomic.Int64
	refused                 atomic.Uint64
}

// NewQueue makes a queue of some statements and the bytes of their texts.
func NewQueue(statements, bytes int) *Queue {
	return &Queue{maxStatements: int64(statements), maxBytes: int64(bytes)}
}

// Stats returns how many statements wait now, the bytes of their texts, and how many were refused so far.
func (q *Queue) Stats() (statements, bytes int64, refused uint64) {
	return q.statements.Load(), q.bytes.Load(), q.refused.Load()
}

// enter takes a place for a statement of n bytes, which leave gives back. It returns false if there is none.
func (q *Queue) enter(n int) bool {
	if q == nil {
		return true
	}
	statements, bytes := q.statements.Add(1), q.bytes.Add(int64(n))
	if statements > q.maxStatements || bytes > q.maxBytes {
		// Another that comes meanwhile may be refused as well: the queue is as good as full.
		q.refused.Add(1)
		q.leave(n)
		return false
	}
	return true
}

func (q *Queue) leave(n int) {
	if q == nil {
		return
	}
	q.statements.Add(-1)
	q.bytes.Add(-int64(n))
}

// tooMany is the error for a statement that found no place.
func tooMany(sh *target.Shard) error {
	return errcode.New(errcode.BufferFull, sh.Keyspace.Name+"/"+sh.Name)
}
