// Package plan decides, for one parsed statement, which shards must run which text, and how their answers become
// the one answer that a single server would have given. A plan is immutable, can be printed, and can be cached for
// all statements of the same shape.
//
// It does not talk to servers, does not evaluate SQL expressions, and does not print trees: texts for shards are
// the client's own bytes with small edits.
package plan

import (
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

// Env is what a plan depends on besides the statement. Two statements of one shape share a plan only if their
// Envs are equal.
type Env struct {
	VSchema     *vschema.Cluster
	Keyspace    string // the session's default keyspace; "" when none was chosen
	Mode        parse.Mode
	SafeUpdates bool   // sql_safe_updates
	ForcedShard string // the shard of USE ks:shard; everything goes there
	Replica     bool   // reads go to replicas
	Unbound     bool   // the statement's constants do not tell shards: some value of it is none that a vindex can map
}

// Class is the kind of a statement as far as a session must treat kinds differently.
type Class uint8

// Classes of statements.
const (
	Read Class = iota + 1
	Write
	DDL
	Show
	Other
)

// String is the class in lower case.
func (c Class) String() string {
	return [...]string{"unknown", "read", "write", "ddl", "show", "other"}[min(int(c), 5)]
}

// Uses is a set of the session-wide facilities that a statement touches; the session pins or substitutes by it.
type Uses uint16

// Facilities of a session.
const (
	UsesLastInsertID   Uses = 1 << iota // LAST_INSERT_ID()
	SetsLastInsertID                    // LAST_INSERT_ID(expr)
	UsesFoundRows                       // FOUND_ROWS()
	UsesRowCount                        // ROW_COUNT()
	CalcsFoundRows                      // SQL_CALC_FOUND_ROWS
	UsesUserVars                        // @a
	SetsUserVars                        // @a := 1, SELECT .. INTO @a
	UsesLocks                           // GET_LOCK and its family
	UsesTempTable                       // CREATE TEMPORARY TABLE
	UsesSystemVars                      // @@a
	UsesConnectionID                    // CONNECTION_ID()
	UsesDatabase                        // DATABASE(), SCHEMA()
	UsesNondeterminism                  // RAND(), UUID() and others whose answers differ from server to server
)

// Plan is how one statement, and every other of its shape, is run.
type Plan struct {
	Class   Class
	Fast    *Fast // the whole statement goes to one shard; nil otherwise
	Root    Op    // the tree that package exec runs; nil when Fast is set
	Guards  []Guard
	NoCache bool     // good for this statement only
	Tables  []string // "keyspace.table", sorted, of all tables that were found
	Way     string   // "push", "scatter", "merge", "write": for EXPLAIN
	Reason  string   // why this way, one clause
	Locks   bool     // takes row locks: needs the primary
	Uses    Uses

	// What a transaction over several shards must know of its writes, because recovery runs them again. Inexact names what
	// makes a second run do something else, "" for nothing; Draws says that this is, in part, what Draws lists; OrdersKeys
	// that keys which the server makes follow the order of a query's rows.
	Inexact           string
	Draws, OrdersKeys bool
}

// Guard is a slot whose text is part of the plan: a statement of the same shape may use the plan only if its slot
// holds the same text.
type Guard struct {
	Slot int
	Text string
}

// Writes says whether the statement may change something.
func (p *Plan) Writes() bool { return p.Class != Read && p.Class != Show }

// Fits reports whether a statement of the plan's shape has the texts that the plan depends on.
func (p *Plan) Fits(src []byte, slots []parse.Slot) bool {
	for _, g := range p.Guards {
		if g.Slot >= len(slots) || string(src[slots[g.Slot].Start:slots[g.Slot].End]) != g.Text {
			return false
		}
	}
	return true
}

// FastKind is how the one shard of a Fast plan is found.
type FastKind uint8

// Kinds of Fast plans.
const (
	Unsharded FastKind = iota + 1 // the keyspace's only shard
	AnyShard                      // whichever shard of the keyspace; of any keyspace when Keyspace is ""
	ByValue                       // the shard that holds Value (or Values)
	Pinned                        // the shard that holds the keyspace id ID
	OneShard                      // the shard named Shard
)

// Fast is a plan that sends a whole statement to one shard.
type Fast struct {
	Keyspace string
	Kind     FastKind
	Vindex   vindex.Functional  // ByValue with one column
	Value    ValueRef           // ByValue with one column
	Multi    vindex.MultiColumn // ByValue with several columns
	Values   []ValueRef         // ByValue with several columns, in the vindex's order
	ID       []byte             // Pinned
	Shard    string             // OneShard
	Strict   bool               // ByValue: a value that no shard can hold is an error, as for an INSERT; otherwise any shard answers
	Rewrite  *Text              // nil: the client's own bytes
}

// Build plans stmt, which is the tree of src; slots are those of src's fingerprint. Its errors carry codes of
// package errcode. The plan keeps no reference to src.
func Build(src []byte, slots []parse.Slot, stmt parse.Statement, env Env) (*Plan, error) {
	b := &builder{src: src, slots: slots, env: env}
	p, err := b.statement(stmt)
	if err != nil {
		return nil, err
	}
	p.Uses |= uses(stmt)
	if p.Class == Write {
		p.Inexact, p.OrdersKeys = inexact(stmt), ordersKeys(stmt)
		p.Draws = p.Inexact != "" && len(Draws(stmt)) > 0
	}
	p.Tables = b.tableNames()
	if p.Fast == nil && p.Guards == nil && !p.NoCache {
		p.Guards = b.guards
	}
	return p, nil
}
