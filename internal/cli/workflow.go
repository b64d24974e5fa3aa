package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/workflowv1"
	"github.com/pelorusdb/pelorus/internal/workflow"
)

// pollWait is how long one call waits for a change of a workflow; pollPause is the pause after a call that failed.
const (
	pollWait  = 20 * time.Second
	pollPause = time.Second
)

func (a *App) workflowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "workflow", Short: "Operations of several steps, under way and over", GroupID: groupCluster, RunE: helpOnly}
	cmd.AddCommand(a.workflowList(), a.workflowShow(), a.workflowPause(), a.workflowResume(), a.workflowCancel())
	return cmd
}

func (a *App) workflowList() *cobra.Command {
	var keyspace, kind string
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the workflows, those that began last first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := &controlv1.ListWorkflowsRequest{Keyspace: given(cmd, "keyspace", keyspace), Kind: given(cmd, "kind", kind), Finished: &all}
			res, err := call(cmd.Context(), a, a.control().workflows.ListWorkflows, req)
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			var rows [][]string
			for _, w := range res.GetWorkflows() {
				rows = append(rows, []string{
					w.GetId(), w.GetKind(), workflow.StateWord(w.GetState()), w.GetStage(), w.GetOperation().GetName(), timeCell(w.GetCreatedAt()), reason(w),
				})
			}
			return a.table([]string{"WORKFLOW", "KIND", "STATE", "STAGE", "OPERATION", "CREATED", "REASON"}, rows)
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&keyspace, "keyspace", "", "only of this keyspace")
	cmd.Flags().StringVar(&kind, "kind", "", "only of this kind, such as reparent")
	cmd.Flags().BoolVar(&all, "all", false, "those that are over, too")
	return cmd
}

// reason is why a workflow is in its state, if that is not what it was meant for.
func reason(w *workflowv1.Workflow) string {
	switch {
	case w.GetWaitingFor() != "":
		return w.GetWaitingFor()
	case w.GetState() == workflowv1.State_STATE_DECLINED:
		return w.GetEvidence().GetDecision()
	}
	return w.GetOperation().GetError()
}

func (a *App) workflowShow() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "show KEYSPACE.NAME", Short: "Show a workflow with its steps and its evidence", Args: exactArgs("KEYSPACE.NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().workflows.GetWorkflow, &controlv1.GetWorkflowRequest{Id: &args[0]})
			if err != nil {
				return err
			}
			w := res.GetWorkflow()
			if wait {
				if w, err = a.follow(cmd, w); err != nil {
					return err
				}
			}
			if a.json {
				return a.printProto(&controlv1.GetWorkflowResponse{Workflow: w})
			}
			return a.printWorkflow(w)
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "until nothing is left to do")
	return cmd
}

func (a *App) workflowPause() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pause KEYSPACE.NAME", Short: "Begin no further step of a workflow, once nothing is held up", Args: exactArgs("KEYSPACE.NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().workflows.PauseWorkflow, &controlv1.PauseWorkflowRequest{Id: &args[0]})
			if err != nil {
				return err
			}
			if res.GetWorkflow().GetState() == workflowv1.State_STATE_PAUSED {
				return a.done(res, "workflow %s is paused; it goes on with `pelorus workflow resume %s`", args[0], args[0])
			}
			return a.done(res, "workflow %s pauses as soon as nothing is held up", args[0])
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) workflowResume() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "resume KEYSPACE.NAME", Short: "Let a workflow go on that is paused, waits for a person or waits for its next attempt", Args: exactArgs("KEYSPACE.NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().workflows.ResumeWorkflow, &controlv1.ResumeWorkflowRequest{Id: &args[0]})
			if err != nil {
				return err
			}
			if wait {
				return a.waitAndPrint(cmd, res.GetWorkflow(), false)
			}
			return a.done(res, "workflow %s goes on", args[0])
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "until nothing is left to do")
	return cmd
}

func (a *App) workflowCancel() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use: "cancel KEYSPACE.NAME", Short: "Take back everything that a workflow did", Args: exactArgs("KEYSPACE.NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			by := envOr("USER", "unknown")
			res, err := call(cmd.Context(), a, a.control().workflows.CancelWorkflow, &controlv1.CancelWorkflowRequest{Id: &args[0], By: &by})
			if err != nil {
				return err
			}
			if wait {
				return a.waitAndPrint(cmd, res.GetWorkflow(), true)
			}
			if workflow.Final(res.GetWorkflow().GetState()) {
				return a.done(res, "workflow %s is %s", args[0], workflow.StateWord(res.GetWorkflow().GetState()))
			}
			return a.done(res, "workflow %s is being taken back; `pelorus workflow show %s --wait` follows it", args[0], args[0])
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "until everything is taken back")
	return cmd
}

// waitAndPrint follows a workflow until nothing is left to do. It is an error if that is not what was wanted.
func (a *App) waitAndPrint(cmd *cobra.Command, w *workflowv1.Workflow, cancel bool) error {
	w, err := a.follow(cmd, w)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printProto(&controlv1.GetWorkflowResponse{Workflow: w})
	} else {
		err = a.printWorkflow(w)
	}
	if err != nil {
		return err
	}
	switch s := w.GetState(); {
	case s == workflowv1.State_STATE_WAITING, s == workflowv1.State_STATE_PAUSED:
		return &codedError{code: exitRefused, err: fmt.Errorf("workflow %s is %s: %s", w.GetId(), workflow.StateWord(s), reason(w))}
	case !cancel && w.GetOperation().GetBack(), s == workflowv1.State_STATE_FAILED && !cancel:
		return fmt.Errorf("workflow %s: %s was taken back: %s", w.GetId(), w.GetOperation().GetName(), reason(w))
	}
	return nil
}

// follow waits until nothing is left to do, and says on the error output what is done meanwhile. It ends when the command is
// interrupted, or after --timeout if that was given; the workflow goes on all the same. A control node that goes away is waited for.
func (a *App) follow(cmd *cobra.Command, w *workflowv1.Workflow) (*workflowv1.Workflow, error) {
	ctx := cmd.Context()
	if cmd.Flags().Changed("timeout") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
		defer cancel()
	}
	said := ""
	for {
		if line := progress(w); line != said {
			said = line
			fmt.Fprintln(a.err, line)
		}
		if workflow.Next(w).What == workflow.Nothing {
			return w, nil
		}
		req := &controlv1.GetWorkflowRequest{Id: w.Id, ChangedSince: w.GetUpdatedAt(), Wait: durationpb.New(pollWait)}
		res, err := call(ctx, a, a.control().workflows.GetWorkflow, req)
		switch {
		case ctx.Err() != nil:
			return w, fmt.Errorf("workflow %s goes on without being waited for: %w", w.GetId(), errors.Join(ctx.Err(), err))
		case err == nil:
			w = res.GetWorkflow()
			continue
		}
		fmt.Fprintln(a.err, message(err))
		select {
		case <-ctx.Done():
		case <-time.After(pollPause):
		}
	}
}

// progress is a workflow's state and step in one line.
func progress(w *workflowv1.Workflow) string {
	next, steps := workflow.Next(w), w.GetOperation().GetSteps()
	line := w.GetId() + ": " + workflow.StateWord(w.GetState())
	if next.What != workflow.ToPerform || next.Run.Step >= len(steps) {
		return line
	}
	s := steps[next.Run.Step]
	line += fmt.Sprintf(", step %d of %d, %s: %s", next.Run.Step+1, len(steps), s.GetName(), s.GetChanges())
	if s.GetFailures() > 0 {
		line += fmt.Sprintf(" (attempt %d; %s)", s.GetAttempts(), s.GetLastError())
	}
	return line
}

// printWorkflow prints a workflow for a person.
func (a *App) printWorkflow(w *workflowv1.Workflow) error {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(a.out, "%-12s%s\n", name, value)
		}
	}
	op := w.GetOperation()
	line("workflow", w.GetId())
	line("kind", w.GetKind())
	line("title", w.GetTitle())
	line("state", workflow.StateWord(w.GetState()))
	line("stage", w.GetStage())
	line("operation", op.GetName())
	line("reason", reason(w))
	line("claims", strings.Join(w.GetClaims(), ", "))
	line("owner", w.GetOwner().GetName())
	line("created", joined(timeCell(w.GetCreatedAt()), w.GetCreatedBy()))
	line("updated", timeCell(w.GetUpdatedAt()))
	if step, why, past := workflow.PastReturn(w); past && !workflow.Final(w.GetState()) {
		line("no return", fmt.Sprintf("%s: %s", step, why))
	}
	if rows := stepRows(op.GetSteps()); len(rows) > 0 {
		fmt.Fprintln(a.out)
		if err := a.table([]string{"STEP", "STATE", "ATTEMPTS", "TOOK", "CHANGES", "ERROR"}, rows); err != nil {
			return err
		}
	}
	return a.printEvidence(w.GetEvidence())
}

func joined(when, by string) string {
	if by == "" {
		return when
	}
	return when + " by " + by
}

// stepRows are the steps, each followed by what it did to single targets.
func stepRows(steps []*workflowv1.Step) [][]string {
	var rows [][]string
	for _, s := range steps {
		failure := ""
		if s.GetFailures() > 0 {
			failure = s.GetLastError()
		}
		rows = append(rows, []string{
			s.GetName(), enumWord(s.GetState().String(), "STEP_STATE_"), strconv.FormatUint(uint64(s.GetAttempts()), 10), tookCell(s.GetTook()), s.GetChanges(), failure,
		})
		for _, p := range s.GetParts() {
			rows = append(rows, []string{"  " + p.GetTarget(), "", "", tookCell(p.GetTook()), p.GetDetail(), p.GetError()})
		}
	}
	return rows
}

func tookCell(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return d.AsDuration().Round(time.Millisecond).String()
}

// printEvidence prints what a recovery was decided by.
func (a *App) printEvidence(e *workflowv1.Evidence) error {
	if e == nil {
		return nil
	}
	fmt.Fprintf(a.out, "\n%s of %s: %s\n", e.GetProblem(), e.GetScope(), e.GetDecision())
	var rows [][]string
	for _, o := range e.GetObservations() {
		rows = append(rows, []string{o.GetFact(), o.GetValue(), o.GetSource(), clockCell(o.GetAt())})
	}
	for _, u := range e.GetUnknown() {
		rows = append(rows, []string{u, "unknown", "", ""})
	}
	if len(rows) > 0 {
		if err := a.table([]string{"FACT", "VALUE", "SOURCE", "AT"}, rows); err != nil {
			return err
		}
	}
	for _, alt := range e.GetAlternatives() {
		fmt.Fprintf(a.out, "not %s: %s\n", alt.GetWhat(), alt.GetWhyNot())
	}
	return nil
}

// clockCell is an instant to the millisecond: evidence is a matter of less than a second.
func clockCell(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format("15:04:05.000")
}
