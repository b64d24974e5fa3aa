// Package run performs workflows: it keeps their records in the topology (Journal), calls the code of their steps (Runner), takes
// over what a dead control node left in the middle, and answers people who want to see, pause, resume or cancel one.
//
// What follows from an event is decided by package workflow; what a step means is known by its Kind alone. Nothing here touches a
// server, and no step is performed that is not recorded as begun by the holder of the operation's locks.
package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/workflow"

	"google.golang.org/protobuf/types/known/anypb"
)

const (
	// FirstOperation is what a workflow begins with unless its request says otherwise; CancelOperation is what takes back the
	// operations that have ended, in a kind that has more than one.
	FirstOperation  = "run"
	CancelOperation = "cancel"
	// maxLocks leaves room in a transaction of 100 comparisons for the record's own.
	maxLocks = 90
)

// Kind knows the operations of one sort of workflow.
type Kind interface {
	// Name stands in the records and never changes.
	Name() string
	// Operation returns an operation of the workflow, or refuses it with an error for the person who asked. It is called when the
	// operation is asked for and again by each node that takes over. So it does no I/O, and the names of the steps depend only on
	// the spec, the arguments, the stage, and facts of earlier operations.
	Operation(w *workflowv1.Workflow, name string, args *anypb.Any) (Operation, error)
}

// Operation is an ordered list of steps that is done, or taken back, as a whole.
type Operation struct {
	Steps []Step
	// Then, Cancels and WayOut are those of workflow.Operation.
	Then    string
	Cancels bool
	WayOut  string
	// Locks are held while the operation is under way, and every record that its owner writes depends on them. The lock
	// "workflows/ID" if empty. They are given back when it ends, is paused or waits for a person.
	Locks []string
	// LockTTL is how long another node waits after the owner died; the runner's if zero.
	LockTTL time.Duration
	// Limit is the time after which the operation is taken back, unless the request gives another; zero is none.
	Limit time.Duration
}

// Step is a step with its code. The functions get a context that ends with the locks, with the time that the step has, and
// when a person wants something else; they must return soon after that. Each may be called again after it was broken off at
// any instruction, by this node or another.
type Step struct {
	workflow.Step
	// Timeout bounds one attempt; zero is no bound but those above.
	Timeout time.Duration
	// Do makes it so. It first reads whatever must hold for it, and returns nil only if it has seen that it is so.
	Do func(ctx context.Context, w *Work) error
	// Undo puts back what was there before Do, also if Do did only a part of it, or nothing.
	Undo func(ctx context.Context, w *Work) error
	// Done reads from the world whether the step has been done completely. Unknown if it cannot tell. It may be nil, but for a
	// step of no return; then Do is called again after a take-over. With True it has set the facts that Do would have set.
	Done func(ctx context.Context, w *Work) fact.Truth
}

// NeverHeals marks an error that trying again cannot cure.
func NeverHeals(err error) error { return &neverHeals{err} }

type neverHeals struct{ error }

func (e *neverHeals) Unwrap() error { return e.error }

// classOf says whether trying again may help. What nobody has marked may heal.
func classOf(err error) workflowv1.ErrorClass {
	var never *neverHeals
	if errors.As(err, &never) {
		return workflowv1.ErrorClass_ERROR_CLASS_NEVER_HEALS
	}
	return workflowv1.ErrorClass_ERROR_CLASS_MAY_HEAL
}

// kinds are the kinds of a runner by name.
type kinds map[string]Kind

// operation builds an operation of a workflow and checks that it can be performed.
func (k kinds) operation(w *workflowv1.Workflow, name string, args *anypb.Any) (Operation, error) {
	kind, ok := k[w.GetKind()]
	if !ok {
		return Operation{}, errcode.New(errcode.WorkflowForeign, w.GetId(), w.GetKind())
	}
	op, err := kind.Operation(w, name, args)
	if err != nil {
		return Operation{}, err
	}
	op.Locks = slices.Compact(slices.Sorted(slices.Values(op.Locks)))
	if len(op.Locks) == 0 {
		op.Locks = []string{"workflows/" + w.GetId()}
	}
	if op.LockTTL != 0 && op.LockTTL < topo.MinLockTTL {
		return Operation{}, fmt.Errorf("operation %s of kind %s: a lock's life of %s is under %s", name, w.GetKind(), op.LockTTL, topo.MinLockTTL)
	}
	if len(op.Locks) > maxLocks {
		return Operation{}, fmt.Errorf("operation %s of kind %s needs %d locks, the limit is %d", name, w.GetKind(), len(op.Locks), maxLocks)
	}
	if err := op.complete(); err != nil {
		return Operation{}, fmt.Errorf("operation %s of kind %s: %w", name, w.GetKind(), err)
	}
	return op, nil
}

// present builds the operation that a record is in, and refuses one whose steps are others than those recorded.
func (k kinds) present(w *workflowv1.Workflow) (Operation, error) {
	op, err := k.operation(w, w.GetOperation().GetName(), w.GetOperation().GetArgs())
	if err != nil {
		return Operation{}, err
	}
	if !workflow.SameSteps(w.GetOperation(), op.declared()) {
		return Operation{}, errcode.New(errcode.WorkflowForeign, w.GetId(), w.GetKind())
	}
	return op, nil
}

// complete says which code is missing.
func (o Operation) complete() error {
	passed := false
	for _, s := range o.Steps {
		passed = passed || s.NoReturn != ""
		switch {
		case s.Do == nil:
			return fmt.Errorf("step %q has no code", s.Name)
		case s.NoReturn != "" && s.Done == nil:
			return fmt.Errorf("step %q cannot be taken back and must be able to tell whether it has happened", s.Name)
		case s.Undo == nil && !s.ReadOnly && !passed && !o.Cancels:
			return fmt.Errorf("step %q changes something, has no code to take that back, and does not say why it cannot be", s.Name)
		}
	}
	return nil
}

// declared are the steps as they are recorded.
func (o Operation) declared() []workflow.Step {
	out := make([]workflow.Step, len(o.Steps))
	for i, s := range o.Steps {
		out[i] = s.Step
	}
	return out
}

// plan is the operation as it is recorded; zero limit means the kind's.
func (o Operation) plan(name string, args *anypb.Any, by string, limit time.Duration, now time.Time) workflow.Operation {
	out := workflow.Operation{
		Name: name, Args: args, Steps: o.declared(), Then: o.Then, Cancels: o.Cancels, WayOut: o.WayOut, By: by,
	}
	if limit == 0 {
		limit = o.Limit
	}
	if limit > 0 && !o.Cancels {
		out.GiveUpAt = now.Add(limit)
	}
	return out
}
