package run

import (
	"context"
	"time"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/workflow"

	"google.golang.org/protobuf/proto"
)

// DryRun walks the steps of a workflow that is not begun, through the same code, and returns them with what they would do to which
// target. Nothing is recorded and no lock is taken. At the first step that refuses it ends, with that step's error.
func (r *Runner) DryRun(ctx context.Context, req Request) ([]*workflowv1.Step, error) {
	now := time.Now()
	p, op, err := r.plan(req, now)
	if err != nil {
		return nil, err
	}
	w, err := workflow.New(p, now)
	if err != nil {
		return nil, err
	}
	return dryRun(ctx, w, op)
}

// DryOperate is DryRun for the next operation of a workflow that rests.
func (r *Runner) DryOperate(ctx context.Context, id, name string, args proto.Message) ([]*workflowv1.Step, error) {
	packed, err := pack(args)
	if err != nil {
		return nil, err
	}
	w, err := r.journal.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	ev, err := r.start(w, name, packed, "", 0)
	if err != nil {
		return nil, err
	}
	if w, err = workflow.Apply(w, ev, time.Now()); err != nil {
		return nil, err
	}
	op, err := r.kinds.present(w)
	if err != nil {
		return nil, err
	}
	return dryRun(ctx, w, op)
}

func dryRun(ctx context.Context, w *workflowv1.Workflow, op Operation) ([]*workflowv1.Step, error) {
	steps := w.GetOperation().GetSteps()
	for i, step := range op.Steps {
		work := newWork(w)
		work.dry = true
		err := dryStep(ctx, step, work)
		var out workflow.Outcome
		work.learnt(&out)
		steps[i].Parts = out.Parts
		if err != nil {
			steps[i].LastError = proto.String(err.Error())
			return steps[:i+1], err
		}
		if w.Facts == nil && len(out.Facts) > 0 {
			w.Facts = workflow.Facts{}
		}
		for name, v := range out.Facts {
			if w.Facts[name] = v; v == nil {
				delete(w.Facts, name)
			}
		}
	}
	return steps, nil
}

func dryStep(ctx context.Context, step Step, work *Work) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicError(p)
		}
	}()
	if step.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, step.Timeout)
		defer cancel()
	}
	return step.Do(ctx, work)
}
