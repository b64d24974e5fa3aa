// Package durability is the rule for who must acknowledge a commit before the client hears of it.
//
// It only reads records: it sets nothing on servers and does not look whether the replicas are there.
package durability

import (
	"slices"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
)

// Acks is how many replicas must have a commit under semi-sync.
const Acks = 1

// Acknowledges says whether a tablet is of a type that acknowledges commits while it is a replica. The record of a former primary
// may still say primary.
func Acknowledges(t *topov1.Tablet) bool {
	switch t.GetType() {
	case topov1.TabletType_TABLET_TYPE_REPLICA, topov1.TabletType_TABLET_TYPE_PRIMARY:
		return true
	}
	return false
}

// Ackers returns the aliases of the tablets that acknowledge commits of the primary, in order. Under cross_cell those in other cells
// than the primary's do, so that the loss of a cell loses nothing; where there is none all do, which is better than nobody.
func Ackers(keyspace *topov1.Keyspace, tablets map[string]*topov1.Tablet, primary string) []string {
	var all, across []string
	for alias, t := range tablets {
		if alias == primary || !Acknowledges(t) {
			continue
		}
		all = append(all, alias)
		if t.GetCell() != tablets[primary].GetCell() {
			across = append(across, alias)
		}
	}
	if keyspace.GetDurability() == topov1.Durability_DURABILITY_CROSS_CELL && len(across) >= Acks {
		all = across
	}
	slices.Sort(all)
	return all
}

// SemiSync says whether commits on the primary wait for an acknowledgement: as the keyspace's record says, and where it
// says nothing if at least two replicas can acknowledge, so that the loss of one does not stop all writes.
func SemiSync(keyspace *topov1.Keyspace, tablets map[string]*topov1.Tablet, primary string) bool {
	ackers := len(Ackers(keyspace, tablets, primary))
	switch keyspace.GetDurability() {
	case topov1.Durability_DURABILITY_NONE:
		return false
	case topov1.Durability_DURABILITY_SEMI_SYNC, topov1.Durability_DURABILITY_CROSS_CELL:
		return ackers >= Acks
	}
	return ackers >= 2*Acks
}
