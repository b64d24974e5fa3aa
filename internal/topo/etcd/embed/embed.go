// Package embed runs one etcd node inside this process, for local clusters and small set-ups.
//
// It makes no cluster of several nodes: who needs one runs etcd itself and points Pelorus at it. Writes are durable
// (synced) as etcd's own default has it.
package embed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/pelorusdb/pelorus/internal/topo"
	etcdstore "github.com/pelorusdb/pelorus/internal/topo/etcd"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
)

const (
	// readyTimeout bounds the start: a node alone elects itself within about a second, and replays its log.
	readyTimeout = 60 * time.Second
	// quotaBytes is the space for records: 30,000 tablets of 300 bytes are 9 MB; the rest is history until compaction.
	quotaBytes = 2 << 30
)

// Config is the configuration of the topo role.
type Config struct {
	// DataDir holds etcd's log and snapshots; it is created with mode 0700.
	DataDir string `json:"data_dir" yaml:"data_dir"`
	// Host is the address to listen on; 127.0.0.1 unless set.
	Host string `json:"host" yaml:"host"`
	// ClientPort serves etcd's API (and /health and /metrics), PeerPort its own protocol.
	ClientPort int `json:"client_port" yaml:"client_port"`
	PeerPort   int `json:"peer_port" yaml:"peer_port"`
}

// DefaultConfig returns the ports of a local cluster.
func DefaultConfig() Config {
	return Config{DataDir: "./pelorus-data/topo", Host: "127.0.0.1", ClientPort: 15379, PeerPort: 15380}
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if c.DataDir == "" {
		return fmt.Errorf("topo: no data directory given: %w", topo.ErrInvalid)
	}
	if net.ParseIP(c.Host) == nil {
		return fmt.Errorf("topo: host %q is not an IP address: %w", c.Host, topo.ErrInvalid)
	}
	for name, port := range map[string]int{"client": c.ClientPort, "peer": c.PeerPort} {
		if port < 1 || port > 65535 {
			return fmt.Errorf("topo: %s port %d is not 1 to 65535: %w", name, port, topo.ErrInvalid)
		}
	}
	if c.ClientPort == c.PeerPort {
		return fmt.Errorf("topo: client and peer port are both %d: %w", c.PeerPort, topo.ErrInvalid)
	}
	return nil
}

// Endpoint is the URL at which clients find the node.
func (c Config) Endpoint() string { return c.url(c.ClientPort) }

func (c Config) url(port int) string {
	return "http://" + net.JoinHostPort(c.Host, strconv.Itoa(port))
}

// Run runs the node until ctx ends or etcd fails.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	node, err := Start(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer node.Stop()
	log.InfoContext(ctx, "topology store ready", "endpoint", cfg.Endpoint(), "data_dir", cfg.DataDir)
	select {
	case <-ctx.Done():
		return nil
	case err := <-node.Err():
		return fmt.Errorf("topo: etcd ended: %w", err)
	}
}

// Node is a running etcd.
type Node struct {
	etcd    *embed.Etcd
	servers *servers
}

// servers are the gRPC servers that etcd made, kept in order to cut watches when the node stops: etcd would wait for each
// watcher to leave, up to its request timeout.
type servers struct {
	mu   sync.Mutex
	grpc []*grpc.Server
}

func (s *servers) add(g *grpc.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grpc = append(s.grpc, g)
}

func (s *servers) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.grpc {
		g.Stop()
	}
}

// Start starts the node and returns when it serves.
func Start(ctx context.Context, cfg Config, log *slog.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("topo: make the data directory: %w", err)
	}
	ec, err := cfg.etcd(log)
	if err != nil {
		return nil, err
	}
	grpcServers := new(servers)
	ec.ServiceRegister = grpcServers.add
	e, err := embed.StartEtcd(ec)
	if err != nil {
		return nil, fmt.Errorf("topo: start etcd on %s: %w", cfg.Endpoint(), err)
	}
	node := &Node{etcd: e, servers: grpcServers}
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	select {
	case <-e.Server.ReadyNotify():
		return node, nil
	case err = <-e.Err():
	case <-e.Server.StopNotify():
		err = errors.New("it stopped by itself")
	case <-ready.Done():
		err = ready.Err()
	}
	node.Stop()
	return nil, fmt.Errorf("topo: etcd on %s did not become ready: %w", cfg.Endpoint(), err)
}

// Err sends the error that ends the node.
func (n *Node) Err() <-chan error { return n.etcd.Err() }

// Stop ends the node and returns when it has. Clients are cut off: a write in flight may have happened or not.
func (n *Node) Stop() {
	n.servers.stop()
	n.etcd.Close()
}

// etcd makes etcd's own configuration.
func (c Config) etcd(log *slog.Logger) (*embed.Config, error) {
	client, err := url.Parse(c.url(c.ClientPort))
	if err != nil {
		return nil, fmt.Errorf("topo: %w", err)
	}
	peer, err := url.Parse(c.url(c.PeerPort))
	if err != nil {
		return nil, fmt.Errorf("topo: %w", err)
	}
	ec := embed.NewConfig()
	ec.Name = "pelorus"
	ec.Dir = filepath.Join(c.DataDir, "etcd")
	ec.ListenClientUrls, ec.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	ec.ListenPeerUrls, ec.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	ec.InitialCluster = ec.InitialClusterFromName(ec.Name)
	ec.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdstore.ZapLogger(log, slog.LevelWarn))
	ec.QuotaBackendBytes = quotaBytes
	// An hour of history is enough for any watcher that lost its connection; others list anew.
	ec.AutoCompactionMode, ec.AutoCompactionRetention = "periodic", "1h"
	// A node alone has nobody to wait for.
	ec.TickMs, ec.ElectionMs = 10, 100
	ec.InitialElectionTickAdvance = true
	return ec, nil
}
