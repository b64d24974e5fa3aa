package plan

import (
	"fmt"
	"strings"
)

// Explain prints the plan for people, one line per node, two blanks per level.
func (p *Plan) Explain() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %s (%s)\n", p.Class, p.Way, p.Reason)
	if len(p.Tables) > 0 {
		fmt.Fprintf(&s, "tables: %s\n", strings.Join(p.Tables, ", "))
	}
	if p.Fast != nil {
		s.WriteString(p.Fast.line() + "\n")
	}
	if p.Root != nil {
		explainOp(&s, p.Root, 0)
	}
	if len(p.Guards) > 0 {
		texts := make([]string, 0, len(p.Guards))
		for _, g := range p.Guards {
			texts = append(texts, fmt.Sprintf("literal %d is %s", g.Slot+1, g.Text))
		}
		fmt.Fprintf(&s, "holds while %s\n", strings.Join(texts, ", "))
	}
	return s.String()
}

func explainOp(s *strings.Builder, o Op, depth int) {
	s.WriteString(strings.Repeat("  ", depth) + o.line() + "\n")
	for _, in := range o.Inputs() {
		explainOp(s, in, depth+1)
	}
}

func (f *Fast) line() string {
	out := "one shard of " + f.Keyspace
	switch f.Kind {
	case Unsharded:
		out = "the shard of " + f.Keyspace
	case AnyShard:
		out = "any shard of " + f.Keyspace
		if f.Keyspace == "" {
			out = "any shard"
		}
	case ByValue:
		out = "shard of " + f.Keyspace + " by " + vindexName(f) + refNames(f.refs())
	case Pinned:
		out = fmt.Sprintf("shard of %s with keyspace id %x", f.Keyspace, f.ID)
	case OneShard:
		out = "shard " + f.Keyspace + "/" + f.Shard
	}
	if f.Rewrite != nil {
		out += ": " + f.Rewrite.String()
	}
	return out
}

func vindexName(f *Fast) string {
	if f.Vindex != nil {
		return f.Vindex.Name()
	}
	return f.Multi.Name()
}

// refNames prints where values stand.
func refNames(refs []ValueRef) string {
	names := make([]string, 0, len(refs))
	for _, r := range refs {
		switch {
		case r.Const != nil && r.Const.Raw == nil:
			names = append(names, "NULL")
		case r.Const != nil:
			names = append(names, string(r.Const.Raw))
		case r.Param >= 0:
			names = append(names, fmt.Sprintf("parameter %d", r.Param+1))
		case r.Negate:
			names = append(names, fmt.Sprintf("- literal %d", r.Slot+1))
		default:
			names = append(names, fmt.Sprintf("literal %d", r.Slot+1))
		}
	}
	return "(" + strings.Join(names, ", ") + ")"
}

func (d *Dest) String() string {
	switch d.Kind {
	case DestAll:
		return "all shards"
	case DestAny:
		return "any shard"
	case DestPinned:
		return fmt.Sprintf("keyspace id %x", d.ID)
	case DestOneShard:
		return "shard " + d.Shard
	case DestHeads:
		return "one shard of each of " + strings.Join(d.Heads, ", ")
	}
	how := "by "
	if d.Kind == DestIn {
		how = "by each of "
	}
	if d.Lookup != nil {
		how += "lookup in " + d.Lookup.String() + " "
	}
	return how + d.Vindex.Name() + refNames(d.Values)
}

func (r *Route) line() string {
	flags := ""
	for _, f := range []struct {
		on   bool
		name string
	}{{r.Write, " write"}, {r.Lock, " lock"}, {r.Split, " split"}, {r.FirstOK, " same-on-each"}} {
		if f.on {
			flags += f.name
		}
	}
	return fmt.Sprintf("Route%s %s %s: %s", flags, r.Keyspace, r.Dest.String(), r.Text)
}

func (c Column) String() string {
	if c == NoColumn {
		return "-"
	}
	return fmt.Sprintf("#%d", int(c))
}

func keyNames(keys []Key) string {
	names := make([]string, 0, len(keys))
	for _, k := range keys {
		n := k.Col.String()
		if k.Weight != NoColumn {
			n += " by " + k.Weight.String()
		}
		if k.Desc {
			n += " desc"
		}
		names = append(names, n)
	}
	return strings.Join(names, ", ")
}

func (m *Merge) line() string { return "Merge " + keyNames(m.Keys) }
func (d *Dedup) line() string { return "Dedup " + keyNames(d.Keys) }
func (s *Sort) line() string  { return "Sort " + keyNames(s.Keys) }
func (s *Strip) line() string { return fmt.Sprintf("Strip %d", s.Hidden) }

func (l *Limit) line() string {
	out := fmt.Sprintf("Limit %d offset %d", l.Count, l.Offset)
	if l.CalcFound {
		out += " count-all"
	}
	return out
}

var aggNames = [...]string{"", "count", "sum", "min", "max", "avg", "bit_and", "bit_or", "bit_xor", "count_distinct", "sum_distinct", "avg_distinct", "concat"}

func (g *Group) line() string {
	out := "Group"
	if g.Scalar {
		out = "Group to one row"
	}
	if len(g.Keys) > 0 {
		out += " by " + keyNames(g.Keys)
	}
	for _, a := range g.Aggs {
		out += fmt.Sprintf("; %s %s", a.Col, aggNames[a.Kind])
		for _, c := range []Column{a.Weight, a.Sum, a.Count} {
			if c != NoColumn {
				out += " " + c.String()
			}
		}
		if len(a.Args) > 0 {
			out += " of " + keyNames(a.Args)
		}
	}
	return out
}

func (f *Finish) line() string {
	return fmt.Sprintf("Finish on %s: %s FROM (%d columns)%s", f.Keyspace, f.Head, f.Columns, f.Tail)
}

func (i *Insert) line() string {
	rows := fmt.Sprintf("%d rows", len(i.Rows))
	if i.Select != nil {
		rows = "the rows of a query"
	}
	if i.Bulk != nil {
		rows = fmt.Sprintf("%d batches of rows", len(i.Bulk))
	}
	out := fmt.Sprintf("Insert %s into %s", rows, i.Table)
	if i.Table.AutoIncrement != nil {
		out += " with " + i.Table.AutoIncrement.Sequence.String()
	}
	return out
}

func (c *Change) line() string {
	verb := "Update"
	if c.Delete {
		verb = "Delete"
	}
	out := verb + " " + c.Table.String() + " keeping"
	for _, o := range c.Owned {
		out += " " + o.Table.String()
	}
	return out + " after " + c.Read.String()
}

func (b *Broadcast) line() string {
	return "Broadcast to " + b.Keyspace + ": " + b.Text.String()
}

func (l *Lines) line() string { return fmt.Sprintf("Lines %d", len(l.Text)) }

func (n *NextValue) line() string {
	return fmt.Sprintf("NextValue %d of %s", n.Count, n.Sequence)
}

func (n *Note) line() string { return "Note " + n.Text }
