package route

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// Server errors that tell of a change of primary.
const (
	errnoOptionPrevents = 1290 // read_only among other options
	errnoReadOnlyMode   = 1836
	errnoOfflineMode    = 3032
	errnoShutdown       = 1053
	errnoKilled         = 1927 // MariaDB's farewell on a connection that was killed
)

const (
	// fencedStep is how long a statement waits before it tries a server again that refused it, unless the topology changes
	// before. It is long against the time of a statement, so that hardly any is under way when the server cuts its
	// clients off, and longer than a connection may lie in its pool without being looked at.
	fencedStep = 500 * time.Millisecond
	// openingStep is the same for a server that reigns since and has not been opened yet.
	openingStep = 50 * time.Millisecond
)

// GoingDown tells the server errors that say good-bye: the connection is of no use any more.
func GoingDown(errno uint16) bool { return errno == errnoShutdown || errno == errnoKilled }

// ChangesPrimary tells the server errors that may come of a change of primary and not of the statement.
func ChangesPrimary(errno uint16) bool {
	return errno == errnoOptionPrevents || errno == errnoReadOnlyMode || GoingDown(errno)
}

// Holding is a statement outside a transaction that waits for its shard to take it: while a primary hands over or is
// replaced, and at most for the router's WaitPrimary. The zero value is one that has not waited yet.
type Holding struct {
	until time.Time
	first string // the address that refused it first
	full  error  // there was no place for it in the queue
}

// Or returns the error for the client when Hold returned false after err: err itself, unless too many wait already.
func (h *Holding) Or(err error) error {
	if h.full != nil {
		return h.full
	}
	return err
}

// RefusedWrite says whether a server's error is that it is read-only.
func RefusedWrite(my *wire.MySQLError) bool {
	return my.Errno == errnoReadOnlyMode || my.Errno == errnoOptionPrevents && strings.Contains(my.Message, "read-only")
}

// Unreachable says whether a connection could not be had because its server is down, closed to clients, or going down.
func Unreachable(err error) bool {
	var my *wire.MySQLError
	if errors.As(err, &my) {
		return my.Errno == errnoOfflineMode || my.Errno == errnoShutdown || my.Errno == errnoKilled
	}
	return !errors.Is(err, pool.ErrExhausted) && !errors.Is(err, context.Canceled)
}

// Hold waits until it is worth trying the statement again, after ep did not take it, and returns who to try. It returns
// false when the statement has waited long enough, is not for a primary, or ctx ended.
func (r *Router) Hold(ctx context.Context, h *Holding, sh *target.Shard, ep *target.Endpoint) (*target.Endpoint, bool) {
	if !r.Scope.Primary() {
		return nil, false
	}
	if !r.Queue.enter(r.Bytes) {
		h.full = tooMany(sh)
		return nil, false
	}
	defer r.Queue.leave(r.Bytes)
	if h.until.IsZero() {
		h.until, h.first = time.Now().Add(r.WaitPrimary), ep.Addr
	}
	ctx, cancel := context.WithDeadline(ctx, h.until)
	defer cancel()
	step := fencedStep
	if ep.Addr != h.first {
		step = openingStep
	}
	timer := time.NewTimer(step)
	defer timer.Stop()
	for over := false; ; {
		changed := r.Targets.Changed()
		now := r.reigning(sh)
		if now != nil && (over || now.Addr != ep.Addr) {
			return now, ctx.Err() == nil
		}
		select {
		case <-changed:
			// An event that leaves this shard as it is may still be the one after which its primary is open.
			over = over || ep.Addr != h.first
		case <-timer.C:
			over = true
		case <-ctx.Done():
			return nil, false
		}
	}
}

// reigning returns the primary of a shard as it is known now, nil if there is none.
func (r *Router) reigning(sh *target.Shard) *target.Endpoint {
	ks := r.Targets.Current().Keyspaces[sh.Keyspace.Name]
	if ks == nil {
		return nil
	}
	if now := ks.Shard(sh.Name); now != nil {
		return now.Primary
	}
	return nil
}

// HoldPlan is Hold for a plan over several shards that failed with err, of which nothing has reached the client and nothing
// is left on a server. It waits no longer than until.
func (r *Router) HoldPlan(ctx context.Context, until time.Time, err error) bool {
	if e, ok := errcode.Of(err); ok {
		if e.Code() != errcode.ServerUnreachable {
			return false
		}
	} else {
		var my *wire.MySQLError
		if !errors.As(err, &my) || !RefusedWrite(my) && !Unreachable(my) {
			return false
		}
	}
	if !r.Queue.enter(r.Bytes) {
		return false
	}
	defer r.Queue.leave(r.Bytes)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	timer := time.NewTimer(fencedStep)
	defer timer.Stop()
	select {
	case <-r.Targets.Changed():
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return ctx.Err() == nil
}
