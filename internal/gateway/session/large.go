package session

import (
	"time"

	"github.com/pelorusdb/pelorus/internal/gateway/pool"
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

// Stalled says for how long the client has kept what the session holds from others: it does not take its rows, is slow
// with a large command, or leaves the data of a prepared statement unused. Safe for any
// goroutine.
func (s *Session) Stalled(now time.Time) time.Duration {
	d := s.to.Conn.Stalled(now)
	if since := s.idleWith.Load(); since != 0 {
		d = max(d, now.Sub(time.Unix(0, since)))
	}
	return d
}

// Holds says whether others may wait for what the session holds: a connection of the pool or, if that is nil, memory. Safe for any
// goroutine.
func (s *Session) Holds(p *pool.Pool) bool {
	if p == nil {
		return s.back.Memory.Held() > 0
	}
	return s.back.Uses(p)
}

// Cut ends the session for a reason that is logged. Safe for any goroutine.
func (s *Session) Cut(why error) {
	s.log.Info("client connection ended", "user", s.me.User(), "remote", s.to.Conn.NetConn().RemoteAddr(), "error", why)
	s.Kill(false)
}
