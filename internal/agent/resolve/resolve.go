// Package resolve finishes the transactions across shards that nobody finishes any more: the gateway died, the server
// was killed, the connection was lost. It runs beside each shard's primary, finds records of transactions that have no
// connection behind them, learns their decision from the coordinator's shard, or makes it "abort", and then replays the
// transaction or drops its record. It also forgets decisions that nobody needs.
//
// It never guesses: without the coordinator's answer a transaction stays undecided, its locks held. It never deletes a
// record whose replay fails. It writes through the application's account, which a closed server refuses, except while
// the agent itself opens the server.
package resolve

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
)

// ErrNoShard is what Shards answers for a shard that does not exist any more.
var ErrNoShard = errors.New("no such shard")

// Shards knows where the primaries are.
type Shards interface {
	// Primary returns the address, HOST:PORT, of the server that reigns over a shard, named KEYSPACE/SHARD.
	Primary(ctx context.Context, shard string) (addr string, err error)
}

// Times are the resolver's intervals and patience.
type Times struct {
	// Poll is how often the server is asked for records; Busy the same while there are some.
	Poll, Busy time.Duration
	// Grace is how old a record must be before somebody looks whether its connection, which lives, still has it locked.
	// It covers the moment between saving a record and locking it.
	Grace time.Duration
	// GiveUp is how old a locked record may get. Then its connection is ended.
	GiveUp time.Duration
	// Ask bounds one conversation with a coordinator.
	Ask time.Duration
	// Open bounds how long BeforeOpen waits for locks.
	Open time.Duration
	// Collect is how often old decisions are looked at: commits after KeepCommit, aborts after KeepAbort.
	Collect, KeepCommit, KeepAbort time.Duration
}

// DefaultTimes are those of production.
func DefaultTimes() Times {
	return Times{
		Poll: 500 * time.Millisecond, Busy: 100 * time.Millisecond, Grace: 2 * time.Second, GiveUp: 30 * time.Second,
		Ask: 5 * time.Second, Open: 10 * time.Second,
		Collect: 10 * time.Second, KeepCommit: time.Minute, KeepAbort: time.Hour,
	}
}

const (
	// maxHeads bounds the records that are looked at in one round.
	maxHeads = 256
	// maxJobs bounds the transactions that are worked on at once; each holds one of the 151 connections that a server
	// admits unless it is told otherwise.
	maxJobs = 100
	// lockWait is how long a replay waits for a row, in seconds: whoever has it may wait for the same rows as we do.
	lockWait = 5
	// localTime bounds one statement of the resolver on its own server, but for those of a replay.
	localTime = 5 * time.Second
	// replayTime bounds a whole replay: 24 MB of statements are the most that a gateway saves.
	replayTime = time.Minute
	// commitTime bounds the wait for a replay's commit, which may wait for an acknowledgement. It goes on without us.
	commitTime = 3 * time.Second
)

// Config is what a Resolver needs.
type Config struct {
	// Network and Addr lead to the agent's own server, "unix" and a path or "tcp" and HOST:PORT.
	Network, Addr string
	// App is the account of gateways, on all servers; Admin the agent's own.
	App, Admin credentials.Login
	Shards     Shards
	Log        *slog.Logger
	Times      Times
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Resolver works for one server. Make it with New; Close it.
type Resolver struct {
	cfg     Config
	metrics *metrics
	// base is the life of all jobs.
	base   context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// commits is held for reading while a job commits, and for writing by Stop, so that nothing is committed by the
	// administrator's account once a demotion has begun.
	commits sync.RWMutex

	mu      sync.Mutex
	phase   phase
	jobs    map[string]*job
	retries map[string]*retry

	// local is the look-out's connection, used by Run alone.
	local *client.Conn
}

// phase is what the server is.
type phase int

const (
	phaseIdle    phase = iota // no primary: nothing is done
	phaseOpening              // a primary that is closed: BeforeOpen alone acts, as administrator
	phaseOpen                 // a primary
)

// retry is a transaction that could not be finished yet.
type retry struct {
	attempts int
	next     time.Time
	err      error
	// lost says that the decision is commit and the replay fails: a person has to look.
	lost bool
}

// New makes a resolver that does nothing before Start, BeforeOpen and Run.
func New(cfg Config) *Resolver {
	r := &Resolver{cfg: cfg, jobs: map[string]*job{}, retries: map[string]*retry{}, metrics: newMetrics(cfg.Registerer)}
	r.base, r.cancel = context.WithCancel(context.Background())
	return r
}

// Close ends all work and waits for it. What is not finished stays for the next resolver.
func (r *Resolver) Close() {
	r.cancel()
	r.wg.Wait()
}

// Start says that the server is its shard's open primary.
func (r *Resolver) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phase = phaseOpen
}

// Stop says that the server's reign ends. When it returns no job commits anything any more, and held locks are being let go.
// It waits for commits that are under way, at most commitTime.
func (r *Resolver) Stop() {
	r.commits.Lock()
	defer r.commits.Unlock()
	r.cancelJobs(phaseIdle)
}

// cancelJobs ends all work and returns what is ending.
func (r *Resolver) cancelJobs(next phase) []*job {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phase = next
	jobs := make([]*job, 0, len(r.jobs))
	for _, j := range r.jobs {
		j.cancel()
		jobs = append(jobs, j)
	}
	clear(r.retries)
	return jobs
}

func (r *Resolver) isOpen() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.phase == phaseOpen
}

// State is what the resolver has to say to an operator.
type State struct {
	// Working counts the transactions that are being finished, or wait for their coordinator with their locks held.
	Working int
	// Failing counts the committed transactions whose replay fails here; Error is the newest reason.
	Failing int
	Error   string
}

// State returns the present state.
func (r *Resolver) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := State{Working: len(r.jobs)}
	for _, t := range r.retries {
		if t.lost {
			s.Failing++
		}
		if t.err != nil && (t.lost || s.Error == "") {
			s.Error = t.err.Error()
		}
	}
	return s
}

// Run looks after the server while it is an open primary, until ctx ends.
func (r *Resolver) Run(ctx context.Context) {
	defer r.dropLocal()
	timer := time.NewTimer(r.cfg.Times.Poll)
	defer timer.Stop()
	var collected time.Time
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := r.cfg.Times.Poll
		if r.isOpen() {
			n, err := r.round(ctx)
			if err == nil && time.Since(collected) >= r.cfg.Times.Collect {
				collected = time.Now()
				err = r.collect(ctx)
			}
			if n > 0 {
				next = r.cfg.Times.Busy
			}
			if (err != nil) != failing && ctx.Err() == nil {
				failing = err != nil
				r.cfg.Log.Warn("transactions across shards are looked after", "failing", failing, "error", err)
			}
		} else {
			r.dropLocal()
		}
		timer.Reset(next)
	}
}

// round looks once, and starts work. It returns how many records there are.
func (r *Resolver) round(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, localTime)
	defer cancel()
	heads, err := r.heads(ctx)
	if err != nil || len(heads) == 0 {
		r.forgetRetries(heads)
		return 0, err
	}
	alive, err := r.sessions(ctx, heads)
	if err != nil {
		return len(heads), err
	}
	r.forgetRetries(heads)
	for _, h := range heads {
		if judge(h.age, alive[h.connID], r.cfg.Times) != actLeave {
			r.start(h, false)
		}
	}
	return len(heads), nil
}

// forgetRetries drops the memory of transactions that are not there any more.
func (r *Resolver) forgetRetries(heads []head) {
	if len(heads) == maxHeads {
		return
	}
	there := make(map[string]bool, len(heads))
	for _, h := range heads {
		there[h.txnID] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.retries {
		if !there[id] {
			delete(r.retries, id)
		}
	}
	r.metrics.state(len(r.jobs), len(r.retries))
}
