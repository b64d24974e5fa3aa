package run_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
	"github.com/pelorusdb/pelorus/internal/workflow"
	"github.com/pelorusdb/pelorus/internal/workflow/run"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// patience bounds each wait for something that must happen.
const patience = 20 * time.Second

// script is a kind whose operations are given.
type script map[string]run.Operation

func (script) Name() string { return "script" }

func (s script) Operation(_ *workflowv1.Workflow, name string, _ *anypb.Any) (run.Operation, error) {
	op, ok := s[name]
	if !ok {
		return run.Operation{}, errors.New("no such operation")
	}
	return op, nil
}

// one is a kind with one operation of these steps.
func one(steps ...run.Step) script { return script{run.FirstOperation: {Steps: steps}} }

// diary is what steps did, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprint(d.lines)
}

// step writes itself into the diary, both ways.
func (d *diary) step(name string) run.Step {
	return run.Step{
		Step: workflow.Step{Name: name, Changes: "the diary"},
		Do:   func(context.Context, *run.Work) error { d.add(name); return nil },
		Undo: func(context.Context, *run.Work) error { d.add("un" + name); return nil },
	}
}

// blocked is a step that waits until its context ends, or go is closed.
func (d *diary) blocked(name string, begun chan<- struct{}, going <-chan struct{}) run.Step {
	s := d.step(name)
	s.Do = func(ctx context.Context, _ *run.Work) error {
		select {
		case begun <- struct{}{}:
		case <-ctx.Done():
		}
		select {
		case <-ctx.Done():
			d.add(name + " stopped")
			return context.Cause(ctx)
		case <-going:
			d.add(name)
			return nil
		}
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newMem(t *testing.T) *topo.Topo {
	t.Helper()
	store := mem.New()
	t.Cleanup(func() { store.Close() })
	return topo.New(store).WithLogger(quiet)
}

// node starts a control node on a topology; stop ends it and waits for that.
func node(t testing.TB, tp *topo.Topo, name string, k run.Kind) (r *run.Runner, stop func()) {
	t.Helper()
	r, err := run.New(run.Config{Topo: tp, Owner: name, Kinds: []run.Kind{k}, Log: quiet, LockTTL: 2 * time.Second})
	must(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return r, stop
}

const id = "shop.w"

func begin(t *testing.T, r *run.Runner, claims ...string) *workflowv1.Workflow {
	t.Helper()
	w, err := r.Begin(t.Context(), run.Request{ID: id, Kind: "script", Title: "a test", By: "ann", Claims: claims})
	must(t, err)
	return w
}

// until follows the workflow to a state.
func until(t *testing.T, r *run.Runner, want workflowv1.State) *workflowv1.Workflow {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w, err := r.Journal().Follow(ctx, id, func(w *workflowv1.Workflow) bool { return w.GetState() == want })
	if err != nil || w.GetState() != want {
		t.Fatalf("it is %s and not %s: %v\n%v", workflow.StateWord(w.GetState()), workflow.StateWord(want), err, w)
	}
	return w
}

const (
	pending   = workflowv1.State_STATE_PENDING
	running   = workflowv1.State_STATE_RUNNING
	paused    = workflowv1.State_STATE_PAUSED
	waiting   = workflowv1.State_STATE_WAITING
	resting   = workflowv1.State_STATE_RESTING
	done      = workflowv1.State_STATE_DONE
	cancelled = workflowv1.State_STATE_CANCELLED
	failed    = workflowv1.State_STATE_FAILED
)

func wantDiary(t *testing.T, d *diary, want string) {
	t.Helper()
	if got := d.String(); got != want {
		t.Errorf("the diary says %s, want %s", got, want)
	}
}
