// Package evidencetest makes worlds for tests: a healthy shard as agents of this release would report it, and what happens to it.
//
// It models what is seen of servers, not servers: nothing here replicates or runs. Each change makes the observations that a
// real fault makes, as far as experiments with both families have shown them.
package evidencetest

import (
	"fmt"
	"time"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The tablets of a Shard: a primary, a replica in its cell and one in another, and a rdonly.
const (
	Primary, Near, Far, Reader = "a-1", "a-2", "b-3", "b-4"
	// Term is the reign.
	Term = 7
)

// Aliases are all of them in order.
func Aliases() []string { return []string{Primary, Near, Far, Reader} }

// Shard is an observer's input that tests may change before they Build it.
type Shard struct {
	evidence.Input
	Now    time.Time
	Flavor string
}

// New is a healthy shard of a family, "mysql" or "mariadb", seen at a fixed time by the control node c1.
func New(flavor string) *Shard {
	now := time.Unix(1_800_000_000, 0).UTC()
	s := &Shard{Now: now, Flavor: flavor, Input: evidence.Input{
		Observer: "c1", Release: "0.2.0", RecordsAt: now,
		Keyspace: &topov1.Keyspace{Name: proto.String("shop")},
		Shard:    &topov1.Shard{Keyspace: proto.String("shop"), Name: proto.String("0"), Term: proto.Uint64(Term), Primary: proto.String(Primary)},
		Lease:    fact.Known(evidence.Lease{Holder: Primary, Term: Term}, now, "topology"),
		Reports:  map[string]evidence.Observation{}, Servers: map[string]fact.Fact[evidence.Contact]{}, Others: map[string][]evidence.View{},
	}}
	for i, alias := range Aliases() {
		s.add(alias, uint32(i+1))
	}
	return s
}

func (s *Shard) add(alias string, id uint32) {
	typ := topov1.TabletType_TABLET_TYPE_REPLICA
	switch alias {
	case Primary:
		typ = topov1.TabletType_TABLET_TYPE_PRIMARY
	case Reader:
		typ = topov1.TabletType_TABLET_TYPE_RDONLY
	}
	rec := &topov1.Tablet{
		Alias: &alias, Cell: proto.String(alias[:1]), Uid: &id, Keyspace: proto.String("shop"), Shard: proto.String("0"), Type: &typ,
		Host: proto.String("10.0.0." + alias[2:]), MysqlPort: proto.Uint32(3306), Flavor: &s.Flavor, ServerVersion: proto.String(s.version()),
	}
	s.Tablets = append(s.Tablets, rec)
	s.Reports[alias] = evidence.Observation{Record: rec, Status: s.status(alias, id, typ), ReceivedAt: s.Now}
	s.Servers[alias] = fact.Known(evidence.Contact{Standing: evidence.Answers, Since: s.Now}, s.Now, s.Observer)
}

func (s *Shard) version() string {
	if s.Flavor == "mariadb" {
		return "10.11.19-MariaDB"
	}
	return "9.7.4"
}

// UUID is the server uuid of a tablet by its number.
func UUID(id uint32) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", id) }

// GTIDs is a position in the shard's family: n transactions of the primary, and extra ones of the server with an id.
func (s *Shard) GTIDs(n int, id uint32, extra int) string {
	switch {
	case s.Flavor == "mariadb" && extra > 0:
		return fmt.Sprintf("0-%d-%d", id, n+extra)
	case s.Flavor == "mariadb":
		return fmt.Sprintf("0-1-%d", n)
	case extra > 0:
		return fmt.Sprintf("%s:1-%d,%s:1-%d", UUID(1), n, UUID(id), extra)
	}
	return fmt.Sprintf("%s:1-%d", UUID(1), n)
}

func (s *Shard) status(alias string, id uint32, typ topov1.TabletType) *tabletv1.FullStatus {
	primary := alias == Primary
	at := s.GTIDs(100, 0, 0)
	st := &tabletv1.FullStatus{
		Alias: &alias, Keyspace: proto.String("shop"), Shard: proto.String("0"), AgentVersion: proto.String("0.2.0"),
		Capabilities: &tabletv1.Capabilities{Names: []string{"full_status_1"}}, AgentStartedAt: timestamppb.New(s.Now.Add(-time.Hour)),
		TakenAt: timestamppb.New(s.Now), TopoType: &typ, OwnType: &typ, Term: proto.Uint64(Term), ReignTerm: proto.Uint64(Term),
		Fenced: proto.Bool(!primary), FenceReason: proto.String(""), PrimaryAlias: proto.String(Primary),
		Server: &tabletv1.ServerStatus{
			Running: proto.Bool(true), Pid: proto.Uint32(100 + id), Responding: proto.Bool(true), Starting: proto.Bool(false), Flavor: &s.Flavor, Version: proto.String(s.version()),
			ServerId: &id, ServerUuid: proto.String(UUID(id)), ReadOnly: proto.Bool(!primary), SuperReadOnly: proto.Bool(!primary), OfflineMode: proto.Bool(false),
			Executed: &at, Purged: proto.String(""), BinlogPos: &at, ThreadsConnected: proto.Uint32(20), ThreadsRunning: proto.Uint32(2), UptimeSeconds: proto.Uint64(3600),
			DiskFreeBytes: proto.Uint64(50 << 30), DiskTotalBytes: proto.Uint64(100 << 30), DiskReadOnly: proto.Bool(false), StuckCommits: proto.Uint32(0),
			LastError: proto.String(""), ProbeDuration: durationpb.New(time.Millisecond), DiskBlockedFor: durationpb.New(0), CommitBlockedFor: durationpb.New(0),
		},
		Replication: &tabletv1.ReplicationStatus{Configured: proto.Bool(false)},
		SemiSync: &tabletv1.SemiSyncStatus{
			Available: proto.Bool(true), SourceEnabled: proto.Bool(primary), ReplicaEnabled: proto.Bool(!primary && alias != Reader),
			ReplicaActive: proto.Bool(!primary && alias != Reader), Clients: proto.Uint32(2), WaitPoint: proto.String("AFTER_SYNC"), TimeoutMs: proto.Uint64(1<<32 - 1),
			NoTx: proto.Uint64(0), YesTx: proto.Uint64(100), WaitNoReplica: proto.Bool(true), AckCount: proto.Uint32(1),
		},
		Redo:  &tabletv1.RedoStatus{Undecided: proto.Uint32(0), Failing: proto.Uint32(0), LastError: proto.String("")},
		Host:  &tabletv1.HostStatus{BootId: proto.String("boot"), PausedFor: durationpb.New(0)},
		Lease: &tabletv1.LeaseStatus{TopologyReachable: proto.Bool(true), Held: proto.Bool(primary), Term: proto.Uint64(Term), Left: durationpb.New(3 * time.Second)},
		Peers: &tabletv1.Peers{},
	}
	if !primary {
		st.Replication = &tabletv1.ReplicationStatus{
			Configured: proto.Bool(true), SourceHost: proto.String("10.0.0.1"), SourcePort: proto.Uint32(3306), SourceUuid: proto.String(UUID(1)),
			SourceServerId: proto.Uint32(1), Receiver: proto.String("Yes"), Applier: proto.String("Yes"), LastIoErrno: proto.Uint32(0), LastIoError: proto.String(""),
			LastSqlErrno: proto.Uint32(0), LastSqlError: proto.String(""), Received: &at, Applied: &at, AutoPosition: proto.Bool(true), Heartbeats: proto.Uint64(9),
			LastHeartbeatAt: timestamppb.New(s.Now), HeartbeatPeriod: durationpb.New(500 * time.Millisecond), SilentFor: durationpb.New(100 * time.Millisecond), Held: proto.Bool(false),
		}
		st.Lag = &tabletv1.LagStatus{SecondsBehind: proto.Uint64(0), HeartbeatLag: durationpb.New(100 * time.Millisecond)}
	}
	for _, other := range Aliases() {
		if other != alias {
			st.Peers.List = append(st.Peers.List, &tabletv1.Peer{
				Alias: &other, Agent: tabletv1.Contact_CONTACT_ANSWERS.Enum(), Server: tabletv1.Contact_CONTACT_ANSWERS.Enum(),
				AgentSince: durationpb.New(time.Minute), ServerSince: durationpb.New(time.Minute), Term: proto.Uint64(Term),
			})
		}
	}
	return st
}

// Build is what the observer knows.
func (s *Shard) Build() *evidence.World { return evidence.Build(s.Input, s.Now) }

// Clone is a copy that may be changed by itself.
func (s *Shard) Clone() *Shard {
	c := *s
	c.Keyspace, c.Shard = proto.CloneOf(s.Keyspace), proto.CloneOf(s.Shard)
	c.Tablets = nil
	c.Reports, c.Servers, c.Others = map[string]evidence.Observation{}, map[string]fact.Fact[evidence.Contact]{}, map[string][]evidence.View{}
	for _, t := range s.Tablets {
		rec, o := proto.CloneOf(t), s.Reports[t.GetAlias()]
		o.Record, o.Status = rec, proto.CloneOf(o.Status)
		c.Tablets = append(c.Tablets, rec)
		c.Reports[t.GetAlias()], c.Servers[t.GetAlias()] = o, s.Servers[t.GetAlias()]
		c.Others[t.GetAlias()] = append([]evidence.View(nil), s.Others[t.GetAlias()]...)
	}
	return &c
}

// Status is the report of a tablet's agent, to be changed.
func (s *Shard) Status(alias string) *tabletv1.FullStatus { return s.Reports[alias].Status }

// Record is a tablet's record, to be changed.
func (s *Shard) Record(alias string) *topov1.Tablet { return s.Reports[alias].Record }

// Tick lets time pass: what is heard is heard again, who is tried is tried again with the same outcome.
func (s *Shard) Tick(d time.Duration) {
	s.Now = s.Now.Add(d)
	s.RecordsAt = s.Now
	s.Lease = again(s.Lease, s.Now)
	for alias, o := range s.Reports {
		o.TriedAt = s.Now
		if o.Unreachable == "" && o.Status != nil {
			o.ReceivedAt = s.Now
			o.Status.TakenAt = timestamppb.New(s.Now)
			if r := o.Status.Replication; r.GetLastHeartbeatAt() != nil {
				r.LastHeartbeatAt = timestamppb.New(r.GetLastHeartbeatAt().AsTime().Add(d))
			}
		}
		s.Reports[alias] = o
		s.Servers[alias] = again(s.Servers[alias], s.Now)
	}
}

// again is the same fact at a later time.
func again[T any](f fact.Fact[T], at time.Time) fact.Fact[T] {
	if v, known := f.Get(); known {
		return fact.Known(v, at, f.Source())
	}
	return f
}
