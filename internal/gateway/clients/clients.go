// Package clients knows the client connections of one gateway: who they are, what they do and since when. It finds one of
// them for KILL, lists them for SHOW PROCESSLIST, and ends those that are silent or run a statement for too long.
//
// It reads no commands and kills no statement itself: both are the session's, behind the interface Session.
package clients

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// Session is what can be done to a connection from outside. Its methods are called by any goroutine and don't block.
type Session interface {
	// Kill ends the running statement, and the connection unless queryOnly.
	Kill(queryOnly bool)
	// TimeOut ends the running statement because it has run for longer than limit.
	TimeOut(limit time.Duration)
}

// maxText is how much is kept of a running statement's text, in bytes: 5,000 idle clients hold 5 MB of it at most.
const maxText = 1024

// tick is how exact times are: a clock read once for all clients costs their statements nothing.
const tick = 100 * time.Millisecond

// Client is one connection as others see it. What its session says of it is safe against what others read.
type Client struct {
	id      uint32
	reg     *Registry
	session Session

	since     atomic.Int64 // of the registry's clock: when the running statement, or the silence, began
	idleLimit atomic.Int64 // nanoseconds; 0: none
	limited   atomic.Bool  // the running statement is bounded by the query timeout

	mu      sync.Mutex // guards what follows
	who     who
	command string // "" when nothing runs
	text    []byte // of the running statement
}

type who struct{ user, host, keyspace string }

// Info is a reading of a client.
type Info struct {
	ID                   uint32
	User, Host, Keyspace string        // Keyspace is "" when none is selected
	Command              string        // Sleep, Query, Execute, ...
	Text                 string        // of the running statement, at most 1,024 bytes of it; "" when none runs
	Time                 time.Duration // since the statement, or the silence, began; exact to a tenth of a second
}

// CommandName is what SHOW PROCESSLIST calls a command of the protocol.
func CommandName(command byte) string {
	switch command {
	case wire.ComStmtExecute:
		return "Execute"
	case wire.ComStmtPrepare:
		return "Prepare"
	case wire.ComInitDB:
		return "Init DB"
	case wire.ComFieldList:
		return "Field List"
	case wire.ComChangeUser:
		return "Change user"
	case wire.ComPing:
		return "Ping"
	}
	return "Query"
}

// ID is the client's connection id.
func (c *Client) ID() uint32 { return c.id }

// Session is the client's session.
func (c *Client) Session() Session { return c.session }

// Describe says who the client is and which keyspace it is in.
func (c *Client) Describe(user, host, keyspace string) {
	c.mu.Lock()
	c.who = who{user, host, keyspace}
	c.mu.Unlock()
}

// SetIdleLimit changes how long the client may be silent; 0 is for ever.
func (c *Client) SetIdleLimit(d time.Duration) { c.idleLimit.Store(int64(d)) }

// IdleLimit is how long the client may be silent; 0 is for ever.
func (c *Client) IdleLimit() time.Duration { return time.Duration(c.idleLimit.Load()) }

// Begin says that a command begins. text is copied. It does not allocate in the long run.
func (c *Client) Begin(command string, text []byte) {
	c.limited.Store(false)
	c.since.Store(c.reg.clock.Load())
	c.mu.Lock()
	c.command = command
	c.text = append(c.text[:0], text[:min(len(text), maxText)]...)
	c.mu.Unlock()
}

// Limit says that the query timeout holds for the command that runs.
func (c *Client) Limit() { c.limited.Store(true) }

// End says that the command has been answered.
func (c *Client) End() {
	c.limited.Store(false)
	c.since.Store(c.reg.clock.Load())
	c.mu.Lock()
	c.command = ""
	c.mu.Unlock()
}

// User is the client's account.
func (c *Client) User() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.who.user
}

// Info returns a reading.
func (c *Client) Info() Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := Info{
		ID: c.id, User: c.who.user, Host: c.who.host, Keyspace: c.who.keyspace, Command: "Sleep",
		Time: time.Duration(c.reg.clock.Load() - c.since.Load()),
	}
	if c.command != "" {
		i.Command, i.Text = c.command, string(c.text)
	}
	return i
}

func (c *Client) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.command != ""
}

// Registry knows the clients of one gateway. Safe for concurrent use.
type Registry struct {
	started time.Time
	clock   atomic.Int64 // nanoseconds since started, by the last tick
	lastID  atomic.Uint32
	mu      sync.Mutex
	m       map[uint32]*Client
}

// New makes an empty registry. Its clock stands still until Run is called.
func New() *Registry { return &Registry{started: time.Now(), m: map[uint32]*Client{}} }

// NextID returns a connection id that no client has. Ids are not 0.
func (r *Registry) NextID() uint32 {
	for {
		if id := r.lastID.Add(1); id != 0 && r.Find(uint64(id)) == nil {
			return id
		}
	}
}

// Add makes a client known until Remove is called.
func (r *Registry) Add(id uint32, s Session) *Client {
	c := &Client{id: id, reg: r, session: s}
	c.since.Store(r.clock.Load())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.m[id] = c
	return c
}

// Remove forgets a client.
func (r *Registry) Remove(c *Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.m, c.id)
}

// Find returns the client of an id, or nil.
func (r *Registry) Find(id uint64) *Client {
	if id != uint64(uint32(id)) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.m[uint32(id)]
}

// Count returns how many clients there are.
func (r *Registry) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.m)
}

// Uptime is the age of the registry.
func (r *Registry) Uptime() time.Duration { return time.Since(r.started) }

// List returns the clients in the order of their ids.
func (r *Registry) List() []*Client {
	r.mu.Lock()
	l := make([]*Client, 0, len(r.m))
	for _, c := range r.m {
		l = append(l, c)
	}
	r.mu.Unlock()
	slices.SortFunc(l, func(a, b *Client) int { return int(int64(a.id) - int64(b.id)) })
	return l
}

// Run keeps the clock and ends clients that are silent for longer than their idle limit, and statements that Limit was
// called for and that run for longer than queryTimeout (0: none), until ctx ends.
func (r *Registry) Run(ctx context.Context, queryTimeout time.Duration) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		r.clock.Store(int64(time.Since(r.started)))
		r.sweep(queryTimeout)
	}
}

// sweep looks at every client once. With 10,000 of them it takes about a millisecond.
func (r *Registry) sweep(queryTimeout time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Load()
	for _, c := range r.m {
		age := time.Duration(now - c.since.Load())
		idle := c.IdleLimit()
		switch {
		case queryTimeout > 0 && age > queryTimeout && c.limited.Load():
			c.limited.Store(false) // once is enough
			c.session.TimeOut(queryTimeout)
		case idle > 0 && age > idle && !c.busy():
			c.session.Kill(false)
		}
	}
}
