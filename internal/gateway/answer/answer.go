// Package answer makes the tables of the SHOW statements that the gateway answers by itself, because they are about the
// whole and not about any one server.
//
// It sends nothing and asks no server; what it tells of it is given.
package answer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// Table is a result whose columns are all text.
type Table struct {
	Names []string
	Rows  [][]Cell
}

// Cell is a value of a Table.
type Cell struct {
	Text string
	Null bool
}

// table makes a Table without NULLs.
func table(names []string, rows ...[]string) *Table {
	t := &Table{Names: names}
	for _, r := range rows {
		cells := make([]Cell, len(r))
		for i, v := range r {
			cells[i].Text = v
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// One makes a table of one column.
func One(name string, values ...string) *Table {
	t := &Table{Names: []string{name}}
	for _, v := range values {
		t.Rows = append(t.Rows, []Cell{{Text: v}})
	}
	return t
}

// Facts are what the answers tell of. Clients, Pools and Plans are called by the answers that need them.
type Facts struct {
	Snapshot *target.Snapshot
	Keyspace string // the session's, "" for none
	User     string
	Warnings []backend.Warning          // of the last statement
	Visible  func(keyspace string) bool // what the user may know of; nil: everything
	Clients  func() []clients.Info
	Pools    func() map[string]pool.Stats // by server
	Plans    func() int                   // in the cache
}

// What names a SHOW statement: its words in capitals, with one blank between them.
func What(st *parse.ShowStmt) string {
	return strings.ToUpper(strings.Join(strings.Fields(st.What), " "))
}

// Knows says whether Show answers a statement.
func Knows(st *parse.ShowStmt) bool {
	_, ok := shows[What(st)]
	return ok || isReplication(What(st))
}

// shows are the statements by their words. It is never changed.
var shows = map[string]func(st *parse.ShowStmt, f *Facts) *Table{
	"DATABASES": databases, "SCHEMAS": databases, "KEYSPACES": databases,
	"WARNINGS": func(_ *parse.ShowStmt, f *Facts) *Table { return warnings(f.Warnings) },
	"ERRORS":   func(_ *parse.ShowStmt, f *Facts) *Table { return warnings(onlyErrors(f.Warnings)) },
	"COUNT(*) WARNINGS": func(_ *parse.ShowStmt, f *Facts) *Table {
		return One("@@session.warning_count", strconv.Itoa(len(f.Warnings)))
	},
	"COUNT(*) ERRORS": func(_ *parse.ShowStmt, f *Facts) *Table {
		return One("@@session.error_count", strconv.Itoa(len(onlyErrors(f.Warnings))))
	},
	"PROCESSLIST":       func(_ *parse.ShowStmt, f *Facts) *Table { return processes(f.Clients(), 100) },
	"FULL PROCESSLIST":  func(_ *parse.ShowStmt, f *Facts) *Table { return processes(f.Clients(), 0) },
	"GRANTS":            grants,
	"VSCHEMA TABLES":    vschemaTables,
	"VSCHEMA VINDEXES":  vindexes,
	"PELORUS KEYSPACES": keyspaces,
	"PELORUS SHARDS":    shards,
	"PELORUS TABLETS":   tablets,
	"PELORUS POOLS":     pools,
	"PELORUS PLANS":     func(_ *parse.ShowStmt, f *Facts) *Table { return One("Plans", strconv.Itoa(f.Plans())) },
}

// isReplication tells the statements about binary logs and sources. Replication is the servers' business: the database as a
// whole has no binary log and no source.
func isReplication(what string) bool {
	switch what {
	case "MASTER STATUS", "BINARY LOG STATUS", "BINARY LOGS", "MASTER LOGS", "SLAVE STATUS", "REPLICA STATUS",
		"ALL SLAVES STATUS", "SLAVE HOSTS", "REPLICAS":
		return true
	}
	return false
}

// Show answers a statement that Knows knows.
func Show(st *parse.ShowStmt, f *Facts) *Table {
	if show := shows[What(st)]; show != nil {
		return show(st, f)
	}
	return table([]string{"File", "Position", "Binlog_Do_DB", "Binlog_Ignore_DB"})
}

func databases(st *parse.ShowStmt, f *Facts) *Table {
	hidden := func(keyspace string) bool { return f.Visible != nil && !f.Visible(keyspace) }
	names := append(slices.DeleteFunc(f.Snapshot.Names(), hidden), "information_schema", "performance_schema", "mysql", "sys")
	slices.Sort(names)
	title := "Database"
	if st.HasLike {
		title += " (" + st.Like + ")"
		names = slices.DeleteFunc(names, func(n string) bool { return !like(n, st.Like) })
	}
	return One(title, names...)
}

func onlyErrors(ws []backend.Warning) []backend.Warning {
	return slices.DeleteFunc(slices.Clone(ws), func(w backend.Warning) bool { return w.Level != "Error" })
}

func warnings(ws []backend.Warning) *Table {
	t := table([]string{"Level", "Code", "Message"})
	for _, w := range ws {
		t.Rows = append(t.Rows, []Cell{{Text: w.Level}, {Text: strconv.Itoa(int(w.Code))}, {Text: w.Text}})
	}
	return t
}

// processes shows at most length characters of the texts, all of them if it is 0.
func processes(list []clients.Info, length int) *Table {
	t := table([]string{"Id", "User", "Host", "db", "Command", "Time", "State", "Info"})
	for _, c := range list {
		state, text := "", []rune(strings.ToValidUTF8(c.Text, "?"))
		if length > 0 && len(text) > length {
			text = text[:length]
		}
		if c.Command != "Sleep" {
			state = "executing"
		}
		t.Rows = append(t.Rows, []Cell{
			{Text: strconv.FormatUint(uint64(c.ID), 10)}, {Text: c.User}, {Text: c.Host}, {Text: c.Keyspace, Null: c.Keyspace == ""}, {Text: c.Command},
			{Text: strconv.Itoa(int(c.Time.Seconds()))}, {Text: state}, {Text: string(text), Null: len(text) == 0},
		})
	}
	return t
}

func grants(_ *parse.ShowStmt, f *Facts) *Table {
	return One("Grants for "+f.User+"@%", "GRANT ALL PRIVILEGES ON *.* TO "+rewrite.Ident(f.User)+"@`%`")
}

func vschemaTables(_ *parse.ShowStmt, f *Facts) *Table {
	t := One("Tables")
	if ks := f.Snapshot.VSchema.Keyspace(f.Keyspace); ks != nil {
		for _, x := range ks.Tables() {
			t.Rows = append(t.Rows, []Cell{{Text: x.Name}})
		}
	}
	return t
}

func vindexes(_ *parse.ShowStmt, f *Facts) *Table {
	var rows [][]string
	if ks := f.Snapshot.VSchema.Keyspace(f.Keyspace); ks != nil {
		for _, t := range ks.Tables() {
			for _, cv := range t.ColumnVindexes {
				rows = append(rows, []string{t.Name, strings.Join(cv.Columns, ", "), cv.Vindex.Name(), cv.Vindex.Type()})
			}
		}
	}
	return table([]string{"Table", "Columns", "Name", "Type"}, rows...)
}

func keyspaces(_ *parse.ShowStmt, f *Facts) *Table {
	var rows [][]string
	for _, n := range f.Snapshot.Names() {
		rows = append(rows, []string{n, strconv.Itoa(len(f.Snapshot.Keyspaces[n].Shards))})
	}
	return table([]string{"Keyspace", "Shards"}, rows...)
}

// everyShard returns the serving shards of all keyspaces, in order.
func everyShard(snap *target.Snapshot) []*target.Shard {
	var all []*target.Shard
	for _, n := range snap.Names() {
		all = append(all, snap.Keyspaces[n].Shards...)
	}
	return all
}

func shards(_ *parse.ShowStmt, f *Facts) *Table {
	var rows [][]string
	for _, sh := range everyShard(f.Snapshot) {
		primary := cmp.Or(sh.Primary, &target.Endpoint{})
		rows = append(rows, []string{sh.Keyspace.Name, sh.Name, strconv.FormatUint(sh.Term, 10), primary.Alias, primary.Addr, strconv.Itoa(len(sh.Replicas))})
	}
	return table([]string{"Keyspace", "Shard", "Term", "Primary", "Address", "Replicas"}, rows...)
}

func tablets(_ *parse.ShowStmt, f *Facts) *Table {
	var rows [][]string
	for _, sh := range everyShard(f.Snapshot) {
		if sh.Primary != nil {
			rows = append(rows, []string{sh.Primary.Alias, sh.Keyspace.Name, sh.Name, "primary", sh.Primary.Addr})
		}
		for _, r := range sh.Replicas {
			rows = append(rows, []string{r.Alias, sh.Keyspace.Name, sh.Name, r.Type, r.Addr})
		}
	}
	return table([]string{"Alias", "Keyspace", "Shard", "Type", "Address"}, rows...)
}

func pools(_ *parse.ShowStmt, f *Facts) *Table {
	var rows [][]string
	stats := f.Pools()
	for _, n := range slices.Sorted(maps.Keys(stats)) {
		st := stats[n]
		rows = append(rows, []string{n, strconv.Itoa(st.Open), strconv.Itoa(st.Idle), strconv.Itoa(st.Waiting),
			fmt.Sprint(st.Dials), fmt.Sprint(st.Resets), fmt.Sprint(st.Waits), fmt.Sprint(st.Timeouts)})
	}
	return table([]string{"Server", "Open", "Idle", "Waiting", "Dials", "Resets", "Waits", "Timeouts"}, rows...)
}
