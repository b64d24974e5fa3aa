package client_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// typesTable has every type whose text differs from its binary form, and some more.
const typesTable = `CREATE TABLE types (id INT PRIMARY KEY, t TINYINT, tu TINYINT UNSIGNED, b BOOL, s SMALLINT, m MEDIUMINT, mu MEDIUMINT UNSIGNED,
	i INT, iz INT(7) UNSIGNED ZEROFILL, l BIGINT, lu BIGINT UNSIGNED, f FLOAT, fd FLOAT(9,3), d DOUBLE, dd DOUBLE(12,4), n DECIMAL(20,6),
	y YEAR, da DATE, dt DATETIME, d3 DATETIME(3), d6 DATETIME(6), ts TIMESTAMP(2) NULL, ti TIME, t4 TIME(4), bi BIT(12),
	v VARCHAR(40), c CHAR(5), bl BLOB, tx TEXT, vb VARBINARY(20), e ENUM('a','b'), se SET('x','y','z'), j JSON)`

var typesRows = []string{
	`(1, 127, 255, TRUE, -32768, -8388608, 16777215, -2147483648, 42, -9223372036854775808, 18446744073709551615, 1.5, 123.4567, 0.1, 99.99999, -1.5,
	2024, '2024-02-29', '2024-02-29 13:14:15', '2024-02-29 13:14:15.678', '2024-02-29 00:00:00.000001', '2024-02-29 13:14:15.67', '-838:59:59', '12:00:00.1234', b'101010101010',
	'ä''\\', 'x', x'00ff27', '', '', 'b', 'x,z', '{"a": [1, 2]}')`,
	`(2, -1, 0, FALSE, 0, 0, 0, 0, 0, 0, 0, 3.4e38, -0.001, 1e15, 0, 0,
	0, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00', '0000-00-00', NULL, '00:00:00', '00:00:00', b'0',
	'', '', '', 'x', x'00', 'a', '', '[]')`,
	`(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
}

// doubles are values whose text is easy to get wrong.
var doubles = []string{
	"0", "-0.0", "1", "-1", "0.1", "1e14", "1e15", "1e16", "123456789012345", "1234567890123456", "12345678901234567", "1e-4", "1e-5",
	"1e-14", "1e-15", "1e-16", "1.5e-15", "1.25e-14", "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "1e100", "1e-100",
	"3.141592653589793", "100000", "1e21", "1e22", "16777216", "16777217", "0.3333333333333333", "999999999999999.9", "99999999999999.99",
	"123456", "1234567", "12345678", "0.000123456789", "1e6", "1e7", "3.4e38", "1.17549e-38", "1e-45", "999999.5", "9999995", "0.00012345650",
}

func testPrepared(t *testing.T, e *env) {
	for _, deprecate := range []bool{true, false} {
		cfg := e.config()
		cfg.DeprecateEOF, cfg.QueryAttributes = deprecate, !deprecate
		c := e.dial(t, cfg)
		exec(t, c, "SET sql_mode = ''; CREATE DATABASE IF NOT EXISTS d; USE d; DROP TABLE IF EXISTS types, floats")
		exec(t, c, typesTable)
		for _, row := range typesRows {
			exec(t, c, "INSERT INTO types VALUES "+row)
		}
		exec(t, c, "CREATE TABLE floats (d DOUBLE, f FLOAT, f2 DOUBLE(20,2))")
		for _, d := range doubles {
			exec(t, c, fmt.Sprintf("INSERT INTO floats VALUES (%s, %s, %s), (-%s, -%s, NULL)", d, d, d, d, d))
		}
		compareTextAndBinary(t, c, "SELECT * FROM types ORDER BY id")
		compareTextAndBinary(t, c, "SELECT * FROM floats")
		compareTextAndBinary(t, c, "SELECT d + f, sum(d), avg(f) FROM floats GROUP BY d, f ORDER BY 1, 2, 3")
		compareTextAndBinary(t, c, "SELECT 1, 1.5, 'a', NULL, now(6) = now(6), cast('2020-01-01 00:00:00.5' AS DATETIME(6)), maketime(-1, 2, 3.25), timediff('10:00:00.5', '20:00:00')")
		testParams(t, c)
		testCursor(t, c)
		testOutParams(t, c)
	}
}

// testOutParams calls a procedure whose OUT parameter comes as a result of its own, before the OK of the call.
func testOutParams(t *testing.T, c *client.Conn) {
	t.Helper()
	exec(t, c, "DROP PROCEDURE IF EXISTS outs")
	exec(t, c, "CREATE PROCEDURE outs(IN a INT, OUT b INT) BEGIN SELECT a; SET b = a + 1; END")
	s, err := c.Prepare(t.Context(), "CALL outs(?, ?)")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, err := s.Execute(t.Context(), wire.IntParam(5), wire.NullParam())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for more := true; more; more = r.NextResult() {
			for r.Next() {
				got = append(got, string(r.Values()[0]))
			}
		}
		if err := r.Close(); err != nil || strings.Join(got, ",") != "5,6" {
			t.Fatalf("results %v, %v", got, err)
		}
	}
}

// compareTextAndBinary runs a query in both protocols: the values must be the same,
// and the binary rows must be those that AppendBinaryRow makes of the text.
func compareTextAndBinary(t *testing.T, c *client.Conn, sql string) {
	t.Helper()
	cols, want, err := c.QueryAll(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Prepare(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bcols := r.Columns()
	for i := 0; r.Next(); i++ {
		for j, v := range r.Values() {
			if (v == nil) != want[i][j].IsNull() || string(v) != want[i][j].String() {
				t.Errorf("%s: row %d, column %s (type %d, decimals %d, text type %d): binary gives %q, text %q",
					sql, i, cols[j].Name, bcols[j].Type, bcols[j].Decimals, cols[j].Type, v, want[i][j])
			}
		}
		text := make([][]byte, len(want[i]))
		for j, v := range want[i] {
			text[j] = v
		}
		raw, err := wire.AppendBinaryRow(nil, bcols, text)
		if err != nil {
			t.Errorf("%s: row %d: %v", sql, i, err)
		} else if !strings.Contains(sql, "float") && !bytes.Equal(raw, r.Raw()) {
			t.Errorf("%s: row %d: made %x, the server made %x", sql, i, raw, r.Raw())
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func testParams(t *testing.T, c *client.Conn) {
	t.Helper()
	s, err := c.Prepare(t.Context(), "SELECT ?, ?, ?, ?, ?, ?")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Params) != 6 {
		t.Fatalf("%d parameters", len(s.Params))
	}
	params := []wire.Param{
		wire.IntParam(-5), wire.UintParam(1<<64 - 1), wire.FloatParam(0.25),
		wire.TextParam("it's \\ ä"), wire.BlobParam([]byte{0, 0xff, '\''}), wire.NullParam(),
	}
	r, err := s.Execute(t.Context(), params...)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"-5", "18446744073709551615", "0.25", "it's \\ ä", "\x00\xff'", "NULL"}
	if !r.Next() {
		t.Fatal("no row")
	}
	sql := []byte("SELECT ")
	for i, v := range r.Values() {
		if got := string(v); v != nil && got != want[i] || v == nil && want[i] != "NULL" {
			t.Errorf("parameter %d came back as %q", i, v)
		}
		if i > 0 {
			sql = append(sql, ", "...)
		}
		if sql, err = params[i].AppendSQL(sql, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, rows, err := c.QueryAll(t.Context(), string(sql))
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	for i, v := range rows[0] {
		if !v.IsNull() && v.String() != want[i] {
			t.Errorf("literal %d of %s came back as %q", i, sql, v)
		}
	}
	exec(t, c, "SET sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES')")
	if sql, err = params[3].AppendSQL([]byte("SELECT "), c.Status()&wire.StatusNoBackslashEscapes != 0); err != nil {
		t.Fatal(err)
	}
	if got := one(t, c, string(sql)); got != want[3] {
		t.Errorf("%s gives %q", sql, got)
	}
	exec(t, c, "SET sql_mode = ''")

	for _, piece := range []string{"long ", "data"} {
		if err := s.SendLongData(t.Context(), 4, []byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	params[4] = wire.Param{Type: wire.TypeBlob, Long: true}
	if r, err = s.Execute(t.Context(), params...); err != nil {
		t.Fatal(err)
	}
	if !r.Next() || string(r.Values()[4]) != "long data" {
		t.Errorf("long data came back as %q", r.Values()[4])
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Execute(t.Context(), params...); !isErrno(err, 1243) {
		t.Errorf("a closed statement: %v", err)
	}
	if _, err := c.Prepare(t.Context(), "SELEKT 1"); !isErrno(err, 1064) {
		t.Errorf("bad statement: %v", err)
	}
}

func testCursor(t *testing.T, c *client.Conn) {
	t.Helper()
	s, err := c.Prepare(t.Context(), "SELECT id FROM types ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.OpenCursor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cols := r.Columns()
	if err := r.Close(); err != nil || r.OK().Status&wire.StatusCursorExists == 0 {
		t.Fatalf("open cursor: status %#x, %v", r.OK().Status, err)
	}
	var got []string
	for range 5 {
		if r, err = s.Fetch(t.Context(), 2, cols); err != nil {
			t.Fatal(err)
		}
		for r.Next() {
			got = append(got, string(r.Values()[0]))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if r.OK().Status&wire.StatusLastRowSent != 0 {
			break
		}
	}
	if strings.Join(got, ",") != "1,2,3" {
		t.Errorf("the cursor gave %v", got)
	}
}
