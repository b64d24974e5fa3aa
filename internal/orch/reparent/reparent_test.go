package reparent_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/orch/fleet"
	"github.com/pelorusdb/pelorus/internal/orch/orchtest"
	"github.com/pelorusdb/pelorus/internal/orch/reparent"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/mem"

	"connectrpc.com/connect"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const a, b, c = "zone1-101", "zone1-102", "zone2-103"

type fixture struct {
	*orchtest.World
	topo  *topo.Topo
	store *faultyStore
	rep   *reparent.Reparenter
}

// faultyStore is a store whose next write of a shard's record goes wrong on demand.
type faultyStore struct {
	topo.Store
	// before runs instead of the next record write; it gets the real write.
	onRecord func(write func() (int64, error)) (int64, error)
}

func (s *faultyStore) Txn(ctx context.Context, cmps []topo.Cmp, ops []topo.Op) (int64, error) {
	write := func() (int64, error) { return s.Store.Txn(ctx, cmps, ops) }
	if fn := s.onRecord; fn != nil && len(ops) == 1 && strings.HasSuffix(ops[0].Key, "/shards/0/record") {
		s.onRecord = nil
		return fn(write)
	}
	return write()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newFixture makes a shard of three; reigning in term 1 unless fresh.
func newFixture(t *testing.T, fresh bool) *fixture {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store := &faultyStore{Store: mem.New()}
	t.Cleanup(func() { store.Close() })
	tp := topo.New(store).WithLogger(log)
	must(t, tp.CreateKeyspace(t.Context(), &topov1.Keyspace{Name: proto.String("shop")}))
	shard := &topov1.Shard{Keyspace: proto.String("shop"), Name: proto.String("0"), Serving: proto.Bool(true)}
	if !fresh {
		shard.Term, shard.Primary = proto.Uint64(1), proto.String(a)
	}
	must(t, tp.CreateShard(t.Context(), shard))
	dialer := fleet.NewDialer()
	t.Cleanup(dialer.Close)
	w := orchtest.New(t, tp, "shop", "0", a, b, c)
	if !fresh {
		w.Reign(a, 1)
		w.Do(a, (*orchtest.Server).Write)
	}
	return &fixture{World: w, topo: tp, store: store, rep: &reparent.Reparenter{Topo: tp, Agents: dialer, Owner: "test", Log: log}}
}

func (f *fixture) record(t *testing.T) *topov1.Shard {
	t.Helper()
	rec, _, err := f.topo.Shard(t.Context(), "shop", "0")
	must(t, err)
	return rec
}

// wantReign checks that the record and all servers agree on who reigns.
func (f *fixture) wantReign(t *testing.T, alias string, term uint64, except ...string) {
	t.Helper()
	if marks, err := f.topo.Reparents(t.Context()); err != nil || len(marks) != 0 {
		t.Errorf("marks left: %v, %v", marks, err)
	}
	if rec := f.record(t); rec.GetPrimary() != alias || rec.GetTerm() != term {
		t.Errorf("the record says %s in term %d, want %s in term %d", rec.GetPrimary(), rec.GetTerm(), alias, term)
	}
	for _, s := range []string{a, b, c} {
		v := f.Look(s)
		switch {
		case slices.Contains(except, s):
		case s == alias && (v.ReadOnly || v.Source != ""):
			t.Errorf("the primary %s: %+v", s, v)
		case s != alias && (!v.ReadOnly || v.Source != alias || !v.Receiver):
			t.Errorf("the replica %s: %+v", s, v)
		}
	}
}

func wantCode(t *testing.T, err error, code errcode.Code) {
	t.Helper()
	if !errcode.Has(err, code) {
		t.Fatalf("got error %v, want PLR%d", err, code)
	}
}

func TestInit(t *testing.T) {
	f := newFixture(t, true)
	got, err := f.rep.Init(t.Context(), "shop", "0", reparent.Options{})
	must(t, err)
	f.wantReign(t, a, 1)
	if got.Shard.GetPrimary() != a || len(got.Steps) == 0 {
		t.Errorf("result %+v", got)
	}
	rec, _, err := f.topo.TabletByAlias(t.Context(), a)
	must(t, err)
	if rec.GetType() != topov1.TabletType_TABLET_TYPE_PRIMARY {
		t.Errorf("type of the primary: %s", rec.GetType())
	}
	// Again is no error and changes nothing; another one is refused.
	_, err = f.rep.Init(t.Context(), "shop", "0", reparent.Options{})
	must(t, err)
	_, err = f.rep.Init(t.Context(), "shop", "0", reparent.Options{NewPrimary: b})
	wantCode(t, err, errcode.RefusedByState)
	f.wantReign(t, a, 1)
}

func TestInitRefusesDifferentServers(t *testing.T) {
	f := newFixture(t, true)
	f.Do(c, (*orchtest.Server).Write)
	_, err := f.rep.Init(t.Context(), "shop", "0", reparent.Options{})
	wantCode(t, err, errcode.RefusedByState)
	if f.record(t).GetTerm() != 0 {
		t.Error("a refused operation changed the record")
	}
	_, err = f.rep.Init(t.Context(), "shop", "0", reparent.Options{Force: true})
	must(t, err)
	f.wantReign(t, a, 1, c)
	if f.Look(c).Source != "" {
		t.Error("a server with foreign transactions was attached")
	}
}

func TestInitNeedsAnswers(t *testing.T) {
	f := newFixture(t, true)
	f.Do(b, (*orchtest.Server).Mute)
	_, err := f.rep.Init(t.Context(), "shop", "0", reparent.Options{})
	wantCode(t, err, errcode.EvidenceMissing)
}

func TestPlanned(t *testing.T) {
	f := newFixture(t, false)
	_, err := f.rep.Planned(t.Context(), "shop", "0", reparent.Options{NewPrimary: c})
	must(t, err)
	f.wantReign(t, c, 2)
	_, err = f.rep.Planned(t.Context(), "shop", "0", reparent.Options{})
	must(t, err)
	f.wantReign(t, a, 3) // nobody else is in zone2, so the lowest alias
	_, err = f.rep.Planned(t.Context(), "shop", "0", reparent.Options{})
	must(t, err)
	f.wantReign(t, b, 4) // the same cell
}

func TestPlannedDryRunTouchesNothing(t *testing.T) {
	f := newFixture(t, false)
	got, err := f.rep.Planned(t.Context(), "shop", "0", reparent.Options{NewPrimary: b, DryRun: true})
	must(t, err)
	f.wantReign(t, a, 1)
	var names []string
	for _, s := range got.Steps {
		names = append(names, s.Name)
	}
	if text := strings.Join(names, ","); !strings.HasPrefix(text, "catch up,demote,reach,swap record,") || !strings.Contains(text, "promote") {
		t.Errorf("steps %s", text)
	}
	for _, s := range []string{a, b, c} {
		for _, call := range f.Look(s).Calls {
			if call != "GetFullStatus" {
				t.Errorf("a dry run called %s of %s", call, s)
			}
		}
	}
}

func TestPlannedRefusals(t *testing.T) {
	tests := []struct {
		name  string
		setup func(*fixture)
		asked string
		code  errcode.Code
	}{
		{"already primary", func(*fixture) {}, a, errcode.RefusedByState},
		{"not in the shard", func(*fixture) {}, "zone1-999", errcode.RefusedByState},
		{"primary dead", func(f *fixture) { f.Do(a, (*orchtest.Server).Kill) }, b, errcode.RefusedByState},
		{"primary unknown", func(f *fixture) { f.Do(a, (*orchtest.Server).Mute) }, b, errcode.EvidenceMissing},
		{"candidate dead", func(f *fixture) { f.Do(b, (*orchtest.Server).Kill) }, b, errcode.RefusedByState},
		{"candidate unknown", func(f *fixture) { f.Do(b, (*orchtest.Server).Mute) }, b, errcode.EvidenceMissing},
		{"candidate stopped", func(f *fixture) { f.Do(b, (*orchtest.Server).StopReceiving) }, b, errcode.RefusedByState},
		{"candidate errant", func(f *fixture) { f.Do(b, (*orchtest.Server).Write) }, b, errcode.RefusedByState},
		{"nobody fit", func(f *fixture) {
			f.Do(b, (*orchtest.Server).StopReceiving)
			f.Do(c, (*orchtest.Server).Write)
		}, "", errcode.NoCandidate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, false)
			tt.setup(f)
			_, err := f.rep.Planned(t.Context(), "shop", "0", reparent.Options{NewPrimary: tt.asked})
			wantCode(t, err, tt.code)
			if rec := f.record(t); rec.GetTerm() != 1 || rec.GetPrimary() != a {
				t.Errorf("the record was changed: %v", rec)
			}
			if slices.Contains(f.Look(a).Calls, "Demote") {
				t.Error("the primary was demoted although the operation was refused")
			}
		})
	}
}

func TestPlannedFailureGivesTheReignBack(t *testing.T) {
	boom := connect.NewError(connect.CodeInternal, errors.New("boom"))
	tests := []struct {
		name  string
		setup func(*fixture)
	}{
		{"demote fails", func(f *fixture) { f.Do(a, func(s *orchtest.Server) { s.Fail("Demote", boom) }) }},
		{"candidate does not get there", func(f *fixture) {
			// It keeps up until the fence, and then the last write never arrives.
			f.Do(b, (*orchtest.Server).StopApplying)
			f.Do(a, (*orchtest.Server).Write)
		}},
		{"somebody changed the record", func(f *fixture) {
			f.store.onRecord = func(func() (int64, error)) (int64, error) { return 0, topo.ErrConflict }
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, false)
			tt.setup(f)
			_, err := f.rep.Planned(t.Context(), "shop", "0", reparent.Options{NewPrimary: b, Timeout: 5 * time.Second})
			if err == nil {
				t.Fatal("it succeeded")
			}
			f.wantReign(t, a, 1)
		})
	}
}

func TestLostAnswerOfTheTopology(t *testing.T) {
	lost := errors.New("the answer was lost")
	for name, fault := range map[string]func(write func() (int64, error)) (int64, error){
		"written":     func(write func() (int64, error)) (int64, error) { _, _ = write(); return 0, lost },
		"not written": func(func() (int64, error)) (int64, error) { return 0, lost },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, false)
			f.store.onRecord = fault
			_, err := f.rep.Planned(t.Context(), "shop", "0", reparent.Options{NewPrimary: b})
			must(t, err)
			f.wantReign(t, b, 2)
		})
	}
}

func TestPlannedGoesForwardAfterTheSwap(t *testing.T) {
	f := newFixture(t, false)
	f.Do(b, func(s *orchtest.Server) {
		s.Fail("Promote", connect.NewError(connect.CodeInternal, errors.New("boom")))
	})
	_, err := f.rep.Planned(t.Context(), "shop", "0", reparent.Options{NewPrimary: b})
	if err == nil || !strings.Contains(err.Error(), "term 2") {
		t.Fatalf("error %v", err)
	}
	if rec := f.record(t); rec.GetPrimary() != b || rec.GetTerm() != 2 {
		t.Errorf("record %v", rec)
	}
	if slices.Contains(f.Look(a).Calls, "UndoDemote") {
		t.Error("the old primary was opened after the record had been swapped")
	}
}

func TestPlannedAfterAnInterruptedOne(t *testing.T) {
	f := newFixture(t, false)
	f.Do(a, (*orchtest.Server).Fence)
	_, err := f.rep.Planned(t.Context(), "shop", "0", reparent.Options{NewPrimary: a})
	must(t, err)
	f.wantReign(t, a, 1)
	f.Do(a, (*orchtest.Server).Fence)
	_, err = f.rep.Planned(t.Context(), "shop", "0", reparent.Options{NewPrimary: b})
	must(t, err)
	f.wantReign(t, b, 2)
}

// TestControlNodeDies interrupts operations as the death of their control node does: at some write of the topology nothing
// answers any more, nobody undoes anything, and the lock ends by itself.
func TestControlNodeDies(t *testing.T) {
	for name, operation := range map[string]func(*fixture) error{
		"planned": func(f *fixture) error {
			_, err := f.rep.Planned(t.Context(), "shop", "0", reparent.Options{NewPrimary: b})
			return err
		},
		"emergency": func(f *fixture) error {
			_, err := f.rep.Emergency(t.Context(), "shop", "0", reparent.Options{NewPrimary: b})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, false)
			// Dead at the swap: the record is not written, and the undoing reaches nobody.
			gone := connect.NewError(connect.CodeInternal, errors.New("the control node is dead"))
			dead := func(s *orchtest.Server) { s.Fail("UndoDemote", gone); s.Fail("StartReceiver", gone) }
			alive := func(s *orchtest.Server) { s.Fail("UndoDemote", nil); s.Fail("StartReceiver", nil) }
			f.store.onRecord = func(func() (int64, error)) (int64, error) { return 0, topo.ErrConflict }
			for _, s := range []string{a, b, c} {
				f.Do(s, dead)
			}
			if err := operation(f); err == nil {
				t.Fatal("it succeeded")
			}
			if !f.Look(a).ReadOnly {
				t.Fatal("the test did not interrupt it")
			}
			// While an agent does not answer the mark stays.
			for _, s := range []string{a, b, c} {
				f.Do(s, alive)
			}
			f.Do(c, (*orchtest.Server).Mute)
			if f.rep.FinishInterrupted(t.Context()) == nil {
				t.Error("it was finished without an answer of all")
			}
			f.Do(c, (*orchtest.Server).Unmute)
			must(t, f.rep.FinishInterrupted(t.Context()))
			f.wantReign(t, a, 1)
			marks, err := f.topo.Reparents(t.Context())
			must(t, err)
			if len(marks) != 0 {
				t.Errorf("marks left: %v", marks)
			}
		})
	}
}

func TestFinishInterruptedLeavesOthersAlone(t *testing.T) {
	f := newFixture(t, false)
	lock, err := f.topo.Lock(t.Context(), reparent.LockName("shop", "0"), "at work", 5*time.Second)
	must(t, err)
	mark := &topov1.Reparent{Keyspace: proto.String("shop"), Shard: proto.String("0"), Term: proto.Uint64(1)}
	must(t, f.topo.MarkReparent(t.Context(), mark, lock.Cmp()))
	must(t, f.rep.FinishInterrupted(t.Context()))
	if calls := f.Look(a).Calls; len(calls) != 0 {
		t.Errorf("a reparent under way was disturbed: %v", calls)
	}
	// After the swap the old reign is over: only the mark goes.
	must(t, f.topo.UpdateShard(t.Context(), "shop", "0", func(rec *topov1.Shard) error {
		rec.Term, rec.Primary = proto.Uint64(2), proto.String(b)
		return nil
	}))
	lock.Unlock()
	must(t, f.rep.FinishInterrupted(t.Context()))
	if calls := f.Look(a).Calls; len(calls) != 0 {
		t.Errorf("servers were touched after the swap: %v", calls)
	}
	marks, err := f.topo.Reparents(t.Context())
	must(t, err)
	if len(marks) != 0 {
		t.Errorf("marks left: %v", marks)
	}
}

func TestEmergencyDeadServer(t *testing.T) {
	f := newFixture(t, false)
	// c has received more than b.
	f.Do(b, (*orchtest.Server).StopReceiving)
	f.Do(a, (*orchtest.Server).Write)
	f.Do(a, (*orchtest.Server).Kill)
	_, err := f.rep.Emergency(t.Context(), "shop", "0", reparent.Options{NewPrimary: b})
	wantCode(t, err, errcode.RefusedByState)
	_, err = f.rep.Emergency(t.Context(), "shop", "0", reparent.Options{})
	must(t, err)
	f.wantReign(t, c, 2, a)
}

func TestEmergencyNeedsEveryAcknowledger(t *testing.T) {
	f := newFixture(t, false)
	f.Do(a, (*orchtest.Server).Mute)
	f.Do(c, (*orchtest.Server).Mute)
	_, err := f.rep.Emergency(t.Context(), "shop", "0", reparent.Options{})
	wantCode(t, err, errcode.EvidenceMissing)
	if v := f.Look(b); !v.Receiver || v.Source != a {
		t.Errorf("a refused emergency reparent left a receiver stopped: %+v", v)
	}
	got, err := f.rep.Emergency(t.Context(), "shop", "0", reparent.Options{Force: true})
	must(t, err)
	f.wantReign(t, b, 2, a, c)
	noted := slices.ContainsFunc(got.Steps, func(s reparent.Step) bool { return s.Name == "note" && strings.Contains(s.Detail, c) })
	if !noted {
		t.Errorf("force is not noted: %+v", got.Steps)
	}
}

func TestEmergencyFencesALivePrimary(t *testing.T) {
	f := newFixture(t, false)
	// One acknowledger is silent, and the old primary itself says where it ended: enough.
	f.Do(c, (*orchtest.Server).Mute)
	_, err := f.rep.Emergency(t.Context(), "shop", "0", reparent.Options{})
	must(t, err)
	f.wantReign(t, b, 2, c)
}

func TestEmergencyPassesOverErrant(t *testing.T) {
	f := newFixture(t, false)
	f.Do(b, (*orchtest.Server).Write)
	f.Do(a, (*orchtest.Server).Mute)
	_, err := f.rep.Emergency(t.Context(), "shop", "0", reparent.Options{NewPrimary: b})
	wantCode(t, err, errcode.RefusedByState)
	f.wantReign(t, a, 1)
	_, err = f.rep.Emergency(t.Context(), "shop", "0", reparent.Options{})
	must(t, err)
	f.wantReign(t, c, 2, a)
}

func TestEmergencyDryRun(t *testing.T) {
	f := newFixture(t, false)
	f.Do(a, (*orchtest.Server).Kill)
	got, err := f.rep.Emergency(t.Context(), "shop", "0", reparent.Options{DryRun: true})
	must(t, err)
	if len(got.Steps) == 0 {
		t.Error("no steps shown")
	}
	for _, s := range []string{a, b, c} {
		if calls := f.Look(s).Calls; len(calls) != 1 || calls[0] != "GetFullStatus" {
			t.Errorf("a dry run called %v of %s", calls, s)
		}
	}
}

func TestShardLockExcludes(t *testing.T) {
	f := newFixture(t, false)
	lock, err := f.topo.Lock(t.Context(), reparent.LockName("shop", "0"), "somebody", 5*time.Second)
	must(t, err)
	defer lock.Unlock()
	_, err = f.rep.Planned(t.Context(), "shop", "0", reparent.Options{Timeout: 300 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "somebody") {
		t.Fatalf("error %v", err)
	}
}
