package recovery

import (
	"errors"
	"fmt"
	"slices"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/internal/topo/durability"
)

// Planned decides on the hand-over from a primary whose server answers to asked, or to the best replica if asked is empty. The statuses
// of the replicas must have been read before that of the primary, so that what a replica has and the primary lacks is
// errant and not merely newer.
func Planned(s Shard, asked string) (Plan, error) {
	old := s.Record.GetPrimary()
	if s.Record.GetTerm() == 0 || old == "" {
		return Plan{}, errcode.New(errcode.RefusedByState, fmt.Sprintf("shard %s has no primary yet; initialise it first", s.Path()))
	}
	primary, ok := s.Tablets[old]
	if !ok {
		return Plan{}, errcode.New(errcode.RefusedByState, fmt.Sprintf("the primary %s of shard %s is not registered; an emergency reparent is needed", old, s.Path()))
	}
	if err := checkPrimary(s, primary); err != nil {
		return Plan{}, err
	}
	next := asked
	if asked != "" {
		if err := s.checkAsked(asked); err != nil {
			return Plan{}, err
		}
		if asked == old {
			return Plan{}, errcode.New(errcode.RefusedByState, fmt.Sprintf("%s is the primary of shard %s already", asked, s.Path()))
		}
		if err := checkSuccessor(s, asked); err != nil {
			return Plan{}, err
		}
	} else {
		var err error
		if next, err = bestSuccessor(s); err != nil {
			return Plan{}, err
		}
	}
	p := s.plan(next, nil)
	if ok, why := s.follows(next, []string{old}); ok != fact.True {
		p.Notes = append(p.Notes, why+": it stays without replication until it has been upgraded")
	}
	return p, checkAckers(s, p)
}

// checkPrimary does not ask whether the primary takes writes: one that was fenced and left so is handed over all the same.
func checkPrimary(s Shard, primary Tablet) error {
	alias := primary.Record.GetAlias()
	if err := require(primary.Responding(), fmt.Sprintf("the server of the primary %s answers", alias), primary); err != nil {
		return err
	}
	term := is(primary.Status.Term, func(v uint64) bool { return v <= s.Record.GetTerm() })
	return require(term, fmt.Sprintf("the primary %s reigns in term %d", alias, s.Record.GetTerm()), primary)
}

// checkSuccessor says why a replica may not take over; nil if it may.
func checkSuccessor(s Shard, alias string) error {
	t, primary := s.Tablets[alias], s.Tablets[s.Record.GetPrimary()]
	if err := require(t.Responding(), fmt.Sprintf("the server of %s answers", alias), t); err != nil {
		return err
	}
	if err := require(t.replicating(primary.Record), fmt.Sprintf("%s replicates from the primary, with both threads running", alias), t); err != nil {
		return err
	}
	// The old primary is not asked: it may be the last one that has to be upgraded.
	if ok, why := s.follows(alias, s.answering(alias, s.Record.GetPrimary())); ok != fact.True {
		return require(ok, fmt.Sprintf("all other replicas can replicate from %s: %s", alias, why), t)
	}
	mine, theirs := t.Executed(), primary.Executed()
	switch gtid.Compare(mine, theirs) {
	case gtid.Equal, gtid.Behind:
		return nil
	case gtid.Unknown:
		return require(fact.Unknown, fmt.Sprintf("%s has transactions that the primary lacks", alias), t)
	}
	extra, err := mine.Subtract(theirs)
	if err != nil {
		return errcode.New(errcode.EvidenceMissing, fmt.Sprintf("what %s has beyond the primary (%v)", alias, err))
	}
	return errcode.New(errcode.RefusedByState, fmt.Sprintf("%s has transactions that the primary lacks: %s", alias, extra))
}

// answering are the tablets whose agents answered, in order, without those named.
func (s Shard) answering(without ...string) []string {
	var out []string
	for _, alias := range s.aliases() {
		if s.Tablets[alias].Status != nil && !slices.Contains(without, alias) {
			out = append(out, alias)
		}
	}
	return out
}

// bestSuccessor prefers by promotion rule, then the primary's cell, then the most advanced, then the lowest alias.
func bestSuccessor(s Shard) (string, error) {
	var best string
	var reasons []error
	cell := s.Tablets[s.Record.GetPrimary()].Record.GetCell()
	for _, alias := range s.aliases() {
		t := s.Tablets[alias]
		if alias == s.Record.GetPrimary() || !Promotable(t.Record) {
			continue
		}
		if err := checkSuccessor(s, alias); err != nil {
			reasons = append(reasons, fmt.Errorf("%s: %w", alias, err))
			continue
		}
		if best == "" || better(t, s.Tablets[best], cell) {
			best = alias
		}
	}
	if best == "" {
		return "", noCandidate(s, reasons)
	}
	return best, nil
}

// better compares two candidates that both may reign; the one that comes first by alias stays if neither is better.
func better(a, b Tablet, cell string) bool {
	if x, y := a.reluctance(), b.reluctance(); x != y {
		return x < y
	}
	if inA, inB := a.Record.GetCell() == cell, b.Record.GetCell() == cell; inA != inB {
		return inA
	}
	return gtid.Compare(a.Executed(), b.Executed()) == gtid.Ahead
}

func noCandidate(s Shard, reasons []error) error {
	detail := "it has no replica"
	if len(reasons) > 0 {
		detail = errors.Join(reasons...).Error()
	}
	return errcode.New(errcode.NoCandidate, s.Path(), detail)
}

// checkAckers refuses a plan under which every commit would wait for ever.
func checkAckers(s Shard, p Plan) error {
	if !p.SemiSync {
		return nil
	}
	answering := 0
	for _, alias := range durability.Ackers(s.Keyspace, s.records(), p.New) {
		if ok, _ := s.follows(p.New, []string{alias}); ok == fact.True && s.Tablets[alias].Responding() == fact.True {
			answering++
		}
	}
	if answering < durability.Acks {
		return errcode.New(errcode.RefusedByState, fmt.Sprintf("under %s no other replica of shard %s answers and could acknowledge its commits", p.New, s.Path()))
	}
	return nil
}

// Initial decides on the first primary of a shard: asked, or the replica with the lowest alias. All servers must answer and
// be at the same position; with force only the new primary must answer, and others may differ (they are then left alone
// until somebody restores them).
func Initial(s Shard, asked string, force bool) (Plan, error) {
	if s.Record.GetTerm() != 0 || s.Record.GetPrimary() != "" {
		return Plan{}, errcode.New(errcode.RefusedByState, fmt.Sprintf("shard %s has had a primary already: %s in term %d", s.Path(), s.Record.GetPrimary(), s.Record.GetTerm()))
	}
	next := asked
	if asked != "" {
		if err := s.checkAsked(asked); err != nil {
			return Plan{}, err
		}
	} else {
		for _, alias := range s.aliases() {
			if t := s.Tablets[alias]; t.Record.GetType() == topov1.TabletType_TABLET_TYPE_REPLICA && (next == "" || t.Record.GetUid() < s.Tablets[next].Record.GetUid()) {
				next = alias
			}
		}
	}
	if next == "" {
		return Plan{}, noCandidate(s, nil)
	}
	first := s.Tablets[next]
	if err := require(first.Responding(), fmt.Sprintf("the server of %s answers", next), first); err != nil {
		return Plan{}, err
	}
	p := s.plan(next, nil)
	err := checkEqual(s, &p, force)
	return p, err
}

// checkEqual compares all servers with the first primary. With force a server that differs is noted and not attached.
func checkEqual(s Shard, p *Plan, force bool) error {
	mine := s.Tablets[p.New].Executed()
	var attached []string
	for _, alias := range p.Followers {
		t := s.Tablets[alias]
		cond := fact.False
		switch gtid.Compare(t.Executed(), mine) {
		case gtid.Equal:
			cond = fact.True
		case gtid.Unknown:
			cond = fact.Unknown
		}
		err := require(cond, fmt.Sprintf("%s holds the same transactions as %s", alias, p.New), t)
		switch {
		case err == nil:
			attached = append(attached, alias)
		case !force:
			return err
		default:
			p.Notes = append(p.Notes, fmt.Sprintf("%s is left unattached: %v", alias, err))
		}
	}
	p.Followers = attached
	return nil
}
