package claims

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
	"github.com/pelorusdb/pelorus/test/servers"
)

// seed makes the random values of these tests; change it to look elsewhere.
const seed = 20260102

func TestValuesAndSets(t *testing.T) {
	servers.ForEach(t, func(t *testing.T, srv *servers.Server) {
		s := root(t, srv)
		s.run("CREATE DATABASE d", "USE d")
		t.Run("doubles", func(t *testing.T) { testDoubles(t, s) })
		t.Run("sums", func(t *testing.T) { testSums(t, s) })
		t.Run("order", func(t *testing.T) { testOrder(t, s) })
		t.Run("quoting", func(t *testing.T) { testQuoting(t, s) })
		t.Run("collations", func(t *testing.T) { testCollations(t, s) })
		if srv.Family == servers.MySQL {
			t.Run("sets", func(t *testing.T) { testSets(t, s) })
		}
	})
}

// testDoubles prints random doubles by both. The servers' last digit may differ by one as long as it is the same double.
func testDoubles(t *testing.T, s *session) {
	s.run("CREATE TABLE dd (id INT AUTO_INCREMENT PRIMARY KEY, x DOUBLE)")
	r := rand.New(rand.NewPCG(seed, 1))
	var nums []float64
	for i := range 3000 {
		switch i % 3 {
		case 0:
			nums = append(nums, math.Trunc(r.Float64()*1e6)/math.Pow(10, float64(r.IntN(6))))
		case 1:
			nums = append(nums, r.NormFloat64()*math.Pow(10, float64(r.IntN(40)-20)))
		case 2:
			nums = append(nums, float64(r.IntN(1000))*math.Pow(10, float64(r.IntN(20))))
		}
	}
	texts := make([]string, len(nums))
	for i, n := range nums {
		texts[i] = "NULL, " + strconv.FormatFloat(n, 'e', -1, 64)
	}
	s.run(batch("dd", texts))
	other := 0
	for i, want := range s.column("SELECT x FROM dd ORDER BY id") {
		got := string(value.AppendDouble(nil, nums[i], 31))
		if got == want {
			continue
		}
		other++
		if back, err := strconv.ParseFloat(want, 64); err != nil || back != nums[i] || len(got) != len(want) {
			t.Errorf("the server prints %s, Pelorus %s", want, got)
		}
	}
	if other > len(nums)/50 {
		t.Errorf("%d of %d doubles end in another digit", other, len(nums))
	}
}

// testSums puts together SUM and AVG of parts, as of shards, and compares with the server's over all.
func testSums(t *testing.T, s *session) {
	r := rand.New(rand.NewPCG(seed, 2))
	for i, typ := range []string{"INT", "BIGINT UNSIGNED", "DECIMAL(12,2)", "DECIMAL(65,30)", "DECIMAL(30,0)"} {
		table := fmt.Sprintf("s%d", i)
		s.run("CREATE TABLE " + table + " (part INT, x " + typ + ")")
		var rows []string
		for range 200 {
			x := strconv.Itoa(r.IntN(1 << 31))
			if strings.HasPrefix(typ, "DECIMAL") {
				x = fmt.Sprintf("%d.%0*d", r.IntN(2000001)-1000000, 1+r.IntN(18), r.IntN(100000))
			}
			if r.IntN(10) == 0 {
				x = "NULL"
			}
			rows = append(rows, fmt.Sprintf("%d, %s", r.IntN(4), x))
		}
		s.run(batch(table, rows))
		want := s.row("SELECT SUM(x) AS s, AVG(x) AS a FROM " + table)
		var sum value.Sum
		var avg value.Avg
		_, parts := s.all("SELECT SUM(x), COUNT(x) FROM " + table + " GROUP BY part UNION ALL SELECT NULL, 0")
		for _, p := range parts {
			var part []byte
			if p[0] != nil {
				part = []byte(*p[0])
			}
			if err := sum.Add(part); err != nil {
				t.Fatal(err)
			}
			if err := avg.Add(part, []byte(*p[1])); err != nil {
				t.Fatal(err)
			}
		}
		if got, ok, err := sum.Append(nil, decimals(want["s"])); string(got) != want["s"] || !ok || err != nil {
			t.Errorf("%s: sum %s, %v; the server says %s", typ, got, err, want["s"])
		}
		if got, ok, err := avg.Append(nil, decimals(want["a"])); string(got) != want["a"] || !ok || err != nil {
			t.Errorf("%s: average %s, %v; the server says %s", typ, got, err, want["a"])
		}
	}
}

func decimals(text string) int {
	_, frac, _ := strings.Cut(text, ".")
	return len(frac)
}

// testOrder sorts random values by both.
func testOrder(t *testing.T, s *session) {
	r := rand.New(rand.NewPCG(seed, 3))
	for i, c := range []struct {
		typ  string
		code byte
		draw func() string
	}{
		{"BIGINT", 8, func() string { return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10) }},
		{"DECIMAL(40,10)", 246, func() string { return fmt.Sprintf("%d.%d", r.IntN(41)-20, r.IntN(1000)) }},
		{"DOUBLE", 5, func() string { return fmt.Sprint(r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-20))) }},
		{"TIME(6)", 11, func() string {
			return fmt.Sprintf("'%s%d:%02d:%02d.%06d'", []string{"", "-"}[r.IntN(2)], r.IntN(838), r.IntN(60), r.IntN(60), r.IntN(1000000))
		}},
		{"DATETIME(6)", 12, func() string {
			return fmt.Sprintf("'%04d-%02d-%02d %02d:00:00.%06d'", 1000+r.IntN(9000), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(1000000))
		}},
		{"VARBINARY(20)", 253, func() string { return fmt.Sprintf("x'%x'", r.IntN(100000)+0x100000) }},
		{"YEAR", 13, func() string { return strconv.Itoa(1901 + r.IntN(200)) }},
	} {
		table := fmt.Sprintf("o%d", i)
		s.run("CREATE TABLE " + table + " (x " + c.typ + ")")
		rows := []string{"NULL"}
		for range 150 {
			rows = append(rows, c.draw())
		}
		s.run(batch(table, rows))
		want := s.column("SELECT x FROM " + table + " ORDER BY x")
		got := slices.Clone(want)
		r.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		typ := value.TypeOf(c.code, 0, value.BinaryID, 31, 0)
		bytes := func(s string) []byte {
			if s == "NULL" {
				return nil
			}
			return []byte(s)
		}
		slices.SortFunc(got, func(a, b string) int { return value.Compare(bytes(a), bytes(b), &typ) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: order differs", c.typ)
		}
	}
}

func testQuoting(t *testing.T, s *session) {
	s.run("SET NAMES utf8mb4")
	all := make([]byte, 0, 128)
	for c := range byte(128) {
		all = append(all, c)
	}
	text := string(all) + `'\''é😀%_`
	for _, mode := range []string{"", "NO_BACKSLASH_ESCAPES"} {
		s.run("SET sql_mode='" + mode + "'")
		lit := string(value.AppendString(nil, text, mode != ""))
		if got := s.value("SELECT HEX(" + lit + ")"); got != strings.ToUpper(hex.EncodeToString([]byte(text))) {
			t.Errorf("mode %q: the literal reads as %s", mode, got)
		}
		if got := s.value("SELECT HEX(" + string(value.AppendBytes(nil, all)) + ")"); got != strings.ToUpper(hex.EncodeToString(all)) {
			t.Errorf("mode %q: the bytes read as %s", mode, got)
		}
	}
	s.run("SET sql_mode=DEFAULT")
	s.run("CREATE TABLE " + value.Ident("a`b c") + " (x INT)")
}

// testCollations compares the table with the server's own. A newer server may have more.
func testCollations(t *testing.T, s *session) {
	family := s.detect().Family()
	query := "SELECT id, collation_name, character_set_name, IF(pad_attribute='NO PAD', 1, 0) FROM information_schema.COLLATIONS"
	if family == gtid.MariaDB {
		query = "SELECT id, full_collation_name, character_set_name, full_collation_name LIKE '%nopad%' OR id = 63" +
			" FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY"
	}
	_, rows := s.all(query)
	if len(rows) < 250 {
		t.Fatalf("the server has %d collations", len(rows))
	}
	for _, r := range rows {
		id, err := strconv.Atoi(*r[0])
		if err != nil {
			t.Fatal(err)
		}
		c, ok := value.CollationByID(family, uint16(id))
		if !ok || c.Name != *r[1] || c.Charset != *r[2] || c.PadSpace != (*r[3] == "0") {
			t.Errorf("the server's %d is %s of %s, no pad %s; the table has %+v", id, *r[1], *r[2], *r[3], c)
		}
	}
}

// testSets compares the algebra with GTID_SUBTRACT and GTID_SUBSET.
func testSets(t *testing.T, s *session) {
	r := rand.New(rand.NewPCG(seed, 4))
	draw := func() string {
		var parts []string
		for range r.IntN(4) {
			p := fmt.Sprintf("0000000%d-71ca-11e1-9e33-c80aa9429562", r.IntN(3))
			if s.detect().Version().Major >= 9 && r.IntN(3) == 0 {
				p += []string{":a", ":B_2"}[r.IntN(2)]
			}
			for range 1 + r.IntN(4) {
				first := 1 + r.IntN(20)
				p += fmt.Sprintf(":%d-%d", first, first+r.IntN(6)-1)
			}
			parts = append(parts, p)
		}
		return strings.Join(parts, ",")
	}
	for range 150 {
		a, b := draw(), draw()
		x, err := gtid.ParseSet(a)
		if err != nil {
			t.Fatal(err)
		}
		y, err := gtid.ParseSet(b)
		if err != nil {
			t.Fatal(err)
		}
		row := s.row(fmt.Sprintf("SELECT GTID_SUBTRACT('%s','%s') AS minus, GTID_SUBTRACT('%s','') AS self, GTID_SUBSET('%s','%s') AS subset", a, b, a, a, b))
		oneLine := func(s string) string { return strings.ReplaceAll(s, "\n", "") }
		if got := x.Subtract(y).String(); got != oneLine(row["minus"]) {
			t.Errorf("%s minus %s: %s, the server says %s", a, b, got, row["minus"])
		}
		if got := x.String(); got != oneLine(row["self"]) {
			t.Errorf("%s: %s, the server says %s", a, got, row["self"])
		}
		if y.Contains(x) != (row["subset"] == "1") {
			t.Errorf("%s in %s: the server says %s", a, b, row["subset"])
		}
	}
}
