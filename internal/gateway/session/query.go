package session

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/answer"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/plancache"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// comQuery runs the one or several statements of a COM_QUERY.
func (s *Session) comQuery(payload, raw []byte) error {
	sql := payload[1:]
	if s.qattrs {
		var err error
		if sql, _, err = wire.StripQueryAttributes(payload, s.to.Caps); err != nil {
			return s.fail(errcode.New(errcode.MalformedPacket, err.Error()))
		}
		raw = nil
	}
	if bytes.IndexByte(sql, ';') >= 0 {
		return s.several(sql, raw)
	}
	return s.query(sql, raw, false)
}

// several runs statements that are separated by semicolons, if the client may send such.
func (s *Session) several(sql, raw []byte) error {
	defer func() { s.follows = false }()
	for {
		first, rest, err := parse.Split(sql, s.back.Mode)
		if err != nil || rest >= len(sql) || rewrite.Blank(sql[rest:]) || !s.multi && rewrite.Empty(sql[rest:]) {
			return s.query(sql, raw, false)
		}
		if !s.multi {
			return s.fail(errcode.New(errcode.MultiStatementsOff))
		}
		// Commands after this one are read into the same buffer only after the whole answer, so sql stays valid.
		if err := s.query(first.Text(sql), nil, true); err != nil {
			return err
		}
		if s.failed {
			return s.to.Conn.Flush()
		}
		sql, raw = sql[rest:], nil
		s.follows = true
	}
}

// query runs one statement. more says that another follows in the same command, so its answer must say so too; then
// the answer is not flushed.
func (s *Session) query(sql, raw []byte, more bool) error {
	s.failed = false
	if !s.binary { // else the command was told with its parameters' marks
		s.me.Begin("Query", sql)
	}
	snap := s.sh.Targets.Current()
	shape, slots, ok := parse.Fingerprint(sql, s.back.Mode, s.slots[:0])
	s.slots = slots
	if !ok {
		return s.slow(snap, sql, raw, nil, nil, more)
	}
	key := plancache.Key{Shape: shape, Scope: s.back.Route.Scope, Mode: s.back.Mode}
	e := s.sh.Plans.Get(key, snap.Version)
	if e == nil || e.Plan != nil && (!e.Plan.Fits(sql, slots) || s.back.MustDraw(e.Plan)) {
		return s.slow(snap, sql, raw, slots, &key, more)
	}
	return s.run(snap, e, sql, raw, slots, more)
}

// run executes a cached entry.
func (s *Session) run(snap *target.Snapshot, e *plancache.Entry, sql, raw []byte, slots []parse.Slot, more bool) error {
	if e.Stmt != nil {
		return s.own(snap, e.Stmt, sql, more)
	}
	p := e.Plan
	s.limit(p)
	if s.bound || s.readOnly {
		if err := s.allowed(p); err != nil {
			return s.failMore(err)
		}
	}
	if p.Fast != nil && !more && !s.binary && !s.follows {
		sh, err := s.back.Route.Find(snap, p.Fast, sql, slots, nil)
		if err == nil {
			if p.Fast.Rewrite != nil {
				s.rewritten = p.Fast.Rewrite.Append(s.rewritten[:0], sql, slots)
				sql, raw = s.rewritten, nil
			}
			return s.runFast(sh, p, sql, raw)
		}
		if !errors.Is(err, route.ErrNotFast) {
			return s.fail(err)
		}
	}
	return s.execute(snap, p, sql, slots, more)
}

// limit says that the query timeout holds for a plan that only reads. One that writes is never ended by it.
func (s *Session) limit(p *plan.Plan) {
	if s.sh.Limits.QueryTimeout > 0 && p.Class == plan.Read && !p.Locks {
		s.me.Limit()
	}
}

// allowed checks a plan against the rights of a user who has not all of them.
func (s *Session) allowed(p *plan.Plan) error {
	if s.readOnly && p.Class != plan.Read && p.Class != plan.Show {
		return errcode.New(errcode.PrivilegeNeeded, "write")
	}
	for _, t := range p.Tables {
		if ks, _, _ := strings.Cut(t, "."); !s.sh.May(s.login.User, ks) {
			return errcode.New(errcode.KeyspaceDenied, s.login.User, ks)
		}
	}
	return nil
}

// slow parses and plans a statement, keeps the plan if it can serve others, and runs it.
func (s *Session) slow(snap *target.Snapshot, sql, raw []byte, slots []parse.Slot, key *plancache.Key, more bool) error {
	if rewrite.NamesSidecar(sql, slots) {
		return s.failMore(errcode.New(errcode.ForbiddenObject, rewrite.Sidecar))
	}
	if err := s.parsing(sql); err != nil {
		return s.failMore(err)
	}
	stmt, err := parse.Parse(sql, s.back.Mode)
	if err != nil {
		return s.unparsed(snap, sql, raw, slots, err, more)
	}
	if s.isOwn(stmt) {
		if key != nil && len(slots) == 0 {
			if _, ok := stmt.(*parse.TxnStmt); ok {
				s.sh.Plans.Put(*key, snap.Version, &plancache.Entry{Stmt: stmt})
			}
		}
		return s.own(snap, stmt, sql, more)
	}
	sub := rewrite.Statement(stmt, sql, s.back.Mode, s.Values())
	if sub.SQL != nil {
		// The text is now this session's alone: plan it afresh and don't keep it.
		sql, raw, key = sub.SQL, nil, nil
		if _, slots, _ = parse.Fingerprint(sql, s.back.Mode, nil); slots == nil {
			slots = []parse.Slot{}
		}
		if stmt, err = parse.Parse(sql, s.back.Mode); err != nil {
			return s.failMore(err)
		}
	}
	if err := settings.CheckStatementSet(stmt); err != nil {
		return s.failMore(err)
	}
	p, err := plan.Build(sql, slots, stmt, s.env(snap))
	if err != nil {
		return s.failMore(err)
	}
	if s.back.MustDraw(p) {
		text, err := s.back.Drawn(stmt, sql)
		if err != nil {
			return s.failMore(err)
		}
		if text != nil {
			return s.query(text, nil, more)
		}
	}
	if implicitCommit(stmt) {
		if err := s.back.Commit(); err != nil {
			return s.failMore(err)
		}
	}
	if temporary(stmt) {
		if p.Fast == nil {
			return s.failMore(errcode.New(errcode.Unsupported, "a temporary table in a sharded keyspace", "create it in an unsharded keyspace, or USE keyspace:shard"))
		}
		s.back.Reserve()
	}
	if pins(sub, p) {
		return s.runPinned(snap, p, stmt, sub, sql, slots, more)
	}
	e := &plancache.Entry{Plan: p}
	if key != nil && !p.NoCache {
		s.sh.Plans.Put(*key, snap.Version, e)
	}
	return s.run(snap, e, sql, raw, slots, more)
}

// unparsed sends a statement that the parser does not know to the one server that can judge it, if there is only one.
func (s *Session) unparsed(snap *target.Snapshot, sql, raw []byte, slots []parse.Slot, err error, more bool) error {
	if rewrite.Blank(sql) {
		return s.failMore(errcode.New(errcode.EmptyQuery))
	}
	ks := snap.Keyspaces[s.back.Route.Scope.Keyspace]
	if ks == nil || (len(ks.Shards) != 1 && s.back.Route.Scope.Shard == "") || s.bound || s.readOnly {
		return s.failMore(errcode.New(errcode.SyntaxError, err.Error()))
	}
	p := &plan.Plan{Class: plan.Other, Fast: &plan.Fast{Keyspace: ks.Name, Kind: plan.Unsharded}, NoCache: true}
	sh, err := s.back.Route.Find(snap, p.Fast, sql, slots, nil)
	if err != nil {
		return s.failMore(err)
	}
	if more || s.binary || s.follows {
		return s.execute(snap, p, sql, slots, more)
	}
	return s.runFast(sh, p, sql, raw)
}

// env is what the planner needs to know of the session.
func (s *Session) env(snap *target.Snapshot) plan.Env {
	return plan.Env{
		VSchema: snap.VSchema, Keyspace: s.back.Route.Scope.Keyspace, Mode: s.back.Mode, ForcedShard: s.back.Route.Scope.Shard,
		Replica: s.back.Route.Scope.Type != "" && s.back.Route.Scope.Type != "primary",
	}
}

// execute runs a plan through the executor and encodes its rows for the client.
func (s *Session) execute(snap *target.Snapshot, p *plan.Plan, sql []byte, slots []parse.Slot, more bool) error {
	if err := s.copying(sql); err != nil {
		return s.failMore(err)
	}
	out := s.to.Rows(s.binary, more)
	r := s.back.Statement(snap)
	alone := !s.back.Tx.Active()
	until := time.Now().Add(s.sh.Backend.WaitPrimary)
	ok, err := s.runPlan(r, p, sql, slots, out)
	for err != nil && alone && !out.Started() && s.back.Route.HoldPlan(s.back.Waiting(), until, err) {
		s.back.Recover() // what the try left is rolled back
		r = s.back.Statement(s.sh.Targets.Current())
		ok, err = s.runPlan(r, p, sql, slots, out)
	}
	if why := s.back.Interrupted(); err == nil && why != nil {
		err = why
	}
	if err != nil {
		s.back.Recover()
		if out.Started() {
			s.failed = true
			if ferr := s.sendErr(err); ferr != nil {
				return ferr
			}
			return s.to.Conn.Flush()
		}
		return s.failMore(err)
	}
	s.back.Settle()
	s.warnings = append(s.warnings[:0], r.Warnings...)
	if r.InsertID != 0 {
		s.lastInsertID = r.InsertID
	}
	if out.Started() {
		s.rowCount, s.foundRows = -1, out.Count()
		if r.HasFound {
			s.foundRows = r.Found
		}
		return out.Finish(ok, more)
	}
	s.rowCount = int64(ok.Affected)
	if r.InsertID != 0 {
		ok.InsertID = r.InsertID
	}
	if ok.InsertID != 0 {
		s.lastInsertID = ok.InsertID
	}
	ok.Status = 0
	return s.to.OK(ok, more)
}

// runPlan runs a plan and hands its rows to a sink. A statement whose value may be on any shard is planned again, without its
// constants.
func (s *Session) runPlan(r *backend.Statement, p *plan.Plan, sql []byte, slots []parse.Slot, sink exec.Sink) (wire.OK, error) {
	ok, err := r.Run(p, sql, slots, sink)
	if !errors.Is(err, exec.ErrSpread) {
		return ok, err
	}
	stmt, err := parse.Parse(sql, s.back.Mode)
	if err != nil {
		return wire.OK{}, err
	}
	env := s.env(r.Snapshot())
	env.Unbound = true
	if p, err = plan.Build(sql, slots, stmt, env); err != nil {
		return wire.OK{}, err
	}
	return r.Run(p, sql, slots, sink)
}

// failMore answers a statement with an error and remembers that the ones behind it must not run.
func (s *Session) failMore(err error) error {
	s.failed = true
	return s.fail(err)
}

// table sends a small result that the gateway makes itself.
func (s *Session) table(more bool, t *answer.Table) error {
	out := s.to.Rows(s.binary, more)
	cols := make([]wire.Column, len(t.Names))
	for i, n := range t.Names {
		cols[i] = wire.Column{Name: n, Charset: 45, Length: 1024, Type: wire.TypeVarString, Decimals: 31}
	}
	if err := out.Columns(cols); err != nil {
		return err
	}
	values := make([][]byte, len(t.Names))
	for _, r := range t.Rows {
		for i, c := range r {
			if values[i] = []byte(c.Text); c.Null {
				values[i] = nil
			}
		}
		if err := out.Row(values); err != nil {
			return err
		}
	}
	s.rowCount, s.foundRows = -1, uint64(len(t.Rows))
	return out.Finish(wire.OK{}, more)
}
