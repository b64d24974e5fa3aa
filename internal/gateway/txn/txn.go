// Package txn commits transactions that span shards, all or nothing, without XA (which loses prepared transactions on
// MariaDB): package redo tells how they are remembered.
//
// It does not choose shards, does not own the application's connections, does not know clients, and does not finish
// what a dead gateway left: the agents do.
package txn

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/redo"
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

// Participant is one shard's part of a transaction.
type Participant struct {
	Keyspace, Shard string
	Term            uint64
	// Conn is where the application's transaction is open. The caller keeps ownership.
	Conn *pool.Conn
	// Database is the connection's default database.
	Database string
	// Settings is the SET statement that the session's connections have, "" for none; a replay runs it first.
	Settings string
	Redo     []redo.Statement
}

func (p *Participant) name() string { return p.Keyspace + "/" + p.Shard }

// ErrUnknown is wrapped when nobody can say yet whether the transaction is committed: recovery decides it.
var ErrUnknown = errors.New("the transaction's outcome is being decided")

// decideWithin bounds the time from the first record to the decision. Recovery gives a transaction up only by an abort
// decision, which lasts for an hour, so this is a second line of defence: a gateway that was stopped in between does not
// go on with a transaction that others have forgotten.
const decideWithin = time.Minute

// Hooks are called between the steps of a commit: the fault seam of tests. A nil hook does nothing.
type Hooks struct {
	// At is called with one of Steps. "saved" is said once for each participant but the first, by several goroutines at
	// once; the others once.
	At func(step string)
}

// Steps lists the steps of a commit in their order: nothing is done; a record is saved; all are saved and locked; the
// coordinator has committed; every participant has.
func Steps() []string {
	return []string{"begin", "saved", "prepared", "decided", "committed"}
}

// Committer runs atomic commits. Safe for concurrent use.
type Committer struct {
	log    *slog.Logger
	hooks  Hooks
	forget *forgetter
}

// NewCommitter makes a Committer. Close it, before the pools of its participants.
func NewCommitter(log *slog.Logger, hooks Hooks) *Committer {
	c := &Committer{log: log, hooks: hooks}
	c.forget = newForgetter(c)
	return c
}

// Close deletes the decisions that nobody needs any more, within seconds. A Commit after it leaves its own to recovery.
func (c *Committer) Close() { c.forget.close() }

func (c *Committer) at(step string) {
	if c.hooks.At != nil {
		c.hooks.At(step)
	}
}

// Commit commits the participants' open transactions, all or none. When it returns nil, the decision is made; a
// connection in broken was lost afterwards and recovery finishes that participant. On an error that does not wrap
// ErrUnknown nothing is committed, and the caller rolls every connection back. Connections in broken must be discarded in
// any case.
func (c *Committer) Commit(ctx context.Context, parts []Participant) (broken []*pool.Conn, err error) {
	// A client that goes away in the middle must not cut the commit short.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), decideWithin)
	defer cancel()
	id, err := newID()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	c.at("begin")
	if err := c.prepare(ctx, id, parts); err != nil {
		c.abandon(ctx, id, parts)
		return nil, err
	}
	c.at("prepared")
	if time.Since(start) > decideWithin/2 {
		c.abandon(ctx, id, parts)
		return nil, errcode.New(errcode.TxnRolledBack, "preparing it took too long")
	}
	if lost, err := c.decide(ctx, id, parts); err != nil {
		if lost {
			return []*pool.Conn{parts[0].Conn}, fmt.Errorf("%w: %s on %s: %w", ErrUnknown, id, parts[0].name(), err)
		}
		c.abandon(ctx, id, parts)
		return nil, err
	}
	c.at("decided")
	broken = c.finish(ctx, id, parts[1:])
	c.at("committed")
	if len(broken) == 0 {
		c.forget.later(id, parts[0].Conn.Pool())
	}
	return broken, nil
}

func newID() (string, error) {
	var b [12]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make a transaction id: %w", err)
	}
	return fmt.Sprintf("%012x-%s", time.Now().UnixMicro(), hex.EncodeToString(b[:])), nil
}

// prepare saves the records of all participants but the first, each in a transaction of its own, and deletes them in the
// participants' transactions. That proves that those still live, and locks the records: nobody replays a transaction
// before it has ended.
func (c *Committer) prepare(ctx context.Context, id string, parts []Participant) error {
	return each(parts[1:], func(p *Participant) error {
		r := redo.Record{
			TxnID: id, Participant: p.name(), Coordinator: parts[0].name(), Term: p.Term,
			ConnID: uint64(p.Conn.ConnectionID()), CoordConnID: uint64(parts[0].Conn.ConnectionID()),
			Database: p.Database, Settings: p.Settings, Statements: p.Redo,
		}
		if err := alone(ctx, p.Conn.Pool(), redo.InsertRecord(&r)); err != nil {
			return errcode.Wrap(errcode.PrepareFailed, err, p.name())
		}
		c.at("saved")
		ok, err := p.Conn.Exec(ctx, redo.DeleteRecord(id))
		if err != nil {
			return errcode.Wrap(errcode.PrepareFailed, err, p.name())
		}
		if ok.Affected != 1 {
			return errcode.New(errcode.TxnRolledBack, "recovery took it for abandoned")
		}
		if ok.Status&wire.StatusInTrans == 0 {
			return errcode.New(errcode.TxnRolledBack, "the server of "+p.name()+" has ended it")
		}
		return nil
	})
}

// decide commits the first participant together with the decision. lost says that the outcome is not known.
func (c *Committer) decide(ctx context.Context, id string, parts []Participant) (lost bool, err error) {
	names := make([]string, len(parts))
	for i := range parts {
		names[i] = parts[i].name()
	}
	conn := parts[0].Conn
	if _, err := conn.Exec(ctx, redo.Decide(id, redo.Commit, names)); err != nil {
		var my *wire.MySQLError
		if errors.As(err, &my) && my.Errno == 1062 {
			return false, errcode.New(errcode.TxnRolledBack, "recovery took it for abandoned")
		}
		return false, err // the transaction of a lost connection is rolled back by its server: nothing was decided
	}
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		var my *wire.MySQLError
		return !errors.As(err, &my), err
	}
	return false, nil
}

// finish commits the others. What fails here is finished by recovery.
func (c *Committer) finish(ctx context.Context, id string, parts []Participant) (broken []*pool.Conn) {
	var mu sync.Mutex
	_ = each(parts, func(p *Participant) error {
		if _, err := p.Conn.Exec(ctx, "COMMIT"); err != nil {
			c.log.Warn("a participant of a decided transaction is left to recovery", "txn", id, "shard", p.name(), "error", err)
			mu.Lock()
			broken = append(broken, p.Conn)
			mu.Unlock()
		}
		return nil
	})
	return broken
}

// abandon takes the records of a transaction back that was not decided, once its transactions have let go of them. What
// fails here is cleaned by recovery.
func (c *Committer) abandon(ctx context.Context, id string, parts []Participant) {
	_ = each(parts[1:], func(p *Participant) error {
		_, err := p.Conn.Exec(ctx, "ROLLBACK")
		if err == nil {
			err = alone(ctx, p.Conn.Pool(), []byte(redo.DeleteRecord(id)))
		}
		if err != nil {
			c.log.Warn("the record of an abandoned transaction is left to recovery", "txn", id, "shard", p.name(), "error", err)
		}
		return nil
	})
}

// alone runs a statement in a transaction of its own.
func alone(ctx context.Context, p *pool.Pool, sql []byte) error {
	_, err := p.Aside(ctx, sql)
	return err
}

// each runs f for all participants at once and returns the first error.
func each(parts []Participant, f func(*Participant) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(parts))
	for i := range parts {
		wg.Go(func() { errs[i] = f(&parts[i]) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
