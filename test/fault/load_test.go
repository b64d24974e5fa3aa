package fault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// workers is how many clients a load has; each has one connection.
	workers = 8
	// moveEvery: every how many rows a worker moves money between two accounts in a transaction, mostly over two shards.
	moveEvery = 4
	// scanEvery: every how many rows it counts its rows over all shards.
	scanEvery = 16
	// keptErrors bounds what a failing load tells.
	keptErrors = 10
)

// tolerance is what a load takes without a failure. A wrong answer is always one.
type tolerance int

const (
	// strict takes no error.
	strict tolerance = iota
	// cutTransactions takes errors of transactions: a primary that hands over cannot keep those that are open.
	cutTransactions
	// lenient takes any error: something that answers clients is to be killed.
	lenient
)

// load is traffic that checks itself: each worker inserts rows, reads and changes them, and moves money between accounts.
// After an error that it tolerates a worker reconnects and goes on with the next row.
type load struct {
	w      *world
	takes  tolerance
	number int
	cancel context.CancelFunc
	done   sync.WaitGroup

	statements, rows, moves, reconnects atomic.Int64
	slowest                             atomic.Int64 // nanoseconds
	began                               time.Time

	mu     sync.Mutex
	errs   []string
	failed chan struct{} // closed at the first failure
	// acknowledged rows of each worker
	acked [workers][]int64
}

// startLoad starts a load and waits until each worker has done something.
func (w *world) startLoad(takes tolerance) *load {
	w.t.Helper()
	*w.loads++
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{w: w, takes: takes, number: *w.loads, cancel: cancel, failed: make(chan struct{}), began: time.Now()}
	db := w.DB(keyspace)
	for id := range 2 * workers {
		if _, err := db.Exec("REPLACE INTO account (id, v) VALUES (?, 0)", l.account(id)); err != nil {
			w.t.Fatalf("make an account: %v", err)
		}
	}
	for i := range workers {
		l.done.Go(func() { l.work(ctx, i) })
	}
	w.t.Cleanup(func() { cancel(); l.done.Wait() })
	l.progress()
	return l
}

func (l *load) account(i int) int64 { return int64(l.number)*1000 + int64(i) }

func (l *load) row(worker int, i int64) int64 {
	return int64(l.number)<<40 | int64(worker)<<32 | i
}

// progress waits until the load has done another hundred statements, so that a fault is met by traffic. It returns at once
// when the load has failed.
func (l *load) progress() {
	l.w.t.Helper()
	goal := l.statements.Load() + 100
	l.w.WaitFor("the load's progress", func() error {
		select {
		case <-l.failed:
			return nil
		default:
		}
		if n := l.statements.Load(); n < goal {
			return fmt.Errorf("%d statements, want %d", n, goal)
		}
		return nil
	})
}

func (l *load) fail(worker int, what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.errs) == 0 {
		close(l.failed)
	}
	if len(l.errs) < keptErrors {
		l.errs = append(l.errs, fmt.Sprintf("after %.2f s, worker %d: %s: %v", time.Since(l.began).Seconds(), worker, what, err))
	}
}

// wrong is an answer that is not what was stored: a failure however lenient the load is.
type wrong struct{ text string }

func (e *wrong) Error() string { return e.text }

func (l *load) open(worker int) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.DBName = "tcp", l.w.Gateway, "root", keyspace
	cfg.Logger = silent{}
	// Half of the clients send text, half prepare.
	cfg.InterpolateParams = worker%2 == 0
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return db, nil
}

func (l *load) work(ctx context.Context, worker int) {
	db, err := l.open(worker)
	if err != nil {
		l.fail(worker, "open", err)
		return
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	for i := int64(1); ctx.Err() == nil; i++ {
		if err == nil {
			err = l.step(ctx, conn, worker, i)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		if !l.tolerates(err) {
			l.fail(worker, "row "+fmt.Sprint(i), err)
			return
		}
		if conn != nil {
			conn.Close()
		}
		if conn, err = db.Conn(ctx); err == nil {
			l.reconnects.Add(1)
		} else if !pause(ctx, 10*time.Millisecond) {
			return
		}
	}
}

func (l *load) tolerates(err error) bool {
	var bad *wrong
	var cut *cutTransaction
	return !errors.As(err, &bad) && (l.takes == lenient || l.takes == cutTransactions && errors.As(err, &cut))
}

// cutTransaction is an error of a statement inside a transaction.
type cutTransaction struct{ error }

func (e *cutTransaction) Unwrap() error { return e.error }

// pause is the time between two attempts to connect.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// timed runs one statement and notes how long it took.
func (l *load) timed(what string, f func() error) error {
	began := time.Now()
	err := f()
	l.statements.Add(1)
	took := time.Since(began).Nanoseconds()
	for {
		old := l.slowest.Load()
		if took <= old || l.slowest.CompareAndSwap(old, took) {
			break
		}
	}
	if err != nil {
		if _, bad := err.(*wrong); !bad {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return err
}

func (l *load) exec(ctx context.Context, c *sql.Conn, affected int64, q string, args ...any) error {
	return l.timed(q, func() error {
		res, err := c.ExecContext(ctx, q, args...)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != affected {
			return &wrong{fmt.Sprintf("%s %v: %d rows affected, want %d (%v)", q, args, n, affected, err)}
		}
		return nil
	})
}

func (l *load) number64(ctx context.Context, c *sql.Conn, want int64, q string, args ...any) error {
	return l.timed(q, func() error {
		var n int64
		if err := c.QueryRowContext(ctx, q, args...).Scan(&n); err != nil {
			return err
		}
		if n != want {
			return &wrong{fmt.Sprintf("%s %v: %d, want %d", q, args, n, want)}
		}
		return nil
	})
}

// step is one round of a worker.
func (l *load) step(ctx context.Context, c *sql.Conn, worker int, i int64) error {
	id := l.row(worker, i)
	if err := l.exec(ctx, c, 1, "INSERT INTO entry (id, worker, v, pad) VALUES (?, ?, ?, ?)", id, l.number*workers+worker, i, strings.Repeat("x", 80)); err != nil {
		return err
	}
	l.rows.Add(1)
	l.acked[worker] = append(l.acked[worker], id)
	if err := l.number64(ctx, c, i, "SELECT v FROM entry WHERE id = ?", id); err != nil {
		return err
	}
	if err := l.exec(ctx, c, 1, "UPDATE entry SET v = v + 1 WHERE id = ?", id); err != nil {
		return err
	}
	if i%moveEvery == 0 {
		if err := l.move(ctx, c, worker, i); err != nil {
			return err
		}
	}
	if i%scanEvery == 0 && l.takes == strict {
		return l.number64(ctx, c, i, "SELECT COUNT(*) FROM entry WHERE worker = ?", l.number*workers+worker)
	}
	return nil
}

// move moves money between two accounts of the worker's own.
func (l *load) move(ctx context.Context, c *sql.Conn, worker int, i int64) error {
	var tx *sql.Tx
	if err := l.timed("BEGIN", func() (err error) { tx, err = c.BeginTx(ctx, nil); return err }); err != nil {
		return err
	}
	for k, sign := range []int{-1, 1} {
		err := l.timed("UPDATE account", func() error {
			_, err := tx.ExecContext(ctx, "UPDATE account SET v = v + ? WHERE id = ?", int64(sign)*i, l.account(2*worker+k))
			return err
		})
		if err != nil {
			_ = tx.Rollback() // the first error is what counts
			return &cutTransaction{err}
		}
	}
	if err := l.timed("COMMIT", tx.Commit); err != nil {
		return &cutTransaction{err}
	}
	l.moves.Add(1)
	return nil
}

// stop ends the load, tells its figures, and checks that every acknowledged row is there and no money was made or lost.
func (l *load) stop() {
	l.w.t.Helper()
	took := time.Since(l.began)
	l.cancel()
	l.done.Wait()
	l.w.t.Logf("load: %d statements in %.1f s, %d rows, %d transactions, slowest %d ms, %d reconnects, %d errors", l.statements.Load(), took.Seconds(),
		l.rows.Load(), l.moves.Load(), l.slowest.Load()/1e6, l.reconnects.Load(), len(l.errs))
	for _, e := range l.errs {
		l.w.t.Error(e)
	}
	db := l.w.DB(keyspace)
	for worker, ids := range l.acked {
		have := map[int64]bool{}
		rows, err := db.Query("SELECT id FROM entry WHERE worker = ?", l.number*workers+worker)
		if err != nil {
			l.w.t.Fatalf("read the rows of worker %d: %v", worker, err)
		}
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				l.w.t.Fatal(err)
			}
			have[id] = true
		}
		if err := rows.Err(); err != nil {
			l.w.t.Fatalf("read the rows of worker %d: %v", worker, err)
		}
		lost := 0
		for _, id := range ids {
			if !have[id] {
				lost++
			}
		}
		if lost > 0 {
			l.w.t.Errorf("worker %d: %d of %d acknowledged rows are lost", worker, lost, len(ids))
		}
	}
	l.conserved(db)
}

// conserved waits until transactions that a fault has cut are decided: the sum over each worker's accounts is zero.
func (l *load) conserved(db *sql.DB) {
	l.w.t.Helper()
	began := time.Now()
	l.w.WaitFor("the money of all accounts to be what it was", func() error {
		var sum int64
		err := db.QueryRow("SELECT SUM(v) FROM account WHERE id BETWEEN ? AND ?", l.account(0), l.account(2*workers)).Scan(&sum)
		if err == nil && sum != 0 {
			err = fmt.Errorf("%d made out of nothing", sum)
		}
		return err
	})
	if d := time.Since(began); d > time.Second {
		l.w.t.Logf("transactions that were cut were decided after %.1f s", d.Seconds())
	}
}
