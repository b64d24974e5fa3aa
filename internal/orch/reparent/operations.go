package reparent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/orch/recovery"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Init gives a shard its first primary. A shard that has one is left as it is, unless another was asked for.
func (r *Reparenter) Init(ctx context.Context, keyspace, shard string, opts Options) (Result, error) {
	o, ctx, end, err := r.begin(ctx, keyspace, shard, opts)
	if err != nil {
		return Result{}, err
	}
	defer end()
	if p := o.seen.Record.GetPrimary(); o.seen.Record.GetTerm() > 0 && (opts.NewPrimary == "" || opts.NewPrimary == p) {
		return o.result(nil)
	}
	o.gather(ctx)
	plan, err := recovery.Initial(o.seen, opts.NewPrimary, opts.Force)
	if err != nil {
		return o.result(err)
	}
	o.notes(plan)
	if _, err := o.swap(ctx, plan); err != nil {
		return o.result(err)
	}
	return o.result(o.establish(plan))
}

// Planned hands the reign over from a primary whose server answers. Until the record is swapped any failure gives the reign
// back. With the present primary as the new one it opens a primary that was left fenced.
func (r *Reparenter) Planned(ctx context.Context, keyspace, shard string, opts Options) (Result, error) {
	o, ctx, end, err := r.begin(ctx, keyspace, shard, opts)
	if err != nil {
		return Result{}, err
	}
	defer end()
	o.gather(ctx)
	if p := o.seen.Record.GetPrimary(); p != "" && opts.NewPrimary == p && o.seen.Tablets[p].Status.GetFenced() {
		// A control node died between fence and swap: the reign has not changed, and the primary may go on.
		return o.result(o.undoDemote(recovery.Plan{Old: p}))
	}
	plan, err := recovery.Planned(o.seen, opts.NewPrimary)
	if err != nil {
		return o.result(err)
	}
	o.notes(plan)
	now := o.seen.Tablets[plan.Old].Executed().String()
	if err := o.step("catch up", plan.New, "to where the primary is now, while it still takes writes", func() error {
		return o.reach(ctx, plan.New, now)
	}); err != nil {
		return o.result(err)
	}
	if err := o.mark(ctx); err != nil {
		return o.result(err)
	}
	if err := o.demote(ctx, plan); err != nil {
		o.unmark(o.undoDemote(plan))
		return o.result(err)
	}
	swapped, err := o.swap(ctx, plan)
	if err != nil {
		if swapped == no {
			o.unmark(o.undoDemote(plan))
		}
		return o.result(err)
	}
	err = o.establish(plan)
	o.unmark(nil)
	return o.result(err)
}

// demote fences the old primary and lets the new one reach its last position.
func (o *run) demote(ctx context.Context, plan recovery.Plan) error {
	var position string
	if err := o.step("demote", plan.Old, fmt.Sprintf("no more writes in term %d", o.seen.Record.GetTerm()), func() error {
		resp, err := o.agent(plan.Old).Demote(ctx, connect.NewRequest(o.demoteRequest()))
		if err == nil && resp.Msg.Position == nil {
			err = errors.New("the agent did not say the final position")
		}
		if err != nil {
			return err
		}
		position = resp.Msg.GetPosition()
		return nil
	}); err != nil {
		return err
	}
	return o.step("reach", plan.New, "the final position of "+plan.Old, func() error { return o.reach(ctx, plan.New, position) })
}

func (o *run) demoteRequest() *tabletv1.DemoteRequest {
	// A transaction in progress gets up to a second to end by itself before its connection is cut.
	return &tabletv1.DemoteRequest{Term: o.seen.Record.Term, Drain: durationpb.New(time.Second)}
}

// undoDemote gives the reign back; if that fails the agent of the old primary, which is named by the record still, is left
// to an operator's second attempt, and the step says so.
func (o *run) undoDemote(plan recovery.Plan) error {
	return o.step("undo demote", plan.Old, "the old primary takes writes again", func() error {
		_, err := o.agent(plan.Old).UndoDemote(o.finish, connect.NewRequest(&tabletv1.UndoDemoteRequest{Term: o.seen.Record.Term}))
		return err
	})
}

// reach waits until a replica has applied a position.
func (o *run) reach(ctx context.Context, alias, position string) error {
	left := time.Until(deadline(ctx))
	resp, err := o.agent(alias).WaitPosition(ctx, connect.NewRequest(&tabletv1.WaitPositionRequest{
		Position: &position, Timeout: durationpb.New(left),
	}))
	if err != nil {
		return err
	}
	if !resp.Msg.GetReached() {
		return errcode.New(errcode.OperationTimeout, fmt.Sprintf("%s reaching position %q", alias, position), left.Round(time.Millisecond))
	}
	return nil
}

func deadline(ctx context.Context) time.Time {
	if d, ok := ctx.Deadline(); ok {
		return d
	}
	return time.Now().Add(DefaultTimeout)
}

// Emergency replaces a primary that is lost. Until the record is swapped any failure starts the receivers again.
func (r *Reparenter) Emergency(ctx context.Context, keyspace, shard string, opts Options) (Result, error) {
	o, ctx, end, err := r.begin(ctx, keyspace, shard, opts)
	if err != nil {
		return Result{}, err
	}
	defer end()
	o.gather(ctx)
	// What can be refused by the records alone is refused before anything is touched.
	if o.seen.Record.GetTerm() == 0 || (opts.NewPrimary != "" && opts.NewPrimary == o.seen.Record.GetPrimary()) {
		_, err := recovery.Emergency(o.seen, recovery.Evidence{}, opts.NewPrimary, opts.Force)
		return o.result(err)
	}
	if err := o.mark(ctx); err != nil {
		return o.result(err)
	}
	ev := o.revoke(ctx)
	plan, err := recovery.Emergency(o.seen, ev, opts.NewPrimary, opts.Force)
	if err != nil {
		o.unmark(o.restore())
		return o.result(err)
	}
	o.notes(plan)
	swapped, err := o.swap(ctx, plan)
	if err != nil {
		if swapped == no {
			o.unmark(o.restore())
		}
		return o.result(err)
	}
	err = o.establish(plan)
	o.unmark(nil)
	return o.result(err)
}

// revoke makes it impossible for the old primary to have another commit acknowledged, and says what everybody has.
func (o *run) revoke(ctx context.Context) recovery.Evidence {
	ev := recovery.Evidence{Stopped: make(map[string]recovery.Received)}
	old := o.seen.Record.GetPrimary()
	if t, ok := o.seen.Tablets[old]; ok && t.Status != nil {
		// A dead server cannot be fenced by its agent; that is the usual case and no failure.
		_ = o.step("demote", old, "its agent answers: the old primary is fenced if its server lives", func() error {
			ctx, cancel := context.WithTimeout(ctx, fenceTimeout)
			defer cancel()
			resp, err := o.agent(old).Demote(ctx, connect.NewRequest(o.demoteRequest()))
			if err == nil {
				ev.Demoted = resp.Msg.Position
			}
			return err
		})
	}
	var replicas []string
	for alias := range o.seen.Tablets {
		if alias != old {
			replicas = append(replicas, alias)
		}
	}
	var mu sync.Mutex
	each(replicas, func(alias string) {
		got := o.stopReceiver(ctx, alias, ev.Demoted)
		mu.Lock()
		ev.Stopped[alias] = got
		mu.Unlock()
	})
	return ev
}

// stopReceiver stops one replica's receiver. If the old primary was fenced the replica first gets a moment to receive what
// is left of it. A dry run takes what the replica last reported.
func (o *run) stopReceiver(ctx context.Context, alias string, demoted *string) recovery.Received {
	t := o.seen.Tablets[alias]
	if t.Status == nil {
		return recovery.Received{Err: "its agent does not answer: " + t.Unreachable}
	}
	if o.opts.DryRun {
		rep := t.Status.GetReplication()
		_ = o.step("stop receiver", alias, "nothing of the old primary is received from here on", nil)
		if rep == nil {
			return recovery.Received{Err: "it reports no replication"}
		}
		return recovery.Received{Received: rep.Received, Applied: rep.Applied}
	}
	if demoted != nil {
		_ = o.step("reach", alias, "the final position of the old primary, if it gets there soon", func() error {
			ctx, cancel := context.WithTimeout(ctx, statusTimeout)
			defer cancel()
			return o.reach(ctx, alias, *demoted)
		})
	}
	var got recovery.Received
	err := o.step("stop receiver", alias, "nothing of the old primary is received from here on", func() error {
		ctx, cancel := context.WithTimeout(ctx, fenceTimeout)
		defer cancel()
		resp, err := o.agent(alias).StopReceiver(ctx, connect.NewRequest(&tabletv1.StopReceiverRequest{Term: o.seen.Record.Term}))
		if err == nil {
			got = recovery.Received{Received: resp.Msg.Received, Applied: resp.Msg.Applied}
		}
		return err
	})
	if err != nil {
		return recovery.Received{Err: err.Error()}
	}
	return got
}

// restore starts the receivers again that were stopped or may have been, and gives the old primary its reign back if it was
// fenced: an emergency reparent that is refused leaves nothing behind. Agents that did not answer before were not touched;
// the failure of one that did keeps the mark, and FinishInterrupted tries again.
func (o *run) restore() error {
	var mu sync.Mutex
	var errs []error
	old := o.seen.Record.GetPrimary()
	aliases := make([]string, 0, len(o.seen.Tablets))
	for alias, t := range o.seen.Tablets {
		if alias != old && t.Status != nil {
			aliases = append(aliases, alias)
		}
	}
	each(aliases, func(alias string) {
		err := o.step("start receiver", alias, "it follows the old primary again", func() error {
			_, err := o.agent(alias).StartReceiver(o.finish, connect.NewRequest(&tabletv1.StartReceiverRequest{Term: o.seen.Record.Term}))
			return err
		})
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	})
	if t, ok := o.seen.Tablets[old]; ok && t.Status != nil {
		errs = append(errs, o.undoDemote(recovery.Plan{Old: old}))
	}
	return errors.Join(errs...)
}

// tabletType is the type that the topology gives a tablet under a plan.
func tabletType(plan recovery.Plan, alias string) (topov1.TabletType, bool) {
	switch alias {
	case plan.New:
		return topov1.TabletType_TABLET_TYPE_PRIMARY, true
	case plan.Old:
		return topov1.TabletType_TABLET_TYPE_REPLICA, true
	}
	return topov1.TabletType_TABLET_TYPE_UNSPECIFIED, false
}
