// Package reparent takes shards of real servers through their reigns by the control API, as an operator does.
package reparent

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/agent"
	"github.com/pelorusdb/pelorus/internal/agent/mysqld"
	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/controlv1/controlv1connect"
	"github.com/pelorusdb/pelorus/internal/control"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/orch/fleet"
	orch "github.com/pelorusdb/pelorus/internal/orch/reparent"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
	"github.com/pelorusdb/pelorus/test/servers"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// cluster is one shard of real servers with their agents and a control node in this process.
type cluster struct {
	t       *testing.T
	store   *mem.Store
	creds   credentials.Credentials
	tablets map[string]*tablet
	shards  controlv1connect.ShardServiceClient
	cluster controlv1connect.ClusterServiceClient
	schema  controlv1connect.KeyspaceServiceClient
}

type tablet struct {
	cfg  agent.Config
	stop context.CancelFunc
	done chan error
}

const a, b, c = "zone1-101", "zone1-102", "zone1-103"

func start(t *testing.T, family string) *cluster {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	cl := &cluster{t: t, store: mem.New(), creds: credentials.Generate(), tablets: make(map[string]*tablet)}
	t.Cleanup(func() { cl.store.Close() })
	tp := topo.New(cl.store).WithLogger(log)
	dialer := fleet.NewDialer()
	t.Cleanup(dialer.Close)
	watch := fleet.New(tp, dialer, log)
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() { defer close(watched); watch.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-watched })
	srv := httptest.NewServer(control.New(control.Parts{
		Topo: tp, Fleet: watch, Agents: dialer, Log: log,
		Reparenter: &orch.Reparenter{Topo: tp, Agents: dialer, Owner: "test", Log: log},
	}).Handler())
	t.Cleanup(srv.Close)
	cl.shards = controlv1connect.NewShardServiceClient(srv.Client(), srv.URL)
	cl.cluster = controlv1connect.NewClusterServiceClient(srv.Client(), srv.URL)
	cl.schema = controlv1connect.NewKeyspaceServiceClient(srv.Client(), srv.URL)

	dir := servers.TempDir(t)
	file := filepath.Join(dir, "credentials.yaml")
	if err := cl.creds.Save(file); err != nil {
		t.Fatal(err)
	}
	for _, alias := range []string{a, b, c} {
		cfg := agent.DefaultConfig()
		cfg.Alias, cfg.Keyspace, cfg.Shard, cfg.Dir = alias, "shop", "0", filepath.Join(dir, alias)
		cfg.Credentials, cfg.Etcd = file, []string{"in memory"}
		cfg.Listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(servers.FreePort(t)))
		cfg.ServerBinary, cfg.ServerPort, cfg.BufferPoolBytes = servers.Binary(t, family), servers.FreePort(t), 32<<20
		cl.tablets[alias] = &tablet{cfg: cfg}
		cl.startAgent(alias)
		t.Cleanup(func() { cl.stopAgent(alias); cl.killServer(alias) })
	}
	return cl
}

func (cl *cluster) startAgent(alias string) {
	tb := cl.tablets[alias]
	ctx, cancel := context.WithCancel(context.Background())
	tb.stop, tb.done = cancel, make(chan error, 1)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	go func() { tb.done <- agent.RunWith(ctx, tb.cfg, log, agent.Parts{Store: cl.store}) }()
}

func (cl *cluster) stopAgent(alias string) {
	tb := cl.tablets[alias]
	if tb.stop == nil {
		return
	}
	tb.stop()
	if err := <-tb.done; err != nil {
		cl.t.Errorf("agent %s: %v", alias, err)
	}
	tb.stop = nil
}

func (cl *cluster) killServer(alias string) {
	cl.t.Helper()
	cfg := cl.tablets[alias].cfg
	srv, err := mysqld.New(context.Background(), mysqld.Config{
		Dir: filepath.Join(cfg.Dir, "server"), Binary: cfg.ServerBinary, Port: cfg.ServerPort, Bind: "127.0.0.1", ServerID: 1,
	})
	if err != nil {
		cl.t.Fatal(err)
	}
	if err := srv.Kill(); err != nil {
		cl.t.Error(err)
	}
}

// exec runs a statement on a tablet's server as an application does.
func (cl *cluster) exec(alias, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := cl.dial(ctx, alias)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Exec(ctx, sql)
	return err
}

func (cl *cluster) dial(ctx context.Context, alias string) (*client.Conn, error) {
	return client.Dial(ctx, client.Config{
		Network: "tcp", Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(cl.tablets[alias].cfg.ServerPort)),
		User: cl.creds.App.User, Password: cl.creds.App.Password, Database: "shop",
	})
}

func (cl *cluster) count(alias string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := cl.dial(ctx, alias)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_, rows, err := conn.QueryAll(ctx, "SELECT COUNT(*) FROM t")
	if err != nil {
		return err.Error()
	}
	return rows[0][0].String()
}

// await waits for a condition of real servers.
func (cl *cluster) await(what string, ok func() bool) {
	cl.t.Helper()
	ctx, cancel := context.WithTimeout(cl.t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			resp, err := cl.cluster.GetStatus(context.Background(), connect.NewRequest(&controlv1.GetStatusRequest{}))
			cl.t.Fatalf("never: %s\nstatus: %v, %v", what, resp, err)
		}
	}
}

// wellWith says whether the shard is healthy under a primary, with n tablets.
func (cl *cluster) wellWith(primary string, n int) bool {
	resp, err := cl.cluster.GetStatus(cl.t.Context(), connect.NewRequest(&controlv1.GetStatusRequest{}))
	if err != nil || len(resp.Msg.GetKeyspaces()) != 1 || len(resp.Msg.GetKeyspaces()[0].GetShards()) != 1 {
		return false
	}
	s := resp.Msg.GetKeyspaces()[0].GetShards()[0]
	return s.GetHealth() == controlv1.Health_HEALTH_OK && s.GetShard().GetPrimary() == primary && len(s.GetTablets()) == n
}

func (cl *cluster) report(what string, began time.Time, steps []*controlv1.Step, err error) {
	cl.t.Helper()
	for _, s := range steps {
		cl.t.Logf("  %-14s %-10s %-60s %v %s", s.GetName(), s.GetTarget(), s.GetDetail(), s.GetDuration().AsDuration().Round(time.Millisecond), s.GetError())
	}
	if err != nil {
		cl.t.Fatalf("%s: %v", what, err)
	}
	cl.t.Logf("%s took %v", what, time.Since(began).Round(time.Millisecond))
}

func TestReigns(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			cl := start(t, family)
			ctx := t.Context()
			_, err := cl.schema.CreateKeyspace(ctx, connect.NewRequest(&controlv1.CreateKeyspaceRequest{Name: proto.String("shop"), Shards: []string{"0"}}))
			if err != nil {
				t.Fatal(err)
			}
			cl.first()
			if err := cl.exec(a, "INSERT INTO t VALUES (1), (2), (3)"); err != nil {
				t.Fatal(err)
			}
			cl.planned(a, b)
			cl.emergency(b, c)
			// The lost tablet comes back and follows.
			cl.startAgent(b)
			cl.await("the return of the lost tablet", func() bool { return cl.wellWith(c, 3) })
			cl.await("all rows on all servers", func() bool { return cl.count(a) == "5" && cl.count(b) == "5" && cl.count(c) == "5" })
		})
	}
}

// first initialises the shard as soon as all servers answer, and makes a table.
func (cl *cluster) first() {
	cl.t.Helper()
	ctx, began := cl.t.Context(), time.Now()
	var steps []*controlv1.Step
	var last error
	cl.await("the first reign", func() bool {
		resp, err := cl.shards.InitShard(ctx, connect.NewRequest(&controlv1.InitShardRequest{Keyspace: proto.String("shop"), Name: proto.String("0")}))
		if last = err; err != nil {
			return false
		}
		steps = resp.Msg.GetSteps()
		return true
	})
	cl.report("first reign", began, steps, last)
	cl.await("a healthy shard", func() bool { return cl.wellWith(a, 3) })
	resp, err := cl.schema.ApplySchema(ctx, connect.NewRequest(&controlv1.ApplySchemaRequest{
		Keyspace: proto.String("shop"), Sql: proto.String("CREATE TABLE t (id INT PRIMARY KEY)"),
	}))
	if err != nil || !resp.Msg.GetComplete() {
		cl.t.Fatalf("schema: %v, %v", resp, err)
	}
}

func (cl *cluster) planned(from, to string) {
	cl.t.Helper()
	began := time.Now()
	resp, err := cl.shards.ReparentPlanned(cl.t.Context(), connect.NewRequest(&controlv1.ReparentPlannedRequest{
		Keyspace: proto.String("shop"), Name: proto.String("0"), NewPrimary: &to,
	}))
	var steps []*controlv1.Step
	if err == nil {
		steps = resp.Msg.GetSteps()
	}
	cl.report("planned reparent", began, steps, err)
	if err := cl.exec(to, "INSERT INTO t VALUES (4)"); err != nil {
		cl.t.Errorf("a write on the new primary: %v", err)
	}
	if err := cl.exec(from, "INSERT INTO t VALUES (99)"); err == nil {
		cl.t.Error("the old primary takes a write")
	}
	cl.await("a healthy shard", func() bool { return cl.wellWith(to, 3) })
}

// emergency loses the primary's whole host and replaces it.
func (cl *cluster) emergency(lost, to string) {
	cl.t.Helper()
	cl.stopAgent(lost)
	cl.killServer(lost)
	began := time.Now()
	resp, err := cl.shards.ReparentEmergency(cl.t.Context(), connect.NewRequest(&controlv1.ReparentEmergencyRequest{
		Keyspace: proto.String("shop"), Name: proto.String("0"), NewPrimary: &to, Timeout: durationpb.New(20 * time.Second),
	}))
	var steps []*controlv1.Step
	if err == nil {
		steps = resp.Msg.GetSteps()
	}
	cl.report("emergency reparent", began, steps, err)
	if got := cl.count(to); got != "4" {
		cl.t.Errorf("the new primary has %s rows, want 4", got)
	}
	if err := cl.exec(to, "INSERT INTO t VALUES (5)"); err != nil {
		cl.t.Errorf("a write on the new primary: %v", err)
	}
}
