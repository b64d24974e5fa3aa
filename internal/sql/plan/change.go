package plan

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// change is what UPDATE and DELETE have in common.
type change struct {
	b       *builder
	stmt    parse.Statement
	verb    string
	where   parse.Expr
	order   []parse.OrderItem
	limit   *parse.Limit
	span    parse.Span // WHERE clause with its keyword
	returns []parse.SelectItem
	a       *analysis
	sc      *scope
	targets []*inst // tables whose rows change
}

// update plans UPDATE.
func (b *builder) update(x *parse.UpdateStmt) (*Plan, error) {
	c := &change{b: b, stmt: x, verb: "UPDATE", where: x.Where, order: x.OrderBy, limit: x.Limit, span: x.WhereSpan, returns: x.Returning}
	if err := c.analyse(x.With, x.Tables); err != nil {
		return nil, err
	}
	for _, s := range x.Set {
		if err := c.a.expr(s.Value, c.sc, c.a.top); err != nil {
			return nil, err
		}
		i := c.sc.owner(&s.Column)
		if i == nil && len(c.sc.insts) > 0 {
			i = c.sc.insts[0]
		}
		c.target(i)
		if err := c.keyChange(i, s); err != nil {
			return nil, err
		}
	}
	return c.plan(x.Set)
}

// delete plans DELETE.
func (b *builder) delete(x *parse.DeleteStmt) (*Plan, error) {
	c := &change{b: b, stmt: x, verb: "DELETE", where: x.Where, order: x.OrderBy, limit: x.Limit, span: x.WhereSpan, returns: x.Returning}
	if err := c.analyse(x.With, x.From); err != nil {
		return nil, err
	}
	for _, t := range x.Targets {
		found := false
		for _, i := range c.sc.insts {
			if i.name == t.Name.Name {
				c.target(i)
				found = true
			}
		}
		if !found && !x.Multi && len(c.sc.insts) > 0 {
			c.target(c.sc.insts[0])
		}
	}
	if len(c.targets) == 0 && len(c.sc.insts) > 0 {
		c.target(c.sc.insts[0])
	}
	return c.plan(nil)
}

// analyse reads the tables and the condition.
func (c *change) analyse(with *parse.With, tables []parse.TableExpr) error {
	if c.b.env.Replica {
		return errcode.New(errcode.NotOnReplica, c.verb)
	}
	c.a = &analysis{b: c.b, top: &block{}}
	c.sc = &scope{parent: withCTEs(nil, with)}
	if err := c.a.from(tables, c.sc, c.a.top); err != nil {
		return err
	}
	if err := c.a.where(c.where, c.sc, c.a.top); err != nil {
		return err
	}
	for _, o := range c.order {
		if err := c.a.expr(o.Expr, c.sc, c.a.top); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) target(i *inst) {
	for _, t := range c.targets {
		if t == i {
			return
		}
	}
	if i != nil {
		c.targets = append(c.targets, i)
	}
}

// keyChange refuses to change a column that decides the shard of the row, unless it keeps its value.
func (c *change) keyChange(i *inst, s parse.Assignment) error {
	if i == nil || i.kind != instSharded || keepsColumn(s) {
		return nil
	}
	for _, cv := range i.table.ColumnVindexes {
		if _, ok := cv.Vindex.(vindex.Lookup); ok && cv.Owned {
			continue
		}
		if cv.Index(s.Column.Name.Name) < 0 {
			continue
		}
		if v, ok := c.b.valueOf(s.Value); ok {
			if old, bound := i.block.equalities().value(i.column(s.Column.Name.Name)); bound {
				if same, guard := c.b.sameValue(v, old); same {
					if guard {
						c.b.guardSlot(v.Slot)
						c.b.guardSlot(old.Slot)
					}
					continue
				}
			}
		}
		return errcode.New(errcode.ShardingKeyChange, s.Column.Name.Name, i.table.Name)
	}
	return nil
}

// plan decides where the change runs. set is nil for a DELETE.
func (c *change) plan(set []parse.Assignment) (*Plan, error) {
	for _, t := range c.targets {
		if copied(t) && t.table != nil {
			return c.reference(t)
		}
	}
	v, err := c.a.decide()
	if err != nil {
		return nil, err
	}
	ed := c.b.qualify(c.stmt, c.a.insts)
	kept, err := c.kept(set)
	if err != nil {
		return nil, err
	}
	if v.fast != nil && len(kept) == 0 {
		return c.b.push(Write, v, ed.rewrite(c.b.whole())), nil
	}
	if v.fast != nil {
		v.dest = destOf(v.fast)
	}
	r := &Route{Keyspace: v.keyspace, Dest: v.dest, Write: true}
	if err := c.scatterable(r); err != nil {
		return nil, err
	}
	if in := c.list(r); in != nil {
		ed.putList(in)
		r.Split = true
	}
	r.Text = ed.compile(c.b.whole())
	p := &Plan{Class: Write, Root: r, Way: "write", Reason: v.reason}
	if len(kept) > 0 {
		p.Root, err = c.keeping(r, kept, set, ed)
		p.Reason = "lookup rows change with their owner's rows"
	}
	return p, err
}

func (c *change) list(r *Route) *parse.InExpr {
	if r.Dest.Kind != DestIn || r.Dest.Lookup != nil {
		return nil
	}
	return topIn(c.where, r.Dest.Values, c.b)
}

// destOf turns the destination of a fast plan into that of a route.
func destOf(f *Fast) Dest {
	switch f.Kind {
	case Pinned:
		return Dest{Kind: DestPinned, ID: f.ID}
	case ByValue:
		if f.Multi != nil {
			return Dest{Kind: DestValue, Vindex: f.Multi, Values: f.Values}
		}
		return Dest{Kind: DestValue, Vindex: f.Vindex, Values: []ValueRef{f.Value}}
	case OneShard:
		return Dest{Kind: DestOneShard, Shard: f.Shard}
	}
	return Dest{Kind: DestAny}
}

// scatterable refuses what has no meaning shard by shard.
func (c *change) scatterable(r *Route) error {
	one := r.Dest.Kind == DestPinned || r.Dest.Kind == DestOneShard || r.Dest.Kind == DestAny ||
		r.Dest.Kind == DestValue && r.Dest.Vindex.Unique()
	if one {
		return nil
	}
	if c.limit != nil {
		return errcode.New(errcode.CrossShardLimit, c.verb)
	}
	if len(c.returns) > 0 {
		return errcode.New(errcode.Unsupported, c.verb+" ... RETURNING over several shards", "name the sharding key in the WHERE clause")
	}
	if c.b.env.SafeUpdates && r.Dest.Kind == DestAll && c.where == nil {
		return errcode.New(errcode.UnsafeUpdate)
	}
	return nil
}

// reference changes a reference table in all of its places.
func (c *change) reference(t *inst) (*Plan, error) {
	if hasData(without(c.a.insts, t)) {
		return nil, errcode.New(errcode.Unsupported, c.verb+" of a reference table by a table that is not one", "select the rows first and name them by key")
	}
	return c.b.everywhere(t, c.stmt, c.a.insts)
}

// kept lists the lookup vindexes whose rows the change has to maintain.
func (c *change) kept(set []parse.Assignment) ([]vschema.ColumnVindex, error) {
	var out []vschema.ColumnVindex
	for _, t := range c.targets {
		if t.table == nil {
			continue
		}
		for _, cv := range owned(t.table) {
			if set == nil || assigns(set, cv.Columns) {
				out = append(out, cv)
			}
		}
	}
	if len(out) > 0 && (len(c.sc.insts) != 1 || c.limit != nil || len(c.order) > 0 || len(c.returns) > 0) {
		return nil, errcode.New(errcode.Unsupported, c.verb+" with joins, LIMIT or RETURNING of a table that owns lookup vindexes",
			"name the rows by key in the WHERE clause")
	}
	return out, nil
}

func assigns(set []parse.Assignment, columns []string) bool {
	for _, s := range set {
		for _, c := range columns {
			if strings.EqualFold(s.Column.Name.Name, c) {
				return true
			}
		}
	}
	return false
}

// newValue is the expression that a column is set to; nil when it keeps its value.
func newValue(set []parse.Assignment, column string, ed *editor) *Text {
	var out *Text
	for _, s := range set {
		if strings.EqualFold(s.Column.Name.Name, column) {
			out = ed.compile(s.Value.Range())
		}
	}
	return out
}

// keeping puts the maintenance of lookup rows around the change.
func (c *change) keeping(r *Route, kept []vschema.ColumnVindex, set []parse.Assignment, ed *editor) (Op, error) {
	t := c.sc.insts[0]
	op := &Change{Route: r, Table: t.table, Delete: set == nil}
	read := &Text{}
	lead := "SELECT "
	column := func(name string) {
		read.add(piece{kind: pieceFixed, fixed: lead + quoteName(name)})
		lead = ", "
	}
	for _, name := range t.table.ColumnVindexes[0].Columns {
		column(name)
		op.KeyCols++
	}
	for _, cv := range kept {
		lk, ok := cv.Vindex.(vindex.Lookup)
		if !ok {
			continue
		}
		op.Owned = append(op.Owned, Owned{Vindex: lk, Table: cv.Lookup, Columns: cv.Columns})
		for _, name := range cv.Columns {
			column(name)
		}
		for _, name := range cv.Columns {
			if set == nil {
				continue
			}
			value := newValue(set, name, ed)
			if value == nil {
				column(name)
				continue
			}
			read.append(wrap(lead+"(", value, ")"))
		}
	}
	read.add(piece{kind: pieceFixed, fixed: " FROM "})
	read.append(ed.compile(t.ref.Span))
	if c.span.End > c.span.Start {
		read.add(piece{kind: pieceFixed, fixed: " "})
		read.append(ed.compile(c.span))
	}
	read.add(piece{kind: pieceFixed, fixed: " FOR UPDATE"})
	op.Read = read
	return op, nil
}
