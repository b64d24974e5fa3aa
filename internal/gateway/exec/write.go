package exec

import (
	"context"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// write runs a statement that changes rows on its shards, all or nothing.
func (r *run) write(ctx context.Context, route *plan.Route, sink Sink) (wire.OK, error) {
	targets, err := r.targets(ctx, route, 0)
	for i := 0; i < len(route.Copies) && err == nil; i++ {
		var more []target
		more, err = r.targets(ctx, route.Copies[i], 0)
		targets = append(targets, more...)
	}
	if err != nil {
		return wire.OK{}, err
	}
	var oks []wire.OK
	if err = r.atomic(ctx, len(targets) > 1, func() error {
		oks, err = r.execAll(ctx, targets, sink)
		return err
	}); err != nil {
		return wire.OK{}, err
	}
	if route.FirstOK {
		return oks[0], nil
	}
	return sumOK(oks), nil
}

func sumOK(oks []wire.OK) wire.OK {
	var out wire.OK
	for _, ok := range oks {
		out = addOK(out, ok)
	}
	return out
}

// atomic runs f within a transaction when it writes in more than one place.
func (r *run) atomic(ctx context.Context, several bool, f func() error) error {
	if !several {
		return f()
	}
	exit, err := r.s.EnterTxn(ctx)
	if err != nil {
		return err
	}
	return exit(f())
}

// change updates or deletes rows of a table that owns lookup vindexes.
func (r *run) change(ctx context.Context, c *plan.Change) (ok wire.OK, err error) {
	err = r.atomic(ctx, true, func() error {
		// The shards are found first: the lookup rows that lead to them may be gone afterwards.
		targets, err := r.targets(ctx, c.Route, 0)
		if err != nil {
			return err
		}
		if err := r.keepLookups(ctx, c); err != nil {
			return err
		}
		oks, err := r.execAll(ctx, targets, nil)
		ok = sumOK(oks)
		return err
	})
	return ok, err
}

// keepLookups reads and locks the rows that a change concerns, and changes their lookup rows.
func (r *run) keepLookups(ctx context.Context, c *plan.Change) error {
	read := *c.Route
	read.Text, read.Write, read.Lock, read.Split = c.Read, false, true, false
	gone := make([][]lookupRow, len(c.Owned))
	added := make([][]lookupRow, len(c.Owned))
	in, err := r.openRoute(ctx, &read, 0)
	if err != nil {
		return err
	}
	for in.Next() {
		row, err := r.held.keep(in.Values())
		if err != nil {
			return closing(in, errcode.New(errcode.WriteRowLimit, r.s.Limits().MaxRows))
		}
		if err := r.noteLookups(c, in.Columns(), row, gone, added); err != nil {
			return closing(in, err)
		}
	}
	if err := closing(in, in.Err()); err != nil {
		return err
	}
	for i, o := range c.Owned {
		lc := &lookupChange{run: r, lk: o.Vindex, table: o.Table}
		if err := lc.delete(ctx, gone[i]); err != nil {
			return err
		}
		if err := lc.insert(ctx, added[i]); err != nil {
			return err
		}
	}
	return nil
}

// noteLookups takes the old and new lookup rows of one row.
func (r *run) noteLookups(c *plan.Change, cols []wire.Column, row [][]byte, gone, added [][]lookupRow) error {
	values := make([]vindex.Value, len(row))
	for i := range row {
		values[i] = columnValue(&cols[i], row[i])
	}
	d, err := mapFunctional(c.Table.ColumnVindexes[0].Vindex, values[:c.KeyCols])
	if err != nil {
		return errcode.Wrap(errcode.VindexValue, err, quoted(values[:c.KeyCols]), c.Table.ColumnVindexes[0].Name)
	}
	if d.Kind != vindex.DestID {
		return errcode.New(errcode.NoShardForValue, c.Table.Name, quoted(values[:c.KeyCols]), c.Table.ColumnVindexes[0].Columns[0])
	}
	at := c.KeyCols
	for i, o := range c.Owned {
		n := len(o.Columns)
		old := lookupRow{values: values[at : at+n], id: d.ID}
		at += n
		if c.Delete {
			gone[i] = append(gone[i], old)
			continue
		}
		now := lookupRow{values: values[at : at+n], id: d.ID}
		at += n
		if !sameValues(old.values, now.values) {
			gone[i] = append(gone[i], old)
			added[i] = append(added[i], now)
		}
	}
	return nil
}

func sameValues(a, b []vindex.Value) bool {
	for i := range a {
		if a[i].Kind != b[i].Kind || string(a[i].Raw) != string(b[i].Raw) {
			return false
		}
	}
	return true
}

// columnValue is a value of a row as a vindex takes it.
func columnValue(c *wire.Column, v []byte) vindex.Value {
	if v == nil {
		return vindex.Value{Kind: vindex.Null}
	}
	out := vindex.Value{Kind: vindex.Text, Raw: v}
	switch t := typeOf(c); t.Kind() {
	case value.KindInt, value.KindYear:
		out.Kind = vindex.Int
	case value.KindUint:
		out.Kind = vindex.Uint
	case value.KindDecimal:
		out.Kind = vindex.Decimal
	case value.KindFloat, value.KindDouble:
		out.Kind = vindex.Float
	case value.KindBytes, value.KindBit:
		out.Kind = vindex.Binary
	}
	return out
}
