// Package redo is the form in which a transaction across shards is remembered on the servers, so that it is committed
// everywhere or nowhere although any process and any server may die at any point.
//
// Each participant but the first has a record in `_pelorus.redo` of its own shard: the statements that it ran. The first
// one, the coordinator, has the decision in `_pelorus.decision` of its shard: the row is inserted inside the participant's
// own transaction, so the commit of that transaction is the decision. A participant deletes its record inside its
// transaction as well, before the decision: a record that is there means "not committed here", and one that is locked
// means that the transaction, or a replay of it, still lives. Whoever wants to end a transaction that nobody finishes
// inserts an "abort" decision; the row's primary key lets only one decision exist.
//
// A record is one row, and every access names its whole primary key: locks are on that row alone and never on the gap
// where other transactions put theirs.
//
// The package holds the statements, their order and the encoding of a record. It performs no I/O: the gateway writes,
// the agents replay.
package redo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Statement is one write as a replay has to repeat it.
type Statement struct {
	SQL []byte
	// InsertID is the first auto-increment value that it made, 0 for none; the replay sets insert_id to it.
	InsertID uint64
	// UnixMicro is the time of the gateway when it began, in microseconds, 0 for none; the replay sets timestamp to it.
	UnixMicro int64
	// Affected is how many rows it changed, or found if Found: what it counts under CLIENT_FOUND_ROWS. -1 is not known.
	Affected int64
	Found    bool
}

// Before lists what a replay sets before the statement.
func (s *Statement) Before() []string {
	var out []string
	if s.UnixMicro > 0 {
		out = append(out, fmt.Sprintf("SET timestamp = %d.%06d", s.UnixMicro/1e6, s.UnixMicro%1e6))
	}
	if s.InsertID > 0 {
		out = append(out, fmt.Sprintf("SET insert_id = %d", s.InsertID))
	}
	return out
}

// Same says whether a replay changed as many rows as the first run, by the server's answer on a connection without
// CLIENT_FOUND_ROWS. If not, others have changed rows of the statement between the two.
func (s *Statement) Same(affected uint64, info string) bool {
	var matched uint64
	if s.Found {
		if _, err := fmt.Sscanf(info, "Rows matched: %d", &matched); err == nil {
			affected = matched
		}
	}
	return s.Affected < 0 || uint64(s.Affected) == affected
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

const (
	redoTable     = "_pelorus.redo"
	decisionTable = "_pelorus.decision"
)

// InsertRecord is the statement that saves a record.
func InsertRecord(r *Record) []byte {
	packed := Pack(r.Statements)
	b := bytes.NewBuffer(make([]byte, 0, 2*len(packed)+512))
	fmt.Fprintf(b, "INSERT INTO "+redoTable+" (txn_id, seq, term, participant, coordinator, conn_id, coord_conn_id, db, settings, statement)"+
		" VALUES (%s, 0, %d, %s, %s, %d, %d, %s, %s, %s)", hex(r.TxnID), r.Term, hex(r.Participant), hex(r.Coordinator), r.ConnID, r.CoordConnID,
		hex(r.Database), hex(r.Settings), hex(packed))
	return b.Bytes()
}

// SelectHeads lists the oldest records, without their statements: txn_id, participant, coordinator, term, conn_id,
// coord_conn_id, and the age in microseconds.
func SelectHeads(limit int) string {
	return fmt.Sprintf("SELECT txn_id, participant, coordinator, term, conn_id, coord_conn_id, TIMESTAMPDIFF(MICROSECOND, created_at, NOW(6))"+
		" FROM "+redoTable+" ORDER BY created_at LIMIT %d", limit)
}

// LockRecord locks a record and reads it: db, settings, statement (see Unpack). It does not wait: while another session
// has the lock it fails with NoWaitMySQL or NoWaitMariaDB. No row means that the transaction is finished here.
func LockRecord(txnID string) string {
	return SelectRecord(txnID) + " FOR UPDATE NOWAIT"
}

// SelectRecord reads what LockRecord reads, locked or not.
func SelectRecord(txnID string) string {
	return "SELECT db, settings, statement FROM " + redoTable + whose(txnID) + " AND seq = 0"
}

// What the servers answer to LockRecord when another session has the lock.
const (
	NoWaitMySQL   = 3572
	NoWaitMariaDB = 1205
)

// DeleteRecord removes a record. Inside the participant's transaction exactly one row must be affected: none means that
// the transaction was ended by others.
func DeleteRecord(txnID string) string {
	return "DELETE FROM " + redoTable + whose(txnID) + " AND seq = 0"
}

// CountRecord tells whether a participant still has the record of a transaction, locked or not.
func CountRecord(txnID string) string {
	return "SELECT COUNT(*) FROM " + redoTable + whose(txnID)
}

// Decide inserts a decision. A duplicate key (1062) means that it was decided before.
func Decide(txnID string, v Verdict, participants []string) string {
	return fmt.Sprintf("INSERT INTO "+decisionTable+" (txn_id, state, participants) VALUES (%s, '%s', %s)",
		hex(txnID), v, hex(strings.Join(participants, ",")))
}

// SelectDecision reads a decision: no row, or one with the state.
func SelectDecision(txnID string) string {
	return "SELECT state FROM " + decisionTable + whose(txnID)
}

// SelectOldDecisions lists the oldest decisions: txn_id, state, participants (comma-separated). Only those older than the
// age for their kind, in seconds.
func SelectOldDecisions(commitAge, abortAge, limit int) string {
	return fmt.Sprintf("SELECT txn_id, state, participants FROM "+decisionTable+" WHERE created_at < NOW(6) - INTERVAL %d SECOND"+
		" AND created_at < NOW(6) - INTERVAL IF(state = 'commit', %d, %d) SECOND ORDER BY created_at LIMIT %d",
		min(commitAge, abortAge), commitAge, abortAge, limit)
}

// Forget removes a decision, once no participant has a record of it.
func Forget(txnID string) string { return "DELETE FROM " + decisionTable + whose(txnID) }

// ForgetAll removes several decisions; there must be at least one.
func ForgetAll(txnIDs []string) string {
	literals := make([]string, len(txnIDs))
	for i, id := range txnIDs {
		literals[i] = hex(id)
	}
	return "DELETE FROM " + decisionTable + " WHERE txn_id IN (" + strings.Join(literals, ", ") + ")"
}

// Barrier is a transaction that changes nothing. Once it is committed, all that the server showed before is acknowledged
// as far as the shard's durability goes: a restarted server shows commits that no replica may have. The id must be
// unused.
func Barrier(id string) []string {
	return []string{"BEGIN", Decide(id, Abort, nil), Forget(id), "COMMIT"}
}

// SelectSession reads what a session needs before it begins a replay: db, settings.
func SelectSession(txnID string) string {
	return "SELECT db, settings FROM " + redoTable + whose(txnID) + " AND seq = 0"
}

// SelectSessions tells which of some connections exist. There must be at least one id.
func SelectSessions(connIDs []uint64) string {
	b := []byte("SELECT ID FROM information_schema.PROCESSLIST WHERE ID IN (")
	for i, id := range connIDs {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, id, 10)
	}
	return string(append(b, ')'))
}

// SelectTransaction returns a row if a connection has a transaction open that is at least so many microseconds old. The
// session's time zone must be SYSTEM, in which InnoDB gives its times. InnoDB shows one list for 100 ms and longer: the
// answer is a hint.
func SelectTransaction(connID uint64, ageMicros int64) string {
	return fmt.Sprintf("SELECT trx_started FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = %d"+
		" AND TIMESTAMPDIFF(MICROSECOND, trx_started, NOW(6)) >= %d", connID, ageMicros)
}

// packVersion is the first byte of packed statements. Behind it each statement has packNumbers varints, InsertID, UnixMicro,
// (Affected + 1) * 2 with Found as the lowest bit, and the length of SQL, and its SQL.
const packVersion, packNumbers = 2, 4

// ErrPacked says that the statements of a record cannot be read.
var ErrPacked = errors.New("the record's statements cannot be read")

// Pack encodes statements for a record.
func Pack(statements []Statement) []byte {
	size := 1
	for _, s := range statements {
		size += packNumbers*binary.MaxVarintLen64 + len(s.SQL)
	}
	b := append(make([]byte, 0, size), packVersion)
	for _, s := range statements {
		b = binary.AppendUvarint(b, s.InsertID)
		b = binary.AppendUvarint(b, uint64(max(0, s.UnixMicro)))
		counted := uint64(max(-1, s.Affected)+1) << 1
		if s.Found {
			counted |= 1
		}
		b = binary.AppendUvarint(b, counted)
		b = binary.AppendUvarint(b, uint64(len(s.SQL)))
		b = append(b, s.SQL...)
	}
	return b
}

// Unpack reads what Pack wrote. The statements share b's memory.
func Unpack(b []byte) ([]Statement, error) {
	if len(b) == 0 || b[0] != packVersion {
		return nil, fmt.Errorf("%w: they are empty or of another release; let an agent of the release that wrote them finish it", ErrPacked)
	}
	b = b[1:]
	var out []Statement
	for len(b) > 0 {
		var v [packNumbers]uint64
		for i := range v {
			x, n := binary.Uvarint(b)
			if n <= 0 {
				return nil, fmt.Errorf("%w: a number is cut short", ErrPacked)
			}
			v[i], b = x, b[n:]
		}
		text := v[packNumbers-1]
		if v[1] > 1<<62 || text > uint64(len(b)) {
			return nil, fmt.Errorf("%w: a statement is cut short", ErrPacked)
		}
		out = append(out, Statement{InsertID: v[0], UnixMicro: int64(v[1]), Affected: int64(v[2]>>1) - 1, Found: v[2]&1 != 0, SQL: b[:text:text]})
		b = b[text:]
	}
	return out, nil
}

func whose(txnID string) string { return " WHERE txn_id = " + hex(txnID) }

// hex writes any bytes as a literal that no sql_mode and no character set reads differently.
func hex[T string | []byte](s T) string {
	if len(s) == 0 {
		return "''"
	}
	return fmt.Sprintf("x'%x'", s)
}
