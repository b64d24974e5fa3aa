// Package workflowtest kills control nodes: given a kind of workflow and a world, it lets the node die at every point of an operation,
// forwards and on the way back, lets another take over, and checks that in the end everything has happened or nothing has. The
// points follow from the list of steps, so a new step is tested by itself.
//
// It knows nothing of what the steps do: the world is compared by a text that describes it. It is for tests only.
package workflowtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/workflow"
	"github.com/pelorusdb/pelorus/internal/workflow/run"
)

// Trial is one fresh world with an operation to be performed in it.
type Trial struct {
	Topo *topo.Topo
	// Kind makes the kind as a node has it: nothing but the world and the topology may outlive a node.
	Kind func() run.Kind
	// Start begins the operation through a runner and returns the workflow's id.
	Start func(ctx context.Context, r *run.Runner) (id string, err error)
	// DryRun walks the same operation without doing anything; nil if that is not to be tested.
	DryRun func(ctx context.Context, r *run.Runner) error
	// State describes all of the world that the operation might change; equal texts mean equal worlds.
	State func(t *testing.T) string
	// AfterCancel is the state after a cancel, for an operation that is not the workflow's first; empty is that before Start.
	AfterCancel string
}

// Options limit a sweep where a trial costs much.
type Options struct {
	// Every lets only each so-many-th point be tried; all if zero.
	Every int
	// Random is how many trials several nodes die in, at random points, while a step fails or a person cancels; 50 if zero.
	Random int
	// Patience bounds one trial; 30 s if zero.
	Patience time.Duration
}

const (
	defaultPatience = 30 * time.Second
	// lookEvery is how often a node looks for what the dead one left.
	lookEvery     = 5 * time.Millisecond
	defaultRandom = 50
	// maxDeaths is how many nodes die in a random trial; one more node is enough then.
	maxDeaths = 3
)

// Sweep tries the operation of open's trials in every way it knows. Each way is a subtest.
func Sweep(t *testing.T, opts Options, open func(t *testing.T) Trial) {
	s := &sweep{opts: opts, open: open}
	if s.opts.Every == 0 {
		s.opts.Every = 1
	}
	if s.opts.Random == 0 {
		s.opts.Random = defaultRandom
	}
	if s.opts.Patience == 0 {
		s.opts.Patience = defaultPatience
	}
	t.Run("dry run", s.dryRun)
	var straight outcome
	t.Run("straight", func(t *testing.T) { straight = s.straight(t) })
	if straight.record == nil {
		return
	}
	t.Run("dies", func(t *testing.T) { s.dies(t, wish{}, straight, straight) })
	returned := false
	for _, step := range straight.record.GetOperation().GetSteps() {
		returned = returned || step.NoReturn != nil || straight.record.GetOperation().GetCancels()
		name := step.GetName()
		t.Run("fails at "+name, func(t *testing.T) { s.fails(t, name, returned, straight) })
		t.Run("cancelled at "+name, func(t *testing.T) { s.cancelled(t, name, straight) })
	}
	t.Run("random", func(t *testing.T) { s.random(t, straight) })
}

type sweep struct {
	opts Options
	open func(t *testing.T) Trial
	// operation is the name of the one that is tried.
	operation string
}

// wish is what is to go wrong in a trial.
type wish struct {
	// dieAt are the numbers of the points at which the first nodes die, each counted from the node's beginning, from 1.
	dieAt []int
	// failAt names a step whose Do fails until that is recorded: after it has happened, or before. Hopeless failures never heal.
	failAt          string
	after, hopeless bool
	// cancelAt names a step before which a person cancels.
	cancelAt string
}

// outcome is what came of a trial.
type outcome struct {
	record        *recordView
	points        []run.Point
	before, after string
	afterCancel   string
	cancelErr     error
}

// ending is what must be the same whoever died.
func (o outcome) ending() string {
	return fmt.Sprint(o.record.GetState(), o.record.GetStage(), o.record.GetOperation().GetName(), o.record.GetOperation().GetBack(), o.after)
}

func (s *sweep) dryRun(t *testing.T) {
	trial := s.open(t)
	if trial.DryRun == nil {
		return
	}
	r := s.runner(t, trial, trial.Kind(), "dry", nil)
	before := trial.State(t)
	ctx, cancel := context.WithTimeout(t.Context(), s.opts.Patience)
	defer cancel()
	if err := trial.DryRun(ctx, r); err != nil {
		t.Errorf("the dry run was refused: %v", err)
	}
	if after := trial.State(t); after != before {
		t.Errorf("the dry run changed the world:\nfrom %s\nto   %s", before, after)
	}
}

func (s *sweep) straight(t *testing.T) outcome {
	out := s.try(t, wish{})
	s.operation = out.record.GetOperation().GetName()
	if !s.done(out) {
		t.Fatalf("without any fault it ended %s", out.record)
	}
	t.Logf("%d steps, %d points", len(out.record.GetOperation().GetSteps()), len(out.points))
	return out
}

// dies lets the node die at each point of a trial; it must end as without the death. Where the node dies before it has recorded
// that a step failed, the next one may find the step done: then it must end as the straight trial did.
func (s *sweep) dies(t *testing.T, w wish, like, straight outcome) {
	for at := 1; at <= len(like.points); at += s.opts.Every {
		w.dieAt = []int{at}
		out := s.try(t, w)
		if out.ending() != like.ending() && out.ending() != straight.ending() {
			t.Errorf("died at %s: it ended %s\nin   %s\nbut without the death %s\nin   %s", words(like.points[at-1]), out.record, out.after, like.record, like.after)
		}
	}
}

// fails lets the step fail, and the node die at each point of the way back.
func (s *sweep) fails(t *testing.T, step string, returned bool, straight outcome) {
	for _, w := range []wish{{failAt: step, hopeless: true}, {failAt: step, hopeless: true, after: true}} {
		out := s.try(t, w)
		s.wantAllOrNothing(t, fmt.Sprintf("%s failed (after it had happened: %v)", step, w.after), out, straight)
		if returned && w.after && !s.done(out) {
			t.Errorf("%s cannot be taken back, and the workflow ended %s", step, out.record)
		}
		if w.after {
			s.dies(t, w, out, straight)
		}
	}
}

// cancelled lets a person cancel just before the step.
func (s *sweep) cancelled(t *testing.T, step string, straight outcome) {
	out := s.try(t, wish{cancelAt: step})
	switch {
	case out.cancelErr != nil && !errcode.Has(out.cancelErr, errcode.WorkflowNoReturn):
		t.Errorf("the cancel was refused without a way out: %v", out.cancelErr)
	case out.cancelErr != nil:
		if !s.done(out) || out.after != straight.after {
			t.Errorf("the cancel was refused, and it ended %s in %s", out.record, out.after)
		}
	default:
		s.wantAllOrNothing(t, "cancelled at "+step, out, straight)
	}
}

// done says whether the operation's steps have all happened.
func (s *sweep) done(out outcome) bool {
	op := out.record.GetOperation()
	return op.GetName() == s.operation && op.GetEndedAt() != nil && !op.GetBack()
}

// random lets several things go wrong in one trial. The seed of a trial is its number.
func (s *sweep) random(t *testing.T, straight outcome) {
	steps := straight.record.GetOperation().GetSteps()
	for seed := range s.opts.Random {
		rnd := rand.New(rand.NewPCG(uint64(seed), 0))
		w := wish{hopeless: rnd.IntN(4) > 0, after: rnd.IntN(2) == 0}
		for range 1 + rnd.IntN(maxDeaths) {
			w.dieAt = append(w.dieAt, 1+rnd.IntN(len(straight.points)))
		}
		if rnd.IntN(2) == 0 {
			w.failAt = steps[rnd.IntN(len(steps))].GetName()
		}
		if rnd.IntN(3) == 0 {
			w.cancelAt = steps[rnd.IntN(len(steps))].GetName()
		}
		s.wantAllOrNothing(t, fmt.Sprintf("seed %d, %+v", seed, w), s.try(t, w), straight)
	}
}

func (s *sweep) wantAllOrNothing(t *testing.T, what string, out, straight outcome) {
	t.Helper()
	want := straight.after
	if !s.done(out) {
		want = out.before
	}
	if out.record.GetState() == workflowv1.State_STATE_CANCELLED && out.afterCancel != "" && !s.done(out) {
		want = out.afterCancel
	}
	if out.after != want {
		t.Errorf("%s: it ended %s\nin   %s\nwant %s", what, out.record, out.after, want)
	}
}

// try performs one trial in a fresh world.
func (s *sweep) try(t *testing.T, w wish) outcome {
	t.Helper()
	trial := s.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), s.opts.Patience)
	defer cancel()
	p := &play{t: t, sweep: s, trial: trial, wish: w, out: outcome{before: trial.State(t), afterCancel: trial.AfterCancel}}
	for n := 1; p.out.record == nil; n++ {
		if n > len(w.dieAt)+1 {
			t.Fatalf("%+v: %d nodes did not bring it to an end", w, n-1)
		}
		p.node(ctx, n)
	}
	p.out.after = trial.State(t)
	return p.out
}

func (s *sweep) runner(t *testing.T, trial Trial, kind run.Kind, name string, seam run.Seam) *run.Runner {
	t.Helper()
	r, err := run.New(run.Config{
		Topo: trial.Topo, Owner: name, Kinds: []run.Kind{kind}, LookEvery: lookEvery, Seam: seam,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func words(p run.Point) string {
	direction := "forwards"
	if p.Back {
		direction = "on the way back"
	}
	return fmt.Sprintf("%s %q %s %s", p.At, p.Step, p.Name, direction)
}

// recordView is a workflow's last record.
type recordView struct{ *workflowv1.Workflow }

// String is the record in short.
func (r *recordView) String() string {
	op := r.GetOperation()
	return fmt.Sprintf("%s at %q, operation %s, back %v (%s)", workflow.StateWord(r.GetState()), r.GetStage(), op.GetName(), op.GetBack(), op.GetError())
}

var errInjected = errors.New("a fault of the test")
