package route

import (
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// snapshot has the sharded keyspace shop and the unsharded one main.
func snapshot() *target.Snapshot {
	shop, main := &target.Keyspace{Name: "shop"}, &target.Keyspace{Name: "main"}
	shop.Shards = []*target.Shard{
		{Keyspace: shop, Name: "-80", Range: vindex.KeyRange{End: []byte{0x80}}, Primary: &target.Endpoint{Alias: "z1-100", Type: "primary"}},
		{Keyspace: shop, Name: "80-", Range: vindex.KeyRange{Start: []byte{0x80}}, Replicas: []*target.Endpoint{
			{Alias: "z1-201", Type: "replica"}, {Alias: "z1-202", Type: "replica"}, {Alias: "z1-203", Type: "rdonly"},
		}},
	}
	main.Shards = []*target.Shard{{Keyspace: main, Name: "0"}}
	return &target.Snapshot{Keyspaces: map[string]*target.Keyspace{"shop": shop, "main": main}}
}

// is compares what a call has returned with a name or an error's code.
func is(t *testing.T, what, got string, err error, want string, code errcode.Code) {
	t.Helper()
	if code == 0 && (err != nil || got != want) {
		t.Errorf("%s: %s, %v, want %s", what, got, err, want)
	}
	if e, ok := errcode.Of(err); code != 0 && (!ok || e.Code() != code) {
		t.Errorf("%s: %s, %v, want code %d", what, got, err, code)
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name string
		want Scope
		code errcode.Code
	}{
		{"shop", Scope{"shop", "", ""}, 0},
		{"shop:-80", Scope{"shop", "-80", ""}, 0},
		{"shop@replica", Scope{"shop", "", "replica"}, 0},
		{"shop:80-@rdonly", Scope{"shop", "80-", "rdonly"}, 0},
		{"@primary", Scope{"main", "", "primary"}, 0},
		{":0", Scope{"main", "0", ""}, 0},
		{"information_schema", Scope{"information_schema", "", ""}, 0},
		{"none", Scope{}, errcode.NoSuchKeyspace},
		{"shop:40-80", Scope{}, errcode.NoSuchShard},
		{"shop@backup", Scope{}, errcode.UnknownTargetType},
	} {
		got, err := Parse(snapshot(), "main", c.name)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		is(t, c.name, "", err, "", c.code)
	}
}

func TestIntern(t *testing.T) {
	table := NewScopes()
	a := table.Intern(Scope{Keyspace: "shop"})
	if table.Intern(Scope{Keyspace: "shop"}) != a || table.Intern(Scope{Keyspace: "main"}) == a {
		t.Error("a pointer does not stand for one scope")
	}
	for i := range maxScopes + 1 {
		table.Intern(Scope{Shard: string(rune(i + 1))})
	}
	if len(table.m) > maxScopes {
		t.Errorf("%d scopes are kept", len(table.m))
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		what  string
		scope Scope
		fast  plan.Fast
		want  string
		code  errcode.Code
	}{
		{"unsharded", Scope{}, plan.Fast{Keyspace: "main", Kind: plan.Unsharded}, "main/0", 0},
		{"any shard", Scope{}, plan.Fast{Keyspace: "shop", Kind: plan.AnyShard}, "shop/-80", 0},
		{"the scope's shard", Scope{Shard: "80-"}, plan.Fast{Keyspace: "shop", Kind: plan.AnyShard}, "shop/80-", 0},
		{"a scope's shard that is gone", Scope{Shard: "40-"}, plan.Fast{Keyspace: "shop", Kind: plan.AnyShard}, "", errcode.NoSuchShard},
		{"the plan's shard", Scope{}, plan.Fast{Keyspace: "shop", Kind: plan.OneShard, Shard: "80-"}, "shop/80-", 0},
		{"pinned low", Scope{}, plan.Fast{Keyspace: "shop", Kind: plan.Pinned, ID: []byte{0x7f, 0xff}}, "shop/-80", 0},
		{"pinned high", Scope{}, plan.Fast{Keyspace: "shop", Kind: plan.Pinned, ID: []byte{0x80}}, "shop/80-", 0},
		{"no keyspace: the session's", Scope{Keyspace: "main"}, plan.Fast{}, "main/0", 0},
		{"no keyspace at all: one that serves", Scope{}, plan.Fast{}, "shop/-80", 0},
		{"a keyspace that is gone", Scope{}, plan.Fast{Keyspace: "none", Kind: plan.AnyShard}, "", errcode.KeyspaceIncomplete},
	} {
		r := Router{Scope: &c.scope}
		sh, err := r.Find(snapshot(), &c.fast, nil, nil, nil)
		got := ""
		if sh != nil {
			got = sh.Keyspace.Name + "/" + sh.Name
		}
		is(t, c.what, got, err, c.want, c.code)
	}
}

func TestLockHome(t *testing.T) {
	snap := snapshot()
	for _, want := range []string{"main", "shop", ""} { // the unsharded one, then the first of the others
		sh, err := LockHome(snap)
		if want == "" {
			is(t, "nothing is left", "", err, "", errcode.NotReady)
			break
		}
		if err != nil || sh.Keyspace.Name != want {
			t.Fatalf("%v, %v, want one of %s", sh, err, want)
		}
		delete(snap.Keyspaces, want)
	}
}

func TestEndpoint(t *testing.T) {
	shards := snapshot().Keyspaces["shop"].Shards
	for _, c := range []struct {
		what   string
		typ    string
		spread uint32
		shard  int
		write  bool
		want   string
		code   errcode.Code
	}{
		{"primary", "", 0, 0, true, "z1-100", 0},
		{"replica", "replica", 0, 1, false, "z1-201", 0},
		{"another session's replica", "replica", 1, 1, false, "z1-202", 0},
		{"not another type", "replica", 2, 1, false, "z1-201", 0},
		{"rdonly", "rdonly", 0, 1, false, "z1-203", 0},
		{"write on a replica", "replica", 0, 1, true, "", errcode.NotOnReplica},
		{"no replica", "replica", 0, 0, false, "", errcode.NoReplica},
	} {
		r := Router{Scope: &Scope{Type: c.typ}, Spread: c.spread}
		ep, err := r.Endpoint(t.Context(), shards[c.shard], c.write)
		got := ""
		if ep != nil {
			got = ep.Alias
		}
		is(t, c.what, got, err, c.want, c.code)
	}
}

func TestQueue(t *testing.T) {
	q := NewQueue(2, 100)
	for i, step := range []struct {
		enter, leave int
		want         bool
	}{{60, 0, true}, {50, 0, false}, {40, 0, true}, {0, 0, false}, {0, 60, true}, {60, 0, true}} {
		if step.leave > 0 {
			q.leave(step.leave)
		} else if got := q.enter(step.enter); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	if n, bytes, refused := q.Stats(); n != 2 || bytes != 100 || refused != 2 {
		t.Errorf("%d statements, %d bytes, %d refused", n, bytes, refused)
	}
	if !(*Queue)(nil).enter(1 << 40) {
		t.Error("no queue has a bound")
	}
}

// A statement without a place in the queue is told so at once, and not that its shard has no primary.
func TestPrimaryQueueFull(t *testing.T) {
	r := Router{Scope: &Scope{}, Queue: NewQueue(0, 0), WaitPrimary: time.Hour}
	_, err := r.Endpoint(t.Context(), snapshot().Keyspaces["shop"].Shards[1], true)
	is(t, "a full queue", "", err, "", errcode.BufferFull)
}

func TestServerErrors(t *testing.T) {
	for _, c := range []struct {
		errno                    uint16
		message                  string
		going, changes, readOnly bool
	}{
		{1290, "running with the --read-only option", false, true, true},
		{1290, "running with the --secure-file-priv option", false, true, false},
		{1836, "Running in read-only mode", false, true, true},
		{1053, "Server shutdown in progress", true, true, false},
		{1927, "Connection was killed", true, true, false},
		{1062, "Duplicate entry", false, false, false},
	} {
		my := &wire.MySQLError{Errno: c.errno, Message: c.message}
		if GoingDown(c.errno) != c.going || ChangesPrimary(c.errno) != c.changes || RefusedWrite(my) != c.readOnly {
			t.Errorf("%d %s: %v %v %v", c.errno, c.message, GoingDown(c.errno), ChangesPrimary(c.errno), RefusedWrite(my))
		}
	}
}
