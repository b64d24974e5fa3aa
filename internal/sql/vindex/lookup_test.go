package vindex

import (
	"encoding/hex"
	"maps"
	"testing"
)

func lookupTable(t *testing.T, typ string, extra map[string]string) *LookupTable {
	t.Helper()
	ps := map[string]string{"table": "main.`by``name`", "from": "last, first", "to": "id"}
	maps.Copy(ps, extra)
	return mustNew(t, typ, ps).(Lookup).Table()
}

func TestLookupStatements(t *testing.T) {
	plain := lookupTable(t, "lookup", nil)
	unique := lookupTable(t, "consistent_lookup_unique", map[string]string{"read_lock": "shared"})
	auto := lookupTable(t, "lookup", map[string]string{"multi_shard_autocommit": "true", "read_lock": "none"})
	local := lookupTable(t, "lookup_unique", map[string]string{"table": "t", "from": "a"})
	const table = "`main`.`by``name`"
	for _, test := range []struct{ got, want string }{
		{plain.SelectSQL(1, false), "select `last`, `id` from " + table + " where `last` = ?"},
		{plain.SelectSQL(2, true), "select `last`, `id` from " + table + " where `last` in (?, ?) for update"},
		{unique.SelectSQL(1, true), "select `last`, `id` from " + table + " where `last` = ? lock in share mode"},
		{auto.SelectSQL(1, true), "select `last`, `id` from " + table + " where `last` = ?"},
		{plain.InsertSQL(2, false), "insert into " + table + " (`last`, `first`, `id`) values (?, ?, ?), (?, ?, ?)"},
		{plain.InsertSQL(1, true), "insert ignore into " + table + " (`last`, `first`, `id`) values (?, ?, ?)"},
		{auto.InsertSQL(1, false), "insert into " + table + " (`last`, `first`, `id`) values (?, ?, ?) on duplicate key update `id` = values(`id`)"},
		{plain.DeleteSQL(), "delete from " + table + " where `last` = ? and `first` = ? and `id` = ?"},
		{local.DeleteSQL(), "delete from `t` where `a` = ? and `id` = ?"},
	} {
		if test.got != test.want {
			t.Errorf("got  %s\nwant %s", test.got, test.want)
		}
	}
	if !auto.Autocommit || plain.Autocommit || !unique.Consistent || !unique.Unique || plain.Unique {
		t.Errorf("wrong flags: %+v %+v %+v", auto, plain, unique)
	}
}

func TestLookupColumns(t *testing.T) {
	id, err := hex.DecodeString("166b40b44aba4bd6") // hash of 1
	if err != nil {
		t.Fatal(err)
	}
	one := map[string]string{"from": "name"}
	for _, test := range []struct{ typ, to, from string }{
		{"lookup", string(id), "Abc"},
		{"consistent_lookup_unique", string(id), "Abc"},
		{"lookup_hash", "1", "Abc"},
		{"lookup_hash_unique", "1", "Abc"},
		{"lookup_unicodeloosemd5_hash", "1", "1318992511808049999"}, // 124e00b37fb8134f, the first half of unicode_loose_md5 of abc
		{"lookup_unicodeloosemd5_hash_unique", "1", "1318992511808049999"},
	} {
		table := lookupTable(t, test.typ, one)
		to, err := table.EncodeID(id)
		if err != nil || string(to.Raw) != test.to {
			t.Errorf("%s: column to is %q, %v; want %q", test.typ, to.Raw, err, test.to)
		}
		back, err := table.DecodeID(to)
		if err != nil || string(back) != string(id) {
			t.Errorf("%s: the id comes back as %x, %v", test.typ, back, err)
		}
		from, err := table.FromValue(Value{Kind: Text, Raw: []byte("Abc")})
		if err != nil || string(from.Raw) != test.from {
			t.Errorf("%s: column from is %s, %v; want %s", test.typ, from.Raw, err, test.from)
		}
		if from, err := table.FromValue(Value{}); err != nil || from.Kind != Null {
			t.Errorf("%s: NULL becomes %+v, %v", test.typ, from, err)
		}
		if _, err := table.DecodeID(Value{}); err == nil {
			t.Errorf("%s: NULL is taken for a keyspace id", test.typ)
		}
	}
	numbers := lookupTable(t, "lookup_hash", one)
	if _, err := numbers.EncodeID([]byte{1}); err == nil {
		t.Error("an id of one byte is encoded as a number")
	}
	if _, err := numbers.DecodeID(Value{Kind: Text, Raw: []byte("x")}); err == nil {
		t.Error("text is decoded as a number")
	}
	// The column may be a signed BIGINT.
	if id, err := numbers.DecodeID(Value{Kind: Int, Raw: []byte("-1")}); err != nil || hex.EncodeToString(id) != "355550b2150e2451" {
		t.Errorf("-1 is %x, %v", id, err)
	}
	folded := lookupTable(t, "lookup_unicodeloosemd5_hash", one)
	if _, err := folded.FromValue(Value{Kind: Text, Raw: []byte("\xff")}); err == nil {
		t.Error("invalid UTF-8 is folded")
	}
}
