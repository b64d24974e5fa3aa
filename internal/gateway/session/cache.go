package session

import (
	"sync"

	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// scope is where a session's unqualified statements go. Scopes are interned, so that one pointer stands for all of it.
type scope struct {
	Keyspace string // "" when none is selected; may be a system schema such as information_schema
	Shard    string // USE ks:shard
	Type     string // "", "primary", "replica", "rdonly"
}

// planKey identifies a cached plan within one snapshot of the topology.
type planKey struct {
	shape parse.Shape
	scope *scope
	mode  parse.Mode
}

// entry is a cached plan, or a statement of the session's own (BEGIN, COMMIT, ...) that has no slots.
type entry struct {
	plan *plan.Plan
	stmt parse.Statement
}

const (
	cacheShards   = 16
	cachePerShard = 2048 // 16 x 2,048 plans of about 2 KB: 64 MB at the very most
	maxScopes     = 10_000
)

// PlanCache holds plans by shape. It is emptied when the topology or a vschema changes. Safe for concurrent use.
type PlanCache struct {
	shards [cacheShards]cacheShard

	mu     sync.Mutex
	scopes map[scope]*scope
}

type cacheShard struct {
	mu      sync.RWMutex
	version uint64
	m       map[planKey]*entry
}

// NewPlanCache makes an empty cache.
func NewPlanCache() *PlanCache {
	return &PlanCache{scopes: map[scope]*scope{}}
}

func (c *PlanCache) scope(ks, shard, typ string) *scope {
	sc := scope{ks, shard, typ}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.scopes[sc]; p != nil {
		return p
	}
	if len(c.scopes) >= maxScopes {
		c.scopes = map[scope]*scope{}
	}
	p := &sc
	c.scopes[sc] = p
	return p
}

func (c *PlanCache) get(k planKey, version uint64) *entry {
	sh := &c.shards[k.shape.Lo%cacheShards]
	sh.mu.RLock()
	if sh.version != version {
		sh.mu.RUnlock()
		return nil
	}
	e := sh.m[k]
	sh.mu.RUnlock()
	return e
}

func (c *PlanCache) put(k planKey, version uint64, e *entry) {
	sh := &c.shards[k.shape.Lo%cacheShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if version < sh.version {
		return
	}
	if sh.version != version || sh.m == nil {
		sh.version, sh.m = version, make(map[planKey]*entry, 64)
	}
	if len(sh.m) >= cachePerShard {
		for old := range sh.m { // any one: the map's order is as good as random
			delete(sh.m, old)
			if len(sh.m) < cachePerShard*7/8 {
				break
			}
		}
	}
	sh.m[k] = e
}

// Len returns how many plans are held.
func (c *PlanCache) Len() int {
	n := 0
	for i := range c.shards {
		c.shards[i].mu.RLock()
		n += len(c.shards[i].m)
		c.shards[i].mu.RUnlock()
	}
	return n
}
