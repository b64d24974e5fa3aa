package resolve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/redo"
)

// errUndecided says that the coordinator's own transaction is in the middle of its commit.
var errUndecided = errors.New("the coordinator is committing")

// coordinatorWait is how long an abort waits for the coordinator's transaction, which may be committing.
const coordinatorWait = 2 * time.Second

// ask learns a transaction's decision from its coordinator's shard. If there is none, it makes it abort. What it returns
// lasts: it is acknowledged as far as that shard's durability goes, and the connection of an aborted
// transaction is ended on the coordinator's server.
func (r *Resolver) ask(ctx context.Context, h *head) (redo.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Times.Ask)
	defer cancel()
	c, err := r.dialShard(ctx, h.coordinator)
	if err != nil {
		return "", err
	}
	defer c.Close()
	v, err := decision(ctx, c, h.txnID)
	if err != nil {
		return "", fmt.Errorf("read the decision of %s on %s: %w", h.txnID, h.coordinator, err)
	}
	if v == "" {
		v, err = abort(ctx, c, h)
	} else if v == redo.Commit {
		err = barrier(ctx, c)
	}
	if err == nil && v == redo.Abort {
		err = endConnection(ctx, c, h)
	}
	if err != nil {
		return "", fmt.Errorf("decide %s on %s: %w", h.txnID, h.coordinator, err)
	}
	return v, nil
}

// dialShard connects to a shard's primary as applications do, so that a server that does not reign refuses writes.
func (r *Resolver) dialShard(ctx context.Context, shard string) (*client.Conn, error) {
	addr, err := r.cfg.Shards.Primary(ctx, shard)
	if err != nil {
		return nil, fmt.Errorf("find the primary of %s: %w", shard, err)
	}
	return dial(ctx, "tcp", addr, r.cfg.App, coordinatorWait)
}

func decision(ctx context.Context, c *client.Conn, txnID string) (redo.Verdict, error) {
	rows, err := query(ctx, c, redo.SelectDecision(txnID))
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return redo.Verdict(rows[0][0]), nil
}

// abort decides against the transaction, unless it was decided meanwhile.
func abort(ctx context.Context, c *client.Conn, h *head) (redo.Verdict, error) {
	_, err := c.Exec(ctx, redo.Decide(h.txnID, redo.Abort, []string{h.coordinator, h.participant}))
	switch errno(err) {
	case errDuplicate:
		v, err := decision(ctx, c, h.txnID)
		if err == nil && v == redo.Commit {
			err = barrier(ctx, c)
		}
		if err == nil && v == "" {
			err = errUndecided
		}
		return v, err
	case errLockWait, errDeadlock:
		return "", errUndecided
	}
	return redo.Abort, err
}

// barrier returns once all that the server has shown so far is acknowledged.
func barrier(ctx context.Context, c *client.Conn) error {
	for _, sql := range redo.Barrier("barrier-" + rand.Text()) {
		if _, err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("wait for earlier commits: %w", err)
		}
	}
	return nil
}

// endConnection ends the coordinator's transaction if a stopped gateway still holds it open. It can't commit any more,
// but it has its locks.
func endConnection(ctx context.Context, c *client.Conn, h *head) error {
	rows, err := query(ctx, c, redo.SelectTransaction(h.coordConnID, h.ageNow().Microseconds()))
	if err != nil {
		return fmt.Errorf("look for the coordinator's transaction: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	if err := kill(ctx, c, h.coordConnID); err != nil {
		return err
	}
	for {
		rows, err := query(ctx, c, redo.SelectSessions([]uint64{h.coordConnID}))
		if err != nil {
			return fmt.Errorf("look for the coordinator's connection: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		if !pause(ctx, gonePause) {
			return fmt.Errorf("wait for the end of the coordinator's connection: %w", ctx.Err())
		}
	}
}

// gonePause is between two looks for a connection that was killed; it goes within milliseconds.
const gonePause = 10 * time.Millisecond

// pause waits and says whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
