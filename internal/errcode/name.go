package errcode

// Names that the client or the vschema uses.
const (
	NoSuchKeyspace    Code = 1101 // keyspace
	NoKeyspace        Code = 1102
	NoSuchTable       Code = 1103 // keyspace, table
	AmbiguousTable    Code = 1104 // table, keyspaces
	NoSuchShard       Code = 1105 // keyspace, shard
	InvalidVSchema    Code = 1106 // keyspace
	UnknownTargetType Code = 1108 // text
	BadVariableValue  Code = 1111 // variable, value
	NoSuchSavepoint   Code = 1113 // savepoint
	NoPrimaryVindex   Code = 1114 // keyspace, table
	TableClosed       Code = 1116 // table
)

func nameRows() []Info {
	return []Info{
		{Code: NoSuchKeyspace, Errno: 1049, State: "42000", RPC: NotFound,
			Text: "unknown database '%s'", Args: []string{"keyspace"},
			Cause: "There is no keyspace of this name in the topology.",
			Cure:  "Look at \"pelorus keyspace list\"; create it with \"pelorus keyspace create\"."},
		{Code: NoKeyspace, Errno: 1046, State: "3D000", RPC: InvalidArgument,
			Text:  "no database selected",
			Cause: "The statement names a table without a keyspace, and the session has chosen none.",
			Cure:  "USE a keyspace, name it when connecting, or write KEYSPACE.TABLE."},
		{Code: NoSuchTable, Errno: 1146, State: "42S02", RPC: NotFound,
			Text: "table '%s.%s' is not in the vschema", Args: []string{"keyspace", "table"},
			Cause: "In a sharded keyspace each table needs an entry in the vschema that says how it is sharded.",
			Cure:  "Add the table with \"pelorus vschema apply\", or ALTER VSCHEMA."},
		{Code: AmbiguousTable, Errno: 1052, State: "23000", RPC: InvalidArgument,
			Text: "table '%s' is in several keyspaces: %s", Args: []string{"table", "keyspaces"},
			Cause: "The session has chosen no keyspace, and the name alone does not tell which is meant.",
			Cure:  "Write KEYSPACE.TABLE."},
		{Code: NoSuchShard, Errno: 1049, State: "42000", RPC: NotFound,
			Text: "keyspace '%s' has no shard '%s'", Args: []string{"keyspace", "shard"},
			Cause: "The shard was named in USE or in a command, and is not in the topology; it may have been resharded.",
			Cure:  "Look at \"pelorus shard list KEYSPACE\"."},
		{Code: InvalidVSchema, Errno: 1105, State: "HY000", RPC: InvalidArgument,
			Text: "the vschema of keyspace '%s' is invalid: %s", Args: []string{"keyspace", "detail"},
			Cause: "The vschema has an entry that contradicts another or names what does not exist.",
			Cure:  "Correct it and apply it again. The gateways keep the last valid vschema meanwhile."},
		{Code: UnknownTargetType, Errno: 1049, State: "42000", RPC: InvalidArgument,
			Text: "'@%s' names no tablet type", Args: []string{"type"},
			Cause: "USE KEYSPACE@TYPE knows primary, replica and rdonly.",
			Cure:  "Use one of these."},
		{Code: BadVariableValue, Errno: 1231, State: "42000", RPC: InvalidArgument,
			Text: "variable '%s' can't be set to the value of '%s'", Args: []string{"variable", "value"},
			Cause: "The value is outside of what the variable takes.",
			Cure:  "See the variable's documentation for its values."},
		{Code: NoSuchSavepoint, Errno: 1305, State: "42000", RPC: NotFound,
			Text: "SAVEPOINT %s does not exist", Args: []string{"savepoint"},
			Cause: "The savepoint was never set, was released, or its transaction has ended.",
			Cure:  "Set it in the same transaction first."},
		{Code: NoPrimaryVindex, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "table '%s.%s' has no primary vindex, so its rows have no shard", Args: []string{"keyspace", "table"},
			Cause: "A table of a sharded keyspace is in the vschema without column_vindexes, and is no reference table.",
			Cure:  "Give the table a column vindex, or make it a reference table."},
		{Code: TableClosed, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "table '%s' is closed by a routing rule", Args: []string{"table"},
			Cause: "The routing rules send the table nowhere, as they do while it is moved or is to be deleted.",
			Cure:  "Look at \"pelorus routing-rules show\"; use the table's new keyspace, or remove the rule."},
	}
}
