package backend

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/redo"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// A transaction over several shards remembers what it wrote, so that recovery can repeat it; and what of it can't be repeated
// exactly, so that the commit refuses before it is too late.

// Written is a write that a server has carried out inside a transaction.
type Written struct {
	Plan *plan.Plan // nil for a statement of the gateway's own
	SQL  []byte
	// Began is when it was sent.
	Began time.Time
	OK    wire.OK
	// Rows says that it answered with rows, and so not with a count.
	Rows bool
}

// Wrote takes note of a write. It keeps a copy of the text.
func (b *Backend) Wrote(p *Part, w Written) {
	if w.Plan != nil && w.Plan.Class == plan.DDL && w.Plan.Uses&plan.UsesTempTable == 0 {
		p.ended() // it was no part of a transaction: the server committed before and after it
		return
	}
	p.wrote = true
	if b.Tx.Mode != txn.Atomic {
		return
	}
	b.Tx.redoBytes += len(w.SQL)
	if b.Tx.redoBytes > b.cfg.MaxRedoBytes {
		return // the commit over several shards refuses then; one shard's needs no redo
	}
	st := redo.Statement{
		SQL: slices.Clone(w.SQL), InsertID: w.OK.InsertID, UnixMicro: w.Began.UnixMicro(),
		Affected: int64(w.OK.Affected), Found: b.Class&pool.FoundRows != 0,
	}
	if w.Rows {
		st.Affected = -1
	}
	if b.Settings != nil && strings.Contains(b.Settings.SQL, "SESSION timestamp = ") {
		st.UnixMicro = 0 // the client's own time is among the settings
	}
	if w.Plan != nil {
		if w.Plan.Uses&plan.UsesTempTable != 0 {
			p.temporary = true
		}
		p.noRepeat(b.unrepeatable(p, &w))
	}
	p.remember(st)
}

// unrepeatable says what keeps a write from being repeated exactly; "" for nothing. What functions answer in a transaction of
// a single statement doesn't count: nobody has seen it before the commit.
func (b *Backend) unrepeatable(p *Part, w *Written) string {
	switch {
	case w.Plan.Class != plan.Write:
		return w.Plan.Class.String() + " statement"
	case p.temporary:
		return "temporary tables"
	case b.Tx.implicit > 0:
		return ""
	case w.Plan.OrdersKeys && w.OK.InsertID != 0:
		return "keys in the order of a query's rows"
	}
	return w.Plan.Inexact
}

// noRepeat keeps the first reason.
func (p *Part) noRepeat(why string) {
	if p.inexact == "" {
		p.inexact = why
	}
}

// remember keeps a statement for a replay, with the settings under which the first one ran.
func (p *Part) remember(st redo.Statement) {
	if len(p.redo) == 0 {
		p.under = p.Conn.Settings()
	}
	p.redo = append(p.redo, st)
}

// handedOver makes a part of a connection on which a statement outside any transaction, a procedure's call, left one open.
func handedOver(sh *target.Shard, c *pool.Conn) *Part {
	return &Part{shard: sh, server: c.Pool(), Conn: c, begun: true, wrote: true, inexact: "a procedure"}
}

// coordinatorFirst puts the part in front that can't be repeated exactly: the coordinator's share is never replayed. With two
// of them the transaction can't be atomic.
func coordinatorFirst(parts []*Part) error {
	odd := slices.IndexFunc(parts, func(p *Part) bool { return p.inexact != "" })
	if odd < 0 {
		return nil
	}
	for _, p := range parts[odd+1:] {
		if p.inexact != "" {
			return errcode.New(errcode.NotRepeatable, parts[odd].name(), parts[odd].inexact, p.name(), p.inexact)
		}
	}
	parts[0], parts[odd] = parts[odd], parts[0]
	return nil
}

func (p *Part) name() string { return p.shard.Keyspace.Name + "/" + p.shard.Name }

// maxDraws bounds the values of one statement that are drawn before it runs.
const maxDraws = 1000

// MustDraw says whether the statement's UUIDs and the like have to be drawn before it runs: the client may read them in the
// same transaction and write them to another shard, so a replay has to have the same.
func (b *Backend) MustDraw(p *plan.Plan) bool {
	return p.Draws && b.Tx.Mode == txn.Atomic && (b.Tx.explicit || !b.Tx.Autocommit)
}

// Drawn returns the statement with its draws written into it; the server draws them, so they are what it would have used. nil
// if there are too many.
func (b *Backend) Drawn(stmt parse.Statement, sql []byte) ([]byte, error) {
	calls := plan.Draws(stmt)
	if len(calls) == 0 || len(calls) > maxDraws {
		return nil, nil
	}
	texts := make([]string, len(calls))
	for i, f := range calls {
		span := f.Range()
		texts[i] = string(span.Text(sql))
	}
	var cols []wire.Column
	var rows [][][]byte
	err := b.OnFresh(func(ctx context.Context, c *pool.Conn) (err error) {
		cols, rows, err = QueryAll(ctx, c, "SELECT "+strings.Join(texts, ", "), 1)
		return err
	})
	if err != nil {
		return nil, err
	}
	var edits parse.Edits
	for i, f := range calls {
		edits.Replace(f.Range(), drawnLiteral(cols[i], rows[0][i]))
	}
	return edits.Apply(nil, sql), nil
}

// drawnLiteral keeps the type too, where a literal of the same text would have another.
func drawnLiteral(col wire.Column, v []byte) string {
	switch col.Type {
	case wire.TypeDouble:
		if !strings.ContainsAny(string(v), "eE") {
			return string(v) + "e0"
		}
	case wire.TypeDatetime:
		return "TIMESTAMP" + rewrite.String(string(v))
	}
	return rewrite.Literal(col, v)
}
