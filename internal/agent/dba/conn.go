package dba

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// checkAfter is how long a connection may have been idle before it is asked whether it still lives.
const checkAfter = 200 * time.Millisecond

// Conn is one connection to the server, for one goroutine.
type Conn struct {
	c    *client.Conn
	used time.Time
}

func (d *DB) dial(ctx context.Context) (*Conn, error) {
	c, err := client.Dial(ctx, client.Config{
		Network: d.cfg.Network, Addr: d.cfg.Addr, User: d.cfg.User, Password: d.cfg.Password, ConnectTimeout: dialTime,
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the server at %s as %s: %w", d.cfg.Addr, d.cfg.User, err)
	}
	return &Conn{c: c, used: time.Now()}, nil
}

func (c *Conn) close() { _ = c.c.Close() }

// fresh says whether the connection may be used: recently used, or it answers a ping.
func (c *Conn) fresh(ctx context.Context) bool {
	return time.Since(c.used) < checkAfter || c.c.Ping(ctx) == nil
}

// ID is the server's number of the connection, for KILL.
func (c *Conn) ID() uint32 { return c.c.ConnectionID() }

// Version is the server's version as it greeted.
func (c *Conn) Version() string { return c.c.ServerVersion() }

// Exec runs statements one after the other and stops at the first error.
func (c *Conn) Exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := c.c.Exec(ctx, s); err != nil {
			return describe(s, err)
		}
	}
	return nil
}

// Query runs a statement and returns at most limit rows of its first result.
func (c *Conn) Query(ctx context.Context, statement string, limit int) (*Result, error) {
	rows, err := c.c.Query(ctx, statement)
	if err != nil {
		return nil, describe(statement, err)
	}
	r := &Result{}
	for _, col := range rows.Columns() {
		r.Columns = append(r.Columns, Column{Name: col.Name, Type: col.Type, Flags: col.Flags, Charset: col.Charset})
	}
	for rows.Next() {
		if len(r.Rows) >= limit {
			r.Truncated = true
			continue
		}
		r.Rows = append(r.Rows, copyRow(rows.Values()))
	}
	ok := rows.OK()
	r.Affected, r.InsertID = ok.Affected, ok.InsertID
	if err := rows.Close(); err != nil {
		return nil, describe(statement, err)
	}
	return r, nil
}

func copyRow(values [][]byte) []*string {
	row := make([]*string, len(values))
	for i, v := range values {
		if v != nil {
			s := string(v)
			row[i] = &s
		}
	}
	return row
}

func describe(statement string, err error) error {
	return fmt.Errorf("%s: %w", brief(statement), err)
}

// Errno is the server's error number, 0 if the error is not one of the server's.
func Errno(err error) uint16 {
	var e *wire.MySQLError
	if errors.As(err, &e) {
		return e.Errno
	}
	return 0
}
