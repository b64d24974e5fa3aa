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

// IsolationVariable is the name of the session variable with the isolation level.
func (f *Flavor) IsolationVariable() string {
	if f.IsMariaDB() && !f.ma(11, 1, 1) {
		return "tx_isolation"
	}
	return "transaction_isolation"
}

// RunsComment says whether the server executes the text of a versioned comment: number is that of /*!80017 ... */, 0 for
// none; mariadb says that it was written /*M!.
func (f *Flavor) RunsComment(number int, mariadb bool) bool {
	if !f.IsMariaDB() {
		return !mariadb && f.version.Number() >= number
	}
	if !mariadb && number >= 50700 && number <= 99999 {
		// These numbers mean MySQL 5.7 to 9, whose syntax MariaDB does not have.
		return false
	}
	return f.version.Number() >= number
}

// CommentNumber reads the version number at the beginning of a versioned comment's text, behind /*! or /*M!. It returns
// the number, or 0, and how many bytes it takes: 5 or 6 digits.
func CommentNumber(text string) (number, length int) {
	for length < len(text) && length < 6 && '0' <= text[length] && text[length] <= '9' {
		number = number*10 + int(text[length]-'0')
		length++
	}
	if length < 5 {
		return 0, 0
	}
	return number, length
}
