package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// Rows is the answer to a query: one result after the other, each with rows or with
// only an OK. It must be read to its end or closed before the connection is used again.
type Rows struct {
	k      *call
	cols   []wire.Column
	values [][]byte
	raw    []byte
	text   []byte // values of binary rows, as text
	ok     wire.OK
	err    error
	binary bool
	inRows bool   // rows are still to come
	out    uint16 // status flags to add to the end of the result, see wire.AfterOutParams
	closed bool
}

// Query runs a statement and returns its answer, of which nothing but the head was
// read. An error that is the first answer is returned here.
func (c *Conn) Query(ctx context.Context, sql string) (*Rows, error) {
	return c.QueryBytes(ctx, []byte(sql))
}

// QueryBytes is Query for a statement in bytes, which are not kept.
func (c *Conn) QueryBytes(ctx context.Context, sql []byte) (*Rows, error) {
	var attrs []byte
	if c.caps.Has(wire.ClientQueryAttributes) {
		attrs = []byte{0, 1} // no attributes, one set of them
	}
	k, err := c.begin(ctx, wire.ComQuery, attrs, sql)
	if err != nil {
		return nil, err
	}
	return k.rows(false)
}

// rows reads the head of the first result.
func (k *call) rows(binary bool) (*Rows, error) {
	r := &Rows{k: k, binary: binary}
	k.c.busy = true
	if r.head(); r.err != nil {
		return nil, r.err
	}
	return r, nil
}

// head reads the head of a result: an OK, or the definitions of columns.
func (r *Rows) head() {
	r.cols, r.values, r.raw, r.ok, r.inRows, r.out = nil, nil, nil, wire.OK{}, false, 0
	p, err := r.k.read()
	if err == nil && wire.IsLocalInfile(p) {
		if err = r.k.sendFile(p); err == nil {
			p, err = r.k.read()
		}
	}
	if err != nil {
		r.finish(err)
		return
	}
	if wire.IsOK(p) {
		r.endResult(p)
		return
	}
	if err := r.definitions(p); err != nil {
		r.finish(err)
	}
}

func (r *Rows) definitions(p []byte) error {
	caps := r.k.c.caps
	n, _, err := wire.ParseColumnCount(p, caps)
	if err != nil {
		return err
	}
	r.cols = make([]wire.Column, n)
	r.values = make([][]byte, n)
	for i := range r.cols {
		if p, err = r.k.read(); err != nil {
			return err
		}
		if r.cols[i], err = wire.ParseColumn(p, caps); err != nil {
			return err
		}
	}
	r.inRows = true
	if caps.Has(wire.ClientDeprecateEOF) {
		return nil
	}
	if p, err = r.k.read(); err != nil {
		return err
	}
	ok, err := wire.ParseOK(p, caps)
	if err != nil {
		return err
	}
	r.out = wire.AfterOutParams(ok.Status)
	if ok.Status&wire.StatusCursorExists != 0 {
		r.endResult(p)
	}
	return nil
}

// endResult takes the packet that ends a result, and the answer if no other follows.
func (r *Rows) endResult(p []byte) {
	ok, err := wire.ParseOK(p, r.k.c.caps)
	if err != nil {
		r.finish(err)
		return
	}
	ok.State = append([]byte(nil), ok.State...)
	ok.Status |= r.out
	r.ok, r.inRows, r.raw = ok, false, nil
	r.k.c.status = ok.Status
	if ok.Status&wire.StatusMoreResults == 0 {
		r.finish(nil)
	}
}

// finish ends the answer.
func (r *Rows) finish(err error) {
	r.closed, r.inRows, r.raw = true, false, nil
	r.k.c.busy = false
	var own *noFileError
	if errors.As(err, &own) {
		if e := r.k.done(nil); e == nil {
			r.err = own.err
			return
		}
	}
	if err = r.k.done(err); r.err == nil {
		r.err = err
	}
}

// Columns returns the columns of the current result; none: it has no rows.
func (r *Rows) Columns() []wire.Column { return r.cols }

// Next goes to the next row of the current result.
func (r *Rows) Next() bool {
	if !r.inRows {
		return false
	}
	p, err := r.k.read()
	if err != nil {
		r.finish(err)
		return false
	}
	if wire.IsEnd(p) {
		r.endResult(p)
		return false
	}
	if r.binary {
		r.values, r.text, err = wire.ParseBinaryRow(p, r.cols, r.values, r.text[:0])
	} else {
		_, err = wire.ParseTextRow(p, r.values)
	}
	if err != nil {
		r.finish(err)
		return false
	}
	r.raw = p
	return true
}

// Raw returns the payload of the current row, valid until the next Next.
func (r *Rows) Raw() []byte { return r.raw }

// Values returns the values of the current row as text, nil for NULL. The slice and
// the bytes are used again by the next Next.
func (r *Rows) Values() [][]byte { return r.values }

// Err returns what ended the answer, if not its end.
func (r *Rows) Err() error { return r.err }

// OK returns the OK or EOF that ended the current result.
func (r *Rows) OK() wire.OK { return r.ok }

// NextResult skips what is left of the current result and goes to the next one.
func (r *Rows) NextResult() bool {
	for r.Next() {
	}
	if r.closed {
		return false
	}
	r.head()
	return r.err == nil
}

// Close reads what is left and returns the error that ended the answer, if any.
func (r *Rows) Close() error {
	for r.NextResult() {
	}
	return r.err
}

// Exec runs a statement and returns the OK of its last result; rows are skipped.
func (c *Conn) Exec(ctx context.Context, sql string) (wire.OK, error) {
	r, err := c.Query(ctx, sql)
	if err != nil {
		return wire.OK{}, err
	}
	if err := r.Close(); err != nil {
		return wire.OK{}, err
	}
	return r.OK(), nil
}

// Value is one value of a row as text; nil is NULL.
type Value []byte

// IsNull says whether the value is NULL.
func (v Value) IsNull() bool { return v == nil }

// String returns the text, "" for NULL.
func (v Value) String() string { return string(v) }

// MaxQueryAllRows is the most that QueryAll returns; it is meant for the answers of
// administration, and whoever expects more reads a Rows.
const MaxQueryAllRows = 1 << 20

// QueryAll runs a statement and returns the rows of its first result. More than
// MaxQueryAllRows rows are an error.
func (c *Conn) QueryAll(ctx context.Context, sql string) ([]wire.Column, [][]Value, error) {
	r, err := c.Query(ctx, sql)
	if err != nil {
		return nil, nil, err
	}
	cols := r.Columns()
	var rows [][]Value
	for r.Next() {
		if len(rows) == MaxQueryAllRows {
			// Closing is the only way to stop a result.
			return nil, nil, r.k.fail(fmt.Errorf("more than %d rows in an answer that is read at once", MaxQueryAllRows))
		}
		rows = append(rows, copyRow(r.Values()))
	}
	if err := r.Close(); err != nil {
		return nil, nil, err
	}
	return cols, rows, nil
}

// copyRow copies a row's values into one piece of memory.
func copyRow(values [][]byte) []Value {
	n := 0
	for _, v := range values {
		n += len(v)
	}
	mem := make([]byte, 0, n)
	row := make([]Value, len(values))
	for i, v := range values {
		if v == nil {
			continue
		}
		at := len(mem)
		mem = append(mem, v...)
		row[i] = Value(mem[at:len(mem):len(mem)])
	}
	return row
}
