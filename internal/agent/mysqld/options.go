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
	c := s.cfg
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
		// The binary log is the truth that replicas, streams and restores live on.
		"log-bin = binlog",
		"relay-log = relay",
		"binlog-format = ROW",
		"binlog-row-image = FULL",
		"binlog-row-metadata = FULL",
		"binlog-checksum = CRC32",
		fmt.Sprintf("binlog-expire-logs-seconds = %d", binlogExpireSeconds),
		"log-slave-updates = ON",
		// Replication starts when the agent has decided the server's role, not before.
		"skip-slave-start = ON",
		fmt.Sprintf("slave-net-timeout = %d", netTimeout),
	}
	if c.ReportHost != "" {
		l = append(l, "report-host = "+c.ReportHost)
	}
	if uid == 0 {
		l = append(l, "user = root")
	}
	sync := 1
	if c.RelaxedSync {
		sync = 0
	}
	l = append(l, fmt.Sprintf("sync-binlog = %d", sync), fmt.Sprintf("innodb-flush-log-at-trx-commit = %d", sync))
	if c.RelaxedSync {
		l = append(l, "innodb-doublewrite = OFF")
	}
	if s.binary.Family == FamilyMariaDB {
		l = append(l, s.mariadbLines()...)
	} else {
		l = append(l, s.mysqlLines()...)
	}
	return append(l, c.Extra...)
}

func (s *Server) mysqlLines() []string {
	return []string{
		"gtid-mode = ON",
		"enforce-gtid-consistency = ON",
		// Received and not yet applied transactions survive a crash only if the relay log is kept: they may have been acknowledged.
		"relay-log-recovery = OFF",
		fmt.Sprintf("slave-parallel-workers = %d", applierThreads),
		"loose-slave-preserve-commit-order = ON",
		fmt.Sprintf("loose-innodb-redo-log-capacity = %d", orDefault(s.cfg.RedoLogBytes, defaultRedoLog)),
		"loose-mysqlx = OFF",
		// Clones and other servers of this machine must not share a certificate.
		"loose-auto-generate-certs = ON",
		"loose-temptable-max-mmap = 0",
	}
}

func (s *Server) mariadbLines() []string {
	return []string{
		"gtid-strict-mode = ON",
		"gtid-domain-id = 0",
		// In GTID mode the relay log is thrown away at a restart in any case; this way its remains cannot confuse.
		"relay-log-recovery = ON",
		fmt.Sprintf("slave-parallel-threads = %d", applierThreads),
		"slave-parallel-mode = conservative",
		fmt.Sprintf("innodb-log-file-size = %d", orDefault(s.cfg.RedoLogBytes, defaultRedoLog)),
		"rpl-semi-sync-master-wait-point = AFTER_SYNC",
		"master-retry-count = 0",
		"loose-feedback = OFF",
	}
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
