// Package recovery decides what may be done about a finding, and who may reign: whether people have forbidden it, whether it was
// tried a moment ago or is under way, whether a planned hand-over is safe, which replica replaces a lost primary without
// losing an acknowledged transaction, and who comes first in a new shard.
//
// It is pure: it gets what was observed and returns a ruling, a plan or a refusal with its reason; package reparent acts. What is
// not known never counts in favour of acting.
package recovery

import (
	"fmt"
	"slices"
	"strings"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/internal/topo/durability"
)

// Tablet is a tablet's record with what its agent has just said. Status is nil if it did not answer.
type Tablet struct {
	Record      *topov1.Tablet
	Status      *tabletv1.FullStatus
	Unreachable string
}

// Shard is what is known of a shard when a decision is due.
type Shard struct {
	Keyspace *topov1.Keyspace
	Record   *topov1.Shard
	Tablets  map[string]Tablet
}

// Plan says who reigns next and who follows.
type Plan struct {
	// Old is the alias of the present primary, empty before the first.
	Old string
	New string
	// Term is that of the new reign.
	Term uint64
	// SemiSync says whether commits must be acknowledged under the new primary.
	SemiSync bool
	// Followers are all other tablets, in order, the old primary included.
	Followers []string
	// Notes are what an operator should know of how it was decided.
	Notes []string
}

// Path is KEYSPACE/SHARD.
func (s Shard) Path() string { return s.Record.GetKeyspace() + "/" + s.Record.GetName() }

// aliases returns all aliases in order, so that decisions do not depend on the order of a map.
func (s Shard) aliases() []string {
	out := make([]string, 0, len(s.Tablets))
	for alias := range s.Tablets {
		out = append(out, alias)
	}
	slices.Sort(out)
	return out
}

func (s Shard) records() map[string]*topov1.Tablet {
	out := make(map[string]*topov1.Tablet, len(s.Tablets))
	for alias, t := range s.Tablets {
		out[alias] = t.Record
	}
	return out
}

// plan fills in what follows from the choice.
func (s Shard) plan(next string, notes []string) Plan {
	p := Plan{
		Old: s.Record.GetPrimary(), New: next, Term: s.Record.GetTerm() + 1,
		SemiSync: durability.SemiSync(s.Keyspace, s.records(), next), Notes: notes,
	}
	for _, alias := range s.aliases() {
		if alias != next {
			p.Followers = append(p.Followers, alias)
		}
	}
	return p
}

// Promotable says whether the topology allows a tablet to reign.
func Promotable(rec *topov1.Tablet) bool {
	return durability.Acknowledges(rec) && rec.GetPromotion() != topov1.Promotion_PROMOTION_MUST_NOT
}

// reluctance orders tablets by their promotion rule: who has the least is taken where other things are equal.
func (t Tablet) reluctance() int {
	switch t.Record.GetPromotion() {
	case topov1.Promotion_PROMOTION_PREFER:
		return 0
	case topov1.Promotion_PROMOTION_PREFER_NOT:
		return 2
	case topov1.Promotion_PROMOTION_MUST_NOT:
		return 3
	}
	return 1
}

// version is the version of the tablet's server: as reported, or as registered if agent or server did not answer. Nil is unknown.
func (t Tablet) version() *flavor.Flavor {
	text, name := t.Status.GetServer().GetVersion(), t.Status.GetServer().GetFlavor()
	if text == "" && (t.Status == nil || t.Responding() == fact.False) {
		text, name = t.Record.GetServerVersion(), t.Record.GetFlavor()
	}
	if name == "mariadb" && !strings.Contains(strings.ToLower(text), "mariadb") {
		text += "-MariaDB"
	}
	fl, _, err := flavor.Detect(text)
	if err != nil {
		return nil
	}
	return fl
}

// follows says whether the servers of all those named can replicate from that of next, with a reason if not. Of servers that run
// next's own version or a newer one it is certain, of one that does not tell its version it is unknown.
func (s Shard) follows(next string, followers []string) (fact.Truth, string) {
	source := s.Tablets[next].version()
	for _, alias := range followers {
		if alias == next {
			continue
		}
		mine := s.Tablets[alias].version()
		switch {
		case source == nil:
			return fact.Unknown, fmt.Sprintf("the version of %s is not known", next)
		case mine == nil:
			return fact.Unknown, fmt.Sprintf("the version of %s is not known", alias)
		case !mine.CanFollow(source):
			return fact.False, fmt.Sprintf("%s (%s) cannot replicate from %s (%s)", alias, mine, next, source)
		}
	}
	return fact.True, ""
}

// checkAsked refuses a tablet that was asked for and cannot reign whatever is observed.
func (s Shard) checkAsked(asked string) error {
	t, ok := s.Tablets[asked]
	if !ok {
		return errcode.New(errcode.RefusedByState, fmt.Sprintf("tablet %s is not in shard %s", asked, s.Path()))
	}
	if t.Record.GetPromotion() == topov1.Promotion_PROMOTION_MUST_NOT {
		return errcode.New(errcode.RefusedByState, fmt.Sprintf("tablet %s must not become primary by its promotion rule", asked))
	}
	if !Promotable(t.Record) {
		return errcode.New(errcode.RefusedByState, fmt.Sprintf("tablet %s is of type %s; only a replica can become primary", asked, TypeName(t.Record.GetType())))
	}
	return nil
}

// TypeName is a tablet type as people write it.
func TypeName(t topov1.TabletType) string {
	return strings.ToLower(strings.TrimPrefix(t.String(), "TABLET_TYPE_"))
}

// family is the GTID family of a tablet, by what its agent reported or else by its record.
func (t Tablet) family() gtid.Family {
	flavor := t.Record.GetFlavor()
	if reported := t.Status.GetServer().GetFlavor(); reported != "" {
		flavor = reported
	}
	switch flavor {
	case "mysql":
		return gtid.MySQL
	case "mariadb":
		return gtid.MariaDB
	}
	return gtid.NoFamily
}

// position reads a position that was reported; nil is unknown.
func (t Tablet) position(text *string) gtid.Position {
	if text == nil || t.family() == gtid.NoFamily {
		return gtid.Position{}
	}
	p, err := gtid.Parse(t.family(), *text)
	if err != nil {
		return gtid.Position{}
	}
	return p
}

// Executed is the whole position of the tablet's server; unknown if it was not reported.
func (t Tablet) Executed() gtid.Position {
	if t.Status == nil || t.Status.Server == nil {
		return gtid.Position{}
	}
	return t.position(t.Status.Server.Executed)
}

// Responding says whether the tablet's server answers its agent.
func (t Tablet) Responding() fact.Truth {
	if t.Status == nil || t.Status.Server == nil {
		return fact.Unknown
	}
	return truth(t.Status.Server.Responding)
}

// writable says whether the server takes writes: not fenced, and not read-only.
func (t Tablet) writable() fact.Truth {
	if t.Status == nil || t.Status.Server == nil {
		return fact.Unknown
	}
	return fact.And(truth(t.Status.Fenced).Not(), truth(t.Status.Server.ReadOnly).Not())
}

// Open says whether a status is that of a primary which takes writes in the term.
func Open(status *tabletv1.FullStatus, term uint64) fact.Truth {
	t := Tablet{Status: status}
	if status == nil {
		return fact.Unknown
	}
	return fact.And(t.Responding(), t.writable(), is(status.Term, func(v uint64) bool { return v >= term }))
}

// replicating says whether both threads run and the source is the tablet src.
func (t Tablet) replicating(src *topov1.Tablet) fact.Truth {
	if t.Status == nil || t.Status.Replication == nil {
		return fact.Unknown
	}
	r := t.Status.Replication
	return fact.And(
		is(r.Receiver, func(v string) bool { return v == "Yes" }),
		is(r.Applier, func(v string) bool { return v == "Yes" }),
		is(r.SourcePort, func(v uint32) bool { return v == src.GetMysqlPort() }),
		is(r.SourceHost, func(v string) bool { return v == src.GetHost() }),
	)
}

func truth(b *bool) fact.Truth { return is(b, func(v bool) bool { return v }) }

func is[T any](p *T, pred func(T) bool) fact.Truth {
	switch {
	case p == nil:
		return fact.Unknown
	case pred(*p):
		return fact.True
	}
	return fact.False
}

// require turns a condition into a refusal: by state if it is false, by missing evidence if nobody knows.
func require(cond fact.Truth, what string, t Tablet) error {
	switch cond {
	case fact.True:
		return nil
	case fact.False:
		return errcode.New(errcode.RefusedByState, fmt.Sprintf("it is not so that %s", what))
	}
	if t.Status == nil && t.Unreachable != "" {
		what += " (its agent: " + t.Unreachable + ")"
	}
	return errcode.New(errcode.EvidenceMissing, "whether "+what)
}
