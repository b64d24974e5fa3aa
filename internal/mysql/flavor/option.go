package flavor

import "strconv"

// option is how one server option is called over the versions; "" where a family does not have it.
type option struct {
	modern  string // MySQL's name today
	old     string // MySQL's name before the version since
	since   Version
	mariadb string
}

// optionRow finds an option. Options that are called the same everywhere have no row.
func optionRow(modern string) (option, bool) {
	renamed := Version{8, 0, 26}
	for _, o := range []option{
		{"replica_parallel_workers", "slave_parallel_workers", renamed, "slave_parallel_threads"},
		{"replica_parallel_type", "slave_parallel_type", renamed, ""},
		{"replica_preserve_commit_order", "slave_preserve_commit_order", renamed, ""},
		{"replica_net_timeout", "slave_net_timeout", renamed, "slave_net_timeout"},
		{"replica_transaction_retries", "slave_transaction_retries", renamed, "slave_transaction_retries"},
		{"replica_compressed_protocol", "slave_compressed_protocol", renamed, "slave_compressed_protocol"},
		{"log_replica_updates", "log_slave_updates", renamed, "log_slave_updates"},
		{"skip_replica_start", "skip_slave_start", renamed, "skip_slave_start"},
		{"rpl_semi_sync_source_enabled", "rpl_semi_sync_master_enabled", renamed, "rpl_semi_sync_master_enabled"},
		{"rpl_semi_sync_source_wait_point", "rpl_semi_sync_master_wait_point", renamed, "rpl_semi_sync_master_wait_point"},
		{"rpl_semi_sync_source_timeout", "rpl_semi_sync_master_timeout", renamed, "rpl_semi_sync_master_timeout"},
		{"rpl_semi_sync_source_wait_no_replica", "rpl_semi_sync_master_wait_no_slave", renamed, "rpl_semi_sync_master_wait_no_slave"},
		{"rpl_semi_sync_source_wait_for_replica_count", "rpl_semi_sync_master_wait_for_slave_count", renamed, ""},
		{"rpl_semi_sync_replica_enabled", "rpl_semi_sync_slave_enabled", renamed, "rpl_semi_sync_slave_enabled"},
		{"innodb_redo_log_capacity", "innodb_log_file_size", Version{8, 0, 30}, "innodb_log_file_size"},
		{"binlog_transaction_dependency_tracking", "", Version{}, ""},
		{"gtid_mode", "gtid_mode", Version{}, ""},
		{"enforce_gtid_consistency", "enforce_gtid_consistency", Version{}, ""},
		{"super_read_only", "super_read_only", Version{}, ""},
		{"offline_mode", "offline_mode", Version{}, ""},
		{"mysqlx", "mysqlx", Version{}, ""},
		{"admin_port", "admin_port", Version{}, "extra_port"},
		{"binlog_transaction_compression", "binlog_transaction_compression", Version{}, "log_bin_compress"},
	} {
		if o.modern == modern {
			return o, true
		}
	}
	return option{}, false
}

// Option is the name that the server has for an option or variable that today's MySQL calls modern; "" if the server has
// nothing of the kind. Names that are the same everywhere are returned as they are.
func (f *Flavor) Option(modern string) string {
	o, ok := optionRow(modern)
	switch {
	case !ok:
		return modern
	case f.IsMariaDB():
		return o.mariadb
	case modern == "binlog_transaction_dependency_tracking":
		// Deprecated since writesets became the default, and removed in 9.0.
		if f.my(9, 0, 0) {
			return ""
		}
		return modern
	case f.version.Compare(o.since) < 0:
		return o.old
	}
	return o.modern
}

// ReplicationOptions are the lines of the options file, name=value, that replication by GTID in row format needs on a
// server whose replica applies with so many threads.
func (f *Flavor) ReplicationOptions(applierThreads int) []string {
	n := strconv.Itoa(applierThreads)
	out := []string{
		"binlog_format=ROW", "binlog_row_image=FULL", "binlog_row_metadata=FULL", "binlog_checksum=CRC32", "sync_binlog=1",
		"innodb_flush_log_at_trx_commit=1", "log_bin_trust_function_creators=ON",
		f.Option("log_replica_updates") + "=ON", f.Option("skip_replica_start") + "=ON", f.Option("replica_parallel_workers") + "=" + n,
	}
	if f.IsMariaDB() {
		return append(out, "gtid_strict_mode=ON", "slave_parallel_mode=conservative", "master_retry_count=0",
			"rpl_semi_sync_master_wait_point=AFTER_SYNC")
	}
	out = append(out, "gtid_mode=ON", "enforce_gtid_consistency=ON", f.Option("replica_preserve_commit_order")+"=ON", "relay_log_recovery=OFF")
	if !f.my(8, 0, 27) {
		out = append(out, f.Option("replica_parallel_type")+"=LOGICAL_CLOCK")
	}
	if !f.my(8, 4, 0) {
		out = append(out, "master_info_repository=TABLE", "relay_log_info_repository=TABLE", "binlog_transaction_dependency_tracking=WRITESET")
	}
	return out
}
