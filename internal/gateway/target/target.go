// Package target answers who serves a shard: it follows the topology and publishes immutable snapshots of it, in which
// a keyspace id finds its shard by binary search and a shard names the pool of its primary.
//
// It does not choose between replicas by load, hold statements or talk to servers.
package target

import (
	"bytes"
	"sort"

	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// Endpoint is one server that statements can be sent to. Endpoints live as long as their address stays the same, so
// that snapshots share their pools.
type Endpoint struct {
	Alias  string
	Addr   string // host:port
	socket string // path of the server's Unix socket if it is on this machine
	Type   string // "primary", "replica", "rdonly"
	Pool   *pool.Pool
}

// Shard is one shard as it stood in a snapshot.
type Shard struct {
	Keyspace *Keyspace
	Name     string
	Range    vindex.KeyRange
	Term     uint64
	Serving  bool
	Primary  *Endpoint   // nil when nobody reigns
	Replicas []*Endpoint // those of type replica, then rdonly; sorted by alias
}

// Keyspace is one keyspace as it stood in a snapshot.
type Keyspace struct {
	Name   string
	DBName string   // the database on the servers
	Shards []*Shard // the serving ones, sorted by range
}

// Snapshot is the topology at a moment. Immutable.
type Snapshot struct {
	Version   uint64
	Keyspaces map[string]*Keyspace
	VSchema   *vschema.Cluster
	// Problems are what is wrong with vschemas; the keyspaces concerned are usable as far as they can be.
	Problems []error
	// ServerVersion and Flavor are those of some primary, for what the gateway announces. Empty when none is known.
	ServerVersion, Flavor string
}

// Names returns the keyspaces' names in order.
func (s *Snapshot) Names() []string {
	names := make([]string, 0, len(s.Keyspaces))
	for n := range s.Keyspaces {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Find returns the serving shard that holds the keyspace id, or nil. It does not allocate.
func (k *Keyspace) Find(id []byte) *Shard {
	lo, hi := 0, len(k.Shards)
	for lo < hi { // the last shard whose start is not above id
		mid := (lo + hi) / 2
		if bytes.Compare(k.Shards[mid].Range.Start, id) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return nil
	}
	sh := k.Shards[lo-1]
	if len(sh.Range.End) > 0 && bytes.Compare(id, sh.Range.End) >= 0 {
		return nil
	}
	return sh
}

// Shard returns the serving shard of the name, or nil.
func (k *Keyspace) Shard(name string) *Shard {
	for _, s := range k.Shards {
		if s.Name == name {
			return s
		}
	}
	return nil
}
