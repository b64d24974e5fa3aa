package vschema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// AlterOp is what an ALTER VSCHEMA statement does.
type AlterOp uint8

// Operations of ALTER VSCHEMA.
const (
	AddTable AlterOp = iota
	DropTable
	CreateVindex
	DropVindex
	AddTableVindex
	DropTableVindex
	AddSequence
	DropSequence
	AddAutoIncrement
	DropAutoIncrement
)

// Alter is an ALTER VSCHEMA statement.
type Alter struct {
	Op       AlterOp
	Keyspace string // as qualified in the statement; empty: the session's
	Table    string // all but CreateVindex and DropVindex
	Vindex   string // the vindex operations
	Columns  []string
	// Define says that the statement gives the vindex's type (USING ...), so that it is to be made, or must be like this.
	Define   bool
	Type     string
	Params   map[string]string
	Owner    string
	Sequence string // AddAutoIncrement: sequence, or keyspace.sequence
	Column   string // AddAutoIncrement
}

// ParseAlter reads one of
//
//	ALTER VSCHEMA ADD TABLE t | DROP TABLE t | ADD SEQUENCE s | DROP SEQUENCE s
//	ALTER VSCHEMA CREATE VINDEX v USING type [WITH param = value, ...] | DROP VINDEX v
//	ALTER VSCHEMA ON t ADD VINDEX v (column, ...) [USING type [WITH param = value, ...]] | ON t DROP VINDEX v
//	ALTER VSCHEMA ON t ADD AUTO_INCREMENT column USING sequence | ON t DROP AUTO_INCREMENT
//
// where t, s and v may be qualified by a keyspace. The parameter owner is the vindex's owner.
func ParseAlter(sql string) (Alter, error) {
	if len(sql) > maxAlter {
		return Alter{}, fmt.Errorf("the statement has %d bytes, at most %d are accepted", len(sql), maxAlter)
	}
	if !utf8.ValidString(sql) {
		return Alter{}, errors.New("ALTER VSCHEMA: the statement is not valid UTF-8")
	}
	p := &alterParser{lexer: lexer{src: sql}}
	p.next()
	a := p.statement()
	if p.err == nil && p.tok.is(";") {
		p.next()
	}
	if p.err == nil && p.tok.kind != tokEnd {
		p.fail("the end of the statement")
	}
	if p.err != nil {
		return Alter{}, fmt.Errorf("ALTER VSCHEMA: %w", p.err)
	}
	return a, nil
}

// maxAlter bounds a statement: the JSON of a static map may stand in a parameter.
const maxAlter = 1 << 20

// alterParser is a recursive descent over the lexer; after the first error it only fails.
type alterParser struct {
	lexer
	tok token
	err error
}

func (p *alterParser) next() {
	if p.err != nil {
		return
	}
	p.tok, p.err = p.token()
}

func (p *alterParser) fail(want string) {
	if p.err == nil {
		p.err = fmt.Errorf("want %s at %s", want, p.tok.describe())
	}
}

// accept takes the keyword or sign if it is there.
func (p *alterParser) accept(word string) bool {
	if p.err != nil || !p.tok.is(word) {
		return false
	}
	p.next()
	return true
}

func (p *alterParser) expect(word string) {
	if !p.accept(word) {
		p.fail(word)
	}
}

func (p *alterParser) name(what string) string {
	if p.err != nil || p.tok.kind != tokWord && p.tok.kind != tokQuoted {
		p.fail(what)
		return ""
	}
	name := p.tok.text
	if err := checkName(name); err != nil {
		p.err = fmt.Errorf("%s: %w", what, err)
	}
	p.next()
	return name
}

// qualified reads name or keyspace.name.
func (p *alterParser) qualified(what string) (keyspace, name string) {
	name = p.name(what)
	if p.accept(".") {
		return name, p.name(what)
	}
	return "", name
}

func (p *alterParser) statement() (a Alter) {
	p.expect("ALTER")
	p.expect("VSCHEMA")
	switch {
	case p.accept("ON"):
		a.Keyspace, a.Table = p.qualified("a table")
		p.onTable(&a)
	case p.accept("ADD"):
		if p.accept("SEQUENCE") {
			a.Op = AddSequence
		} else if p.expect("TABLE"); p.err == nil {
			a.Op = AddTable
		}
		a.Keyspace, a.Table = p.qualified("a name")
	case p.accept("CREATE"):
		p.expect("VINDEX")
		a.Op = CreateVindex
		a.Keyspace, a.Vindex = p.qualified("a vindex")
		p.define(&a)
		if !a.Define {
			p.fail("USING")
		}
	case p.accept("DROP"):
		switch {
		case p.accept("VINDEX"):
			a.Op = DropVindex
			a.Keyspace, a.Vindex = p.qualified("a vindex")
		case p.accept("SEQUENCE"):
			a.Op = DropSequence
			a.Keyspace, a.Table = p.qualified("a sequence")
		default:
			p.expect("TABLE")
			a.Op = DropTable
			a.Keyspace, a.Table = p.qualified("a table")
		}
	default:
		p.fail("ADD, DROP, CREATE or ON")
	}
	return a
}

// onTable reads what follows ON table.
func (p *alterParser) onTable(a *Alter) {
	switch {
	case p.accept("ADD"):
		if p.accept("AUTO_INCREMENT") {
			a.Op = AddAutoIncrement
			a.Column = p.name("a column")
			p.expect("USING")
			keyspace, sequence := p.qualified("a sequence")
			a.Sequence = join(keyspace, sequence)
			return
		}
		p.expect("VINDEX")
		a.Op = AddTableVindex
		a.Vindex = p.name("a vindex")
		p.expect("(")
		a.Columns = append(a.Columns, p.name("a column"))
		for p.accept(",") {
			a.Columns = append(a.Columns, p.name("a column"))
		}
		p.expect(")")
		p.define(a)
	case p.accept("DROP"):
		if p.accept("AUTO_INCREMENT") {
			a.Op = DropAutoIncrement
			return
		}
		p.expect("VINDEX")
		a.Op = DropTableVindex
		a.Vindex = p.name("a vindex")
	default:
		p.fail("ADD or DROP")
	}
}

// define reads [USING type [WITH param = value, ...]].
func (p *alterParser) define(a *Alter) {
	if !p.accept("USING") {
		return
	}
	a.Define = true
	a.Type = strings.ToLower(p.name("a vindex type"))
	if !p.accept("WITH") {
		return
	}
	for {
		name := strings.ToLower(p.name("a parameter"))
		p.expect("=")
		value := p.value()
		if p.err != nil {
			return
		}
		if _, twice := a.Params[name]; twice || name == "owner" && a.Owner != "" {
			p.err = fmt.Errorf("parameter %s is there twice", name)
			return
		}
		if name == "owner" {
			a.Owner = bare(value)
		} else {
			put(&a.Params, name, value)
		}
		if !p.accept(",") {
			return
		}
	}
}

// value reads a parameter's value: a string in quotes, or words and numbers joined by dots.
func (p *alterParser) value() string {
	if p.err == nil && p.tok.kind == tokString {
		text := p.tok.text
		p.next()
		return text
	}
	value := p.atom()
	for p.accept(".") {
		value += "." + p.atom()
	}
	return value
}

func (p *alterParser) atom() string {
	if p.err != nil || p.tok.kind != tokWord && p.tok.kind != tokQuoted {
		p.fail("a value")
		return ""
	}
	text := p.tok.text
	p.next()
	return text
}

func join(keyspace, name string) string {
	if keyspace == "" {
		return name
	}
	return keyspace + "." + name
}

// Apply returns the vschema (JSON) changed as the statement says, in canonical form. It checks what the statement
// changes, not the whole: Check does that.
func Apply(text string, a Alter) (string, error) {
	doc, err := Parse(text)
	if err != nil {
		return "", fmt.Errorf("the vschema as it is: %w", err)
	}
	if err := doc.alter(a); err != nil {
		return "", err
	}
	return doc.Encode(), nil
}

// alter changes the document; after an error it is of no use.
func (d *Document) alter(a Alter) error {
	switch a.Op {
	case AddTable, AddSequence:
		return d.addTable(a)
	case DropTable, DropSequence:
		return d.dropTable(a)
	case CreateVindex:
		return d.createVindex(a)
	case DropVindex:
		return d.dropVindex(a.Vindex)
	case AddTableVindex:
		return d.addTableVindex(a)
	case DropTableVindex:
		return d.dropTableVindex(a)
	case AddAutoIncrement, DropAutoIncrement:
		return d.setAutoIncrement(a)
	}
	return fmt.Errorf("unknown operation %d", a.Op)
}

func (d *Document) addTable(a Alter) error {
	if _, ok := d.Tables[a.Table]; ok {
		return fmt.Errorf("table %s is already in the vschema", a.Table)
	}
	if d.Sharded {
		if a.Op == AddSequence {
			return fmt.Errorf("sequence %s belongs in an unsharded keyspace", a.Table)
		}
		return fmt.Errorf("table %s needs a vindex in a sharded keyspace: ALTER VSCHEMA ON %s ADD VINDEX name (column)", a.Table, a.Table)
	}
	t := TableDoc{}
	if a.Op == AddSequence {
		t.Type = TypeSequence
	}
	put(&d.Tables, a.Table, t)
	return nil
}

func (d *Document) dropTable(a Alter) error {
	t, ok := d.Tables[a.Table]
	if !ok {
		return fmt.Errorf("the vschema has no table %s", a.Table)
	}
	if isSequence := t.Type == TypeSequence; isSequence != (a.Op == DropSequence) {
		if isSequence {
			return fmt.Errorf("table %s is a sequence: ALTER VSCHEMA DROP SEQUENCE %s", a.Table, a.Table)
		}
		return fmt.Errorf("table %s is not a sequence", a.Table)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Vindexes)) {
		if d.Vindexes[name].Owner == a.Table {
			return fmt.Errorf("table %s owns vindex %s: drop that first (ALTER VSCHEMA ON %s DROP VINDEX %s, then ALTER VSCHEMA DROP VINDEX %s)",
				a.Table, name, a.Table, name, name)
		}
	}
	delete(d.Tables, a.Table)
	return nil
}

func (d *Document) createVindex(a Alter) error {
	if _, ok := d.Vindexes[a.Vindex]; ok {
		return fmt.Errorf("vindex %s is already in the vschema", a.Vindex)
	}
	return d.defineVindex(a)
}

// defineVindex adds the vindex. The first one makes the keyspace a sharded one.
func (d *Document) defineVindex(a Alter) error {
	if !slices.Contains(vindex.Types(), a.Type) {
		return fmt.Errorf("vindex %s: %w %q; the types are %s", a.Vindex, vindex.ErrUnknownType, a.Type, strings.Join(vindex.Types(), ", "))
	}
	if len(d.Vindexes) == 0 {
		d.Sharded = true
	}
	put(&d.Vindexes, a.Vindex, VindexDoc{Type: a.Type, Params: a.Params, Owner: a.Owner})
	return nil
}

func (d *Document) dropVindex(name string) error {
	if _, ok := d.Vindexes[name]; !ok {
		return fmt.Errorf("the vschema has no vindex %s", name)
	}
	for _, table := range slices.Sorted(maps.Keys(d.Tables)) {
		for _, cv := range d.Tables[table].ColumnVindexes {
			if cv.Name == name {
				return fmt.Errorf("vindex %s is used by table %s: ALTER VSCHEMA ON %s DROP VINDEX %s first", name, table, table, name)
			}
		}
	}
	delete(d.Vindexes, name)
	return nil
}

func (d *Document) addTableVindex(a Alter) error {
	have, ok := d.Vindexes[a.Vindex]
	switch {
	case !ok && !a.Define:
		return fmt.Errorf("the vschema has no vindex %s: add USING type, or create it first", a.Vindex)
	case !ok:
		if err := d.defineVindex(a); err != nil {
			return err
		}
	case a.Define && (have.Type != a.Type || have.Owner != a.Owner || !maps.Equal(have.Params, a.Params)):
		return fmt.Errorf("vindex %s is already in the vschema, with another type, owner or parameters", a.Vindex)
	}
	t := d.Tables[a.Table]
	for _, cv := range t.ColumnVindexes {
		if cv.Name == a.Vindex {
			return fmt.Errorf("table %s has vindex %s already", a.Table, a.Vindex)
		}
	}
	cv := ColumnVindexDoc{Name: a.Vindex}
	if len(a.Columns) == 1 {
		cv.Column = a.Columns[0]
	} else {
		cv.Columns = a.Columns
	}
	t.ColumnVindexes = append(t.ColumnVindexes, cv)
	put(&d.Tables, a.Table, t)
	return nil
}

// dropTableVindex takes a vindex from a table. A table that loses its last one has no place in a sharded keyspace, and leaves the vschema.
func (d *Document) dropTableVindex(a Alter) error {
	t, ok := d.Tables[a.Table]
	if !ok {
		return fmt.Errorf("the vschema has no table %s", a.Table)
	}
	i := slices.IndexFunc(t.ColumnVindexes, func(cv ColumnVindexDoc) bool { return cv.Name == a.Vindex })
	switch {
	case i < 0:
		return fmt.Errorf("table %s has no vindex %s", a.Table, a.Vindex)
	case i == 0 && len(t.ColumnVindexes) > 1:
		return fmt.Errorf("vindex %s is the primary one of table %s and says where its rows are: drop the others first", a.Vindex, a.Table)
	}
	if v := d.Vindexes[a.Vindex]; v.Owner == a.Table {
		v.Owner = "" // nobody maintains the lookup table from here on
		d.Vindexes[a.Vindex] = v
	}
	t.ColumnVindexes = slices.Delete(t.ColumnVindexes, i, i+1)
	if len(t.ColumnVindexes) == 0 {
		delete(d.Tables, a.Table)
		return nil
	}
	d.Tables[a.Table] = t
	return nil
}

func (d *Document) setAutoIncrement(a Alter) error {
	t, ok := d.Tables[a.Table]
	if !ok {
		return fmt.Errorf("the vschema has no table %s", a.Table)
	}
	if a.Op == DropAutoIncrement {
		if t.AutoIncrement == nil {
			return fmt.Errorf("table %s has no auto_increment", a.Table)
		}
		t.AutoIncrement = nil
	} else {
		if t.AutoIncrement != nil {
			return errors.New("table " + a.Table + " has an auto_increment already: drop it first")
		}
		t.AutoIncrement = &AutoIncrementDoc{Column: a.Column, Sequence: a.Sequence}
	}
	d.Tables[a.Table] = t
	return nil
}
