package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Map(func(r rune) rune {
		if r == ' ' || r == '\n' || r == '\t' {
			return -1
		}
		return r
	}, s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLenencInt(t *testing.T) {
	for _, tt := range []struct {
		v   uint64
		hex string
	}{
		{0, "00"}, {250, "fa"}, {251, "fc fb00"}, {0xffff, "fc ffff"}, {0x10000, "fd 000001"},
		{0xffffff, "fd ffffff"}, {0x1000000, "fe 0000000100000000"}, {math.MaxUint64, "fe ffffffffffffffff"},
	} {
		want := unhex(t, tt.hex)
		if got := AppendLenencInt(nil, tt.v); !bytes.Equal(got, want) {
			t.Errorf("%d is %x, want %x", tt.v, got, want)
		}
		if v, n := LenencInt(append(want, 1, 2, 3)); v != tt.v || n != len(want) {
			t.Errorf("%x is %d in %d bytes", want, v, n)
		}
		if _, n := LenencInt(want[:len(want)-1]); n != 0 {
			t.Errorf("%x without its last byte is read", want)
		}
	}
	for _, b := range []byte{0xfb, 0xff} {
		if _, n := LenencInt([]byte{b, 0, 0, 0, 0, 0, 0, 0, 0, 0}); n != 0 {
			t.Errorf("%#x begins an integer", b)
		}
	}
}

// TestGoldenResponses has packets as servers sent them.
func TestGoldenResponses(t *testing.T) {
	const track = ClientSessionTrack
	for _, tt := range []struct {
		name, hex string
		caps      Capability
		want      OK
	}{
		{"plain", "00 00 00 0200 0000", track, OK{Status: 2}},
		{"insert", "00 03 01 0200 0000 26 " + hex.EncodeToString([]byte("Records: 3  Duplicates: 0  Warnings: 0")), 0,
			OK{Affected: 3, InsertID: 1, Status: 2, Info: "Records: 3  Duplicates: 0  Warnings: 0"}},
		{"use", "00 00 00 0240 0000 00 04 01 02 01 64", track, OK{Status: 0x4002, State: []byte("\x01\x02\x01d")}},
		{"end of rows", "fe 00 00 2200 0000", ClientDeprecateEOF, OK{Status: 0x22}},
		{"classic end", "fe 0100 2200", 0, OK{Status: 0x22, Warnings: 1}},
		{"classic end of COM_SET_OPTION", "fe 0000 0200", ClientDeprecateEOF, OK{Status: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := unhex(t, tt.hex)
			got, err := ParseOK(p, tt.caps)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("%+v, %v; want %+v", got, err, tt.want)
			}
			if len(p) == 5 {
				if again := AppendEOF(nil, got.Warnings, got.Status); !bytes.Equal(again, p) {
					t.Errorf("made %x of it", again)
				}
				return
			}
			if again := AppendOK(nil, got, tt.caps, p[0] == packetEOF); !bytes.Equal(again, p) {
				t.Errorf("made %x of it", again)
			}
		})
	}
	p := unhex(t, "ff 1504 23 3238303030"+hex.EncodeToString([]byte("Access denied")))
	e, err := ParseErr(p)
	if err != nil || *e != (MySQLError{1045, "28000", "Access denied"}) || !bytes.Equal(AppendErr(nil, e), p) {
		t.Errorf("error %+v, %v", e, err)
	}
	if e, err := ParseErr(unhex(t, "ff 1004 546f6f206d616e79")); err != nil || e.State != "" || e.Message != "Too many" || e.Errno != 1040 {
		t.Errorf("error without state: %+v, %v", e, err)
	}
}

func TestStateWithoutTrackingIsNotSent(t *testing.T) {
	p := AppendOK(nil, OK{Status: 2 | StatusSessionState, State: []byte("\x01\x02\x01d")}, 0, false)
	ok, err := ParseOK(p, 0)
	if err != nil || ok.Status != 2 || ok.State != nil || len(p) != 7 {
		t.Errorf("%x: %+v, %v", p, ok, err)
	}
}

func TestStateGTID(t *testing.T) {
	for _, tt := range []struct {
		name, state, want string
		bad               bool
	}{
		{"none", "\x01\x02\x01d", "", false},
		{"mysql", "\x03\x06\x00\x04a:12", "a:12", false},
		{"mariadb", "\x00\x12\x09last_gtid\x070-1-185", "0-1-185", false},
		{"mariadb, among others", "\x00\x20\x0aautocommit\x02ON\x09last_gtid\x070-1-186", "0-1-186", false},
		{"short", "\x03\x09\x00", "", true},
		{"short name", "\x00\x02\x09l", "", true},
	} {
		got, err := StateGTID([]byte(tt.state))
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
}

func TestColumnRoundTrip(t *testing.T) {
	golden := unhex(t, "03646566 0164 0174 0474657374 026964 026964 0c 3f00 14000000 08 2342 00 0000")
	c, err := ParseColumn(golden, 0)
	want := Column{Schema: "d", Table: "t", OrgTable: "test", Name: "id", OrgName: "id", Charset: 63, Length: 20, Type: 8, Flags: 0x4223}
	if err != nil || c != want {
		t.Fatalf("%+v, %v", c, err)
	}
	if got := AppendColumn(nil, &c, 0); !bytes.Equal(got, golden) {
		t.Errorf("made %x of it", got)
	}
	c.Extended = "\x01\x04json"
	c.Name = strings.Repeat("n", 300)
	again, err := ParseColumn(AppendColumn(nil, &c, MariaDBExtendedMetadata), MariaDBExtendedMetadata)
	if err != nil || again != c {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestRowsRoundTrip(t *testing.T) {
	values := [][]byte{[]byte("a"), nil, {}, pattern(300), pattern(70_000)}
	p := AppendTextRow(nil, values)
	got, err := ParseTextRow(p, make([][]byte, len(values)))
	if err != nil || !reflect.DeepEqual(got, values) {
		t.Errorf("text row: %v", err)
	}
	if got, err := ParseTextRow(p, nil); err != nil || !reflect.DeepEqual(got, values) {
		t.Errorf("text row of an unknown number of columns: %v", err)
	}
	for _, n := range []int{len(values) - 1, len(values) + 1} {
		if _, err := ParseTextRow(p, make([][]byte, n)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d columns: %v", n, err)
		}
	}
	if _, err := AppendBinaryRow(nil, make([]Column, 2), nil); err == nil {
		t.Error("a binary row of fewer values than columns")
	}
	for _, bad := range []struct {
		typ  byte
		text string
	}{
		{TypeLong, "x"}, {TypeLong, ""}, {TypeDouble, "1,5"}, {TypeDate, "2024-01"}, {TypeDatetime, "2024-01-01T00:00:00"},
		{TypeTime, "1:2"}, {TypeTime, "1:2:3.1234567"}, {TypeDatetime, "2024-01-01 00:00:00x"}, {TypeDate, "20240-01-01"},
	} {
		if _, err := AppendBinaryRow(nil, []Column{{Type: bad.typ}}, [][]byte{[]byte(bad.text)}); err == nil {
			t.Errorf("type %d takes %q", bad.typ, bad.text)
		}
	}
}

// TestGoldenExecute has a packet as a client sent it: SELECT ?, ?, ? with 42, "ab", NULL.
func TestGoldenExecute(t *testing.T) {
	p := unhex(t, "17 05000000 00 01000000 04 01 0800 fd00 0600 2a00000000000000 026162")
	e, err := ParseStmtExecute(p, 3, nil, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []Param{{Type: TypeLongLong, Raw: []byte{42, 0, 0, 0, 0, 0, 0, 0}}, {Type: TypeVarString, Raw: []byte("ab")}, {Type: TypeNull, Null: true}}
	if e.ID != 5 || e.Iterations != 1 || !reflect.DeepEqual(e.Params, want) || len(e.NewTypes) != 3 {
		t.Fatalf("%+v", e)
	}
	if again := AppendStmtExecute(nil, 5, 0, e.Params, nil, 0); !bytes.Equal(again, p) {
		t.Errorf("made %x of it", again)
	}
	types := append([]ParamType(nil), e.NewTypes...)
	// The next execution relies on the types, and has sent the second value ahead.
	next := unhex(t, "17 05000000 00 01000000 04 00 2b00000000000000")
	long := [][]byte{nil, []byte("long")}
	if err := e.Parse(next, 3, types, long, 0); err != nil {
		t.Fatal(err)
	}
	if e.NewTypes != nil || e.Params[0].Raw[0] != 43 || string(e.Params[1].Raw) != "long" || !e.Params[1].Long || !e.Params[2].Null {
		t.Errorf("%+v", e)
	}
	if err := e.Parse(next, 3, nil, long, 0); !errors.Is(err, ErrMalformed) {
		t.Errorf("types that were never sent: %v", err)
	}
	// With query attributes: a count, and a name for each.
	attrs := []Attribute{{Name: "trace", Param: TextParam("x")}}
	withAttrs := AppendStmtExecute(nil, 5, 0, want, attrs, ClientQueryAttributes)
	if err := e.Parse(withAttrs, 3, nil, nil, ClientQueryAttributes); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(e.Params, want) || !reflect.DeepEqual(e.Attrs, attrs) {
		t.Errorf("with attributes: %+v", e)
	}
	for i := range withAttrs {
		if err := e.Parse(withAttrs[:i], 3, nil, nil, ClientQueryAttributes); err == nil {
			t.Errorf("%d bytes of %d are taken for the whole", i, len(withAttrs))
		}
	}
}

func TestQueryAttributes(t *testing.T) {
	attrs := []Attribute{{Name: "a", Param: IntParam(7)}, {Name: "", Param: NullParam()}, {Name: "t", Param: TextParam("text")}}
	for _, tt := range []struct {
		caps  Capability
		attrs []Attribute
		want  []Attribute
	}{{0, attrs, nil}, {ClientQueryAttributes, nil, nil}, {ClientQueryAttributes, attrs, attrs}} {
		p := AppendQuery(nil, []byte("SELECT 1"), tt.attrs, tt.caps)
		q, got, err := StripQueryAttributes(p, tt.caps)
		if err != nil || string(q) != "SELECT 1" || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%x: %q, %+v, %v", p, q, got, err)
		}
	}
	if _, _, err := StripQueryAttributes([]byte{ComQuery, 2, 1, 0}, ClientQueryAttributes); !errors.Is(err, ErrMalformed) {
		t.Errorf("half a block: %v", err)
	}
}

func TestLiterals(t *testing.T) {
	tests := []struct {
		p                Param
		want, withoutEsc string
	}{
		{NullParam(), "NULL", "NULL"},
		{IntParam(-1), "-1", "-1"},
		{UintParam(math.MaxUint64), "18446744073709551615", "18446744073709551615"},
		{Param{Type: TypeTiny, Raw: []byte{0xff}}, "-1", "-1"},
		{Param{Type: TypeTiny, Unsigned: true, Raw: []byte{0xff}}, "255", "255"},
		{FloatParam(1), "1", "1"},
		{FloatParam(-2.5), "-2.5e+00", "-2.5e+00"},
		{FloatParam(math.Inf(1)), "NULL", "NULL"},
		{FloatParam(1e300), "1e+300", "1e+300"},
		{TextParam(`a'b\c`), `'a''b\\c'`, `'a''b\c'`},
		{TextParam("\x00"), `'\0'`, "'\x00'"},
		{TextParam("\xff"), "_binary'\xff'", "_binary'\xff'"},
		{BlobParam([]byte(`\`)), `_binary'\\'`, `_binary'\'`},
		{Param{Type: TypeNewDecimal, Raw: []byte("-1.50")}, "-1.50", "-1.50"},
		{Param{Type: TypeNewDecimal, Raw: []byte("1 OR 1=1")}, "'1 OR 1=1'", "'1 OR 1=1'"},
		{Param{Type: TypeNewDecimal, Raw: []byte("-")}, "'-'", "'-'"},
		{Param{Type: TypeDate, Raw: []byte{0xe8, 7, 2, 29}}, "'2024-02-29'", "'2024-02-29'"},
		{Param{Type: TypeDatetime, Raw: []byte{0xe8, 7, 2, 29, 1, 2, 3, 0x40, 0xe2, 1, 0}}, "'2024-02-29 01:02:03.123456'", "'2024-02-29 01:02:03.123456'"},
		{Param{Type: TypeTime, Raw: []byte{1, 1, 0, 0, 0, 2, 3, 4}}, "'-26:03:04'", "'-26:03:04'"},
		{Param{Type: TypeTime}, "'00:00:00'", "'00:00:00'"},
	}
	for _, tt := range tests {
		for noBackslash, want := range map[bool]string{false: tt.want, true: tt.withoutEsc} {
			if got, err := tt.p.AppendSQL(nil, noBackslash); err != nil || string(got) != want {
				t.Errorf("%+v: %s, %v; want %s", tt.p, got, err, want)
			}
		}
	}
	if got, err := (&Param{Type: TypeVarString, Raw: []byte("\x81\\")}).AppendHex(nil, "_gbk"); err != nil || string(got) != "_gbk x'815c'" {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []Param{{Type: TypeLong, Raw: []byte{1}}, {Type: TypeDate, Raw: []byte{1, 2}}, {Type: TypeTime, Raw: []byte{1}}} {
		if got, err := bad.AppendSQL(nil, false); err == nil {
			t.Errorf("%+v makes %s", bad, got)
		}
	}
}

func TestGreetingRoundTrip(t *testing.T) {
	for _, caps := range []Capability{
		ClientMySQL | ClientProtocol41 | ClientSecureConnection | ClientPluginAuth,
		ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | MariaDBBulk | MariaDBCacheMetadata,
	} {
		g := &Greeting{Version: "8.4.0-x", ConnID: 0x01020304, Nonce: newNonce(scrambleLen), Caps: caps, Charset: 45, Status: 2, Plugin: PluginSHA2}
		p := AppendGreeting(nil, g)
		got, err := ParseGreeting(p)
		if err != nil || !reflect.DeepEqual(got, g) {
			t.Errorf("%+v, %v; want %+v", got, err, g)
		}
		for i := range len(p) - 1 {
			if _, err := ParseGreeting(p[:i]); err == nil {
				t.Errorf("%d bytes of %d are a greeting", i, len(p))
			}
		}
	}
	if _, err := ParseGreeting(AppendErr(nil, &MySQLError{1040, "08004", "Too many connections"})); err == nil || !strings.Contains(err.Error(), "1040") {
		t.Errorf("a refusal: %v", err)
	}
}

func TestHandshakeResponseRoundTrip(t *testing.T) {
	const all = ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | ClientPluginAuthLenenc | ClientConnectWithDB | ClientConnectAttrs
	h := &HandshakeResponse{Caps: all | MariaDBBulk, MaxPacket: 1 << 24, Charset: 45, User: "u", Auth: []byte("secret"),
		Database: "d", Plugin: PluginNative, Attrs: map[string]string{"a": "b", "c": ""}}
	p := AppendHandshakeResponse(nil, h)
	got, partial, err := ParseHandshakeResponse(p, all|MariaDBBulk|MariaDBProgress)
	if err != nil || partial || !reflect.DeepEqual(got, h) {
		t.Errorf("%+v, %v; want %+v", got, err, h)
	}
	// Flags that were not offered do not count.
	h.Caps |= ClientQueryAttributes
	if got, _, err := ParseHandshakeResponse(AppendHandshakeResponse(nil, h), all); err != nil || got.Caps != all {
		t.Errorf("%+v, %v", got, err)
	}
	h.Caps = all
	cu := AppendChangeUser(nil, h)
	c, err := ParseChangeUser(cu, all)
	h.MaxPacket = 0
	if err != nil || !reflect.DeepEqual(c, h) {
		t.Errorf("%+v, %v; want %+v", c, err, h)
	}
}

// TestScrambles compares the two sides of each plugin, and a known value of ed25519:
// the public key that MariaDB's documentation gives for the password "secret".
func TestScrambles(t *testing.T) {
	nonce := newNonce(scrambleLen)
	for _, password := range []string{"a", "secret", strings.Repeat("ä", 100)} {
		if !checkNative(ScrambleNative(password, nonce), nonce, HashNative(password)) ||
			!checkSHA2(ScrambleSHA2(password, nonce), nonce, HashSHA2(password)) ||
			!checkEd25519(SignEd25519(password, nonce), nonce, Ed25519PublicKey(password)) {
			t.Errorf("%q is not recognised", password)
		}
		if checkNative(ScrambleNative(password, nonce), newNonce(20), HashNative(password)) ||
			checkSHA2(ScrambleSHA2(password, nonce), newNonce(20), HashSHA2(password)) ||
			checkEd25519(SignEd25519(password, nonce), newNonce(20), Ed25519PublicKey(password)) {
			t.Errorf("%q: an answer to another nonce is taken", password)
		}
	}
	// SELECT SHA1(UNHEX(SHA1('secret'))), without the star of mysql.user.
	if got := hex.EncodeToString(HashNative("secret")); got != "14e65567abdb5135d0cfd9a70b3032c179a49ee7" {
		t.Errorf("native hash %s", got)
	}
}

// Fuzzing: no parser may panic or read beyond its bytes, and what it accepts must be
// what its counterpart writes.

func FuzzPackets(f *testing.F) {
	f.Add(AppendOK(nil, OK{Affected: 1, Info: "x", State: []byte("\x01\x02\x01d")}, ClientSessionTrack, false), true, true)
	f.Add(AppendErr(nil, &MySQLError{1, "HY000", "m"}), false, false)
	f.Add(AppendColumn(nil, &Column{Name: "c", Extended: "\x01\x04json"}, MariaDBExtendedMetadata), true, true)
	f.Add(AppendGreeting(nil, &Greeting{Version: "v", Nonce: newNonce(20), Caps: ClientProtocol41 | ClientSecureConnection | ClientPluginAuth, Plugin: "p"}), true, false)
	f.Add(AppendAuthSwitch(nil, PluginNative, newNonce(20)), true, false)
	f.Fuzz(func(t *testing.T, p []byte, track, deprecate bool) {
		var caps Capability
		if track {
			caps |= ClientSessionTrack | MariaDBExtendedMetadata
		}
		if deprecate {
			caps |= ClientDeprecateEOF
		}
		if ok, err := ParseOK(p, caps); err == nil {
			again, err := ParseOK(AppendOK(nil, ok, caps, false), caps)
			if len(ok.State) == 0 {
				ok.Status &^= StatusSessionState
				ok.State = nil
			}
			if err != nil || !reflect.DeepEqual(again, ok) {
				t.Errorf("OK %+v became %+v, %v", ok, again, err)
			}
			if err := WalkState(ok.State, func(byte, []byte) bool { return true }); err == nil {
				if _, err := StateGTID(ok.State); err != nil && !errors.Is(err, ErrMalformed) {
					t.Error(err)
				}
			}
		}
		if e, err := ParseErr(p); err == nil {
			if again, err := ParseErr(AppendErr(nil, e)); err != nil || again.Errno != e.Errno || again.Message != e.Message {
				t.Errorf("error %+v became %+v, %v", e, again, err)
			}
		}
		if c, err := ParseColumn(p, caps); err == nil {
			if again, err := ParseColumn(AppendColumn(nil, &c, caps), caps); err != nil || again != c {
				t.Errorf("column %+v became %+v, %v", c, again, err)
			}
		}
		if g, err := ParseGreeting(p); err == nil && g.Caps.Has(ClientPluginAuth) {
			if again, err := ParseGreeting(AppendGreeting(nil, g)); err != nil || !reflect.DeepEqual(again, g) {
				t.Errorf("greeting %+v became %+v, %v", g, again, err)
			}
		}
		if plugin, nonce, err := ParseAuthSwitch(p); err == nil {
			if _, again, err := ParseAuthSwitch(AppendAuthSwitch(nil, plugin, nonce)); err != nil || !bytes.Equal(again, nonce) {
				t.Errorf("nonce %x became %x, %v", nonce, again, err)
			}
		}
		if v, err := ParsePrepared(p, caps); err == nil {
			if again, err := ParsePrepared(AppendPrepared(nil, v, caps), caps); err != nil || again != v {
				t.Errorf("prepared %+v became %+v, %v", v, again, err)
			}
		}
		if n, _, err := ParseColumnCount(p, caps); err == nil && n <= 0 {
			t.Errorf("%d columns", n)
		}
	})
}

func FuzzHandshakeResponse(f *testing.F) {
	const all = ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | ClientPluginAuthLenenc | ClientConnectWithDB | ClientConnectAttrs | ClientSSL
	h := &HandshakeResponse{Caps: all, User: "u", Auth: []byte("a"), Database: "d", Plugin: "p", Attrs: map[string]string{"k": "v"}}
	f.Add(AppendHandshakeResponse(nil, h))
	f.Add(AppendSSLRequest(nil, h))
	f.Add(AppendChangeUser(nil, h))
	f.Fuzz(func(t *testing.T, p []byte) {
		if h, partial, err := ParseHandshakeResponse(p, all); err == nil && !partial {
			h.Caps |= ClientPluginAuthLenenc // what the parser also reads in the older forms
			again, _, err := ParseHandshakeResponse(AppendHandshakeResponse(nil, h), all)
			if err != nil || again.User != h.User || !bytes.Equal(again.Auth, h.Auth) || again.Database != h.Database || again.Plugin != strings.TrimRight(h.Plugin, "\x00") {
				t.Errorf("%+v became %+v, %v", h, again, err)
			}
		}
		if h, err := ParseChangeUser(p, all); err == nil {
			again, err := ParseChangeUser(AppendChangeUser(nil, h), all)
			if err != nil || again.User != h.User || !bytes.Equal(again.Auth, h.Auth) || again.Database != h.Database {
				t.Errorf("%+v became %+v, %v", h, again, err)
			}
		}
	})
}

// columnsOf makes columns of the types that the bytes choose.
func columnsOf(types []byte) []Column {
	cols := make([]Column, min(len(types), 50))
	for i := range cols {
		cols[i] = Column{Type: types[i], Decimals: types[i] % 8, Flags: uint16(types[i]) << 3, Length: uint32(types[i])}
	}
	return cols
}

func FuzzRows(f *testing.F) {
	types := []byte{TypeTiny, TypeLongLong, TypeDouble, TypeFloat, TypeDate, TypeDatetime, TypeTime, TypeVarString, TypeNull, TypeYear}
	row, err := AppendBinaryRow(nil, columnsOf(types), [][]byte{
		[]byte("1"), []byte("2"), []byte("1.5"), []byte("2.5"), []byte("2024-01-02"), []byte("2024-01-02 03:04:05.6"),
		[]byte("-30:00:00.5"), []byte("text"), nil, []byte("2024"),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row, types)
	f.Add(AppendTextRow(nil, [][]byte{[]byte("a"), nil, pattern(300)}), []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, p, types []byte) {
		cols := columnsOf(types)
		if values, err := ParseTextRow(p, make([][]byte, len(cols))); err == nil {
			again, err := ParseTextRow(AppendTextRow(nil, values), make([][]byte, len(cols)))
			if err != nil || !reflect.DeepEqual(again, values) {
				t.Errorf("%q became %q, %v", values, again, err)
			}
		}
		values, _, err := ParseBinaryRow(p, cols, nil, nil)
		if err != nil {
			return
		}
		b, err := AppendBinaryRow(nil, cols, values)
		if err != nil {
			return // a date such as 65535-255-255 has a text that nobody writes
		}
		again, _, err := ParseBinaryRow(b, cols, nil, nil)
		if err != nil || !reflect.DeepEqual(again, values) {
			t.Errorf("%q became %q, %v", values, again, err)
		}
	})
}

func FuzzCommands(f *testing.F) {
	f.Add(AppendStmtExecute(nil, 1, 0, []Param{IntParam(1), TextParam("x")}, nil, 0), uint8(2), false)
	f.Add(AppendStmtExecute(nil, 1, 0, []Param{NullParam()}, []Attribute{{Name: "n", Param: TextParam("x")}}, ClientQueryAttributes), uint8(1), true)
	f.Add(AppendQuery(nil, []byte("q"), []Attribute{{Name: "n", Param: IntParam(1)}}, ClientQueryAttributes), uint8(0), true)
	f.Add(AppendLongData(nil, LongData{ID: 1, Param: 2, Data: []byte("x")}), uint8(0), false)
	f.Fuzz(func(t *testing.T, p []byte, nparams uint8, attrs bool) {
		var caps Capability
		if attrs {
			caps = ClientQueryAttributes
		}
		var e Execute
		types := make([]ParamType, nparams)
		if err := e.Parse(p, int(nparams), types, nil, caps); err == nil {
			var again Execute
			if err := again.Parse(AppendStmtExecute(nil, e.ID, e.Flags, e.Params, e.Attrs, caps), int(nparams), nil, nil, caps); err != nil {
				t.Fatalf("%+v is not read again: %v", e, err)
			}
			if len(e.Params) > 0 && !reflect.DeepEqual(again.Params, e.Params) {
				t.Errorf("%+v became %+v", e.Params, again.Params)
			}
			for i := range e.Params {
				if sql, err := e.Params[i].AppendSQL(nil, false); err == nil && len(sql) == 0 {
					t.Errorf("%+v makes an empty literal", e.Params[i])
				}
			}
		}
		if q, a, err := StripQueryAttributes(p, caps); err == nil {
			q2, a2, err := StripQueryAttributes(AppendQuery(nil, q, a, caps), caps)
			if err != nil || !bytes.Equal(q, q2) || len(a) != len(a2) {
				t.Errorf("%q with %+v became %q with %+v, %v", q, a, q2, a2, err)
			}
		}
		if d, err := ParseLongData(p); err == nil && !bytes.Equal(AppendLongData(nil, d), p) {
			t.Errorf("long data %+v", d)
		}
	})
}

// TestShortestFloats compares with the digits that strconv finds, read back.
func TestShortestFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := &Column{Type: TypeDouble, Decimals: notFixed}
	for range 2000 {
		v := math.Float64frombits(r.Uint64())
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		text := [][]byte{appendFloatText(nil, c, v, 64)}
		b, err := AppendBinaryRow(nil, []Column{*c}, text)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := ParseBinaryRow(b, []Column{*c}, nil, nil)
		if err != nil || !bytes.Equal(got[0], text[0]) {
			t.Errorf("%v is printed as %s, and then as %s", v, text[0], got)
		}
	}
}
