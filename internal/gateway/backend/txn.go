package backend

import (
	"context"
	"errors"
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
)

// Part is what a transaction has on one shard.
type Part struct {
	Conn   *pool.Conn
	shard  *target.Shard
	server *pool.Pool
	begun  bool // START TRANSACTION was sent, or the server says that one is open
	unsure bool // a statement failed under autocommit=0, and errors don't say whether a transaction is open
	wrote  bool
	redo   []redo.Statement
	under  *pool.Settings // of the first statement of redo
	// inexact is what keeps a replay from doing the same again, "" for nothing; temporary says that the connection has
	// temporary tables, which no replay has.
	inexact   string
	temporary bool
}

// live says whether the server may have a transaction open.
func (p *Part) live() bool { return p.begun || p.unsure }

// ended takes note that the server has no transaction open any more.
func (p *Part) ended() {
	p.begun, p.unsure, p.wrote, p.redo, p.under, p.inexact = false, false, false, nil, nil, ""
}

// Txn is a session's transaction and the connections that it holds.
type Txn struct {
	Autocommit bool
	Mode       txn.Mode // what becomes of a transaction that writes on several shards
	explicit   bool     // BEGIN was given
	implicit   int      // depth of transactions that the gateway opened around one statement
	begin      string   // the statement that begins it on a shard
	next       []string // SET TRANSACTION for the next one
	reserved   bool     // connections are kept after statements: temporary tables, locks
	locked     bool     // LOCK TABLES was given
	parts      []*Part
	savepoints []string
	redoBytes  int
}

// Active says whether a statement has to run on the transaction's own connections.
func (t *Txn) Active() bool {
	return t.explicit || t.implicit > 0 || !t.Autocommit || t.reserved || len(t.parts) > 0 || len(t.next) > 0
}

// Open says whether the client is inside a transaction.
func (t *Txn) Open() bool {
	if t.explicit {
		return true
	}
	for _, p := range t.parts {
		if p.begun {
			return true
		}
	}
	return false
}

// Locked says whether LOCK TABLES was given and not taken back.
func (t *Txn) Locked() bool { return t.locked }

// Chain begins the next transaction, as COMMIT AND CHAIN does after the commit.
func (t *Txn) Chain() { t.explicit = true }

// maxNext bounds the texts of SET TRANSACTION that wait for the next transaction: isolation levels and access modes are six.
const maxNext = 12

// SetNext keeps a SET TRANSACTION statement for the next transaction.
func (t *Txn) SetNext(text string) error {
	if slices.Contains(t.next, text) {
		return nil
	}
	if len(t.next) >= maxNext {
		return errcode.New(errcode.StatementLimit, "SET TRANSACTION before one transaction", maxNext)
	}
	t.next = append(slices.Clone(t.next), text)
	return nil
}

func (t *Txn) find(sh *target.Shard) *Part {
	for _, p := range t.parts {
		if p.shard.Name == sh.Name && p.shard.Keyspace.Name == sh.Keyspace.Name {
			return p
		}
	}
	return nil
}

// Held returns the connection that the transaction has to a shard, nil if it has none.
func (b *Backend) Held(sh *target.Shard) *pool.Conn {
	if p := b.Tx.find(sh); p != nil {
		return p.Conn
	}
	return nil
}

// Adopt makes a connection part of the transaction, on which a statement, a procedure's call, has begun one.
func (b *Backend) Adopt(sh *target.Shard, c *pool.Conn) {
	b.Tx.parts = append(b.Tx.parts, handedOver(sh, c))
}

// Addr is the address of the part's server.
func (p *Part) Addr() string { return p.server.Addr() }

// Reset gives everything back, and is as after a login then.
func (b *Backend) Reset() {
	b.Rollback()
	b.Unreserve()
	b.Tx = Txn{Autocommit: true, Mode: txn.Atomic}
}

// Close gives everything back, for good.
func (b *Backend) Close() {
	b.Rollback()
	b.Unreserve()
	b.pause.Load().cancel(nil)
}

// Reserve makes the session keep its connections from now on, for temporary tables or locks.
func (b *Backend) Reserve() { b.Tx.reserved = true }

// Change brings the connections that the session holds into its settings by a statement that has that effect.
func (b *Backend) Change(sql string) error {
	for _, p := range slices.Clone(b.Tx.parts) {
		if _, err := p.Conn.Exec(b.ctx, sql); err != nil {
			return err
		}
		if p.live() {
			p.remember(redo.Statement{SQL: []byte(sql)})
		}
		p.Conn.Adopt(b.Settings)
	}
	return nil
}

// LockTables runs LOCK TABLES on the shards.
func (b *Backend) LockTables(shards []*target.Shard, sql string) error {
	b.Tx.reserved, b.Tx.locked = true, true
	for _, sh := range shards {
		p, err := b.Part(b.Waiting(), sh, false)
		if err == nil {
			b.track(p.Conn, true)
			_, err = p.Conn.Exec(b.ctx, sql)
			b.track(p.Conn, false)
		}
		if err != nil {
			b.Unreserve()
			return err
		}
	}
	return nil
}

// UnlockTables runs UNLOCK TABLES wherever the session has a connection, and gives those up.
func (b *Backend) UnlockTables() error {
	for _, p := range b.Tx.parts {
		if _, err := p.Conn.Exec(b.ctx, "UNLOCK TABLES"); err != nil {
			return err
		}
	}
	b.Unreserve()
	return nil
}

const beginText = "START TRANSACTION"

// Part returns the transaction's part on a shard, with a connection; it makes one when there is none, for which it waits no
// longer than ctx.
func (b *Backend) Part(ctx context.Context, sh *target.Shard, write bool) (*Part, error) {
	t := &b.Tx
	b.partMu.Lock()
	p := t.find(sh)
	b.partMu.Unlock()
	if p != nil {
		return p, nil
	}
	ep, err := b.Route.Endpoint(ctx, sh, write)
	if err != nil {
		return nil, b.orInterrupted(err)
	}
	c, err := ep.Pool.Get(ctx, b.Class, b.Settings)
	if err != nil {
		return nil, b.Unserved(ep, err)
	}
	p = &Part{shard: sh, server: ep.Pool, Conn: c}
	b.partMu.Lock()
	defer b.partMu.Unlock()
	if old := t.find(sh); old != nil {
		c.Release()
		return old, nil
	}
	t.parts = append(t.parts, p)
	return p, nil
}

// starts says whether a transaction begins with a statement of its own, and not with whatever comes first.
func (t *Txn) starts() bool { return t.explicit || t.implicit > 0 }

// beginStatements are what begins the transaction on a part, with the savepoints that the client has set so far; none
// if it has begun there or needs no statement.
func (b *Backend) beginStatements(p *Part) []string {
	if p.live() {
		return nil
	}
	if !b.Tx.starts() {
		if b.Tx.Autocommit {
			if len(b.Tx.next) > 0 {
				p.Conn.Dirty = true // a statement that fails leaves the characteristics for the one after
			}
			return b.Tx.next
		}
		// Without autocommit the server begins by itself, but knows neither savepoints nor what was set for the next transaction.
		if len(b.Tx.next) == 0 && len(b.Tx.savepoints) == 0 {
			return nil
		}
	}
	begin := b.Tx.begin
	if begin == "" {
		begin = beginText
	}
	if len(b.Tx.next) == 0 && len(b.Tx.savepoints) == 0 && begin == beginText {
		return plainBegin
	}
	sqls := append(slices.Clone(b.Tx.next), begin)
	for _, sp := range b.Tx.savepoints {
		sqls = append(sqls, "SAVEPOINT "+sp)
	}
	return sqls
}

// plainBegin is never changed.
var plainBegin = []string{beginText}

// BeginOn starts the transaction on a part.
func (b *Backend) BeginOn(ctx context.Context, p *Part) error {
	for _, q := range b.beginStatements(p) {
		if _, err := p.Conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	b.hasBegun(p)
	return nil
}

// hasBegun takes note that the statements of beginStatements were accepted. A replay needs the savepoints too, to which
// the client may go back later.
func (b *Backend) hasBegun(p *Part) {
	if p.live() || !b.Tx.starts() && (b.Tx.Autocommit || len(b.Tx.next) == 0 && len(b.Tx.savepoints) == 0) {
		return
	}
	p.begun = true
	for _, sp := range b.Tx.savepoints {
		p.remember(redo.Statement{SQL: []byte("SAVEPOINT " + sp)})
	}
}

// PipelineBegin writes what begins the transaction in front of the statement that comes next, so that both cost one round
// trip. It returns how many answers to read with Pipelined before the statement's own.
func (b *Backend) PipelineBegin(p *Part) (int, error) {
	sqls := b.beginStatements(p)
	w := p.Conn.Wire()
	for _, q := range sqls {
		w.SetSeq(0)
		b.buf = append(append(b.buf[:0], wire.ComQuery), q...)
		if err := w.WritePacket(b.buf); err != nil {
			return 0, &Lost{Err: err}
		}
	}
	return len(sqls), nil
}

// Pipelined reads the answers to PipelineBegin. After an error the connection is of no use: an answer is still to come.
func (b *Backend) Pipelined(p *Part, n int) error {
	w := p.Conn.Wire()
	for range n {
		w.SetSeq(1)
		packet, err := w.ReadPacket()
		if err != nil {
			return &Lost{Sent: true, Err: err}
		}
		if wire.IsErr(packet) {
			my, err := wire.ParseErr(packet)
			if err != nil {
				return &Lost{Sent: true, Err: err}
			}
			return &Lost{Sent: true, Err: my}
		}
	}
	b.hasBegun(p)
	return nil
}

// MayWrite refuses a second shard's write under transaction_mode=single.
func (b *Backend) MayWrite(sh *target.Shard, write bool) error {
	if !write || b.Tx.Mode != txn.Single {
		return nil
	}
	b.partMu.Lock()
	defer b.partMu.Unlock()
	for _, p := range b.Tx.parts {
		if p.wrote && p.shard.Name != sh.Name {
			return errcode.New(errcode.MultiShardInSingle, p.shard.Name, sh.Name)
		}
	}
	return nil
}

// After follows what the server says of its transaction after a statement.
func (b *Backend) After(p *Part, status uint16, isErr bool, errno uint16) {
	switch {
	case isErr && endsTransaction(errno):
		p.ended()
		b.Rollback()
	case isErr:
		b.failedIn(p)
		b.Settle()
	case status&wire.StatusInTrans != 0:
		p.begun = true
	case p.live() || !b.Tx.starts():
		// The statement committed implicitly, or opened no transaction at all.
		b.endPart(p)
	}
}

// failedIn takes note of a statement that failed without ending the transaction.
func (b *Backend) failedIn(p *Part) {
	if !b.Tx.starts() && !b.Tx.Autocommit {
		p.unsure = true
	}
}

// Settle gives connections back that a statement in autocommit mode took for SET TRANSACTION's sake, and that have no
// transaction open.
func (b *Backend) Settle() {
	t := &b.Tx
	if t.starts() || !t.Autocommit || t.reserved || slices.ContainsFunc(t.parts, (*Part).live) {
		return
	}
	for i, p := range t.parts {
		b.giveUp(p.Conn)
		t.parts[i] = nil
	}
	t.parts = t.parts[:0]
}

// endPart gives up a part on which no transaction is open any more. With the last one the transaction ends.
func (b *Backend) endPart(p *Part) {
	p.ended()
	if slices.ContainsFunc(b.Tx.parts, (*Part).live) {
		return
	}
	b.finishTxn()
}

// endsTransaction tells the errors after which the server has rolled the whole transaction back.
func endsTransaction(errno uint16) bool {
	return errno == 1213 || errno == 1180
}

// Drop forgets a part whose connection is gone.
func (b *Backend) Drop(p *Part) {
	if i := slices.Index(b.Tx.parts, p); i >= 0 {
		b.Tx.parts = slices.Delete(b.Tx.parts, i, i+1)
		p.Conn.Discard()
	}
}

// finishTxn ends the transaction's bookkeeping and gives its connections back, unless the session keeps them.
func (b *Backend) finishTxn() {
	t := &b.Tx
	t.explicit, t.begin, t.next, t.savepoints, t.redoBytes = false, "", nil, nil, 0
	if t.reserved {
		for _, p := range t.parts {
			p.ended()
		}
		return
	}
	for i, p := range t.parts {
		b.giveUp(p.Conn)
		t.parts[i] = nil
	}
	t.parts = t.parts[:0]
}

// Rollback rolls back on every shard and gives the connections back, reserved ones too when the session ends.
func (b *Backend) Rollback() {
	t := &b.Tx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 10*time.Second)
	defer cancel()
	kept := t.parts[:0]
	for _, p := range t.parts {
		if p.live() {
			if _, err := p.Conn.Exec(ctx, "ROLLBACK"); err != nil {
				p.Conn.Discard()
				continue
			}
			p.ended()
		}
		kept = append(kept, p)
	}
	clear(t.parts[len(kept):])
	t.parts = kept
	b.finishTxn()
}

// Unreserve gives up the connections that the session kept for its locks and temporary tables. They are closed, which is
// what ends those at once.
func (b *Backend) Unreserve() {
	if !b.Tx.reserved {
		return
	}
	b.Tx.reserved, b.Tx.locked = false, false
	for _, p := range b.Tx.parts {
		p.Conn.Discard()
	}
	clear(b.Tx.parts)
	b.Tx.parts = b.Tx.parts[:0]
	b.finishTxn()
}

// beginOf is the statement that begins a transaction on a server as the client wants it, without the comments in which the
// client may have wrapped parts of it; "" for a plain one.
func beginOf(st *parse.TxnStmt) string {
	var traits []string
	if st.Snapshot {
		traits = append(traits, "WITH CONSISTENT SNAPSHOT")
	}
	if st.ReadOnly {
		traits = append(traits, "READ ONLY")
	}
	if st.ReadWrite {
		traits = append(traits, "READ WRITE")
	}
	if len(traits) == 0 {
		return ""
	}
	return beginText + " " + strings.Join(traits, ", ")
}

// Start runs BEGIN. What SET TRANSACTION said before is for this transaction.
func (b *Backend) Start(st *parse.TxnStmt) error {
	next := b.Tx.next
	if err := b.Commit(); err != nil {
		return err
	}
	b.Tx.explicit, b.Tx.next = true, next
	b.Tx.begin = beginOf(st)
	ks := b.cfg.Targets.Current().Keyspaces[b.Route.Scope.Keyspace]
	if !st.Snapshot || ks == nil {
		return nil
	}
	// The snapshot is that of this moment, so that every shard has to begin now.
	for _, sh := range ks.Shards {
		if b.Route.Scope.Shard != "" && b.Route.Scope.Shard != sh.Name {
			continue
		}
		p, err := b.Part(b.Waiting(), sh, false)
		if err == nil {
			err = b.BeginOn(b.ctx, p)
		}
		if err != nil {
			b.Rollback()
			return err
		}
	}
	return nil
}

// Commit commits the open transaction, if there is one.
func (b *Backend) Commit() error {
	t := &b.Tx
	var writers []*Part
	for _, p := range t.parts {
		if p.live() && p.wrote {
			writers = append(writers, p)
		}
	}
	if len(writers) > 1 && t.Mode == txn.Atomic {
		return b.commitAtomic(writers)
	}
	// Readers first: they can't fail the transaction.
	for _, p := range t.parts {
		if p.live() && !p.wrote {
			if _, err := p.Conn.Exec(b.ctx, "COMMIT"); err != nil {
				p.Conn.Dirty = true
			}
			p.ended()
		}
	}
	for i, p := range writers {
		if _, err := p.Conn.Exec(b.ctx, "COMMIT"); err != nil {
			return b.commitFailed(p, i, len(writers), err)
		}
		p.ended()
	}
	b.finishTxn()
	return nil
}

// commitFailed says what is known after the COMMIT of part i of n failed.
func (b *Backend) commitFailed(p *Part, i, n int, err error) error {
	var my *wire.MySQLError
	refused := errors.As(err, &my)
	if refused {
		p.ended()
	} else {
		b.Drop(p)
	}
	b.Rollback()
	switch {
	case i > 0:
		return errcode.Wrap(errcode.PartialWrite, err, i, n)
	case refused:
		return err
	default:
		return errcode.New(errcode.OutcomeUnknown, err.Error())
	}
}

// commitAtomic commits on several shards, all or nothing.
func (b *Backend) commitAtomic(writers []*Part) error {
	if b.Tx.redoBytes > b.cfg.MaxRedoBytes {
		n := b.Tx.redoBytes
		b.Rollback()
		return errcode.New(errcode.RedoTooLarge, n, b.cfg.MaxRedoBytes)
	}
	for _, p := range b.Tx.parts {
		if p.live() && !p.wrote {
			if _, err := p.Conn.Exec(b.ctx, "COMMIT"); err != nil {
				p.Conn.Dirty = true
			}
			p.ended()
		}
	}
	if err := coordinatorFirst(writers); err != nil {
		b.Rollback()
		return err
	}
	list := make([]txn.Participant, len(writers))
	for i, p := range writers {
		list[i] = txn.Participant{
			Keyspace: p.shard.Keyspace.Name, Shard: p.shard.Name, Term: p.shard.Term,
			Conn: p.Conn, Database: p.shard.Keyspace.DBName, Redo: p.redo,
		}
		if p.under != nil {
			list[i].Settings = p.under.SQL
		}
	}
	broken, err := b.cfg.Committer.Commit(b.ctx, list)
	for _, c := range broken {
		for _, p := range slices.Clone(b.Tx.parts) {
			if p.Conn == c {
				b.Drop(p)
			}
		}
	}
	if err == nil {
		for _, p := range b.Tx.parts {
			p.ended()
		}
		b.finishTxn()
		return nil
	}
	b.Rollback()
	if errors.Is(err, txn.ErrUnknown) {
		return errcode.New(errcode.OutcomeUnknown, err.Error())
	}
	var my *wire.MySQLError
	if _, coded := errcode.Of(err); coded || errors.As(err, &my) {
		return err
	}
	return errcode.Wrap(errcode.TxnRolledBack, err, "lost the connection to a server before the commit was decided")
}

// maxSavepoints bounds the savepoints of one transaction: each shard that joins it later gets all of them.
const maxSavepoints = 1000

// Savepoint runs SAVEPOINT on every shard of the transaction.
func (b *Backend) Savepoint(name string) error {
	if !b.Tx.Open() && b.Tx.Autocommit {
		return nil // as on a server: a savepoint outside a transaction is accepted and does nothing
	}
	if len(b.Tx.savepoints) >= maxSavepoints {
		return errcode.New(errcode.StatementLimit, "savepoints", maxSavepoints)
	}
	q := rewrite.Ident(name)
	for _, p := range b.Tx.parts {
		if p.live() {
			if _, err := p.Conn.Exec(b.ctx, "SAVEPOINT "+q); err != nil {
				return err
			}
			p.remember(redo.Statement{SQL: []byte("SAVEPOINT " + q)})
		}
	}
	b.Tx.savepoints = append(slices.DeleteFunc(b.Tx.savepoints, func(o string) bool { return strings.EqualFold(o, q) }), q)
	return nil
}

// RollbackTo runs ROLLBACK TO on every shard of the transaction.
func (b *Backend) RollbackTo(name string) error {
	i, err := b.onSavepoint("ROLLBACK TO ", name)
	if err == nil {
		b.Tx.savepoints = b.Tx.savepoints[:i+1]
	}
	return err
}

// ReleaseSavepoint runs RELEASE SAVEPOINT on every shard of the transaction.
func (b *Backend) ReleaseSavepoint(name string) error {
	i, err := b.onSavepoint("RELEASE SAVEPOINT ", name)
	if err == nil {
		b.Tx.savepoints = b.Tx.savepoints[:i]
	}
	return err
}

// onSavepoint runs a statement about a savepoint on every shard of the transaction, and returns the savepoint's place.
func (b *Backend) onSavepoint(verb, name string) (int, error) {
	q := rewrite.Ident(name)
	i := slices.IndexFunc(b.Tx.savepoints, func(o string) bool { return strings.EqualFold(o, q) })
	if i < 0 {
		return 0, errcode.New(errcode.NoSuchSavepoint, name)
	}
	for _, p := range b.Tx.parts {
		if !p.live() {
			continue
		}
		if _, err := p.Conn.Exec(b.ctx, verb+q); err != nil {
			return 0, err
		}
		p.remember(redo.Statement{SQL: []byte(verb + q)})
	}
	return i, nil
}
