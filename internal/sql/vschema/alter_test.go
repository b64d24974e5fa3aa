package vschema

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func TestParseAlter(t *testing.T) {
	tests := []struct {
		sql  string
		want Alter
	}{
		{"alter vschema add table t", Alter{Op: AddTable, Table: "t"}},
		{"ALTER VSCHEMA ADD TABLE ks.`my``t` ;", Alter{Op: AddTable, Keyspace: "ks", Table: "my`t"}},
		{"alter /* x */ vschema drop table t -- gone", Alter{Op: DropTable, Table: "t"}},
		{"alter vschema add sequence main.s", Alter{Op: AddSequence, Keyspace: "main", Table: "s"}},
		{"alter vschema drop sequence s", Alter{Op: DropSequence, Table: "s"}},
		{"alter vschema create vindex h using HASH", Alter{Op: CreateVindex, Vindex: "h", Define: true, Type: "hash"}},
		{"alter vschema create vindex ks.l using lookup with owner=`t`, table=main.l, from='a,b', to=k, ignore_nulls=true",
			Alter{Op: CreateVindex, Keyspace: "ks", Vindex: "l", Define: true, Type: "lookup", Owner: "t",
				Params: map[string]string{"table": "main.l", "from": "a,b", "to": "k", "ignore_nulls": "true"}}},
		{"alter vschema drop vindex ks.h", Alter{Op: DropVindex, Keyspace: "ks", Vindex: "h"}},
		{"alter vschema on t add vindex h (id)", Alter{Op: AddTableVindex, Table: "t", Vindex: "h", Columns: []string{"id"}}},
		{`alter vschema on ks.t add vindex r(region, id) using region_experimental with region_bytes="1"`,
			Alter{Op: AddTableVindex, Keyspace: "ks", Table: "t", Vindex: "r", Columns: []string{"region", "id"}, Define: true,
				Type: "region_experimental", Params: map[string]string{"region_bytes": "1"}}},
		{"alter vschema on t drop vindex h", Alter{Op: DropTableVindex, Table: "t", Vindex: "h"}},
		{"alter vschema on t add auto_increment id using main.s", Alter{Op: AddAutoIncrement, Table: "t", Column: "id", Sequence: "main.s"}},
		{"alter vschema on t drop auto_increment", Alter{Op: DropAutoIncrement, Table: "t"}},
		{`alter vschema create vindex m using numeric_static_map with json='{"1": 2, "it\'s": "a''b"}'`,
			Alter{Op: CreateVindex, Vindex: "m", Define: true, Type: "numeric_static_map", Params: map[string]string{"json": `{"1": 2, "it's": "a'b"}`}}},
	}
	for _, test := range tests {
		got, err := ParseAlter(test.sql)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", test.sql, got, err, test.want)
		}
	}
}

func TestParseAlterRefuses(t *testing.T) {
	for sql, want := range map[string]string{
		"":                                                "want ALTER at the end",
		"alter table t":                                   `want VSCHEMA at "table"`,
		"alter vschema":                                   "want ADD, DROP, CREATE or ON at the end",
		"alter vschema add vindex v":                      `want TABLE at "vindex"`,
		"alter vschema add table":                         "want a name at the end",
		"alter vschema add table t u":                     `want the end of the statement at "u"`,
		"alter vschema add table 't'":                     `want a name at "t"`,
		"alter vschema add table `t":                      "a ` is not closed",
		"alter vschema /* add":                            "a comment is not closed",
		"alter vschema create vindex v":                   "want USING at the end",
		"alter vschema on t add vindex v()":               `want a column at ")"`,
		"alter vschema on t add vindex v":                 "want ( at the end",
		"alter vschema create vindex v using hash with a": "want = at the end",
		"alter vschema create vindex v using hash with a=1, a=2":                            "parameter a is there twice",
		"alter vschema create vindex v using hash with owner=a, OWNER=b":                    "parameter owner is there twice",
		"alter vschema on t add auto_increment id":                                          "want USING at the end",
		"alter vschema add table ``":                                                        "a name is empty",
		"alter vschema add table " + strings.Repeat("x", 65):                                "more than 64 characters",
		"alter vschema add table \xff":                                                      "not valid UTF-8",
		"alter vschema create vindex v using hash with a='" + strings.Repeat("x", maxAlter): "at most 1048576 are accepted",
	} {
		if _, err := ParseAlter(sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, want an error with %q", sql, err, want)
		}
	}
}

// TestAlterScript runs the statements of each testdata/*.alter one after another; the golden text is the statement and the
// document after it, or the error. With -rewrite the files are written anew.
func TestAlterScript(t *testing.T) {
	files, err := filepath.Glob("testdata/*.alter")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		doc := ""
		for line := range strings.Lines(string(want)) {
			sql, isStatement := strings.CutPrefix(line, "> ")
			if !isStatement {
				continue
			}
			fmt.Fprintf(&got, "> %s", sql)
			alter, err := ParseAlter(sql)
			if err != nil {
				t.Fatalf("%s: %s: %v", file, sql, err)
			}
			after, err := Apply(doc, alter)
			if err != nil {
				fmt.Fprintf(&got, "error: %v\n\n", err)
				continue
			}
			doc = after
			got.WriteString(doc + "\n")
		}
		if *rewrite {
			if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got.String() != string(want) {
			t.Errorf("%s differs; got:\n%s", file, got.String())
		}
	}
}

// FuzzParseAlter: nothing panics, and what is accepted can be applied or refused, leaving a document that can be read again.
func FuzzParseAlter(f *testing.F) {
	for _, sql := range []string{
		"alter vschema add table t", "alter vschema create vindex l using lookup with owner=t, table=main.l, from='a,b'",
		"alter vschema on ks.t add vindex r(region, id) using region_experimental with region_bytes=\"1\"",
		"alter vschema on t drop auto_increment; -- x", "alter vschema on `a``b` add auto_increment c using d.e",
	} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		a, err := ParseAlter(sql)
		if err != nil {
			return
		}
		for _, doc := range []string{shopJSON, "", mainJSON} {
			after, err := Apply(doc, a)
			if err != nil {
				continue
			}
			again, err := Parse(after)
			if err != nil || again.Encode() != after {
				t.Errorf("%q leaves a document that does not read back: %v\n%s", sql, err, after)
			}
		}
	})
}
