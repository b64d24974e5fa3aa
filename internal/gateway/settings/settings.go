// Package settings keeps a session's variables as they differ from those of a new connection to a server, writes the one
// SET statement that brings a connection into that state, and interns such states, so that sessions with equal variables
// share connections.
//
// It does not judge values (a server does), runs nothing, and holds no connections (package pool does).
package settings

import (
	"slices"
	"strings"
	"sync"

	"github.com/pelorusdb/pelorus/internal/gateway/pool"
)

// Vars is the session's variables as they differ from those of a new connection. The zero value is those of a new one.
// Copies share nothing that changes.
type Vars struct {
	names string // the rest of SET NAMES or CHARACTER SET, with that word; "" for the connection's default
	list  []variable
}

type variable struct {
	name  string // lower case
	value string // SQL text
}

// Set changes one variable, by its lower-case name, to an SQL text; an empty one takes it back to the default.
func (v *Vars) Set(name, value string) {
	i := slices.IndexFunc(v.list, func(s variable) bool { return s.name == name })
	switch {
	case i >= 0 && value == "":
		v.list = slices.Delete(slices.Clone(v.list), i, i+1)
	case i >= 0:
		v.list = slices.Clone(v.list)
		v.list[i].value = value
	case value != "":
		v.list = append(slices.Clone(v.list), variable{name, value})
		slices.SortFunc(v.list, func(a, b variable) int { return strings.Compare(a.name, b.name) })
	}
}

// SetNames changes all character set variables at once, to what SET with the clause (NAMES 'x' or CHARACTER SET 'x') makes of
// them; an empty one takes them back to the default.
func (v *Vars) SetNames(clause string) {
	v.names = clause
	v.list = slices.DeleteFunc(slices.Clone(v.list), func(s variable) bool { return ofNames(s.name) })
}

// Value returns the text that a variable was set to, "" if it has its default.
func (v *Vars) Value(name string) string {
	for _, s := range v.list {
		if s.name == name {
			return s.value
		}
	}
	return ""
}

// baseNames is what every pooled connection has after login.
const baseNames = "NAMES utf8mb4 COLLATE utf8mb4_general_ci"

// SQL is the one SET statement that brings a fresh connection into this state.
func (v *Vars) SQL() string {
	var b strings.Builder
	b.WriteString("SET ")
	if v.names == "" {
		b.WriteString(baseNames)
	} else {
		b.WriteString(v.names)
	}
	for _, s := range v.list {
		b.WriteString(", SESSION ")
		b.WriteString(s.name)
		b.WriteString(" = ")
		b.WriteString(s.value)
	}
	return b.String()
}

// ChangeSQL is the SET statement that brings a connection from this state into the next one.
func (v *Vars) ChangeSQL(next *Vars) string {
	var b strings.Builder
	b.WriteString(next.SQL())
	for _, s := range v.list {
		gone := !slices.ContainsFunc(next.list, func(o variable) bool { return o.name == s.name })
		if gone && !ofNames(s.name) {
			b.WriteString(", SESSION " + s.name + " = DEFAULT")
		}
	}
	return b.String()
}

// ofNames tells the variables that SET NAMES changes.
func ofNames(name string) bool {
	switch name {
	case "character_set_client", "character_set_results", "character_set_connection", "collation_connection":
		return true
	}
	return false
}

// maxSettings bounds the table of settings; past it the table starts anew, which only costs resets of connections.
const maxSettings = 10_000

// Table interns settings, so that sessions with equal variables share connections. Safe for concurrent use.
type Table struct {
	mu sync.Mutex
	m  map[string]*pool.Settings
}

// NewTable makes an empty table.
func NewTable() *Table { return &Table{m: map[string]*pool.Settings{}} }

// Intern returns the settings of a connection that has the variables, nil for those of a new one.
func (t *Table) Intern(v *Vars) *pool.Settings {
	if (v.names == "" || v.names == baseNames) && len(v.list) == 0 {
		return nil
	}
	sql := v.SQL()
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.m[sql]; s != nil {
		return s
	}
	if len(t.m) >= maxSettings {
		t.m = map[string]*pool.Settings{}
	}
	s := &pool.Settings{SQL: sql, Key: sql}
	t.m[sql] = s
	return s
}
