package shape

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	spec, err := Parse([]byte(`
flavor: mariadb
cells: [a, b]
gateways: 2
keyspaces:
  - {name: shop, shards: ["-80", "80-"], replicas: 0, rdonly: 1, durability: semi_sync, schema: s.sql}
  - {name: lookup, shards: ["-"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	zero := 0
	want := Cluster{Flavor: "mariadb", Cells: []string{"a", "b"}, Gateways: 2, Controls: 1, Keyspaces: []Keyspace{
		{Name: "shop", Shards: []string{"-80", "80-"}, Replicas: &zero, Rdonly: 1, Durability: "semi_sync", Schema: "s.sql"},
		{Name: "lookup", Shards: []string{"-"}},
	}}
	if d := cmp.Diff(want, spec); d != "" {
		t.Error(d)
	}
	if n := spec.Keyspaces[1].ReplicaCount(); n != 2 {
		t.Errorf("%d replicas unless said otherwise, want 2", n)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"flavour: mysql", "flavour"},
		{"flavor: postgres", "none of auto"},
		{"cells: [a, a]", "twice"},
		{"cells: []", "no cell"},
		{"gateways: 0", "0 gateways"},
		{"controls: 100", "100 control"},
		{"keyspaces: [{name: k, shards: [\"-80\"]}]", "80-"},
		{"keyspaces: [{name: k, shards: [\"-80\", \"60-\"]}]", "overlap"},
		{"keyspaces: [{name: k, shards: [x]}]", "x"},
		{"keyspaces: [{name: k}]", "no shards"},
		{"keyspaces: [{name: mysql, shards: [\"-\"]}]", "mysql"},
		{"keyspaces: [{name: k, shards: [\"-\"]}, {name: k, shards: [\"-\"]}]", "twice"},
		{"keyspaces: [{name: k, shards: [\"-\"], replicas: -1}]", "-1 replicas"},
		{"keyspaces: [{name: k, shards: [\"-\"], durability: strong}]", "strong"},
		{"- a list", "not a configuration"},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.text, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("keyspaces: [{name: k, shards: [\"-80\", \"80-\"]}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if spec, err := Parse(b); err == nil {
			if err := spec.Validate(); err != nil {
				t.Errorf("accepted and then refused: %v", err)
			}
		}
	})
}
