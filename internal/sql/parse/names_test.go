package parse

import (
	"database/sql"
	"strings"
	"testing"
)

// nameExprs are select items whose names are compared with those of servers.
var nameExprs = []string{
	"1", "1.50", "-1", "- 1", "+5", "'abc'", "'  abc'", "'\\t\\nabc'", "'abc  '", "'a' 'b'", "'it''s'", `'a\'b'`, "\"dq\"", "''", "' '",
	"x'41'", "X'41'", "0x41", "b'1'", "0b11", "N'abc'", "n'abc'", "_utf8mb4'x'", "_latin1 'x'", "_utf8mb4 x'41'", "null", "NULL", "Null", "true", "True", "FALSE", "not true",
	"1+1", "1 + 1", "(1)", "( 1 )", "((1))", "COUNT( * )", "count(*)", "concat('a' , 'b')", "(select 1)", "( select  1 )", "1 /* c */ + 2", "/* c */ 1", "1 /* c */",
	"@a", "@`a b`", "@@sql_mode", "@@session.autocommit", "@@global.sql_mode", "@a := 5", "if(1, 2, 3)", "case when 1 then 2 end", "date '2020-01-01'", "now() is null",
	"cast(1 as char)", "cast( 1 as char(5) )", "interval 1 day + '2020-01-01'", "'x' collate utf8mb4_bin", "1 in (1,2)", "1 between 0 and 2", "'a' like 'b'", "1 = 1", "1=1", "!1", "not 1", "~1",
	"t.a", "a", "`a`", "d.t.a", "t . a", "t.A", "a as x", "a x", "a 'x y'", "a as `x`", "-a", "(a)", "a+1", "max(a)", "MAX( a )", "count(distinct a)", "a is null", "a -- c\n+ 1", "exists(select 1)",
	"'" + strings.Repeat("x", 300) + "'", "concat('" + strings.Repeat("x", 300) + "')", "concat('" + strings.Repeat("é", 200) + "')", "a as `" + strings.Repeat("y", 60) + "`",
	"{d '2020-01-01'}", "{ts '2020-01-01 00:00:00'}", "date_add('2020-01-01', interval 1 day)", "group_concat(a order by a separator ',')", "sum(a) over ()", "row(1,2) = row(1,2)", "1e5", "1.", ".5", "00012",
	"'a'/* c */'b'", "\"a\" 'b'", "current_timestamp is null", "CURRENT_DATE is null", "database()", "user() is null", "1 AND 1", "1 && 1", "1 || 1", "1 <> 2", "1 != 2", "5 mod 2", "5 % 2", "binary 'a'",
	"(@a)", "(now() is null)", "+a", "(null)", "('abc')", "(1.50)", "(x'41')", "(true)", "(date '2020-01-01')", "+ 'x'", "(t.a)", "(((a)))", "+-5", "(-1)", "-(1)", "(+5)", "(select (1))",
}

// columnNames compares the names of nameExprs.
func columnNames(t *testing.T, conn *sql.Conn, mode Mode) {
	if _, err := conn.ExecContext(t.Context(), "create table t (a int)"); err != nil {
		t.Fatal(err)
	}
	for _, e := range nameExprs {
		src := "select " + e + " from t"
		rows, err := conn.QueryContext(t.Context(), src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		cols, err := rows.Columns()
		rows.Close()
		if err != nil || len(cols) != 1 {
			t.Fatalf("%s: %v %v", src, cols, err)
		}
		stmt, err := Parse([]byte(src), mode)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := ColumnName([]byte(src), stmt.(*SelectStmt).Items[0], mode); got != cols[0] {
			t.Errorf("%s: %q, the server says %q", src, got, cols[0])
		}
	}
}

func TestSameExpr(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"a+1", "A + 1", true},
		{"a+1", "a/* c */+1", true},
		{"`a`", "a", true},
		{"t.a", "T.`a`", true},
		{"t.a", "a", false},
		{"'a'", "'A'", false},
		{"'a'", "`a`", false},
		{"count(*)", "COUNT( * )", true},
		{"1", "1.0", false},
		{"a+1", "a+1+1", false},
		{"@a", "@A", true},
	} {
		a, b := "do "+c.a, "do "+c.b
		x, err := Parse([]byte(a), Mode{})
		if err != nil {
			t.Fatal(err)
		}
		y, err := Parse([]byte(b), Mode{})
		if err != nil {
			t.Fatal(err)
		}
		if got := SameExpr([]byte(a), x.(*DoStmt).Exprs[0], []byte(b), y.(*DoStmt).Exprs[0]); got != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}
