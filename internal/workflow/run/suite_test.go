package run_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/etcd"
	"github.com/pelorusdb/pelorus/internal/topo/etcd/embed"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
	"github.com/pelorusdb/pelorus/internal/workflow"
	"github.com/pelorusdb/pelorus/internal/workflow/run"
	"github.com/pelorusdb/pelorus/internal/workflow/workflowtest"
)

// suite is what must hold on any store. Each store that open makes is empty.
func suite(t *testing.T, sweep workflowtest.Options, open func(t *testing.T) topo.Store) {
	tests := []struct {
		name string
		test func(t *testing.T, store topo.Store)
	}{
		{"GoesThrough", testGoesThrough},
		{"ClaimsExclude", testClaimsExclude},
		{"OneOfManyBegins", testOneOfManyBegins},
		{"PauseAndResume", testPauseAndResume},
		{"CancelFromAnotherNode", testCancelFromAnotherNode},
		{"NodeStops", testNodeStops},
		{"LockIsLost", testLockIsLost},
		{"AnswersAreLost", testAnswersAreLost},
		{"Operations", testOperations},
		{"SavedFactsOutliveTheNode", testSavedFacts},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
	t.Run("Sweep", func(t *testing.T) {
		workflowtest.Sweep(t, sweep, func(t *testing.T) workflowtest.Trial { return swapTrial(t, open(t)) })
	})
}

func TestMem(t *testing.T) {
	suite(t, workflowtest.Options{}, func(t *testing.T) topo.Store {
		store := mem.New()
		t.Cleanup(func() { store.Close() })
		return store
	})
}

func TestEtcd(t *testing.T) {
	cfg := embed.DefaultConfig()
	cfg.DataDir = filepath.Join(t.TempDir(), "topo")
	cfg.ClientPort, cfg.PeerPort = freePort(t), freePort(t)
	etcdNode, err := embed.Start(t.Context(), cfg, quiet)
	must(t, err)
	defer etcdNode.Stop()
	var n atomic.Int64
	suite(t, workflowtest.Options{Every: 6, Random: 5}, func(t *testing.T) topo.Store {
		store, err := etcd.Open(etcd.Config{Endpoints: []string{cfg.Endpoint()}, Prefix: fmt.Sprintf("/suite%d", n.Add(1)), Logger: quiet})
		must(t, err)
		t.Cleanup(func() { store.Close() })
		return store
	})
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func testGoesThrough(t *testing.T, store topo.Store) {
	d := &diary{}
	r, _ := node(t, topo.New(store).WithLogger(quiet), "n1", one(d.step("a"), d.step("b"), d.step("c")))
	began := time.Now()
	w := begin(t, r)
	if w.GetState() != pending || w.GetId() != id {
		t.Errorf("begun %v", w)
	}
	w = until(t, r, done)
	t.Logf("three steps through after %s", time.Since(began).Round(time.Microsecond))
	wantDiary(t, d, "[a b c]")
	if w.GetOwner().GetName() != "n1" || len(w.GetHistory()) != 1 || w.GetHistory()[0].GetEnd() != workflowv1.End_END_DONE {
		t.Errorf("the record %v", w)
	}
	for _, s := range w.GetOperation().GetSteps() {
		if s.GetAttempts() != 1 || s.GetTook() == nil || s.GetBeganAt() == nil {
			t.Errorf("step %v", s)
		}
	}
	list, err := r.Journal().List(t.Context(), run.Filter{Keyspace: "shop", Finished: true})
	must(t, err)
	open, err := r.Journal().List(t.Context(), run.Filter{})
	must(t, err)
	if len(list) != 1 || len(open) != 0 {
		t.Errorf("%d are listed, %d of them open", len(list), len(open))
	}
	if _, err := r.Cancel(t.Context(), id, nil, "ann"); !errcode.Has(err, errcode.WorkflowRefused) {
		t.Errorf("cancel after the end: %v", err)
	}
	begin(t, r) // the id is free again
	until(t, r, done)
}

func testClaimsExclude(t *testing.T, store topo.Store) {
	d := &diary{}
	begun, going := make(chan struct{}), make(chan struct{})
	r, _ := node(t, topo.New(store).WithLogger(quiet), "n1", one(d.blocked("a", begun, going)))
	begin(t, r, "shard shop/-80", "shard shop/80-")
	<-begun
	_, err := r.Begin(t.Context(), run.Request{ID: id, Kind: "script"})
	if !errcode.Has(err, errcode.RecordExists) {
		t.Errorf("the same id: %v", err)
	}
	_, err = r.Begin(t.Context(), run.Request{ID: "shop.other", Kind: "script", Claims: []string{"shard shop/80-"}})
	if !errcode.Has(err, errcode.WorkflowClaimed) || err.Error() != "PLR2004: shard shop/80- belongs to workflow shop.w, which is not over: create workflow shop.other: shard shop/80- is claimed by workflow shop.w" {
		t.Errorf("a claim of another: %v", err)
	}
	close(going)
	until(t, r, done)
	_, err = r.Begin(t.Context(), run.Request{ID: id, Kind: "script", Claims: []string{"shard shop/80-"}})
	must(t, err)
	<-begun
	until(t, r, done)
}

func testOneOfManyBegins(t *testing.T, store topo.Store) {
	d := &diary{}
	tp := topo.New(store).WithLogger(quiet)
	begun, going := make(chan struct{}), make(chan struct{})
	k := one(d.blocked("a", begun, going))
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		r, _ := node(t, tp, fmt.Sprint("n", i), k)
		wg.Go(func() {
			_, err := r.Begin(t.Context(), run.Request{ID: fmt.Sprintf("shop.w%d", i), Kind: "script", Claims: []string{"it"}})
			switch {
			case err == nil:
				won.Add(1)
			case !errcode.Has(err, errcode.WorkflowClaimed):
				t.Errorf("begin: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of four have the claim", won.Load())
	}
	<-begun
	close(going)
}

func testPauseAndResume(t *testing.T, store topo.Store) {
	d := &diary{}
	begun, going := make(chan struct{}), make(chan struct{})
	tp := topo.New(store).WithLogger(quiet)
	k := one(d.step("a"), d.blocked("b", begun, going), d.step("c"))
	r, _ := node(t, tp, "n1", k)
	begin(t, r)
	<-begun
	other, err := run.New(run.Config{Topo: tp, Owner: "n2", Kinds: []run.Kind{k}, Log: quiet}) // it only commands
	must(t, err)
	_, err = other.Pause(t.Context(), id)
	must(t, err)
	until(t, r, paused)
	waitFor(t, "the step to stop", func() bool { return d.String() == "[a b stopped]" })
	// Paused, it holds no lock.
	waitFor(t, "the locks", func() bool {
		held, err := tp.HeldLocks(t.Context())
		return err == nil && len(held) == 0
	})
	close(going)
	_, err = other.Resume(t.Context(), id)
	must(t, err)
	<-begun
	until(t, r, done)
	wantDiary(t, d, "[a b stopped b c]")
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-tick.C
	}
}

func testCancelFromAnotherNode(t *testing.T, store topo.Store) {
	d := &diary{}
	begun := make(chan struct{})
	tp := topo.New(store).WithLogger(quiet)
	k := one(d.step("a"), d.blocked("b", begun, nil))
	r, _ := node(t, tp, "n1", k)
	begin(t, r)
	<-begun
	other, _ := node(t, tp, "n2", k)
	for range 2 {
		_, err := other.Cancel(t.Context(), id, nil, "bob")
		must(t, err)
	}
	w := until(t, r, cancelled)
	wantDiary(t, d, "[a b stopped unb una]")
	if w.GetOwner().GetName() != "n1" {
		t.Errorf("%s took it back", w.GetOwner().GetName())
	}
	if _, err := other.Cancel(t.Context(), id, nil, "bob"); err != nil {
		t.Errorf("cancel of what is cancelled: %v", err)
	}
}

// A node that is stopped in the middle of a step leaves the rest to another, at once.
func testNodeStops(t *testing.T, store topo.Store) {
	d := &diary{}
	begun, going := make(chan struct{}), make(chan struct{})
	tp := topo.New(store).WithLogger(quiet)
	k := one(d.step("a"), d.blocked("b", begun, going))
	first, stop := node(t, tp, "n1", k)
	begin(t, first)
	<-begun
	second, _ := node(t, tp, "n2", k)
	stop()
	<-begun
	close(going)
	w := until(t, second, done)
	wantDiary(t, d, "[a b stopped b]")
	if w.GetOwner().GetName() != "n2" || w.GetOwner().GetTakeovers() != 2 {
		t.Errorf("owner %v", w.GetOwner())
	}
}

// An owner that loses its lock without knowing it can write nothing more, whatever its step's code goes on doing.
func testLockIsLost(t *testing.T, store topo.Store) {
	d := &diary{}
	tp := topo.New(store).WithLogger(quiet)
	begun, going := make(chan struct{}, 2), make(chan struct{})
	deaf := d.step("a")
	deaf.Do = func(context.Context, *run.Work) error { // it heeds nobody
		begun <- struct{}{}
		<-going
		d.add("a")
		return nil
	}
	first, _ := node(t, tp, "n1", one(deaf, d.step("b")))
	begin(t, first)
	<-begun
	_, err := store.Txn(t.Context(), nil, []topo.Op{{Key: "locks/workflows/" + id, Delete: true}})
	must(t, err)
	second, _ := node(t, tp, "n2", one(d.step("a"), d.step("b")))
	w := until(t, second, done)
	wantDiary(t, d, "[a b]")
	close(going)
	waitFor(t, "the deaf step", func() bool { return d.String() == "[a b a]" })
	now, err := second.Journal().Get(t.Context(), id)
	must(t, err)
	if now.GetUpdatedAt().AsTime() != w.GetUpdatedAt().AsTime() || now.GetOwner().GetName() != "n2" {
		t.Errorf("the lost owner wrote: %v", now)
	}
}

// faulty is a store whose writes of open workflows lose their answers in turn: before they happen, and after.
type faulty struct {
	topo.Store
	n atomic.Int64
}

var errLost = errors.New("the connection was lost")

func (f *faulty) Txn(ctx context.Context, cmps []topo.Cmp, ops []topo.Op) (int64, error) {
	if len(cmps) < 2 {
		return f.Store.Txn(ctx, cmps, ops) // that of a lock
	}
	switch f.n.Add(1) % 3 {
	case 1:
		return 0, errLost
	case 2:
		if _, err := f.Store.Txn(ctx, cmps, ops); err != nil {
			return 0, err
		}
		return 0, errLost
	}
	return f.Store.Txn(ctx, cmps, ops)
}

func testAnswersAreLost(t *testing.T, store topo.Store) {
	d := &diary{}
	f := &faulty{Store: store}
	r, _ := node(t, topo.New(f).WithLogger(quiet), "n1", one(d.step("a"), d.step("b"), d.step("c"), d.step("d"), d.step("e")))
	begin(t, r)
	w := until(t, r, done)
	wantDiary(t, d, "[a b c d e]") // each once, although nearly no write was answered
	for _, s := range w.GetOperation().GetSteps() {
		if s.GetAttempts() != 1 {
			t.Errorf("%s was begun %d times", s.GetName(), s.GetAttempts())
		}
	}
	begin(t, r) // its first answer is lost as well
	until(t, r, done)
	wantDiary(t, d, "[a b c d e a b c d e]")
	if f.n.Load() < 18 {
		t.Errorf("only %d writes met the fault", f.n.Load())
	}
}

// Operations follow one another; a cancel in the middle of the second takes that back, and then the first by the kind's own cancel.
func testOperations(t *testing.T, store topo.Store) {
	d := &diary{}
	begun := make(chan struct{})
	k := script{
		"create":            {Then: "created", Steps: []run.Step{d.step("table"), d.step("stream")}},
		"switch":            {Then: "switched", Locks: []string{"shards/shop/-80", "shards/shop/80-"}, Steps: []run.Step{d.step("fence"), d.blocked("reach", begun, nil)}},
		run.CancelOperation: {Cancels: true, Steps: []run.Step{d.step("drop")}},
	}
	tp := topo.New(store).WithLogger(quiet)
	r, _ := node(t, tp, "n1", k)
	_, err := r.Begin(t.Context(), run.Request{ID: id, Kind: "script", Operation: "create"})
	must(t, err)
	w := until(t, r, resting)
	if w.GetStage() != "created" {
		t.Errorf("it rests in %q", w.GetStage())
	}
	if _, err := r.Pause(t.Context(), id); !errcode.Has(err, errcode.WorkflowRefused) {
		t.Errorf("pause of what rests: %v", err)
	}
	_, err = r.Operate(t.Context(), id, "switch", nil, "ann", 0)
	must(t, err)
	<-begun
	without, err := run.New(run.Config{Topo: tp, Owner: "n2", Log: quiet, Kinds: []run.Kind{script{}}})
	must(t, err)
	if _, err := without.Cancel(t.Context(), id, nil, "ann"); err == nil || err.Error() != "no such operation" {
		t.Errorf("a cancel that could not be kept: %v", err)
	}
	if _, err := r.Operate(t.Context(), id, "switch", nil, "ann", 0); !errcode.Has(err, errcode.WorkflowRefused) {
		t.Errorf("a second operation: %v", err)
	}
	held, err := tp.HeldLocks(t.Context())
	must(t, err)
	if held["shards/shop/-80"] != "n1" || held["shards/shop/80-"] != "n1" || len(held) != 2 {
		t.Errorf("locks %v", held)
	}
	_, err = r.Cancel(t.Context(), id, nil, "ann")
	must(t, err)
	w = until(t, r, cancelled)
	wantDiary(t, d, "[table stream fence reach stopped unreach unfence drop]")
	var ends []string
	for _, e := range w.GetHistory() {
		ends = append(ends, e.GetName()+" "+e.GetEnd().String())
	}
	if fmt.Sprint(ends) != "[create END_DONE switch END_CANCELLED cancel END_DONE]" {
		t.Errorf("history %v", ends)
	}
}

func testSavedFacts(t *testing.T, store topo.Store) {
	tp := topo.New(store).WithLogger(quiet)
	d := &diary{}
	begun := make(chan struct{})
	step := d.step("a")
	step.Do = func(ctx context.Context, w *run.Work) error {
		if n, known := w.Facts().Number("made"); known {
			d.add(fmt.Sprint("made ", n, " before"))
			return nil
		}
		if err := w.Set("made", workflow.Number(3)); err != nil {
			return err
		}
		if err := w.Save(ctx); err != nil {
			return err
		}
		begun <- struct{}{}
		<-ctx.Done()
		return context.Cause(ctx)
	}
	first, stop := node(t, tp, "n1", one(step))
	begin(t, first)
	<-begun
	stop()
	second, _ := node(t, tp, "n2", one(step))
	until(t, second, done)
	wantDiary(t, d, "[made 3 before]")
}

// swapTrial is a world whose point of no return is a write into the topology itself, under the fence of the locks.
func swapTrial(t *testing.T, store topo.Store) workflowtest.Trial {
	tp := topo.New(store).WithLogger(quiet)
	get := func(ctx context.Context, key string) string {
		kv, err := store.Get(ctx, key)
		if errors.Is(err, topo.ErrNotFound) {
			return "absent"
		}
		if err != nil {
			return err.Error()
		}
		return string(kv.Value)
	}
	set := func(key, value string) func(context.Context, *run.Work) error {
		return func(ctx context.Context, w *run.Work) error {
			return w.Act(ctx, key, "set to "+value, func(ctx context.Context) error {
				op := topo.Op{Key: key, Value: []byte(value)}
				if value == "absent" {
					op = topo.Op{Key: key, Delete: true}
				}
				_, err := store.Txn(ctx, w.Fence(), []topo.Op{op})
				return err
			})
		}
	}
	is := func(key, value string) func(context.Context, *run.Work) fact.Truth {
		return func(ctx context.Context, _ *run.Work) fact.Truth { return fact.Of(get(ctx, key) == value) }
	}
	step := func(name string, urgent bool) workflow.Step {
		return workflow.Step{Name: name, Changes: "a key of the topology", Urgent: urgent}
	}
	swap := run.Step{Step: step("swap", true), Do: set("world/record", "new"), Done: is("world/record", "new")}
	swap.NoReturn = "the record names the new one"
	k := one(
		run.Step{Step: step("mark", false), Do: set("world/mark", "here"), Undo: set("world/mark", "absent"), Done: is("world/mark", "here")},
		run.Step{Step: step("fence", true), Do: set("world/fence", "up"), Undo: set("world/fence", "absent")},
		swap,
		run.Step{Step: step("open", true), Do: set("world/fence", "absent")},
	)
	req := run.Request{ID: id, Kind: "script"}
	return workflowtest.Trial{
		Topo: tp, Kind: func() run.Kind { return k },
		Start: func(ctx context.Context, r *run.Runner) (string, error) {
			w, err := r.Begin(ctx, req)
			return w.GetId(), err
		},
		DryRun: func(ctx context.Context, r *run.Runner) error { _, err := r.DryRun(ctx, req); return err },
		State: func(t *testing.T) string {
			return fmt.Sprint(get(t.Context(), "world/mark"), get(t.Context(), "world/fence"), get(t.Context(), "world/record"))
		},
	}
}

// BenchmarkEtcd says what the journal adds to an operation of ten steps that do nothing, on an etcd that syncs to disk: from the
// request until the end is seen.
func BenchmarkEtcd(b *testing.B) {
	cfg := embed.DefaultConfig()
	cfg.DataDir = filepath.Join(b.TempDir(), "topo")
	cfg.ClientPort, cfg.PeerPort = freePort(b), freePort(b)
	etcdNode, err := embed.Start(b.Context(), cfg, quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer etcdNode.Stop()
	store, err := etcd.Open(etcd.Config{Endpoints: []string{cfg.Endpoint()}, Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	d := &diary{}
	const steps = 10
	var list []run.Step
	for i := range steps {
		list = append(list, d.step(fmt.Sprint("s", i)))
	}
	r, stop := node(b, topo.New(store).WithLogger(quiet), "n1", one(list...))
	defer stop()
	var hot time.Duration
	for b.Loop() {
		w, err := r.Begin(b.Context(), run.Request{ID: id, Kind: "script"})
		if err == nil {
			w, err = r.Journal().Follow(b.Context(), id, func(*workflowv1.Workflow) bool { return false })
		}
		if err != nil || w.GetState() != done {
			b.Fatal(err, w)
		}
		recorded := w.GetOperation().GetSteps()
		hot += recorded[steps-1].GetBeganAt().AsTime().Sub(recorded[0].GetBeganAt().AsTime())
	}
	b.ReportMetric(float64(hot.Microseconds())/float64(b.N)/(steps-1)/1000, "ms/step")
}
