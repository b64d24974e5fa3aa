package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// errNotFast says that a statement with a fast plan has to go the slow way after all; nothing was sent.
var errNotFast = errors.New("not for the fast path")

// lostError is a connection lost while a statement was under way on it.
type lostError struct {
	sent bool // the statement may have reached the server
	err  error
}

func (e *lostError) Error() string { return "connection to the server was lost: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// resolveFast finds the shard of a fast plan.
func (s *Session) resolveFast(snap *target.Snapshot, f *plan.Fast, sql []byte, slots []parse.Slot, params []vindex.Value) (*target.Shard, error) {
	if f.Keyspace == "" {
		return s.anyShard(snap)
	}
	ks := snap.Keyspaces[f.Keyspace]
	if ks == nil || len(ks.Shards) == 0 {
		return nil, errcode.New(errcode.KeyspaceIncomplete, f.Keyspace, "any key")
	}
	if name := s.scope.Shard; name != "" || f.Kind == plan.OneShard {
		if name == "" {
			name = f.Shard
		}
		if sh := ks.Shard(name); sh != nil {
			return sh, nil
		}
		return nil, errcode.New(errcode.NoSuchShard, f.Keyspace, name)
	}
	switch f.Kind {
	case plan.Unsharded, plan.AnyShard:
		return ks.Shards[0], nil
	case plan.Pinned:
		return holder(ks, f.ID)
	}
	d, empty, err := s.locate(f, sql, slots, params)
	if err != nil {
		return nil, err
	}
	switch {
	case d.Kind == vindex.DestID:
		return holder(ks, d.ID)
	case d.Kind == vindex.DestNone && f.Strict:
		return nil, errNotFast // the executor names the column in its error
	case d.Kind == vindex.DestNone && empty:
		return ks.Shards[0], nil // no row can match: any server's answer is an empty one
	}
	return nil, errNotFast
}

func holder(ks *target.Keyspace, id []byte) (*target.Shard, error) {
	if sh := ks.Find(id); sh != nil {
		return sh, nil
	}
	return nil, errcode.New(errcode.KeyspaceIncomplete, ks.Name, fmt.Sprintf("keyspace id %x", id))
}

// locate maps the statement's values to their place. empty says that DestNone proves that no row can match.
func (s *Session) locate(f *plan.Fast, sql []byte, slots []parse.Slot, params []vindex.Value) (d vindex.Dest, empty bool, err error) {
	if f.Vindex != nil {
		v, err := f.Value.Resolve(sql, slots, params)
		if err != nil || vindex.Fraction(v) {
			return d, false, errNotFast
		}
		if d, err = f.Vindex.Map(v, s.scratch[:0]); err != nil {
			return d, false, errNotFast
		}
		return d, d.Kind == vindex.DestNone && vindex.NoRows(d, v), nil
	}
	vs := make([]vindex.Value, len(f.Values))
	for i := range f.Values {
		v, err := f.Values[i].Resolve(sql, slots, params)
		if err != nil {
			return d, false, errNotFast
		}
		vs[i] = v
	}
	if d, err = f.Multi.MapMulti(vs, s.scratch[:0]); err != nil {
		return d, false, errNotFast
	}
	return d, false, nil
}

// anyShard returns some serving shard: of the session's keyspace, else of any.
func (s *Session) anyShard(snap *target.Snapshot) (*target.Shard, error) {
	if ks := snap.Keyspaces[s.scope.Keyspace]; ks != nil && len(ks.Shards) > 0 {
		return ks.Shards[0], nil
	}
	for _, n := range snap.Names() {
		for _, sh := range snap.Keyspaces[n].Shards {
			if sh.Primary != nil {
				return sh, nil
			}
		}
	}
	return nil, errcode.New(errcode.NotReady, "no keyspace has a serving shard")
}

// writes says whether a plan may change something.
func writes(p *plan.Plan) bool { return p.Class != plan.Read && p.Class != plan.Show }

// endpoint chooses the server of a shard for the session's tablet type.
func (s *Session) endpoint(sh *target.Shard, write bool) (*target.Endpoint, error) {
	if s.scope.Type == "" || s.scope.Type == "primary" {
		if sh.Primary != nil {
			return sh.Primary, nil
		}
		return s.waitPrimary(sh)
	}
	if write {
		return nil, errcode.New(errcode.NotOnReplica, "the statement")
	}
	n, seen := len(sh.Replicas), 0
	for i := range n {
		e := sh.Replicas[(int(s.id)+i)%n]
		if e.Type == s.scope.Type {
			return e, nil
		}
		seen++
	}
	return nil, errcode.New(errcode.NoReplica, s.scope.Type, sh.Keyspace.Name+"/"+sh.Name)
}

// waitPrimary waits, for a bounded time, until the shard has a primary.
func (s *Session) waitPrimary(sh *target.Shard) (*target.Endpoint, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.sh.Limits.WaitPrimary)
	defer cancel()
	for {
		changed := s.sh.Targets.Changed()
		if ks := s.sh.Targets.Current().Keyspaces[sh.Keyspace.Name]; ks != nil {
			if now := ks.Shard(sh.Name); now != nil && now.Primary != nil {
				return now.Primary, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errcode.New(errcode.NoPrimary, sh.Keyspace.Name+"/"+sh.Name)
		}
	}
}

// runFast sends the statement to one shard and forwards the answer. raw are the client's own wire bytes, or nil; then
// body (the COM_QUERY payload without its command byte) is framed anew.
func (s *Session) runFast(sh *target.Shard, p *plan.Plan, body, raw []byte) error {
	write := writes(p) || p.Locks
	s.body = body
	if s.tx.active() {
		return s.runInTxn(sh, p, body, raw)
	}
	ep, err := s.endpoint(sh, writes(p))
	if err != nil {
		return s.fail(err)
	}
	s.on = sh
	return s.alone(sh, ep, write, func(c *pool.Conn) error {
		if err := s.send(c, body, raw); err != nil {
			return err
		}
		return s.forward(c, wire.ResponseQuery, true)
	})
}

// alone runs a statement outside a transaction on a connection to a primary or replica. A statement that certainly had no
// effect is sent again: at once if a connection was lost, and later if the shard changes its primary.
func (s *Session) alone(sh *target.Shard, ep *target.Endpoint, write bool, f func(*pool.Conn) error) error {
	var held holding
	for attempt := 0; ; attempt++ {
		c, err := ep.Pool.Get(s.ctx, s.class, s.settings)
		if err == nil {
			c.KillHard.Store(write && s.sh.MariaDB)
			if err = f(c); err == nil {
				return nil
			}
			ep, err = s.again(&held, sh, ep, c, write, attempt, err)
		} else if next, ok := s.holdUnreachable(&held, sh, ep, err); ok {
			ep, err = next, nil
		} else {
			return s.fail(s.serverError(ep, err))
		}
		if ep == nil {
			return err
		}
	}
}

// again decides what becomes of a statement after err: it returns the server to try next, or nil when the client has its
// answer or the session must end by the returned error.
func (s *Session) again(h *holding, sh *target.Shard, ep *target.Endpoint, c *pool.Conn, write bool, attempt int, err error) (*target.Endpoint, error) {
	if fenced, ok := errors.AsType[*fencedError](err); ok { // c was dealt with
		next, ok := s.hold(h, sh, ep)
		if !ok {
			return nil, s.fail(fenced.my)
		}
		return next, nil
	}
	lost, ok := errors.AsType[*lostError](err)
	if !ok {
		return nil, err
	}
	c.Discard()
	write = write && lost.sent
	if write || s.killed.Load() {
		return nil, s.lostStatement(ep.Addr, lost, write)
	}
	if attempt == 0 {
		return ep, nil
	}
	next, ok := s.hold(h, sh, ep)
	if !ok {
		return nil, s.lostStatement(ep.Addr, lost, false)
	}
	return next, nil
}

func (s *Session) holdUnreachable(h *holding, sh *target.Shard, ep *target.Endpoint, err error) (*target.Endpoint, bool) {
	if !unreachable(err) {
		return nil, false
	}
	return s.hold(h, sh, ep)
}

// lostStatement answers a statement whose server went away. Of a write nobody can say whether it happened, so the
// client is told just that, in the form that drivers take for a connection lost during a query.
func (s *Session) lostStatement(addr string, lost *lostError, write bool) error {
	if !write {
		return s.fail(errcode.Wrap(errcode.ServerLost, lost.err, addr))
	}
	if err := s.fail(errcode.New(errcode.OutcomeUnknownClose)); err != nil {
		return err
	}
	return fmt.Errorf("outcome of a write is unknown: %w", lost)
}

func (s *Session) serverError(ep *target.Endpoint, err error) error {
	var my *wire.MySQLError
	if errors.As(err, &my) {
		return err
	}
	if errors.Is(err, pool.ErrExhausted) {
		return errcode.New(errcode.PoolExhausted, ep.Alias, ep.Pool.Max())
	}
	return errcode.Wrap(errcode.ServerUnreachable, err, ep.Alias+" ("+ep.Addr+")")
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
		w.SetSeq(0)
		s.out = append(append(s.out[:0], wire.ComQuery), body...)
		if err = w.WritePacket(s.out); err == nil {
			err = w.Flush()
		}
	}
	if err != nil {
		return &lostError{err: err}
	}
	return nil
}

// forward copies one whole response from the server to the client, undecoded. With release, the connection goes back
// to its pool as soon as its last byte was read, unless a transaction has to keep it. A *lostError means that the
// server's connection broke before anything reached the client; any other error ends the session.
func (s *Session) forward(c *pool.Conn, kind wire.ResponseKind, release bool) error {
	w := c.Wire()
	s.cur.Store(c)
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
			s.cur.Store(nil)
			if !sent {
				return &lostError{sent: true, err: err}
			}
			c.Discard()
			return fmt.Errorf("server connection broke in the middle of a result: %w", err)
		}
		n, done, err := s.scan.Feed(chunk)
		if err != nil || done && n != len(chunk) {
			s.cur.Store(nil)
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
		if err := s.conn.WriteRaw(chunk); err != nil {
			// The rest of the result is of no use to anybody: the server notices when its connection closes.
			s.cur.Store(nil)
			c.Discard()
			return err
		}
		w.Discard(n)
	}
}

// refused keeps an answer from the client that tells of a change of primary and not of the statement. The connection is
// closed, or is the caller's to discard after a *lostError.
func (s *Session) refused(c *pool.Conn, n int) error {
	switch s.scan.Errno {
	case errnoOptionPrevents, errnoReadOnlyMode, errnoShutdown, errnoKilled:
	default:
		return nil
	}
	w := c.Wire()
	my, err := wire.ParseErr(w.Buffered()[n-s.scan.LastPacket+4 : n])
	if err != nil {
		return nil // the client gets it as it is
	}
	if s.scan.Errno == errnoShutdown || s.scan.Errno == errnoKilled {
		s.cur.Store(nil)
		return &lostError{sent: true, err: my}
	}
	if !refusedWrite(my) {
		return nil
	}
	s.cur.Store(nil)
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
	struck := !s.cur.CompareAndSwap(c, nil)
	w := c.Wire()
	if s.scan.IsErr {
		s.keepError(w.Buffered(), n)
	}
	lease := w.Lease(n)
	defer lease.Free()
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
	case release:
		s.giveBack(c)
	}
	return s.conn.WriteRaw(lease.Bytes())
}

// keepError keeps the error that ends a response for SHOW WARNINGS.
func (s *Session) keepError(chunk []byte, n int) {
	w := warning{"Error", s.scan.Errno, ""}
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
		s.warnings = s.fetchWarnings(c, s.warnings[:0])
	}
}

// generated says whether the server made the id that its OK packet carries. An id that the statement itself gave for the
// column is there too, but LAST_INSERT_ID() does not follow it: when the number occurs in the statement, the server is
// asked.
func (s *Session) generated(c *pool.Conn, id uint64) bool {
	if !s.gives(id) {
		return true
	}
	_, rows, err := queryAll(s.ctx, c, "SELECT LAST_INSERT_ID()", 1)
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

// maxWarnings is how many warnings are kept of one statement, as max_error_count.
const maxWarnings = 1024

// fetchWarnings adds the warnings of the connection's last statement to those of the statements before.
func (s *Session) fetchWarnings(c *pool.Conn, to []warning) []warning {
	rows, err := c.Query(s.ctx, "SHOW WARNINGS")
	if err != nil {
		c.Dirty = true
		return to
	}
	defer rows.Close()
	for rows.Next() && len(to) < maxWarnings {
		v := rows.Values()
		if len(v) < 3 {
			break
		}
		to = append(to, warning{string(v[0]), uint16(parseUint(v[1])), string(v[2])})
	}
	return to
}

// giveBack returns a connection after an autocommit statement, or makes it part of the session's transaction if the
// server says that one is open there now: a procedure may have begun it.
func (s *Session) giveBack(c *pool.Conn) {
	if s.scan.Status&wire.StatusInTrans != 0 && !s.scan.IsErr {
		s.tx.parts = append(s.tx.parts, &part{shard: s.on, server: c.Pool(), conn: c, begun: true, wrote: true})
		return
	}
	c.Release()
}
