package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

func build(t testing.TB, sql string) (*plan.Plan, []parse.Slot) {
	t.Helper()
	env := plan.Env{VSchema: testCluster(t), Keyspace: "shop", Mode: parse.Mode{Version: 90700}}
	_, slots, ok := parse.Fingerprint([]byte(sql), env.Mode, nil)
	if !ok {
		t.Fatalf("no fingerprint of %s", sql)
	}
	stmt, err := parse.Parse([]byte(sql), env.Mode)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build([]byte(sql), slots, stmt, env)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return p, slots
}

// TestCachedPlan uses plans for other statements of the same shape.
func TestCachedPlan(t *testing.T) {
	for _, c := range []struct {
		made, used string
		fits       bool
	}{
		{"select a from orders where customer_id = 5", "select a from orders where customer_id = 77", true},
		{"select a from orders order by a limit 5", "select a from orders order by a limit 6", false},
		{"select a from orders where b = 1 order by 1", "select a from orders where b = 2 order by 1", true},
		{"select a, b from orders order by 1", "select a, b from orders order by 2", false},
		{"select * from orders o, item i where o.customer_id = 5 and i.customer_id = 5", "select * from orders o, item i where o.customer_id = 6 and i.customer_id = 5", false},
		{"select coalesce(sum(a), 0) from orders", "select coalesce(sum(a), 1) from orders", false},
	} {
		p, _ := build(t, c.made)
		_, slots, _ := parse.Fingerprint([]byte(c.used), parse.Mode{Version: 90700}, nil)
		if got := p.Fits([]byte(c.used), slots); got != c.fits {
			t.Errorf("the plan of %q for %q: fits is %v, want %v", c.made, c.used, got, c.fits)
		}
	}
}

// TestRewrittenText checks that a text made for one statement carries the literals of the other.
func TestRewrittenText(t *testing.T) {
	p, _ := build(t, "select * from moved where moved.id = 3 and a = 'x'")
	other := "select * from moved where moved.id = 44 and a = 'it''s'"
	_, slots := build(t, other)
	got := string(p.Fast.Rewrite.Append(nil, []byte(other), slots))
	if want := "select * from `main`.`log` AS `moved` where moved.id = 44 and a = 'it''s'"; got != want {
		t.Errorf("text is\n%s\nwant\n%s", got, want)
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		literal string
		kind    vindex.ValueKind
		raw     string
	}{
		{"5", vindex.Int, "5"}, {"-5", vindex.Int, "-5"}, {"- 5", vindex.Int, "-5"}, {"18446744073709551615", vindex.Uint, "18446744073709551615"},
		{"9223372036854775807", vindex.Int, "9223372036854775807"}, {"1.5", vindex.Decimal, "1.5"}, {"1e3", vindex.Float, "1e3"},
		{"'abc'", vindex.Text, "abc"}, {"'it''s'", vindex.Text, "it's"}, {`'a\'b'`, vindex.Text, "a'b"}, {"''", vindex.Text, ""},
		{"x'4142'", vindex.HexLiteral, "x'4142'"}, {"0x142", vindex.HexLiteral, "0x142"}, {"b'101'", vindex.BitLiteral, "b'101'"}, {"0b1000000001", vindex.BitLiteral, "0b1000000001"},
		{"_binary'ab'", vindex.Binary, "ab"}, {"_utf8mb4'ab'", vindex.Text, "ab"}, {"null", vindex.Null, ""}, {"true", vindex.Int, "1"},
	} {
		sql := "select * from orders where customer_id = " + c.literal
		p, slots := build(t, sql)
		if p.Fast == nil {
			t.Errorf("%s: no fast plan:\n%s", sql, p.Explain())
			continue
		}
		v, err := p.Fast.Value.Resolve([]byte(sql), slots, nil)
		if err != nil || v.Kind != c.kind || string(v.Raw) != c.raw {
			t.Errorf("%s resolves to %v %q, %v; want %v %q", c.literal, v.Kind, v.Raw, err, c.kind, c.raw)
		}
	}
}

// TestMoreLiteralsThanSlots plans an INSERT that has no usable fingerprint.
func TestMoreLiteralsThanSlots(t *testing.T) {
	var sql strings.Builder
	sql.WriteString("insert into page (path, hits) values ('it''s', -1)")
	for i := range 3000 {
		fmt.Fprintf(&sql, ", ('/p%d', %d)", i, i)
	}
	env := plan.Env{VSchema: testCluster(t), Keyspace: "shop", Mode: parse.Mode{Version: 90700}}
	src := []byte(sql.String())
	if _, _, ok := parse.Fingerprint(src, env.Mode, nil); ok {
		t.Fatal("the statement has a fingerprint; make it longer")
	}
	stmt, err := parse.Parse(src, env.Mode)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(src, nil, stmt, env)
	if err != nil {
		t.Fatal(err)
	}
	op, ok := p.Root.(*plan.Insert)
	if !ok || len(op.Rows) != 3001 || !p.NoCache {
		t.Fatalf("plan is\n%s", p.Explain())
	}
	for _, c := range []struct {
		row, col int
		want     string
	}{{0, 0, "it's"}, {0, 1, "-1"}, {3000, 0, "/p2999"}, {3000, 1, "2999"}} {
		v, err := op.Rows[c.row][c.col].Value.Resolve(src, nil, nil)
		if err != nil || string(v.Raw) != c.want {
			t.Errorf("row %d, value %d is %q, %v; want %q", c.row, c.col, v.Raw, err, c.want)
		}
	}
}

// TestCachedInsert uses the plan of one INSERT for another.
func TestCachedInsert(t *testing.T) {
	p, _ := build(t, "insert into customer (id, email, name) values (1, 'a', 'b'), (null, 'c', default)")
	if p.NoCache {
		t.Fatal("the plan is not kept")
	}
	const other = "insert into customer (id, email, name) values (7, 'x', 'y'), (null, 'z', default)"
	_, slots, _ := parse.Fingerprint([]byte(other), parse.Mode{Version: 90700}, nil)
	op, ok := p.Root.(*plan.Insert)
	if !ok || !p.Fits([]byte(other), slots) {
		t.Fatalf("plan is\n%s", p.Explain())
	}
	v, err := op.Rows[0][0].Value.Resolve([]byte(other), slots, nil)
	if text := op.Rows[0][1].Text.Append(nil, []byte(other), slots); err != nil || string(v.Raw) != "7" || string(text) != "'x'" {
		t.Errorf("id is %q, %v, email %s", v.Raw, err, text)
	}
}

func TestResolveAllocatesNothing(t *testing.T) {
	for _, sql := range []string{"select * from orders where customer_id = 12345", "select * from page where path = '/a/b'", "select * from orders where customer_id = -3"} {
		p, slots := build(t, sql)
		src, v := []byte(sql), &p.Fast.Value
		if n := testing.AllocsPerRun(100, func() {
			if _, err := v.Resolve(src, slots, nil); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", sql, n)
		}
	}
}

// FuzzBuild looks for panics, and for plans whose text does not come back as the client's when nothing is edited.
func FuzzBuild(f *testing.F) {
	for _, sql := range []string{
		"select a, count(*) from orders group by a having count(*) > 2 order by 1 limit 3, 4",
		"insert into orders (customer_id, a) values (1, 'x'), (2, default)", "update customer set email = 'x' where name in ('a', 'b')",
		"select * from (select a from orders union all select label from item) x", "delete o from orders o join item i using (customer_id)",
	} {
		f.Add(sql)
	}
	c := testCluster(f)
	f.Fuzz(func(t *testing.T, sql string) {
		env := plan.Env{VSchema: c, Keyspace: "shop", Mode: parse.Mode{Version: 90700}}
		src := []byte(sql)
		stmt, err := parse.Parse(src, env.Mode)
		if err != nil {
			return
		}
		_, slots, ok := parse.Fingerprint(src, env.Mode, nil)
		if !ok {
			slots = nil
		}
		p, err := plan.Build(src, slots, stmt, env)
		if err != nil {
			return
		}
		if p.Explain() == "" || (p.Fast == nil) == (p.Root == nil) {
			t.Errorf("%q has neither or both of a shard and a tree", sql)
		}
		if r, ok := p.Root.(*plan.Route); ok && !r.Split && r.Hidden == 0 && !p.NoCache {
			_ = r.Text.Append(nil, src, slots)
		}
	})
}

func BenchmarkBuildScatter(b *testing.B) {
	const sql = "select a, count(*) as n from orders where b > 5 group by a order by n desc limit 10"
	env := plan.Env{VSchema: testCluster(b), Keyspace: "shop", Mode: parse.Mode{Version: 90700}}
	_, slots, _ := parse.Fingerprint([]byte(sql), env.Mode, nil)
	stmt, err := parse.Parse([]byte(sql), env.Mode)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := plan.Build([]byte(sql), slots, stmt, env); err != nil {
			b.Fatal(err)
		}
	}
}
