package errcode

// Shards that serve, and connections to servers.
const (
	NoPrimary          Code = 1301 // shard
	NoReplica          Code = 1302 // type, shard
	PoolExhausted      Code = 1303 // shard, size
	ServerUnreachable  Code = 1304 // address
	StaleTerm          Code = 1305 // term, newest
	BufferFull         Code = 1306 // shard
	BufferTimeout      Code = 1307 // shard, duration
	KeyspaceIncomplete Code = 1308 // keyspace, hole
	ServerLogin        Code = 1309 // user, address
	ServerLost         Code = 1310 // address
	PrimaryReadOnly    Code = 1311 // shard
	NotReady           Code = 1312
	ReplicaTooFar      Code = 1313
	ShardsDisagree     Code = 1314 // what
)

func servingRows() []Info {
	return []Info{
		{Code: NoPrimary, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "shard %s has no primary that serves", Args: []string{"shard"},
			Cause: "The primary is down or being replaced, or the shard was never given one.",
			Cure:  "Wait for the recovery, see \"pelorus status\" and \"pelorus recovery list\"."},
		{Code: NoReplica, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "no healthy %s serves shard %s", Args: []string{"tablet type", "shard"},
			Cause: "All of them are down, too far behind, or there are none.",
			Cure:  "See \"pelorus tablet list\", add replicas, or read from the primary."},
		{Code: PoolExhausted, Errno: 1041, State: "HY000", RPC: ResourceExhausted, Retry: true,
			Text: "no free connection to shard %s: all %d are in use", Args: []string{"shard", "size"},
			Cause: "More statements run at once on the shard than the gateway's pool has connections, for longer than a statement waits.",
			Cure:  "Look for slow statements and long transactions (SHOW PROCESSLIST), or raise the pool size."},
		{Code: ServerUnreachable, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "cannot connect to the server at %s", Args: []string{"address"},
			Cause: "The server is down or the network does not reach it.",
			Cure:  "See \"pelorus status\". Recovery of a dead primary starts by itself."},
		{Code: StaleTerm, Errno: 1290, State: "HY000", RPC: FailedPrecondition, Retry: true,
			Text: "term %d is over, the newest is %d", Args: []string{"term", "newest"},
			Cause: "The request was meant for a primary that has been replaced.",
			Cure:  "Try again: the gateway knows the new primary by then."},
		{Code: BufferFull, Errno: 3168, State: "HY000", RPC: ResourceExhausted, Retry: true,
			Text: "shard %s is changing its primary and too many statements wait for it already", Args: []string{"shard"},
			Cause: "Statements are held during a failover, up to a bounded number.",
			Cure:  "Try again in a second."},
		{Code: BufferTimeout, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "shard %s had no primary for %v", Args: []string{"shard", "duration"},
			Cause: "The change of the primary took longer than statements are held.",
			Cure:  "Try again; see \"pelorus recovery list\" for what holds the recovery up."},
		{Code: KeyspaceIncomplete, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "keyspace '%s' has no serving shard for %s", Args: []string{"keyspace", "key range"},
			Cause: "The serving shards do not cover all keyspace ids.",
			Cure:  "See \"pelorus shard list KEYSPACE\"; make the missing shard serve."},
		{Code: ServerLogin, Errno: 3168, State: "HY000", RPC: Unavailable,
			Text: "the server at %s refused the login of %s", Args: []string{"address", "account"},
			Cause: "The account does not exist there, or its password is not the one of the credentials file.",
			Cure:  "Give all roles the same credentials file; the tablet's agent creates the accounts anew when it starts."},
		{Code: ServerLost, Errno: 2013, State: "HY000", RPC: Unavailable,
			Text: "lost connection to the server at %s during the query", Args: []string{"address"},
			Cause: "The server went down or closed the connection while a read was under way; rows were perhaps sent already.",
			Cure:  "Send the statement again. Nothing was changed."},
		{Code: PrimaryReadOnly, Errno: 1290, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "the primary of shard %s is fenced and accepts no writes", Args: []string{"shard"},
			Cause: "It cannot prove its reign, is being replaced, or an operator fenced it.",
			Cure:  "Wait for the recovery; see \"pelorus tablet status\" for the reason of the fence."},
		{Code: NotReady, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "the gateway is not ready: %s", Args: []string{"reason"},
			Cause: "It has not read the topology yet.",
			Cure:  "Wait until its /healthz says ready; check that etcd is reachable."},
		{Code: ReplicaTooFar, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "no replica of shard %s reached the session's position within %v", Args: []string{"shard", "duration"},
			Cause: "The session reads its own writes from replicas, and all of them lag.",
			Cure:  "Read from the primary, or allow more time."},
		{Code: ShardsDisagree, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "the shards' answers have different columns: %s", Args: []string{"detail"},
			Cause: "A table's definition differs between shards, as in the middle of a schema change.",
			Cure:  "Finish the schema change; compare with \"pelorus schema show\"."},
	}
}
