package plan

import (
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

func TestRepeat(t *testing.T) {
	for _, c := range []struct{ sql, inexact, draws string }{
		{"INSERT INTO t VALUES (1, NOW(6), CONCAT('a', 'b'))", "", ""},
		{"INSERT INTO t VALUES (1, UUID()), (2, CONCAT('x', UUID(), RAND()))", "UUID()", "UUID() UUID() RAND()"},
		{"INSERT INTO t SET a = UUID_TO_BIN(UUID(), 1), b = SYSDATE(6)", "UUID()", "UUID() SYSDATE(6)"},
		{"INSERT INTO t VALUES (RAND(3))", "", ""},
		{"INSERT INTO t VALUES (RANDOM_BYTES(1 + 1))", "RANDOM_BYTES()", ""},
		{"INSERT INTO t VALUES (GET_LOCK('a', 1))", "GET_LOCK()", ""},
		{"INSERT INTO t VALUES (1, (SELECT a FROM u WHERE b = RAND()))", "RAND()", ""},
		{"INSERT INTO t VALUES (1, 2) ON DUPLICATE KEY UPDATE b = UUID()", "UUID()", ""},
		{"INSERT INTO t SELECT a, b FROM u", "", ""},
		{"INSERT INTO t SELECT a, b FROM u ORDER BY a LIMIT 3", "LIMIT", ""},
		{"UPDATE t SET a = a + 1 WHERE b = 2", "", ""},
		{"UPDATE t SET a = RAND() WHERE b = 2", "RAND()", ""},
		{"UPDATE t SET a = 1 ORDER BY a LIMIT 1", "LIMIT", ""},
		{"DELETE FROM t WHERE a = 1 LIMIT 1", "LIMIT", ""},
		{"DELETE FROM t WHERE a = other.f(1)", "the stored function F", ""},
	} {
		stmt, err := parse.Parse([]byte(c.sql), parse.Mode{})
		if err != nil {
			t.Fatalf("%s: %v", c.sql, err)
		}
		var draws []string
		for _, f := range Draws(stmt) {
			draws = append(draws, string(f.Range().Text([]byte(c.sql))))
		}
		if got := inexact(stmt); got != c.inexact || strings.Join(draws, " ") != c.draws {
			t.Errorf("%s: %q, draws %v; want %q, draws %s", c.sql, got, draws, c.inexact, c.draws)
		}
	}
}
