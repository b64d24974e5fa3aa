// Package exec runs the plans that are more than one statement for one shard: it finds the shards of values, asks them
// concurrently, and merges, groups, limits and finishes their answers; it splits writes by shard and keeps lookup
// rows and sequences.
//
// It holds no connections and no transaction: those are the session's, behind the interface Session. It does not
// decide how a statement is run (package sql/plan does), and it does not hold more rows than the session's Limits.
package exec

import (
	"context"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// ShardRef names a shard.
type ShardRef struct{ Keyspace, Shard string }

// Query is one statement for one shard.
type Query struct {
	SQL     []byte
	Write   bool // changes rows
	Lock    bool // locks rows without changing them: only the primary will do, inside a transaction
	MaxRows int  // the caller reads no more rows than this; 0: all
}

// Limits bound what one statement may hold in the gateway.
type Limits struct {
	MaxRows  int // rows that are sorted, grouped or compared
	MaxBytes int // bytes of such rows
	// Reserve takes bytes of the gateway's memory until the statement ends; nil: there is always enough.
	Reserve func(bytes int) error
}

// Session is what the executor needs of the client's session: its transaction, settings and connections.
type Session interface {
	// Shards returns the serving shards of a keyspace, sorted by range.
	Shards(keyspace string) ([]vschema.ShardInfo, error)
	// Query runs a statement within the session's open transaction (begun on that shard as needed), or on its own
	// when there is none. Different shards may be asked concurrently; one shard only when its last Rows are closed.
	Query(ctx context.Context, sh ShardRef, q Query) (Rows, error)
	// EnterTxn makes what follows all or nothing over the shards, until exit is called with the outcome.
	EnterTxn(ctx context.Context) (exit func(err error) error, err error)
	// Sequence reserves n values and returns the first.
	Sequence(ctx context.Context, seq *vschema.Table, n int64) (first int64, err error)
	// Autonomous runs a statement outside the transaction on a connection of its own.
	Autonomous(ctx context.Context, sh ShardRef, q Query) (Rows, error)
	// SetInsertID says what LAST_INSERT_ID() is after the statement.
	SetInsertID(id uint64)
	// Note adds a note to the statement's warnings.
	Note(code uint16, text string)
	Mode() parse.Mode
	Limits() Limits
	MariaDB() bool
}

// FoundRows is implemented by sessions that answer FOUND_ROWS() after SQL_CALC_FOUND_ROWS.
type FoundRows interface{ SetFoundRows(n uint64) }

// Visibility is implemented by sessions whose users may not see every keyspace.
type Visibility interface{ MaySee(keyspace string) bool }

// Rows is the answer of one shard. It must be closed; Close reads what is left.
type Rows interface {
	Columns() []wire.Column
	Next() bool
	Raw() []byte      // the row as it came, valid until the next call of Next
	Values() [][]byte // the row's values, nil for NULL, valid until the next call of Next
	Err() error
	OK() wire.OK // after the last row
	Close() error
}

// Sink takes the answer for the client.
type Sink interface {
	Columns(cols []wire.Column) error
	Row(values [][]byte) error
	RawRow(textRow []byte) error // the payload of a row of the text protocol
}

// Input is the statement at hand: one of the plan's shape.
type Input struct {
	Src    []byte
	Slots  []parse.Slot
	Params []vindex.Value
}

// run is one execution.
type run struct {
	in     Input
	s      Session
	held   held
	found  uint64 // rows without the LIMIT, when counts is set
	counts bool
}

// Run executes a plan. For a statement that returns rows the OK carries only status, warnings and info; for a write
// it carries the sums over the shards.
func Run(ctx context.Context, p *plan.Plan, in Input, s Session, sink Sink) (wire.OK, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{in: in, s: s, held: held{limits: s.Limits()}}
	ok, err := r.root(ctx, p, sink)
	if f, is := s.(FoundRows); is && err == nil && r.counts {
		f.SetFoundRows(r.found)
	}
	return ok, err
}

// root runs the plan's uppermost node.
func (r *run) root(ctx context.Context, p *plan.Plan, sink Sink) (wire.OK, error) {
	op := p.Root
	if p.Fast != nil {
		op = fastRoute(p)
	}
	switch x := op.(type) {
	case *plan.Insert:
		return r.insert(ctx, x, sink)
	case *plan.Change:
		return r.change(ctx, x)
	case *plan.Broadcast:
		return r.broadcast(ctx, x)
	case *plan.Lines:
		return lines(x, sink)
	case *plan.Note:
		r.s.Note(x.Code, x.Text)
		return wire.OK{Affected: x.Affected, Warnings: 1}, nil
	case *plan.NextValue:
		return r.nextValue(ctx, x, sink)
	case *plan.Route:
		if x.Write {
			return r.write(ctx, x, sink)
		}
	case nil:
		return wire.OK{}, errcode.New(errcode.InternalFault, "a plan has neither a shard nor a tree")
	}
	st, err := r.open(ctx, op)
	if err != nil {
		return wire.OK{}, err
	}
	return drain(st, sink)
}

// fastRoute is the route that does what a fast plan does.
func fastRoute(p *plan.Plan) *plan.Route {
	f := p.Fast
	out := &plan.Route{Keyspace: f.Keyspace, Text: f.Rewrite, Write: p.Class == plan.Write, Lock: p.Locks, Dest: plan.Dest{Kind: plan.DestAny}}
	switch {
	case f.Kind == plan.ByValue && f.Multi != nil:
		out.Dest = plan.Dest{Kind: plan.DestValue, Vindex: f.Multi, Values: f.Values, Strict: f.Strict}
	case f.Kind == plan.ByValue:
		out.Dest = plan.Dest{Kind: plan.DestValue, Vindex: f.Vindex, Values: []plan.ValueRef{f.Value}, Strict: f.Strict}
	case f.Kind == plan.Pinned:
		out.Dest = plan.Dest{Kind: plan.DestPinned, ID: f.ID}
	case f.Kind == plan.OneShard:
		out.Dest = plan.Dest{Kind: plan.DestOneShard, Shard: f.Shard}
	}
	return out
}

// lines sends text that is part of the plan.
func lines(l *plan.Lines, sink Sink) (wire.OK, error) {
	col := wire.Column{Name: l.Name, Charset: uint16(wire.CharsetUTF8MB4), Length: 1 << 16, Type: wire.TypeVarString, Decimals: 31}
	if err := sink.Columns([]wire.Column{col}); err != nil {
		return wire.OK{}, err
	}
	for _, text := range l.Text {
		if err := sink.Row([][]byte{[]byte(text)}); err != nil {
			return wire.OK{}, err
		}
	}
	return wire.OK{}, nil
}

// stream is an answer on its way up the tree.
type stream interface {
	Columns() []wire.Column
	Next() bool
	Raw() []byte // nil when the row has no form of its own on the wire
	Values() [][]byte
	Err() error
	OK() wire.OK
	Close() error
}

// open starts a node that returns rows.
func (r *run) open(ctx context.Context, op plan.Op) (stream, error) {
	switch x := op.(type) {
	case *plan.Route:
		return r.openRoute(ctx, x, 0)
	case *plan.Merge:
		return r.openMerge(ctx, x)
	case *plan.Dedup:
		return r.openDedup(ctx, x)
	case *plan.Group:
		return r.openGroup(ctx, x)
	case *plan.Sort:
		return r.openSort(ctx, x)
	case *plan.Limit:
		in, err := r.open(ctx, x.Input)
		if err != nil {
			return nil, err
		}
		l := &limited{stream: in, skip: x.Offset, left: x.Count}
		if x.CalcFound {
			l.found = &r.found
			r.counts = true
		}
		return l, nil
	case *plan.Strip:
		in, err := r.open(ctx, x.Input)
		if err != nil {
			return nil, err
		}
		return &stripped{stream: in, hidden: x.Hidden}, nil
	case *plan.Finish:
		return r.openFinish(ctx, x)
	}
	return nil, errcode.New(errcode.InternalFault, "a plan has a node that returns no rows where rows are needed")
}

// drain sends an answer to the client.
func drain(st stream, sink Sink) (ok wire.OK, err error) {
	defer func() {
		if cerr := st.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			ok = st.OK()
		}
	}()
	cols := st.Columns()
	if len(cols) > 0 {
		if err := sink.Columns(cols); err != nil {
			return wire.OK{}, err
		}
	}
	for st.Next() {
		if raw := st.Raw(); raw != nil {
			err = sink.RawRow(raw)
		} else {
			err = sink.Row(st.Values())
		}
		if err != nil {
			return wire.OK{}, err
		}
	}
	return wire.OK{}, st.Err()
}

// held counts what a statement keeps in memory.
type held struct {
	limits      Limits
	rows, bytes int
	reserved    int // of the bytes, by limits.Reserve
}

const (
	// freeBytes may be held without reserving them; so much more is reserved at a time.
	freeBytes   = 256 << 10
	reserveStep = 1 << 20
)

// keep copies a row and counts it.
func (h *held) keep(values [][]byte) ([][]byte, error) {
	n := 0
	for _, v := range values {
		n += len(v)
	}
	// A row costs a slice header of 24 bytes per value besides its bytes.
	if err := h.add(1, n+24*len(values)); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, n)
	out := make([][]byte, len(values))
	for i, v := range values {
		if v == nil {
			continue
		}
		from := len(buf)
		buf = append(buf, v...)
		out[i] = buf[from:len(buf):len(buf)]
	}
	return out, nil
}

func (h *held) add(rows, bytes int) error {
	h.rows += rows
	h.bytes += bytes
	if h.limits.MaxRows > 0 && h.rows > h.limits.MaxRows {
		return errcode.New(errcode.RowLimit, h.limits.MaxRows)
	}
	if h.limits.MaxBytes > 0 && h.bytes > h.limits.MaxBytes {
		return errcode.New(errcode.ByteLimit, h.limits.MaxBytes)
	}
	if lack := h.bytes - h.reserved; lack > freeBytes && h.limits.Reserve != nil {
		step := max(lack, reserveStep)
		if err := h.limits.Reserve(step); err != nil {
			return err
		}
		h.reserved += step
	}
	return nil
}
