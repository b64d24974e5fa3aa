package session

import (
	"errors"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/prepared"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// comPrepare prepares a statement: a server says what its parameters and columns are, the gateway gives the id.
func (s *Session) comPrepare(payload []byte) error {
	sql := append([]byte(nil), payload[1:]...)
	if err := s.prepared.Full(); err != nil {
		return s.fail(err)
	}
	snap := s.sh.Targets.Current()
	_, slots, ok := parse.Fingerprint(sql, s.back.Mode, nil)
	if !ok {
		return s.fail(errcode.New(errcode.SyntaxError, "the statement can't be read"))
	}
	if rewrite.NamesSidecar(sql, slots) {
		return s.fail(errcode.New(errcode.ForbiddenObject, rewrite.Sidecar))
	}
	if err := s.parsing(sql); err != nil {
		return s.fail(err)
	}
	stmt, err := parse.Parse(sql, s.back.Mode)
	if err != nil {
		return s.fail(errcode.New(errcode.SyntaxError, err.Error()))
	}
	st := prepared.New(sql, slots, s.back.Route.Scope, s.back.Mode)
	if s.isOwn(stmt) {
		return s.keepPrepared(st, nil, nil)
	}
	if err := settings.CheckStatementSet(stmt); err != nil {
		return s.fail(err)
	}
	u := rewrite.Statement(stmt, sql, s.back.Mode, s.Values())
	text := sql
	if u.SQL != nil {
		text = u.SQL
	}
	p, err := plan.Build(sql, slots, stmt, s.env(snap))
	if err == nil && (s.bound || s.readOnly) {
		err = s.allowed(p)
	}
	if err != nil {
		return s.fail(err)
	}
	if u.SQL == nil && !pins(u, p) && p.Fast != nil && p.Fast.Rewrite == nil && p.Class != plan.DDL {
		st.Plan, st.Version = p, snap.Version
	}
	if p.Class == plan.DDL {
		return s.keepPrepared(st, nil, nil)
	}
	sh, err := s.back.Route.AnyWith(snap, p)
	if err != nil {
		return s.fail(err)
	}
	st.Text = s.sh.Prepared.Table.Retain(string(text))
	params, cols, err := s.back.Describe(sh, st.Text)
	if err != nil {
		s.sh.Prepared.Table.Drop(st.Text)
		return s.fail(err)
	}
	return s.keepPrepared(st, params, cols)
}

// keepPrepared stores the statement and sends COM_STMT_PREPARE's answer.
func (s *Session) keepPrepared(st *prepared.Statement, params, cols []wire.Column) error {
	if err := s.prepared.Add(st); err != nil {
		return s.fail(err)
	}
	if params == nil && st.Params > 0 {
		params = make([]wire.Column, st.Params)
		for i := range params {
			params[i] = wire.Column{Name: "?", Charset: 63, Type: wire.TypeVarString}
		}
	}
	return s.to.Prepared(st.ID, params, cols)
}

func (s *Session) comClose(payload []byte) {
	if st, err := s.prepared.Of(payload); err == nil {
		s.cursors.Close(st)
		s.prepared.Drop(st)
	}
}

// forgetPrepared forgets all prepared statements and their cursors.
func (s *Session) forgetPrepared() {
	s.cursors.CloseAll()
	s.prepared.Clear()
}

func (s *Session) comStmtReset(payload []byte) error {
	st, err := s.prepared.Of(payload)
	if err != nil {
		return s.fail(err)
	}
	s.prepared.DropLong(st)
	s.cursors.Close(st)
	return s.to.OK(wire.OK{}, false)
}

// comLongData keeps a piece of a long parameter. There is no answer, not even to an unknown statement.
func (s *Session) comLongData(payload []byte) {
	d, err := wire.ParseLongData(payload)
	if err != nil {
		return
	}
	if st, err := s.prepared.Of(payload); err == nil {
		s.prepared.AddLong(st, d)
	}
}

// comExecute runs a prepared statement. A cursor is opened, if the client asks for one, when one server has all the rows;
// otherwise the rows follow at once, which clients accept.
func (s *Session) comExecute(payload []byte) error {
	st, err := s.prepared.Of(payload)
	if err != nil {
		return s.fail(err)
	}
	defer s.prepared.DropLong(st)
	s.cursors.Close(st)
	// The statement means the keyspace in which it was prepared.
	now := s.back.Route.Scope
	s.back.Route.Scope = st.Scope
	defer func() { s.back.Route.Scope = now }()
	if err := st.BadLong(); err != nil {
		return s.fail(err)
	}
	ex := &s.ex
	if err := st.Parse(ex, payload, s.to.Caps); err != nil {
		return s.fail(errcode.New(errcode.MalformedPacket, err.Error()))
	}
	snap := s.sh.Targets.Current()
	if p := s.preparedPlan(snap, st); p != nil {
		s.limit(p)
		values, err := st.Values(ex)
		if err != nil {
			return s.fail(errcode.New(errcode.MalformedPacket, err.Error()))
		}
		sh, err := s.back.Route.Find(snap, p.Fast, st.SQL, st.Slots, values)
		if err == nil {
			return s.executeFast(sh, p, st, ex)
		}
		if !errors.Is(err, route.ErrNotFast) {
			return s.fail(err)
		}
	}
	return s.executeText(st, ex)
}

// preparedPlan returns the fast plan of a statement, made again when the topology changed.
func (s *Session) preparedPlan(snap *target.Snapshot, st *prepared.Statement) *plan.Plan {
	if st.Plan == nil || st.Scope != s.back.Route.Scope || st.Mode != s.back.Mode {
		return nil
	}
	if st.Version != snap.Version {
		stmt, err := parse.Parse(st.SQL, st.Mode)
		if err != nil {
			return nil
		}
		p, err := plan.Build(st.SQL, st.Slots, stmt, s.env(snap))
		if err != nil || p.Fast == nil || p.Fast.Rewrite != nil {
			return nil
		}
		st.Plan, st.Version = p, snap.Version
	}
	if s.back.MustDraw(st.Plan) {
		return nil
	}
	return st.Plan
}

// executeFast sends the parameters' own bytes to one shard, with that connection's handle for the statement.
func (s *Session) executeFast(sh *target.Shard, p *plan.Plan, st *prepared.Statement, ex *wire.Execute) error {
	write := p.Writes()
	s.body = nil
	if s.back.Tx.Active() {
		if err := s.back.MayWrite(sh, write); err != nil {
			return s.fail(err)
		}
		pt, err := s.back.Part(s.back.Waiting(), sh, write)
		if err != nil {
			return s.fail(err)
		}
		if err := s.back.BeginOn(s.ctx, pt); err != nil {
			return s.partLost(pt, err)
		}
		began := time.Now()
		if err := s.executeOn(pt.Conn, st, ex, s.wantsCursor(p, ex), false); err != nil {
			var my *wire.MySQLError
			var lost *backend.Lost
			if errors.As(err, &my) || errors.As(err, &lost) {
				return s.partLost(pt, err)
			}
			s.back.Drop(pt)
			return err
		}
		if write && !s.scan.IsErr {
			text, err := st.WithParams(ex)
			if err != nil {
				return err
			}
			s.back.Wrote(pt, s.scanned(p, text, began))
		}
		s.back.After(pt, s.scan.Status, s.scan.IsErr, s.scan.Errno)
		return nil
	}
	ep, err := s.back.Endpoint(sh, write)
	if err != nil {
		return s.fail(err)
	}
	s.on = sh
	return s.alone(sh, ep, write, func(c *pool.Conn) error {
		err := s.executeOn(c, st, ex, s.wantsCursor(p, ex), true)
		if err != nil && refusedPrepare(err) {
			c.Release()
			return s.fail(err)
		}
		return err
	})
}

// refusedPrepare says whether an error of executeOn is the server's own about the statement's text.
func refusedPrepare(err error) bool {
	_, fenced := errors.AsType[*fencedError](err)
	_, lost := errors.AsType[*backend.Lost](err)
	_, my := errors.AsType[*wire.MySQLError](err)
	return my && !fenced && !lost
}

// executeOn sends COM_STMT_EXECUTE, with the connection's handle for the statement, and forwards the answer.
func (s *Session) executeOn(c *pool.Conn, st *prepared.Statement, ex *wire.Execute, withCursor, release bool) error {
	id, err := s.back.Handle(c, st.Text)
	if err != nil {
		return err
	}
	var flags byte
	if withCursor {
		flags = wire.CursorReadOnly
		s.cursors.Expect(c, st, id)
		defer s.cursors.Unexpect()
	}
	for i := range ex.Params {
		ex.Params[i].Long = false // the value goes with the statement
	}
	s.out = wire.AppendStmtExecute(s.out[:0], id, flags, ex.Params, nil, c.Caps())
	if err := s.sendPacket(c); err != nil {
		return err
	}
	return s.forward(c, wire.ResponseQuery, release)
}

// sendPacket sends a server the command that s.out is.
func (s *Session) sendPacket(c *pool.Conn) error {
	w := c.Wire()
	w.SetSeq(0)
	err := w.WritePacket(s.out)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return &backend.Lost{Err: err}
	}
	return nil
}

// executeText runs a prepared statement as text, with binary rows for the client.
func (s *Session) executeText(st *prepared.Statement, ex *wire.Execute) error {
	text, err := st.WithParams(ex)
	if err != nil {
		return s.fail(err)
	}
	s.binary = true
	defer func() { s.binary = false }()
	return s.query(text, nil, false)
}

// SQL-level prepared statements keep their text; EXECUTE writes the variables' values into it.

func (s *Session) sqlPrepare(st *parse.PrepareStmt, more bool) error {
	text := st.Text
	if st.Var != "" {
		v, ok := s.vars.User()[strings.ToLower(st.Var)]
		if !ok || v == "NULL" {
			return s.failMore(errcode.New(errcode.SyntaxError, "PREPARE from a variable that is NULL"))
		}
		text = rewrite.Unquote(v, s.back.Mode)
	}
	if _, err := parse.Parse([]byte(text), s.back.Mode); err != nil {
		return s.failMore(errcode.New(errcode.SyntaxError, err.Error()))
	}
	if err := s.prepared.Name(st.Name.Name, text); err != nil {
		return s.failMore(err)
	}
	s.rowCount, s.warnings = 0, s.warnings[:0]
	return s.to.OK(wire.OK{Info: "Statement prepared"}, more)
}

func (s *Session) sqlExecute(snap *target.Snapshot, st *parse.ExecuteStmt, sql []byte, more bool) error {
	var text string
	var err error
	if st.Immediate != nil {
		if text, err = s.vars.Value(snap, st.Immediate, sql); err == nil {
			text = rewrite.Unquote(text, s.back.Mode)
		}
	} else {
		text, err = s.prepared.Named(st.Name.Name)
	}
	if err != nil {
		return s.failMore(err)
	}
	full, err := prepared.Using(text, s.back.Mode, st.Vars, s.vars.User())
	if err != nil {
		return s.failMore(err)
	}
	return s.query(full, nil, more)
}

func (s *Session) sqlDeallocate(st *parse.DeallocateStmt, more bool) error {
	if err := s.prepared.Unname(st.Name.Name); err != nil {
		return s.failMore(err)
	}
	return s.done(more)
}
