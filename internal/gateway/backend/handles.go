package backend

import (
	"errors"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// Describe prepares the text on a connection of the shard and returns the definitions of its parameters and columns.
func (b *Backend) Describe(sh *target.Shard, text *pool.Statement) (params, cols []wire.Column, err error) {
	if c := b.Held(sh); c != nil {
		return b.describeOn(c, text)
	}
	ep, err := b.Endpoint(sh, false)
	if err != nil {
		return nil, nil, err
	}
	var held route.Holding
	for attempt := 0; ; attempt++ {
		c, err := b.Get(ep)
		if err != nil {
			if next, ok := b.HoldUnreachable(b.Waiting(), &held, sh, ep, err); ok {
				ep = next
				continue
			}
			return nil, nil, b.Unserved(ep, err)
		}
		params, cols, err = b.describeOn(c, text)
		var my *wire.MySQLError
		if err == nil || errors.As(err, &my) && !route.Unreachable(my) {
			c.Release()
			return params, cols, err
		}
		c.Discard()
		if attempt == 0 {
			continue
		}
		next, ok := b.Route.Hold(b.Waiting(), &held, sh, ep)
		if !ok {
			return nil, nil, held.Or(errcode.Wrap(errcode.ServerLost, err, ep.Addr))
		}
		ep = next
	}
}

func (b *Backend) describeOn(c *pool.Conn, text *pool.Statement) (params, cols []wire.Column, err error) {
	if id, ok := c.Handle(text); ok {
		if err := CloseHandle(c, id); err != nil {
			return nil, nil, err
		}
		c.Forget(text)
	}
	b.Watch(c) // a server prepares nothing while the table is locked
	ps, err := c.Prepare(b.ctx, text.SQL)
	if b.Unwatch(c) {
		c.Dirty = true
	}
	if err != nil {
		return nil, nil, err
	}
	return ps.Params, ps.Columns, b.KeepHandle(c, text, ps.ID)
}

// KeepHandle lets others use a handle, for which the oldest of the connection is closed when there are too many.
func (b *Backend) KeepHandle(c *pool.Conn, text *pool.Statement, id uint32) error {
	if old, evict := c.Keep(text, id); evict {
		return CloseHandle(c, old)
	}
	return nil
}

// CloseHandle sends COM_STMT_CLOSE, which has no answer.
func CloseHandle(c *pool.Conn, id uint32) error {
	w := c.Wire()
	w.SetSeq(0)
	if err := w.WritePacket([]byte{wire.ComStmtClose, byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}); err != nil {
		return err
	}
	return w.Flush()
}

// Handle returns the connection's handle for a statement, which is prepared there if it is not yet. The error is a
// *Lost, or the server's own about the text.
func (b *Backend) Handle(c *pool.Conn, text *pool.Statement) (uint32, error) {
	if id, ok := c.Handle(text); ok {
		return id, nil
	}
	b.Watch(c) // a server prepares nothing while the table is locked
	ps, err := c.Prepare(b.ctx, text.SQL)
	if b.Unwatch(c) {
		c.Dirty = true
	}
	if err != nil {
		var my *wire.MySQLError
		if errors.As(err, &my) {
			return 0, err
		}
		return 0, &Lost{Err: err}
	}
	if err := b.KeepHandle(c, text, ps.ID); err != nil {
		return 0, &Lost{Err: err}
	}
	return ps.ID, nil
}
