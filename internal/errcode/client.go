package errcode

// Clients of the gateway: accounts, connections, the protocol.
const (
	AccessDenied        Code = 1401 // user, host, using password
	TooManyConnections  Code = 1402 // limit
	PacketTooLarge      Code = 1403 // limit
	PacketOutOfOrder    Code = 1404
	MalformedPacket     Code = 1405 // detail
	UnknownCommand      Code = 1406 // number
	ForbiddenObject     Code = 1407 // object
	Shutdown            Code = 1408
	Killed              Code = 1409
	NoSuchThread        Code = 1410 // id
	UnknownStatement    Code = 1411 // id
	ClientTimeout       Code = 1412 // what
	TLSRequired         Code = 1413
	AuthPlugin          Code = 1414 // plugin
	KeyspaceDenied      Code = 1415 // user, keyspace
	PrivilegeNeeded     Code = 1416 // privilege
	LocalInfileRefused  Code = 1417
	NotYourThread       Code = 1418 // id
	TooManyUserSessions Code = 1419 // user
	BadHandshake        Code = 1420 // detail
	TooManyStatements   Code = 1421 // limit
	WriteTimeout        Code = 1422
	BadCharset          Code = 1423 // name
	NoOpenCursor        Code = 1424 // id
)

func clientRows() []Info {
	return []Info{
		{Code: AccessDenied, Errno: 1045, State: "28000", RPC: Unauthenticated, Closes: true,
			Text: "Access denied for user '%s'@'%s' (using password: %s)", Args: []string{"user", "host", "YES or NO"},
			Cause: "There is no such user, or the password is wrong.",
			Cure:  "Check user and password; users are kept in the topology, not on the servers."},
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
		{Code: Shutdown, Errno: 1053, State: "08S01", RPC: Unavailable, Retry: true, Closes: true,
			Text:  "the gateway is shutting down",
			Cause: "The gateway was told to end and takes no new statements.",
			Cure:  "Connect again; another gateway answers, or this one after its restart."},
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
		{Code: ClientTimeout, Errno: 1159, State: "08S01", RPC: DeadlineExceeded, Closes: true,
			Text: "the client was too slow: %s", Args: []string{"what"},
			Cause: "The client did not finish the handshake, was idle for longer than wait_timeout, or sent half a packet.",
			Cure:  "Connect again; keep connections alive or shorten the pool's idle time."},
		{Code: TLSRequired, Errno: 3159, State: "HY000", RPC: Unauthenticated, Closes: true,
			Text:  "connections using insecure transport are prohibited",
			Cause: "The gateway is configured to take TLS connections only.",
			Cure:  "Turn TLS on in the client."},
		{Code: AuthPlugin, Errno: 1251, State: "08004", RPC: Unauthenticated, Closes: true,
			Text: "the client does not support the authentication method %s of this user", Args: []string{"plugin"},
			Cause: "Client and account have no authentication method in common.",
			Cure:  "Use a newer client, or give the account mysql_native_password."},
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
		{Code: TooManyUserSessions, Errno: 1203, State: "42000", RPC: ResourceExhausted, Retry: true, Closes: true,
			Text: "user %s already has %d connections, its limit", Args: []string{"user", "limit"},
			Cause: "The user's record limits its connections.",
			Cure:  "Close idle connections, or raise the limit."},
		{Code: BadHandshake, Errno: 1043, State: "08S01", RPC: InvalidArgument, Closes: true,
			Text: "bad handshake: %s", Args: []string{"detail"},
			Cause: "The client's first packet is not one of the MySQL protocol 4.1 or newer.",
			Cure:  "Check that a MySQL client connects to this port, and none that expects TLS from the first byte."},
		{Code: TooManyStatements, Errno: 1461, State: "42000", RPC: ResourceExhausted,
			Text: "can't create more than %d prepared statements in a session", Args: []string{"limit"},
			Cause: "The client prepares without closing.",
			Cure:  "Close statements, or let the driver reuse them."},
		{Code: WriteTimeout, Errno: 1161, State: "08S01", RPC: DeadlineExceeded, Closes: true,
			Text:  "the client did not read its results in time",
			Cause: "The client's receive buffer stayed full for longer than net_write_timeout.",
			Cure:  "Read results as they come, or fetch less at once."},
		{Code: BadCharset, Errno: 1115, State: "42000", RPC: InvalidArgument,
			Text: "unknown character set: '%s'", Args: []string{"name"},
			Cause: "The servers do not have the character set or collation, or it cannot be a client's (ucs2, utf16, utf32).",
			Cure:  "Use utf8mb4."},
		{Code: NoOpenCursor, Errno: 1421, State: "HY000", RPC: FailedPrecondition,
			Text: "the statement (%d) has no open cursor", Args: []string{"id"},
			Cause: "COM_STMT_FETCH for a statement that was not executed with a cursor, or whose cursor has given all its rows. The gateway opens no cursor for a statement that more than one server answers.",
			Cure:  "Read the rows that came with the answer to the execution; execute again for others."},
	}
}
