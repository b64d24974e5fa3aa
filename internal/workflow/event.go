package workflow

import (
	"errors"
	"fmt"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// ErrSuperseded refuses what an owner reports about something that is no longer so: another has taken over, or a person has
// changed the direction. Read the record again and go by that.
var ErrSuperseded = errors.New("superseded")

// Event is something that happened to a workflow.
type Event interface {
	apply(m *machine) error
}

// Run names one performance of one step.
type Run struct {
	// Token is the owner's.
	Token int64
	// Operation is the number of the operation, Back its direction.
	Operation uint32
	Back      bool
	// Step is the place in the list, from 0; Attempt counts from 1 in each direction.
	Step    int
	Attempt uint32
}

// TakeOver is a new owner: the token of its lock is higher than that of any owner before.
type TakeOver struct {
	Owner string
	Token int64
}

// Begin is the owner's wish to begin the next step, or to try one again: what Next said with ToBegin.
type Begin struct{ Token int64 }

// Outcome is what came of performing a step.
type Outcome struct {
	Run Run
	// Err is empty if it was done, or undone when the direction is back.
	Err   string
	Class workflowv1.ErrorClass
	// Happened says, for a step of no return that failed, whether it has happened all the same.
	Happened fact.Truth
	Took     time.Duration
	// Facts are put over those of the record; nil values take facts away.
	Facts Facts
	Parts []*workflowv1.Part
	// Evidence takes the place of the record's, if it is not nil.
	Evidence *workflowv1.Evidence
}

// Checkpoint records facts in the middle of a step, or of one that was stopped: what the present owner found out in the present
// operation always counts, whatever a person wanted meanwhile.
type Checkpoint struct {
	Run   Run
	Facts Facts
}

// Pause is a person's wish that nothing more be begun. It takes effect when nothing is held up.
type Pause struct{}

// Resume ends a pause or a wait, and with it the operation's limit of time; a step that waits for its next attempt tries at once.
type Resume struct{}

// Cancel is a person's wish to have the present operation taken back, and then all that the workflow did before. In a workflow
// that rests it must be a Start of the kind's operation "cancel".
type Cancel struct {
	By   string
	Args *anypb.Any
}

// Start begins the next operation of a workflow that rests.
type Start struct{ Operation Operation }

// Apply returns the record as it is after the event; w itself is not changed. An error means that nothing happened: ErrSuperseded,
// or a refusal with a code.
func Apply(w *workflowv1.Workflow, ev Event, now time.Time) (*workflowv1.Workflow, error) {
	m := &machine{w: proto.Clone(w).(*workflowv1.Workflow), now: now}
	m.op = m.w.GetOperation()
	if Final(m.w.GetState()) {
		return nil, fmt.Errorf("workflow %s is %s: %w", w.GetId(), StateWord(w.GetState()), ErrSuperseded)
	}
	if m.op == nil {
		return nil, bad("workflow %s has no operation", w.GetId())
	}
	if err := ev.apply(m); err != nil {
		return nil, err
	}
	m.w.UpdatedAt = timestamppb.New(now)
	if err := checkRecord(m.w); err != nil {
		return nil, err
	}
	return m.w, nil
}

func (e TakeOver) apply(m *machine) error {
	if e.Token <= m.w.GetOwner().GetToken() {
		return fmt.Errorf("token %d of %s is not newer than %d of %s: %w", e.Token, e.Owner, m.w.GetOwner().GetToken(), m.w.GetOwner().GetName(), ErrSuperseded)
	}
	if Next(m.w).What == Nothing {
		return fmt.Errorf("workflow %s is %s, there is nothing to take over: %w", m.w.GetId(), StateWord(m.w.GetState()), ErrSuperseded)
	}
	m.w.Owner = &workflowv1.Owner{
		Name: proto.String(clip(e.Owner, maxText)), Token: &e.Token, Since: timestamppb.New(m.now),
		Takeovers: proto.Uint32(m.w.GetOwner().GetTakeovers() + 1),
	}
	if m.w.GetState() == workflowv1.State_STATE_PENDING {
		m.w.State = workflowv1.State_STATE_RUNNING.Enum()
		m.op.BeganAt = timestamppb.New(m.now)
	}
	if i, ok := m.current(); ok && m.begun(i) && m.op.Steps[i].RetryAt == nil {
		m.begin(i) // who performed it is gone, and how far it came is for the new owner to find out
	}
	m.advance()
	return nil
}

func (e Begin) apply(m *machine) error {
	next := Next(m.w)
	if next.What != ToBegin || e.Token != m.w.GetOwner().GetToken() {
		return fmt.Errorf("there is nothing to begin: %w", ErrSuperseded)
	}
	if next.At.After(m.now) {
		return fmt.Errorf("it is not to be tried before %s: %w", next.At.Format(time.RFC3339Nano), ErrSuperseded)
	}
	if m.advance(); m.moving() {
		if i, ok := m.current(); ok && m.op.Steps[i].RetryAt != nil {
			m.begin(i)
		}
	}
	return nil
}

func (e Outcome) apply(m *machine) error {
	if e.Run.Back != m.op.GetBack() {
		// A person turned it back meanwhile; what the step leaves for its Undo is kept.
		return Checkpoint{Run: e.Run, Facts: e.Facts}.apply(m)
	}
	s, err := m.performed(e.Run)
	if err != nil {
		return err
	}
	m.learn(e.Facts)
	addTook(s, e.Took)
	s.Parts = parts(e.Parts)
	if e.Evidence != nil {
		m.w.Evidence = evidence(e.Evidence)
	}
	if e.Err == "" {
		m.succeeded(s)
	} else {
		m.failed(s, e)
	}
	m.advance()
	return nil
}

func (e Checkpoint) apply(m *machine) error {
	if e.Run.Token != m.w.GetOwner().GetToken() || e.Run.Operation != m.op.GetNumber() || m.op.EndedAt != nil {
		return fmt.Errorf("facts of workflow %s came too late: %w", m.w.GetId(), ErrSuperseded)
	}
	m.learn(e.Facts)
	return nil
}

func (e Pause) apply(m *machine) error {
	switch m.w.GetState() {
	case workflowv1.State_STATE_PENDING:
		m.w.State = workflowv1.State_STATE_PAUSED.Enum()
	case workflowv1.State_STATE_RUNNING, workflowv1.State_STATE_UNDOING:
		m.w.Pausing = proto.Bool(true)
		m.pause()
	case workflowv1.State_STATE_PAUSED:
	default:
		return m.refuse("there is nothing to pause")
	}
	return nil
}

func (e Resume) apply(m *machine) error {
	switch m.w.GetState() {
	case workflowv1.State_STATE_PENDING:
	case workflowv1.State_STATE_RUNNING, workflowv1.State_STATE_UNDOING:
		m.w.Pausing = nil
		if i, ok := m.current(); ok && m.op.Steps[i].RetryAt != nil {
			m.op.Steps[i].RetryAt = timestamppb.New(m.now)
		}
	case workflowv1.State_STATE_PAUSED, workflowv1.State_STATE_WAITING:
		m.op.GiveUpAt = nil // the time is a person's affair from here on
		m.goOn()
	default:
		return m.refuse("there is nothing to resume")
	}
	return nil
}

func (e Cancel) apply(m *machine) error {
	state := m.w.GetState()
	switch {
	case state == workflowv1.State_STATE_RESTING:
		if m.w.GetCancelling() != nil {
			return nil // it is about to
		}
		return m.refuse("it rests; the kind's operation cancel must be started")
	case m.op.GetCancels():
		if e.Args != nil {
			m.op.Args = e.Args
		}
	default:
		if step, why, past := PastReturn(m.w); past {
			return errcode.New(errcode.WorkflowNoReturn, m.w.GetId(), fmt.Sprintf("step %q cannot be taken back: %s", step, why), wayOut(m.op))
		}
		m.w.Cancelling = &workflowv1.Cancelling{By: proto.String(clip(e.By, maxName)), At: timestamppb.New(m.now), Args: e.Args}
	}
	if state == workflowv1.State_STATE_PAUSED || state == workflowv1.State_STATE_WAITING {
		m.goOn()
	}
	m.w.Pausing = nil
	if !m.op.GetCancels() && !m.op.GetBack() {
		m.turnBack("", workflowv1.ErrorClass_ERROR_CLASS_UNSPECIFIED)
		m.settle()
	}
	return nil
}

func wayOut(op *workflowv1.Operation) string {
	if op.GetWayOut() != "" {
		return op.GetWayOut()
	}
	return "let it end"
}

func (e Start) apply(m *machine) error {
	if m.w.GetState() != workflowv1.State_STATE_RESTING {
		return m.refuse(fmt.Sprintf("the operation %s is not over", m.op.GetName()))
	}
	op, err := e.Operation.record(m.op.GetNumber() + 1)
	if err != nil {
		return err
	}
	m.w.Operation, m.w.State, m.w.Pausing = op, workflowv1.State_STATE_PENDING.Enum(), nil
	if op.GetCancels() {
		m.w.Cancelling = nil
	} else if m.w.GetCancelling() != nil {
		return m.refuse("it is being cancelled")
	}
	return nil
}
