package topo

import (
	"context"
	"log/slog"
	"maps"
	"sort"
	"strings"
	"time"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"google.golang.org/protobuf/proto"
)

// KeyspaceView is a keyspace as it stood at a revision. It is never changed after it was sent: share it, don't write to it.
type KeyspaceView struct {
	Name string
	// Record is nil while there is none: tablets may register before their keyspace is made.
	Record *topov1.Keyspace
	// VSchema is the JSON text, empty while there is none.
	VSchema string
	// VSchemaRevision is the revision of the vschema's last change, 0 without one.
	VSchemaRevision int64
	Shards          map[string]*topov1.Shard
	// Tablets are those of all shards, by alias.
	Tablets  map[string]*topov1.Tablet
	Revision int64
}

// ShardView is one shard as it stood at a revision, under the same rule as KeyspaceView.
type ShardView struct {
	// Shard is nil while there is no record.
	Shard *topov1.Shard
	// ShardRevision is the revision of the record's last change, 0 without one.
	ShardRevision int64
	Tablets       map[string]*topov1.Tablet
	Revision      int64
}

// GlobalView is what belongs to no keyspace, under the same rule as KeyspaceView.
type GlobalView struct {
	// RoutingRules is the JSON text, empty while there is none.
	RoutingRules string
	Users        map[string]*topov1.User
	// Revision grows with each change that the view shows.
	Revision int64
}

const (
	// relistFirst and relistMost bound the pause before a lost watch is listed anew: soon after a hiccup, and at most
	// twice a second per watcher while the store is away.
	relistFirst = 50 * time.Millisecond
	relistMost  = 2 * time.Second
)

// snapshot is what follow hands on: all keys of a prefix as they stood at a revision. The map is not changed afterwards.
type snapshot struct {
	kvs      map[string]KV
	revision int64
}

// follow sends the state of a prefix at once and after each change, until ctx ends; then the channel closes. Changes that
// the receiver has no time for are merged into the next snapshot. While the store is away nothing is sent, so that the
// receiver goes on with what it has; after that the prefix is listed again.
func (t *Topo) follow(ctx context.Context, prefix string) <-chan snapshot {
	out := make(chan snapshot)
	go func() {
		defer close(out)
		f := follower{topo: t, prefix: prefix, out: out}
		pause := relistFirst
		for ctx.Err() == nil {
			if f.run(ctx) {
				pause = relistFirst
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, relistMost)
		}
	}()
	return out
}

// follower is the state of one follow.
type follower struct {
	topo   *Topo
	prefix string
	out    chan<- snapshot
	// state is nil before the first list. Once sent it is shared, and copied before the next change.
	state    map[string]KV
	revision int64
	shared   bool
	pending  bool
}

// run lists, watches and sends until the watch is lost; it says whether it got as far as a watch.
func (f *follower) run(ctx context.Context) bool {
	kvs, rev, err := f.topo.List(ctx, f.prefix)
	if err != nil {
		f.complain(ctx, "topology list failed; going on with the last view", err)
		return false
	}
	f.replace(kvs, rev)
	// The view goes out before the watch is asked for: that may take as long as the store is away.
	f.flush(ctx)
	watch, stop := context.WithCancel(ctx)
	defer stop()
	events, err := f.topo.Watch(watch, f.prefix, rev)
	if err != nil {
		f.complain(ctx, "topology watch failed; going on with the last view", err)
		events = closedEvents()
	}
	for {
		var out chan<- snapshot
		if f.pending {
			out = f.out
		}
		select {
		case <-ctx.Done():
			return true
		case batch, ok := <-events:
			if !ok {
				f.flush(ctx)
				return err == nil
			}
			f.apply(batch)
		case out <- snapshot{kvs: f.state, revision: f.revision}:
			f.pending, f.shared = false, true
		}
	}
}

// flush sends what is pending if the receiver takes it at once; a receiver that is busy gets it later.
func (f *follower) flush(ctx context.Context) {
	if !f.pending {
		return
	}
	select {
	case f.out <- snapshot{kvs: f.state, revision: f.revision}:
		f.pending, f.shared = false, true
	case <-ctx.Done():
	case <-time.After(relistFirst):
	}
}

func (f *follower) complain(ctx context.Context, msg string, err error) {
	if ctx.Err() == nil {
		f.topo.log.LogAttrs(ctx, slog.LevelWarn, msg, slog.String("prefix", f.prefix), slog.Any("error", err))
	}
}

// replace takes a new list; it is worth sending only if it differs.
func (f *follower) replace(kvs []KV, rev int64) {
	next := make(map[string]KV, len(kvs))
	for _, kv := range kvs {
		next[kv.Key] = kv
	}
	same := f.state != nil && maps.EqualFunc(f.state, next, func(a, b KV) bool { return a.ModRevision == b.ModRevision })
	f.revision = rev
	if !same {
		f.state, f.shared, f.pending = next, false, true
	}
}

func (f *follower) apply(batch []Event) {
	if len(batch) == 0 {
		return
	}
	if f.shared {
		f.state, f.shared = maps.Clone(f.state), false
	}
	for _, e := range batch {
		if e.Deleted {
			delete(f.state, e.KV.Key)
		} else {
			f.state[e.KV.Key] = e.KV
		}
		f.revision = max(f.revision, e.KV.ModRevision)
	}
	f.pending = true
}

func closedEvents() <-chan []Event {
	c := make(chan []Event)
	close(c)
	return c
}

// views turns snapshots into views, each built with the knowledge of the records decoded before.
func views[V any](ctx context.Context, in <-chan snapshot, build func(snapshot) (V, bool)) <-chan V {
	out := make(chan V)
	go func() {
		defer close(out)
		var view V
		var send chan<- V
		for {
			select {
			case s, ok := <-in:
				if !ok {
					return
				}
				if v, changed := build(s); changed {
					view, send = v, out
				}
			case send <- view:
				send = nil
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// decoder remembers decoded records, so that a change of one record decodes one record. A record that cannot be decoded
// is shown as it was before: a newer release's mistake must not take a keyspace away.
type decoder[M any, P interface {
	*M
	proto.Message
}] struct {
	log  *slog.Logger
	seen map[string]decoded[M]
}

type decoded[M any] struct {
	rev int64
	rec *M
}

func newDecoder[M any, P interface {
	*M
	proto.Message
}](log *slog.Logger) *decoder[M, P] {
	return &decoder[M, P]{log: log, seen: make(map[string]decoded[M])}
}

// get returns the record of kv, or nil if no readable one was ever seen.
func (d *decoder[M, P]) get(kv KV) *M {
	old, ok := d.seen[kv.Key]
	if ok && old.rev == kv.ModRevision {
		return old.rec
	}
	rec := P(new(M))
	if err := proto.Unmarshal(kv.Value, rec); err != nil {
		d.log.Error("topology record cannot be decoded; keeping the one before", "key", kv.Key, "error", err)
		rec = old.rec
	}
	d.seen[kv.Key] = decoded[M]{rev: kv.ModRevision, rec: rec}
	return rec
}

// forget drops what is not among the keys any more.
func (d *decoder[M, P]) forget(kvs map[string]KV) {
	for key := range d.seen {
		if _, ok := kvs[key]; !ok {
			delete(d.seen, key)
		}
	}
}

// WatchKeyspaces sends the names of all keyspaces in order: at once, and after each change, until ctx ends.
func (t *Topo) WatchKeyspaces(ctx context.Context) <-chan []string {
	var last []string
	first := true
	return views(ctx, t.follow(ctx, namesPrefix), func(s snapshot) ([]string, bool) {
		names := make([]string, 0, len(s.kvs))
		for key := range s.kvs {
			names = append(names, strings.TrimPrefix(key, namesPrefix))
		}
		sort.Strings(names)
		changed := first || strings.Join(names, "/") != strings.Join(last, "/")
		first, last = false, names
		return names, changed
	})
}

// WatchKeyspace sends the keyspace as it stands, at once and after each change, until ctx ends. Changes come merged to a
// receiver that is busy. While the store cannot be reached nothing comes: go on with the last view.
func (t *Topo) WatchKeyspace(ctx context.Context, keyspace string) <-chan *KeyspaceView {
	records := newDecoder[topov1.Keyspace](t.log)
	vschemas := newDecoder[topov1.VSchema](t.log)
	shards := newDecoder[topov1.Shard](t.log)
	tablets := newDecoder[topov1.Tablet](t.log)
	return views(ctx, t.follow(ctx, keyspacePrefix(keyspace)), func(s snapshot) (*KeyspaceView, bool) {
		v := &KeyspaceView{
			Name: keyspace, Revision: s.revision,
			Shards: make(map[string]*topov1.Shard), Tablets: make(map[string]*topov1.Tablet),
		}
		for key, kv := range s.kvs {
			switch kind, _, shard, alias := parseKeyspaceKey(key); kind {
			case kindKeyspace:
				v.Record = records.get(kv)
			case kindVSchema:
				v.VSchema, v.VSchemaRevision = vschemas.get(kv).GetJson(), kv.ModRevision
			case kindShard:
				putNotNil(v.Shards, shard, shards.get(kv))
			case kindTablet:
				putNotNil(v.Tablets, alias, tablets.get(kv))
			}
		}
		shards.forget(s.kvs)
		tablets.forget(s.kvs)
		return v, true
	})
}

// WatchShard is WatchKeyspace for one shard.
func (t *Topo) WatchShard(ctx context.Context, keyspace, shard string) <-chan *ShardView {
	shards := newDecoder[topov1.Shard](t.log)
	tablets := newDecoder[topov1.Tablet](t.log)
	return views(ctx, t.follow(ctx, shardPrefix(keyspace, shard)), func(s snapshot) (*ShardView, bool) {
		v := &ShardView{Revision: s.revision, Tablets: make(map[string]*topov1.Tablet)}
		for key, kv := range s.kvs {
			switch kind, _, _, alias := parseKeyspaceKey(key); kind {
			case kindShard:
				v.Shard, v.ShardRevision = shards.get(kv), kv.ModRevision
			case kindTablet:
				putNotNil(v.Tablets, alias, tablets.get(kv))
			}
		}
		tablets.forget(s.kvs)
		return v, true
	})
}

// WatchGlobal sends routing rules and users, at once when both are known, and after each change, until ctx ends.
func (t *Topo) WatchGlobal(ctx context.Context) <-chan *GlobalView {
	ctx, cancel := context.WithCancel(ctx)
	rules, users := t.follow(ctx, routingRulesKey), t.follow(ctx, usersPrefix)
	both := make(chan snapshot)
	go func() {
		defer cancel()
		defer close(both)
		mergeSnapshots(ctx, rules, users, both)
	}()
	ruleRecords := newDecoder[topov1.RoutingRules](t.log)
	userRecords := newDecoder[topov1.User](t.log)
	return views(ctx, both, func(s snapshot) (*GlobalView, bool) {
		v := &GlobalView{Revision: s.revision, Users: make(map[string]*topov1.User)}
		for key, kv := range s.kvs {
			if key == routingRulesKey {
				v.RoutingRules = ruleRecords.get(kv).GetJson()
			} else if name, ok := strings.CutPrefix(key, usersPrefix); ok {
				putNotNil(v.Users, name, userRecords.get(kv))
			}
		}
		userRecords.forget(s.kvs)
		return v, true
	})
}

// mergeSnapshots sends the union of the latest of two followers once both are known, until one of them ends.
func mergeSnapshots(ctx context.Context, a, b <-chan snapshot, out chan<- snapshot) {
	var last [2]snapshot
	var merged snapshot
	var send chan<- snapshot
	for {
		var ok bool
		select {
		case last[0], ok = <-a:
		case last[1], ok = <-b:
		case send <- merged:
			send = nil
			continue
		case <-ctx.Done():
			return
		}
		if !ok {
			return
		}
		if last[0].kvs == nil || last[1].kvs == nil {
			continue
		}
		merged = snapshot{kvs: maps.Clone(last[0].kvs), revision: max(last[0].revision, last[1].revision)}
		maps.Copy(merged.kvs, last[1].kvs)
		send = out
	}
}

func putNotNil[M any](m map[string]*M, key string, rec *M) {
	if rec != nil {
		m[key] = rec
	}
}
