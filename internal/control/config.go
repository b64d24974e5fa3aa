// Package control is the API of the cluster: it authorises, checks and performs what operators ask for, by the topology and
// the agents, and shows what the fleet reports.
//
// It keeps no state of its own, so any number of control nodes may run, and it is in no query's path. Who reigns is decided
// by package recovery; control acts only when somebody asks.
package control

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/obs"
	"github.com/pelorusdb/pelorus/internal/orch/fleet"
	"github.com/pelorusdb/pelorus/internal/orch/reparent"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/etcd"
	"github.com/pelorusdb/pelorus/internal/workflow/run"
)

// Config is the configuration of the control role. Make one with DefaultConfig.
type Config struct {
	// Listen is where gRPC, Connect, JSON, the web page, /healthz and /metrics are served: HOST:PORT.
	Listen string
	// Etcd lists the endpoints of the topology; Prefix is the cluster's, empty for the usual one.
	Etcd   []string
	Prefix string
	// TokenFile, if set, holds a secret that every caller must send as bearer token or as password.
	TokenFile string
	// Name tells this node from others, in locks and logs; host and port unless set.
	Name string
}

// DefaultConfig returns the configuration of a local cluster.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:15000", Etcd: []string{"http://127.0.0.1:15379"}}
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return errcode.Wrap(errcode.BadConfig, err, fmt.Sprintf("listen address %q must be HOST:PORT", c.Listen))
	}
	if err := (etcd.Config{Endpoints: c.Etcd, Prefix: c.Prefix}).Validate(); err != nil {
		return errcode.Wrap(errcode.BadConfig, err, "topology")
	}
	return nil
}

// maxToken bounds the token's file.
const maxToken = 4096

// token reads the secret; empty without a file.
func (c Config) token() (string, error) {
	if c.TokenFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(c.TokenFile)
	if err != nil {
		return "", errcode.Wrap(errcode.BadConfig, err, "the token cannot be read")
	}
	b = bytes.TrimSpace(b)
	if len(b) < 16 || len(b) > maxToken {
		return "", errcode.New(errcode.BadConfig, fmt.Sprintf("the token in %s must have 16 to %d bytes", c.TokenFile, maxToken))
	}
	return string(b), nil
}

// Run runs a control node until ctx ends.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	token, err := cfg.token()
	if err != nil {
		return err
	}
	store, err := etcd.Open(etcd.Config{Endpoints: cfg.Etcd, Prefix: cfg.Prefix, Logger: log})
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	defer store.Close()
	tp := topo.New(store).WithLogger(log)

	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("control: listen on %s: %w", cfg.Listen, err)
	}
	name := cfg.Name
	if name == "" {
		host, _ := os.Hostname() // an empty host leaves the port as the name
		name = "control " + host + " " + ln.Addr().String()
	}
	dialer := fleet.NewDialer()
	defer dialer.Close()
	watch := fleet.New(tp, dialer, log)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { watch.Run(ctx) })

	reparenter := &reparent.Reparenter{Topo: tp, Agents: dialer, Owner: name, Log: log}
	wg.Go(func() { reparenter.Run(ctx) })
	workflows, err := run.New(run.Config{Topo: tp, Owner: name, Log: log})
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	wg.Go(func() { workflows.Run(ctx) })
	srv := New(Parts{Topo: tp, Fleet: watch, Agents: dialer, Log: log, Token: token, Reparenter: reparenter, Workflows: workflows})
	log.InfoContext(ctx, "control ready", "listen", ln.Addr().String(), "name", name)
	if err := obs.Serve(ctx, ln, srv.Handler()); err != nil {
		return fmt.Errorf("control: serve on %s: %w", cfg.Listen, err)
	}
	return nil
}
