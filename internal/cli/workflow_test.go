package cli

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/controlv1/controlv1connect"
	"github.com/pelorusdb/pelorus/internal/api/workflowv1"
)

// fakeWorkflows answers with one record after the other.
type fakeWorkflows struct {
	controlv1connect.UnimplementedWorkflowServiceHandler
	records []*workflowv1.Workflow
}

func (f *fakeWorkflows) next() (*workflowv1.Workflow, error) {
	w := f.records[0]
	if w == nil {
		f.records = f.records[1:]
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("gone for a moment"))
	}
	if len(f.records) > 1 {
		f.records = f.records[1:]
	}
	return w, nil
}

func (f *fakeWorkflows) GetWorkflow(context.Context, *connect.Request[controlv1.GetWorkflowRequest]) (*connect.Response[controlv1.GetWorkflowResponse], error) {
	w, err := f.next()
	return connect.NewResponse(&controlv1.GetWorkflowResponse{Workflow: w}), err
}

func (f *fakeWorkflows) CancelWorkflow(context.Context, *connect.Request[controlv1.CancelWorkflowRequest]) (*connect.Response[controlv1.CancelWorkflowResponse], error) {
	w, err := f.next()
	return connect.NewResponse(&controlv1.CancelWorkflowResponse{Workflow: w}), err
}

func (f *fakeWorkflows) ListWorkflows(context.Context, *connect.Request[controlv1.ListWorkflowsRequest]) (*connect.Response[controlv1.ListWorkflowsResponse], error) {
	return connect.NewResponse(&controlv1.ListWorkflowsResponse{Workflows: f.records}), nil
}

func record(state workflowv1.State, step workflowv1.StepState) *workflowv1.Workflow {
	at := timestamppb.New(time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC))
	return &workflowv1.Workflow{
		Id: proto.String("shop.move"), Kind: proto.String("reshard"), State: state.Enum(), CreatedAt: at, UpdatedAt: at, CreatedBy: proto.String("ann"),
		Owner: &workflowv1.Owner{Name: proto.String("n1"), Token: proto.Int64(7)},
		Operation: &workflowv1.Operation{Name: proto.String("create"), Number: proto.Uint32(1), Steps: []*workflowv1.Step{{
			Name: proto.String("copy"), Changes: proto.String("tables on the targets"), State: step.Enum(), Attempts: proto.Uint32(1), Took: durationpb.New(1500 * time.Millisecond),
			Parts: []*workflowv1.Part{{Target: proto.String("zone1-101"), Detail: proto.String("create t"), Took: durationpb.New(time.Second)}},
		}}},
		Evidence: &workflowv1.Evidence{
			Problem: proto.String("dead_primary"), Scope: proto.String("shop/-80"), Decision: proto.String("replaced"), Unknown: []string{"zone1-103: never reported"},
			Observations: []*workflowv1.Observation{{Fact: proto.String("receiver"), Value: proto.String("stopped"), Source: proto.String("zone1-102"), At: at}},
			Alternatives: []*workflowv1.Alternative{{What: proto.String("waiting"), WhyNot: proto.String("both replicas agree")}},
		},
	}
}

func TestWorkflowCommands(t *testing.T) {
	running := record(workflowv1.State_STATE_RUNNING, workflowv1.StepState_STEP_STATE_BEGUN)
	done := record(workflowv1.State_STATE_DONE, workflowv1.StepState_STEP_STATE_DONE)
	waiting := record(workflowv1.State_STATE_WAITING, workflowv1.StepState_STEP_STATE_BEGUN)
	waiting.WaitingFor = proto.String("the disk is full. Cure that, then resume")
	cancelled := record(workflowv1.State_STATE_CANCELLED, workflowv1.StepState_STEP_STATE_PENDING)
	cancelled.Operation.Back = proto.Bool(true)
	tests := []struct {
		args    string
		records []*workflowv1.Workflow
		code    int
		out     []string // each must be in the output
		err     string
	}{
		{"list", []*workflowv1.Workflow{running, waiting}, 0, []string{"WORKFLOW", "shop.move  reshard  running", "waiting for a person", "the disk is full"}, ""},
		{"show shop.move", []*workflowv1.Workflow{done}, 0, []string{
			"state       done", "created     2026-11-21", "by ann", "copy         done   1         1.5s  tables on the targets", "  zone1-101  -      -         1s    create t",
			"dead_primary of shop/-80: replaced", "receiver                   stopped  zone1-102  15:00:00.000", "zone1-103: never reported  unknown", "not waiting: both replicas agree",
		}, ""},
		{"show shop.move --wait", []*workflowv1.Workflow{running, nil, running, done}, 0, []string{"state       done"},
			"shop.move: running, step 1 of 1, copy: tables on the targets\npelorus: control does not answer: gone for a moment; does it run? (--control, PELORUS_CONTROL)\nshop.move: done\n"},
		{"show shop.move --json", []*workflowv1.Workflow{done}, 0, []string{`"state": "STATE_DONE"`, `"created_by": "ann"`}, ""},
		{"cancel shop.move", []*workflowv1.Workflow{running}, 0, []string{"is being taken back"}, ""},
		{"cancel shop.move", []*workflowv1.Workflow{cancelled}, 0, []string{"workflow shop.move is cancelled"}, ""},
		{"cancel shop.move --wait", []*workflowv1.Workflow{running, cancelled}, 0, []string{"state       cancelled"}, "shop.move: running, step 1 of 1, copy: tables on the targets\nshop.move: cancelled\n"},
		{"cancel shop.move --wait", []*workflowv1.Workflow{running, waiting}, exitRefused, []string{"the disk is full"},
			"shop.move: running, step 1 of 1, copy: tables on the targets\nshop.move: waiting for a person\npelorus: workflow shop.move is waiting for a person: the disk is full. Cure that, then resume\n"},
		{"show", nil, exitUsage, nil, "pelorus: pelorus workflow show needs KEYSPACE.NAME; see `pelorus workflow show --help`\n"},
	}
	for _, tt := range tests {
		mux := http.NewServeMux()
		mux.Handle(controlv1connect.NewWorkflowServiceHandler(&fakeWorkflows{records: tt.records}))
		srv := httptest.NewServer(mux)
		code, out, errOut := run(t, "", append([]string{"--control", strings.TrimPrefix(srv.URL, "http://"), "workflow"}, strings.Fields(tt.args)...)...)
		srv.Close()
		if code != tt.code || errOut != tt.err {
			t.Errorf("%s: exit code %d, want %d; error output:\n%s", tt.args, code, tt.code, errOut)
		}
		for _, want := range tt.out {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", tt.args, want, out)
			}
		}
	}
}
