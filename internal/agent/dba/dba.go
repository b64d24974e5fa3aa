// Package dba is the agent's way into its server: a few lasting connections as the administrator, over the local socket
// where there is one. They are kept open, so that the agent still gets in when a server takes no more connections.
//
// It knows nothing about what the statements mean, keeps no session state between two calls, and gives up a connection
// rather than use it again in doubt.
package dba

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// maxConns bounds the connections to the server: status reading, one operation, one statement that blocks (a SET
	// read_only behind a commit) and what must get past it, a heartbeat, and three more.
	maxConns = 8
	// dialTime bounds connect and login, which take 0.3 ms on a healthy server.
	dialTime = 5 * time.Second
	// MaxRows bounds every result unless a caller sets a lower limit.
	MaxRows = 10000
)

// errRightsMissing is the servers' error for a statement that needs a global right.
const errRightsMissing = 1227

// Config says where the server is and who logs in.
type Config struct {
	// Network is "unix" or "tcp", Addr a path or host:port.
	Network, Addr  string
	User, Password string
}

// Column describes a column of a result, in the protocol's terms.
type Column struct {
	Name    string
	Type    byte
	Flags   uint16
	Charset uint16
}

// Result is what a statement answered. A nil value is NULL.
type Result struct {
	Columns   []Column
	Rows      [][]*string
	Affected  uint64
	InsertID  uint64
	Truncated bool
}

// Map returns row i by column name, without the columns that are NULL.
func (r *Result) Map(i int) map[string]string {
	m := make(map[string]string, len(r.Columns))
	for c, v := range r.Rows[i] {
		if v != nil {
			m[r.Columns[c].Name] = *v
		}
	}
	return m
}

// Text returns the value at a row and column; "" for NULL and for places outside.
func (r *Result) Text(row, col int) string {
	if row >= len(r.Rows) || col >= len(r.Rows[row]) || r.Rows[row][col] == nil {
		return ""
	}
	return *r.Rows[row][col]
}

// Pairs reads a result of two columns, name and value, as SHOW VARIABLES and SHOW STATUS give it.
func (r *Result) Pairs() map[string]string {
	m := make(map[string]string, len(r.Rows))
	for i := range r.Rows {
		m[r.Text(i, 0)] = r.Text(i, 1)
	}
	return m
}

// DB is a small pool of connections. It is safe for concurrent use.
type DB struct {
	cfg   Config
	slots chan struct{}

	mu     sync.Mutex
	idle   []*Conn // the most recently used last
	closed bool
}

// Open makes the pool. It does not connect.
func Open(cfg Config) *DB {
	return &DB{cfg: cfg, slots: make(chan struct{}, maxConns)}
}

// ErrClosed says that the pool was closed.
var ErrClosed = errors.New("the connections to the server were closed")

// Close closes idle connections; those in use are closed when they are given back.
func (d *DB) Close() {
	d.mu.Lock()
	idle := d.idle
	d.idle, d.closed = nil, true
	d.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// Forget closes idle connections, so that the next call connects anew: after the server was restarted.
func (d *DB) Forget() {
	d.mu.Lock()
	idle := d.idle
	d.idle = nil
	d.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// Exec runs statements one after the other on one connection and stops at the first error.
func (d *DB) Exec(ctx context.Context, statements ...string) error {
	return d.with(ctx, func(c *Conn) error { return c.Exec(ctx, statements...) })
}

// Query runs a statement and returns at most MaxRows rows.
func (d *DB) Query(ctx context.Context, statement string) (*Result, error) {
	var r *Result
	err := d.with(ctx, func(c *Conn) (err error) {
		r, err = c.Query(ctx, statement, MaxRows)
		return err
	})
	return r, err
}

// Session runs f on a connection of its own, which is closed afterwards: for whatever sets session variables.
func (d *DB) Session(ctx context.Context, f func(*Conn) error) error {
	if err := d.take(ctx); err != nil {
		return err
	}
	defer d.give()
	c, err := d.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	return f(c)
}

func (d *DB) take(ctx context.Context) error {
	select {
	case d.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for one of %d connections to the server: %w", maxConns, ctx.Err())
	}
}

func (d *DB) give() { <-d.slots }

// with runs f on a pooled connection. A connection that broke while idle (the server was restarted) is replaced once,
// because nothing of the statement can have run on it; any other failure is the caller's.
func (d *DB) with(ctx context.Context, f func(*Conn) error) error {
	if err := d.take(ctx); err != nil {
		return err
	}
	defer d.give()
	c, err := d.get(ctx)
	if err != nil {
		return err
	}
	err = f(c)
	// A connection keeps the rights of its login: one made between CREATE USER and GRANT would lack them for ever.
	if n := Errno(err); err == nil || (n != 0 && n != errRightsMissing) {
		d.put(c)
		return err
	}
	c.close()
	return err
}

// get returns an idle connection that still answers, or a new one.
func (d *DB) get(ctx context.Context) (*Conn, error) {
	for {
		d.mu.Lock()
		if d.closed {
			d.mu.Unlock()
			return nil, ErrClosed
		}
		n := len(d.idle)
		if n == 0 {
			d.mu.Unlock()
			return d.dial(ctx)
		}
		c := d.idle[n-1]
		d.idle = d.idle[:n-1]
		d.mu.Unlock()
		if c.fresh(ctx) {
			return c, nil
		}
		c.close()
	}
}

func (d *DB) put(c *Conn) {
	c.used = time.Now()
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		c.close()
		return
	}
	d.idle = append(d.idle, c)
	d.mu.Unlock()
}

// As is the same way in for another user.
func (d *DB) As(user, password string) Config {
	c := d.cfg
	c.User, c.Password = user, password
	return c
}
