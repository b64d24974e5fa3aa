// Package fault holds what must stay true while things die, and against clients that mean harm: whole clusters of both
// families under load, with agents, control, etcd, the gateway and servers killed beneath it.
//
// It does not test what an undisturbed cluster answers, and it knows of a role only what an operator sees: the command
// line, SQL, logs and /proc.
package fault

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/pelorusdb/pelorus/internal/devcluster"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
	"github.com/pelorusdb/pelorus/test/cluster"
	"github.com/pelorusdb/pelorus/test/servers"
)

// long says that the long form of the tests is wanted (`make test-long`).
func long() bool { return os.Getenv("PELORUS_LONG") != "" }

// TestCluster puts one cluster of each family through all faults, so that each fault also meets what the ones before left.
func TestCluster(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			w := newWorld(t, family)
			for _, fault := range []struct {
				name string
				run  func(*world)
			}{
				{"hostile", hostile},
				{"unread", starve},
				{"idle", idle},
				{"agents", killAgents},
				{"control", killControl},
				{"etcd", killEtcd},
				{"gateway", killGateway},
				{"planned", planned},
				{"emergency", emergency},
			} {
				t.Run(fault.name, func(t *testing.T) { fault.run(w.in(t)) })
			}
		})
	}
}

// world is a cluster with tables for a load.
type world struct {
	t *testing.T
	*cluster.Cluster
	creds credentials.Credentials
	// loads counts the loads, so that each writes rows of its own.
	loads *int
}

const keyspace = "commerce"

var tables = []string{
	"CREATE TABLE entry (id BIGINT NOT NULL PRIMARY KEY, worker INT NOT NULL, v BIGINT NOT NULL, pad VARCHAR(100) NOT NULL, KEY (worker))",
	"CREATE TABLE account (id BIGINT NOT NULL PRIMARY KEY, v BIGINT NOT NULL)",
}

// worldConfig is the cluster that `pelorus up` makes without arguments, with a second control node.
const worldConfig = `
controls: 2
keyspaces:
  - name: commerce
    shards: ["-80", "80-"]
    replicas: 2
`

func newWorld(t *testing.T, family string) *world {
	c := cluster.Start(t, cluster.Options{Family: family, Config: worldConfig})
	t.Logf("%s: ready after %.1f s", family, c.UpTook.Seconds())
	creds, err := credentials.Load(filepath.Join(c.Dir, "credentials.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, Cluster: c, creds: creds, loads: new(int)}
	for _, ddl := range tables {
		c.Pelorus("schema", "apply", keyspace, "--sql", ddl)
	}
	c.Pelorus("sql", "--keyspace", keyspace, "-e", "ALTER VSCHEMA CREATE VINDEX hash USING hash; "+
		"ALTER VSCHEMA ON entry ADD VINDEX hash(id); ALTER VSCHEMA ON account ADD VINDEX hash(id)")
	db := c.DB(keyspace)
	c.WaitFor("the vschema at the gateway", func() error {
		var n int
		return db.QueryRow("SELECT COUNT(*) FROM entry WHERE id IN (1, 2, 3, 4)").Scan(&n)
	})
	return w
}

// in is the world of a subtest.
func (w *world) in(t *testing.T) *world {
	sub := *w
	sub.t, sub.Cluster = t, w.For(t)
	return &sub
}

// process finds a process by its name.
func (w *world) process(name string) devcluster.Process {
	w.t.Helper()
	for _, p := range w.Processes() {
		if p.Name == name {
			return p
		}
	}
	w.t.Fatalf("there is no process %s", name)
	return devcluster.Process{}
}

// primaries are the servers' processes of all primaries.
func (w *world) primaries() []devcluster.Process {
	w.t.Helper()
	list := w.Processes()
	reigns := map[string]bool{}
	for _, p := range list {
		if p.Role == devcluster.RoleTablet && p.TabletType == "primary" {
			reigns[p.Tablet] = true
		}
	}
	var out []devcluster.Process
	for _, p := range list {
		if p.Role == devcluster.RoleMysqld && reigns[p.Tablet] {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		w.t.Fatal("no shard has a primary")
	}
	return out
}

// server opens a pool of connections straight to a server, as the agents' account.
func (w *world) server(p devcluster.Process) *sql.DB {
	w.t.Helper()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd = "tcp", fmt.Sprintf("127.0.0.1:%d", p.Port), w.creds.DBA.User, w.creds.DBA.Password
	cfg.Logger = silent{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	w.t.Cleanup(func() { db.Close() })
	return db
}

// appConnections counts the gateways' connections to a server.
func appConnections(ctx context.Context, db *sql.DB) (n int, err error) {
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'pelorus_app'").Scan(&n)
	return n, err
}

// rss is the resident memory of a process in bytes.
func rss(t testing.TB, pid int) int {
	t.Helper()
	return procField(t, pid, "VmRSS:") << 10
}

// peak is the largest resident memory that a process ever had, in bytes.
func peak(t testing.TB, pid int) int {
	t.Helper()
	return procField(t, pid, "VmHWM:") << 10
}

func procField(t testing.TB, pid int, name string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatalf("read the memory of process %d: %v", pid, err)
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			n, err := strconv.Atoi(strings.Fields(string(rest))[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("process %d has no %s", pid, name)
	return 0
}

const mib = 1 << 20

// logSince returns what a process has logged since its log was size bytes long.
func logSince(t testing.TB, p devcluster.Process, size int64) string {
	t.Helper()
	b, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[min(int64(len(b)), size):])
}

func logSize(t testing.TB, p devcluster.Process) int64 {
	t.Helper()
	st, err := os.Stat(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

// silent is a driver's logger that says nothing: broken connections are what the tests are about.
type silent struct{}

func (silent) Print(...any) {}

// lasts keeps a fault up for d while the load goes on; it returns early when the load has failed.
func lasts(d time.Duration, l *load) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.failed:
	}
}
