package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/obs"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/workflow"
)

// Events that an operator can find later.
const (
	eventBegun  obs.EventName = "workflow_begun"
	eventTaken  obs.EventName = "workflow_taken_over"
	eventStep   obs.EventName = "workflow_step"
	eventEnded  obs.EventName = "workflow_operation_ended"
	eventPaused obs.EventName = "workflow_paused"
	eventWaits  obs.EventName = "workflow_waits_for_a_person"
)

// doneTimeout bounds finding out whether a step of no return that failed has happened.
const doneTimeout = 5 * time.Second

// errStopped ends a step's context because a person wants something else.
var errStopped = errors.New("the workflow was paused or cancelled")

// driver works on one operation of one workflow while it holds the operation's locks.
type driver struct {
	r       *Runner
	op      Operation
	at      topo.WorkflowEntry
	held    []topo.Cmp
	token   int64
	changes <-chan topo.WorkflowEntry
	seam    seam
	log     *slog.Logger
}

// drive works on a workflow until there is nothing to do, its locks are lost, or ctx ends.
func (r *Runner) drive(ctx context.Context, id string) {
	log := r.cfg.Log.With("workflow", id)
	w, rev, err := r.cfg.Topo.Workflow(ctx, id)
	if err == nil && workflow.Next(w).What == workflow.ToCancel {
		w, err = r.startCancel(ctx, id)
		if err == nil {
			w, rev, err = r.cfg.Topo.Workflow(ctx, id)
		}
	}
	switch {
	case errors.Is(err, topo.ErrNotFound), err == nil && workflow.Next(w).What == workflow.Nothing:
		return
	case err == nil:
		err = r.driveOperation(ctx, topo.WorkflowEntry{Record: w, Revision: rev}, log)
	}
	if errors.Is(err, workflow.ErrSuperseded) || errors.Is(err, context.DeadlineExceeded) {
		return // another works on it, or holds one of its locks
	}
	if err != nil && ctx.Err() == nil {
		log.LogAttrs(ctx, slog.LevelWarn, "the work on a workflow was broken off; whoever looks next goes on", obs.Err(err))
	}
}

// startCancel begins the operation that takes back those that have ended, as was promised when the cancel was accepted.
func (r *Runner) startCancel(ctx context.Context, id string) (*workflowv1.Workflow, error) {
	return r.journal.change(ctx, id, func(w *workflowv1.Workflow) (workflow.Event, error) {
		if workflow.Next(w).What != workflow.ToCancel {
			return nil, fmt.Errorf("its cancel has been begun by another: %w", workflow.ErrSuperseded)
		}
		return r.start(w, CancelOperation, w.GetCancelling().GetArgs(), w.GetCancelling().GetBy(), 0)
	})
}

func (r *Runner) driveOperation(ctx context.Context, at topo.WorkflowEntry, log *slog.Logger) error {
	op, err := r.kinds.present(at.Record)
	if err != nil {
		return err
	}
	held, locks, unlock, err := r.lock(ctx, op)
	if err != nil {
		return err
	}
	defer unlock()
	held, cancel := context.WithCancel(held)
	defer cancel()
	changes := r.cfg.Topo.WatchWorkflow(held, at.Record.GetId())
	d := &driver{r: r, op: op, at: at, log: log, changes: changes}
	d.seam = seam{fn: r.cfg.Seam, id: at.Record.GetId()}
	for _, l := range locks {
		d.held = append(d.held, l.Cmp())
		// With several locks the newest counts: it was taken after all that an earlier owner had.
		d.token = max(d.token, l.Token())
	}
	err = d.work(held)
	cancel()
	for range changes { // until the watch has ended
	}
	return err
}

// lock takes an operation's locks in order, so that no two wait for each other. The context ends when one of them is lost.
func (r *Runner) lock(ctx context.Context, op Operation) (context.Context, []*topo.Lock, func(), error) {
	ttl := op.LockTTL
	if ttl == 0 {
		ttl = r.cfg.LockTTL
	}
	wait, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	held := ctx
	var locks []*topo.Lock
	var undo []func()
	unlock := func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	for _, name := range op.Locks {
		l, err := r.cfg.Topo.Lock(wait, name, r.cfg.Owner, ttl)
		if err != nil {
			unlock()
			return nil, nil, nil, err
		}
		inner, done := l.Context(held)
		held, locks, undo = inner, append(locks, l), append(undo, l.Unlock, done)
	}
	return held, locks, unlock, nil
}

// work does what Next says until there is nothing more to do in this operation.
func (d *driver) work(ctx context.Context) error {
	// While the locks were waited for another operation may have begun; that one has other steps and locks.
	number := d.at.Record.GetOperation().GetNumber()
	ev := workflow.TakeOver{Owner: d.r.cfg.Owner, Token: d.token}
	before := d.at.Record.GetOwner().GetName()
	if err := d.write(ctx, ev); err != nil {
		if errors.Is(err, workflow.ErrSuperseded) {
			return nil // over, paused, or another's by now
		}
		return err
	}
	if before != "" {
		obs.Event(ctx, d.log, eventTaken, slog.String("from", before), slog.String("state", workflow.StateWord(d.at.Record.GetState())))
	}
	for ctx.Err() == nil {
		next := workflow.Next(d.at.Record)
		if d.at.Record.GetOperation().GetNumber() != number || next.What != workflow.ToBegin && next.What != workflow.ToPerform {
			d.rests(ctx)
			return nil
		}
		var err error
		if next.What == workflow.ToBegin {
			err = d.begin(ctx, next.At)
		} else {
			err = d.perform(ctx, next.Run)
		}
		if errors.Is(err, workflow.ErrSuperseded) {
			err = d.refresh(ctx)
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// refresh reads the record again after a person has changed it, and makes sure that it is still this owner's.
func (d *driver) refresh(ctx context.Context) error {
	w, rev, err := d.r.cfg.Topo.Workflow(ctx, d.at.Record.GetId())
	if errors.Is(err, topo.ErrNotFound) {
		w, err = d.r.journal.ended(ctx, d.at.Record)
	}
	if err != nil {
		return err
	}
	if w.GetOwner().GetToken() != d.token {
		return errLost
	}
	d.at = topo.WorkflowEntry{Record: w, Revision: rev}
	return nil
}

// begin waits until the next step may be begun, or something else is wanted, and records its beginning.
func (d *driver) begin(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(max(0, time.Until(at)))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return d.write(ctx, workflow.Begin{Token: d.token})
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, ok := <-d.changes:
			if !ok {
				d.changes = nil
			} else if d.newer(e) {
				return nil
			}
		}
	}
}

// newer takes a record that somebody else has written.
func (d *driver) newer(e topo.WorkflowEntry) bool {
	if e.Record == nil || e.Revision <= d.at.Revision {
		return false
	}
	d.at = e
	return true
}

// perform lets a step's code run and records what came of it.
func (d *driver) perform(ctx context.Context, run workflow.Run) error {
	step := d.op.Steps[run.Step]
	work := newWork(d.at.Record)
	work.fence = d.held
	work.point = func(name string) error {
		return d.seam.at(Point{At: Inside, Name: name, Step: step.Name, Back: run.Back})
	}
	at := d.at // the driver's own may change while the step saves; a write finds the newest record by itself
	work.save = func(ctx context.Context, facts workflow.Facts) error {
		_, err := d.r.journal.write(ctx, at, func(*workflowv1.Workflow) (workflow.Event, error) {
			return workflow.Checkpoint{Run: run, Facts: facts}, nil
		}, d.held...)
		return err
	}
	if err := d.seam.at(Point{At: BeforeDo, Step: step.Name, Back: run.Back}); err != nil {
		return err
	}
	bounded, cancel := d.bound(ctx, step, run)
	defer cancel()
	stoppable, stop := context.WithCancelCause(bounded)
	defer stop(nil)
	began := time.Now()
	result := make(chan workflow.Outcome, 1)
	go func() { result <- d.attempt(stoppable, ctx, step, run, work) }()
	out := d.await(result, run, stop)
	out.Took = time.Since(began)
	work.learnt(&out)
	if err := d.seam.at(Point{At: AfterDo, Step: step.Name, Back: run.Back}); err != nil {
		return err
	}
	if out.Err != "" && ctx.Err() != nil {
		return context.Cause(ctx) // the failure is that of the locks or of this node, not of the step
	}
	d.told(ctx, step, out)
	if out.Err != "" && context.Cause(stoppable) == errStopped {
		if len(out.Facts) == 0 {
			return nil
		}
		return d.write(ctx, workflow.Checkpoint{Run: run, Facts: out.Facts})
	}
	return d.write(ctx, out)
}

// bound gives a step its time: its own, and what is left of the operation's while that can still be taken back.
func (d *driver) bound(ctx context.Context, step Step, run workflow.Run) (context.Context, context.CancelFunc) {
	var ends []time.Time
	if step.Timeout > 0 {
		ends = append(ends, time.Now().Add(step.Timeout))
	}
	op := d.at.Record.GetOperation()
	if _, _, past := workflow.PastReturn(d.at.Record); !past && !run.Back && op.GetGiveUpAt() != nil {
		ends = append(ends, op.GetGiveUpAt().AsTime())
	}
	cancels := make([]context.CancelFunc, len(ends))
	for i, end := range ends {
		ctx, cancels[i] = context.WithDeadline(ctx, end)
	}
	return ctx, func() {
		for _, cancel := range cancels {
			cancel()
		}
	}
}

// await waits for a step's outcome. When the record comes to want something else the step is told to stop.
func (d *driver) await(result <-chan workflow.Outcome, run workflow.Run, stop context.CancelCauseFunc) workflow.Outcome {
	for {
		select {
		case out := <-result:
			return out
		case e, ok := <-d.changes:
			if !ok {
				d.changes = nil
			} else if d.newer(e) {
				if next := workflow.Next(e.Record); next.What != workflow.ToPerform || next.Run != run {
					stop(errStopped)
				}
			}
		}
	}
}

// attempt calls a step's code. A panic is an error that never heals: the next node would fall over it too.
func (d *driver) attempt(ctx, locked context.Context, step Step, run workflow.Run, work *Work) (out workflow.Outcome) {
	out.Run = run
	err := d.call(ctx, step, run, work)
	if err == nil {
		return out
	}
	out.Err, out.Class = err.Error(), classOf(err)
	if !run.Back && step.NoReturn != "" && locked.Err() == nil {
		look, cancel := context.WithTimeout(locked, doneTimeout)
		defer cancel()
		out.Happened = d.done(look, step, work)
	}
	return out
}

func (d *driver) call(ctx context.Context, step Step, run workflow.Run, work *Work) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicError(p)
			d.log.Error("a workflow's step panicked", "step", step.Name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	switch {
	case run.Back && step.Undo == nil:
		return nil
	case run.Back:
		return step.Undo(ctx, work)
	case run.Attempt > 1 && d.done(ctx, step, work).IsTrue():
		return nil
	}
	return step.Do(ctx, work)
}

// done asks the world whether a step has been done.
func (d *driver) done(ctx context.Context, step Step, work *Work) (is fact.Truth) {
	if step.Done == nil {
		return fact.Unknown
	}
	defer func() {
		if p := recover(); p != nil {
			is = fact.Unknown
			d.log.Error("the check of a workflow's step panicked", "step", step.Name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return step.Done(ctx, work)
}

func panicError(p any) error {
	return NeverHeals(fmt.Errorf("a fault of Pelorus: %v: %w", p, errcode.New(errcode.InternalFault, "a step panicked")))
}

// write records an event, and dies before or after it if a test wants that.
func (d *driver) write(ctx context.Context, ev workflow.Event) error {
	op := d.at.Record.GetOperation()
	point := Point{At: BeforeWrite, Back: op.GetBack(), Name: fmt.Sprintf("%T", ev)}
	if next := workflow.Next(d.at.Record); next.What == workflow.ToPerform {
		point.Step = d.op.Steps[next.Run.Step].Name
	}
	if err := d.seam.at(point); err != nil {
		return err
	}
	at, err := d.r.journal.write(ctx, d.at, func(*workflowv1.Workflow) (workflow.Event, error) { return ev, nil }, d.held...)
	var refused *errcode.Error
	if out, ok := ev.(workflow.Outcome); ok && errors.As(err, &refused) && refused.Code() == errcode.WorkflowInvalid {
		// What the step leaves does not fit into the record. That it failed does.
		out.Err, out.Class, out.Facts, out.Parts = err.Error(), workflowv1.ErrorClass_ERROR_CLASS_NEVER_HEALS, nil, nil
		at, err = d.r.journal.write(ctx, d.at, func(*workflowv1.Workflow) (workflow.Event, error) { return out, nil }, d.held...)
	}
	if err != nil {
		return err
	}
	d.at = at
	point.At = AfterWrite
	return d.seam.at(point)
}

// told writes a step's outcome to the log.
func (d *driver) told(ctx context.Context, step Step, out workflow.Outcome) {
	attrs := []slog.Attr{slog.String("step", step.Name), slog.Bool("back", out.Run.Back), slog.Int("attempt", int(out.Run.Attempt)), slog.Duration("took", out.Took)}
	if out.Err == "" {
		obs.Event(ctx, d.log, eventStep, attrs...)
		return
	}
	obs.Warn(ctx, d.log, eventStep, append(attrs, slog.String("error", out.Err))...)
}

// rests writes to the log why nothing more is done here.
func (d *driver) rests(ctx context.Context) {
	w := d.at.Record
	attrs := []slog.Attr{slog.String("kind", w.GetKind()), slog.String("operation", w.GetOperation().GetName())}
	switch w.GetState() {
	case workflowv1.State_STATE_PAUSED:
		obs.Event(ctx, d.log, eventPaused, attrs...)
	case workflowv1.State_STATE_WAITING:
		obs.Warn(ctx, d.log, eventWaits, append(attrs, slog.String("for", w.GetWaitingFor()))...)
	default:
		obs.Event(ctx, d.log, eventEnded, append(attrs, slog.String("state", workflow.StateWord(w.GetState())),
			slog.String("stage", w.GetStage()), slog.String("error", w.GetOperation().GetError()))...)
	}
	if workflow.Next(w).What != workflow.Nothing {
		d.r.spawn(w.GetId()) // the next operation has locks of its own
	}
}
