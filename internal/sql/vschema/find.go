package vschema

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
)

// Tablet types, as routing rules name them after "@".
const (
	Primary  = "primary"
	Replica  = "replica"
	ReadOnly = "rdonly"
)

// FindTable finds the table that a statement on primaries names: see FindTableOn.
func (c *Cluster) FindTable(defaultKS, schema, table string) (*Table, error) {
	return c.FindTableOn(Primary, defaultKS, schema, table)
}

// FindTableOn finds the table that a statement names, for tablets of the type. schema is the qualifier in the statement,
// defaultKS what the session uses; both may be empty. Routing rules come first. In an unsharded keyspace a table needs
// no declaration. Without any keyspace the name must be declared in one alone; if there is but one keyspace, that is meant.
//
// The errors are errcode's: NoSuchKeyspace, NoSuchTable, AmbiguousTable, NoKeyspace, TableClosed by a
// routing rule, and InvalidVSchema for a table whose declaration or rule has a problem.
func (c *Cluster) FindTableOn(tabletType, defaultKS, schema, table string) (*Table, error) {
	ks := schema
	if ks == "" {
		ks = defaultKS
	}
	if r, ok := c.rules.table(tabletType, ks, table); ok {
		if r.err != nil {
			return nil, r.err
		}
		return r.to, nil
	}
	if ks == "" {
		return c.findGlobal(table)
	}
	return c.findIn(c.rules.keyspace(tabletType, ks), table)
}

func (c *Cluster) findIn(keyspace, table string) (*Table, error) {
	k, ok := c.keyspaces[keyspace]
	if !ok {
		return nil, errcode.New(errcode.NoSuchKeyspace, keyspace)
	}
	if k.broken != nil {
		return nil, k.broken
	}
	if t, ok := k.tables[table]; ok {
		if t.broken != nil {
			return nil, t.broken
		}
		return t, nil
	}
	if k.Sharded {
		return nil, errcode.New(errcode.NoSuchTable, keyspace, table)
	}
	return &Table{Keyspace: k, Name: table}, nil
}

func (c *Cluster) findGlobal(table string) (*Table, error) {
	if len(c.keyspaces) == 1 {
		for name := range c.keyspaces {
			return c.findIn(name, table)
		}
	}
	switch found := c.global[table]; len(found) {
	case 0:
		return nil, errcode.New(errcode.NoKeyspace)
	case 1:
		return c.findIn(found[0].Keyspace.Name, table)
	default:
		if t := commonSource(found); t != nil {
			return c.findIn(t.Keyspace.Name, table)
		}
		names := make([]string, len(found))
		for i, t := range found {
			names[i] = t.Keyspace.Name
		}
		return nil, errcode.New(errcode.AmbiguousTable, table, strings.Join(names, ", "))
	}
}

// commonSource returns the one table that the others are references to; nil if there is none: then the name is ambiguous.
func commonSource(found []*Table) *Table {
	for _, t := range found {
		others := 0
		for _, o := range found {
			if o == t || o.Source == t {
				others++
			}
		}
		if others == len(found) {
			return t
		}
	}
	return nil
}
