package session

import (
	"errors"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/prepared"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// wantsCursor says whether an execution on one server is to open a cursor there.
func (s *Session) wantsCursor(p *plan.Plan, ex *wire.Execute) bool {
	return ex.Flags&wire.CursorReadOnly != 0 && p.Class == plan.Read && !s.cursors.Full()
}

// opened keeps the cursor if the execution that was just answered has opened one, and says so.
func (s *Session) opened() bool {
	return s.cursors.Answered(!s.scan.IsErr && s.scan.Status&wire.StatusCursorExists != 0)
}

// comFetch answers COM_STMT_FETCH with rows of the server's cursor.
func (s *Session) comFetch(payload []byte) error {
	_, rows, err := wire.ParseFetch(payload)
	if err != nil {
		return s.fail(errcode.New(errcode.MalformedPacket, err.Error()))
	}
	st, err := s.prepared.Of(payload)
	if err != nil {
		return s.fail(err)
	}
	cu := s.cursors.Of(st)
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
		s.cursors.End(cu)
	}
	return nil
}

// fetch forwards rows from the server to the client.
func (s *Session) fetch(cu *prepared.Cursor, rows uint32) error {
	s.out = wire.AppendFetch(s.out[:0], cu.ID, rows)
	if err := s.sendPacket(cu.Conn); err != nil {
		return err
	}
	return s.forwardAside(cu.Conn, wire.ResponseFetch)
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
func (s *Session) cursorLost(cu *prepared.Cursor, lost *backend.Lost) error {
	addr := cu.Conn.Pool().Addr()
	if part := s.cursors.Lost(cu); part != nil {
		return s.partLost(part, lost)
	}
	return s.fail(errcode.Wrap(errcode.ServerLost, lost.Err, addr))
}
