package exec

import (
	"testing"

	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

func TestAsStored(t *testing.T) {
	for _, c := range []struct {
		kind vindex.ValueKind
		raw  string
		want string // "" for none
	}{
		{vindex.Decimal, "12.0", "12"}, {vindex.Decimal, "12.4", "12"}, {vindex.Decimal, "12.5", "13"}, {vindex.Decimal, "-12.5", "-13"},
		{vindex.Decimal, ".5", "1"}, {vindex.Decimal, "-0.4", "0"}, {vindex.Decimal, "9223372036854775807.1", "9223372036854775807"},
		{vindex.Decimal, "9223372036854775807.5", ""}, {vindex.Decimal, "99999999999999999999.0", ""},
		{vindex.Float, "4e0", "4"}, {vindex.Float, "-1.5e1", "-15"}, {vindex.Float, "2.5e0", "2"}, {vindex.Float, "1e300", ""}, {vindex.Float, "1e400", ""},
		{vindex.HexLiteral, "0x0c", "12"}, {vindex.HexLiteral, "x'ffffffffffffffff'", "18446744073709551615"},
		{vindex.HexLiteral, "0xffffffffffffffffff", ""}, {vindex.BitLiteral, "b'101'", "5"}, {vindex.HexLiteral, "x'0'", ""},
		{vindex.Text, "12", ""}, {vindex.Int, "12", ""}, {vindex.Null, "", ""},
	} {
		v, ok := asStored(vindex.Value{Kind: c.kind, Raw: []byte(c.raw)})
		if got := string(v.Raw); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("kind %v %q: %q %v, want %q", c.kind, c.raw, got, ok, c.want)
		}
	}
}
