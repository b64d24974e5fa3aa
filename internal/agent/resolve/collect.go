package resolve

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/redo"
)

// maxOld bounds the decisions that are looked at in one go.
const maxOld = 100

type oldDecision struct {
	txnID        string
	participants []string
}

// collect forgets old decisions that no participant can ask for any more. A shard that cannot be asked keeps its own.
func (r *Resolver) collect(ctx context.Context) error {
	seconds := func(d time.Duration) int { return int(d / time.Second) }
	rows, err := r.look(ctx, redo.SelectOldDecisions(seconds(r.cfg.Times.KeepCommit), seconds(r.cfg.Times.KeepAbort), maxOld))
	if err != nil {
		return fmt.Errorf("look for old decisions: %w", err)
	}
	old := make([]oldDecision, len(rows))
	ask := map[string][]string{}
	for i, row := range rows {
		old[i] = oldDecision{row[0], strings.Split(row[2], ",")}
		for _, p := range old[i].participants[1:] {
			ask[p] = append(ask[p], row[0])
		}
	}
	clean, gone := map[string]map[string]bool{}, map[string]bool{}
	for shard, ids := range ask {
		free, err := r.without(ctx, shard, ids)
		switch {
		case errors.Is(err, ErrNoShard):
			gone[shard] = true
		case err != nil:
			r.cfg.Log.Info("decisions_kept", "shard", shard, "error", err)
		default:
			clean[shard] = free
		}
	}
	forgotten := 0
	for _, d := range old {
		if !forgettable(d.txnID, d.participants, clean, gone) {
			continue
		}
		if _, err := r.look(ctx, redo.Forget(d.txnID)); err != nil {
			return fmt.Errorf("forget the decision of %s: %w", d.txnID, err)
		}
		forgotten++
	}
	if forgotten > 0 {
		r.cfg.Log.Info("decisions_forgotten", "count", forgotten)
	}
	return nil
}

// without asks a shard's primary which transactions it has no record of; that answer lasts.
func (r *Resolver) without(ctx context.Context, shard string, ids []string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Times.Ask)
	defer cancel()
	c, err := r.dialShard(ctx, shard)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	free := make(map[string]bool, len(ids))
	for _, id := range ids {
		rows, err := query(ctx, c, redo.CountRecord(id))
		if err != nil {
			return nil, fmt.Errorf("look for the record of %s on %s: %w", id, shard, err)
		}
		if len(rows) == 1 && rows[0][0] == strconv.Itoa(0) {
			free[id] = true
		}
	}
	if err := barrier(ctx, c); err != nil {
		return nil, fmt.Errorf("ask %s: %w", shard, err)
	}
	return free, nil
}
