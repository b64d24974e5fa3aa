package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/agent/resolve"
	"github.com/pelorusdb/pelorus/internal/topo"
)

// newResolver makes what finishes transactions across shards on this server.
func (a *Agent) newResolver() *resolve.Resolver {
	local := a.db.As(a.creds.App.User, a.creds.App.Password)
	return resolve.New(resolve.Config{
		Network: local.Network, Addr: local.Addr, App: a.creds.App, Admin: a.creds.DBA, Shards: primaries{a.topo},
		Log: a.log, Times: resolve.DefaultTimes(), Registerer: a.metrics.registry,
	})
}

// primaries finds the shards' primaries in the topology.
type primaries struct{ topo *topo.Topo }

// Primary implements resolve.Shards.
func (p primaries) Primary(ctx context.Context, shard string) (string, error) {
	keyspace, name, ok := strings.Cut(shard, "/")
	if !ok {
		return "", fmt.Errorf("%q is not KEYSPACE/SHARD", shard)
	}
	rec, _, err := p.topo.Shard(ctx, keyspace, name)
	if errors.Is(err, topo.ErrNotFound) {
		return "", fmt.Errorf("%w: %w", resolve.ErrNoShard, err)
	}
	if err != nil {
		return "", err
	}
	if rec.GetPrimary() == "" {
		return "", fmt.Errorf("shard %s has no primary", shard)
	}
	tablet, _, err := p.topo.Tablet(ctx, keyspace, name, rec.GetPrimary())
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(tablet.GetHost(), strconv.FormatUint(uint64(tablet.GetMysqlPort()), 10)), nil
}
