package errcode

// Limits that protect the gateway and the servers.
const (
	RowLimit       Code = 1501 // limit
	ByteLimit      Code = 1502 // limit
	TimeLimit      Code = 1503 // duration
	StatementLimit Code = 1505 // what, limit
	MemoryLimit    Code = 1506 // bytes
	WriteRowLimit  Code = 1507 // rows, limit
	ClientStalled  Code = 1509 // duration, what
)

func limitRows() []Info {
	return []Info{
		{Code: RowLimit, Errno: 1104, State: "42000", RPC: ResourceExhausted,
			Text: "the statement needs more than %d rows in the gateway", Args: []string{"limit"},
			Cause: "Rows that must be sorted, grouped or compared over shards are held in the gateway, up to a limit.",
			Cure:  "Make the statement narrower (WHERE, LIMIT), or raise the limit."},
		{Code: ByteLimit, Errno: 1104, State: "42000", RPC: ResourceExhausted,
			Text: "the statement needs more than %d bytes in the gateway", Args: []string{"limit"},
			Cause: "Rows that must be sorted, grouped or compared over shards are held in the gateway, up to a limit.",
			Cure:  "Select fewer or smaller columns, make the statement narrower, or raise the limit."},
		{Code: TimeLimit, Errno: 3024, State: "HY000", RPC: DeadlineExceeded,
			Text: "query execution was interrupted, maximum statement execution time of %v exceeded", Args: []string{"duration"},
			Cause: "max_execution_time of the session or a rule of the gateway.",
			Cure:  "Make the statement faster, or allow it more time."},
		{Code: StatementLimit, Errno: 1390, State: "HY000", RPC: ResourceExhausted,
			Text: "the statement has too many %s: the limit is %d", Args: []string{"what", "limit"},
			Cause: "A statement with so many parts would need too much memory to plan.",
			Cure:  "Split the statement."},
		{Code: MemoryLimit, Errno: 1041, State: "HY000", RPC: ResourceExhausted, Retry: true,
			Text: "the gateway has %d bytes in use by statements, its limit", Args: []string{"bytes"},
			Cause: "All statements together hold more rows than the gateway's memory limit.",
			Cure:  "Try again, lower the concurrency, or raise the limit."},
		{Code: WriteRowLimit, Errno: 1104, State: "42000", RPC: ResourceExhausted,
			Text: "the statement would change more than %d rows through the gateway", Args: []string{"limit"},
			Cause: "INSERT ... SELECT and changes of lookup rows over shards pass through the gateway, up to a limit.",
			Cure:  "Split the statement by key, or raise the limit."},
		{Code: ClientStalled, Errno: 1161, State: "08S01", RPC: DeadlineExceeded, Closes: true,
			Text: "the client has not done its part for %v while others waited for %s", Args: []string{"duration", "a connection or memory"},
			Cause: "The client does not read its results, or does not finish sending a large command, and what it holds meanwhile had run out for others.",
			Cure:  "Read results as they come and send commands in one go; look in the client for what keeps it from doing so."},
	}
}
