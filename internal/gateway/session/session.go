// Package session is one client of the gateway: its commands, its state (keyspace, settings, variables, prepared
// statements) and its transaction. Most statements take the fast path: one pass over the bytes, a cached plan, a pooled
// connection, the client's own bytes out and the server's own bytes back.
//
// It does not plan (sql/plan), does not merge rows (gateway/exec), does not know where shards are (gateway/target) and
// does not open connections (gateway/pool).
package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/plancache"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/prepared"
	"github.com/pelorusdb/pelorus/internal/gateway/reply"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/gateway/variables"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// Limits bound what one session may use.
type Limits struct {
	MaxPacket    int           // bytes of one command, default 64 MiB as max_allowed_packet
	QueryTimeout time.Duration // a statement that only reads is ended after it; 0: none
	WriteTimeout time.Duration // a client that does not read is closed after it
}

// Shared is what all sessions of a gateway have in common. All parts are safe for concurrent use.
type Shared struct {
	Targets   *target.Watcher
	Backend   *backend.Config
	Plans     *plancache.Cache
	Scopes    *route.Scopes
	Variables *variables.Config
	Prepared  *prepared.Config
	Clients   *clients.Registry
	Server    *wire.ServerConfig
	Metrics   *Metrics
	Admin     Admin
	// Rights says whether a user is bound to some keyspaces or to reading.
	Rights func(user string) (bound, readOnly bool)
	// May says whether a user may use a keyspace.
	May     func(user, keyspace string) bool
	Limits  Limits
	Cell    string
	MariaDB bool   // announced flavor
	Version string // announced version, such as 9.7.4-pelorus
	Log     *slog.Logger
}

// Admin is what statements that change the topology need: ALTER VSCHEMA.
type Admin interface {
	AlterVSchema(ctx context.Context, keyspace, sql string) error
}

// Session is one client. Its methods are called by one goroutine, but for Kill and TimeOut.
type Session struct {
	sh    *Shared
	to    reply.Client
	me    *clients.Client
	login *wire.Login
	id    uint32
	host  string
	log   *slog.Logger
	ctx   context.Context
	back  *backend.Backend

	bound    bool // the user may use some keyspaces only
	readOnly bool // the user may not write
	multi    bool // the client may send several statements at once
	qattrs   bool // COM_QUERY carries query attributes

	vars     *variables.Variables
	prepared *prepared.Set
	cursors  prepared.Cursors
	aside    bool         // the answer under way comes from a connection that knows nothing of the session's transaction
	idleWith atomic.Int64 // since when the client has left long data of some size alone, in Unix nanoseconds; 0: it has not

	lastInsertID uint64
	rowCount     int64
	foundRows    uint64
	warnings     []backend.Warning

	on     *target.Shard // where the fast path runs the statement
	killed atomic.Bool

	ex        wire.Execute
	scan      wire.Scanner
	slots     []parse.Slot
	scratch   [64]byte // numbers as text
	out       []byte   // small encode buffer
	head      [5]byte
	rewritten []byte
	body      []byte // the text that the fast path sends, nil for COM_STMT_EXECUTE
	binary    bool   // the statement came by COM_STMT_EXECUTE: its rows go out in the binary form
	follows   bool   // an answer to the same command came before, so packets are numbered on and not forwarded as they are
	failed    bool   // the last statement was answered with an error
	relayed   bool   // the client's file went to the server: the statement can't be sent again
}

// publish tells others who the client is.
func (s *Session) publish() { s.me.Describe(s.login.User, s.host, s.back.Route.Scope.Keyspace) }

// Serve runs one client connection from handshake to end. It returns when the client is gone, ctx ends or Kill was called.
func Serve(ctx context.Context, nc net.Conn, sh *Shared) {
	wc := wire.NewConn(nc, sh.Limits.MaxPacket)
	wc.SetWriteTimeout(sh.Limits.WriteTimeout)
	id := sh.Clients.NextID()
	log := sh.Log.With("conn", id)
	login, wc2, err := wire.ServerHandshake(wc, id, sh.Server)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			log.Info("login failed", "remote", nc.RemoteAddr(), "error", err)
		}
		_ = nc.Close()
		return
	}
	host, _, err := net.SplitHostPort(nc.RemoteAddr().String())
	if err != nil {
		host = "localhost"
	}
	s := &Session{
		sh: sh, id: id, host: host, log: log, ctx: ctx, login: login,
		back: backend.New(ctx, sh.Backend, id, sh.Scopes.Intern(route.Scope{})),
	}
	s.to = reply.Client{Conn: wc2, Caps: login.Caps, Status: s.status, Gone: s.back.Abandon}
	s.me = sh.Clients.Add(id, s)
	s.prepared, s.cursors = prepared.NewSet(sh.Prepared, &s.back.Memory), prepared.NewCursors(s.back)
	s.vars = variables.New(sh.Variables, s, s.back, s.me)
	defer s.close()
	s.to.Conn.SetMeter(&s.back.Memory)
	stop := context.AfterFunc(ctx, func() { s.Kill(false) })
	defer stop()
	if err := s.begin(login); err != nil {
		s.sendErr(err)
		_ = s.to.Conn.Flush()
		return
	}
	if err := s.loop(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errQuit) && !s.killed.Load() {
		log.Info("client connection ended", "user", login.User, "error", err)
	}
}

// errQuit ends a session at the client's wish.
var errQuit = errors.New("client quit")

// begin puts the session into the state after login, also after COM_CHANGE_USER.
func (s *Session) begin(login *wire.Login) error {
	s.login = login
	s.to.Caps = login.Caps
	s.back.Class = 0
	if s.to.Caps&wire.ClientDeprecateEOF != 0 {
		s.back.Class |= pool.DeprecateEOF
	}
	if s.to.Caps&wire.ClientSessionTrack != 0 {
		s.back.Class |= pool.SessionTrack
	}
	if s.to.Caps&wire.ClientFoundRows != 0 {
		s.back.Class |= pool.FoundRows
	}
	s.multi = s.to.Caps&wire.ClientMultiStatements != 0
	s.qattrs = s.to.Caps&wire.ClientQueryAttributes != 0
	s.bound, s.readOnly = s.sh.Rights(login.User)
	s.back.Visible = nil
	if s.bound {
		s.back.Visible = func(keyspace string) bool { return s.sh.May(s.login.User, keyspace) }
	}
	s.reset()
	defer s.publish()
	if login.Database != "" {
		return s.use(login.Database)
	}
	return nil
}

// reset gives everything back and forgets all session state but the keyspace and what the login said.
func (s *Session) reset() {
	s.back.Reset()
	s.forgetPrepared()
	ignoreSpace := s.to.Caps&wire.ClientIgnoreSpace != 0
	s.back.Mode = parse.Mode{MariaDB: s.sh.MariaDB, Version: rewrite.VersionNumber(s.sh.Version), IgnoreSpace: ignoreSpace}
	s.vars.Reset(settings.HandshakeNames(s.login.Charset, s.sh.MariaDB), ignoreSpace)
	s.lastInsertID, s.rowCount, s.foundRows, s.warnings = 0, -1, 0, nil
}

func (s *Session) close() {
	s.back.Close()
	s.forgetPrepared()
	s.sh.Clients.Remove(s.me)
	_ = s.to.Conn.Close()
	s.to.Conn.SetMeter(nil)
	s.back.Memory.Close()
}

// Kill ends the session's running statement, and the session itself unless queryOnly. Safe from any goroutine.
func (s *Session) Kill(queryOnly bool) {
	if !queryOnly {
		s.killed.Store(true)
	}
	s.back.Kill(errcode.New(errcode.Killed))
	if !queryOnly {
		_ = s.to.Conn.Close()
	}
}

// TimeOut ends the session's running statement because it has run for longer than limit. Safe from any goroutine.
func (s *Session) TimeOut(limit time.Duration) { s.back.Kill(errcode.New(errcode.TimeLimit, limit)) }

// loop reads commands until the client quits.
func (s *Session) loop() error {
	for {
		if s.prepared.HoldsLong() {
			s.idleWith.Store(time.Now().UnixNano())
		}
		payload, raw, err := s.to.Conn.ReadCommand()
		if s.prepared.HoldsLong() {
			s.idleWith.Store(0)
		}
		if err != nil {
			if r, ok := errors.AsType[*wire.RefusedError](err); ok {
				if err = s.tooBigNow(r); err == nil {
					continue
				}
			}
			return s.badInput(err)
		}
		if len(payload) == 0 {
			return s.badInput(wire.ErrMalformed)
		}
		if s.killed.Load() {
			return errQuit // the client had sent more than one command
		}
		s.back.Begin(len(payload))
		if payload[0] == wire.ComQuery {
			err = s.comQuery(payload, raw)
		} else {
			s.me.Begin(clients.CommandName(payload[0]), s.textOf(payload))
			err = s.command(payload)
		}
		s.me.End()
		s.back.End()
		if err != nil {
			return err
		}
	}
}

// textOf is the statement that a command other than COM_QUERY runs, nil if there is none.
func (s *Session) textOf(payload []byte) []byte {
	switch payload[0] {
	case wire.ComStmtPrepare:
		return payload[1:]
	case wire.ComStmtExecute:
		if st, err := s.prepared.Of(payload); err == nil {
			return st.SQL
		}
	}
	return nil
}

// badInput tells a client what was wrong with its bytes, where that is still possible, and ends the session.
func (s *Session) badInput(err error) error {
	switch {
	case errors.Is(err, wire.ErrPacketTooLarge):
		s.sendErr(errcode.New(errcode.PacketTooLarge, s.sh.Limits.MaxPacket))
	case errors.Is(err, wire.ErrSequence):
		s.sendErr(errcode.New(errcode.PacketOutOfOrder))
	case errors.Is(err, wire.ErrMalformed):
		s.sendErr(errcode.New(errcode.MalformedPacket, err.Error()))
	default:
		return err
	}
	_ = s.to.Conn.Flush()
	return err
}

// command runs any command but COM_QUERY.
func (s *Session) command(payload []byte) error {
	switch payload[0] {
	case wire.ComStmtExecute:
		return s.comExecute(payload)
	case wire.ComStmtPrepare:
		return s.comPrepare(payload)
	case wire.ComStmtClose:
		s.comClose(payload)
		return nil
	case wire.ComStmtSendLongData:
		s.comLongData(payload)
		return nil
	case wire.ComStmtReset:
		return s.comStmtReset(payload)
	case wire.ComStmtFetch:
		return s.comFetch(payload)
	case wire.ComPing:
		return s.to.OK(wire.OK{}, false)
	case wire.ComQuit:
		return errQuit
	case wire.ComInitDB:
		return s.comInitDB(string(payload[1:]))
	case wire.ComFieldList:
		return s.comFieldList(payload)
	case wire.ComResetConnection:
		s.reset()
		return s.to.OK(wire.OK{}, false)
	case wire.ComChangeUser:
		login, err := wire.ServerChangeUser(s.to.Conn, payload, s.login, s.sh.Server)
		if err != nil {
			return err
		}
		s.back.Route.Scope = s.sh.Scopes.Intern(route.Scope{})
		return s.begin(login) // the client was told OK already: an error can only end the session
	case wire.ComSetOption:
		return s.comSetOption(payload)
	case wire.ComDebug:
		return s.fail(errcode.New(errcode.PrivilegeNeeded, "SUPER"))
	case wire.ComStatistics:
		return s.comStatistics()
	case wire.ComProcessKill:
		if len(payload) < 5 {
			return s.fail(wire.ErrMalformed)
		}
		return s.killStatement(uint64(payload[1])|uint64(payload[2])<<8|uint64(payload[3])<<16|uint64(payload[4])<<24, false, false)
	default:
		return s.fail(errcode.New(errcode.UnknownCommand, payload[0]))
	}
}

func (s *Session) comSetOption(payload []byte) error {
	if len(payload) < 3 {
		return s.fail(wire.ErrMalformed)
	}
	switch payload[1] {
	case 0:
		s.multi = true
	case 1:
		s.multi = false
	default:
		return s.fail(errcode.New(errcode.UnknownCommand, payload[0]))
	}
	return s.to.EOF()
}

func (s *Session) comStatistics() error {
	n := s.sh.Clients.Count()
	text := fmt.Sprintf("Uptime: %d  Threads: %d", int(s.sh.Clients.Uptime().Seconds()), n)
	return s.to.Packet([]byte(text))
}

// status returns the status flags of an answer that the gateway makes itself.
func (s *Session) status(more bool) uint16 {
	var st uint16
	if s.back.Tx.Open() {
		st |= wire.StatusInTrans
	}
	if s.back.Tx.Autocommit {
		st |= wire.StatusAutocommit
	}
	if more {
		st |= wire.StatusMoreResults
	}
	if s.back.Mode.NoBackslashEscapes {
		st |= wire.StatusNoBackslashEscapes
	}
	if s.back.Mode.ANSIQuotes && s.sh.MariaDB {
		st |= wire.StatusAnsiQuotes
	}
	return st
}

// fail answers a command with an error. The session goes on unless the answer can't be sent.
func (s *Session) fail(err error) error {
	if fatal := s.sendErr(err); fatal != nil {
		return fatal
	}
	return s.to.Conn.Flush()
}

// sendErr queues an ERR packet and keeps it for SHOW WARNINGS.
func (s *Session) sendErr(err error) error {
	my := s.reason(toMySQL(err))
	s.warnings = append(s.warnings[:0], backend.Warning{Level: "Error", Code: my.Errno, Text: my.Message})
	s.rowCount = -1
	s.sh.Metrics.Errors.Inc()
	return s.to.Err(my)
}

// reason is the error that the client gets in place of a server's: a server says only that a statement was interrupted, and
// not that it had run for too long.
func (s *Session) reason(my *wire.MySQLError) *wire.MySQLError {
	const interrupted = 1317
	if my.Errno == interrupted {
		if why := s.back.Interrupted(); why != nil {
			return toMySQL(why)
		}
	}
	return my
}

// toMySQL gives any error the form that a driver understands.
func toMySQL(err error) *wire.MySQLError {
	var my *wire.MySQLError
	if errors.As(err, &my) {
		return my
	}
	e := errcode.Force(err)
	return &wire.MySQLError{Errno: e.Errno(), State: e.State(), Message: e.Error()}
}
