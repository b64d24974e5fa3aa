package session

import (
	"testing"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

func TestLikePattern(t *testing.T) {
	for _, c := range []struct {
		s, p string
		want bool
	}{
		{"", "", true}, {"", "%", true}, {"a", "", false}, {"abc", "abc", true}, {"ABC", "abc", true}, {"abc", "a%", true},
		{"abc", "%c", true}, {"abc", "%b%", true}, {"abc", "a_c", true}, {"ac", "a_c", false}, {"abc", "____", false},
		{"a_c", `a\_c`, true}, {"abc", `a\_c`, false}, {"50%", `50\%`, true}, {"50x", `50\%`, false},
		{"aab", "%ab", true}, {"aaab", "a%ab", true}, {"éa", "_a", true}, {"mississippi", "%iss%ip%i", true}, {"mississippi", "%iss%ips%", false},
	} {
		if got := likePattern(c.s, c.p); got != c.want {
			t.Errorf("%q LIKE %q: %v", c.s, c.p, got)
		}
	}
}

func TestVarList(t *testing.T) {
	var v varList
	table := NewSettingsTable()
	if table.intern(&v) != nil {
		t.Error("no settings are not nil")
	}
	v.set("time_zone", "'+01:00'")
	v.set("autocommit", "0")
	was := v.clone()
	if got, want := v.sql(), "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, SESSION autocommit = 0, SESSION time_zone = '+01:00'"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	a := table.intern(&v)
	w := varList{}
	w.set("autocommit", "0")
	w.set("time_zone", "'+01:00'")
	if table.intern(&w) != a {
		t.Error("equal settings are not the same")
	}
	v.set("time_zone", "")
	if was.list[1].value != "'+01:00'" {
		t.Error("a clone changes with its original")
	}
	if got, want := was.undone(&v), ", SESSION time_zone = DEFAULT"; got != want {
		t.Errorf("undone: %s, want %s", got, want)
	}
	v.set("character_set_results", "NULL")
	v.setNames("NAMES 'latin1'")
	if got, want := v.sql(), "SET NAMES 'latin1', SESSION autocommit = 0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	v.set("autocommit", "")
	v.setNames("")
	if table.intern(&v) != nil {
		t.Error("settings that were all taken back are not nil")
	}
}

func TestVersionNumber(t *testing.T) {
	for v, want := range map[string]int{
		"9.7.4-pelorus": 90704, "8.0.36": 80036, "5.5.5-10.11.19-MariaDB-pelorus": 101119, "11.4.2-MariaDB": 110402, "10": 100000, "": 0, "x.y.z": 0,
	} {
		if got := versionNumber(v); got != want {
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
		if got := namesSidecar([]byte(sql), slots); got != want {
			t.Errorf("%s: %v", sql, got)
		}
	}
}

func TestEmptyStatement(t *testing.T) {
	for sql, want := range map[string]bool{
		"": true, " ;; \n": true, "-- x": true, "-- x\n# y\n/* z */ ;": true, "/*! SELECT 1 */": false, "/*M! SELECT 1 */": false,
		"--x": false, "-- x\nSELECT 1": false, "/* open": true,
	} {
		if got := emptyStatement([]byte(sql)); got != want {
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
		if got := literal(c.col, c.v); got != c.want {
			t.Errorf("%q as type %d: %s, want %s", c.v, c.col.Type, got, c.want)
		}
	}
}

func TestWriteParams(t *testing.T) {
	sql := []byte("SELECT ?, '?', ? + 1")
	_, slots, ok := parse.Fingerprint(sql, parse.Mode{}, nil)
	if !ok {
		t.Fatal("no fingerprint")
	}
	got, n := writeParams(sql, slots, [][]byte{[]byte("'a'"), []byte("2")})
	if string(got) != "SELECT 'a', '?', 2 + 1" || n != 2 {
		t.Errorf("%s, %d parameters", got, n)
	}
	if _, n := writeParams(sql, slots, nil); n != 2 {
		t.Errorf("%d parameters", n)
	}
}
