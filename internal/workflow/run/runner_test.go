package run_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
	"github.com/pelorusdb/pelorus/internal/workflow"
	"github.com/pelorusdb/pelorus/internal/workflow/run"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// bubble runs a test in time that only passes when everybody waits.
func bubble(t *testing.T, fn func(t *testing.T, tp *topo.Topo)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := mem.New()
		defer store.Close()
		fn(t, topo.New(store).WithLogger(quiet))
	})
}

// A node that dies without giving back its locks is followed by another at the end of a lock's life, not before and not a look later.
func TestTakeOverAfterDeath(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		d := &diary{}
		k := one(d.step("a"), d.step("b"))
		dead, stop := node(t, tp, "n1", k)
		stop()
		begin(t, dead)
		lease, err := tp.Grant(t.Context(), 2*time.Second) // and nobody keeps it alive
		must(t, err)
		_, err = tp.Txn(t.Context(), nil, []topo.Op{{Key: "locks/workflows/" + id, Value: []byte("n1"), Lease: lease}})
		must(t, err)
		second, err := run.New(run.Config{Topo: tp, Owner: "n2", Kinds: []run.Kind{k}, Log: quiet, LookEvery: time.Hour})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { second.Run(ctx); close(stopped) }()
		defer func() { cancel(); <-stopped }()
		settle(1900 * time.Millisecond)
		wantDiary(t, d, "[]")
		settle(200 * time.Millisecond)
		wantDiary(t, d, "[a b]")
		if w := until(t, second, done); w.GetOwner().GetName() != "n2" {
			t.Errorf("owner %v", w.GetOwner())
		}
	})
}

// settle lets a time pass in which everybody does what there is to do.
func settle(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestRetriesAndGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		d := &diary{}
		began := time.Now()
		flaky := d.step("b")
		flaky.Tries = 100
		flaky.Do = func(context.Context, *run.Work) error {
			d.add(fmt.Sprint("b@", time.Since(began)))
			return errors.New("not yet")
		}
		r, stop := node(t, tp, "n1", script{run.FirstOperation: {Limit: 5 * time.Second, Steps: []run.Step{d.step("a"), flaky}}})
		defer stop()
		began = time.Now()
		begin(t, r)
		w := until(t, r, failed)
		wantDiary(t, d, "[a b@0s b@250ms b@750ms b@1.75s b@3.75s unb una]")
		if !strings.Contains(w.GetOperation().GetError(), `the time of 5s was up in step "b": not yet`) {
			t.Errorf("the error is %q", w.GetOperation().GetError())
		}
	})
}

// A step in progress when the time of the operation is up is told so by its context.
func TestTimeIsUpInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		d := &diary{}
		begun := make(chan struct{}, 1)
		r, stop := node(t, tp, "n1", one(d.step("a"), d.blocked("b", begun, nil)))
		defer stop()
		began := time.Now()
		_, err := r.Begin(t.Context(), run.Request{ID: id, Kind: "script", Limit: 3 * time.Second})
		must(t, err)
		until(t, r, failed)
		wantDiary(t, d, "[a b stopped unb una]")
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestPanicIsAFault(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		d := &diary{}
		for _, step := range []run.Step{
			{Do: func(context.Context, *run.Work) error { panic("a bug") }},
			{Do: func(ctx context.Context, w *run.Work) error {
				return w.Each(ctx, []string{"x", "y"}, run.Enough{}, "act", func(context.Context, string) error { panic("a bug") })
			}},
		} {
			step.Step = workflow.Step{Name: "b", Changes: "nothing", Tries: 50}
			step.Undo = func(context.Context, *run.Work) error { return nil }
			r, stop := node(t, tp, "n1", one(d.step("a"), step))
			begin(t, r)
			w := until(t, r, failed)
			if !strings.Contains(w.GetOperation().GetError(), "a bug") {
				t.Errorf("the error is %q", w.GetOperation().GetError())
			}
			stop()
			settle(time.Millisecond) // no two of one id begin at one instant
		}
		wantDiary(t, d, "[a una a una]")
	})
}

// What has happened although its answer was lost is not done again; what certainly has not happened is taken back; and as long as
// nobody knows, nobody acts.
func TestNoReturnAsksTheWorld(t *testing.T) {
	tests := []struct {
		found []fact.Truth // what the check finds, one after the other
		want  string
		end   workflowv1.State
	}{
		{[]fact.Truth{fact.True}, "[a swap c]", done},
		{[]fact.Truth{fact.False}, "[a swap una]", failed},
		{[]fact.Truth{fact.Unknown, fact.Unknown, fact.True}, "[a swap swap c]", done},
		{[]fact.Truth{fact.Unknown, fact.False, fact.False}, "[a swap swap una]", failed},
	}
	for _, tt := range tests {
		bubble(t, func(t *testing.T, tp *topo.Topo) {
			d := &diary{}
			swap := d.step("swap")
			swap.NoReturn, swap.Undo = "it is written", nil
			swap.Do = func(context.Context, *run.Work) error { d.add("swap"); return errors.New("no answer") }
			n := 0
			swap.Done = func(context.Context, *run.Work) fact.Truth {
				is := tt.found[n]
				n = min(n+1, len(tt.found)-1)
				return is
			}
			r, stop := node(t, tp, "n1", one(d.step("a"), swap, d.step("c")))
			defer stop()
			begin(t, r)
			until(t, r, tt.end)
			if got := d.String(); got != tt.want {
				t.Errorf("found %v: %s, want %s", tt.found, got, tt.want)
			}
		})
	}
}

func TestFactsThatDoNotFit(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		d := &diary{}
		step := d.step("a")
		step.Do = func(_ context.Context, w *run.Work) error {
			if err := w.Set("small", workflow.Text("x")); err != nil {
				return err
			}
			return w.Set("huge", workflow.Data(make([]byte, workflow.MaxFactBytes)))
		}
		r, stop := node(t, tp, "n1", one(step))
		defer stop()
		begin(t, r)
		if w := until(t, r, failed); !strings.Contains(w.GetOperation().GetError(), "the limit is") {
			t.Errorf("the error is %q", w.GetOperation().GetError())
		}
	})
}

func TestForeignWorkflowsAreLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		d := &diary{}
		begun := make(chan struct{}, 1)
		later, stop := node(t, tp, "later", one(d.step("a"), d.step("new in this release"), d.blocked("b", begun, nil)))
		begin(t, later)
		<-begun
		stop()
		earlier, stopEarlier := node(t, tp, "earlier", one(d.step("a"), d.step("b")))
		defer stopEarlier()
		settle(time.Minute)
		w, err := earlier.Journal().Get(t.Context(), id)
		must(t, err)
		if w.GetState() != running || w.GetOwner().GetName() != "later" {
			t.Errorf("a node that does not know the steps took it: %v", w)
		}
		// A person can cancel from anywhere; who knows the steps takes them back.
		_, err = earlier.Cancel(t.Context(), id, nil, "ann")
		must(t, err)
		_, stopAgain := node(t, tp, "again", one(d.step("a"), d.step("new in this release"), d.step("b")))
		defer stopAgain()
		until(t, earlier, cancelled)
		wantDiary(t, d, "[a new in this release b stopped unb unnew in this release una]")
	})
}

func TestShare(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		d := &diary{}
		k := one(d.step("a"))
		gone, err := run.New(run.Config{Topo: tp, Owner: "gone", Kinds: []run.Kind{k}, Log: quiet})
		must(t, err)
		begin(t, gone) // and it never works
		none := func(*workflowv1.Workflow) bool { return false }
		r, err := run.New(run.Config{Topo: tp, Owner: "n1", Kinds: []run.Kind{k}, Log: quiet, Mine: none})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { r.Run(ctx); close(stopped) }()
		defer func() { cancel(); <-stopped }()
		settle(time.Minute)
		wantDiary(t, d, "[]") // it is another's share
		_, stop := node(t, tp, "n2", k)
		defer stop()
		until(t, r, done)
		begin(t, r) // begun here it is worked on here
		if w := until(t, r, done); w.GetOwner().GetName() != "n1" {
			t.Errorf("owner %v", w.GetOwner())
		}
	})
}

// What is over the limit of a node waits until there is room.
func TestMaxActive(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		d := &diary{}
		begun, going := make(chan struct{}, 2), make(chan struct{})
		r, err := run.New(run.Config{Topo: tp, Owner: "n1", Kinds: []run.Kind{one(d.blocked("a", begun, going))}, Log: quiet, MaxActive: 1})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { r.Run(ctx); close(stopped) }()
		defer func() { cancel(); <-stopped }()
		synctest.Wait()
		begin(t, r)
		other, err := r.Begin(t.Context(), run.Request{ID: "shop.v", Kind: "script"})
		must(t, err)
		settle(time.Minute)
		if w, err := r.Journal().Get(t.Context(), other.GetId()); err != nil || w.GetState() != pending {
			t.Errorf("the second is %v, %v", w, err)
		}
		close(going)
		settle(2 * run.DefaultLookEvery)
		wantDiary(t, d, "[a a]")
	})
}

func TestEnoughIsEnough(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		d := &diary{}
		step := d.step("stop receivers")
		slow := errors.New("")
		step.Do = func(ctx context.Context, w *run.Work) error {
			w.Note("e", "skipped: its agent does not answer")
			began := time.Now()
			err := w.Each(ctx, []string{"a", "b", "c", "d"}, run.Enough{Count: 2, Grace: 500 * time.Millisecond}, "stop", func(ctx context.Context, target string) error {
				switch target {
				case "c":
					return errors.New("refused")
				case "d": // hangs
					<-ctx.Done()
					slow = ctx.Err()
					return ctx.Err()
				}
				return nil
			})
			d.add(fmt.Sprint("after ", time.Since(began)))
			return err
		}
		r, stop := node(t, tp, "n1", one(step))
		defer stop()
		begin(t, r)
		w := until(t, r, done)
		wantDiary(t, d, "[after 500ms]")
		var lines []string
		for _, p := range w.GetOperation().GetSteps()[0].GetParts() {
			lines = append(lines, p.GetTarget()+": "+p.GetError())
		}
		want := map[string]bool{"a: ": true, "b: ": true, "c: refused": true, "d: context canceled": true, "e: ": true}
		for _, l := range lines {
			delete(want, l)
		}
		if len(want) > 0 || !errors.Is(slow, context.Canceled) {
			t.Errorf("parts %v, lacking %v", lines, want)
		}
	})
}

func TestTooFewIsAFailure(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		d := &diary{}
		step := d.step("a")
		step.Do = func(ctx context.Context, w *run.Work) error {
			return w.Each(ctx, []string{"a", "b"}, run.Enough{Count: 2}, "stop", func(_ context.Context, target string) error {
				if target == "b" {
					return errors.New("it is gone")
				}
				return nil
			})
		}
		r, stop := node(t, tp, "n1", one(step))
		defer stop()
		begin(t, r)
		if w := until(t, r, failed); !strings.Contains(w.GetOperation().GetError(), "1 of 2 succeeded, and 2 are needed: b: it is gone") {
			t.Errorf("the error is %q", w.GetOperation().GetError())
		}
	})
}

func TestDryRun(t *testing.T) {
	tp := newMem(t)
	d := &diary{}
	choose := run.Step{Step: workflow.Step{Name: "choose", Changes: "nothing", ReadOnly: true}, Do: func(_ context.Context, w *run.Work) error {
		return w.Set("primary", workflow.Text("zone1-102"))
	}}
	promote := d.step("promote")
	promote.Do = func(ctx context.Context, w *run.Work) error {
		alias, known := w.Facts().Text("primary")
		if !known {
			return errors.New("nobody was chosen")
		}
		return w.Act(ctx, alias, "promote", func(context.Context) error { d.add("promoted"); return nil })
	}
	refused := d.step("refused")
	refused.Do = func(context.Context, *run.Work) error { return errors.New("the disk is full") }
	r, err := run.New(run.Config{Topo: tp, Owner: "n1", Log: quiet, Kinds: []run.Kind{script{
		run.FirstOperation: {Steps: []run.Step{choose, promote}}, "bad": {Steps: []run.Step{choose, refused, promote}},
	}}})
	must(t, err)
	steps, err := r.DryRun(t.Context(), run.Request{ID: id, Kind: "script"})
	must(t, err)
	if len(steps) != 2 || steps[1].GetParts()[0].GetTarget() != "zone1-102" || steps[1].GetParts()[0].GetDetail() != "promote" {
		t.Errorf("steps %v", steps)
	}
	steps, err = r.DryRun(t.Context(), run.Request{ID: id, Kind: "script", Operation: "bad"})
	if err == nil || len(steps) != 2 || steps[1].GetLastError() != "the disk is full" {
		t.Errorf("steps %v, %v", steps, err)
	}
	wantDiary(t, d, "[]")
	if list, err := r.Journal().List(t.Context(), run.Filter{Finished: true}); err != nil || len(list) != 0 {
		t.Errorf("a dry run left %v, %v", list, err)
	}
}

func TestOperationsThatCannotBePerformed(t *testing.T) {
	tp := newMem(t)
	d := &diary{}
	noUndo, noCheck, noCode := d.step("a"), d.step("a"), d.step("a")
	noUndo.Undo, noCheck.NoReturn, noCode.Do = nil, "it is written", nil
	many := make([]string, 91)
	for i := range many {
		many[i] = fmt.Sprint("lock", i)
	}
	for want, op := range map[string]run.Operation{
		"has no code to take that back":             {Steps: []run.Step{noUndo}},
		"must be able to tell whether it has":       {Steps: []run.Step{noCheck}},
		"has no code":                               {Steps: []run.Step{noCode}},
		"two steps are named":                       {Steps: []run.Step{d.step("a"), d.step("a")}},
		"91 locks":                                  {Steps: []run.Step{d.step("a")}, Locks: many},
		"a lock's life of 1s":                       {Steps: []run.Step{d.step("a")}, LockTTL: time.Second},
		"it cannot rest in \"there\" afterwards":    {Steps: []run.Step{d.step("a")}, Cancels: true, Then: "there"},
		"this control node does not know the steps": {},
	} {
		r, err := run.New(run.Config{Topo: tp, Owner: "n1", Log: quiet, Kinds: []run.Kind{script{run.FirstOperation: op}}})
		must(t, err)
		kind := "script"
		if op.Steps == nil {
			kind = "unheard of"
		}
		if _, err := r.Begin(t.Context(), run.Request{ID: id, Kind: kind}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	r, err := run.New(run.Config{Topo: tp, Owner: "n1", Log: quiet, Kinds: []run.Kind{one(d.step("a"))}})
	must(t, err)
	for _, bad := range []string{"", "shop", "shop.", "shop.a b", ".x", "shop." + strings.Repeat("x", 65)} {
		if _, err := r.Begin(t.Context(), run.Request{ID: bad, Kind: "script"}); !errors.Is(err, topo.ErrInvalid) {
			t.Errorf("id %q: %v", bad, err)
		}
	}
	if _, err := r.Journal().Get(t.Context(), "shop.none"); !errcode.Has(err, errcode.RecordMissing) {
		t.Errorf("get of nothing: %v", err)
	}
	for _, cfg := range []run.Config{{}, {Topo: tp, Owner: "n", Log: quiet, LockTTL: time.Second}, {Topo: tp, Owner: "n", Log: quiet, Kinds: []run.Kind{script{}, script{}}}} {
		if _, err := run.New(cfg); err == nil {
			t.Errorf("accepted %+v", cfg)
		}
	}
}

func TestDeclineAndPrune(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		j := run.NewJournal(tp, quiet)
		seen := &workflowv1.Evidence{
			Problem: proto.String("dead_primary"), Scope: proto.String("shop/-80"), Unknown: []string{"zone1-102: receiver: never reported"},
			Observations: []*workflowv1.Observation{{Fact: proto.String("server answers"), Value: proto.String("no"), Source: proto.String("zone1-101"), At: timestamppb.Now()}},
			Decision:     proto.String("nothing is done: it is not known what the replica sees"),
		}
		must(t, j.Decline(t.Context(), workflow.Plan{ID: "shop.old", Kind: "recovery", Evidence: seen}))
		settle(run.KeepFinishedFor)
		const more = 5
		for i := range run.KeepFinished + more {
			settle(time.Second)
			must(t, j.Decline(t.Context(), workflow.Plan{ID: fmt.Sprintf("shop.r%d", i), Kind: "recovery", Evidence: seen}))
		}
		must(t, j.Prune(t.Context()))
		list, err := j.List(t.Context(), run.Filter{Kind: "recovery", Finished: true})
		must(t, err)
		if len(list) != run.KeepFinished || list[0].GetId() != fmt.Sprintf("shop.r%d", run.KeepFinished+more-1) {
			t.Errorf("%d are kept, the newest is %s", len(list), list[0].GetId())
		}
		if list[0].GetState() != workflowv1.State_STATE_DECLINED || !proto.Equal(list[0].GetEvidence(), seen) {
			t.Errorf("kept %v", list[0])
		}
		settle(2 * run.KeepFinishedFor)
		must(t, j.Prune(t.Context()))
		if list, err = j.List(t.Context(), run.Filter{Finished: true}); err != nil || len(list) != 0 {
			t.Errorf("%d are kept for ever, %v", len(list), err)
		}
	})
}

// What a step finds out replaces the reasons for which the workflow was begun, also when the step refuses.
func TestExplain(t *testing.T) {
	bubble(t, func(t *testing.T, tp *topo.Topo) {
		choose := run.Step{Step: workflow.Step{Name: "choose", Changes: "nothing", ReadOnly: true}, Do: func(_ context.Context, w *run.Work) error {
			w.Explain(&workflowv1.Evidence{Decision: proto.String("nobody has all transactions")})
			return run.NeverHeals(errors.New("nobody can reign"))
		}}
		r, stop := node(t, tp, "n1", one(choose))
		defer stop()
		_, err := r.Begin(t.Context(), run.Request{ID: id, Kind: "script", Evidence: &workflowv1.Evidence{Decision: proto.String("replace it")}})
		must(t, err)
		if w := until(t, r, failed); w.GetEvidence().GetDecision() != "nobody has all transactions" {
			t.Errorf("evidence %v", w.GetEvidence())
		}
	})
}

func TestFollowEndsWithItsContext(t *testing.T) {
	tp := newMem(t)
	d := &diary{}
	r, err := run.New(run.Config{Topo: tp, Owner: "n1", Log: quiet, Kinds: []run.Kind{one(d.step("a"))}})
	must(t, err)
	begin(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	w, err := r.Journal().Follow(ctx, id, func(*workflowv1.Workflow) bool { return false })
	if !errors.Is(err, context.DeadlineExceeded) || w.GetState() != pending {
		t.Errorf("%v, %v", w, err)
	}
}
