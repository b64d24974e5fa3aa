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

// The codes of the table.
const (
	NoPrimary               Code = "no_primary"
	PrimaryUnregistered     Code = "primary_unregistered"
	PrimaryServerDead       Code = "primary_server_dead"
	PrimaryProcessesDead    Code = "primary_processes_dead"
	PrimaryHostDead         Code = "primary_host_dead"
	PrimaryIsolated         Code = "primary_isolated"
	PrimaryDiskStalled      Code = "primary_disk_stalled"
	StalePrimary            Code = "stale_primary"
	TwoPrimaries            Code = "two_primaries"
	ReplicaWritable         Code = "replica_writable"
	PrimaryDiskFull         Code = "primary_disk_full"
	PrimaryCutFromTopology  Code = "primary_cut_from_topology"
	PrimaryAgentDead        Code = "primary_agent_dead"
	PrimaryUnreachable      Code = "primary_unreachable"
	PrimaryUnresponsive     Code = "primary_unresponsive"
	PrimarySemiSyncStarved  Code = "primary_semi_sync_starved"
	PrimaryCannotCommit     Code = "primary_cannot_commit"
	PrimaryReadOnly         Code = "primary_read_only"
	PrimaryFenced           Code = "primary_fenced"
	PrimaryHasSource        Code = "primary_has_source"
	PrimarySemiSyncOff      Code = "primary_semi_sync_off"
	PrimarySemiSyncOn       Code = "primary_semi_sync_on"
	TypeMismatch            Code = "type_mismatch"
	ErrantTransactions      Code = "errant_transactions"
	ReplicaDiverged         Code = "replica_diverged"
	ReplicaNeedsCopy        Code = "replica_needs_copy"
	ReplicationNotSet       Code = "replication_not_configured"
	ReplicaWrongSource      Code = "replica_wrong_source"
	ReplicaStopped          Code = "replica_stopped"
	ReplicaFailingForNow    Code = "replica_failing_for_now"
	ReplicaFailing          Code = "replica_failing"
	ReplicaTurnedAway       Code = "replica_turned_away"
	ReplicaNotConnected     Code = "replica_not_connected"
	ReplicaSemiSyncOff      Code = "replica_semi_sync_off"
	ReplicaSemiSyncOn       Code = "replica_semi_sync_on"
	ReplicaLagging          Code = "replica_lagging"
	ReplicaServerDown       Code = "replica_server_down"
	TabletAgentGone         Code = "tablet_agent_gone"
	ObserversDisagree       Code = "observers_disagree"
	DiskLow                 Code = "disk_low"
	UnsupportedVersion      Code = "unsupported_version"
	VersionCannotFollow     Code = "version_cannot_follow"
	AgentVersionUnsupported Code = "agent_version_unsupported"
	ClockSkew               Code = "clock_skew"
	LeaseAnomaly            Code = "lease_anomaly"
	HostPaused              Code = "host_paused"
)

const (
	// fullBytes is when a disk counts as full: a server needs some megabytes more for rolling back and for being made
	// read-only, and MariaDB aborts without them.
	fullBytes = 32 << 20
	// roomyBytes is what a replica must have free to be better off than a primary whose disk is full.
	roomyBytes = 8 * fullBytes
	// lowPercent is how much of a disk should be free.
	lowPercent = 10
	// stalled is how long a small flushed write must wait for the disk to count as gone: disks that are merely overloaded
	// have been seen to take some seconds.
	stalled = 15 * time.Second
	// blockedCommit is how long the heartbeat's commit may wait before it is said.
	blockedCommit = 10 * time.Second
	// maxSkew is how far an agent's clock may be off: a report is at most two seconds under way.
	maxSkew = 5 * time.Second
	// paused is how long a host may stand still unmentioned: a third of the lease.
	paused = time.Second
	// settle is how long what agents mend by themselves is left to them, settleLong the same for things that take them longer.
	settle, settleLong = 3 * time.Second, 10 * time.Second
	// agentRestart is how long a new agent may take before a primary without one is relieved.
	agentRestart = 30 * time.Second
)

// repairs are the rows that are not looked after while the primary is lost: a new one changes them all.
func repairs() []Code {
	return []Code{
		PrimaryDiskFull, PrimaryCutFromTopology, PrimaryReadOnly, PrimaryHasSource, PrimarySemiSyncOff, PrimarySemiSyncOn,
		ErrantTransactions, ReplicaNeedsCopy, ReplicationNotSet, ReplicaWrongSource, ReplicaStopped, ReplicaFailingForNow,
		ReplicaSemiSyncOff, ReplicaSemiSyncOn,
	}
}

// table is all that can be found, what comes first first. It is never changed.
var table = slices.Concat(lostPrimary(), rivals(), hinderedPrimary(), wrongPrimary(), replicas(), servers(), everybody())

// lostPrimary are the rows about a primary that is gone, or may be.
func lostPrimary() []row {
	gone := func(s *scene, p *evidence.Tablet) fact.Truth {
		return fact.And(s.reigning(), s.agent(p, evidence.Refused, evidence.Silent), s.server(p, evidence.Refused, evidence.Silent))
	}
	return []row{
		{
			code: NoPrimary, says: "the shard has had no primary yet",
			when: func(s *scene, _ *evidence.Tablet) fact.Truth { return s.reigning().Not() },
			none: "who comes first is a person's choice: pelorus shard init",
		},
		{
			code: PrimaryUnregistered, says: "the record names a primary that is not registered in the shard",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), fact.Holds(see(s, shard, "tablets", s.w.Listed)), fact.Is(s.w.Primary, func(alias string) bool { return s.w.Tablet(alias) == nil }))
			},
			none: "somebody removed its record: start its agent again, or replace it: pelorus reparent emergency",
		},
		{
			code: PrimaryServerDead, says: "the primary's server is dead, its agent says so",
			when: func(s *scene, p *evidence.Tablet) fact.Truth { return fact.And(s.reigning(), s.serverDown(p)) },
			cure: EmergencyReparent, blocks: repairs(),
			given: func(s *scene, _ *evidence.Tablet) fact.Truth { return s.some(s.lost) }, givenSays: "a replica has lost it too",
		},
		{
			code: PrimaryProcessesDead, says: "the primary's server and agent are dead, its host lives",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), s.agent(p, evidence.Refused), fact.Or(s.serverSeen(p, evidence.Refused), s.some(s.refused)))
			},
			cure: EmergencyReparent, blocks: repairs(),
			given: func(s *scene, _ *evidence.Tablet) fact.Truth { return s.most(s.lost) }, givenSays: "most replicas have lost it too",
		},
		{
			code: PrimaryHostDead, says: "nothing is heard of the primary, by this node or by most replicas",
			when: func(s *scene, p *evidence.Tablet) fact.Truth { return fact.And(gone(s, p), s.most(s.lost)) },
			cure: EmergencyReparent, blocks: repairs(),
			given: func(s *scene, _ *evidence.Tablet) fact.Truth { return s.leaseIsPrimarys().Not() }, givenSays: "its lease has ended",
		},
		{
			code: PrimaryIsolated, says: "the primary holds its lease, and neither this node nor any replica can reach it: it can commit nothing",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(gone(s, p), s.every(s.lost), s.leaseIsPrimarys())
			},
			cure: EmergencyReparent, blocks: repairs(), after: settleLong,
			given: func(s *scene, _ *evidence.Tablet) fact.Truth { return s.semiSync() }, givenSays: "its commits need acknowledgements",
		},
		{
			code: PrimaryDiskStalled, says: "the primary's disk takes no writes: neither the agent's nor the server's come back",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(fact.Above(see(s, p.Alias, "server.disk_blocked_for", p.Status.Server.DiskBlockedFor), stalled),
					fact.Above(see(s, p.Alias, "server.commit_blocked_for", p.Status.Server.CommitBlockedFor), stalled))
			},
			cure:  EmergencyReparent,
			given: func(s *scene, _ *evidence.Tablet) fact.Truth { return s.some(s.roomy) }, givenSays: "a replica has a disk that works",
		},
		{
			code: PrimaryUnreachable, says: "this node cannot reach the primary, and replicas get its transactions, or others hear its agent",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(gone(s, p), fact.Or(s.some(s.sees), s.agentSeen(p, evidence.Answers)))
			},
			none: "the primary is well for those who need it: look at this node's network",
		},
		{
			code: PrimaryUnresponsive, says: "the primary's server runs and does not answer in time",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				sv := p.Status.Server
				return fact.And(s.responding(p).Not(), fact.Holds(see(s, p.Alias, "server.running", sv.Running)), fact.Holds(see(s, p.Alias, "server.starting", sv.Starting)).Not())
			},
			none: "an overloaded server is not dead, and another one would have the same load: see what it is doing",
		},
	}
}

// rivals are the rows about servers that take writes and are not the primary.
func rivals() []row {
	return []row{
		{
			code: StalePrimary, scope: OfTablet, says: "its agent takes it for the primary, and the record names another",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), s.isPrimary(t).Not(), s.believesPrimary(t), notNewer(s, t))
			},
			cure: FenceTablet, after: time.Second,
		},
		{
			code: TwoPrimaries, says: "two servers take writes as primaries",
			when: func(s *scene, _ *evidence.Tablet) fact.Truth {
				var open []fact.Truth
				for _, t := range s.w.Tablets {
					open = append(open, fact.And(s.believesPrimary(t), s.responding(t), s.readOnly(t).Not()))
				}
				return fact.And(fact.Holds(see(s, shard, "tablets", s.w.Listed)), fact.AtLeast(2, open...))
			},
			none: "the one that the record does not name is fenced as stale_primary or replica_writable",
		},
		{
			code: ReplicaWritable, scope: OfTablet, says: "it is not the primary and takes writes",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				restored := s.typeIn(t, topov1.TabletType_TABLET_TYPE_RESTORE) // who restores it needs it open
				return fact.And(s.reigning(), s.isPrimary(t).Not(), restored.Not(), s.responding(t), s.readOnly(t).Not(), notNewer(s, t))
			},
			cure: FenceTablet, after: time.Second,
		},
	}
}

// hinderedPrimary are the rows about a primary that lives and cannot do its work.
func hinderedPrimary() []row {
	return []row{
		{
			code: PrimaryDiskFull, says: "the primary's disk is full or takes no writes",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), fact.Or(
					fact.Is(see(s, p.Alias, "server.disk_free_bytes", p.Status.Server.DiskFreeBytes), func(n uint64) bool { return n < fullBytes }),
					fact.Holds(see(s, p.Alias, "server.disk_read_only", p.Status.Server.DiskReadOnly))))
			},
			cure: PlannedReparent, after: time.Second,
			given: func(s *scene, _ *evidence.Tablet) fact.Truth { return s.some(s.roomy) }, givenSays: "a replica has room on its disk",
		},
		{
			code: PrimaryCutFromTopology, says: "the primary's agent cannot reach the topology, has lost its lease and has fenced its server",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), s.agent(p, evidence.Answers), s.fenced(p), s.leaseIsPrimarys().Not(),
					fact.Holds(see(s, p.Alias, "lease.topology_reachable", p.Status.Lease.TopologyReachable)).Not())
			},
			cure: PlannedReparent, after: settle,
		},
		{
			code: PrimaryAgentDead, says: "the primary's agent is gone and its server lives",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), s.agent(p, evidence.Refused, evidence.Silent), fact.Or(s.serverSeen(p, evidence.Answers), s.most(s.sees)))
			},
			cure: PlannedReparent, after: agentRestart,
		},
		{
			code: PrimarySemiSyncStarved, says: "commits on the primary wait for an acknowledgement and nobody is connected to give one",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(fact.Above(see(s, p.Alias, "server.stuck_commits", p.Status.Server.StuckCommits), 0), s.fedWithAcks(p).Not())
			},
			none: "its replicas are mended, each under its own name; another server would have no more of them",
		},
		{
			code: PrimaryCannotCommit, says: "the primary answers and its commits do not come back, though replicas could acknowledge them",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.responding(p), s.fedWithAcks(p),
					fact.Above(see(s, p.Alias, "server.commit_blocked_for", p.Status.Server.CommitBlockedFor), blockedCommit))
			},
			none: "a lock of a backup or of a person looks the same: see SHOW PROCESSLIST",
		},
	}
}

// wrongPrimary are the rows about a primary that is not set up as it should be, and about types.
func wrongPrimary() []row {
	agrees := func(s *scene, p *evidence.Tablet) fact.Truth { return s.agrees(p) }
	const agreesSays = "its agent takes it for the primary of the shard's term"
	return []row{
		{
			code: PrimaryReadOnly, says: "the primary is read-only, and its agent did not fence it",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), s.responding(p), s.readOnly(p), s.fenced(p).Not())
			},
			cure: OpenPrimary, after: settle,
			given: agrees, givenSays: agreesSays,
		},
		{
			code: PrimaryFenced, says: "the primary is fenced by its agent",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), s.responding(p), s.fenced(p))
			},
			none: "its agent says why in fence_reason, and opens it when the reason is gone",
		},
		{
			code: PrimaryHasSource, says: "the primary is set up to replicate from somebody",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), s.responding(p), s.configured(p))
			},
			cure: DetachPrimary, after: settle,
			given: func(s *scene, p *evidence.Tablet) fact.Truth { return fact.And(s.agrees(p), s.good()) }, givenSays: "it reigns in the shard's term",
		},
		{
			code: PrimarySemiSyncOff, says: "commits on the primary do not wait for an acknowledgement as the policy wants, or not long enough",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), s.semiSync(), s.responding(p), s.lossless(p).Not())
			},
			cure: SetSemiSync, after: settle,
			given: agrees, givenSays: agreesSays,
		},
		{
			code: PrimarySemiSyncOn, says: "commits on the primary wait for acknowledgements that the policy does not ask for",
			when: func(s *scene, p *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), fact.EqualTo(see(s, shard, "durability", s.w.Policy), topov1.Durability_DURABILITY_NONE),
					fact.Holds(see(s, p.Alias, "semi_sync.source_enabled", p.Status.SemiSync.SourceEnabled)))
			},
			cure: SetSemiSync, after: settle,
			given: agrees, givenSays: agreesSays,
		},
		{
			code: TypeMismatch, scope: OfTablet, says: "its type in the topology and the one that its agent believes differ",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), fact.Equal(see(s, t.Alias, "type", t.Type), see(s, t.Alias, "own_type", t.Status.OwnType)).Not())
			},
			cure: SetType, after: settle,
			given: func(s *scene, t *evidence.Tablet) fact.Truth {
				p, believes := s.isPrimary(t), s.believesPrimary(t)
				recorded := s.typeIn(t, topov1.TabletType_TABLET_TYPE_PRIMARY)
				agreed := fact.Or(fact.And(p, believes), fact.And(p.Not(), believes.Not()))
				concerned := fact.Or(fact.And(p, recorded.Not()), fact.And(p.Not(), recorded))
				return fact.And(agreed, concerned, fact.Equal(s.agentTerm(t), s.term()))
			},
			givenSays: "the agent is right by the shard's record, in the shard's term, and the topology is not",
		},
	}
}

// notNewer says that an agent knows of no term beyond the record's: else it is the record that is old.
func notNewer(s *scene, t *evidence.Tablet) fact.Truth {
	return fact.Or(fact.Less(s.agentTerm(t), s.term()), fact.Equal(s.agentTerm(t), s.term()))
}

// fedWithAcks says whether commits do not wait, or enough replicas are connected that acknowledge.
func (s *scene) fedWithAcks(p *evidence.Tablet) fact.Truth {
	ss := p.Status.SemiSync
	return fact.Or(fact.Holds(see(s, p.Alias, "semi_sync.source_enabled", ss.SourceEnabled)).Not(),
		fact.Is(see(s, p.Alias, "semi_sync.clients", ss.Clients), func(n uint32) bool { return n >= durability.Acks }))
}

// lossless says whether a primary answers no commit before a replica has it.
func (s *scene) lossless(p *evidence.Tablet) fact.Truth {
	ss := p.Status.SemiSync
	return fact.And(
		fact.Holds(see(s, p.Alias, "semi_sync.source_enabled", ss.SourceEnabled)),
		fact.EqualTo(see(s, p.Alias, "semi_sync.wait_point", ss.WaitPoint), "AFTER_SYNC"),
		fact.Is(see(s, p.Alias, "semi_sync.timeout_ms", ss.TimeoutMS), func(ms uint64) bool { return ms >= flavor.MinAckTimeoutMS }),
		fact.Holds(see(s, p.Alias, "semi_sync.wait_no_replica", ss.WaitNoReplica)))
}
