package session

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// fencedError says that a server refused a write because it is read-only. Nothing happened there.
type fencedError struct{ my *wire.MySQLError }

func (e *fencedError) Error() string { return e.my.Error() }
func (e *fencedError) Unwrap() error { return e.my }

// runFast sends the statement to one shard and forwards the answer. raw are the client's own wire bytes, or nil; then
// body (the COM_QUERY payload without its command byte) is framed anew.
func (s *Session) runFast(sh *target.Shard, p *plan.Plan, body, raw []byte) error {
	s.body = body
	if s.back.Tx.Active() {
		return s.runInTxn(sh, p, body, raw)
	}
	ep, err := s.back.Endpoint(sh, p.Writes())
	if err != nil {
		return s.fail(err)
	}
	s.on = sh
	return s.alone(sh, ep, p.Writes(), func(c *pool.Conn) error {
		if err := s.send(c, body, raw); err != nil {
			return err
		}
		return s.forward(c, wire.ResponseQuery, true)
	})
}

// alone runs a statement outside a transaction on a connection to a primary or replica. A statement that certainly had no
// effect is sent again: at once if a connection was lost, and later if the shard changes its primary.
func (s *Session) alone(sh *target.Shard, ep *target.Endpoint, write bool, f func(*pool.Conn) error) error {
	var held route.Holding
	for attempt := 0; ; attempt++ {
		c, err := s.back.Get(ep)
		if err == nil {
			c.KillHard.Store(write && s.sh.MariaDB)
			if err = f(c); err == nil {
				return nil
			}
			ep, err = s.again(&held, sh, ep, c, write, attempt, err)
		} else if next, ok := s.back.HoldUnreachable(s.back.Waiting(), &held, sh, ep, err); ok {
			ep, err = next, nil
		} else {
			return s.fail(held.Or(s.back.Unserved(ep, err)))
		}
		if ep == nil {
			return err
		}
	}
}

// again decides what becomes of a statement after err: it returns the server to try next, or nil when the client has its
// answer or the session must end by the returned error.
func (s *Session) again(h *route.Holding, sh *target.Shard, ep *target.Endpoint, c *pool.Conn, write bool, attempt int, err error) (*target.Endpoint, error) {
	if fenced, ok := errors.AsType[*fencedError](err); ok { // c was dealt with
		next, ok := s.back.Route.Hold(s.back.Waiting(), h, sh, ep)
		if !ok {
			return nil, s.fail(h.Or(fenced.my))
		}
		return next, nil
	}
	lost, ok := errors.AsType[*backend.Lost](err)
	if !ok {
		return nil, err
	}
	c.Discard()
	write = write && lost.Sent
	if write || s.back.Interrupted() != nil {
		return nil, s.lostStatement(ep.Addr, lost, write)
	}
	if attempt == 0 {
		return ep, nil
	}
	next, ok := s.back.Route.Hold(s.back.Waiting(), h, sh, ep)
	if !ok {
		return nil, s.fail(h.Or(errcode.Wrap(errcode.ServerLost, lost.Err, ep.Addr)))
	}
	return next, nil
}

// lostStatement answers a statement whose server went away. Of a write nobody can say whether it happened, so the
// client is told just that, in the form that drivers take for a connection lost during a query.
func (s *Session) lostStatement(addr string, lost *backend.Lost, write bool) error {
	if why := s.back.Interrupted(); why != nil && !write {
		return s.fail(why)
	}
	if !write {
		return s.fail(errcode.Wrap(errcode.ServerLost, lost.Err, addr))
	}
	if err := s.fail(errcode.New(errcode.OutcomeUnknownClose)); err != nil {
		return err
	}
	return fmt.Errorf("outcome of a write is unknown: %w", lost)
}

// send writes a COM_QUERY to the server: the client's own bytes when there are such, else a new frame.
func (s *Session) send(c *pool.Conn, body, raw []byte) error {
	w := c.Wire()
	var err error
	switch {
	case raw != nil:
		err = w.WriteRaw(raw)
	case len(body)+1 < 0xffffff:
		n := len(body) + 1
		s.head = [5]byte{byte(n), byte(n >> 8), byte(n >> 16), 0, wire.ComQuery}
		err = w.WriteRaw2(s.head[:], body)
	default:
		err = w.WriteCommand(wire.ComQuery, body)
	}
	if err != nil {
		return &backend.Lost{Err: err}
	}
	return nil
}

// forward copies one whole response from the server to the client, undecoded. With release, the connection goes back
// to its pool as soon as its last byte was read, unless a transaction has to keep it. A *backend.Lost means that the
// server's connection broke before anything reached the client; any other error ends the session.
func (s *Session) forward(c *pool.Conn, kind wire.ResponseKind, release bool) error {
	w := c.Wire()
	s.back.Watch(c)
	s.scan.Reset(kind, c.Caps())
	sent := false
	for {
		// Reading the answers to pipelined statements may have read on into this one.
		chunk := w.Buffered()
		var err error
		if len(chunk) == 0 {
			chunk, err = w.Fill()
		}
		if err != nil {
			s.back.Unwatch(c)
			if !sent {
				return &backend.Lost{Sent: true, Err: err}
			}
			c.Discard()
			return fmt.Errorf("server connection broke in the middle of a result: %w", err)
		}
		n, done, err := s.scan.Feed(chunk)
		if err != nil || done && n != len(chunk) {
			s.back.Unwatch(c)
			c.Discard()
			return fmt.Errorf("server %s sent what is no MySQL response: %w", c.Pool().Addr(), errOr(err, wire.ErrMalformed))
		}
		if done {
			if release && !sent && !s.relayed && s.scan.IsErr {
				if err := s.refused(c, n); err != nil {
					return err
				}
			}
			return s.last(c, n, release)
		}
		sent = true
		if err := s.to.Conn.WriteRaw(chunk); err != nil {
			// The rest of the result is of no use to anybody: the server notices when its connection closes.
			s.back.Unwatch(c)
			c.Discard()
			return err
		}
		w.Discard(n)
	}
}

// refused keeps an answer from the client that tells of a change of primary and not of the statement. The connection is
// closed, or is the caller's to discard after a *backend.Lost.
func (s *Session) refused(c *pool.Conn, n int) error {
	if !route.ChangesPrimary(s.scan.Errno) {
		return nil
	}
	w := c.Wire()
	my, err := wire.ParseErr(w.Buffered()[n-s.scan.LastPacket+4 : n])
	if err != nil {
		return nil // the client gets it as it is
	}
	if route.GoingDown(s.scan.Errno) {
		s.back.Unwatch(c)
		return &backend.Lost{Sent: true, Err: my}
	}
	if !route.RefusedWrite(my) {
		return nil
	}
	s.back.Unwatch(c)
	w.Discard(n)
	w.Release()
	// The server cuts its clients off next, and who takes an idle connection that is closing can't tell that its statement never ran.
	server := c.Pool()
	c.Discard()
	server.DropIdle()
	return &fencedError{my: my}
}

// last takes note of a response whose end was read, gives the connection back, and sends the last bytes to the client.
func (s *Session) last(c *pool.Conn, n int, release bool) error {
	struck := s.back.Unwatch(c)
	w := c.Wire()
	if s.scan.IsErr {
		s.keepError(w.Buffered(), n)
	}
	if s.aside && s.scan.LastPacket <= n {
		s.ownStatus(w.Buffered()[n-s.scan.LastPacket : n])
	}
	lease := w.Lease(n)
	defer lease.Free()
	answer := lease.Bytes()
	if struck && s.scan.IsErr {
		answer = s.giveReason(answer)
	}
	if s.scan.LocalInfile {
		return s.relayInfile(c, lease.Bytes())
	}
	if s.scan.IsErr || s.scan.Warnings > 0 || s.scan.InsertID > 0 {
		s.afterOdd(c)
	} else {
		s.afterPlain()
	}
	w.Release()
	switch {
	case release && struck:
		c.Discard() // the kill may arrive only now, and must not hit another session's statement
	case s.opened():
	case release:
		s.giveBack(c)
	}
	return s.to.Conn.WriteRaw(answer)
}

// giveReason returns the last bytes of an answer that ends in an error with the reason for it.
func (s *Session) giveReason(answer []byte) []byte {
	const header = 4
	at := len(answer) - s.scan.LastPacket
	if at < 0 {
		return answer // the packet's beginning is with the client already
	}
	my, err := wire.ParseErr(answer[at+header:])
	if err != nil {
		return answer
	}
	why := s.reason(my)
	if why == my {
		return answer
	}
	s.warnings = append(s.warnings[:0], backend.Warning{Level: "Error", Code: why.Errno, Text: why.Message})
	packet := wire.AppendErr(nil, why)
	n := len(packet)
	return slices.Concat(answer[:at], []byte{byte(n), byte(n >> 8), byte(n >> 16), answer[at+3]}, packet)
}

// keepError keeps the error that ends a response for SHOW WARNINGS.
func (s *Session) keepError(chunk []byte, n int) {
	w := backend.Warning{Level: "Error", Code: s.scan.Errno}
	if k := s.scan.LastPacket; k <= n && k > 4 {
		if my, err := wire.ParseErr(chunk[n-k+4 : n]); err == nil {
			w.Text = my.Message
		}
	}
	s.warnings = append(s.warnings[:0], w)
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// afterPlain takes note of a result without error, warnings and generated ids.
func (s *Session) afterPlain() {
	if s.aside {
		return // no statement was executed
	}
	if len(s.warnings) > 0 && !s.scan.IsErr {
		s.warnings = s.warnings[:0]
	}
	if s.scan.HadResultSet {
		s.rowCount = -1
		s.foundRows = s.scan.Rows
	} else {
		s.rowCount = int64(s.scan.Affected)
	}
}

// afterOdd takes note of everything else, and fetches the warnings while the connection that has them is here.
func (s *Session) afterOdd(c *pool.Conn) {
	s.afterPlain()
	if s.scan.IsErr {
		s.rowCount = -1
		return
	}
	if !s.scan.HadResultSet && s.scan.InsertID > 0 && s.generated(c, s.scan.InsertID) {
		s.lastInsertID = s.scan.InsertID
	}
	if s.scan.Warnings > 0 {
		s.warnings = s.back.Warnings(c, s.warnings[:0])
	}
}

// generated says whether the server made the id that its OK packet carries. An id that the statement itself gave for the
// column is there too, but LAST_INSERT_ID() does not follow it: when the number occurs in the statement, the server is
// asked.
func (s *Session) generated(c *pool.Conn, id uint64) bool {
	if !s.gives(id) {
		return true
	}
	_, rows, err := backend.QueryAll(s.ctx, c, "SELECT LAST_INSERT_ID()", 1)
	return err == nil && len(rows) == 1 && parseUint(rows[0][0]) == id
}

// gives says whether one of the statement's literals or parameters is the number.
func (s *Session) gives(id uint64) bool {
	if s.body == nil {
		for i := range s.ex.Params {
			text, err := s.ex.Params[i].AppendText(s.scratch[:0])
			if err == nil && parseUint(text) == id {
				return true
			}
		}
		return false
	}
	for _, sl := range s.slots {
		if int(sl.End) <= len(s.body) && parseUint(bytes.Trim(s.body[sl.Start:sl.End], `'"`)) == id {
			return true
		}
	}
	return false
}

// giveBack returns a connection after an autocommit statement, or makes it part of the session's transaction if the
// server says that one is open there now: a procedure may have begun it.
func (s *Session) giveBack(c *pool.Conn) {
	if s.scan.Status&wire.StatusInTrans != 0 && !s.scan.IsErr {
		s.back.Adopt(s.on, c)
		return
	}
	c.Release()
}

// parseUint reads a number; what is none is 0.
func parseUint(b []byte) uint64 {
	n, _ := strconv.ParseUint(string(b), 10, 64)
	return n
}
