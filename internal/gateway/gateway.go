// Package gateway is the role that applications connect to: it speaks the MySQL protocol, and sends each statement
// straight to the servers that hold its rows. It keeps no state that outlives it.
//
// It does not decide who is primary, does not talk to agents, and starts no server.
package gateway

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/budget"
	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/plancache"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/prepared"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/session"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/internal/gateway/variables"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
	"github.com/pelorusdb/pelorus/internal/topo/etcd"
)

// Run serves clients until ctx ends.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	creds := credentials.Credentials{App: credentials.Login{User: "pelorus_app"}}
	if cfg.CredentialsFile != "" {
		var err error
		if creds, err = credentials.Load(cfg.CredentialsFile); err != nil {
			return err
		}
	}
	store, err := etcd.Open(etcd.Config{Endpoints: cfg.Etcd, Prefix: cfg.Prefix, Logger: log})
	if err != nil {
		return err
	}
	defer store.Close()
	limitHeap(cfg.memory(), log)
	g := newGateway(cfg, creds, topo.New(store).WithLogger(log), log)
	return g.run(ctx)
}

func newGateway(cfg Config, creds credentials.Credentials, t *topo.Topo, log *slog.Logger) *gateway {
	return &gateway{
		cfg: cfg, log: log, creds: creds, topo: t, reg: prometheus.NewRegistry(), accounts: accounts{known: make(chan struct{})},
		memory: budget.New(int64(cfg.memory()/2), memoryWait), queue: route.NewQueue(cfg.HeldStatements, cfg.HeldBytes), cut: newCut(),
	}
}

type gateway struct {
	cfg      Config
	log      *slog.Logger
	creds    credentials.Credentials
	topo     *topo.Topo
	reg      *prometheus.Registry
	targets  *target.Watcher
	accounts accounts
	shared   *session.Shared
	memory   *budget.Budget // for large statements
	queue    *route.Queue   // of statements that wait for a primary
	cut      *prometheus.CounterVec
	conns    atomic.Int64
	ready    atomic.Bool
}

func (g *gateway) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	lis, err := net.Listen("tcp", g.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	defer lis.Close()
	g.targets = target.NewWatcher(g.topo, target.Config{NewPool: g.newPool, Log: g.log})
	defer g.targets.Close()
	wg.Go(func() { g.targets.Run(ctx) })
	wg.Go(func() { g.accounts.follow(ctx, g.topo) })
	stopHTTP, err := g.serveHTTP()
	if err != nil {
		return err
	}
	defer stopHTTP()
	if err := g.prepare(ctx); err != nil || g.shared == nil {
		return err
	}
	defer g.shared.Backend.Committer.Close()
	wg.Go(func() { g.shared.Clients.Run(ctx, g.cfg.QueryTimeout) })
	wg.Go(func() { g.relieve(ctx) })
	g.ready.Store(true)
	g.log.Info("gateway serves", "listen", lis.Addr().String(), "version", g.shared.Version)
	stop := context.AfterFunc(ctx, func() { _ = lis.Close() })
	defer stop()
	return g.accept(ctx, lis, &wg)
}

// newPool makes the pool of connections to one server's database.
func (g *gateway) newPool(addr, socket, db string) *pool.Pool {
	return pool.New(pool.Config{
		Dial: client.Config{
			Addr: addr, Socket: socket, User: g.creds.App.User, Password: g.creds.App.Password, Database: db,
			LocalFiles: true, ConnectTimeout: 5 * time.Second, MaxPacket: 1 << 30,
			Attrs: map[string]string{"program_name": "pelorus-gateway"},
		},
		Max: g.cfg.PoolSize, Wait: g.cfg.PoolWait, IdleTimeout: g.cfg.PoolIdle, MaxHandles: 50,
	})
}

// prepare waits until the servers' version is known, unless one is configured, and makes what sessions share.
func (g *gateway) prepare(ctx context.Context) error {
	version, flavor := g.cfg.Version, ""
	for {
		changed := g.targets.Changed()
		snap := g.targets.Current()
		if snap.ServerVersion != "" {
			flavor = snap.Flavor
			if version == "" {
				version = announced(snap.ServerVersion, snap.Flavor)
			}
			break
		}
		if version != "" {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
	if !g.accounts.await(ctx) {
		return nil
	}
	mariaDB := flavor == "mariadb" || flavor == "" && strings.Contains(version, "MariaDB")
	server, err := g.serverConfig(version, mariaDB)
	if err != nil {
		return err
	}
	reg, plans := clients.New(), plancache.New()
	g.shared = &session.Shared{
		Backend: &backend.Config{
			Targets: g.targets, Sequences: exec.NewSequences(), Committer: txn.NewCommitter(g.log, txn.Hooks{}),
			Merge: exec.Limits{MaxRows: g.cfg.MergeRows, MaxBytes: g.cfg.MergeBytes}, MaxRedoBytes: 24 << 20,
			Memory: g.memory, Queue: g.queue, WaitPrimary: g.cfg.WaitPrimary, MariaDB: mariaDB, Log: g.log,
		},
		Targets: g.targets, Plans: plans, Scopes: route.NewScopes(),
		Prepared:  &prepared.Config{Table: prepared.NewTable(), Max: 16_382, MaxLong: g.cfg.MaxPacket, MariaDB: mariaDB},
		Variables: &variables.Config{Settings: settings.NewTable(), MaxUser: 10_000, IdleTimeout: g.cfg.IdleTimeout, MariaDB: mariaDB},
		Clients:   reg, Server: server,
		Metrics: session.NewMetrics(g.reg, reg, plans), Admin: g, May: g.accounts.may, Rights: g.accounts.rights,
		Limits: session.Limits{
			MaxPacket: g.cfg.MaxPacket, WriteTimeout: g.cfg.WriteTimeout,
			QueryTimeout: g.cfg.QueryTimeout,
		},
		Cell: g.cfg.Cell, MariaDB: mariaDB, Version: version, Log: g.log,
	}
	return nil
}

// announced is the version string that clients see: the servers' own with a suffix.
func announced(version, flavor string) string {
	if flavor == "mariadb" {
		v, _, _ := strings.Cut(strings.TrimPrefix(version, "5.5.5-"), "-")
		if strings.HasPrefix(v, "10.") {
			return "5.5.5-" + v + "-MariaDB-pelorus"
		}
		return v + "-MariaDB-pelorus"
	}
	v, _, _ := strings.Cut(version, "-")
	return v + "-pelorus"
}

func (g *gateway) serverConfig(version string, mariaDB bool) (*wire.ServerConfig, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make the key for passwords: %w", err)
	}
	caps := wire.ClientMySQL | wire.ClientFoundRows | wire.ClientLongFlag | wire.ClientConnectWithDB | wire.ClientNoSchema |
		wire.ClientLocalFiles | wire.ClientIgnoreSpace | wire.ClientProtocol41 | wire.ClientInteractive | wire.ClientTransactions |
		wire.ClientSecureConnection | wire.ClientMultiStatements | wire.ClientMultiResults | wire.ClientPSMultiResults |
		wire.ClientPluginAuth | wire.ClientConnectAttrs | wire.ClientPluginAuthLenenc | wire.ClientSessionTrack | wire.ClientDeprecateEOF |
		wire.ClientCompress
	sc := &wire.ServerConfig{
		Version: version, Charset: 45, DefaultAuth: wire.PluginSHA2, RSAKey: key, AllowCleartextOverUnix: true,
		Auth: &g.accounts, Admit: g.admit, HandshakeTimeout: 10 * time.Second,
	}
	if mariaDB {
		caps &^= wire.ClientMySQL // the sign of MariaDB
		sc.DefaultAuth = wire.PluginNative
	} else {
		caps |= wire.ClientQueryAttributes
	}
	sc.Caps = caps
	if g.cfg.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(g.cfg.TLSCert, g.cfg.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("load the certificate for clients: %w", err)
		}
		sc.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		sc.Caps |= wire.ClientSSL
	}
	return sc, nil
}

// admit refuses a login to a keyspace or shard that does not exist or that the user may not use.
func (g *gateway) admit(l *wire.Login) error {
	if l.Database == "" {
		return nil
	}
	if err := g.shared.Admit(l.User, l.Database); err != nil {
		return mysqlError(err)
	}
	return nil
}

func mysqlError(err error) *wire.MySQLError {
	e := errcode.Force(err)
	return &wire.MySQLError{Errno: e.Errno(), State: e.State(), Message: e.Error()}
}

// accept serves each client in a goroutine of its own.
func (g *gateway) accept(ctx context.Context, lis net.Listener, wg *sync.WaitGroup) error {
	for {
		nc, err := lis.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			var ne net.Error
			if errors.As(err, &ne) || isTooManyFiles(err) {
				g.log.Warn("can't accept a client", "error", err)
				if !pause(ctx, 50*time.Millisecond) {
					return nil
				}
				continue
			}
			return fmt.Errorf("accept clients: %w", err)
		}
		if n := g.conns.Add(1); n > int64(g.cfg.MaxConnections) {
			g.conns.Add(-1)
			refuse(nc, errcode.New(errcode.TooManyConnections, g.cfg.MaxConnections))
			continue
		}
		wg.Go(func() {
			defer g.conns.Add(-1)
			defer g.recovered(nc)
			session.Serve(ctx, nc, g.shared)
		})
	}
}

// recovered keeps a fault in one session from ending the others.
func (g *gateway) recovered(nc net.Conn) {
	if v := recover(); v != nil {
		g.log.Error("a session ended by a fault", "panic", v, "remote", nc.RemoteAddr(), "stack", stack())
		_ = nc.Close()
	}
}

// refuse tells a client why it is not served, in place of a greeting.
func refuse(nc net.Conn, err error) {
	_ = nc.SetDeadline(time.Now().Add(time.Second))
	c := wire.NewConn(nc, 0)
	_ = c.WritePacket(wire.AppendErr(nil, mysqlError(err)))
	_ = c.Flush()
	_ = nc.Close()
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
