package errcode

// Faults of Pelorus itself.
const (
	InternalFault  Code = 1900 // detail
	PanicRecovered Code = 1901 // where
	ProtocolServer Code = 1902 // detail
)

func faultRows() []Info {
	return []Info{
		{Code: InternalFault, Errno: 1105, State: "HY000", RPC: Internal,
			Text: "internal error: %s", Args: []string{"detail"},
			Cause: "Something that should not happen did. The log has more.",
			Cure:  "Please report it, with the log lines of that time."},
		{Code: PanicRecovered, Errno: 1105, State: "HY000", RPC: Internal, Closes: true,
			Text: "internal error in %s; the session was ended, others go on", Args: []string{"place"},
			Cause: "A programming error stopped the session. The log has the stack.",
			Cure:  "Please report it, with the stack and the statement."},
		{Code: ProtocolServer, Errno: 1835, State: "HY000", RPC: Internal, Closes: true,
			Text: "the server's answer was not understood: %s", Args: []string{"detail"},
			Cause: "The bytes that came from a server are not what the protocol has at this place.",
			Cure:  "Please report it, with the server's version and the statement."},
	}
}
