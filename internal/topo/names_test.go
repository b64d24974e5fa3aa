package topo_test

import (
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/topo"
)

func TestNames(t *testing.T) {
	tests := []struct {
		kind     string
		validate func(string) error
		good     []string
		bad      []string
	}{
		{"keyspace", topo.ValidateKeyspaceName,
			[]string{"commerce", "A_1", strings.Repeat("k", 48)},
			[]string{"", "a-b", "a.b", "a/b", "ä", "mysql", "SYS", "Information_Schema", "_pelorus", strings.Repeat("k", 49)}},
		{"cell", topo.ValidateCellName, []string{"zone1", "eu_west"}, []string{"", "zone-1", "a/b", strings.Repeat("c", 33)}},
		{"shard", topo.ValidateShardName,
			[]string{"0", "-", "-80", "80-", "40-80", "4000-80", "-0180", "0123456789abcdef-"},
			[]string{"", "80", "8-", "-8", "80-40", "80-80", "AB-", "-g0", "40-80-c0", "1", "0123456789abcdef00-"}},
		{"user", topo.ValidateUserName, []string{"root", "an app", "ä"}, []string{"", "a/b", "a\n", strings.Repeat("u", 129)}},
		{"alias", func(s string) error { _, _, err := topo.ParseAlias(s); return err },
			[]string{"zone1-101", "a-1"},
			[]string{"", "zone1", "zone1-", "-1", "zone1-0", "zone1-01", "zone1-4294967296", "zone-1-2", "zone1-1x"}},
		{"path", func(s string) error { _, _, err := topo.ParseShardPath(s); return err },
			[]string{"shop/-80", "shop/0"}, []string{"", "shop", "shop/", "/0", "shop/0/0"}},
	}
	for _, tt := range tests {
		for _, name := range tt.good {
			if err := tt.validate(name); err != nil {
				t.Errorf("%s %q refused: %v", tt.kind, name, err)
			}
		}
		for _, name := range tt.bad {
			if tt.validate(name) == nil {
				t.Errorf("%s %q accepted", tt.kind, name)
			}
		}
	}
}

func TestShardsOverlap(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"-80", "80-", false}, {"-80", "40-c0", true}, {"0", "80-", true}, {"-", "0", true},
		{"40-80", "80-c0", false}, {"40-80", "7fff-80", true}, {"80-", "8000-", true}, {"-80", "-8000", true}, {"bad", "0", false},
	}
	for _, tt := range tests {
		if topo.ShardsOverlap(tt.a, tt.b) != tt.want || topo.ShardsOverlap(tt.b, tt.a) != tt.want {
			t.Errorf("overlap of %s and %s: want %v", tt.a, tt.b, tt.want)
		}
	}
}

func FuzzShardBounds(f *testing.F) {
	for _, s := range []string{"0", "-", "-80", "80-", "40-80", "zz", "80-40"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		start, end, err := topo.ShardBounds(name)
		if err == nil && len(end) > 0 && string(start) >= string(end) {
			t.Errorf("%q is an empty range", name)
		}
		if err == nil && !topo.ShardsOverlap(name, name) {
			t.Errorf("%q does not overlap itself", name)
		}
	})
}

func FuzzParseAlias(f *testing.F) {
	f.Add("zone1-101")
	f.Fuzz(func(t *testing.T, alias string) {
		if cell, uid, err := topo.ParseAlias(alias); err == nil && topo.Alias(cell, uid) != alias {
			t.Errorf("%q came back as %q", alias, topo.Alias(cell, uid))
		}
	})
}
