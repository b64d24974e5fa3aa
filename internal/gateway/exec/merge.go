package exec

import (
	"container/heap"
	"context"
	"sort"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// merged is the rows of several shards, each ordered, as one ordered stream. It implements heap.Interface over the
// shards that have rows left.
type merged struct {
	rows   []Rows // all of them
	heads  []Rows // those with a current row, as a heap
	keys   []keyCompare
	begun  bool
	ok     wire.OK
	err    error
	closed bool
}

// openMerge asks all shards and prepares the merge.
func (r *run) openMerge(ctx context.Context, m *plan.Merge) (stream, error) {
	var plus uint64
	for {
		targets, err := r.targets(ctx, m.Input, plus)
		if err != nil {
			return nil, err
		}
		rows, err := r.openAll(ctx, targets, m.Input.Lock)
		if err != nil {
			return nil, err
		}
		keys, need, err := comparers(m.Keys, rows[0].Columns(), false)
		if err == nil && need == plus {
			return &merged{rows: rows, keys: keys}, nil
		}
		if cerr := closeAll(rows); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, err
		}
		plus = need
	}
}

func (m *merged) Columns() []wire.Column { return m.rows[0].Columns() }

// Next goes to the least row of all shards.
func (m *merged) Next() bool {
	if m.err != nil {
		return false
	}
	if !m.begun {
		m.begun = true
		for _, x := range m.rows {
			if x.Next() {
				m.heads = append(m.heads, x)
			} else if m.err = x.Err(); m.err != nil {
				return false
			}
		}
		heap.Init(m)
		return len(m.heads) > 0
	}
	if len(m.heads) == 0 {
		return false
	}
	x := m.heads[0]
	if x.Next() {
		heap.Fix(m, 0)
		return true
	}
	if m.err = x.Err(); m.err != nil {
		return false
	}
	heap.Pop(m)
	return len(m.heads) > 0
}

func (m *merged) Raw() []byte      { return m.heads[0].Raw() }
func (m *merged) Values() [][]byte { return m.heads[0].Values() }
func (m *merged) Err() error       { return m.err }
func (m *merged) OK() wire.OK      { return m.ok }

// Close reads what is left and gives the connections back.
func (m *merged) Close() error {
	if m.closed {
		return nil
	}
	m.closed = true
	err := closeAll(m.rows)
	for _, x := range m.rows {
		m.ok = addOK(m.ok, x.OK())
	}
	if m.err != nil {
		return m.err
	}
	return err
}

// Len implements heap.Interface.
func (m *merged) Len() int { return len(m.heads) }

// Less implements heap.Interface.
func (m *merged) Less(i, j int) bool {
	return compareRows(m.heads[i].Values(), m.heads[j].Values(), m.keys) < 0
}

// Swap implements heap.Interface.
func (m *merged) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }

// Push implements heap.Interface; nothing is ever pushed.
func (m *merged) Push(x any) {
	if rows, ok := x.(Rows); ok {
		m.heads = append(m.heads, rows)
	}
}

// Pop implements heap.Interface.
func (m *merged) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}

// openSort reads all rows and orders them.
func (r *run) openSort(ctx context.Context, s *plan.Sort) (stream, error) {
	in, err := r.openSorted(ctx, s.Input, s.Keys)
	if err != nil {
		return nil, err
	}
	keys, _, err := comparers(s.Keys, in.Columns(), false)
	if err != nil {
		return nil, closing(in, err)
	}
	b := &buffered{cols: in.Columns()}
	for in.Next() {
		b.rows = append(b.rows, in.Values())
	}
	err = in.Err()
	if err = closing(in, err); err != nil {
		return nil, err
	}
	b.ok = in.OK()
	sort.SliceStable(b.rows, func(i, j int) bool { return compareRows(b.rows[i], b.rows[j], keys) < 0 })
	return b, nil
}

// openSorted opens the input of a Sort, a Group whose rows it may keep; the keys that order enumerations are asked
// for as numbers.
func (r *run) openSorted(ctx context.Context, op plan.Op, keys []plan.Key) (stream, error) {
	if g, ok := op.(*plan.Group); ok {
		return r.openGroupFor(ctx, g, keys)
	}
	in, err := r.open(ctx, op)
	if err != nil {
		return nil, err
	}
	b := &buffered{cols: in.Columns()}
	for in.Next() {
		row, err := r.held.keep(in.Values())
		if err != nil {
			return nil, closing(in, err)
		}
		b.rows = append(b.rows, row)
	}
	return b, closing(in, in.Err())
}
