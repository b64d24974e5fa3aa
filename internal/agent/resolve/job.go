package resolve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/redo"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
)

// job finishes one transaction on this server, on a connection of its own.
type job struct {
	r      *Resolver
	head   head
	login  credentials.Login
	cancel context.CancelFunc
	// opening says that the locks are taken before the coordinator is asked, by the administrator.
	opening bool
	// ready is closed when the transaction's locks are held, or nothing more can be done for them; done at the end.
	ready, done chan struct{}
	settle      sync.Once
	// changed tells of the first statement whose replay met other rows than its first run.
	changed string
}

// holding says that whoever waits for the locks need not wait any longer.
func (j *job) holding() { j.settle.Do(func() { close(j.ready) }) }

// errBusy says that another session has the record locked: the transaction itself, or another replay of it.
var errBusy = errors.New("another session works on it")

// start makes a job for a record unless there is one, or its time has not come.
func (r *Resolver) start(h head, opening bool) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.retries[h.txnID]
	switch {
	case r.jobs[h.txnID] != nil, t != nil && time.Now().Before(t.next), len(r.jobs) >= maxJobs, r.base.Err() != nil,
		opening != (r.phase == phaseOpening), r.phase == phaseIdle:
		return nil
	}
	j := &job{r: r, head: h, login: r.cfg.App, opening: opening, ready: make(chan struct{}), done: make(chan struct{})}
	if opening {
		j.login = r.cfg.Admin
	}
	ctx, cancel := context.WithCancel(r.base)
	j.cancel = cancel
	r.jobs[h.txnID] = j
	r.wg.Go(func() {
		defer cancel()
		v, err := j.run(ctx)
		r.ended(j, v, err, ctx.Err() != nil)
		j.holding()
		close(j.done)
	})
	return j
}

// ended notes how a job went.
func (r *Resolver) ended(j *job, v redo.Verdict, err error, cancelled bool) {
	id := j.head.txnID
	r.mu.Lock()
	delete(r.jobs, id)
	var t retry
	switch {
	case err == nil:
		delete(r.retries, id)
	case !cancelled && r.phase != phaseIdle:
		if r.retries[id] != nil {
			t = *r.retries[id]
		}
		var failed *replayError
		t.attempts++
		t.next, t.err, t.lost = time.Now().Add(pauseAfter(t.attempts)), err, errors.As(err, &failed)
		if errors.Is(err, errBusy) {
			t.attempts, t.next = 0, time.Now().Add(retryFirst)
		}
		r.retries[id] = &t
	}
	r.mu.Unlock()
	log := r.cfg.Log.With("txn", id, "shard", j.head.participant, "coordinator", j.head.coordinator, "verdict", string(v))
	switch {
	case err == nil && v != "":
		r.metrics.finished(v)
		log.Info("txn_resolved", "age", j.head.ageNow().Round(time.Millisecond))
		if v == redo.Commit && j.changed != "" {
			r.metrics.changed.Inc()
			log.Error("txn_replayed_on_changed_rows", "statement", j.changed,
				"hint", "others changed rows of it after its connection was lost; all of it is committed, look whether the outcome is what was meant")
		}
	case err == nil, cancelled, errors.Is(err, errBusy):
	case t.lost:
		r.metrics.failed()
		log.Error("txn_replay_failed", "error", err, "attempts", t.attempts, "hint", "its record stays in _pelorus.redo until its statements work")
	default:
		r.metrics.failed()
		log.Warn("txn_not_resolved_yet", "error", err, "attempts", t.attempts)
	}
}

// replayError is a statement of a record that the server refuses.
type replayError struct{ err error }

func (e *replayError) Error() string { return e.err.Error() }
func (e *replayError) Unwrap() error { return e.err }

// run finishes the transaction; a verdict of "" without error means that others had done it.
func (j *job) run(ctx context.Context) (redo.Verdict, error) {
	c, statements, err := j.lock(ctx)
	var failed *replayError
	if errors.As(err, &failed) {
		return j.dropUnreadable(ctx, err)
	}
	if err != nil || c == nil {
		return "", err
	}
	defer c.Close()
	var v redo.Verdict
	if !j.opening {
		// Asking first spares the replay of what is aborted; a coordinator that is away must not keep the rows unlocked.
		if v, err = j.r.ask(ctx, &j.head); err != nil {
			j.r.cfg.Log.Info("txn_waits_for_coordinator", "txn", j.head.txnID, "coordinator", j.head.coordinator, "error", err)
		}
	}
	if v != redo.Abort {
		if j.changed, err = replay(ctx, c, statements); err != nil {
			return v, err
		}
	}
	j.holding()
	if v == "" {
		if v, err = j.wait(ctx); err != nil {
			return "", err
		}
	}
	if v == redo.Commit {
		return v, j.commit(ctx, c)
	}
	return v, j.drop(ctx, c)
}

// dropUnreadable drops a record that cannot even be begun, if it was decided against.
func (j *job) dropUnreadable(ctx context.Context, cause error) (redo.Verdict, error) {
	v, err := j.r.ask(ctx, &j.head)
	if err != nil || v != redo.Abort {
		return v, errors.Join(cause, err)
	}
	c, err := dial(ctx, j.r.cfg.Network, j.r.cfg.Addr, j.login, lockWait*time.Second)
	if err != nil {
		return v, err
	}
	defer c.Close()
	return v, j.drop(ctx, c)
}

// lock opens a session as the transaction had it, begins, and locks the record. No connection and no error means that
// there is no record. While the server is being opened it waits for whoever has the lock: a replay that was cut off.
func (j *job) lock(ctx context.Context) (*client.Conn, []redo.Statement, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*localTime)
	defer cancel()
	limit := time.Now().Add(busyWait)
	for {
		c, err := dial(ctx, j.r.cfg.Network, j.r.cfg.Addr, j.login, lockWait*time.Second)
		if err != nil {
			return nil, nil, err
		}
		statements, err := j.begin(ctx, c)
		if err == nil && statements != nil {
			return c, statements, nil
		}
		if errors.Is(err, errBusy) && j.head.age >= j.r.cfg.Times.GiveUp {
			j.r.cfg.Log.Warn("txn_given_up", "txn", j.head.txnID, "age", j.head.age.Round(time.Millisecond), "conn", j.head.connID)
			err = errors.Join(err, kill(ctx, c, j.head.connID))
		}
		_ = c.Close() // nothing was done on it
		if !j.opening || !errors.Is(err, errBusy) || time.Now().After(limit) || !pause(ctx, busyPause) {
			return nil, nil, err
		}
	}
}

const (
	// busyWait is how long a record may be locked by a session that was cut off, which a server notices within milliseconds.
	busyWait  = time.Second
	busyPause = 20 * time.Millisecond
)

func (j *job) begin(ctx context.Context, c *client.Conn) ([]redo.Statement, error) {
	rows, err := query(ctx, c, redo.SelectSession(j.head.txnID))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	db, settings := rows[0][0], rows[0][1]
	setup := []string{"SET NAMES utf8mb4 COLLATE utf8mb4_general_ci"}
	if settings != "" {
		setup = append(setup, settings)
	}
	setup = append(setup, fmt.Sprintf("SET SESSION innodb_lock_wait_timeout = %d", lockWait))
	for _, sql := range setup {
		if _, err := c.Exec(ctx, sql); err != nil {
			return nil, &replayError{fmt.Errorf("prepare the session of %s: %w", j.head.txnID, err)}
		}
	}
	if db != "" {
		if err := c.InitDB(ctx, db); err != nil {
			return nil, &replayError{fmt.Errorf("use the database of %s: %w", j.head.txnID, err)}
		}
	}
	if _, err := c.Exec(ctx, "START TRANSACTION"); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	rows, err = query(ctx, c, redo.LockRecord(j.head.txnID))
	if n := errno(err); n == redo.NoWaitMySQL || n == redo.NoWaitMariaDB {
		return nil, errBusy
	}
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	statements, err := redo.Unpack([]byte(rows[0][2]))
	if err != nil {
		return nil, &replayError{fmt.Errorf("read the record of %s: %w", j.head.txnID, err)}
	}
	if statements == nil {
		statements = []redo.Statement{}
	}
	return statements, nil
}

// passing lists the errors that end by themselves: waits for locks, deadlocks, and servers that are being closed.
func passing() []uint16 {
	return []uint16{errLockWait, errDeadlock, errReadOnly, errOffline, errShutdown, errKilled}
}

// replay repeats the statements. changed tells of the first that affected another number of rows than before.
func replay(ctx context.Context, c *client.Conn, statements []redo.Statement) (changed string, err error) {
	ctx, cancel := context.WithTimeout(ctx, replayTime)
	defer cancel()
	for i := range statements {
		st := &statements[i]
		for _, sql := range st.Before() {
			if _, err := c.Exec(ctx, sql); err != nil {
				return "", refused(sql, err)
			}
		}
		ok, err := c.Exec(ctx, string(st.SQL))
		if err != nil {
			return "", refused(string(st.SQL), err)
		}
		if changed == "" && !st.Same(ok.Affected, ok.Info) {
			changed = fmt.Sprintf("%q affected %d rows, and %d before", shortened(string(st.SQL)), ok.Affected, st.Affected)
		}
	}
	return changed, nil
}

// refused tells the errors that end by themselves from those of the statement.
func refused(sql string, err error) error {
	err = fmt.Errorf("replay %q: %w", shortened(sql), err)
	if n := errno(err); n == 0 || slices.Contains(passing(), n) {
		return err
	}
	return &replayError{err}
}

// shortened is what of a statement goes into logs and errors.
func shortened(sql string) string {
	const shown = 60
	return sql[:min(len(sql), shown)]
}

// wait asks the coordinator until it answers.
func (j *job) wait(ctx context.Context) (redo.Verdict, error) {
	for attempt := 1; ; attempt++ {
		v, err := j.r.ask(ctx, &j.head)
		if err == nil {
			return v, nil
		}
		if attempt == 1 || attempt%10 == 0 {
			j.r.cfg.Log.Warn("txn_waits_for_coordinator", "txn", j.head.txnID, "coordinator", j.head.coordinator, "attempt", attempt, "error", err)
		}
		j.r.metrics.failed()
		if !pause(ctx, pauseAfter(attempt)) {
			return "", ctx.Err()
		}
	}
}

// commit ends a replayed transaction. It is not begun once Stop was called; if no acknowledgement comes in time, it goes on in the
// server, and the record tells later how it went.
func (j *job) commit(ctx context.Context, c *client.Conn) error {
	j.r.commits.RLock()
	defer j.r.commits.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	ok, err := c.Exec(ctx, redo.DeleteRecord(j.head.txnID))
	if err != nil {
		return fmt.Errorf("delete the record before the commit: %w", err)
	}
	if ok.Affected != 1 {
		return fmt.Errorf("the record that this session has locked is gone: %w", errBusy)
	}
	if _, err := c.Exec(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// drop takes back what was replayed and deletes the record.
func (j *job) drop(ctx context.Context, c *client.Conn) error {
	j.r.commits.RLock()
	defer j.r.commits.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	for _, sql := range []string{"ROLLBACK", "SET autocommit = 1", redo.DeleteRecord(j.head.txnID)} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("drop the record: %w", err)
		}
	}
	return nil
}
