// Package reparent changes who reigns over a shard: it takes the shard's lock, gathers what the agents report, lets package
// recovery decide, and performs the steps through the agents.
//
// The shard's record is the point of no return: what fails before it is swapped is undone, what fails after it is finished
// by the agents, which follow the record. Nothing here decides by itself that a primary is dead.
package reparent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/api/tabletv1/tabletv1connect"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/obs"
	"github.com/pelorusdb/pelorus/internal/orch/recovery"
	"github.com/pelorusdb/pelorus/internal/topo"

	"connectrpc.com/connect"
)

const (
	// DefaultTimeout bounds an operation that was given no time.
	DefaultTimeout = 30 * time.Second
	// MaxTimeout bounds what may be asked for.
	MaxTimeout = 10 * time.Minute
	// lockTTL is how long a shard stays locked when its holder dies.
	lockTTL = 10 * time.Second
	// statusTimeout bounds one agent's answer, fenceTimeout that of the fencing of a primary which may be dead.
	statusTimeout = 3 * time.Second
	fenceTimeout  = 8 * time.Second
	// grace is the time for undoing and for finishing, on top of what was asked for.
	grace = 15 * time.Second
)

// Agents reaches the agent of a tablet.
type Agents interface {
	Agent(tablet *topov1.Tablet) tabletv1connect.TabletServiceClient
}

// Reparenter performs reparents. It is safe for concurrent use: shards are locked in the topology.
type Reparenter struct {
	Topo   *topo.Topo
	Agents Agents
	// Owner names this node to those who wait for a lock.
	Owner string
	Log   *slog.Logger
}

// Options of an operation.
type Options struct {
	// NewPrimary is the alias of who is to reign; empty lets the rules choose.
	NewPrimary string
	// Timeout bounds the operation; DefaultTimeout if zero.
	Timeout time.Duration
	// DryRun walks the steps and performs none that changes anything.
	DryRun bool
	// Force accepts missing evidence, which the steps then name.
	Force bool
}

// Step is one thing that was done, or would be.
type Step struct {
	Name, Target, Detail string
	Started              time.Time
	Duration             time.Duration
	// Err is why it failed. A failed step that could be done without does not fail the operation.
	Err error
}

// Result is the shard's record as it stands in the end, and the steps in order of their beginning.
type Result struct {
	Shard *topov1.Shard
	Steps []Step
}

// LockName is the name of a shard's lock; whoever writes a shard's record holds it.
func LockName(keyspace, shard string) string { return "shards/" + keyspace + "/" + shard }

// run is one operation under way.
type run struct {
	*Reparenter
	opts     Options
	keyspace string
	shard    string
	lock     *topo.Lock
	// seen is what was gathered; rev the revision of the shard's record in it.
	seen recovery.Shard
	rev  int64
	// finish is a context that outlives the caller's patience by grace, for undoing and finishing.
	finish context.Context

	mu    sync.Mutex
	steps []Step
}

// begin locks the shard and reads its records. The returned function must be called in the end.
func (r *Reparenter) begin(ctx context.Context, keyspace, shard string, opts Options) (*run, context.Context, func(), error) {
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.Timeout < 0 || opts.Timeout > MaxTimeout {
		return nil, nil, nil, errcode.New(errcode.BadConfig, fmt.Sprintf("timeout %s is not between 0 and %s", opts.Timeout, MaxTimeout))
	}
	bounded, cancelBounded := context.WithTimeout(ctx, opts.Timeout)
	lock, err := r.Topo.Lock(bounded, LockName(keyspace, shard), r.Owner, lockTTL)
	if err != nil {
		cancelBounded()
		return nil, nil, nil, err
	}
	// Whoever loses the lock must stop at once: another may be at work.
	finish, cancelFinish := lock.Context(context.WithoutCancel(ctx))
	finish, cancelGrace := context.WithTimeout(finish, opts.Timeout+grace)
	work, cancelWork := lock.Context(bounded)
	o := &run{Reparenter: r, opts: opts, keyspace: keyspace, shard: shard, lock: lock, finish: finish}
	end := func() {
		cancelWork()
		cancelGrace()
		cancelFinish()
		lock.Unlock()
		cancelBounded()
	}
	if err := o.read(work); err != nil {
		end()
		return nil, nil, nil, err
	}
	return o, work, end, nil
}

func (o *run) read(ctx context.Context) error {
	ks, _, err := o.Topo.Keyspace(ctx, o.keyspace)
	if err != nil {
		return err
	}
	rec, rev, err := o.Topo.Shard(ctx, o.keyspace, o.shard)
	if err != nil {
		return err
	}
	tablets, err := o.Topo.Tablets(ctx, o.keyspace, o.shard)
	if err != nil {
		return err
	}
	o.seen, o.rev = recovery.Shard{Keyspace: ks, Record: rec, Tablets: make(map[string]recovery.Tablet, len(tablets))}, rev
	for _, t := range tablets {
		o.seen.Tablets[t.GetAlias()] = recovery.Tablet{Record: t}
	}
	return nil
}

// gather asks the agents for their status: the replicas first and then the primary, so that nothing that a replica has and
// the primary lacks can be a transaction which came in between.
func (o *run) gather(ctx context.Context) {
	var replicas, primary []string
	for alias := range o.seen.Tablets {
		if alias == o.seen.Record.GetPrimary() {
			primary = append(primary, alias)
		} else {
			replicas = append(replicas, alias)
		}
	}
	for _, group := range [][]string{replicas, primary} {
		var mu sync.Mutex
		each(group, func(alias string) {
			mu.Lock()
			t := o.seen.Tablets[alias]
			mu.Unlock()
			t.Status, t.Unreachable = o.status(ctx, t.Record)
			mu.Lock()
			o.seen.Tablets[alias] = t
			mu.Unlock()
		})
	}
}

func (o *run) status(ctx context.Context, rec *topov1.Tablet) (*tabletv1.FullStatus, string) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	resp, err := o.Agents.Agent(rec).GetFullStatus(ctx, connect.NewRequest(&tabletv1.GetFullStatusRequest{}))
	if err != nil {
		return nil, err.Error()
	}
	return resp.Msg.GetStatus(), ""
}

// each calls fn for all at once and waits; a shard has at most some tens of tablets.
func each(aliases []string, fn func(alias string)) {
	var wg sync.WaitGroup
	for _, alias := range aliases {
		wg.Go(func() { fn(alias) })
	}
	wg.Wait()
}

// step does one thing and writes it down; in a dry run it only writes it down.
func (o *run) step(name, target, detail string, fn func() error) error {
	o.mu.Lock()
	i := len(o.steps)
	o.steps = append(o.steps, Step{Name: name, Target: target, Detail: detail, Started: time.Now()})
	o.mu.Unlock()
	if o.opts.DryRun || fn == nil {
		return nil
	}
	began := time.Now()
	err := fn()
	o.mu.Lock()
	o.steps[i].Duration, o.steps[i].Err = time.Since(began), err
	o.mu.Unlock()
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
		err = fmt.Errorf("%s (%s): %w", name, target, err)
	}
	o.Log.LogAttrs(o.finish, level, "reparent step", slog.String("step", name), slog.String("target", target),
		slog.String("detail", detail), slog.String("shard", o.keyspace+"/"+o.shard),
		slog.Duration("took", time.Since(began).Round(time.Millisecond)), obs.Err(err))
	return err
}

func (o *run) agent(alias string) tabletv1connect.TabletServiceClient {
	return o.Agents.Agent(o.seen.Tablets[alias].Record)
}

// result is what the caller gets, together with err.
func (o *run) result(err error) (Result, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		err = errcode.Wrap(errcode.OperationTimeout, err, "the reparent of "+o.keyspace+"/"+o.shard, o.opts.Timeout)
	}
	return Result{Shard: o.seen.Record, Steps: append([]Step(nil), o.steps...)}, err
}

// note writes down what an operator should know.
func (o *run) notes(plan recovery.Plan) {
	for _, n := range plan.Notes {
		o.mu.Lock()
		o.steps = append(o.steps, Step{Name: "note", Target: plan.New, Detail: n, Started: time.Now()})
		o.mu.Unlock()
	}
}
