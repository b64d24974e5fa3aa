package control_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/controlv1/controlv1connect"
	"github.com/pelorusdb/pelorus/internal/control"
	"github.com/pelorusdb/pelorus/internal/topo/etcd/embed"

	"google.golang.org/protobuf/proto"
)

func TestConfigValidate(t *testing.T) {
	if err := control.DefaultConfig().Validate(); err != nil {
		t.Fatalf("the default is invalid: %v", err)
	}
	for name, change := range map[string]func(*control.Config){
		"no port":    func(c *control.Config) { c.Listen = "localhost" },
		"no etcd":    func(c *control.Config) { c.Etcd = nil },
		"bad prefix": func(c *control.Config) { c.Prefix = "pelorus" },
	} {
		cfg := control.DefaultConfig()
		change(&cfg)
		if cfg.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestRun runs a node on a real etcd, stops etcd and starts it again: the status goes on, and so does the node afterwards.
func TestRun(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store := embed.DefaultConfig()
	store.DataDir, store.ClientPort, store.PeerPort = filepath.Join(t.TempDir(), "topo"), freePort(t), freePort(t)
	node, err := embed.Start(t.Context(), store, log)
	if err != nil {
		t.Fatal(err)
	}
	cfg := control.DefaultConfig()
	cfg.Listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	cfg.Etcd = []string{store.Endpoint()}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- control.Run(ctx, cfg, log) }()

	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	url := "http://" + cfg.Listen
	healthy := func() bool {
		resp, err := client.Get(url + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	await(t, "readiness", healthy)
	keyspaces := controlv1connect.NewKeyspaceServiceClient(client, url)
	cluster := controlv1connect.NewClusterServiceClient(client, url)
	call(t, keyspaces.CreateKeyspace, &controlv1.CreateKeyspaceRequest{Name: proto.String("shop"), Shards: []string{"0"}})
	seen := func() int { return len(call(t, cluster.GetStatus, &controlv1.GetStatusRequest{}).GetKeyspaces()) }
	await(t, "the keyspace in the status", func() bool { return seen() == 1 })

	node.Stop()
	await(t, "that the node says it cannot work", func() bool { return !healthy() })
	if seen() != 1 {
		t.Error("the status was lost with the topology")
	}
	if node, err = embed.Start(t.Context(), store, log); err != nil {
		t.Fatal(err)
	}
	defer node.Stop()
	await(t, "that the node works again", healthy)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRunRefusesAWeakToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := control.DefaultConfig()
	cfg.TokenFile = file
	if err := control.Run(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a token of five bytes was accepted")
	}
}
