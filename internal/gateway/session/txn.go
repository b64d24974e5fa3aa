package session

import (
	"errors"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// runInTxn forwards a statement on the transaction's connection to the shard.
func (s *Session) runInTxn(sh *target.Shard, p *plan.Plan, body, raw []byte) error {
	if err := s.back.MayWrite(sh, p.Writes()); err != nil {
		return s.fail(err)
	}
	pt, err := s.back.Part(s.back.Waiting(), sh, p.Writes())
	if err != nil {
		return s.fail(err)
	}
	began := time.Now()
	n, err := s.back.PipelineBegin(pt)
	if err == nil {
		err = s.send(pt.Conn, body, raw)
	}
	if err == nil {
		err = s.back.Pipelined(pt, n)
	}
	if err != nil {
		return s.partLost(pt, err)
	}
	if err = s.forward(pt.Conn, wire.ResponseQuery, false); err != nil {
		var lost *backend.Lost
		if errors.As(err, &lost) {
			return s.partLost(pt, err)
		}
		s.back.Drop(pt)
		return err
	}
	if p.Writes() && !s.scan.IsErr {
		s.back.Wrote(pt, s.scanned(p, body, began))
	}
	s.back.After(pt, s.scan.Status, s.scan.IsErr, s.scan.Errno)
	return nil
}

// scanned is the write that was just forwarded.
func (s *Session) scanned(p *plan.Plan, sql []byte, began time.Time) backend.Written {
	ok := wire.OK{InsertID: s.scan.InsertID, Affected: s.scan.Affected}
	return backend.Written{Plan: p, SQL: sql, Began: began, OK: ok, Rows: s.scan.HadResultSet}
}

// partLost handles a server connection that broke inside a transaction: nothing of it can be kept.
func (s *Session) partLost(p *backend.Part, err error) error {
	var my *wire.MySQLError
	var lost *backend.Lost
	if errors.As(err, &my) && !errors.As(err, &lost) {
		return s.fail(err)
	}
	addr := p.Addr()
	s.back.Drop(p)
	s.back.Rollback()
	return s.fail(errcode.New(errcode.TxnRolledBack, "lost the connection to the server at "+addr+": "+err.Error()))
}

// txnStmt runs BEGIN, COMMIT, ROLLBACK and savepoints.
func (s *Session) txnStmt(st *parse.TxnStmt, more bool) error {
	var err error
	switch st.Kind {
	case "BEGIN":
		err = s.back.Start(st)
	case "COMMIT":
		err = s.back.Commit()
	case "ROLLBACK":
		s.back.Rollback()
	case "SAVEPOINT":
		err = s.back.Savepoint(st.Name.Name)
	case "ROLLBACK TO":
		err = s.back.RollbackTo(st.Name.Name)
	case "RELEASE":
		err = s.back.ReleaseSavepoint(st.Name.Name)
	}
	if err != nil {
		return s.txnFailed(err)
	}
	if st.Chain && (st.Kind == "COMMIT" || st.Kind == "ROLLBACK") {
		s.back.Tx.Chain()
	}
	s.rowCount = 0
	s.warnings = s.warnings[:0]
	if err := s.to.OK(wire.OK{}, more); err != nil {
		return err
	}
	if st.Release && (st.Kind == "COMMIT" || st.Kind == "ROLLBACK") {
		return errQuit
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
