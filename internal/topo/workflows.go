package topo

import (
	"context"
	"errors"
	"fmt"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"

	"google.golang.org/protobuf/proto"
)

// WorkflowEntry is a workflow's record as it stood at a revision. The record belongs to the caller.
type WorkflowEntry struct {
	Record *workflowv1.Workflow
	// Revision is that of the record's last change.
	Revision int64
	// Bytes is the length of the record's encoding.
	Bytes int
	key   string
}

// ClaimedError refuses a workflow that claims what another has.
type ClaimedError struct {
	// Claim is the thing, Holder the id of the workflow that has it.
	Claim, Holder string
}

// Error implements error.
func (e *ClaimedError) Error() string {
	return fmt.Sprintf("%s is claimed by workflow %s", e.Claim, e.Holder)
}

// CreateWorkflow puts an open workflow and its claims: ErrExists if one of this id is open, a ClaimedError if one of the claims is
// another's, ErrConflict alone if this very workflow is over already.
func (t *Topo) CreateWorkflow(ctx context.Context, rec *workflowv1.Workflow) (int64, error) {
	id := rec.GetId()
	if err := ValidateWorkflowID(id); err != nil {
		return 0, err
	}
	op, err := encode(openKey(id), rec)
	if err != nil {
		return 0, err
	}
	// The second comparison makes a repeated attempt fail although the workflow is over by then.
	cmps, ops := []Cmp{{Key: openKey(id)}, {Key: finishedKey(id, rec.GetCreatedAt().AsTime())}}, []Op{op}
	for _, c := range rec.GetClaims() {
		cmps = append(cmps, Cmp{Key: claimKey(c)})
		ops = append(ops, Op{Key: claimKey(c), Value: []byte(id)})
	}
	rev, err := t.Txn(ctx, cmps, ops)
	if errors.Is(err, ErrConflict) {
		err = t.whyNot(ctx, rec, err)
	}
	if err != nil {
		return 0, fmt.Errorf("create workflow %s: %w", id, err)
	}
	return rev, nil
}

// whyNot finds the reason of a conflict of CreateWorkflow; conflict itself if it is gone already.
func (t *Topo) whyNot(ctx context.Context, rec *workflowv1.Workflow, conflict error) error {
	_, err := t.Get(ctx, openKey(rec.GetId()))
	switch {
	case err == nil:
		return existsOr(conflict)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	for _, c := range rec.GetClaims() {
		kv, err := t.Get(ctx, claimKey(c))
		switch {
		case err == nil:
			return &ClaimedError{Claim: c, Holder: string(kv.Value)}
		case !errors.Is(err, ErrNotFound):
			return err
		}
	}
	return conflict
}

// Workflow returns an open workflow's record and its revision; ErrNotFound if it is final or was never made.
func (t *Topo) Workflow(ctx context.Context, id string) (*workflowv1.Workflow, int64, error) {
	rec := new(workflowv1.Workflow)
	rev, err := t.read(ctx, "workflow "+id, openKey(id), rec)
	if err != nil {
		return nil, 0, err
	}
	return rec, rev, nil
}

// PutWorkflow changes an open workflow's record as it stood at rev. Further comparisons, such as those of locks, may be added.
func (t *Topo) PutWorkflow(ctx context.Context, rec *workflowv1.Workflow, rev int64, also ...Cmp) (int64, error) {
	op, err := encode(openKey(rec.GetId()), rec)
	if err != nil {
		return 0, err
	}
	return t.changeWorkflow(ctx, rec, rev, []Op{op}, also)
}

// FinishWorkflow moves a record as it stood at rev from the open workflows to the finished ones, and drops its claims.
func (t *Topo) FinishWorkflow(ctx context.Context, rec *workflowv1.Workflow, rev int64, also ...Cmp) (int64, error) {
	op, err := encode(finishedKey(rec.GetId(), rec.GetCreatedAt().AsTime()), rec)
	if err != nil {
		return 0, err
	}
	ops := []Op{op, {Key: openKey(rec.GetId()), Delete: true}}
	for _, c := range rec.GetClaims() {
		ops = append(ops, Op{Key: claimKey(c), Delete: true})
	}
	return t.changeWorkflow(ctx, rec, rev, ops, also)
}

func (t *Topo) changeWorkflow(ctx context.Context, rec *workflowv1.Workflow, rev int64, ops []Op, also []Cmp) (int64, error) {
	if rev == 0 {
		return 0, fmt.Errorf("change workflow %s: the revision read is missing: %w", rec.GetId(), ErrInvalid)
	}
	newRev, err := t.Txn(ctx, append([]Cmp{{Key: openKey(rec.GetId()), Revision: rev}}, also...), ops)
	if err != nil {
		return 0, fmt.Errorf("write workflow %s: %w", rec.GetId(), err)
	}
	return newRev, nil
}

// AddFinishedWorkflow puts the record of something that was never open; ErrExists if there is one of this id and instant.
func (t *Topo) AddFinishedWorkflow(ctx context.Context, rec *workflowv1.Workflow) error {
	if err := ValidateWorkflowID(rec.GetId()); err != nil {
		return err
	}
	key := finishedKey(rec.GetId(), rec.GetCreatedAt().AsTime())
	op, err := encode(key, rec)
	if err != nil {
		return err
	}
	if _, err := t.Txn(ctx, []Cmp{{Key: key}}, []Op{op}); err != nil {
		return fmt.Errorf("write workflow %s: %w", rec.GetId(), existsOr(err))
	}
	return nil
}

// OpenWorkflows returns the workflows of a keyspace that are not final, in order of id; an empty keyspace means all.
func (t *Topo) OpenWorkflows(ctx context.Context, keyspace string) ([]WorkflowEntry, error) {
	return t.workflows(ctx, ofKeyspace(openPrefix, keyspace))
}

// FinishedWorkflows returns the final records of a keyspace, in order of id and then oldest first; an empty keyspace means all.
func (t *Topo) FinishedWorkflows(ctx context.Context, keyspace string) ([]WorkflowEntry, error) {
	return t.workflows(ctx, ofKeyspace(finishedPrefix, keyspace))
}

// FinishedWorkflow returns the final records of an id, oldest first.
func (t *Topo) FinishedWorkflow(ctx context.Context, id string) ([]WorkflowEntry, error) {
	return t.workflows(ctx, finishedPrefix+id+"/")
}

// ofKeyspace narrows a prefix to the ids of a keyspace.
func ofKeyspace(prefix, keyspace string) string {
	if keyspace == "" {
		return prefix
	}
	return prefix + keyspace + "."
}

func (t *Topo) workflows(ctx context.Context, prefix string) ([]WorkflowEntry, error) {
	kvs, _, err := t.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list workflows: %w", err)
	}
	out := make([]WorkflowEntry, 0, len(kvs))
	for _, kv := range kvs {
		rec := new(workflowv1.Workflow)
		if err := proto.Unmarshal(kv.Value, rec); err != nil {
			// One broken record must not hide the others from whoever has to go on with them.
			t.log.Warn("a workflow's record cannot be decoded; it is left out", "key", kv.Key, "error", err)
			continue
		}
		out = append(out, WorkflowEntry{Record: rec, Revision: kv.ModRevision, Bytes: len(kv.Value), key: kv.Key})
	}
	return out, nil
}

// forgetBatch is half of what a transaction may hold.
const forgetBatch = 50

// ForgetWorkflows deletes final records as they were read. What was deleted meanwhile is no error.
func (t *Topo) ForgetWorkflows(ctx context.Context, entries []WorkflowEntry) error {
	for len(entries) > 0 {
		n := min(len(entries), forgetBatch)
		var cmps []Cmp
		var ops []Op
		for _, e := range entries[:n] {
			cmps = append(cmps, Cmp{Key: e.key, Revision: e.Revision})
			ops = append(ops, Op{Key: e.key, Delete: true})
		}
		if _, err := t.Txn(ctx, cmps, ops); err != nil && !errors.Is(err, ErrConflict) {
			return fmt.Errorf("forget %d workflows: %w", n, err)
		}
		entries = entries[n:]
	}
	return nil
}

// WatchWorkflow sends an open workflow's record at once and after each change, and an entry without a record when it is not, or no
// longer, open. Changes that the receiver has no time for are merged. The channel closes when ctx ends.
func (t *Topo) WatchWorkflow(ctx context.Context, id string) <-chan WorkflowEntry {
	out := make(chan WorkflowEntry)
	key := openKey(id)
	go func() {
		defer close(out)
		last := int64(-1)
		for snap := range t.follow(ctx, key) {
			kv := snap.kvs[key] // other ids may begin with this one
			if kv.ModRevision == last {
				continue
			}
			last = kv.ModRevision
			e := WorkflowEntry{Revision: kv.ModRevision, Bytes: len(kv.Value), key: key}
			if kv.ModRevision != 0 {
				rec := new(workflowv1.Workflow)
				if err := proto.Unmarshal(kv.Value, rec); err != nil {
					t.log.Warn("a workflow's record cannot be decoded; its change is left out", "key", key, "error", err)
					continue
				}
				e.Record = rec
			}
			select {
			case out <- e:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

// CreatedAt is when the workflow was made.
func (e WorkflowEntry) CreatedAt() time.Time { return e.Record.GetCreatedAt().AsTime() }
