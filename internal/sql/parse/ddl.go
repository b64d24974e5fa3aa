package parse

import (
	"slices"
	"strings"
)

// ddl parses statements that define or maintain something; nil if t does not begin one.
func (p *parser) ddl(t *token) Statement {
	start := int(t.start)
	d := &DDLStmt{Verb: t.word}
	switch t.word {
	case "CREATE", "ALTER", "DROP":
		if t.word == "ALTER" && p.isAhead(1, "VSCHEMA") {
			p.skipUntil()
			return &VSchemaStmt{Span: p.from(start)}
		}
		p.next()
		p.object(d)
	case "RENAME":
		p.next()
		p.object(d)
		if d.Object == "TABLE" {
			p.renames(d)
		}
	case "TRUNCATE":
		p.next()
		d.Object = "TABLE"
		p.accept("TABLE")
		d.Tables = []TableName{p.tableName()}
	case "ANALYZE", "OPTIMIZE", "REPAIR", "CHECK", "CHECKSUM":
		p.next()
		p.options("NO_WRITE_TO_BINLOG", "LOCAL")
		d.Object = "TABLE"
		switch {
		case p.accept("TABLE"), p.accept("TABLES"):
		case p.is("VIEW"):
			p.next()
			d.Object = "VIEW"
		default:
			p.fail()
		}
		d.Tables = p.tableNames()
	default:
		return nil
	}
	if p.compound(d) {
		p.skipBody()
	} else {
		p.skipUntil()
	}
	d.Span = p.from(start)
	return d
}

// compound says whether statements may stand in the definition.
func (p *parser) compound(d *DDLStmt) bool {
	return isOneOf(d.Object, "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE", "LIBRARY") && d.Verb != "DROP"
}

// skipBody skips to the end of the text, but for a semicolon there.
func (p *parser) skipBody() {
	if p.err != nil {
		return
	}
	p.i = len(p.toks) - 1
	if p.i > 0 && p.toks[p.i-1].word == ";" {
		p.i--
	}
}

// object takes the words up to the kind of object, and then goes on as that kind demands.
func (p *parser) object(d *DDLStmt) {
	for d.Object == "" {
		t := p.tok()
		switch t.word {
		case "TEMPORARY":
			d.Temporary = true
		case "OR":
			d.OrReplace = p.isAhead(1, "REPLACE")
		case "TABLE", "TABLES":
			d.Object = "TABLE"
		case "SCHEMA", "DATABASE":
			d.Object = "DATABASE"
		case "INDEX", "VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "USER", "ROLE", "SEQUENCE", "SERVER", "TABLESPACE", "PACKAGE", "INSTANCE":
			d.Object = t.word
		case "LOGFILE", "RESOURCE":
			if p.isAhead(1, "GROUP") {
				d.Object = t.word + " GROUP"
				p.next()
			}
		case "SPATIAL":
			if p.isAhead(1, "REFERENCE") {
				d.Object = "SPATIAL REFERENCE SYSTEM"
				p.i += 2
			}
		default:
			if p.wordIs(t, "LIBRARY") {
				d.Object = "LIBRARY"
			}
		}
		if t.kind == kindEOF || t.word == ";" {
			p.fail()
			return
		}
		p.skipOne()
	}
	p.named(d)
}

// named parses what follows the kind of object.
func (p *parser) named(d *DDLStmt) {
	d.IfExists, d.IfNotExists = p.ifExists()
	switch d.Object {
	case "TABLE":
		p.tableObject(d)
	case "VIEW":
		p.view(d)
	case "DATABASE":
		if nameAt(p.tok()) {
			id := p.ident()
			d.Tables = []TableName{{Span: id.Span, Name: id}}
		}
	case "INDEX":
		if t := p.tok(); nameAt(t) || t.word == "PRIMARY" {
			p.next()
			p.skipUntil("ON")
		}
		if p.accept("ON") {
			d.Tables = []TableName{p.tableName()}
		}
	case "SEQUENCE":
		d.Tables = p.tableNames()
	case "TRIGGER":
		d.Name = p.tableName()
		if d.Verb == "CREATE" {
			p.skipUntil("ON")
			p.expect("ON")
			d.Tables = []TableName{p.tableName()}
		}
	case "PROCEDURE", "FUNCTION", "EVENT", "LIBRARY":
		d.Name = p.tableName()
	case "PACKAGE":
		p.accept("BODY")
		d.Name = p.tableName()
	}
}

// tableObject parses CREATE, ALTER and DROP TABLE after the words before the name.
func (p *parser) tableObject(d *DDLStmt) {
	switch d.Verb {
	case "RENAME":
	case "DROP":
		d.Tables = p.tableNames()
	case "ALTER":
		d.Tables = []TableName{p.tableName()}
		p.alterTable(d)
	default:
		d.Tables = []TableName{p.tableName()}
		p.createTable(d)
	}
}

// renames parses a TO b, c TO d.
func (p *parser) renames(d *DDLStmt) {
	for {
		d.Tables = append(d.Tables, p.tableName())
		if p.is("WAIT") || p.is("NOWAIT") {
			p.skipUntil("TO")
		}
		p.expect("TO")
		d.Tables = append(d.Tables, p.tableName())
		if !p.accept(",") {
			return
		}
	}
}

// alterTable looks through the actions for other tables.
func (p *parser) alterTable(d *DDLStmt) {
	for p.err == nil && !p.atEnd() && !p.is(";") {
		switch {
		case p.is("RENAME"):
			p.next()
			switch {
			case p.accept("TO"), p.accept("AS"), p.accept("="):
			case p.oneOf("COLUMN", "INDEX", "KEY", "CONSTRAINT"):
				continue
			}
			d.Tables = append(d.Tables, p.tableName())
		case p.is("WITH") && p.isAhead(1, "TABLE"):
			p.i += 2
			d.Tables = append(d.Tables, p.tableName())
		case p.is("."): // after it a word is a name
			p.next()
			p.next()
		default:
			p.skipOne()
		}
	}
}

// createTable parses the definition of a table as far as routing needs it.
func (p *parser) createTable(d *DDLStmt) {
	d.Create = &TableOptions{}
	switch {
	case p.accept("LIKE"):
		d.Like = p.tableName()
		return
	case p.is("(") && p.isAhead(1, "LIKE"):
		p.i += 2
		d.Like = p.tableName()
		p.expect(")")
		return
	case p.is("(") && !p.queryAt(p.i):
		p.definitions(d)
	}
	for p.err == nil && !p.atEnd() && !p.is(";") {
		switch {
		case p.is("SELECT"), p.is("WITH") && !p.isAhead(1, "SYSTEM"), p.is("(") && p.queryAt(p.i),
			p.is("VALUES") && !p.isAhead(1, "LESS") && !p.isAhead(1, "IN"), p.is("TABLE") && nameAt(p.ahead(1)):
			d.Query = p.query()
			return
		}
		p.skipOne()
	}
}

// definitions parses the columns and keys in parentheses.
func (p *parser) definitions(d *DDLStmt) {
	end := int(p.tok().aux)
	p.expect("(")
	if end < 0 {
		p.fail()
	}
	for p.err == nil && p.i < end {
		switch {
		case p.oneOf("PRIMARY", "KEY", "INDEX", "UNIQUE", "FULLTEXT", "SPATIAL", "CONSTRAINT", "FOREIGN", "CHECK"),
			p.is("PERIOD") && p.isAhead(1, "FOR"), p.is("VECTOR") && (p.isAhead(1, "KEY") || p.isAhead(1, "INDEX")):
			p.key(d)
		default:
			d.Columns = append(d.Columns, p.columnDef())
		}
		p.skipUntil(",")
		if !p.accept(",") {
			break
		}
	}
	if len(d.Create.PrimaryKey) == 0 {
		for _, c := range d.Columns {
			if c.Primary {
				d.Create.PrimaryKey = []string{c.Name.Name}
			}
		}
	}
	p.expect(")")
}

// key parses a primary key; the rest of any other key is skipped by the caller.
func (p *parser) key(d *DDLStmt) {
	if p.accept("CONSTRAINT") {
		if !p.oneOf("PRIMARY", "UNIQUE", "FOREIGN", "CHECK") {
			p.next()
		}
	}
	if !p.accept2("PRIMARY", "KEY") {
		return
	}
	p.skipWords("(")
	if !p.accept("(") {
		p.fail()
		return
	}
	for p.err == nil && !p.is(")") {
		id := p.ident()
		d.Create.PrimaryKey = append(d.Create.PrimaryKey, id.Name)
		for i := range d.Columns {
			if upperASCII(d.Columns[i].Name.Name) == upperASCII(id.Name) {
				d.Columns[i].Primary = true
			}
		}
		p.skipUntil(",")
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
}

// skipWords skips tokens up to the word, which may be a parenthesis.
func (p *parser) skipWords(word string) {
	for !p.atEnd() && !p.is(word) && !p.is(")") {
		p.next()
	}
}

// columnDef parses name, type and attributes of a column.
func (p *parser) columnDef() ColumnDef {
	start := p.start()
	c := ColumnDef{Name: p.identAfterDot()}
	if t := p.tok(); t.kind == kindIdent {
		c.Type = p.upper(t)
		c.AutoInc = c.Type == "SERIAL"
	}
	for p.err == nil && !p.atEnd() && !p.is(")") && !p.is(",") {
		switch p.tok().word {
		case "AUTO_INCREMENT":
			c.AutoInc = true
		case "PRIMARY":
			c.Primary = true
		case "KEY":
			c.Primary = c.Primary || !isOneOf(p.toks[p.i-1].word, "UNIQUE", "FOREIGN")
		case "COMMENT", "REFERENCES":
			p.next()
		}
		p.skipOne()
	}
	c.Span = p.from(start)
	return c
}

// view parses CREATE, ALTER and DROP VIEW after the words before the name.
func (p *parser) view(d *DDLStmt) {
	if d.Verb == "DROP" {
		d.Tables = p.tableNames()
		return
	}
	d.Tables = []TableName{p.tableName()}
	if p.is("(") {
		p.names()
	}
	p.expect("AS")
	d.Query = p.query()
}

// otherVerbList begins the statements that are known by their words alone.
var otherVerbList = strings.Fields("HANDLER XA FLUSH GRANT REVOKE RESET PURGE CHANGE STOP START BINLOG CACHE CLONE HELP INSTALL UNINSTALL SIGNAL " +
	"RESIGNAL GET IMPORT SHUTDOWN RESTART BACKUP LOAD LOCK UNLOCK BEGIN IF WHILE LOOP CASE REPEAT FOR DECLARE OPEN CLOSE FETCH RETURN LEAVE ITERATE")

// other keeps any other statement as its words and the tables that can be recognised.
func (p *parser) other() Statement {
	start := p.start()
	s := &OtherStmt{}
	first := p.tok().word
	if first == "" || !slices.Contains(otherVerbList, first) {
		p.fail()
		return s
	}
	for i := 0; i < 3 && p.ahead(i).kind == kindIdent; i++ {
		s.Words = append(s.Words, p.upper(p.ahead(i)))
	}
	compound := isOneOf(first, "BEGIN", "IF", "WHILE", "LOOP", "CASE", "REPEAT", "FOR")
	if first == "HANDLER" {
		p.next()
		s.Tables = []TableName{p.tableName()}
	}
	for !compound && p.err == nil && !p.atEnd() && !p.is(";") {
		seen := (p.is("TABLE") || p.is("TABLES") || p.is("ON")) && nameAt(p.ahead(1)) && !p.isAhead(3, "*") && // not ON db.*
			!isOneOf(p.ahead(1).word, "FUNCTION", "PACKAGE")
		p.skipOne()
		if seen {
			s.Tables = append(s.Tables, p.tableNames()...)
		}
	}
	if compound {
		p.skipBody()
	}
	s.Span = p.from(start)
	return s
}
