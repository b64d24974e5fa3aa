package redo

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestPack(t *testing.T) {
	for name, in := range map[string][]Statement{
		"none":   nil,
		"one":    {{SQL: []byte("UPDATE t SET a = 1")}},
		"binary": {{SQL: []byte("INSERT INTO t VALUES ('\x00\xff''\\')"), InsertID: 1<<64 - 1, UnixMicro: 1_700_000_000_123_456, Affected: 3, Found: true}, {SQL: []byte{}, Affected: -1}},
		"large":  {{SQL: bytes.Repeat([]byte{0, '\'', '\\', 0xff}, 2<<20)}, {SQL: []byte("SAVEPOINT a"), InsertID: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := Unpack(Pack(in))
			if err != nil {
				t.Fatal(err)
			}
			if len(out) != len(in) || len(in) > 0 && !reflect.DeepEqual(out, in) {
				t.Errorf("%d statements came back as %d others", len(in), len(out))
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	whole := Pack([]Statement{{SQL: []byte("UPDATE t SET a = 1"), InsertID: 300}})
	for name, in := range map[string][]byte{
		"empty":           {},
		"other version":   {packVersion + 1},
		"cut in the text": whole[:len(whole)-1],
		"cut in a number": whole[:2],
		"endless number":  append([]byte{packVersion}, bytes.Repeat([]byte{0xff}, 20)...),
		"huge length":     {packVersion, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'x'},
	} {
		if _, err := Unpack(in); !errors.Is(err, ErrPacked) {
			t.Errorf("%s: %v, want ErrPacked", name, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(Pack([]Statement{{SQL: []byte("UPDATE t SET a = 1"), InsertID: 300, UnixMicro: 1}, {SQL: []byte("x")}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := Unpack(b)
		if err != nil {
			return
		}
		again, err := Unpack(Pack(out))
		if err != nil || len(again) != len(out) || len(out) > 0 && !reflect.DeepEqual(again, out) {
			t.Fatalf("%v came back as %v: %v", out, again, err)
		}
	})
}

func TestBefore(t *testing.T) {
	insert := Statement{SQL: []byte("INSERT INTO t (v) VALUES (NOW())"), InsertID: 42, UnixMicro: 1_700_000_000_000_007}
	want := []string{"SET timestamp = 1700000000.000007", "SET insert_id = 42"}
	if got := insert.Before(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	plain := Statement{SQL: []byte("SAVEPOINT a")}
	if got := plain.Before(); got != nil {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		was      Statement
		affected uint64
		info     string
		want     bool
	}{
		{Statement{Affected: 2}, 2, "", true},
		{Statement{Affected: 2}, 3, "Rows matched: 2  Changed: 3  Warnings: 0", false},
		{Statement{Affected: 0}, 1, "", false},
		{Statement{Affected: -1}, 7, "", true},
		{Statement{Affected: 2, Found: true}, 1, "Rows matched: 2  Changed: 1  Warnings: 0", true},
		{Statement{Affected: 2, Found: true}, 2, "Rows matched: 3  Changed: 2  Warnings: 0", false},
		{Statement{Affected: 2, Found: true}, 2, "Records: 2  Duplicates: 0  Warnings: 0", true},
	} {
		if got := c.was.Same(c.affected, c.info); got != c.want {
			t.Errorf("%+v replayed with %d rows, %q: the same %v, want %v", c.was, c.affected, c.info, got, c.want)
		}
	}
}

// TestStatementsCarryNoRawBytes holds that nothing of a client stands in a statement but as hexadecimal digits.
func TestStatementsCarryNoRawBytes(t *testing.T) {
	const evil = "x' OR 1=1 -- \x00\\"
	r := Record{TxnID: evil, Participant: evil, Coordinator: evil, Database: evil, Settings: evil, Statements: []Statement{{SQL: []byte(evil)}}}
	for _, sql := range append(Barrier(evil), string(InsertRecord(&r)), LockRecord(evil), DeleteRecord(evil), CountRecord(evil),
		Decide(evil, Commit, []string{evil}), SelectDecision(evil), Forget(evil)) {
		if strings.Contains(sql, "1=1") || strings.Contains(sql, "\x00") {
			t.Errorf("raw bytes in %q", sql)
		}
	}
}
