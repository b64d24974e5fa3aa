package plancache

import (
	"testing"

	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

func key(lo uint64, sc *route.Scope) Key { return Key{Shape: parse.Shape{Lo: lo}, Scope: sc} }

func TestVersions(t *testing.T) {
	c, sc, old, now := New(), &route.Scope{}, &Entry{}, &Entry{}
	c.Put(key(1, sc), 7, old)
	if c.Get(key(1, sc), 7) != old || c.Get(key(1, sc), 8) != nil || c.Get(key(1, sc), 6) != nil {
		t.Error("an entry is for its own version alone")
	}
	c.Put(key(1+cacheShards, sc), 6, now) // in the same part
	if c.Len() != 1 {
		t.Error("an entry for a version that is past is kept")
	}
	c.Put(key(1, sc), 8, now)
	if c.Get(key(1, sc), 8) != now || c.Get(key(1, sc), 7) != nil {
		t.Error("the later version's entry does not replace the earlier one's")
	}
	c.Put(key(1, sc), 7, old) // by a session that was slow
	if c.Get(key(1, sc), 8) != now {
		t.Error("a late entry for an earlier version replaces a later one")
	}
}

func TestKeys(t *testing.T) {
	c, sc, e := New(), &route.Scope{}, &Entry{}
	c.Put(key(1, sc), 1, e)
	other := key(1, sc)
	other.Mode.ANSIQuotes = true
	for name, k := range map[string]Key{"scope": key(1, &route.Scope{}), "shape": key(1+cacheShards, sc), "mode": other} {
		if c.Get(k, 1) != nil {
			t.Errorf("another %s has the same entry", name)
		}
	}
}

func TestBound(t *testing.T) {
	c, sc := New(), &route.Scope{}
	for i := range uint64(2 * cachePerShard) {
		k := key(i*cacheShards, sc) // all in one part
		c.Put(k, 1, &Entry{})
		if c.Get(k, 1) == nil {
			t.Fatalf("entry %d is gone as soon as it was put", i)
		}
	}
	if n := c.Len(); n > cachePerShard || n < cachePerShard/2 {
		t.Errorf("%d entries, want at most %d", n, cachePerShard)
	}
}
