package errcode

// Topology, terms, control.
const (
	TopoUnreachable  Code = 1701
	TopoConflict     Code = 1702 // record
	RecordExists     Code = 1704 // kind, name
	RecordMissing    Code = 1705 // kind, name
	RecordInUse      Code = 1706 // kind, name, users
	NoCandidate      Code = 1707 // shard, reason
	EvidenceMissing  Code = 1709 // what
	ShardsOverlap    Code = 1710 // keyspace
	AgentUnreachable Code = 1711 // alias
	BadConfig        Code = 1713 // what
	OperationTimeout Code = 1714 // what
	RefusedByState   Code = 1716 // what
)

func topoRows() []Info {
	return []Info{
		{Code: TopoUnreachable, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text:  "the topology (etcd) cannot be reached",
			Cause: "etcd is down, has no quorum, or the network does not reach it.",
			Cure:  "Bring etcd back. Statements run on meanwhile by what the gateways last read."},
		{Code: TopoConflict, Errno: 1020, State: "HY000", RPC: Aborted, Retry: true,
			Text: "%s was changed by somebody else meanwhile", Args: []string{"record"},
			Cause: "Two writers changed the same record; the second was refused.",
			Cure:  "Read it again and repeat the change."},
		{Code: RecordExists, Errno: 1007, State: "HY000", RPC: AlreadyExists,
			Text: "%s %s exists already", Args: []string{"kind", "name"},
			Cause: "A record of this name is in the topology.",
			Cure:  "Use another name, or delete the record."},
		{Code: RecordMissing, Errno: 1049, State: "42000", RPC: NotFound,
			Text: "there is no %s %s", Args: []string{"kind", "name"},
			Cause: "The topology has no record of this name.",
			Cure:  "Look at the list command of its kind."},
		{Code: RecordInUse, Errno: 1010, State: "HY000", RPC: FailedPrecondition,
			Text: "%s %s is still in use: %s", Args: []string{"kind", "name", "users"},
			Cause: "Other records depend on it.",
			Cure:  "Delete those first, or use --force where the command has it."},
		{Code: NoCandidate, Errno: 3168, State: "HY000", RPC: FailedPrecondition,
			Text: "shard %s has no server that may become primary: %s", Args: []string{"shard", "reason"},
			Cause: "No replica is reachable, complete, free of errant transactions and allowed to be promoted.",
			Cure:  "See \"pelorus orchestrator analyse\": it names what rules each one out."},
		{Code: EvidenceMissing, Errno: 3168, State: "HY000", RPC: FailedPrecondition,
			Text: "not done, because it is not known %s", Args: []string{"what"},
			Cause: "A condition for doing it safely could not be established.",
			Cure:  "Make the missing servers or agents reachable, and repeat."},
		{Code: ShardsOverlap, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "the serving shards of keyspace '%s' overlap or leave a hole: %s", Args: []string{"keyspace", "detail"},
			Cause: "Each keyspace id must belong to exactly one serving shard.",
			Cure:  "Correct which shards serve: \"pelorus shard set\"."},
		{Code: AgentUnreachable, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "the agent of tablet %s does not answer at %s", Args: []string{"alias", "address"},
			Cause: "The agent is down or the network does not reach it. Its server may be well.",
			Cure:  "Start the agent again; that does not disturb its server."},
		{Code: BadConfig, Errno: 1105, State: "HY000", RPC: InvalidArgument,
			Text: "configuration: %s", Args: []string{"what"},
			Cause: "A flag, environment variable or entry of a file has a value that cannot be used.",
			Cure:  "Correct it; \"pelorus ROLE --help\" lists values and units."},
		{Code: OperationTimeout, Errno: 1205, State: "HY000", RPC: DeadlineExceeded,
			Text: "%s took longer than %v", Args: []string{"what", "duration"},
			Cause: "The time that was given to the command is over.",
			Cure:  "See \"pelorus status\" for what holds it up; repeat with a longer --timeout."},
		{Code: RefusedByState, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "refused: %s", Args: []string{"reason"},
			Cause: "The cluster is not in the state that the command needs.",
			Cure:  "Do what the text says, then repeat it."},
	}
}
