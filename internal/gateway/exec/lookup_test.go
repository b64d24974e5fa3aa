package exec_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
)

// lookups checks sequences and the rows of lookup tables of customer.
func lookups(t *testing.T, f *fleet) {
	main := f.conns[exec.ShardRef{Keyspace: "main", Shard: "0"}]
	want := func(place string, rows ...string) {
		t.Helper()
		got, err := oracle(t.Context(), main, place)
		if err != nil {
			t.Fatalf("%s: %v", place, err)
		}
		slices.Sort(got.rows)
		if d := cmp.Diff(rows, got.rows); d != "" {
			t.Errorf("%s (-want +got)\n%s", place, d)
		}
	}
	run := func(sql string) *answer {
		t.Helper()
		a, _, err := f.run(t.Context(), sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return a
	}
	if a := run("INSERT INTO customer (email, name) VALUES ('a@x', 'ann'), ('b@x', 'bob'), ('c@x', 'ann')"); a.ok.InsertID != 1 || f.insertID != 1 {
		t.Errorf("first generated id is %d (session: %d), want 1", a.ok.InsertID, f.insertID)
	}
	if a := run("INSERT INTO customer SET id = NULL, email = 'd@x', name = 'dan'"); a.ok.InsertID != 4 {
		t.Errorf("next generated id is %d, want 4", a.ok.InsertID)
	}
	want("SELECT email FROM email_idx", "a@x", "b@x", "c@x", "d@x")
	if a := run("INSERT INTO customer SET id = NULL, email = 'f@x', name = 'flo'"); a.ok.InsertID != 5 {
		t.Errorf("the id by a kept plan is %d, want 5", a.ok.InsertID)
	}
	run("DELETE FROM customer WHERE id = 5")
	want("SELECT name, id FROM name_idx", "ann|1", "ann|3", "bob|2", "dan|4")

	rows := func(sql string, expect ...string) {
		t.Helper()
		a := run(sql)
		slices.Sort(a.rows)
		if !slices.Equal(a.rows, expect) {
			t.Errorf("%s gives %v, want %v", sql, a.rows, expect)
		}
	}
	rows("SELECT id FROM customer WHERE email = 'b@x'", "2")
	rows("SELECT id FROM customer WHERE email IN ('a@x', 'd@x', 'none')", "1", "4")
	rows("SELECT id FROM customer WHERE name = 'ann' ORDER BY id", "1", "3")
	rows("SELECT COUNT(*) FROM customer WHERE email = 'none'", "0")

	_, _, err := f.run(t.Context(), "INSERT INTO customer (email, name) VALUES ('e@x', 'eve'), ('a@x', 'adam')")
	if !errcode.Has(err, errcode.CrossShardDuplicate) {
		t.Errorf("a second row of a unique lookup value gives %v, want a duplicate key", err)
	}
	want("SELECT email FROM email_idx", "a@x", "b@x", "c@x", "d@x")
	rows("SELECT COUNT(*) FROM customer", "4")

	run("UPDATE customer SET email = 'b2@x' WHERE id = 2")
	want("SELECT email FROM email_idx", "a@x", "b2@x", "c@x", "d@x")
	rows("SELECT id FROM customer WHERE email = 'b2@x'", "2")
	rows("SELECT id FROM customer WHERE email = 'b@x'")
	run("UPDATE customer SET email = 'b3@x' WHERE email = 'b2@x'")
	rows("SELECT id FROM customer WHERE email = 'b3@x'", "2")
	run("DELETE FROM customer WHERE name = 'ann'")
	want("SELECT email FROM email_idx", "b3@x", "d@x")
	want("SELECT name FROM name_idx", "bob", "dan")
	rows("SELECT id FROM customer", "2", "4")

	if !f.mariadb {
		return // MySQL has no RETURNING
	}
	a := run("INSERT INTO customer (email, name) VALUES ('r1@x', 'r'), ('r2@x', 'r'), ('r3@x', 'r'), ('r4@x', 'r') RETURNING id, email")
	var ordered []string
	for i := range 4 {
		ordered = append(ordered, fmt.Sprintf("%d|r%d@x", int(f.insertID)+i, i+1))
	}
	if d := cmp.Diff(ordered, a.rows); d != "" {
		t.Errorf("returned rows (-want +got)\n%s", d)
	}
	want("SELECT email FROM email_idx", "b3@x", "d@x", "r1@x", "r2@x", "r3@x", "r4@x")
}
