package session

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
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// part is what a transaction has on one shard.
type part struct {
	shard  *target.Shard
	server *pool.Pool
	conn   *pool.Conn
	begun  bool // START TRANSACTION was sent, or the server says that one is open
	unsure bool // a statement failed under autocommit=0, and errors don't say whether a transaction is open
	wrote  bool
	redo   []redo.Statement
}

// live says whether the server may have a transaction open.
func (p *part) live() bool { return p.begun || p.unsure }

// ended takes note that the server has no transaction open any more.
func (p *part) ended() { p.begun, p.unsure, p.wrote, p.redo = false, false, false, nil }

// txState is a session's transaction and the connections that it holds.
type txState struct {
	autocommit bool
	explicit   bool     // BEGIN was given
	implicit   int      // depth of transactions that the gateway opened around one statement
	begin      string   // the statement that begins it on a shard
	next       []string // SET TRANSACTION for the next one
	mode       txn.Mode
	reserved   bool // connections are kept after statements: temporary tables, locks
	locked     bool // LOCK TABLES was given
	parts      []*part
	savepoints []string
	redoBytes  int
}

// active says whether a statement has to run on the transaction's own connections.
func (t *txState) active() bool {
	return t.explicit || t.implicit > 0 || !t.autocommit || t.reserved || len(t.parts) > 0 || len(t.next) > 0
}

// open says whether the client is inside a transaction.
func (t *txState) open() bool {
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

func (t *txState) find(sh *target.Shard) *part {
	for _, p := range t.parts {
		if p.shard.Name == sh.Name && p.shard.Keyspace.Name == sh.Keyspace.Name {
			return p
		}
	}
	return nil
}

const beginText = "START TRANSACTION"

// part returns the transaction's part on a shard, with a connection; it makes one when there is none.
func (s *Session) part(ctx context.Context, sh *target.Shard, write bool) (*part, error) {
	t := &s.tx
	s.partMu.Lock()
	p := t.find(sh)
	s.partMu.Unlock()
	if p != nil {
		return p, nil
	}
	ep, err := s.endpoint(sh, write)
	if err != nil {
		return nil, err
	}
	c, err := ep.Pool.Get(ctx, s.class, s.settings)
	if err != nil {
		return nil, s.serverError(ep, err)
	}
	p = &part{shard: sh, server: ep.Pool, conn: c}
	s.partMu.Lock()
	defer s.partMu.Unlock()
	if old := t.find(sh); old != nil {
		c.Release()
		return old, nil
	}
	t.parts = append(t.parts, p)
	return p, nil
}

// starts says whether a transaction begins with a statement of its own, and not with whatever comes first.
func (t *txState) starts() bool { return t.explicit || t.implicit > 0 }

// beginStatements are what begins the transaction on a part, with the savepoints that the client has set so far; none
// if it has begun there or needs no statement.
func (s *Session) beginStatements(p *part) []string {
	if p.live() {
		return nil
	}
	if !s.tx.starts() {
		if s.tx.autocommit {
			if len(s.tx.next) > 0 {
				p.conn.Dirty = true // a statement that fails leaves the characteristics for the one after
			}
			return s.tx.next
		}
		// Without autocommit the server begins by itself, but knows neither savepoints nor what was set for the next transaction.
		if len(s.tx.next) == 0 && len(s.tx.savepoints) == 0 {
			return nil
		}
	}
	begin := s.tx.begin
	if begin == "" {
		begin = beginText
	}
	if len(s.tx.next) == 0 && len(s.tx.savepoints) == 0 && begin == beginText {
		return plainBegin
	}
	sqls := append(slices.Clone(s.tx.next), begin)
	for _, sp := range s.tx.savepoints {
		sqls = append(sqls, "SAVEPOINT "+sp)
	}
	return sqls
}

// plainBegin is never changed.
var plainBegin = []string{beginText}

// beginOn starts the transaction on a part.
func (s *Session) beginOn(ctx context.Context, p *part) error {
	for _, q := range s.beginStatements(p) {
		if _, err := p.conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	s.hasBegun(p)
	return nil
}

// hasBegun takes note that the statements of beginStatements were accepted. A replay needs the savepoints too, to which
// the client may go back later.
func (s *Session) hasBegun(p *part) {
	if p.live() || !s.tx.starts() && (s.tx.autocommit || len(s.tx.next) == 0 && len(s.tx.savepoints) == 0) {
		return
	}
	p.begun = true
	for _, sp := range s.tx.savepoints {
		p.redo = append(p.redo, redo.Statement{SQL: []byte("SAVEPOINT " + sp)})
	}
}

// pipelineBegin writes what begins the transaction in front of the statement that comes next, so that both cost one round
// trip. It returns how many answers to read with pipelined before the statement's own.
func (s *Session) pipelineBegin(p *part) (int, error) {
	sqls := s.beginStatements(p)
	w := p.conn.Wire()
	for _, q := range sqls {
		w.SetSeq(0)
		s.out = append(append(s.out[:0], wire.ComQuery), q...)
		if err := w.WritePacket(s.out); err != nil {
			return 0, &lostError{err: err}
		}
	}
	return len(sqls), nil
}

// pipelined reads the answers to pipelineBegin. After an error the connection is of no use: an answer is still to come.
func (s *Session) pipelined(p *part, n int) error {
	w := p.conn.Wire()
	for range n {
		w.SetSeq(1)
		b, err := w.ReadPacket()
		if err != nil {
			return &lostError{sent: true, err: err}
		}
		if wire.IsErr(b) {
			my, err := wire.ParseErr(b)
			if err != nil {
				return &lostError{sent: true, err: err}
			}
			return &lostError{sent: true, err: my}
		}
	}
	s.hasBegun(p)
	return nil
}

// runInTxn forwards a statement on the transaction's connection to the shard.
func (s *Session) runInTxn(sh *target.Shard, p *plan.Plan, body, raw []byte) error {
	write := writes(p) || p.Locks
	if err := s.mayWrite(sh, writes(p)); err != nil {
		return s.fail(err)
	}
	pt, err := s.part(s.ctx, sh, writes(p))
	if err != nil {
		return s.fail(err)
	}
	n, err := s.pipelineBegin(pt)
	if err == nil {
		err = s.send(pt.conn, body, raw)
	}
	if err == nil {
		err = s.pipelined(pt, n)
	}
	if err != nil {
		return s.partLost(pt, err)
	}
	if err = s.forward(pt.conn, wire.ResponseQuery, false); err != nil {
		var lost *lostError
		if errors.As(err, &lost) {
			return s.partLost(pt, err)
		}
		s.dropPart(pt)
		return err
	}
	if write && !s.scan.IsErr {
		pt.wrote = pt.wrote || writes(p)
		if p.Class == plan.Write {
			s.record(pt, body, s.scan.InsertID)
		}
	}
	s.afterInTxn(pt, s.scan.Status, s.scan.IsErr, s.scan.Errno)
	return nil
}

// mayWrite refuses a second shard's write under transaction_mode=single.
func (s *Session) mayWrite(sh *target.Shard, write bool) error {
	if !write || s.tx.mode != txn.Single {
		return nil
	}
	s.partMu.Lock()
	defer s.partMu.Unlock()
	for _, p := range s.tx.parts {
		if p.wrote && p.shard.Name != sh.Name {
			return errcode.New(errcode.MultiShardInSingle, p.shard.Name, sh.Name)
		}
	}
	return nil
}

// record keeps a write for the redo log of an atomic commit.
func (s *Session) record(p *part, sql []byte, insertID uint64) {
	if s.tx.mode != txn.Atomic {
		return
	}
	s.tx.redoBytes += len(sql)
	if s.tx.redoBytes > s.sh.Limits.MaxRedoBytes {
		return // the commit over several shards refuses then; one shard's needs no redo
	}
	p.redo = append(p.redo, redo.Statement{SQL: slices.Clone(sql), InsertID: insertID, UnixMicro: time.Now().UnixMicro()})
}

// afterInTxn follows what the server says of its transaction after a statement.
func (s *Session) afterInTxn(p *part, status uint16, isErr bool, errno uint16) {
	switch {
	case isErr && endsTransaction(errno):
		p.ended()
		s.rollbackAll()
	case isErr:
		s.failedIn(p)
		s.settle()
	case status&wire.StatusInTrans != 0:
		p.begun = true
	case p.live() || !s.tx.starts():
		// The statement committed implicitly, or opened no transaction at all.
		s.endPart(p)
	}
}

// failedIn takes note of a statement that failed without ending the transaction.
func (s *Session) failedIn(p *part) {
	if !s.tx.starts() && !s.tx.autocommit {
		p.unsure = true
	}
}

// settle gives connections back that a statement in autocommit mode took for SET TRANSACTION's sake, and that have no
// transaction open.
func (s *Session) settle() {
	t := &s.tx
	if t.starts() || !t.autocommit || t.reserved || slices.ContainsFunc(t.parts, (*part).live) {
		return
	}
	for i, p := range t.parts {
		p.conn.Release()
		t.parts[i] = nil
	}
	t.parts = t.parts[:0]
}

// endPart gives up a part on which no transaction is open any more. With the last one the transaction ends.
func (s *Session) endPart(p *part) {
	p.ended()
	if slices.ContainsFunc(s.tx.parts, (*part).live) {
		return
	}
	s.finishTxn()
}

// endsTransaction tells the errors after which the server has rolled the whole transaction back.
func endsTransaction(errno uint16) bool {
	return errno == 1213 || errno == 1180
}

// partLost handles a server connection that broke inside a transaction: nothing of it can be kept.
func (s *Session) partLost(p *part, err error) error {
	var my *wire.MySQLError
	var lost *lostError
	if errors.As(err, &my) && !errors.As(err, &lost) {
		return s.fail(err)
	}
	addr := p.server.Addr()
	s.dropPart(p)
	s.rollbackAll()
	return s.fail(errcode.New(errcode.TxnRolledBack, "lost the connection to the server at "+addr+": "+err.Error()))
}

// dropPart forgets a part whose connection is gone.
func (s *Session) dropPart(p *part) {
	if i := slices.Index(s.tx.parts, p); i >= 0 {
		s.tx.parts = slices.Delete(s.tx.parts, i, i+1)
		p.conn.Discard()
	}
}

// finishTxn ends the transaction's bookkeeping and gives its connections back, unless the session keeps them.
func (s *Session) finishTxn() {
	t := &s.tx
	t.explicit, t.begin, t.next, t.savepoints, t.redoBytes = false, "", nil, nil, 0
	if t.reserved {
		for _, p := range t.parts {
			p.ended()
		}
		return
	}
	for i, p := range t.parts {
		p.conn.Release()
		t.parts[i] = nil
	}
	t.parts = t.parts[:0]
}

// rollbackAll rolls back on every shard and gives the connections back, reserved ones too when the session ends.
func (s *Session) rollbackAll() {
	t := &s.tx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 10*time.Second)
	defer cancel()
	kept := t.parts[:0]
	for _, p := range t.parts {
		if p.live() {
			if _, err := p.conn.Exec(ctx, "ROLLBACK"); err != nil {
				p.conn.Discard()
				continue
			}
			p.ended()
		}
		kept = append(kept, p)
	}
	clear(t.parts[len(kept):])
	t.parts = kept
	s.finishTxn()
}

// unreserve gives up the connections that the session kept for its locks and temporary tables. They are closed, which is
// what ends those at once.
func (s *Session) unreserve() {
	if !s.tx.reserved {
		return
	}
	s.tx.reserved, s.tx.locked = false, false
	for _, p := range s.tx.parts {
		p.conn.Discard()
	}
	clear(s.tx.parts)
	s.tx.parts = s.tx.parts[:0]
	s.finishTxn()
}

// txnStmt runs BEGIN, COMMIT, ROLLBACK and savepoints.
func (s *Session) txnStmt(st *parse.TxnStmt, more bool) error {
	var err error
	switch st.Kind {
	case "BEGIN":
		err = s.begins(st)
	case "COMMIT":
		err = s.commit()
	case "ROLLBACK":
		s.rollbackAll()
	case "SAVEPOINT":
		err = s.savepoint(st.Name.Name)
	case "ROLLBACK TO":
		err = s.onSavepoint("ROLLBACK TO ", st.Name.Name)
	case "RELEASE":
		err = s.onSavepoint("RELEASE SAVEPOINT ", st.Name.Name)
	}
	if err != nil {
		return s.txnFailed(err)
	}
	if st.Chain && (st.Kind == "COMMIT" || st.Kind == "ROLLBACK") {
		s.tx.explicit = true
	}
	s.rowCount = 0
	s.warnings = s.warnings[:0]
	if err := s.okMore(wire.OK{}, more); err != nil {
		return err
	}
	if st.Release && (st.Kind == "COMMIT" || st.Kind == "ROLLBACK") {
		return errQuit
	}
	return nil
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

// begins runs BEGIN. What SET TRANSACTION said before is for this transaction.
func (s *Session) begins(st *parse.TxnStmt) error {
	next := s.tx.next
	if err := s.commit(); err != nil {
		return err
	}
	s.tx.explicit, s.tx.next = true, next
	s.tx.begin = beginOf(st)
	ks := s.sh.Targets.Current().Keyspaces[s.scope.Keyspace]
	if !st.Snapshot || ks == nil {
		return nil
	}
	// The snapshot is that of this moment, so that every shard has to begin now.
	for _, sh := range ks.Shards {
		if s.scope.Shard != "" && s.scope.Shard != sh.Name {
			continue
		}
		p, err := s.part(s.ctx, sh, false)
		if err == nil {
			err = s.beginOn(s.ctx, p)
		}
		if err != nil {
			s.rollbackAll()
			return err
		}
	}
	return nil
}

// txnFailed answers a transaction statement that failed. An unknown outcome also ends the connection.
func (s *Session) txnFailed(err error) error {
	if ferr := s.failMore(err); ferr != nil {
		return ferr
	}
	if e, ok := errcode.Of(err); ok && e.Closes() {
		return err
	}
	return nil
}

// commit commits the open transaction, if there is one.
func (s *Session) commit() error {
	t := &s.tx
	var writers []*part
	for _, p := range t.parts {
		if p.live() && p.wrote {
			writers = append(writers, p)
		}
	}
	if len(writers) > 1 && t.mode == txn.Atomic {
		return s.commitAtomic(writers)
	}
	// Readers first: they can't fail the transaction.
	for _, p := range t.parts {
		if p.live() && !p.wrote {
			if _, err := p.conn.Exec(s.ctx, "COMMIT"); err != nil {
				p.conn.Dirty = true
			}
			p.ended()
		}
	}
	for i, p := range writers {
		if _, err := p.conn.Exec(s.ctx, "COMMIT"); err != nil {
			return s.commitFailed(p, i, len(writers), err)
		}
		p.ended()
	}
	s.finishTxn()
	return nil
}

// commitFailed says what is known after the COMMIT of part i of n failed.
func (s *Session) commitFailed(p *part, i, n int, err error) error {
	var my *wire.MySQLError
	refused := errors.As(err, &my)
	if refused {
		p.ended()
	} else {
		s.dropPart(p)
	}
	s.rollbackAll()
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
func (s *Session) commitAtomic(writers []*part) error {
	if s.tx.redoBytes > s.sh.Limits.MaxRedoBytes {
		n := s.tx.redoBytes
		s.rollbackAll()
		return errcode.New(errcode.RedoTooLarge, n, s.sh.Limits.MaxRedoBytes)
	}
	for _, p := range s.tx.parts {
		if p.live() && !p.wrote {
			if _, err := p.conn.Exec(s.ctx, "COMMIT"); err != nil {
				p.conn.Dirty = true
			}
			p.ended()
		}
	}
	list := make([]txn.Participant, len(writers))
	for i, p := range writers {
		list[i] = txn.Participant{
			Keyspace: p.shard.Keyspace.Name, Shard: p.shard.Name, Term: p.shard.Term,
			Conn: p.conn, Database: p.shard.Keyspace.DBName, Redo: p.redo,
		}
		if st := p.conn.Settings(); st != nil {
			list[i].Settings = st.SQL
		}
	}
	broken, err := s.sh.Committer.Commit(s.ctx, list)
	for _, c := range broken {
		for _, p := range slices.Clone(s.tx.parts) {
			if p.conn == c {
				s.dropPart(p)
			}
		}
	}
	if err == nil {
		for _, p := range s.tx.parts {
			p.ended()
		}
		s.finishTxn()
		return nil
	}
	s.rollbackAll()
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

func (s *Session) savepoint(name string) error {
	if !s.tx.open() && s.tx.autocommit {
		return nil // as on a server: a savepoint outside a transaction is accepted and does nothing
	}
	if len(s.tx.savepoints) >= maxSavepoints {
		return errcode.New(errcode.StatementLimit, "savepoints", maxSavepoints)
	}
	q := rewrite.Ident(name)
	for _, p := range s.tx.parts {
		if p.live() {
			if _, err := p.conn.Exec(s.ctx, "SAVEPOINT "+q); err != nil {
				return err
			}
			p.redo = append(p.redo, redo.Statement{SQL: []byte("SAVEPOINT " + q)})
		}
	}
	s.tx.savepoints = append(slices.DeleteFunc(s.tx.savepoints, func(o string) bool { return strings.EqualFold(o, q) }), q)
	return nil
}

// onSavepoint runs ROLLBACK TO or RELEASE on every shard of the transaction.
func (s *Session) onSavepoint(verb, name string) error {
	q := rewrite.Ident(name)
	i := slices.IndexFunc(s.tx.savepoints, func(o string) bool { return strings.EqualFold(o, q) })
	if i < 0 {
		return errcode.New(errcode.NoSuchSavepoint, name)
	}
	for _, p := range s.tx.parts {
		if !p.live() {
			continue
		}
		if _, err := p.conn.Exec(s.ctx, verb+q); err != nil {
			return err
		}
		p.redo = append(p.redo, redo.Statement{SQL: []byte(verb + q)})
	}
	if verb[0] == 'R' && verb[1] == 'E' {
		s.tx.savepoints = s.tx.savepoints[:i]
	} else {
		s.tx.savepoints = s.tx.savepoints[:i+1]
	}
	return nil
}

// implicitCommit tells the statements that end a transaction on a server.
func implicitCommit(st parse.Statement) bool {
	switch t := st.(type) {
	case *parse.LockTablesStmt:
		return true
	case *parse.DDLStmt:
		return !t.Temporary && t.Verb != "CHECKSUM"
	}
	return false
}

// temporary tells the statements that make or drop temporary tables.
func temporary(st parse.Statement) bool {
	d, ok := st.(*parse.DDLStmt)
	return ok && d.Temporary
}
