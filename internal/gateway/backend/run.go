package backend

import (
	"errors"

	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// Run runs a plan of either kind and hands its rows to a sink. After exec.ErrSpread nothing was done: the statement has to be
// planned without its constants.
func (r *Statement) Run(p *plan.Plan, sql []byte, slots []parse.Slot, sink exec.Sink) (wire.OK, error) {
	ctx := r.b.ctx
	r.plan = p
	if p.Fast == nil {
		return exec.Run(ctx, p, exec.Input{Src: sql, Slots: slots}, r, sink)
	}
	sh, err := r.b.Route.Find(r.snap, p.Fast, sql, slots, nil)
	if errors.Is(err, route.ErrNotFast) {
		return exec.Run(ctx, p, exec.Input{Src: sql, Slots: slots}, r, sink)
	}
	if err != nil {
		return wire.OK{}, err
	}
	if p.Fast.Rewrite != nil {
		sql = p.Fast.Rewrite.Append(nil, sql, slots)
	}
	rows, err := r.Query(ctx, exec.ShardRef{Keyspace: sh.Keyspace.Name, Shard: sh.Name}, exec.Query{SQL: sql, Write: p.Writes()})
	if err != nil {
		return wire.OK{}, err
	}
	defer rows.Close()
	if err := CopyResults(rows, sink); err != nil {
		return wire.OK{}, err
	}
	if err := rows.Close(); err != nil {
		return wire.OK{}, err
	}
	return rows.OK(), nil
}

// CopyResults hands an answer's rows to a sink, those of all its results if the sink takes several.
func CopyResults(rows exec.Rows, sink exec.Sink) error {
	several, ok := rows.(interface{ NextResult() bool })
	into, takes := sink.(interface{ NextResult(wire.OK) error })
	for {
		if cols := rows.Columns(); len(cols) > 0 {
			if err := sink.Columns(cols); err != nil {
				return err
			}
		}
		for rows.Next() {
			if err := sink.RawRow(rows.Raw()); err != nil {
				return err
			}
		}
		end := rows.OK()
		if !ok || !takes || end.Status&wire.StatusMoreResults == 0 {
			return nil
		}
		if !several.NextResult() {
			return nil // an error, which Close returns
		}
		if err := into.NextResult(end); err != nil {
			return err
		}
	}
}
