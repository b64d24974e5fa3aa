package vschema

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestDocumentGolden: a document with every field, in either spelling, has one canonical form, which reads back as the same.
func TestDocumentGolden(t *testing.T) {
	in, err := os.ReadFile("testdata/every-field.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := Parse(string(in))
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/every-field.golden.json"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(doc.Encode()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if doc.Encode() != string(want) {
		t.Errorf("canonical form is\n%s\nwant\n%s", doc.Encode(), want)
	}
	again, err := Parse(string(want))
	if err != nil || !reflect.DeepEqual(again, doc) {
		t.Errorf("the canonical form reads back as %+v, %v; want %+v", again, err, doc)
	}
}

func TestParseNamesThePlace(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                                   "the document: want an object in braces",
		`{} {}`:                                "the document: there is text after the closing brace",
		`{"sharded": 1}`:                       "sharded: want true or false",
		`{"sharded": true, "sharded": false}`:  "sharded: is there twice",
		`{"shards": 2}`:                        "shards: unknown field",
		`{"keyspaces": {}}`:                    "keyspaces: unknown field",
		`{"foreign_key_mode": "on"}`:           `foreign_key_mode: "on" is not one of unspecified, disallow, unmanaged, managed`,
		`{"vindexes": {"h": {"typ": "hash"}}}`: "vindexes.h.typ: unknown field",
		`{"vindexes": {"h": {"params": {"a": 1}}}}`:                              "vindexes.h.params.a: want a string in quotes",
		`{"tables": {"": {}}}`:                                                   "a name is empty",
		`{"tables": {"t": {}, "t": {}}}`:                                         "tables.t: is there twice",
		`{"tables": {"t": {"type": "view"}}}`:                                    `tables.t.type: "view" is not one of sequence, reference`,
		`{"tables": {"t": {"pinned": "8"}}}`:                                     `tables.t.pinned: "8" is not a keyspace id in hexadecimal`,
		`{"tables": {"t": {"column_vindexes": [{}, {"col": "a"}]}}}`:             "tables.t.column_vindexes[1].col: unknown field",
		`{"tables": {"t": {"column_vindexes": [], "columnVindexes": []}}}`:       "tables.t.columnVindexes: is there twice",
		`{"tables": {"t": {"columns": [{"name": "a", "values": ["x", 1]}]}}}`:    "tables.t.columns[0].values: want a list of strings",
		`{"tables": {"t": {"auto_increment": {"column": "a", "sequenc": "s"}}}}`: "tables.t.auto_increment.sequenc: unknown field",
		`{"tables": {"t": {"column_vindexes": {"column": "a"}}}}`:                "tables.t.column_vindexes: want a list in brackets",
		`{"tables": {"` + strings.Repeat("x", 65) + `": {}}}`:                    "more than 64 characters",
		`{"tables": {"t": {"columns": [{"name": "a"`:                             "not valid JSON",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", text, err, want)
		}
	}
	if doc, err := Parse(" \n"); err != nil || doc.Sharded || len(doc.Tables) != 0 {
		t.Errorf("empty text: %+v, %v; want an empty document", doc, err)
	}
	if doc, err := Parse(`{"tables": null, "multi_tenant_spec": null}`); err != nil || doc.Tables != nil {
		t.Errorf("null: %+v, %v; want nothing", doc, err)
	}
}

func TestRulesRoundTrip(t *testing.T) {
	const text = `{"rules": [{"fromTable": "a@replica", "to_tables": ["ks.a"]}, {"from_keyspace": "x", "to_keyspace": "y"}]}`
	rules, err := ParseRules(text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseRules(rules.Encode())
	if err != nil || !reflect.DeepEqual(again, rules) || len(rules.Rules) != 2 {
		t.Errorf("%s reads back as %+v, %v; want %+v", rules.Encode(), again, err, rules)
	}
}

// FuzzParse: nothing panics; what is accepted reads back the same, and compiles with or without problems.
func FuzzParse(f *testing.F) {
	f.Add(shopJSON)
	f.Add(mainJSON)
	if every, err := os.ReadFile("testdata/every-field.json"); err == nil {
		f.Add(string(every))
	}
	f.Add(`{"vindexes":{"m":{"type":"multicol","params":{"column_count":"2","column_bytes":"1"}}},"sharded":true}`)
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(doc.Encode())
		if err != nil || again.Encode() != doc.Encode() {
			t.Fatalf("canonical form does not read back: %v\n%s", err, doc.Encode())
		}
		c, _ := NewCluster(map[string]Input{"a": {JSON: text, Shards: []string{"-80", "80-"}}, "main": {JSON: mainJSON}}, "", 1)
		for name := range doc.Tables {
			if table, err := c.FindTable("a", "", name); (table == nil) == (err == nil) {
				t.Errorf("FindTable(%q) = %v, %v: want one of the two", name, table, err)
			}
		}
	})
}
