package workflow_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/workflow"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

const (
	never = workflowv1.ErrorClass_ERROR_CLASS_NEVER_HEALS
	maybe = workflowv1.ErrorClass_ERROR_CLASS_MAY_HEAL
)

// twin is the machine written naively: which steps may have happened is a stack, and everything else a plain variable.
type twin struct {
	steps    []workflow.Step
	giveUp   time.Time
	did      []int // steps that may have happened, in order
	done     int   // how many of them are recorded as done
	active   bool  // the present step is recorded as begun
	back     bool
	state    string
	pausing  bool
	wanted   bool // a person wants it cancelled
	failures int
	retry    time.Time // zero: not waiting for a next attempt
}

func (w *twin) past() bool {
	for _, i := range w.did {
		if w.steps[i].NoReturn != "" {
			return true
		}
	}
	return false
}

// at is the present step; -1 at the end.
func (w *twin) at() int {
	if w.back {
		return len(w.did) - 1
	}
	if w.done == len(w.steps) {
		return -1
	}
	return w.done
}

func (w *twin) moving() bool { return w.state == "running" || w.state == "undoing" }

func (w *twin) turn() {
	w.back, w.active, w.failures, w.retry = true, false, 0, time.Time{}
	if w.state != "paused" {
		w.state = "undoing"
	}
}

func (w *twin) tryPause() {
	i := w.at()
	if !w.pausing || i < 0 {
		return
	}
	happened := len(w.did) > i
	if w.steps[i].Urgent && (happened || i > 0 && w.steps[i-1].Urgent) {
		return
	}
	w.state, w.pausing = "paused", false
}

// settle drops what needs no undoing and ends the operation.
func (w *twin) settle() {
	for w.back && len(w.did) > 0 && w.steps[w.did[len(w.did)-1]].ReadOnly {
		w.did, w.active = w.did[:len(w.did)-1], false
	}
	if w.at() >= 0 {
		return
	}
	switch {
	case !w.back:
		w.state = "done"
	case w.wanted:
		w.state = "cancelled"
	default:
		w.state = "failed"
	}
	w.pausing = false
}

// advance follows each event of the owner.
func (w *twin) advance(now time.Time) {
	if !w.moving() {
		return
	}
	if !w.back && !w.past() && w.at() >= 0 && !now.Before(w.giveUp) {
		w.turn()
	}
	if w.settle(); w.moving() {
		w.tryPause()
	}
	if w.moving() && !w.active && w.retry.IsZero() {
		w.begin()
	}
}

func (w *twin) begin() {
	if i := w.at(); !w.back && len(w.did) == i {
		w.did = append(w.did, i)
	}
	w.active, w.retry = true, time.Time{}
}

func (w *twin) succeed() {
	w.active, w.failures = false, 0
	if w.back {
		w.did = w.did[:len(w.did)-1]
	} else {
		w.done++
	}
}

func (w *twin) fail(class workflowv1.ErrorClass, happened fact.Truth, now time.Time) {
	s := w.steps[w.at()]
	w.failures++
	if !w.back && s.NoReturn != "" && happened == fact.True {
		w.succeed()
		return
	}
	if !w.back && s.NoReturn != "" && happened == fact.False {
		w.did, w.active = w.did[:len(w.did)-1], false
	}
	stuck := w.back || w.past()
	switch {
	case class != never && (stuck || w.failures < s.Tries):
		pause := 250 * time.Millisecond
		for i := 1; i < w.failures; i++ {
			pause *= 2
			if s.Urgent {
				pause = min(pause, time.Second)
			}
			pause = min(pause, 30*time.Second)
		}
		w.retry = now.Add(pause)
	case stuck || s.Keep:
		w.state, w.pausing = "waiting for a person", false
	default:
		w.turn()
	}
}

func (w *twin) goOn(now time.Time) {
	w.state, w.pausing = "running", false
	if w.back {
		w.state = "undoing"
	}
	if w.active || w.failures > 0 {
		w.retry, w.failures = now, 0
	}
}

// view is what must agree.
func (w *twin) view() string {
	return fmt.Sprintf("%s back=%v done=%d at=%d active=%v retry=%v pausing=%v", w.state, w.back, w.done, w.at(), w.active && w.retry.IsZero(), !w.retry.IsZero(), w.pausing)
}

func viewOf(rec *workflowv1.Workflow) string {
	op := rec.GetOperation()
	done, at, active, retry := 0, -1, false, false
	counting := true
	for i, s := range op.GetSteps() {
		st := s.GetState()
		// Going forward the first step that is not done; going back the last one that is not as it was at first.
		if !op.GetBack() && at < 0 && st != workflowv1.StepState_STEP_STATE_DONE || op.GetBack() && st != workflowv1.StepState_STEP_STATE_PENDING {
			at = i
		}
		if counting = counting && st == workflowv1.StepState_STEP_STATE_DONE; counting {
			done++
		}
	}
	if at >= 0 {
		s := op.GetSteps()[at]
		retry = s.GetRetryAt() != nil
		active = !retry && (s.GetState() == workflowv1.StepState_STEP_STATE_UNDOING || !op.GetBack() && s.GetState() == workflowv1.StepState_STEP_STATE_BEGUN)
	}
	return fmt.Sprintf("%s back=%v done=%d at=%d active=%v retry=%v pausing=%v", workflow.StateWord(rec.GetState()), op.GetBack(), done, at, active, retry, rec.GetPausing())
}

// world is where the steps' effects are, beside the record that is kept and the twin.
type world struct {
	t       *rapid.T
	rec     *workflowv1.Workflow
	twin    twin
	effect  []bool
	now     time.Time
	token   int64
	zombies []workflow.Outcome // reports of owners that were lost
	learnt  int64              // the last fact that a step has left
	calm    bool               // no person wants anything any more
}

func (w *world) apply(ev workflow.Event) error {
	next, err := workflow.Apply(w.rec, ev, w.now)
	if err == nil {
		w.rec = next
	}
	return err
}

// compare checks that record and twin say the same, and what must hold at any time.
func (w *world) compare(after string) {
	if got, want := viewOf(w.rec), w.twin.view(); w.twin.back {
		// How much was recorded as done before the turn is of no further meaning.
		var x int
		if _, err := fmt.Sscanf(got[index(got, "done="):], "done=%d", &x); err == nil {
			w.twin.done = x
		}
		if want = w.twin.view(); got != want {
			w.t.Fatalf("after %s:\nrecord %s\ntwin   %s", after, got, want)
		}
	} else if got != want {
		w.t.Fatalf("after %s:\nrecord %s\ntwin   %s", after, got, want)
	}
	switch w.rec.GetState() {
	case workflowv1.State_STATE_DONE:
		for i, e := range w.effect {
			if !e {
				w.t.Fatalf("done, and step %d has not happened", i)
			}
		}
	case workflowv1.State_STATE_CANCELLED, workflowv1.State_STATE_FAILED:
		for i, e := range w.effect {
			if e && !w.twin.steps[i].ReadOnly {
				w.t.Fatalf("%s, and step %d was not taken back", workflow.StateWord(w.rec.GetState()), i)
			}
		}
	}
}

func index(s, sub string) int {
	for i := range len(s) - len(sub) + 1 {
		if s[i:i+len(sub)] == sub {
			return i
		}
	}
	return 0
}

// perform lets the step's effect happen, or a part of it, and checks that the record allows it.
func (w *world) perform(r workflow.Run, completely bool) {
	for i := range w.effect {
		if !r.Back && i < r.Step && (!w.effect[i] || w.rec.GetOperation().GetSteps()[i].GetState() != workflowv1.StepState_STEP_STATE_DONE) {
			w.t.Fatalf("step %d is performed, and step %d before it is not recorded as done", r.Step, i)
		}
		if r.Back && i > r.Step && w.effect[i] && !w.twin.steps[i].ReadOnly {
			w.t.Fatalf("step %d is taken back, and step %d behind it still stands", r.Step, i)
		}
		if r.Back && w.twin.steps[i].NoReturn != "" && w.effect[i] {
			w.t.Fatalf("step %d is taken back after the point of no return %d", r.Step, i)
		}
	}
	want := workflowv1.StepState_STEP_STATE_BEGUN
	if r.Back {
		want = workflowv1.StepState_STEP_STATE_UNDOING
	}
	if got := w.rec.GetOperation().GetSteps()[r.Step].GetState(); got != want {
		w.t.Fatalf("step %d is performed in state %s", r.Step, got)
	}
	if completely {
		w.effect[r.Step] = !r.Back
	}
}

// owner does the one thing that Next says; succeed says whether the step's code does.
func (w *world) owner(succeed bool, class workflowv1.ErrorClass, halfway bool) {
	a := workflow.Next(w.rec)
	switch a.What {
	case workflow.ToTakeOver:
		w.takeOver()
	case workflow.ToBegin:
		if a.At.After(w.now) {
			if err := w.apply(workflow.Begin{Token: w.token}); !errors.Is(err, workflow.ErrSuperseded) {
				w.t.Fatalf("begun before its time: %v", err)
			}
			w.now = a.At
		}
		if w.token == 0 {
			w.takeOver()
			return
		}
		if err := w.apply(workflow.Begin{Token: w.token}); err != nil {
			w.t.Fatalf("begin: %v", err)
		}
		reached := !w.twin.retry.IsZero()
		if w.twin.advance(w.now); w.twin.moving() && reached && !w.twin.retry.IsZero() {
			w.twin.begin()
		}
		w.compare("begin")
	case workflow.ToPerform:
		w.perform(a.Run, succeed || halfway)
		out := workflow.Outcome{Run: a.Run, Took: time.Second, Happened: w.look(a.Run.Step)}
		if !succeed {
			out.Err, out.Class = "it broke", class
		}
		// A person may want something else while the step is under way.
		if !w.calm {
			if wish := rapid.SampledFrom([]string{"", "", "", "pause", "cancel", "resume"}).Draw(w.t, "meanwhile"); wish != "" {
				w.person(wish)
			}
		}
		w.report(out, succeed)
	}
}

// report is an outcome, which counts unless a person has changed the direction or had the step stopped.
func (w *world) report(out workflow.Outcome, succeed bool) {
	tw := &w.twin
	final := workflow.Final(w.rec.GetState())
	counts := !final && tw.back == out.Run.Back && tw.active && tw.retry.IsZero() && (tw.moving() || tw.state == "paused")
	turned := !final && tw.back != out.Run.Back
	w.learnt++
	out.Facts = workflow.Facts{"learnt": workflow.Number(w.learnt)}
	err := w.apply(out)
	fact, _ := workflow.Facts(w.rec.GetFacts()).Number("learnt")
	switch {
	case (err == nil) != (counts || turned), (fact == w.learnt) != (counts || turned):
		w.t.Fatalf("outcome of step %d, which counts %v, after a turn %v: %v; the fact is %d of %d", out.Run.Step, counts, turned, err, fact, w.learnt)
	case !counts:
		w.compare("an outcome that does not count")
		return
	case succeed:
		tw.succeed()
	default:
		tw.fail(out.Class, out.Happened, w.now)
	}
	tw.advance(w.now)
	w.compare(fmt.Sprintf("outcome %v of step %d", succeed, out.Run.Step))
	if err := w.apply(out); !errors.Is(err, workflow.ErrSuperseded) && w.rec.GetOperation().GetBack() == out.Run.Back {
		w.t.Fatalf("the same outcome counted twice: %v", err)
	}
	w.compare("the same outcome again")
}

// look is what can be found out about a step: sometimes nothing.
func (w *world) look(step int) fact.Truth {
	if rapid.IntRange(0, 3).Draw(w.t, "blind") == 0 {
		return fact.Unknown
	}
	return fact.Of(w.effect[step])
}

func (w *world) takeOver() {
	before := workflow.Next(w.rec)
	err := w.apply(workflow.TakeOver{Owner: fmt.Sprint("node", w.token+1), Token: w.token + 1})
	if before.What == workflow.Nothing {
		if !errors.Is(err, workflow.ErrSuperseded) {
			w.t.Fatalf("took over where there was nothing to do: %v", err)
		}
		return
	}
	if err != nil {
		w.t.Fatalf("take over: %v", err)
	}
	w.token++
	if w.twin.state == "pending" {
		w.twin.state = "running"
	}
	w.twin.advance(w.now)
	w.compare("take over")
}

// die loses the owner in the middle of what it does; what it would have reported comes later or never.
func (w *world) die(completely bool) {
	a := workflow.Next(w.rec)
	if a.What == workflow.ToPerform {
		w.perform(a.Run, completely)
		w.zombies = append(w.zombies, workflow.Outcome{Run: a.Run})
	}
	w.takeOver()
}

// zombie lets a lost owner report.
func (w *world) zombie(i int) {
	if len(w.zombies) == 0 {
		return
	}
	before := proto.Clone(w.rec)
	if err := w.apply(w.zombies[i%len(w.zombies)]); !errors.Is(err, workflow.ErrSuperseded) || !proto.Equal(before, w.rec) {
		w.t.Fatalf("a lost owner's report counted: %v", err)
	}
}

// person lets somebody pause, resume or cancel.
func (w *world) person(wish string) {
	tw := &w.twin
	final := workflow.Final(w.rec.GetState())
	var ev workflow.Event
	refused := final
	switch wish {
	case "pause":
		ev, refused = workflow.Pause{}, refused || tw.state == "waiting for a person"
	case "resume":
		ev = workflow.Resume{}
	case "cancel":
		ev, refused = workflow.Cancel{By: "ann"}, refused || tw.past()
	}
	err := w.apply(ev)
	if refused != (err != nil) {
		w.t.Fatalf("%s of a %s workflow: %v", wish, tw.state, err)
	}
	if err != nil {
		return
	}
	switch {
	case wish == "pause" && tw.state == "pending":
		tw.state = "paused"
	case wish == "pause" && tw.moving():
		tw.pausing = true
		tw.tryPause()
	case wish == "resume" && (tw.state == "paused" || tw.state == "waiting for a person"):
		tw.giveUp = w.now.Add(1_000_000 * time.Hour)
		if tw.goOn(w.now); w.token == 0 {
			tw.state = "pending"
		}
	case wish == "resume" && tw.moving():
		if tw.pausing = false; !tw.retry.IsZero() {
			tw.retry = w.now
		}
	case wish == "cancel":
		tw.wanted = true
		if tw.state == "paused" || tw.state == "waiting for a person" {
			tw.goOn(w.now)
		}
		if tw.pausing = false; !tw.back {
			tw.turn()
			tw.settle()
		}
	}
	w.compare(wish)
}

func drawSteps(t *rapid.T) []workflow.Step {
	steps := make([]workflow.Step, rapid.IntRange(1, 6).Draw(t, "steps"))
	for i := range steps {
		s := workflow.Step{Name: fmt.Sprint("s", i), Changes: "sets a bit", Tries: rapid.IntRange(1, 3).Draw(t, "tries"), Urgent: rapid.Bool().Draw(t, "urgent")}
		switch rapid.IntRange(0, 5).Draw(t, "sort") {
		case 0:
			s.ReadOnly = true
		case 1:
			s.NoReturn = "it is written"
		case 2:
			s.Keep = !s.Urgent
		}
		steps[i] = s
	}
	return steps
}

// Whoever dies wherever, whatever a person wants in between: the machine does what the twin does, and another owner brings
// it to an end at which everything has happened or nothing has.
func TestAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, now: time.Unix(1_700_000_000, 0).UTC()}
		w.twin = twin{steps: drawSteps(t), state: "pending", giveUp: w.now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "seconds")) * time.Second)}
		w.effect = make([]bool, len(w.twin.steps))
		rec, err := workflow.New(workflow.Plan{ID: "shop.w", Kind: "bits", Operation: workflow.Operation{Name: "run", Steps: w.twin.steps, GiveUpAt: w.twin.giveUp}}, w.now)
		if err != nil {
			t.Fatal(err)
		}
		w.rec = rec
		w.compare("the beginning")
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			half := rapid.Bool().Draw(t, "half")
			switch rapid.SampledFrom([]string{"well", "well", "well", "fails", "hopeless", "dies", "zombie", "pause", "resume", "cancel"}).Draw(t, "event") {
			case "well":
				w.owner(true, 0, true)
			case "fails":
				w.owner(false, maybe, half)
			case "hopeless":
				w.owner(false, never, half)
			case "dies":
				w.die(half)
			case "zombie":
				w.zombie(rapid.IntRange(0, 10).Draw(t, "which"))
			case "pause":
				w.person("pause")
			case "resume":
				w.person("resume")
			case "cancel":
				w.person("cancel")
			}
		}
		w.calm = true
		// From here on nothing goes wrong any more. The bound: each step forwards and back, with a write before a retry.
		for n := 0; !workflow.Final(w.rec.GetState()); n++ {
			if n > 8*len(w.effect)+10 {
				t.Fatalf("no end: %s", viewOf(w.rec))
			}
			if workflow.Next(w.rec).What == workflow.Nothing {
				w.person("resume")
			}
			w.owner(true, 0, true)
		}
		w.zombie(0)
	})
}
