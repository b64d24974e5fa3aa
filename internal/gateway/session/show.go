package session

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// ownShow tells the SHOW statements whose answer is not any one server's.
func (s *Session) ownShow(st *parse.ShowStmt) bool {
	switch showWhat(st) {
	case "VARIABLES", "DATABASES", "SCHEMAS", "KEYSPACES", "WARNINGS", "ERRORS", "COUNT(*) WARNINGS", "COUNT(*) ERRORS",
		"PROCESSLIST", "FULL PROCESSLIST", "GRANTS", "VSCHEMA TABLES", "VSCHEMA VINDEXES",
		"PELORUS SHARDS", "PELORUS TABLETS", "PELORUS POOLS", "PELORUS KEYSPACES", "PELORUS PLANS",
		"MASTER STATUS", "BINARY LOG STATUS", "BINARY LOGS", "MASTER LOGS", "SLAVE STATUS", "REPLICA STATUS",
		"ALL SLAVES STATUS", "SLAVE HOSTS", "REPLICAS":
		return true
	}
	return false
}

func showWhat(st *parse.ShowStmt) string {
	return strings.ToUpper(strings.Join(strings.Fields(st.What), " "))
}

// show answers the statements of ownShow.
func (s *Session) show(snap *target.Snapshot, st *parse.ShowStmt, sql []byte, more bool) error {
	switch what := showWhat(st); what {
	case "VARIABLES":
		return s.showVariables(snap, st, sql, more)
	case "DATABASES", "SCHEMAS", "KEYSPACES":
		return s.showDatabases(snap, st, more)
	case "WARNINGS", "ERRORS":
		keep := s.warnings
		var rows [][]string
		for _, w := range s.warnings {
			if what == "WARNINGS" || w.Level == "Error" {
				rows = append(rows, []string{w.Level, strconv.Itoa(int(w.Code)), w.Text})
			}
		}
		err := s.table(more, []string{"Level", "Code", "Message"}, rows)
		s.warnings = keep
		return err
	case "COUNT(*) WARNINGS", "COUNT(*) ERRORS":
		name := "@@session.warning_count"
		n := len(s.warnings)
		if what == "COUNT(*) ERRORS" {
			name = "@@session.error_count"
			n = 0
			for _, w := range s.warnings {
				if w.Level == "Error" {
					n++
				}
			}
		}
		return s.table(more, []string{name}, [][]string{{strconv.Itoa(n)}})
	case "PROCESSLIST", "FULL PROCESSLIST":
		return s.showProcesslist(more)
	case "GRANTS":
		user := rewrite.Ident(s.login.User) + "@`%`"
		return s.table(more, []string{"Grants for " + s.login.User + "@%"}, [][]string{{"GRANT ALL PRIVILEGES ON *.* TO " + user}})
	case "VSCHEMA TABLES":
		var rows [][]string
		if ks := snap.VSchema.Keyspace(s.back.Route.Scope.Keyspace); ks != nil {
			for _, t := range ks.Tables() {
				rows = append(rows, []string{t.Name})
			}
		}
		return s.table(more, []string{"Tables"}, rows)
	case "VSCHEMA VINDEXES":
		return s.showVindexes(snap, more)
	case "PELORUS SHARDS", "PELORUS TABLETS", "PELORUS KEYSPACES":
		return s.showTopology(snap, what, more)
	case "PELORUS POOLS":
		return s.showPools(more)
	case "PELORUS PLANS":
		return s.table(more, []string{"Plans"}, [][]string{{strconv.Itoa(s.sh.Plans.Len())}})
	default:
		// Replication is the servers' business: the database as a whole has no binary log and no source.
		return s.table(more, []string{"File", "Position", "Binlog_Do_DB", "Binlog_Ignore_DB"}, nil)
	}
}

// showVariables answers with one server's variables, but for those that are the gateway's own.
func (s *Session) showVariables(snap *target.Snapshot, st *parse.ShowStmt, sql []byte, more bool) error {
	_, slots, _ := parse.Fingerprint(sql, s.back.Mode, nil)
	p, err := plan.Build(sql, slots, st, s.env(snap))
	if err != nil {
		return s.failMore(err)
	}
	out := &resultWriter{s: s, binary: s.binary}
	if _, err := s.runPlan(s.back.Statement(snap), p, sql, slots, &variableSink{resultWriter: out}); err != nil {
		return s.failMore(err)
	}
	s.rowCount, s.foundRows = -1, out.rows
	return out.finish(wire.OK{}, more)
}

// variableSink replaces values of SHOW VARIABLES that are true of a server, but not of the whole.
type variableSink struct{ *resultWriter }

// Row sends one variable.
func (v *variableSink) Row(values [][]byte) error {
	if len(values) == 2 {
		switch string(values[0]) {
		case "gtid_mode", "read_only", "super_read_only", "offline_mode":
			values[1] = []byte("OFF")
		case "gtid_executed", "gtid_purged", "gtid_binlog_pos", "gtid_current_pos", "gtid_slave_pos":
			values[1] = []byte{}
		case "version":
			values[1] = []byte(rewrite.ShownVersion(v.s.sh.Version))
		case "version_comment":
			values[1] = []byte("Pelorus")
		case "hostname":
			values[1] = []byte("pelorus")
		}
	}
	return v.resultWriter.Row(values)
}

// RawRow decodes a row and sends it.
func (v *variableSink) RawRow(row []byte) error {
	values, err := wire.ParseTextRow(row, nil)
	if err != nil {
		return err
	}
	return v.Row(values)
}

func (s *Session) showDatabases(snap *target.Snapshot, st *parse.ShowStmt, more bool) error {
	names := append(snap.Names(), "information_schema", "performance_schema", "mysql", "sys")
	slices.Sort(names)
	title := "Database"
	if st.HasLike {
		title += " (" + st.Like + ")"
	}
	var rows [][]string
	for _, n := range names {
		if s.bound && snap.Keyspaces[n] != nil && !s.sh.May(s.login.User, n) {
			continue
		}
		if !st.HasLike || likePattern(n, st.Like) {
			rows = append(rows, []string{n})
		}
	}
	return s.table(more, []string{title}, rows)
}

func (s *Session) showProcesslist(more bool) error {
	var rows [][]string
	for _, o := range s.sh.Registry.list() {
		who, info, command := o.public.Load(), "", "Sleep"
		if t := o.curText.Load(); t != nil {
			info, command = *t, "Query"
		}
		if o.back.Busy() {
			command = "Query"
		}
		rows = append(rows, []string{
			strconv.Itoa(int(o.id)), who.user, who.host, who.keyspace, command,
			strconv.Itoa(int(time.Since(o.started).Seconds())), "", info,
		})
	}
	return s.table(more, []string{"Id", "User", "Host", "db", "Command", "Time", "State", "Info"}, rows)
}

func (s *Session) showVindexes(snap *target.Snapshot, more bool) error {
	var rows [][]string
	if ks := snap.VSchema.Keyspace(s.back.Route.Scope.Keyspace); ks != nil {
		for _, t := range ks.Tables() {
			for _, cv := range t.ColumnVindexes {
				rows = append(rows, []string{t.Name, strings.Join(cv.Columns, ", "), cv.Vindex.Name(), cv.Vindex.Type()})
			}
		}
	}
	return s.table(more, []string{"Table", "Columns", "Name", "Type"}, rows)
}

func (s *Session) showTopology(snap *target.Snapshot, what string, more bool) error {
	var rows [][]string
	for _, n := range snap.Names() {
		ks := snap.Keyspaces[n]
		if what == "PELORUS KEYSPACES" {
			rows = append(rows, []string{n, strconv.Itoa(len(ks.Shards))})
			continue
		}
		for _, sh := range ks.Shards {
			alias, addr := "", ""
			if sh.Primary != nil {
				alias, addr = sh.Primary.Alias, sh.Primary.Addr
			}
			if what == "PELORUS SHARDS" {
				rows = append(rows, []string{n, sh.Name, strconv.FormatUint(sh.Term, 10), alias, addr, strconv.Itoa(len(sh.Replicas))})
				continue
			}
			if sh.Primary != nil {
				rows = append(rows, []string{alias, n, sh.Name, "primary", addr})
			}
			for _, r := range sh.Replicas {
				rows = append(rows, []string{r.Alias, n, sh.Name, r.Type, r.Addr})
			}
		}
	}
	switch what {
	case "PELORUS KEYSPACES":
		return s.table(more, []string{"Keyspace", "Shards"}, rows)
	case "PELORUS SHARDS":
		return s.table(more, []string{"Keyspace", "Shard", "Term", "Primary", "Address", "Replicas"}, rows)
	}
	return s.table(more, []string{"Alias", "Keyspace", "Shard", "Type", "Address"}, rows)
}

func (s *Session) showPools(more bool) error {
	var rows [][]string
	pools := s.sh.Targets.Pools()
	names := make([]string, 0, len(pools))
	for n := range pools {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		st := pools[n].Stats()
		rows = append(rows, []string{n, fmt.Sprint(st.Open), fmt.Sprint(st.Idle), fmt.Sprint(st.Waiting),
			fmt.Sprint(st.Dials), fmt.Sprint(st.Resets), fmt.Sprint(st.Waits), fmt.Sprint(st.Timeouts)})
	}
	return s.table(more, []string{"Server", "Open", "Idle", "Waiting", "Dials", "Resets", "Waits", "Timeouts"}, rows)
}

// awaitChange waits a bounded time for a newer snapshot.
func (s *Session) awaitChange(changed <-chan struct{}) {
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-s.ctx.Done():
	}
}
