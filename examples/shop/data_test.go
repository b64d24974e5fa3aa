package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

func TestShopIsTheSameEachTime(t *testing.T) {
	want := map[string]int{"customer": customers, "orders": orders, "order_item": items, "product": products}
	sum := sha256.New()
	total := 0
	for _, tab := range shop() {
		if len(tab.rows) != want[tab.name] {
			t.Errorf("%s has %d rows, want %d", tab.name, len(tab.rows), want[tab.name])
		}
		total += len(tab.rows)
		for _, r := range tab.rows {
			sum.Write([]byte(r))
		}
	}
	if total != 100_000 {
		t.Errorf("%d rows", total)
	}
	const sha = "73d9b6143d39fcfd"
	if got := hex.EncodeToString(sum.Sum(nil))[:16]; got != sha {
		t.Errorf("the rows have changed: checksum %s, want %s", got, sha)
	}
}

func TestInserts(t *testing.T) {
	tab := table{name: "t", columns: "a", rows: []string{"(1)", "(2)", "(3)"}}
	got := tab.inserts(2)
	if len(got) != 2 || got[0] != "INSERT INTO t (a) VALUES (1), (2)" || !strings.HasSuffix(got[1], "VALUES (3)") {
		t.Errorf("%q", got)
	}
}
