package topo_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/topo"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func workflowRecord(id string, created int64, claims ...string) *workflowv1.Workflow {
	return &workflowv1.Workflow{Id: &id, Kind: proto.String("k"), Claims: claims, CreatedAt: timestamppb.New(time.Unix(created, 0))}
}

func ids(entries []topo.WorkflowEntry) string {
	var out []string
	for _, e := range entries {
		out = append(out, fmt.Sprint(e.Record.GetId(), "@", e.CreatedAt().Unix()))
	}
	return fmt.Sprint(out)
}

func TestWorkflowLife(t *testing.T) {
	tp, store := newTopo(t)
	ctx := t.Context()
	rec := workflowRecord("shop.a", 1, "x", "y")
	rev, err := tp.CreateWorkflow(ctx, rec)
	must(t, err)
	_, err = tp.CreateWorkflow(ctx, workflowRecord("shop.a", 2))
	wantErr(t, err, topo.ErrExists)
	_, err = tp.CreateWorkflow(ctx, workflowRecord("shop.b", 2, "z", "y"))
	var claimed *topo.ClaimedError
	if !errors.As(err, &claimed) || claimed.Claim != "y" || claimed.Holder != "shop.a" {
		t.Errorf("a claim of another: %v", err)
	}
	_, err = tp.PutWorkflow(ctx, rec, 0)
	wantErr(t, err, topo.ErrInvalid)
	rev, err = tp.PutWorkflow(ctx, rec, rev)
	must(t, err)
	_, err = tp.PutWorkflow(ctx, rec, rev, topo.Cmp{Key: "locks/none", Revision: 7})
	wantErr(t, err, topo.ErrConflict)
	_, err = tp.FinishWorkflow(ctx, rec, rev-1)
	wantErr(t, err, topo.ErrConflict)
	_, err = tp.FinishWorkflow(ctx, rec, rev)
	must(t, err)
	_, _, err = tp.Workflow(ctx, "shop.a")
	wantErr(t, err, topo.ErrNotFound)
	_, err = tp.CreateWorkflow(ctx, workflowRecord("shop.b", 2, "z", "y")) // the claims are free again
	must(t, err)
	must(t, tp.AddFinishedWorkflow(ctx, workflowRecord("shop.a", 3)))
	wantErr(t, tp.AddFinishedWorkflow(ctx, workflowRecord("shop.a", 3)), topo.ErrExists)
	must(t, tp.AddFinishedWorkflow(ctx, workflowRecord("shop.ab", 4)))
	ended, err := tp.FinishedWorkflow(ctx, "shop.a")
	must(t, err)
	if got := ids(ended); got != "[shop.a@1 shop.a@3]" {
		t.Errorf("ended %s", got)
	}
	_, err = store.Txn(ctx, nil, []topo.Op{{Key: "workflows/open/shop.broken", Value: []byte{0xff}}})
	must(t, err)
	open, err := tp.OpenWorkflows(ctx, "shop")
	must(t, err)
	if got := ids(open); got != "[shop.b@2]" {
		t.Errorf("open %s", got)
	}
	for keyspace, want := range map[string]string{"": "[shop.a@1 shop.a@3 shop.ab@4]", "shop": "[shop.a@1 shop.a@3 shop.ab@4]", "sho": "[]"} {
		all, err := tp.FinishedWorkflows(ctx, keyspace)
		must(t, err)
		if got := ids(all); got != want {
			t.Errorf("of keyspace %q are over %s", keyspace, got)
		}
	}
	must(t, tp.ForgetWorkflows(ctx, ended))
	must(t, tp.ForgetWorkflows(ctx, ended)) // somebody else was faster
	all, err := tp.FinishedWorkflows(ctx, "")
	must(t, err)
	if got := ids(all); got != "[shop.ab@4]" {
		t.Errorf("left %s", got)
	}
	for _, bad := range []string{"", "shop", "mysql.x", "shop.x/y"} {
		_, err := tp.CreateWorkflow(ctx, workflowRecord(bad, 1))
		wantErr(t, err, topo.ErrInvalid)
	}
}

func TestWatchWorkflow(t *testing.T) {
	tp, _ := newTopo(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := tp.WatchWorkflow(ctx, "shop.a")
	if e := <-watch; e.Record != nil || e.Revision != 0 {
		t.Errorf("before the first: %v", e)
	}
	_, err := tp.CreateWorkflow(ctx, workflowRecord("shop.ab", 1)) // another's, whose id begins with this one
	must(t, err)
	rec := workflowRecord("shop.a", 2)
	rev, err := tp.CreateWorkflow(ctx, rec)
	must(t, err)
	if e := <-watch; e.Revision != rev || !proto.Equal(e.Record, rec) {
		t.Errorf("got %v", e)
	}
	_, err = tp.FinishWorkflow(ctx, rec, rev)
	must(t, err)
	if e := <-watch; e.Record != nil {
		t.Errorf("after the end: %v", e)
	}
	cancel()
	for range watch {
	}
}

func TestWatchReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp, store := newTopo(t)
		defer store.Close()
		ctx, cancel := context.WithCancel(t.Context())
		released := tp.WatchReleases(ctx)
		seen := func() bool {
			synctest.Wait()
			select {
			case <-released:
				return true
			default:
				return false
			}
		}
		l, err := tp.Lock(ctx, "a", "ann", 3*time.Second)
		must(t, err)
		if seen() {
			t.Error("taking a lock was taken for giving it back")
		}
		if l.Unlock(); !seen() {
			t.Error("giving a lock back was not seen")
		}
		lease, err := tp.Grant(ctx, 2*time.Second)
		must(t, err)
		_, err = tp.Txn(ctx, nil, []topo.Op{{Key: "locks/b", Value: []byte("dead"), Lease: lease}})
		must(t, err)
		if seen() {
			t.Error("a lock that is held was taken for free")
		}
		<-time.After(2 * time.Second)
		if !seen() {
			t.Error("the end of a dead holder's lock was not seen")
		}
		cancel()
		for range released {
		}
	})
}

func TestHeldLocks(t *testing.T) {
	tp, _ := newTopo(t)
	l, err := tp.Lock(t.Context(), "shards/shop/-80", "ann", 3*time.Second)
	must(t, err)
	held, err := tp.HeldLocks(t.Context())
	must(t, err)
	if len(held) != 1 || held["shards/shop/-80"] != "ann" {
		t.Errorf("held %v", held)
	}
	l.Unlock()
	if held, err = tp.HeldLocks(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("held %v, %v", held, err)
	}
}
