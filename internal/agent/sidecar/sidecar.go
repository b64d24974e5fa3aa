// Package sidecar keeps Pelorus' own database in each server, `_pelorus`, as this release wants it: heartbeats, reigns, and
// the redo and decision rows of transactions across shards. What is missing is added in place; columns are only ever
// added, at the end and with a default, so that servers with an older and a newer sidecar replicate from each other.
//
// It writes nothing to the binary log: each server gets the same tables by its own agent, and a fresh server has no
// position before replication begins. It never drops or changes a column, and it never touches another database.
package sidecar

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
)

// Database is the name of the sidecar database.
const Database = "_pelorus"

// Version grows with each change of the tables.
const Version = 1

// Table is a table as it should be.
type Table struct {
	Name    string
	Columns []Column
	// Primary lists the columns of the primary key.
	Primary []string
	Indexes []Index
}

// Column is a column as it should be; Definition is everything after the name.
type Column struct{ Name, Definition string }

// Index is a secondary index as it should be.
type Index struct {
	Name    string
	Columns []string
}

// Tables are the tables of this release.
func Tables() []Table {
	const created = "timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)"
	return []Table{
		{
			Name: "meta", Primary: []string{"name"},
			Columns: []Column{{"name", "varbinary(64) NOT NULL"}, {"value", "varbinary(1024) NOT NULL"}},
		},
		{ // one row per server that ever reigned, id is the tablet's number; ts is UTC
			Name: "heartbeat", Primary: []string{"id"},
			Columns: []Column{
				{"id", "int unsigned NOT NULL"}, {"ts", "datetime(6) NOT NULL"}, {"term", "bigint unsigned NOT NULL"},
				{"alias", "varbinary(128) NOT NULL"},
			},
		},
		{ // the first transaction of each reign
			Name: "reign", Primary: []string{"term"},
			Columns: []Column{
				{"term", "bigint unsigned NOT NULL"}, {"alias", "varbinary(128) NOT NULL"},
				{"started_at", "datetime(6) NOT NULL"},
			},
		},
		{ // what a shard has promised to do if the transaction is decided for; one row, seq 0, per transaction
			Name: "redo", Primary: []string{"txn_id", "seq"},
			Columns: []Column{
				{"txn_id", "varbinary(64) NOT NULL"}, {"seq", "int unsigned NOT NULL"}, {"term", "bigint unsigned NOT NULL"},
				{"participant", "varbinary(160) NOT NULL"}, {"statement", "longblob NOT NULL"}, {"settings", "blob"},
				{"conn_id", "bigint unsigned NOT NULL DEFAULT 0"}, {"created_at", created},
				{"coordinator", "varbinary(160) NOT NULL DEFAULT ''"}, {"coord_conn_id", "bigint unsigned NOT NULL DEFAULT 0"},
				{"db", "varbinary(256) NOT NULL DEFAULT ''"},
			},
			Indexes: []Index{{"created_at", []string{"created_at"}}},
		},
		{ // the verdict, on the first participant only
			Name: "decision", Primary: []string{"txn_id"},
			Columns: []Column{
				{"txn_id", "varbinary(64) NOT NULL"}, {"state", "enum('commit','abort') NOT NULL"},
				{"participants", "longblob NOT NULL"}, {"created_at", created},
			},
			Indexes: []Index{{"created_at", []string{"created_at"}}},
		},
	}
}

// Existing is what a server has: columns and indexes by table.
type Existing struct {
	Columns map[string]map[string]bool
	Indexes map[string]map[string]bool
	// Version is 0 when there is no sidecar yet.
	Version int
}

// Plan lists the statements that bring a server from what it has to what is wanted; none if nothing is missing. A sidecar
// of a newer release has all that this one wants.
func Plan(want []Table, have Existing, version int) []string {
	var out []string
	if have.Version == 0 {
		out = append(out, "CREATE DATABASE IF NOT EXISTS "+value.Ident(Database)+" DEFAULT CHARACTER SET utf8mb4")
	}
	for _, t := range want {
		columns, ok := have.Columns[t.Name]
		if !ok {
			out = append(out, t.create())
			continue
		}
		out = append(out, t.alter(columns, have.Indexes[t.Name])...)
	}
	if have.Version < version {
		out = append(out, fmt.Sprintf("REPLACE INTO %s.meta (name, value) VALUES ('version', '%d')", Database, version))
	}
	return out
}

func (t Table) create() string {
	lines := make([]string, 0, len(t.Columns)+len(t.Indexes)+1)
	for _, c := range t.Columns {
		lines = append(lines, value.Ident(c.Name)+" "+c.Definition)
	}
	lines = append(lines, "PRIMARY KEY ("+identList(t.Primary)+")")
	for _, i := range t.Indexes {
		lines = append(lines, "KEY "+value.Ident(i.Name)+" ("+identList(i.Columns)+")")
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.%s (%s) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
		Database, value.Ident(t.Name), strings.Join(lines, ", "))
}

func (t Table) alter(columns, indexes map[string]bool) []string {
	var add []string
	for _, c := range t.Columns {
		if !columns[c.Name] {
			add = append(add, "ADD COLUMN "+value.Ident(c.Name)+" "+c.Definition)
		}
	}
	for _, i := range t.Indexes {
		if !indexes[i.Name] {
			add = append(add, "ADD KEY "+value.Ident(i.Name)+" ("+identList(i.Columns)+")")
		}
	}
	if len(add) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("ALTER TABLE %s.%s %s", Database, value.Ident(t.Name), strings.Join(add, ", "))}
}

func identList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = value.Ident(n)
	}
	return strings.Join(quoted, ", ")
}

// Read says what the server has.
func Read(ctx context.Context, q Querier) (Existing, error) {
	e := Existing{Columns: map[string]map[string]bool{}, Indexes: map[string]map[string]bool{}}
	for _, part := range []struct {
		query string
		into  map[string]map[string]bool
	}{
		{"SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = '" + Database + "'", e.Columns},
		{"SELECT DISTINCT table_name, index_name FROM information_schema.statistics WHERE table_schema = '" + Database + "'", e.Indexes},
	} {
		r, err := q.Query(ctx, part.query)
		if err != nil {
			return e, fmt.Errorf("read the tables of %s: %w", Database, err)
		}
		for i := range r.Rows {
			table := r.Text(i, 0)
			if part.into[table] == nil {
				part.into[table] = map[string]bool{}
			}
			part.into[table][r.Text(i, 1)] = true
		}
	}
	if e.Columns["meta"] == nil {
		return e, nil
	}
	r, err := q.Query(ctx, "SELECT value FROM "+Database+".meta WHERE name = 'version'")
	if err != nil {
		return e, fmt.Errorf("read the version of %s: %w", Database, err)
	}
	if v := r.Text(0, 0); v != "" {
		if e.Version, err = strconv.Atoi(v); err != nil {
			return e, fmt.Errorf("the version of %s is %q: %w", Database, v, err)
		}
	}
	return e, nil
}

// Querier runs a query; *dba.DB is one.
type Querier interface {
	Query(ctx context.Context, statement string) (*dba.Result, error)
}
