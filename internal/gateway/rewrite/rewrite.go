// Package rewrite writes into a statement's text what only the session knows, before the statement is planned: its user
// variables, LAST_INSERT_ID(), CONNECTION_ID(), USER() and their like. No server can know them, because a session has
// no server. It also writes values as SQL that reads the same under every sql_mode.
//
// It changes the client's own bytes by edits and never prints a tree. It computes nothing that a server has to compute,
// keeps no state, and does not decide where a statement runs.
package rewrite

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// Values are what a session knows of itself.
type Values struct {
	User, Host   string
	Keyspace     string // "" when none is selected
	Version      string // as announced, a prefix 5.5.5- is dropped
	ConnectionID uint32
	LastInsertID uint64
	FoundRows    uint64
	RowCount     int64  // -1 after a result set or an error
	TxnMode      string // transaction_mode
	Warnings     int    // of all levels
	Errors       int    // those of level Error
	WaitTimeout  time.Duration
	// UserVars maps lower-case names to SQL literals.
	UserVars map[string]string
}

// Result is the outcome of looking for the session's own names in a statement.
type Result struct {
	SQL     []byte   // the changed text; nil when nothing was changed
	Assigns []string // user variables that the statement itself assigns: they are read back afterwards
	Reads   []string // user variables that such a statement reads: they are set before
	Locks   Locks
	// CountsFound says that the statement has SQL_CALC_FOUND_ROWS.
	CountsFound bool
}

// Locks says what a statement does with named locks.
type Locks uint8

// What a statement does with named locks.
const (
	NoLocks   Locks = iota
	AsksLocks       // IS_FREE_LOCK, RELEASE_LOCK and their like: they mean the server that has the locks
	TakesLock       // GET_LOCK: the session keeps the connection
)

// Statement looks for the session's own names in a statement and writes their values in, and the names that the client
// would see for the columns where those change. sql is stmt's text; neither is changed.
func Statement(stmt parse.Statement, sql []byte, mode parse.Mode, v *Values) *Result {
	return rewrite(stmt, sql, topItems(stmt), mode, v)
}

// Expr returns an expression's text with the session's own names written in, and what it does with named locks.
func Expr(e parse.Expr, sql []byte, mode parse.Mode, v *Values) (string, Locks, error) {
	const verb = "SELECT "
	span := e.Range()
	text := []byte(verb + string(span.Text(sql)))
	stmt, err := parse.Parse(text, mode)
	if err != nil {
		return "", NoLocks, err
	}
	r := rewrite(stmt, text, nil, mode, v)
	if r.SQL != nil {
		text = r.SQL
	}
	return string(text[len(verb):]), r.Locks, nil
}

// rewrite names the items that a substitution would rename.
func rewrite(stmt parse.Statement, sql []byte, items []*parse.SelectItem, mode parse.Mode, v *Values) *Result {
	w := &writer{v: v, out: &Result{}, assigned: map[string]bool{}}
	parse.Walk(stmt, w.note)
	for name := range w.assigned {
		w.out.Assigns = append(w.out.Assigns, name)
	}
	slices.Sort(w.out.Assigns)
	var edits parse.Edits
	changed := false
	parse.Walk(stmt, func(n parse.Node) bool {
		text, ok := w.value(n)
		if !ok {
			return true
		}
		edits.Replace(n.Range(), text)
		changed = true
		for _, it := range items {
			if it.Alias.Name == "" && !it.Star && it.Start <= n.Range().Start && n.Range().End <= it.End {
				edits.Insert(it.End, " AS "+Ident(parse.ColumnName(sql, *it, mode)))
				it.Alias.Name = "-" // once
			}
		}
		return false
	})
	if changed {
		w.out.SQL = edits.Apply(nil, sql)
	}
	return w.out
}

// writer is one statement's rewriting.
type writer struct {
	v        *Values
	out      *Result
	assigned map[string]bool // lower-case names of user variables that the statement assigns
}

// note gathers what the statement assigns and needs.
func (w *writer) note(n parse.Node) bool {
	switch x := n.(type) {
	case *parse.Binary:
		if v, ok := x.Left.(*parse.Variable); ok && x.Op == ":=" && !v.System {
			w.assigned[strings.ToLower(v.Name)] = true
		}
	case *parse.SelectStmt:
		if x.Into != nil {
			for _, v := range x.Into.Vars {
				w.assigned[strings.ToLower(v)] = true
			}
		}
		for _, o := range x.Options {
			w.out.CountsFound = w.out.CountsFound || o.Name == "SQL_CALC_FOUND_ROWS"
		}
	case *parse.CallStmt:
		for _, a := range x.Args { // what is a variable may be an OUT parameter
			if v, ok := a.(*parse.Variable); ok && !v.System {
				w.assigned[strings.ToLower(v.Name)] = true
			}
		}
	case *parse.FuncCall:
		switch x.Name {
		case "GET_LOCK":
			w.out.Locks = TakesLock
		case "RELEASE_LOCK", "RELEASE_ALL_LOCKS", "IS_USED_LOCK", "IS_FREE_LOCK":
			w.out.Locks = max(w.out.Locks, AsksLocks)
		}
	}
	return true
}

// topItems returns copies of the select items whose names the client sees.
func topItems(stmt parse.Statement) []*parse.SelectItem {
	for {
		switch q := stmt.(type) {
		case *parse.SelectStmt:
			items := make([]*parse.SelectItem, len(q.Items))
			for i := range q.Items {
				it := q.Items[i]
				items[i] = &it
			}
			return items
		case *parse.SetOpStmt:
			stmt = q.Left
		case *parse.ParenQuery:
			stmt = q.Query
		default:
			return nil
		}
	}
}

// value returns the text that stands for a node, if the node is one of the session's own names.
func (w *writer) value(n parse.Node) (string, bool) {
	switch x := n.(type) {
	case *parse.Variable:
		if x.System {
			return w.systemVariable(x)
		}
		return w.userVariable(strings.ToLower(x.Name))
	case *parse.FuncCall:
		if x.Schema.Name != "" {
			return "", false
		}
		return w.function(x)
	case *parse.ColumnRef:
		if x.Table.Name.Name == "" && strings.EqualFold(x.Name.Name, "CURRENT_USER") {
			return String(w.v.User + "@%"), true
		}
	}
	return "", false
}

func (w *writer) userVariable(name string) (string, bool) {
	if w.assigned[name] {
		return "", false
	}
	if len(w.assigned) > 0 {
		if !slices.Contains(w.out.Reads, name) {
			w.out.Reads = append(w.out.Reads, name)
		}
		return "", false
	}
	if v, ok := w.v.UserVars[name]; ok {
		return "(" + v + ")", true
	}
	return "NULL", true
}

func (w *writer) function(x *parse.FuncCall) (string, bool) {
	v := w.v
	switch x.Name {
	case "LAST_INSERT_ID":
		if len(x.Args) == 0 {
			return strconv.FormatUint(v.LastInsertID, 10), true
		}
	case "ROW_COUNT":
		return strconv.FormatInt(v.RowCount, 10), true
	case "FOUND_ROWS":
		return strconv.FormatUint(v.FoundRows, 10), true
	case "CONNECTION_ID":
		return strconv.FormatUint(uint64(v.ConnectionID), 10), true
	case "DATABASE", "SCHEMA":
		if len(x.Args) == 0 {
			if v.Keyspace == "" {
				return "NULL", true
			}
			return String(v.Keyspace), true
		}
	case "USER", "SESSION_USER", "SYSTEM_USER":
		if len(x.Args) == 0 {
			return String(v.User + "@" + v.Host), true
		}
	case "CURRENT_USER":
		return String(v.User + "@%"), true
	case "VERSION":
		return String(ShownVersion(v.Version)), true
	}
	return "", false
}

func (w *writer) systemVariable(x *parse.Variable) (string, bool) {
	v := w.v
	switch x.Name {
	case "version":
		return String(ShownVersion(v.Version)), true
	case "version_comment":
		return String("Pelorus"), true
	case "hostname":
		return String("pelorus"), true
	case "transaction_mode":
		return String(v.TxnMode), true
	case "last_insert_id", "identity":
		return strconv.FormatUint(v.LastInsertID, 10), true
	case "warning_count":
		return strconv.Itoa(v.Warnings), true
	case "error_count":
		return strconv.Itoa(v.Errors), true
	case "wait_timeout":
		return strconv.Itoa(int(v.WaitTimeout.Seconds())), true
	case "read_only", "super_read_only", "innodb_read_only":
		return "0", true
	case "gtid_mode":
		return String("OFF"), true
	case "gtid_executed", "gtid_purged":
		return "''", true
	case "pseudo_thread_id":
		return strconv.FormatUint(uint64(v.ConnectionID), 10), true
	}
	return "", false
}

// ShownVersion is a server's version as its VERSION() has it: without the prefix that MariaDB 10 puts before it in the
// handshake.
func ShownVersion(announced string) string { return strings.TrimPrefix(announced, "5.5.5-") }

// VersionNumber turns 9.7.4-pelorus or 5.5.5-10.11.19-MariaDB into the number that versioned comments compare with.
func VersionNumber(announced string) int {
	var n [3]int
	for i, f := range strings.SplitN(ShownVersion(announced), ".", 3) {
		end := 0
		for end < len(f) && f[end] >= '0' && f[end] <= '9' {
			end++
		}
		n[i], _ = strconv.Atoi(f[:end]) // no digits are 0
	}
	return n[0]*10000 + n[1]*100 + n[2]
}
