package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/workflow"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Work is what a step's code gets: what is known, a place for what it finds out, and the means to act. It is safe for concurrent
// use until the step's code returns.
type Work struct {
	// what stood in the record when the step was begun
	record *workflowv1.Workflow
	fence  []topo.Cmp
	dry    bool
	point  func(name string) error
	save   func(ctx context.Context, facts workflow.Facts) error

	mu    sync.Mutex
	facts workflow.Facts // those of the record with those that were set
	set   workflow.Facts
	parts []*workflowv1.Part
	why   *workflowv1.Evidence
}

func newWork(record *workflowv1.Workflow) *Work {
	facts := make(workflow.Facts, len(record.GetFacts()))
	maps.Copy(facts, record.GetFacts())
	return &Work{record: record, facts: facts, set: workflow.Facts{}, point: func(string) error { return nil }}
}

// ID is the workflow's.
func (w *Work) ID() string { return w.record.GetId() }

// Spec reads what was asked for into m.
func (w *Work) Spec(m proto.Message) error {
	if err := w.record.GetSpec().UnmarshalTo(m); err != nil {
		return NeverHeals(fmt.Errorf("workflow %s: its spec cannot be read: %w", w.ID(), err))
	}
	return nil
}

// Args reads the operation's arguments into m; without any it leaves m as it is.
func (w *Work) Args(m proto.Message) error {
	args := w.record.GetOperation().GetArgs()
	if args == nil {
		return nil
	}
	if err := args.UnmarshalTo(m); err != nil {
		return NeverHeals(fmt.Errorf("workflow %s: the arguments of %s cannot be read: %w", w.ID(), w.record.GetOperation().GetName(), err))
	}
	return nil
}

// Facts returns what earlier steps and this one have left; the map belongs to the caller, its values do not.
func (w *Work) Facts() workflow.Facts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.facts)
}

// Set leaves a fact for later steps, and for Undo. It is recorded when the step has ended or been stopped, but lost if this node dies
// before that: what Undo can't do without belongs into a step before, or wants Save. Nil takes a fact away. The error says that it is
// too long; it never heals.
func (w *Work) Set(name string, v *workflowv1.Value) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := workflow.CheckFacts(w.facts, workflow.Facts{name: v}); err != nil {
		return NeverHeals(fmt.Errorf("the fact %q: %w", name, err))
	}
	w.set[name] = v
	if w.facts[name] = v; v == nil {
		delete(w.facts, name)
	}
	return nil
}

// Save records the facts that were set so far, so that they outlive this node. It costs a write of the topology.
func (w *Work) Save(ctx context.Context) error {
	w.mu.Lock()
	set := maps.Clone(w.set)
	w.mu.Unlock()
	if w.dry || len(set) == 0 {
		return nil
	}
	return w.save(ctx, set)
}

// Dry says that nothing may be changed: the steps are only listed. Act and Each heed it by themselves.
func (w *Work) Dry() bool { return w.dry }

// Fence are comparisons that hold only while this node may act. A step adds them to its own transactions on the topology.
func (w *Work) Fence() []topo.Cmp { return append([]topo.Cmp(nil), w.fence...) }

// Point names a place in the step's code at which tests may let the node die; the error must then be returned at once. In
// production it is nil.
func (w *Work) Point(name string) error { return w.point(name) }

// Note writes down something about a target that needs no action.
func (w *Work) Note(target, detail string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parts = append(w.parts, &workflowv1.Part{Target: &target, Detail: &detail})
}

// Explain replaces the evidence by which the workflow was begun, once a step knows more: what was decided now, what was unknown, and
// why not otherwise. It is recorded when the step has ended, also when it failed. What there is no room for is left out.
func (w *Work) Explain(e *workflowv1.Evidence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.why = proto.Clone(e).(*workflowv1.Evidence)
}

// Act does one thing that changes the world, and writes down what came of it. A dry run only writes it down. The error of fn comes
// back with the target's name.
func (w *Work) Act(ctx context.Context, target, detail string, fn func(ctx context.Context) error) error {
	part := &workflowv1.Part{Target: &target, Detail: &detail}
	w.mu.Lock()
	w.parts = append(w.parts, part)
	w.mu.Unlock()
	if w.dry {
		return nil
	}
	began := time.Now()
	err := fn(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	part.Took = durationpb.New(time.Since(began))
	if err != nil {
		part.Error = proto.String(err.Error())
		return fmt.Errorf("%s: %w", target, err)
	}
	return nil
}

// Enough says when an action on several targets has been done well enough.
type Enough struct {
	// Count is how many targets must succeed; zero is all.
	Count int
	// Grace is how long the others get after that before their contexts end.
	Grace time.Duration
}

// Each acts on all targets at the same time and returns when all have ended. It fails if fewer have succeeded than are enough. One
// slow target holds nobody up for longer than Enough.Grace, if its fn heeds its context.
func (w *Work) Each(ctx context.Context, targets []string, enough Enough, detail string, fn func(ctx context.Context, target string) error) error {
	need := enough.Count
	if need <= 0 {
		need = len(targets)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error, len(targets))
	for _, target := range targets {
		go func() {
			// A panic here would end the node, and then the one that takes over.
			defer func() {
				if p := recover(); p != nil {
					results <- panicError(p)
				}
			}()
			results <- w.Act(ctx, target, detail, func(ctx context.Context) error { return fn(ctx, target) })
		}()
	}
	var grace <-chan time.Time
	var errs []error
	for done, well := 0, 0; done < len(targets); {
		select {
		case err := <-results:
			if done++; err != nil {
				errs = append(errs, err)
			} else if well++; well == need && done < len(targets) {
				timer := time.NewTimer(enough.Grace)
				defer timer.Stop()
				grace = timer.C
			}
		case <-grace:
			cancel()
		}
	}
	if well := len(targets) - len(errs); well < need {
		return fmt.Errorf("%d of %d succeeded, and %d are needed: %w", well, len(targets), need, errors.Join(errs...))
	}
	return nil
}

// learnt puts into an outcome what was set, what was done to single targets, and why. Goroutines that the step's code left behind
// change nothing of that any more.
func (w *Work) learnt(out *workflow.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out.Facts, out.Evidence = maps.Clone(w.set), w.why
	out.Parts = make([]*workflowv1.Part, len(w.parts))
	for i, p := range w.parts {
		out.Parts[i] = proto.Clone(p).(*workflowv1.Part)
	}
}
