package exec

import (
	"context"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// bulk writes the rows of a large statement batch by batch, all or nothing, so that no more than one batch is in memory
// in any other form than the statement's own text.
func (n *inserting) bulk(ctx context.Context, sink Sink) (total wire.OK, err error) {
	if err := n.reserve(ctx); err != nil {
		return wire.OK{}, err
	}
	columns, before := n.columns, 0
	err = n.run.atomic(ctx, true, func() error {
		for _, span := range n.op.Bulk {
			n.columns = columns
			if err := n.load(span, before); err != nil {
				return err
			}
			before += len(n.rows)
			ok, err := n.send(ctx, sink)
			if err != nil {
				return err
			}
			total = addOK(total, ok)
		}
		return nil
	})
	return total, err
}

// load makes a batch the rows at hand. before is how many rows came before it.
func (n *inserting) load(span parse.Span, before int) (err error) {
	if n.rows, err = plan.BulkRows(n.run.in.Src, span, n.run.s.Mode()); err != nil {
		return err
	}
	for i, row := range n.rows {
		if len(n.op.Columns) > 0 && len(row) != len(n.op.Columns) {
			return errcode.New(errcode.ColumnCount, before+i+1)
		}
	}
	return nil
}

// reserve takes the values of the table's sequence for all batches at once, because clients count on from the first.
func (n *inserting) reserve(ctx context.Context) error {
	auto := n.op.Table.AutoIncrement
	if auto == nil {
		return nil
	}
	at, missing, before := n.column(auto.Column), int64(0), 0
	for _, span := range n.op.Bulk {
		if err := n.load(span, before); err != nil {
			return err
		}
		for i, row := range n.rows {
			if at >= len(row) {
				return errcode.New(errcode.ColumnCount, before+i+1)
			}
			needs := at < 0
			if !needs {
				var err error
				if needs, err = n.generates(row[at]); err != nil {
					return err
				}
			}
			if needs {
				missing++
			}
		}
		before += len(n.rows)
	}
	if missing == 0 {
		return nil
	}
	var err error
	n.reserved, err = n.run.s.Sequence(ctx, auto.Sequence, missing)
	return err
}
