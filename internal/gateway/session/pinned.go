package session

import (
	"context"
	"slices"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/reply"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// Values are what the session knows of itself.
func (s *Session) Values() *rewrite.Values {
	v := &rewrite.Values{
		User: s.login.User, Host: s.host, Keyspace: s.back.Route.Scope.Keyspace, Version: s.sh.Version, ConnectionID: s.id,
		LastInsertID: s.lastInsertID, FoundRows: s.foundRows, RowCount: s.rowCount, TxnMode: s.back.Tx.Mode.String(),
		Warnings: len(s.warnings), UserVars: s.vars.User(), WaitTimeout: s.me.IdleLimit(),
	}
	for _, w := range s.warnings {
		if w.Level == "Error" {
			v.Errors++
		}
	}
	return v
}

// pins says whether the statement needs a connection that is prepared before and asked afterwards.
func pins(u *rewrite.Result, p *plan.Plan) bool {
	return len(u.Assigns) > 0 || u.Locks != rewrite.NoLocks || u.CountsFound && p.Fast != nil // the executor counts over shards itself
}

// runPinned runs a statement that assigns user variables, takes locks or counts found rows: on one shard, with
// the variables set before and read back afterwards on the same connection.
func (s *Session) runPinned(snap *target.Snapshot, p *plan.Plan, stmt parse.Statement, u *rewrite.Result, sql []byte, slots []parse.Slot, more bool) error {
	if p.Fast == nil {
		if u.Locks != rewrite.NoLocks {
			return s.failMore(errcode.New(errcode.Unsupported, "a named lock in a statement over several shards", "take the lock in a statement of its own"))
		}
		return s.failMore(errcode.New(errcode.Unsupported, "assigning user variables in a statement over several shards", "select the values and set the variables with SET"))
	}
	sh, err := s.pinnedShard(snap, p, u, sql, slots)
	if err != nil {
		return s.failMore(err)
	}
	if s.bound || s.readOnly {
		if err := s.allowed(p); err != nil {
			return s.failMore(err)
		}
	}
	if u.Locks == rewrite.TakesLock {
		s.back.Reserve()
	}
	s.limit(p)
	out := s.to.Rows(s.binary, more)
	s.warnings = s.warnings[:0]
	var replay [][]byte
	if set := s.pushUserVars(u); set != "" {
		replay = append(replay, []byte(set))
	}
	replay = append(replay, sql)
	q := exec.Query{SQL: sql, Write: p.Writes(), Lock: u.Locks != rewrite.NoLocks}
	ok, err := s.back.Statement(snap).On(sh, p, q, replay, func(ctx context.Context, c *pool.Conn) (wire.OK, error) {
		return s.pinnedAsk(ctx, c, u, sql, out)
	})
	if err != nil {
		s.back.Recover()
		return s.failMore(err)
	}
	if out.Started() {
		s.rowCount = -1
		if !u.CountsFound {
			s.foundRows = out.Count()
		}
		return out.Finish(ok, more)
	}
	s.rowCount = int64(ok.Affected)
	if ok.InsertID != 0 {
		s.lastInsertID = ok.InsertID
	}
	ok.Status = 0
	return s.to.OK(ok, more)
}

// pinnedShard returns the shard of a statement of runPinned. One that has to do with named locks runs where those are.
func (s *Session) pinnedShard(snap *target.Snapshot, p *plan.Plan, u *rewrite.Result, sql []byte, slots []parse.Slot) (*target.Shard, error) {
	if u.Locks == rewrite.NoLocks {
		return s.back.Route.Find(snap, p.Fast, sql, slots, nil)
	}
	home, err := route.LockHome(snap)
	if err != nil || len(p.Tables) == 0 {
		return home, err
	}
	sh, err := s.back.Route.Find(snap, p.Fast, sql, slots, nil)
	if err == nil && (sh.Keyspace.Name != home.Keyspace.Name || sh.Name != home.Name) {
		return nil, errcode.New(errcode.Unsupported, "a named lock together with rows of "+sh.Keyspace.Name+"/"+sh.Name, "take the lock in a statement of its own")
	}
	return sh, err
}

// pinnedAsk runs the statement between setting the variables and reading them back.
func (s *Session) pinnedAsk(ctx context.Context, c *pool.Conn, u *rewrite.Result, sql []byte, out *reply.Rows) (ok wire.OK, err error) {
	c.Dirty = c.Dirty || len(u.Assigns) > 0
	if set := s.pushUserVars(u); set != "" {
		if _, err := c.Exec(ctx, set); err != nil {
			return ok, err
		}
	}
	rows, err := c.QueryBytes(ctx, sql)
	if err != nil {
		return ok, err
	}
	err = backend.CopyResults(rows, out)
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return ok, err
	}
	ok = rows.OK()
	if ok.Warnings > 0 && !u.CountsFound { // SHOW WARNINGS would change what FOUND_ROWS() is
		s.warnings = s.back.Warnings(c, s.warnings[:0])
	}
	return ok, s.pullUserVars(ctx, c, u)
}

// pushUserVars is the statement that gives a connection the variables that the statement reads, as far as they are set.
func (s *Session) pushUserVars(u *rewrite.Result) string {
	return s.vars.Push(slices.Concat(u.Reads, u.Assigns)...)
}

// pullUserVars reads what the statement has assigned and counted.
func (s *Session) pullUserVars(ctx context.Context, c *pool.Conn, u *rewrite.Result) error {
	if u.CountsFound {
		_, rows, err := backend.QueryAll(ctx, c, "SELECT FOUND_ROWS()", 1)
		if err != nil {
			return err
		}
		s.foundRows = parseUint(rows[0][0])
	}
	return s.vars.Pull(ctx, c, u.Assigns)
}

// Read runs a query within the user's rights and hands its rows to a sink.
func (s *Session) Read(snap *target.Snapshot, sql []byte, sink exec.Sink) error {
	_, slots, _ := parse.Fingerprint(sql, s.back.Mode, nil)
	stmt, err := parse.Parse(sql, s.back.Mode)
	if err != nil {
		return err
	}
	p, err := plan.Build(sql, slots, stmt, s.env(snap))
	if err != nil {
		return err
	}
	if s.bound || s.readOnly {
		if err := s.allowed(p); err != nil {
			return err
		}
	}
	_, err = s.runPlan(s.back.Statement(snap), p, sql, slots, sink)
	return err
}

// SetLastInsertID makes n what LAST_INSERT_ID() is.
func (s *Session) SetLastInsertID(n uint64) { s.lastInsertID = n }
