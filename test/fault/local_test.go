package fault

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pelorusdb/pelorus/test/cluster"
	"github.com/pelorusdb/pelorus/test/servers"
)

// small is the smallest cluster: one shard, one tablet.
func small(t *testing.T) *cluster.Cluster {
	return cluster.Start(t, cluster.Options{Args: []string{"--keyspace", "k", "--shards=-", "--replicas", "0"}})
}

// fails runs a command that must fail with an exit code and one clear line that has want in it.
func fails(t *testing.T, c *cluster.Cluster, code int, want string, args ...string) {
	t.Helper()
	_, err := c.Try(args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		t.Errorf("pelorus %s: %v, want exit code %d", strings.Join(args, " "), err, code)
		return
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("pelorus %s: %v, want a word of %q", strings.Join(args, " "), err, want)
	}
}

// TestLocal is what careless operators do to a local cluster.
func TestLocal(t *testing.T) {
	c := small(t)
	before := c.Running()

	c.Up() // again: all runs already
	if now := c.Running(); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("a second up changed the processes from %v to %v", before, now)
	}

	t.Run("a port in use", func(t *testing.T) {
		c := c.For(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		other := servers.TempDir(t)
		fails(t, c, 3, "in use", "up", "--detach", "--dir", other, "--flavor", c.Family, "--gateway-port", port, "--control-port", "0")
		fails(t, c, 3, "in use", "up", "--detach", "--dir", other, "--flavor", c.Family, "--gateway-port", "0", "--control-port", port)
	})

	t.Run("a state of another time", func(t *testing.T) { staleState(t, c.For(t)) })

	t.Run("everything killed", func(t *testing.T) {
		c := c.For(t)
		db := c.DB("k")
		if _, err := db.Exec("CREATE TABLE kept (id INT PRIMARY KEY)"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("INSERT INTO kept VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		// Agents first: they start a server that dies again.
		for _, agents := range []bool{true, false} {
			for name := range c.Running() {
				if strings.HasPrefix(name, "tablet-") == agents {
					c.Kill(name)
				}
			}
		}
		if left := c.Running(); len(left) > 0 {
			t.Fatalf("still there: %v", left)
		}
		c.Up()
		t.Logf("up again after everything was killed: %.1f s", c.UpTook.Seconds())
		var n int
		if err := c.DB("k").QueryRow("SELECT COUNT(*) FROM kept").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d rows after everything was killed, want 1 (%v)", n, err)
		}
	})

	c.Down()
	c.Down() // again: nothing to do, no error
}

// staleState is a directory whose process numbers belong to others by now: nobody else's process may be touched. An innocent
// process is given what a careless implementation might go by: the tag of another directory, and a data directory's name.
func staleState(t *testing.T, c *cluster.Cluster) {
	innocent := exec.Command("sleep", "1000")
	innocent.Env = append(os.Environ(), "PELORUS_LOCAL="+filepath.Join(c.Dir, "tablets")+":gateway-1")
	if err := innocent.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- innocent.Wait() }()
	t.Cleanup(func() { _ = innocent.Process.Kill() })

	// The state holds no number that could be reused; the files of servers that do are given the innocent one's.
	c.Down()
	pidFiles, err := filepath.Glob(filepath.Join(c.Dir, "tablets", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range pidFiles {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			if err := os.WriteFile(filepath.Join(dir, "mysqld.pid"), fmt.Appendln(nil, innocent.Process.Pid), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.Up()
	select {
	case err := <-gone:
		t.Errorf("a process that is not the cluster's was ended: %v", err)
	default:
	}
	if err := innocent.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process that is not the cluster's is gone: %v", err)
	}
}

// TestParentKilled kills `pelorus up` itself, in the foreground form: the cluster goes on, and can be ended by `down`.
func TestParentKilled(t *testing.T) {
	bin, dir := cluster.Binary(t), servers.TempDir(t)
	up := exec.Command(bin, "up", "--dir", dir, "--flavor", servers.MariaDB, "--gateway-port", "0", "--control-port", "0", "--keyspace", "k", "--shards=-", "--replicas", "0")
	out, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(text.String(), "Ctrl-C") {
		n, err := out.Read(buf)
		text.Write(buf[:n])
		if err != nil {
			t.Fatalf("up ended: %v\n%s", err, text.String())
		}
	}
	if err := up.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = up.Wait() // it was killed: how it ended says nothing
	ps, err := exec.Command(bin, "local", "ps", "--dir", dir).CombinedOutput()
	if err != nil || strings.Contains(string(ps), "not running") {
		t.Errorf("the cluster ended with its parent: %v\n%s", err, ps)
	}
	if down, err := exec.Command(bin, "down", "--dir", dir, "--purge").CombinedOutput(); err != nil {
		t.Errorf("down: %v\n%s", err, down)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

// TestWrongInput gives nonsense to every command: exit code 2 or 3, and one clear line.
func TestWrongInput(t *testing.T) {
	c := small(t)
	dir := []string{"--dir", c.Dir}
	for _, args := range [][]string{
		{"nonsense"},
		{"--nonsense"},
		{"up", "nonsense"},
		{"up", "--flavor", "postgres"},
		{"up", "--shards", "80-40"},
		{"up", "--replicas", "-1"},
		{"up", "--gateway-port", "99999999", "--dir", servers.TempDir(t)},
		{"up", "--config", "/nowhere"},
		{"up", "--mysqld", "/nowhere", "--dir", servers.TempDir(t)},
		{"up", "--bin", "gateway=/nowhere"},
		{"down", "nonsense"},
		append([]string{"local", "restart", "nobody"}, dir...),
		append([]string{"local", "add-shards", "nothing", "-80"}, dir...),
		append([]string{"local", "add-shards", "k", "zz"}, dir...),
		append([]string{"local", "add-tablet", "k/-", "--type", "king"}, dir...),
		append([]string{"local", "add-tablet", "k"}, dir...),
		{"local", "nonsense"},
		{"local", "ps", "--dir", "/nowhere"},
		{"keyspace", "create", "a b"},
		{"keyspace", "create", "mysql"},
		{"keyspace", "create", "k"},
		{"keyspace", "create"},
		{"keyspace", "show", "nothing"},
		{"keyspace", "set", "k", "--nonsense"},
		{"keyspace", "delete", "k"},
		{"shard", "create", "k/zz"},
		{"shard", "create", "k"},
		{"shard", "show", "k/80-"},
		{"shard", "show", "///"},
		{"shard", "delete", "k/-"},
		{"tablet", "show", "nobody"},
		{"tablet", "status", "zone1-999"},
		{"tablet", "set-type", "zone1-101", "king"},
		{"tablet", "delete", "zone1-999"},
		{"vschema", "show", "nothing"},
		{"vschema", "apply", "k", "--file", "/nowhere"},
		{"vschema", "apply", "k"},
		{"routing-rules", "apply", "--file", "/nowhere"},
		{"schema", "apply", "k"},
		{"schema", "apply", "nothing", "--sql", "CREATE TABLE t (id INT)"},
		{"schema", "apply", "k", "--file", "/nowhere"},
		{"reparent", "planned", "k"},
		{"reparent", "planned", "k/80-"},
		{"reparent", "planned", "k/-"},
		{"reparent", "emergency", "k/-", "--new-primary", "zone1-999"},
		{"reparent", "nonsense"},
		{"user", "nonsense"},
		{"vindex", "map", "--file", "/nowhere"},
		{"explain"},
		{"gateway", "--max-connections", "0"},
		{"gateway", "--listen", "nonsense"},
		{"tablet", "--alias", "nonsense"},
		{"control", "--listen", "nonsense"},
		{"topo", "--client-port", "0"},
		{"status", "nonsense"},
		{"doctor", "nonsense"},
		{"version", "nonsense"},
		{"status", "--timeout", "nonsense"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			out, err := c.Try(args...)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 && exit.ExitCode() != 3 {
				t.Fatalf("%v, want exit code 2 or 3\n%s", err, out)
			}
			_, text, _ := strings.Cut(err.Error(), ": ")
			// More may follow, where several things are wrong; the first line says one of them.
			first, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
			if !strings.HasPrefix(first, "pelorus: ") || len(first) < 20 || len(first) > 400 || strings.Count(rest, "\n") > 5 {
				t.Errorf("not one clear line: %q", text)
			}
		})
	}
}
