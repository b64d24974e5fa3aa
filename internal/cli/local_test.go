package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUpRefuses is what `up` and its kin say of wrong input, without a server: the reason, the exit code, and nothing left behind.
func TestUpRefuses(t *testing.T) {
	base := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := func(name, text string) string { return "--config=" + file(name+".yaml", text) }
	keyspaces := func(text string) string { return "keyspaces: [" + text + "]" }
	plain := file("plain.txt", "not a program")
	schema := file("good.sql", "CREATE TABLE t (id INT);")
	damaged, newer := filepath.Dir(file("damaged/state.json", "{")), filepath.Dir(file("newer/state.json", `{"format": 99}`))
	foreign := filepath.Dir(filepath.Dir(file("foreign/topo/mine.txt", "mine")))

	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "unknown flag: --nonsense", []string{"up", "--nonsense"}},
		{exitUsage, "takes no argument", []string{"up", "now"}},
		{exitUsage, "none of auto, mysql, mariadb", []string{"up", "--flavor", "postgres"}},
		{exitUsage, "--replicas", []string{"up", "--replicas", "many"}},
		{exitUsage, "-1 replicas", []string{"up", "--replicas", "-1"}},
		{exitUsage, "up to 65535", []string{"up", "--gateway-port", "65536"}},
		{exitUsage, "up to 65535", []string{"up", "--control-port", "-1"}},
		{exitUsage, "both 17000", []string{"up", "--gateway-port", "17000", "--control-port", "17000"}},
		{exitUsage, "no such file", []string{"up", "--mysqld", "/nowhere"}},
		{exitUsage, "not a program", []string{"up", "--mysqld", plain}},
		{exitUsage, "is a directory", []string{"up", "--mysqld", base}},
		{exitUsage, "want ROLE=PATH", []string{"up", "--bin", "mysqld=/bin/true"}},
		{exitUsage, "want ROLE=PATH", []string{"up", "--bin", "/bin/true"}},
		{exitUsage, "no such file", []string{"up", "--bin", "gateway=/nowhere"}},
		{exitUsage, "is a URL", []string{"up", "--etcd", "127.0.0.1"}},
		{exitUsage, "names no directory", []string{"up", "--dir", ""}},
		{exitUsage, "twice", []string{"up", "--cells", "a,a"}},
		{exitUsage, "no cell", []string{"up", "--cells", ""}},
		{exitUsage, "mysql", []string{"up", "--keyspace", "mysql"}},
		{exitUsage, "name", []string{"up", "--keyspace", "a b"}},
		{exitUsage, "-40,80-", []string{"up", "--shards=-40,80-"}},
		{exitUsage, "overlap", []string{"up", "--shards=-80,40-"}},
		{exitUsage, "80-40", []string{"up", "--shards", "80-40"}},
		{exitUsage, "zz", []string{"up", "--shards", "zz"}},
		{exitUsage, "no such file", []string{"up", "--schema", "/nowhere"}},
		{exitUsage, "is a directory", []string{"up", "--vschema", base}},
		{exitUsage, "vschema of keyspace commerce", []string{"up", "--vschema", file("bad.json", `{"shraded": true}`)}},
		{exitUsage, "goes without", []string{"up", "--config", plain, "--keyspace", "k"}},
		{exitUsage, "no such file", []string{"up", "--config", "/nowhere"}},
		{exitUsage, "no such file", []string{"up", "--config", ""}},
		{exitUsage, "not a configuration", []string{"up", config("list", "- a")}},
		{exitUsage, "keyspace_s", []string{"up", config("unknown", "keyspace_s: []")}},
		{exitUsage, "replica", []string{"up", config("unknown2", keyspaces(`{name: k, shards: ["-"], replica: 1}`))}},
		{exitUsage, "described twice", []string{"up", config("twice", keyspaces(`{name: k, shards: ["-"]}, {name: k, shards: ["-"]}`))}},
		{exitUsage, "overlap", []string{"up", config("overlap", keyspaces(`{name: k, shards: ["-80", "40-"]}`))}},
		{exitUsage, "80-", []string{"up", config("gap", keyspaces(`{name: k, shards: ["-40", "80-"]}`))}},
		{exitUsage, "0 gateways", []string{"up", config("none", "gateways: 0")}},
		{exitUsage, "strong", []string{"up", config("durability", keyspaces(`{name: k, shards: ["-"], durability: strong}`))}},
		{exitUsage, "missing.sql", []string{"up", config("schema", keyspaces(`{name: k, shards: ["-"], schema: missing.sql}`))}},
		{exitUsage, "bad.json", []string{"up", config("vschema", keyspaces(`{name: k, shards: ["-"], vschema: bad.json}`))}},
		{exitFailed, "not a directory", []string{"up", "--dir", plain, "--schema", schema}},
		{exitFailed, "not a directory", []string{"up", "--dir", filepath.Join(plain, "below")}},
		{exitFailed, "is damaged", []string{"up", "--dir", damaged}},
		{exitFailed, "use the program that made it", []string{"up", "--dir", newer}},
		{exitFailed, "is damaged", []string{"down", "--dir", damaged}},
		{exitFailed, "is damaged", []string{"local", "ps", "--dir", damaged}},
		{exitRefused, "no state.json of a cluster", []string{"up", "--dir", foreign}},
		{exitRefused, "no local cluster", []string{"local", "ps", "--dir", filepath.Join(base, "none")}},
		{exitRefused, "no local cluster", []string{"local", "restart", "gateway-1", "--dir", filepath.Join(base, "none")}},
		{exitUsage, "needs NAME", []string{"local", "restart"}},
		{exitUsage, "zz", []string{"local", "add-shards", "k", "zz", "--dir", filepath.Join(base, "none")}},
		{exitUsage, "KEYSPACE/SHARD", []string{"local", "add-tablet", "k"}},
	} {
		args := c.args
		dir := filepath.Join(base, "cluster")
		if c.args[0] == "up" && !strings.Contains(strings.Join(args, " "), "--dir") {
			args = append(args, "--dir", dir)
		}
		code, out, errOut := run(t, "", args...)
		if code != c.code || out != "" || !strings.HasPrefix(errOut, "pelorus: ") || !strings.Contains(errOut, c.want) {
			t.Errorf("pelorus %q: exit code %d, want %d; output %q; it says %q, want %q in it", args, code, c.code, out, errOut, c.want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("pelorus %q left a directory behind", args)
		}
	}
	if b, err := os.ReadFile(filepath.Join(foreign, "topo/mine.txt")); err != nil || string(b) != "mine" {
		t.Errorf("a file of somebody else: %q, %v", b, err)
	}
	entries, err := os.ReadDir(foreign)
	if err != nil || len(entries) != 1 {
		t.Errorf("a refused directory holds %v now (%v)", entries, err)
	}
}
