package vschema

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// Input is what a keyspace brings to a Cluster.
type Input struct {
	JSON   string   // its vschema; empty: unsharded if it has one shard or none
	Shards []string // names of its shards
}

// Problem is a mistake in a vschema or in the routing rules.
type Problem struct {
	Keyspace string // empty: the routing rules
	Place    string // in the document, such as tables.orders.column_vindexes[0]
	Err      error
}

func (p *Problem) Error() string {
	if p.Keyspace == "" {
		return "routing rules: " + p.Place + ": " + p.Err.Error()
	}
	return "keyspace " + p.Keyspace + ": " + p.Place + ": " + p.Err.Error()
}

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

// NewCluster compiles the vschemas of all keyspaces and the routing rules. The Cluster is always usable; the problems (each a
// *Problem) say what in it is not, and what they concern answers with that error.
func NewCluster(inputs map[string]Input, rules string, version uint64) (*Cluster, []error) {
	return NewClusterWith(inputs, rules, version, vindex.Options{})
}

// NewClusterWith is NewCluster with what vindexes need from outside, such as the files that their parameters name.
func NewClusterWith(inputs map[string]Input, rules string, version uint64, opts vindex.Options) (*Cluster, []error) {
	b := &builder{
		cluster: &Cluster{version: version, keyspaces: map[string]*Keyspace{}, global: map[string][]*Table{}},
		docs:    map[string]*Document{},
		opts:    opts,
	}
	names := slices.Sorted(maps.Keys(inputs))
	for _, name := range names {
		b.addKeyspace(name, inputs[name])
	}
	// Tables first, then what they say of one another.
	each := func(do func(k *Keyspace, doc *Document)) {
		for _, name := range names {
			if doc := b.docs[name]; doc != nil {
				do(b.cluster.keyspaces[name], doc)
			}
		}
	}
	each(b.addTables)
	each(b.addVindexes)
	each(b.addColumnVindexes)
	each(b.addSequences)
	each(b.addSources)
	for _, name := range names {
		k := b.cluster.keyspaces[name]
		if k.RequireExplicitRouting {
			continue
		}
		for _, t := range k.Tables() {
			b.cluster.global[t.Name] = append(b.cluster.global[t.Name], t)
		}
	}
	parsed, err := ParseRules(rules)
	if err != nil {
		b.problems = append(b.problems, &Problem{Place: "rules", Err: err})
		parsed = &Rules{}
	}
	b.problems = append(b.problems, b.cluster.setRules(parsed)...)
	return b.cluster, b.problems
}

// Check returns the problems that the keyspace would have with text as its vschema, and those that it would newly cause in other
// keyspaces or in the routing rules; nil if text may be applied. inputs and rules are the cluster as it is.
func Check(inputs map[string]Input, rules, keyspace, text string, opts vindex.Options) []error {
	known := map[string]bool{}
	_, before := NewClusterWith(inputs, rules, 0, opts)
	for _, p := range before {
		known[p.Error()] = true
	}
	changed := maps.Clone(inputs)
	if changed == nil {
		changed = map[string]Input{}
	}
	changed[keyspace] = Input{JSON: text, Shards: inputs[keyspace].Shards}
	_, after := NewClusterWith(changed, rules, 0, opts)
	return slices.DeleteFunc(after, func(err error) bool {
		var p *Problem
		own := errors.As(err, &p) && p.Keyspace == keyspace
		return !own && known[err.Error()]
	})
}

// builder makes a Cluster. Its steps run once each, in the order of NewClusterWith.
type builder struct {
	cluster  *Cluster
	docs     map[string]*Document // of the keyspaces whose document could be read
	opts     vindex.Options
	problems []error
}

func (b *builder) problem(k *Keyspace, place string, err error) error {
	p := &Problem{Keyspace: k.Name, Place: place, Err: err}
	b.problems = append(b.problems, p)
	return errcode.Wrap(errcode.InvalidVSchema, p, k.Name, place+": "+err.Error())
}

// breakTable notes a problem of the table; the first one is what its users see.
func (b *builder) breakTable(t *Table, place string, err error) {
	wrapped := b.problem(t.Keyspace, "tables."+t.Name+place, err)
	if t.broken == nil {
		t.broken = wrapped
	}
}

func (b *builder) addKeyspace(name string, in Input) {
	k := &Keyspace{Name: name, tables: map[string]*Table{}, vindexes: map[string]vindex.Vindex{}}
	b.cluster.keyspaces[name] = k
	ranges := make([]vindex.KeyRange, 0, len(in.Shards))
	for _, shard := range in.Shards {
		r, err := vindex.ParseShardName(shard)
		if err != nil {
			b.problem(k, "shards", err)
			continue
		}
		k.Shards = append(k.Shards, ShardInfo{Name: shard, Range: r})
		ranges = append(ranges, r)
	}
	slices.SortFunc(k.Shards, func(a, b ShardInfo) int { return vindex.CompareRanges(a.Range, b.Range) })
	// A keyspace that is being split still has its one shard beside the new ones.
	split := len(ranges) > 0 && !slices.ContainsFunc(ranges, vindex.KeyRange.Whole)
	if strings.TrimSpace(in.JSON) == "" {
		k.Sharded = split
		return
	}
	doc, err := Parse(in.JSON)
	if err != nil {
		k.Sharded = true // nothing is known of its tables, so that none may be used
		k.broken = b.problem(k, "vschema", err)
		return
	}
	b.docs[name] = doc
	k.Sharded, k.RequireExplicitRouting, k.ForeignKeyMode = doc.Sharded, doc.RequireExplicitRouting, doc.ForeignKeyMode
	if split && !k.Sharded {
		k.broken = b.problem(k, "sharded", fmt.Errorf("is false, but the keyspace has the shards %s", strings.Join(in.Shards, ", ")))
	}
}

func (b *builder) addTables(k *Keyspace, doc *Document) {
	for _, name := range slices.Sorted(maps.Keys(doc.Tables)) {
		td := doc.Tables[name]
		t := &Table{Keyspace: k, Name: name, Type: td.Type, Reference: td.Type == TypeReference, Authoritative: td.ColumnListAuthoritative}
		k.tables[name] = t
		if td.Pinned != "" {
			id, err := hex.DecodeString(td.Pinned)
			if err != nil {
				b.breakTable(t, ".pinned", err)
			}
			t.Pinned = id
		}
		b.addColumns(t, td)
		hasVindexes, placed := len(td.ColumnVindexes) > 0, t.Reference || td.Pinned != ""
		switch {
		case td.Source != "" && !t.Reference:
			b.breakTable(t, ".source", errors.New("only a table of type reference has a source"))
		case !k.Sharded:
		case t.Type == TypeSequence && td.Pinned == "":
			b.breakTable(t, ".type", errors.New("a sequence belongs in an unsharded keyspace, or must be pinned to a keyspace id"))
		case placed && hasVindexes:
			b.breakTable(t, ".column_vindexes", errors.New("a reference or pinned table has no vindexes: its rows have their place already"))
		case !placed && !hasVindexes:
			b.breakTable(t, ".column_vindexes", errors.New("is missing: a table of a sharded keyspace needs a primary vindex, or type reference, or pinned"))
		}
	}
}

func (b *builder) addColumns(t *Table, td TableDoc) {
	for i, c := range td.Columns {
		place := fmt.Sprintf(".columns[%d].name", i)
		if err := checkName(c.Name); err != nil {
			b.breakTable(t, place, err)
		}
		if t.Column(c.Name) != nil {
			b.breakTable(t, place, fmt.Errorf("column %s is there twice", c.Name))
		}
		t.Columns = append(t.Columns, Column{Name: c.Name, Type: c.Type, Collation: c.CollationName, Invisible: c.Invisible})
	}
}

// addVindexes makes the vindexes. One that can't be made breaks the tables that use it, in addColumnVindexes.
func (b *builder) addVindexes(k *Keyspace, doc *Document) {
	for _, name := range slices.Sorted(maps.Keys(doc.Vindexes)) {
		vd := doc.Vindexes[name]
		place := "vindexes." + name
		v, err := vindex.New(vd.Type, name, b.qualified(k, vd), b.opts)
		if err != nil {
			b.problem(k, place, err)
			continue
		}
		if vd.Owner != "" {
			if err := checkOwner(doc, name, vd.Owner); err != nil {
				b.problem(k, place+".owner", err)
				continue
			}
		}
		k.vindexes[name] = v
	}
}

// checkOwner checks that the owner's writes will maintain the lookup table. A vindex that no table uses has no effect, and may be
// there before its owner: ALTER VSCHEMA makes the one, then the other.
func checkOwner(doc *Document, name, owner string) error {
	uses := func(t TableDoc) bool {
		return slices.ContainsFunc(t.ColumnVindexes, func(cv ColumnVindexDoc) bool { return cv.Name == name })
	}
	t, ok := doc.Tables[owner]
	switch {
	case ok && uses(t), !slices.ContainsFunc(sortedByName(doc.Tables), uses):
		return nil
	case !ok:
		return fmt.Errorf("there is no table %s in the keyspace", owner)
	}
	return fmt.Errorf("table %s does not use the vindex in its column_vindexes", owner)
}

// qualified returns the parameters of a vindex with the keyspace of its lookup table written out, where a bare table name tells it.
func (b *builder) qualified(k *Keyspace, vd VindexDoc) map[string]string {
	table, ok := vd.Params["table"]
	if !ok {
		return vd.Params
	}
	ks, name, err := splitTable(strings.TrimSpace(table))
	if err != nil || ks != "" {
		return vd.Params
	}
	home := b.home(k, name)
	if home == nil {
		return vd.Params
	}
	params := maps.Clone(vd.Params)
	params["table"] = home.Keyspace.Name + "." + name
	return params
}

// home finds a table that a vschema names without a keyspace: in the keyspace itself, else the only one of the name elsewhere.
func (b *builder) home(k *Keyspace, name string) *Table {
	if t := k.tables[name]; t != nil {
		return t
	}
	var found *Table
	for _, ks := range b.cluster.Keyspaces() {
		if t := ks.tables[name]; t != nil {
			if found != nil {
				return nil
			}
			found = t
		}
	}
	return found
}

// resolve finds the table that a vschema names as table or keyspace.table; in an unsharded keyspace it need not be declared.
func (b *builder) resolve(k *Keyspace, name string) (*Table, error) {
	ks, table, err := splitTable(strings.TrimSpace(name))
	if err != nil {
		return nil, err
	}
	if ks == "" {
		if t := b.home(k, table); t != nil {
			return t, nil
		}
		return nil, fmt.Errorf("no keyspace, or more than one, declares a table %s: write it as keyspace.table", table)
	}
	target := b.cluster.keyspaces[ks]
	switch {
	case target == nil:
		return nil, fmt.Errorf("there is no keyspace %s", ks)
	case target.tables[table] != nil:
		return target.tables[table], nil
	case target.Sharded:
		return nil, fmt.Errorf("keyspace %s is sharded and declares no table %s", ks, table)
	}
	return &Table{Keyspace: target, Name: table}, nil
}

func (b *builder) addColumnVindexes(k *Keyspace, doc *Document) {
	if !k.Sharded {
		return // its tables have their place already; vindexes may be prepared for the time when it is sharded
	}
	for _, t := range k.Tables() {
		if t.Reference || t.Pinned != nil {
			continue
		}
		for i, cvd := range doc.Tables[t.Name].ColumnVindexes {
			place := fmt.Sprintf(".column_vindexes[%d]", i)
			cv, err := b.columnVindex(t, cvd, doc)
			if err == nil && i == 0 {
				err = checkPrimary(cv)
			}
			if _, multi := cv.Vindex.(vindex.MultiColumn); err == nil && multi && i > 0 {
				err = fmt.Errorf("vindex %s maps several columns and can only be the primary (first) one", cv.Name)
			}
			if err != nil {
				b.breakTable(t, place, err)
				continue
			}
			t.ColumnVindexes = append(t.ColumnVindexes, cv)
		}
	}
}

func checkPrimary(cv ColumnVindex) error {
	switch {
	case !cv.Vindex.Unique():
		return fmt.Errorf("the primary (first) vindex must be unique, and type %s of %s is not", cv.Vindex.Type(), cv.Name)
	case cv.Owned:
		return fmt.Errorf("the primary (first) vindex %s can't be owned by its table: the lookup row could not be written before the row's shard is known", cv.Name)
	}
	return nil
}

func (b *builder) columnVindex(t *Table, d ColumnVindexDoc, doc *Document) (ColumnVindex, error) {
	cv := ColumnVindex{Name: d.Name, Columns: d.Columns}
	vd, ok := doc.Vindexes[d.Name]
	switch {
	case d.Name == "":
		return cv, errors.New("name is missing: want the name of a vindex")
	case !ok:
		return cv, fmt.Errorf("the keyspace has no vindex %s", d.Name)
	case d.Column != "" && len(d.Columns) > 0:
		return cv, errors.New("give column or columns, not both")
	case d.Column != "":
		cv.Columns = []string{d.Column}
	case len(d.Columns) == 0:
		return cv, errors.New("column or columns is missing")
	}
	if cv.Vindex, ok = t.Keyspace.vindexes[d.Name]; !ok {
		return cv, fmt.Errorf("vindex %s is not usable (it has a problem of its own)", d.Name)
	}
	if err := checkColumns(t, cv); err != nil {
		return cv, err
	}
	lookup, ok := cv.Vindex.(vindex.Lookup)
	if !ok {
		return cv, nil
	}
	cv.Owned = vd.Owner == t.Name
	lt := lookup.Table()
	name := lt.Name
	if lt.Keyspace != "" {
		name = lt.Keyspace + "." + lt.Name
	}
	table, err := b.resolve(t.Keyspace, name)
	if err != nil {
		return cv, fmt.Errorf("vindex %s: lookup table %s: %w", d.Name, name, err)
	}
	cv.Lookup = table
	return cv, nil
}

// checkColumns checks the columns of a column vindex: as many as the vindex maps, each once, and declared where the list is complete.
func checkColumns(t *Table, cv ColumnVindex) error {
	want := 1
	switch v := cv.Vindex.(type) {
	case vindex.MultiColumn:
		want = v.Columns()
	case vindex.Lookup:
		want = len(v.Table().FromColumns)
	}
	if len(cv.Columns) != want {
		return fmt.Errorf("vindex %s of type %s maps %d columns, and %d are given", cv.Name, cv.Vindex.Type(), want, len(cv.Columns))
	}
	for i, c := range cv.Columns {
		if err := checkName(c); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
		if cv.Index(c) != i {
			return fmt.Errorf("column %s is there twice", c)
		}
		if t.Authoritative && t.Column(c) == nil {
			return fmt.Errorf("column %s is not in the table's columns, which are said to be complete", c)
		}
	}
	return nil
}

func (b *builder) addSequences(k *Keyspace, doc *Document) {
	for _, t := range k.Tables() {
		d := doc.Tables[t.Name].AutoIncrement
		if d == nil {
			continue
		}
		if err := checkName(d.Column); err != nil {
			b.breakTable(t, ".auto_increment.column", err)
			continue
		}
		seq, err := b.resolve(k, d.Sequence)
		switch {
		case err != nil:
			err = fmt.Errorf("sequence %q: %w", d.Sequence, err)
		case seq.Type != TypeSequence:
			err = fmt.Errorf(`table %s is not declared with "type": "sequence"`, seq)
		case seq.broken != nil:
			err = fmt.Errorf("sequence %s has a problem of its own", seq)
		case t.Authoritative && t.Column(d.Column) == nil:
			err = fmt.Errorf("column %s is not in the table's columns, which are said to be complete", d.Column)
		}
		if err != nil {
			b.breakTable(t, ".auto_increment", err)
			continue
		}
		t.AutoIncrement = &AutoInc{Column: d.Column, Sequence: seq}
	}
}

func (b *builder) addSources(k *Keyspace, doc *Document) {
	for _, t := range k.Tables() {
		name := doc.Tables[t.Name].Source
		if name == "" || !t.Reference {
			continue
		}
		source, err := b.resolve(k, name)
		switch {
		case err != nil:
		case source.Keyspace == k:
			err = fmt.Errorf("table %s is in the same keyspace", source)
		case source.Type == TypeSequence:
			err = fmt.Errorf("table %s is a sequence", source)
		case b.sourceOf(source) != "":
			err = fmt.Errorf("table %s has itself a source, %s: name that one", source, b.sourceOf(source))
		case slices.ContainsFunc(source.ReferencedBy, func(o *Table) bool { return o.Keyspace == k }):
			err = fmt.Errorf("another table of the keyspace has the source %s already", source)
		}
		if err != nil {
			b.breakTable(t, ".source", err)
			continue
		}
		t.Source = source
		source.ReferencedBy = append(source.ReferencedBy, t)
	}
}

func (b *builder) sourceOf(t *Table) string {
	if doc := b.docs[t.Keyspace.Name]; doc != nil {
		return doc.Tables[t.Name].Source
	}
	return ""
}
