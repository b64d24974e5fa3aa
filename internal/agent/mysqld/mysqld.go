// Package mysqld looks after the life of one database server on this machine: it initialises a data directory, writes
// the options file, starts mysqld or mariadbd detached from the agent, finds a running one again after the agent was
// restarted, and stops it within bounded time. Everything of a server lies in one directory, its temporary files included.
//
// It does not speak SQL: it knows whether a server greets, not what role it plays, and it never opens a server to writes
// by itself: unless asked otherwise a server starts read-only. It never signals a process that it cannot prove to be this
// server.
package mysqld

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Families of servers.
const (
	FamilyMySQL   = "mysql"
	FamilyMariaDB = "mariadb"
)

// maxSocketPath leaves room below the 107 bytes that the kernel allows for a Unix socket's path, because mysqld adds
// ".lock" to it.
const maxSocketPath = 100

// ErrNotRunning says that no process of this server was found.
var ErrNotRunning = errors.New("the server does not run")

// Config describes one server. Paths must be absolute; sizes are in bytes.
type Config struct {
	// Dir holds everything of this server: data, temporary files, options, socket, error log.
	Dir string
	// Binary is mysqld or mariadbd.
	Binary string
	// Port and Bind are where it listens for TCP.
	Port int
	Bind string
	// ServerID must be unique within the shard; 0 is refused by the servers themselves.
	ServerID uint32
	// ReportHost is the name under which others reach this server.
	ReportHost string
	// BufferPoolBytes is the InnoDB buffer pool; 0 means 128 MiB.
	BufferPoolBytes int64
	// RedoLogBytes is the InnoDB redo log; 0 means 100 MiB.
	RedoLogBytes int64
	// MaxConnections is the server's limit; 0 means 1000.
	MaxConnections int
	// PerformanceSchema costs about 100 MB of memory on MySQL and is off unless wanted.
	PerformanceSchema bool
	// RelaxedSync gives up crash safety of the host for speed: for throw-away servers only.
	RelaxedSync bool
	// Extra lines are put at the end of the options file, where they win.
	Extra []string
	// CacheDir keeps initialised data directories to copy from; empty means CacheDefault, "off" means none.
	CacheDir string
}

// Validate says what is wrong with the configuration.
func (c *Config) Validate() error {
	switch {
	case !filepath.IsAbs(c.Dir):
		return fmt.Errorf("server directory %q must be an absolute path", c.Dir)
	case !filepath.IsAbs(c.Binary):
		return fmt.Errorf("server binary %q must be an absolute path", c.Binary)
	case c.Port < 1 || c.Port > 65535:
		return fmt.Errorf("server port %d is not between 1 and 65535", c.Port)
	case net.ParseIP(c.Bind) == nil:
		return fmt.Errorf("bind address %q is not an IP address", c.Bind)
	case c.ServerID == 0:
		return errors.New("server id must not be 0")
	case c.BufferPoolBytes < 0 || c.RedoLogBytes < 0 || c.MaxConnections < 0:
		return errors.New("sizes and limits of the server must not be negative")
	}
	for _, line := range c.Extra {
		if strings.ContainsAny(line, "\r\n") {
			return fmt.Errorf("extra option %q must be one line", line)
		}
	}
	return nil
}

// Server is one server of this machine. Its methods may be called from one goroutine at a time.
type Server struct {
	cfg    Config
	binary Binary
}

// New checks the configuration and asks the binary what it is. It changes nothing.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b, err := Inspect(ctx, cfg.Binary)
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, binary: b}, nil
}

// Binary is what the server's program said about itself.
func (s *Server) Binary() Binary { return s.binary }

// Addr is host:port for TCP clients of this machine.
func (s *Server) Addr() string {
	return net.JoinHostPort(s.cfg.Bind, strconv.Itoa(s.cfg.Port))
}

// Dir is the directory that holds everything of this server.
func (s *Server) Dir() string { return s.cfg.Dir }

// DataDir is the server's data directory.
func (s *Server) DataDir() string { return filepath.Join(s.cfg.Dir, "data") }

// Initialised says whether the data directory exists.
func (s *Server) Initialised() bool {
	_, err := os.Stat(s.DataDir())
	return err == nil
}

// ErrorLog is the path of the server's error log.
func (s *Server) ErrorLog() string { return filepath.Join(s.cfg.Dir, "error.log") }

// Socket is the path of the Unix socket. It lies in the server's directory unless that path would be too long.
func (s *Server) Socket() string {
	path := filepath.Join(s.cfg.Dir, "mysqld.sock")
	if len(path) <= maxSocketPath {
		return path
	}
	sum := sha256.Sum256([]byte(s.cfg.Dir))
	return filepath.Join(os.TempDir(), "pelorus-"+hex.EncodeToString(sum[:6])+".sock")
}

func (s *Server) optionsFile() string { return filepath.Join(s.cfg.Dir, "my.cnf") }
func (s *Server) pidFile() string     { return filepath.Join(s.cfg.Dir, "mysqld.pid") }
func (s *Server) tmpDir() string      { return filepath.Join(s.cfg.Dir, "tmp") }

// LogTail returns at most the last n bytes of the error log, for messages to people.
func (s *Server) LogTail(n int64) string {
	f, err := os.Open(s.ErrorLog())
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > n {
		if _, err := f.Seek(-n, 2); err != nil {
			return ""
		}
	}
	buf := make([]byte, n)
	got, err := f.Read(buf)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(buf[:got]))
}

// waitUntil asks cond at once and then every step until it holds, fails, or ctx ends.
func waitUntil(ctx context.Context, step time.Duration, cond func() (bool, error)) error {
	t := time.NewTicker(step)
	defer t.Stop()
	for {
		ok, err := cond()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}
