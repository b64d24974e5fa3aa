package errcode

// MySQL and MariaDB servers, as agents meet them.
const (
	ServerVersion Code = 1801 // version
)

func serverRows() []Info {
	return []Info{
		{Code: ServerVersion, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "server version %s is not supported: %s", Args: []string{"version", "what is"},
			Cause: "Pelorus works with MySQL 8.0.20 and later and with MariaDB 10.6 and later.",
			Cure:  "Upgrade the server."},
	}
}
