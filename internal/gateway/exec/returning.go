package exec

import (
	"context"
	"slices"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// returned is what INSERT ... RETURNING gives back on several shards. It is kept until all shards have written, so that
// the client gets either rows that are committed or an error.
type returned struct {
	held    *held
	cols    []wire.Column
	answers [][][][]byte // for each target its rows
}

// collect runs the statements, one after the other, and keeps their rows.
func (b *returned) collect(ctx context.Context, r *run, targets []target) ([]wire.OK, error) {
	oks := make([]wire.OK, len(targets))
	for i := range targets {
		b.answers = append(b.answers, nil)
		ok, err := r.execAll(ctx, targets[i:i+1], b)
		if err != nil {
			return nil, err
		}
		oks[i] = ok[0]
	}
	return oks, nil
}

// Columns keeps the definitions of the columns.
func (b *returned) Columns(cols []wire.Column) error {
	if b.cols == nil {
		b.cols = slices.Clone(cols)
	}
	return nil
}

// RawRow keeps a row of the target that is being run.
func (b *returned) RawRow(raw []byte) error {
	values, err := wire.ParseTextRow(raw, make([][]byte, len(b.cols)))
	if err != nil {
		return err
	}
	return b.Row(values)
}

// Row keeps a row of the target that is being run.
func (b *returned) Row(values [][]byte) error {
	row, err := b.held.keep(values)
	if err != nil {
		return err
	}
	last := len(b.answers) - 1
	b.answers[last] = append(b.answers[last], row)
	return nil
}

// send gives the rows to the client in the order of the statement's rows, as one server does: clients take the ids of
// their objects from them. byShard lists for each shard which rows of the statement it got. Where a shard
// has returned fewer rows than it got (INSERT IGNORE), nothing tells which, and the rows come shard by shard.
func (b *returned) send(byShard [][]int, sink Sink) error {
	if err := sink.Columns(b.cols); err != nil {
		return err
	}
	type placed struct {
		at  int
		row [][]byte
	}
	var rows []placed
	ordered := true
	target := 0
	for _, at := range byShard {
		if len(at) == 0 {
			continue
		}
		answer := b.answers[target]
		target++
		ordered = ordered && len(answer) == len(at)
		for i, row := range answer {
			rows = append(rows, placed{at[min(i, len(at)-1)], row})
		}
	}
	if ordered {
		slices.SortFunc(rows, func(x, y placed) int { return x.at - y.at })
	}
	for _, p := range rows {
		if err := sink.Row(p.row); err != nil {
			return err
		}
	}
	return nil
}
