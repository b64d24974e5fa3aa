package analysis

import (
	"slices"
	"time"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
	"github.com/pelorusdb/pelorus/internal/topo/durability"
)

// scene is a world with the words in which the rows speak of it. All of them are monotone: with fewer facts known an answer
// stays as it was or becomes unknown.
type scene struct {
	w *evidence.World
	// primary is the tablet that the record names, or one of which nothing is known.
	primary *evidence.Tablet
	// errants keeps what was computed, since several rows ask for it.
	errants map[string]fact.Fact[string]
	// across and waits keep the answers of someAcross and semiSync, which many rows ask for.
	across, waits *fact.Truth
	// trace notes which facts are looked at; nil to not note them.
	trace *trace
}

// trace is the facts that were looked at, each once.
type trace struct{ used []Used }

func newScene(w *evidence.World) *scene {
	s := &scene{w: w, primary: &evidence.Tablet{}, errants: map[string]fact.Fact[string]{}}
	if alias, known := w.Primary.Get(); known {
		s.primary.Alias = alias
		if t := w.Tablet(alias); t != nil {
			s.primary = t
		}
	}
	return s
}

const shard = "shard"

// see notes a fact and returns it.
func see[T any](s *scene, subject, name string, f fact.Fact[T]) fact.Fact[T] {
	if s.trace == nil {
		return f
	}
	if !slices.ContainsFunc(s.trace.used, func(u Used) bool { return u.Subject == subject && u.Name == name }) {
		s.trace.used = append(s.trace.used, Used{Subject: subject, Name: name, Text: f.String(), Known: f.IsKnown()})
	}
	return f
}

func (s *scene) isPrimary(t *evidence.Tablet) fact.Truth {
	return fact.EqualTo(see(s, shard, "primary", s.w.Primary), t.Alias)
}

// reigning says whether there has been a first primary.
func (s *scene) reigning() fact.Truth {
	return fact.And(fact.Above(see(s, shard, "term", s.w.Term), 0), fact.Is(see(s, shard, "primary", s.w.Primary), func(a string) bool { return a != "" }))
}

func (s *scene) typeIn(t *evidence.Tablet, types ...topov1.TabletType) fact.Truth {
	return fact.Is(see(s, t.Alias, "type", t.Type), func(typ topov1.TabletType) bool { return slices.Contains(types, typ) })
}

// follower says whether a tablet should replicate from the primary: not one that is drained, backed up or restored. The record
// of a former primary may still say primary.
func (s *scene) follower(t *evidence.Tablet) fact.Truth {
	return fact.And(s.reigning(), s.isPrimary(t).Not(), s.typeIn(t, topov1.TabletType_TABLET_TYPE_PRIMARY,
		topov1.TabletType_TABLET_TYPE_REPLICA, topov1.TabletType_TABLET_TYPE_RDONLY, topov1.TabletType_TABLET_TYPE_SPARE))
}

func (s *scene) responding(t *evidence.Tablet) fact.Truth {
	return fact.Holds(see(s, t.Alias, "server.responding", t.Status.Server.Responding))
}

func (s *scene) readOnly(t *evidence.Tablet) fact.Truth {
	return fact.Holds(see(s, t.Alias, "server.read_only", t.Status.Server.ReadOnly))
}

func (s *scene) fenced(t *evidence.Tablet) fact.Truth {
	return fact.Holds(see(s, t.Alias, "fenced", t.Status.Fenced))
}

// believesPrimary says whether a tablet's agent takes its own server for the primary.
func (s *scene) believesPrimary(t *evidence.Tablet) fact.Truth {
	return fact.EqualTo(see(s, t.Alias, "own_type", t.Status.OwnType), topov1.TabletType_TABLET_TYPE_PRIMARY)
}

// agentTerm is the newest term that a tablet's agent has seen.
func (s *scene) agentTerm(t *evidence.Tablet) fact.Fact[uint64] {
	return see(s, t.Alias, "term", t.Status.Term)
}

func (s *scene) term() fact.Fact[uint64] { return see(s, shard, "term", s.w.Term) }

// agrees says whether an agent is in the shard's term and holds its server for the primary.
func (s *scene) agrees(t *evidence.Tablet) fact.Truth {
	return fact.And(s.believesPrimary(t), fact.Equal(s.agentTerm(t), s.term()))
}

// agent says whether this node's contact with a tablet's agent is one of standings.
func (s *scene) agent(t *evidence.Tablet, standings ...evidence.Standing) fact.Truth {
	return fact.Is(see(s, t.Alias, "agent contact", t.Own.Agent), func(c evidence.Contact) bool { return slices.Contains(standings, c.Standing) })
}

// server says whether this node's own attempt to reach a tablet's server over SQL came out as one of standings.
func (s *scene) server(t *evidence.Tablet, standings ...evidence.Standing) fact.Truth {
	return fact.Is(see(s, t.Alias, "server contact", t.Own.Server), func(c evidence.Contact) bool { return slices.Contains(standings, c.Standing) })
}

// serverSeen says whether an attempt of anybody, of this node or another or of a peer's agent, to reach a tablet's server came out as
// standing.
func (s *scene) serverSeen(t *evidence.Tablet, standing evidence.Standing) fact.Truth {
	out := []fact.Truth{s.server(t, standing)}
	for _, v := range t.Others {
		out = append(out, fact.Is(see(s, t.Alias, "server contact of "+v.Observer, v.Server), func(c evidence.Contact) bool { return c.Standing == standing }))
	}
	return fact.Or(out...)
}

// agentSeen is serverSeen of a tablet's agent, for several standings.
func (s *scene) agentSeen(t *evidence.Tablet, standings ...evidence.Standing) fact.Truth {
	out := []fact.Truth{s.agent(t, standings...)}
	for _, v := range t.Others {
		out = append(out, fact.Is(see(s, t.Alias, "agent contact of "+v.Observer, v.Agent), func(c evidence.Contact) bool { return slices.Contains(standings, c.Standing) }))
	}
	return fact.Or(out...)
}

// vote is what a replica says of the primary, and whether its word counts.
type vote struct{ counts, says fact.Truth }

// votes asks the replicas of the primary; each that is set up to follow it, and whose own server lives, has a word.
func (s *scene) votes(says func(*evidence.Tablet) fact.Truth) []vote {
	var out []vote
	for _, t := range s.w.Tablets {
		if t == s.primary {
			continue
		}
		out = append(out, vote{fact.And(s.follower(t), s.responding(t), s.follows(t)), says(t)})
	}
	return out
}

// follows says whether a server is set up to replicate from the primary's.
func (s *scene) follows(t *evidence.Tablet) fact.Truth {
	r, p := t.Status.Replication, s.primary
	see(s, t.Alias, "replication.configured", r.Configured)
	see(s, t.Alias, "replication.source_host", r.SourceHost)
	see(s, t.Alias, "replication.source_port", r.SourcePort)
	see(s, p.Alias, "host", p.Host)
	see(s, p.Alias, "port", p.Port)
	return t.Follows(p)
}

// link notes what a replica reports of its connection to its source.
func (s *scene) link(t *evidence.Tablet) *evidence.Tablet {
	r := t.Status.Replication
	see(s, t.Alias, "replication.receiver", r.Receiver)
	see(s, t.Alias, "replication.last_io_errno", r.LastIOErrno)
	see(s, t.Alias, "replication.last_io_error", r.LastIOError)
	see(s, t.Alias, "replication.silent_for", r.SilentFor)
	see(s, t.Alias, "replication.last_heartbeat_at", r.LastHeartbeatAt)
	return t
}

func (s *scene) lost(t *evidence.Tablet) fact.Truth    { return s.link(t).Lost() }
func (s *scene) sees(t *evidence.Tablet) fact.Truth    { return s.link(t).Sees() }
func (s *scene) refused(t *evidence.Tablet) fact.Truth { return s.link(t).Refused() }

// some says whether at least one replica says so.
func (s *scene) some(says func(*evidence.Tablet) fact.Truth) fact.Truth {
	return s.quorum(says, func(int) int { return 1 })
}

// most says whether more than half of the replicas say so. Without any replica nobody does.
func (s *scene) most(says func(*evidence.Tablet) fact.Truth) fact.Truth {
	return s.quorum(says, func(n int) int { return n/2 + 1 })
}

// every says whether all replicas say so, and there is one.
func (s *scene) every(says func(*evidence.Tablet) fact.Truth) fact.Truth {
	return s.quorum(says, func(n int) int { return max(1, n) })
}

// quorum counts. A replica of whom nobody can tell whether its word counts makes the quorum larger and its vote unknown:
// with fewer facts known the answer can only become unknown.
func (s *scene) quorum(says func(*evidence.Tablet) fact.Truth, needed func(int) int) fact.Truth {
	if !fact.Holds(see(s, shard, "tablets", s.w.Listed)).IsTrue() || !see(s, shard, "primary", s.w.Primary).IsKnown() {
		return fact.Unknown
	}
	var votes []fact.Truth
	for _, v := range s.votes(says) {
		switch v.counts {
		case fact.True:
			votes = append(votes, v.says)
		case fact.Unknown:
			votes = append(votes, fact.Unknown)
		}
	}
	return fact.AtLeast(needed(len(votes)), votes...)
}

// serverDown says whether a tablet's agent sees at first hand that its server is dead or only coming up. A server that runs and
// is slow to answer is not down.
func (s *scene) serverDown(t *evidence.Tablet) fact.Truth {
	sv := t.Status.Server
	return fact.And(s.responding(t).Not(), fact.Or(
		fact.Holds(see(s, t.Alias, "server.running", sv.Running)).Not(),
		fact.Holds(see(s, t.Alias, "server.starting", sv.Starting)),
		s.server(t, evidence.Refused),
	))
}

// leaseIsPrimarys compares who holds the lease with the primary of the record.
func (s *scene) leaseIsPrimarys() fact.Truth {
	return fact.Both(see(s, shard, "lease", s.w.Lease), see(s, shard, "primary", s.w.Primary), func(l evidence.Lease, p string) bool { return l.Holder == p })
}

// acker says whether a tablet's acknowledgement counts for commits on the primary: the rule of package durability over facts.
func (s *scene) acker(t *evidence.Tablet) fact.Truth {
	cross := fact.EqualTo(see(s, shard, "durability", s.w.Policy), topov1.Durability_DURABILITY_CROSS_CELL)
	return fact.And(s.mayAck(t), fact.Or(cross.Not(), s.elsewhere(t), s.someAcross().Not()))
}

// someAcross says whether any replica that acknowledges is in another cell than the primary.
func (s *scene) someAcross() fact.Truth {
	return s.once(&s.across, func() fact.Truth {
		across := []fact.Truth{fact.Holds(see(s, shard, "tablets", s.w.Listed)).Not()}
		for _, t := range s.w.Tablets {
			across = append(across, fact.And(s.mayAck(t), s.elsewhere(t)))
		}
		return fact.Or(across...)
	})
}

// once computes an answer that is the same for all rows, anew while facts are noted.
func (s *scene) once(kept **fact.Truth, compute func() fact.Truth) fact.Truth {
	if s.trace != nil {
		return compute()
	}
	if *kept == nil {
		v := compute()
		*kept = &v
	}
	return **kept
}

// mayAck says whether a tablet is a replica of a type that acknowledges.
func (s *scene) mayAck(t *evidence.Tablet) fact.Truth {
	return fact.And(s.isPrimary(t).Not(), s.typeIn(t, topov1.TabletType_TABLET_TYPE_PRIMARY, topov1.TabletType_TABLET_TYPE_REPLICA))
}

// elsewhere says whether a tablet is in another cell than the primary.
func (s *scene) elsewhere(t *evidence.Tablet) fact.Truth {
	return fact.Equal(see(s, t.Alias, "cell", t.Cell), see(s, s.primary.Alias, "cell", s.primary.Cell)).Not()
}

// semiSync says whether commits have to wait for an acknowledgement.
func (s *scene) semiSync() fact.Truth { return s.once(&s.waits, s.mustWait) }

func (s *scene) mustWait() fact.Truth {
	policy := see(s, shard, "durability", s.w.Policy)
	byNumber := fact.EqualTo(policy, topov1.Durability_DURABILITY_UNSPECIFIED)
	one, two := fact.Unknown, fact.Unknown
	if fact.Holds(see(s, shard, "tablets", s.w.Listed)).IsTrue() {
		var ackers []fact.Truth
		for _, t := range s.w.Tablets {
			ackers = append(ackers, s.acker(t))
		}
		one, two = fact.AtLeast(durability.Acks, ackers...), fact.AtLeast(2*durability.Acks, ackers...)
	}
	return fact.And(fact.EqualTo(policy, topov1.Durability_DURABILITY_NONE).Not(),
		fact.Or(fact.And(byNumber.Not(), one), fact.And(byNumber, two)))
}

// errant is what a tablet has that did not come from the primary.
func (s *scene) errant(t *evidence.Tablet) fact.Fact[string] {
	f, ok := s.errants[t.Alias]
	if !ok {
		f = t.Errant(s.primary, s.w.Term)
		s.errants[t.Alias] = f
	}
	return see(s, t.Alias, "errant transactions", f)
}

// clean says that a tablet has nothing of its own, and the primary is one from which it can replicate: a server that
// answers and has begun its reign.
func (s *scene) clean(t *evidence.Tablet) fact.Truth {
	return fact.And(s.good(), fact.EqualTo(s.errant(t), ""))
}

// good says that the primary answers and has written its reign.
func (s *scene) good() fact.Truth {
	p := s.primary
	return fact.And(s.responding(p), fact.Equal(see(s, p.Alias, "reign_term", p.Status.ReignTerm), s.term()))
}

func (s *scene) receiver(t *evidence.Tablet, state string) fact.Truth {
	return fact.EqualTo(see(s, t.Alias, "replication.receiver", t.Status.Replication.Receiver), state)
}

func (s *scene) applier(t *evidence.Tablet, state string) fact.Truth {
	return fact.EqualTo(see(s, t.Alias, "replication.applier", t.Status.Replication.Applier), state)
}

func (s *scene) configured(t *evidence.Tablet) fact.Truth {
	return fact.Holds(see(s, t.Alias, "replication.configured", t.Status.Replication.Configured))
}

func (s *scene) receiverFails(t *evidence.Tablet, kinds ...flavor.Failure) fact.Truth {
	see(s, t.Alias, "replication.last_io_errno", t.Status.Replication.LastIOErrno)
	see(s, t.Alias, "replication.last_io_error", t.Status.Replication.LastIOError)
	return fact.Is(t.ReceiverFailure(), func(f flavor.Failure) bool { return slices.Contains(kinds, f) })
}

func (s *scene) applierFails(t *evidence.Tablet, kinds ...flavor.Failure) fact.Truth {
	see(s, t.Alias, "replication.last_sql_errno", t.Status.Replication.LastSQLErrno)
	return fact.Is(t.ApplierFailure(), func(f flavor.Failure) bool { return slices.Contains(kinds, f) })
}

// roomy says whether a tablet may reign as far as its disk goes: some replica must, before a primary is given up for its disk.
func (s *scene) roomy(t *evidence.Tablet) fact.Truth {
	sv := t.Status.Server
	return fact.And(
		fact.Is(see(s, t.Alias, "server.disk_free_bytes", sv.DiskFreeBytes), func(n uint64) bool { return n >= roomyBytes }),
		fact.Holds(see(s, t.Alias, "server.disk_read_only", sv.DiskReadOnly)).Not(),
		fact.Is(see(s, t.Alias, "server.disk_blocked_for", sv.DiskBlockedFor), func(d time.Duration) bool { return d < time.Second }),
		s.responding(t), s.typeIn(t, topov1.TabletType_TABLET_TYPE_REPLICA))
}
