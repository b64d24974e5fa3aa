// Package redo is the form in which a transaction across shards is remembered on the servers, so that it is committed
// everywhere or nowhere although any process and any server may die at any point.
//
// Each participant but the first has, in `_pelorus.redo` of its own shard, the statements that it ran. The first one, the
// coordinator, has the decision in `_pelorus.decision` of its shard: the row is inserted inside the participant's own
// transaction, so the commit of that transaction is the decision. A participant deletes its redo rows inside its
// transaction: redo rows that are there mean "not committed here". Whoever wants to end a transaction that nobody
// finishes inserts an "abort" decision; the row's primary key lets only one decision exist.
//
// The package holds the statements and their order. It performs no I/O: the gateway writes, the agents replay.
package redo

import (
	"bytes"
	"fmt"
	"strings"
)

// Statement is one write as a replay has to repeat it.
type Statement struct {
	SQL []byte
	// InsertID is the first auto-increment value that it made, 0 for none; the replay sets insert_id to it.
	InsertID uint64
	// UnixMicro is the time of the gateway when it ran, in microseconds, 0 for none; the replay sets timestamp to it.
	UnixMicro int64
}

// Record is one participant's share of a transaction.
type Record struct {
	TxnID string // at most 64 bytes
	// Participant and Coordinator are KEYSPACE/SHARD.
	Participant, Coordinator string
	Term                     uint64
	// ConnID is the server's id of the connection that holds the participant's transaction; CoordConnID that of the
	// coordinator's, on the coordinator's server.
	ConnID, CoordConnID uint64
	// Database is the default database of the statements.
	Database string
	// Settings is the SET statement that the statements ran under, "" for none.
	Settings   string
	Statements []Statement
}

// Verdict is a decision.
type Verdict string

// The two decisions.
const (
	Commit Verdict = "commit"
	Abort  Verdict = "abort"
)

// InsertRecord is the statement that saves a record: one row per statement, in one INSERT, so that it is all there or not.
func InsertRecord(r *Record) []byte {
	var b bytes.Buffer
	b.WriteString("INSERT INTO _pelorus.redo (txn_id, seq, term, participant, coordinator, conn_id, coord_conn_id, db, settings, insert_id, ts_micro, statement) VALUES ")
	for i, s := range r.Statements {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%s, %d, %d, %s, %s, %d, %d, %s, %s, %d, %d, %s)", hex(r.TxnID), i, r.Term, hex(r.Participant),
			hex(r.Coordinator), r.ConnID, r.CoordConnID, hex(r.Database), hex(r.Settings), s.InsertID, s.UnixMicro, hex(string(s.SQL)))
	}
	return b.Bytes()
}

// SelectRecords lists all redo rows of a server in the order in which they are replayed. The columns are those of ReadRow.
const SelectRecords = "SELECT txn_id, participant, coordinator, term, conn_id, coord_conn_id, db, settings, insert_id, ts_micro, statement, " +
	"TIMESTAMPDIFF(MICROSECOND, created_at, NOW(6)) FROM _pelorus.redo ORDER BY txn_id, seq"

// DeleteRecord removes a transaction's redo rows: the last thing that a participant does before it commits. The number
// of affected rows tells a replay whether they were still there.
func DeleteRecord(txnID string) string {
	return "DELETE FROM _pelorus.redo WHERE txn_id = " + hex(txnID)
}

// LockRecord takes the lock on a transaction's redo rows, so that of two replays only one goes on; no rows means that
// it is finished.
func LockRecord(txnID string) string {
	return "SELECT seq FROM _pelorus.redo WHERE txn_id = " + hex(txnID) + " FOR UPDATE"
}

// Decide inserts a decision. A duplicate key (1062) means that it was decided before.
func Decide(txnID string, v Verdict, participants []string) string {
	return fmt.Sprintf("INSERT INTO _pelorus.decision (txn_id, state, participants) VALUES (%s, '%s', %s)",
		hex(txnID), v, hex(strings.Join(participants, ",")))
}

// SelectDecision reads a decision: no row, or one with the state.
func SelectDecision(txnID string) string {
	return "SELECT state FROM _pelorus.decision WHERE txn_id = " + hex(txnID)
}

// SelectOldDecisions lists decisions older than the given seconds: txn_id, state, participants.
func SelectOldDecisions(seconds, limit int) string {
	return fmt.Sprintf("SELECT txn_id, state, participants FROM _pelorus.decision WHERE created_at < NOW(6) - INTERVAL %d SECOND ORDER BY created_at LIMIT %d", seconds, limit)
}

// Forget removes a decision, once no participant has redo rows of it.
func Forget(txnID string) string { return "DELETE FROM _pelorus.decision WHERE txn_id = " + hex(txnID) }

// CountRecord tells whether a participant still has redo rows of a transaction.
func CountRecord(txnID string) string {
	return "SELECT COUNT(*) FROM _pelorus.redo WHERE txn_id = " + hex(txnID)
}

// Replay lists the statements that repeat a participant's work, between BEGIN and DeleteRecord.
func Replay(r *Record) []string {
	var out []string
	for _, s := range r.Statements {
		if s.UnixMicro > 0 {
			out = append(out, fmt.Sprintf("SET timestamp = %d.%06d", s.UnixMicro/1e6, s.UnixMicro%1e6))
		}
		if s.InsertID > 0 {
			out = append(out, fmt.Sprintf("SET insert_id = %d", s.InsertID))
		}
		out = append(out, string(s.SQL))
	}
	return out
}

// hex writes any bytes as a literal that no sql_mode and no character set reads differently.
func hex(s string) string {
	if s == "" {
		return "''"
	}
	return fmt.Sprintf("x'%x'", s)
}
