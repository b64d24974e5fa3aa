package session

import (
	"context"
	"errors"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// runner is what one statement's executor sees of its session: exec.Session.
type runner struct {
	s        *Session
	snap     *target.Snapshot
	insertID uint64
	// found is what FOUND_ROWS() is after the statement, if hasFound.
	found    uint64
	hasFound bool
	// warnings are those of the shards, guarded by the session's partMu.
	warnings []warning
}

var _ exec.Session = (*runner)(nil)

func (r *runner) shard(ref exec.ShardRef) (*target.Shard, error) {
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
func (r *runner) Shards(keyspace string) ([]vschema.ShardInfo, error) {
	ks := r.snap.Keyspaces[keyspace]
	if ks == nil {
		return nil, errcode.New(errcode.NoSuchKeyspace, keyspace)
	}
	if len(ks.Shards) == 0 {
		return nil, errcode.New(errcode.KeyspaceIncomplete, keyspace, "any key")
	}
	infos := make([]vschema.ShardInfo, 0, len(ks.Shards))
	for _, sh := range ks.Shards {
		if forced := r.s.scope.Shard; forced != "" && forced != sh.Name {
			continue
		}
		infos = append(infos, vschema.ShardInfo{Name: sh.Name, Range: sh.Range})
	}
	if len(infos) == 0 {
		return nil, errcode.New(errcode.NoSuchShard, keyspace, r.s.scope.Shard)
	}
	return infos, nil
}

// Query runs one statement on one shard. Different shards may be asked at the same time.
func (r *runner) Query(ctx context.Context, ref exec.ShardRef, q exec.Query) (exec.Rows, error) {
	sh, err := r.shard(ref)
	if err != nil {
		return nil, err
	}
	s := r.s
	s.partMu.Lock()
	active := s.tx.active()
	s.partMu.Unlock()
	if !active {
		ep, err := s.endpoint(sh, q.Write || q.Lock)
		if err != nil {
			return nil, err
		}
		return r.alone(ctx, sh, ep, q)
	}
	if err := s.mayWrite(sh, q.Write); err != nil {
		return nil, err
	}
	p, err := s.part(ctx, sh, q.Write || q.Lock)
	if err != nil {
		return nil, err
	}
	if err := s.beginOn(ctx, p); err != nil {
		return nil, r.lost(p, err)
	}
	s.track(p.conn, true)
	rows, err := p.conn.QueryBytes(ctx, q.SQL)
	if err != nil {
		s.track(p.conn, false)
		return nil, r.lost(p, err)
	}
	return &shardRows{Rows: rows, s: s, conn: p.conn, done: func(err error) {
		s.track(p.conn, false)
		if err != nil {
			_ = r.lost(p, err)
			return
		}
		s.partMu.Lock()
		defer s.partMu.Unlock()
		ok := rows.OK()
		p.begun, p.unsure = ok.Status&wire.StatusInTrans != 0, false
		if q.Write {
			p.wrote = true
			s.record(p, q.SQL, ok.InsertID)
		}
		if ok.Warnings > 0 {
			r.warnings = s.fetchWarnings(p.conn, r.warnings)
		}
	}}, nil
}

// alone runs a statement outside a transaction, on a connection of its own for as long as its rows are read.
func (r *runner) alone(ctx context.Context, sh *target.Shard, ep *target.Endpoint, q exec.Query) (exec.Rows, error) {
	s := r.s
	var held holding
	for attempt := 0; ; attempt++ {
		c, err := ep.Pool.Get(ctx, s.class, s.settings)
		if err != nil {
			if next, ok := s.holdUnreachable(&held, sh, ep, err); ok && ctx.Err() == nil {
				ep = next
				continue
			}
			return nil, s.serverError(ep, err)
		}
		c.KillHard.Store(q.Write && s.sh.MariaDB)
		s.track(c, true)
		rows, err := c.QueryBytes(ctx, q.SQL)
		if err == nil {
			return &shardRows{Rows: rows, s: s, conn: c, done: func(err error) { r.aloneDone(sh, c, rows.OK(), err) }}, nil
		}
		var my *wire.MySQLError
		if errors.As(err, &my) {
			s.release(c)
			return nil, err
		}
		s.track(c, false)
		c.Discard()
		if q.Write {
			return nil, errcode.New(errcode.OutcomeUnknownClose)
		}
		if ctx.Err() != nil || s.killed.Load() {
			return nil, errcode.Wrap(errcode.ServerLost, err, ep.Addr)
		}
		if attempt == 0 {
			continue
		}
		next, ok := s.hold(&held, sh, ep)
		if !ok {
			return nil, errcode.Wrap(errcode.ServerLost, err, ep.Addr)
		}
		ep = next
	}
}

// aloneDone ends the loan of a connection to one statement outside a transaction. A transaction that the statement, a
// procedure's call, left open becomes the session's.
func (r *runner) aloneDone(sh *target.Shard, c *pool.Conn, ok wire.OK, err error) {
	s := r.s
	var my *wire.MySQLError
	if err != nil {
		if !errors.As(err, &my) {
			c.Discard()
		}
		s.release(c)
		return
	}
	s.partMu.Lock()
	defer s.partMu.Unlock()
	if ok.Warnings > 0 {
		r.warnings = s.fetchWarnings(c, r.warnings)
	}
	if ok.Status&wire.StatusInTrans != 0 {
		s.track(c, false)
		s.tx.parts = append(s.tx.parts, &part{shard: sh, server: c.Pool(), conn: c, begun: true, wrote: true})
		return
	}
	s.release(c)
}

// lost notes an error on a transaction's connection that ends the transaction there.
func (r *runner) lost(p *part, err error) error {
	var my *wire.MySQLError
	isMy := errors.As(err, &my)
	r.s.partMu.Lock()
	defer r.s.partMu.Unlock()
	if isMy && !endsTransaction(my.Errno) {
		r.s.failedIn(p)
		return err
	}
	if isMy {
		p.ended()
	} else {
		r.s.dropPart(p)
		err = errcode.Wrap(errcode.TxnRolledBack, err, "lost the connection to the server at "+p.server.Addr())
	}
	r.s.txLost = true
	return err
}

// afterExecError ends the transaction if a server has ended its part of it.
func (s *Session) afterExecError() {
	if s.txLost {
		s.txLost = false
		s.rollbackAll()
	}
	s.settle()
}

// track publishes the connections that Kill has to reach. When it takes one back it says whether a kill is on its way
// to it.
func (s *Session) track(c *pool.Conn, on bool) (struck bool) {
	s.runMu.Lock()
	defer s.runMu.Unlock()
	if on {
		if s.running == nil {
			s.running = map[*pool.Conn]bool{}
		}
		s.running[c] = false
		return false
	}
	struck = s.running[c]
	delete(s.running, c)
	return struck
}

// release gives a connection back that was tracked. One that a kill is on its way to is closed: the kill must not hit
// another session's statement.
func (s *Session) release(c *pool.Conn) {
	if s.track(c, false) {
		c.Discard()
		return
	}
	c.Release()
}

const stmtSavepoint = "SAVEPOINT pelorus_stmt"

// EnterTxn makes what follows all or nothing over the shards, until exit is called. Inside an open transaction a
// failed statement is taken back to where it began.
func (r *runner) EnterTxn(ctx context.Context) (func(error) error, error) {
	s := r.s
	if s.tx.implicit > 0 {
		return func(err error) error { return err }, nil
	}
	if s.tx.explicit || !s.tx.autocommit {
		return r.enterStatement(ctx)
	}
	s.tx.implicit++
	return func(err error) error {
		s.tx.implicit--
		if err != nil {
			s.txLost = false
			s.rollbackAll()
			return err
		}
		return s.commit()
	}, nil
}

func (r *runner) enterStatement(ctx context.Context) (func(error) error, error) {
	s := r.s
	before := map[*part]int{}
	for _, p := range s.tx.parts {
		if !p.live() {
			continue
		}
		if _, err := p.conn.Exec(ctx, stmtSavepoint); err != nil {
			return nil, r.lost(p, err)
		}
		before[p] = len(p.redo)
	}
	return func(err error) error {
		if err == nil || s.txLost {
			return err
		}
		for _, p := range s.tx.parts {
			if !p.live() {
				continue
			}
			n, was := before[p]
			q := "ROLLBACK"
			if was {
				q = "ROLLBACK TO pelorus_stmt"
			}
			if _, rerr := p.conn.Exec(ctx, q); rerr != nil {
				s.txLost = true
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
func (r *runner) Autonomous(ctx context.Context, ref exec.ShardRef, q exec.Query) (exec.Rows, error) {
	sh, err := r.shard(ref)
	if err != nil {
		return nil, err
	}
	ep := sh.Primary
	if ep == nil {
		if ep, err = r.s.waitPrimary(sh); err != nil {
			return nil, err
		}
	}
	c, err := ep.Pool.Get(ctx, r.s.class, nil)
	if err != nil {
		return nil, r.s.serverError(ep, err)
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
	return &shardRows{Rows: rows, s: r.s, conn: c, done: func(err error) {
		var my *wire.MySQLError
		if err != nil && !errors.As(err, &my) {
			c.Discard()
		}
		c.Release()
	}}, nil
}

// Sequence reserves n values of a sequence.
func (r *runner) Sequence(ctx context.Context, seq *vschema.Table, n int64) (int64, error) {
	return r.s.sh.Sequences.Next(ctx, r, seq, n)
}

// SetInsertID says what LAST_INSERT_ID() is after the statement.
func (r *runner) SetInsertID(id uint64) { r.insertID = id }

// SetFoundRows says what FOUND_ROWS() is after the statement.
func (r *runner) SetFoundRows(n uint64) { r.found, r.hasFound = n, true }

// AddWarnings is told how many warnings the shards had.
func (r *runner) AddWarnings(uint16) {}

// Mode returns the session's lexical mode.
func (r *runner) Mode() parse.Mode { return r.s.mode }

// Limits returns the session's limits.
func (r *runner) Limits() exec.Limits {
	return exec.Limits{MaxRows: r.s.sh.Limits.MaxRows, MaxBytes: r.s.sh.Limits.MaxBytes}
}

// MariaDB says which family the servers are of.
func (r *runner) MariaDB() bool { return r.s.sh.MariaDB }

// shardRows gives the connection back when the rows were read.
type shardRows struct {
	*client.Rows
	s      *Session
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
	if r.s.gone.Load() {
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
