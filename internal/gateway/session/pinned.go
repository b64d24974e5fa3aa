package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// values are what the session knows of itself.
func (s *Session) values() *rewrite.Values {
	v := &rewrite.Values{
		User: s.login.User, Host: s.host, Keyspace: s.scope.Keyspace, Version: s.sh.Version, ConnectionID: s.id,
		LastInsertID: s.lastInsertID, FoundRows: s.foundRows, RowCount: s.rowCount, TxnMode: s.tx.mode.String(),
		Warnings: len(s.warnings), UserVars: s.userVars,
	}
	for _, w := range s.warnings {
		if w.Level == "Error" {
			v.Errors++
		}
	}
	return v
}

// pins says whether the statement needs a connection that is prepared before and asked afterwards.
func (s *Session) pins(u *rewrite.Result, p *plan.Plan) bool {
	return len(u.Assigns) > 0 || s.locks(u.Locks) || u.CountsFound && p.Fast != nil // the executor counts over shards itself
}

// locks says whether a statement has to do with named locks that the session has, or takes one.
func (s *Session) locks(l rewrite.Locks) bool {
	return l == rewrite.TakesLock || l == rewrite.AsksLocks && s.tx.reserved
}

// runPinned runs a statement that assigns user variables, takes locks or counts found rows: on one shard, with
// the variables set before and read back afterwards on the same connection.
func (s *Session) runPinned(snap *target.Snapshot, p *plan.Plan, stmt parse.Statement, u *rewrite.Result, sql []byte, slots []parse.Slot, more bool) error {
	if p.Fast == nil {
		if s.locks(u.Locks) {
			return s.failMore(errcode.New(errcode.Unsupported, "a named lock in a statement over several shards", "take the lock in a statement of its own"))
		}
		return s.failMore(errcode.New(errcode.Unsupported, "assigning user variables in a statement over several shards", "select the values and set the variables with SET"))
	}
	sh, err := s.resolveFast(snap, p.Fast, sql, slots, nil)
	if err != nil {
		return s.failMore(err)
	}
	if s.bound || s.readOnly {
		if err := s.allowed(p); err != nil {
			return s.failMore(err)
		}
	}
	if s.locks(u.Locks) {
		s.tx.reserved = true
	}
	r := &runner{s: s, snap: snap}
	out := &resultWriter{s: s, binary: s.binary}
	s.warnings = s.warnings[:0]
	ok, err := s.pinnedOn(r, sh, u, p, sql, out)
	if err != nil {
		s.afterExecError()
		return s.failMore(err)
	}
	if out.started {
		s.rowCount = -1
		if !u.CountsFound {
			s.foundRows = out.rows
		}
		return out.finish(ok, more)
	}
	s.rowCount = int64(ok.Affected)
	if ok.InsertID != 0 {
		s.lastInsertID = ok.InsertID
	}
	ok.Status = 0
	return s.okMore(ok, more)
}

// pinnedOn runs the statement of runPinned on the transaction's connection or one of its own.
func (s *Session) pinnedOn(r *runner, sh *target.Shard, u *rewrite.Result, p *plan.Plan, sql []byte, out *resultWriter) (wire.OK, error) {
	write := writes(p)
	if err := s.mayWrite(sh, write); err != nil {
		return wire.OK{}, err
	}
	if !s.tx.active() {
		ep, err := s.endpoint(sh, write)
		if err != nil {
			return wire.OK{}, err
		}
		c, err := ep.Pool.Get(s.ctx, s.class, s.settings)
		if err != nil {
			return wire.OK{}, s.serverError(ep, err)
		}
		c.KillHard.Store(write && s.sh.MariaDB)
		ok, err := s.pinnedAsk(c, u, sql, out)
		r.aloneDone(sh, c, wire.OK{Status: ok.Status}, err)
		return ok, err
	}
	pt, err := s.part(s.ctx, sh, write)
	if err != nil {
		return wire.OK{}, err
	}
	if err := s.beginOn(s.ctx, pt); err != nil {
		return wire.OK{}, r.lost(pt, err)
	}
	ok, err := s.pinnedAsk(pt.conn, u, sql, out)
	s.track(pt.conn, false)
	if err != nil {
		return ok, r.lost(pt, err)
	}
	if write {
		pt.wrote = true
		if set := s.setUserVars(u); set != "" {
			s.record(pt, []byte(set), 0)
		}
		s.record(pt, sql, ok.InsertID)
	}
	if err := s.pullUserVars(pt.conn, u); err != nil {
		return ok, r.lost(pt, err)
	}
	s.afterInTxn(pt, ok.Status, false, 0)
	return ok, nil
}

// pinnedAsk runs the statement between setting the variables and reading them back. The connection stays tracked.
func (s *Session) pinnedAsk(c *pool.Conn, u *rewrite.Result, sql []byte, out *resultWriter) (ok wire.OK, err error) {
	c.Dirty = c.Dirty || len(u.Assigns) > 0
	s.track(c, true)
	if set := s.setUserVars(u); set != "" {
		if _, err := c.Exec(s.ctx, set); err != nil {
			return ok, err
		}
	}
	rows, err := c.QueryBytes(s.ctx, sql)
	if err != nil {
		return ok, err
	}
	err = copyResults(rows, out)
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return ok, err
	}
	ok = rows.OK()
	if ok.Warnings > 0 && !u.CountsFound { // SHOW WARNINGS would change what FOUND_ROWS() is
		s.warnings = s.fetchWarnings(c, s.warnings[:0])
	}
	if !s.tx.active() {
		err = s.pullUserVars(c, u)
	}
	return ok, err
}

// setUserVars is the statement that gives a connection the variables that the statement reads, as far as they are set.
func (s *Session) setUserVars(u *rewrite.Result) string {
	var sets []string
	for _, name := range append(append([]string(nil), u.Reads...), u.Assigns...) {
		if v, ok := s.userVars[name]; ok {
			sets = append(sets, "@"+rewrite.Ident(name)+" = "+v)
		}
	}
	if len(sets) == 0 {
		return ""
	}
	return "SET " + strings.Join(sets, ", ")
}

func (s *Session) pullUserVars(c *pool.Conn, u *rewrite.Result) error {
	if u.CountsFound {
		_, rows, err := queryAll(s.ctx, c, "SELECT FOUND_ROWS()", 1)
		if err != nil {
			return err
		}
		s.foundRows = parseUint(rows[0][0])
	}
	if len(u.Assigns) == 0 {
		return nil
	}
	names := make([]string, len(u.Assigns))
	for i, n := range u.Assigns {
		names[i] = "@" + rewrite.Ident(n)
	}
	cols, rows, err := queryAll(s.ctx, c, "SELECT "+strings.Join(names, ", "), 1)
	if err != nil {
		return err
	}
	for i, n := range u.Assigns {
		if err := s.keepUserVar(n, rewrite.Literal(cols[i], rows[0][i])); err != nil {
			return err
		}
	}
	return nil
}

// queryer is a connection that statements of the gateway's own run on.
type queryer = *pool.Conn

// queryAll reads a small result.
func queryAll(ctx context.Context, c queryer, sql string, limit int) ([]wire.Column, [][][]byte, error) {
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

// onFresh runs f on a connection with the session's settings, of the session's keyspace or of any that serves. It is
// never one of the transaction's, and what f leaves open is rolled back.
func (s *Session) onFresh(f func(context.Context, queryer) error) error {
	ep, err := s.anyEndpoint()
	if err != nil {
		return err
	}
	c, err := ep.Pool.Get(s.ctx, s.class, s.settings)
	if err != nil {
		return s.serverError(ep, err)
	}
	s.track(c, true)
	err = f(s.ctx, c)
	if !c.Broken() && (c.Status()&wire.StatusInTrans != 0 || !s.tx.autocommit) {
		if _, rerr := c.Exec(s.ctx, "ROLLBACK"); rerr != nil {
			c.Discard()
		}
	}
	s.release(c)
	return err
}

// onOwn runs f on a connection that the session keeps from now on: it takes locks there.
func (s *Session) onOwn(f func(context.Context, queryer) error) error {
	sh, err := s.anyShard(s.sh.Targets.Current())
	if err != nil {
		return err
	}
	s.tx.reserved = true
	p, err := s.part(s.ctx, sh, false)
	if err != nil {
		return err
	}
	s.track(p.conn, true)
	err = f(s.ctx, p.conn)
	s.track(p.conn, false)
	if c := p.conn; !c.Broken() && !p.begun {
		p.begun = c.Status()&wire.StatusInTrans != 0
	}
	return err
}

// anyEndpoint returns the primary of some shard, of the session's keyspace first.
func (s *Session) anyEndpoint() (*target.Endpoint, error) {
	snap := s.sh.Targets.Current()
	if ks := snap.Keyspaces[s.scope.Keyspace]; ks != nil && len(ks.Shards) > 0 {
		return s.endpoint(ks.Shards[0], false)
	}
	for _, n := range snap.Names() {
		for _, sh := range snap.Keyspaces[n].Shards {
			if sh.Primary != nil {
				return sh.Primary, nil
			}
		}
	}
	return nil, errcode.New(errcode.NotReady, "no keyspace has a serving shard")
}

// evaluateRows computes an expression that reads tables, by planning it as the statement it is.
func (s *Session) evaluateRows(snap *target.Snapshot, q string) (string, error) {
	sql := []byte(q)
	_, slots, _ := parse.Fingerprint(sql, s.mode, nil)
	stmt, err := parse.Parse(sql, s.mode)
	if err != nil {
		return "", err
	}
	p, err := plan.Build(sql, slots, stmt, s.env(snap))
	if err != nil {
		return "", err
	}
	if s.bound || s.readOnly {
		if err := s.allowed(p); err != nil {
			return "", err
		}
	}
	v := &oneValue{}
	if _, err := s.runPlan(&runner{s: s, snap: snap}, p, sql, slots, v); err != nil {
		return "", err
	}
	if v.rows != 1 {
		return "", errcode.New(errcode.BadVariableValue, "expression", fmt.Sprintf("a query of %d rows", v.rows))
	}
	return v.text, nil
}
