package answer

import (
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

func facts() *Facts {
	shop, main := &target.Keyspace{Name: "shop"}, &target.Keyspace{Name: "main"}
	shop.Shards = []*target.Shard{
		{Keyspace: shop, Name: "-80", Term: 3, Primary: &target.Endpoint{Alias: "z1-100", Addr: "h:1"}},
		{Keyspace: shop, Name: "80-", Term: 4, Replicas: []*target.Endpoint{{Alias: "z1-201", Addr: "h:2", Type: "rdonly"}}},
	}
	main.Shards = []*target.Shard{{Keyspace: main, Name: "0", Term: 1, Primary: &target.Endpoint{Alias: "z1-300", Addr: "h:3"}}}
	return &Facts{
		Snapshot: &target.Snapshot{Keyspaces: map[string]*target.Keyspace{"shop": shop, "main": main}},
		Keyspace: "shop", User: "ann",
		Warnings: []backend.Warning{{Level: "Note", Code: 1051, Text: "n"}, {Level: "Error", Code: 1062, Text: "e"}},
		Visible:  func(ks string) bool { return ks == "shop" },
		Plans:    func() int { return 17 },
		Pools: func() map[string]pool.Stats {
			return map[string]pool.Stats{"h:2": {Open: 2}, "h:1": {Open: 5, Idle: 4, Waiting: 1}}
		},
		Clients: func() []clients.Info {
			return []clients.Info{
				{ID: 1, User: "ann", Host: "h", Command: "Sleep", Time: 90 * time.Second},
				{ID: 2, User: "bob", Host: "h", Keyspace: "shop", Command: "Query", Text: strings.Repeat("ä", 101), Time: 1500 * time.Millisecond},
			}
		},
	}
}

// text is a table as lines of values between bars.
func text(t *Table) string {
	lines := []string{strings.Join(t.Names, "|")}
	for _, r := range t.Rows {
		var cells []string
		for _, c := range r {
			if c.Null {
				c.Text = "NULL"
			}
			cells = append(cells, c.Text)
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
	return strings.Join(lines, "\n")
}

func TestShow(t *testing.T) {
	for sql, want := range map[string]string{
		"SHOW DATABASES":             "Database\ninformation_schema\nmysql\nperformance_schema\nshop\nsys",
		"show schemas like 's%'":     "Database (s%)\nshop\nsys",
		"SHOW WARNINGS":              "Level|Code|Message\nNote|1051|n\nError|1062|e",
		"SHOW ERRORS":                "Level|Code|Message\nError|1062|e",
		"SHOW COUNT(*) WARNINGS":     "@@session.warning_count\n2",
		"SHOW COUNT(*) ERRORS":       "@@session.error_count\n1",
		"SHOW GRANTS":                "Grants for ann@%\nGRANT ALL PRIVILEGES ON *.* TO `ann`@`%`",
		"SHOW BINARY LOGS":           "File|Position|Binlog_Do_DB|Binlog_Ignore_DB",
		"SHOW PELORUS  KEYSPACES":    "Keyspace|Shards\nmain|1\nshop|2",
		"SHOW PELORUS SHARDS":        "Keyspace|Shard|Term|Primary|Address|Replicas\nmain|0|1|z1-300|h:3|0\nshop|-80|3|z1-100|h:1|0\nshop|80-|4|||1",
		"SHOW PELORUS TABLETS":       "Alias|Keyspace|Shard|Type|Address\nz1-300|main|0|primary|h:3\nz1-100|shop|-80|primary|h:1\nz1-201|shop|80-|rdonly|h:2",
		"SHOW PELORUS PLANS":         "Plans\n17",
		"SHOW PELORUS POOLS":         "Server|Open|Idle|Waiting|Dials|Resets|Waits|Timeouts\nh:1|5|4|1|0|0|0|0\nh:2|2|0|0|0|0|0|0",
		"SHOW PROCESSLIST":           processHead + "\n1|ann|h|NULL|Sleep|90||NULL\n2|bob|h|shop|Query|1|executing|" + strings.Repeat("ä", 100),
		"SHOW FULL PROCESSLIST":      processHead + "\n1|ann|h|NULL|Sleep|90||NULL\n2|bob|h|shop|Query|1|executing|" + strings.Repeat("ä", 101),
		"SHOW CREATE TABLE customer": "not known",
		"SHOW VARIABLES":             "not known",
	} {
		stmt, err := parse.Parse([]byte(sql), parse.Mode{})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		got, st := "not known", stmt.(*parse.ShowStmt)
		if Knows(st) {
			got = text(Show(st, facts()))
		}
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", sql, got, want)
		}
	}
}

const processHead = "Id|User|Host|db|Command|Time|State|Info"

// kept is a sink that keeps its rows.
type kept struct{ rows []string }

func (k *kept) Columns([]wire.Column) error { return nil }
func (k *kept) RawRow([]byte) error         { return wire.ErrMalformed } // a row that passes undecoded passes unchanged
func (k *kept) Row(values [][]byte) error {
	k.rows = append(k.rows, string(values[0])+"="+string(values[1]))
	return nil
}

func TestVariables(t *testing.T) {
	k := &kept{}
	v := &Variables{Sink: k, Version: "9.7.4-pelorus", WaitTimeout: time.Minute}
	for _, row := range [][2]string{{"version", "9.7.4"}, {"read_only", "ON"}, {"gtid_executed", "x:1"}, {"wait_timeout", "28800"}, {"sql_mode", "ANSI"}} {
		if err := v.RawRow(wire.AppendTextRow(nil, [][]byte{[]byte(row[0]), []byte(row[1])})); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := strings.Join(k.rows, " "), "version=9.7.4-pelorus read_only=OFF gtid_executed= wait_timeout=60 sql_mode=ANSI"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
