package parse

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// TestBulkRows holds the batches of a large INSERT against the tree of the same statement with a row in front that
// keeps it from being taken apart.
func TestBulkRows(t *testing.T) {
	rows := func(row string) string {
		var b strings.Builder
		for n := 0; b.Len() < bulkFrom+2*bulkBatch; n++ {
			fmt.Fprintf(&b, "%s(%d, %s)", map[bool]string{true: ",\n "}[n > 0], n, row)
		}
		return b.String()
	}
	const plain = `'it''s; (1)', -1.5, +2, 3e4, x'0f', 0b1, NULL, default, true, FALSE, _binary 'x\'y' "z", "q" /* c, ( */`
	for _, c := range []struct {
		name, before, row, after string
		bulk                     bool
	}{
		{"plain", "INSERT INTO t (a, b) VALUES ", plain, "", true},
		{"replace", "REPLACE t VALUE", "1", ";", true},
		{"a tail", "INSERT IGNORE INTO t VALUES", "1", " ON DUPLICATE KEY UPDATE a = VALUES(a), b = (SELECT 1)", true},
		{"an alias", "INSERT INTO t VALUES", "1", " AS n (a, b) ON DUPLICATE KEY UPDATE a = n.a", true},
		{"an expression", "INSERT INTO t VALUES", "1 + 1", "", false},
		{"a variable", "INSERT INTO t VALUES", "@a", "", false},
		{"a function", "INSERT INTO t VALUES", "now()", "", false},
		{"a parameter", "INSERT INTO t VALUES", "?", "", false},
		{"a temporal literal", "INSERT INTO t VALUES", "DATE '2020-01-01'", "", false},
		{"a query", "INSERT INTO t VALUES", "(SELECT 1)", "", false},
		{"another statement", "SELECT * FROM t WHERE (a, b) IN (VALUES ", "1", ")", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := []byte(c.before + rows(c.row) + c.after)
			stmt, err := Parse(src, Mode{})
			x, ok := stmt.(*InsertStmt)
			if !c.bulk {
				if ok && x.Bulk != nil {
					t.Errorf("taken apart into %d batches", len(x.Bulk))
				}
				return
			}
			if err != nil || !ok || len(x.Bulk) < 2 {
				t.Fatalf("%T, %v: not taken apart", stmt, err)
			}
			p := &parser{src: src} // one that may not
			if !p.tokenise(0) {
				t.Fatal(p.err)
			}
			whole := p.statement().(*InsertStmt)
			if x.RowsSpan != whole.RowsSpan || x.OnDupSpan != whole.OnDupSpan || !reflect.DeepEqual(x.RowAlias, whole.RowAlias) {
				t.Errorf("spans %v %v, want %v %v", x.RowsSpan, x.OnDupSpan, whole.RowsSpan, whole.OnDupSpan)
			}
			var got []Row
			for _, span := range x.Bulk {
				r, err := Rows(src, span, Mode{})
				if err != nil {
					t.Fatalf("%v: %v", span, err)
				}
				got = append(got, r...)
			}
			if len(got) != len(whole.Rows) {
				t.Fatalf("%d rows, want %d", len(got), len(whole.Rows))
			}
			for i := range got {
				if a, b := texts(src, got[i]), texts(src, whole.Rows[i]); a != b {
					t.Fatalf("row %d is %s, want %s", i, a, b)
				}
			}
		})
	}
}

// texts are a row's values with their types.
func texts(src []byte, r Row) string {
	var b strings.Builder
	for _, v := range r.Values {
		fmt.Fprintf(&b, "%T %s|", v, v.Range().Text(src))
	}
	return b.String()
}

// TestLargeStatementsAreSmall: the memory for a statement follows its tokens, not its length.
func TestLargeStatementsAreSmall(t *testing.T) {
	literal := []byte("INSERT INTO t (a) VALUES ('" + strings.Repeat("x", 8<<20) + "')")
	many := []byte("INSERT INTO t (a, b) VALUES (1, 'y')" + strings.Repeat(", (1, 'y')", 500_000))
	for name, src := range map[string][]byte{"one literal": literal, "many rows": many} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse(src, Mode{})
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; err != nil || got > 2<<20 {
			t.Errorf("%s of %d bytes: %d bytes are allocated, %v", name, len(src), got, err)
		}
	}
}

func TestWeight(t *testing.T) {
	many := strings.Repeat(", (1, 'y')", 100_000)
	for _, c := range []struct {
		name, src   string
		least, most int
	}{
		{"short", "SELECT a FROM t WHERE b = 1", 8 * treeBytes, 10 * treeBytes},
		{"one literal", "SELECT '" + strings.Repeat("x", 1<<20) + "'", treeBytes, 5 * treeBytes},
		{"many rows", "INSERT INTO t VALUES (1, 'y')" + many, treeBytes, 20 * treeBytes},
		{"rows that are not plain", "INSERT INTO t VALUES (1 + 1, 'y')" + many, 500_000 * treeBytes, 700_000 * treeBytes},
		{"a list", "SELECT 1 FROM t WHERE a IN (1" + strings.Repeat(",1", 200_000) + ")", 400_000 * treeBytes, 401_000 * treeBytes},
	} {
		if got := Weight([]byte(c.src), Mode{}); got < c.least || got > c.most {
			t.Errorf("%s: %d bytes, want %d to %d", c.name, got, c.least, c.most)
		}
	}
}
