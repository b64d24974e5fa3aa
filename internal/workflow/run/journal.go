package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/workflow"

	"google.golang.org/protobuf/proto"
)

// Limits of what is kept of workflows that are over. A record of a recovery takes some 5 KB, so the usual thousand take 5 MB.
const (
	KeepFinished      = 1000
	KeepFinishedFor   = 30 * 24 * time.Hour
	KeepFinishedBytes = 32 << 20
)

// unclearPause is the pause before a write is looked for whose answer was lost.
const unclearPause = 100 * time.Millisecond

// errLost says that the locks, and with them the right to write, belong to somebody else.
var errLost = errors.New("the operation's locks were lost")

// Journal reads and writes the records of workflows. It is safe for concurrent use and has no state of its own.
type Journal struct {
	topo *topo.Topo
	log  *slog.Logger
}

// NewJournal makes a journal on a topology.
func NewJournal(t *topo.Topo, log *slog.Logger) *Journal { return &Journal{topo: t, log: log} }

// Get returns the open workflow of an id, or else the one of that id which ended last.
func (j *Journal) Get(ctx context.Context, id string) (*workflowv1.Workflow, error) {
	if err := topo.ValidateWorkflowID(id); err != nil {
		return nil, err
	}
	w, _, err := j.topo.Workflow(ctx, id)
	if !errors.Is(err, topo.ErrNotFound) {
		return w, err
	}
	ended, err := j.topo.FinishedWorkflow(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(ended) == 0 {
		return nil, errcode.New(errcode.RecordMissing, "workflow", id)
	}
	return ended[len(ended)-1].Record, nil
}

// Filter says which workflows to list.
type Filter struct {
	// Keyspace and Kind are empty for all.
	Keyspace, Kind string
	// Finished adds those that are over.
	Finished bool
}

// List returns workflows, those that began last first.
func (j *Journal) List(ctx context.Context, f Filter) ([]*workflowv1.Workflow, error) {
	entries, err := j.topo.OpenWorkflows(ctx, f.Keyspace)
	if err != nil {
		return nil, err
	}
	if f.Finished {
		ended, err := j.topo.FinishedWorkflows(ctx, f.Keyspace)
		if err != nil {
			return nil, err
		}
		entries = append(entries, ended...)
	}
	var out []*workflowv1.Workflow
	for _, e := range entries {
		if f.Kind == "" || f.Kind == e.Record.GetKind() {
			out = append(out, e.Record)
		}
	}
	slices.SortStableFunc(out, func(a, b *workflowv1.Workflow) int {
		return b.GetCreatedAt().AsTime().Compare(a.GetCreatedAt().AsTime())
	})
	return out, nil
}

// create puts the record of a new workflow. When an answer of the topology is lost it asks again, and finds its own record.
func (j *Journal) create(ctx context.Context, w *workflowv1.Workflow) error {
	for unclear := false; ; unclear = true {
		_, err := j.topo.CreateWorkflow(ctx, w)
		var claimed *topo.ClaimedError
		switch {
		case err == nil || errors.Is(err, topo.ErrInvalid):
			return err
		case errors.As(err, &claimed):
			return errcode.Wrap(errcode.WorkflowClaimed, err, claimed.Claim, claimed.Holder)
		case errors.Is(err, topo.ErrConflict):
			if now, readErr := j.Get(ctx, w.GetId()); unclear && readErr == nil && now.GetCreatedAt().AsTime().Equal(w.GetCreatedAt().AsTime()) {
				return nil
			}
			if errors.Is(err, topo.ErrExists) {
				return errcode.Wrap(errcode.RecordExists, err, "workflow", w.GetId())
			}
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it is not known whether workflow %s was begun: %w (%w)", w.GetId(), context.Cause(ctx), err)
		case <-time.After(unclearPause):
		}
	}
}

// Decline records that something was considered and not done; the plan's evidence says why.
func (j *Journal) Decline(ctx context.Context, p workflow.Plan) error {
	w, err := workflow.Declined(p, time.Now())
	if err != nil {
		return err
	}
	return j.topo.AddFinishedWorkflow(ctx, w)
}

// Follow calls see with a workflow's record as it stands and after changes, until see returns true, the workflow is over, or ctx
// ends. It returns the last record that it saw. Changes that come fast are merged. That the topology is away only delays it.
func (j *Journal) Follow(ctx context.Context, id string, see func(*workflowv1.Workflow) bool) (*workflowv1.Workflow, error) {
	first, err := j.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	watch, stop := context.WithCancel(ctx)
	defer stop()
	last := first
	for e := range j.topo.WatchWorkflow(watch, id) {
		w := e.Record
		if w == nil || !w.GetCreatedAt().AsTime().Equal(first.GetCreatedAt().AsTime()) {
			// It is over; of that id there may even be a new one.
			if w, err = j.ended(ctx, first); err != nil {
				return last, err
			}
		}
		if last = w; see(w) || workflow.Final(w.GetState()) {
			return w, nil
		}
	}
	return last, fmt.Errorf("workflow %s goes on without being waited for: %w", id, context.Cause(ctx))
}

// ended finds the final record of a workflow that was open. While the topology is away it goes on asking.
func (j *Journal) ended(ctx context.Context, w *workflowv1.Workflow) (*workflowv1.Workflow, error) {
	for {
		entries, err := j.topo.FinishedWorkflow(ctx, w.GetId())
		for _, e := range entries {
			if e.CreatedAt().Equal(w.GetCreatedAt().AsTime()) {
				return e.Record, nil
			}
		}
		if err == nil {
			return nil, fmt.Errorf("workflow %s is over, and its record is kept no longer: %w", w.GetId(), topo.ErrNotFound)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		case <-time.After(unclearPause):
		}
	}
}

// change applies a person's event to the record as it stands.
func (j *Journal) change(ctx context.Context, id string, event func(*workflowv1.Workflow) (workflow.Event, error)) (*workflowv1.Workflow, error) {
	if err := topo.ValidateWorkflowID(id); err != nil {
		return nil, err
	}
	w, rev, err := j.topo.Workflow(ctx, id)
	if errors.Is(err, topo.ErrNotFound) {
		if w, err = j.Get(ctx, id); err == nil {
			return w, errcode.New(errcode.WorkflowRefused, id, workflow.StateWord(w.GetState()), "it is over")
		}
	}
	if err != nil {
		return nil, err
	}
	e, err := j.write(ctx, topo.WorkflowEntry{Record: w, Revision: rev}, event)
	return e.Record, err
}

// write applies an event and puts the record that follows. It is repeated on the record as it then stands when another writer
// was faster, and when an answer of the topology was lost: the comparison makes sure that it counts once. errLost if one of the
// further comparisons no longer holds.
func (j *Journal) write(ctx context.Context, at topo.WorkflowEntry, event func(*workflowv1.Workflow) (workflow.Event, error), held ...topo.Cmp) (topo.WorkflowEntry, error) {
	for {
		ev, err := event(at.Record)
		if err != nil {
			return at, err
		}
		next, err := workflow.Apply(at.Record, ev, time.Now())
		if err != nil {
			return at, err
		}
		put := j.topo.PutWorkflow
		if workflow.Final(next.GetState()) {
			put = j.topo.FinishWorkflow
		}
		rev, err := put(ctx, next, at.Revision, held...)
		if err == nil {
			return topo.WorkflowEntry{Record: next, Revision: rev}, nil
		}
		if errors.Is(err, topo.ErrInvalid) {
			return at, err
		}
		var ours bool
		if at, ours, err = j.afterFailure(ctx, at, next, err); ours || err != nil {
			return at, err
		}
	}
}

// afterFailure finds out what a write came to that did not succeed: the record as it stands, and whether the write was ours after all.
func (j *Journal) afterFailure(ctx context.Context, at topo.WorkflowEntry, wanted *workflowv1.Workflow, failure error) (topo.WorkflowEntry, bool, error) {
	unclear := !errors.Is(failure, topo.ErrConflict)
	if unclear && ctx.Err() == nil {
		j.log.Warn("a workflow's record was perhaps not written; it is tried again", "workflow", at.Record.GetId(), "error", failure)
	}
	for {
		if unclear {
			select {
			case <-ctx.Done():
				return at, false, fmt.Errorf("%w (%w)", context.Cause(ctx), failure)
			case <-time.After(unclearPause):
			}
		}
		w, rev, err := j.topo.Workflow(ctx, at.Record.GetId())
		if errors.Is(err, topo.ErrNotFound) {
			if w, err = j.ended(ctx, at.Record); err == nil && proto.Equal(w, wanted) {
				return topo.WorkflowEntry{Record: w}, true, nil
			}
			if err == nil {
				return topo.WorkflowEntry{Record: w}, false, errcode.New(errcode.WorkflowRefused, w.GetId(), workflow.StateWord(w.GetState()), "it is over")
			}
		}
		if err != nil {
			failure, unclear = err, true
			continue
		}
		now := topo.WorkflowEntry{Record: w, Revision: rev}
		switch {
		case rev != at.Revision && proto.Equal(w, wanted):
			return now, true, nil
		case rev == at.Revision && errors.Is(failure, topo.ErrConflict):
			return now, false, errLost // the record is as it was, so it was another comparison
		}
		return now, false, nil
	}
}

// Prune forgets what ended long ago, and the oldest of what is too much.
func (j *Journal) Prune(ctx context.Context) error {
	ended, err := j.topo.FinishedWorkflows(ctx, "")
	if err != nil {
		return err
	}
	slices.SortStableFunc(ended, func(a, b topo.WorkflowEntry) int {
		return b.Record.GetUpdatedAt().AsTime().Compare(a.Record.GetUpdatedAt().AsTime())
	})
	keep, bytes := 0, 0
	for _, e := range ended {
		bytes += e.Bytes
		if keep == KeepFinished || bytes > KeepFinishedBytes || time.Since(e.Record.GetUpdatedAt().AsTime()) > KeepFinishedFor {
			break
		}
		keep++
	}
	if keep == len(ended) {
		return nil
	}
	j.log.Info("old workflows are forgotten", "forgotten", len(ended)-keep, "kept", keep)
	return j.topo.ForgetWorkflows(ctx, ended[keep:])
}
