package flavor

import (
	"strconv"
	"time"
)

// NoBinlog keeps the statements of a session out of the binary log, and off the server's position.
func (f *Flavor) NoBinlog() string { return "SET SESSION sql_log_bin=0" }

// TrackGTID makes a session say the GTID of each of its commits in the OK packet: as a GTID entry on MySQL, as a
// variable last_gtid on MariaDB. Variables are the session variables whose changes are to be told as well, by
// comma. A reset of the connection undoes it.
func (f *Flavor) TrackGTID(variables string) string {
	if f.IsMariaDB() {
		if variables != "" {
			variables += ","
		}
		return "SET SESSION session_track_system_variables='" + variables + "last_gtid'"
	}
	return "SET SESSION session_track_gtids=OWN_GTID, SESSION session_track_system_variables='" + variables + "'"
}

// StatementTimeout limits how long a statement of the session may run, in milliseconds; zero is no limit. MySQL's limit
// is for SELECT only.
func (f *Flavor) StatementTimeout(d time.Duration) string {
	if f.IsMariaDB() {
		return "SET SESSION max_statement_time=" + seconds(d)
	}
	return "SET SESSION max_execution_time=" + strconv.FormatInt(d.Milliseconds(), 10)
}
