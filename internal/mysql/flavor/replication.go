package flavor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/value"
)

// Source is where a replica replicates from.
type Source struct {
	Host     string
	Port     int
	User     string
	Password string
	// Heartbeat is how often an idle source says that it lives, ConnectRetry how long a receiver waits before it tries
	// again; zero is 500 ms and 1 s. The servers count retries in whole seconds.
	Heartbeat    time.Duration
	ConnectRetry time.Duration
}

// replicaSQL says whether START REPLICA and the like exist.
func (f *Flavor) replicaSQL() bool { return f.my(8, 0, 22) }

// replica is the word REPLICA or SLAVE.
func (f *Flavor) replica() string {
	if f.replicaSQL() {
		return "REPLICA"
	}
	return "SLAVE"
}

// ChangeSource points a replica, whose threads are stopped, to a source: by GTID, retrying for ever.
func (f *Flavor) ChangeSource(s Source) string {
	if s.Heartbeat == 0 {
		s.Heartbeat = 500 * time.Millisecond
	}
	if s.ConnectRetry == 0 {
		s.ConnectRetry = time.Second
	}
	word := "MASTER"
	var b strings.Builder
	if f.my(8, 0, 23) {
		word = "SOURCE"
		b.WriteString("CHANGE REPLICATION SOURCE TO ")
	} else {
		b.WriteString("CHANGE MASTER TO ")
	}
	fmt.Fprintf(&b, "%[1]s_HOST=%[2]s, %[1]s_PORT=%[3]d, %[1]s_USER=%[4]s, %[1]s_PASSWORD=%[5]s", word,
		value.String(s.Host), s.Port, value.String(s.User), value.String(s.Password))
	if f.IsMariaDB() {
		b.WriteString(", MASTER_USE_GTID=slave_pos")
	} else {
		fmt.Fprintf(&b, ", %[1]s_AUTO_POSITION=1, GET_%[1]s_PUBLIC_KEY=1, %[1]s_RETRY_COUNT=0", word)
	}
	retry := max(1, int(s.ConnectRetry.Round(time.Second)/time.Second))
	fmt.Fprintf(&b, ", %[1]s_HEARTBEAT_PERIOD=%[2]s, %[1]s_CONNECT_RETRY=%[3]d", word, seconds(s.Heartbeat), retry)
	return b.String()
}

// seconds is a duration in seconds with up to three decimals.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Round(time.Millisecond).Seconds(), 'f', -1, 64)
}

// StartReplication starts receiver and applier.
func (f *Flavor) StartReplication() string { return "START " + f.replica() }

// StopReplication stops receiver and applier. It waits for a row lock that the applier waits for, and on MariaDB
// (without KeepsReceived) it throws away what has been received and not applied: only for an applier that is idle.
func (f *Flavor) StopReplication() string { return "STOP " + f.replica() }

// StartReceiver starts the receiver only.
func (f *Flavor) StartReceiver() string { return "START " + f.replica() + " IO_THREAD" }

// StopReceiver stops the receiver only; it takes milliseconds and loses nothing.
func (f *Flavor) StopReceiver() string { return "STOP " + f.replica() + " IO_THREAD" }

// StartApplier starts the applier only.
func (f *Flavor) StartApplier() string { return "START " + f.replica() + " SQL_THREAD" }

// ForgetSource makes a server, whose replication is stopped, forget its source.
func (f *Flavor) ForgetSource() string { return "RESET " + f.replica() + " ALL" }

// ResetPositions deletes all binary logs and the server's whole position. It destroys history.
func (f *Flavor) ResetPositions() string {
	if f.my(8, 2, 0) {
		return "RESET BINARY LOGS AND GTIDS"
	}
	return "RESET MASTER"
}

// StartFrom are the statements by which a server with stopped replication takes a position as its own, as after a
// restore; MySQL needs ResetPositions before.
func (f *Flavor) StartFrom(position string) []string {
	if f.IsMariaDB() {
		return []string{"SET GLOBAL gtid_slave_pos=" + value.String(position)}
	}
	return []string{"SET GLOBAL gtid_purged=" + value.String(position)}
}

// BecomeReplica are the statements to run on a former primary, with stopped replication, before ChangeSource: MariaDB must be
// told that its own writes are its position, since an empty one means "from the beginning". The source side of
// semi-sync must be off by then, or the applier's own commits would wait for an acknowledgement.
func (f *Flavor) BecomeReplica() []string {
	if f.IsMariaDB() {
		return []string{"SET GLOBAL gtid_slave_pos=@@GLOBAL.gtid_current_pos"}
	}
	return nil
}

// Promote are the statements that make a replica, whose applier has applied all and is idle, a server without a source. It
// stays read-only until Open.
func (f *Flavor) Promote() []string { return []string{f.StopReplication(), f.ForgetSource()} }

// ReplicaStatusQuery asks for the state of replication; no row means that no source is configured.
func (f *Flavor) ReplicaStatusQuery() string {
	switch {
	case f.IsMariaDB():
		return "SHOW ALL SLAVES STATUS"
	case f.replicaSQL():
		return "SHOW REPLICA STATUS"
	}
	return "SHOW SLAVE STATUS"
}

// ReplicasQuery lists the replicas that are registered at a source.
func (f *Flavor) ReplicasQuery() string {
	if f.replicaSQL() {
		return "SHOW REPLICAS"
	}
	return "SHOW SLAVE HOSTS"
}

// BinlogStatusQuery asks for the current binary log: columns File and Position.
func (f *Flavor) BinlogStatusQuery() string {
	if f.my(8, 2, 0) {
		return "SHOW BINARY LOG STATUS"
	}
	return "SHOW MASTER STATUS"
}

// ReplicaStatus is what a server says about its replication. A nil field is unknown: the server did not say.
type ReplicaStatus struct {
	SourceHost     *string
	SourcePort     *uint32
	SourceUUID     *string // MySQL
	SourceServerID *uint32
	Receiver       *string // Yes, No, Connecting (MariaDB also Preparing)
	Applier        *string // Yes, No
	LastIOErrno    *uint32
	LastIOError    *string
	LastSQLErrno   *uint32
	LastSQLError   *string
	Received       *string // nil on MariaDB when empty: after a restart that means "not known"
	Applied        *string
	AutoPosition   *bool
	SecondsBehind  *uint64 // nil when the server says NULL
	Heartbeats     *uint64 // MariaDB: how many were received
	HeartbeatMS    *uint64 // MariaDB: how often they are due
}

// ParseReplicaStatus reads a row of ReplicaStatusQuery, given as column name to value without the columns that are
// NULL. Values that cannot be read are left unknown.
func (f *Flavor) ParseReplicaStatus(row map[string]string) ReplicaStatus {
	src, rep := "Source", "Replica"
	if !f.replicaSQL() {
		src, rep = "Master", "Slave"
	}
	r := statusRow(row)
	s := ReplicaStatus{
		SourceHost: r.text(src + "_Host"), SourcePort: r.uint32(src + "_Port"), SourceUUID: r.text(src + "_UUID"),
		SourceServerID: r.uint32(src + "_Server_Id"), Receiver: r.text(rep + "_IO_Running"), Applier: r.text(rep + "_SQL_Running"),
		LastIOErrno: r.uint32("Last_IO_Errno"), LastIOError: r.text("Last_IO_Error"),
		LastSQLErrno: r.uint32("Last_SQL_Errno"), LastSQLError: r.text("Last_SQL_Error"),
		SecondsBehind: r.uint64("Seconds_Behind_" + src),
	}
	if f.IsMariaDB() {
		s.Received = r.filled("Gtid_IO_Pos")
		s.Applied = r.text("Gtid_Slave_Pos")
		if v := r.text("Using_Gtid"); v != nil {
			on := strings.EqualFold(*v, "Slave_Pos")
			s.AutoPosition = &on
		}
		s.Heartbeats = r.uint64("Slave_received_heartbeats")
		if v := r.text("Slave_heartbeat_period"); v != nil {
			if sec, err := strconv.ParseFloat(*v, 64); err == nil && sec >= 0 && sec < 1e9 {
				ms := uint64(sec * 1000)
				s.HeartbeatMS = &ms
			}
		}
		return s
	}
	s.Received = r.text("Retrieved_Gtid_Set")
	s.Applied = r.text("Executed_Gtid_Set")
	if v := r.text("Auto_Position"); v != nil {
		on := *v == "1"
		s.AutoPosition = &on
	}
	return s
}

// WaitPosition is a query that waits until the server has applied a position, at most for the timeout (at least 1
// ms, in milliseconds). On MariaDB it is for replicas only: a primary never reaches it. The answer goes to Waited.
func (f *Flavor) WaitPosition(position string, timeout time.Duration) string {
	fn := f.pick("WAIT_FOR_EXECUTED_GTID_SET", "MASTER_GTID_WAIT")
	return "SELECT " + fn + "(" + value.String(position) + ", " + seconds(max(timeout, time.Millisecond)) + ")"
}

// Waited reads the single value of WaitPosition: reached or timed out. Anything else, as NULL, is an error.
func (f *Flavor) Waited(answer string) (reached bool, err error) {
	switch {
	case answer == "0":
		return true, nil
	case answer == f.pick("1", "-1"):
		return false, nil
	}
	return false, fmt.Errorf("wait for a position: the server answered %q", answer)
}

// statusRow is a row as column name to value, without NULLs.
type statusRow map[string]string

func (r statusRow) text(name string) *string {
	if v, ok := r[name]; ok {
		return &v
	}
	return nil
}

// filled is like text, but takes the empty string for not known.
func (r statusRow) filled(name string) *string {
	if v := r[name]; v != "" {
		return &v
	}
	return nil
}

func (r statusRow) uint64(name string) *uint64 {
	if n, err := strconv.ParseUint(r[name], 10, 64); err == nil {
		return &n
	}
	return nil
}

func (r statusRow) uint32(name string) *uint32 {
	if n, err := strconv.ParseUint(r[name], 10, 32); err == nil {
		v := uint32(n)
		return &v
	}
	return nil
}

func (r statusRow) onOff(name string) *bool {
	on := true
	switch strings.ToUpper(r[name]) {
	case "ON", "1", "YES":
	case "OFF", "0", "NO":
		on = false
	default:
		return nil
	}
	return &on
}
