package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/obs"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/workflow"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

const (
	// DefaultLockTTL is how long an operation stands still when its node dies, before another may take over.
	DefaultLockTTL = 3 * time.Second
	// DefaultLookEvery is how often a node looks for workflows that nobody works on, besides at once when a lock is released: two lists
	// of the topology each time.
	DefaultLookEvery = time.Second
	// DefaultMaxActive bounds the workflows that a node works on at the same time; the others wait for the next look. A host that
	// dies with the primaries of 500 shards is the largest that is meant to be healed in one go.
	DefaultMaxActive = 512
	// lockWait bounds the wait for an operation's locks; after it the next look tries again.
	lockWait = 10 * time.Second
	// pruneEvery is how often old records are looked through.
	pruneEvery = 10 * time.Minute
)

// Config says what a runner works with.
type Config struct {
	Topo *topo.Topo
	// Owner names this node in records and locks.
	Owner string
	Kinds []Kind
	// Mine says which workflows this node takes over when nobody works on them; nil is all. It must not be narrower than what the
	// other nodes leave to it. A workflow that was begun here is worked on here in any case.
	Mine func(*workflowv1.Workflow) bool
	Log  *slog.Logger
	// LockTTL, LookEvery and MaxActive have the defaults above if zero.
	LockTTL   time.Duration
	LookEvery time.Duration
	MaxActive int
	// Seam lets tests end the work at a point, as the death of the node would; nil in production.
	Seam Seam
}

// Runner works on workflows. Make it with New and let it work with Run.
type Runner struct {
	cfg     Config
	kinds   kinds
	journal *Journal

	// fresh are the pending workflows of the last look, with their revisions. Only Run uses it.
	fresh map[string]int64

	mu     sync.Mutex
	base   context.Context // nil unless Run is running
	early  []string        // what was to be worked on before Run was running
	active map[string]*bool
	wg     sync.WaitGroup
}

// New makes a runner, or says what is wrong with the configuration.
func New(cfg Config) (*Runner, error) {
	if cfg.LockTTL == 0 {
		cfg.LockTTL = DefaultLockTTL
	}
	if cfg.LookEvery == 0 {
		cfg.LookEvery = DefaultLookEvery
	}
	if cfg.MaxActive == 0 {
		cfg.MaxActive = DefaultMaxActive
	}
	if cfg.Mine == nil {
		cfg.Mine = func(*workflowv1.Workflow) bool { return true }
	}
	switch {
	case cfg.Topo == nil || cfg.Log == nil || cfg.Owner == "":
		return nil, errors.New("workflow runner: topology, logger and owner are needed")
	case cfg.LockTTL < topo.MinLockTTL:
		return nil, fmt.Errorf("workflow runner: a lock's life of %s is under %s", cfg.LockTTL, topo.MinLockTTL)
	case cfg.LookEvery < 0 || cfg.MaxActive < 0:
		return nil, errors.New("workflow runner: negative limits")
	}
	r := &Runner{cfg: cfg, kinds: kinds{}, journal: NewJournal(cfg.Topo, cfg.Log), active: map[string]*bool{}}
	for _, k := range cfg.Kinds {
		if r.kinds[k.Name()] != nil {
			return nil, fmt.Errorf("workflow runner: two kinds are named %q", k.Name())
		}
		r.kinds[k.Name()] = k
	}
	return r, nil
}

// Journal is where the runner's records are.
func (r *Runner) Journal() *Journal { return r.journal }

// Run works until ctx ends: on what is begun through this runner at once, and on what nobody works on after a look. When it
// returns nothing is under way any more, and all locks were given back for others to take over.
func (r *Runner) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	early := r.early
	r.base, r.early = ctx, nil
	r.mu.Unlock()
	for _, id := range early {
		r.spawn(id)
	}
	released := r.cfg.Topo.WatchReleases(ctx)
	tick := time.NewTicker(r.cfg.LookEvery)
	defer tick.Stop()
	pruned := time.Now()
	for ctx.Err() == nil {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "workflows cannot be looked at", obs.Err(err))
		}
		if time.Since(pruned) >= pruneEvery {
			pruned = time.Now()
			if err := r.journal.Prune(ctx); err != nil && ctx.Err() == nil {
				r.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "old workflows were not forgotten", obs.Err(err))
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-released: // perhaps its holder died
		}
	}
	r.mu.Lock()
	r.base = nil
	r.mu.Unlock()
	r.wg.Wait()
	for range released { // until the watch has ended
	}
}

// look takes on the workflows of this node's share that have something to do and whose locks nobody holds.
func (r *Runner) look(ctx context.Context) error {
	open, err := r.cfg.Topo.OpenWorkflows(ctx, "")
	if err != nil || len(open) == 0 {
		return err
	}
	held, err := r.cfg.Topo.HeldLocks(ctx)
	if err != nil {
		return err
	}
	fresh := map[string]int64{}
	for _, e := range open {
		w := e.Record
		next := workflow.Next(w).What
		if next == workflow.ToTakeOver {
			fresh[w.GetId()] = e.Revision
			if r.fresh[w.GetId()] != e.Revision {
				continue // whoever recorded it is about to take it on, or else the next look does
			}
		}
		if next != workflow.Nothing && r.cfg.Mine(w) && r.free(w, held) {
			r.spawn(w.GetId())
		}
	}
	r.fresh = fresh
	return nil
}

// free says whether the workflow can be worked on: its steps are known here, and nobody holds one of its locks.
func (r *Runner) free(w *workflowv1.Workflow, held map[string]string) bool {
	if workflow.Next(w).What == workflow.ToCancel {
		return r.kinds[w.GetKind()] != nil // which locks it needs is known when the operation "cancel" has been begun
	}
	op, err := r.kinds.present(w)
	if err != nil {
		r.cfg.Log.Debug("a workflow is left to other nodes", "workflow", w.GetId(), "error", err)
		return false
	}
	for _, name := range op.Locks {
		if _, taken := held[name]; taken {
			return false
		}
	}
	return true
}

// spawn starts working on a workflow. If this node is at it already it looks once more afterwards, so that no wish is missed.
func (r *Runner) spawn(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if again := r.active[id]; again != nil {
		*again = true
		return
	}
	if r.base == nil && len(r.early) < r.cfg.MaxActive {
		r.early = append(r.early, id)
	}
	if r.base == nil || len(r.active) >= r.cfg.MaxActive {
		return
	}
	ctx, again := r.base, new(bool)
	r.active[id] = again
	r.wg.Go(func() {
		for {
			r.drive(ctx, id)
			r.mu.Lock()
			if !*again || ctx.Err() != nil {
				delete(r.active, id)
				r.mu.Unlock()
				return
			}
			*again = false
			r.mu.Unlock()
		}
	})
}

// Request is a workflow to be begun.
type Request struct {
	// ID is KEYSPACE.NAME; see NewID for those that nobody names.
	ID, Kind string
	// Title says in words what it is for.
	Title string
	Spec  proto.Message
	// Claims are things that no other workflow may claim until this one is over, such as "primary of shop/-80".
	Claims   []string
	Facts    workflow.Facts
	Evidence *workflowv1.Evidence
	// Operation is FirstOperation if empty.
	Operation string
	Args      proto.Message
	// By is who asks for it.
	By string
	// Limit is the time after which it is taken back; the kind's if zero.
	Limit time.Duration
}

// plan makes the plan of a request, with the operation's steps.
func (r *Runner) plan(req Request, now time.Time) (workflow.Plan, Operation, error) {
	if req.Operation == "" {
		req.Operation = FirstOperation
	}
	p := workflow.Plan{ID: req.ID, Kind: req.Kind, Title: req.Title, Claims: req.Claims, Facts: req.Facts, Evidence: req.Evidence}
	args, err := pack(req.Args)
	if err != nil {
		return p, Operation{}, err
	}
	if p.Spec, err = pack(req.Spec); err != nil {
		return p, Operation{}, err
	}
	op, err := r.kinds.operation(&workflowv1.Workflow{Id: &req.ID, Kind: &req.Kind, Spec: p.Spec, Facts: req.Facts}, req.Operation, args)
	if err != nil {
		return p, Operation{}, err
	}
	p.Operation = op.plan(req.Operation, args, req.By, req.Limit, now)
	return p, op, nil
}

func pack(m proto.Message) (*anypb.Any, error) {
	if m == nil {
		return nil, nil
	}
	a, err := anypb.New(m)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", m, err)
	}
	return a, nil
}

// Begin records a workflow and returns; it goes on whether or not anybody waits for it. Refused with WorkflowClaimed if another
// has one of its claims, with RecordExists if one of its id is open.
func (r *Runner) Begin(ctx context.Context, req Request) (*workflowv1.Workflow, error) {
	now := time.Now()
	p, _, err := r.plan(req, now)
	if err != nil {
		return nil, err
	}
	w, err := workflow.New(p, now)
	if err != nil {
		return nil, err
	}
	if err := r.journal.create(ctx, w); err != nil {
		return nil, err
	}
	obs.Event(ctx, r.cfg.Log, eventBegun, slog.String("workflow", w.GetId()), slog.String("kind", w.GetKind()), slog.String("title", w.GetTitle()))
	r.spawn(w.GetId())
	return w, nil
}

// Operate begins the next operation of a workflow that rests.
func (r *Runner) Operate(ctx context.Context, id, name string, args proto.Message, by string, limit time.Duration) (*workflowv1.Workflow, error) {
	packed, err := pack(args)
	if err != nil {
		return nil, err
	}
	return r.change(ctx, id, func(w *workflowv1.Workflow) (workflow.Event, error) {
		if w.GetState() != workflowv1.State_STATE_RESTING {
			return nil, errcode.New(errcode.WorkflowRefused, id, workflow.StateWord(w.GetState()), fmt.Sprintf("%s must wait until its operation %s is over", name, w.GetOperation().GetName()))
		}
		return r.start(w, name, packed, by, limit)
	})
}

func (r *Runner) start(w *workflowv1.Workflow, name string, args *anypb.Any, by string, limit time.Duration) (workflow.Event, error) {
	op, err := r.kinds.operation(w, name, args)
	if err != nil {
		return nil, err
	}
	return workflow.Start{Operation: op.plan(name, args, by, limit, time.Now())}, nil
}

// Pause keeps further steps from being begun, once nothing is held up by those that are under way.
func (r *Runner) Pause(ctx context.Context, id string) (*workflowv1.Workflow, error) {
	return r.change(ctx, id, func(*workflowv1.Workflow) (workflow.Event, error) { return workflow.Pause{}, nil })
}

// Resume lets a workflow go on that is paused, waits for a person, or waits before it tries again.
func (r *Runner) Resume(ctx context.Context, id string) (*workflowv1.Workflow, error) {
	return r.change(ctx, id, func(*workflowv1.Workflow) (workflow.Event, error) { return workflow.Resume{}, nil })
}

// Cancel has everything taken back that the workflow did. It returns when that is recorded, not when it is done. What was cancelled
// already stays so without an error. Refused with WorkflowNoReturn after the point of no return.
func (r *Runner) Cancel(ctx context.Context, id string, args proto.Message, by string) (*workflowv1.Workflow, error) {
	packed, err := pack(args)
	if err != nil {
		return nil, err
	}
	w, err := r.change(ctx, id, func(w *workflowv1.Workflow) (workflow.Event, error) {
		if w.GetState() == workflowv1.State_STATE_RESTING && w.GetCancelling() == nil {
			return r.start(w, CancelOperation, packed, by, 0)
		}
		if w.GetStage() != "" && !w.GetOperation().GetCancels() && r.kinds[w.GetKind()] != nil {
			// What is promised here must be possible once the present operation is taken back.
			if _, err := r.kinds.operation(w, CancelOperation, packed); err != nil {
				return nil, err
			}
		}
		return workflow.Cancel{By: by, Args: packed}, nil
	})
	if s := w.GetState(); s == workflowv1.State_STATE_CANCELLED || s == workflowv1.State_STATE_FAILED {
		return w, nil
	}
	return w, err
}

// change applies a person's event and sees to it that somebody acts on it.
func (r *Runner) change(ctx context.Context, id string, event func(*workflowv1.Workflow) (workflow.Event, error)) (*workflowv1.Workflow, error) {
	w, err := r.journal.change(ctx, id, event)
	if err == nil && workflow.Next(w).What != workflow.Nothing {
		r.spawn(id)
	}
	return w, err
}

// NewID makes an id for a workflow that nobody names: the keyspace, a word, and the time, such as
// shop.dead-primary-20261121T150405-123456.
func NewID(keyspace, word string, now time.Time) string {
	now = now.UTC()
	return fmt.Sprintf("%s.%s-%s-%06d", keyspace, word, now.Format("20060102T150405"), now.Nanosecond()/1000)
}
