package agent

import (
	"testing"

	"google.golang.org/protobuf/proto"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/topo"
)

func record(alias string, typ topov1.TabletType, port uint32) *topov1.Tablet {
	return &topov1.Tablet{Alias: &alias, Type: &typ, Host: proto.String("127.0.0.1"), MysqlPort: &port}
}

func shardOf(term uint64, primary string, tablets ...*topov1.Tablet) *topo.ShardView {
	v := &topo.ShardView{Tablets: map[string]*topov1.Tablet{}}
	if primary != "" {
		v.Shard = &topov1.Shard{Term: &term, Primary: &primary}
	}
	for _, t := range tablets {
		v.Tablets[t.GetAlias()] = t
	}
	return v
}

func TestDecide(t *testing.T) {
	const replica, rdonly, primary = topov1.TabletType_TABLET_TYPE_REPLICA, topov1.TabletType_TABLET_TYPE_RDONLY, topov1.TabletType_TABLET_TYPE_PRIMARY
	one, two, three := record("z-1", primary, 1), record("z-2", replica, 2), record("z-3", replica, 3)
	all := shardOf(5, "z-1", one, two, three)
	for _, c := range []struct {
		name  string
		alias string
		view  *topo.ShardView
		state state
		want  duty
	}{
		{"nothing is known", "z-1", nil, state{}, duty{task: taskHold}},
		{"no shard record", "z-1", shardOf(0, "", one), state{}, duty{task: taskFence}},
		{"the primary", "z-1", all, state{}, duty{task: taskReign, term: 5, primary: "z-1", semiSync: true}},
		{"the primary, demoted", "z-1", all, state{Term: 5, DemotedTerm: 5}, duty{task: taskFence, term: 5, primary: "z-1"}},
		{"the primary, demoted in an older term", "z-1", all, state{Term: 5, DemotedTerm: 4}, duty{task: taskReign, term: 5, primary: "z-1", semiSync: true}},
		{"the record is behind what was announced", "z-1", all, state{Term: 6}, duty{task: taskHold, term: 5, primary: "z-1"}},
		{"a replica", "z-2", all, state{Term: 5}, duty{task: taskFollow, term: 5, primary: "z-1", host: "127.0.0.1", port: 1, acks: true}},
		{"a former primary acknowledges too", "z-1", shardOf(6, "z-2", one, two), state{Term: 5, DemotedTerm: 5},
			duty{task: taskFollow, term: 6, primary: "z-2", host: "127.0.0.1", port: 2, acks: true}},
		{"rdonly does not acknowledge", "z-9", shardOf(6, "z-2", two, record("z-9", rdonly, 9)), state{},
			duty{task: taskFollow, term: 6, primary: "z-2", host: "127.0.0.1", port: 2}},
		{"the primary has no record", "z-1", shardOf(6, "z-8", one), state{}, duty{task: taskFence, term: 6, primary: "z-8"}},
	} {
		got := decide(c.alias, c.view, nil, c.state)
		got.why = ""
		if got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}
