package errcode

import "slices"

// area is a group of codes with one hundred numbers, documented together.
type area struct {
	first Code
	title string
	rows  []Info
}

// areas returns all rows by area, in order. Each area's rows stand in a file of their own.
func areas() []area {
	return []area{
		{1000, "Statements that cannot run as written", statementRows()},
		{1100, "Names and vschemas", nameRows()},
		{1200, "Transactions and outcomes", txnRows()},
		{1300, "Shards, servers and connections to them", servingRows()},
		{1400, "Clients, accounts and the protocol", clientRows()},
		{1500, "Limits", limitRows()},
		{1600, "Sharding keys, vindexes and sequences", vindexRows()},
		{1700, "Topology, terms and control", topoRows()},
		{1800, "MySQL and MariaDB servers", serverRows()},
		{1900, "Faults of Pelorus", faultRows()},
		{2000, "Workflows", workflowRows()},
	}
}

// registry is all rows by code, made once and never changed.
var registry = func() []Info {
	var all []Info
	for _, a := range areas() {
		all = append(all, a.rows...)
	}
	slices.SortFunc(all, func(a, b Info) int { return int(a.Code) - int(b.Code) })
	return all
}()

// Lookup returns the row of a code. The caller must not change it.
func Lookup(code Code) (*Info, bool) {
	i, ok := slices.BinarySearchFunc(registry, code, func(in Info, c Code) int { return int(in.Code) - int(c) })
	if !ok {
		return nil, false
	}
	return &registry[i], true
}

// All returns a copy of all rows, by code.
func All() []Info { return slices.Clone(registry) }
