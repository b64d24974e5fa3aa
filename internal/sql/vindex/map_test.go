package vindex

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func mustNew(t testing.TB, typ string, ps map[string]string) Vindex {
	t.Helper()
	v, err := New(typ, "v", ps, Options{ReadFile: func(path string) ([]byte, error) {
		if path == "map.json" {
			return []byte(`{"us": 1, "far": 70000}`), nil
		}
		return nil, errors.New("no such file")
	}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func show(d Dest) string {
	switch d.Kind {
	case DestID:
		return "id " + hex.EncodeToString(d.ID)
	case DestRange:
		return "range " + d.KeyRange().Name()
	}
	return "none"
}

// TestValueKinds: what each kind of value means to each family of vindexes, as Vitess has it.
func TestValueKinds(t *testing.T) {
	tests := []struct {
		typ  string
		kind ValueKind
		raw  string
		want string // "error" for one
	}{
		// Numbers from other types: blanks around the digits do not matter, everything else does.
		{"numeric", Text, " \t77 ", "id 000000000000004d"},
		{"numeric", Text, "77\n", "none"},
		{"numeric", Text, "+77", "none"},
		{"numeric", Text, "-0", "none"},
		{"numeric", Text, "", "none"},
		{"numeric", Text, "  ", "none"},
		{"numeric", Text, "0x10", "none"},
		{"numeric", Text, "1 2", "none"},
		{"numeric", Binary, "77", "id 000000000000004d"},
		{"numeric", Decimal, "77", "id 000000000000004d"},
		{"numeric", Decimal, "77.0", "none"},
		{"numeric", Float, "1e3", "none"},
		{"numeric", Uint, "18446744073709551615", "id ffffffffffffffff"},
		{"numeric", Uint, "18446744073709551616", "none"},
		{"numeric", Text, "99999999999999999999", "none"},
		{"numeric", Int, "007", "id 0000000000000007"},
		{"numeric", Null, "", "none"},
		{"numeric", HexLiteral, "0x10", "none"},
		{"reverse_bits", Int, "1", "id 8000000000000000"},
		{"reverse_bits", Text, "2024-01-01", "none"},
		// hash takes negative numbers of signed type, and of no other.
		{"hash", Int, "-1", "id 355550b2150e2451"},
		{"hash", Int, "+1", "id 166b40b44aba4bd6"},
		{"hash", Text, "-1", "none"},
		{"hash", Int, " 1", "none"},
		{"hash", Int, "9223372036854775808", "none"},
		{"hash", Int, "-9223372036854775809", "none"},
		{"hash", Text, " 1 ", "id 166b40b44aba4bd6"},
		{"hash", Decimal, "1.0", "none"},
		{"hash", Int, "-", "none"},
		// Bytes are taken as they are; NULL has none.
		{"xxhash", Null, "", "id 99e9d85137db46ef"},
		{"binary", Null, "", "id "},
		{"binary_md5", Null, "", "id d41d8cd98f00b204e9800998ecf8427e"},
		{"unicode_loose_md5", Null, "", "id d41d8cd98f00b204e9800998ecf8427e"},
		{"null", Null, "", "id 00"},
		{"binary", Decimal, "1.50", "id " + hex.EncodeToString([]byte("1.50"))},
		{"binary", HexLiteral, "0xA1b2", "id a1b2"},
		{"binary", HexLiteral, "0xA1b", "id 0a1b"},
		{"binary", HexLiteral, "x'A1'", "id a1"},
		{"binary", HexLiteral, "x''", "id "},
		{"binary", HexLiteral, "x'A'", "error"},
		{"binary", HexLiteral, "A1", "error"},
		{"binary", HexLiteral, "0xzz", "error"},
		{"binary", BitLiteral, "0b100000001", "id 0101"},
		{"binary", BitLiteral, "b'101'", "id 05"},
		{"binary", BitLiteral, "b'000000001'", "id 0001"},
		{"binary", BitLiteral, "b'0'", "id 00"},
		{"binary", BitLiteral, "b''", "id "},
		{"binary", BitLiteral, "0b2", "error"},
		{"binary", BitLiteral, "b'" + strings.Repeat("1", maxBitDigits+1) + "'", "error"},
		{"xxhash", HexLiteral, "zz", "error"},
		{"binary_md5", BitLiteral, "zz", "error"},
		{"unicode_loose_xxhash", HexLiteral, "zz", "error"},
		{"cfc", HexLiteral, "zz", "error"},
		// Loose text folds case, accents and trailing spaces; it must be UTF-8.
		{"unicode_loose_xxhash", Text, "ABC  ", "id 01537f41ecf22f9c"},
		{"unicode_loose_xxhash", Binary, "\xff", "error"},
	}
	for _, test := range tests {
		f := mustNew(t, test.typ, nil).(Functional)
		d, err := f.Map(Value{Kind: test.kind, Raw: []byte(test.raw)}, make([]byte, 16))
		got := show(d)
		if err != nil {
			got = "error"
		}
		if got != test.want {
			t.Errorf("%s of kind %d, %.40q: %s (%v), want %s", test.typ, test.kind, test.raw, got, err, test.want)
		}
	}
}

func TestNoRows(t *testing.T) {
	f := mustNew(t, "numeric", nil).(Functional)
	for _, test := range []struct {
		v    Value
		want bool
	}{
		{Value{Int, []byte("-1")}, true}, {Value{Null, nil}, true}, {Value{Int, []byte("1")}, false}, {Value{Text, []byte("1")}, false},
		{Value{Text, []byte("1abc")}, false}, {Value{Decimal, []byte("1.0")}, false}, {Value{HexLiteral, []byte("0x31")}, false},
	} {
		d, err := f.Map(test.v, nil)
		if err != nil || NoRows(d, test.v) != test.want {
			t.Errorf("%+v maps to %s (%v): NoRows is %v", test.v, show(d), err, !test.want)
		}
	}
}

func TestMapWithoutScratchAndAliasing(t *testing.T) {
	for _, typ := range []string{"hash", "numeric", "reverse_bits", "xxhash", "binary", "binary_md5", "unicode_loose_md5", "unicode_loose_xxhash", "null"} {
		f := mustNew(t, typ, nil).(Functional)
		v := Value{Kind: Int, Raw: []byte("12345")}
		with, err := f.Map(v, make([]byte, 0, 16))
		if err != nil {
			t.Fatal(err)
		}
		without, err := f.Map(v, nil)
		if err != nil || !bytes.Equal(with.ID, without.ID) {
			t.Errorf("%s: %x with scratch, %x without (%v)", typ, with.ID, without.ID, err)
		}
		if string(v.Raw) != "12345" {
			t.Errorf("%s changed the value to %q", typ, v.Raw)
		}
	}
}

// TestNumberTwin: asUint64 against big numbers, on the borders.
func TestNumberTwin(t *testing.T) {
	limit := new(big.Int).Lsh(big.NewInt(1), 64)
	for _, s := range []string{"0", "9", "18446744073709551609", "18446744073709551615", "18446744073709551616", "18446744073709551620",
		"28446744073709551615", "184467440737095516150", "30000000000000000000", "000000000000000000000000018446744073709551615"} {
		n, _ := new(big.Int).SetString(s, 10)
		got, ok := asUint64(Value{Kind: Text, Raw: []byte(s)})
		if wantOK := n.Cmp(limit) < 0; ok != wantOK || ok && strconv.FormatUint(got, 10) != n.String() {
			t.Errorf("asUint64(%s) = %d, %v", s, got, ok)
		}
	}
}

func TestParams(t *testing.T) {
	tests := []struct {
		typ    string
		params map[string]string
		want   string // of the error; empty: accepted
	}{
		{"nosuch", nil, `unknown vindex type; the types are binary`},
		{"hash", map[string]string{"a": "b"}, "type hash has no parameter a; it has none"},
		{"cfc", map[string]string{"hsah": "md5"}, "type cfc has no parameter hsah; it has hash, offsets"},
		{"cfc", map[string]string{"hash": "sha1"}, "want md5 or xxhash64"},
		{"cfc", map[string]string{"hash": "md5"}, "want ascending positive numbers"},
		{"cfc", map[string]string{"hash": "md5", "offsets": "[2,2]"}, "want ascending positive numbers"},
		{"cfc", map[string]string{"hash": "md5", "offsets": "[0,2]"}, "want ascending positive numbers"},
		{"cfc", map[string]string{"hash": "md5", "offsets": "[]"}, "want ascending positive numbers"},
		{"cfc", map[string]string{"offsets": "[1]"}, "only together with the parameter hash"},
		{"numeric_static_map", nil, "exactly one of the parameters json and json_path"},
		{"numeric_static_map", map[string]string{"json": "{}", "json_path": "x"}, "exactly one of the parameters json and json_path"},
		{"numeric_static_map", map[string]string{"json_path": "x"}, "parameter json_path: reading x: no such file"},
		{"numeric_static_map", map[string]string{"json": `{"a": 1}`}, "want an unsigned 64-bit number"},
		{"numeric_static_map", map[string]string{"json": `{"1": -1}`}, "map of numbers"},
		{"numeric_static_map", map[string]string{"json": `{"1": 1, "01": 2}`}, "number 1 is mapped twice"},
		{"numeric_static_map", map[string]string{"json": `{}`, "fallback_type": "lookup"}, "parameter fallback_type"},
		{"numeric_static_map", map[string]string{"json": `{}`, "fallback_type": "multicol"}, "parameter fallback_type"},
		{"region_experimental", nil, "want 1 or 2"},
		{"region_experimental", map[string]string{"region_bytes": "3"}, "want 1 or 2"},
		{"region_json", map[string]string{"region_bytes": "1"}, "parameter region_map is missing"},
		{"region_json", map[string]string{"region_bytes": "1", "region_map": "x"}, "reading x"},
		{"multicol", nil, "parameter column_count"},
		{"multicol", map[string]string{"column_count": "9"}, "parameter column_count"},
		{"multicol", map[string]string{"column_count": "2", "column_bytes": "1,2,3"}, "3 numbers for 2 columns"},
		{"multicol", map[string]string{"column_count": "2", "column_bytes": "8"}, "more than the 8 bytes"},
		{"multicol", map[string]string{"column_count": "2", "column_bytes": "4,5"}, "more than the 8 bytes"},
		{"multicol", map[string]string{"column_count": "2", "column_bytes": "a"}, "not a number of bytes"},
		{"multicol", map[string]string{"column_count": "2", "column_bytes": "-1"}, "not a number of bytes"},
		{"multicol", map[string]string{"column_count": "2", "column_vindex": "hash,hash,hash"}, "names 3 vindexes for 2 columns"},
		{"multicol", map[string]string{"column_count": "2", "column_vindex": "nosuch"}, "column 1: vindex v_0"},
		{"multicol", map[string]string{"column_count": "2", "column_vindex": ",lookup", "table": "t", "from": "a", "to": "b"}, "column 2: lookup is not a functional"},
		{"multicol", map[string]string{"column_count": "2", "json": "{}"}, "parameter json is known neither"},
		{"multicol", map[string]string{"column_count": "2", "column_vindex": " numeric_static_map ,", "json": "{}"}, ""},
		{"lookup", map[string]string{"table": "t", "to": "b"}, "parameter from"},
		{"lookup", map[string]string{"table": ".t", "from": "a", "to": "b"}, "parameter table"},
		{"lookup", map[string]string{"table": "t", "from": "a"}, "parameter to is missing"},
		{"lookup", map[string]string{"table": "t", "from": "a", "to": "b", "autocommit": "yes"}, "want true or false"},
		{"lookup", map[string]string{"table": "t", "from": "a", "to": "b", "read_lock": "some"}, "want exclusive, shared or none"},
		{"consistent_lookup", map[string]string{"table": "t", "from": "a", "to": "b", "autocommit": "true"}, "has no parameter autocommit"},
		{"lookup_unicodeloosemd5_hash", map[string]string{"table": "t", "from": "a,c", "to": "b"}, "takes exactly one"},
	}
	for _, test := range tests {
		_, err := New(test.typ, "v", test.params, Options{ReadFile: func(string) ([]byte, error) { return nil, errors.New("no such file") }})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %v: %v, want %q", test.typ, test.params, err, test.want)
		}
	}
	if _, err := New("region_json", "v", map[string]string{"region_bytes": "1", "region_map": "x"}, Options{}); err == nil || !strings.Contains(err.Error(), "can't be read here") {
		t.Errorf("without ReadFile: %v", err)
	}
}

// TestTypes: every name in Types makes a vindex of that type, so that the list and the definitions agree.
func TestTypes(t *testing.T) {
	params := map[string]map[string]string{
		"multicol":            {"column_count": "2"},
		"numeric_static_map":  {"json": "{}"},
		"region_experimental": {"region_bytes": "1"},
		"region_json":         {"region_bytes": "1", "region_map": "map.json"},
	}
	for _, typ := range Types() {
		p := params[typ]
		isLookup := strings.Contains(typ, "lookup")
		if isLookup {
			p = map[string]string{"table": "t", "from": "a", "to": "b"}
		}
		v := mustNew(t, typ, p)
		if v.Type() != typ || v.Name() != "v" || v.NeedsLookup() != isLookup {
			t.Errorf("%s makes %s %s, needs lookup %v", typ, v.Type(), v.Name(), v.NeedsLookup())
		}
		if wantUnique := !isLookup || strings.HasSuffix(typ, "_unique"); v.Unique() != wantUnique {
			t.Errorf("%s: unique is %v", typ, v.Unique())
		}
		_, functional := v.(Functional)
		_, multi := v.(MultiColumn)
		_, lookup := v.(Lookup)
		if n := fmt.Sprint(functional, multi, lookup); strings.Count(n, "true") != 1 {
			t.Errorf("%s is functional, multi-column, lookup: %s; want exactly one", typ, n)
		}
	}
}

func TestMultiColumn(t *testing.T) {
	i := func(s string) Value { return Value{Kind: Int, Raw: []byte(s)} }
	s := func(s string) Value { return Value{Kind: Text, Raw: []byte(s)} }
	region := map[string]string{"region_bytes": "1"}
	tests := []struct {
		typ    string
		params map[string]string
		values []Value
		want   string
	}{
		{"region_experimental", region, []Value{i("1"), i("1")}, "id 01166b40b44aba4bd6"},
		{"region_experimental", region, []Value{i("258"), i("1")}, "id 02166b40b44aba4bd6"},
		{"region_experimental", map[string]string{"region_bytes": "2"}, []Value{i("65538"), i("1")}, "id 0002166b40b44aba4bd6"},
		{"region_experimental", region, []Value{i("1"), i("-1")}, "none"},
		{"region_experimental", region, []Value{i("-1"), i("1")}, "none"},
		{"region_experimental", region, []Value{i("1")}, "range 01-02"},
		{"region_experimental", region, []Value{i("255")}, "range ff-"},
		{"region_experimental", map[string]string{"region_bytes": "2"}, []Value{i("255")}, "range 00ff-0100"},
		{"region_experimental", region, nil, "none"},
		{"region_experimental", region, []Value{i("1"), i("1"), i("1")}, "none"},
		{"region_json", map[string]string{"region_bytes": "1", "region_map": "map.json"}, []Value{i("1"), s("us")}, "id 01166b40b44aba4bd6"},
		{"region_json", map[string]string{"region_bytes": "2", "region_map": "map.json"}, []Value{i("1"), s("far")}, "id 1170166b40b44aba4bd6"},
		{"region_json", map[string]string{"region_bytes": "1", "region_map": "map.json"}, []Value{i("1"), s("US")}, "none"},
		{"region_json", map[string]string{"region_bytes": "1", "region_map": "map.json"}, []Value{i("1")}, "none"},
		{"region_json", map[string]string{"region_bytes": "1", "region_map": "map.json"}, []Value{s("x"), s("us")}, "none"},
		{"multicol", map[string]string{"column_count": "3", "column_vindex": "binary,binary,binary"}, []Value{s("a"), s("bcdef"), s("g")}, "id 610000626364" + "67"},
		{"multicol", map[string]string{"column_count": "3", "column_vindex": "binary,binary,binary"}, []Value{s("abc"), s("def")}, "range 616263646566-616263646567"},
		{"multicol", map[string]string{"column_count": "2", "column_vindex": "binary,binary", "column_bytes": ",2"}, []Value{s(""), s("xyz")}, "id 0000000000007879"},
		{"multicol", map[string]string{"column_count": "2", "column_vindex": "binary"}, []Value{s("\xff\xff\xff\xff")}, "range ffffffff-"},
		{"multicol", map[string]string{"column_count": "2", "column_vindex": "binary"}, nil, "range -"},
		{"multicol", map[string]string{"column_count": "2"}, []Value{i("1"), s("x")}, "none"},
		{"multicol", map[string]string{"column_count": "1"}, []Value{i("1"), i("1")}, "none"},
		{"multicol", map[string]string{"column_count": "1", "column_vindex": "unicode_loose_md5"}, []Value{s("\xff")}, "none"},
		{"multicol", map[string]string{"column_count": "1", "column_bytes": "3"}, []Value{i("1")}, "id 166b40"},
	}
	for _, test := range tests {
		m := mustNew(t, test.typ, test.params).(MultiColumn)
		for _, scratch := range [][]byte{nil, make([]byte, 16)} {
			d, err := m.MapMulti(test.values, scratch)
			if err != nil || show(d) != test.want {
				t.Errorf("%s %v: %s, %v; want %s", test.typ, test.params, show(d), err, test.want)
			}
		}
	}
}

func TestCFCShortValue(t *testing.T) {
	hashed := mustNew(t, "cfc", map[string]string{"hash": "xxhash64", "offsets": "[2,4]"}).(Functional)
	if _, err := hashed.Map(Value{Kind: Binary, Raw: []byte("abc")}, nil); err == nil || !strings.Contains(err.Error(), "needs at least 4") {
		t.Errorf("a short value: %v", err)
	}
}

// TestLooseConcurrently: one vindex serves many callers with equal answers.
func TestLooseConcurrently(t *testing.T) {
	f := mustNew(t, "unicode_loose_md5", nil).(Functional)
	want, err := f.Map(Value{Kind: Text, Raw: []byte("Straße")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 2 * maxIdleCollations {
		wg.Go(func() {
			for range 20 {
				d, err := f.Map(Value{Kind: Text, Raw: []byte("STRASSE ")}, make([]byte, 16))
				if err != nil || !bytes.Equal(d.ID, want.ID) {
					t.Errorf("%x, %v; want %x", d.ID, err, want.ID)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzLoose: the key of folded text, with its short way for ASCII, is the one of the collation library.
func FuzzLoose(f *testing.F) {
	for _, s := range []string{"", "Hello, World!", "l", "l\u00b7", "L \u0387", "a\u0301\u0327", "\x00\x01\x7f", "  x  ", "\u1100\u1161\u11a8", "\U0001F600"} {
		f.Add(s)
	}
	folder, twin := newFolder(), newCollation()
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		got, err := folder.appendKey(nil, []byte(s), func(dst, key []byte) []byte { return append(dst, key...) })
		twin.buffer.Reset()
		want := twin.collator.KeyFromString(&twin.buffer, strings.TrimRight(s, " "))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: key %x, %v; want %x", s, got, err, want)
		}
	})
}

// TestLooseASCIITwin covers all pairs of ASCII characters, since contractions begin with two.
func TestLooseASCIITwin(t *testing.T) {
	folder, twin := newFolder(), newCollation()
	for a := range byte(utf8.RuneSelf) {
		for b := range byte(utf8.RuneSelf) {
			text := []byte{a, b, 'x'}
			got, err := folder.appendKey(nil, text, func(dst, key []byte) []byte { return append(dst, key...) })
			twin.buffer.Reset()
			if want := twin.collator.Key(&twin.buffer, text); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%q: key %x, %v; want %x", text, got, err, want)
			}
		}
	}
}

func FuzzMap(f *testing.F) {
	f.Add([]byte("abc"), uint8(Text))
	f.Add([]byte("-9223372036854775808"), uint8(Int))
	f.Add([]byte("0x1"), uint8(HexLiteral))
	f.Add([]byte("e\u0301\u0327\U0001F600\u1100\u1161"), uint8(Text))
	f.Add(bytes.Repeat([]byte("\u0344"), 600), uint8(Text))
	var all []Functional
	for _, typ := range []string{"hash", "numeric", "reverse_bits", "xxhash", "binary", "binary_md5", "unicode_loose_md5", "unicode_loose_xxhash", "null", "cfc"} {
		all = append(all, mustNew(f, typ, nil).(Functional))
	}
	all = append(all, mustNew(f, "cfc", map[string]string{"hash": "md5", "offsets": "[1,3]"}).(Functional))
	f.Fuzz(func(t *testing.T, raw []byte, kind uint8) {
		v := Value{Kind: ValueKind(kind % uint8(BitLiteral+1)), Raw: raw}
		for _, x := range all {
			a, errA := x.Map(v, nil)
			b, errB := x.Map(v, make([]byte, 16))
			if (errA == nil) != (errB == nil) || show(a) != show(b) {
				t.Errorf("%s of %q: %s, %v and then %s, %v", x.Type(), raw, show(a), errA, show(b), errB)
			}
			if strings.HasPrefix(x.Type(), "unicode_loose") && v.Kind == Text && (errA == nil) != utf8.Valid(raw) {
				t.Errorf("%s of %q: %v", x.Type(), raw, errA)
			}
		}
	})
}

func FuzzMapJSONLines(f *testing.F) {
	f.Add(`{"type":"hash","values":[{"type":"INT64","hex":"31"}]}`)
	f.Add(`{"type":"multicol","params":{"column_count":"2"},"values":[{"type":"INT64","hex":"31"}],"x":[{}]}` + "\n\n[]")
	f.Add(`{"type":"region_json","params":{"region_bytes":"1","region_map":"map.json"},"values":[]}`)
	f.Fuzz(func(t *testing.T, in string) {
		var out bytes.Buffer
		if err := MapJSONLines(strings.NewReader(in), &out, Options{}); err != nil {
			t.Fatal(err)
		}
		want := 0
		for line := range strings.Lines(in) {
			if len(bytes.TrimSpace([]byte(line))) > 0 {
				want++
			}
		}
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("%d answers to %d lines:\n%s", got, want, out.String())
		}
	})
}

func benchmarkMap(b *testing.B, typ string, v Value) {
	f := mustNew(b, typ, nil).(Functional)
	scratch := make([]byte, 16)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Map(v, scratch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B)    { benchmarkMap(b, "hash", Value{Int, []byte("1234567890123")}) }
func BenchmarkNumeric(b *testing.B) { benchmarkMap(b, "numeric", Value{Int, []byte("1234567890123")}) }
func BenchmarkXXHash(b *testing.B) {
	benchmarkMap(b, "xxhash", Value{Text, []byte("someone@example.com")})
}
func BenchmarkMD5(b *testing.B) {
	benchmarkMap(b, "binary_md5", Value{Text, []byte("someone@example.com")})
}
func BenchmarkLoose(b *testing.B) {
	benchmarkMap(b, "unicode_loose_xxhash", Value{Text, []byte("Someone@Example.com")})
}

// TestMapAllocatesNothing: the steady state of the fast path.
func TestMapAllocatesNothing(t *testing.T) {
	scratch := make([]byte, 16)
	for _, typ := range []string{"hash", "numeric", "reverse_bits", "xxhash", "binary", "binary_md5", "unicode_loose_md5", "unicode_loose_xxhash", "null"} {
		f := mustNew(t, typ, nil).(Functional)
		for _, v := range []Value{{Int, []byte("1234567890123")}, {Text, []byte("Someone@Example.com")}} {
			if n := testing.AllocsPerRun(100, func() { _, _ = f.Map(v, scratch) }); n != 0 {
				t.Errorf("%s of %s allocates %v times", typ, v.Raw, n)
			}
		}
	}
	m := mustNew(t, "multicol", map[string]string{"column_count": "2"}).(MultiColumn)
	vs := []Value{{Int, []byte("1")}, {Int, []byte("2")}}
	if n := testing.AllocsPerRun(100, func() { _, _ = m.MapMulti(vs, scratch) }); n != 0 {
		t.Errorf("multicol allocates %v times", n)
	}
}
