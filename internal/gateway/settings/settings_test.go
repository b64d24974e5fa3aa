package settings

import (
	"testing"

	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

func TestVars(t *testing.T) {
	var v Vars
	table := NewTable()
	if table.Intern(&v) != nil {
		t.Error("no settings are not nil")
	}
	v.Set("time_zone", "'+01:00'")
	v.Set("autocommit", "0")
	was := v
	if got, want := v.SQL(), "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, SESSION autocommit = 0, SESSION time_zone = '+01:00'"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	a := table.Intern(&v)
	w := Vars{}
	w.Set("autocommit", "0")
	w.Set("time_zone", "'+01:00'")
	if table.Intern(&w) != a {
		t.Error("equal settings are not the same")
	}
	v.Set("time_zone", "")
	if was.Value("time_zone") != "'+01:00'" {
		t.Error("a copy changes with its original")
	}
	if got, want := was.ChangeSQL(&v), "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, SESSION autocommit = 0, SESSION time_zone = DEFAULT"; got != want {
		t.Errorf("the change is %s, want %s", got, want)
	}
	v.Set("character_set_results", "NULL")
	v.SetNames("NAMES 'latin1'")
	if got, want := v.SQL(), "SET NAMES 'latin1', SESSION autocommit = 0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	v.Set("autocommit", "")
	v.SetNames("")
	if table.Intern(&v) != nil {
		t.Error("settings that were all taken back are not nil")
	}
}

// set parses a SET statement.
func set(t *testing.T, sql string) *parse.SetStmt {
	t.Helper()
	stmt, err := parse.Parse([]byte(sql), parse.Mode{})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return stmt.(*parse.SetStmt)
}

func TestHandshakeNames(t *testing.T) {
	for _, c := range []struct {
		id      uint8
		mariaDB bool
		want    string
	}{
		{0, false, ""}, {45, true, ""}, {8, false, "NAMES 'latin1' COLLATE 'latin1_swedish_ci'"}, {33, true, "NAMES 'utf8mb3' COLLATE 'utf8mb3_general_ci'"},
		{255, false, "NAMES 'utf8mb4' COLLATE 'utf8mb4_0900_ai_ci'"}, {255, true, ""},
	} {
		if got := HandshakeNames(c.id, c.mariaDB); got != c.want {
			t.Errorf("id %d, mariadb %v: %q, want %q", c.id, c.mariaDB, got, c.want)
		}
	}
}

func TestNamesClause(t *testing.T) {
	for sql, want := range map[string]string{
		"SET NAMES utf8mb4": "NAMES 'utf8mb4'",
		"SET NAMES 'latin1' COLLATE 'latin1_german1_ci'": "NAMES 'latin1' COLLATE 'latin1_german1_ci'",
		"SET NAMES DEFAULT":         "",
		"SET CHARACTER SET utf8mb4": "CHARACTER SET 'utf8mb4'",
	} {
		if got := NamesClause(set(t, sql)); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

func TestConstant(t *testing.T) {
	for value, want := range map[string]string{
		"1": "1", "-5": "-5", "'x'": "'x'", "ON": "ON", "utf8mb4": "utf8mb4", "DEFAULT": "", "1 + 1": "no", "CONCAT('a', 'b')": "no", "@a": "no",
	} {
		sql := "SET x = " + value
		got, ok := Constant(set(t, sql).Items[0].Value, []byte(sql))
		if !ok {
			got = "no"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

func TestCheckStatementSet(t *testing.T) {
	for sql, refused := range map[string]bool{
		"SET STATEMENT max_statement_time = 5 FOR SELECT 1":          false,
		"SET STATEMENT max_statement_time = -5, x = ON FOR SELECT 1": false,
		"SET STATEMENT x = y FOR SELECT 1":                           true,
		"SET STATEMENT x = 1 + 1 FOR SELECT 1":                       true,
		"SET x = 1 + 1":                                              false,
	} {
		stmt, err := parse.Parse([]byte(sql), parse.Mode{MariaDB: true})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if err := CheckStatementSet(stmt); (err != nil) != refused {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestBool(t *testing.T) {
	for v, want := range map[string]bool{"1": true, "on": true, "'ON'": true, "TRUE": true, "": true, "0": false, "\"off\"": false, "False": false} {
		if got, err := Bool("autocommit", v); got != want || err != nil {
			t.Errorf("%s: %v, %v", v, got, err)
		}
	}
	if _, err := Bool("autocommit", "2"); err == nil {
		t.Error("2 is neither on nor off")
	}
}

func TestLexical(t *testing.T) {
	before := parse.Mode{MariaDB: true, Version: 101119, IgnoreSpace: true}
	want := parse.Mode{MariaDB: true, Version: 101119, ANSIQuotes: true, NoBackslashEscapes: true}
	if got := Lexical(before, "STRICT_TRANS_TABLES,ansi_quotes,NO_BACKSLASH_ESCAPES"); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestSetTransaction(t *testing.T) {
	var v Vars
	v.SetTransaction([]string{"ISOLATION LEVEL READ COMMITTED", "READ ONLY"}, true)
	if v.Value("tx_isolation") != "'READ-COMMITTED'" || v.Value("tx_read_only") != "1" {
		t.Errorf("%s", v.SQL())
	}
	v = Vars{}
	v.SetTransaction([]string{"READ WRITE", "ISOLATION LEVEL SERIALIZABLE"}, false)
	if v.Value("transaction_isolation") != "'SERIALIZABLE'" || v.Value("transaction_read_only") != "0" {
		t.Errorf("%s", v.SQL())
	}
}
