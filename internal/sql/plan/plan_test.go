package plan_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func testCluster(t testing.TB) *vschema.Cluster {
	t.Helper()
	inputs := map[string]vschema.Input{}
	for name, shards := range map[string][]string{"shop": {"-80", "80-"}, "main": {"0"}, "other": {"0"}} {
		in := vschema.Input{Shards: shards}
		if b, err := os.ReadFile(filepath.Join("testdata", name+".json")); err == nil {
			in.JSON = string(b)
		} else {
			in.JSON = "{}"
		}
		inputs[name] = in
	}
	rules := `{"rules":[{"from_table":"moved","to_tables":["main.log"]},{"from_table":"shop.moved","to_tables":["main.log"]}]}`
	c, errs := vschema.NewCluster(inputs, rules, 1)
	for _, err := range errs {
		t.Errorf("vschema: %v", err)
	}
	return c
}

// explain plans a statement and prints the plan or the error.
func explain(c *vschema.Cluster, sql string) string {
	src := []byte(sql)
	env := plan.Env{VSchema: c, Keyspace: "shop", Mode: parse.Mode{Version: 90700}}
	if ks, rest, ok := strings.Cut(sql, "| "); ok && !strings.Contains(ks, " ") {
		env.Keyspace, src = ks, []byte(rest)
		if ks == "-" {
			env.Keyspace = ""
		}
	}
	_, slots, _ := parse.Fingerprint(src, env.Mode, nil)
	stmt, err := parse.Parse(src, env.Mode)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	p, err := plan.Build(src, slots, stmt, env)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	return p.Explain()
}

// TestGolden plans the statements of the files in testdata: each stands after "> ", its plan follows.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	c := testCluster(t)
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			old, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for line := range strings.Lines(string(old)) {
				sql, ok := strings.CutPrefix(line, "> ")
				switch {
				case ok:
					fmt.Fprintf(&out, "%s%s\n", line, explain(c, strings.TrimSpace(sql)))
				case strings.HasPrefix(line, "#"):
					out.WriteString(line + "\n")
				}
			}
			if *rewrite {
				if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(old), out.String()); d != "" {
				t.Errorf("plans differ from %s (-want +got; -rewrite accepts them):\n%s", name, d)
			}
		})
	}
}
