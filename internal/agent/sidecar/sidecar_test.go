package sidecar

import (
	"strings"
	"testing"
)

func have(tables []Table, version int) Existing {
	e := Existing{Columns: map[string]map[string]bool{}, Indexes: map[string]map[string]bool{}, Version: version}
	for _, t := range tables {
		e.Columns[t.Name], e.Indexes[t.Name] = map[string]bool{}, map[string]bool{"PRIMARY": true}
		for _, c := range t.Columns {
			e.Columns[t.Name][c.Name] = true
		}
		for _, i := range t.Indexes {
			e.Indexes[t.Name][i.Name] = true
		}
	}
	return e
}

func TestPlan(t *testing.T) {
	fresh := Plan(Tables(), Existing{}, Version)
	if len(fresh) != len(Tables())+2 || !strings.HasPrefix(fresh[0], "CREATE DATABASE") || !strings.HasPrefix(fresh[len(fresh)-1], "REPLACE") {
		t.Fatalf("a fresh server gets the database, each table, and the version last; got %q", fresh)
	}
	if p := Plan(Tables(), have(Tables(), Version), Version); len(p) != 0 {
		t.Fatalf("nothing is missing, but: %q", p)
	}
	if p := Plan(Tables(), have(Tables(), Version+1), Version); len(p) != 0 {
		t.Fatalf("a newer sidecar must be left alone, but: %q", p)
	}
	old := have(Tables(), Version)
	delete(old.Columns["redo"], "conn_id")
	delete(old.Indexes["redo"], "created_at")
	newer := Plan(Tables(), old, Version+1)
	want := []string{
		"ALTER TABLE _pelorus.`redo` ADD COLUMN `conn_id` bigint unsigned NOT NULL DEFAULT 0, ADD KEY `created_at` (`created_at`)",
		"REPLACE INTO _pelorus.meta (name, value) VALUES ('version', '2')",
	}
	if strings.Join(newer, "\n") != strings.Join(want, "\n") {
		t.Fatalf("got %q\nwant %q", newer, want)
	}
}
