package backend

import (
	"slices"

	"github.com/pelorusdb/pelorus/internal/gateway/pool"
)

// Keep makes the session keep a connection, of its transaction or of one statement, until Leave is called as often.
func (b *Backend) Keep(c *pool.Conn) { b.kept = append(b.kept, c) }

// Leave ends Keep. The connection goes back to its pool, unless it is kept for something else or is the transaction's.
func (b *Backend) Leave(c *pool.Conn) {
	if i := slices.Index(b.kept, c); i >= 0 {
		b.kept = slices.Delete(b.kept, i, i+1)
	}
	if b.PartOf(c) == nil {
		b.giveUp(c)
	}
}

// PartOf returns the transaction's part whose connection c is, or nil.
func (b *Backend) PartOf(c *pool.Conn) *Part {
	for _, p := range b.Tx.parts {
		if p.Conn == c {
			return p
		}
	}
	return nil
}

// giveUp gives a connection back that the transaction has no more use for, unless it is kept.
func (b *Backend) giveUp(c *pool.Conn) {
	if !slices.Contains(b.kept, c) {
		c.Release()
	}
}
