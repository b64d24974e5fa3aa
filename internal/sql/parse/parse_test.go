package parse

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct{ src, near string }{
		{"selec 1", "selec 1"},
		{"select", ""},
		{"select 1 from", ""},
		{"select 1 from t where", ""},
		{"select 1,\nfrom t", "from t"},
		{"select (1", ""},
		{"select 1)", ")"},
		{"select 'a", "'a"},
		{"select 1; select 2", "select 2"},
		{"insert into t values (1", ""},
		{"update t set", ""},
		{"select * from t where a = ", ""},
		{"select a b c from t", "c from t"},
		{"delete from a, b", ""},
		{"set a", ""},
		{"select case when end", ""},
		{"select interval 1 parsec", "parsec"},
		{"123", "123"},
		{"select 1 limit", ""},
		{"select " + strings.Repeat("é", 60) + " x y", "y"},
		{"select 1 2 " + strings.Repeat("é", 60), "2 " + strings.Repeat("é", 39)},
	} {
		_, err := Parse([]byte(c.src), Mode{})
		var e *SyntaxError
		if !errors.As(err, &e) || !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: error %v", c.src, err)
			continue
		}
		if e.Near != c.near {
			t.Errorf("%s: near %q, want %q", c.src, e.Near, c.near)
		}
		if want := 1 + strings.Count(c.src[:e.Pos], "\n"); e.Line != want {
			t.Errorf("%s: line %d", c.src, e.Line)
		}
	}
}

func TestEmptyStatements(t *testing.T) {
	for _, src := range []string{"", " ", ";", "-- x", "/* a */ ;"} {
		stmt, err := Parse([]byte(src), Mode{})
		if o, ok := stmt.(*OtherStmt); !ok || err != nil || len(o.Words) != 0 {
			t.Errorf("%q: %T %v", src, stmt, err)
		}
	}
}

// TestModes has statements whose tree depends on the mode.
func TestModes(t *testing.T) {
	for _, c := range []struct {
		src, want string
		mode      Mode
	}{
		{"do a || b", "DoStmt{Exprs:[Binary{Op:\"OR\" Left:`a` Right:`b`}]}", Mode{}},
		{"do a || b = c", "DoStmt{Exprs:[Binary{Op:\"=\" Left:Binary{Op:\"||\" Left:`a` Right:`b`} Right:`c`}]}", Mode{PipesAsConcat: true}},
		{"do not a = b", "DoStmt{Exprs:[Unary{Op:\"NOT\" Expr:Binary{Op:\"=\" Left:`a` Right:`b`}}]}", Mode{}},
		{"do not a = b", "DoStmt{Exprs:[Binary{Op:\"=\" Left:Unary{Op:\"NOT\" Expr:`a`} Right:`b`}]}", Mode{HighNotPrecedence: true}},
		{`do "a"`, `DoStmt{Exprs:[<"a" 1 #0>]}`, Mode{}},
		{`do "a"`, "DoStmt{Exprs:[`a`]}", Mode{ANSIQuotes: true}},
		{`do '\', 'b'`, `DoStmt{Exprs:[<'\' 1 #0>, <'b' 1 #1>]}`, Mode{NoBackslashEscapes: true}},
		{"do /* c */ 1, /*!99999 2, */ 3", "DoStmt{Exprs:[<1 2 #1>, <3 2 #2>]}", Mode{}},
	} {
		stmt, err := Parse([]byte(c.src), c.mode)
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
		} else if got := dump([]byte(c.src), stmt); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.src, got, c.want)
		}
	}
}

// TestPrecedence writes the parentheses out.
func TestPrecedence(t *testing.T) {
	for src, want := range map[string]string{
		"a or b and c":                         "(a OR (b AND c))",
		"a xor b or c":                         "((a XOR b) OR c)",
		"a and b xor c":                        "((a AND b) XOR c)",
		"not a and b":                          "((NOT a) AND b)",
		"not a between b and c and d":          "((NOT (a BETWEEN b AND c)) AND d)",
		"a = b = c":                            "((a = b) = c)",
		"a = b is null":                        "((a = b) IS NULL)",
		"a | b & c << d + e * f ^ g":           "(a | (b & (c << (d + (e * (f ^ g))))))",
		"a - b - c":                            "((a - b) - c)",
		"a * b mod c div d":                    "(((a * b) MOD c) DIV d)",
		"-a ^ b":                               "((- a) ^ b)",
		"- - a":                                "(- (- a))",
		"a like b and c":                       "((a LIKE b) AND c)",
		"a + b like c + d":                     "((a + b) LIKE (c + d))",
		"a in (b, c) = d":                      "((a IN b, c) = d)",
		"a between b + c and d or e":           "((a BETWEEN (b + c) AND d) OR e)",
		"a between b and c between d and e":    "(a BETWEEN b AND (c BETWEEN d AND e))",
		"a collate x = b":                      "((a COLLATE x) = b)",
		"binary a = b":                         "((BINARY a) = b)",
		"!a + b":                               "((! a) + b)",
		"a < b is not true and c":              "(((a < b) IS NOT TRUE) AND c)",
		"@x := a or b":                         "(@x := (a OR b))",
		"a + interval b day = c":               "((a + INTERVAL b DAY) = c)",
		"a regexp b or c":                      "((a REGEXP b) OR c)",
		"a -> '$' = b":                         "((a -> '$') = b)",
		"a not in (b) and not c":               "((a NOT IN b) AND (NOT c))",
		"case a when b then c or d else e end": "CASE",
	} {
		stmt, err := Parse([]byte("do "+src), Mode{})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := spell([]byte("do "+src), stmt.(*DoStmt).Exprs[0]); got != want {
			t.Errorf("%s: %s, want %s", src, got, want)
		}
	}
}

func spell(src []byte, e Expr) string {
	not := map[bool]string{true: "NOT "}
	switch e := e.(type) {
	case *Binary:
		return fmt.Sprintf("(%s %s %s)", spell(src, e.Left), e.Op, spell(src, e.Right))
	case *Unary:
		return fmt.Sprintf("(%s %s)", e.Op, spell(src, e.Expr))
	case *IsExpr:
		return fmt.Sprintf("(%s IS %s%s)", spell(src, e.Expr), not[e.Not], e.What)
	case *InExpr:
		var list []string
		for _, x := range e.List {
			list = append(list, spell(src, x))
		}
		return fmt.Sprintf("(%s %sIN %s)", spell(src, e.Expr), not[e.Not], strings.Join(list, ", "))
	case *Between:
		return fmt.Sprintf("(%s %sBETWEEN %s AND %s)", spell(src, e.Expr), not[e.Not], spell(src, e.Low), spell(src, e.High))
	case *Collate:
		return fmt.Sprintf("(%s COLLATE %s)", spell(src, e.Expr), e.Name)
	case *Interval:
		return fmt.Sprintf("INTERVAL %s %s", spell(src, e.Expr), e.Unit)
	case *CaseExpr:
		return "CASE"
	}
	return string(e.Range().Text(src))
}

// TestDepth has texts that would overflow the stack of a parser without limits.
func TestDepth(t *testing.T) {
	const n = 200_000
	for name, src := range map[string]string{
		"parentheses": "select " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n),
		"open":        "select " + strings.Repeat("(", n),
		"signs":       "select " + strings.Repeat("- ", n) + "1",
		"not":         "select " + strings.Repeat("not ", n) + "1",
		"queries":     strings.Repeat("select (", n) + "1",
		"from":        "select 1 from " + strings.Repeat("(", n) + "t",
		"case":        "select " + strings.Repeat("case ", n),
		"functions":   "select " + strings.Repeat("f(", n),
		"chain":       "select 1" + strings.Repeat("+1", n),
		"union":       "select 1" + strings.Repeat(" union select 1", n),
		"joins":       "select 1 from t" + strings.Repeat(" join t", n),
		"intervals":   "select " + strings.Repeat("interval(1,", n),
		"explain":     strings.Repeat("explain ", n) + "select 1",
		"set":         strings.Repeat("set statement a=1 for ", n) + "select 1",
		"assignments": "select " + strings.Repeat("@a:=", n) + "1",
	} {
		if _, err := Parse([]byte(src), Mode{MariaDB: true}); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, src := range []string{"select " + strings.Repeat("(", 200) + "1" + strings.Repeat(")", 200),
		"select * from t where a=1" + strings.Repeat(" or a=1", 20_000)} {
		stmt, err := Parse([]byte(src), Mode{})
		if err != nil {
			t.Errorf("%.50s: %v", src, err)
			continue
		}
		nodes := 0
		Walk(stmt, func(Node) bool { nodes++; return true })
		if nodes < 200 {
			t.Errorf("%d nodes", nodes)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, mode := range []Mode{modeMySQL, modeMariaDB} {
		for i, e := range corpus(f, mode.MariaDB) {
			if i%3 == 0 {
				f.Add(e.src, uint8(i))
			}
		}
	}
	f.Fuzz(func(t *testing.T, src string, bits uint8) {
		mode := fuzzMode(bits)
		stmt, err := Parse([]byte(src), mode)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		checkTree(t, []byte(src), mode, stmt)
		if sel, ok := stmt.(*SelectStmt); ok {
			for _, item := range sel.Items {
				ColumnName([]byte(src), item, mode)
				if item.Expr != nil && mode == (Mode{Version: mode.Version}) && !SameExpr([]byte(src), item.Expr, []byte(src), item.Expr) {
					t.Fatalf("%q: not the same as itself", src)
				}
			}
		}
	})
}

func bigInsert(rows int) []byte {
	var b strings.Builder
	b.WriteString("INSERT INTO t (id, k, name) VALUES ")
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%d,%d,'n%d')", i, i*7%1000, i%100)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for name, src := range map[string][]byte{
		"commit":           []byte("COMMIT"),
		"point":            []byte("SELECT c FROM sbtest1 WHERE id=50123"),
		"update":           []byte("UPDATE sbtest1 SET k=k+1 WHERE id=50123"),
		"join":             []byte("select o.id, sum(l.price * l.qty) total from orders o join items l on o.id = l.order_id where o.customer = 5 and o.day >= '2020-01-01' group by o.id order by total desc limit 10"),
		"insert 1000 rows": bigInsert(1000),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if _, err := Parse(src, Mode{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
