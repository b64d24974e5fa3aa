package wire

import "sync"

const (
	smallWindow = 16 << 10 // most commands and most answers
	largeWindow = 64 << 10 // bulk results; the most that Fill will hold
	keepBig     = 1 << 20  // a joined packet's memory up to this is used again
)

// buffer is a window of a fixed size that lives in one of the two pools.
type buffer struct{ b []byte }

// The pools hold memory and no state, so sharing them between connections is not
// observable.
var (
	smallBuffers = sync.Pool{New: func() any { return &buffer{make([]byte, smallWindow)} }}
	largeBuffers = sync.Pool{New: func() any { return &buffer{make([]byte, largeWindow)} }}
)

func takeSmall() *buffer { return smallBuffers.Get().(*buffer) }
func takeLarge() *buffer { return largeBuffers.Get().(*buffer) }

func (b *buffer) free() {
	if len(b.b) == largeWindow {
		largeBuffers.Put(b)
		return
	}
	smallBuffers.Put(b)
}

// Lease is a stretch of raw bytes that outlives the connection's next read: its
// holder may give the connection to somebody else and write the bytes later.
type Lease struct {
	buf  *buffer
	data []byte
}

// Bytes returns the bytes, valid until Free.
func (l *Lease) Bytes() []byte { return l.data }

// Free gives the memory back. It may be called on a zero Lease, and more than once.
func (l *Lease) Free() {
	if l.buf != nil {
		l.buf.free()
	}
	*l = Lease{}
}
