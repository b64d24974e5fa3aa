package wire

import (
	"context"
	"crypto/tls"
	"net"
)

// resumed is a connection of which some bytes were read already.
type resumed struct {
	net.Conn
	early []byte
}

func (r *resumed) Read(p []byte) (int, error) {
	if len(r.early) > 0 {
		n := copy(p, r.early)
		r.early = r.early[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// unread returns the connection below c with the bytes that c has read too far.
func (c *Conn) unread() net.Conn {
	early := append([]byte(nil), c.Buffered()...)
	c.Discard(len(early))
	c.Release()
	if len(early) == 0 {
		return c.nc
	}
	return &resumed{c.nc, early}
}

// over makes the Conn that goes on with the limits and the sequence of c.
func (c *Conn) over(nc net.Conn) *Conn {
	n := NewConn(nc, c.maxPacket)
	n.seq, n.writeTimeout = c.seq, c.writeTimeout
	return n
}

// startTLS makes c the server's end of a TLS connection. On an error c is returned.
func (c *Conn) startTLS(cfg *tls.Config) (*Conn, error) {
	t := tls.Server(c.unread(), cfg)
	// The deadline of the connection below limits the handshake.
	if err := t.HandshakeContext(context.Background()); err != nil {
		return c, err
	}
	return c.over(t), nil
}

// StartTLS makes c the client's end of a TLS connection, after an SSL request was
// sent. The returned Conn replaces c; ctx limits the handshake.
func (c *Conn) StartTLS(ctx context.Context, cfg *tls.Config) (*Conn, error) {
	t := tls.Client(c.unread(), cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return c.over(t), nil
}
