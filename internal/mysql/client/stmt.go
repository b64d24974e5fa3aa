package client

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// Stmt is a prepared statement of one connection. It dies with it, and with
// ResetConnection and ChangeUser.
type Stmt struct {
	ID       uint32
	Params   []wire.Column
	Columns  []wire.Column // as of the preparation; an execution may return others
	Warnings uint16
	c        *Conn
}

// Prepare prepares a statement.
func (c *Conn) Prepare(ctx context.Context, sql string) (*Stmt, error) {
	k, err := c.begin(ctx, wire.ComStmtPrepare, []byte(sql))
	if err != nil {
		return nil, err
	}
	s, err := k.prepared()
	if err = k.done(err); err != nil {
		return nil, err
	}
	return s, nil
}

func (k *call) prepared() (*Stmt, error) {
	p, err := k.read()
	if err != nil {
		return nil, err
	}
	head, err := wire.ParsePrepared(p, k.c.caps)
	if err != nil {
		return nil, err
	}
	s := &Stmt{c: k.c, ID: head.ID, Warnings: head.Warnings}
	if s.Params, err = k.columns(head.Params); err != nil {
		return nil, err
	}
	s.Columns, err = k.columns(head.Columns)
	return s, err
}

// columns reads a block of n definitions and its EOF, if there is one.
func (k *call) columns(n int) ([]wire.Column, error) {
	if n == 0 {
		return nil, nil
	}
	cols := make([]wire.Column, n)
	for i := range cols {
		p, err := k.read()
		if err != nil {
			return nil, err
		}
		if cols[i], err = wire.ParseColumn(p, k.c.caps); err != nil {
			return nil, err
		}
	}
	if k.c.caps.Has(wire.ClientDeprecateEOF) {
		return cols, nil
	}
	_, err := k.ok()
	return cols, err
}

// Execute runs the statement. The rows' values are text, as those of Query are.
func (s *Stmt) Execute(ctx context.Context, params ...wire.Param) (*Rows, error) {
	return s.execute(ctx, 0, params)
}

// OpenCursor runs the statement with a read-only cursor: its rows are got by Fetch.
// The returned Rows has no rows unless the server did not make a cursor.
func (s *Stmt) OpenCursor(ctx context.Context, params ...wire.Param) (*Rows, error) {
	return s.execute(ctx, wire.CursorReadOnly, params)
}

func (s *Stmt) execute(ctx context.Context, flags byte, params []wire.Param) (*Rows, error) {
	if len(params) != len(s.Params) {
		return nil, fmt.Errorf("the statement has %d parameters, not %d", len(s.Params), len(params))
	}
	p := wire.AppendStmtExecute(nil, s.ID, flags, params, nil, s.c.caps)
	k, err := s.c.begin(ctx, p[0], p[1:])
	if err != nil {
		return nil, err
	}
	return k.rows(true)
}

// Fetch gets at most n more rows of an open cursor. The last ones are there when
// the OK of the returned Rows has wire.StatusLastRowSent.
func (s *Stmt) Fetch(ctx context.Context, n uint32, cols []wire.Column) (*Rows, error) {
	p := wire.AppendFetch(nil, s.ID, n)
	k, err := s.c.begin(ctx, p[0], p[1:])
	if err != nil {
		return nil, err
	}
	s.c.busy = true
	return &Rows{k: k, cols: cols, values: make([][]byte, len(cols)), binary: true, inRows: true}, nil
}

// SendLongData sends a piece of a parameter's value ahead of the next execution,
// whose own value of it is left out. The server does not answer: errors show at the
// execution.
func (s *Stmt) SendLongData(ctx context.Context, param int, data []byte) error {
	p := wire.AppendLongData(nil, wire.LongData{ID: s.ID, Param: uint16(param), Data: data})
	k, err := s.c.begin(ctx, p[0], p[1:])
	if err != nil {
		return err
	}
	return k.done(nil)
}

// Reset drops the long data and closes the cursor.
func (s *Stmt) Reset(ctx context.Context) error {
	_, err := s.c.simple(ctx, wire.ComStmtReset, binary.LittleEndian.AppendUint32(nil, s.ID))
	return err
}

// Close frees the statement on the server, which does not answer.
func (s *Stmt) Close(ctx context.Context) error {
	k, err := s.c.begin(ctx, wire.ComStmtClose, binary.LittleEndian.AppendUint32(nil, s.ID))
	if err != nil {
		return err
	}
	return k.done(nil)
}
