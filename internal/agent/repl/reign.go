package repl

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
)

const (
	// releaseAfter is how long making a server read-only may wait behind commits that nobody acknowledges, before they are
	// let go: their clients have been cut off by then.
	releaseAfter = 2 * time.Second
	// fenceTime bounds the fence of a healthy primary, which takes milliseconds.
	fenceTime = 10 * time.Second
	// killTime bounds taking back a statement that did not come through.
	killTime = 5 * time.Second
)

// Reign is what a primary needs to know of its reign.
type Reign struct {
	Term  uint64
	Alias string
	// Database is the keyspace's; it is made if it is not there.
	Database string
	// SemiSync says whether commits wait for an acknowledgement.
	SemiSync bool
}

// Demoted is what a primary leaves behind.
type Demoted struct {
	// Position is final as long as PreparedXA is zero.
	Position   string
	PreparedXA int
}

// Reigns says whether the server already is the open primary of a term.
func (r *Repl) Reigns(ctx context.Context, term uint64) (bool, error) {
	st, err := r.state(ctx)
	if err != nil {
		return false, err
	}
	if st.ReadOnly == nil || *st.ReadOnly || is(st.OfflineMode) {
		return false, nil
	}
	if _, configured, err := r.status(ctx); err != nil || configured {
		return false, err
	}
	reign, err := r.lastReign(ctx)
	return reign == term, err
}

func (r *Repl) lastReign(ctx context.Context) (uint64, error) {
	res, err := r.db.Query(ctx, "SELECT MAX(term) FROM "+flavor.Sidecar+".reign")
	if err != nil {
		return 0, fmt.Errorf("read the last reign: %w", err)
	}
	v := res.Text(0, 0)
	if v == "" {
		return 0, nil
	}
	term, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the last reign: %w", err)
	}
	return term, nil
}

// Promote makes the server a primary of the reign that is still closed to applications: it stops the receiver, applies all
// that was received, drops the source, and writes the reign as its first transaction. From then on commits wait for an
// acknowledgement if they must. What it has done is not done again, so it may be repeated.
//
// The reign itself is written before commits wait, because replicas are pointed here only afterwards; nothing but the
// reign and an empty database can be lost by that.
func (r *Repl) Promote(ctx context.Context, reign Reign) (position string, err error) {
	last, err := r.lastReign(ctx)
	if err != nil {
		return "", err
	}
	if last > reign.Term {
		return "", fmt.Errorf("the server has seen the reign of term %d, so it cannot be promoted for term %d: %w", last, reign.Term, ErrRefused)
	}
	if err := r.dropSource(ctx); err != nil {
		return "", err
	}
	if last < reign.Term {
		if _, err := r.setSides(ctx, false, false); err != nil {
			return "", err
		}
		if err := r.writeReign(ctx, reign); err != nil {
			return "", err
		}
	}
	if _, err := r.setSides(ctx, reign.SemiSync, false); err != nil {
		return "", err
	}
	st, err := r.state(ctx)
	if err != nil {
		return "", err
	}
	return text(st.Executed), nil
}

// dropSource makes a replica a server without a source, once it has applied all that it received.
func (r *Repl) dropSource(ctx context.Context) error {
	rs, configured, err := r.status(ctx)
	if err != nil || !configured {
		return err
	}
	if err := r.db.Exec(ctx, r.fl.StopReceiver()); err != nil {
		return fmt.Errorf("stop the receiver: %w", err)
	}
	if text(rs.Applier) == "No" && num(rs.LastSQLErrno) == 0 {
		if err := r.db.Exec(ctx, r.fl.StartApplier()); err != nil {
			return fmt.Errorf("start the applier: %w", err)
		}
	}
	if err := r.waitApplied(ctx); err != nil {
		return fmt.Errorf("apply what was received before the promotion: %w", err)
	}
	if err := r.db.Exec(ctx, r.fl.Promote()...); err != nil {
		return fmt.Errorf("drop the source: %w", err)
	}
	return nil
}

// writeReign writes as the administrator, to whom a read-only server is open once MySQL's stricter lock is off.
func (r *Repl) writeReign(ctx context.Context, reign Reign) error {
	return r.db.Session(ctx, func(c *dba.Conn) error {
		if r.fl.Has(flavor.SuperReadOnly) {
			if err := c.Exec(ctx, "SET GLOBAL super_read_only=OFF"); err != nil {
				return fmt.Errorf("write the reign: %w", err)
			}
		}
		err := c.Exec(ctx, fmt.Sprintf("REPLACE INTO %s.reign (term, alias, started_at) VALUES (%d, %s, UTC_TIMESTAMP(6))",
			flavor.Sidecar, reign.Term, value.String(reign.Alias)))
		if err != nil {
			return fmt.Errorf("write the reign: %w", err)
		}
		there, err := c.Query(ctx, "SELECT 1 FROM information_schema.schemata WHERE schema_name = "+value.String(reign.Database), 1)
		if err != nil {
			return fmt.Errorf("look for the keyspace's database: %w", err)
		}
		if len(there.Rows) > 0 {
			return nil
		}
		if err := c.Exec(ctx, "CREATE DATABASE "+value.Ident(reign.Database)+" DEFAULT CHARACTER SET utf8mb4"); err != nil {
			return fmt.Errorf("make the keyspace's database: %w", err)
		}
		return nil
	})
}

// Open lets applications in to a server that was promoted.
func (r *Repl) Open(ctx context.Context) error {
	if err := r.db.Exec(ctx, r.fl.Open()...); err != nil {
		return fmt.Errorf("open the server: %w", err)
	}
	return nil
}

// AdjustSemiSync follows a change of policy on an open primary. Commits wait from now on if that is wanted and a replica is
// there to acknowledge them. They stop waiting only if never says that nobody wants it: turning semi-sync off answers
// those that wait now, which the mere loss of replicas must not do.
func (r *Repl) AdjustSemiSync(ctx context.Context, want, never bool) (changed bool, err error) {
	family, st, err := r.semiSync(ctx)
	if err != nil || family == nil || st.SourceEnabled == nil || *st.SourceEnabled == want {
		return false, err
	}
	if !want {
		if !never {
			return false, nil
		}
		return true, wrap("turn semi-sync off", r.db.Exec(ctx, family.DisableSource()...))
	}
	// Replicas count as soon as they are connected with their side on, even before the source's side is on.
	res, err := r.db.Query(ctx, r.fl.SemiSyncStatusQuery())
	if err != nil {
		return false, fmt.Errorf("read the state of semi-sync: %w", err)
	}
	if family.ParseSemiSync(nil, res.Pairs()).HasAckers(1) != fact.True {
		return false, nil
	}
	return true, wrap("turn semi-sync on", r.db.Exec(ctx, family.EnableSource(1)...))
}

// CutClients ends the sessions of applications. On MySQL they cannot come back before Open or Follow.
func (r *Repl) CutClients(ctx context.Context) error {
	if err := r.db.Exec(ctx, r.fl.CutClients(r.apps)...); err != nil {
		return fmt.Errorf("cut off clients: %w", err)
	}
	return nil
}

// Fence makes an open server read-only, whatever it takes: applications are cut off first, and if commits that nobody
// acknowledges are in the way, they are let go after that. No client is told OK for them, but their rows are then
// visible here and may be nowhere else.
func (r *Repl) Fence(ctx context.Context) error {
	st, err := r.state(ctx)
	if err != nil || closed(st) {
		return err
	}
	return r.fence(ctx, true)
}

// Demote ends a reign: applications that have a transaction open get the drain time to finish it, then all are cut off and
// the server is read-only. If commits wait for an acknowledgement that does not come, it fails with ErrTimeout, and
// the server is left without clients, but not read-only.
func (r *Repl) Demote(ctx context.Context, drain time.Duration) (Demoted, error) {
	var out Demoted
	st, err := r.state(ctx)
	if err != nil {
		return out, err
	}
	if !closed(st) {
		if drain > 0 {
			if err := r.drain(ctx, drain); err != nil {
				return out, err
			}
		}
		bounded, cancel := context.WithTimeout(ctx, fenceTime)
		defer cancel()
		if err := r.fenceGently(bounded); err != nil {
			return out, err
		}
	}
	xa, err := r.db.Query(ctx, r.fl.PreparedXAQuery())
	if err != nil {
		return out, fmt.Errorf("look for prepared transactions: %w", err)
	}
	if st, err = r.state(ctx); err != nil {
		return out, err
	}
	if st.Executed == nil {
		return out, errors.New("the server does not say its position")
	}
	return Demoted{Position: *st.Executed, PreparedXA: len(xa.Rows)}, nil
}

// drain waits until no application has a transaction open, or the time is over: then they are cut off all the same.
func (r *Repl) drain(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	query := "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id IN (" + r.fl.SessionsQuery(r.apps) + ")"
	for {
		res, err := r.db.Query(ctx, query)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("look for open transactions: %w", err)
		}
		if err != nil || res.Text(0, 0) == "0" || sleep(ctx, poll) != nil {
			return nil
		}
	}
}

const (
	// gentleTime is how long writes that are under way get to end before their clients are cut off.
	gentleTime = time.Second
	// settleTime lets busy clients meet the refusal of their next write, so that none is under way at the cut;
	// refuseTime is how long those that are get to be refused. It is shorter than gateways wait before they try a refused
	// statement again.
	settleTime = 50 * time.Millisecond
	refuseTime = 300 * time.Millisecond
)

// fenceGently lets the statements that are under way end: the server becomes read-only first, so that writes are refused and
// not cut in the middle, where nobody could say what became of them; then the clients are cut off. If
// something holds that up, clients are cut off all the same.
func (r *Repl) fenceGently(ctx context.Context) error {
	err := r.db.Session(ctx, func(c *dba.Conn) error {
		done := start(ctx, c, r.fl.ReadOnly()[0])
		t := time.NewTimer(gentleTime)
		defer t.Stop()
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("make the server read-only: %w", err)
			}
			return r.quiet(ctx)
		case <-t.C:
		case <-ctx.Done():
		}
		kill, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
		defer cancel()
		// Killed or not, it ends: if commits without acknowledgement are in its way, the fence below ends their clients.
		err := r.db.Exec(kill, "KILL "+strconv.FormatUint(uint64(c.ID()), 10))
		if errno := dba.Errno(err); err != nil && errno != errNoSuchThread {
			return fmt.Errorf("take back what waits for writes to end: %w", err)
		}
		<-done
		return nil
	})
	if err != nil {
		return err
	}
	return r.fence(ctx, false)
}

// quiet waits until no application has a statement under way, or refuseTime is over.
func (r *Repl) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refuseTime)
	defer cancel()
	if sleep(ctx, settleTime) != nil {
		return nil
	}
	for {
		res, err := r.db.Query(ctx, r.fl.SessionsQuery(r.apps)+" AND COMMAND <> 'Sleep'")
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("look for statements under way: %w", err)
		}
		if err != nil || len(res.Rows) == 0 || sleep(ctx, poll) != nil {
			return nil
		}
	}
}

// fence runs the flavor's steps on two connections, because the step that makes the server read-only may wait for what the
// other one ends.
func (r *Repl) fence(ctx context.Context, release bool) error {
	return r.db.Session(ctx, func(c1 *dba.Conn) error {
		return r.db.Session(ctx, func(c2 *dba.Conn) error {
			var blocking <-chan error
			var blocked *dba.Conn
			free := c1
			for _, step := range r.fl.Fence(r.apps, nil, false) {
				c, other := c1, c2
				if step.Conn == 2 {
					c, other = c2, c1
				}
				if step.MayBlock {
					blocking, blocked, free = start(ctx, c, step.SQL), c, other
					continue
				}
				if err := c.Exec(ctx, step.SQL); err != nil {
					return fmt.Errorf("cut off clients: %w", err)
				}
			}
			return r.awaitReadOnly(ctx, blocking, blocked, free, release)
		})
	})
}

// start runs a statement in the background; its connection must not be used until the result is there. The end of ctx does
// not stop it, because closing the connection would leave the statement waiting in the server: it is killed instead.
func start(ctx context.Context, c *dba.Conn, sql string) <-chan error {
	done := make(chan error, 1)
	ctx = context.WithoutCancel(ctx)
	go func() { done <- c.Exec(ctx, sql) }()
	return done
}

// awaitReadOnly waits for the step that may block. If it does, commits that wait for an acknowledgement are let go, or the
// step is taken back.
func (r *Repl) awaitReadOnly(ctx context.Context, done <-chan error, blocked, free *dba.Conn, release bool) error {
	t := time.NewTimer(releaseAfter)
	defer t.Stop()
	select {
	case err := <-done:
		return wrap("make the server read-only", err)
	case <-t.C:
	case <-ctx.Done():
	}
	family, st, err := r.semiSync(ctx)
	if release && err == nil && family != nil && is(st.SourceEnabled) {
		r.log.Warn("commits_released", "reason", "the server must be read-only and nobody acknowledges them; their clients were cut off")
		if err := free.Exec(ctx, family.DisableSource()...); err != nil {
			return fmt.Errorf("let unacknowledged commits go: %w", err)
		}
	}
	select {
	case err := <-done:
		return wrap("make the server read-only", err)
	case <-ctx.Done():
	}
	kill, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTime)
	defer cancel()
	err = r.db.Exec(kill, "KILL "+strconv.FormatUint(uint64(blocked.ID()), 10))
	<-done
	if errno := dba.Errno(err); err != nil && errno != errNoSuchThread {
		return fmt.Errorf("making the server read-only waits for writes or commits that do not end, and could not be taken back: %w", err)
	}
	return fmt.Errorf("making the server read-only waited for writes, or commits without acknowledgement, that did not end; it was taken back: %w", ErrTimeout)
}

// errNoSuchThread is the servers' error for KILL of a connection that is gone.
const errNoSuchThread = 1094

func wrap(doing string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// WaitPosition waits until the server has applied a position. It returns where the server is.
func (r *Repl) WaitPosition(ctx context.Context, position string, timeout time.Duration) (reached bool, at string, err error) {
	want, err := gtid.Parse(r.fl.Family(), position)
	if err != nil {
		return false, "", fmt.Errorf("wait for a position: %w: %w", ErrInvalid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, max(timeout, poll)+time.Second)
	defer cancel()
	_, replica, err := r.status(ctx)
	if err != nil {
		return false, "", err
	}
	if replica || !r.fl.IsMariaDB() {
		err := r.db.Session(ctx, func(c *dba.Conn) error {
			res, err := c.Query(ctx, r.fl.WaitPosition(position, timeout), 1)
			if err != nil {
				return err
			}
			_, err = r.fl.Waited(res.Text(0, 0))
			return err
		})
		if err != nil {
			return false, "", fmt.Errorf("wait for position %s: %w", position, err)
		}
	}
	// The server's own answer is no proof on MariaDB, which looks at numbers only; so the position is compared in full.
	st, err := r.state(ctx)
	if err != nil {
		return false, "", err
	}
	have, err := gtid.Parse(r.fl.Family(), text(st.Executed))
	if err != nil {
		return false, "", fmt.Errorf("read the server's position: %w", err)
	}
	switch gtid.Compare(have, want) {
	case gtid.Equal, gtid.Ahead:
		return true, text(st.Executed), nil
	case gtid.Diverged:
		if !r.fl.IsMariaDB() {
			return false, text(st.Executed), nil
		}
		return false, text(st.Executed), fmt.Errorf("the server at %s has another history than %s: %w", text(st.Executed), position, ErrRefused)
	}
	return false, text(st.Executed), nil
}
