package plan

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// builder holds what the planning of one statement shares.
type builder struct {
	src    []byte
	slots  []parse.Slot
	env    Env
	part   parse.Span // of the source that is planned, when it is not all of it
	guards []Guard
	seen   map[string]bool // "keyspace.table"
}

// instKind is what an item of a FROM clause is to routing.
type instKind uint8

const (
	instSharded   instKind = iota + 1
	instPinned             // one keyspace id for the whole table
	instReference          // the same rows on every shard of its keyspace
	instUnsharded          // a keyspace of one shard
	instSystem             // information_schema and its like: every server has its own
	instDerived            // a subquery whose rows stay on the shards of its tables
	instOpaque             // a subquery whose rows need all of its tables together
)

// inst is one use of a table or subquery in a FROM clause.
type inst struct {
	name    string // alias, or the table's name
	schema  string // as the client may write it before the name
	kind    instKind
	ref     *parse.TableRef
	table   *vschema.Table
	vcols   []vcol
	exports map[string]colKey // instDerived: what its columns are inside
	all     *inst             // instDerived of SELECT * from one table
	block   *block
}

// vcol is a unique vindex over columns of an inst: equal columns mean the same shard.
type vcol struct {
	vindex  vindex.Vindex
	columns []string // lower case
}

// colKey is a column of an inst.
type colKey struct {
	inst *inst
	name string // lower case
}

// constraint says that a column has one of some constant values.
type constraint struct {
	col    colKey
	values []ValueRef
	in     *parse.InExpr // nil for an equality
}

// block is a set of insts with the equalities that hold for all of their rows that matter. The equalities of a
// parent hold in its children, not the other way round: the right side of a LEFT JOIN, and each subquery, is a
// child.
type block struct {
	parent *block
	place  string // for messages
	sub    bool   // a subquery in an expression or in FROM
	insts  []*inst
	eqs    [][2]colKey
	consts []constraint
}

// within reports whether b is o or a descendant of o.
func (b *block) within(o *block) bool {
	for ; b != nil; b = b.parent {
		if b == o {
			return true
		}
	}
	return false
}

// scope is where names of one SELECT are looked up.
type scope struct {
	parent *scope
	insts  []*inst
	ctes   map[string]*parse.CTE
}

// table finds a table of the vschema and notes its use.
func (b *builder) table(t parse.TableName) (*vschema.Table, error) {
	if t.Schema.Name == "" && b.env.Keyspace == "" && isSystemSchema(t.Name.Name) {
		return nil, errcode.New(errcode.NoKeyspace)
	}
	if b.env.VSchema == nil {
		return nil, errcode.New(errcode.NoKeyspace)
	}
	vt, err := b.env.VSchema.FindTable(b.env.Keyspace, t.Schema.Name, t.Name.Name)
	if err != nil {
		return nil, err
	}
	b.see(vt.Keyspace.Name, vt.Name)
	return vt, nil
}

// see notes the use of a table.
func (b *builder) see(keyspace, table string) {
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	b.seen[keyspace+"."+table] = true
}

// isSystemSchema reports whether every server has the schema for itself.
func isSystemSchema(name string) bool {
	switch strings.ToLower(name) {
	case "information_schema", "performance_schema", "mysql", "sys":
		return true
	}
	return false
}

// system reports whether the name is that of a table of a system schema, and notes its use: not every user may read
// every one. Of information_schema the servers themselves show each what he may see.
func (b *builder) system(t parse.TableName) bool {
	schema := t.Schema.Name
	if schema == "" {
		schema = b.env.Keyspace
	}
	if !isSystemSchema(schema) {
		return false
	}
	if schema = strings.ToLower(schema); schema != "information_schema" {
		b.see(schema, t.Name.Name)
	}
	return true
}

// maskingPolicies is a table that servers have only with a component. mysqldump asks for it, and takes for an error if
// the account may not read it, but not if there is none: a keyspace has no policies of its own.
const maskingPolicies = "column_masking_policy"

// newInst describes one use of a table.
func (b *builder) newInst(ref *parse.TableRef) (*inst, error) {
	i := &inst{name: ref.Alias.Name, schema: ref.Table.Schema.Name, ref: ref}
	if i.name == "" {
		i.name = ref.Table.Name.Name
	} else {
		i.schema = ""
	}
	if b.system(ref.Table) {
		if strings.EqualFold(ref.Table.Name.Name, maskingPolicies) {
			return nil, errcode.New(errcode.NoSuchTable, "performance_schema", maskingPolicies)
		}
		i.kind = instSystem
		return i, nil
	}
	t, err := b.table(ref.Table)
	if err != nil {
		return nil, err
	}
	if err := t.Err(); err != nil {
		return nil, err
	}
	i.table = t
	i.kind = kindOf(t)
	if i.kind == instSharded {
		i.vcols = uniqueVindexes(t)
		if len(t.ColumnVindexes) == 0 {
			return nil, errcode.New(errcode.NoPrimaryVindex, t.Keyspace.Name, t.Name)
		}
	}
	return i, nil
}

func kindOf(t *vschema.Table) instKind {
	switch {
	case !t.Keyspace.Sharded:
		return instUnsharded
	case t.Reference:
		return instReference
	case len(t.Pinned) > 0:
		return instPinned
	}
	return instSharded
}

// uniqueVindexes lists the vindexes whose columns tell the shard of a row without a look at other tables; the
// primary comes first.
func uniqueVindexes(t *vschema.Table) []vcol {
	var out []vcol
	for _, cv := range t.ColumnVindexes {
		if !cv.Vindex.Unique() || cv.Vindex.NeedsLookup() {
			continue
		}
		out = append(out, vcol{vindex: cv.Vindex, columns: lowerAll(cv.Columns)})
	}
	return out
}

func lowerAll(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToLower(n)
	}
	return out
}

// find resolves a column; ok is false when the vschema does not tell which table it belongs to.
func (s *scope) find(c *parse.ColumnRef) (colKey, bool) {
	for ; s != nil; s = s.parent {
		if i := s.owner(c); i != nil {
			return i.column(c.Name.Name), true
		}
	}
	return colKey{}, false
}

// column is the key of the inst's column.
func (i *inst) column(name string) colKey { return colKey{inst: i, name: strings.ToLower(name)} }

// owner returns the inst of this scope alone that the column belongs to, nil when it is none or unknown.
func (s *scope) owner(c *parse.ColumnRef) *inst {
	if c.Table.Name.Name != "" {
		for _, i := range s.insts {
			if i.name == c.Table.Name.Name && (c.Table.Schema.Name == "" || i.schema == "" || i.schema == c.Table.Schema.Name) {
				return i
			}
		}
		return nil
	}
	name := strings.ToLower(c.Name.Name)
	if len(s.insts) == 1 {
		if s.insts[0].lacks(name) {
			return nil
		}
		return s.insts[0]
	}
	var found *inst
	for _, i := range s.insts {
		if !i.has(name) {
			continue
		}
		if found != nil {
			return nil
		}
		found = i
	}
	return found
}

// has reports whether the inst surely has a column of the name.
func (i *inst) has(name string) bool {
	if i.table != nil {
		for _, cv := range i.table.ColumnVindexes {
			for _, c := range cv.Columns {
				if strings.EqualFold(c, name) {
					return true
				}
			}
		}
		for _, c := range i.table.Columns {
			if strings.EqualFold(c.Name, name) {
				return true
			}
		}
	}
	if _, ok := i.exports[name]; ok {
		return true
	}
	return i.all != nil && i.all.has(name)
}

// lacks reports whether the inst surely has no column of the name.
func (i *inst) lacks(name string) bool {
	if i.table != nil {
		return i.table.Authoritative && !i.has(name)
	}
	return i.kind == instDerived && i.all == nil && len(i.exports) > 0 && !i.has(name)
}

// equalities are the column classes and constants that hold in one block.
type equalities struct {
	up     map[colKey]colKey
	consts map[colKey][]constraint
}

// equalities collects what holds in the block.
func (b *block) equalities() *equalities {
	e := &equalities{up: map[colKey]colKey{}, consts: map[colKey][]constraint{}}
	for x := b; x != nil; x = x.parent {
		for _, q := range x.eqs {
			if r, s := e.root(q[0]), e.root(q[1]); r != s {
				e.up[r] = s
			}
		}
	}
	for x := b; x != nil; x = x.parent {
		for _, c := range x.consts {
			r := e.root(c.col)
			e.consts[r] = append(e.consts[r], c)
		}
	}
	return e
}

func (e *equalities) root(k colKey) colKey {
	for {
		next, ok := e.up[k]
		if !ok {
			return k
		}
		k = next
	}
}

// value returns the constant that a column equals.
func (e *equalities) value(k colKey) (ValueRef, bool) {
	for _, c := range e.consts[e.root(k)] {
		if len(c.values) == 1 {
			return c.values[0], true
		}
	}
	return ValueRef{}, false
}

// sameShard reports whether rows of x and y that meet in the block are always on one shard.
func (b *builder) sameShard(x, y *inst, e *equalities) bool {
	if x.kind == instPinned && y.kind == instPinned {
		return string(x.table.Pinned) == string(y.table.Pinned)
	}
	for _, v := range x.vcols {
		for _, w := range y.vcols {
			if v.vindex == w.vindex && len(v.columns) == len(w.columns) && b.sameColumns(x, y, v, w, e) {
				return true
			}
		}
	}
	return false
}

func (b *builder) sameColumns(x, y *inst, v, w vcol, e *equalities) bool {
	for n := range v.columns {
		kx, ky := colKey{x, v.columns[n]}, colKey{y, w.columns[n]}
		if e.root(kx) == e.root(ky) {
			continue
		}
		vx, okX := e.value(kx)
		vy, okY := e.value(ky)
		if !okX || !okY {
			return false
		}
		same, guard := b.sameValue(vx, vy)
		if !same {
			return false
		}
		if guard {
			b.guardSlot(vx.Slot)
			b.guardSlot(vy.Slot)
		}
	}
	return true
}
