package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/devcluster"
	"github.com/pelorusdb/pelorus/test/cluster"
	"github.com/pelorusdb/pelorus/test/servers"
)

// TestLife is a cluster's life on both families: up, SQL, a killed agent, down, up again with the data.
func TestLife(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) { life(t, family) })
	}
}

func life(t *testing.T, family string) {
	c := cluster.Start(t, cluster.Options{Family: family})
	t.Logf("%s: 2 shards with 3 tablets each ready after %.1f s", family, c.UpTook.Seconds())
	// etcd, control, gateway, six agents and six servers.
	if n := len(c.Running()); n != 15 {
		t.Errorf("%d processes run, want 15: %v", n, c.Running())
	}
	c.Pelorus("schema", "apply", "commerce", "--sql", "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, v VARCHAR(20))")
	c.Pelorus("sql", "--keyspace", "commerce", "-e",
		"ALTER VSCHEMA CREATE VINDEX hash USING hash; ALTER VSCHEMA ON t ADD VINDEX hash(id)")
	db := c.DB("commerce")
	for id := range 20 {
		c.WaitFor("the vschema at the gateway", func() error {
			_, err := db.Exec("REPLACE INTO t (id, v) VALUES (?, ?)", id, fmt.Sprint("row ", id))
			return err
		})
	}
	count := func() (n int) {
		t.Helper()
		if err := db.QueryRow("SELECT COUNT(*) FROM t").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 20 {
		t.Errorf("%d rows, want 20", n)
	}
	for _, shard := range []string{"-80", "80-"} {
		out := c.Pelorus("sql", "--keyspace", "commerce:"+shard, "-e", "SELECT COUNT(*) AS n FROM t", "--json")
		if strings.Contains(out, `"20"`) || strings.Contains(out, `"0"`) {
			t.Errorf("shard %s holds all rows or none: %s", shard, out)
		}
	}

	// An agent's death is nothing to its server.
	server := c.Running()["mysqld-zone1-101"]
	c.Kill("tablet-zone1-101")
	if n := count(); n != 20 {
		t.Errorf("%d rows without an agent, want 20", n)
	}
	c.Up()
	if now := c.Running()["mysqld-zone1-101"]; now != server {
		t.Errorf("the server's pid was %d and is %d: the agent disturbed it", server, now)
	}

	c.Down()
	if left := c.Running(); len(left) > 0 {
		t.Fatalf("down left %v", left)
	}
	c.Down() // again: nothing to do, no error
	c.Up()
	t.Logf("%s: ready again after %.1f s", family, c.UpTook.Seconds())
	if n := count(); n != 20 {
		t.Errorf("%d rows after a restart, want 20", n)
	}
	if _, err := db.Exec("INSERT INTO t (id, v) VALUES (100, 'new')"); err != nil {
		t.Errorf("a write after a restart: %v", err)
	}
}

// TestGrow adds what a running cluster can be given, and refuses what it cannot.
func TestGrow(t *testing.T) {
	c := cluster.Start(t, cluster.Options{Args: []string{"--keyspace", "k", "--shards=-", "--replicas", "1", "--cells", "a,b"}})
	alias := strings.Fields(c.Pelorus("local", "add-tablet", "k/-", "--type", "rdonly", "--cell", "b", "--dir", c.Dir))
	if got := alias[len(alias)-1]; got != "b-103" {
		t.Errorf("the new tablet is %s, want b-103", got)
	}
	c.Pelorus("local", "add-shards", "k", "-80,80-", "--replicas", "0", "--dir", c.Dir)
	shards := c.Pelorus("shard", "list", "--keyspace", "k", "--json")
	for _, want := range []string{`"-80"`, `"80-"`, `"a-301"`} {
		if !strings.Contains(shards, want) {
			t.Errorf("the list of shards lacks %s:\n%s", want, shards)
		}
	}
	before := c.Running()["gateway-1"]
	c.Pelorus("local", "restart", "gateway-1", "--dir", c.Dir)
	if now := c.Running()["gateway-1"]; now == before || now == 0 {
		t.Errorf("the gateway's pid was %d and is %d", before, now)
	}
	c.Pelorus("local", "restart", "mysqld-b-102", "--dir", c.Dir)
	for _, refused := range []struct {
		code int
		args []string
	}{
		{3, []string{"up", "--detach", "--dir", c.Dir, "--keyspace", "other", "--shards=-"}},
		{3, []string{"local", "add-shards", "k", "80-", "--dir", c.Dir}},
		{2, []string{"local", "restart", "nobody", "--dir", c.Dir}},
		{2, []string{"local", "add-tablet", "nothing/-", "--dir", c.Dir}},
		{3, []string{"keyspace", "delete", "k"}},
	} {
		_, err := c.Try(refused.args...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != refused.code {
			t.Errorf("pelorus %s: %v, want exit code %d", strings.Join(refused.args, " "), err, refused.code)
		}
	}
}

// TestForeground runs `up` as a person does at a terminal: other commands work meanwhile, and Ctrl-C ends everything.
func TestForeground(t *testing.T) {
	dir := servers.TempDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	up := exec.CommandContext(ctx, cluster.Binary(t), "up", "--dir", dir, "--mysqld", servers.Binary(t, servers.MariaDB), "--keyspace", "k", "--shards=-",
		"--replicas", "0", "--gateway-port", "0", "--control-port", "0")
	out, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ctrl-C") {
		t.Log(lines.Text())
	}
	restart := exec.CommandContext(ctx, cluster.Binary(t), "local", "restart", "gateway-1", "--dir", dir)
	if out, err := restart.CombinedOutput(); err != nil {
		t.Errorf("restart while `up` is in the foreground: %v\n%s", err, out)
	}
	if err := up.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if err := up.Wait(); err != nil {
		t.Errorf("up after Ctrl-C: %v", err)
	}
	list, err := devcluster.List(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if p.Pid != nil {
			t.Errorf("Ctrl-C left %s with pid %d", p.Name, *p.Pid)
		}
	}
}
