package session

import (
	"errors"
	"slices"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/prepared"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// maxCursors bounds the open cursors of one session, each of which may keep a connection from the others. Who asks for
// more gets the rows at once, without a cursor, which every client has to accept.
const maxCursors = 8

// cursor is an open cursor of a prepared statement, on the server that has the rows. Its handle there is its own: the
// connection's other users of the same text must not execute it. The session keeps the connection for as long as the
// cursor is open, inside its transaction or beyond it.
type cursor struct {
	stmt *prepared.Statement
	conn *pool.Conn
	id   uint32 // the server's id of the statement
}

// wantsCursor says whether an execution on one server is to open a cursor there.
func (s *Session) wantsCursor(p *plan.Plan, ex *wire.Execute) bool {
	return ex.Flags&wire.CursorReadOnly != 0 && p.Class == plan.Read && len(s.cursors) < maxCursors
}

// prepareCursor takes a handle from the connection's others, for the cursor that the execution to come may open.
func (s *Session) prepareCursor(c *pool.Conn, st *prepared.Statement, id uint32) {
	c.Forget(st.Text)
	s.opening = &cursor{stmt: st, conn: c, id: id}
}

// opened keeps the cursor if the execution that was just answered has opened one, and says so.
func (s *Session) opened() bool {
	cu := s.opening
	if cu == nil {
		return false
	}
	s.opening = nil
	if s.scan.IsErr || s.scan.Status&wire.StatusCursorExists == 0 {
		s.returnHandle(cu)
		return false
	}
	s.cursors = append(s.cursors, cu)
	s.back.Keep(cu.conn)
	return true
}

// returnHandle lets others use the handle of a cursor that is not open.
func (s *Session) returnHandle(cu *cursor) {
	var err error
	if _, again := cu.conn.Handle(cu.stmt.Text); again {
		err = backend.CloseHandle(cu.conn, cu.id)
	} else {
		err = s.back.KeepHandle(cu.conn, cu.stmt.Text, cu.id)
	}
	if err != nil {
		_ = cu.conn.Close() // whoever has it next finds it broken
	}
}

// comFetch answers COM_STMT_FETCH with rows of the server's cursor.
func (s *Session) comFetch(payload []byte) error {
	_, rows, err := wire.ParseFetch(payload)
	if err != nil {
		return s.fail(errcode.New(errcode.MalformedPacket, err.Error()))
	}
	st := s.stmtOf(payload)
	if st == nil {
		return s.unknownStmt(payload)
	}
	cu := s.cursorOf(st)
	if cu == nil {
		return s.fail(errcode.New(errcode.NoOpenCursor, st.ID))
	}
	if err := s.fetch(cu, rows); err != nil {
		lost, ok := errors.AsType[*backend.Lost](err)
		if !ok {
			return err
		}
		return s.cursorLost(cu, lost)
	}
	if s.scan.Status&wire.StatusLastRowSent != 0 {
		s.forgetCursor(cu)
		s.returnHandle(cu)
		s.back.Leave(cu.conn)
	}
	return nil
}

// fetch forwards rows from the server to the client.
func (s *Session) fetch(cu *cursor, rows uint32) error {
	s.out = wire.AppendFetch(s.out[:0], cu.id, rows)
	if err := s.sendPacket(cu.conn); err != nil {
		return err
	}
	return s.forwardAside(cu.conn, wire.ResponseFetch)
}

// forwardAside forwards the answer to a command from a connection that need not be the transaction's.
func (s *Session) forwardAside(c *pool.Conn, kind wire.ResponseKind) error {
	s.aside = true
	defer func() { s.aside = false }()
	return s.forward(c, kind, false)
}

// ownStatus makes the last packet of an answer tell of the session's transaction. packet is the packet with its header;
// where EOF has its status, the OK of no rows and no id has it too.
func (s *Session) ownStatus(packet []byte) {
	const at, own = 4 + 3, byte(wire.StatusInTrans | wire.StatusAutocommit)
	if s.scan.IsErr || len(packet) <= at {
		return
	}
	packet[at] = packet[at]&^own | byte(s.status(false))&own
}

// cursorLost answers a fetch whose server went away.
func (s *Session) cursorLost(cu *cursor, lost *backend.Lost) error {
	s.forgetCursor(cu)
	if p := s.back.PartOf(cu.conn); p != nil {
		s.back.Leave(cu.conn)
		return s.partLost(p, lost)
	}
	addr := cu.conn.Pool().Addr()
	cu.conn.Discard()
	s.back.Leave(cu.conn)
	return s.fail(errcode.Wrap(errcode.ServerLost, lost.Err, addr))
}

// cursorOf returns the statement's cursor, nil if it has none open.
func (s *Session) cursorOf(st *prepared.Statement) *cursor {
	if i := slices.IndexFunc(s.cursors, func(cu *cursor) bool { return cu.stmt == st }); i >= 0 {
		return s.cursors[i]
	}
	return nil
}

// closeCursor closes the statement's cursor, if it has one open.
func (s *Session) closeCursor(st *prepared.Statement) {
	cu := s.cursorOf(st)
	if cu == nil {
		return
	}
	s.forgetCursor(cu)
	if err := backend.CloseHandle(cu.conn, cu.id); err != nil {
		_ = cu.conn.Close() // whoever has it next finds it broken
	}
	s.back.Leave(cu.conn)
}

func (s *Session) forgetCursor(cu *cursor) {
	s.cursors = slices.DeleteFunc(s.cursors, func(o *cursor) bool { return o == cu })
}
