package session

import (
	"errors"

	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// runPlan runs a plan of either kind and hands its rows to a sink.
func (s *Session) runPlan(r *runner, p *plan.Plan, sql []byte, slots []parse.Slot, sink exec.Sink) (wire.OK, error) {
	if p.Fast == nil {
		return s.runTree(r, p, sql, slots, sink)
	}
	sh, err := s.resolveFast(r.snap, p.Fast, sql, slots, nil)
	if errors.Is(err, errNotFast) {
		return s.runTree(r, p, sql, slots, sink)
	}
	if err != nil {
		return wire.OK{}, err
	}
	if p.Fast.Rewrite != nil {
		sql = p.Fast.Rewrite.Append(nil, sql, slots)
	}
	rows, err := r.Query(s.ctx, exec.ShardRef{Keyspace: sh.Keyspace.Name, Shard: sh.Name}, exec.Query{SQL: sql, Write: writes(p)})
	if err != nil {
		return wire.OK{}, err
	}
	defer rows.Close()
	if err := copyResults(rows, sink); err != nil {
		return wire.OK{}, err
	}
	if err := rows.Close(); err != nil {
		return wire.OK{}, err
	}
	return rows.OK(), nil
}

// runTree runs a plan through the executor. A statement whose value may be on any shard is planned again, without its
// constants.
func (s *Session) runTree(r *runner, p *plan.Plan, sql []byte, slots []parse.Slot, sink exec.Sink) (wire.OK, error) {
	ok, err := exec.Run(s.ctx, p, exec.Input{Src: sql, Slots: slots}, r, sink)
	if !errors.Is(err, exec.ErrSpread) {
		return ok, err
	}
	stmt, err := parse.Parse(sql, s.mode)
	if err != nil {
		return wire.OK{}, err
	}
	env := s.env(r.snap)
	env.Unbound = true
	if p, err = plan.Build(sql, slots, stmt, env); err != nil {
		return wire.OK{}, err
	}
	return s.runPlan(r, p, sql, slots, sink)
}

// copyResults hands an answer's rows to a sink, those of all its results if the sink takes several.
func copyResults(rows exec.Rows, sink exec.Sink) error {
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
