package gateway

import (
	"fmt"
	"strings"
	"testing"
)

// shardedBulk inserts rows by statements that are too large to be held as a tree: each is all or nothing, in and outside
// of transactions, and answered as one statement.
func (b *bed) shardedBulk(t *testing.T) {
	const rows = 30_000 // of 12 bytes or more: several batches
	c := b.dial(t, "shop")
	from := 1_000_000
	insert := func(verb, last string) string {
		var s strings.Builder
		s.WriteString(verb + " INTO sbtest1 (id, v) VALUES ")
		for i := range rows {
			fmt.Fprintf(&s, "(%d, %6d), ", from+i, i)
		}
		return s.String() + last
	}
	sum := fmt.Sprintf("SELECT COUNT(*), COUNT(DISTINCT id), SUM(v) FROM sbtest1 WHERE id >= %d", from)
	none, all := "0|0|NULL", fmt.Sprintf("%d|%d|%d", rows+1, rows+1, rows*(rows-1)/2+7)
	empty := func() {
		t.Helper()
		if got := answer(c, fmt.Sprintf("DELETE FROM sbtest1 WHERE id >= %d", from)); strings.HasPrefix(got, "error") {
			t.Fatal(got)
		}
	}
	ok := func(q, want string) {
		t.Helper()
		if got := answer(c, q); !strings.Contains(got, want) {
			t.Errorf("%.60s...: %.200s, want %s", q, got, want)
		}
	}
	good, bad := "(999999999, 7)", fmt.Sprintf("(%d, 7)", from) // the last row repeats the first one's key

	ok(insert("INSERT", good), fmt.Sprintf("affected %d id 0 warnings 0", rows+1))
	expect(t, c, sum, all)
	ok(insert("INSERT IGNORE", "(888888888, 0)"), fmt.Sprintf(`"Records: %d  Duplicates: %d  Warnings: %d"`, rows+1, rows, rows))
	empty()
	ok(insert("INSERT", bad), "error 1062")
	expect(t, c, sum, none)
	ok(insert("INSERT", "(1, 2, 3)"), "error 1136")
	expect(t, c, sum, none)

	answer(c, "BEGIN")
	ok("INSERT INTO sbtest1 (id, v) VALUES (999999998, 1), (999999997, 1)", "affected 2")
	ok(insert("INSERT", bad), "error 1062")
	expect(t, c, sum, "2|2|2")
	ok(insert("INSERT", good), fmt.Sprintf("affected %d", rows+1))
	answer(c, "ROLLBACK")
	expect(t, c, sum, none)

	for i := range b.servers {
		run(t, b.direct(t, i, "shop"), "CREATE TABLE customer (id bigint PRIMARY KEY, name varchar(40))")
	}
	d := b.direct(t, 0, "main")
	run(t, d, "CREATE TABLE customer_seq (id bigint PRIMARY KEY, next_id bigint, cache bigint)")
	run(t, d, "INSERT INTO customer_seq VALUES (0, 1, 100)")
	// A sequence's values are consecutive over all batches.
	var s strings.Builder
	s.WriteString("INSERT INTO customer (name) VALUES ('first')")
	for i := range rows {
		fmt.Fprintf(&s, ", ('bulk%06d')", i)
	}
	ok(s.String(), fmt.Sprintf("affected %d", rows+1))
	expect(t, c, "SELECT COUNT(DISTINCT id), MAX(id) - MIN(id), MIN(id) - LAST_INSERT_ID() FROM customer WHERE id >= LAST_INSERT_ID()", fmt.Sprintf("%d|%d|0", rows+1, rows))
	ok("DELETE FROM customer WHERE id >= LAST_INSERT_ID()", "affected")
	empty()
}
