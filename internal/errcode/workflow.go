package errcode

// Workflows and their journal.
const (
	WorkflowInvalid  Code = 2001 // what
	WorkflowRefused  Code = 2002 // id, state, why
	WorkflowNoReturn Code = 2003 // id, why, way out
	WorkflowClaimed  Code = 2004 // claim, id
	WorkflowForeign  Code = 2005 // id, kind
)

func workflowRows() []Info {
	return []Info{
		{Code: WorkflowInvalid, Errno: 1105, State: "HY000", RPC: InvalidArgument,
			Text: "not a workflow that can be kept: %s", Args: []string{"what"},
			Cause: "A name, a list of steps or a fact is empty, repeated or over its limit.",
			Cure:  "Correct what the text names; limits are in docs/workflows.md."},
		{Code: WorkflowRefused, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "workflow %s is %s: %s", Args: []string{"id", "state", "why"},
			Cause: "What was asked for does not fit what the workflow is doing.",
			Cure:  "See \"pelorus workflow show\"; wait for its operation to end, or resume or cancel it."},
		{Code: WorkflowNoReturn, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "workflow %s cannot be cancelled any more: %s; the way out: %s", Args: []string{"id", "why", "way out"},
			Cause: "It has passed its point of no return, or may have, and only goes forward.",
			Cure:  "Take the way out that the text names."},
		{Code: WorkflowClaimed, Errno: 1205, State: "HY000", RPC: FailedPrecondition,
			Text: "%s belongs to workflow %s, which is not over", Args: []string{"what", "id"},
			Cause: "Two workflows on the same thing would undo each other's work.",
			Cure:  "Wait for that workflow to end, or cancel it; \"pelorus workflow show\" says what it waits for."},
		{Code: WorkflowForeign, Errno: 1235, State: "42000", RPC: FailedPrecondition,
			Text: "this control node does not know the steps of workflow %s of kind %s", Args: []string{"id", "kind"},
			Cause: "It was begun by a control node of another release.",
			Cure:  "Let a control node of that release end it; it can be paused and cancelled from any."},
	}
}
