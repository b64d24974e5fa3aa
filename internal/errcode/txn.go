package errcode

// Transactions, and statements whose outcome matters.
const (
	MultiShardInSingle  Code = 1201 // open shard, other shard
	OutcomeUnknown      Code = 1202 // detail
	OutcomeUnknownClose Code = 1203
	TxnRolledBack       Code = 1204 // reason
	PrepareFailed       Code = 1208 // shard
	XAForbidden         Code = 1209
	RedoTooLarge        Code = 1211 // bytes
	PartialWrite        Code = 1212 // done, all
	TxnStateChange      Code = 1213
	NotRepeatable       Code = 1215 // shard, what
)

func txnRows() []Info {
	return []Info{
		{Code: MultiShardInSingle, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "the transaction is on shard %s and would now write to %s, but transaction_mode is 'single'", Args: []string{"shard", "other shard"},
			Cause: "The session allows transactions on one shard only.",
			Cure:  "SET transaction_mode = 'atomic', or keep the transaction to one sharding key. The transaction is still open."},
		{Code: OutcomeUnknown, Errno: 1180, State: "HY000", RPC: Unknown,
			Text: "the outcome of the COMMIT is not known: %s", Args: []string{"detail"}, Closes: true,
			Cause: "The connection to a server was lost between sending the commit and its answer. It may have happened or not.",
			Cure:  "Connect again and look whether the transaction's rows are there before doing it again. An atomic transaction is decided within seconds, all or nothing."},
		{Code: OutcomeUnknownClose, Errno: 2013, State: "HY000", RPC: Unknown,
			Text:  "lost connection to the server during the query; whether it took effect is not known",
			Cause: "The connection to a server was lost while a write that commits by itself was under way.", Closes: true,
			Cure: "Connect again and look whether the change is there before doing it again."},
		{Code: TxnRolledBack, Errno: 1213, State: "40001", RPC: Aborted, Retry: true,
			Text: "the transaction was rolled back: %s", Args: []string{"reason"},
			Cause: "A server ended the transaction: a deadlock, a change of the primary, or a lost connection before COMMIT.",
			Cure:  "Run the whole transaction again."},
		{Code: PrepareFailed, Errno: 1180, State: "HY000", RPC: Aborted, Retry: true,
			Text: "shard %s could not prepare the transaction, so it was rolled back on all shards", Args: []string{"shard"},
			Cause: "The first phase of a commit over several shards failed on one of them; nothing was committed anywhere.",
			Cure:  "Run the whole transaction again. The text behind says what the server answered."},
		{Code: XAForbidden, Errno: 1399, State: "XAE07", RPC: Unimplemented,
			Text:  "XA statements are not accepted: a prepared XA transaction would get past the fencing of a server",
			Cause: "MySQL and MariaDB let XA transactions through read-only servers, and may lose them in a crash.",
			Cure:  "Use ordinary transactions. They are atomic over shards."},
		{Code: RedoTooLarge, Errno: 1197, State: "HY000", RPC: ResourceExhausted,
			Text: "the transaction over several shards has %d bytes of statements, more than the limit of %d", Args: []string{"bytes", "limit"},
			Cause: "Atomic commit stores the statements until all shards have committed, and the store is bounded.",
			Cure:  "Split the transaction, or raise the limit."},
		{Code: PartialWrite, Errno: 1180, State: "HY000", RPC: Aborted,
			Text: "the transaction was committed on %d of %d shards only (transaction_mode is 'multi')", Args: []string{"committed", "all"},
			Cause: "In mode 'multi' shards commit one after another; one of them failed.",
			Cure:  "Repair by hand, and use transaction_mode = 'atomic'."},
		{Code: TxnStateChange, Errno: 1568, State: "25001", RPC: FailedPrecondition,
			Text:  "transaction characteristics can't be changed while a transaction is in progress",
			Cause: "SET TRANSACTION and transaction_mode apply to transactions that begin later.",
			Cure:  "COMMIT or ROLLBACK first."},
		{Code: NotRepeatable, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "the transaction was rolled back: recovery could not repeat exactly what it did on %s (%s) and on %s (%s)",
			Args: []string{"shard", "what", "other shard", "what there"},
			Cause: "Atomic commit over several shards keeps the statements for a replay. What depends on chance, on the order of rows, or on a server's own code " +
				"can come out differently when it is run again; only the first shard of a transaction need not be repeatable.",
			Cure: "Select such values first and write them as constants, name rows by their keys in place of LIMIT, or SET transaction_mode = 'multi' and do without atomicity."},
	}
}
