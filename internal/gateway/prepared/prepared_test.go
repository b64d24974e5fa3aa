package prepared

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

func statement(t *testing.T, sql string) *Statement {
	t.Helper()
	_, slots, ok := parse.Fingerprint([]byte(sql), parse.Mode{}, nil)
	if !ok {
		t.Fatalf("%s has no fingerprint", sql)
	}
	return New([]byte(sql), slots, &route.Scope{}, parse.Mode{})
}

func TestParams(t *testing.T) {
	if n := statement(t, "SELECT ?, '?', a FROM t WHERE id = ? LIMIT ?").Params; n != 3 {
		t.Errorf("%d parameters, want 3", n)
	}
}

func TestValues(t *testing.T) {
	double := func(f float64) []byte { return binary.LittleEndian.AppendUint64(nil, math.Float64bits(f)) }
	for _, c := range []struct {
		param wire.Param
		want  string
	}{
		{wire.Param{Null: true}, "Null "},
		{wire.Param{Type: wire.TypeLongLong, Raw: binary.LittleEndian.AppendUint64(nil, math.MaxUint64)}, "Int -1"},
		{wire.Param{Type: wire.TypeLongLong, Unsigned: true, Raw: binary.LittleEndian.AppendUint64(nil, math.MaxUint64)}, "Uint 18446744073709551615"},
		{wire.Param{Type: wire.TypeDouble, Raw: double(7)}, "Int 7"}, // drivers that know only doubles send ids as such
		{wire.Param{Type: wire.TypeDouble, Raw: double(-7)}, "Int -7"},
		{wire.Param{Type: wire.TypeDouble, Raw: double(7.5)}, "Float 7.5"},
		{wire.Param{Type: wire.TypeNewDecimal, Raw: []byte("1.50")}, "Decimal 1.50"},
		{wire.Param{Type: wire.TypeVarString, Raw: []byte("x")}, "Text x"},
		{wire.Param{Type: wire.TypeBlob, Raw: []byte("x")}, "Binary x"},
	} {
		st := statement(t, "SELECT ?")
		vs, err := st.Values(&wire.Execute{Params: []wire.Param{c.param}})
		if err != nil || len(vs) != 1 {
			t.Fatalf("%+v: %v, %v", c.param, vs, err)
		}
		if got := kinds[vs[0].Kind] + " " + string(vs[0].Raw); got != c.want {
			t.Errorf("%+v is %q, want %q", c.param, got, c.want)
		}
	}
}

// kinds names the kinds of values.
var kinds = map[vindex.ValueKind]string{
	vindex.Null: "Null", vindex.Int: "Int", vindex.Uint: "Uint", vindex.Float: "Float", vindex.Decimal: "Decimal", vindex.Text: "Text", vindex.Binary: "Binary",
}

func TestWithParams(t *testing.T) {
	st := statement(t, "SELECT ? FROM t WHERE a = '?' AND id = ?")
	got, err := st.WithParams(&wire.Execute{Params: []wire.Param{
		{Type: wire.TypeVarString, Raw: []byte("it's")}, {Type: wire.TypeLong, Raw: []byte{7, 0, 0, 0}},
	}})
	if want := `SELECT 'it''s' FROM t WHERE a = '?' AND id = 7`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if _, err := st.WithParams(&wire.Execute{Params: []wire.Param{{Null: true}}}); err == nil {
		t.Error("one value serves two parameters")
	}
}

func TestLongData(t *testing.T) {
	const caps = wire.ClientProtocol41
	st := statement(t, "SELECT ?")
	payload := wire.AppendStmtExecute(nil, 1, 0, []wire.Param{{Type: wire.TypeBlob, Long: true}}, nil, caps)
	var ex wire.Execute
	full := errors.New("more than five bytes")
	add := func(param uint16, data string) error {
		return st.AddLong(wire.LongData{Param: param, Data: []byte(data)}, func(total, more int) error {
			if total+more > 5 {
				return full
			}
			return nil
		})
	}
	if err := errors.Join(add(0, "ab"), add(0, "cd"), add(1, "there is none")); err != nil {
		t.Fatal(err)
	}
	if err := st.Parse(&ex, payload, caps); err != nil || string(ex.Params[0].Raw) != "abcd" {
		t.Fatalf("%+v, %v", ex.Params, err)
	}
	if err := add(0, "ef"); !errors.Is(err, full) {
		t.Errorf("six bytes of five: %v", err)
	}
	if n := st.DropLong(); n != 4 {
		t.Errorf("%d bytes were kept, want 4", n)
	}
	st.RefuseLong(full)
	if err := add(0, "a"); err != nil || !errors.Is(st.BadLong(), full) {
		t.Errorf("after a refusal: %v, %v", err, st.BadLong())
	}
	st.DropLong()
	if err := errors.Join(add(0, "gh"), st.BadLong(), st.Parse(&ex, payload, caps)); err != nil || string(ex.Params[0].Raw) != "gh" {
		t.Errorf("after the statement was reset: %+v, %v", ex.Params, err)
	}
}

func TestTable(t *testing.T) {
	table := NewTable()
	a, b := table.Retain("SELECT 1"), table.Retain("SELECT 1")
	if a != b {
		t.Error("equal texts are not one statement")
	}
	table.Drop(a)
	if table.Retain("SELECT 1") != a {
		t.Error("a text in use was forgotten")
	}
	table.Drop(a)
	table.Drop(a)
	if table.Retain("SELECT 1") == a {
		t.Error("a text that nobody uses is kept")
	}
}
