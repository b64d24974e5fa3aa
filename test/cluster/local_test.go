package cluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/test/cluster"
	"github.com/pelorusdb/pelorus/test/servers"
)

// smallest is the shape of the smallest cluster: one shard, one tablet.
var smallest = []string{"--keyspace", "k", "--shards=-", "--replicas", "0"}

// exitOf wants a command's exit code and a text in what it says.
func exitOf(t *testing.T, err error, code int, want string) {
	t.Helper()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want exit code %d and %q", err, code, want)
	}
}

// listen takes a port as another program would.
func listen(t *testing.T, port int) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestPortsStay is about the ports of processes that are stopped: other clusters do not get them, other programs that have
// them are named, and what may move moves.
func TestPortsStay(t *testing.T) {
	c := cluster.Start(t, cluster.Options{Args: smallest})
	ports := map[int]string{}
	var agent, gateway, http int
	for _, p := range c.Processes() {
		ports[p.Port] = p.Name
		switch p.Name {
		case "tablet-zone1-101":
			agent = p.Port
		case "gateway-1":
			gateway, http = p.Port, p.HTTPPort
		}
	}
	c.Down()
	other := cluster.Start(t, cluster.Options{Args: smallest})
	for _, p := range other.Processes() {
		if whose := ports[p.Port]; whose != "" {
			t.Errorf("%s of the other cluster has the port of %s", p.Name, whose)
		}
	}
	taken := listen(t, agent)
	_, err := c.Try("up", "--detach", "--dir", c.Dir)
	exitOf(t, err, 3, fmt.Sprintf("which tablet-zone1-101 needs, is in use by cluster.test (pid %d)", os.Getpid()))
	if left := c.Running(); len(left) > 0 {
		t.Errorf("the start that was refused left %v", left)
	}
	taken.Close()

	// The gateway's ports: the one for HTTP moves by itself, the other one where it is told to, and neither while it runs.
	listen(t, http)
	_, port, err := net.SplitHostPort(other.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Try("up", "--detach", "--dir", c.Dir, "--gateway-port", port)
	exitOf(t, err, 3, "gateway-1 (pid "+strconv.Itoa(other.Running()["gateway-1"])+") of the cluster in "+other.Dir)
	listen(t, gateway)
	_, err = c.Try("up", "--detach", "--dir", c.Dir)
	exitOf(t, err, 3, "--gateway-port")
	c.Pelorus("up", "--detach", "--dir", c.Dir, "--gateway-port", "0")
	for _, p := range c.Processes() {
		if p.Name == "gateway-1" && (p.Port == gateway || p.HTTPPort == http || p.Pid == nil) {
			t.Errorf("the gateway has not moved: %+v", p)
		}
	}
	_, err = c.Try("up", "--detach", "--dir", c.Dir, "--gateway-port", strconv.Itoa(gateway))
	exitOf(t, err, 3, "pelorus down")
	_, err = c.Try("up", "--detach", "--dir", c.Dir, "--flavor", servers.MySQL)
	exitOf(t, err, 3, "has servers of the flavor mariadb")
	_, err = c.Try("up", "--detach", "--dir", c.Dir, "--cells", "a,b")
	exitOf(t, err, 3, "another shape")
}

// TestTwoUpsAtOnce starts two clusters at the same moment that want the same port for their gateways: one gets it, the other one
// is told what to do, does it, and is ready too.
func TestTwoUpsAtOnce(t *testing.T) {
	// A port of the kernel's choice, given back: one that the test reserves would be refused to both.
	l := listen(t, 0)
	bin, port := cluster.Binary(t), strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var dirs [2]string
	var outs [2][]byte
	var errs [2]error
	var wg sync.WaitGroup
	for i := range dirs {
		dirs[i] = filepath.Join(servers.TempDir(t), "c")
		t.Cleanup(func() {
			if out, err := exec.Command(bin, "down", "--purge", "--dir", dirs[i]).CombinedOutput(); err != nil {
				t.Errorf("down: %v\n%s", err, out)
			}
		})
		wg.Go(func() {
			args := append([]string{"up", "--detach", "--dir", dirs[i], "--flavor", servers.MariaDB, "--gateway-port", port, "--control-port", "0"}, smallest...)
			outs[i], errs[i] = exec.CommandContext(ctx, bin, args...).CombinedOutput()
		})
	}
	wg.Wait()
	loser := 0
	if errs[0] == nil {
		loser = 1
	}
	if errs[1-loser] != nil {
		t.Fatalf("neither is ready:\n%s\n%s", outs[0], outs[1])
	}
	exitOf(t, fmt.Errorf("%w: %s", errs[loser], outs[loser]), 3, "choose another one with --gateway-port")
	args := append([]string{"up", "--detach", "--dir", dirs[loser], "--flavor", servers.MariaDB, "--gateway-port", "0", "--control-port", "0"}, smallest...)
	if out, err := exec.CommandContext(ctx, bin, args...).CombinedOutput(); err != nil {
		t.Errorf("with another port: %v\n%s", err, out)
	}
}

// start is an `up` that a test disturbs.
type start struct {
	cmd   *exec.Cmd
	out   io.Closer
	lines *bufio.Scanner
	text  strings.Builder
}

func begin(t *testing.T, dir string, args ...string) *start {
	t.Helper()
	s := &start{cmd: exec.Command(cluster.Binary(t), append([]string{"up", "--dir", dir}, args...)...)}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Of no effect on one that the test has waited for; the cluster is for the test's other cleanup.
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	s.out, s.lines = out, bufio.NewScanner(out)
	return s
}

// await reads until a line has want in it, or until the end.
func (s *start) await(want string) bool {
	for s.lines.Scan() {
		s.text.WriteString(s.lines.Text() + "\n")
		if want != "" && strings.Contains(s.lines.Text(), want) {
			return true
		}
	}
	return false
}

// TestInterruptedStart ends the first start of a cluster at one point after the other, by SIGKILL and by Ctrl-C; the last one
// goes through, and finds all that the earlier ones have begun.
func TestInterruptedStart(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) { interrupted(t, family) })
	}
}

func interrupted(t *testing.T, family string) {
	const tables = 40
	bin, dir := cluster.Binary(t), filepath.Join(servers.TempDir(t), "c")
	var text strings.Builder
	for i := range tables {
		fmt.Fprintf(&text, "CREATE TABLE t%d (id BIGINT PRIMARY KEY);\nINSERT INTO t%d VALUES (1);\n", i, i)
	}
	schema := filepath.Join(t.TempDir(), "schema.sql")
	if err := os.WriteFile(schema, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--flavor", family, "--mysqld", servers.Binary(t, family), "--gateway-port", "0", "--control-port", "0", "--schema", schema}, smallest...)
	t.Cleanup(func() {
		if out, err := exec.Command(bin, "down", "--purge", "--dir", dir).CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})
	exists := func(name string) func() bool {
		return func() bool { _, err := os.Stat(filepath.Join(dir, name)); return err == nil }
	}
	loading := func() bool {
		var s struct {
			Loading struct{ Done int }
		}
		b, err := os.ReadFile(filepath.Join(dir, "state.json"))
		return err == nil && json.Unmarshal(b, &s) == nil && s.Loading.Done >= 5
	}
	for _, at := range []struct {
		what string
		sig  os.Signal
		line string      // of its output, or
		cond func() bool // what is seen from outside
	}{
		{"before the state is saved", os.Kill, "", exists("lock")},
		{"when the state is saved", os.Kill, "", exists("state.json")},
		{"with topology", os.Interrupt, "topology ready", nil},
		{"with control", os.Kill, "control ready", nil},
		{"with servers", os.Kill, "servers run", nil},
		{"in the schema", os.Kill, "", loading},
		{"with servers and half a schema", os.Interrupt, "servers run", nil},
	} {
		s := begin(t, dir, args...)
		if at.cond != nil {
			poll(t, at.what, at.cond)
		} else if !s.await(at.line) {
			t.Fatalf("%s: up ended:\n%s", at.what, s.text.String())
		}
		if err := s.cmd.Process.Signal(at.sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		s.await("")
		err := s.cmd.Wait()
		if at.sig == os.Interrupt && err != nil {
			exitOf(t, fmt.Errorf("%w: %s", err, s.text.String()), 1, "interrupted")
		}
	}
	out, err := exec.Command(bin, append([]string{"up", "--detach", "--dir", dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("the last start: %v\n%s", err, out)
	}
	c := cluster.Attach(t, bin, dir, family)
	db := c.DB("k")
	for i := range tables {
		var n int
		if err := db.QueryRow(fmt.Sprintf("SELECT COUNT(*) FROM t%d", i)).Scan(&n); err != nil || n != 1 {
			t.Errorf("table t%d: %d rows, %v, want 1", i, n, err)
		}
	}
}

func poll(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for a start to come to a point: %s", what)
		case <-tick.C:
		}
	}
}

// TestSupervised kills roles below an `up` in the foreground, which starts them again; `down` of another terminal ends it all.
func TestSupervised(t *testing.T) {
	dir := servers.TempDir(t)
	t.Cleanup(func() { // for a failure's sake
		if out, err := exec.Command(cluster.Binary(t), "down", "--dir", dir).CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})
	s := begin(t, dir, append([]string{"--flavor", servers.MariaDB, "--gateway-port", "0", "--control-port", "0"}, smallest...)...)
	if !s.await("Ctrl-C") {
		t.Fatal(s.text.String())
	}
	c := cluster.Attach(t, cluster.Binary(t), dir, servers.MariaDB)
	before := c.Running()
	dead := []string{"topo", "control-1", "gateway-1", "tablet-zone1-101"}
	for _, name := range dead {
		if err := syscall.Kill(before[name], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range dead {
		c.WaitFor(name+" to run again", func() error {
			if pid := c.Running()[name]; pid == 0 || pid == before[name] {
				return fmt.Errorf("pid %d, before %d", pid, before[name])
			}
			return nil
		})
	}
	if now := c.Running()["mysqld-zone1-101"]; now != before["mysqld-zone1-101"] {
		t.Errorf("the server's pid was %d and is %d", before["mysqld-zone1-101"], now)
	}
	db := c.DB("k")
	c.WaitFor("the gateway to serve", func() error { return db.Ping() })
	c.Down()
	s.await("")
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("up after a down: %v", err)
	}
	for _, want := range append([]string{"another command has ended the cluster"}, dead...) {
		if !strings.Contains(s.text.String(), want) {
			t.Errorf("up says nothing of %q:\n%s", want, s.text.String())
		}
	}
	if left := c.Running(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestTerminalGone closes the window in which `up` runs: nobody reads what it says any more, and it ends the cluster.
func TestTerminalGone(t *testing.T) {
	dir := servers.TempDir(t)
	t.Cleanup(func() { // for a failure's sake
		if out, err := exec.Command(cluster.Binary(t), "down", "--dir", dir).CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})
	s := begin(t, dir, append([]string{"--flavor", servers.MariaDB, "--gateway-port", "0", "--control-port", "0"}, smallest...)...)
	if !s.await("Ctrl-C") {
		t.Fatal(s.text.String())
	}
	if err := s.out.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("up after its terminal: %v", err)
	}
	if left := cluster.Attach(t, cluster.Binary(t), dir, servers.MariaDB).Running(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
