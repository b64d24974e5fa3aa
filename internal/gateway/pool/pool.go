// Package pool keeps bounded sets of connections from the gateway to one server each, and hands them out last in,
// first out, so that few connections stay warm and the rest end.
//
// A connection has a class (protocol options that bytes depend on and that cannot change after login) and settings
// (session variables, character set, database) that can. Asking for a connection names both: one that already has
// them is preferred, one that has others is changed, and a new one is opened only below the limit.
//
// It does not know shards, transactions or retries, and it never sends a statement of its own but to set a session up
// and to kill one.
package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// Class is the part of a connection's protocol that the forwarded bytes depend on.
type Class uint8

// Bits of a Class.
const (
	DeprecateEOF Class = 1 << iota // results end in an OK packet, without an EOF after the columns
	SessionTrack                   // OK packets carry length-encoded info and state changes
	FoundRows                      // affected rows of an UPDATE are the matched ones
	classes      = 1 << 3
)

// Settings are the session state that a connection must have. They are interned by Settings.With and friends of the
// caller, so that equal settings are the same pointer. The nil pointer is the state right after login.
type Settings struct {
	// SQL is one SET statement that brings a freshly reset connection into this state.
	SQL string
	// Fingerprint identifies the settings in logs.
	Key string
}

// Errors of Get.
var (
	// ErrClosed says that the pool was closed.
	ErrClosed = errors.New("pool is closed")
	// ErrExhausted says that all connections were in use for the whole waiting time.
	ErrExhausted = errors.New("all connections to the server are in use")
)

// Config says how a pool opens and keeps connections.
type Config struct {
	Dial client.Config // address, account and database; the class's options are filled in
	// Max is how many connections may be open at once, in use and idle.
	Max int
	// Wait is how long Get waits for one when all are in use.
	Wait time.Duration
	// IdleTimeout is how long an unused connection stays open.
	IdleTimeout time.Duration
	// MaxHandles is how many prepared statements are kept on each connection.
	MaxHandles int
}

// Stats is a reading of a pool.
type Stats struct {
	Open, Idle, Waiting    int
	Dials, Waits, Timeouts uint64
	Resets, StaleDiscarded uint64
}

// stackKey names one stack of idle connections.
type stackKey struct {
	class    Class
	settings *Settings
}

type stack struct {
	key   stackKey
	conns []*Conn
}

// Pool is the set of connections to one server. Safe for concurrent use.
type Pool struct {
	cfg Config

	mu      sync.Mutex
	stacks  []*stack // few: one per class and settings in use
	open    int
	idle    int
	waiters []chan *Conn // first in, first out; a nil means "there is room: dial"
	closed  bool
	killers chan struct{} // bounds the connections beside the limit that KILL uses
	aside   aside

	dials, waits, timeouts, resets, stale atomic.Uint64
}

// New makes a pool. It opens nothing.
func New(cfg Config) *Pool {
	return &Pool{cfg: cfg, killers: make(chan struct{}, maxKillers), aside: aside{slots: make(chan struct{}, maxAside)}}
}

// maxKillers is how many connections a pool opens beyond its limit at once, to kill statements when all others are busy.
const maxKillers = 4

// Addr returns the server's address.
func (p *Pool) Addr() string { return p.cfg.Dial.Addr }

// Max returns how many connections the pool may have.
func (p *Pool) Max() int { return p.cfg.Max }

// Conn is a connection on loan. It is not safe for concurrent use, but for Kill.
type Conn struct {
	*client.Conn
	pool     *Pool
	class    Class
	settings *Settings
	db       string
	idleAt   time.Time
	handles  handles
	// Dirty says that the session state is not what settings say: the connection is reset before it is used again.
	Dirty bool
	// KillHard says that the statement now running must not be stopped by KILL QUERY, but with its connection: a
	// MariaDB answers OK to an autocommit write whose wait for a replica was interrupted so.
	KillHard atomic.Bool
	gone     bool // closed, its place given back
}

// Class returns the connection's class.
func (c *Conn) Class() Class { return c.class }

// Pool returns the pool that the connection belongs to.
func (c *Conn) Pool() *Pool { return c.pool }

// Settings returns the state that the connection has.
func (c *Conn) Settings() *Settings { return c.settings }

// Adopt says that the caller has brought the connection into the state s itself.
func (c *Conn) Adopt(s *Settings) { c.settings = s }

// Get returns a connection of the class with the settings. It does not wait for the network when an idle one fits.
func (p *Pool) Get(ctx context.Context, class Class, settings *Settings) (*Conn, error) {
	for {
		c, err := p.take(ctx, class, settings)
		if err != nil {
			return nil, err
		}
		if c == nil {
			return p.dial(ctx, class, settings)
		}
		if c.class != class {
			// Options of the login cannot change: make room for a new one in its place.
			c.closeOnly()
			return p.dial(ctx, class, settings)
		}
		if c.stale() {
			p.stale.Add(1)
			c.Discard()
			continue
		}
		if c.settings == settings && !c.Dirty {
			return c, nil
		}
		if err := c.change(ctx, settings); err != nil {
			c.Discard()
			var my *wire.MySQLError
			if errors.As(err, &my) {
				return nil, err
			}
			continue
		}
		return c, nil
	}
}

// take returns an idle connection (of any class, the best fit first), or nil when the caller may dial: then a place
// is reserved for it.
func (p *Pool) take(ctx context.Context, class Class, settings *Settings) (*Conn, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	for _, st := range p.stacks {
		if st.key.class == class && st.key.settings == settings {
			if n := len(st.conns); n > 0 {
				c := st.conns[n-1]
				st.conns[n-1] = nil
				st.conns = st.conns[:n-1]
				p.idle--
				p.mu.Unlock()
				return c, nil
			}
			break
		}
	}
	if p.open < p.cfg.Max {
		p.open++
		p.mu.Unlock()
		return nil, nil
	}
	if c := p.steal(class); c != nil {
		p.mu.Unlock()
		return c, nil
	}
	ch := make(chan *Conn, 1)
	p.waiters = append(p.waiters, ch)
	p.mu.Unlock()
	return p.await(ctx, ch)
}

// steal takes the longest unused connection, of the same class if there is one. The caller holds the lock.
func (p *Pool) steal(class Class) *Conn {
	var best *stack
	for _, st := range p.stacks {
		if len(st.conns) == 0 {
			continue
		}
		if best == nil || (st.key.class == class) && (best.key.class != class) {
			best = st
		}
	}
	if best == nil {
		return nil
	}
	c := best.conns[0]
	best.conns = slices.Delete(best.conns, 0, 1)
	p.idle--
	return c
}

func (p *Pool) await(ctx context.Context, ch chan *Conn) (*Conn, error) {
	p.waits.Add(1)
	timer := time.NewTimer(p.cfg.Wait)
	defer timer.Stop()
	var err error
	select {
	case c, ok := <-ch:
		if !ok {
			return nil, ErrClosed
		}
		return c, nil
	case <-timer.C:
		p.timeouts.Add(1)
		err = fmt.Errorf("%w: %d of %d to %s for %s", ErrExhausted, p.cfg.Max, p.cfg.Max, p.Addr(), p.cfg.Wait)
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.mu.Lock()
	for i, w := range p.waiters {
		if w == ch {
			p.waiters = append(p.waiters[:i], p.waiters[i+1:]...)
			p.mu.Unlock()
			return nil, err
		}
	}
	p.mu.Unlock()
	// Somebody handed us one in the meantime.
	if c, ok := <-ch; ok {
		if c != nil {
			p.Put(c)
		} else {
			p.leave()
		}
	}
	return nil, err
}

// dial opens a connection in a place that take has reserved.
func (p *Pool) dial(ctx context.Context, class Class, settings *Settings) (*Conn, error) {
	cfg := p.cfg.Dial
	cfg.DeprecateEOF = class&DeprecateEOF != 0
	cfg.SessionTrack = class&SessionTrack != 0
	cfg.FoundRows = class&FoundRows != 0
	p.dials.Add(1)
	cc, err := client.Dial(ctx, cfg)
	if err != nil {
		p.leave()
		return nil, fmt.Errorf("connect to server %s: %w", p.Addr(), err)
	}
	c := &Conn{Conn: cc, pool: p, class: class, db: cfg.Database, handles: newHandles(p.cfg.MaxHandles)}
	if settings != nil {
		if err := c.apply(ctx, settings); err != nil {
			c.Discard()
			return nil, err
		}
	}
	return c, nil
}

// Put takes a connection back. The next one to use it finds it as it is, so the caller must have read every answer. One
// that broke is discarded.
func (p *Pool) Put(c *Conn) {
	if c.gone {
		return
	}
	if c.Broken() {
		c.Discard()
		return
	}
	c.KillHard.Store(false)
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		c.Discard()
		return
	}
	if len(p.waiters) > 0 {
		ch := p.waiters[0]
		p.waiters = append(p.waiters[:0], p.waiters[1:]...)
		p.mu.Unlock()
		ch <- c
		return
	}
	c.idleAt = coarseNow()
	key := stackKey{c.class, c.settings}
	for _, st := range p.stacks {
		if st.key == key {
			st.conns = append(st.conns, c)
			p.idle++
			p.mu.Unlock()
			return
		}
	}
	p.stacks = append(p.stacks, &stack{key: key, conns: []*Conn{c}})
	p.idle++
	p.mu.Unlock()
}

// leave gives a reserved place back.
func (p *Pool) leave() {
	p.mu.Lock()
	if len(p.waiters) > 0 && !p.closed {
		ch := p.waiters[0]
		p.waiters = append(p.waiters[:0], p.waiters[1:]...)
		p.mu.Unlock()
		ch <- nil
		return
	}
	p.open--
	p.mu.Unlock()
}

// Reap closes connections that were not used for the idle time, and forgets empty stacks. The owner calls it now and then.
func (p *Pool) Reap(now time.Time) {
	var old []*Conn
	p.mu.Lock()
	kept := p.stacks[:0]
	for _, st := range p.stacks {
		n := 0
		for n < len(st.conns) && now.Sub(st.conns[n].idleAt) > p.cfg.IdleTimeout {
			n++
		}
		old = append(old, st.conns[:n]...)
		st.conns = slices.Delete(st.conns, 0, n)
		if len(st.conns) > 0 {
			kept = append(kept, st)
		}
	}
	clear(p.stacks[len(kept):])
	p.stacks = kept
	p.idle -= len(old)
	p.mu.Unlock()
	for _, c := range old {
		c.Discard()
	}
	p.reapAside(now.Add(-p.cfg.IdleTimeout))
}

// DropIdle closes all idle connections: after the server behind the address changed.
func (p *Pool) DropIdle() { p.Reap(time.Now().Add(1000 * time.Hour)) }

// Close closes the idle connections and refuses further ones; those on loan are closed when they come back.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	ws := p.waiters
	p.waiters = nil
	p.mu.Unlock()
	for _, ch := range ws {
		close(ch)
	}
	p.DropIdle()
}

// Stats returns a reading.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	s := Stats{Open: p.open, Idle: p.idle, Waiting: len(p.waiters)}
	p.mu.Unlock()
	s.Dials, s.Waits, s.Timeouts = p.dials.Load(), p.waits.Load(), p.timeouts.Load()
	s.Resets, s.StaleDiscarded = p.resets.Load(), p.stale.Load()
	return s
}

// Release gives the connection back to its pool.
func (c *Conn) Release() { c.pool.Put(c) }

// Discard closes the connection and gives its place back. Once is enough: further calls do nothing.
func (c *Conn) Discard() {
	if c.gone {
		return
	}
	c.gone = true
	c.closeOnly()
	c.pool.leave()
}

func (c *Conn) closeOnly() { _ = c.Conn.Close() }

// Kill ends the statement that runs on a connection of the server, the connection too if hard. It uses a connection of
// its own beside the pool's limit, so that it works when all are busy, and blocks until the server has answered.
func (p *Pool) Kill(ctx context.Context, id uint32, hard bool) error {
	select {
	case p.killers <- struct{}{}:
		defer func() { <-p.killers }()
	case <-ctx.Done():
		return fmt.Errorf("kill a statement on %s: %w", p.Addr(), ctx.Err())
	}
	cc, err := client.Dial(ctx, p.cfg.Dial)
	if err != nil {
		return fmt.Errorf("connect to server %s to kill a statement: %w", p.Addr(), err)
	}
	defer cc.Close()
	verb := "KILL QUERY "
	if hard {
		verb = "KILL "
	}
	_, err = cc.Exec(ctx, verb+strconv.FormatUint(uint64(id), 10))
	var my *wire.MySQLError
	if errors.As(err, &my) && my.Errno == errnoNoSuchThread {
		return nil // it ended by itself
	}
	return err
}

const errnoNoSuchThread = 1094

// change brings the connection from its settings to others.
func (c *Conn) change(ctx context.Context, settings *Settings) error {
	c.pool.resets.Add(1)
	if err := c.ResetConnection(ctx); err != nil {
		return fmt.Errorf("reset connection to %s: %w", c.pool.Addr(), err)
	}
	c.handles.clear()
	c.settings, c.Dirty = nil, false
	return c.apply(ctx, settings)
}

// apply sets a connection up that is as after login. A reset leaves the server's default character set, so the base
// state names one too.
func (c *Conn) apply(ctx context.Context, settings *Settings) error {
	sql := baseSQL
	if settings != nil {
		sql = settings.SQL
	}
	if _, err := c.Exec(ctx, sql); err != nil {
		return fmt.Errorf("set session of connection to %s: %w", c.pool.Addr(), err)
	}
	c.settings = settings
	return nil
}

// baseSQL restores what COM_RESET_CONNECTION changes on MySQL: the character set falls back to the server's default there.
const baseSQL = "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci"

// checkAfter is how long a connection may lie idle before it is looked at for a close by the server: a look costs a system call,
// which busy connections do without.
const checkAfter = 5 * time.Millisecond

// stale says whether the server has closed the connection, or sent something that nobody asked for.
func (c *Conn) stale() bool {
	if coarseNow().Sub(c.idleAt) < checkAfter {
		return false
	}
	return c.Wire().CheckIdle() != nil
}
