// Package plancache holds the plans of statements by their shape, so that a statement that was seen before is neither parsed
// nor planned.
//
// It makes no plans, and does not look into them: whether a plan fits a text is the plan's own business.
package plancache

import (
	"sync"

	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// Key identifies a plan within one snapshot of the topology.
type Key struct {
	Shape parse.Shape
	Scope *route.Scope // interned
	Mode  parse.Mode
}

// Entry is a cached plan, or a statement of the session's own (BEGIN, COMMIT, ...) that has no slots. Immutable.
type Entry struct {
	Plan *plan.Plan
	Stmt parse.Statement
}

const (
	cacheShards   = 16
	cachePerShard = 2048 // 16 x 2,048 plans of about 2 KB: 64 MB at the very most
)

// Cache holds plans by shape. It is emptied when the topology or a vschema changes. Safe for concurrent use.
type Cache struct {
	shards [cacheShards]cacheShard
}

// cacheShard is a part of the cache with a lock of its own.
type cacheShard struct {
	mu      sync.RWMutex
	version uint64
	m       map[Key]*Entry
}

// New makes an empty cache.
func New() *Cache { return &Cache{} }

// Get returns the entry of a key in the snapshot of the version, nil if there is none.
func (c *Cache) Get(k Key, version uint64) *Entry {
	sh := &c.shards[k.Shape.Lo%cacheShards]
	sh.mu.RLock()
	if sh.version != version {
		sh.mu.RUnlock()
		return nil
	}
	e := sh.m[k]
	sh.mu.RUnlock()
	return e
}

// Put keeps an entry. One for a version before the cache's own is dropped; one for a later version empties that part of the
// cache first.
func (c *Cache) Put(k Key, version uint64, e *Entry) {
	sh := &c.shards[k.Shape.Lo%cacheShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if version < sh.version {
		return
	}
	if sh.version != version || sh.m == nil {
		sh.version, sh.m = version, make(map[Key]*Entry, 64)
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
func (c *Cache) Len() int {
	n := 0
	for i := range c.shards {
		c.shards[i].mu.RLock()
		n += len(c.shards[i].m)
		c.shards[i].mu.RUnlock()
	}
	return n
}
