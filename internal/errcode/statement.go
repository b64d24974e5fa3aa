package errcode

// Statements that the gateway cannot run as they are written.
const (
	Unsupported        Code = 1001 // what, what to do instead
	SyntaxError        Code = 1002 // detail
	CrossShardJoin     Code = 1003
	CrossShardSubquery Code = 1004 // where
	CrossShardLimit    Code = 1005 // verb
	CrossKeyspace      Code = 1006 // keyspaces
	EmptyQuery         Code = 1008
	NotOnReplica       Code = 1009
	BadParameterCount  Code = 1011 // want, got
	ColumnCount        Code = 1012 // row
	UnsafeUpdate       Code = 1013
	AggregateScatter   Code = 1017 // function
	MultiStatementsOff Code = 1018
	DatabaseManaged    Code = 1019 // verb, name, what to do instead
	AccountManaged     Code = 1020 // statement
	PartialDDL         Code = 1021 // shards, shards with reasons, what to do
)

func statementRows() []Info {
	return []Info{
		{Code: Unsupported, Errno: 1235, State: "42000", RPC: Unimplemented,
			Text: "%s is not supported on a sharded keyspace; %s", Args: []string{"what", "what to do instead"},
			Cause: "The statement needs rows of several shards in a way that this release cannot put together.",
			Cure:  "Do what the text says: mostly to name the sharding key in the WHERE clause, or to split the statement."},
		{Code: SyntaxError, Errno: 1064, State: "42000", RPC: InvalidArgument,
			Text: "syntax error: %s", Args: []string{"detail"},
			Cause: "The statement cannot be read well enough to find the shards that it concerns.",
			Cure:  "Correct the statement. Statements on an unsharded keyspace are passed on without being read; there the server's own message is seen."},
		{Code: CrossShardJoin, Errno: 1235, State: "42000", RPC: Unimplemented,
			Text: "this join needs rows of different shards: %s", Args: []string{"tables"},
			Cause: "The joined tables are not related by equal sharding keys, so matching rows may be on different shards.",
			Cure:  "Join on the columns of the primary vindexes, make the small table a reference table, or read the tables in two statements."},
		{Code: CrossShardSubquery, Errno: 1235, State: "42000", RPC: Unimplemented,
			Text: "the subquery %s needs rows of other shards than the statement around it", Args: []string{"place"},
			Cause: "Subquery and outer statement are not bound to one shard by equal sharding keys.",
			Cure:  "Relate both by the columns of their primary vindexes, or run the subquery first and put its values in."},
		{Code: CrossShardLimit, Errno: 1235, State: "42000", RPC: Unimplemented,
			Text: "%s with LIMIT concerns several shards", Args: []string{"verb"},
			Cause: "Which rows the limit takes is defined over all shards together, and no shard knows it alone.",
			Cure:  "Name the sharding key in the WHERE clause, or select the keys first and change the rows by key."},
		{Code: CrossKeyspace, Errno: 1235, State: "42000", RPC: Unimplemented,
			Text: "the statement uses tables of several keyspaces (%s), which live on different servers", Args: []string{"keyspaces"},
			Cause: "Keyspaces have servers of their own; no server has all tables of the statement.",
			Cure:  "Use tables of one keyspace, or make the smaller one a reference table in the other keyspace."},
		{Code: EmptyQuery, Errno: 1065, State: "42000", RPC: InvalidArgument,
			Text:  "the statement is empty",
			Cause: "The client sent no statement, or only white space or a semicolon.",
			Cure:  "Nothing is wrong with the connection; send a statement."},
		{Code: NotOnReplica, Errno: 1290, State: "HY000", RPC: FailedPrecondition,
			Text: "%s writes or locks, but the session reads from replicas (USE ...@replica)", Args: []string{"statement"},
			Cause: "The session chose replicas as its target; those accept no writes and no locking reads.",
			Cure:  "USE the keyspace without @replica for this statement."},
		{Code: BadParameterCount, Errno: 1210, State: "HY000", RPC: InvalidArgument,
			Text: "the statement takes %d parameters, %d were given", Args: []string{"wanted", "given"},
			Cause: "A prepared statement was executed with another number of parameters than it has.",
			Cure:  "Bind one value per question mark."},
		{Code: ColumnCount, Errno: 1136, State: "21S01", RPC: InvalidArgument,
			Text: "column count doesn't match value count at row %d", Args: []string{"row"},
			Cause: "A row of an INSERT has more or fewer values than columns.",
			Cure:  "Give one value per column. If the statement names no columns, the vschema must list them all in order."},
		{Code: UnsafeUpdate, Errno: 1175, State: "HY000", RPC: FailedPrecondition,
			Text:  "safe update mode: the statement has no WHERE clause that uses a key column, and would touch every shard",
			Cause: "sql_safe_updates is on in the session.",
			Cure:  "Add a WHERE clause with a key, add a LIMIT, or SET sql_safe_updates = 0."},
		{Code: AggregateScatter, Errno: 1235, State: "42000", RPC: Unimplemented,
			Text: "%s over several shards cannot be put together from partial results", Args: []string{"function"},
			Cause: "The function needs all rows in one place.",
			Cure:  "Name the sharding key in the WHERE clause, or group by the sharding key."},
		{Code: MultiStatementsOff, Errno: 1064, State: "42000", RPC: InvalidArgument,
			Text:  "several statements in one query, but the client did not ask for that ability",
			Cause: "The client connected without CLIENT_MULTI_STATEMENTS.",
			Cure:  "Send one statement at a time, or turn multiple statements on in the driver."},
		{Code: DatabaseManaged, Errno: 1044, State: "42000", RPC: PermissionDenied,
			Text: "%s DATABASE %s: a database here is a keyspace, which has servers of its own; use \"%s\"", Args: []string{"verb", "name", "what to do instead"},
			Cause: "Clients of the gateway make and drop tables, but not keyspaces: those need servers.",
			Cure:  "Do what the text says. CREATE DATABASE IF NOT EXISTS of a keyspace that exists, and DROP DATABASE IF EXISTS of one that does not, succeed."},
		{Code: AccountManaged, Errno: 1227, State: "42000", RPC: PermissionDenied,
			Text: "%s: users are kept in the topology, not on the servers; use \"pelorus user set\", \"list\" or \"delete\"", Args: []string{"statement"},
			Cause: "A client sent a statement about accounts or rights of one server; logins at the gateway are something else.",
			Cure:  "Make users with \"pelorus user set NAME\": its flags say which keyspaces they may use, and whether they may write."},
		{Code: PartialDDL, Errno: 1105, State: "HY000", RPC: Aborted,
			Text: "the schema change is done on shards %s, but failed on %s; %s", Args: []string{"shards", "shards with their errors", "what to do"},
			Cause: "Each shard changes its schema by itself and commits at once; what some have done is not taken back when others fail.",
			Cure:  "Remove the cause on the shards that are named, then do what the text says. Until then the shards' tables differ."},
	}
}
