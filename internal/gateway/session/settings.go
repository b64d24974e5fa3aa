package session

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pelorusdb/pelorus/internal/gateway/pool"
)

// varList is the session's variables as they differ from those of a new connection.
type varList struct {
	names string // the rest of SET NAMES or CHARACTER SET, with that word; "" for the connection's default
	list  []varSetting
}

type varSetting struct {
	name  string // lower case
	value string // SQL text
}

// set changes one variable; an empty value takes it back to the default.
func (v *varList) set(name, value string) {
	i := slices.IndexFunc(v.list, func(s varSetting) bool { return s.name == name })
	switch {
	case i >= 0 && value == "":
		v.list = slices.Delete(slices.Clone(v.list), i, i+1)
	case i >= 0:
		v.list = slices.Clone(v.list)
		v.list[i].value = value
	case value != "":
		v.list = append(slices.Clone(v.list), varSetting{name, value})
		slices.SortFunc(v.list, func(a, b varSetting) int { return strings.Compare(a.name, b.name) })
	}
}

// setNames changes all character set variables at once.
func (v *varList) setNames(clause string) {
	v.names = clause
	v.list = slices.DeleteFunc(slices.Clone(v.list), func(s varSetting) bool { return ofNames(s.name) })
}

// clone returns a copy that may be changed.
func (v *varList) clone() varList { return varList{v.names, slices.Clone(v.list)} }

// baseNames is what every pooled connection has after login.
const baseNames = "NAMES utf8mb4 COLLATE utf8mb4_general_ci"

// sql is the one SET statement that brings a fresh connection into this state.
func (v *varList) sql() string {
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

// undone is the rest of a SET statement that takes the variables back to their defaults that v has set and next has not.
func (v *varList) undone(next *varList) string {
	var b strings.Builder
	for _, s := range v.list {
		gone := !slices.ContainsFunc(next.list, func(o varSetting) bool { return o.name == s.name })
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

// SettingsTable interns settings, so that sessions with equal variables share connections. Safe for concurrent use.
type SettingsTable struct {
	mu sync.Mutex
	m  map[string]*pool.Settings
}

// NewSettingsTable makes an empty table.
func NewSettingsTable() *SettingsTable { return &SettingsTable{m: map[string]*pool.Settings{}} }

func (t *SettingsTable) intern(v *varList) *pool.Settings {
	if (v.names == "" || v.names == baseNames) && len(v.list) == 0 {
		return nil
	}
	sql := v.sql()
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

// versionNumber turns 9.7.4-pelorus or 5.5.5-10.11.19-MariaDB into the number that versioned comments compare with.
func versionNumber(v string) int {
	v = strings.TrimPrefix(v, "5.5.5-")
	var n [3]int
	for i, f := range strings.SplitN(v, ".", 3) {
		end := 0
		for end < len(f) && f[end] >= '0' && f[end] <= '9' {
			end++
		}
		n[i], _ = strconv.Atoi(f[:end])
	}
	return n[0]*10000 + n[1]*100 + n[2]
}

// atoi reads decimal digits, 0 for anything else.
func atoi(b []byte) int {
	n, _ := strconv.Atoi(string(b))
	return n
}
