package exec

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// compute has a server compute the expressions whose values decide the shard of a row, and writes the results into the
// rows in their place: UUID() must give the row the value that it is placed by.
func (n *inserting) compute(ctx context.Context) error {
	type spot struct{ row, at int }
	var spots []spot
	fill := plan.Filling{Src: n.run.in.Src, Slots: n.run.in.Slots}
	sql := []byte("SELECT ")
	for _, cv := range n.op.Table.ColumnVindexes {
		for _, c := range cv.Columns {
			at := n.column(c)
			for i, row := range n.rows {
				if at < 0 || at >= len(row) || !row[at].Alone {
					continue
				}
				if len(spots) > 0 {
					sql = append(sql, ", "...)
				}
				sql = row[at].Text.Fill(sql, fill)
				spots = append(spots, spot{i, at})
				n.rows[i] = append([]plan.InsertValue(nil), row...)
				n.rows[i][at].Alone = false
			}
		}
	}
	if len(spots) == 0 {
		return nil
	}
	rows, err := n.run.s.Query(ctx, ShardRef{n.op.Table.Keyspace.Name, n.shards[0].Name}, Query{SQL: sql})
	if err != nil {
		return err
	}
	sink := &rowsOnly{n: n}
	err = copyRows(rows, sink)
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	if err != nil || len(sink.rows) != 1 || len(sink.rows[0]) != len(spots) {
		return err
	}
	for i, s := range spots {
		n.rows[s.row][s.at] = sink.rows[0][i]
	}
	return nil
}

// copyRows hands an answer's rows to a sink.
func copyRows(rows Rows, sink Sink) error {
	if err := sink.Columns(rows.Columns()); err != nil {
		return err
	}
	for rows.Next() {
		if err := sink.Row(rows.Values()); err != nil {
			return err
		}
	}
	return rows.Err()
}

// asStored is the integer that a column of integers keeps of a value that is none; ok is false when there is none.
func asStored(v vindex.Value) (out vindex.Value, ok bool) {
	text := string(v.Raw)
	switch v.Kind {
	case vindex.Decimal: // rounded half away from zero
		whole, fraction, _ := strings.Cut(strings.TrimLeft(text, "+-"), ".")
		n, err := strconv.ParseUint("0"+whole, 10, 63)
		if err != nil {
			return v, false
		}
		if fraction != "" && fraction[0] >= '5' {
			n++
		}
		if n > math.MaxInt64 {
			return v, false
		}
		return integer(int64(n), strings.HasPrefix(text, "-")), true
	case vindex.Float:
		f, err := strconv.ParseFloat(text, 64)
		f = math.RoundToEven(f)
		const exact = 1 << 53 // beyond, not every integer is a float
		if err != nil || math.Abs(f) > exact {
			return v, false
		}
		return integer(int64(math.Abs(f)), f < 0), true
	case vindex.HexLiteral, vindex.BitLiteral:
		n, ok := vindex.LiteralNumber(v)
		return vindex.Value{Kind: vindex.Uint, Raw: strconv.AppendUint(nil, n, 10)}, ok
	}
	return v, false
}

func integer(n int64, negative bool) vindex.Value {
	if negative {
		n = -n
	}
	return vindex.Value{Kind: vindex.Int, Raw: strconv.AppendInt(nil, n, 10)}
}
