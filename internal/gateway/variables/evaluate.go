package variables

import (
	"context"
	"fmt"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// Value returns the SQL text of a value: constants as they are, anything else computed by a server.
func (v *Variables) Value(snap *target.Snapshot, e parse.Expr, sql []byte) (string, error) {
	if text, ok := settings.Constant(e, sql); ok {
		return text, nil
	}
	return v.Evaluate(snap, e, sql)
}

// userValue returns the literal that a user variable is set to. Text whose meaning depends on sql_mode is read by a
// server now.
func (v *Variables) userValue(snap *target.Snapshot, e parse.Expr, sql []byte) (string, error) {
	switch x := e.(type) {
	case *parse.ColumnRef:
		return v.Evaluate(snap, e, sql)
	case *parse.Literal:
		if strings.ContainsAny(string(x.Text(sql)), "\"\\") {
			return v.Evaluate(snap, e, sql)
		}
	}
	return v.Value(snap, e, sql)
}

// Evaluate has a server compute an expression of a statement over the session's own variables, and returns it as a literal.
func (v *Variables) Evaluate(snap *target.Snapshot, e parse.Expr, sql []byte) (string, error) {
	text, locks, err := rewrite.Expr(e, sql, v.back.Mode, v.session.Values())
	if err != nil {
		return "", err
	}
	q := "SELECT " + text
	if v.readsTables(q) {
		return v.evaluateRows(snap, q)
	}
	var out string
	ask := func(ctx context.Context, c *pool.Conn) error {
		cols, rows, err := backend.QueryAll(ctx, c, q, 2)
		if err != nil {
			return err
		}
		if len(rows) != 1 || len(rows[0]) != 1 {
			return errcode.New(errcode.BadVariableValue, "expression", text)
		}
		out = rewrite.Literal(cols[0], rows[0][0])
		return nil
	}
	if locks == rewrite.NoLocks {
		err = v.back.OnFresh(ask)
	} else {
		err = v.onLockHome(snap, locks, ask)
	}
	return out, err
}

// readsTables says whether any SELECT of the query has a FROM.
func (v *Variables) readsTables(q string) bool {
	stmt, err := parse.Parse([]byte(q), v.back.Mode)
	if err != nil {
		return false // the server says what is wrong
	}
	reads := false
	parse.Walk(stmt, func(n parse.Node) bool {
		if sel, ok := n.(*parse.SelectStmt); ok && len(sel.From) > 0 {
			reads = true
		}
		return true
	})
	return reads
}

// evaluateRows computes an expression that reads tables, by running it as the statement it is.
func (v *Variables) evaluateRows(snap *target.Snapshot, q string) (string, error) {
	var one oneValue
	if err := v.session.Read(snap, []byte(q), &one); err != nil {
		return "", err
	}
	if one.rows != 1 {
		return "", errcode.New(errcode.BadVariableValue, "expression", fmt.Sprintf("a query of %d rows", one.rows))
	}
	return one.text, nil
}

// onLockHome runs f where the named locks are, on a connection that the session keeps if f takes one.
func (v *Variables) onLockHome(snap *target.Snapshot, locks rewrite.Locks, f func(context.Context, *pool.Conn) error) error {
	home, err := route.LockHome(snap)
	if err != nil {
		return err
	}
	if locks == rewrite.TakesLock {
		v.back.Reserve()
	}
	_, err = v.back.Statement(snap).On(home, nil, exec.Query{Lock: true}, nil, func(ctx context.Context, c *pool.Conn) (wire.OK, error) {
		err := f(ctx, c)
		return wire.OK{Status: c.Status()}, err
	})
	return err
}

// oneValue is a sink that keeps the first value as a literal.
type oneValue struct {
	col  wire.Column
	text string
	rows int
}

// Columns keeps the first column's type.
func (o *oneValue) Columns(cols []wire.Column) error {
	if len(cols) > 0 {
		o.col = cols[0]
	}
	return nil
}

// Row keeps the first row.
func (o *oneValue) Row(values [][]byte) error {
	if o.rows++; o.rows == 1 && len(values) > 0 {
		o.text = rewrite.Literal(o.col, values[0])
	}
	return nil
}

// RawRow decodes a text row and keeps it.
func (o *oneValue) RawRow(row []byte) error {
	values, err := wire.ParseTextRow(row, nil)
	if err != nil {
		return err
	}
	return o.Row(values)
}
