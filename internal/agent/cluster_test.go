package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/pelorusdb/pelorus/internal/agent/mysqld"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/api/tabletv1/tabletv1connect"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
	"github.com/pelorusdb/pelorus/test/servers"
)

// shard is a shard of real servers with agents in this process, over a topology in memory.
type shard struct {
	t       *testing.T
	store   *mem.Store
	topo    *topo.Topo
	creds   credentials.Credentials
	tablets []*member
	// dir holds the tablets, credentials is the file, binary the server's program.
	dir, credentials, binary string
}

// member is one tablet of a test.
type member struct {
	t      *testing.T
	cfg    Config
	store  topo.Store
	stop   context.CancelFunc
	done   chan error
	client tabletv1connect.TabletServiceClient
}

func startShard(t *testing.T, family string, n int) *shard {
	t.Helper()
	s := &shard{t: t, store: mem.New(), creds: credentials.Generate()}
	s.topo = topo.New(s.store)
	dir := servers.TempDir(t)
	file := filepath.Join(dir, "credentials.yaml")
	if err := s.creds.Save(file); err != nil {
		t.Fatal(err)
	}
	s.dir, s.credentials, s.binary = dir, file, servers.Binary(t, family)
	for i := range n {
		m := s.add(i)
		m.start()
		t.Cleanup(func() {
			m.kill()
			if err := m.server().Kill(); err != nil {
				t.Error(err)
			}
		})
	}
	return s
}

// add makes a tablet, without starting it.
func (s *shard) add(i int) *member {
	t := s.t
	cfg := DefaultConfig()
	cfg.Alias, cfg.Keyspace, cfg.Shard = fmt.Sprintf("zone1-%d", 101+i), "shop", "-80"
	cfg.Dir, cfg.Credentials, cfg.Etcd = filepath.Join(s.dir, cfg.Alias), s.credentials, []string{"in memory"}
	cfg.Listen = "127.0.0.1:" + strconv.Itoa(servers.FreePort(t))
	cfg.ServerBinary, cfg.ServerPort, cfg.BufferPoolBytes = s.binary, servers.FreePort(t), 32<<20
	m := &member{t: t, cfg: cfg, store: s.store}
	m.client = tabletv1connect.NewTabletServiceClient(http.DefaultClient, "http://"+cfg.Listen)
	s.tablets = append(s.tablets, m)
	return m
}

func (m *member) start() {
	ctx, cancel := context.WithCancel(context.Background())
	m.stop, m.done = cancel, make(chan error, 1)
	log := slog.New(slog.NewTextHandler(testWriter{m.t}, &slog.HandlerOptions{Level: slog.LevelInfo}))
	go func() { m.done <- RunWith(ctx, m.cfg, log, Parts{Store: m.store}) }()
}

// kill ends the agent, and not its server.
func (m *member) kill() {
	if m.stop == nil {
		return
	}
	m.stop()
	if err := <-m.done; err != nil {
		m.t.Errorf("agent %s: %v", m.cfg.Alias, err)
	}
	m.stop = nil
}

func (m *member) server() *mysqld.Server {
	m.t.Helper()
	srv, err := mysqld.New(context.Background(), mysqld.Config{
		Dir: filepath.Join(m.cfg.Dir, "server"), Binary: m.cfg.ServerBinary, Port: m.cfg.ServerPort, Bind: "127.0.0.1", ServerID: 1,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return srv
}

type testWriter struct{ t *testing.T }

var logMu sync.Mutex

func (w testWriter) Write(b []byte) (int, error) {
	logMu.Lock()
	defer logMu.Unlock()
	w.t.Logf("%s", b)
	return len(b), nil
}

func (s *shard) setPrimary(term uint64, primary string) {
	s.t.Helper()
	ctx := s.t.Context()
	if term == 1 {
		if err := s.topo.CreateKeyspace(ctx, &topov1.Keyspace{Name: proto.String("shop")}); err != nil {
			s.t.Fatal(err)
		}
		if err := s.topo.CreateShard(ctx, &topov1.Shard{Keyspace: proto.String("shop"), Name: proto.String("-80")}); err != nil {
			s.t.Fatal(err)
		}
	}
	err := s.topo.UpdateShard(ctx, "shop", "-80", func(rec *topov1.Shard) error {
		rec.Term, rec.Primary, rec.Serving = &term, &primary, proto.Bool(true)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (m *member) status() *tabletv1.FullStatus {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := m.client.GetFullStatus(ctx, connect.NewRequest(&tabletv1.GetFullStatusRequest{}))
	if err != nil {
		return nil
	}
	return r.Msg.GetStatus()
}

// wait watches a tablet's status until it satisfies cond.
func (m *member) wait(what string, cond func(*tabletv1.FullStatus) bool) *tabletv1.FullStatus {
	m.t.Helper()
	last, ok := m.watch(cond, 60*time.Second)
	if !ok {
		m.t.Fatalf("%s: waited for: %s\nlast status: %v", m.cfg.Alias, what, last)
	}
	return last
}

// soon says whether the status satisfies cond within ten seconds.
func (m *member) soon(cond func(*tabletv1.FullStatus) bool) bool {
	_, ok := m.watch(cond, 10*time.Second)
	return ok
}

// watch returns the first status that satisfies cond, or the last one and false.
func (m *member) watch(cond func(*tabletv1.FullStatus) bool, limit time.Duration) (last *tabletv1.FullStatus, ok bool) {
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		if last = m.status(); last != nil && cond(last) {
			return last, true
		}
		<-tick.C
	}
	return last, false
}

func writable(s *tabletv1.FullStatus) bool {
	return s.GetServer().ReadOnly != nil && !s.GetServer().GetReadOnly() && !s.GetServer().GetOfflineMode()
}

func replicating(from *member, acks bool) func(*tabletv1.FullStatus) bool {
	return func(s *tabletv1.FullStatus) bool {
		r := s.GetReplication()
		return s.GetServer().GetReadOnly() && !s.GetServer().GetOfflineMode() && r.GetConfigured() && r.GetSourcePort() == uint32(from.cfg.ServerPort) &&
			r.GetReceiver() == "Yes" && r.GetApplier() == "Yes" && s.GetSemiSync().GetReplicaActive() == acks
	}
}

// app connects to the tablet's server as gateways do.
func (s *shard) app(m *member, database string) (*client.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return client.Dial(ctx, client.Config{
		Network: "tcp", Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(m.cfg.ServerPort)), User: s.creds.App.User, Password: s.creds.App.Password, Database: database,
	})
}

func (s *shard) mustExec(m *member, statements ...string) {
	s.t.Helper()
	c, err := s.app(m, "shop")
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, sql := range statements {
		if _, err := c.Exec(ctx, sql); err != nil {
			s.t.Fatalf("%s on %s: %v", sql, m.cfg.Alias, err)
		}
	}
}

func (s *shard) count(m *member) string {
	c, err := s.app(m, "shop")
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	_, rows, err := c.QueryAll(context.Background(), "SELECT COUNT(*) FROM t")
	if err != nil {
		return err.Error()
	}
	return rows[0][0].String()
}
