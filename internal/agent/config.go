// Package agent is the role `tablet`: it stands beside one MySQL or MariaDB server, keeps it running, gives it the role that
// the topology says, reports what it sees at first hand, and does what control nodes ask of it.
//
// It is not in the path of data: it may be killed and restarted at any time without a healthy server noticing. It does
// not decide who reigns, and it never opens a server to writes that is not the primary of the newest term it knows.
package agent

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/presence"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/topo"
)

// Config is all that an agent is told at its start. Make one with DefaultConfig.
type Config struct {
	// Alias is the tablet's name, CELL-UID. The number also becomes the server's id and so must be unique in the cluster.
	Alias string
	// Keyspace and Shard are where the tablet belongs.
	Keyspace, Shard string
	// Type is the type to register with if the topology has no record of the tablet yet: replica, rdonly, spare, drained.
	Type string
	// Dir holds the server and the agent's own files.
	Dir string
	// Listen is where the agent's service, /healthz and /metrics are served: HOST:PORT.
	Listen string
	// Host is the name or address under which others reach agent and server.
	Host string

	// Etcd lists the endpoints of the topology; Prefix is the cluster's, empty for the usual one.
	Etcd   []string
	Prefix string
	// Credentials is the file with the accounts on the servers.
	Credentials string

	// ServerBinary is mysqld or mariadbd, with an absolute path. Empty with Adopt.
	ServerBinary string
	// ServerPort and ServerBind are where the server listens.
	ServerPort int
	ServerBind string
	// BufferPoolBytes is the server's InnoDB buffer pool.
	BufferPoolBytes int64
	// PerformanceSchema turns the server's performance schema on; it costs about 100 MB on MySQL.
	PerformanceSchema bool
	// ServerOptions are lines for the server's options file; they win over the agent's own.
	ServerOptions []string
	// Adopt looks after a server that somebody else starts and stops: the path of its socket, or HOST:PORT. Pelorus' dba
	// account must exist on it.
	Adopt string

	// DBName is the keyspace's database; empty for what the keyspace's record says, else the keyspace's name.
	DBName string
	// HeartbeatInterval is how often a primary writes its heartbeat row, StatusInterval how often the status is read.
	HeartbeatInterval, StatusInterval time.Duration
	// MinFreeBytes is how little free space makes the agent say that it is not healthy.
	MinFreeBytes uint64
	// HideStatusFields names fields of the status, by number, that the agent keeps to itself as if it were of a release that does
	// not know them: "11,12.4". For tests.
	HideStatusFields string
}

// DefaultConfig returns the configuration with all that has a sensible default.
func DefaultConfig() Config {
	return Config{
		Type: "replica", Listen: "127.0.0.1:15100", Host: "127.0.0.1",
		ServerPort: 16000, ServerBind: "127.0.0.1", BufferPoolBytes: 128 << 20,
		HeartbeatInterval: time.Second, StatusInterval: 500 * time.Millisecond, MinFreeBytes: 256 << 20,
	}
}

// Validate says what is wrong with the configuration; all of it at once.
func (c *Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if _, _, err := topo.ParseAlias(c.Alias); err != nil {
		errs = append(errs, err)
	}
	if err := topo.ValidateKeyspaceName(c.Keyspace); err != nil {
		errs = append(errs, err)
	}
	if err := topo.ValidateShardName(c.Shard); err != nil {
		errs = append(errs, err)
	}
	if _, err := presence.ParsePaths(&tabletv1.FullStatus{}, c.HideStatusFields); err != nil {
		errs = append(errs, err)
	}
	_, err := ParseType(c.Type)
	bad(err != nil, "tablet type %q must be replica, rdonly, spare or drained", c.Type)
	bad(!filepath.IsAbs(c.Dir), "directory %q must be an absolute path", c.Dir)
	_, _, err = net.SplitHostPort(c.Listen)
	bad(err != nil, "listen address %q must be HOST:PORT", c.Listen)
	bad(c.Host == "", "host must not be empty: it is the name under which others reach this tablet")
	bad(len(c.Etcd) == 0, "at least one etcd endpoint is needed")
	bad(c.Credentials == "", "the credentials file is needed")
	if c.Adopt == "" {
		bad(!filepath.IsAbs(c.ServerBinary), "server binary %q must be an absolute path, or a running server be adopted", c.ServerBinary)
		bad(c.ServerPort < 1 || c.ServerPort > 65535, "server port %d is not between 1 and 65535", c.ServerPort)
		bad(net.ParseIP(c.ServerBind) == nil, "server bind address %q is not an IP address", c.ServerBind)
	} else {
		bad(c.ServerBinary != "", "a server is either adopted or started by the agent, not both")
	}
	bad(c.HeartbeatInterval < 100*time.Millisecond || c.HeartbeatInterval > time.Minute, "heartbeat interval %v is not between 100ms and 1m", c.HeartbeatInterval)
	bad(c.StatusInterval < 50*time.Millisecond || c.StatusInterval > 500*time.Millisecond, "status interval %v is not between 50ms and 500ms", c.StatusInterval)
	return errors.Join(errs...)
}

// ParseType reads the name of a type that a tablet may register with.
func ParseType(name string) (topov1.TabletType, error) {
	switch name {
	case "replica":
		return topov1.TabletType_TABLET_TYPE_REPLICA, nil
	case "rdonly":
		return topov1.TabletType_TABLET_TYPE_RDONLY, nil
	case "spare":
		return topov1.TabletType_TABLET_TYPE_SPARE, nil
	case "drained":
		return topov1.TabletType_TABLET_TYPE_DRAINED, nil
	}
	return topov1.TabletType_TABLET_TYPE_UNSPECIFIED, fmt.Errorf("no tablet type %q that a tablet may register with", name)
}
