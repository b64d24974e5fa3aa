package errcode

// MySQL and MariaDB servers, as agents meet them.
const (
	ServerVersion      Code = 1801 // version
	ServerDown         Code = 1802 // detail
	ServerStart        Code = 1803 // detail
	ServerStop         Code = 1804 // duration
	ReplicationBroken  Code = 1805 // detail
	ErrantTransactions Code = 1806 // set
	PositionTimeout    Code = 1807 // position, duration
	SemiSyncMissing    Code = 1808 // detail
	DiskFull           Code = 1809 // free
	FenceFailed        Code = 1810 // detail
	BinaryMissing      Code = 1811 // name
	ForeignServer      Code = 1812 // detail
	SidecarBroken      Code = 1813 // detail
	RedoUnresolved     Code = 1814 // count
	MixedFlavors       Code = 1815 // flavors
	PositionUnknown    Code = 1816 // what
)

func serverRows() []Info {
	return []Info{
		{Code: ServerVersion, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "server version %s is not supported: %s", Args: []string{"version", "what is"},
			Cause: "Pelorus works with MySQL 8.0.20 and later and with MariaDB 10.6 and later.",
			Cure:  "Upgrade the server."},
		{Code: ServerDown, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "the server does not answer: %s", Args: []string{"detail"},
			Cause: "mysqld is not running, or does not accept connections.",
			Cure:  "The agent starts it again by itself; see the server's error log."},
		{Code: ServerStart, Errno: 3168, State: "HY000", RPC: Internal,
			Text: "the server did not start: %s", Args: []string{"detail"},
			Cause: "mysqld ended or was not ready in time.",
			Cure:  "See its error log: a wrong option, a port in use, a full disk or a damaged data directory."},
		{Code: ServerStop, Errno: 1105, State: "HY000", RPC: DeadlineExceeded,
			Text: "the server did not stop within %v", Args: []string{"duration"},
			Cause: "A shutdown waits for purge, flushing or a commit.",
			Cure:  "Wait, or stop it with --fast."},
		{Code: ReplicationBroken, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "replication is broken: %s", Args: []string{"detail"},
			Cause: "The receiver or the applier stopped with an error.",
			Cure:  "See \"pelorus tablet status\" for both errors."},
		{Code: ErrantTransactions, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "the server has transactions that its source lacks: %s", Args: []string{"position"},
			Cause: "Something was written on it outside of replication, or it was a primary that lost its reign.",
			Cure:  "Save what is worth saving, then let it be cloned anew."},
		{Code: PositionTimeout, Errno: 1205, State: "HY000", RPC: DeadlineExceeded,
			Text: "position %s was not reached within %v", Args: []string{"position", "duration"},
			Cause: "The applier is behind, stopped, or waits for a lock.",
			Cure:  "Wait longer, or look at the applier's error and at long transactions."},
		{Code: SemiSyncMissing, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "semi-synchronous replication is not available: %s", Args: []string{"detail"},
			Cause: "The plugin is missing from the server's plugin directory, or is of the older family.",
			Cure:  "Install it, or use durability none."},
		{Code: DiskFull, Errno: 1114, State: "HY000", RPC: ResourceExhausted,
			Text: "the server's disk has %d bytes left", Args: []string{"free"},
			Cause: "Data, binary logs or temporary tables have filled the file system.",
			Cure:  "Make space. The server is fenced before it is quite full, since MariaDB ends itself then."},
		{Code: FenceFailed, Errno: 1105, State: "HY000", RPC: Internal,
			Text: "the server could not be made read-only: %s", Args: []string{"detail"},
			Cause: "The statement waited behind commits or table locks, or failed.",
			Cure:  "The agent goes on trying, and ends the server if its reign is over."},
		{Code: BinaryMissing, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "the program %s was not found", Args: []string{"name"},
			Cause: "The server's programs are not installed or not in PATH.",
			Cure:  "Install them (\"make setup\" for development) or give the path with --mysqld."},
		{Code: ForeignServer, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "the server that answers is not the tablet's own: %s", Args: []string{"detail"},
			Cause: "Its data directory, server id or UUID is not the one that the agent knows.",
			Cure:  "Check port, socket and directory of the agent."},
		{Code: SidecarBroken, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "the database _pelorus cannot be brought up to date: %s", Args: []string{"detail"},
			Cause: "A table there was changed by hand, or by a newer release.",
			Cure:  "Use the newest release that has run here, or repair the table that the text names."},
		{Code: RedoUnresolved, Errno: 3168, State: "HY000", RPC: Unavailable, Retry: true,
			Text: "%d transactions over several shards wait for their decision here", Args: []string{"count"},
			Cause: "The shard that knows their decision does not answer. Their rows stay locked until it does.",
			Cure:  "Bring that shard's primary back; see \"pelorus tablet status\"."},
		{Code: MixedFlavors, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "%s cannot replicate from %s", Args: []string{"replica", "source"},
			Cause: "MySQL and MariaDB have different GTIDs, and an older server cannot follow a newer one.",
			Cure:  "Keep all servers of a shard in one flavor, and promote the oldest version."},
		{Code: PositionUnknown, Errno: 1105, State: "HY000", RPC: Unknown,
			Text: "the position of %s is not known", Args: []string{"server"},
			Cause: "The server reported no position, or one that cannot be read. MariaDB reports none after a restart until its receiver connects.",
			Cure:  "Wait until it replicates again, or look at the server by hand."},
	}
}
