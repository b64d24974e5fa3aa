package value

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
)

func TestQuoting(t *testing.T) {
	for _, c := range []struct{ in, plain, noBackslash string }{
		{"", "''", "''"},
		{"abc", "'abc'", "'abc'"},
		{"it's", "'it''s'", "'it''s'"},
		{`a\b`, `'a\\b'`, `'a\b'`},
		{"a\x00\n\r\x1a\"%_\t", `'a\0\n\r\Z"%_` + "\t'", "'a\x00\n\r\x1a\"%_\t'"},
		{"é\xff", "'é\xff'", "'é\xff'"},
		{"''", "''''''", "''''''"},
	} {
		if got := string(AppendString(nil, c.in, false)); got != c.plain {
			t.Errorf("quote %q: %s, want %s", c.in, got, c.plain)
		}
		if got := string(AppendString(nil, c.in, true)); got != c.noBackslash {
			t.Errorf("quote %q without backslash: %s, want %s", c.in, got, c.noBackslash)
		}
	}
	if got := Ident("a`b") + String("x") + string(AppendBytes(nil, []byte{0, 0xab})); got != "`a``b`'x'x'00ab'" {
		t.Errorf("got %s", got)
	}
}

// unquote is what a server's lexer does with a literal.
func unquote(t *rapid.T, lit string, noBackslash bool) string {
	var out []byte
	in := lit[1 : len(lit)-1]
	for i := 0; i < len(in); i++ {
		switch {
		case in[i] == '\'':
			if i++; i >= len(in) || in[i] != '\'' {
				t.Fatalf("%q ends early", lit)
			}
			out = append(out, '\'')
		case in[i] == '\\' && !noBackslash:
			i++
			out = append(out, strings.NewReplacer("0", "\x00", "n", "\n", "r", "\r", "Z", "\x1a").Replace(in[i:i+1])...)
		default:
			out = append(out, in[i])
		}
	}
	return string(out)
}

func TestQuotingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.SampledFrom([]byte("ab'\\\x00\n\r\x1a\"`%é0nrZ"))).Draw(t, "s"))
		for _, nb := range []bool{false, true} {
			if got := unquote(t, string(AppendString(nil, s, nb)), nb); got != s {
				t.Fatalf("%q comes back as %q", s, got)
			}
		}
	})
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

var (
	intType      = TypeOf(8, 0, BinaryID, 0, 20)
	decimalType  = TypeOf(246, 0, BinaryID, 2, 12)
	doubleType   = TypeOf(5, 0, BinaryID, 31, 22)
	dateTimeType = TypeOf(12, 0, BinaryID, 6, 26)
	timeType     = TypeOf(11, 0, BinaryID, 6, 17)
	bitType      = TypeOf(16, 32, BinaryID, 0, 9)
	stringType   = TypeOf(253, 0, 45, 31, 80)
)

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		t    *Type
		a, b string
		want int
	}{
		{&intType, "9", "10", -1},
		{&intType, "-9", "-10", 1},
		{&intType, "-9223372036854775808", "18446744073709551615", -1},
		{&intType, "007", "7", 0},
		{&intType, "-0", "0", 0},
		{&decimalType, "1.50", "1.5", 0},
		{&decimalType, "1.5", "1.49999", 1},
		{&decimalType, "-.5", "-0.50", 0},
		{&decimalType, "+3.", "3", 0},
		{&decimalType, "99999999999999999999999999999999999999", "99999999999999999999999999999999999998.9", 1},
		{&doubleType, "1e15", "999999999999999", 1},
		{&doubleType, "-1e-5", "0", -1},
		{&dateTimeType, "2026-01-31", "2026-01-31 00:00:00.000", 0},
		{&dateTimeType, "2026-01-31 00:00:00.1", "2026-01-31", 1},
		{&dateTimeType, "2026-01-31 00:00:00.10", "2026-01-31 00:00:00.1", 0},
		{&dateTimeType, "0000-00-00 00:00:00", "1000-01-01 00:00:00", -1},
		{&timeType, "-01:00:00", "00:00:00", -1},
		{&timeType, "100:00:00", "99:59:59", 1},
		{&timeType, "-100:00:00", "-99:59:59", -1},
		{&timeType, "00:00:00.5", "00:00:00.50", 0},
		{&bitType, "\x00\x01", "\x01", 0},
		{&bitType, "\x01\x00", "\xff", 1},
		{&stringType, "a", "b", -1},
		{&intType, "x", "1", 1},
	} {
		a, b := []byte(c.a), []byte(c.b)
		if got := sign(Compare(a, b, c.t)); got != c.want {
			t.Errorf("%s %q, %q: %d, want %d", c.t.Name(), c.a, c.b, got, c.want)
		}
		if got := sign(Compare(b, a, c.t)); got != -c.want {
			t.Errorf("%s %q, %q: %d, want %d", c.t.Name(), c.b, c.a, got, -c.want)
		}
		if Compare(nil, a, c.t) >= 0 || Compare(a, nil, c.t) <= 0 || Compare(nil, nil, c.t) != 0 {
			t.Errorf("%s: NULL does not come first", c.t.Name())
		}
	}
}

var numberText = rapid.StringMatching(`[-+]?([0-9]{1,3}|[0-9]{15,40})(\.[0-9]{0,12})?`)

func rat(t *rapid.T, s string) *big.Rat {
	r, ok := new(big.Rat).SetString(strings.TrimSuffix(s, "."))
	if !ok {
		t.Fatalf("%q", s)
	}
	return r
}

func TestCompareNumbersAgainstRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := numberText.Draw(t, "a")
		b := numberText.Draw(t, "b")
		if rapid.Bool().Draw(t, "near") {
			b = a + rapid.SampledFrom([]string{"", "0", "1"}).Draw(t, "tail")
		}
		if got, want := sign(CompareNumbers([]byte(a), []byte(b))), rat(t, a).Cmp(rat(t, b)); got != want {
			t.Fatalf("%s, %s: %d, want %d", a, b, got, want)
		}
	})
}

// roundHalfAway prints r with so many decimals, rounding half away from zero.
func roundHalfAway(r *big.Rat, decimals int) string {
	scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt(pow10(decimals)))
	half := big.NewRat(1, 2)
	if scaled.Sign() < 0 {
		half.Neg(half)
	}
	scaled.Add(scaled, half)
	n := new(big.Int).Quo(scaled.Num(), scaled.Denom())
	return new(big.Rat).SetFrac(n, pow10(decimals)).FloatString(decimals)
}

func TestSumAndAvgAgainstRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(numberText, 0, 12).Draw(t, "values")
		decimals := rapid.IntRange(12, 16).Draw(t, "decimals")
		sum, avg, want := Sum{}, Avg{}, new(big.Rat)
		for _, v := range values {
			if err := errors.Join(sum.Add([]byte(v)), avg.Add([]byte(v), []byte("3")), sum.Add(nil)); err != nil {
				t.Fatal(err)
			}
			want.Add(want, rat(t, v))
		}
		got, ok, err := sum.Append(nil, decimals)
		if err != nil || ok != (len(values) > 0) {
			t.Fatal(err, ok)
		}
		mean, ok, err := avg.Append(nil, 4)
		if err != nil || ok != (len(values) > 0) {
			t.Fatal(err, ok)
		}
		if !ok {
			return
		}
		if text := want.FloatString(decimals); string(got) != text {
			t.Fatalf("sum of %v = %s, want %s", values, got, text)
		}
		n := big.NewRat(int64(3*len(values)), 1)
		if text := roundHalfAway(new(big.Rat).Quo(want, n), 4); string(mean) != text && string(mean) != "-"+text {
			t.Fatalf("average of %v = %s, want %s", values, mean, text)
		}
	})
}

func TestSumForms(t *testing.T) {
	for _, c := range []struct {
		t        *Type
		in       []string
		decimals int
		want     string
	}{
		{&intType, []string{"9223372036854775807", "9223372036854775807", "1"}, 0, "18446744073709551615"},
		{&intType, []string{"999999999999999999", "999999999999999999", "999999999999999999", "999999999999999999", "999999999999999999",
			"999999999999999999", "999999999999999999", "999999999999999999", "999999999999999999", "999999999999999999"}, 0, "9999999999999999990"},
		{&intType, []string{"-999999999999999999", "5"}, 0, "-999999999999999994"},
		{&decimalType, []string{"1.50", "-1.50"}, 2, "0.00"},
		{&decimalType, []string{"-0.05", "0.01"}, 2, "-0.04"},
		{&decimalType, []string{"1", "2.5"}, 39, "3.5"},
		{&doubleType, []string{"0.1", "0.2"}, 31, "0.30000000000000004"},
		{&doubleType, []string{"1.5", "2"}, 2, "3.50"},
	} {
		s := NewSum(c.t)
		for _, v := range c.in {
			if err := s.Add([]byte(v)); err != nil {
				t.Fatal(err)
			}
		}
		if got, ok, err := s.Append(nil, c.decimals); string(got) != c.want || !ok || err != nil {
			t.Errorf("sum of %v = %s, %v, %v; want %s", c.in, got, ok, err, c.want)
		}
	}
	for _, bad := range []string{"", "x", "1e5", "--1", "1.2.3", ".", strings.Repeat("1", 200)} {
		if err := NewSum(&decimalType).Add([]byte(bad)); !errors.Is(err, ErrNotNumber) {
			t.Errorf("adding %q: %v", bad, err)
		}
	}
	if err := NewAvg(&intType).Add([]byte("1"), []byte("-1")); !errors.Is(err, ErrNotNumber) {
		t.Errorf("count -1: %v", err)
	}
	var big Sum
	for range 20 {
		if err := big.Add([]byte(strings.Repeat("9", 65))); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := big.Append(nil, 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a sum of 67 digits: %v", err)
	}
}

func TestAvgForms(t *testing.T) {
	for _, c := range []struct {
		t        *Type
		parts    [][2]string
		decimals int
		want     string
	}{
		{&intType, [][2]string{{"3", "2"}, {"2", "1"}}, 4, "1.6667"},
		{&intType, [][2]string{{"-3", "2"}, {"-2", "1"}}, 4, "-1.6667"},
		{&intType, [][2]string{{"1", "8"}}, 2, "0.13"},
		{&decimalType, [][2]string{{"0.01", "3"}}, 6, "0.003333"},
		{&doubleType, [][2]string{{"1", "1"}, {"1", "2"}}, 31, "0.6666666666666666"},
	} {
		a := NewAvg(c.t)
		for _, p := range c.parts {
			if err := a.Add([]byte(p[0]), []byte(p[1])); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Add(nil, []byte("0")); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := a.Append(nil, c.decimals); string(got) != c.want || !ok || err != nil {
			t.Errorf("average of %v = %s, %v, %v; want %s", c.parts, got, ok, err, c.want)
		}
	}
}

// The texts are what MySQL 9.7 and MariaDB 10.11 both print.
func TestAppendDouble(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "-0"}, {-1, "-1"}, {0.1, "0.1"}, {1e14, "100000000000000"}, {999999999999999, "999999999999999"},
		{1e15, "1e15"}, {-1e15, "-1e15"}, {5.994529455934687e15, "5.994529455934687e15"}, {1234567890123456.75, "1234567890123456.8"},
		{999999999999999.9, "999999999999999.9"}, {123456789012345678, "1.2345678901234568e17"}, {1.7976931348623157e308, "1.7976931348623157e308"},
		{0.0001, "0.0001"}, {0.00001, "0.00001"}, {1.234567890123456e-10, "0.0000000001234567890123456"}, {1e-15, "0.000000000000001"},
		{1.5e-15, "0.0000000000000015"}, {1e-16, "1e-16"}, {7.452352987397428e-19, "7.452352987397428e-19"}, {5e-324, "5e-324"},
		{-0.000012345678901234567, "-0.000012345678901234568"},
	} {
		if got := string(AppendDouble(nil, c.v, 31)); got != c.want {
			t.Errorf("%g prints as %s, want %s", c.v, got, c.want)
		}
	}
	if got := string(AppendDouble(nil, 2.5, 4)); got != "2.5000" {
		t.Errorf("fixed: %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "v")
		if back, err := strconv.ParseFloat(string(AppendDouble(nil, v, 39)), 64); err != nil || back != v {
			t.Fatalf("%g prints as %s", v, AppendDouble(nil, v, 39))
		}
	})
}

func TestKindsAndNames(t *testing.T) {
	for _, c := range []struct {
		t    Type
		kind Kind
		name string
	}{
		{TypeOf(8, 32, 63, 0, 20), KindUint, "bigint unsigned"},
		{TypeOf(246, 32, 63, 2, 20), KindDecimal, "decimal unsigned"},
		{TypeOf(254, 256, 45, 0, 20), KindEnum, "enum"},
		{TypeOf(254, 2048, 45, 0, 20), KindSet, "set"},
		{TypeOf(253, 128, 63, 0, 20), KindBytes, "varbinary"},
		{TypeOf(254, 0, 45, 0, 20), KindString, "char"},
		{TypeOf(252, 16, 45, 0, 65535), KindString, "text"},
		{TypeOf(251, 16, 63, 0, 65535), KindBytes, "longblob"},
		{TypeOf(13, 96, 63, 0, 4), KindYear, "year"},
		{TypeOf(7, 0, 63, 0, 19), KindDateTime, "timestamp"},
		{TypeOf(245, 0, 63, 0, 19), KindJSON, "json"},
		{TypeOf(6, 0, 63, 0, 0), KindNull, "null"},
	} {
		if c.t.Kind() != c.kind || c.t.Name() != c.name {
			t.Errorf("%+v: %d %s, want %d %s", c.t, c.t.Kind(), c.t.Name(), c.kind, c.name)
		}
	}
	if KindString.Comparable() || !KindBytes.Comparable() || !KindDecimal.Numeric() || KindTime.Numeric() {
		t.Error("properties of kinds")
	}
}

func TestCollations(t *testing.T) {
	for _, c := range []struct {
		f    gtid.Family
		id   uint16
		name string
		pad  bool
		bin  bool
	}{
		{gtid.MySQL, 255, "utf8mb4_0900_ai_ci", false, false},
		{gtid.MariaDB, 45, "utf8mb4_general_ci", true, false},
		{gtid.MySQL, 46, "utf8mb4_bin", true, true},
		{gtid.MySQL, 63, "binary", false, true},
		{gtid.MariaDB, 245, "utf8mb4_croatian_mysql561_ci", true, false},
		{gtid.MySQL, 245, "utf8mb4_croatian_ci", true, false},
		{gtid.NoFamily, 245, "utf8mb4_croatian_ci", true, false},
		{gtid.MariaDB, 608, "utf8mb4_croatian_ci", true, false},
		{gtid.MariaDB, 2304, "utf8mb4_uca1400_ai_ci", true, false},
		{gtid.MariaDB, 1070, "utf8mb4_nopad_bin", false, true},
	} {
		got, ok := CollationByID(c.f, c.id)
		if !ok || got.Name != c.name || got.PadSpace != c.pad || got.Binary() != c.bin {
			t.Errorf("%v %d: %+v, %v", c.f, c.id, got, ok)
		}
	}
	if _, ok := CollationByID(gtid.MariaDB, 255); ok {
		t.Error("MariaDB 10.11 has no collation 255")
	}
	if _, ok := CollationByID(gtid.MySQL, 7777); ok {
		t.Error("there is no collation 7777")
	}
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte("-12.50"), []byte("100:00:00.5"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if a == nil {
			a = []byte{}
		}
		for _, typ := range []*Type{&intType, &decimalType, &doubleType, &dateTimeType, &timeType, &bitType, &stringType} {
			if sign(Compare(a, b, typ)) != -sign(Compare(b, a, typ)) {
				t.Fatalf("%s: %q and %q", typ.Name(), a, b)
			}
		}
		s := NewSum(&decimalType)
		if s.Add(a) == nil && s.Add(b) == nil && len(a)+len(b) < 100 {
			if _, _, err := s.Append(nil, 31); err != nil && !errors.Is(err, ErrTooLarge) {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkCompareInts(b *testing.B) {
	x, y := []byte("1234567890"), []byte("1234567891")
	b.ReportAllocs()
	for b.Loop() {
		if Compare(x, y, &intType) >= 0 {
			b.Fatal("order")
		}
	}
}

func BenchmarkSum(b *testing.B) {
	for _, text := range []string{"123456", "1234.56"} {
		b.Run(text, func(b *testing.B) {
			in := []byte(text)
			var s Sum
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Add(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
