package workflow

import (
	"fmt"
	"maps"
	"slices"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// firstRetry is the pause after a step's first failure; it doubles up to mostRetry, where something is held up only to
	// urgentRetry.
	firstRetry  = 250 * time.Millisecond
	mostRetry   = 30 * time.Second
	urgentRetry = time.Second
)

// What is the sort of thing that a workflow's owner has to do.
type What uint8

// The things to do.
const (
	// Nothing is to be done until a person says so; or ever, if the workflow is final.
	Nothing What = iota
	// ToTakeOver needs an owner first.
	ToTakeOver
	// ToBegin is a Begin, at the given time.
	ToBegin
	// ToPerform is the code of the step that is recorded as begun, and then its Outcome.
	ToPerform
	// ToCancel is a Start of the kind's operation "cancel".
	ToCancel
)

// Action is what a workflow's owner has to do next.
type Action struct {
	What What
	// Run is what to perform.
	Run Run
	// At is when to begin; the zero time is at once.
	At time.Time
}

// Next says what is to be done. It depends on the record alone.
func Next(w *workflowv1.Workflow) Action {
	m := &machine{w: w, op: w.GetOperation()}
	switch w.GetState() {
	case workflowv1.State_STATE_PENDING:
		return Action{What: ToTakeOver}
	case workflowv1.State_STATE_RUNNING, workflowv1.State_STATE_UNDOING:
	case workflowv1.State_STATE_RESTING:
		if w.GetCancelling() != nil {
			return Action{What: ToCancel}
		}
		return Action{}
	default:
		return Action{}
	}
	i, ok := m.current()
	switch {
	case !ok:
		return Action{What: ToBegin} // everything is undone already: the owner's next write says so
	case m.op.Steps[i].RetryAt != nil:
		return Action{What: ToBegin, At: m.op.Steps[i].GetRetryAt().AsTime()}
	case !m.begun(i):
		return Action{What: ToBegin}
	}
	return Action{What: ToPerform, Run: Run{
		Token: w.GetOwner().GetToken(), Operation: m.op.GetNumber(), Back: m.op.GetBack(), Step: i, Attempt: m.op.Steps[i].GetAttempts(),
	}}
}

// machine is a record that is being changed.
type machine struct {
	w   *workflowv1.Workflow
	op  *workflowv1.Operation
	now time.Time
}

// current is the step that is under way or comes next in the present direction; ok is false at the end of the list.
func (m *machine) current() (i int, ok bool) {
	if m.op.GetBack() {
		for i := len(m.op.GetSteps()) - 1; i >= 0; i-- {
			if m.op.Steps[i].GetState() != workflowv1.StepState_STEP_STATE_PENDING {
				return i, true
			}
		}
		return 0, false
	}
	for i, s := range m.op.GetSteps() {
		if s.GetState() != workflowv1.StepState_STEP_STATE_DONE {
			return i, true
		}
	}
	return 0, false
}

// begun says whether the step is recorded as begun in the present direction.
func (m *machine) begun(i int) bool { return m.op.Steps[i].GetState() == m.beginning() }

func (m *machine) beginning() workflowv1.StepState {
	if m.op.GetBack() {
		return workflowv1.StepState_STEP_STATE_UNDOING
	}
	return workflowv1.StepState_STEP_STATE_BEGUN
}

// moving says whether steps may be begun.
func (m *machine) moving() bool {
	return m.w.GetState() == workflowv1.State_STATE_RUNNING || m.w.GetState() == workflowv1.State_STATE_UNDOING
}

// performed returns the step of a run that is still the present one.
func (m *machine) performed(r Run) (*workflowv1.Step, error) {
	i, ok := m.current()
	present := ok && m.begun(i) && (m.moving() || m.w.GetState() == workflowv1.State_STATE_PAUSED) && m.op.Steps[i].RetryAt == nil &&
		r == Run{Token: m.w.GetOwner().GetToken(), Operation: m.op.GetNumber(), Back: m.op.GetBack(), Step: i, Attempt: m.op.Steps[i].GetAttempts()}
	if !present {
		return nil, fmt.Errorf("workflow %s has gone on without attempt %d of step %d: %w", m.w.GetId(), r.Attempt, r.Step, ErrSuperseded)
	}
	return m.op.Steps[i], nil
}

// learn puts facts over those of the record.
func (m *machine) learn(f Facts) {
	if len(f) == 0 {
		return
	}
	if m.w.Facts == nil {
		m.w.Facts = Facts{}
	}
	merge(m.w.Facts, f)
}

// begin records, before it is performed, that a step may have been done (or taken back) from now on.
func (m *machine) begin(i int) {
	s := m.op.Steps[i]
	if !m.begun(i) || s.BeganAt == nil {
		s.BeganAt = timestamppb.New(m.now)
	}
	s.State = m.beginning().Enum()
	s.Attempts = proto.Uint32(s.GetAttempts() + 1)
	s.RetryAt = nil
}

// succeeded records that a step is done, or taken back.
func (m *machine) succeeded(s *workflowv1.Step) {
	s.State = workflowv1.StepState_STEP_STATE_DONE.Enum()
	if m.op.GetBack() {
		s.State = workflowv1.StepState_STEP_STATE_PENDING.Enum()
	}
}

// failed decides what follows from a failure: try again, take everything back, or ask a person.
func (m *machine) failed(s *workflowv1.Step, e Outcome) {
	s.Failures = proto.Uint32(s.GetFailures() + 1)
	s.LastError, s.ErrorClass = proto.String(clip(e.Err, maxError)), e.Class.Enum()
	forward := !m.op.GetBack()
	if forward && s.NoReturn != nil {
		switch e.Happened {
		case fact.True:
			m.succeeded(s)
			return
		case fact.False:
			s.State = workflowv1.StepState_STEP_STATE_PENDING.Enum()
		}
	}
	hopeless := e.Class == workflowv1.ErrorClass_ERROR_CLASS_NEVER_HEALS
	_, _, past := PastReturn(m.w)
	enough := hopeless || forward && !past && s.GetFailures() >= s.GetTries()
	switch {
	case !enough:
		m.retry(s)
	case forward && !past && !s.GetKeep():
		m.turnBack(fmt.Sprintf("step %q: %s", s.GetName(), s.GetLastError()), e.Class)
	default:
		m.wait(s)
	}
}

// retry lets a step be tried again after a pause that grows with its failures.
func (m *machine) retry(s *workflowv1.Step) {
	pause, most := firstRetry, mostRetry
	if s.GetUrgent() {
		most = urgentRetry
	}
	for range min(s.GetFailures()-1, 16) {
		pause = min(2*pause, most)
	}
	s.RetryAt = timestamppb.New(m.now.Add(pause))
}

// wait asks for a person.
func (m *machine) wait(s *workflowv1.Step) {
	doing := "step"
	if m.op.GetBack() {
		doing = "taking back step"
	}
	text := fmt.Sprintf("%s %q failed: %s. Cure that, then resume", doing, s.GetName(), clip(s.GetLastError(), maxText))
	if _, _, past := PastReturn(m.w); !past && !m.op.GetBack() {
		text += ", or cancel"
	}
	m.w.State, m.w.WaitingFor, m.w.Pausing = workflowv1.State_STATE_WAITING.Enum(), &text, nil
}

// goOn ends a pause or a wait. Whatever was begun is begun again by the owner.
func (m *machine) goOn() {
	m.w.WaitingFor, m.w.Pausing = nil, nil
	switch {
	case m.op.GetBack():
		m.w.State = workflowv1.State_STATE_UNDOING.Enum()
	case m.op.BeganAt == nil:
		m.w.State = workflowv1.State_STATE_PENDING.Enum()
		return
	default:
		m.w.State = workflowv1.State_STATE_RUNNING.Enum()
	}
	if i, ok := m.current(); ok && m.op.Steps[i].GetAttempts() > 0 {
		m.op.Steps[i].Failures, m.op.Steps[i].RetryAt = proto.Uint32(0), timestamppb.New(m.now)
	}
}

// turnBack changes the direction. An empty reason means that a person wants it.
func (m *machine) turnBack(reason string, class workflowv1.ErrorClass) {
	m.op.Back = proto.Bool(true)
	if reason != "" {
		m.op.Error, m.op.ErrorClass = proto.String(clip(reason, maxError)), class.Enum()
	}
	for _, s := range m.op.GetSteps() {
		s.Attempts, s.Failures, s.RetryAt = nil, nil, nil
	}
	if m.w.GetState() != workflowv1.State_STATE_PAUSED {
		m.w.State = workflowv1.State_STATE_UNDOING.Enum()
	}
}

// advance makes of the owner's event what follows from it: the direction after the time is up, the end, a pause, or the next
// step's beginning, which is recorded by the same write.
func (m *machine) advance() {
	if !m.moving() {
		return
	}
	if _, _, past := PastReturn(m.w); !m.op.GetBack() && !past && m.op.GetGiveUpAt() != nil && !m.now.Before(m.op.GetGiveUpAt().AsTime()) {
		if i, ok := m.current(); ok {
			m.turnBack(m.late(m.op.Steps[i]), workflowv1.ErrorClass_ERROR_CLASS_MAY_HEAL)
		}
	}
	if m.settle(); !m.moving() || m.pause() {
		return
	}
	if i, ok := m.current(); ok && !m.begun(i) && m.op.Steps[i].RetryAt == nil {
		m.begin(i)
	}
}

// late says in words that the time is up.
func (m *machine) late(s *workflowv1.Step) string {
	text := fmt.Sprintf("the time of %s was up in step %q", m.op.GetGiveUpAt().AsTime().Sub(m.op.GetBeganAt().AsTime()).Round(time.Millisecond), s.GetName())
	if s.LastError != nil && s.GetFailures() > 0 {
		text += ": " + s.GetLastError()
	}
	return text
}

// settle passes over steps that need no undoing, and ends the operation at the end of the list.
func (m *machine) settle() {
	for m.op.GetBack() {
		i, ok := m.current()
		if !ok || !m.op.Steps[i].GetReadOnly() {
			break
		}
		m.op.Steps[i].State = workflowv1.StepState_STEP_STATE_PENDING.Enum()
	}
	if _, ok := m.current(); !ok {
		m.finish()
	}
}

// pause stops if a person wants it and nothing is held up; it says whether it did.
func (m *machine) pause() bool {
	i, ok := m.current()
	if !ok || !m.w.GetPausing() || m.holding(i) {
		return false
	}
	m.w.State, m.w.Pausing = workflowv1.State_STATE_PAUSED.Enum(), nil
	return true
}

// holding says whether something is held up at step i: it is urgent and has been begun, or stands behind one that is urgent too.
func (m *machine) holding(i int) bool {
	s := m.op.Steps[i]
	if !s.GetUrgent() {
		return false
	}
	return s.GetState() != workflowv1.StepState_STEP_STATE_PENDING || i > 0 && m.op.Steps[i-1].GetUrgent()
}

// finish ends the operation, and with it perhaps the workflow.
func (m *machine) finish() {
	m.op.EndedAt = timestamppb.New(m.now)
	ended := &workflowv1.Ended{
		Name: m.op.Name, BeganAt: m.op.BeganAt, EndedAt: m.op.EndedAt, By: m.op.By, Error: m.op.Error, End: workflowv1.End_END_DONE.Enum(),
	}
	state := workflowv1.State_STATE_DONE
	switch {
	case m.op.GetBack() && (m.op.Error == nil || m.w.GetCancelling() != nil):
		ended.End, state = workflowv1.End_END_CANCELLED.Enum(), workflowv1.State_STATE_CANCELLED
	case m.op.GetBack():
		ended.End, state = workflowv1.End_END_FAILED.Enum(), workflowv1.State_STATE_FAILED
	case m.op.GetCancels():
		state = workflowv1.State_STATE_CANCELLED
	}
	m.w.History = append(m.w.History, ended)
	if n := len(m.w.History); n > maxHistory {
		m.w.History = m.w.History[n-maxHistory:]
	}
	if !m.op.GetBack() {
		m.w.Stage = m.op.Then
	}
	m.w.Pausing = nil
	if m.w.GetStage() != "" {
		m.w.State = workflowv1.State_STATE_RESTING.Enum()
		return
	}
	m.w.State, m.w.Cancelling = state.Enum(), nil
	dropLongFacts(m.w)
}

// refuse is the answer to a person who wants what the state does not allow.
func (m *machine) refuse(why string) error {
	return errcode.New(errcode.WorkflowRefused, m.w.GetId(), StateWord(m.w.GetState()), why)
}

func addTook(s *workflowv1.Step, took time.Duration) {
	s.Took = durationpb.New(s.GetTook().AsDuration() + max(took, 0))
}

func sortedNames(f Facts) []string { return slices.Sorted(maps.Keys(f)) }

// StateWord is a state in words for people.
func StateWord(s workflowv1.State) string {
	switch s {
	case workflowv1.State_STATE_PENDING:
		return "pending"
	case workflowv1.State_STATE_RUNNING:
		return "running"
	case workflowv1.State_STATE_UNDOING:
		return "undoing"
	case workflowv1.State_STATE_PAUSED:
		return "paused"
	case workflowv1.State_STATE_WAITING:
		return "waiting for a person"
	case workflowv1.State_STATE_RESTING:
		return "resting"
	case workflowv1.State_STATE_DONE:
		return "done"
	case workflowv1.State_STATE_CANCELLED:
		return "cancelled"
	case workflowv1.State_STATE_FAILED:
		return "failed"
	case workflowv1.State_STATE_DECLINED:
		return "declined"
	}
	return "unknown"
}
