// Package reply encodes the answers that the gateway makes itself: OK and error packets, rows of its own, and rows that an
// executor merged from several servers, in the text or the binary protocol.
//
// It forwards nothing (the session does that, undecoded) and knows neither statements nor transactions.
package reply

import (
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// Client is the way to one client. Its methods are called by one goroutine.
type Client struct {
	// Conn is the connection; Caps is what was agreed on it. Both may change when the client changes its user.
	Conn *wire.Conn
	Caps wire.Capability
	// Status returns the status flags of an answer, more says that another one follows in the same command.
	Status func(more bool) uint16
	// Gone is called when an answer can't be sent any more.
	Gone func()

	buf []byte
}

// Packet sends one packet and all that is queued.
func (c *Client) Packet(payload []byte) error {
	if err := c.Conn.WritePacket(payload); err != nil {
		return err
	}
	return c.Conn.Flush()
}

// OK sends an OK packet with the session's status beside ok's own. It is not flushed when more follows.
func (c *Client) OK(ok wire.OK, more bool) error {
	ok.Status |= c.Status(more)
	c.buf = wire.AppendOK(c.buf[:0], ok, c.Caps, false)
	if more {
		return c.Conn.WritePacket(c.buf)
	}
	return c.Packet(c.buf)
}

// EOF sends what ends rows and answers COM_SET_OPTION: an EOF packet, or an OK in its place.
func (c *Client) EOF() error {
	c.end(wire.OK{}, false)
	return c.Packet(c.buf)
}

// end makes that packet, with ok's warnings.
func (c *Client) end(ok wire.OK, more bool) {
	st := c.Status(more)
	if c.Caps&wire.ClientDeprecateEOF != 0 {
		c.buf = wire.AppendOK(c.buf[:0], wire.OK{Status: st, Warnings: ok.Warnings}, c.Caps, true)
	} else {
		c.buf = wire.AppendEOF(c.buf[:0], ok.Warnings, st)
	}
}

// Err queues an ERR packet.
func (c *Client) Err(my *wire.MySQLError) error {
	c.buf = wire.AppendErr(c.buf[:0], my)
	return c.Conn.WritePacket(c.buf)
}

// Prepared sends the answer to COM_STMT_PREPARE.
func (c *Client) Prepared(id uint32, params, cols []wire.Column) error {
	c.buf = wire.AppendPrepared(c.buf[:0], wire.Prepared{ID: id, Columns: len(cols), Params: len(params)}, c.Caps)
	if err := c.Conn.WritePacket(c.buf); err != nil {
		return err
	}
	for _, list := range [2][]wire.Column{params, cols} {
		if len(list) == 0 {
			continue
		}
		if err := c.columns(list, false); err != nil {
			return err
		}
	}
	return c.Conn.Flush()
}

// columns queues column definitions and the EOF after them, where the client wants one.
func (c *Client) columns(cols []wire.Column, more bool) error {
	for i := range cols {
		c.buf = wire.AppendColumn(c.buf[:0], &cols[i], c.Caps)
		if err := c.Conn.WritePacket(c.buf); err != nil {
			return err
		}
	}
	if c.Caps&wire.ClientDeprecateEOF != 0 {
		return nil
	}
	c.buf = wire.AppendEOF(c.buf[:0], 0, c.Status(more))
	return c.Conn.WritePacket(c.buf)
}

// Rows begins an answer that may have rows. binary says that they go out in the form of COM_STMT_EXECUTE's answer, more
// that another statement's answer follows.
func (c *Client) Rows(binary, more bool) *Rows { return &Rows{c: c, binary: binary, more: more} }

// Rows is an answer under way: an exec.Sink.
type Rows struct {
	c       *Client
	binary  bool
	more    bool
	cols    []wire.Column
	started bool
	n       uint64
}

// Started says whether something of the answer was sent.
func (r *Rows) Started() bool { return r.started }

// Count returns how many rows were sent.
func (r *Rows) Count() uint64 { return r.n }

// Columns begins the result.
func (r *Rows) Columns(cols []wire.Column) error {
	if r.started {
		return nil
	}
	r.started, r.cols = true, cols
	r.c.buf = wire.AppendLenencInt(r.c.buf[:0], uint64(len(cols)))
	if err := r.write(r.c.buf); err != nil {
		return err
	}
	if err := r.c.columns(cols, r.more); err != nil {
		r.c.Gone()
		return err
	}
	return nil
}

// Row sends one row; nil values are NULL.
func (r *Rows) Row(values [][]byte) error {
	r.n++
	if r.binary {
		var err error
		if r.c.buf, err = wire.AppendBinaryRow(r.c.buf[:0], r.cols, values); err != nil {
			return err
		}
	} else {
		r.c.buf = wire.AppendTextRow(r.c.buf[:0], values)
	}
	return r.write(r.c.buf)
}

// RawRow sends one row that is encoded as text already.
func (r *Rows) RawRow(row []byte) error {
	if r.binary {
		values, err := wire.ParseTextRow(row, make([][]byte, len(r.cols)))
		if err != nil {
			return err
		}
		return r.Row(values)
	}
	r.n++
	return r.write(row)
}

// NextResult ends a result that is not the statement's last.
func (r *Rows) NextResult(ok wire.OK) error {
	if r.started {
		r.started, r.n = false, 0
		return r.Finish(ok, true)
	}
	ok.Status = 0
	return r.c.OK(ok, true)
}

// write sends a packet. A failure means that the client is gone, or reads nothing.
func (r *Rows) write(packet []byte) error {
	err := r.c.Conn.WritePacket(packet)
	if err != nil {
		r.c.Gone()
	}
	return err
}

// Finish ends the rows with ok's warnings. It is not flushed when more follows.
func (r *Rows) Finish(ok wire.OK, more bool) error {
	c := r.c
	c.end(ok, more)
	if more {
		return c.Conn.WritePacket(c.buf)
	}
	return c.Packet(c.buf)
}
