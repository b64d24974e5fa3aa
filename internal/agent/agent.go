package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/agent/mysqld"
	"github.com/pelorusdb/pelorus/internal/agent/repl"
	"github.com/pelorusdb/pelorus/internal/agent/resolve"
	"github.com/pelorusdb/pelorus/internal/agent/status"
	"github.com/pelorusdb/pelorus/internal/api/presence"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
	"github.com/pelorusdb/pelorus/internal/topo/etcd"
)

const (
	// registerPause is between two attempts to register while the topology cannot be reached.
	registerPause = time.Second
	// topoTime bounds one request to the topology.
	topoTime = 5 * time.Second
)

// Parts are what others contribute to an agent. All may be nil.
type Parts struct {
	// Store replaces the etcd that the configuration names.
	Store topo.Store
}

// Agent looks after one server.
type Agent struct {
	cfg   Config
	creds credentials.Credentials
	log   *slog.Logger
	topo  *topo.Topo
	parts Parts

	// srv is nil for an adopted server.
	srv *mysqld.Server
	db  *dba.DB
	// op admits one operation on the server at a time.
	op chan struct{}
	// died tells that the server's process has just ended.
	died chan struct{}
	// wake asks for a look at server and topology now.
	wake chan struct{}

	redo    *resolve.Resolver
	reader  *status.Reader
	hub     *status.Hub
	metrics *metrics
	started time.Time
	vitals  *vitals
	// hidden are the fields of the status that nobody is told.
	hidden []presence.Path

	mu sync.Mutex
	// repl is nil until the server has answered once.
	repl *repl.Repl
	// granted is the database on which accounts have their rights.
	granted  string
	view     *topo.ShardView
	keyspace *topov1.Keyspace
	state    state
	// own is what the agent believes its server to be.
	own topov1.TabletType
	// decided says that own and fenceReason are known.
	decided bool
	// fenceReason is why the server is held closed; empty when it is not.
	fenceReason string
	// down says that the server was told to stay down while this agent lives.
	down    bool
	primary string
	// ready says that the server plays the role that the topology gives it.
	ready     bool
	lastError string
}

// Run is the role's main: it returns when ctx ends, without touching the server, or when the agent cannot work at all.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	return RunWith(ctx, cfg, log, Parts{})
}

// RunWith is Run with parts that others contribute.
func RunWith(ctx context.Context, cfg Config, log *slog.Logger, parts Parts) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("the tablet's configuration is wrong: %w", err)
	}
	unlock, err := lockDir(cfg.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	a, err := newAgent(ctx, cfg, log, parts)
	if err != nil {
		return err
	}
	defer a.db.Close()
	if parts.Store == nil {
		store, err := etcd.Open(etcd.Config{Endpoints: cfg.Etcd, Prefix: cfg.Prefix, Logger: log})
		if err != nil {
			return err
		}
		defer store.Close()
		parts.Store = store
	}
	a.topo = topo.New(parts.Store).WithLogger(log)
	a.redo = a.newResolver()
	defer a.redo.Close()
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for the agent's service: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.serve(ctx, listener) })
	group.Go(func() error { a.register(ctx, listener); return nil })
	group.Go(func() error { a.followTopology(ctx); return nil })
	group.Go(func() error { a.keep(ctx); return nil })
	group.Go(func() error { a.observe(ctx); return nil })
	group.Go(func() error { a.beat(ctx); return nil })
	group.Go(func() error { a.vitals.watchClock(ctx); return nil })
	group.Go(func() error { a.redo.Run(ctx); return nil })
	if a.srv != nil {
		group.Go(func() error { a.watchDisk(ctx, a.cfg.Dir); return nil })
		group.Go(func() error { a.watchServer(ctx); return nil })
	}
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func newAgent(ctx context.Context, cfg Config, log *slog.Logger, parts Parts) (*Agent, error) {
	creds, err := credentials.Load(cfg.Credentials)
	if err != nil {
		return nil, err
	}
	hidden, err := presence.ParsePaths(&tabletv1.FullStatus{}, cfg.HideStatusFields)
	if err != nil {
		return nil, err
	}
	st, err := loadState(cfg.Dir)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		cfg: cfg, creds: creds, log: log.With("tablet", cfg.Alias), parts: parts, state: st, started: time.Now(),
		op: make(chan struct{}, 1), wake: make(chan struct{}, 1), died: make(chan struct{}, 1), hub: status.NewHub(), vitals: newVitals(), hidden: hidden,
	}
	// Where an adopted server keeps its data is not known, so its disk is not either.
	network, addr, dir := "unix", cfg.Adopt, ""
	if cfg.Adopt == "" {
		_, uid, err := topo.ParseAlias(cfg.Alias)
		if err != nil {
			return nil, err
		}
		a.srv, err = mysqld.New(ctx, mysqld.Config{
			Dir: filepath.Join(cfg.Dir, "server"), Binary: cfg.ServerBinary, Port: cfg.ServerPort, Bind: cfg.ServerBind,
			ServerID: uid, ReportHost: cfg.Host, BufferPoolBytes: cfg.BufferPoolBytes, PerformanceSchema: cfg.PerformanceSchema,
			Extra: cfg.ServerOptions,
		})
		if err != nil {
			return nil, err
		}
		addr, dir = a.srv.Socket(), a.srv.Dir()
	} else if !strings.HasPrefix(cfg.Adopt, "/") {
		network = "tcp"
	}
	a.db = dba.Open(dba.Config{Network: network, Addr: addr, User: creds.DBA.User, Password: creds.DBA.Password})
	a.reader = status.NewReader(a.db, dir, creds.App.User)
	a.metrics = newMetrics(prometheus.NewRegistry(), cfg)
	return a, nil
}

// lockDir keeps two agents off one directory.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the tablet's directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "agent.lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("lock the tablet's directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another agent works in %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

// register puts the tablet's record, and tries until it could.
func (a *Agent) register(ctx context.Context, l net.Listener) {
	rec, err := a.record(l)
	if err != nil {
		a.log.Error("the tablet cannot be registered", "error", err)
		return
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, topoTime)
		_, err := a.topo.RegisterTablet(attempt, rec)
		cancel()
		if err == nil {
			a.log.Info("tablet_registered", "keyspace", a.cfg.Keyspace, "shard", a.cfg.Shard)
			return
		}
		a.log.Warn("the tablet could not be registered; trying again", "error", err)
		if !pause(ctx, registerPause) {
			return
		}
	}
}

func (a *Agent) record(l net.Listener) (*topov1.Tablet, error) {
	cell, uid, err := topo.ParseAlias(a.cfg.Alias)
	if err != nil {
		return nil, err
	}
	typ, err := ParseType(a.cfg.Type)
	if err != nil {
		return nil, err
	}
	rec := &topov1.Tablet{
		Alias: &a.cfg.Alias, Cell: &cell, Uid: &uid, Keyspace: &a.cfg.Keyspace, Shard: &a.cfg.Shard, Type: &typ,
		Host: &a.cfg.Host, MysqlPort: proto.Uint32(uint32(a.cfg.ServerPort)),
		AgentPort: proto.Uint32(uint32(l.Addr().(*net.TCPAddr).Port)), RegisteredAt: timestamppb.Now(),
	}
	if a.srv != nil {
		rec.Flavor, rec.ServerVersion = proto.String(a.srv.Binary().Family), proto.String(a.srv.Binary().Version)
		rec.MysqlSocket = proto.String(a.srv.Socket())
	} else if _, port, err := net.SplitHostPort(a.cfg.Adopt); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			rec.MysqlPort = proto.Uint32(uint32(n))
		}
	}
	return rec, nil
}

// followTopology keeps the last view of the shard. While the topology is away the last view stays.
func (a *Agent) followTopology(ctx context.Context) {
	for view := range a.topo.WatchShard(ctx, a.cfg.Keyspace, a.cfg.Shard) {
		read, cancel := context.WithTimeout(ctx, topoTime)
		keyspace, _, err := a.topo.Keyspace(read, a.cfg.Keyspace)
		cancel()
		a.mu.Lock()
		a.view = view
		if err == nil {
			a.keyspace = keyspace
		}
		a.mu.Unlock()
		a.look()
	}
}

// look asks for a look at server and topology now.
func (a *Agent) look() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// begin waits for the operation before to end. The caller must call the returned function.
func (a *Agent) begin(ctx context.Context) (end func(), err error) {
	select {
	case a.op <- struct{}{}:
		return func() { <-a.op }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another operation on the server: %w", ctx.Err())
	}
}

// pause waits and says whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// database is the keyspace's database on the server.
func (a *Agent) database() string {
	if a.cfg.DBName != "" {
		return a.cfg.DBName
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if name := a.keyspace.GetDbName(); name != "" {
		return name
	}
	return a.cfg.Keyspace
}

func (a *Agent) currentRepl() (*repl.Repl, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.repl == nil {
		return nil, errors.New("the server has not answered yet")
	}
	return a.repl, nil
}

// stopped notes whether the server has to stay down, and whether later agents have to know it.
func (a *Agent) stopped(down, keep bool) error {
	a.mu.Lock()
	a.down = down
	a.mu.Unlock()
	return a.change(func(st *state) { st.Stopped = keep })
}

// change edits the agent's memory and writes it down before anybody acts on it.
func (a *Agent) change(edit func(*state)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := a.state
	edit(&next)
	if next == a.state {
		return nil
	}
	if err := next.save(a.cfg.Dir); err != nil {
		return err
	}
	a.state = next
	return nil
}
