package evidence

import (
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/fact"
)

// Status is a FullStatus as facts: each field has its own.
type Status struct {
	Alias, Keyspace, Shard fact.Fact[string]
	AgentVersion           fact.Fact[string]
	Capabilities           fact.Fact[[]string]
	AgentStartedAt         fact.Fact[time.Time]
	TakenAt                fact.Fact[time.Time]
	TopoType, OwnType      fact.Fact[topov1.TabletType]
	Term, ReignTerm        fact.Fact[uint64]
	Fenced                 fact.Fact[bool]
	FenceReason            fact.Fact[string]
	PrimaryAlias           fact.Fact[string]
	Server                 Server
	Replication            Replication
	SemiSync               SemiSync
	SecondsBehind          fact.Fact[uint64]
	HeartbeatLag           fact.Fact[time.Duration]
	Redo                   Redo
	BootID                 fact.Fact[string]
	PausedFor              fact.Fact[time.Duration]
	PausedUntil            fact.Fact[time.Time]
	Lease                  AgentLease
	Peers                  []Peer
}

// Server is ServerStatus as facts.
type Server struct {
	Running, Responding, Starting    fact.Fact[bool]
	Pid                              fact.Fact[uint32]
	Flavor, Version                  fact.Fact[string]
	ServerID                         fact.Fact[uint32]
	ServerUUID                       fact.Fact[string]
	ReadOnly, SuperReadOnly          fact.Fact[bool]
	OfflineMode                      fact.Fact[bool]
	Executed, Purged, BinlogPos      fact.Fact[string]
	ThreadsConnected, ThreadsRunning fact.Fact[uint32]
	UptimeSeconds                    fact.Fact[uint64]
	DiskFreeBytes, DiskTotalBytes    fact.Fact[uint64]
	DiskReadOnly                     fact.Fact[bool]
	StuckCommits                     fact.Fact[uint32]
	LastError                        fact.Fact[string]
	ProbeDuration                    fact.Fact[time.Duration]
	DiskBlockedFor, CommitBlockedFor fact.Fact[time.Duration]
}

// Replication is ReplicationStatus as facts.
type Replication struct {
	Configured                fact.Fact[bool]
	SourceHost                fact.Fact[string]
	SourcePort                fact.Fact[uint32]
	SourceUUID                fact.Fact[string]
	SourceServerID            fact.Fact[uint32]
	Receiver, Applier         fact.Fact[string]
	LastIOErrno, LastSQLErrno fact.Fact[uint32]
	LastIOError, LastSQLError fact.Fact[string]
	Received, Applied         fact.Fact[string]
	AutoPosition              fact.Fact[bool]
	Heartbeats                fact.Fact[uint64]
	LastHeartbeatAt           fact.Fact[time.Time]
	HeartbeatPeriod           fact.Fact[time.Duration]
	SilentFor                 fact.Fact[time.Duration]
	Held                      fact.Fact[bool]
}

// SemiSync is SemiSyncStatus as facts.
type SemiSync struct {
	Available, SourceEnabled      fact.Fact[bool]
	ReplicaEnabled, ReplicaActive fact.Fact[bool]
	Clients                       fact.Fact[uint32]
	WaitPoint                     fact.Fact[string]
	TimeoutMS                     fact.Fact[uint64]
	NoTx, YesTx                   fact.Fact[uint64]
	WaitNoReplica                 fact.Fact[bool]
	AckCount                      fact.Fact[uint32]
}

// Redo is RedoStatus as facts.
type Redo struct {
	Undecided, Failing fact.Fact[uint32]
	OldestAt           fact.Fact[time.Time]
	LastError          fact.Fact[string]
}

// AgentLease is LeaseStatus as facts: what the agent itself believes of its lease.
type AgentLease struct {
	TopologyReachable, Held fact.Fact[bool]
	Term                    fact.Fact[uint64]
	Left                    fact.Fact[time.Duration]
}

// Peer is how an agent sees another tablet.
type Peer struct {
	Alias                   fact.Fact[string]
	Agent, Server           fact.Fact[tabletv1.Contact]
	AgentSince, ServerSince fact.Fact[time.Duration]
	Term                    fact.Fact[uint64]
}

// reader makes facts of fields with explicit presence.
type reader struct {
	at     time.Time
	source string
	// unknowns says, by field path, why a field is absent.
	unknowns map[string]string
	// gone says that nothing of it can be believed, for the reason in missing and why.
	gone    bool
	missing fact.Reason
	why     string
}

// field is the fact of one field; path is its place in the report, for the reasons that the agent gave.
func field[T any](r *reader, path string, p *T) fact.Fact[T] {
	if r.gone {
		return fact.Missing[T](r.missing, r.why)
	}
	if p != nil {
		return fact.Known(*p, r.at, r.source)
	}
	for path != "" {
		if why, ok := r.unknowns[path]; ok {
			return fact.Missing[T](fact.QueryFailed, why)
		}
		cut := strings.LastIndexByte(path, '.')
		if cut < 0 {
			break
		}
		path = path[:cut]
	}
	return fact.FromPtr[T](nil, r.at, r.source)
}

// always is a fact that is known whenever the reader's source can be believed.
func (r *reader) always(v bool) fact.Fact[bool] { return field(r, "", &v) }

// enum is the fact of a field with an enumeration: its zero, and numbers that this release has no name for, are unknown.
func enum[E interface {
	~int32
	protoreflect.Enum
}](r *reader, path string, p *E) fact.Fact[E] {
	if p != nil && (*p == 0 || (*p).Descriptor().Values().ByNumber(protoreflect.EnumNumber(*p)) == nil) {
		p = nil
	}
	return field(r, path, p)
}

func duration(r *reader, path string, d *durationpb.Duration) fact.Fact[time.Duration] {
	if d == nil || d.CheckValid() != nil {
		return field[time.Duration](r, path, nil)
	}
	v := d.AsDuration()
	return field(r, path, &v)
}

func timestamp(r *reader, path string, t *timestamppb.Timestamp) fact.Fact[time.Time] {
	if t == nil || t.CheckValid() != nil {
		return field[time.Time](r, path, nil)
	}
	v := t.AsTime()
	return field(r, path, &v)
}

// or is m, or an empty message if it is absent: then all its fields are.
func or[M any](m *M) *M {
	if m == nil {
		return new(M)
	}
	return m
}

func readStatus(r *reader, msg *tabletv1.FullStatus) Status {
	m := or(msg)
	s := Status{
		Alias: field(r, "alias", m.Alias), Keyspace: field(r, "keyspace", m.Keyspace), Shard: field(r, "shard", m.Shard),
		AgentVersion: field(r, "agent_version", m.AgentVersion), AgentStartedAt: timestamp(r, "agent_started_at", m.AgentStartedAt),
		TakenAt: timestamp(r, "taken_at", m.TakenAt), TopoType: enum(r, "topo_type", m.TopoType), OwnType: enum(r, "own_type", m.OwnType),
		Term: field(r, "term", m.Term), ReignTerm: field(r, "reign_term", m.ReignTerm), Fenced: field(r, "fenced", m.Fenced),
		FenceReason: field(r, "fence_reason", m.FenceReason), PrimaryAlias: field(r, "primary_alias", m.PrimaryAlias),
		Server: readServer(r, or(m.Server)), Replication: readReplication(r, or(m.Replication)), SemiSync: readSemiSync(r, or(m.SemiSync)),
		SecondsBehind: field(r, "lag.seconds_behind", or(m.Lag).SecondsBehind), HeartbeatLag: duration(r, "lag.heartbeat_lag", or(m.Lag).HeartbeatLag),
		BootID: field(r, "host.boot_id", or(m.Host).BootId), PausedFor: duration(r, "host.paused_for", or(m.Host).PausedFor),
		PausedUntil: timestamp(r, "host.paused_until", or(m.Host).PausedUntil),
	}
	var names *[]string
	if m.Capabilities != nil {
		names = &m.Capabilities.Names
	}
	s.Capabilities = field(r, "capabilities", names)
	redo := or(m.Redo)
	s.Redo = Redo{
		Undecided: field(r, "redo.undecided", redo.Undecided), Failing: field(r, "redo.failing", redo.Failing),
		OldestAt: timestamp(r, "redo.oldest_at", redo.OldestAt), LastError: field(r, "redo.last_error", redo.LastError),
	}
	lease := or(m.Lease)
	s.Lease = AgentLease{
		TopologyReachable: field(r, "lease.topology_reachable", lease.TopologyReachable), Held: field(r, "lease.held", lease.Held),
		Term: field(r, "lease.term", lease.Term), Left: duration(r, "lease.left", lease.Left),
	}
	for _, p := range m.GetPeers().GetList() {
		s.Peers = append(s.Peers, Peer{
			Alias: field(r, "peers", p.Alias), Agent: enum(r, "peers", p.Agent), Server: enum(r, "peers", p.Server),
			AgentSince: duration(r, "peers", p.AgentSince), ServerSince: duration(r, "peers", p.ServerSince), Term: field(r, "peers", p.Term),
		})
	}
	return s
}

func readServer(r *reader, m *tabletv1.ServerStatus) Server {
	return Server{
		Running: field(r, "server.running", m.Running), Responding: field(r, "server.responding", m.Responding),
		Starting: field(r, "server.starting", m.Starting), Pid: field(r, "server.pid", m.Pid),
		Flavor: field(r, "server.flavor", m.Flavor), Version: field(r, "server.version", m.Version),
		ServerID: field(r, "server.server_id", m.ServerId), ServerUUID: field(r, "server.server_uuid", m.ServerUuid),
		ReadOnly: field(r, "server.read_only", m.ReadOnly), SuperReadOnly: field(r, "server.super_read_only", m.SuperReadOnly),
		OfflineMode: field(r, "server.offline_mode", m.OfflineMode), Executed: field(r, "server.executed", m.Executed),
		Purged: field(r, "server.purged", m.Purged), BinlogPos: field(r, "server.binlog_pos", m.BinlogPos),
		ThreadsConnected: field(r, "server.threads_connected", m.ThreadsConnected), ThreadsRunning: field(r, "server.threads_running", m.ThreadsRunning),
		UptimeSeconds: field(r, "server.uptime_seconds", m.UptimeSeconds), DiskFreeBytes: field(r, "server.disk_free_bytes", m.DiskFreeBytes),
		DiskTotalBytes: field(r, "server.disk_total_bytes", m.DiskTotalBytes), DiskReadOnly: field(r, "server.disk_read_only", m.DiskReadOnly),
		StuckCommits: field(r, "server.stuck_commits", m.StuckCommits), LastError: field(r, "server.last_error", m.LastError),
		ProbeDuration:    duration(r, "server.probe_duration", m.ProbeDuration),
		DiskBlockedFor:   duration(r, "server.disk_blocked_for", m.DiskBlockedFor),
		CommitBlockedFor: duration(r, "server.commit_blocked_for", m.CommitBlockedFor),
	}
}

func readReplication(r *reader, m *tabletv1.ReplicationStatus) Replication {
	return Replication{
		Configured: field(r, "replication.configured", m.Configured), SourceHost: field(r, "replication.source_host", m.SourceHost),
		SourcePort: field(r, "replication.source_port", m.SourcePort), SourceUUID: field(r, "replication.source_uuid", m.SourceUuid),
		SourceServerID: field(r, "replication.source_server_id", m.SourceServerId), Receiver: field(r, "replication.receiver", m.Receiver),
		Applier: field(r, "replication.applier", m.Applier), LastIOErrno: field(r, "replication.last_io_errno", m.LastIoErrno),
		LastIOError: field(r, "replication.last_io_error", m.LastIoError), LastSQLErrno: field(r, "replication.last_sql_errno", m.LastSqlErrno),
		LastSQLError: field(r, "replication.last_sql_error", m.LastSqlError), Received: field(r, "replication.received", m.Received),
		Applied: field(r, "replication.applied", m.Applied), AutoPosition: field(r, "replication.auto_position", m.AutoPosition),
		Heartbeats: field(r, "replication.heartbeats", m.Heartbeats), LastHeartbeatAt: timestamp(r, "replication.last_heartbeat_at", m.LastHeartbeatAt),
		HeartbeatPeriod: duration(r, "replication.heartbeat_period", m.HeartbeatPeriod), SilentFor: duration(r, "replication.silent_for", m.SilentFor),
		Held: field(r, "replication.held", m.Held),
	}
}

func readSemiSync(r *reader, m *tabletv1.SemiSyncStatus) SemiSync {
	return SemiSync{
		Available: field(r, "semi_sync.available", m.Available), SourceEnabled: field(r, "semi_sync.source_enabled", m.SourceEnabled),
		ReplicaEnabled: field(r, "semi_sync.replica_enabled", m.ReplicaEnabled), ReplicaActive: field(r, "semi_sync.replica_active", m.ReplicaActive),
		Clients: field(r, "semi_sync.clients", m.Clients), WaitPoint: field(r, "semi_sync.wait_point", m.WaitPoint),
		TimeoutMS: field(r, "semi_sync.timeout_ms", m.TimeoutMs), NoTx: field(r, "semi_sync.no_tx", m.NoTx), YesTx: field(r, "semi_sync.yes_tx", m.YesTx),
		WaitNoReplica: field(r, "semi_sync.wait_no_replica", m.WaitNoReplica), AckCount: field(r, "semi_sync.ack_count", m.AckCount),
	}
}
