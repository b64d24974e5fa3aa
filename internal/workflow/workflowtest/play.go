package workflowtest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/workflow"
	"github.com/pelorusdb/pelorus/internal/workflow/run"

	"google.golang.org/protobuf/types/known/anypb"
)

// play is one trial under way.
type play struct {
	t     *testing.T
	sweep *sweep
	trial Trial
	wish  wish
	id    string
	out   outcome

	mu     sync.Mutex
	hurt   bool // the fault has been injected
	failed bool // and the failure is recorded: the fault is over
	asked  bool // the cancel has been asked for
	runner *run.Runner
	passed int // points that the present node has come by
}

// node lets one node work until the workflow comes to rest or the node dies.
func (p *play) node(ctx context.Context, n int) {
	p.t.Helper()
	dead := make(chan struct{})
	// A person goes on wanting things when the node is gone: ctx is the trial's.
	person := ctx
	seam := func(point run.Point) error { return p.point(person, n, dead, point) }
	ctx, cancel := context.WithCancel(ctx)
	r := p.sweep.runner(p.t, p.trial, &spy{Kind: p.trial.Kind(), play: p}, fmt.Sprint("node", n), seam)
	p.mu.Lock()
	p.runner, p.passed = r, 0
	p.mu.Unlock()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.Run(ctx)
	}()
	defer func() {
		cancel()
		<-stopped
	}()
	if p.id == "" {
		id, err := p.trial.Start(ctx, r)
		if err != nil {
			p.t.Fatalf("%+v: the operation was refused: %v", p.wish, err)
		}
		p.id = id
	}
	watch, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-dead:
			stop()
		case <-watch.Done():
		}
	}()
	resumed := false
	w, err := r.Journal().Follow(watch, p.id, func(w *workflowv1.Workflow) bool {
		if w.GetState() != workflowv1.State_STATE_WAITING || resumed {
			return workflow.Next(w).What == workflow.Nothing
		}
		resumed = true // a person cures the cause, which was there once only, and resumes
		if _, err := r.Resume(ctx, p.id); err != nil {
			p.t.Errorf("resume: %v", err)
		}
		return false
	})
	switch {
	case err == nil:
		p.out.record = &recordView{w}
	case !p.isDead(dead):
		p.t.Fatalf("%+v: it did not come to an end: %v; the last record is %v", p.wish, err, w)
	}
}

func (p *play) isDead(dead <-chan struct{}) bool {
	select {
	case <-dead:
		return true
	default:
		return false
	}
}

// point is the seam: it counts, cancels where that is wished, and says when the first node dies. Once dead a node stays dead.
func (p *play) point(ctx context.Context, n int, dead chan struct{}, point run.Point) error {
	if p.isDead(dead) {
		return run.ErrDied
	}
	p.mu.Lock()
	ask := point.At == run.BeforeDo && point.Step == p.wish.cancelAt && !point.Back && !p.asked
	p.asked = p.asked || ask
	p.failed = p.failed || p.hurt && point.At == run.AfterWrite && point.Name == "workflow.Outcome"
	r, id := p.runner, point.Workflow
	if n == 1 {
		p.out.points = append(p.out.points, point)
	}
	p.passed++
	die := n <= len(p.wish.dieAt) && p.wish.dieAt[n-1] == p.passed
	p.mu.Unlock()
	if ask {
		for range 2 { // the second time nothing is left to be done
			_, p.out.cancelErr = r.Cancel(ctx, id, nil, "a person")
		}
	}
	if die {
		close(dead)
		return run.ErrDied
	}
	return nil
}

// fault says whether this performance of a step is to fail, before it happens or after.
func (p *play) fault(step string, after bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed || step != p.wish.failAt || after != p.wish.after {
		return nil
	}
	p.hurt = true
	if p.wish.hopeless {
		return run.NeverHeals(errInjected)
	}
	return errInjected
}

// spy is a kind whose steps are watched: what a step reports must be what its own check finds in the world.
type spy struct {
	run.Kind
	play *play
}

// Operation implements run.Kind.
func (s *spy) Operation(w *workflowv1.Workflow, name string, args *anypb.Any) (run.Operation, error) {
	op, err := s.Kind.Operation(w, name, args)
	if err != nil {
		return op, err
	}
	steps := make([]run.Step, len(op.Steps))
	for i, step := range op.Steps {
		steps[i] = step
		steps[i].Do = s.do(step)
		if step.Undo != nil {
			steps[i].Undo = s.undo(step)
		}
	}
	op.Steps = steps
	return op, nil
}

func (s *spy) do(step run.Step) func(context.Context, *run.Work) error {
	return func(ctx context.Context, w *run.Work) error {
		if w.Dry() {
			return step.Do(ctx, w)
		}
		if err := s.play.fault(step.Name, false); err != nil {
			return err
		}
		if err := step.Do(ctx, w); err != nil {
			return err
		}
		if step.Done != nil && step.Done(ctx, w) == fact.False {
			s.play.t.Errorf("step %q says that it is done, and its check says that it is not", step.Name)
		}
		return s.play.fault(step.Name, true)
	}
}

func (s *spy) undo(step run.Step) func(context.Context, *run.Work) error {
	return func(ctx context.Context, w *run.Work) error {
		if err := step.Undo(ctx, w); err != nil {
			return err
		}
		if step.Done != nil && step.Done(ctx, w) == fact.True {
			s.play.t.Errorf("step %q says that it is taken back, and its check says that it stands", step.Name)
		}
		return nil
	}
}
