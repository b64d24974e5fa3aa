package errcode

// Clients of the gateway: accounts, connections, the protocol.
const (
	TooManyConnections Code = 1402 // limit
	PacketTooLarge     Code = 1403 // limit
	PacketOutOfOrder   Code = 1404
	MalformedPacket    Code = 1405 // detail
	UnknownCommand     Code = 1406 // number
	ForbiddenObject    Code = 1407 // object
	Killed             Code = 1409
	NoSuchThread       Code = 1410 // id
	UnknownStatement   Code = 1411 // id
	KeyspaceDenied     Code = 1415 // user, keyspace
	PrivilegeNeeded    Code = 1416 // privilege
	LocalInfileRefused Code = 1417
	NotYourThread      Code = 1418 // id
	TooManyStatements  Code = 1421 // limit
	NoOpenCursor       Code = 1424 // id
)

func clientRows() []Info {
	return []Info{
		{Code: TooManyConnections, Errno: 1040, State: "08004", RPC: ResourceExhausted, Retry: true, Closes: true,
			Text: "too many connections: the gateway takes %d", Args: []string{"limit"},
			Cause: "More clients are connected than the gateway's limit.",
			Cure:  "Close idle connections, raise the limit, or add gateways."},
		{Code: PacketTooLarge, Errno: 1153, State: "08S01", RPC: ResourceExhausted, Closes: true,
			Text: "got a packet bigger than 'max_allowed_packet' (%d bytes)", Args: []string{"limit"},
			Cause: "A statement or row is larger than the gateway accepts.",
			Cure:  "Send it in parts, or raise max_allowed_packet on gateway and servers."},
		{Code: PacketOutOfOrder, Errno: 1156, State: "08S01", RPC: InvalidArgument, Closes: true,
			Text:  "got packets out of order",
			Cause: "The sequence number of a packet is not the next one: client and gateway disagree about where they are.",
			Cure:  "This is a fault of the driver, or of something between it and the gateway. Connect again."},
		{Code: MalformedPacket, Errno: 1835, State: "HY000", RPC: InvalidArgument, Closes: true,
			Text: "malformed communication packet: %s", Args: []string{"detail"},
			Cause: "The bytes are not what the MySQL protocol has at this place.",
			Cure:  "This is a fault of the driver, or not a MySQL client at all."},
		{Code: UnknownCommand, Errno: 1047, State: "08S01", RPC: Unimplemented,
			Text: "unknown command %d", Args: []string{"number"},
			Cause: "The client sent a protocol command that Pelorus does not have, such as a binlog dump.",
			Cure:  "Replication clients connect to a server, not to the gateway. The session goes on."},
		{Code: ForbiddenObject, Errno: 1142, State: "42000", RPC: PermissionDenied,
			Text: "access to %s is denied: it is Pelorus' own", Args: []string{"object"},
			Cause: "The database _pelorus holds what failover and atomic commit rely on.",
			Cure:  "Use the commands of pelorus to look at it."},
		{Code: Killed, Errno: 1317, State: "70100", RPC: Canceled,
			Text:  "query execution was interrupted",
			Cause: "Somebody sent KILL, or the client went away.",
			Cure:  "None needed."},
		{Code: NoSuchThread, Errno: 1094, State: "HY000", RPC: NotFound,
			Text: "unknown thread id: %d", Args: []string{"id"},
			Cause: "No connection of this gateway has the id.",
			Cure:  "Ids are per gateway; see SHOW PROCESSLIST on the right one."},
		{Code: UnknownStatement, Errno: 1243, State: "HY000", RPC: NotFound,
			Text: "unknown prepared statement handler (%v)", Args: []string{"id or name"},
			Cause: "It was never prepared in this session, was closed, or the session was reset.",
			Cure:  "Prepare it again."},
		{Code: KeyspaceDenied, Errno: 1044, State: "42000", RPC: PermissionDenied,
			Text: "access denied for user '%s' to database '%s'", Args: []string{"user", "keyspace"},
			Cause: "The user is not allowed to use the keyspace.",
			Cure:  "Change the user's record."},
		{Code: PrivilegeNeeded, Errno: 1227, State: "42000", RPC: PermissionDenied,
			Text: "access denied; you need the %s privilege for this operation", Args: []string{"privilege"},
			Cause: "The statement concerns servers or the cluster as a whole.",
			Cure:  "Use the commands of pelorus, or a user with that privilege."},
		{Code: LocalInfileRefused, Errno: 3948, State: "42000", RPC: FailedPrecondition,
			Text:  "loading local data is disabled; it must be enabled on the client too",
			Cause: "The client did not offer LOCAL INFILE when it connected.",
			Cure:  "Turn it on in the client, such as mysql --local-infile=1."},
		{Code: NotYourThread, Errno: 1095, State: "HY000", RPC: PermissionDenied,
			Text: "you are not owner of thread %d", Args: []string{"id"},
			Cause: "KILL of another user's connection.",
			Cure:  "Connect as that user, or as one with the privilege."},
		{Code: TooManyStatements, Errno: 1461, State: "42000", RPC: ResourceExhausted,
			Text: "can't create more than %d prepared statements in a session", Args: []string{"limit"},
			Cause: "The client prepares without closing.",
			Cure:  "Close statements, or let the driver reuse them."},
		{Code: NoOpenCursor, Errno: 1421, State: "HY000", RPC: FailedPrecondition,
			Text: "the statement (%d) has no open cursor", Args: []string{"id"},
			Cause: "COM_STMT_FETCH for a statement that was not executed with a cursor, or whose cursor has given all its rows. The gateway opens no cursor for a statement that more than one server answers.",
			Cure:  "Read the rows that came with the answer to the execution; execute again for others."},
	}
}
