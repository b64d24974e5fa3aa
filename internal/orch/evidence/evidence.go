// Package evidence is what is known of a shard, and from whom: the records, what each agent reports at first hand, what
// replicas and peers see of their primary, and what observers get when they try to reach somebody. Build makes a World of
// it in which everything is a fact with its source and time, or unknown with the reason.
//
// It is pure and it only describes. What is absent or too old is unknown: it never makes something look well, and it never makes it
// look dead. What follows from the facts is package analysis' business.
package evidence

import (
	"cmp"
	"maps"
	"slices"
	"time"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/fact"
)

const (
	// Quiet is how long an agent on a living stream may say nothing before it counts as silent: it sends at least each
	// 500 ms, so two reports are missing.
	Quiet = 1500 * time.Millisecond
	// RecordsMaxAge is how long ago the topology may have confirmed the records: an etcd that changes its leader takes up
	// to two seconds.
	RecordsMaxAge = 5 * time.Second
)

// Standing is what came of the last attempts to reach somebody.
type Standing uint8

// The values of Standing. There is none for "not tried": that is an unknown fact.
const (
	Answers Standing = iota + 1 // the other side answered, if only with an error of its own
	Refused                     // its host answered that nobody listens there
	Silent                      // nothing came back, or the connection broke
)

// String is the standing in one word.
func (s Standing) String() string {
	switch s {
	case Answers:
		return "answers"
	case Refused:
		return "refused"
	case Silent:
		return "silent"
	}
	return "unknown"
}

// Contact is a standing and since when it has been so, by the observer's clock.
type Contact struct {
	Standing Standing
	Since    time.Time
}

// String is for people.
func (c Contact) String() string {
	return c.Standing.String() + " since " + c.Since.UTC().Format("15:04:05.000")
}

// View is how one observer sees one tablet: its agent by the stream of statuses, its server by the dba account over SQL.
type View struct {
	// Observer is the name of a control node, or the alias of the tablet whose agent looked.
	Observer string
	Agent    fact.Fact[Contact]
	Server   fact.Fact[Contact]
}

// Lease is the lease of a reign as the topology has it. A lease that nobody holds has no Holder.
type Lease struct {
	Holder string
	Term   uint64
}

// String is for people.
func (l Lease) String() string {
	if l.Holder == "" {
		return "held by nobody"
	}
	return "held by " + l.Holder
}

// Input is what an observer has gathered of one shard.
type Input struct {
	// Observer is the control node that looks; Release the version of its binary.
	Observer, Release string
	// Keyspace, Shard and Tablets are the records. RecordsAt is when the topology last confirmed that they are current;
	// zero if it never did.
	Keyspace  *topov1.Keyspace
	Shard     *topov1.Shard
	Tablets   []*topov1.Tablet
	RecordsAt time.Time
	// Lease is unknown while the topology cannot be asked.
	Lease fact.Fact[Lease]
	// Reports holds, by alias, what the agents sent to this observer.
	Reports map[string]Observation
	// Servers holds, by alias, what this observer got when it tried the server over SQL.
	Servers map[string]fact.Fact[Contact]
	// Others holds, by alias, the views of other control nodes.
	Others map[string][]View
	// Resumed is when the observer last went on after it had stood still itself: nothing was silent before that, nobody
	// listened. Zero if it never stood still.
	Resumed time.Time
}

// World is all that is known of one shard at one moment. It is not changed once built.
type World struct {
	Keyspace, Shard   string
	Now               time.Time
	Observer, Release string
	// Policy is the keyspace's durability as its record says; unspecified means by the number of replicas.
	Policy fact.Fact[topov1.Durability]
	// Term and Primary are those of the shard's record: 0 and "" before the first primary.
	Term    fact.Fact[uint64]
	Primary fact.Fact[string]
	Lease   fact.Fact[Lease]
	// Listed says that Tablets are all of the shard.
	Listed fact.Fact[bool]
	// Tablets are in the order of their aliases.
	Tablets []*Tablet
}

// Tablet is what is known of one tablet.
type Tablet struct {
	Alias string
	// The next ones are of the tablet's record.
	Cell          fact.Fact[string]
	Type          fact.Fact[topov1.TabletType]
	Host          fact.Fact[string]
	Port          fact.Fact[uint32]
	RecordVersion fact.Fact[string]
	RecordFlavor  fact.Fact[string]
	Promotion     fact.Fact[topov1.Promotion]
	// Own is this observer's view; Others those of other control nodes and of the agents of other tablets, by name.
	Own    View
	Others []View
	// ReceivedAt is when the newest report came, by the observer's clock.
	ReceivedAt fact.Fact[time.Time]
	Status     Status
}

// Path is KEYSPACE/SHARD.
func (w *World) Path() string { return w.Keyspace + "/" + w.Shard }

// Tablet returns the tablet of an alias, or nil.
func (w *World) Tablet(alias string) *Tablet {
	for _, t := range w.Tablets {
		if t.Alias == alias {
			return t
		}
	}
	return nil
}

// Build puts together what is known at now. Ages are judged here and nowhere else: a report that is older than MaxAge, or
// whose stream has broken, is unknown, and so are records that the topology has not confirmed for RecordsMaxAge.
func Build(in Input, now time.Time) *World {
	w := &World{
		Keyspace: in.Shard.GetKeyspace(), Shard: in.Shard.GetName(), Now: now, Observer: in.Observer, Release: in.Release,
		Lease: in.Lease.Fresh(now, RecordsMaxAge),
	}
	rec := recordReader(in, now)
	if in.Keyspace == nil {
		w.Policy = fact.Missing[topov1.Durability](fact.NeverReported, "the keyspace has no record")
	} else {
		w.Policy = fact.Map(rec.always(in.Keyspace.Durability != nil), func(set bool) topov1.Durability { return in.Keyspace.GetDurability() })
	}
	if in.Shard == nil {
		w.Term = fact.Missing[uint64](fact.NeverReported, "the shard has no record")
		w.Primary = fact.Missing[string](fact.NeverReported, "the shard has no record")
	} else {
		w.Term = fact.Map(rec.always(true), func(bool) uint64 { return in.Shard.GetTerm() })
		w.Primary = fact.Map(rec.always(true), func(bool) string { return in.Shard.GetPrimary() })
	}
	w.Listed = rec.always(in.Tablets != nil)
	records := slices.SortedFunc(slices.Values(in.Tablets), func(a, b *topov1.Tablet) int { return cmp.Compare(a.GetAlias(), b.GetAlias()) })
	for _, t := range records {
		w.Tablets = append(w.Tablets, buildTablet(in, rec, t, now))
	}
	w.addPeers()
	return w
}

// recordReader reads the records: unknown as a whole if the topology has not confirmed them lately.
func recordReader(in Input, now time.Time) *reader {
	r := &reader{at: in.RecordsAt, source: "topology"}
	switch {
	case in.RecordsAt.IsZero():
		r.missing, r.why = fact.NeverReported, "the topology has not been read"
	case now.Sub(in.RecordsAt) > RecordsMaxAge:
		r.missing, r.why = fact.Stale, "the topology has not confirmed its records since "+in.RecordsAt.UTC().Format("15:04:05.000")
	default:
		return r
	}
	r.gone = true
	return r
}

func buildTablet(in Input, rec *reader, t *topov1.Tablet, now time.Time) *Tablet {
	alias := t.GetAlias()
	o := in.Reports[alias]
	out := &Tablet{
		Alias: alias, Cell: field(rec, "", t.Cell), Type: enum(rec, "", t.Type), Host: field(rec, "", t.Host), Port: field(rec, "", t.MysqlPort),
		RecordVersion: field(rec, "", t.ServerVersion), RecordFlavor: field(rec, "", t.Flavor),
		// A record without a rule says neutral: it is the default, not something that nobody told.
		Promotion: fact.Map(rec.always(true), func(bool) topov1.Promotion { return t.GetPromotion() }),
		Own: View{
			Observer: in.Observer, Agent: agentContact(in, o, now), Server: in.Servers[alias].Fresh(now, MaxAge),
		},
	}
	for _, v := range in.Others[alias] {
		v.Agent, v.Server = v.Agent.Fresh(now, MaxAge), v.Server.Fresh(now, MaxAge)
		out.Others = append(out.Others, v)
	}
	r := statusReader(o, alias, now)
	if o.Status != nil {
		out.ReceivedAt = fact.Map(r.always(true), func(bool) time.Time { return o.ReceivedAt })
	}
	out.Status = readStatus(r, o.Status)
	return out
}

// agentContact is what the stream of statuses says by itself: that something comes, that nothing comes, that it broke.
func agentContact(in Input, o Observation, now time.Time) fact.Fact[Contact] {
	heard := o.ReceivedAt
	if in.Resumed.After(heard) {
		heard = in.Resumed
	}
	switch {
	case o.Unreachable != "" && o.TriedAt.Before(in.Resumed):
		return fact.Missing[Contact](fact.Stale, "it has not been tried since this node went on")
	case o.Unreachable != "" && o.Refused:
		return fact.Known(Contact{Refused, o.Since}, o.TriedAt, in.Observer).Fresh(now, MaxContactAge)
	case o.Unreachable != "":
		return fact.Known(Contact{Silent, o.Since}, o.TriedAt, in.Observer).Fresh(now, MaxContactAge)
	case o.Status == nil:
		return fact.Missing[Contact](fact.NeverReported, "the agent has not been reached yet")
	case now.Sub(o.ReceivedAt) <= Quiet:
		return fact.Known(Contact{Answers, o.ReceivedAt}, o.ReceivedAt, in.Observer)
	case now.Sub(heard) <= Quiet:
		return fact.Missing[Contact](fact.Stale, "nothing was heard since this node went on")
	}
	return fact.Known(Contact{Silent, heard}, now, in.Observer)
}

// MaxContactAge is how old an attempt to reach somebody may be: whoever watches an agent that is gone tries it again at least
// each five seconds, and half of that comes on top so that not all do so at the same moment.
const MaxContactAge = 8 * time.Second

// statusReader reads a report, or says why all of it is unknown.
func statusReader(o Observation, alias string, now time.Time) *reader {
	r := &reader{at: o.ReceivedAt, source: alias, unknowns: o.Status.GetUnknowns()}
	switch {
	case o.Unreachable != "":
		r.missing, r.why = fact.Unreachable, o.Unreachable
	case o.Status == nil:
		r.missing, r.why = fact.NeverReported, "no report yet"
	case o.Stale(now):
		r.missing, r.why = fact.Stale, "the last report came "+now.Sub(o.ReceivedAt).Round(time.Millisecond).String()+" ago"
	default:
		return r
	}
	r.gone = true
	return r
}

// addPeers turns what agents report of each other into views of those whom they see. Of an agent that says nothing of another tablet there
// is a view in which everything is unknown: it may see what nobody else does.
func (w *World) addPeers() {
	for _, seen := range w.Tablets {
		for _, observer := range w.Tablets {
			if observer != seen {
				seen.Others = append(seen.Others, observer.viewOf(seen.Alias))
			}
		}
		slices.SortStableFunc(seen.Others, func(a, b View) int { return cmp.Compare(a.Observer, b.Observer) })
	}
}

func (t *Tablet) viewOf(alias string) View {
	for _, p := range t.Status.Peers {
		if name, _ := p.Alias.Get(); name == alias {
			return View{Observer: t.Alias, Agent: contact(p.Agent, p.AgentSince), Server: contact(p.Server, p.ServerSince)}
		}
	}
	return View{Observer: t.Alias}
}

// contact puts a peer's standing, which has the numbers of Standing, and its age together; without an age it holds since the report.
func contact(standing fact.Fact[tabletv1.Contact], age fact.Fact[time.Duration]) fact.Fact[Contact] {
	long, _ := age.Get()
	return fact.Map(standing, func(c tabletv1.Contact) Contact {
		return Contact{Standing(c), standing.At().Add(-long)}
	})
}

// Aliases returns those of a map in order.
func Aliases[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
