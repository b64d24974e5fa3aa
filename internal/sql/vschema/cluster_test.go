package vschema

import (
	"os"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

const shopJSON = `{
  "sharded": true,
  "vindexes": {
    "hash": {"type": "hash"},
    "email": {"type": "consistent_lookup_unique", "owner": "customers",
      "params": {"table": "main.customer_emails", "from": "email", "to": "keyspace_id"}},
    "region": {"type": "region_experimental", "params": {"region_bytes": "1"}}
  },
  "tables": {
    "customers": {
      "column_vindexes": [{"column": "id", "name": "hash"}, {"column": "email", "name": "email"}],
      "auto_increment": {"column": "id", "sequence": "main.customers_seq"},
      "columns": [{"name": "id", "type": "INT64"}, {"name": "Email", "type": "VARCHAR"}]
    },
    "orders": {"column_vindexes": [{"columns": ["customer_id"], "name": "hash"}]},
    "places": {"column_vindexes": [{"columns": ["region", "id"], "name": "region"}]},
    "products": {"type": "reference", "source": "main.products"},
    "settings": {"pinned": "80"}
  }
}`

const mainJSON = `{"tables": {"customers_seq": {"type": "sequence"}, "products": {}, "customer_emails": {}}}`

func shopInputs() map[string]Input {
	return map[string]Input{
		"shop": {JSON: shopJSON, Shards: []string{"80-", "-80"}},
		"main": {JSON: mainJSON, Shards: []string{"0"}},
	}
}

func mustCluster(t *testing.T, inputs map[string]Input, rules string) *Cluster {
	t.Helper()
	c, problems := NewCluster(inputs, rules, 7)
	for _, p := range problems {
		t.Errorf("unexpected problem: %v", p)
	}
	return c
}

func TestCompiledModel(t *testing.T) {
	c := mustCluster(t, shopInputs(), "")
	if c.Version() != 7 {
		t.Errorf("version %d, want 7", c.Version())
	}
	shop := c.Keyspace("shop")
	if !shop.Sharded || len(shop.Shards) != 2 || shop.Shards[0].Name != "-80" {
		t.Errorf("shop is %+v, want two sorted shards", shop)
	}
	customers, err := c.FindTable("shop", "", "customers")
	if err != nil {
		t.Fatal(err)
	}
	if p := customers.Primary(); p == nil || p.Vindex.Type() != "hash" || p.Index("ID") != 0 || p.Owned {
		t.Errorf("primary vindex of customers is %+v", p)
	}
	email := customers.ColumnVindexes[1]
	if !email.Owned || email.Lookup == nil || email.Lookup.String() != "main.customer_emails" {
		t.Errorf("email vindex is %+v", email)
	}
	if owned := customers.Owned(); len(owned) != 1 || owned[0].Name != "email" {
		t.Errorf("owned vindexes: %v", owned)
	}
	if a := customers.AutoIncrement; a == nil || a.Column != "id" || a.Sequence.String() != "main.customers_seq" {
		t.Errorf("auto increment: %+v", a)
	}
	if customers.Column("EMAIL") == nil || customers.Column("nosuch") != nil {
		t.Error("columns must be found in any case, and no others")
	}
	products, err := c.FindTable("", "shop", "products")
	if err != nil || !products.Reference || products.Source == nil || products.Source.String() != "main.products" {
		t.Errorf("products is %+v, %v", products, err)
	}
	if refs := products.Source.ReferencedBy; len(refs) != 1 || refs[0] != products {
		t.Errorf("main.products is referenced by %v", refs)
	}
	settings, err := c.FindTable("shop", "", "settings")
	if err != nil || string(settings.Pinned) != "\x80" {
		t.Errorf("settings is %+v, %v", settings, err)
	}
}

func TestFindTable(t *testing.T) {
	c := mustCluster(t, shopInputs(), "")
	single := mustCluster(t, map[string]Input{"only": {}}, "")
	tests := []struct {
		cluster             *Cluster
		ks, schema, table   string
		want                string
		code                errcode.Code
		wantDeclaredSharded bool
	}{
		{c, "shop", "", "orders", "shop.orders", 0, true},
		{c, "shop", "main", "anything", "main.anything", 0, false},
		{c, "main", "shop", "orders", "shop.orders", 0, true},
		{c, "", "", "orders", "shop.orders", 0, true},
		{c, "", "", "products", "main.products", 0, false}, // the source of the reference
		{c, "", "", "undeclared", "", errcode.NoKeyspace, false},
		{c, "shop", "", "Orders", "", errcode.NoSuchTable, false}, // table names have a case
		{c, "nosuch", "", "orders", "", errcode.NoSuchKeyspace, false},
		{c, "shop", "nosuch", "orders", "", errcode.NoSuchKeyspace, false},
		{single, "", "", "anything", "only.anything", 0, false},
	}
	for _, test := range tests {
		got, err := test.cluster.FindTable(test.ks, test.schema, test.table)
		if test.code != 0 {
			if !errcode.Has(err, test.code) {
				t.Errorf("FindTable(%q, %q, %q): error %v, want %v", test.ks, test.schema, test.table, err, test.code)
			}
			continue
		}
		if err != nil || got.String() != test.want || got.Keyspace.Sharded != test.wantDeclaredSharded {
			t.Errorf("FindTable(%q, %q, %q) = %v, %v; want %s", test.ks, test.schema, test.table, got, err, test.want)
		}
	}
}

func TestShardedOrNot(t *testing.T) {
	for _, test := range []struct {
		json, shards string
		sharded      bool
		usable       bool // an undeclared table
	}{
		{"", "", false, true},
		{"", "0", false, true},
		{"", "-80 80-", true, false},
		{"{}", "0", false, true},
		{"{}", "-80 80-", false, false},
		{"{}", "0 -80 80-", false, true}, // being split
		{`{"sharded": true}`, "0 -80 80-", true, false},
		{`{"sharded": true}`, "-", true, false},
	} {
		c, _ := NewCluster(map[string]Input{"ks": {JSON: test.json, Shards: strings.Fields(test.shards)}}, "", 1)
		_, err := c.FindTable("ks", "", "t")
		if k := c.Keyspace("ks"); k.Sharded != test.sharded || (err == nil) != test.usable {
			t.Errorf("vschema %q on shards %s: sharded %v, table: %v", test.json, test.shards, k.Sharded, err)
		}
	}
	if _, problems := NewCluster(map[string]Input{"ks": {Shards: []string{"-8"}}}, "", 1); len(problems) != 1 {
		t.Errorf("a malformed shard name: problems %v", problems)
	}
}

// TestDocumentation: what docs/vschema.md shows is accepted, and every vindex type stands there.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../../docs/vschema.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range vindex.Types() {
		if !strings.Contains(strings.ReplaceAll(string(text), "`..._unique`", "`lookup_unicodeloosemd5_hash_unique`"), "`"+typ+"`") {
			t.Errorf("vindex type %s is not documented", typ)
		}
	}
	blocks := strings.Split(string(text), "```")
	shown := 0
	for i := 1; i < len(blocks); i += 2 {
		language, body, _ := strings.Cut(blocks[i], "\n")
		switch {
		case language == "sql":
			for line := range strings.Lines(body) {
				shown++
				if _, err := ParseAlter(line); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}
		case strings.Contains(body, `"rules"`):
			shown++
			if _, err := ParseRules(body); err != nil {
				t.Errorf("%s: %v", body, err)
			}
		default:
			shown++
			inputs := shopInputs()
			inputs["shop"] = Input{JSON: body, Shards: inputs["shop"].Shards}
			if _, problems := NewCluster(inputs, "", 1); len(problems) > 0 {
				t.Errorf("%s: %v", body, problems)
			}
		}
	}
	if shown < 10 {
		t.Errorf("only %d examples were found", shown)
	}
}

func TestAmbiguousAndExplicit(t *testing.T) {
	in := map[string]Input{
		"a": {JSON: `{"tables": {"t": {}, "u": {}}}`},
		"b": {JSON: `{"tables": {"t": {}}}`},
		"c": {JSON: `{"require_explicit_routing": true, "tables": {"u": {}}}`},
	}
	c := mustCluster(t, in, "")
	if _, err := c.FindTable("", "", "t"); !errcode.Has(err, errcode.AmbiguousTable) {
		t.Errorf("t: %v, want ambiguous", err)
	}
	if u, err := c.FindTable("", "", "u"); err != nil || u.String() != "a.u" {
		t.Errorf("u is %v, %v; want a.u", u, err)
	}
}

func TestRoutingRules(t *testing.T) {
	rules := `{"rules": [
	  {"from_table": "customer", "to_tables": ["shop.customers"]},
	  {"from_table": "old.orders", "to_tables": ["shop.orders"]},
	  {"from_table": "main.moved", "to_tables": ["shop.orders"]},
	  {"from_table": "main.moved@replica", "to_tables": ["main.moved"]},
	  {"from_table": "main.gone", "to_tables": []},
	  {"from_keyspace": "legacy", "to_keyspace": "main"}]}`
	c := mustCluster(t, shopInputs(), rules)
	tests := []struct {
		tabletType, ks, schema, table, want string
	}{
		{Primary, "", "", "customer", "shop.customers"},
		{Primary, "old", "", "orders", "shop.orders"},
		{Primary, "main", "", "moved", "shop.orders"},
		{ReadOnly, "main", "", "moved", "shop.orders"},
		{Replica, "main", "", "moved", "main.moved"},
		{Primary, "shop", "legacy", "t", "main.t"},
	}
	for _, test := range tests {
		got, err := c.FindTableOn(test.tabletType, test.ks, test.schema, test.table)
		if err != nil || got.String() != test.want {
			t.Errorf("%+v: %v, %v", test, got, err)
		}
	}
	if _, err := c.FindTable("main", "", "gone"); !errcode.Has(err, errcode.TableClosed) {
		t.Errorf("gone: %v, want closed", err)
	}
}

// TestProblems: each mistake is named with its place, its table is refused with the same words, and the others work.
func TestProblems(t *testing.T) {
	sharded := func(tables string) string {
		return `{"sharded": true, "vindexes": {"hash": {"type": "hash"}, "multi": {"type": "multicol", "params": {"column_count": "2"}},
		  "many": {"type": "lookup", "owner": "good", "params": {"table": "main.l", "from": "x", "to": "k"}},
		  "nohome": {"type": "lookup_unique", "params": {"table": "nosuch.l", "from": "x", "to": "k"}},
		  "lost": {"type": "lookup", "owner": "nosuch", "params": {"table": "main.l", "from": "x", "to": "k"}},
		  "other": {"type": "lookup", "owner": "u", "params": {"table": "main.l", "from": "x", "to": "k"}},
		  "bad": {"type": "nosuch"}},
		  "tables": {"u": {"pinned": "00"}, "good": {"column_vindexes": [{"column": "id", "name": "hash"}, {"column": "x", "name": "many"}]}, ` + tables + `}}`
	}
	tests := []struct {
		name, json string
		place      string // of the problem, with its reason
		broken     string // table that must be refused; empty: the whole keyspace
	}{
		{"no vindex", sharded(`"t": {}`), "tables.t.column_vindexes: is missing", "t"},
		{"unknown vindex", sharded(`"t": {"column_vindexes": [{"column": "id", "name": "nosuch"}]}`), "tables.t.column_vindexes[0]: the keyspace has no vindex nosuch", "t"},
		{"unusable vindex", sharded(`"t": {"column_vindexes": [{"column": "id", "name": "bad"}]}`), "tables.t.column_vindexes[0]: vindex bad is not usable", "t"},
		{"unusable vindex itself", sharded(`"t": {"pinned": "00"}`), `vindexes.bad: vindex bad: type "nosuch": unknown vindex type`, "-"},
		{"non-unique primary", sharded(`"t": {"column_vindexes": [{"column": "id", "name": "many"}]}`), "tables.t.column_vindexes[0]: the primary (first) vindex must be unique", "t"},
		{"no columns", sharded(`"t": {"column_vindexes": [{"name": "hash"}]}`), "tables.t.column_vindexes[0]: column or columns is missing", "t"},
		{"both", sharded(`"t": {"column_vindexes": [{"column": "a", "columns": ["a"], "name": "hash"}]}`), "give column or columns, not both", "t"},
		{"too many columns", sharded(`"t": {"column_vindexes": [{"columns": ["a", "b"], "name": "hash"}]}`), "maps 1 columns, and 2 are given", "t"},
		{"too few columns", sharded(`"t": {"column_vindexes": [{"columns": ["a"], "name": "multi"}]}`), "maps 2 columns, and 1 are given", "t"},
		{"secondary multi", sharded(`"t": {"column_vindexes": [{"column": "a", "name": "hash"}, {"columns": ["a", "b"], "name": "multi"}]}`), "can only be the primary", "t"},
		{"column twice", sharded(`"t": {"column_vindexes": [{"columns": ["a", "A"], "name": "multi"}]}`), "column A is there twice", "t"},
		{"lookup without home", sharded(`"t": {"column_vindexes": [{"column": "a", "name": "hash"}, {"column": "x", "name": "nohome"}]}`), "lookup table nosuch.l: there is no keyspace nosuch", "t"},
		{"not in the column list", sharded(`"t": {"column_list_authoritative": true, "columns": [{"name": "b"}], "column_vindexes": [{"column": "a", "name": "hash"}]}`), "column a is not in the table's columns", "t"},
		{"columns twice", sharded(`"t": {"pinned": "00", "columns": [{"name": "b"}, {"name": "B"}]}`), "tables.t.columns[1].name: column B is there twice", "t"},
		{"sharded sequence", sharded(`"t": {"type": "sequence"}`), "tables.t.type: a sequence belongs in an unsharded keyspace", "t"},
		{"no such sequence", sharded(`"t": {"pinned": "00", "auto_increment": {"column": "a", "sequence": "nosuch"}}`), "tables.t.auto_increment: sequence \"nosuch\"", "t"},
		{"not a sequence", sharded(`"t": {"pinned": "00", "auto_increment": {"column": "a", "sequence": "main.l"}}`), `table main.l is not declared with "type": "sequence"`, "t"},
		{"reference with vindex", sharded(`"t": {"type": "reference", "column_vindexes": [{"column": "a", "name": "hash"}]}`), "a reference or pinned table has no vindexes", "t"},
		{"source of its own", sharded(`"t": {"type": "reference", "source": "ks.good"}`), "table ks.good is in the same keyspace", "t"},
		{"source without reference", sharded(`"t": {"pinned": "00", "source": "main.l"}`), "only a table of type reference has a source", "t"},
		{"unsharded with shards", `{"tables": {"t": {}}}`, "sharded: is false, but the keyspace has the shards -80, 80-", ""},
		{"not JSON", `{"sharded": tru}`, "vschema: sharded: not valid JSON", ""},
		{"owner missing", sharded(`"t": {"column_vindexes": [{"column": "id", "name": "hash"}, {"column": "x", "name": "lost"}]}`),
			"vindexes.lost.owner: there is no table nosuch", "t"},
		{"owner without use", sharded(`"t": {"column_vindexes": [{"column": "id", "name": "hash"}, {"column": "x", "name": "other"}]}`),
			"vindexes.other.owner: table u does not use the vindex", "t"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, problems := NewCluster(map[string]Input{
				"ks":   {JSON: test.json, Shards: []string{"-80", "80-"}},
				"main": {JSON: `{"tables": {"l": {}}}`},
			}, "", 1)
			all := ""
			for _, p := range problems {
				all += p.Error() + "\n"
			}
			if !strings.Contains(all, "keyspace ks: ") || !strings.Contains(all, test.place) {
				t.Errorf("problems are %q, want one with %q", all, test.place)
			}
			if test.broken == "-" {
				return
			}
			table := test.broken
			if table == "" {
				table = "t"
			}
			words := test.place
			if strings.HasPrefix(words, "vindexes.") {
				words = "is not usable"
			}
			if _, err := c.FindTable("ks", "", table); !errcode.Has(err, errcode.InvalidVSchema) || !strings.Contains(err.Error(), words) {
				t.Errorf("FindTable(%s): %v, want an invalid vschema: %s", table, err, test.place)
			}
			if test.broken != "" {
				if _, err := c.FindTable("ks", "", "good"); err != nil {
					t.Errorf("the good table is refused: %v", err)
				}
			}
		})
	}
}

func TestRuleProblems(t *testing.T) {
	tests := []struct{ rules, want, closed string }{
		{`{"rules": [{"from_table": "a", "to_tables": ["main.x", "main.y"]}]}`, "rules[0]: to_tables of a names 2 tables", "a"},
		{`{"rules": [{"from_table": "a", "to_tables": ["x"]}]}`, `"x" is not of the form keyspace.table`, "a"},
		{`{"rules": [{"from_table": "a", "to_tables": ["nosuch.x"]}]}`, "unknown database 'nosuch'", "a"},
		{`{"rules": [{"from_table": "a", "to_tables": ["main.x"]}, {"from_table": "a", "to_tables": ["main.y"]}]}`, "rules[1]: there is another rule", "a"},
		{`{"rules": [{"from_table": "a@spare", "to_tables": ["main.x"]}]}`, "@spare is not @primary", ""},
		{`{"rules": [{"from_keyspace": "a", "to_keyspace": "nosuch"}]}`, "there is no keyspace nosuch", ""},
		{`{"rules": [{"to_tables": ["main.x"]}]}`, "rules[0]: want either from_table or from_keyspace", ""},
		{`{"rules": [{"from_table": "a", "to_keyspace": "main"}]}`, "rules[0]: a rule for a table has only", ""},
		{`{"rules": [{"from_keyspace": "shop", "shard": "-80", "to_keyspace": "main"}]}`, "rules[0]: rules for single shards are not supported", ""},
		{`{"rules": [{"from_keyspace": "a"}]}`, "rules[0]: a rule for a keyspace has only", ""},
		{`{"rules": 3}`, "rules: want a list", ""},
	}
	for _, test := range tests {
		c, problems := NewCluster(shopInputs(), test.rules, 1)
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), test.want) {
			t.Errorf("%s: problems %v, want %q", test.rules, problems, test.want)
		}
		if test.closed == "" {
			continue
		}
		if _, err := c.FindTable("", "", test.closed); !errcode.Has(err, errcode.InvalidVSchema) {
			t.Errorf("%s: table %s answers %v, want the rule's error", test.rules, test.closed, err)
		}
	}
}

func TestCheck(t *testing.T) {
	inputs := shopInputs()
	inputs["sick"] = Input{JSON: `{"tables": {"t": {"source": "main.x"}}}`}
	const rules = `{"rules": [{"from_table": "x", "to_tables": ["shop.orders"]}, {"from_keyspace": "y", "to_keyspace": "nosuch"}]}`
	for _, test := range []struct {
		keyspace, text string
		want           []string // beginnings of the problems
	}{
		{"shop", shopJSON, nil},
		{"main", mainJSON, nil},
		{"new", `{}`, nil},
		{"main", `{"tables": {"products": {}, "customer_emails": {}}}`, []string{"keyspace shop: tables.customers.auto_increment"}},
		{"shop", `{"sharded": true}`, []string{"routing rules: rules[0]: to_tables of x"}},
		{"sick", inputs["sick"].JSON, []string{"keyspace sick: tables.t.source"}}, // its own count although they are not new
		{"shop", `{`, []string{"keyspace shop: vschema", "routing rules: rules[0]"}},
	} {
		got := Check(inputs, rules, test.keyspace, test.text, vindex.Options{})
		ok := len(got) == len(test.want)
		for i := range min(len(got), len(test.want)) {
			ok = ok && strings.HasPrefix(got[i].Error(), test.want[i])
		}
		if !ok {
			t.Errorf("Check(%s, %s) = %v, want %q", test.keyspace, test.text, got, test.want)
		}
	}
	if inputs["shop"].JSON != shopJSON {
		t.Error("Check changed its inputs")
	}
	if got := Check(nil, "", "new", `{}`, vindex.Options{}); len(got) != 0 {
		t.Errorf("Check of the first keyspace: %v", got)
	}
}

func TestLocateAndWithin(t *testing.T) {
	var shards []ShardInfo
	for _, name := range []string{"-40", "40-80", "80-c0", "d0-"} { // c0-d0 is missing
		r, err := vindex.ParseShardName(name)
		if err != nil {
			t.Fatal(err)
		}
		shards = append(shards, ShardInfo{Name: name, Range: r})
	}
	for id, want := range map[string]int{"": 0, "\x00": 0, "\x3f\xff": 0, "\x40": 1, "\x7f": 1, "\x80": 2, "\xbf": 2, "\xc0": -1, "\xcf\xff": -1, "\xd0": 3, "\xff\xff": 3} {
		if got := Locate(shards, []byte(id)); got != want {
			t.Errorf("Locate(%x) = %d, want %d", id, got, want)
		}
	}
	names := func(in []ShardInfo) string {
		var out []string
		for _, s := range in {
			out = append(out, s.Name)
		}
		return strings.Join(out, " ")
	}
	for _, test := range []struct {
		dest vindex.Dest
		want string
	}{
		{vindex.Dest{}, ""},
		{vindex.Dest{Kind: vindex.DestID, ID: []byte{0x41}}, "40-80"},
		{vindex.Dest{Kind: vindex.DestID, ID: []byte{0xc5}}, ""},
		{vindex.Dest{Kind: vindex.DestRange, Start: []byte{0x7f}, End: []byte{0x80}}, "40-80"},
		{vindex.Dest{Kind: vindex.DestRange, Start: []byte{0x7f}, End: []byte{0x80, 0}}, "40-80 80-c0"},
		{vindex.Dest{Kind: vindex.DestRange}, "-40 40-80 80-c0 d0-"},
	} {
		if got := names(Within(shards, test.dest)); got != test.want {
			t.Errorf("Within(%+v) = %q, want %q", test.dest, got, test.want)
		}
	}
	id := []byte{0x41, 2}
	if n := testing.AllocsPerRun(100, func() { Locate(shards, id) }); n != 0 {
		t.Errorf("Locate allocates %v times", n)
	}
}
