package plan

import (
	"slices"
	"strings"

	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// schemaColumn is the column by which a table of information_schema tells what database a row is of; "" for tables that
// tell of the server.
func schemaColumn(table string) string {
	switch strings.ToUpper(table) {
	case "SCHEMATA", "SCHEMATA_EXTENSIONS":
		return "SCHEMA_NAME"
	case "TABLES", "COLUMNS", "STATISTICS", "VIEWS", "PARTITIONS", "COLUMN_PRIVILEGES", "TABLE_PRIVILEGES", "SCHEMA_PRIVILEGES",
		"TABLE_CONSTRAINTS", "KEY_COLUMN_USAGE", "TABLES_EXTENSIONS", "COLUMNS_EXTENSIONS", "ST_GEOMETRY_COLUMNS",
		"VIEW_TABLE_USAGE", "VIEW_ROUTINE_USAGE", "TABLE_STATISTICS", "INDEX_STATISTICS", "PERIODS", "KEY_PERIOD_USAGE":
		return "TABLE_SCHEMA"
	case "REFERENTIAL_CONSTRAINTS", "CHECK_CONSTRAINTS", "TABLE_CONSTRAINTS_EXTENSIONS":
		return "CONSTRAINT_SCHEMA"
	case "TRIGGERS":
		return "TRIGGER_SCHEMA"
	case "EVENTS":
		return "EVENT_SCHEMA"
	case "ROUTINES":
		return "ROUTINE_SCHEMA"
	case "PARAMETERS":
		return "SPECIFIC_SCHEMA"
	case "SEQUENCES":
		return "SEQUENCE_SCHEMA"
	case "GEOMETRY_COLUMNS":
		return "G_TABLE_SCHEMA"
	}
	return ""
}

// systemSchemas are the databases that every server has for itself, as a list for IN.
const systemSchemas = "'information_schema', 'mysql', 'performance_schema', 'sys'"

// systemPlan plans a query of information_schema, where each server knows only its own keyspace (and has a database
// that clients must not see): the servers of all keyspaces answer for one keyspace each. It returns nil for queries of anything else.
func (b *builder) systemPlan(a *analysis, in *arm, q parse.Query) *Plan {
	var tables []*inst
	for _, i := range a.insts {
		if i.table != nil {
			return nil
		}
		if b.schemaColumn(i) != "" {
			tables = append(tables, i)
		}
	}
	if len(tables) == 0 {
		return nil
	}
	if ks := b.onlyKeyspace(tables); ks != "" {
		b.see(ks, "information_schema")
		return b.push(Read, &verdict{fast: b.anyShard(ks), reason: "the condition names the keyspace"}, b.qualify(q, a.insts).rewrite(b.whole()))
	}
	names := b.keyspaceNames()
	if sel, ok := unparen(q).(*parse.SelectStmt); ok && in != nil && len(names) > 1 && slices.ContainsFunc(in.block.insts, func(i *inst) bool { return slices.Contains(tables, i) }) {
		v := &verdict{keyspace: names[0], dest: Dest{Kind: DestHeads, Heads: names}, reason: "each keyspace tells of itself"}
		guards := b.guards
		p, err := b.selectPlan(a, in, sel, v, b.onlyOwn(a, q, tables, piece{kind: pieceSchemas}))
		if err == nil {
			return p
		}
		b.guards = guards
	}
	all := systemSchemas
	for _, n := range names {
		all += ", " + quoteText(n)
	}
	ks := b.env.Keyspace
	if isSystemSchema(ks) {
		ks = ""
	}
	ed := b.onlyOwn(a, q, tables, piece{kind: pieceFixed, fixed: all})
	b.keepNames(ed, q)
	return b.push(Read, &verdict{fast: b.anyShard(ks), reason: "one server tells of itself"}, ed.rewrite(b.whole()))
}

// schemaColumn is the inst's column of that name's function; "" if it is not a table of information_schema that has one.
func (b *builder) schemaColumn(i *inst) string {
	if i.kind != instSystem || i.ref == nil {
		return ""
	}
	schema := i.ref.Table.Schema.Name
	if schema == "" {
		schema = b.env.Keyspace
	}
	if !strings.EqualFold(schema, "information_schema") {
		return ""
	}
	return schemaColumn(i.ref.Table.Name.Name)
}

func (b *builder) keyspaceNames() []string {
	var out []string
	if b.env.VSchema != nil {
		for _, k := range b.env.VSchema.Keyspaces() {
			out = append(out, k.Name)
		}
	}
	return out
}

// onlyKeyspace returns the keyspace to whose rows the conditions bind each of the tables; "" when there is none.
func (b *builder) onlyKeyspace(tables []*inst) string {
	found := ""
	var slots []int
	for _, i := range tables {
		v, ok := i.block.equalities().value(i.column(b.schemaColumn(i)))
		if !ok || v.Param >= 0 {
			return ""
		}
		val, err := v.Resolve(b.src, b.slots, nil)
		if err != nil || val.Kind != vindex.Text || b.keyspace(string(val.Raw)) == nil || found != "" && found != string(val.Raw) {
			return ""
		}
		found = string(val.Raw)
		if v.Const == nil {
			slots = append(slots, v.Slot)
		}
	}
	for _, s := range slots {
		b.guardSlot(s)
	}
	return found
}

// onlyOwn puts in the place of each of the tables its rows of the databases that the piece lists.
func (b *builder) onlyOwn(a *analysis, q parse.Query, tables []*inst, list piece) *editor {
	e := &editor{b: b}
	for _, i := range tables {
		t := i.ref.Table
		name := quoteName(t.Name.Name)
		head := "(SELECT * FROM information_schema." + name + " WHERE " + b.schemaColumn(i) + " IN ("
		tail := "))"
		if i.ref.Alias.Name == "" {
			tail += " AS " + name
		}
		e.put(t.Span, piece{kind: pieceFixed, fixed: head}, list, piece{kind: pieceFixed, fixed: tail})
	}
	for _, i := range a.insts {
		if i.kind == instSystem && i.ref != nil && b.schemaColumn(i) == "" && i.ref.Table.Schema.Name == "" {
			e.insert(i.ref.Table.Start, quoteName(b.env.Keyspace)+".")
		}
	}
	parse.Walk(q, func(n parse.Node) bool {
		c, ok := n.(*parse.ColumnRef)
		if ok && strings.EqualFold(c.Table.Schema.Name, "information_schema") {
			e.replace(c.Table.Span, quoteName(c.Table.Name.Name))
		}
		return true
	})
	return e
}

// keepNames gives the columns of the answer the names that the client wrote: MariaDB's would be those of the subquery.
// It is the last edit: texts of single expressions must not have it.
func (b *builder) keepNames(e *editor, q parse.Query) {
	sel, ok := unparen(q).(*parse.SelectStmt)
	if !ok || !b.env.Mode.MariaDB {
		return
	}
	for _, it := range sel.Items {
		if c, ok := it.Expr.(*parse.ColumnRef); ok && it.Alias.Name == "" {
			e.insert(it.End, " AS "+quoteName(c.Name.Name))
		}
	}
}

// quoteText writes a name as a string literal that means the same in every sql_mode.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
