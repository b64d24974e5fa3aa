package analysis_test

import (
	"slices"
	"time"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/orch/analysis"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
	et "github.com/pelorusdb/pelorus/internal/orch/evidence/evidencetest"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

type world = *et.Shard

const (
	none   = topov1.Durability_DURABILITY_NONE
	cross  = topov1.Durability_DURABILITY_CROSS_CELL
	asPri  = topov1.TabletType_TABLET_TYPE_PRIMARY
	asRep  = topov1.TabletType_TABLET_TYPE_REPLICA
	asDrnd = topov1.TabletType_TABLET_TYPE_DRAINED
)

func seconds(n int) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Second) }

// receiverStops and applierStops stop a replica's thread with an error.
func receiverStops(s world, alias string, errno uint32, text string) {
	r := s.Status(alias).Replication
	r.Receiver, r.LastIoErrno, r.LastIoError = proto.String("No"), &errno, &text
}

func applierStops(s world, alias string, errno uint32) {
	r := s.Status(alias).Replication
	r.Applier, r.LastSqlErrno = proto.String("No"), &errno
}

func healthy(world) {}

// topologyAway makes everything that the topology says unknown.
func topologyAway(s world) { s.RecordsAt = time.Time{} }

// notYet makes the primary one that has not written its reign.
func notYet(s world) { s.Status(et.Primary).ReignTerm = proto.Uint64(et.Term - 1) }

// errant gives a replica transactions of its own.
func errant(s world) { s.Status(et.Near).Server.Executed = proto.String(s.GTIDs(100, 2, 3)) }

// all does one thing after the other.
func all(fs ...func(world)) func(world) {
	return func(s world) {
		for _, f := range fs {
			f(s)
		}
	}
}

// example has worlds in which a row of the table holds, does not hold and cannot be told. unconfirmed is one in which it holds and its
// recovery is not right, for rows whose recovery depends on more.
type example struct {
	code             analysis.Code
	tablet           string
	yes, no, unclear func(world)
	unconfirmed      func(world)
}

func examples() []example {
	return slices.Concat(lostExamples(), primaryExamples(), replicaExamples(), otherExamples())
}

func lostExamples() []example {
	blocked := func(disk, commit *durationpb.Duration, aliases ...string) func(world) {
		return func(s world) {
			for _, a := range aliases {
				s.Status(a).Server.DiskBlockedFor, s.Status(a).Server.CommitBlockedFor = disk, commit
			}
		}
	}
	return []example{
		{code: analysis.NoPrimary, yes: func(s world) { s.Input.Shard.Term, s.Input.Shard.Primary = nil, nil }, no: healthy, unclear: topologyAway},
		{code: analysis.PrimaryUnregistered, tablet: "z-9", yes: func(s world) { s.Input.Shard.Primary = proto.String("z-9") }, no: healthy, unclear: topologyAway},
		{
			code: analysis.PrimaryServerDead, tablet: et.Primary,
			yes: func(s world) { s.KillServer(et.Primary) }, no: func(s world) { s.Overload(et.Primary) },
			unclear:     func(s world) { s.KillServer(et.Primary); s.Status(et.Primary).Server.Responding = nil },
			unconfirmed: func(s world) { s.KillServer(et.Primary); s.Regain(et.Followers()...) },
		},
		{
			code: analysis.PrimaryProcessesDead, tablet: et.Primary,
			yes: func(s world) { s.KillProcesses(et.Primary) }, no: func(s world) { s.KillAgent(et.Primary) },
			unclear: func(s world) {
				s.KillProcesses(et.Primary)
				delete(s.Servers, et.Primary)
				s.Lose(et.LostSilent, et.Followers()...)
				for _, a := range et.Followers() {
					s.Status(a).Replication.LastIoError = nil
				}
			},
			unconfirmed: func(s world) { s.KillProcesses(et.Primary); s.Regain(et.Near, et.Far) },
		},
		{
			code: analysis.PrimaryHostDead, tablet: et.Primary,
			yes:         func(s world) { s.KillHost(et.Primary); s.ExpireLease() },
			no:          func(s world) { s.Silence(et.Primary); s.ExpireLease() },
			unclear:     func(s world) { s.KillHost(et.Primary); s.ExpireLease(); delete(s.Servers, et.Primary) },
			unconfirmed: func(s world) { s.KillHost(et.Primary) },
		},
		{
			code: analysis.PrimaryIsolated, tablet: et.Primary,
			yes: func(s world) { s.KillHost(et.Primary) }, no: func(s world) { s.KillHost(et.Primary); s.Regain(et.Near) },
			unclear:     func(s world) { s.KillHost(et.Primary); s.Lease = fact.Fact[evidence.Lease]{} },
			unconfirmed: func(s world) { s.KillHost(et.Primary); s.Keyspace.Durability = none.Enum() },
		},
		{
			code: analysis.PrimaryDiskStalled, tablet: et.Primary,
			yes: blocked(seconds(16), seconds(16), et.Primary), no: blocked(seconds(0), seconds(16), et.Primary),
			unclear: blocked(nil, seconds(16), et.Primary), unconfirmed: blocked(seconds(16), seconds(16), et.Aliases()...),
		},
		{
			code: analysis.PrimaryUnreachable, tablet: et.Primary,
			yes: func(s world) { s.Silence(et.Primary) }, no: func(s world) { s.KillHost(et.Primary) },
			unclear: func(s world) { s.Silence(et.Primary); delete(s.Servers, et.Primary) },
		},
		{
			code: analysis.PrimaryUnresponsive, tablet: et.Primary,
			yes: func(s world) { s.Overload(et.Primary) }, no: func(s world) { s.KillServer(et.Primary) },
			unclear: func(s world) { s.Overload(et.Primary); s.Status(et.Primary).Server.Running = nil },
		},
	}
}

func primaryExamples() []example {
	believes := func(s world) { s.Status(et.Near).OwnType = asPri.Enum() }
	full := func(s world) { s.Status(et.Primary).Server.DiskFreeBytes = proto.Uint64(1 << 20) }
	fenced := func(s world) { s.Status(et.Primary).Fenced = proto.Bool(true) }
	cut := func(s world) {
		fenced(s)
		s.ExpireLease()
		s.Status(et.Primary).Lease.TopologyReachable = proto.Bool(false)
	}
	stuck := func(s world) {
		s.Status(et.Primary).Server.StuckCommits, s.Status(et.Primary).SemiSync.Clients = proto.Uint32(20), proto.Uint32(0)
	}
	waits := func(s world) { s.Status(et.Primary).Server.CommitBlockedFor = seconds(11) }
	readOnly := func(s world) { s.Status(et.Primary).Server.ReadOnly = proto.Bool(true) }
	follows := func(s world) { s.Status(et.Primary).Replication.Configured = proto.Bool(true) }
	doubts := func(s world) { s.Status(et.Primary).OwnType = asRep.Enum() }
	lossy := func(s world) { s.Status(et.Primary).SemiSync.TimeoutMs = proto.Uint64(10_000) }
	noPolicy := func(s world) { s.Keyspace.Durability = none.Enum() }
	return []example{
		{
			code: analysis.StalePrimary, tablet: et.Near,
			yes: believes, no: func(s world) { believes(s); s.Status(et.Near).Term = proto.Uint64(et.Term + 1) },
			unclear: func(s world) { believes(s); s.Status(et.Near).Term = nil },
		},
		{
			code: analysis.TwoPrimaries, tablet: et.Primary,
			yes: func(s world) { believes(s); s.Status(et.Near).Server.ReadOnly = proto.Bool(false) }, no: believes,
			unclear: func(s world) { believes(s); s.Status(et.Near).Server.ReadOnly = nil },
		},
		{
			code: analysis.ReplicaWritable, tablet: et.Near,
			yes: func(s world) { s.Status(et.Near).Server.ReadOnly = proto.Bool(false) },
			no: func(s world) {
				s.Status(et.Near).Server.ReadOnly = proto.Bool(false)
				s.Record(et.Near).Type = topov1.TabletType_TABLET_TYPE_RESTORE.Enum()
			},
			unclear: func(s world) { s.Status(et.Near).Server.ReadOnly = nil },
		},
		{
			code: analysis.PrimaryDiskFull, tablet: et.Primary,
			yes: full, no: healthy, unclear: func(s world) { s.Status(et.Primary).Server.DiskFreeBytes = nil },
			unconfirmed: func(s world) {
				for _, a := range et.Aliases() {
					s.Status(a).Server.DiskFreeBytes = proto.Uint64(1 << 20)
				}
			},
		},
		{
			code: analysis.PrimaryCutFromTopology, tablet: et.Primary,
			yes: cut, no: fenced, unclear: func(s world) { cut(s); s.Status(et.Primary).Fenced = nil },
		},
		{
			code: analysis.PrimaryAgentDead, tablet: et.Primary,
			yes: func(s world) { s.KillAgent(et.Primary) }, no: func(s world) { s.KillProcesses(et.Primary) },
			unclear: func(s world) {
				s.KillAgent(et.Primary)
				delete(s.Servers, et.Primary)
				for _, a := range et.Followers() {
					s.Reports[a] = evidence.Observation{}
				}
			},
		},
		{
			code: analysis.PrimarySemiSyncStarved, tablet: et.Primary,
			yes: stuck, no: func(s world) { stuck(s); s.Status(et.Primary).SemiSync.Clients = proto.Uint32(1) },
			unclear: func(s world) { stuck(s); s.Status(et.Primary).SemiSync.Clients = nil },
		},
		{
			code: analysis.PrimaryCannotCommit, tablet: et.Primary,
			yes: waits, no: func(s world) { waits(s); s.Status(et.Primary).SemiSync.Clients = proto.Uint32(0) },
			unclear: func(s world) { s.Status(et.Primary).Server.CommitBlockedFor = nil },
		},
		{
			code: analysis.PrimaryReadOnly, tablet: et.Primary,
			yes: readOnly, no: all(readOnly, fenced), unclear: func(s world) { readOnly(s); s.Status(et.Primary).Fenced = nil },
			unconfirmed: all(readOnly, doubts),
		},
		{
			code: analysis.PrimaryFenced, tablet: et.Primary,
			yes: fenced, no: readOnly, unclear: func(s world) { s.Status(et.Primary).Fenced = nil },
		},
		{
			code: analysis.PrimaryHasSource, tablet: et.Primary,
			yes: follows, no: healthy, unclear: func(s world) { s.Status(et.Primary).Replication = nil }, unconfirmed: all(follows, notYet),
		},
		{
			code: analysis.PrimarySemiSyncOff, tablet: et.Primary,
			yes: lossy, no: all(lossy, noPolicy), unclear: func(s world) { s.Status(et.Primary).SemiSync.WaitNoReplica = nil }, unconfirmed: all(lossy, doubts),
		},
		{
			code: analysis.PrimarySemiSyncOn, tablet: et.Primary,
			yes: noPolicy, no: healthy, unclear: func(s world) { noPolicy(s); s.Status(et.Primary).SemiSync = nil }, unconfirmed: all(noPolicy, doubts),
		},
		{
			code: analysis.TypeMismatch, tablet: et.Primary,
			yes: func(s world) { s.Record(et.Primary).Type = asRep.Enum() }, no: healthy,
			unclear:     func(s world) { s.Status(et.Primary).OwnType = nil },
			unconfirmed: doubts,
		},
	}
}

func replicaExamples() []example {
	lags := func(s world) { s.Status(et.Near).Lag.HeartbeatLag = seconds(90) }
	unset := func(s world) { s.Status(et.Near).Replication.Configured = proto.Bool(false) }
	elsewhere := func(s world) { s.Status(et.Near).Replication.SourcePort = proto.Uint32(3307) }
	stopped := func(s world) { s.Status(et.Near).Replication.Receiver = proto.String("No") }
	passing := func(s world) { applierStops(s, et.Near, 1205) }
	const gone = "Could not find GTID state requested by slave in any binlog files."
	purged := func(s world) { receiverStops(s, et.Near, 1236, gone) }
	silentAcker := func(s world) { s.Status(et.Near).SemiSync.ReplicaActive = proto.Bool(false) }
	return []example{
		{
			code: analysis.ErrantTransactions, tablet: et.Near,
			yes: errant, no: healthy, unclear: all(errant, notYet),
			unconfirmed: func(s world) { errant(s); s.Record(et.Near).Type = asDrnd.Enum() },
		},
		{
			code: analysis.ReplicaDiverged, tablet: et.Near,
			yes: func(s world) { applierStops(s, et.Near, 1950) }, no: purged,
			unclear: func(s world) { applierStops(s, et.Near, 1950); s.Status(et.Near).Replication.LastSqlErrno = nil },
		},
		{
			code: analysis.ReplicaNeedsCopy, tablet: et.Near,
			yes: purged, no: func(s world) { receiverStops(s, et.Near, 1236, "the slave has diverged") },
			unclear: func(s world) { purged(s); s.Status(et.Near).Replication.LastIoError = nil }, unconfirmed: all(purged, errant),
		},
		{
			code: analysis.ReplicationNotSet, tablet: et.Near,
			yes: unset, no: healthy, unclear: func(s world) { s.Status(et.Near).Replication.Configured = nil }, unconfirmed: all(unset, errant),
		},
		{
			code: analysis.ReplicaWrongSource, tablet: et.Near,
			yes: elsewhere, no: all(elsewhere, unset), unclear: func(s world) { s.Status(et.Near).Replication.SourceHost = nil }, unconfirmed: all(elsewhere, errant),
		},
		{
			code: analysis.ReplicaStopped, tablet: et.Near,
			yes: stopped, no: func(s world) { stopped(s); s.Status(et.Near).Replication.Held = proto.Bool(true) },
			unclear: func(s world) { stopped(s); s.Status(et.Near).Replication.Held = nil }, unconfirmed: all(stopped, notYet),
		},
		{
			code: analysis.ReplicaFailingForNow, tablet: et.Near,
			yes: passing, no: func(s world) { applierStops(s, et.Near, 1950) },
			unclear: func(s world) { passing(s); s.Status(et.Near).Replication.Applier = nil }, unconfirmed: all(passing, notYet),
		},
		{
			code: analysis.ReplicaFailing, tablet: et.Near,
			yes: func(s world) { applierStops(s, et.Near, 1146) }, no: passing,
			unclear: func(s world) { applierStops(s, et.Near, 1146); s.Status(et.Near).Replication.LastSqlErrno = nil },
		},
		{
			code: analysis.ReplicaTurnedAway, tablet: et.Near,
			yes: func(s world) {
				receiverStops(s, et.Near, 1045, "Access denied")
				s.Status(et.Near).Replication.Receiver = proto.String("Connecting")
			},
			no: func(s world) { s.Lose(et.LostSilent, et.Near) },
			unclear: func(s world) {
				receiverStops(s, et.Near, 1045, "Access denied")
				s.Status(et.Near).Replication.Receiver = nil
			},
		},
		{
			code: analysis.ReplicaNotConnected, tablet: et.Near,
			yes: func(s world) { s.Lose(et.LostQuiet, et.Near) }, no: func(s world) { s.KillServer(et.Primary) },
			unclear: func(s world) { s.Status(et.Near).Replication.SilentFor = nil },
		},
		{
			code: analysis.ReplicaSemiSyncOff, tablet: et.Near,
			yes: silentAcker, no: func(s world) { silentAcker(s); s.Status(et.Near).Replication.Receiver = proto.String("Connecting") },
			unclear: func(s world) { s.Status(et.Near).SemiSync.ReplicaActive = nil }, unconfirmed: all(silentAcker, notYet),
		},
		{
			code: analysis.ReplicaSemiSyncOn, tablet: et.Near,
			yes: func(s world) { s.Keyspace.Durability = cross.Enum() }, no: healthy,
			unclear:     func(s world) { s.Keyspace.Durability = cross.Enum(); s.Status(et.Near).SemiSync = nil },
			unconfirmed: func(s world) { s.Keyspace.Durability = cross.Enum(); notYet(s) },
		},
		{
			code: analysis.ReplicaLagging, tablet: et.Near,
			yes: lags, no: healthy, unclear: func(s world) { s.Status(et.Near).Lag = nil },
		},
		{
			code: analysis.ReplicaServerDown, tablet: et.Near,
			yes: func(s world) { s.KillServer(et.Near) }, no: healthy, unclear: func(s world) { s.Status(et.Near).Server.Responding = nil },
		},
	}
}

func otherExamples() []example {
	version := func(v string) func(world) {
		return func(s world) { s.Status(et.Near).Server.Version = &v }
	}
	agent := func(v string) func(world) { return func(s world) { s.Status(et.Near).AgentVersion = &v } }
	return []example{
		{
			code: analysis.TabletAgentGone, tablet: et.Near,
			yes: func(s world) { s.KillAgent(et.Near) }, no: healthy, unclear: func(s world) { s.Reports[et.Near] = evidence.Observation{} },
		},
		{
			code: analysis.ObserversDisagree, tablet: et.Primary,
			yes: func(s world) {
				s.Others[et.Primary] = []evidence.View{{Observer: "c2", Agent: fact.Known(evidence.Contact{Standing: evidence.Silent, Since: s.Now}, s.Now, "c2")}}
			},
			no: healthy, unclear: func(s world) { s.Status(et.Near).Peers = nil },
		},
		{
			code: analysis.DiskLow, tablet: et.Near,
			yes: func(s world) { s.Status(et.Near).Server.DiskFreeBytes = proto.Uint64(5 << 30) }, no: healthy,
			unclear: func(s world) { s.Status(et.Near).Server.DiskTotalBytes = nil },
		},
		{
			code: analysis.UnsupportedVersion, tablet: et.Near,
			yes: version("5.7.44"), no: healthy, unclear: func(s world) { s.Status(et.Near).Server.Version = nil },
		},
		{
			code: analysis.VersionCannotFollow, tablet: et.Near,
			yes: func(s world) {
				older := map[string]string{"mysql": "8.4.1", "mariadb": "10.6.1-MariaDB"}[s.Flavor]
				s.Status(et.Near).Server.Version = &older
			},
			no: healthy, unclear: func(s world) { s.Status(et.Primary).Server.Version = nil },
		},
		{
			code: analysis.AgentVersionUnsupported, tablet: et.Near,
			yes: agent("1.0.0"), no: agent("0.0.9"), unclear: func(s world) { s.Status(et.Near).AgentVersion = nil },
		},
		{
			code: analysis.ClockSkew, tablet: et.Near,
			yes: func(s world) { s.Status(et.Near).TakenAt = timestamppb.New(s.Now.Add(time.Minute)) }, no: healthy,
			unclear: func(s world) { s.Status(et.Near).TakenAt = nil },
		},
		{
			code: analysis.LeaseAnomaly, tablet: et.Primary,
			yes:     func(s world) { s.Lease = fact.Known(evidence.Lease{Holder: et.Near, Term: et.Term}, s.Now, "topology") },
			no:      func(s world) { s.ExpireLease() },
			unclear: func(s world) { s.Lease = fact.Fact[evidence.Lease]{} },
		},
		{
			code: analysis.HostPaused, tablet: et.Near,
			yes: func(s world) { s.Status(et.Near).Host.PausedFor = seconds(20) }, no: healthy,
			unclear: func(s world) { s.Status(et.Near).Host.PausedFor = nil },
		},
	}
}
