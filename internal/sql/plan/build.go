package plan

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// statement plans a statement of any kind.
func (b *builder) statement(stmt parse.Statement) (*Plan, error) {
	if p, err := b.managed(stmt); p != nil || err != nil {
		return p, err
	}
	if b.env.ForcedShard != "" {
		return b.forced(stmt), nil
	}
	switch x := stmt.(type) {
	case parse.Query:
		return b.query(x)
	case *parse.InsertStmt:
		return b.insert(x)
	case *parse.UpdateStmt:
		return b.update(x)
	case *parse.DeleteStmt:
		return b.delete(x)
	case *parse.DDLStmt:
		return b.ddl(x)
	case *parse.LoadDataStmt:
		return b.load(x)
	case *parse.ShowStmt:
		return b.show(x)
	case *parse.ExplainStmt:
		return b.explain(x)
	case *parse.OtherStmt:
		return b.other(x)
	case *parse.CallStmt:
		return b.call(x)
	case *parse.DoStmt:
		return b.do(x)
	}
	return b.anywhere(Other, "a statement of the session"), nil
}

// forced sends everything to the shard that the session chose.
func (b *builder) forced(stmt parse.Statement) *Plan {
	p := &Plan{
		Class: classOf(stmt), Way: "push", Reason: "the session is bound to one shard",
		Fast: &Fast{Keyspace: b.env.Keyspace, Kind: OneShard, Shard: b.env.ForcedShard},
	}
	p.Locks = p.Class == Read && locks(stmt)
	return p
}

// classOf is the class of a statement that is not looked at closer.
func classOf(stmt parse.Statement) Class {
	switch x := stmt.(type) {
	case parse.Query:
		return Read
	case *parse.InsertStmt, *parse.UpdateStmt, *parse.DeleteStmt, *parse.LoadDataStmt:
		return Write
	case *parse.DDLStmt:
		return DDL
	case *parse.ShowStmt:
		return Show
	case *parse.ExplainStmt:
		if x.Stmt == nil || !x.Analyze {
			return Show
		}
		return classOf(x.Stmt)
	}
	return Other
}

// anywhere sends the statement to one shard of the session's keyspace, or of any.
func (b *builder) anywhere(c Class, reason string) *Plan {
	ks := b.env.Keyspace
	if isSystemSchema(ks) {
		ks = ""
	}
	return &Plan{Class: c, Fast: b.anyShard(ks), Way: "push", Reason: reason}
}

// push is a plan that sends the whole statement to one shard.
func (b *builder) push(c Class, v *verdict, rewrite *Text) *Plan {
	f := *v.fast
	f.Rewrite = rewrite
	return &Plan{Class: c, Fast: &f, Guards: b.guards, Way: "push", Reason: v.reason}
}

// qualify collects the edits that every text needs: names of tables that the servers would not find under the name
// that the client wrote.
func (b *builder) qualify(stmt parse.Node, insts []*inst) *editor {
	e := &editor{b: b}
	renamed := map[string]*inst{}
	for _, i := range insts {
		if i.kind == instSystem && i.ref != nil && i.ref.Table.Schema.Name == "" {
			e.insert(i.ref.Table.Start, quoteName(b.env.Keyspace)+".")
		}
		if i.ref == nil || i.table == nil {
			continue
		}
		written := i.ref.Table
		schema := written.Schema.Name
		if schema == "" {
			schema = b.env.Keyspace
		}
		if schema == i.table.Keyspace.Name && written.Name.Name == i.table.Name {
			continue
		}
		e.replace(written.Span, quoteName(i.table.Keyspace.Name)+"."+quoteName(i.table.Name))
		if i.ref.Alias.Name == "" {
			if written.Name.Name != i.table.Name {
				e.insert(written.End, " AS "+quoteName(written.Name.Name))
			}
			renamed[written.Name.Name] = i
		}
	}
	if len(renamed) > 0 {
		parse.Walk(stmt, func(n parse.Node) bool {
			c, ok := n.(*parse.ColumnRef)
			if ok && c.Table.Schema.Name != "" {
				if i := renamed[c.Table.Name.Name]; i != nil && c.Table.Schema.Name == i.ref.Table.Schema.Name {
					e.replace(c.Table.Span, quoteName(c.Table.Name.Name))
				}
			}
			return true
		})
	}
	return e
}

// rewrite compiles the edits of a whole statement; nil when there are none.
func (e *editor) rewrite(within parse.Span) *Text {
	if len(e.edits) == 0 && e.b.part.End == 0 {
		return nil
	}
	return e.compile(within)
}

// whole is the span of the statement that is planned.
func (b *builder) whole() parse.Span {
	if b.part.End > 0 {
		return b.part
	}
	return parse.Span{Start: 0, End: len(b.src)}
}

// quoteName quotes an identifier.
func quoteName(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

// query plans a statement that returns rows.
func (b *builder) query(q parse.Query) (*Plan, error) {
	if p, err := b.nextValue(q); p != nil || err != nil {
		return p, err
	}
	a := &analysis{b: b}
	in, err := a.query(q, nil, nil, "")
	if err != nil {
		return nil, err
	}
	if in != nil {
		a.top, a.scope = in.block, in.scope
	}
	lock := locks(q)
	if lock && b.env.Replica {
		return nil, errcode.New(errcode.NotOnReplica, "SELECT with a locking clause")
	}
	if p := b.systemPlan(a, in, q); p != nil {
		p.Class = Read
		return p, nil
	}
	v, err := b.decideQuery(a, q)
	if err != nil {
		return nil, err
	}
	ed := b.qualify(q, a.insts)
	if v.fast != nil {
		p := b.push(Read, v, ed.rewrite(b.whole()))
		p.Locks = lock
		return p, nil
	}
	var p *Plan
	switch x := unparen(q).(type) {
	case *parse.SelectStmt:
		p, err = b.selectPlan(a, in, x, v, ed)
	default:
		p, err = b.unionPlan(a, q, v, ed)
	}
	if err != nil {
		return nil, err
	}
	p.Class, p.Locks = Read, lock
	markLock(p.Root, lock)
	return p, nil
}

// markLock sets the lock flag of the routes of a tree.
func markLock(o Op, lock bool) {
	if r, ok := o.(*Route); ok {
		r.Lock = lock
	}
	for _, in := range o.Inputs() {
		markLock(in, lock)
	}
}

// decideQuery finds the shards of a query; a set operation over shards is judged arm by arm.
func (b *builder) decideQuery(a *analysis, q parse.Query) (*verdict, error) {
	sharded, v, err := a.keyspaces()
	if err != nil {
		return nil, err
	}
	if len(sharded) == 0 {
		return v, nil
	}
	if a.top != nil {
		return a.decide()
	}
	if f := a.single(sharded); f != nil {
		f.Keyspace = sharded[0].table.Keyspace.Name
		return &verdict{keyspace: f.Keyspace, fast: f, reason: "all tables are bound to one value"}, nil
	}
	return b.decideArms(a, q)
}
