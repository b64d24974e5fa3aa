package plan

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// load plans LOAD DATA into a table whose rows are all on one shard. Into a sharded table the session itself reads
// the file of a LOCAL one and inserts its rows.
func (b *builder) load(x *parse.LoadDataStmt) (*Plan, error) {
	if b.env.Replica {
		return nil, errcode.New(errcode.NotOnReplica, "LOAD DATA")
	}
	i, err := b.newInst(&parse.TableRef{Span: x.Table.Span, Table: x.Table})
	if err != nil {
		return nil, err
	}
	if i.table == nil {
		return b.anywhere(Write, "a table of the system"), nil
	}
	f := &Fast{Keyspace: i.table.Keyspace.Name, Kind: Unsharded, Rewrite: b.qualify(x, []*inst{i}).rewrite(b.whole())}
	switch i.kind {
	case instUnsharded:
	case instPinned:
		f.Kind, f.ID = Pinned, i.table.Pinned
	default:
		return nil, errcode.New(errcode.Unsupported, "LOAD DATA of a file into a sharded table", "use LOAD DATA LOCAL or INSERT")
	}
	return &Plan{Class: Write, Fast: f, Guards: b.guards, Way: "push", Reason: "all rows of the table are on one shard"}, nil
}

// show sends SHOW to one shard of the keyspace that it asks about.
func (b *builder) show(x *parse.ShowStmt) (*Plan, error) {
	ks := x.DB.Name
	if ks == "" {
		ks = x.Table.Schema.Name
	}
	if ks == "" && x.Table.Name.Name != "" && b.env.Keyspace == "" {
		vt, err := b.table(x.Table)
		if err != nil {
			return nil, err
		}
		ks = vt.Keyspace.Name
	}
	return b.onKeyspace(ks, Show, "every shard gives the same answer")
}

// onKeyspace sends the statement to one shard of a keyspace; "" is the session's.
func (b *builder) onKeyspace(ks string, c Class, reason string) (*Plan, error) {
	if ks == "" || isSystemSchema(ks) {
		return b.anywhere(c, reason), nil
	}
	if b.keyspace(ks) == nil {
		return nil, errcode.New(errcode.NoSuchKeyspace, ks)
	}
	if ks != b.env.Keyspace {
		b.see(ks, "*")
	}
	return &Plan{Class: c, Fast: b.anyShard(ks), Way: "push", Reason: reason}, nil
}

// explain sends EXPLAIN and DESCRIBE to one shard that has part of the answer.
func (b *builder) explain(x *parse.ExplainStmt) (*Plan, error) {
	if x.Stmt == nil {
		if x.Table.Name.Name != "" && b.env.Keyspace == "" && x.Table.Schema.Name == "" {
			vt, err := b.table(x.Table)
			if err != nil {
				return nil, err
			}
			return b.onKeyspace(vt.Keyspace.Name, Show, "every shard gives the same answer")
		}
		return b.onKeyspace(x.Table.Schema.Name, Show, "every shard gives the same answer")
	}
	if x.Format == "PELORUS" {
		return b.explainPlan(x)
	}
	inner, err := b.statement(x.Stmt)
	if err != nil || inner.Fast == nil {
		return b.explainAny(x)
	}
	f := *inner.Fast
	p := &Plan{Class: Show, Fast: &f, Guards: b.guards, Way: "push", Reason: "explained where it would run"}
	if x.Analyze {
		p.Class = inner.Class
	}
	return p, nil
}

// explainPlan answers EXPLAIN FORMAT=PELORUS with the plan itself; no server is asked.
func (b *builder) explainPlan(x *parse.ExplainStmt) (*Plan, error) {
	sub := &builder{src: b.src, slots: b.slots, env: b.env, part: x.BodySpan}
	inner, err := sub.statement(x.Stmt)
	if err != nil {
		return nil, err
	}
	b.seen = sub.seen
	inner.Tables = b.tableNames()
	inner.Guards = sub.guards
	lines := strings.Split(strings.TrimSuffix(inner.Explain(), "\n"), "\n")
	return &Plan{Class: Show, Root: &Lines{Name: "plan", Text: lines}, NoCache: true, Way: "push", Reason: "no server is asked"}, nil
}

// explainAny explains a statement of several shards on one of them.
func (b *builder) explainAny(x *parse.ExplainStmt) (*Plan, error) {
	a := &analysis{b: b}
	if q, ok := x.Stmt.(parse.Query); ok {
		if _, err := a.query(q, nil, nil, ""); err != nil {
			return nil, err
		}
	}
	if x.Analyze {
		return nil, errcode.New(errcode.Unsupported, "EXPLAIN ANALYZE over several shards", "choose one shard with USE `KEYSPACE:SHARD`")
	}
	ks := ""
	for n := range sortedKeys(b.seen) {
		ks, _, _ = strings.Cut(n, ".")
	}
	p, err := b.onKeyspace(ks, Show, "explained on one of its shards")
	if err == nil && p.Fast != nil {
		p.Fast.Rewrite = b.qualify(x.Stmt, a.insts).rewrite(b.whole())
	}
	return p, err
}

// other plans a statement of which only the first words and the tables are known.
func (b *builder) other(x *parse.OtherStmt) (*Plan, error) {
	if len(x.Tables) == 0 {
		return b.anywhere(Other, "no table is named"), nil
	}
	keyspaces := map[string]bool{}
	var first *inst
	for i := range x.Tables {
		in, err := b.newInst(&parse.TableRef{Span: x.Tables[i].Span, Table: x.Tables[i]})
		if err != nil {
			return nil, err
		}
		if in.table == nil {
			continue
		}
		if first == nil || in.kind == instSharded {
			first = in
		}
		keyspaces[in.table.Keyspace.Name] = true
	}
	if first == nil {
		return b.anywhere(Other, "tables of the system"), nil
	}
	if len(keyspaces) > 1 {
		var list []string
		for n := range sortedKeys(keyspaces) {
			list = append(list, n)
		}
		return nil, errcode.New(errcode.CrossKeyspace, strings.Join(list, ", "))
	}
	ks := first.table.Keyspace.Name
	switch first.kind {
	case instUnsharded:
		return &Plan{Class: Other, Fast: &Fast{Keyspace: ks, Kind: Unsharded}, Way: "push", Reason: "unsharded keyspace"}, nil
	case instPinned:
		return &Plan{Class: Other, Fast: &Fast{Keyspace: ks, Kind: Pinned, ID: first.table.Pinned}, Way: "push", Reason: "pinned table"}, nil
	}
	return nil, errcode.New(errcode.Unsupported, strings.Join(x.Words, " "), "choose one shard with USE `KEYSPACE:SHARD`")
}

// call sends CALL to an unsharded keyspace.
func (b *builder) call(x *parse.CallStmt) (*Plan, error) {
	ks := x.Name.Schema.Name
	if ks == "" {
		ks = b.env.Keyspace
	}
	if k := b.keyspace(ks); k != nil && k.Sharded {
		return nil, errcode.New(errcode.Unsupported, "CALL", "choose one shard with USE `KEYSPACE:SHARD`")
	}
	return b.onKeyspace(ks, Other, "a procedure of an unsharded keyspace")
}

// do sends DO to any shard, if it reads no table.
func (b *builder) do(x *parse.DoStmt) (*Plan, error) {
	for _, e := range x.Exprs {
		if containsQuery(e) {
			return nil, errcode.New(errcode.Unsupported, "DO with a subquery", "use SELECT")
		}
	}
	return b.anywhere(Other, "no table is named"), nil
}
