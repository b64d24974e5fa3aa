package mysqld_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/agent/mysqld"
	"github.com/pelorusdb/pelorus/test/servers"
)

func newServer(t *testing.T, family string) *mysqld.Server {
	t.Helper()
	s, err := mysqld.New(t.Context(), mysqld.Config{
		Dir: servers.TempDir(t), Binary: servers.Binary(t, family), Port: servers.FreePort(t), Bind: "127.0.0.1",
		ServerID: 7, ReportHost: "127.0.0.1", BufferPoolBytes: 32 << 20, RedoLogBytes: 16 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestLife(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			s := newServer(t, family)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := s.Find(); !errors.Is(err, mysqld.ErrNotRunning) {
				t.Fatalf("found before it was started: %v", err)
			}
			if _, err := s.Start(ctx, mysqld.StartOptions{}); err == nil {
				t.Fatal("started without a data directory")
			}
			begin := time.Now()
			if err := s.Initialise(ctx); err != nil {
				t.Fatal(err)
			}
			initialised := time.Now()
			started, err := s.Start(ctx, mysqld.StartOptions{})
			if err != nil || !started {
				t.Fatalf("first start: %v, %v", started, err)
			}
			t.Logf("initialise %v, start %v", initialised.Sub(begin), time.Since(initialised))
			p, err := s.Find()
			if err != nil {
				t.Fatal(err)
			}
			if started, err := s.Start(ctx, mysqld.StartOptions{}); err != nil || started {
				t.Fatalf("second start must find the first: %v, %v", started, err)
			}
			// Without its pid file it is found among the processes.
			if err := os.Remove(filepath.Join(s.Dir(), "mysqld.pid")); err != nil {
				t.Fatal(err)
			}
			if again, err := s.Find(); err != nil || again != p {
				t.Fatalf("found %v, %v; want %v", again, err, p)
			}
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			if p.Alive() || s.Greets(ctx) {
				t.Fatal("it lives on after Kill")
			}
			if started, err := s.Start(ctx, mysqld.StartOptions{Role: mysqld.RolePrimary}); err != nil || !started {
				t.Fatalf("start after a crash: %v, %v", started, err)
			}
			if err := s.Stop(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Find(); !errors.Is(err, mysqld.ErrNotRunning) {
				t.Fatalf("found after it was stopped: %v", err)
			}
		})
	}
}

// TestDetached starts a server from a process that is then killed with its whole process group, as an agent may be.
func TestDetached(t *testing.T) {
	if dir := os.Getenv("PELORUS_TEST_STARTER_DIR"); dir != "" {
		starter(t, dir)
		return
	}
	s := newServer(t, servers.MariaDB)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Initialise(ctx); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestDetached$")
	cmd.Env = append(os.Environ(), "PELORUS_TEST_STARTER_DIR="+s.Dir(), "PELORUS_TEST_STARTER_ADDR="+s.Addr())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	if _, err := out.Read(buf); err != nil {
		t.Fatalf("the starter said nothing: %v", err)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if _, err := s.Find(); err != nil {
		t.Fatalf("the server died with its starter: %v", err)
	}
	if !s.Greets(ctx) {
		t.Fatal("the server does not greet any more")
	}
}

func starter(t *testing.T, dir string) {
	var port int
	addr := os.Getenv("PELORUS_TEST_STARTER_ADDR")
	for _, c := range addr[strings.LastIndexByte(addr, ':')+1:] {
		port = port*10 + int(c-'0')
	}
	s, err := mysqld.New(t.Context(), mysqld.Config{
		Dir: dir, Binary: servers.Binary(t, servers.MariaDB), Port: port, Bind: "127.0.0.1", ServerID: 7, BufferPoolBytes: 32 << 20, RedoLogBytes: 16 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start(t.Context(), mysqld.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("started\n")
	select {} // until it is killed
}

func TestConfigValidate(t *testing.T) {
	good := mysqld.Config{Dir: "/d", Binary: "/b", Port: 3306, Bind: "127.0.0.1", ServerID: 1}
	if err := good.Validate(); err != nil {
		t.Fatalf("a good configuration: %v", err)
	}
	for name, change := range map[string]func(*mysqld.Config){
		"relative dir":    func(c *mysqld.Config) { c.Dir = "d" },
		"relative binary": func(c *mysqld.Config) { c.Binary = "mysqld" },
		"port":            func(c *mysqld.Config) { c.Port = 70000 },
		"bind":            func(c *mysqld.Config) { c.Bind = "localhost:1" },
		"server id":       func(c *mysqld.Config) { c.ServerID = 0 },
		"sizes":           func(c *mysqld.Config) { c.BufferPoolBytes = -1 },
		"injected line":   func(c *mysqld.Config) { c.Extra = []string{"a=1\nuser=root"} },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
