package session

import (
	"cmp"
	"slices"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/prepared"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

const (
	// largeText is the length from which a statement asks for the memory that its parsing and its copies take. What a
	// shorter one takes, some 20 MiB at worst, is bounded by how many are parsed at once: as many as there are processors.
	largeText = 256 << 10
	// textCopies is how many copies of a statement's text an executor makes: one as it writes the texts for the shards,
	// one for the redo of a transaction.
	textCopies = 2
)

// parsing claims the memory that it takes to parse and plan a statement, if that is much.
func (s *Session) parsing(sql []byte) error {
	if len(sql) < largeText {
		return nil
	}
	return s.back.Claim(parse.Weight(sql, s.back.Mode))
}

// copying claims the memory for the executor's copies of a statement, if that is much.
func (s *Session) copying(sql []byte) error {
	if len(sql) < largeText {
		return nil
	}
	return s.back.Claim(textCopies * len(sql))
}

// tooBigNow answers a command that there was no memory to read. Of one that has no answer nobody would know that it is
// missing: then the session ends.
func (s *Session) tooBigNow(r *wire.RefusedError) error {
	err := s.fail(r.Err)
	if err == nil && (r.Command == wire.ComStmtSendLongData || r.Command == wire.ComStmtClose) {
		return r
	}
	return err
}

// hoard counts bytes that a session keeps from command to command, and what it holds of the gateway's memory for them.
type hoard struct{ bytes, held int }

// keep adds n bytes, or takes them away if n is negative. The first bytes are free, the others are taken a MiB at a time.
func (s *Session) keep(h *hoard, n int) error {
	const step = 1 << 20
	lack := h.bytes + n - largeText - h.held
	switch {
	case lack > 0:
		lack = max(lack, step)
		if err := s.back.Memory.Grow(lack); err != nil {
			return err
		}
		h.held += lack
	case n < 0 && h.held > 0:
		surplus := min(h.held, -lack)
		s.back.Memory.Release(surplus)
		h.held -= surplus
	}
	h.bytes += n
	return nil
}

// forget takes bytes away that were kept.
func (s *Session) forget(h *hoard, n int) { _ = s.keep(h, -n) } // fewer bytes are never refused

// dropLong forgets the long data of a prepared statement.
func (s *Session) dropLong(st *prepared.Statement) {
	if n := st.DropLong(); n > 0 {
		s.forget(&s.long, n)
	}
}

// stalled says for how long the client has kept what the session holds from others: it does not take its rows, is slow
// with a large command, or leaves the data of a prepared statement unused.
func (s *Session) stalled(now time.Time) time.Duration {
	d := s.to.Conn.Stalled(now)
	if since := s.idleWith.Load(); since != 0 {
		d = max(d, now.Sub(time.Unix(0, since)))
	}
	return d
}

// CutStalled ends sessions whose client has stalled for a time, those that have the longest first, because others wait for
// what they hold: a connection of the pool or, if that is nil, memory. It ends no more than so many and returns how many.
func CutStalled(all *clients.Registry, p *pool.Pool, after time.Duration, most int) int {
	type victim struct {
		s     *Session
		since time.Duration
	}
	now := time.Now()
	var found []victim
	for _, c := range all.List() {
		s, ok := c.Session().(*Session)
		if !ok {
			continue
		}
		if d := s.stalled(now); d >= after && (p != nil && s.back.Uses(p) || p == nil && s.back.Memory.Held() > 0) {
			found = append(found, victim{s, d})
		}
	}
	slices.SortFunc(found, func(a, b victim) int { return cmp.Compare(b.since, a.since) })
	found = found[:min(len(found), most)]
	what := "memory of the gateway"
	if p != nil {
		what = "a connection to the server at " + p.Addr()
	}
	for _, v := range found {
		v.s.log.Info("client connection ended", "user", v.s.me.User(), "remote", v.s.to.Conn.NetConn().RemoteAddr(),
			"error", errcode.New(errcode.ClientStalled, v.since.Round(time.Millisecond), what))
		v.s.Kill(false)
	}
	return len(found)
}
