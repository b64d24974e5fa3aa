package recovery

import (
	"fmt"
	"strings"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/internal/topo/durability"
)

// Received is what a replica said after its receiver was stopped. Texts that were not reported are nil.
type Received struct {
	Received *string
	Applied  *string
	// Err is why the receiver could not be stopped; then nothing else is known.
	Err string
}

// Evidence is what an emergency reparent has gathered before it decides.
type Evidence struct {
	// Stopped has an entry for each tablet that was asked to stop its receiver.
	Stopped map[string]Received
	// Demoted is the final position of the old primary if it could be fenced; nil if it could not.
	Demoted *string
}

// Emergency decides who replaces a primary that is lost. No acknowledged transaction may be lost: under semi-sync each
// replica that acknowledges must have said what it received with its receiver stopped, unless the old primary itself said
// where it ended. With force a missing answer is noted and the best of those known is taken.
func Emergency(s Shard, ev Evidence, asked string, force bool) (Plan, error) {
	if s.Record.GetTerm() == 0 || s.Record.GetPrimary() == "" {
		return Plan{}, errcode.New(errcode.RefusedByState, fmt.Sprintf("shard %s has no primary yet; initialise it first", s.Path()))
	}
	if asked != "" {
		if err := s.checkAsked(asked); err != nil {
			return Plan{}, err
		}
		if asked == s.Record.GetPrimary() {
			return Plan{}, errcode.New(errcode.RefusedByState, fmt.Sprintf("%s is the primary that is to be replaced", asked))
		}
	}
	c := newContest(s, ev)
	c.dropErrant()
	c.dropTooNew(force)
	next, err := c.choose(asked, force)
	if err != nil {
		return Plan{}, err
	}
	if !c.demoted.Known() && !durability.SemiSync(s.Keyspace, s.records(), s.Record.GetPrimary()) {
		c.notes = append(c.notes, fmt.Sprintf("%s could not be fenced and its commits need no acknowledgement: what only it has is lost", s.Record.GetPrimary()))
	}
	return s.plan(next, c.notes), nil
}

// contest is the comparison of those who may reign.
type contest struct {
	shard   Shard
	demoted gtid.Position
	// all holds the whole position (received and applied) of every replica that answered, promotable or not.
	all map[string]gtid.Position
	// out says why a replica is no candidate.
	out   map[string]string
	notes []string
}

func newContest(s Shard, ev Evidence) *contest {
	c := &contest{shard: s, all: make(map[string]gtid.Position), out: make(map[string]string)}
	if primary, ok := s.Tablets[s.Record.GetPrimary()]; ok && ev.Demoted != nil {
		c.demoted = primary.position(ev.Demoted)
	}
	for _, alias := range s.aliases() {
		if alias == s.Record.GetPrimary() {
			continue
		}
		t, r := s.Tablets[alias], ev.Stopped[alias]
		switch whole := t.whole(r); {
		case r.Err != "":
			c.out[alias] = r.Err
		case !whole.Known():
			c.out[alias] = "it did not say what it has received and applied"
		default:
			c.all[alias] = whole
			if !Promotable(t.Record) {
				c.out[alias] = "its type is " + TypeName(t.Record.GetType()) + ", its promotion rule " + ruleName(t.Record.GetPromotion())
			}
		}
	}
	return c
}

// ruleName is a promotion rule as people write it.
func ruleName(p topov1.Promotion) string {
	if p == topov1.Promotion_PROMOTION_UNSPECIFIED {
		p = topov1.Promotion_PROMOTION_NEUTRAL
	}
	return strings.ToLower(strings.TrimPrefix(p.String(), "PROMOTION_"))
}

// whole is what a replica has received and applied. MariaDB says nothing of what it has received after a restart: then it
// has what it has applied, because it throws the rest away.
func (t Tablet) whole(r Received) gtid.Position {
	applied := t.position(r.Applied)
	if !applied.Known() {
		return gtid.Position{}
	}
	received := t.position(r.Received)
	if !received.Known() {
		return gtid.Position{}
	}
	if received.Empty() {
		return applied
	}
	both, err := received.Union(applied)
	if err != nil {
		return gtid.Position{}
	}
	return both
}

// silent lists the replicas that acknowledge and did not answer, if there are enough of them for an acknowledged
// transaction to hide there: a commit has durability.Acks acknowledgements, so it is on one of any group that leaves out
// fewer.
func (c *contest) silent() []string {
	s := c.shard
	if !durability.SemiSync(s.Keyspace, s.records(), s.Record.GetPrimary()) {
		return nil
	}
	var silent []string
	for _, alias := range durability.Ackers(s.Keyspace, s.records(), s.Record.GetPrimary()) {
		if _, ok := c.all[alias]; !ok {
			silent = append(silent, alias+" ("+c.out[alias]+")")
		}
	}
	if len(silent) < durability.Acks {
		return nil
	}
	return silent
}

// checkEvidence makes sure that no acknowledged transaction can hide on a replica that did not answer: all did, or the
// winner has everything that the old primary had.
func (c *contest) checkEvidence(best string, force bool) error {
	if c.demoted.Known() && covers(c.all[best], c.demoted) == fact.True {
		return nil
	}
	silent := c.silent()
	if len(silent) == 0 {
		return nil
	}
	return c.missing("whether one of these alone has acknowledged transactions: "+strings.Join(silent, ", "), force)
}

// missing refuses for want of evidence, or with force notes it.
func (c *contest) missing(what string, force bool) error {
	if !force {
		return errcode.New(errcode.EvidenceMissing, what)
	}
	c.notes = append(c.notes, "forced although it is not known "+what)
	return nil
}

// dropErrant removes candidates with transactions of their own making that nobody else has.
func (c *contest) dropErrant() {
	for _, alias := range c.shard.aliases() {
		mine, ok := c.all[alias]
		if !ok || c.out[alias] != "" {
			continue
		}
		if extra := c.ownAlone(alias, mine); extra != "" {
			c.out[alias] = "it has transactions of its own: " + extra
			c.notes = append(c.notes, alias+" was passed over: "+c.out[alias])
		}
	}
}

// dropTooNew removes candidates from which another replica that answered could not replicate, or of which nobody can tell; with force the
// latter are only noted. Whoever did not answer is not asked: one broken replica holds up nobody.
func (c *contest) dropTooNew(force bool) {
	var others []string
	for _, alias := range c.shard.aliases() {
		if _, ok := c.all[alias]; ok {
			others = append(others, alias)
		}
	}
	for _, alias := range others {
		if c.out[alias] != "" {
			continue
		}
		ok, why := c.shard.follows(alias, others)
		switch {
		case ok == fact.False, ok == fact.Unknown && !force:
			c.out[alias] = why
			c.notes = append(c.notes, alias+" was passed over: "+why)
		case ok == fact.Unknown:
			c.notes = append(c.notes, "forced although "+why)
		}
	}
}

// ownAlone returns the transactions that were written on this replica itself and are on no other server that answered.
func (c *contest) ownAlone(alias string, mine gtid.Position) string {
	status := c.shard.Tablets[alias].Status
	rest, others := mine, false
	var err error
	for other, p := range c.all {
		if other == alias {
			continue
		}
		others = true
		if rest, err = minus(rest, p); err != nil {
			return ""
		}
	}
	if c.demoted.Known() {
		others = true
		if rest, err = minus(rest, c.demoted); err != nil {
			return ""
		}
	}
	if !others || status == nil || status.Server == nil {
		return ""
	}
	if set, ok := rest.Set(); ok {
		return ownOfSet(set, status.Server.GetServerUuid())
	}
	if domains, ok := rest.Domains(); ok {
		return ownOfDomains(domains, status.Server.ServerId)
	}
	return ""
}

// minus is p without q: of a MariaDB position the domains in which p is further.
func minus(p, q gtid.Position) (gtid.Position, error) {
	if ps, ok := p.Set(); ok {
		qs, ok := q.Set()
		if !ok {
			return gtid.Position{}, gtid.ErrFamily
		}
		return gtid.OfSet(ps.Subtract(qs)), nil
	}
	diff, err := p.Subtract(q)
	if err != nil {
		return gtid.Position{}, err
	}
	var rest gtid.Domains
	for _, run := range diff.Runs() {
		rest = rest.Add(gtid.Triple{Domain: run.Domain, Server: run.Server, Seq: run.Last})
	}
	return gtid.OfDomains(rest), nil
}

func ownOfSet(set gtid.Set, uuid string) string {
	var own []string
	for _, line := range strings.Split(set.String(), ",") {
		line = strings.TrimSpace(line)
		if uuid != "" && strings.HasPrefix(strings.ToLower(line), strings.ToLower(uuid)) {
			own = append(own, line)
		}
	}
	return strings.Join(own, ",")
}

func ownOfDomains(domains gtid.Domains, serverID *uint32) string {
	var own []string
	for _, t := range domains {
		if serverID != nil && t.Server == *serverID {
			own = append(own, gtid.Domains{t}.String())
		}
	}
	return strings.Join(own, ",")
}

// choose takes the candidate that has everything the others have.
func (c *contest) choose(asked string, force bool) (string, error) {
	best := ""
	cell := c.shard.Tablets[c.shard.Record.GetPrimary()].Record.GetCell()
	for _, alias := range c.shard.aliases() {
		if c.all[alias].Known() && c.out[alias] == "" && (best == "" || c.wins(alias, best, asked, cell)) {
			best = alias
		}
	}
	if best == "" {
		var reasons []error
		for _, alias := range c.shard.aliases() {
			if why := c.out[alias]; why != "" {
				reasons = append(reasons, fmt.Errorf("%s: %s", alias, why))
			}
		}
		return "", noCandidate(c.shard, reasons)
	}
	if asked != "" && asked != best {
		if why := c.out[asked]; why != "" {
			return "", errcode.New(errcode.RefusedByState, fmt.Sprintf("%s cannot become primary: %s", asked, why))
		}
		return "", errcode.New(errcode.RefusedByState, fmt.Sprintf("%s lacks transactions that %s has received; take %s", asked, best, best))
	}
	if err := c.checkEvidence(best, force); err != nil {
		return "", err
	}
	return best, c.checkComplete(best, force)
}

// wins says whether a is the better primary than b: further, or as far and asked for, or preferred by its promotion rule, or in
// the lost primary's cell.
func (c *contest) wins(a, b, asked, cell string) bool {
	switch gtid.Compare(c.all[a], c.all[b]) {
	case gtid.Ahead:
		return true
	case gtid.Equal:
		if asked == a || asked == b {
			return asked == a
		}
		if x, y := c.shard.Tablets[a].reluctance(), c.shard.Tablets[b].reluctance(); x != y {
			return x < y
		}
		inA, inB := c.shard.Tablets[a].Record.GetCell() == cell, c.shard.Tablets[b].Record.GetCell() == cell
		return inA && !inB
	}
	return false
}

// checkComplete makes sure that the winner has what every other replica without transactions of its own has received.
func (c *contest) checkComplete(best string, force bool) error {
	for _, alias := range c.shard.aliases() {
		p, ok := c.all[alias]
		if !ok || alias == best || strings.HasPrefix(c.out[alias], "it has transactions of its own") {
			continue
		}
		if covers(c.all[best], p) == fact.True {
			continue
		}
		if err := c.missing(fmt.Sprintf("whether %s has all that %s has received: %s against %s", best, alias, c.all[best], p), force); err != nil {
			return err
		}
	}
	return nil
}

// covers says whether a has everything of b, by the order of positions: of MariaDB's a later one in the same domain counts.
func covers(a, b gtid.Position) fact.Truth {
	switch gtid.Compare(a, b) {
	case gtid.Equal, gtid.Ahead:
		return fact.True
	case gtid.Unknown:
		return fact.Unknown
	}
	return fact.False
}
