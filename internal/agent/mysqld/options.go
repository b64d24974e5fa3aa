package mysqld

import (
	"fmt"
	"os"
	"strings"
)

// Defaults of sizes; chosen so that six servers fit in 2 GB of memory.
const (
	defaultBufferPool     = 128 << 20
	defaultRedoLog        = 100 << 20
	defaultMaxConnections = 1000
	maxAllowedPacket      = 64 << 20
	binlogExpireSeconds   = 7 * 24 * 3600
	// netTimeout is after how many seconds of silence a receiver gives its source up; heartbeats come twice a second.
	netTimeout = 4
	// applierThreads is how many transactions a replica applies at once.
	applierThreads = 4
)

// optionLines renders the options file. What only some releases know is marked "loose", so that others ignore it.
func (s *Server) optionLines(uid int) []string {
	c, f := s.cfg, s.binary.Flavor
	l := []string{
		"# written by pelorus at each start of the server; changes here are lost",
		"[mysqld]",
		"datadir = " + s.DataDir(),
		"tmpdir = " + s.tmpDir(),
		"socket = " + s.Socket(),
		"pid-file = " + s.pidFile(),
		"log-error = " + s.ErrorLog(),
		fmt.Sprintf("port = %d", c.Port),
		"bind-address = " + c.Bind,
		fmt.Sprintf("server-id = %d", c.ServerID),
		fmt.Sprintf("report-port = %d", c.Port),
		"skip-name-resolve = ON",
		"local-infile = ON",
		fmt.Sprintf("max-allowed-packet = %d", maxAllowedPacket),
		"character-set-server = utf8mb4",
		fmt.Sprintf("max-connections = %d", orDefault(int64(c.MaxConnections), defaultMaxConnections)),
		fmt.Sprintf("innodb-buffer-pool-size = %d", orDefault(c.BufferPoolBytes, defaultBufferPool)),
		"performance-schema = " + onOff(c.PerformanceSchema),
		"default-storage-engine = InnoDB",
		// Enough for commits of ordinary size; newer releases of MySQL would take 64 MB.
		"innodb-log-buffer-size = 16777216",
		// The binary log is the truth that replicas, streams and restores live on.
		"log-bin = binlog",
		"relay-log = relay",
		fmt.Sprintf("binlog-expire-logs-seconds = %d", binlogExpireSeconds),
		fmt.Sprintf("%s = %d", f.Option("replica_net_timeout"), netTimeout),
	}
	l = append(l, f.ReplicationOptions(applierThreads)...)
	if c.ReportHost != "" {
		l = append(l, "report-host = "+c.ReportHost)
	}
	if uid == 0 {
		l = append(l, "user = root")
	}
	if c.RelaxedSync {
		l = append(l, "sync-binlog = 0", "innodb-flush-log-at-trx-commit = 0", "innodb-doublewrite = OFF")
	}
	redo := orDefault(c.RedoLogBytes, defaultRedoLog)
	if s.binary.Family == FamilyMariaDB {
		// In GTID mode the relay log is thrown away at a restart in any case; this way its remains cannot confuse.
		l = append(l, "relay-log-recovery = ON", "gtid-domain-id = 0", "loose-feedback = OFF")
	} else {
		l = append(l, "mysqlx = OFF")
		if f.Option("innodb_redo_log_capacity") == "innodb_log_file_size" {
			redo /= 2 // there are two files
		}
	}
	l = append(l, fmt.Sprintf("%s = %d", f.Option("innodb_redo_log_capacity"), redo))
	return append(l, c.Extra...)
}

func (s *Server) writeOptions() error {
	text := strings.Join(s.optionLines(os.Geteuid()), "\n") + "\n"
	tmp := s.optionsFile() + ".new"
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write options of the server: %w", err)
	}
	if err := os.Rename(tmp, s.optionsFile()); err != nil {
		return fmt.Errorf("write options of the server: %w", err)
	}
	return nil
}

func orDefault(v, def int64) int64 {
	if v == 0 {
		return def
	}
	return v
}

func onOff(b bool) string {
	if b {
		return "ON"
	}
	return "OFF"
}
