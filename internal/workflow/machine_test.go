package workflow_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/workflow"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

var epoch = time.Unix(1_700_000_000, 0).UTC()

func step(name string) workflow.Step { return workflow.Step{Name: name, Changes: "something"} }

func created(t *testing.T, op workflow.Operation) *workflowv1.Workflow {
	t.Helper()
	w, err := workflow.New(workflow.Plan{ID: "shop.w", Kind: "k", Operation: op}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func apply(t *testing.T, w *workflowv1.Workflow, events ...workflow.Event) *workflowv1.Workflow {
	t.Helper()
	for _, ev := range events {
		next, err := workflow.Apply(w, ev, epoch)
		if err != nil {
			t.Fatalf("%T: %v", ev, err)
		}
		w = next
	}
	return w
}

// outcome is the success of what Next says, or its failure.
func outcome(w *workflowv1.Workflow, failure string) workflow.Outcome {
	return workflow.Outcome{Run: workflow.Next(w).Run, Err: failure, Class: maybe}
}

func take(token int64) workflow.Event { return workflow.TakeOver{Owner: "n", Token: token} }

// The end of a step and the beginning of the next are one write.
func TestOneWritePerStep(t *testing.T) {
	w := created(t, workflow.Operation{Name: "run", Steps: []workflow.Step{step("a"), step("b"), step("c")}})
	writes := 1
	w = apply(t, w, take(1))
	for writes++; !workflow.Final(w.GetState()); writes++ {
		w = apply(t, w, outcome(w, ""))
	}
	if writes != 5 {
		t.Errorf("three steps took %d writes, want 5", writes)
	}
}

func TestApplyLeavesItsInputAlone(t *testing.T) {
	w := created(t, workflow.Operation{Name: "run", Steps: []workflow.Step{step("a")}})
	before := proto.Clone(w)
	out := outcome(apply(t, w, take(1)), "")
	out.Facts = workflow.Facts{"x": workflow.Text("y")}
	apply(t, apply(t, w, take(1)), out)
	if !proto.Equal(w, before) {
		t.Errorf("it became %v", w)
	}
}

// Each refusal, with what it says.
func TestRefusals(t *testing.T) {
	noReturn := step("swap")
	noReturn.NoReturn = "the record is written"
	op := workflow.Operation{Name: "run", Then: "there", WayOut: "reverse it", Steps: []workflow.Step{step("a"), noReturn, step("c")}}
	running := apply(t, created(t, op), take(5))
	swapping := apply(t, running, outcome(running, ""))
	swapped := apply(t, swapping, outcome(swapping, ""))
	rests := apply(t, swapped, outcome(swapped, ""))
	tests := []struct {
		name string
		w    *workflowv1.Workflow
		ev   workflow.Event
		want string
	}{
		{"an older owner", running, take(5), "superseded"},
		{"begin under way", running, workflow.Begin{Token: 5}, "superseded"},
		{"another's outcome", running, workflow.Outcome{Run: workflow.Run{Token: 4, Operation: 1, Attempt: 1}}, "superseded"},
		{"another step's outcome", running, workflow.Outcome{Run: workflow.Run{Token: 5, Operation: 1, Step: 1, Attempt: 1}}, "superseded"},
		{"another's facts", running, workflow.Checkpoint{Run: workflow.Run{Token: 4, Operation: 1}}, "superseded"},
		{"late facts", rests, workflow.Checkpoint{Run: workflow.Run{Token: 5, Operation: 1}}, "superseded"},
		{"take over what rests", rests, take(6), "superseded"},
		{"cancel during the swap", swapping, workflow.Cancel{}, `PLR2003: workflow shop.w cannot be cancelled any more: step "swap" cannot be taken back: the record is written; the way out: reverse it`},
		{"cancel after it", swapped, workflow.Cancel{}, "PLR2003"},
		{"cancel of what rests", rests, workflow.Cancel{}, "PLR2002"},
		{"pause of what rests", rests, workflow.Pause{}, "PLR2002: workflow shop.w is resting: there is nothing to pause"},
		{"resume of what rests", rests, workflow.Resume{}, "PLR2002"},
		{"start under way", running, workflow.Start{Operation: op}, "PLR2002"},
		{"start of nothing", rests, workflow.Start{Operation: workflow.Operation{Name: "x"}}, "PLR2001"},
		{"huge facts", running, workflow.Outcome{Run: workflow.Next(running).Run, Facts: workflow.Facts{"x": workflow.Data(make([]byte, workflow.MaxFactBytes))}}, "PLR2001"},
	}
	for _, tt := range tests {
		_, err := workflow.Apply(tt.w, tt.ev, epoch)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	op.Then = ""
	over := apply(t, rests, workflow.Start{Operation: workflow.Operation{Name: "end", Steps: []workflow.Step{step("a")}}}, take(6))
	over = apply(t, over, outcome(over, ""))
	for _, ev := range []workflow.Event{take(7), workflow.Pause{}, workflow.Resume{}, workflow.Cancel{}, workflow.Start{Operation: op}} {
		if _, err := workflow.Apply(over, ev, epoch); !errors.Is(err, workflow.ErrSuperseded) {
			t.Errorf("%T after the end: %v", ev, err)
		}
	}
}

// An operation that cancels only goes forward: what cannot be done waits for a person, and a second cancel changes its arguments.
func TestCancelOperation(t *testing.T) {
	w := created(t, workflow.Operation{Name: "create", Then: "created", Steps: []workflow.Step{step("a")}})
	w = apply(t, w, take(1))
	w = apply(t, w, outcome(w, ""), workflow.Start{Operation: workflow.Operation{Name: "cancel", Cancels: true, Steps: []workflow.Step{step("stop"), step("drop")}}}, take(2))
	hopeless := outcome(w, "the target is gone")
	hopeless.Class = never
	w = apply(t, w, hopeless)
	if w.GetState() != workflowv1.State_STATE_WAITING || !strings.Contains(w.GetWaitingFor(), "the target is gone") || strings.Contains(w.GetWaitingFor(), "cancel") {
		t.Fatalf("%s: %s", workflow.StateWord(w.GetState()), w.GetWaitingFor())
	}
	force, err := anypb.New(structpb.NewStringValue("force"))
	if err != nil {
		t.Fatal(err)
	}
	w = apply(t, w, workflow.Cancel{By: "ann", Args: force}, workflow.Begin{Token: 2})
	if !proto.Equal(w.GetOperation().GetArgs(), force) || workflow.Next(w).Run.Attempt != 2 {
		t.Errorf("operation %v", w.GetOperation())
	}
	w = apply(t, w, outcome(w, ""))
	w = apply(t, w, outcome(w, ""))
	if w.GetState() != workflowv1.State_STATE_CANCELLED {
		t.Errorf("it ended %s", workflow.StateWord(w.GetState()))
	}
}

// While something is held up a pause waits, and a failure is tried again soon.
func TestUrgent(t *testing.T) {
	urgent := func(name string) workflow.Step {
		s := step(name)
		s.Urgent, s.Tries = true, 99
		return s
	}
	w := created(t, workflow.Operation{Name: "run", Steps: []workflow.Step{step("a"), urgent("fence"), urgent("swap"), step("tidy")}})
	w = apply(t, w, take(1))
	if got := apply(t, w, workflow.Pause{}); got.GetState() != workflowv1.State_STATE_PAUSED {
		t.Errorf("before the fence it is %s", workflow.StateWord(got.GetState()))
	}
	w = apply(t, w, outcome(w, ""), workflow.Pause{})
	for _, at := range []string{"fence", "swap"} {
		if w.GetState() != workflowv1.State_STATE_RUNNING {
			t.Errorf("at %s it is %s", at, workflow.StateWord(w.GetState()))
		}
		for range 8 {
			w = apply(t, w, outcome(w, "not yet"))
			next := workflow.Next(w)
			if pause := next.At.Sub(epoch); pause <= 0 || pause > time.Second {
				t.Errorf("at %s the pause is %s", at, pause)
			}
			var err error
			if w, err = workflow.Apply(w, workflow.Begin{Token: 1}, next.At); err != nil {
				t.Fatal(err)
			}
		}
		w = apply(t, w, outcome(w, ""))
	}
	if w.GetState() != workflowv1.State_STATE_PAUSED {
		t.Errorf("behind it is %s", workflow.StateWord(w.GetState()))
	}
}

// A record at every limit at once still fits into the topology.
func TestLargestRecordFits(t *testing.T) {
	long := strings.Repeat("é", 4000)
	op := workflow.Operation{Name: strings.Repeat("o", 64), Then: strings.Repeat("t", 64), WayOut: long, By: long, GiveUpAt: epoch.Add(time.Hour)}
	for i := range workflow.MaxSteps {
		op.Steps = append(op.Steps, workflow.Step{Name: fmt.Sprintf("%064d", i), Changes: long, NoReturn: long, Tries: 9})
	}
	var claims []string
	for i := range workflow.MaxClaims {
		claims = append(claims, fmt.Sprintf("%0256d", i))
	}
	spec, err := anypb.New(structpb.NewStringValue(strings.Repeat("s", 65_400)))
	if err != nil {
		t.Fatal(err)
	}
	args, err := anypb.New(structpb.NewStringValue(strings.Repeat("s", 16_200)))
	if err != nil {
		t.Fatal(err)
	}
	op.Args = args
	evidence := &workflowv1.Evidence{}
	for range 1000 {
		evidence.Observations = append(evidence.Observations, &workflowv1.Observation{Fact: &long})
	}
	w, err := workflow.New(workflow.Plan{ID: "shop.w", Kind: strings.Repeat("k", 64), Title: long, Claims: claims, Spec: spec, Evidence: evidence, Operation: op}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	w = apply(t, w, take(1))
	var parts []*workflowv1.Part
	for range 40 {
		parts = append(parts, &workflowv1.Part{Target: &long, Detail: &long, Error: &long})
	}
	facts := workflow.Facts{"gtid": workflow.Data(make([]byte, workflow.MaxFactBytes-100))}
	for i := range workflow.MaxSteps {
		for range 2 { // each fails once
			out := workflow.Outcome{Run: workflow.Next(w).Run, Parts: parts, Took: time.Hour}
			if out.Run.Attempt == 1 {
				out.Err, out.Class = long, maybe
			}
			w = apply(t, w, out)
			if at := workflow.Next(w).At; !at.IsZero() {
				if w, err = workflow.Apply(w, workflow.Begin{Token: 1}, at); err != nil {
					t.Fatal(err)
				}
			}
		}
		if i == 0 {
			w = apply(t, w, workflow.Checkpoint{Run: workflow.Run{Token: 1, Operation: 1}, Facts: facts})
		}
	}
	if w.GetState() != workflowv1.State_STATE_RESTING {
		t.Fatalf("it is %s", workflow.StateWord(w.GetState()))
	}
	size := proto.Size(w)
	t.Logf("%d bytes", size)
	if size > 1<<20 || size < 900_000 {
		t.Errorf("the largest record has %d bytes, not a little under 1 MiB", size)
	}
	for _, s := range w.GetOperation().GetSteps() {
		if !utf8.ValidString(s.GetLastError()) || len(s.GetParts()) != workflow.MaxParts {
			t.Fatalf("step %v", s)
		}
	}
}

// What is kept of many targets are the ones that failed; where there is room for all they stay in order.
func TestParts(t *testing.T) {
	part := func(i int, failed bool) *workflowv1.Part {
		p := &workflowv1.Part{Target: proto.String(fmt.Sprint("t", i))}
		if failed {
			p.Error = proto.String("gone\nfor good")
		}
		return p
	}
	for _, n := range []int{5, 30} {
		var in []*workflowv1.Part
		for i := range n {
			in = append(in, part(i, i%5 == 4))
		}
		w := apply(t, created(t, workflow.Operation{Name: "run", Steps: []workflow.Step{step("a"), step("b")}}), take(1))
		out := outcome(w, "")
		out.Parts = in
		got := apply(t, w, out).GetOperation().GetSteps()[0].GetParts()
		var names []string
		for _, p := range got {
			names = append(names, p.GetTarget()+p.GetError())
		}
		want := "[t0 t1 t2 t3 t4gone for good]"
		if n == 30 {
			want = "[t4gone for good t9gone for good t14gone for good t19gone for good t24gone for good t29gone for good t0 t1 t2 t3 t5 t6]"
		}
		if fmt.Sprint(names) != want {
			t.Errorf("of %d parts: %v", n, names)
		}
	}
}

// Long facts go when the workflow is over, and their names stay.
func TestLongFactsAreDroppedAtTheEnd(t *testing.T) {
	w := apply(t, created(t, workflow.Operation{Name: "run", Steps: []workflow.Step{step("a")}}), take(1))
	out := outcome(w, "")
	out.Facts = workflow.Facts{"long": workflow.Data(make([]byte, 5000)), "primary": workflow.Text("zone1-101")}
	w = apply(t, w, out)
	if _, known := workflow.Facts(w.GetFacts()).Data("long"); known || fmt.Sprint(w.GetDroppedFacts()) != "[long]" {
		t.Errorf("dropped %v of %d", w.GetDroppedFacts(), len(w.GetFacts()))
	}
	if alias, known := workflow.Facts(w.GetFacts()).Text("primary"); !known || alias != "zone1-101" {
		t.Errorf("primary %q", alias)
	}
}

// A fact that is absent, or of another type, is not known.
func TestFacts(t *testing.T) {
	at := epoch.Add(time.Nanosecond)
	f := workflow.Facts{
		"text": workflow.Text("caf\xe9"), "number": workflow.Number(0), "flag": workflow.Flag(false), "texts": workflow.Texts(nil), "data": workflow.Data(nil), "time": workflow.Time(at),
		"later": {},
	}
	for name := range f {
		known := map[string]bool{}
		_, known["text"] = f.Text(name)
		_, known["number"] = f.Number(name)
		_, known["flag"] = f.Flag(name)
		_, known["texts"] = f.Texts(name)
		_, known["data"] = f.Data(name)
		_, known["time"] = f.Time(name)
		for as, is := range known {
			if is != (as == name) {
				t.Errorf("%s as %s: known %v", name, as, is)
			}
		}
	}
	if _, known := f.Text("none"); known {
		t.Error("an absent fact is known")
	}
	if got, _ := f.Text("text"); got != "caf?" {
		t.Errorf("text %q", got)
	}
	if got, _ := f.Time("time"); !got.Equal(at) {
		t.Errorf("time %v", got)
	}
	list := []string{"a"}
	v := workflow.Texts(list)
	list[0] = "changed"
	if got, _ := (workflow.Facts{"x": v}).Texts("x"); !reflect.DeepEqual(got, []string{"a"}) {
		t.Errorf("the list is the caller's: %v", got)
	}
}

func TestOnlyTheLastOperationsAreKept(t *testing.T) {
	w := created(t, workflow.Operation{Name: "op0", Then: "s", Steps: []workflow.Step{step("a")}})
	for i := range 20 {
		w = apply(t, w, take(int64(i+1)))
		w = apply(t, w, outcome(w, ""), workflow.Start{Operation: workflow.Operation{Name: fmt.Sprint("op", i+1), Then: "s", Steps: []workflow.Step{step("a")}}})
	}
	h := w.GetHistory()
	if len(h) != 16 || h[15].GetName() != "op19" || h[0].GetName() != "op4" || w.GetOperation().GetNumber() != 21 {
		t.Errorf("%d operations from %s to %s", len(h), h[0].GetName(), h[len(h)-1].GetName())
	}
}

// A record of a later release keeps the fields that this one does not know.
func TestUnknownFieldsSurvive(t *testing.T) {
	w := created(t, workflow.Operation{Name: "run", Steps: []workflow.Step{step("a"), step("b")}})
	w.ProtoReflect().SetUnknown([]byte{0xba, 0x3e, 0x01, 'x'}) // field 999, "x"
	w.GetOperation().GetSteps()[1].ProtoReflect().SetUnknown([]byte{0xba, 0x3e, 0x01, 'y'})
	w = apply(t, w, take(1))
	w = apply(t, w, outcome(w, ""))
	if string(w.ProtoReflect().GetUnknown()) != "\xba\x3e\x01x" || string(w.GetOperation().GetSteps()[1].ProtoReflect().GetUnknown()) != "\xba\x3e\x01y" {
		t.Error("fields of a later release were lost")
	}
}

// However much was seen, a recovery can be recorded: what is left out is counted.
func TestEvidenceIsCutToSize(t *testing.T) {
	long := strings.Repeat("x", 1000) + "\xff"
	e := &workflowv1.Evidence{Problem: proto.String("dead_primary"), Decision: proto.String("replace it")}
	for range 400 {
		e.Observations = append(e.Observations, &workflowv1.Observation{Fact: &long, Value: &long, Source: &long})
		e.Unknown = append(e.Unknown, long)
		e.Alternatives = append(e.Alternatives, &workflowv1.Alternative{What: &long, WhyNot: &long})
	}
	w, err := workflow.New(workflow.Plan{ID: "shop.w", Kind: "k", Evidence: e, Operation: workflow.Operation{Name: "run", Steps: []workflow.Step{step("a")}}}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	got := w.GetEvidence()
	kept := len(got.GetObservations()) + len(got.GetUnknown()) - 1 + len(got.GetAlternatives())
	if last := got.GetUnknown()[len(got.GetUnknown())-1]; last != fmt.Sprintf("%d entries were left out, there was no room for them", 1200-kept) {
		t.Errorf("the last is %q, and %d are kept", last, kept)
	}
	if size := proto.Size(got); size > 64<<10 || size < 32<<10 || got.GetProblem() != "dead_primary" || got.GetDecision() != "replace it" {
		t.Errorf("%d bytes about %s: %s", size, got.GetProblem(), got.GetDecision())
	}
	if _, err := proto.Marshal(w); err != nil {
		t.Error(err)
	}
	if len(e.GetObservations()) != 400 {
		t.Error("the caller's evidence was changed")
	}
}
