package exec

import (
	"bytes"
	"context"
	"strconv"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// openGroup merges the groups of the shards.
func (r *run) openGroup(ctx context.Context, g *plan.Group) (stream, error) {
	return r.openGroupFor(ctx, g, nil)
}

// openGroupFor merges the groups of the shards, with what a Sort above needs.
func (r *run) openGroupFor(ctx context.Context, g *plan.Group, order []plan.Key) (stream, error) {
	in, err := r.openPlus(ctx, g.Input, order)
	if err != nil {
		return nil, err
	}
	keys, _, err := comparers(g.Keys, in.Columns(), true)
	if err != nil {
		return nil, closing(in, err)
	}
	gr := &grouping{run: r, op: g, cols: in.Columns(), keys: keys, groups: map[string]*group{}}
	for in.Next() {
		if err := gr.take(in.Values()); err != nil {
			return nil, closing(in, err)
		}
	}
	if err := closing(in, in.Err()); err != nil {
		return nil, err
	}
	b := &buffered{cols: gr.cols, ok: in.OK()}
	if g.Scalar && len(gr.order) == 0 {
		gr.empty()
	}
	for _, x := range gr.order {
		row, err := gr.finish(x)
		if err != nil {
			return nil, err
		}
		b.rows = append(b.rows, row)
	}
	return b, nil
}

// openPlus opens a route whose sort keys may order enumerations.
func (r *run) openPlus(ctx context.Context, op plan.Op, order []plan.Key) (stream, error) {
	route, ok := op.(*plan.Route)
	if !ok {
		return r.open(ctx, op)
	}
	in, err := r.openRoute(ctx, route, 0)
	if err != nil || len(order) == 0 {
		return in, err
	}
	_, plus, err := comparers(order, in.Columns(), false)
	if err != nil {
		return nil, closing(in, err)
	}
	if plus == 0 {
		return in, nil
	}
	if err := in.Close(); err != nil {
		return nil, err
	}
	return r.openRoute(ctx, route, plus)
}

// grouping collects the groups of one statement.
type grouping struct {
	run    *run
	op     *plan.Group
	cols   []wire.Column
	keys   []keyCompare
	groups map[string]*group
	order  []*group
	buf    []byte
}

// group is one group: the first of its rows, and what its aggregates have gathered.
type group struct {
	row  [][]byte
	accs []accumulator
}

// accumulator gathers one aggregate of one group.
type accumulator struct {
	count    int64
	bits     uint64
	sum      *value.Sum
	avg      *value.Avg
	any      bool // a value that is not NULL was met
	weight   []byte
	best     []byte
	distinct map[string]bool
}

// take adds a row of a shard to its group.
func (g *grouping) take(row [][]byte) error {
	g.buf = appendIdentity(g.buf[:0], row, g.keys)
	x := g.groups[string(g.buf)]
	if x == nil {
		kept, err := g.run.held.keep(row)
		if err != nil {
			return err
		}
		// An accumulator takes about 150 bytes.
		if err := g.run.held.add(0, len(g.buf)+150*len(g.op.Aggs)); err != nil {
			return err
		}
		x = &group{row: kept, accs: make([]accumulator, len(g.op.Aggs))}
		g.groups[string(g.buf)] = x
		g.order = append(g.order, x)
	} else {
		for i, v := range row {
			if x.row[i] == nil && v != nil {
				x.row[i] = append([]byte{}, v...)
			}
		}
	}
	for i := range g.op.Aggs {
		if err := g.add(&g.op.Aggs[i], &x.accs[i], row); err != nil {
			return err
		}
	}
	return nil
}

// empty is the one group of a statement without GROUP BY whose shards sent no row.
func (g *grouping) empty() {
	g.order = append(g.order, &group{row: make([][]byte, len(g.cols)), accs: make([]accumulator, len(g.op.Aggs))})
}

func (g *grouping) col(c plan.Column) int { return index(c, len(g.cols)) }

// add gives one row to an accumulator.
func (g *grouping) add(a *plan.Agg, acc *accumulator, row [][]byte) error {
	v := row[g.col(a.Col)]
	switch a.Kind {
	case plan.AggCountDistinct, plan.AggSumDistinct, plan.AggAvgDistinct:
		return g.addDistinct(a, acc, row)
	case plan.AggAvg:
		if acc.avg == nil {
			t := typeOf(&g.cols[g.col(a.Sum)])
			acc.avg = value.NewAvg(&t)
		}
		return acc.avg.Add(row[g.col(a.Sum)], row[g.col(a.Count)])
	}
	if v == nil {
		return nil
	}
	switch a.Kind {
	case plan.AggCount:
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return errcode.Wrap(errcode.InternalFault, err, "a shard's count is no number")
		}
		acc.count += n
	case plan.AggSum:
		if a.Sum != plan.NoColumn {
			v = row[g.col(a.Sum)]
		}
		return g.sum(a, acc, v)
	case plan.AggConcat:
		return g.concat(acc, v)
	case plan.AggMin, plan.AggMax:
		return g.addExtreme(a, acc, row)
	case plan.AggBitAnd, plan.AggBitOr, plan.AggBitXor:
		n, err := strconv.ParseUint(string(v), 10, 64)
		if err != nil {
			return errcode.New(errcode.AggregateScatter, "a bit aggregate of strings")
		}
		acc.addBits(a.Kind, n)
	}
	return nil
}

func (acc *accumulator) addBits(kind plan.AggKind, n uint64) {
	switch {
	case !acc.any:
		acc.bits = n
	case kind == plan.AggBitAnd:
		acc.bits &= n
	case kind == plan.AggBitOr:
		acc.bits |= n
	default:
		acc.bits ^= n
	}
	acc.any = true
}

// concat joins the texts of the shards.
func (g *grouping) concat(acc *accumulator, v []byte) error {
	if acc.any {
		acc.best = append(acc.best, ',')
	} else {
		acc.best = []byte{}
	}
	acc.any = true
	acc.best = append(acc.best, v...)
	return g.run.held.add(0, len(v)+1)
}

// addExtreme keeps the least or greatest value; among equals the first.
func (g *grouping) addExtreme(a *plan.Agg, acc *accumulator, row [][]byte) error {
	at := g.col(a.Col)
	k := &keyCompare{typ: typeOf(&g.cols[at])}
	v, w := row[at], row[at]
	if k.typ.Kind() == value.KindJSON {
		return errcode.New(errcode.AggregateScatter, "MIN() or MAX() of a JSON value")
	}
	if kind := k.typ.Kind(); kind == value.KindString && a.Weight != plan.NoColumn {
		w, k.raw = row[g.col(a.Weight)], true
	} else if !kind.Comparable() {
		k.raw = true
	}
	c := 0
	if acc.any {
		c = compareValues(w, acc.weight, k)
	}
	if acc.any && (a.Kind == plan.AggMin && c >= 0 || a.Kind == plan.AggMax && c <= 0) {
		return nil
	}
	acc.any = true
	acc.best, acc.weight = bytes.Clone(v), bytes.Clone(w)
	return nil
}

// addDistinct notes the arguments of an aggregate with DISTINCT.
func (g *grouping) addDistinct(a *plan.Agg, acc *accumulator, row [][]byte) error {
	keys, _, err := comparers(a.Args, g.cols, true)
	if err != nil {
		return err
	}
	for _, k := range a.Args {
		if row[g.col(k.Col)] == nil {
			return nil
		}
	}
	id := appendIdentity(nil, row, keys)
	if acc.distinct[string(id)] {
		return nil
	}
	if acc.distinct == nil {
		acc.distinct = map[string]bool{}
	}
	if err := g.run.held.add(1, len(id)+48); err != nil {
		return err
	}
	acc.distinct[string(id)] = true
	acc.count++
	if a.Kind == plan.AggCountDistinct {
		return nil
	}
	return g.sum(a, acc, row[g.col(a.Args[0].Col)])
}

// sum adds a value to a sum of the type of the aggregate's column.
func (g *grouping) sum(a *plan.Agg, acc *accumulator, v []byte) error {
	if acc.sum == nil {
		t := typeOf(&g.cols[g.col(a.Col)])
		acc.sum = value.NewSum(&t)
	}
	return acc.sum.Add(v)
}

// finish writes the aggregates of a group into its row.
func (g *grouping) finish(x *group) ([][]byte, error) {
	for i := range g.op.Aggs {
		a, acc := &g.op.Aggs[i], &x.accs[i]
		at := g.col(a.Col)
		v, err := g.result(a, acc, int(g.cols[at].Decimals))
		if err != nil {
			return nil, err
		}
		x.row[at] = v
		if w := g.weightOf(a); w >= 0 && acc.any {
			x.row[w] = acc.weight
		}
	}
	return x.row, nil
}

// result is the value of an aggregate, nil for NULL.
func (g *grouping) result(a *plan.Agg, acc *accumulator, decimals int) (out []byte, err error) {
	ok := true
	switch a.Kind {
	case plan.AggCount, plan.AggCountDistinct:
		out = strconv.AppendInt(nil, acc.count, 10)
	case plan.AggSum, plan.AggSumDistinct:
		if acc.sum == nil {
			return nil, nil
		}
		out, ok, err = acc.sum.Append(nil, decimals)
	case plan.AggAvg:
		if acc.avg == nil {
			return nil, nil
		}
		out, ok, err = acc.avg.Append(nil, decimals)
	case plan.AggAvgDistinct:
		return g.averageDistinct(acc, a, decimals)
	case plan.AggMin, plan.AggMax, plan.AggConcat:
		if acc.any {
			out = acc.best
		}
	case plan.AggBitAnd, plan.AggBitOr, plan.AggBitXor:
		if !acc.any && a.Kind == plan.AggBitAnd {
			acc.bits = ^uint64(0)
		}
		out = strconv.AppendUint(nil, acc.bits, 10)
	}
	if !ok {
		out = nil
	}
	return out, err
}

// averageDistinct divides the sum of the distinct values by their number.
func (g *grouping) averageDistinct(acc *accumulator, a *plan.Agg, decimals int) ([]byte, error) {
	if acc.sum == nil {
		return nil, nil
	}
	// All digits: the rounding is the average's.
	sum, ok, err := acc.sum.Append(nil, 31)
	if err != nil || !ok {
		return nil, err
	}
	t := typeOf(&g.cols[g.col(a.Col)])
	avg := value.NewAvg(&t)
	if err := avg.Add(sum, strconv.AppendInt(nil, acc.count, 10)); err != nil {
		return nil, err
	}
	out, ok, err := avg.Append(nil, decimals)
	if !ok {
		out = nil
	}
	return out, err
}

// weightOf is the column that keeps the weight of an extreme, for a Sort by it; -1 when it has none.
func (g *grouping) weightOf(a *plan.Agg) int {
	if a.Weight == plan.NoColumn {
		return -1
	}
	if t := typeOf(&g.cols[g.col(a.Col)]); t.Kind() != value.KindString {
		return -1
	}
	return g.col(a.Weight)
}
