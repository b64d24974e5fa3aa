package evidence

import (
	"fmt"
	"slices"
	"time"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/topo/durability"
)

const (
	// MaxAge is how old a report may be: agents send one at least each 500 ms, so six are missing.
	MaxAge = 3 * time.Second
	// MaxLag is how far behind a replica may be and still count as well.
	MaxLag = 30 * time.Second
)

// Health sums up a tablet or a shard.
type Health int

// The values of Health, in no order of badness.
const (
	Unknown  Health = iota // nobody has reported lately
	OK                     // all is as it should be
	Degraded               // it serves, but something is missing
	Down                   // it does not serve
)

// String is the word for people and for JSON.
func (h Health) String() string {
	switch h {
	case OK:
		return "ok"
	case Degraded:
		return "degraded"
	case Down:
		return "down"
	}
	return "unknown"
}

// Observation is a tablet's record with the newest report of its agent.
type Observation struct {
	Record *topov1.Tablet
	// Status is nil while nothing was reported.
	Status *tabletv1.FullStatus
	// ReceivedAt is when the report came in, by the observer's clock.
	ReceivedAt time.Time
	// Unreachable is why there is no newer report; empty while the stream is up.
	Unreachable string
	// Refused says that the agent's host answered that nobody listens; Since is when the stream broke or the first attempt
	// failed, TriedAt when the last attempt was made. They mean nothing while Unreachable is empty.
	Refused        bool
	Since, TriedAt time.Time
}

// Stale says that there is no report that can be believed now.
func (o Observation) Stale(now time.Time) bool {
	return o.Status == nil || now.Sub(o.ReceivedAt) > MaxAge
}

// Summary is a health with its reasons.
type Summary struct {
	Health  Health
	Reasons []string
}

func (s *Summary) add(h Health, format string, args ...any) {
	s.Reasons = append(s.Reasons, fmt.Sprintf(format, args...))
	if rank(h) > rank(s.Health) {
		s.Health = h
	}
}

// rank orders by how much a person should care.
func rank(h Health) int {
	switch h {
	case OK:
		return 0
	case Degraded:
		return 1
	case Unknown:
		return 2
	}
	return 3
}

// TabletHealth sums up one tablet. The shard's record says who should reign.
func TabletHealth(o Observation, shard *topov1.Shard, now time.Time) Summary {
	s := Summary{Health: OK}
	if o.Stale(now) {
		why := o.Unreachable
		if why == "" {
			why = "no report yet"
		}
		s.add(Unknown, "agent: %s", why)
		return s
	}
	server := o.Status.GetServer()
	switch truth(server, func(v *tabletv1.ServerStatus) *bool { return v.Responding }) {
	case fact.Unknown:
		s.add(Unknown, "whether the server answers is not reported")
		return s
	case fact.False:
		s.add(Down, "the server does not answer%s", detail(server.GetLastError()))
		return s
	}
	if shard.GetTerm() > 0 && o.Record.GetAlias() == shard.GetPrimary() {
		s.primary(o.Status)
	} else {
		s.replica(o.Status)
	}
	if n := o.Status.GetRedo().GetUndecided(); n > 0 {
		s.add(Degraded, "%d transactions across shards wait for their decision", n)
	}
	if redo := o.Status.GetRedo(); redo.GetFailing() > 0 {
		s.add(Degraded, "%d committed transactions across shards cannot be replayed here%s", redo.GetFailing(), detail(redo.GetLastError()))
	}
	return s
}

func (s *Summary) primary(status *tabletv1.FullStatus) {
	server := status.GetServer()
	if status.GetFenced() {
		s.add(Down, "the primary is fenced%s", detail(status.GetFenceReason()))
		return
	}
	switch truth(server, func(v *tabletv1.ServerStatus) *bool { return v.ReadOnly }) {
	case fact.True:
		s.add(Down, "the primary is read-only")
	case fact.Unknown:
		s.add(Unknown, "whether the primary takes writes is not reported")
	}
	if n := server.GetStuckCommits(); n > 0 {
		s.add(Degraded, "%d commits wait for an acknowledgement", n)
	}
	if status.GetReplication().GetConfigured() {
		s.add(Degraded, "the primary has a replication source")
	}
}

func (s *Summary) replica(status *tabletv1.FullStatus) {
	if truth(status.GetServer(), func(v *tabletv1.ServerStatus) *bool { return v.ReadOnly }) == fact.False {
		s.add(Degraded, "the replica takes writes")
	}
	rep := status.GetReplication()
	switch truth(rep, func(v *tabletv1.ReplicationStatus) *bool { return v.Configured }) {
	case fact.Unknown:
		s.add(Unknown, "replication is not reported")
		return
	case fact.False:
		s.add(Degraded, "replication is not set up%s", detail(status.GetServer().GetLastError()))
		return
	}
	if rep.Receiver == nil || rep.Applier == nil {
		s.add(Unknown, "the replication threads are not reported")
	}
	if rep.Receiver != nil && rep.GetReceiver() != "Yes" {
		s.add(Degraded, "the receiver is %q%s", rep.GetReceiver(), detail(rep.GetLastIoError()))
	}
	if rep.Applier != nil && rep.GetApplier() != "Yes" {
		s.add(Degraded, "the applier is %q%s", rep.GetApplier(), detail(rep.GetLastSqlError()))
	}
	if lag, ok := Lag(status); ok && lag > MaxLag {
		s.add(Degraded, "%s behind", lag.Round(time.Second))
	}
}

// Lag is how far a replica is behind: by the primary's heartbeat, or else by the server's own figure.
func Lag(status *tabletv1.FullStatus) (time.Duration, bool) {
	lag := status.GetLag()
	switch {
	case lag.GetHeartbeatLag() != nil:
		return lag.GetHeartbeatLag().AsDuration(), true
	case lag != nil && lag.SecondsBehind != nil:
		return time.Duration(lag.GetSecondsBehind()) * time.Second, true
	}
	return 0, false
}

// ShardHealth sums up a shard by its tablets: down without a primary that serves, degraded if a tablet is not well.
func ShardHealth(rec *topov1.Shard, keyspace *topov1.Keyspace, tablets map[string]Observation, now time.Time) Summary {
	s := Summary{Health: OK}
	if rec.GetTerm() == 0 || rec.GetPrimary() == "" {
		s.add(Down, "the shard has no primary yet")
		return s
	}
	primary, ok := tablets[rec.GetPrimary()]
	if !ok {
		s.add(Down, "the primary %s is not registered", rec.GetPrimary())
		return s
	}
	p := TabletHealth(primary, rec, now)
	for _, reason := range p.Reasons {
		s.add(p.Health, "%s: %s", rec.GetPrimary(), reason)
	}
	records := make(map[string]*topov1.Tablet, len(tablets))
	for alias, o := range tablets {
		records[alias] = o.Record
		if alias == rec.GetPrimary() {
			continue
		}
		for _, reason := range TabletHealth(o, rec, now).Reasons {
			s.add(Degraded, "%s: %s", alias, reason)
		}
	}
	if durability.SemiSync(keyspace, records, rec.GetPrimary()) && !primary.Stale(now) {
		if semi := primary.Status.GetSemiSync(); semi != nil && semi.Clients != nil && semi.GetClients() < durability.Acks {
			s.add(Degraded, "no replica acknowledges commits: they wait")
		}
	}
	slices.Sort(s.Reasons)
	return s
}

func truth[M any](m *M, field func(*M) *bool) fact.Truth {
	if m == nil || field(m) == nil {
		return fact.Unknown
	}
	return fact.Of(*field(m))
}

func detail(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}
