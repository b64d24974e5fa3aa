package exec

import (
	"context"
	"math"
	"strconv"
	"sync"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// maxSequenceCount bounds the values that one statement takes: the gateway's limit of rows in one statement.
const maxSequenceCount = 1_000_000

// Sequences hands out values of sequences from ranges that it reserved in their tables. It is safe for concurrent
// use; values are unique, not without gaps: those of a reserved range are lost when the process ends.
type Sequences struct {
	mu   sync.Mutex
	list map[string]*reserved
}

// reserved is a range of one sequence.
type reserved struct {
	mu        sync.Mutex
	next, end int64 // [next, end) may be handed out
}

// NewSequences returns an empty cache of ranges.
func NewSequences() *Sequences { return &Sequences{list: map[string]*reserved{}} }

// Next reserves n values that follow one another and returns the first. When the cached range is too small, a new
// one is reserved through s in a transaction of its own.
func (q *Sequences) Next(ctx context.Context, s Session, seq *vschema.Table, n int64) (int64, error) {
	if n < 1 || n > maxSequenceCount {
		return 0, errcode.New(errcode.SequenceCount, n, maxSequenceCount)
	}
	q.mu.Lock()
	r := q.list[seq.String()]
	if r == nil {
		r = &reserved{}
		q.list[seq.String()] = r
	}
	q.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.end-r.next < n {
		if err := r.reserve(ctx, s, seq, n); err != nil {
			return 0, err
		}
	}
	first := r.next
	r.next += n
	return first, nil
}

// maxReserveTries bounds how often a reservation is tried again because another gateway was quicker.
const maxReserveTries = 100

// reserve takes a range of at least n values from the table: the update is bound to the value that was read, so that
// two gateways never take the same range, and needs no transaction over two statements.
func (r *reserved) reserve(ctx context.Context, s Session, seq *vschema.Table, n int64) error {
	shards, err := s.Shards(seq.Keyspace.Name)
	if err != nil {
		return err
	}
	if len(shards) != 1 {
		return errcode.New(errcode.SequenceMissing, seq.String(), "its keyspace has not exactly one shard")
	}
	at := ShardRef{seq.Keyspace.Name, shards[0].Name}
	table := value.Ident(seq.Keyspace.Name) + "." + value.Ident(seq.Name)
	for range maxReserveTries {
		next, cache, err := readSequence(ctx, s, at, seq, table)
		if err != nil {
			return err
		}
		first, count := max(next, 1), max(cache, n)
		if first > math.MaxInt64-count {
			return errcode.New(errcode.SequenceExhausted, seq.String())
		}
		sql := "UPDATE " + table + " SET next_id = " + strconv.FormatInt(first+count, 10) +
			" WHERE id = 0 AND next_id = " + strconv.FormatInt(next, 10)
		rows, err := s.Autonomous(ctx, at, Query{SQL: []byte(sql), Write: true})
		if err != nil {
			return errcode.Wrap(errcode.SequenceMissing, err, seq.String(), "it cannot be written")
		}
		ok, err := finishWrite(rows, nil)
		if err != nil {
			return errcode.Wrap(errcode.SequenceMissing, err, seq.String(), "it cannot be written")
		}
		if ok.Affected == 1 {
			r.next, r.end = first, first+count
			return nil
		}
	}
	return errcode.New(errcode.SequenceMissing, seq.String(), "other gateways changed it each time that a range was to be reserved")
}

// readSequence reads the row of a sequence.
func readSequence(ctx context.Context, s Session, at ShardRef, seq *vschema.Table, table string) (next, cache int64, err error) {
	rows, err := s.Autonomous(ctx, at, Query{SQL: []byte("SELECT next_id, cache FROM " + table + " WHERE id = 0"), Write: true})
	if err != nil {
		return 0, 0, errcode.Wrap(errcode.SequenceMissing, err, seq.String(), "it cannot be read")
	}
	found := false
	for rows.Next() {
		v := rows.Values()
		var err1, err2 error
		next, err1 = strconv.ParseInt(string(v[0]), 10, 64)
		cache, err2 = strconv.ParseInt(string(v[1]), 10, 64)
		found = err1 == nil && err2 == nil && next >= 0
	}
	if err := closing(rows, rows.Err()); err != nil {
		return 0, 0, errcode.Wrap(errcode.SequenceMissing, err, seq.String(), "it cannot be read")
	}
	if !found {
		return 0, 0, errcode.New(errcode.SequenceMissing, seq.String(), "it has no row with id 0, or one with NULLs")
	}
	return next, max(cache, 1), nil
}

// nextValue answers SELECT NEXT n VALUES FROM seq.
func (r *run) nextValue(ctx context.Context, n *plan.NextValue, sink Sink) (wire.OK, error) {
	if n.Count < 1 || n.Count > maxSequenceCount {
		return wire.OK{}, errcode.New(errcode.SequenceCount, n.Count, maxSequenceCount)
	}
	first, err := r.s.Sequence(ctx, n.Sequence, n.Count)
	if err != nil {
		return wire.OK{}, err
	}
	col := wire.Column{Name: n.Name, Charset: value.BinaryID, Length: 20, Type: wire.TypeLongLong, Flags: wire.FlagNotNull}
	if err := sink.Columns([]wire.Column{col}); err != nil {
		return wire.OK{}, err
	}
	return wire.OK{}, sink.Row([][]byte{strconv.AppendInt(nil, first, 10)})
}
