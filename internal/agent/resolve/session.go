package resolve

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/redo"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
)

// Errors of servers.
const (
	errDuplicate    = 1062
	errLockWait     = 1205
	errDeadlock     = 1213
	errNoSuchThread = 1094
	errNotOwner     = 1095
	errReadOnly     = 1290
	errOffline      = 3032
	errShutdown     = 1053
	errKilled       = 1317
)

func errno(err error) uint16 {
	var e *wire.MySQLError
	if errors.As(err, &e) {
		return e.Errno
	}
	return 0
}

// head is a record without its statements.
type head struct {
	txnID, participant, coordinator string
	term, connID, coordConnID       uint64
	age                             time.Duration
	// seen is when the age was read.
	seen time.Time
}

// ageNow is how old the record is by now.
func (h *head) ageNow() time.Duration { return h.age + time.Since(h.seen) }

// parseHead reads a row of redo.SelectHeads.
func parseHead(row []string, now time.Time) (head, error) {
	const columns = 7
	if len(row) != columns {
		return head{}, fmt.Errorf("a record has %d columns, want %d", len(row), columns)
	}
	h := head{txnID: row[0], participant: row[1], coordinator: row[2], seen: now}
	for _, f := range []struct {
		name string
		text string
		to   *uint64
	}{{"term", row[3], &h.term}, {"conn_id", row[4], &h.connID}, {"coord_conn_id", row[5], &h.coordConnID}} {
		v, err := strconv.ParseUint(f.text, 10, 64)
		if err != nil {
			return head{}, fmt.Errorf("record %q: %s: %w", h.txnID, f.name, err)
		}
		*f.to = v
	}
	micros, err := strconv.ParseInt(row[6], 10, 64)
	if err != nil {
		return head{}, fmt.Errorf("record %q: age: %w", h.txnID, err)
	}
	h.age = time.Duration(max(0, micros)) * time.Microsecond
	return h, nil
}

func dial(ctx context.Context, network, addr string, login credentials.Login, wait time.Duration) (*client.Conn, error) {
	c, err := client.Dial(ctx, client.Config{
		Network: network, Addr: addr, User: login.User, Password: login.Password, ConnectTimeout: localTime,
		InitSQL: []string{fmt.Sprintf("SET time_zone = 'SYSTEM', innodb_lock_wait_timeout = %d", int(wait.Seconds()))},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the server at %s as %s: %w", addr, login.User, err)
	}
	return c, nil
}

// query returns all rows as text.
func query(ctx context.Context, c *client.Conn, sql string) ([][]string, error) {
	_, rows, err := c.QueryAll(ctx, sql)
	if err != nil {
		return nil, err
	}
	out := make([][]string, len(rows))
	for i, row := range rows {
		for _, v := range row {
			out[i] = append(out[i], v.String())
		}
	}
	return out, nil
}

// look runs a query on the look-out's connection.
func (r *Resolver) look(ctx context.Context, sql string) ([][]string, error) {
	if r.local == nil {
		c, err := dial(ctx, r.cfg.Network, r.cfg.Addr, r.cfg.App, time.Second)
		if err != nil {
			return nil, err
		}
		r.local = c
	}
	rows, err := query(ctx, r.local, sql)
	if r.local.Broken() {
		r.dropLocal()
	}
	return rows, err
}

func (r *Resolver) dropLocal() {
	if r.local != nil {
		_ = r.local.Close() // it is not used again, whatever it says
		r.local = nil
	}
}

func (r *Resolver) heads(ctx context.Context) ([]head, error) {
	rows, err := r.look(ctx, redo.SelectHeads(maxHeads))
	if err != nil {
		return nil, fmt.Errorf("look for records of transactions: %w", err)
	}
	return parseHeads(rows)
}

func parseHeads(rows [][]string) ([]head, error) {
	now := time.Now()
	heads := make([]head, len(rows))
	for i, row := range rows {
		h, err := parseHead(row, now)
		if err != nil {
			return nil, err
		}
		heads[i] = h
	}
	return heads, nil
}

// sessions tells which of the records' connections exist.
func (r *Resolver) sessions(ctx context.Context, heads []head) (map[uint64]bool, error) {
	ids := make([]uint64, len(heads))
	for i, h := range heads {
		ids[i] = h.connID
	}
	rows, err := r.look(ctx, redo.SelectSessions(ids))
	if err != nil {
		return nil, fmt.Errorf("look for the connections of transactions: %w", err)
	}
	out := make(map[uint64]bool, len(rows))
	for _, row := range rows {
		id, err := strconv.ParseUint(row[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("id of a connection: %w", err)
		}
		out[id] = true
	}
	return out, nil
}

// kill ends a connection of the same account. One that is gone, or is not one of ours, is left alone.
func kill(ctx context.Context, c *client.Conn, connID uint64) error {
	_, err := c.Exec(ctx, "KILL "+strconv.FormatUint(connID, 10))
	if n := errno(err); err != nil && n != errNoSuchThread && n != errNotOwner {
		return fmt.Errorf("end connection %d: %w", connID, err)
	}
	return nil
}
