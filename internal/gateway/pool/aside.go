package pool

import (
	"context"
	"fmt"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// maxAside is how many connections a pool keeps beside its limit for Aside. Its statements take a millisecond, so eight
// serve thousands a second.
const maxAside = 8

// aside is the set of connections for Aside.
type aside struct {
	slots chan struct{}
	idle  []asideConn // the most recently used last; guarded by the pool's lock
}

type asideConn struct {
	*client.Conn
	at time.Time
}

// Aside runs one statement in a transaction of its own, on a connection beside the pool's limit. It is for those who hold a
// connection already: if all of them waited for a second one of the same set, none would ever get it.
func (p *Pool) Aside(ctx context.Context, sql []byte) (wire.OK, error) {
	timer := time.NewTimer(p.cfg.Wait)
	defer timer.Stop()
	select {
	case p.aside.slots <- struct{}{}:
		defer func() { <-p.aside.slots }()
	case <-timer.C:
		return wire.OK{}, fmt.Errorf("%w: %d beside the pool of %s for %s", ErrExhausted, maxAside, p.Addr(), p.cfg.Wait)
	case <-ctx.Done():
		return wire.OK{}, ctx.Err()
	}
	c, err := p.takeAside(ctx)
	if err != nil {
		return wire.OK{}, err
	}
	rows, err := c.QueryBytes(ctx, sql)
	var ok wire.OK
	if err == nil {
		err = rows.Close()
		ok = rows.OK()
	}
	p.putAside(c)
	return ok, err
}

// takeAside returns an idle connection that the server has not closed, or a new one.
func (p *Pool) takeAside(ctx context.Context) (*client.Conn, error) {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, ErrClosed
		}
		n := len(p.aside.idle)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		c := p.aside.idle[n-1]
		p.aside.idle = p.aside.idle[:n-1]
		p.mu.Unlock()
		if c.Wire().CheckIdle() == nil {
			return c.Conn, nil
		}
		_ = c.Close() // the server has closed it already
	}
	p.dials.Add(1)
	c, err := client.Dial(ctx, p.cfg.Dial)
	if err != nil {
		return nil, fmt.Errorf("connect to server %s: %w", p.Addr(), err)
	}
	return c, nil
}

func (p *Pool) putAside(c *client.Conn) {
	p.mu.Lock()
	keep := !p.closed && !c.Broken()
	if keep {
		p.aside.idle = append(p.aside.idle, asideConn{c, time.Now()})
	}
	p.mu.Unlock()
	if !keep {
		_ = c.Close() // nothing more is asked of it
	}
}

// reapAside closes what was not used since a moment.
func (p *Pool) reapAside(since time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.aside.idle) && p.aside.idle[n].at.Before(since) {
		n++
	}
	old := append([]asideConn(nil), p.aside.idle[:n]...)
	p.aside.idle = append(p.aside.idle[:0], p.aside.idle[n:]...)
	p.mu.Unlock()
	for _, c := range old {
		_ = c.Close() // nothing more is asked of it
	}
}
