package errcode

// Shards that serve, and connections to servers.
const (
	NoPrimary          Code = 1301 // shard
	NoReplica          Code = 1302 // type, shard
	PoolExhausted      Code = 1303 // shard, size
	ServerUnreachable  Code = 1304 // address
	BufferFull         Code = 1306 // shard
	KeyspaceIncomplete Code = 1308 // keyspace, hole
	ServerLost         Code = 1310 // address
	NotReady           Code = 1312
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
		{Code: BufferFull, Errno: 3168, State: "HY000", RPC: ResourceExhausted, Retry: true,
			Text: "shard %s is changing its primary and too many statements wait for it already", Args: []string{"shard"},
			Cause: "Statements are held during a failover, up to a bounded number.",
			Cure:  "Try again in a second."},
		{Code: KeyspaceIncomplete, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "keyspace '%s' has no serving shard for %s", Args: []string{"keyspace", "key range"},
			Cause: "The serving shards do not cover all keyspace ids.",
			Cure:  "See \"pelorus shard list KEYSPACE\"; make the missing shard serve."},
		{Code: ServerLost, Errno: 2013, State: "HY000", RPC: Unavailable,
			Text: "lost connection to the server at %s during the query", Args: []string{"address"},
			Cause: "The server went down or closed the connection while a read was under way; rows were perhaps sent already.",
			Cure:  "Send the statement again. Nothing was changed."},
		{Code: NotReady, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "the gateway is not ready: %s", Args: []string{"reason"},
			Cause: "It has not read the topology yet.",
			Cure:  "Wait until its /healthz says ready; check that etcd is reachable."},
	}
}
