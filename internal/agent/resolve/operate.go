package resolve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pelorusdb/pelorus/internal/redo"
)

// What a person who looks into unfinished transactions is told.
var (
	// ErrNotPrimary says that the server does not reign, so it has nothing to finish.
	ErrNotPrimary = errors.New("this server is not its shard's open primary: ask the primary's agent")
	// ErrNoTransaction says that the server has no record of a transaction.
	ErrNoTransaction = errors.New("there is no record of this transaction here: it is finished, or was never prepared")
	// ErrInUse says that somebody else has a record locked.
	ErrInUse = errors.New("a gateway is still committing this transaction: try again, after 30 seconds it is given up")
)

// Transaction is this server's share of a transaction across shards.
type Transaction struct {
	TxnID, Participant, Coordinator string
	Age                             time.Duration
	// Working says that recovery is at it; Attempts counts its failures in a row, Err is the newest; Lost says that the
	// transaction is committed elsewhere and its statements fail here.
	Working  bool
	Attempts int
	Err      error
	Lost     bool
	// Database and Statements are what a replay runs; only Find fills them in.
	Database   string
	Statements []redo.Statement
}

// List returns the oldest transactions that are not finished, at most 256.
func (r *Resolver) List(ctx context.Context) ([]Transaction, error) {
	rows, err := r.alone(ctx, redo.SelectHeads(maxHeads))
	if err != nil {
		return nil, err
	}
	heads, err := parseHeads(rows)
	if err != nil {
		return nil, err
	}
	out := make([]Transaction, len(heads))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, h := range heads {
		out[i] = Transaction{TxnID: h.txnID, Participant: h.participant, Coordinator: h.coordinator, Age: h.age, Working: r.jobs[h.txnID] != nil}
		if t := r.retries[h.txnID]; t != nil {
			out[i].Attempts, out[i].Err, out[i].Lost = t.attempts, t.err, t.lost
		}
	}
	return out, nil
}

// Find returns one transaction with its statements. It fails with ErrNoTransaction.
func (r *Resolver) Find(ctx context.Context, txnID string) (Transaction, error) {
	all, err := r.List(ctx)
	if err != nil {
		return Transaction{}, err
	}
	rows, err := r.alone(ctx, redo.SelectRecord(txnID))
	if err != nil {
		return Transaction{}, err
	}
	if len(rows) == 0 {
		return Transaction{}, ErrNoTransaction
	}
	t := Transaction{TxnID: txnID}
	for _, one := range all {
		if one.TxnID == txnID {
			t = one
		}
	}
	t.Database = rows[0][0]
	t.Statements, err = redo.Unpack([]byte(rows[0][2]))
	return t, err
}

// Retry lets recovery try a transaction again with its next look.
func (r *Resolver) Retry(ctx context.Context, txnID string) error {
	if _, err := r.Find(ctx, txnID); err != nil && !errors.Is(err, redo.ErrPacked) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.retries, txnID)
	return nil
}

// discardRest keeps recovery away from a transaction that is being discarded.
const discardRest = 5 * time.Second

// Discard gives this server's share of a transaction up, though it may be committed elsewhere, and logs its statements. It
// fails with ErrNoTransaction, or with ErrInUse.
func (r *Resolver) Discard(ctx context.Context, txnID string) error {
	t, err := r.Find(ctx, txnID)
	if err != nil && !errors.Is(err, redo.ErrPacked) {
		return err
	}
	r.mu.Lock()
	j := r.jobs[txnID]
	r.retries[txnID] = &retry{next: time.Now().Add(discardRest), err: errors.New("it is being discarded")}
	r.mu.Unlock()
	if j != nil {
		j.cancel()
		select {
		case <-j.done:
		case <-ctx.Done():
			return fmt.Errorf("end the work on %s: %w", txnID, ctx.Err())
		}
	}
	c, err := dial(ctx, r.cfg.Network, r.cfg.Addr, r.cfg.App, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	ok, err := c.Exec(ctx, redo.DeleteRecord(txnID))
	switch {
	case errno(err) == errLockWait:
		return ErrInUse
	case err != nil:
		return fmt.Errorf("discard %s: %w", txnID, err)
	case ok.Affected == 0:
		return ErrNoTransaction
	}
	log := r.cfg.Log.With("txn", txnID)
	log.Warn("txn_discarded", "shard", t.Participant, "coordinator", t.Coordinator, "age", t.Age.Round(time.Millisecond), "statements", len(t.Statements))
	for i := range t.Statements {
		log.Warn("txn_discarded_statement", "number", i+1, "database", t.Database, "sql", string(t.Statements[i].SQL))
	}
	return nil
}

// alone runs one query on a connection of its own.
func (r *Resolver) alone(ctx context.Context, sql string) ([][]string, error) {
	if !r.isOpen() {
		return nil, ErrNotPrimary
	}
	ctx, cancel := context.WithTimeout(ctx, localTime)
	defer cancel()
	c, err := dial(ctx, r.cfg.Network, r.cfg.Addr, r.cfg.App, time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	rows, err := query(ctx, c, sql)
	if err != nil {
		return nil, fmt.Errorf("look for records of transactions: %w", err)
	}
	return rows, nil
}
