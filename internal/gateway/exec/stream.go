package exec

import (
	"context"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// limited skips rows and ends early.
type limited struct {
	stream
	skip, left int64   // left < 0: no limit
	found      *uint64 // counts all rows of the input, if set
}

// input goes to the next row of the input and counts it.
func (l *limited) input() bool {
	ok := l.stream.Next()
	if ok && l.found != nil {
		*l.found++
	}
	return ok
}

func (l *limited) Next() bool {
	for ; l.skip > 0; l.skip-- {
		if !l.input() {
			return false
		}
	}
	if l.left == 0 {
		for l.found != nil && l.input() {
		}
		return false
	}
	if l.left > 0 {
		l.left--
	}
	return l.input()
}

// stripped drops the columns that were added for merging.
type stripped struct {
	stream
	hidden int
}

func (s *stripped) Columns() []wire.Column {
	cols := s.stream.Columns()
	return cols[:max(0, len(cols)-s.hidden)]
}

func (s *stripped) Raw() []byte { return nil }

func (s *stripped) Values() [][]byte {
	v := s.stream.Values()
	return v[:max(0, len(v)-s.hidden)]
}

// buffered is rows in memory.
type buffered struct {
	cols []wire.Column
	rows [][][]byte
	at   int // the row after the current
	ok   wire.OK
}

func (b *buffered) Columns() []wire.Column { return b.cols }
func (b *buffered) Next() bool             { b.at++; return b.at <= len(b.rows) }
func (b *buffered) Raw() []byte            { return nil }
func (b *buffered) Values() [][]byte       { return b.rows[b.at-1] }
func (b *buffered) Err() error             { return nil }
func (b *buffered) OK() wire.OK            { return b.ok }
func (b *buffered) Close() error           { return nil }

// dedup passes the first of equal rows.
type dedup struct {
	stream
	run  *run
	keys []keyCompare
	seen map[string]bool
	buf  []byte
	err  error
}

// openDedup starts the removal of equal rows.
func (r *run) openDedup(ctx context.Context, d *plan.Dedup) (stream, error) {
	in, err := r.open(ctx, d.Input)
	if err != nil {
		return nil, err
	}
	keys, _, err := comparers(d.Keys, in.Columns(), true)
	if err != nil {
		return nil, closing(in, err)
	}
	return &dedup{stream: in, run: r, keys: keys, seen: map[string]bool{}}, nil
}

func (d *dedup) Next() bool {
	for d.err == nil && d.stream.Next() {
		d.buf = appendIdentity(d.buf[:0], d.stream.Values(), d.keys)
		if d.seen[string(d.buf)] {
			continue
		}
		// A map entry costs about 48 bytes besides its key.
		if d.err = d.run.held.add(1, len(d.buf)+48); d.err != nil {
			return false
		}
		d.seen[string(d.buf)] = true
		return true
	}
	return false
}

func (d *dedup) Err() error {
	if d.err != nil {
		return d.err
	}
	return d.stream.Err()
}

// closing closes a stream after an error, which stays the one reported.
func closing(st stream, err error) error {
	if cerr := st.Close(); cerr != nil && err == nil {
		return cerr
	}
	return err
}
