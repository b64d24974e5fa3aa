package vschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
)

// Rules are the routing rules of a cluster as they are written.
type Rules struct {
	Rules []Rule `json:"rules"`
}

// Rule sends what is said to one table or keyspace to another. Its form is told by its fields: a table rule has from_table, a
// keyspace rule from_keyspace. From names may end in @primary, @replica or @rdonly.
type Rule struct {
	FromTable    string   `json:"from_table,omitempty"`
	ToTables     []string `json:"to_tables,omitempty"` // one keyspace.table; none: the table is closed
	FromKeyspace string   `json:"from_keyspace,omitempty"`
	ToKeyspace   string   `json:"to_keyspace,omitempty"`
}

// ParseRules reads routing rules in JSON: {"rules": [...]}. Empty text is no rules. The error names the place.
func ParseRules(text string) (*Rules, error) {
	rules := &Rules{}
	if strings.TrimSpace(text) == "" {
		return rules, nil
	}
	if len(text) > maxDocument {
		return nil, fmt.Errorf("the routing rules have %d bytes, at most %d are accepted", len(text), maxDocument)
	}
	doc := node{raw: json.RawMessage(text)}
	return rules, doc.object(map[string]func(node) error{
		"rules": func(n node) error {
			return n.items(func(n node) error {
				var r Rule
				err := r.decode(n)
				rules.Rules = append(rules.Rules, r)
				return err
			})
		},
	})
}

// Encode returns the rules in their canonical form, in their order.
func (r *Rules) Encode() string {
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "{}" // strings always encode
	}
	return string(out) + "\n"
}

func (r *Rule) decode(n node) error {
	var shard string
	err := n.object(map[string]func(node) error{
		"from_table":    func(n node) error { return n.text(&r.FromTable) },
		"to_tables":     func(n node) error { return n.texts(&r.ToTables) },
		"from_keyspace": func(n node) error { return n.text(&r.FromKeyspace) },
		"to_keyspace":   func(n node) error { return n.text(&r.ToKeyspace) },
		"shard":         func(n node) error { return n.text(&shard) },
	})
	switch {
	case err != nil:
		return err
	case (r.FromTable == "") == (r.FromKeyspace == ""):
		return n.errorf("want either from_table or from_keyspace")
	case shard != "":
		return n.errorf("rules for single shards are not supported: name the keyspace or the table as a whole")
	case r.FromTable != "" && r.ToKeyspace != "":
		return n.errorf("a rule for a table has only from_table and to_tables")
	case r.FromKeyspace != "" && (r.ToKeyspace == "" || r.ToTables != nil):
		return n.errorf("a rule for a keyspace has only from_keyspace and to_keyspace")
	}
	return nil
}

// route is a table rule, resolved.
type route struct {
	to  *Table
	err error // not nil: the table is closed, or the rule is not usable
}

// routes are the rules, indexed by what they route from.
type routes struct {
	tables    map[string]route
	keyspaces map[string]string
}

func (r *routes) table(tabletType, ks, table string) (route, bool) {
	if len(r.tables) == 0 {
		return route{}, false
	}
	name := table
	if ks != "" {
		name = ks + "." + table
	}
	if to, ok := r.tables[name+"@"+tabletType]; ok {
		return to, true
	}
	to, ok := r.tables[name]
	return to, ok
}

func (r *routes) keyspace(tabletType, ks string) string {
	if len(r.keyspaces) == 0 {
		return ks
	}
	if to, ok := r.keyspaces[ks+"@"+tabletType]; ok {
		return to
	}
	if to, ok := r.keyspaces[ks]; ok {
		return to
	}
	return ks
}

// setRules indexes the rules and returns what is wrong with them. A table whose rule is wrong answers with that error: to
// ignore the rule could send writes to a table that has moved away.
func (c *Cluster) setRules(rules *Rules) []error {
	c.rules = routes{tables: map[string]route{}, keyspaces: map[string]string{}}
	var problems []error
	for i, r := range rules.Rules {
		set := c.setMoveRule
		if r.FromTable != "" {
			set = c.setTableRule
		}
		if err := set(r); err != nil {
			problems = append(problems, &Problem{Place: fmt.Sprintf("rules[%d]", i), Err: err})
		}
	}
	return problems
}

// setTableRule indexes a rule for a table.
func (c *Cluster) setTableRule(r Rule) error {
	to, err := c.resolveRule(r)
	if _, dup := c.rules.tables[r.FromTable]; dup {
		err = errors.New("there is another rule for the table " + r.FromTable)
	}
	switch {
	case err != nil:
		to = route{err: errcode.Wrap(errcode.InvalidVSchema, err, keyspaceOf(r.FromTable), "routing rule: "+err.Error())}
	case len(r.ToTables) == 0:
		to = route{err: errcode.New(errcode.TableClosed, r.FromTable)}
	}
	c.rules.tables[r.FromTable] = to
	return err
}

// setMoveRule indexes a rule for a keyspace or a shard. Of two for the same the first counts.
func (c *Cluster) setMoveRule(r Rule) error {
	index, key := c.rules.keyspaces, r.FromKeyspace
	if _, dup := index[key]; dup {
		return errors.New("there is another rule for " + key)
	}
	index[key] = r.ToKeyspace
	if c.keyspaces[r.ToKeyspace] == nil {
		return fmt.Errorf("there is no keyspace %s", r.ToKeyspace)
	}
	return nil
}

func keyspaceOf(from string) string {
	if ks, _, ok := strings.Cut(from, "."); ok {
		return ks
	}
	return ""
}

// checkFrom checks the name that a table rule routes from.
func checkFrom(from string) error {
	name, tabletType, typed := strings.Cut(from, "@")
	if typed && !slices.Contains([]string{Primary, Replica, ReadOnly}, tabletType) {
		return fmt.Errorf("from_table %q: @%s is not @primary, @replica or @rdonly", from, tabletType)
	}
	if _, _, err := splitTable(name); err != nil {
		return fmt.Errorf("from_table: %w", err)
	}
	return nil
}

// resolveRule finds where a table rule leads; nowhere if the table is closed. Rules do not lead to other rules.
func (c *Cluster) resolveRule(r Rule) (route, error) {
	if err := checkFrom(r.FromTable); err != nil || len(r.ToTables) == 0 {
		return route{}, err
	}
	if len(r.ToTables) > 1 {
		return route{}, fmt.Errorf("to_tables of %s names %d tables: want one", r.FromTable, len(r.ToTables))
	}
	ks, table, err := splitTable(r.ToTables[0])
	if err != nil || ks == "" {
		return route{}, fmt.Errorf("to_tables of %s: %q is not of the form keyspace.table", r.FromTable, r.ToTables[0])
	}
	t, err := c.findIn(ks, table)
	if err != nil {
		return route{}, fmt.Errorf("to_tables of %s: %s: %w", r.FromTable, r.ToTables[0], err)
	}
	return route{to: t}, nil
}

// splitTable reads "table" or "keyspace.table"; either part may stand in backticks.
func splitTable(name string) (keyspace, table string, err error) {
	keyspace, table, qualified := strings.Cut(name, ".")
	if !qualified {
		keyspace, table = "", name
	}
	keyspace, table = bare(keyspace), bare(table)
	if table == "" || qualified && keyspace == "" || strings.Contains(table, ".") {
		return "", "", fmt.Errorf("%q is not of the form table or keyspace.table", name)
	}
	return keyspace, table, nil
}

func bare(name string) string {
	if len(name) >= 2 && name[0] == '`' && name[len(name)-1] == '`' {
		return strings.ReplaceAll(name[1:len(name)-1], "``", "`")
	}
	return name
}
