package gateway

import (
	"database/sql"
	"strings"
	"testing"
	"time"
)

// forgotten waits until no server has a record or a decision of a transaction any more.
func (b *bed) forgotten(t *testing.T) {
	t.Helper()
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; i < len(b.servers); {
		var redo, decisions int
		if err := b.direct(t, i, "").QueryRow("SELECT (SELECT COUNT(*) FROM _pelorus.redo), (SELECT COUNT(*) FROM _pelorus.decision)").Scan(&redo, &decisions); err != nil {
			t.Fatal(err)
		}
		if redo+decisions == 0 {
			i++
			continue
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("server %d keeps %d redo rows and %d decisions", i, redo, decisions)
		}
	}
}

// testRepeat holds what transactions over several shards do with statements that recovery could not repeat exactly.
func (b *bed) testRepeat(t *testing.T) {
	d := b.open(t, "shop", "interpolateParams=true")
	d.SetMaxOpenConns(1)
	var ids [2]int
	for i := range ids {
		if err := b.direct(t, i, "shop").QueryRow("SELECT MIN(id) FROM customer").Scan(&ids[i]); err != nil {
			t.Fatal(err)
		}
	}
	one, other := ids[0], ids[1]
	run(t, d, "DELETE FROM orders")
	name := func(id int) string {
		return strings.TrimSpace(rows(t, d, "SELECT name FROM customer WHERE id = ?", id))
	}
	run(t, d, "UPDATE customer SET name = 'before'")
	const (
		limited = "UPDATE customer SET name = 'after' WHERE id = ? LIMIT 1"
		plain   = "UPDATE customer SET name = 'after' WHERE id = ?"
		random  = "UPDATE customer SET name = UUID() WHERE id = ?"
		drawn   = "INSERT INTO orders VALUES (?, 7, RAND() * 100)"
		drawn2  = "INSERT INTO orders (no, customer_id, amount) VALUES (8, ?, RAND()), (9, ?, 1 + RAND())"
	)
	for _, c := range []struct {
		name       string
		statements [][]any
		refused    string
	}{
		{"plain", [][]any{{plain, one}, {plain, other}}, ""},
		{"one part that must not be replayed", [][]any{{plain, one}, {limited, other}}, ""},
		{"two of them", [][]any{{limited, one}, {random, other}}, "PLR1215"},
		{"drawn before", [][]any{{drawn, one}, {drawn, other}, {drawn2, one, one}, {drawn2, other, other}}, ""},
		{"temporary tables", [][]any{{"CREATE TEMPORARY TABLE main.tmp (a int)"}, {"INSERT INTO main.tmp VALUES (1)"}, {limited, one}}, "PLR1215"},
	} {
		for _, prepared := range []bool{false, true} {
			d := b.open(t, "shop", map[bool]string{false: "interpolateParams=true", true: ""}[prepared])
			d.SetMaxOpenConns(1)
			run(t, d, "DELETE FROM orders")
			run(t, d, "UPDATE customer SET name = 'before'")
			tx, err := d.Begin()
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range c.statements {
				run(t, tx, st[0].(string), st[1:]...)
			}
			seen := rows(t, tx, "SELECT customer_id, no, amount FROM orders ORDER BY 1, 2")
			err = tx.Commit()
			if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("%s, prepared %v: %v, want %q", c.name, prepared, err, c.refused)
			}
			if got := rows(t, d, "SELECT customer_id, no, amount FROM orders ORDER BY 1, 2"); got != seen {
				t.Errorf("%s, prepared %v: %q after the commit, %q before", c.name, prepared, got, seen)
			}
			if got := name(one) + name(other); c.refused != "" && got != "beforebefore" {
				t.Errorf("%s, prepared %v: %q after a commit that was refused", c.name, prepared, got)
			}
		}
	}
	// Nobody has seen what a single statement does before it is committed.
	run(t, d, "UPDATE customer SET name = LEFT(UUID(), 36)")
	if name(one) == "before" || name(other) == "before" {
		t.Error("a statement over all shards has not changed all")
	}
	b.forgotten(t)
	changeSettings(t, b.open(t, "shop", ""), one, other)
}

// changeSettings holds that variables may change inside a transaction over several shards.
func changeSettings(t *testing.T, d *sql.DB, ids ...int) {
	t.Helper()
	d.SetMaxOpenConns(1)
	tx, err := d.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		run(t, tx, "UPDATE customer SET name = 'first' WHERE id = ?", id)
		run(t, tx, "SET time_zone = '+03:00', sql_mode = 'ANSI_QUOTES'")
		run(t, tx, `UPDATE customer SET "name" = 'second' WHERE id = ?`, id)
		run(t, tx, "SET sql_mode = DEFAULT")
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
}
