package mysqld

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
)

func server(t *testing.T, version string) *Server {
	t.Helper()
	fl, _, err := flavor.Detect(version)
	if err != nil {
		t.Fatal(err)
	}
	return &Server{
		cfg:    Config{Dir: t.TempDir(), Binary: "/usr/sbin/mysqld", Port: 3306, Bind: "127.0.0.1", ServerID: 101, ReportHost: "db1"},
		binary: Binary{Path: "/usr/sbin/mysqld", Family: fl.Name(), Flavor: fl, Version: version},
	}
}

func TestOptionLines(t *testing.T) {
	for _, c := range []struct {
		version    string
		want, none []string
	}{
		{"8.0.20", []string{"gtid_mode=ON", "slave_net_timeout = 4", "log_slave_updates=ON", "innodb_log_file_size = 52428800", "relay_log_recovery=OFF"}, []string{"replica_", "gtid_strict"}},
		{"8.4.3", []string{"gtid_mode=ON", "replica_net_timeout = 4", "log_replica_updates=ON", "innodb_redo_log_capacity = 104857600"}, []string{"slave", "gtid_strict"}},
		{"10.11.19-MariaDB", []string{"gtid_strict_mode=ON", "relay-log-recovery = ON", "innodb_log_file_size = 104857600", "rpl_semi_sync_master_wait_point=AFTER_SYNC"}, []string{"gtid_mode", "mysqlx", "replica_"}},
	} {
		s := server(t, c.version)
		s.cfg.Extra = []string{"max-connections = 7"}
		lines := s.optionLines(0)
		text := strings.Join(lines, "\n")
		common := []string{"sync_binlog=1", "innodb_flush_log_at_trx_commit=1", "binlog_row_image=FULL", "binlog_row_metadata=FULL", "local-infile = ON", "user = root", "server-id = 101", "report-host = db1"}
		for _, w := range append(common, c.want...) {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q:\n%s", c.version, w, text)
			}
		}
		for _, n := range c.none {
			if strings.Contains(text, n) {
				t.Errorf("%s has %q:\n%s", c.version, n, text)
			}
		}
		if lines[len(lines)-1] != "max-connections = 7" {
			t.Errorf("%s: extra lines must come last, where they win", c.version)
		}
		if strings.Contains(strings.Join(s.optionLines(1000), "\n"), "user = ") {
			t.Errorf("%s: only the operating system's root names a user", c.version)
		}
	}
}

func TestStartArgs(t *testing.T) {
	for _, c := range []struct {
		version string
		o       StartOptions
		want    string
	}{
		{"8.4.3", StartOptions{}, "--super_read_only=ON"},
		{"8.4.3", StartOptions{Role: RolePrimary}, "--offline_mode=ON"},
		{"10.11.19-MariaDB", StartOptions{}, "--init_rpl_role=SLAVE"},
		{"10.11.19-MariaDB", StartOptions{Role: RolePrimary}, "--read_only=ON"},
	} {
		args := strings.Join(server(t, c.version).startArgs(c.o), " ")
		if !strings.Contains(args, c.want) {
			t.Errorf("%s %+v: %s", c.version, c.o, args)
		}
		if c.o.Role == RolePrimary && strings.Contains(args, "init_rpl_role") {
			t.Errorf("%s: a returning primary must keep its binary log: %s", c.version, args)
		}
		if open := server(t, c.version).startArgs(StartOptions{Open: true}); len(open) != 0 {
			t.Errorf("%s: an open server gets %v", c.version, open)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for out, want := range map[string]string{
		"/usr/sbin/mysqld  Ver 8.0.36-0ubuntu0.22.04.1 for Linux on x86_64 ((Ubuntu))":        "8.0.36-0ubuntu0.22.04.1",
		"mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)": "10.11.19-MariaDB-0+deb12u1",
		"some program Ver unknown": "", "": "",
	} {
		if got := parseVersion(out); got != want {
			t.Errorf("%q: %q, want %q", out, got, want)
		}
	}
}

func TestParseStat(t *testing.T) {
	line := "123 (a ) b (c) S 1 123 123 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1"
	start, state, err := parseStat(line)
	if err != nil || start != 98765 || state != 'S' {
		t.Errorf("got %d, %c, %v", start, state, err)
	}
	for _, bad := range []string{"", "123 mysqld S 1", "123 (mysqld) S 1 2 3"} {
		if _, _, err := parseStat(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if start, _, err := procStat(os.Getpid()); err != nil || start == 0 {
		t.Errorf("this process: %d, %v", start, err)
	}
}

// TestOthersAreNotProven: a process that is not the server is never taken for it, whatever the pid file says.
func TestOthersAreNotProven(t *testing.T) {
	s := server(t, "8.4.3")
	if err := os.WriteFile(s.pidFile(), fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Find(); err == nil {
		t.Fatalf("this test was taken for a server: %+v", p)
	}
	if err := s.Kill(); err != nil {
		t.Fatalf("nothing runs, so there is nothing to kill: %v", err)
	}
	gone := exec.Command("/bin/true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{os.Getpid(), gone.Process.Pid} {
		if err := os.WriteFile(s.Socket()+".lock", fmt.Appendln(nil, pid), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.removeStaleLock(); err != nil {
			t.Errorf("a lock of process %d, which is no server: %v", pid, err)
		}
	}
	if err := s.removeStaleLock(); err != nil {
		t.Errorf("no lock: %v", err)
	}
}

// TestWait: the end of a process is noticed, also while nobody reaps it, and waiting ends with the context.
func TestWait(t *testing.T) {
	cmd := exec.Command("/bin/sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	start, _, err := procStat(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	p := Process{Pid: cmd.Process.Pid, start: start}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a process that lives: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait(t.Context()) }()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("a process that was killed: %v", err)
	}
	_ = cmd.Wait()
	for name, p := range map[string]Process{"reaped": p, "another one with its number": {Pid: os.Getpid(), start: 1}} {
		if err := p.Wait(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSocketPath(t *testing.T) {
	s := server(t, "8.4.3")
	s.cfg.Dir = "/" + strings.Repeat("d", 120)
	long := s.Socket()
	if len(long) > maxSocketPath {
		t.Errorf("the socket's path has %d bytes", len(long))
	}
	s.cfg.Dir += "e"
	if s.Socket() == long {
		t.Error("two servers share a socket")
	}
	s.cfg.Dir = "/d"
	if s.Socket() != "/d/mysqld.sock" {
		t.Error(s.Socket())
	}
}

func TestCopyTree(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	contents := map[string][]byte{
		"empty": {}, "short": []byte("abc"), "sub/zeroes": make([]byte, 3*copyBlock), "sub/deep/mixed": append(make([]byte, copyBlock), "end"...),
		"tail": append(bytes.Repeat([]byte{7}, copyBlock), make([]byte, copyBlock+5)...),
	}
	for name, b := range contents {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyTree(from, to); err != nil {
		t.Fatal(err)
	}
	for name, want := range contents {
		got, err := os.ReadFile(filepath.Join(to, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, to+"2"); err == nil {
		t.Error("a link was copied")
	}
}
