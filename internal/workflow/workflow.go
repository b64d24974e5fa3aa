// Package workflow is the state machine of the step journal. A workflow is an ordered list of steps that is done as a whole or
// taken back as a whole, whoever dies in between: Apply makes the next record of the present one and an event, Next says what its
// owner has to do. A step is recorded as begun before it is performed and as done after it, both in one write with its neighbours.
//
// It performs nothing: package run writes the records and calls the steps' code. It keeps no clock; times are passed in. It does
// not know what a step means, so what it decides holds for any kind of workflow, also for one of a later release.
package workflow

import (
	"fmt"
	"time"
	"unicode/utf8"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Step says what the machine must know of a step. It is kept in the record, so that a node of another release decides the same.
type Step struct {
	// Name is unique in its list and stays the same in later releases: another node finds its place in the list by it.
	Name string
	// Changes says in words what the step changes, for people who read the list before or after.
	Changes string
	// NoReturn is why the step, and with it all before it, cannot be taken back once it has happened; empty if it can.
	NoReturn string
	// ReadOnly steps change nothing, so there is nothing to take back.
	ReadOnly bool
	// Urgent steps hold something up, such as writes of an application. Between neighbours that are urgent there is no pause.
	Urgent bool
	// Tries is how many failures turn the operation back, if it has not passed a point of no return; 1 if zero. An error that
	// never heals does so at once.
	Tries int
	// Keep makes the workflow wait for a person after that many failures, instead of taking back what was done.
	Keep bool
}

// Operation is what a workflow does next.
type Operation struct {
	Name  string
	Args  *anypb.Any
	Steps []Step
	// Then is the stage in which the workflow rests afterwards; empty if that is its end.
	Then string
	// Cancels makes the end of this operation that of a cancelled workflow. Such an operation only goes forward.
	Cancels bool
	// GiveUpAt is when the operation is taken back unless it has passed a point of no return; zero is never.
	GiveUpAt time.Time
	// WayOut says what a person can do instead of cancelling after the point of no return.
	WayOut string
	// By is the person or program that asked for it.
	By string
}

// Plan is a workflow to be.
type Plan struct {
	// ID is KEYSPACE.NAME.
	ID, Kind, Title string
	Spec            *anypb.Any
	// Claims are things that no other workflow may claim until this one is final.
	Claims []string
	Facts  Facts
	// Evidence is why; what there is no room for in it is left out, and that is said there.
	Evidence  *workflowv1.Evidence
	Operation Operation
}

// New makes the record of a workflow that nobody has begun. The plan's messages belong to the record afterwards.
func New(p Plan, now time.Time) (*workflowv1.Workflow, error) {
	w := p.record(now)
	w.State = workflowv1.State_STATE_PENDING.Enum()
	op, err := p.Operation.record(1)
	if err != nil {
		return nil, fmt.Errorf("workflow %s: %w", p.ID, err)
	}
	w.Operation = op
	return w, checkRecord(w)
}

// Declined makes the final record of something that was considered and not done. The plan's operation is left out.
func Declined(p Plan, now time.Time) (*workflowv1.Workflow, error) {
	w := p.record(now)
	w.State = workflowv1.State_STATE_DECLINED.Enum()
	w.Claims = nil
	return w, checkRecord(w)
}

func (p Plan) record(now time.Time) *workflowv1.Workflow {
	at := timestamppb.New(now)
	w := &workflowv1.Workflow{
		Id: &p.ID, Kind: &p.Kind, Title: proto.String(clip(p.Title, maxText)), Spec: p.Spec, Claims: p.Claims,
		CreatedAt: at, UpdatedAt: at, CreatedBy: proto.String(clip(p.Operation.By, maxName)), Evidence: evidence(p.Evidence),
	}
	if len(p.Facts) > 0 {
		w.Facts = p.Facts
	}
	return w
}

// record makes the operation's record with the given number.
func (o Operation) record(number uint32) (*workflowv1.Operation, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	out := &workflowv1.Operation{
		Name: &o.Name, Args: o.Args, Number: &number, Then: &o.Then, Cancels: &o.Cancels, Back: proto.Bool(false),
		WayOut: proto.String(clip(o.WayOut, maxText)), By: proto.String(clip(o.By, maxName)),
	}
	if !o.GiveUpAt.IsZero() {
		out.GiveUpAt = timestamppb.New(o.GiveUpAt)
	}
	for _, s := range o.Steps {
		rec := &workflowv1.Step{
			Name: &s.Name, Changes: proto.String(clip(s.Changes, maxText)), ReadOnly: &s.ReadOnly, Urgent: &s.Urgent, Keep: &s.Keep,
			Tries: proto.Uint32(uint32(max(s.Tries, 1))), State: workflowv1.StepState_STEP_STATE_PENDING.Enum(),
		}
		if s.NoReturn != "" {
			rec.NoReturn = proto.String(clip(s.NoReturn, maxText))
		}
		out.Steps = append(out.Steps, rec)
	}
	return out, nil
}

func (o Operation) validate() error {
	if o.Name == "" || len(o.Name) > maxName {
		return bad("operation name %q: use 1 to %d bytes", o.Name, maxName)
	}
	if len(o.Steps) == 0 || len(o.Steps) > MaxSteps {
		return bad("operation %s has %d steps, not 1 to %d", o.Name, len(o.Steps), MaxSteps)
	}
	if o.Cancels && o.Then != "" {
		return bad("operation %s cancels the workflow, so it cannot rest in %q afterwards", o.Name, o.Then)
	}
	if len(o.Then) > maxName {
		return bad("operation %s: stage %q is longer than %d bytes", o.Name, o.Then, maxName)
	}
	seen := map[string]bool{}
	for _, s := range o.Steps {
		switch {
		case s.Name == "" || len(s.Name) > maxName || !utf8.ValidString(s.Name):
			return bad("step name %q: use 1 to %d bytes", s.Name, maxName)
		case seen[s.Name]:
			return bad("two steps are named %q", s.Name)
		case s.Changes == "":
			return bad("step %q does not say what it changes", s.Name)
		case s.ReadOnly && s.NoReturn != "":
			return bad("step %q changes nothing and cannot be a point of no return", s.Name)
		case s.Urgent && s.Keep:
			return bad("step %q is urgent and must not wait for a person", s.Name)
		case s.Tries < 0 || s.Tries > MaxTries:
			return bad("step %q: %d tries are not 0 to %d", s.Name, s.Tries, MaxTries)
		}
		seen[s.Name] = true
	}
	return nil
}

// SameSteps says whether a record's operation has exactly these steps in this order. A node whose code knows other steps must not
// go on with it.
func SameSteps(op *workflowv1.Operation, steps []Step) bool {
	if len(op.GetSteps()) != len(steps) {
		return false
	}
	for i, s := range op.GetSteps() {
		if s.GetName() != steps[i].Name {
			return false
		}
	}
	return true
}

// Final says whether nothing will ever happen to a workflow of this state.
func Final(s workflowv1.State) bool {
	switch s {
	case workflowv1.State_STATE_DONE, workflowv1.State_STATE_CANCELLED, workflowv1.State_STATE_FAILED, workflowv1.State_STATE_DECLINED:
		return true
	}
	return false
}

// PastReturn names the point of no return that the present operation has passed or may have passed, and why it is one; ok is
// false if the operation can be taken back.
func PastReturn(w *workflowv1.Workflow) (step, why string, ok bool) {
	op := w.GetOperation()
	if op.GetCancels() {
		return op.GetName(), "what a cancel has removed is not put back", true
	}
	for _, s := range op.GetSteps() {
		if s.NoReturn != nil && s.GetState() != workflowv1.StepState_STEP_STATE_PENDING {
			return s.GetName(), s.GetNoReturn(), true
		}
	}
	return "", "", false
}

func bad(format string, args ...any) error {
	return errcode.New(errcode.WorkflowInvalid, fmt.Sprintf(format, args...))
}
