package control

import (
	"context"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/workflow/run"

	"connectrpc.com/connect"
)

// maxWatch bounds how long GetWorkflow waits for a change: proxies between end calls that are silent for a minute.
const maxWatch = 30 * time.Second

// workflowService answers WorkflowService.
type workflowService struct{ *Server }

// ListWorkflows implements the API.
func (s workflowService) ListWorkflows(ctx context.Context, req *connect.Request[controlv1.ListWorkflowsRequest]) (*connect.Response[controlv1.ListWorkflowsResponse], error) {
	m := req.Msg
	list, err := s.Workflows.Journal().List(ctx, run.Filter{Keyspace: m.GetKeyspace(), Kind: m.GetKind(), Finished: m.GetFinished()})
	if err != nil {
		return nil, err
	}
	for _, w := range list {
		shorten(w)
	}
	return connect.NewResponse(&controlv1.ListWorkflowsResponse{Workflows: list}), nil
}

// shorten leaves of a workflow what a list shows: thousand whole records might be many megabytes.
func shorten(w *workflowv1.Workflow) {
	w.Spec, w.Facts, w.Evidence, w.Cancelling = nil, nil, nil, nil
	if op := w.GetOperation(); op != nil {
		op.Args, op.Steps = nil, nil
	}
}

// GetWorkflow implements the API.
func (s workflowService) GetWorkflow(ctx context.Context, req *connect.Request[controlv1.GetWorkflowRequest]) (*connect.Response[controlv1.GetWorkflowResponse], error) {
	m := req.Msg
	if m.GetChangedSince() == nil {
		w, err := s.Workflows.Journal().Get(ctx, m.GetId())
		if err != nil {
			return nil, err
		}
		return connect.NewResponse(&controlv1.GetWorkflowResponse{Workflow: w}), nil
	}
	patience, cancel := context.WithTimeout(ctx, min(m.GetWait().AsDuration(), maxWatch))
	defer cancel()
	since := m.GetChangedSince().AsTime()
	w, err := s.Workflows.Journal().Follow(patience, m.GetId(), func(w *workflowv1.Workflow) bool { return w.GetUpdatedAt().AsTime().After(since) })
	if err != nil && (w == nil || ctx.Err() != nil || patience.Err() == nil) {
		return nil, err
	}
	return connect.NewResponse(&controlv1.GetWorkflowResponse{Workflow: w}), nil
}

// PauseWorkflow implements the API.
func (s workflowService) PauseWorkflow(ctx context.Context, req *connect.Request[controlv1.PauseWorkflowRequest]) (*connect.Response[controlv1.PauseWorkflowResponse], error) {
	w, err := s.Workflows.Pause(ctx, req.Msg.GetId())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.PauseWorkflowResponse{Workflow: w}), nil
}

// ResumeWorkflow implements the API.
func (s workflowService) ResumeWorkflow(ctx context.Context, req *connect.Request[controlv1.ResumeWorkflowRequest]) (*connect.Response[controlv1.ResumeWorkflowResponse], error) {
	w, err := s.Workflows.Resume(ctx, req.Msg.GetId())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.ResumeWorkflowResponse{Workflow: w}), nil
}

// CancelWorkflow implements the API.
func (s workflowService) CancelWorkflow(ctx context.Context, req *connect.Request[controlv1.CancelWorkflowRequest]) (*connect.Response[controlv1.CancelWorkflowResponse], error) {
	w, err := s.Workflows.Cancel(ctx, req.Msg.GetId(), nil, req.Msg.GetBy())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.CancelWorkflowResponse{Workflow: w}), nil
}
