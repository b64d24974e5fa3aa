package dba

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-sql-driver/mysql"
)

// checkAfter is how long a connection may have been idle before it is asked whether it still lives.
const checkAfter = 200 * time.Millisecond

// Conn is one connection to the server, for one goroutine.
type Conn struct {
	c    driver.Conn
	used time.Time
}

func (d *DB) dial(ctx context.Context) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd = d.cfg.Network, d.cfg.Addr, d.cfg.User, d.cfg.Password
	cfg.InterpolateParams = true
	cfg.Logger = silent{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the server at %s as %s: %w", d.cfg.Addr, d.cfg.User, err)
	}
	return &Conn{c: c, used: time.Now()}, nil
}

type silent struct{}

func (silent) Print(...any) {}

func (c *Conn) close() { _ = c.c.Close() }

// fresh says whether the connection may be used: recently used, or it answers a ping.
func (c *Conn) fresh(ctx context.Context) bool {
	return time.Since(c.used) < checkAfter || c.c.(driver.Pinger).Ping(ctx) == nil
}

// Exec runs statements one after the other and stops at the first error.
func (c *Conn) Exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := c.Query(ctx, s, 1); err != nil {
			return err
		}
	}
	return nil
}

// Query runs a statement and returns at most limit rows.
func (c *Conn) Query(ctx context.Context, statement string, limit int) (*Result, error) {
	rows, err := c.c.(driver.QueryerContext).QueryContext(ctx, statement, nil)
	if err != nil {
		return nil, describe(statement, err)
	}
	r := &Result{}
	for _, name := range rows.Columns() {
		r.Columns = append(r.Columns, Column{Name: name})
	}
	values := make([]driver.Value, len(r.Columns))
	for {
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return r, rows.Close()
		}
		if err != nil {
			_ = rows.Close()
			return nil, describe(statement, err)
		}
		if len(r.Rows) >= limit {
			r.Truncated = true
			continue
		}
		r.Rows = append(r.Rows, copyRow(values))
	}
}

func copyRow(values []driver.Value) []*string {
	row := make([]*string, len(values))
	for i, v := range values {
		var s string
		switch v := v.(type) {
		case nil:
			continue
		case []byte:
			s = string(v)
		default:
			s = fmt.Sprint(v)
		}
		row[i] = &s
	}
	return row
}

func describe(statement string, err error) error {
	return fmt.Errorf("%s: %w", brief(statement), err)
}

// Errno is the server's error number, 0 if the error is not one of the server's.
func Errno(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}
