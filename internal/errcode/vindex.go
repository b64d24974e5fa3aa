package errcode

// Sharding keys, vindexes and sequences.
const (
	NoShardForValue     Code = 1601 // table, column, value
	CrossShardDuplicate Code = 1602 // value, key
	SequenceMissing     Code = 1603 // sequence
	VindexColumnMissing Code = 1604 // column, table
	ShardingKeyChange   Code = 1605 // column, table
	VindexValue         Code = 1607 // value, vindex
	VindexColumnNull    Code = 1608 // column
	SequenceExhausted   Code = 1609 // sequence
	UpsertShardingKey   Code = 1610 // column
	VindexNotConstant   Code = 1611 // column
	LookupTable         Code = 1612 // table
	SequenceCount       Code = 1615
)

func vindexRows() []Info {
	return []Info{
		{Code: NoShardForValue, Errno: 1526, State: "HY000", RPC: OutOfRange,
			Text: "table %s has no shard for value %s of column %s", Args: []string{"table", "value", "column"},
			Cause: "The vindex maps the value to nothing: it is not in its map or its lookup table, or is of a wrong type.",
			Cure:  "Add the value to the map or the lookup table, or correct the value."},
		{Code: CrossShardDuplicate, Errno: 1062, State: "23000", RPC: AlreadyExists,
			Text: "Duplicate entry '%s' for key '%s'", Args: []string{"value", "vindex"},
			Cause: "A unique lookup vindex already has the value, for a row that may be on another shard.",
			Cure:  "Use another value, or change the existing row."},
		{Code: SequenceMissing, Errno: 1467, State: "HY000", RPC: FailedPrecondition,
			Text: "sequence %s is not usable: %s", Args: []string{"sequence", "reason"},
			Cause: "The sequence table does not exist, is in a sharded keyspace, or has no row with id 0.",
			Cure:  "Create it in an unsharded keyspace with columns id, next_id and cache, and insert the row (0, 1, 1000)."},
		{Code: VindexColumnMissing, Errno: 1364, State: "HY000", RPC: InvalidArgument,
			Text: "column '%s' of table '%s' is needed to find the shard, and has no value", Args: []string{"column", "table"},
			Cause: "An INSERT does not name a column of the primary vindex, and no sequence fills it.",
			Cure:  "Give the column a value, or give the table an auto_increment with a sequence in the vschema."},
		{Code: ShardingKeyChange, Errno: 1235, State: "42000", RPC: Unimplemented,
			Text: "column '%s' of table '%s' decides the shard of the row and cannot be changed by this statement", Args: []string{"column", "table"},
			Cause: "Changing it would move the row to another shard.",
			Cure:  "Insert the row with the new value and delete the old one in one transaction."},
		{Code: VindexValue, Errno: 1366, State: "22007", RPC: InvalidArgument,
			Text: "incorrect value %s for vindex '%s'", Args: []string{"value", "vindex"},
			Cause: "The vindex takes values of another type or length.",
			Cure:  "Correct the value, or use a vindex that fits the column's type."},
		{Code: VindexColumnNull, Errno: 1048, State: "23000", RPC: InvalidArgument,
			Text: "column '%s' cannot be null: it decides the shard of the row", Args: []string{"column"},
			Cause: "The vindex has no keyspace id for NULL.",
			Cure:  "Give the column a value."},
		{Code: SequenceExhausted, Errno: 1467, State: "HY000", RPC: OutOfRange,
			Text: "sequence %s has run out of values", Args: []string{"sequence"},
			Cause: "next_id has reached the end of the signed 64-bit range.",
			Cure:  "Check the sequence's row: a wrong next_id is more likely than that many inserts."},
		{Code: UpsertShardingKey, Errno: 1235, State: "42000", RPC: Unimplemented,
			Text: "ON DUPLICATE KEY UPDATE cannot change column '%s', which decides the shard of the row", Args: []string{"column"},
			Cause: "The duplicate row would have to move to another shard.",
			Cure:  "Leave the column out of the update, or delete and insert in one transaction."},
		{Code: VindexNotConstant, Errno: 1235, State: "42000", RPC: Unimplemented,
			Text: "the value of column '%s' decides the shard of the row and must be a plain value, not an expression", Args: []string{"column"},
			Cause: "The gateway must know the value before the server computes it.",
			Cure:  "Compute it first, and send the result."},
		{Code: LookupTable, Errno: 1105, State: "HY000", RPC: FailedPrecondition,
			Text: "the table of lookup vindex '%s' is not usable: %s", Args: []string{"vindex", "reason"},
			Cause: "The lookup table does not exist or lacks a column that the vschema names.",
			Cure:  "Create it, or correct the vindex's parameters."},
		{Code: SequenceCount, Errno: 1210, State: "HY000", RPC: InvalidArgument,
			Text: "NEXT %d VALUES: the number must be from 1 to %d", Args: []string{"number", "limit"},
			Cause: "A sequence hands out a positive and bounded number of values at once.",
			Cure:  "Ask for fewer values."},
	}
}
