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
	"github.com/pelorusdb/pelorus/internal/topo"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// swapped says whether the record was swapped. After a lost answer of the topology nobody may know.
type swapped int

const (
	no swapped = iota
	yes
	unclear
)

// swapRetry is the pause between attempts to find out whether a swap happened.
const swapRetry = 250 * time.Millisecond

// swap writes the new reign into the shard's record: the point of no return. It depends on the lock and on the record as it
// was read. With an error it says whether it may have happened all the same.
func (o *run) swap(ctx context.Context, plan recovery.Plan) (swapped, error) {
	next := proto.Clone(o.seen.Record).(*topov1.Shard)
	next.Term, next.Primary, next.PrimarySince = &plan.Term, &plan.New, timestamppb.New(time.Now())
	state := no
	err := o.step("swap record", o.keyspace+"/"+o.shard, fmt.Sprintf("term %d, primary %s", plan.Term, plan.New), func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var err error
		state, err = o.swapUntilKnown(ctx, next)
		return err
	})
	if err != nil {
		return state, err
	}
	if !o.opts.DryRun {
		o.seen.Record = next
	}
	return yes, nil
}

// swapUntilKnown repeats a write whose outcome was lost. The same comparison makes that safe: if the first attempt did get
// through, the second meets a conflict, and the record says who won.
func (o *run) swapUntilKnown(ctx context.Context, next *topov1.Shard) (swapped, error) {
	state := no
	for {
		_, err := o.Topo.PutShard(ctx, next, o.rev, o.lock.Cmp())
		if err == nil {
			return yes, nil
		}
		if errors.Is(err, topo.ErrConflict) {
			rec, _, readErr := o.Topo.Shard(o.finish, o.keyspace, o.shard)
			switch {
			case readErr == nil && proto.Equal(rec, next):
				return yes, nil
			case readErr == nil:
				return no, err
			}
			return state, errors.Join(err, readErr)
		}
		// From here on only a definite answer counts, and there is more time for it.
		state, ctx = unclear, o.finish
		select {
		case <-time.After(swapRetry):
		case <-ctx.Done():
			return unclear, errcode.Wrap(errcode.TopoUnreachable, fmt.Errorf(
				"it is not known whether term %d of %s/%s began; the agents will follow the record: %w", next.GetTerm(), o.keyspace, o.shard, err))
		}
	}
}

// establish makes the record true on the servers: the new primary opens while all others are pointed at it, because under
// semi-sync its first commit waits for one of them. A follower that fails is left to its agent.
func (o *run) establish(plan recovery.Plan) error {
	if o.opts.DryRun { // nothing to wait for: the steps are listed in a steady order
		_ = o.promote(plan)
		_ = o.awaitOpen(plan)
		for _, alias := range plan.Followers {
			o.repoint(plan, alias)
		}
		o.retype(plan)
		return nil
	}
	var wg sync.WaitGroup
	var promoteErr error
	wg.Go(func() {
		if promoteErr = o.promote(plan); promoteErr == nil {
			promoteErr = o.awaitOpen(plan)
		}
	})
	wg.Go(func() {
		each(plan.Followers, func(alias string) { o.repoint(plan, alias) })
	})
	wg.Wait()
	o.retype(plan)
	if promoteErr != nil {
		return fmt.Errorf("the record names %s as primary of term %d, and its agent goes on trying to open it: %w", plan.New, plan.Term, promoteErr)
	}
	return nil
}

func (o *run) promote(plan recovery.Plan) error {
	detail := fmt.Sprintf("term %d, semi-sync %v", plan.Term, plan.SemiSync)
	return o.step("promote", plan.New, detail, func() error {
		for {
			_, err := o.agent(plan.New).Promote(o.finish, connect.NewRequest(&tabletv1.PromoteRequest{
				Term: &plan.Term, Durability: o.seen.Keyspace.GetDurability().Enum(),
				Wait: durationpb.New(o.opts.Timeout), SemiSync: &plan.SemiSync,
			}))
			if err == nil || connect.CodeOf(err) != connect.CodeUnavailable {
				return err
			}
			select {
			case <-time.After(swapRetry):
			case <-o.finish.Done():
				return err
			}
		}
	})
}

// awaitOpen waits until the new primary takes writes: its agent may have to finish transactions across shards before.
func (o *run) awaitOpen(plan recovery.Plan) error {
	return o.step("open", plan.New, "it takes writes", func() error {
		ctx, cancel := context.WithTimeout(o.finish, o.opts.Timeout)
		defer cancel()
		for {
			err := o.watchOpen(ctx, plan)
			if err == nil {
				return nil
			}
			select {
			case <-time.After(swapRetry):
			case <-ctx.Done():
				return fmt.Errorf("it does not take writes yet: %w", err)
			}
		}
	})
}

// watchOpen reads one status stream until the primary is open in the plan's term.
func (o *run) watchOpen(ctx context.Context, plan recovery.Plan) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream
	defer cancel()
	stream, err := o.agent(plan.New).WatchStatus(ctx, connect.NewRequest(&tabletv1.WatchStatusRequest{}))
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		if recovery.Open(stream.Msg().GetStatus(), plan.Term).IsTrue() {
			return nil
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}
	return errors.New("the agent ended its stream")
}

// repoint makes a tablet follow the new primary.
func (o *run) repoint(plan recovery.Plan, alias string) {
	t, source := o.seen.Tablets[alias], o.seen.Tablets[plan.New].Record
	if t.Status == nil {
		_ = o.step("repoint", alias, "skipped: its agent does not answer; it follows the record when it comes back", nil)
		return
	}
	acks := recovery.Promotable(t.Record)
	_ = o.step("repoint", alias, "to "+plan.New, func() error {
		ctx, cancel := context.WithTimeout(o.finish, o.opts.Timeout)
		defer cancel()
		_, err := o.agent(alias).SetSource(ctx, connect.NewRequest(&tabletv1.SetSourceRequest{
			Term: &plan.Term, SourceAlias: &plan.New, Host: source.Host, Port: source.MysqlPort, Acks: &acks,
		}))
		return err
	})
}

// retype writes the types that follow from the reign into the tablets' records. Gateways and agents go by the shard's
// record, so a failure harms nobody.
func (o *run) retype(plan recovery.Plan) {
	for _, alias := range []string{plan.Old, plan.New} {
		want, ok := tabletType(plan, alias)
		if t, known := o.seen.Tablets[alias]; !ok || alias == "" || !known || t.Record.GetType() == want {
			continue
		}
		_ = o.step("retype", alias, recovery.TypeName(want), func() error {
			return o.Topo.UpdateTablet(o.finish, alias, func(rec *topov1.Tablet) error {
				rec.Type = want.Enum()
				return nil
			})
		})
	}
}
