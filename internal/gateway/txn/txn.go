// Package txn commits transactions that span shards, all or nothing, without XA.
//
// Prepare means: for every participant but the first, the statements that it ran are saved as redo rows in
// _pelorus.redo of its own shard, in a transaction of their own, while the application's transaction keeps its locks.
// The decision is a row of _pelorus.decision that the first participant's transaction inserts and commits together with
// its own work: that commit is the moment of truth. Each other participant deletes its redo rows inside its transaction
// and commits. Whoever finds redo rows later asks the first participant's shard: a decision row means replay, and the
// right to insert an "abort" row there means drop.
//
// The package does not choose shards, does not own connections and does not know clients.
package txn

import (
	"context"
	"errors"

	"github.com/pelorusdb/pelorus/internal/gateway/pool"
)

// Mode is the session's transaction_mode.
type Mode uint8

// Modes of a transaction that writes to more than one shard.
const (
	Atomic Mode = iota // all or nothing
	Multi              // shard by shard, best effort
	Single             // refused
)

// String returns the value of transaction_mode.
func (m Mode) String() string { return [...]string{"atomic", "multi", "single"}[m] }

// Statement is one write as it has to be repeated by a replay.
type Statement struct {
	SQL []byte
	// InsertID is the first auto-increment value that it made, 0 for none; a replay sets insert_id to it.
	InsertID uint64
	// UnixMicro is the gateway's time when it ran; a replay sets timestamp to it.
	UnixMicro int64
}

// Participant is one shard's part of a transaction.
type Participant struct {
	Keyspace, Shard string
	Term            uint64
	// Conn is where the application's transaction is open. The caller keeps ownership.
	Conn *pool.Conn
	// Settings is the SET statement that the session's connections have, "" for none; a replay runs it first.
	Settings string
	Redo     []Statement
}

// ErrUnknown is wrapped when nobody can say yet whether the transaction is committed: it will be decided by recovery.
var ErrUnknown = errors.New("outcome is not known yet")

// Committer runs atomic commits. Safe for concurrent use.
type Committer struct{}

// NewCommitter makes a Committer.
func NewCommitter() *Committer { return &Committer{} }

// Commit commits the participants' open transactions, all or none. On an error that does not wrap ErrUnknown nothing is
// committed and the caller rolls every connection back. Afterwards connections named in broken must be discarded.
func (c *Committer) Commit(ctx context.Context, parts []Participant) (broken []*pool.Conn, err error) {
	return nil, errors.New("not built")
}
