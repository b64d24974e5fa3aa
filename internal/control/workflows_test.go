package control_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/workflow"
	"github.com/pelorusdb/pelorus/internal/workflow/run"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// slow is a kind whose operations last until somebody stops them: "run" can be taken back, "final" cannot.
type slow struct{}

func (slow) Name() string { return "slow" }

func (slow) Operation(_ *workflowv1.Workflow, name string, _ *anypb.Any) (run.Operation, error) {
	step := run.Step{
		Step: workflow.Step{Name: "wait", Changes: "the time"},
		Do:   func(ctx context.Context, _ *run.Work) error { <-ctx.Done(); return context.Cause(ctx) },
		Undo: func(context.Context, *run.Work) error { return nil },
	}
	if name == "final" {
		step.NoReturn = "time does not come back"
		step.Done = func(context.Context, *run.Work) fact.Truth { return fact.Unknown }
	}
	return run.Operation{Steps: []run.Step{step}, WayOut: "have patience"}, nil
}

// getUntil asks for the record, as a client that waits does, until it is in the state.
func getUntil(t *testing.T, a *api, id string, want workflowv1.State) *workflowv1.Workflow {
	t.Helper()
	w := call(t, a.workflows.GetWorkflow, &controlv1.GetWorkflowRequest{Id: &id}).GetWorkflow()
	for range 20 {
		if w.GetState() == want {
			return w
		}
		w = call(t, a.workflows.GetWorkflow, &controlv1.GetWorkflowRequest{Id: &id, ChangedSince: w.GetUpdatedAt(), Wait: durationpb.New(5 * time.Second)}).GetWorkflow()
	}
	t.Fatalf("it is %s, not %s", workflow.StateWord(w.GetState()), workflow.StateWord(want))
	return nil
}

func TestWorkflows(t *testing.T) {
	a := newAPI(t, "")
	const id, final = "shop.w", "shop.f"
	for id, op := range map[string]string{id: "", final: "final"} {
		_, err := a.runner.Begin(t.Context(), run.Request{ID: id, Kind: "slow", Operation: op, By: "ann", Facts: workflow.Facts{"x": workflow.Text("y")}})
		if err != nil {
			t.Fatal(err)
		}
	}
	getUntil(t, a, final, workflowv1.State_STATE_RUNNING)
	w := getUntil(t, a, id, workflowv1.State_STATE_RUNNING)
	if len(w.GetOperation().GetSteps()) != 1 || w.GetCreatedBy() != "ann" {
		t.Errorf("got %v", w)
	}
	list := call(t, a.workflows.ListWorkflows, &controlv1.ListWorkflowsRequest{Kind: proto.String("slow")}).GetWorkflows()
	if len(list) != 2 || list[0].Facts != nil || list[0].GetOperation().Steps != nil || list[0].GetOperation().GetName() == "" {
		t.Errorf("list %v", list)
	}
	if n := len(call(t, a.workflows.ListWorkflows, &controlv1.ListWorkflowsRequest{Keyspace: proto.String("other")}).GetWorkflows()); n != 0 {
		t.Errorf("%d of another keyspace", n)
	}
	// A client that waits for a change which does not come gets the record after its patience.
	same := call(t, a.workflows.GetWorkflow, &controlv1.GetWorkflowRequest{Id: proto.String(id), ChangedSince: w.GetUpdatedAt(), Wait: durationpb.New(10 * time.Millisecond)})
	if !proto.Equal(same.GetWorkflow(), w) {
		t.Errorf("it changed to %v", same)
	}
	call(t, a.workflows.PauseWorkflow, &controlv1.PauseWorkflowRequest{Id: proto.String(id)})
	getUntil(t, a, id, workflowv1.State_STATE_PAUSED)
	call(t, a.workflows.ResumeWorkflow, &controlv1.ResumeWorkflowRequest{Id: proto.String(id)})
	getUntil(t, a, id, workflowv1.State_STATE_RUNNING)
	for range 2 {
		call(t, a.workflows.CancelWorkflow, &controlv1.CancelWorkflowRequest{Id: proto.String(id), By: proto.String("bob")})
	}
	getUntil(t, a, id, workflowv1.State_STATE_CANCELLED)
	text := refuse(t, connect.CodeFailedPrecondition, a.workflows.CancelWorkflow, &controlv1.CancelWorkflowRequest{Id: proto.String(final)})
	if !strings.Contains(text, "PLR2003") || !strings.Contains(text, "have patience") {
		t.Errorf("refused with %q", text)
	}
	refuse(t, connect.CodeFailedPrecondition, a.workflows.PauseWorkflow, &controlv1.PauseWorkflowRequest{Id: proto.String(id)})
	refuse(t, connect.CodeNotFound, a.workflows.GetWorkflow, &controlv1.GetWorkflowRequest{Id: proto.String("shop.none")})
	refuse(t, connect.CodeNotFound, a.workflows.ResumeWorkflow, &controlv1.ResumeWorkflowRequest{Id: proto.String("shop.none")})
	refuse(t, connect.CodeInvalidArgument, a.workflows.GetWorkflow, &controlv1.GetWorkflowRequest{Id: proto.String("nonsense")})
	if n := len(call(t, a.workflows.ListWorkflows, &controlv1.ListWorkflowsRequest{Finished: proto.Bool(true)}).GetWorkflows()); n != 2 {
		t.Errorf("%d with the one that is over, want 2", n)
	}
}
