// Package route says where a session's statement goes: which keyspace, shard and kind of server the session is in, which
// shard a plan's values belong to, which server of the shard takes it, and how long it waits while a shard has no primary
// or hands over to another.
//
// It sends nothing and opens no connections. What serves a shard it takes from package target, and which value places a
// row from the plan.
package route

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// Scope is where a session's unqualified statements go. Scopes are interned, so that one pointer stands for all of it.
type Scope struct {
	Keyspace string // "" when none is selected; may be a system schema such as information_schema
	Shard    string // USE ks:shard
	Type     string // "", "primary", "replica", "rdonly"
}

// Primary says whether statements go to primaries.
func (s *Scope) Primary() bool { return s.Type == "" || s.Type == "primary" }

// maxScopes bounds the table of scopes; past it the table starts anew, which only costs plans that are made again.
const maxScopes = 10_000

// Scopes interns scopes. Safe for concurrent use.
type Scopes struct {
	mu sync.Mutex
	m  map[Scope]*Scope
}

// NewScopes makes an empty table.
func NewScopes() *Scopes { return &Scopes{m: map[Scope]*Scope{}} }

// Intern returns the pointer that stands for the scope.
func (t *Scopes) Intern(s Scope) *Scope {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.m[s]; p != nil {
		return p
	}
	if len(t.m) >= maxScopes {
		t.m = map[Scope]*Scope{}
	}
	t.m[s] = &s
	return &s
}

// Parse reads the name of a target as USE has it: "ks", "ks:shard", "ks@replica" or "ks:shard@replica", or a system schema.
// now is the keyspace that an empty one means. The keyspace and the shard must exist.
func Parse(snap *target.Snapshot, now, name string) (Scope, error) {
	ks, typ, hasType := strings.Cut(name, "@")
	ks, shard, _ := strings.Cut(ks, ":")
	if hasType {
		switch typ {
		case "primary", "replica", "rdonly":
		default:
			return Scope{}, errcode.New(errcode.UnknownTargetType, typ)
		}
	}
	if ks == "" {
		ks = now
	}
	k := snap.Keyspaces[ks]
	switch {
	case k == nil && !SystemSchema(ks):
		return Scope{}, errcode.New(errcode.NoSuchKeyspace, ks)
	case k != nil && shard != "" && k.Shard(shard) == nil:
		return Scope{}, errcode.New(errcode.NoSuchShard, ks, shard)
	}
	return Scope{ks, shard, typ}, nil
}

// SystemSchema says whether a name is a schema of the servers themselves.
func SystemSchema(name string) bool {
	switch strings.ToLower(name) {
	case "information_schema", "performance_schema", "mysql", "sys":
		return true
	}
	return false
}

// Router finds shards and servers for one session. Its methods but Find may be called by several goroutines at once.
type Router struct {
	Targets     *target.Watcher
	WaitPrimary time.Duration // how long a statement waits for a shard that has no primary, or whose primary takes no writes
	Spread      uint32        // spreads sessions over replicas: any number that differs between them
	Scope       *Scope
	Queue       *Queue // who waits takes a place in it
	Bytes       int    // the length of the running statement

	scratch [64]byte // where Find makes keyspace ids
}

// ErrNotFast says that a statement with a fast plan has to go the slow way after all; nothing was sent.
var ErrNotFast = errors.New("not for the fast path")

// Find returns the shard of a fast plan, or ErrNotFast. It does not allocate.
func (r *Router) Find(snap *target.Snapshot, f *plan.Fast, sql []byte, slots []parse.Slot, params []vindex.Value) (*target.Shard, error) {
	if f.Keyspace == "" {
		return r.AnyShard(snap)
	}
	ks := snap.Keyspaces[f.Keyspace]
	if ks == nil || len(ks.Shards) == 0 {
		return nil, errcode.New(errcode.KeyspaceIncomplete, f.Keyspace, "any key")
	}
	if name := r.Scope.Shard; name != "" || f.Kind == plan.OneShard {
		if name == "" {
			name = f.Shard
		}
		if sh := ks.Shard(name); sh != nil {
			return sh, nil
		}
		return nil, errcode.New(errcode.NoSuchShard, f.Keyspace, name)
	}
	switch f.Kind {
	case plan.Unsharded, plan.AnyShard:
		return ks.Shards[0], nil
	case plan.Pinned:
		return holder(ks, f.ID)
	}
	d, empty, err := r.locate(f, sql, slots, params)
	if err != nil {
		return nil, err
	}
	switch {
	case d.Kind == vindex.DestID:
		return holder(ks, d.ID)
	case d.Kind == vindex.DestNone && f.Strict:
		return nil, ErrNotFast // the executor names the column in its error
	case d.Kind == vindex.DestNone && empty:
		return ks.Shards[0], nil // no row can match: any server's answer is an empty one
	}
	return nil, ErrNotFast
}

func holder(ks *target.Keyspace, id []byte) (*target.Shard, error) {
	if sh := ks.Find(id); sh != nil {
		return sh, nil
	}
	return nil, errcode.New(errcode.KeyspaceIncomplete, ks.Name, fmt.Sprintf("keyspace id %x", id))
}

// locate maps the statement's values to their place. empty says that DestNone proves that no row can match.
func (r *Router) locate(f *plan.Fast, sql []byte, slots []parse.Slot, params []vindex.Value) (d vindex.Dest, empty bool, err error) {
	if f.Vindex != nil {
		v, err := f.Value.Resolve(sql, slots, params)
		if err != nil || vindex.Fraction(v) {
			return d, false, ErrNotFast
		}
		if d, err = f.Vindex.Map(v, r.scratch[:0]); err != nil {
			return d, false, ErrNotFast
		}
		return d, d.Kind == vindex.DestNone && vindex.NoRows(d, v), nil
	}
	vs := make([]vindex.Value, len(f.Values))
	for i := range f.Values {
		v, err := f.Values[i].Resolve(sql, slots, params)
		if err != nil {
			return d, false, ErrNotFast
		}
		vs[i] = v
	}
	if d, err = f.Multi.MapMulti(vs, r.scratch[:0]); err != nil {
		return d, false, ErrNotFast
	}
	return d, false, nil
}

// AnyShard returns some serving shard: of the session's keyspace, else of any.
func (r *Router) AnyShard(snap *target.Snapshot) (*target.Shard, error) {
	if ks := snap.Keyspaces[r.Scope.Keyspace]; ks != nil && len(ks.Shards) > 0 {
		return ks.Shards[0], nil
	}
	for _, n := range snap.Names() {
		for _, sh := range snap.Keyspaces[n].Shards {
			if sh.Primary != nil {
				return sh, nil
			}
		}
	}
	return nil, errcode.New(errcode.NotReady, "no keyspace has a serving shard")
}

// AnyWith returns some shard that has the tables of a plan: for what every one of them knows.
func (r *Router) AnyWith(snap *target.Snapshot, p *plan.Plan) (*target.Shard, error) {
	name := r.Scope.Keyspace
	if p.Fast != nil {
		name = p.Fast.Keyspace
	} else if len(p.Tables) > 0 {
		name, _, _ = strings.Cut(p.Tables[0], ".")
	}
	ks := snap.Keyspaces[name]
	if ks == nil {
		for _, n := range snap.Names() {
			if k := snap.Keyspaces[n]; len(k.Shards) > 0 {
				ks = k
				break
			}
		}
	}
	if ks == nil || len(ks.Shards) == 0 {
		return nil, errcode.New(errcode.NotReady, "no keyspace has a serving shard")
	}
	return ks.Shards[0], nil
}

// LockHome returns the shard whose primary has the named locks (GET_LOCK) of all sessions: the first shard of the first
// unsharded keyspace by name, or of the first keyspace if all are sharded. All gateways choose the same one.
func LockHome(snap *target.Snapshot) (*target.Shard, error) {
	var home *target.Shard
	for _, n := range snap.Names() {
		shards := snap.Keyspaces[n].Shards
		if len(shards) == 1 {
			return shards[0], nil
		}
		if home == nil && len(shards) > 0 {
			home = shards[0]
		}
	}
	if home == nil {
		return nil, errcode.New(errcode.NotReady, "no keyspace has a serving shard")
	}
	return home, nil
}

// Endpoint chooses the server of a shard for the session's tablet type.
func (r *Router) Endpoint(ctx context.Context, sh *target.Shard, write bool) (*target.Endpoint, error) {
	if r.Scope.Primary() {
		if sh.Primary != nil {
			return sh.Primary, nil
		}
		return r.Primary(ctx, sh)
	}
	if write {
		return nil, errcode.New(errcode.NotOnReplica, "the statement")
	}
	n := len(sh.Replicas)
	for i := range n {
		if e := sh.Replicas[(int(r.Spread)+i)%n]; e.Type == r.Scope.Type {
			return e, nil
		}
	}
	return nil, errcode.New(errcode.NoReplica, r.Scope.Type, sh.Keyspace.Name+"/"+sh.Name)
}

// Primary returns the primary that the shard has now. If there is none it waits for one, for a bounded time.
func (r *Router) Primary(ctx context.Context, sh *target.Shard) (*target.Endpoint, error) {
	if !r.Queue.enter(r.Bytes) {
		return nil, tooMany(sh)
	}
	defer r.Queue.leave(r.Bytes)
	ctx, cancel := context.WithTimeout(ctx, r.WaitPrimary)
	defer cancel()
	for {
		changed := r.Targets.Changed()
		if ks := r.Targets.Current().Keyspaces[sh.Keyspace.Name]; ks != nil {
			if now := ks.Shard(sh.Name); now != nil && now.Primary != nil {
				return now.Primary, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errcode.New(errcode.NoPrimary, sh.Keyspace.Name+"/"+sh.Name)
		}
	}
}
