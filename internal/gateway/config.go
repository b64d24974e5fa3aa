package gateway

import (
	"fmt"
	"net"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
)

// Config is everything that a gateway is told at start. Flags, environment and files come from this struct.
type Config struct {
	// Listen is the address for applications; HTTP that for metrics and health. Both are host:port.
	Listen, HTTP string
	// Cell is the failure domain of this gateway.
	Cell string
	// Etcd lists the endpoints of the topology; Prefix is the cluster's.
	Etcd   []string
	Prefix string
	// CredentialsFile holds the servers' accounts.
	CredentialsFile string
	// Version is the server version announced to clients; empty takes that of the servers.
	Version string
	// MaxConnections bounds the client connections, 1 to 100,000.
	MaxConnections int
	// PoolSize bounds the connections to each server, 1 to 10,000.
	PoolSize int
	// PoolWait is how long a statement waits for one of them.
	PoolWait time.Duration
	// PoolIdle is how long an unused one stays open.
	PoolIdle time.Duration
	// MaxPacket bounds a command and a row, in bytes, as max_allowed_packet does.
	MaxPacket int
	// MergeRows and MergeBytes bound what a statement over several shards may hold in memory.
	MergeRows, MergeBytes int
	// Memory is how many bytes the gateway aims to stay below; 0 takes half of the machine's. Half of it is for what large
	// statements hold, all clients together; garbage is collected before the heap grows past the whole.
	Memory int
	// WaitPrimary is how long statements wait for a shard without primary.
	WaitPrimary time.Duration
	// HeldStatements and HeldBytes bound those that wait at the same time, and the bytes of their texts.
	HeldStatements, HeldBytes int
	// IdleTimeout ends a client that is silent for so long, as wait_timeout does; a session may SET another. 0: none.
	IdleTimeout time.Duration
	// QueryTimeout ends a statement that only reads and takes longer, with error 3024, as max_execution_time does. 0: none.
	QueryTimeout time.Duration
	// WriteTimeout ends a client that does not read its results.
	WriteTimeout time.Duration
	// TLSCert and TLSKey are PEM files; empty offers no TLS.
	TLSCert, TLSKey string
	// Profiling serves Go's profiles under /debug/pprof/ on HTTP, to anybody who reaches that port: for a trusted network.
	Profiling bool
}

// DefaultConfig returns the values that a gateway has when nothing else is said.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:15306", HTTP: "127.0.0.1:15001", Cell: "zone1",
		Etcd: []string{"http://127.0.0.1:15379"}, Prefix: "/pelorus",
		MaxConnections: 10_000, PoolSize: 300, PoolWait: 10 * time.Second, PoolIdle: time.Minute,
		MaxPacket: 64 << 20, MergeRows: 1_000_000, MergeBytes: 256 << 20,
		WaitPrimary: 10 * time.Second, HeldStatements: 5000, HeldBytes: 64 << 20, WriteTimeout: time.Minute, IdleTimeout: 8 * time.Hour,
	}
}

// Validate says what is wrong with the configuration, naming the field.
func (c *Config) Validate() error {
	for _, a := range []struct{ name, addr string }{{"listen", c.Listen}, {"http", c.HTTP}} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			return errcode.New(errcode.BadConfig, fmt.Sprintf("%s %q is no HOST:PORT", a.name, a.addr))
		}
	}
	for _, n := range []struct {
		name          string
		v, least, top int
	}{
		{"max-connections", c.MaxConnections, 1, 100_000},
		{"pool-size", c.PoolSize, 1, 10_000},
		{"max-packet", c.MaxPacket, 64 << 10, 1 << 30},
		{"merge-rows", c.MergeRows, 1, 1 << 30},
		{"merge-bytes", c.MergeBytes, 1 << 20, 1 << 40},
		{"held-statements", c.HeldStatements, 1, 100_000},
		{"held-bytes", c.HeldBytes, 64 << 10, 1 << 40},
		{"memory", c.memory(), max(leastMemory, packetsInMemory*c.MaxPacket), 1 << 50},
	} {
		if n.v < n.least || n.v > n.top {
			return errcode.New(errcode.BadConfig, fmt.Sprintf("%s is %d, want %d to %d", n.name, n.v, n.least, n.top))
		}
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"pool-wait", c.PoolWait}, {"pool-idle", c.PoolIdle}, {"wait-primary", c.WaitPrimary}, {"write-timeout", c.WriteTimeout},
		{"idle-timeout", c.IdleTimeout}, {"query-timeout", c.QueryTimeout},
	} {
		if d.v < 0 {
			return errcode.New(errcode.BadConfig, fmt.Sprintf("%s is %s, want 0 or more", d.name, d.v))
		}
	}
	if len(c.Etcd) == 0 {
		return errcode.New(errcode.BadConfig, "no etcd endpoint is given")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errcode.New(errcode.BadConfig, "tls-cert and tls-key go together")
	}
	return nil
}
