package errcode

// Faults of Pelorus itself.
const (
	InternalFault Code = 1900 // detail
)

func faultRows() []Info {
	return []Info{
		{Code: InternalFault, Errno: 1105, State: "HY000", RPC: Internal,
			Text: "internal error: %s", Args: []string{"detail"},
			Cause: "Something that should not happen did. The log has more.",
			Cure:  "Please report it, with the log lines of that time."},
	}
}
