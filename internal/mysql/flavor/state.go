package flavor

import "strings"

// StateQuery asks for all that one cheap SELECT tells of a server (0.1 ms): one row, for ParseState.
func (f *Flavor) StateQuery() string {
	if f.IsMariaDB() {
		return "SELECT VERSION() AS version, @@GLOBAL.server_id AS server_id, @@GLOBAL.read_only AS read_only," +
			" @@GLOBAL.gtid_current_pos AS executed, @@GLOBAL.gtid_binlog_pos AS binlog_pos, @@GLOBAL.gtid_slave_pos AS slave_pos"
	}
	return "SELECT VERSION() AS version, @@GLOBAL.server_id AS server_id, @@GLOBAL.server_uuid AS server_uuid, @@GLOBAL.read_only AS read_only," +
		" @@GLOBAL.super_read_only AS super_read_only, @@GLOBAL.offline_mode AS offline_mode," +
		" @@GLOBAL.gtid_executed AS executed, @@GLOBAL.gtid_purged AS purged"
}

// State is what StateQuery tells. A nil field is unknown, or does not exist in the family.
type State struct {
	Version       *string
	ServerID      *uint32
	ServerUUID    *string
	ReadOnly      *bool // MariaDB: also for the levels NO_LOCK and NO_LOCK_NO_ADMIN of newer versions
	SuperReadOnly *bool // MySQL
	OfflineMode   *bool // MySQL
	Executed      *string
	Purged        *string // MySQL
	BinlogPos     *string // MariaDB: the last transactions in its binary log, its own ones included
	SlavePos      *string // MariaDB: the last replicated transactions
}

// ParseState reads the row of StateQuery, as column name to value without NULLs. MySQL's sets lose their line breaks.
func (f *Flavor) ParseState(row map[string]string) State {
	r := statusRow(row)
	s := State{
		Version: r.text("version"), ServerID: r.uint32("server_id"), ServerUUID: r.text("server_uuid"), ReadOnly: r.onOff("read_only"),
		SuperReadOnly: r.onOff("super_read_only"), OfflineMode: r.onOff("offline_mode"), Executed: r.oneLine("executed"),
		Purged: r.oneLine("purged"), BinlogPos: r.text("binlog_pos"), SlavePos: r.text("slave_pos"),
	}
	if v := r["read_only"]; s.ReadOnly == nil && strings.HasPrefix(strings.ToUpper(v), "NO_LOCK") {
		on := true
		s.ReadOnly = &on
	}
	return s
}

func (r statusRow) oneLine(name string) *string {
	v := r.text(name)
	if v != nil {
		*v = strings.ReplaceAll(*v, "\n", "")
	}
	return v
}

// IsStuckCommit says whether a State of SHOW PROCESSLIST is that of a commit that waits for an acknowledgement, or is
// queued behind one that does. A moment in this state is normal; many for long are not.
func (f *Flavor) IsStuckCommit(state string) bool {
	if f.IsMariaDB() {
		return state == "Waiting for semi-sync ACK from slave" || state == "Commit"
	}
	return state == "Waiting for semi-sync ACK from replica" || state == "Waiting for semi-sync ACK from slave" ||
		state == "waiting for handler commit"
}

// PreparedXAQuery lists prepared XA transactions, one row each. A fenced server is only still when there is none.
func (f *Flavor) PreparedXAQuery() string { return "XA RECOVER" }
