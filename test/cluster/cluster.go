// Package cluster gives tests a whole cluster: `pelorus up` with real servers, every role a process of its own, in a temporary directory, on
// ports of its own, ended and removed when the test ends. It builds the program once per test binary, or takes the one that
// PELORUS_BIN names.
//
// It goes through the command line only, as an operator would: a test that needs more of a role imports that role's package.
package cluster

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/pelorusdb/pelorus/internal/devcluster"
	"github.com/pelorusdb/pelorus/test/servers"
)

const (
	// upTime bounds a start on a busy machine without templates of data directories; the design's aim is 20 s.
	upTime = 3 * time.Minute
	// commandTime bounds every other command.
	commandTime = time.Minute
	pollStep    = 50 * time.Millisecond
)

// Options say what cluster a test wants. The zero value is what `pelorus up` makes without arguments, on MariaDB.
type Options struct {
	// Family is servers.MySQL or servers.MariaDB (unless set).
	Family string
	// Config is the text of a configuration file; it wins over what follows.
	Config string
	// Args are further arguments of `up`, such as "--shards=-".
	Args []string
}

// Cluster is a running cluster.
type Cluster struct {
	t testing.TB
	// Bin is the program, Dir the cluster's directory, Family that of its servers.
	Bin, Dir, Family string
	// Gateway and Control are HOST:PORT of the first of each.
	Gateway, Control string
	// UpTook is how long the last Up took.
	UpTook time.Duration

	args []string
}

// builder builds the program once.
type builder struct {
	once sync.Once
	path string
	err  error
}

var program builder

// Binary is the path of the pelorus program.
func Binary(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("PELORUS_BIN"); p != "" {
		return p
	}
	program.once.Do(program.build)
	if program.err != nil {
		t.Fatal(program.err)
	}
	return program.path
}

func (b *builder) build() {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		b.err = fmt.Errorf("find the module's directory: %w", err)
		return
	}
	// One place per checkout: the linker's work is shared by all test binaries, and nothing is left behind but one file.
	b.path = filepath.Join(strings.TrimSpace(string(root)), "bin", "pelorus-test")
	cmd := exec.Command("go", "build", "-o", b.path, "./cmd/pelorus")
	cmd.Dir = strings.TrimSpace(string(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.err = fmt.Errorf("build pelorus: %w\n%s", err, out)
	}
}

// Start starts a cluster and waits until it is ready.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Family == "" {
		o.Family = servers.MariaDB
	}
	c := &Cluster{t: t, Bin: Binary(t), Dir: servers.TempDir(t), Family: o.Family}
	c.args = []string{"up", "--detach", "--dir", c.Dir, "--flavor", o.Family, "--mysqld", servers.Binary(t, o.Family), "--gateway-port", "0", "--control-port", "0"}
	if o.Config != "" {
		file := filepath.Join(t.TempDir(), "cluster.yaml")
		if err := os.WriteFile(file, []byte(o.Config), 0o600); err != nil {
			t.Fatal(err)
		}
		c.args = append(c.args, "--config", file)
	}
	c.args = append(c.args, o.Args...)
	t.Cleanup(func() {
		if t.Failed() {
			c.showLogs()
		}
		if out, err := c.command(commandTime, "down", "--dir", c.Dir); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
		if left := c.Running(); len(left) > 0 {
			t.Errorf("down left %v", left)
		}
	})
	c.up(c.args...)
	return c
}

// For is the same cluster for a subtest, so that what fails there ends the subtest and not its parent's goroutine.
func (c *Cluster) For(t testing.TB) *Cluster {
	sub := *c
	sub.t = t
	return &sub
}

// Up starts what does not run.
func (c *Cluster) Up() {
	c.t.Helper()
	c.up("up", "--detach", "--dir", c.Dir)
}

func (c *Cluster) up(args ...string) {
	c.t.Helper()
	began := time.Now()
	if out, err := c.command(upTime, args...); err != nil {
		c.t.Fatalf("up: %v\n%s", err, out)
	}
	c.UpTook = time.Since(began)
	c.learn()
}

// Attach is the cluster in a directory that a test has started by itself, and ends by itself.
func Attach(t testing.TB, bin, dir, family string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, Bin: bin, Dir: dir, Family: family}
	c.learn()
	return c
}

// learn finds out where the gateway and control are.
func (c *Cluster) learn() {
	c.t.Helper()
	c.Gateway, c.Control = "", ""
	for _, p := range c.Processes() {
		addr := fmt.Sprintf("127.0.0.1:%d", p.Port)
		switch {
		case p.Role == devcluster.RoleGateway && c.Gateway == "":
			c.Gateway = addr
		case p.Role == devcluster.RoleControl && c.Control == "":
			c.Control = addr
		}
	}
}

// Down ends all processes; the data stays.
func (c *Cluster) Down() {
	c.t.Helper()
	if out, err := c.command(commandTime, "down", "--dir", c.Dir); err != nil {
		c.t.Fatalf("down: %v\n%s", err, out)
	}
}

// Pelorus runs a command of the program against this cluster and returns its output; a failure ends the test.
func (c *Cluster) Pelorus(args ...string) string {
	c.t.Helper()
	out, err := c.command(commandTime, args...)
	if err != nil {
		c.t.Fatalf("pelorus %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Try is Pelorus for commands that may fail.
func (c *Cluster) Try(args ...string) (string, error) { return c.command(commandTime, args...) }

func (c *Cluster) command(limit time.Duration, args ...string) (string, error) {
	// Not the test's context: `down` runs when that has ended.
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Bin, args...)
	cmd.Env = append(os.Environ(), "PELORUS_CONTROL="+c.Control, "PELORUS_GATEWAY="+c.Gateway)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// Processes are what `local ps` says.
func (c *Cluster) Processes() []devcluster.Process {
	c.t.Helper()
	var list []devcluster.Process
	if err := json.Unmarshal([]byte(c.Pelorus("local", "ps", "--dir", c.Dir, "--json")), &list); err != nil {
		c.t.Fatalf("local ps --json: %v", err)
	}
	return list
}

// Running are the names and pids of the processes that run.
func (c *Cluster) Running() map[string]int {
	out := map[string]int{}
	list, err := devcluster.List(context.Background(), c.Dir)
	if errors.Is(err, devcluster.ErrNoCluster) {
		return out
	}
	if err != nil {
		c.t.Error(err)
	}
	for _, p := range list {
		if p.Pid != nil {
			out[p.Name] = *p.Pid
		}
	}
	return out
}

// Kill sends SIGKILL to a process by its name in `local ps` and waits until it is gone.
func (c *Cluster) Kill(name string) {
	c.t.Helper()
	pid, ok := c.Running()[name]
	if !ok {
		c.t.Fatalf("%s does not run", name)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Fatalf("kill %s: %v", name, err)
	}
	c.WaitFor("the end of "+name, func() error {
		if now, ok := c.Running()[name]; ok && now == pid {
			return errors.New("it still runs")
		}
		return nil
	})
}

// WaitFor waits until cond returns nil, at most a minute.
func (c *Cluster) WaitFor(what string, cond func() error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	t := time.NewTicker(pollStep)
	defer t.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("waiting for %s: %v", what, err)
		case <-t.C:
		}
	}
}

// DB is a pool of connections through the gateway as root, with a keyspace ("" for none). It is closed when the test ends.
func (c *Cluster) DB(keyspace string) *sql.DB {
	c.t.Helper()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.DBName = "tcp", c.Gateway, "root", keyspace
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	c.t.Cleanup(func() { db.Close() })
	return db
}

// showLogs puts the ends of all logs into the output of a failed test.
func (c *Cluster) showLogs() {
	const lines = 15
	logs, err := filepath.Glob(filepath.Join(c.Dir, "logs", "*.log"))
	if err != nil {
		return
	}
	for _, file := range logs {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		all := strings.Split(strings.TrimSpace(string(b)), "\n")
		c.t.Logf("the end of %s:\n%s", filepath.Base(file), strings.Join(all[max(0, len(all)-lines):], "\n"))
	}
}
