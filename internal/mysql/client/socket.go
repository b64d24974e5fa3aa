package client

import (
	"context"
	"net"
)

// dialSocket connects by the socket beside the address, if there is one and the server behind it is that of the address; nil if
// not. Its errors are nobody's business: the address will be tried, and if the server is down, so is it there.
func dialSocket(ctx context.Context, cfg Config) *Conn {
	if cfg.Socket == "" || cfg.TLS != nil {
		return nil
	}
	_, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", cfg.Socket)
	if err != nil {
		return nil
	}
	c, err := NewConn(ctx, nc, cfg)
	if err != nil {
		return nil
	}
	// A path says little: another container may have a server of its own there. A port of this machine has one.
	if ok, err := c.listensOn(ctx, port); err != nil || !ok {
		_ = c.Close()
		return nil
	}
	return c
}

func (c *Conn) listensOn(ctx context.Context, port string) (bool, error) {
	rows, err := c.Query(ctx, "SELECT @@port")
	if err != nil {
		return false, err
	}
	defer rows.Close()
	same := rows.Next() && string(rows.Values()[0]) == port
	for rows.Next() { // to the end, so that the connection is free
		same = false
	}
	return same, rows.Err()
}
