// Package status reads what an agent knows of its server at first hand, and hands it to who listens. What could not be read
// is absent and its reason is in the status: an absent field never means zero or false.
//
// It changes nothing on the server but the primary's heartbeat row, draws no conclusions, and asks few and cheap
// questions: five statements, about a millisecond, twice a second.
package status

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/agent/repl"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
)

// readTime bounds one reading; a server that does not answer within it is reported as not responding.
const readTime = 2 * time.Second

// Reader reads the status of one server. It is safe for concurrent use.
type Reader struct {
	db *dba.DB
	// dir is on the file system that the server writes to.
	dir string
	app string

	mu sync.Mutex
	fl *flavor.Flavor
	// MariaDB counts received heartbeats and does not say when the last one came.
	heartbeats uint64
	lastBeat   time.Time
	heard      hearing
}

// NewReader makes a reader for the server behind db, whose data lie below dir. app is the user of applications.
func NewReader(db *dba.DB, dir, app string) *Reader { return &Reader{db: db, dir: dir, app: app} }

// Use tells the reader what the server is; until then only that it answers is reported.
func (r *Reader) Use(fl *flavor.Flavor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fl = fl
}

// reading is one status while it is being made.
type reading struct {
	out *tabletv1.FullStatus
	fl  *flavor.Flavor
}

func (g *reading) unknown(field string, err error) {
	g.out.Unknowns[field] = err.Error()
}

// Read fills in what the server tells: its state, replication, semi-sync, lag and redo. out.Server may already hold what
// the agent knows of the process.
func (r *Reader) Read(ctx context.Context, out *tabletv1.FullStatus) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	r.mu.Lock()
	g := &reading{out: out, fl: r.fl}
	r.mu.Unlock()
	if out.Unknowns == nil {
		out.Unknowns = map[string]string{}
	}
	if out.Server == nil {
		out.Server = &tabletv1.ServerStatus{}
	}
	r.disk(g)
	begin := time.Now()
	if g.fl == nil {
		_, err := r.db.Query(ctx, "SELECT 1")
		out.Server.Responding = proto.Bool(err == nil)
		if err != nil {
			g.unknown("server", err)
		}
		return
	}
	st, err := r.server(ctx, g)
	out.Server.ProbeDuration = durationpb.New(time.Since(begin))
	out.Server.Responding = proto.Bool(err == nil)
	if err != nil {
		for _, part := range []string{"server", "replication", "semi_sync", "lag", "redo"} {
			g.unknown(part, err)
		}
		return
	}
	r.replication(ctx, g, st)
	r.semiSync(ctx, g)
	r.processes(ctx, g)
	r.sidecar(ctx, g)
}

func (r *Reader) disk(g *reading) {
	var fs unix.Statfs_t
	if err := unix.Statfs(r.dir, &fs); err != nil {
		g.unknown("server.disk_free_bytes", err)
		g.unknown("server.disk_total_bytes", err)
		g.unknown("server.disk_read_only", err)
		return
	}
	g.out.Server.DiskFreeBytes = proto.Uint64(fs.Bavail * uint64(fs.Bsize))
	g.out.Server.DiskTotalBytes = proto.Uint64(fs.Blocks * uint64(fs.Bsize))
	g.out.Server.DiskReadOnly = proto.Bool(fs.Flags&unix.ST_RDONLY != 0)
}

func (r *Reader) server(ctx context.Context, g *reading) (flavor.State, error) {
	res, err := r.db.Query(ctx, g.fl.StateQuery())
	if err != nil {
		return flavor.State{}, err
	}
	if len(res.Rows) != 1 {
		return flavor.State{}, fmt.Errorf("the server's state has %d rows", len(res.Rows))
	}
	st := g.fl.ParseState(res.Map(0))
	s := g.out.Server
	s.Flavor, s.Version, s.ServerId, s.ServerUuid = proto.String(g.fl.Name()), st.Version, st.ServerID, st.ServerUUID
	s.ReadOnly, s.SuperReadOnly, s.OfflineMode = st.ReadOnly, st.SuperReadOnly, st.OfflineMode
	s.Executed, s.Purged, s.BinlogPos = st.Executed, st.Purged, st.BinlogPos
	if g.fl.IsMariaDB() {
		for _, f := range []string{"server_uuid", "super_read_only", "offline_mode", "purged"} {
			g.out.Unknowns["server."+f] = "MariaDB has no such thing"
		}
	} else {
		g.out.Unknowns["server.binlog_pos"] = "MySQL has no such thing"
	}
	return st, nil
}

func (r *Reader) replication(ctx context.Context, g *reading, st flavor.State) {
	res, err := r.db.Query(ctx, g.fl.ReplicaStatusQuery())
	if err != nil {
		g.unknown("replication", err)
		return
	}
	if len(res.Rows) == 0 {
		g.out.Replication = &tabletv1.ReplicationStatus{Configured: proto.Bool(false)}
		return
	}
	rs := g.fl.ParseReplicaStatus(res.Map(0))
	p := &tabletv1.ReplicationStatus{
		Configured: proto.Bool(true), SourceHost: rs.SourceHost, SourcePort: rs.SourcePort, SourceUuid: rs.SourceUUID,
		SourceServerId: rs.SourceServerID, Receiver: rs.Receiver, Applier: rs.Applier,
		LastIoErrno: rs.LastIOErrno, LastIoError: rs.LastIOError, LastSqlErrno: rs.LastSQLErrno, LastSqlError: rs.LastSQLError,
		Received: repl.Received(g.fl, rs, st), Applied: st.Executed, AutoPosition: rs.AutoPosition,
	}
	if len(res.Rows) > 1 {
		g.out.Unknowns["replication"] = fmt.Sprintf("the server has %d sources, this is the first", len(res.Rows))
	}
	if p.Received == nil {
		g.out.Unknowns["replication.received"] = "the server does not know: it has received nothing since its start"
	}
	g.out.Replication = p
	g.lag().SecondsBehind = rs.SecondsBehind
	if rs.SecondsBehind == nil {
		g.out.Unknowns["lag.seconds_behind"] = "the server does not say: its replication does not run"
	}
	if g.fl.IsMariaDB() {
		g.out.Unknowns["replication.source_uuid"] = "MariaDB has no such thing"
	}
	r.heartbeatsReceived(ctx, g, rs)
	p.SilentFor = r.heard.silentFor(p, time.Now())
}

// heartbeatsReceived tells when the receiver last heard from its source: MySQL says so, for MariaDB the counter is watched.
func (r *Reader) heartbeatsReceived(ctx context.Context, g *reading, rs flavor.ReplicaStatus) {
	p := g.out.Replication
	if g.fl.IsMariaDB() {
		p.Heartbeats = rs.Heartbeats
		if rs.HeartbeatMS != nil {
			p.HeartbeatPeriod = durationpb.New(time.Duration(*rs.HeartbeatMS) * time.Millisecond)
		}
		if rs.Heartbeats != nil {
			p.LastHeartbeatAt = r.noteHeartbeats(*rs.Heartbeats)
		}
		return
	}
	res, err := r.db.Query(ctx, "SELECT s.COUNT_RECEIVED_HEARTBEATS, UNIX_TIMESTAMP(s.LAST_HEARTBEAT_TIMESTAMP), c.HEARTBEAT_INTERVAL"+
		" FROM performance_schema.replication_connection_status s JOIN performance_schema.replication_connection_configuration c"+
		" USING (CHANNEL_NAME)")
	if err != nil || len(res.Rows) == 0 {
		if err == nil {
			err = fmt.Errorf("no row about the receiver")
		}
		g.unknown("replication.heartbeats", err)
		return
	}
	var count uint64
	var at, period float64
	if _, err := fmt.Sscan(res.Text(0, 0), &count); err == nil {
		p.Heartbeats = &count
	}
	if _, err := fmt.Sscan(res.Text(0, 1), &at); err == nil && at > 0 {
		p.LastHeartbeatAt = timestamppb.New(time.UnixMicro(int64(at * 1e6)))
	}
	if _, err := fmt.Sscan(res.Text(0, 2), &period); err == nil {
		p.HeartbeatPeriod = durationpb.New(time.Duration(period * float64(time.Second)))
	}
}

// noteHeartbeats keeps when the counter last moved; nil before it was ever seen moving.
func (r *Reader) noteHeartbeats(n uint64) *timestamppb.Timestamp {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n != r.heartbeats {
		if n > 0 {
			r.lastBeat = time.Now()
		}
		r.heartbeats = n
	}
	if r.lastBeat.IsZero() {
		return nil
	}
	return timestamppb.New(r.lastBeat)
}

func (g *reading) lag() *tabletv1.LagStatus {
	if g.out.Lag == nil {
		g.out.Lag = &tabletv1.LagStatus{}
	}
	return g.out.Lag
}

func (r *Reader) semiSync(ctx context.Context, g *reading) {
	vars, err := r.db.Query(ctx, g.fl.SemiSyncVariablesQuery())
	if err != nil {
		g.unknown("semi_sync", err)
		return
	}
	family := g.fl.DetectSemiSync(vars.Pairs())
	if family == nil {
		g.out.SemiSync = &tabletv1.SemiSyncStatus{Available: proto.Bool(false)}
		return
	}
	counters, err := r.db.Query(ctx, "SHOW GLOBAL STATUS WHERE variable_name LIKE 'Rpl\\_semi\\_sync%' OR variable_name IN ('Threads_connected', 'Threads_running', 'Uptime')")
	if err != nil {
		g.unknown("semi_sync", err)
		return
	}
	values := counters.Pairs()
	ss := family.ParseSemiSync(vars.Pairs(), values)
	g.out.SemiSync = &tabletv1.SemiSyncStatus{
		Available: proto.Bool(true), SourceEnabled: ss.SourceEnabled, ReplicaEnabled: ss.ReplicaEnabled, ReplicaActive: ss.ReplicaActive,
		Clients: ss.Clients, WaitPoint: ss.WaitPoint, TimeoutMs: ss.TimeoutMS, NoTx: ss.NoTx,
		WaitNoReplica: ss.WaitNoReplica, AckCount: ss.AckCount, YesTx: ss.YesTx,
	}
	if ss.AckCount == nil {
		g.out.Unknowns["semi_sync.ack_count"] = "the server has no such setting: it waits for one"
	}
	var n uint64
	if _, err := fmt.Sscan(values["Threads_connected"], &n); err == nil {
		g.out.Server.ThreadsConnected = proto.Uint32(uint32(n))
	}
	if _, err := fmt.Sscan(values["Threads_running"], &n); err == nil {
		g.out.Server.ThreadsRunning = proto.Uint32(uint32(n))
	}
	if _, err := fmt.Sscan(values["Uptime"], &n); err == nil {
		g.out.Server.UptimeSeconds = proto.Uint64(n)
	}
}

// processes counts commits that have waited for an acknowledgement for a second or more, by the states of threads: the servers' own counter
// knows only the leader of a group. Younger ones are on their way: one of the heartbeat is seen at every other look.
func (r *Reader) processes(ctx context.Context, g *reading) {
	res, err := r.db.Query(ctx, "SHOW PROCESSLIST")
	if err != nil {
		g.unknown("server.stuck_commits", err)
		return
	}
	state, since := -1, -1 // since: "Time", whole seconds in that state
	for i, c := range res.Columns {
		switch c.Name {
		case "State":
			state = i
		case "Time":
			since = i
		}
	}
	known := state >= 0 && since >= 0
	var stuck uint32
	for i := range res.Rows {
		if known && g.fl.IsStuckCommit(res.Text(i, state)) && res.Text(i, since) != "0" {
			stuck++
		}
	}
	if known && !res.Truncated {
		g.out.Server.StuckCommits = &stuck
	}
}

// sidecar reads the last reign, the heartbeat of the newest term, and undecided promises, in one statement.
func (r *Reader) sidecar(ctx context.Context, g *reading) {
	const waiting = flavor.Sidecar + ".redo WHERE created_at < NOW(6) - INTERVAL 2 SECOND" // younger ones are being committed
	const query = "SELECT (SELECT MAX(term) FROM " + flavor.Sidecar + ".reign)," +
		" (SELECT TIMESTAMPDIFF(MICROSECOND, ts, UTC_TIMESTAMP(6)) FROM " + flavor.Sidecar + ".heartbeat ORDER BY term DESC, ts DESC LIMIT 1)," +
		" (SELECT COUNT(*) FROM " + waiting + ")," +
		" (SELECT UNIX_TIMESTAMP(MIN(created_at)) FROM " + waiting + ")"
	res, err := r.db.Query(ctx, query)
	if err != nil {
		for _, part := range []string{"reign_term", "lag.heartbeat_lag", "redo"} {
			g.unknown(part, err)
		}
		return
	}
	var term, undecided uint64
	if _, err := fmt.Sscan(res.Text(0, 0), &term); err == nil {
		g.out.ReignTerm = &term
	}
	var micros int64
	if _, err := fmt.Sscan(res.Text(0, 1), &micros); err == nil {
		g.lag().HeartbeatLag = durationpb.New(time.Duration(max(0, micros)) * time.Microsecond)
	} else {
		g.out.Unknowns["lag.heartbeat_lag"] = "no primary has written a heartbeat yet"
	}
	g.out.Redo = &tabletv1.RedoStatus{}
	if _, err := fmt.Sscan(res.Text(0, 2), &undecided); err == nil {
		g.out.Redo.Undecided = proto.Uint32(uint32(undecided))
	}
	var oldest float64
	if _, err := fmt.Sscan(res.Text(0, 3), &oldest); err == nil && oldest > 0 {
		g.out.Redo.OldestAt = timestamppb.New(time.UnixMicro(int64(oldest * 1e6)))
	}
}

// Beat writes the primary's heartbeat row: one row per server, so that it never conflicts with another's. With semi-sync
// it waits for its acknowledgement as any commit does.
func (r *Reader) Beat(ctx context.Context, uid uint32, alias string, term uint64) error {
	return r.db.Exec(ctx, fmt.Sprintf("INSERT INTO %s.heartbeat (id, ts, term, alias) VALUES (%d, UTC_TIMESTAMP(6), %d, '%s')"+
		" ON DUPLICATE KEY UPDATE ts = VALUES(ts), term = VALUES(term), alias = VALUES(alias)", flavor.Sidecar, uid, term, alias))
}
