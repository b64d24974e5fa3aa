package errcode

// Workflows and their journal.
const (
	WorkflowInvalid  Code = 2001 // what
	WorkflowRefused  Code = 2002 // id, state, why
	WorkflowNoReturn Code = 2003 // id, why, way out
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
	}
}
