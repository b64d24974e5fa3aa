// Package backend is a session's side towards the servers: the connections that it holds, its transaction over the shards,
// the statements that an executor runs for it, and what it takes to end one of them from outside.
//
// It does not know the client's protocol, parses no statements and makes no plans. It opens no connections itself (package
// pool does) and does not finish what a dead gateway left (the agents do).
package backend

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/budget"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// Config is the same for all sessions of a gateway. Immutable.
type Config struct {
	Targets      *target.Watcher
	Sequences    *exec.Sequences
	Committer    *txn.Committer
	Merge        exec.Limits // what a statement over several shards may hold
	MaxRedoBytes int         // statements kept for the redo of one transaction
	Memory       *budget.Budget
	Queue        *route.Queue  // of the statements that wait for a primary; nil: no bounds
	WaitPrimary  time.Duration // how long a statement waits for a shard that has no primary
	MariaDB      bool          // the family of the servers
	Log          *slog.Logger
}

// Backend is one session's side towards the servers. Its methods are called by the session's goroutine, but for Kill and
// Abandon. The exported fields belong to the session, which changes them between statements.
type Backend struct {
	Route    route.Router
	Class    pool.Class
	Settings *pool.Settings
	Mode     parse.Mode
	Tx       Txn
	Visible  func(keyspace string) bool // what the user may know of; nil: everything
	Memory   budget.Account             // what the session holds of the gateway's memory

	cfg   *Config
	ctx   context.Context
	kept  []*pool.Conn // by Keep, once for each call
	taken atomic.Int64 // of Memory, until the command ends
	pause atomic.Pointer[pause]

	partMu sync.Mutex // guards Tx.parts while an executor works on several shards at once
	lost   bool       // a server ended the transaction in the middle of a statement

	runMu   sync.Mutex
	running map[*pool.Conn]bool       // connections on which the executor works for this session; true: a kill is on its way
	cur     atomic.Pointer[pool.Conn] // the connection whose answer is being forwarded
	watch   atomic.Uint64             // grows whenever cur begins or ceases to be waited for
	gone    atomic.Bool               // nobody reads the rows any more
	buf     []byte                    // small encode buffer
}

// pause is what the running statement waits by when it waits for anything but a server's answer.
type pause struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// New makes the backend of a session. ctx bounds its life; id is any number that differs between sessions.
func New(ctx context.Context, cfg *Config, id uint32, scope *route.Scope) *Backend {
	b := &Backend{cfg: cfg, ctx: ctx, Route: route.Router{Targets: cfg.Targets, WaitPrimary: cfg.WaitPrimary, Spread: id, Scope: scope, Queue: cfg.Queue},
		Memory: cfg.Memory.Account()}
	b.renew()
	return b
}

func (b *Backend) renew() {
	ctx, cancel := context.WithCancelCause(b.ctx)
	b.pause.Store(&pause{ctx, cancel})
}

// Begin is called before each command of some bytes: a kill of the one before is forgotten.
func (b *Backend) Begin(bytes int) {
	b.Route.Bytes = bytes
	if b.pause.Load().ctx.Err() != nil && b.ctx.Err() == nil {
		b.renew()
	}
}

// End is called after each command: it gives back the memory that was claimed for it.
func (b *Backend) End() {
	if n := b.taken.Load(); n > 0 {
		b.taken.Store(0)
		b.Memory.Release(int(n))
	}
}

// Claim takes n bytes of the gateway's memory until the command ends, and waits for them if need be.
func (b *Backend) Claim(n int) error {
	err := b.Memory.Claim(n)
	if err == nil {
		b.taken.Add(int64(n))
	}
	return err
}

// Grow is Claim without waiting, for needs that grow step by step.
func (b *Backend) Grow(n int) error {
	err := b.Memory.Grow(n)
	if err == nil {
		b.taken.Add(int64(n))
	}
	return err
}

// Uses says whether the running statement has a connection of the pool. Safe for any goroutine.
func (b *Backend) Uses(p *pool.Pool) bool {
	if c := b.cur.Load(); c != nil && c.Pool() == p {
		return true
	}
	b.runMu.Lock()
	defer b.runMu.Unlock()
	for c := range b.running {
		if c.Pool() == p {
			return true
		}
	}
	return false
}

// Waiting returns the context of what the running statement waits for, other than a server's answer: a place in a pool, a
// primary. Kill ends it.
func (b *Backend) Waiting() context.Context { return b.pause.Load().ctx }

// waitingWithin is Waiting that ends with ctx too.
func (b *Backend) waitingWithin(ctx context.Context) (context.Context, func()) {
	if ctx == b.ctx {
		return b.Waiting(), func() {}
	}
	w, cancel := context.WithCancelCause(b.Waiting())
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return w, func() { stop(); cancel(nil) }
}

// Interrupted returns the reason that Kill gave for ending the running statement, nil if it was not called.
func (b *Backend) Interrupted() error {
	w := b.Waiting()
	if w.Err() == nil {
		return nil
	}
	cause := context.Cause(w)
	if _, ok := errcode.Of(cause); ok {
		return cause
	}
	return errcode.New(errcode.Killed)
}

// Kill ends the running statement wherever it is: waiting for a connection or a primary, or on servers. why is what the
// client is told. A COMMIT under way is left alone. Safe for any goroutine.
func (b *Backend) Kill(why error) {
	b.pause.Load().cancel(why)
	watch := b.watch.Load()
	if c := b.cur.Load(); c != nil {
		hard := c.KillHard.Load()
		if b.cur.CompareAndSwap(c, nil) { // from now on the session does not give the connection to others
			go b.strike(c, hard, func() bool { return b.watch.Load() == watch })
		}
	}
	b.runMu.Lock()
	for c, struck := range b.running {
		if !struck {
			b.running[c] = true
			go b.strike(c, c.KillHard.Load(), func() bool { return b.isStruck(c) })
		}
	}
	b.runMu.Unlock()
}

// Abandon says that nobody reads the rows any more: what is left of them is not fetched. Safe for any goroutine.
func (b *Backend) Abandon() { b.gone.Store(true) }

// strike ends the statement that runs on the connection. A kill that reaches the server before the statement does is
// lost, so it is sent again while the session still waits there.
func (b *Backend) strike(c *pool.Conn, hard bool, waits func() bool) {
	const strikes, enough = 10, 5 * time.Second // together: for about as long as the statement may be on its way
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), enough)
	defer cancel()
	again := time.NewTicker(enough / strikes)
	defer again.Stop()
	for {
		if err := c.Pool().Kill(ctx, c.ConnectionID(), hard); err != nil {
			b.cfg.Log.Warn("can't kill a statement on its server", "server", c.Pool().Addr(), "error", err)
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if !waits() {
			return
		}
	}
}

// isStruck says whether the executor still works on a connection that Kill has struck.
func (b *Backend) isStruck(c *pool.Conn) bool {
	b.runMu.Lock()
	defer b.runMu.Unlock()
	return b.running[c]
}

// Watch says that the session waits for an answer on c, so that Kill reaches it. It watches one connection at a time.
func (b *Backend) Watch(c *pool.Conn) {
	b.watch.Add(1)
	b.cur.Store(c)
}

// Unwatch ends Watch. When a kill is on its way to c the connection must not be given to others: it might hit their
// statement.
func (b *Backend) Unwatch(c *pool.Conn) (struck bool) {
	b.watch.Add(1)
	return !b.cur.CompareAndSwap(c, nil)
}

// track publishes the connections that Kill has to reach. When it takes one back it says whether a kill is on its way
// to it.
func (b *Backend) track(c *pool.Conn, on bool) (struck bool) {
	b.runMu.Lock()
	defer b.runMu.Unlock()
	if on {
		if b.running == nil {
			b.running = map[*pool.Conn]bool{}
		}
		b.running[c] = false
		return false
	}
	struck = b.running[c]
	delete(b.running, c)
	return struck
}

// release gives a connection back that was tracked. One that a kill is on its way to is closed: the kill must not hit
// another session's statement.
func (b *Backend) release(c *pool.Conn) {
	if b.track(c, false) {
		c.Discard()
		return
	}
	c.Release()
}

// Endpoint chooses the server of a shard for the session's statement, and waits for a primary if there is none.
func (b *Backend) Endpoint(sh *target.Shard, write bool) (*target.Endpoint, error) {
	ep, err := b.Route.Endpoint(b.Waiting(), sh, write)
	if err != nil {
		return nil, b.orInterrupted(err)
	}
	return ep, nil
}

// Get returns a connection of the server with the session's settings, for one statement.
func (b *Backend) Get(ep *target.Endpoint) (*pool.Conn, error) {
	return ep.Pool.Get(b.Waiting(), b.Class, b.Settings)
}

// HoldUnreachable is Hold for a server to which Get failed with err. It returns false for an error that waiting does not cure.
func (b *Backend) HoldUnreachable(waiting context.Context, h *route.Holding, sh *target.Shard, ep *target.Endpoint, err error) (*target.Endpoint, bool) {
	if !route.Unreachable(err) {
		return nil, false
	}
	return b.Route.Hold(waiting, h, sh, ep)
}

// Unserved is the client's error when Get failed with err.
func (b *Backend) Unserved(ep *target.Endpoint, err error) error {
	if why := b.Interrupted(); why != nil {
		return why
	}
	if _, ok := errors.AsType[*wire.MySQLError](err); ok {
		return err
	}
	if errors.Is(err, pool.ErrExhausted) {
		return errcode.New(errcode.PoolExhausted, ep.Alias, ep.Pool.Max())
	}
	return errcode.Wrap(errcode.ServerUnreachable, err, ep.Alias+" ("+ep.Addr+")")
}

// Lost is a connection lost while a statement was under way on it.
type Lost struct {
	Sent bool // the statement may have reached the server
	Err  error
}

func (e *Lost) Error() string { return "connection to the server was lost: " + e.Err.Error() }
func (e *Lost) Unwrap() error { return e.Err }

// OnFresh runs f on a connection with the session's settings, to the session's keyspace or to any that serves. It is
// never one of the transaction's, and what f leaves open is rolled back.
func (b *Backend) OnFresh(f func(context.Context, *pool.Conn) error) error {
	sh, err := b.Route.AnyShard(b.cfg.Targets.Current())
	if err != nil {
		return err
	}
	ep, err := b.Route.Endpoint(b.Waiting(), sh, false)
	if err != nil {
		return b.orInterrupted(err)
	}
	c, err := b.Get(ep)
	if err != nil {
		return b.Unserved(ep, err)
	}
	b.track(c, true)
	err = f(b.ctx, c)
	if !c.Broken() && (c.Status()&wire.StatusInTrans != 0 || !b.Tx.Autocommit) {
		if _, rerr := c.Exec(b.ctx, "ROLLBACK"); rerr != nil {
			c.Discard()
		}
	}
	b.release(c)
	return err
}

// orInterrupted is the reason of a kill, if there was one, in place of the error that it caused.
func (b *Backend) orInterrupted(err error) error {
	if why := b.Interrupted(); why != nil {
		return why
	}
	return err
}

// QueryAll reads a small result, and no more than limit rows of it.
func QueryAll(ctx context.Context, c *pool.Conn, sql string, limit int) ([]wire.Column, [][][]byte, error) {
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	cols := append([]wire.Column(nil), rows.Columns()...)
	var out [][][]byte
	for rows.Next() {
		if len(out) >= limit {
			continue
		}
		vals := rows.Values()
		row := make([][]byte, len(vals))
		for i, v := range vals {
			if v != nil {
				row[i] = append([]byte{}, v...)
			}
		}
		out = append(out, row)
	}
	if err := rows.Close(); err != nil {
		return nil, nil, err
	}
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	return cols, out, nil
}

// Warning is one row of SHOW WARNINGS.
type Warning struct {
	Level string
	Code  uint16
	Text  string
}

// MaxWarnings is how many warnings are kept of one statement, as max_error_count.
const MaxWarnings = 1024

// Warnings adds the warnings of the connection's last statement to others, up to MaxWarnings.
func (b *Backend) Warnings(c *pool.Conn, to []Warning) []Warning {
	rows, err := c.Query(b.ctx, "SHOW WARNINGS")
	if err != nil {
		c.Dirty = true
		return to
	}
	defer rows.Close()
	for rows.Next() && len(to) < MaxWarnings {
		v := rows.Values()
		if len(v) < 3 {
			break
		}
		code, _ := strconv.ParseUint(string(v[1]), 10, 16) // 0 for what is no number
		to = append(to, Warning{string(v[0]), uint16(code), string(v[2])})
	}
	return to
}
