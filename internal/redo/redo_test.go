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
		"binary": {{SQL: []byte("INSERT INTO t VALUES ('\x00\xff''\\')"), InsertID: 1<<64 - 1, UnixMicro: 1_700_000_000_123_456}, {SQL: []byte{}}},
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
		"huge length":     {packVersion, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'x'},
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

func TestReplay(t *testing.T) {
	got := Replay([]Statement{
		{SQL: []byte("INSERT INTO t (v) VALUES (NOW())"), InsertID: 42, UnixMicro: 1_700_000_000_000_007},
		{SQL: []byte("SAVEPOINT a")},
	})
	want := []string{"SET timestamp = 1700000000.000007", "SET insert_id = 42", "INSERT INTO t (v) VALUES (NOW())", "SAVEPOINT a"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
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
