package workflowtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
	"github.com/pelorusdb/pelorus/internal/workflow"
	"github.com/pelorusdb/pelorus/internal/workflow/run"
	"github.com/pelorusdb/pelorus/internal/workflow/workflowtest"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// shards is a world of three servers: which have the table, which are fenced, and who reigns.
type shards struct {
	mu      sync.Mutex
	tables  map[string]bool
	fenced  bool
	reigns  string
	opened  bool
	streams bool
}

func newShards() *shards { return &shards{tables: map[string]bool{}, reigns: "old", opened: true} }

func (s *shards) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("tables %v fenced %v reigns %s opened %v streams %v", slices.Sorted(maps.Keys(s.tables)), s.fenced, s.reigns, s.opened, s.streams)
}

// set changes the world; it heeds ctx as a call of an agent would.
func (s *shards) set(ctx context.Context, fn func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
	return nil
}

func (s *shards) is(cond func() bool) func(context.Context, *run.Work) fact.Truth {
	return func(context.Context, *run.Work) fact.Truth {
		s.mu.Lock()
		defer s.mu.Unlock()
		return fact.Of(cond())
	}
}

// act is a Do or Undo of one target.
func (s *shards) act(target, detail string, fn func()) func(context.Context, *run.Work) error {
	return func(ctx context.Context, w *run.Work) error {
		return w.Act(ctx, target, detail, func(ctx context.Context) error {
			return s.set(ctx, fn)
		})
	}
}

// mover is a kind like a reshard: create, switch, cancel.
type mover struct {
	world *shards
	// bug breaks it in one way, to see that the sweep notices.
	bug string
}

// Name implements run.Kind.
func (mover) Name() string { return "mover" }

// Operation implements run.Kind.
func (m mover) Operation(w *workflowv1.Workflow, name string, _ *anypb.Any) (run.Operation, error) {
	switch {
	case name == "create" && w.GetStage() == "":
		return run.Operation{Then: "created", Steps: []run.Step{m.check(), m.createTables(), m.startStreams()}}, nil
	case name == "switch" && w.GetStage() == "created":
		return run.Operation{Then: "switched", WayOut: "switch back first", Locks: []string{"shards/a", "shards/b"}, Steps: m.switching()}, nil
	case name == run.CancelOperation && w.GetStage() == "created":
		return run.Operation{Cancels: true, Steps: m.cancel()}, nil
	}
	return run.Operation{}, errcode.New(errcode.WorkflowRefused, w.GetId(), w.GetStage(), "not now")
}

func (m mover) check() run.Step {
	return run.Step{
		Step: workflow.Step{Name: "check", Changes: "nothing: it chooses the targets", ReadOnly: true},
		Do: func(_ context.Context, w *run.Work) error {
			return w.Set("targets", workflow.Texts([]string{"a", "b", "c"}))
		},
	}
}

func (m mover) createTables() run.Step {
	do := func(ctx context.Context, w *run.Work) error {
		targets, known := w.Facts().Texts("targets")
		if !known {
			return run.NeverHeals(errors.New("nobody has chosen targets"))
		}
		for i, target := range targets {
			if err := w.Act(ctx, target, "create the table", func(ctx context.Context) error {
				return m.world.set(ctx, func() { m.world.tables[target] = true })
			}); err != nil {
				return err
			}
			if i == 0 {
				if err := w.Point("one table"); err != nil {
					return err
				}
			}
		}
		return nil
	}
	undo := func(ctx context.Context, w *run.Work) error {
		targets, known := w.Facts().Texts("targets")
		if !known || m.bug == "undo forgets" {
			return nil
		}
		return w.Each(ctx, targets, run.Enough{}, "drop the table", func(ctx context.Context, target string) error {
			return m.world.set(ctx, func() { delete(m.world.tables, target) })
		})
	}
	return run.Step{
		Step: workflow.Step{Name: "create tables", Changes: "a table on each target"}, Do: do, Undo: undo,
		Done: m.world.is(func() bool { return len(m.world.tables) == 3 }),
	}
}

func (m mover) startStreams() run.Step {
	return run.Step{
		Step: workflow.Step{Name: "start streams", Changes: "the targets follow the source"},
		Do:   m.world.act("c", "start the stream", func() { m.world.streams = m.bug != "do lies" }),
		Undo: m.world.act("c", "stop the stream", func() { m.world.streams = false }),
		Done: m.world.is(func() bool { return m.world.streams }),
	}
}

func (m mover) switching() []run.Step {
	fence := run.Step{
		Step: workflow.Step{Name: "fence", Changes: "the source takes no writes", Urgent: true},
		Do:   m.world.act("old", "fence", func() { m.world.fenced, m.world.opened = true, false }),
		Undo: m.world.act("old", "lift the fence", func() {
			if m.bug != "undo is half" {
				m.world.opened = true
			}
			m.world.fenced = false
		}),
	}
	swap := run.Step{
		Step: workflow.Step{Name: "swap", Changes: "the target reigns", Urgent: true, NoReturn: "writes go to the target"},
		Do:   m.world.act("record", "swap", func() { m.world.reigns = "new" }),
		Done: m.world.is(func() bool { return m.world.reigns == "new" }),
	}
	if m.bug == "blind" {
		swap.Done = func(context.Context, *run.Work) fact.Truth { return fact.False }
	}
	open := run.Step{
		Step: workflow.Step{Name: "open", Changes: "the target takes writes", Urgent: true},
		Do:   m.world.act("new", "open", func() { m.world.opened, m.world.fenced = true, false }),
	}
	if m.bug == "toggles" {
		open.Do = m.world.act("new", "open", func() { m.world.opened = !m.world.opened })
	}
	return []run.Step{fence, swap, open}
}

func (m mover) cancel() []run.Step {
	return []run.Step{
		{Step: workflow.Step{Name: "stop streams", Changes: "no stream runs"}, Do: m.world.act("c", "stop", func() { m.world.streams = false })},
		{Step: workflow.Step{Name: "drop tables", Changes: "the tables go"}, Do: m.world.act("all", "drop", func() { clear(m.world.tables) })},
	}
}

const id = "shop.move"

// trial opens a world, brings the workflow to the stage at which the operation is possible, and starts that.
func trial(t *testing.T, operation, bug string) workflowtest.Trial {
	t.Helper()
	store := mem.New()
	t.Cleanup(func() { store.Close() })
	world := newShards()
	fresh := world.String()
	tp := topo.New(store).WithLogger(quiet)
	out := workflowtest.Trial{
		Topo: tp, Kind: func() run.Kind { return mover{world: world, bug: bug} },
		State: func(*testing.T) string { return world.String() },
	}
	req := run.Request{ID: id, Kind: "mover", Operation: "create", Claims: []string{"range -80"}, By: "ann"}
	if operation == "create" {
		out.Start = func(ctx context.Context, r *run.Runner) (string, error) {
			_, err := r.Begin(ctx, req)
			return id, err
		}
		out.DryRun = func(ctx context.Context, r *run.Runner) error { _, err := r.DryRun(ctx, req); return err }
		return out
	}
	create(t, tp, world, req)
	out.AfterCancel = fresh
	out.Start = func(ctx context.Context, r *run.Runner) (string, error) {
		if operation == run.CancelOperation {
			_, err := r.Cancel(ctx, id, nil, "ann")
			return id, err
		}
		_, err := r.Operate(ctx, id, operation, nil, "ann", 0)
		return id, err
	}
	out.DryRun = func(ctx context.Context, r *run.Runner) error {
		_, err := r.DryOperate(ctx, id, operation, nil)
		return err
	}
	return out
}

// create lets the workflow's first operation run to its end.
func create(t *testing.T, tp *topo.Topo, world *shards, req run.Request) {
	t.Helper()
	r, err := run.New(run.Config{Topo: tp, Owner: "first", Kinds: []run.Kind{mover{world: world}}, Log: quiet, LookEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if _, err := r.Begin(ctx, req); err != nil {
		t.Fatal(err)
	}
	w, err := r.Journal().Follow(ctx, id, func(w *workflowv1.Workflow) bool { return workflow.Next(w).What == workflow.Nothing })
	if err != nil || w.GetStage() != "created" {
		t.Fatalf("create: %v, %v", w, err)
	}
}

func TestSweep(t *testing.T) {
	for _, operation := range []string{"create", "switch", run.CancelOperation} {
		t.Run(operation, func(t *testing.T) {
			workflowtest.Sweep(t, workflowtest.Options{}, func(t *testing.T) workflowtest.Trial { return trial(t, operation, "") })
		})
	}
}

// A sweep that finds nothing wrong with a broken kind would be worth nothing. The sweep runs in a process of its own, because its
// failures are those of a test.
func TestSweepFindsFaults(t *testing.T) {
	bugs := map[string]string{
		"undo forgets": "create", // leaves what it made
		"do lies":      "create", // says that it has done what it has not
		"undo is half": "switch", // does not put everything back
		"blind":        "switch", // takes back what cannot be taken back
		"toggles":      "switch", // is not idempotent
	}
	for bug, operation := range bugs {
		t.Run(bug, func(t *testing.T) {
			if os.Getenv(plantedBug) == bug {
				workflowtest.Sweep(t, workflowtest.Options{}, func(t *testing.T) workflowtest.Trial { return trial(t, operation, bug) })
				return
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestSweepFindsFaults$/^"+strings.ReplaceAll(bug, " ", "_")+"$")
			cmd.Env = append(os.Environ(), plantedBug+"="+bug)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !strings.Contains(string(out), "--- FAIL: TestSweepFindsFaults/") {
				t.Errorf("the sweep saw nothing wrong: %v\n%s", err, out)
			}
		})
	}
}

const plantedBug = "PELORUS_TEST_PLANTED_BUG"
