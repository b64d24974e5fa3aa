package analysis

import (
	"strconv"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
)

const (
	cleanSays = "the primary reigns, and it has no transactions of its own"
	goodSays  = "the primary answers and reigns in the shard's term"
)

// replicas are the rows about the replication of servers that should follow the primary.
func replicas() []row {
	clean := func(s *scene, t *evidence.Tablet) fact.Truth { return s.clean(t) }
	good := func(s *scene, _ *evidence.Tablet) fact.Truth { return s.good() }
	attach := []Code{ReplicaNeedsCopy, ReplicationNotSet, ReplicaWrongSource, ReplicaStopped, ReplicaFailingForNow}
	return []row{
		{
			code: ErrantTransactions, scope: OfTablet, says: "it has transactions that did not come from the primary",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.isPrimary(t).Not(), fact.EqualTo(s.errant(t), "").Not())
			},
			cure: Rejoin, after: settle, blocks: attach,
			given:     func(s *scene, t *evidence.Tablet) fact.Truth { return fact.And(s.good(), s.follower(t)) },
			givenSays: goodSays + ", and this tablet should follow it",
		},
		{
			code: ReplicaDiverged, scope: OfTablet, says: "replication stopped because its rows or its history contradict the primary's",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.follower(t), fact.Or(fact.And(s.receiver(t, "No"), s.receiverFails(t, flavor.Diverged)), fact.And(s.applier(t, "No"), s.applierFails(t, flavor.Diverged))))
			},
			none:   "if the contradiction is a transaction of its own it is mended as errant_transactions; else a person has to look before it is copied anew",
			blocks: []Code{ReplicaNeedsCopy, ReplicaStopped, ReplicaFailingForNow},
		},
		{
			code: ReplicaNeedsCopy, scope: OfTablet, says: "the primary no longer has the transactions that it needs",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.follower(t), s.receiver(t, "No"), s.receiverFails(t, flavor.Purged))
			},
			cure: Copy, after: settleLong, given: clean, givenSays: cleanSays,
		},
		{
			code: ReplicationNotSet, scope: OfTablet, says: "it is not set up to replicate",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.follower(t), s.responding(t), s.configured(t).Not())
			},
			cure: SetSource, after: settle, given: clean, givenSays: cleanSays,
		},
		{
			code: ReplicaWrongSource, scope: OfTablet, says: "it replicates from another server than the primary",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				r, p := t.Status.Replication, s.primary
				same := fact.And(
					fact.Equal(see(s, t.Alias, "replication.source_host", r.SourceHost), see(s, p.Alias, "host", p.Host)),
					fact.Equal(see(s, t.Alias, "replication.source_port", r.SourcePort), see(s, p.Alias, "port", p.Port)))
				return fact.And(s.follower(t), s.responding(t), s.configured(t), same.Not())
			},
			cure: SetSource, after: settle, given: clean, givenSays: cleanSays,
		},
		{
			code: ReplicaStopped, scope: OfTablet, says: "its replication is stopped without an error",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.follower(t), s.configured(t),
					fact.Holds(see(s, t.Alias, "replication.held", t.Status.Replication.Held)).Not(),
					fact.Or(fact.And(s.receiver(t, "No"), s.receiverFails(t, flavor.NoFailure)), fact.And(s.applier(t, "No"), s.applierFails(t, flavor.NoFailure))))
			},
			cure: StartReplication, after: settle, given: good, givenSays: goodSays,
		},
		{
			code: ReplicaFailingForNow, scope: OfTablet, says: "its applier stopped for a reason that passes, such as a lock",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.follower(t), s.applier(t, "No"), s.applierFails(t, flavor.Passing))
			},
			cure: StartReplication, after: settle, given: good, givenSays: goodSays,
		},
		{
			code: ReplicaFailing, scope: OfTablet, says: "its replication stopped with an error that trying again does not mend",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.follower(t), fact.Or(fact.And(s.receiver(t, "No"), s.receiverFails(t, flavor.OtherFailure)), fact.And(s.applier(t, "No"), s.applierFails(t, flavor.OtherFailure))))
			},
			none: "see last_io_error and last_sql_error: pelorus tablet status",
		},
		{
			code: ReplicaTurnedAway, scope: OfTablet, says: "the primary's server turns it away",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.follower(t), s.receiver(t, "Yes").Not(), s.receiverFails(t, flavor.Denied))
			},
			none: "see last_io_error: the account of replication, its password, or the limit of connections",
		},
		{
			code: ReplicaNotConnected, scope: OfTablet, says: "it has lost the primary, which lives",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.follower(t), s.follows(t), s.lost(t), s.responding(s.primary))
			},
			none: "the network between the two is cut, perhaps in one direction only; it goes on by itself when that is mended",
		},
	}
}

// servers are the rows about the servers of replicas and their part in semi-sync.
func servers() []row {
	good := func(s *scene, _ *evidence.Tablet) fact.Truth { return s.good() }
	return []row{
		{
			code: ReplicaSemiSyncOff, scope: OfTablet, says: "it should acknowledge commits and does not",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				ss := t.Status.SemiSync
				return fact.And(s.reigning(), s.acker(t), s.semiSync(), s.follows(t), s.receiver(t, "Yes"),
					fact.And(fact.Holds(see(s, t.Alias, "semi_sync.replica_enabled", ss.ReplicaEnabled)), fact.Holds(see(s, t.Alias, "semi_sync.replica_active", ss.ReplicaActive))).Not())
			},
			cure: SetSemiSync, after: settle, given: good, givenSays: goodSays,
		},
		{
			code: ReplicaSemiSyncOn, scope: OfTablet, says: "it acknowledges commits, and its acknowledgement must not count",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), s.isPrimary(t).Not(), s.acker(t).Not(), fact.Holds(see(s, t.Alias, "semi_sync.replica_enabled", t.Status.SemiSync.ReplicaEnabled)))
			},
			cure: SetSemiSync, after: settle, given: good, givenSays: goodSays,
		},
		{
			code: ReplicaLagging, scope: OfTablet, says: "it is far behind the primary",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.follower(t), s.responding(t), fact.Or(
					fact.Above(see(s, t.Alias, "lag.heartbeat_lag", t.Status.HeartbeatLag), evidence.MaxLag),
					fact.Above(see(s, t.Alias, "lag.seconds_behind", t.Status.SecondsBehind), uint64(evidence.MaxLag/time.Second))))
			},
			none: "it catches up by itself or is too weak for its primary's writes",
		},
		{
			code: ReplicaServerDown, scope: OfTablet, says: "its server does not answer",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.isPrimary(t).Not(), s.responding(t).Not())
			},
			none: "its agent starts it again; see last_error: pelorus tablet status",
		},
	}
}

// everybody are the rows about any tablet.
func everybody() []row {
	return []row{
		{
			code: TabletAgentGone, scope: OfTablet, says: "nothing is heard of its agent",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.isPrimary(t).Not(), s.agent(t, evidence.Refused, evidence.Silent))
			},
			none: "start its agent again; that does not disturb its server",
		},
		{
			code: ObserversDisagree, scope: OfTablet, says: "some hear its agent and some do not",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.And(s.agentSeen(t, evidence.Answers), s.agentSeen(t, evidence.Refused, evidence.Silent))
			},
			none: "the network is cut between it and some of them, perhaps in one direction only; nobody is taken for dead by that",
		},
		{
			code: DiskLow, scope: OfTablet, says: "its disk is nearly full",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.Both(see(s, t.Alias, "server.disk_free_bytes", t.Status.Server.DiskFreeBytes), see(s, t.Alias, "server.disk_total_bytes", t.Status.Server.DiskTotalBytes),
					func(free, total uint64) bool { return total > 0 && float64(free)*100 < float64(total)*lowPercent })
			},
			none: "make room: a server with a full disk stops committing",
		},
		{
			code: UnsupportedVersion, scope: OfTablet, says: "its server is of a version that is not supported",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.Is(see(s, t.Alias, "server.version", t.Status.Server.Version), func(v string) bool { _, _, err := flavor.Detect(v); return err != nil })
			},
			none: "upgrade the server",
		},
		{
			code: VersionCannotFollow, scope: OfTablet, says: "its server is older than the primary's and may fail to replicate from it",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				see(s, t.Alias, "server.version", t.Status.Server.Version)
				see(s, s.primary.Alias, "server.version", s.primary.Status.Server.Version)
				return fact.And(s.follower(t), fact.Both(t.Version(), s.primary.Version(), func(mine, theirs *flavor.Flavor) bool { return !mine.CanFollow(theirs) }))
			},
			none: "upgrade it, or hand the reign over to a server of the oldest version: pelorus reparent planned",
		},
		{
			code: AgentVersionUnsupported, scope: OfTablet, says: "its agent's release and this node's are more than two apart",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				ours, ok := parseRelease(s.w.Release)
				if !ok {
					return fact.Unknown
				}
				return fact.Is(see(s, t.Alias, "agent_version", t.Status.AgentVersion), func(v string) bool {
					theirs, ok := parseRelease(v)
					return ok && (theirs[0] != ours[0] || theirs[1] > ours[1]+2 || theirs[1]+2 < ours[1])
				})
			},
			none: "upgrade what is older, one release after the other",
		},
		{
			code: ClockSkew, scope: OfTablet, says: "its clock differs from this node's",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.Both(see(s, t.Alias, "taken_at", t.Status.TakenAt), t.ReceivedAt, func(taken, received time.Time) bool { return received.Sub(taken).Abs() > maxSkew })
			},
			none: "synchronise the clocks: safety does not depend on them, what people read does",
		},
		{
			code: LeaseAnomaly, says: "the lease of the reign is held by another than the primary that the record names",
			when: func(s *scene, _ *evidence.Tablet) fact.Truth {
				return fact.And(s.reigning(), s.leaseIsPrimarys().Not(), fact.Is(see(s, shard, "lease", s.w.Lease), func(l evidence.Lease) bool { return l.Holder != "" }))
			},
			none: "it is so for a moment while the reign changes; if it stays, the one who holds it is fenced as stale_primary",
		},
		{
			code: HostPaused, scope: OfTablet, says: "its host or its agent stood still for a while within the last minute",
			when: func(s *scene, t *evidence.Tablet) fact.Truth {
				return fact.Above(see(s, t.Alias, "host.paused_for", t.Status.PausedFor), paused)
			},
			none: "a primary that stands still for the time of its lease is replaced; look for what suspends this host",
		},
	}
}

// parseRelease reads MAJOR.MINOR.PATCH.
func parseRelease(text string) (out [3]int, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != len(out) {
		return out, false
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return out, false
		}
		out[i] = n
	}
	return out, true
}
