// Package servers gives tests real database servers: throw-away ones, started in about a second, stopped and removed when
// the test ends. Both families are expected to be installed, since everything must work on both.
//
// It does not skip: a test that needs a server that is not installed fails and says how to install it. It sets nothing up
// inside the servers but an administrator without password.
package servers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/agent/mysqld"
	"github.com/pelorusdb/pelorus/internal/devcluster/ports"
)

// Families of servers.
const (
	MySQL   = mysqld.FamilyMySQL
	MariaDB = mysqld.FamilyMariaDB
)

const (
	// startTime bounds the start of one server, with an initialisation of the data directory on a busy machine.
	startTime = 2 * time.Minute
	// Ports are taken from below the range of the kernel's client ports.
	firstPort, lastPort = 23000, 31999
)

// Server is a running throw-away server. User root without password may do everything, over the socket and over TCP.
type Server struct {
	*mysqld.Server
	Family string
	// Addr is 127.0.0.1:Port.
	Addr string
	Port int
	// Socket is the path of the Unix socket.
	Socket string
	// Version as the program states it.
	Version string
}

// Options change how a server is started.
type Options struct {
	// Extra lines for the options file.
	Extra []string
	// ServerID is 1 unless set.
	ServerID uint32
	// Safe keeps the disk flushes of production, for tests that kill servers.
	Safe bool
}

// Families is for tests that run on every family.
func Families() []string { return []string{MySQL, MariaDB} }

// ForEach runs f as a subtest for each family, with a fresh server.
func ForEach(t *testing.T, f func(t *testing.T, s *Server)) {
	t.Helper()
	for _, family := range Families() {
		t.Run(family, func(t *testing.T) { f(t, Start(t, family)) })
	}
}

// Binary is the path of the family's server program; the test fails if it is not installed.
func Binary(t testing.TB, family string) string {
	t.Helper()
	path := mysqld.Locate(family)
	if path == "" {
		t.Fatalf("no %s server is installed on this machine: run `make setup`, or name one by PELORUS_MYSQLD or PELORUS_MARIADBD", family)
	}
	return path
}

// Start starts a fresh server with default options.
func Start(t testing.TB, family string) *Server {
	t.Helper()
	return StartWith(t, family, Options{})
}

// StartWith starts a fresh server. It is killed and removed when the test ends.
func StartWith(t testing.TB, family string, o Options) *Server {
	t.Helper()
	dir := TempDir(t)
	init := filepath.Join(dir, "init.sql")
	if err := os.WriteFile(init, []byte(initSQL), 0o600); err != nil {
		t.Fatalf("write the first statements of a server: %v", err)
	}
	if o.ServerID == 0 {
		o.ServerID = 1
	}
	port := FreePort(t)
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	s, err := mysqld.New(ctx, mysqld.Config{
		Dir: dir, Binary: Binary(t, family), Port: port, Bind: "127.0.0.1", ServerID: o.ServerID,
		ReportHost: "127.0.0.1", BufferPoolBytes: 32 << 20, RedoLogBytes: 16 << 20, RelaxedSync: !o.Safe,
		Extra: append([]string{"init-file = " + init}, o.Extra...),
	})
	if err != nil {
		t.Fatalf("prepare a %s server: %v", family, err)
	}
	if err := s.Initialise(ctx); err != nil {
		t.Fatalf("initialise a %s server: %v", family, err)
	}
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Errorf("end the test's server: %v", err)
		}
	})
	if _, err := s.Start(ctx, mysqld.StartOptions{Open: true}); err != nil {
		t.Fatalf("start a %s server: %v", family, err)
	}
	return &Server{Server: s, Family: family, Addr: fmt.Sprintf("127.0.0.1:%d", port), Port: port, Socket: s.Socket(), Version: s.Binary().Version}
}

// initSQL is one statement per line, as the servers want it.
const initSQL = `SET sql_log_bin=0;
CREATE USER IF NOT EXISTS 'root'@'%';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;
`

// TempDir makes a directory whose path is short enough for Unix sockets, removed when the test ends.
func TempDir(t testing.TB) string {
	t.Helper()
	base := "/tmp"
	if dir := os.TempDir(); len(dir) < 30 {
		base = dir
	}
	dir, err := os.MkdirTemp(base, "pelorus-"+strings.ToLower(t.Name()[:min(4, len(t.Name()))])+"-")
	if err != nil {
		t.Fatalf("make a temporary directory: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the test's directory: %v", err)
		}
	})
	return dir
}

// FreePort finds a TCP port of 127.0.0.1 that nobody uses. Processes start their search at different places, and a file
// lock per port that is held until the test ends keeps tests that run at the same time apart.
func FreePort(t testing.TB) int {
	t.Helper()
	const n = lastPort - firstPort + 1
	for i := range n {
		port := firstPort + (os.Getpid()*97+i)%n
		lock, ok := ports.ReserveUnclaimed(port)
		if !ok {
			continue
		}
		t.Cleanup(func() { lock.Close() })
		return port
	}
	t.Fatalf("no free port between %d and %d", firstPort, lastPort)
	return 0
}
