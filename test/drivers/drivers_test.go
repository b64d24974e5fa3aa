// Package drivers runs other people's drivers, ORMs, command line clients, dump tools and sysbench against the gateway in front of
// a sharded keyspace, on both families of servers. What they accept is what applications will accept.
//
// It tests no SQL of its own: statements and their answers belong to the tests of the planner and the executor. A tool that is
// not installed fails its test.
package drivers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/test/cluster"
	"github.com/pelorusdb/pelorus/test/servers"
)

// scriptTime bounds one program on a busy machine; each takes a few seconds on an idle one.
const scriptTime = 2 * time.Minute

func TestMySQL(t *testing.T)   { all(t, servers.MySQL) }
func TestMariaDB(t *testing.T) { all(t, servers.MariaDB) }

// all runs everything against one cluster, one thing after the other: the checks share its tables.
func all(t *testing.T, family string) {
	config, err := filepath.Abs("testdata/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := cluster.Start(t, cluster.Options{Family: family, Args: []string{"--config", config}})
	t.Run("places", func(t *testing.T) { places(t, c) })
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) { empty(t, c); s.run(t, c) })
	}
	t.Run("go", func(t *testing.T) { empty(t, c); goDriver(t, c) })
	t.Run("cli", func(t *testing.T) { empty(t, c); commandLines(t, c) })
	t.Run("dump", func(t *testing.T) { empty(t, c); dumps(t, c) })
	t.Run("sysbench", func(t *testing.T) { sysbench(t, c) })
}

// empty removes what an earlier check has left.
func empty(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	db := c.DB("app")
	for _, table := range []string{"item", "kinds", "note"} {
		if _, err := db.Exec("DELETE FROM " + table); err != nil {
			t.Fatal(err)
		}
	}
}

// script is a program that checks one driver: it prints a line "ok ..." for each thing that it found right, and fails otherwise.
type script struct {
	name    string
	program string
	args    []string
	needs   string // a file that must be there, besides the program
	checks  int    // how many ok lines there must be
}

var scripts = []script{
	{name: "pymysql", program: "/usr/bin/python3", args: []string{"python/checks.py", "pymysql"}, checks: 7},
	{name: "mysqlclient", program: "/usr/bin/python3", args: []string{"python/checks.py", "MySQLdb"}, checks: 7},
	{name: "sqlalchemy-pymysql", program: "/usr/bin/python3", args: []string{"python/alchemy.py", "pymysql"}, checks: 5},
	{name: "sqlalchemy-mysqlclient", program: "/usr/bin/python3", args: []string{"python/alchemy.py", "mysqldb"}, checks: 5},
	{name: "django", program: "/usr/bin/python3", args: []string{"django/checks.py", "app"}, checks: 5},
	{name: "django-unsharded", program: "/usr/bin/python3", args: []string{"django/checks.py", "ids"}, checks: 5},
	{name: "php-pdo", program: "php", args: []string{"php/checks.php"}, checks: 16},
	{name: "perl-dbd", program: "/usr/bin/perl", args: []string{"perl/checks.pl"}, checks: 13},
	{name: "node-mysql2", program: "node", args: []string{"node/checks.js"}, needs: "node/node_modules/mysql2/package.json", checks: 13},
}

func (s script) run(t *testing.T, c *cluster.Cluster) {
	if s.needs != "" {
		if _, err := os.Stat(s.needs); err != nil {
			t.Fatalf("%s is not installed: run `make setup` (%v)", s.name, err)
		}
	}
	out := run(t, c, nil, tool(t, s.program), s.args...)
	got := 0
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "ok ") {
			got++
		}
	}
	if got != s.checks {
		t.Errorf("%d checks were passed, want %d:\n%s", got, s.checks, clip(out))
	}
}

// tool is the path of a program that the machine must have.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run `make setup` (%v)", name, err)
	}
	return path
}

// mysqlTool is the path of a client program of MySQL, which lies beside its server.
func mysqlTool(t *testing.T, name string) string {
	t.Helper()
	return tool(t, filepath.Join(filepath.Dir(servers.Binary(t, servers.MySQL)), name))
}

// run runs a program that finds the gateway by its environment, gives it stdin (may be nil) and returns what it printed; that
// it fails ends the test.
func run(t *testing.T, c *cluster.Cluster, stdin []byte, program string, args ...string) string {
	t.Helper()
	out, errOut, err := try(t, c, stdin, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(program), strings.Join(args, " "), err, clip(errOut), clip(out))
	}
	return out
}

// try is run for programs that may fail.
func try(t *testing.T, c *cluster.Cluster, stdin []byte, program string, args ...string) (out, errOut string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	host, port := address(c)
	cmd.Env = append(os.Environ(), "PELORUS_HOST="+host, "PELORUS_PORT="+port, "PELORUS_FAMILY="+c.Family, "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdin = strings.NewReader(string(stdin))
	var o, e strings.Builder
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

func address(c *cluster.Cluster) (host, port string) {
	host, port, _ = strings.Cut(c.Gateway, ":")
	return host, port
}

// clip keeps a failure readable: values of several megabytes may be in it.
func clip(s string) string {
	const most = 4000
	if len(s) <= most {
		return s
	}
	return s[:most/2] + "\n[...]\n" + s[len(s)-most/2:]
}

// places makes sure that the checks do what they say: row 1 lies on one shard and row 4 on the other.
func places(t *testing.T, c *cluster.Cluster) {
	db := c.DB("app")
	if _, err := db.Exec("INSERT INTO item (id, name) VALUES (1, 'low'), (4, 'high')"); err != nil {
		t.Fatal(err)
	}
	for shard, want := range map[string]int{"-80": 1, "80-": 4} {
		one := c.DB("app:" + shard)
		var n, id int
		if err := one.QueryRow("SELECT COUNT(*), MIN(id) FROM item").Scan(&n, &id); err != nil {
			t.Fatal(err)
		}
		if n != 1 || id != want {
			t.Errorf("shard %s has %d rows, the first is %d; want one, %d", shard, n, id, want)
		}
	}
}
