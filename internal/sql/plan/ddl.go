package plan

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// ddl plans schema changes: they go to every shard of the keyspace of their tables.
func (b *builder) ddl(x *parse.DDLStmt) (*Plan, error) {
	if b.env.Replica {
		return nil, errcode.New(errcode.NotOnReplica, x.Verb+" "+x.Object)
	}
	ks, err := b.ddlKeyspace(x)
	if err != nil {
		return nil, err
	}
	if !ks.Sharded {
		return &Plan{Class: DDL, Fast: &Fast{Keyspace: ks.Name, Kind: Unsharded}, Way: "push", Reason: "unsharded keyspace"}, nil
	}
	if x.Query != nil && x.Object == "TABLE" {
		return nil, errcode.New(errcode.Unsupported, "CREATE TABLE ... SELECT", "create the table, then INSERT ... SELECT")
	}
	if x.Temporary {
		return nil, errcode.New(errcode.Unsupported, "CREATE TEMPORARY TABLE", "choose one shard with USE `KEYSPACE:SHARD`, or use an unsharded keyspace")
	}
	text := (&editor{b: b}).compile(b.whole())
	switch x.Verb {
	case "CHECKSUM":
		return nil, errcode.New(errcode.Unsupported, "CHECKSUM TABLE", "each shard has its own: choose one with USE `KEYSPACE:SHARD`")
	case "ANALYZE", "OPTIMIZE", "CHECK", "REPAIR": // table, operation, type, text
		var keys []Key
		for c := range Column(4) {
			keys = append(keys, Key{Col: c, Weight: NoColumn, Number: -1})
		}
		r := &Route{Keyspace: ks.Name, Dest: Dest{Kind: DestAll}, Text: text, Lock: true}
		return &Plan{Class: DDL, Root: &Dedup{Input: r, Keys: keys}, NoCache: true, Way: "scatter", Reason: "every shard tells of its part of the table"}, nil
	}
	op := &Broadcast{Keyspace: ks.Name, Text: text, Again: again(x)}
	return &Plan{Class: DDL, Root: op, NoCache: true, Way: "write", Reason: "a schema change concerns every shard"}, nil
}

// ddlKeyspace finds the one keyspace of a schema change.
func (b *builder) ddlKeyspace(x *parse.DDLStmt) (*vschema.Keyspace, error) {
	names := map[string]bool{}
	for _, t := range x.Tables {
		name := t.Schema.Name
		switch {
		case x.Object == "DATABASE":
			name = t.Name.Name
		case name == "" && b.env.Keyspace != "":
			name = b.env.Keyspace
		case name == "":
			vt, err := b.table(t)
			if err != nil {
				return nil, errcode.New(errcode.NoKeyspace)
			}
			name = vt.Keyspace.Name
		}
		if b.keyspace(name) == nil {
			return nil, errcode.New(errcode.NoSuchKeyspace, name)
		}
		names[name] = true
		b.see(name, t.Name.Name)
	}
	if len(names) == 0 {
		if b.env.Keyspace == "" {
			return nil, errcode.New(errcode.NoKeyspace)
		}
		names[b.env.Keyspace] = true
	}
	var list []string
	for n := range sortedKeys(names) {
		list = append(list, n)
	}
	if len(list) > 1 {
		return nil, errcode.New(errcode.CrossKeyspace, strings.Join(list, ", "))
	}
	ks := b.keyspace(list[0])
	if ks == nil {
		return nil, errcode.New(errcode.NoSuchKeyspace, list[0])
	}
	return ks, nil
}

// again says how a schema change that failed on some shards is brought to its end.
func again(x *parse.DDLStmt) string {
	switch {
	case x.IfExists || x.IfNotExists || x.OrReplace || x.Verb == "TRUNCATE":
		return "repeat the statement: shards that are done stay as they are"
	case x.Verb == "CREATE" && x.Object == "TABLE":
		return "repeat the statement with IF NOT EXISTS"
	case x.Verb == "DROP" && x.Object != "INDEX":
		return "repeat the statement with IF EXISTS"
	}
	return "remove the cause and run the statement on the shards where it failed: USE `KEYSPACE:SHARD`"
}

// managed plans statements about what the cluster manages and clients don't: databases and accounts. It returns nil for others.
func (b *builder) managed(stmt parse.Statement) (*Plan, error) {
	switch x := stmt.(type) {
	case *parse.OtherStmt:
		if len(x.Words) > 0 && (x.Words[0] == "GRANT" || x.Words[0] == "REVOKE") {
			return nil, errcode.New(errcode.AccountManaged, x.Words[0])
		}
	case *parse.DDLStmt:
		switch {
		case x.Object == "USER" || x.Object == "ROLE":
			return nil, errcode.New(errcode.AccountManaged, x.Verb+" "+x.Object)
		case x.Object == "DATABASE" && len(x.Tables) > 0:
			return b.database(x, x.Tables[0].Name.Name)
		}
	}
	return nil, nil
}

// database plans CREATE and DROP DATABASE as far as they change nothing.
func (b *builder) database(x *parse.DDLStmt, name string) (*Plan, error) {
	const exists, missing = 1007, 1008
	there := b.keyspace(name) != nil
	note := func(code uint16, text string, affected uint64) (*Plan, error) {
		return &Plan{Class: DDL, Root: &Note{Code: code, Text: text, Affected: affected}, NoCache: true, Way: "push", Reason: "no server is asked"}, nil
	}
	switch {
	case x.Verb == "CREATE" && there && x.IfNotExists:
		affected := uint64(1)
		if b.env.Mode.MariaDB {
			affected = 0
		}
		return note(exists, "Can't create database '"+name+"'; database exists", affected)
	case x.Verb == "CREATE" && there && !x.OrReplace:
		return nil, errcode.New(errcode.RecordExists, "keyspace", name)
	case x.Verb == "CREATE":
		return nil, errcode.New(errcode.DatabaseManaged, x.Verb, name, "pelorus keyspace create "+name)
	case x.Verb == "DROP" && !there && x.IfExists:
		return note(missing, "Can't drop database '"+name+"'; database doesn't exist", 0)
	case x.Verb == "DROP":
		return nil, errcode.New(errcode.DatabaseManaged, x.Verb, name, "pelorus keyspace delete "+name)
	}
	return nil, nil
}
