package reparent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/topo"

	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// lookEvery is how often a control node looks for reparents that were left in the middle. A shard whose control node
	// died is locked for lockTTL in any case.
	lookEvery = 5 * time.Second
	// finishTimeout bounds giving back what one reparent took; what does not answer is tried again at the next look.
	finishTimeout = 15 * time.Second
	// busyWait is how long to wait for a shard's lock: while another holds it, it is no business of ours.
	busyWait = 500 * time.Millisecond
)

// mark writes down that servers are about to be touched.
func (o *run) mark(ctx context.Context) error {
	if o.opts.DryRun {
		return nil
	}
	return o.Topo.MarkReparent(ctx, &topov1.Reparent{
		Keyspace: &o.keyspace, Shard: &o.shard, Term: o.seen.Record.Term, Owner: &o.Owner, StartedAt: timestamppb.New(time.Now()),
	}, o.lock.Cmp())
}

// unmark takes the mark away if everything was given back; with an error it stays for FinishInterrupted.
func (o *run) unmark(failed error) {
	if o.opts.DryRun || failed != nil {
		return
	}
	if err := o.Topo.UnmarkReparent(o.finish, o.keyspace, o.shard, o.lock.Cmp()); err != nil {
		o.Log.Warn("the mark of a reparent stays; it is looked at again", "shard", o.keyspace+"/"+o.shard, "error", err)
	}
}

// Run looks for reparents that were left in the middle, by this control node or another, until ctx ends.
func (r *Reparenter) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := r.FinishInterrupted(ctx); err != nil && ctx.Err() == nil {
			r.Log.LogAttrs(ctx, slog.LevelDebug, "interrupted reparents cannot be looked at", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// FinishInterrupted ends every reparent whose control node is gone: where the record was not swapped the old primary gets
// its reign back and the receivers run again; where it was, the agents follow the record and only the mark is taken away.
// A reparent that is under way holds its shard's lock and is left alone.
func (r *Reparenter) FinishInterrupted(ctx context.Context) error {
	marks, err := r.Topo.Reparents(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range marks {
		errs = append(errs, r.finishOne(ctx, m))
	}
	return errors.Join(errs...)
}

func (r *Reparenter) finishOne(ctx context.Context, m *topov1.Reparent) error {
	wait, cancelWait := context.WithTimeout(ctx, busyWait)
	defer cancelWait()
	lock, err := r.Topo.Lock(wait, LockName(m.GetKeyspace(), m.GetShard()), r.Owner, lockTTL)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // somebody is at work
	}
	if err != nil {
		return err
	}
	defer lock.Unlock()
	held, done := lock.Context(ctx)
	defer done()
	work, cancel := context.WithTimeout(held, finishTimeout)
	defer cancel()
	o := &run{
		Reparenter: r, opts: Options{Timeout: finishTimeout}, keyspace: m.GetKeyspace(), shard: m.GetShard(), lock: lock, finish: work,
	}
	switch err := o.read(work); {
	case errors.Is(err, topo.ErrNotFound):
		o.unmark(nil) // the shard was deleted
		return nil
	case err != nil:
		return err
	}
	if !o.marked(work, m) {
		return nil // ended between the look and the lock
	}
	if o.seen.Record.GetTerm() != m.GetTerm() {
		o.unmark(nil)
		return nil
	}
	r.Log.Warn("a reparent was left in the middle; the old reign goes on", "shard", o.keyspace+"/"+o.shard,
		"term", m.GetTerm(), "begun_by", m.GetOwner(), "begun_at", m.GetStartedAt().AsTime())
	o.gather(work)
	err = o.restore()
	for alias, t := range o.seen.Tablets {
		if t.Status == nil {
			err = errors.Join(err, errors.New(alias+": its agent does not answer: "+t.Unreachable))
		}
	}
	o.unmark(err)
	return err
}

// marked says whether the mark is still there.
func (o *run) marked(ctx context.Context, m *topov1.Reparent) bool {
	marks, err := o.Topo.Reparents(ctx)
	if err != nil {
		return false
	}
	for _, now := range marks {
		if now.GetKeyspace() == m.GetKeyspace() && now.GetShard() == m.GetShard() && now.GetTerm() == m.GetTerm() {
			return true
		}
	}
	return false
}
