package embed_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/etcd"
	"github.com/pelorusdb/pelorus/internal/topo/etcd/embed"
	"github.com/pelorusdb/pelorus/internal/topo/topotest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// freePorts finds two ports on 127.0.0.1 that nobody listens on.
func freePorts(t *testing.T) (int, int) {
	t.Helper()
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1]
}

func config(t *testing.T) embed.Config {
	cfg := embed.DefaultConfig()
	cfg.DataDir = filepath.Join(t.TempDir(), "topo")
	cfg.ClientPort, cfg.PeerPort = freePorts(t)
	return cfg
}

func start(t *testing.T, cfg embed.Config) *embed.Node {
	t.Helper()
	began := time.Now()
	node, err := embed.Start(t.Context(), cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("etcd ready after %s", time.Since(began).Round(time.Millisecond))
	return node
}

func open(t *testing.T, cfg embed.Config, prefix string) *etcd.Store {
	t.Helper()
	s, err := etcd.Open(etcd.Config{Endpoints: []string{cfg.Endpoint()}, Prefix: prefix, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	cfg := config(t)
	node := start(t, cfg)
	defer node.Stop()
	var n atomic.Int64
	topotest.Run(t, func(t *testing.T) topotest.Harness {
		s := open(t, cfg, fmt.Sprintf("/suite%d", n.Add(1)))
		return topotest.Harness{Store: s, Compact: s.Compact}
	})
}

func TestDataAndWatchesSurviveRestart(t *testing.T) {
	cfg := config(t)
	node := start(t, cfg)
	tp := topo.New(open(t, cfg, "")).WithLogger(quiet)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rev, err := tp.Txn(ctx, nil, []topo.Op{{Key: "names/shop", Value: []byte{}}})
	if err != nil {
		t.Fatal(err)
	}
	names := tp.WatchKeyspaces(ctx)
	if got := <-names; len(got) != 1 || got[0] != "shop" {
		t.Fatalf("first view %v", got)
	}
	node.Stop()
	node = start(t, cfg)
	defer node.Stop()
	kv, err := tp.Get(ctx, "names/shop")
	if err != nil || kv.ModRevision != rev {
		t.Fatalf("after a restart: %+v, %v; want revision %d", kv, err, rev)
	}
	if _, err := tp.Txn(ctx, nil, []topo.Op{{Key: "names/crew", Value: []byte{}}}); err != nil {
		t.Fatal(err)
	}
	if got := <-names; len(got) != 2 || got[0] != "crew" {
		t.Fatalf("view after the restart: %v", got)
	}
}

func TestRunEndsWithContext(t *testing.T) {
	cfg := config(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- embed.Run(ctx, cfg, quiet) }()
	s := open(t, cfg, "")
	wait, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for {
		if _, _, err := s.List(wait, ""); err == nil {
			break
		} else if wait.Err() != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestConfigValidate(t *testing.T) {
	for name, change := range map[string]func(*embed.Config){
		"no directory": func(c *embed.Config) { c.DataDir = "" },
		"host name":    func(c *embed.Config) { c.Host = "example.org" },
		"no port":      func(c *embed.Config) { c.ClientPort = 0 },
		"port range":   func(c *embed.Config) { c.PeerPort = 65536 },
		"same ports":   func(c *embed.Config) { c.PeerPort = c.ClientPort },
	} {
		cfg := embed.DefaultConfig()
		if err := cfg.Validate(); err != nil {
			t.Fatalf("the default is invalid: %v", err)
		}
		change(&cfg)
		if cfg.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
