package session

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

// holding is a statement outside a transaction that waits for its shard to take it: while a primary hands over or is
// replaced, and at most for Limits.WaitPrimary.
type holding struct {
	until time.Time
	first string // the address that refused it first
}

// fencedError says that a server refused a write because it is read-only. Nothing happened there.
type fencedError struct{ my *wire.MySQLError }

func (e *fencedError) Error() string { return e.my.Error() }
func (e *fencedError) Unwrap() error { return e.my }

// refusedWrite says whether a server's error is that it is read-only.
func refusedWrite(my *wire.MySQLError) bool {
	return my.Errno == errnoReadOnlyMode || my.Errno == errnoOptionPrevents && strings.Contains(my.Message, "read-only")
}

// unreachable says whether a connection could not be had because its server is down, closed to clients, or going down.
func unreachable(err error) bool {
	var my *wire.MySQLError
	if errors.As(err, &my) {
		return my.Errno == errnoOfflineMode || my.Errno == errnoShutdown || my.Errno == errnoKilled
	}
	return !errors.Is(err, pool.ErrExhausted) && !errors.Is(err, context.Canceled)
}

// hold waits until it is worth trying the statement again, after ep did not take it, and returns who to try. It returns
// false when the statement has waited long enough, or is not for a primary.
func (s *Session) hold(h *holding, sh *target.Shard, ep *target.Endpoint) (*target.Endpoint, bool) {
	if s.scope.Type != "" && s.scope.Type != "primary" {
		return nil, false
	}
	if h.until.IsZero() {
		h.until, h.first = time.Now().Add(s.sh.Limits.WaitPrimary), ep.Addr
	}
	ctx, cancel := context.WithDeadline(s.ctx, h.until)
	defer cancel()
	step := fencedStep
	if ep.Addr != h.first {
		step = openingStep
	}
	timer := time.NewTimer(step)
	defer timer.Stop()
	for over := false; ; {
		changed := s.sh.Targets.Changed()
		now := s.reigning(sh)
		if now != nil && (over || now.Addr != ep.Addr) {
			return now, !s.killed.Load()
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
func (s *Session) reigning(sh *target.Shard) *target.Endpoint {
	ks := s.sh.Targets.Current().Keyspaces[sh.Keyspace.Name]
	if ks == nil {
		return nil
	}
	if now := ks.Shard(sh.Name); now != nil {
		return now.Primary
	}
	return nil
}

// holdPlan is hold for a plan over several shards, of which nothing has reached the client and nothing is left on a server.
// The caller has set h.until.
func (s *Session) holdPlan(h *holding, err error) bool {
	if e, ok := errcode.Of(err); ok {
		if e.Code() != errcode.ServerUnreachable {
			return false
		}
	} else {
		var my *wire.MySQLError
		if !errors.As(err, &my) || !refusedWrite(my) && !unreachable(my) {
			return false
		}
	}
	ctx, cancel := context.WithDeadline(s.ctx, h.until)
	defer cancel()
	timer := time.NewTimer(fencedStep)
	defer timer.Stop()
	select {
	case <-s.sh.Targets.Changed():
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return !s.killed.Load()
}
