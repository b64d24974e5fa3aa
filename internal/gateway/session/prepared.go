package session

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// preparedStmt is a prepared statement of one session.
type preparedStmt struct {
	id      uint32
	text    *pool.Statement
	sql     []byte
	slots   []parse.Slot
	scope   *route.Scope
	mode    parse.Mode
	params  int
	types   []wire.ParamType // of the last EXECUTE that sent them
	long    [][]byte         // by COM_STMT_SEND_LONG_DATA since the last EXECUTE; nil without
	longN   int              // bytes of long
	badLong error            // why long data was dropped
	texts   []byte           // the parameters' text, for vindexes
	cursor  *cursor          // open on a server; nil: none
	// plan is what fast EXECUTEs go by, for the snapshot version it was made for. nil: the statement is executed as text.
	plan    *plan.Plan
	version uint64
	values  []vindex.Value
}

// StatementTable shares the texts of prepared statements between sessions, so that a server's connection prepares
// each once. Safe for concurrent use.
type StatementTable struct {
	mu sync.Mutex
	m  map[string]*pool.Statement
}

// NewStatementTable makes an empty table.
func NewStatementTable() *StatementTable { return &StatementTable{m: map[string]*pool.Statement{}} }

func (t *StatementTable) retain(sql string) *pool.Statement {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.m[sql]
	if s == nil {
		s = &pool.Statement{SQL: sql}
		t.m[sql] = s
	}
	s.Retain()
	return s
}

func (t *StatementTable) drop(s *pool.Statement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.Drop() {
		delete(t.m, s.SQL)
	}
}

// comPrepare prepares a statement: a server says what its parameters and columns are, the gateway gives the id.
func (s *Session) comPrepare(payload []byte) error {
	sql := append([]byte(nil), payload[1:]...)
	if len(s.prepared) >= s.sh.Limits.MaxPrepared {
		return s.fail(errcode.New(errcode.TooManyStatements, s.sh.Limits.MaxPrepared))
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
	st := &preparedStmt{sql: sql, slots: slots, scope: s.back.Route.Scope, mode: s.back.Mode}
	for _, sl := range slots {
		if sl.Kind == parse.SlotParam {
			st.params++
		}
	}
	if s.isOwn(stmt) {
		return s.keepPrepared(st, nil, nil)
	}
	if err := settings.CheckStatementSet(stmt); err != nil {
		return s.fail(err)
	}
	u := rewrite.Statement(stmt, sql, s.back.Mode, s.values())
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
		st.plan, st.version = p, snap.Version
	}
	if p.Class == plan.DDL {
		return s.keepPrepared(st, nil, nil)
	}
	sh, err := s.prepareShard(snap, p)
	if err != nil {
		return s.fail(err)
	}
	st.text = s.sh.Stmts.retain(string(text))
	params, cols, err := s.describe(sh, st.text)
	if err != nil {
		s.sh.Stmts.drop(st.text)
		return s.fail(err)
	}
	return s.keepPrepared(st, params, cols)
}

// prepareShard chooses the shard that describes a statement: any that has its tables.
func (s *Session) prepareShard(snap *target.Snapshot, p *plan.Plan) (*target.Shard, error) {
	name := s.back.Route.Scope.Keyspace
	if p.Fast != nil {
		name = p.Fast.Keyspace
	} else if len(p.Tables) > 0 {
		for i := range p.Tables[0] {
			if p.Tables[0][i] == '.' {
				name = p.Tables[0][:i]
				break
			}
		}
	}
	ks := snap.Keyspaces[name]
	if ks == nil {
		for _, n := range snap.Names() {
			if k := snap.Keyspaces[n]; len(k.Shards) > 0 {
				ks = k
				break
			}
		}
	}
	if ks == nil || len(ks.Shards) == 0 {
		return nil, errcode.New(errcode.NotReady, "no keyspace has a serving shard")
	}
	return ks.Shards[0], nil
}

// describe prepares the text on a connection of the shard and returns the definitions of its parameters and columns.
func (s *Session) describe(sh *target.Shard, text *pool.Statement) (params, cols []wire.Column, err error) {
	if c := s.back.Held(sh); c != nil {
		return s.describeOn(c, text)
	}
	ep, err := s.back.Endpoint(sh, false)
	if err != nil {
		return nil, nil, err
	}
	var held route.Holding
	for attempt := 0; ; attempt++ {
		c, err := s.back.Get(ep)
		if err != nil {
			if next, ok := s.back.HoldUnreachable(s.back.Waiting(), &held, sh, ep, err); ok {
				ep = next
				continue
			}
			return nil, nil, s.back.Unserved(ep, err)
		}
		params, cols, err = s.describeOn(c, text)
		var my *wire.MySQLError
		if err == nil || errors.As(err, &my) && !route.Unreachable(my) {
			c.Release()
			return params, cols, err
		}
		c.Discard()
		if attempt == 0 {
			continue
		}
		next, ok := s.back.Route.Hold(s.back.Waiting(), &held, sh, ep)
		if !ok {
			return nil, nil, held.Or(errcode.Wrap(errcode.ServerLost, err, ep.Addr))
		}
		ep = next
	}
}

func (s *Session) describeOn(c *pool.Conn, text *pool.Statement) (params, cols []wire.Column, err error) {
	if id, ok := c.Handle(text); ok {
		if err := closeHandle(c, id); err != nil {
			return nil, nil, err
		}
		c.Forget(text)
	}
	s.back.Watch(c) // a server prepares nothing while the table is locked
	ps, err := c.Prepare(s.ctx, text.SQL)
	if s.back.Unwatch(c) {
		c.Dirty = true
	}
	if err != nil {
		return nil, nil, err
	}
	return ps.Params, ps.Columns, s.keepHandle(c, text, ps.ID)
}

func (s *Session) keepHandle(c *pool.Conn, text *pool.Statement, id uint32) error {
	if old, evict := c.Keep(text, id); evict {
		return closeHandle(c, old)
	}
	return nil
}

// closeHandle sends COM_STMT_CLOSE, which has no answer.
func closeHandle(c *pool.Conn, id uint32) error {
	w := c.Wire()
	w.SetSeq(0)
	if err := w.WritePacket([]byte{wire.ComStmtClose, byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}); err != nil {
		return err
	}
	return w.Flush()
}

// keepPrepared stores the statement and sends COM_STMT_PREPARE's answer.
func (s *Session) keepPrepared(st *preparedStmt, params, cols []wire.Column) error {
	if err := s.keep(&s.texts, len(st.sql)); err != nil {
		if st.text != nil {
			s.sh.Stmts.drop(st.text)
		}
		return s.fail(err)
	}
	s.nextStmt++
	st.id = s.nextStmt
	if s.prepared == nil {
		s.prepared = map[uint32]*preparedStmt{}
	}
	s.prepared[st.id] = st
	if params == nil && st.params > 0 {
		params = make([]wire.Column, st.params)
		for i := range params {
			params[i] = wire.Column{Name: "?", Charset: 63, Type: wire.TypeVarString}
		}
	}
	return s.to.Prepared(st.id, params, cols)
}

func (s *Session) stmtOf(payload []byte) *preparedStmt {
	id, err := wire.StmtID(payload)
	if err != nil {
		return nil
	}
	if id == 0xffffffff && s.sh.MariaDB {
		id = s.nextStmt // MariaDB: the statement that was prepared last
	}
	return s.prepared[id]
}

func (s *Session) unknownStmt(payload []byte) error {
	id := "?"
	if n, err := wire.StmtID(payload); err == nil {
		id = fmt.Sprint(n)
	}
	return s.fail(errcode.New(errcode.UnknownStatement, id))
}

func (s *Session) comClose(payload []byte) {
	if st := s.stmtOf(payload); st != nil {
		s.dropPrepared(st)
	}
}

func (s *Session) dropPrepared(st *preparedStmt) {
	s.closeCursor(st)
	s.dropLong(st)
	s.forget(&s.texts, len(st.sql))
	if st.text != nil {
		s.sh.Stmts.drop(st.text)
	}
	delete(s.prepared, st.id)
}

func (s *Session) closePrepared() {
	for _, st := range s.prepared {
		s.dropPrepared(st)
	}
}

func (s *Session) comStmtReset(payload []byte) error {
	st := s.stmtOf(payload)
	if st == nil {
		return s.unknownStmt(payload)
	}
	s.dropLong(st)
	s.closeCursor(st)
	return s.to.OK(wire.OK{}, false)
}

// comLongData keeps a piece of a long parameter. There is no answer, not even to an unknown statement.
func (s *Session) comLongData(payload []byte) {
	d, err := wire.ParseLongData(payload)
	st := s.stmtOf(payload)
	if err != nil || st == nil || int(d.Param) >= st.params {
		return
	}
	if st.badLong != nil {
		return
	}
	if st.longN+len(d.Data) > s.sh.Limits.MaxPacket {
		err = errcode.New(errcode.PacketTooLarge, s.sh.Limits.MaxPacket)
	} else {
		err = s.keep(&s.long, len(d.Data))
	}
	if err != nil {
		s.dropLong(st)
		st.badLong = err // EXECUTE says so
		return
	}
	st.longN += len(d.Data)
	if st.long == nil {
		st.long = make([][]byte, st.params)
	}
	if st.long[d.Param] == nil {
		st.long[d.Param] = []byte{}
	}
	st.long[d.Param] = append(st.long[d.Param], d.Data...)
}

// comExecute runs a prepared statement. A cursor is opened, if the client asks for one, when one server has all the rows;
// otherwise the rows follow at once, which clients accept.
func (s *Session) comExecute(payload []byte) error {
	st := s.stmtOf(payload)
	if st == nil {
		return s.unknownStmt(payload)
	}
	defer s.dropLong(st)
	s.closeCursor(st)
	// The statement means the keyspace in which it was prepared.
	now := s.back.Route.Scope
	s.back.Route.Scope = st.scope
	defer func() { s.back.Route.Scope = now }()
	if st.badLong != nil {
		return s.fail(st.badLong)
	}
	ex := &s.ex
	if err := ex.Parse(payload, st.params, st.types, st.long, s.to.Caps); err != nil {
		return s.fail(errcode.New(errcode.MalformedPacket, err.Error()))
	}
	if ex.NewTypes != nil {
		st.types = append(st.types[:0], ex.NewTypes...)
	}
	snap := s.sh.Targets.Current()
	if p := s.preparedPlan(snap, st); p != nil {
		s.limit(p)
		values, err := st.vindexValues(ex)
		if err != nil {
			return s.fail(errcode.New(errcode.MalformedPacket, err.Error()))
		}
		sh, err := s.back.Route.Find(snap, p.Fast, st.sql, st.slots, values)
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
func (s *Session) preparedPlan(snap *target.Snapshot, st *preparedStmt) *plan.Plan {
	if st.plan == nil || st.scope != s.back.Route.Scope || st.mode != s.back.Mode {
		return nil
	}
	if st.version != snap.Version {
		stmt, err := parse.Parse(st.sql, st.mode)
		if err != nil {
			return nil
		}
		p, err := plan.Build(st.sql, st.slots, stmt, s.env(snap))
		if err != nil || p.Fast == nil || p.Fast.Rewrite != nil {
			return nil
		}
		st.plan, st.version = p, snap.Version
	}
	if s.back.MustDraw(st.plan) {
		return nil
	}
	return st.plan
}

// vindexValues returns the parameters as a vindex sees them. The result is valid until the next call.
func (st *preparedStmt) vindexValues(ex *wire.Execute) ([]vindex.Value, error) {
	st.values, st.texts = st.values[:0], st.texts[:0]
	for i := range ex.Params {
		p := &ex.Params[i]
		from := len(st.texts)
		var err error
		if st.texts, err = p.AppendText(st.texts); err != nil {
			return nil, err
		}
		st.values = append(st.values, paramValue(p, st.texts[from:len(st.texts):len(st.texts)]))
	}
	return st.values, nil
}

func paramValue(p *wire.Param, text []byte) vindex.Value {
	if p.Null {
		return vindex.Value{Kind: vindex.Null}
	}
	switch p.Type {
	case wire.TypeTiny, wire.TypeShort, wire.TypeInt24, wire.TypeLong, wire.TypeLongLong, wire.TypeYear:
		if p.Unsigned {
			return vindex.Value{Kind: vindex.Uint, Raw: text}
		}
		return vindex.Value{Kind: vindex.Int, Raw: text}
	case wire.TypeFloat, wire.TypeDouble:
		if whole(text) {
			return vindex.Value{Kind: vindex.Int, Raw: text} // drivers that know only doubles send ids as such
		}
		return vindex.Value{Kind: vindex.Float, Raw: text}
	case wire.TypeDecimal, wire.TypeNewDecimal:
		return vindex.Value{Kind: vindex.Decimal, Raw: text}
	case wire.TypeTinyBlob, wire.TypeBlob, wire.TypeMediumBlob, wire.TypeLongBlob:
		return vindex.Value{Kind: vindex.Binary, Raw: text}
	}
	return vindex.Value{Kind: vindex.Text, Raw: text}
}

func whole(text []byte) bool {
	for i, b := range text {
		if (b < '0' || b > '9') && (i > 0 || b != '-') {
			return false
		}
	}
	return len(text) > 0
}

// executeFast sends the parameters' own bytes to one shard, with that connection's handle for the statement.
func (s *Session) executeFast(sh *target.Shard, p *plan.Plan, st *preparedStmt, ex *wire.Execute) error {
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
			text, err := s.paramText(st, ex)
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
func (s *Session) executeOn(c *pool.Conn, st *preparedStmt, ex *wire.Execute, withCursor, release bool) error {
	var flags byte
	prepare := s.handle
	if withCursor {
		flags, prepare = wire.CursorReadOnly, s.prepareCursor
		defer func() { s.opening = nil }()
	}
	id, err := prepare(c, st)
	if err != nil {
		return err
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

// handle returns the connection's handle for a statement, which is prepared there if it is not yet. The error is a
// *backend.Lost, or the server's own about the text.
func (s *Session) handle(c *pool.Conn, st *preparedStmt) (uint32, error) {
	if id, ok := c.Handle(st.text); ok {
		return id, nil
	}
	ps, err := c.Prepare(s.ctx, st.text.SQL)
	if err != nil {
		var my *wire.MySQLError
		if errors.As(err, &my) {
			return 0, err
		}
		return 0, &backend.Lost{Err: err}
	}
	if err := s.keepHandle(c, st.text, ps.ID); err != nil {
		return 0, &backend.Lost{Err: err}
	}
	return ps.ID, nil
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

// paramText returns the statement with its parameters written in.
func (s *Session) paramText(st *preparedStmt, ex *wire.Execute) ([]byte, error) {
	values := make([][]byte, len(ex.Params))
	for i := range ex.Params {
		var err error
		if values[i], err = ex.Params[i].AppendSQL(nil, st.mode.NoBackslashEscapes); err != nil {
			return nil, errcode.New(errcode.MalformedPacket, err.Error())
		}
	}
	text, n := rewrite.Params(st.sql, st.slots, values)
	if n != len(values) {
		return nil, errcode.New(errcode.BadParameterCount, n, len(values))
	}
	return text, nil
}

// executeText runs a prepared statement as text, with binary rows for the client.
func (s *Session) executeText(st *preparedStmt, ex *wire.Execute) error {
	text, err := s.paramText(st, ex)
	if err != nil {
		return s.fail(err)
	}
	s.binary = true
	defer func() { s.binary = false }()
	return s.query(text, nil, false)
}
