package backend

import (
	"context"
	"errors"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// Statement is one statement's run, and what its executor sees of the session: exec.Session.
type Statement struct {
	b    *Backend
	snap *target.Snapshot
	plan *plan.Plan
	// InsertID is what LAST_INSERT_ID() is after the statement, 0 if that does not change.
	InsertID uint64
	// Found is what FOUND_ROWS() is after the statement, if HasFound.
	Found    uint64
	HasFound bool
	// Warnings are those of the shards, guarded by the backend's partMu while the statement runs.
	Warnings []Warning
}

// Snapshot is the topology under which the statement runs.
func (r *Statement) Snapshot() *target.Snapshot { return r.snap }

// Statement begins a statement's run under a snapshot of the topology.
func (b *Backend) Statement(snap *target.Snapshot) *Statement { return &Statement{b: b, snap: snap} }

var _ exec.Session = (*Statement)(nil)

func (r *Statement) shard(ref exec.ShardRef) (*target.Shard, error) {
	ks := r.snap.Keyspaces[ref.Keyspace]
	if ks == nil {
		return nil, errcode.New(errcode.NoSuchKeyspace, ref.Keyspace)
	}
	sh := ks.Shard(ref.Shard)
	if sh == nil {
		return nil, errcode.New(errcode.NoSuchShard, ref.Keyspace, ref.Shard)
	}
	return sh, nil
}

// Shards returns the serving shards of a keyspace, sorted by range; the forced one alone after USE ks:shard.
func (r *Statement) Shards(keyspace string) ([]vschema.ShardInfo, error) {
	ks := r.snap.Keyspaces[keyspace]
	if ks == nil {
		return nil, errcode.New(errcode.NoSuchKeyspace, keyspace)
	}
	if len(ks.Shards) == 0 {
		return nil, errcode.New(errcode.KeyspaceIncomplete, keyspace, "any key")
	}
	infos := make([]vschema.ShardInfo, 0, len(ks.Shards))
	for _, sh := range ks.Shards {
		if forced := r.b.Route.Scope.Shard; forced != "" && forced != sh.Name {
			continue
		}
		infos = append(infos, vschema.ShardInfo{Name: sh.Name, Range: sh.Range})
	}
	if len(infos) == 0 {
		return nil, errcode.New(errcode.NoSuchShard, keyspace, r.b.Route.Scope.Shard)
	}
	return infos, nil
}

// Query runs one statement on one shard. Different shards may be asked at the same time.
func (r *Statement) Query(ctx context.Context, ref exec.ShardRef, q exec.Query) (exec.Rows, error) {
	sh, err := r.shard(ref)
	if err != nil {
		return nil, err
	}
	b := r.b
	b.partMu.Lock()
	active := b.Tx.Active()
	b.partMu.Unlock()
	waiting, end := b.waitingWithin(ctx)
	defer end()
	if !active {
		ep, err := b.Route.Endpoint(waiting, sh, q.Write || q.Lock)
		if err != nil {
			return nil, b.orInterrupted(err)
		}
		return r.alone(ctx, waiting, sh, ep, q)
	}
	if err := b.MayWrite(sh, q.Write); err != nil {
		return nil, err
	}
	p, err := b.Part(waiting, sh, q.Write || q.Lock)
	if err != nil {
		return nil, err
	}
	if err := b.BeginOn(ctx, p); err != nil {
		return nil, r.lost(p, err)
	}
	b.track(p.Conn, true)
	began := time.Now()
	rows, err := p.Conn.QueryBytes(ctx, q.SQL)
	if err != nil {
		b.track(p.Conn, false)
		return nil, r.lost(p, err)
	}
	return &shardRows{Rows: rows, b: b, conn: p.Conn, done: func(err error) {
		b.track(p.Conn, false)
		if err != nil {
			_ = r.lost(p, err)
			return
		}
		b.partMu.Lock()
		defer b.partMu.Unlock()
		ok := rows.OK()
		p.begun, p.unsure = ok.Status&wire.StatusInTrans != 0, false
		if q.Write {
			b.Wrote(p, Written{Plan: r.plan, SQL: q.SQL, Began: began, OK: ok, Rows: len(rows.Columns()) > 0})
		}
		if ok.Warnings > 0 {
			r.Warnings = b.Warnings(p.Conn, r.Warnings)
		}
	}}, nil
}

// alone runs a statement outside a transaction, on a connection of its own for as long as its rows are read. What it waits
// for but the answer it waits for no longer than waiting.
func (r *Statement) alone(ctx, waiting context.Context, sh *target.Shard, ep *target.Endpoint, q exec.Query) (exec.Rows, error) {
	b := r.b
	var held route.Holding
	for attempt := 0; ; attempt++ {
		c, err := ep.Pool.Get(waiting, b.Class, b.Settings)
		if err != nil {
			if next, ok := b.HoldUnreachable(waiting, &held, sh, ep, err); ok {
				ep = next
				continue
			}
			return nil, held.Or(b.Unserved(ep, err))
		}
		c.KillHard.Store(q.Write && b.cfg.MariaDB)
		b.track(c, true)
		rows, err := c.QueryBytes(ctx, q.SQL)
		if err == nil {
			return &shardRows{Rows: rows, b: b, conn: c, done: func(err error) { r.aloneDone(sh, c, rows.OK(), err) }}, nil
		}
		var my *wire.MySQLError
		if errors.As(err, &my) {
			b.release(c)
			return nil, err
		}
		b.track(c, false)
		c.Discard()
		if q.Write {
			return nil, errcode.New(errcode.OutcomeUnknownClose)
		}
		if ctx.Err() != nil || b.Interrupted() != nil {
			return nil, errcode.Wrap(errcode.ServerLost, err, ep.Addr)
		}
		if attempt == 0 {
			continue
		}
		next, ok := b.Route.Hold(waiting, &held, sh, ep)
		if !ok {
			return nil, held.Or(errcode.Wrap(errcode.ServerLost, err, ep.Addr))
		}
		ep = next
	}
}

// aloneDone ends the loan of a connection to one statement outside a transaction. A transaction that the statement, a
// procedure's call, left open becomes the session'b.
func (r *Statement) aloneDone(sh *target.Shard, c *pool.Conn, ok wire.OK, err error) {
	b := r.b
	var my *wire.MySQLError
	if err != nil {
		if !errors.As(err, &my) {
			c.Discard()
		}
		b.release(c)
		return
	}
	b.partMu.Lock()
	defer b.partMu.Unlock()
	if ok.Warnings > 0 {
		r.Warnings = b.Warnings(c, r.Warnings)
	}
	if ok.Status&wire.StatusInTrans != 0 {
		b.track(c, false)
		b.Tx.parts = append(b.Tx.parts, handedOver(sh, c))
		return
	}
	b.release(c)
}

// On runs f on the session's connection to a shard: the transaction's, or one for this statement alone when there is none.
// replay are the statements that f runs, for the redo of a transaction that writes; the last of them is the one of pl, whose ids
// and counts f returns. Warnings are f's business.
func (r *Statement) On(sh *target.Shard, pl *plan.Plan, q exec.Query, replay [][]byte, f func(context.Context, *pool.Conn) (wire.OK, error)) (wire.OK, error) {
	b := r.b
	r.plan = pl
	if err := b.MayWrite(sh, q.Write); err != nil {
		return wire.OK{}, err
	}
	if !b.Tx.Active() {
		ep, err := b.Route.Endpoint(b.Waiting(), sh, q.Write || q.Lock)
		if err != nil {
			return wire.OK{}, b.orInterrupted(err)
		}
		c, err := b.Get(ep)
		if err != nil {
			return wire.OK{}, b.Unserved(ep, err)
		}
		c.KillHard.Store(q.Write && b.cfg.MariaDB)
		b.track(c, true)
		ok, err := f(b.ctx, c)
		r.aloneDone(sh, c, wire.OK{Status: ok.Status}, err)
		return ok, err
	}
	p, err := b.Part(b.Waiting(), sh, q.Write || q.Lock)
	if err != nil {
		return wire.OK{}, err
	}
	if err := b.BeginOn(b.ctx, p); err != nil {
		return wire.OK{}, r.lost(p, err)
	}
	b.track(p.Conn, true)
	began := time.Now()
	ok, err := f(b.ctx, p.Conn)
	b.track(p.Conn, false)
	if err != nil {
		return ok, r.lost(p, err)
	}
	if q.Write {
		last := len(replay) - 1
		for _, sql := range replay[:last] {
			b.Wrote(p, Written{SQL: sql, Began: began})
		}
		b.Wrote(p, Written{Plan: r.plan, SQL: replay[last], Began: began, OK: ok})
	}
	b.After(p, ok.Status, false, 0)
	return ok, nil
}

// lost notes an error on a transaction's connection that ends the transaction there.
func (r *Statement) lost(p *Part, err error) error {
	var my *wire.MySQLError
	isMy := errors.As(err, &my)
	r.b.partMu.Lock()
	defer r.b.partMu.Unlock()
	if isMy && !endsTransaction(my.Errno) {
		r.b.failedIn(p)
		return err
	}
	if isMy {
		p.ended()
	} else {
		r.b.Drop(p)
		err = errcode.Wrap(errcode.TxnRolledBack, err, "lost the connection to the server at "+p.server.Addr())
	}
	r.b.lost = true
	return err
}

// Recover ends the transaction if a server has ended its part of it.
func (b *Backend) Recover() {
	if b.lost {
		b.lost = false
		b.Rollback()
	}
	b.Settle()
}

const stmtSavepoint = "SAVEPOINT pelorus_stmt"

// EnterTxn makes what follows all or nothing over the shards, until exit is called. Inside an open transaction a
// failed statement is taken back to where it began.
func (r *Statement) EnterTxn(ctx context.Context) (func(error) error, error) {
	b := r.b
	if b.Tx.implicit > 0 {
		return func(err error) error { return err }, nil
	}
	if b.Tx.explicit || !b.Tx.Autocommit {
		return r.enterStatement(ctx)
	}
	b.Tx.implicit++
	return func(err error) error {
		b.Tx.implicit--
		if err != nil {
			b.lost = false
			b.Rollback()
			return err
		}
		return b.Commit()
	}, nil
}

func (r *Statement) enterStatement(ctx context.Context) (func(error) error, error) {
	b := r.b
	before := map[*Part]int{}
	for _, p := range b.Tx.parts {
		if !p.live() {
			continue
		}
		if _, err := p.Conn.Exec(ctx, stmtSavepoint); err != nil {
			return nil, r.lost(p, err)
		}
		before[p] = len(p.redo)
	}
	return func(err error) error {
		if err == nil || b.lost {
			return err
		}
		for _, p := range b.Tx.parts {
			if !p.live() {
				continue
			}
			n, was := before[p]
			q := "ROLLBACK"
			if was {
				q = "ROLLBACK TO pelorus_stmt"
			}
			if _, rerr := p.Conn.Exec(ctx, q); rerr != nil {
				b.lost = true
				return err
			}
			if was {
				p.redo = p.redo[:n]
			} else {
				p.ended()
			}
		}
		return err
	}, nil
}

// Autonomous runs a statement outside the transaction.
func (r *Statement) Autonomous(ctx context.Context, ref exec.ShardRef, q exec.Query) (exec.Rows, error) {
	sh, err := r.shard(ref)
	if err != nil {
		return nil, err
	}
	waiting, end := r.b.waitingWithin(ctx)
	defer end()
	ep, err := r.b.Route.Primary(waiting, sh)
	if err != nil {
		return nil, r.b.orInterrupted(err)
	}
	c, err := ep.Pool.Get(waiting, r.b.Class, nil)
	if err != nil {
		return nil, r.b.Unserved(ep, err)
	}
	rows, err := c.QueryBytes(ctx, q.SQL)
	if err != nil {
		var my *wire.MySQLError
		if errors.As(err, &my) {
			c.Release()
		} else {
			c.Discard()
		}
		return nil, err
	}
	return &shardRows{Rows: rows, b: r.b, conn: c, done: func(err error) {
		var my *wire.MySQLError
		if err != nil && !errors.As(err, &my) {
			c.Discard()
		}
		c.Release()
	}}, nil
}

// Sequence reserves n values of a sequence.
func (r *Statement) Sequence(ctx context.Context, seq *vschema.Table, n int64) (int64, error) {
	return r.b.cfg.Sequences.Next(ctx, r, seq, n)
}

// SetInsertID says what LAST_INSERT_ID() is after the statement.
func (r *Statement) SetInsertID(id uint64) { r.InsertID = id }

// SetFoundRows says what FOUND_ROWS() is after the statement.
func (r *Statement) SetFoundRows(n uint64) { r.Found, r.HasFound = n, true }

// Note adds a note to the statement's warnings.
func (r *Statement) Note(code uint16, text string) {
	r.Warnings = append(r.Warnings, Warning{Level: "Note", Code: code, Text: text})
}

// Mode returns the session's lexical mode.
func (r *Statement) Mode() parse.Mode { return r.b.Mode }

// MaySee says whether the session's user may know of a keyspace's tables.
func (r *Statement) MaySee(keyspace string) bool { return r.b.Visible == nil || r.b.Visible(keyspace) }

// Limits returns the session's limits.
func (r *Statement) Limits() exec.Limits {
	l := r.b.cfg.Merge
	l.Reserve = r.b.Grow
	return l
}

// MariaDB says which family the servers are of.
func (r *Statement) MariaDB() bool { return r.b.cfg.MariaDB }

// shardRows gives the connection back when the rows were read.
type shardRows struct {
	*client.Rows
	b      *Backend
	conn   *pool.Conn
	done   func(error)
	closed bool
}

// Close drains the result and ends the loan of its connection.
func (r *shardRows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	if r.b.gone.Load() {
		// Nobody reads what is left, which may be much: the server notices when its connection closes.
		_ = r.conn.Kill()
	}
	err := r.Rows.Close()
	if e := r.Rows.Err(); e != nil {
		err = e
	}
	r.done(err)
	return err
}
