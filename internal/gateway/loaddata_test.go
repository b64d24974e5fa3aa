package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/test/servers"
)

// loadCases are files and how they are read. Each begins with a number: the table's sharding key.
var loadCases = []struct{ name, options, file string }{
	{"plain", "", "1\ta\t1.5\n2\tb\t2.5\n3\tc\t3.5\n4\td\t4.5\n"},
	{"nulls and escapes", "", "1\t\\N\t\\N\n2\ta\\tb\\nc\\\\d\t0\n3\tN\t1\n4\tit's \"q\"\t2\n5\t\\0\\Z\\q\t3\n"},
	{"utf-8", "CHARACTER SET utf8mb4", "1\té\t1\n2\t😀\t2\n3\t日本\t3\n"},
	{"latin1", "CHARACTER SET latin1", "1\t\xe9\t1\n2\t\xdf\t2\n"},
	{"database's charset", "", "1\té\t1\n2\tab\t2\n"},
	{"csv", `FIELDS TERMINATED BY ',' ENCLOSED BY '"'`, "1,\"a,b\",1\n2,\"c\nd\",2\n3,\"say \"\"hi\"\"\",3\n4,bare,4\n5,NULL,NULL\n6,\"NULL\",6\n7,\"\\N\",7\n8,\\N,\\N\n"},
	{"optionally enclosed", `FIELDS TERMINATED BY ';' OPTIONALLY ENCLOSED BY '\''`, "1;'a;b';1\n2;b'c;2\n3;'d''e';3\n"},
	{"escaped by the quote", `FIELDS TERMINATED BY ',' ENCLOSED BY '"' ESCAPED BY '"'`, "1,\"a\"\"b\",1\n2,\\N,2\n3,c\"d,3\n"},
	{"no escape", `FIELDS TERMINATED BY ',' ESCAPED BY ''`, "1,a\\b,1\n2,\\N,2\n"},
	{"crlf", `LINES TERMINATED BY '\r\n'`, "1\ta\t1\r\n2\tb\nc\t2\r\n"},
	{"carriage returns kept", "", "1\ta\t1\n2\tb\r\t2\n"},
	{"long terminators", `FIELDS TERMINATED BY '||' LINES TERMINATED BY '<eol>'`, "1||a|b||1<eol>2||c<d||2<eol>"},
	{"starting by", `FIELDS TERMINATED BY ',' LINES STARTING BY 'row:'`, "row:1,a,1\njunk row:2,b,2\nnothing\nrow:3,c,3\n"},
	{"ignore lines", `FIELDS TERMINATED BY ',' ENCLOSED BY '"' IGNORE 2 LINES`, "\"id\nv\",x\n1,a,1\n2,b,2\n"},
	{"missing fields", "", "1\n2\tb\n3\tc\t3\n"},
	{"too many fields", "", "1\ta\t1\tmore\n2\tb\t2\tmore\teven\n"},
	{"no newline at the end", "", "1\ta\t1\n2\tb\t2"},
	{"empty file", "", ""},
	{"empty values", "", "1\t\t\n2\tb\t\n"},
	{"values that don't fit", "", "1\tthis is much longer than the column is\t1\n2\tb\tword\n3\tc\t12x\n"},
	{"duplicates are ignored", "", "1\ta\t1\n1\tb\t2\n2\tc\t3\n"},
	{"duplicates replace", "REPLACE (id, v, n)", "1\ta\t1\n1\tb\t2\n2\tc\t3\n"},
	{"columns", "(id, n)", "1\t5\n2\t6\n"},
	{"columns in another order", "(n, v, id)", "5\ta\t1\n6\tb\t2\n"},
	{"a field is dropped", "(id, @drop, v)", "1\tzzz\ta\n2\tzzz\tb\n"},
}

// TestLoadData loads files into a table of one server and, through the gateway, into one that is spread over two, and
// compares the rows.
func TestLoadData(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			b := newBed(t, family)
			const ddl = "CREATE TABLE %s (id bigint NOT NULL PRIMARY KEY, v varchar(20), n decimal(10,2) NOT NULL DEFAULT 7, w varchar(5) DEFAULT 'w', x int DEFAULT 3, y int) CHARACTER SET utf8mb4"
			plain := b.loader(t, b.servers[0].Addr, "main")
			for i := range b.servers {
				must(t, b.loader(t, b.servers[i].Addr, ""), "SET GLOBAL local_infile = 1")
			}
			must(t, plain, fmt.Sprintf(ddl, "plain"))
			gate := b.loader(t, b.addr, "shop")
			must(t, gate, fmt.Sprintf(ddl, "sbtest1"))
			for _, c := range loadCases {
				t.Run(c.name, func(t *testing.T) {
					must(t, plain, "DELETE FROM plain")
					must(t, gate, "DELETE FROM sbtest1")
					b.file = c.file
					must(t, plain, loadSQL("plain", c.options))
					must(t, gate, loadSQL("sbtest1", c.options))
					want, got := all(t, plain, "plain"), all(t, gate, "sbtest1")
					if got != want {
						t.Errorf("a server has\n%sthe gateway\n%s", want, got)
					}
				})
			}
			t.Run("many rows", func(t *testing.T) {
				must(t, gate, "DELETE FROM sbtest1")
				var file bytes.Buffer
				for i := range 5000 {
					fmt.Fprintf(&file, "%d\tv%d\t%d\n", i, i, i%10)
				}
				b.file = file.String()
				must(t, gate, loadSQL("sbtest1", ""))
				if got := answer(gate, "SELECT COUNT(*), SUM(n) FROM sbtest1"); !strings.Contains(got, "\"5000\"|\"22500.00\"") {
					t.Error(got)
				}
			})
			t.Run("in a transaction", func(t *testing.T) {
				must(t, gate, "DELETE FROM sbtest1")
				b.file = "1\ta\t1\n2\tb\t2\n3\tc\t3\n"
				must(t, gate, "BEGIN")
				must(t, gate, loadSQL("sbtest1", ""))
				must(t, gate, "ROLLBACK")
				if got := all(t, gate, "sbtest1"); got != "" {
					t.Errorf("after a rollback there is\n%s", got)
				}
			})
			t.Run("what can't be loaded leaves the connection usable", func(t *testing.T) {
				for _, q := range []string{
					loadSQL("nosuch", ""), loadSQL("sbtest1", "(nosuch)"), loadSQL("sbtest1", "FIELDS TERMINATED BY '' ENCLOSED BY ''"),
					loadSQL("sbtest1", "") + "; SELECT 1",
				} {
					if got := answer(gate, q); !strings.HasPrefix(got, "error ") {
						t.Errorf("%s: %s", q, got)
					}
					must(t, gate, "SELECT 1")
				}
			})
		})
	}
}

func loadSQL(table, options string) string {
	replace := ""
	if rest, ok := strings.CutPrefix(options, "REPLACE "); ok {
		replace, options = "REPLACE", rest
	}
	return fmt.Sprintf("LOAD DATA LOCAL INFILE 'f' %s INTO TABLE %s %s", replace, table, options)
}

// loader connects with a local file: the one that the bed has at the time.
func (b *bed) loader(t *testing.T, addr, db string) *client.Conn {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Config{Addr: addr, User: "root", Database: db, LocalFiles: true, DeprecateEOF: true, MultiStatements: true,
		LocalInfile: func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(b.file)), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func must(t *testing.T, c *client.Conn, q string) {
	t.Helper()
	if _, err := c.Exec(context.Background(), q); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}

func all(t *testing.T, c *client.Conn, table string) string {
	t.Helper()
	_, rows, err := c.QueryAll(context.Background(), "SELECT id, HEX(v), n, w, x, y FROM "+table+" ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range rows {
		for _, v := range r {
			if v == nil {
				b.WriteString(" NULL")
			} else {
				fmt.Fprintf(&b, " %q", v)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
