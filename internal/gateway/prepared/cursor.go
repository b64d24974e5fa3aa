package prepared

import (
	"slices"

	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
)

// maxCursors bounds the open cursors of one session, each of which may keep a connection from the others. Who asks for
// more gets the rows at once, without a cursor, which every client has to accept.
const maxCursors = 8

// Cursor is an open cursor of a prepared statement, on the server that has the rows. Its handle there is its own: the
// connection's other users of the same text must not execute it. The session keeps the connection for as long as the
// cursor is open, inside its transaction or beyond it.
type Cursor struct {
	Conn *pool.Conn
	ID   uint32 // the server's id of the statement
	stmt *Statement
}

// Cursors are those that one session has open. Not safe for concurrent use.
type Cursors struct {
	back    *backend.Backend
	open    []*Cursor
	opening *Cursor // what the execution under way may open
}

// NewCursors makes a session's cursors; none is open.
func NewCursors(back *backend.Backend) Cursors { return Cursors{back: back} }

// Full says whether the session may not open another one.
func (cs *Cursors) Full() bool { return len(cs.open) >= maxCursors }

// Expect takes a handle from the connection's others, for the cursor that the execution to come may open.
func (cs *Cursors) Expect(c *pool.Conn, st *Statement, id uint32) {
	c.Forget(st.Text)
	cs.opening = &Cursor{stmt: st, Conn: c, ID: id}
}

// Unexpect ends Expect, whatever became of the execution.
func (cs *Cursors) Unexpect() { cs.opening = nil }

// Answered says whether the execution that was just answered has opened the expected cursor, which is kept then. exists is
// what the answer says of it.
func (cs *Cursors) Answered(exists bool) bool {
	cu := cs.opening
	if cu == nil {
		return false
	}
	cs.opening = nil
	if !exists {
		cs.returnHandle(cu)
		return false
	}
	cs.open = append(cs.open, cu)
	cs.back.Keep(cu.Conn)
	return true
}

// returnHandle lets others use the handle of a cursor that is not open.
func (cs *Cursors) returnHandle(cu *Cursor) {
	var err error
	if _, again := cu.Conn.Handle(cu.stmt.Text); again {
		err = backend.CloseHandle(cu.Conn, cu.ID)
	} else {
		err = cs.back.KeepHandle(cu.Conn, cu.stmt.Text, cu.ID)
	}
	if err != nil {
		_ = cu.Conn.Close() // whoever has it next finds it broken
	}
}

// Of returns the statement's cursor, nil if it has none open.
func (cs *Cursors) Of(st *Statement) *Cursor {
	if i := slices.IndexFunc(cs.open, func(cu *Cursor) bool { return cu.stmt == st }); i >= 0 {
		return cs.open[i]
	}
	return nil
}

// End ends a cursor whose last row was sent: the server has closed it.
func (cs *Cursors) End(cu *Cursor) {
	cs.forget(cu)
	cs.returnHandle(cu)
	cs.back.Leave(cu.Conn)
}

// Close closes the statement's cursor, if it has one open.
func (cs *Cursors) Close(st *Statement) {
	cu := cs.Of(st)
	if cu == nil {
		return
	}
	cs.forget(cu)
	if err := backend.CloseHandle(cu.Conn, cu.ID); err != nil {
		_ = cu.Conn.Close() // whoever has it next finds it broken
	}
	cs.back.Leave(cu.Conn)
}

// CloseAll closes all cursors.
func (cs *Cursors) CloseAll() {
	for len(cs.open) > 0 {
		cs.Close(cs.open[0].stmt)
	}
}

// Lost ends a cursor whose server went away. It returns the transaction's part that is lost with it, or nil.
func (cs *Cursors) Lost(cu *Cursor) *backend.Part {
	cs.forget(cu)
	part := cs.back.PartOf(cu.Conn)
	if part == nil {
		cu.Conn.Discard()
	}
	cs.back.Leave(cu.Conn)
	return part
}

func (cs *Cursors) forget(cu *Cursor) {
	cs.open = slices.DeleteFunc(cs.open, func(o *Cursor) bool { return o == cu })
}
