package rewrite

import (
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

func TestVersionNumber(t *testing.T) {
	for v, want := range map[string]int{
		"9.7.4-pelorus": 90704, "8.0.36": 80036, "5.5.5-10.11.19-MariaDB-pelorus": 101119, "11.4.2-MariaDB": 110402, "10": 100000, "": 0, "x.y.z": 0,
	} {
		if got := VersionNumber(v); got != want {
			t.Errorf("%q is %d, want %d", v, got, want)
		}
	}
}

func TestNamesSidecar(t *testing.T) {
	for sql, want := range map[string]bool{
		"SELECT 1":                                  false,
		"SELECT * FROM _pelorus.redo":               true,
		"SELECT * FROM `_Pelorus`.redo":             true,
		"SELECT '_pelorus'":                         false,
		"SELECT '_pelorus', x FROM _PELORUS.t":      true,
		"SELECT 'a' /* _pelorus */":                 false,
		"/*!50000 SELECT * FROM _pelorus.redo */":   true,
		"SELECT _pelo, rus":                         false,
		"INSERT INTO t VALUES ('x _pelorus y', 2)":  false,
		"SELECT * FROM __pelorus.t WHERE a = '_pe'": true,
	} {
		_, slots, ok := parse.Fingerprint([]byte(sql), parse.Mode{}, nil)
		if !ok {
			slots = nil
		}
		if got := NamesSidecar([]byte(sql), slots); got != want {
			t.Errorf("%s: %v", sql, got)
		}
	}
}

func TestEmpty(t *testing.T) {
	for sql, want := range map[string]bool{
		"": true, " ;; \n": true, "-- x": true, "-- x\n# y\n/* z */ ;": true, "/*! SELECT 1 */": false, "/*M! SELECT 1 */": false,
		"--x": false, "-- x\nSELECT 1": false, "/* open": true,
	} {
		if got := Empty([]byte(sql)); got != want {
			t.Errorf("%q: %v", sql, got)
		}
	}
}

func TestLiteral(t *testing.T) {
	text := wire.Column{Type: wire.TypeVarString, Charset: 45}
	for _, c := range []struct {
		col  wire.Column
		v    []byte
		want string
	}{
		{text, nil, "NULL"}, {text, []byte("it's"), "'it''s'"}, {text, []byte(`a\b`), "_utf8mb4 x'615c62'"}, {text, []byte{}, "''"},
		{wire.Column{Type: wire.TypeLongLong, Charset: 63}, []byte("-5"), "-5"}, {wire.Column{Type: wire.TypeNewDecimal, Charset: 63}, []byte("1.50"), "1.50"},
		{wire.Column{Type: wire.TypeBlob, Charset: 63}, []byte{0, 0xff}, "x'00ff'"}, {wire.Column{Type: wire.TypeBit, Charset: 63}, []byte{5}, "b'00000101'"},
	} {
		if got := Literal(c.col, c.v); got != c.want {
			t.Errorf("%q as type %d: %s, want %s", c.v, c.col.Type, got, c.want)
		}
	}
}

func TestParams(t *testing.T) {
	sql := []byte("SELECT ?, '?', ? + 1")
	_, slots, ok := parse.Fingerprint(sql, parse.Mode{}, nil)
	if !ok {
		t.Fatal("no fingerprint")
	}
	got, n := Params(sql, slots, [][]byte{[]byte("'a'"), []byte("2")})
	if string(got) != "SELECT 'a', '?', 2 + 1" || n != 2 {
		t.Errorf("%s, %d parameters", got, n)
	}
	if _, n := Params(sql, slots, nil); n != 2 {
		t.Errorf("%d parameters", n)
	}
}

func TestStatement(t *testing.T) {
	v := &Values{
		User: "ann", Host: "10.0.0.1", Keyspace: "shop", Version: "5.5.5-10.11.19-MariaDB-pelorus", ConnectionID: 9, LastInsertID: 5, FoundRows: 3, RowCount: -1,
		TxnMode: "atomic", Warnings: 2, Errors: 1, UserVars: map[string]string{"a": "7", "b": "'it''s'"},
	}
	for sql, want := range map[string]string{
		"SELECT 1": "",
		"SELECT id FROM t WHERE id = LAST_INSERT_ID()":                "SELECT id FROM t WHERE id = 5",
		"SELECT LAST_INSERT_ID()":                                     "SELECT 5 AS `LAST_INSERT_ID()`",
		"SELECT LAST_INSERT_ID() AS x":                                "SELECT 5 AS x",
		"SELECT LAST_INSERT_ID(8)":                                    "",
		"SELECT @A + 1, @b, @none":                                    "SELECT (7) + 1 AS `@A + 1`, ('it''s') AS `@b`, NULL AS `@none`",
		"SELECT USER(), CURRENT_USER, DATABASE()":                     "SELECT 'ann@10.0.0.1' AS `USER()`, 'ann@%' AS `CURRENT_USER`, 'shop' AS `DATABASE()`",
		"SELECT FOUND_ROWS(), ROW_COUNT(), CONNECTION_ID()":           "SELECT 3 AS `FOUND_ROWS()`, -1 AS `ROW_COUNT()`, 9 AS `CONNECTION_ID()`",
		"SELECT VERSION(), @@version_comment":                         "SELECT '10.11.19-MariaDB-pelorus' AS `VERSION()`, 'Pelorus' AS `@@version_comment`",
		"SELECT @@warning_count, @@error_count, @@max_allowed_packet": "SELECT 2 AS `@@warning_count`, 1 AS `@@error_count`, @@max_allowed_packet",
		"SELECT s.USER(), 'LAST_INSERT_ID()', `@a` FROM t":            "",
		"INSERT INTO t VALUES (@a, LAST_INSERT_ID())":                 "INSERT INTO t VALUES ((7), 5)",
		"SELECT * FROM (SELECT @a) x":                                 "SELECT * FROM (SELECT (7)) x",
		"SELECT @@transaction_mode UNION SELECT @a":                   "SELECT 'atomic' AS `@@transaction_mode` UNION SELECT (7)",
	} {
		stmt, err := parse.Parse([]byte(sql), parse.Mode{})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if got := Statement(stmt, []byte(sql), parse.Mode{}, v); string(got.SQL) != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got.SQL, want)
		}
	}
}

func TestStatementNeeds(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                                   "",
		"SELECT @a := @b + 1":                        "assigns a; reads b; ",
		"SELECT id, v INTO @X, @y FROM t":            "assigns x,y; ",
		"CALL p(@out, 1)":                            "assigns out; ",
		"SELECT SQL_CALC_FOUND_ROWS id FROM t":       "counts; ",
		"SELECT GET_LOCK('x', 1), IS_FREE_LOCK('x')": "takes locks; ",
		"SELECT RELEASE_LOCK('x')":                   "asks locks; ",
	} {
		stmt, err := parse.Parse([]byte(sql), parse.Mode{})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		r := Statement(stmt, []byte(sql), parse.Mode{}, &Values{})
		got := ""
		if len(r.Assigns) > 0 {
			got += "assigns " + strings.Join(r.Assigns, ",") + "; "
		}
		if len(r.Reads) > 0 {
			got += "reads " + strings.Join(r.Reads, ",") + "; "
		}
		if r.CountsFound {
			got += "counts; "
		}
		got += []string{"", "asks locks; ", "takes locks; "}[r.Locks]
		if got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

func TestExpr(t *testing.T) {
	sql := "SET @x = GET_LOCK(CONCAT(@a, USER()), 1)"
	stmt, err := parse.Parse([]byte(sql), parse.Mode{})
	if err != nil {
		t.Fatal(err)
	}
	v := &Values{User: "u", Host: "h", UserVars: map[string]string{"a": "'n'"}}
	got, locks, err := Expr(stmt.(*parse.SetStmt).Items[0].Value, []byte(sql), parse.Mode{}, v)
	if want := "GET_LOCK(CONCAT(('n'), 'u@h'), 1)"; got != want || locks != TakesLock || err != nil {
		t.Errorf("%s (locks %d, %v), want %s", got, locks, err, want)
	}
}
