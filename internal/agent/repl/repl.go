// Package repl gives a server its place in replication: replica of another, or primary. Each operation is idempotent, says
// what it waits for and is bounded by its context, and keeps to the order that loses no acknowledged transaction on
// either family.
//
// It does not know the topology and decides nothing about who reigns. It never stops an applier that has received
// transactions left to apply without waiting for it first, and it never answers a client that waits for an
// acknowledgement: clients are cut off before such commits are released.
package repl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
)

// Errors by which callers decide.
var (
	// ErrTimeout says that the server did not get there in time; nothing was undone unless the error says so.
	ErrTimeout = errors.New("timed out")
	// ErrRefused says that the server's state does not allow the operation.
	ErrRefused = errors.New("refused")
	// ErrInvalid says that the request makes no sense to the server.
	ErrInvalid = errors.New("invalid")
)

const (
	// poll is the pause between two looks at a server that is getting there.
	poll = 20 * time.Millisecond
	// applyTime is how long a change of source waits for the applier; what it has not applied by then it fetches again.
	applyTime = 10 * time.Second
	// historyTime is how long a new source may take until it has all that the server has.
	historyTime = 5 * time.Second
	// lookTime is how long a question to another server takes at most, as a rule.
	lookTime = 500 * time.Millisecond
	// lookPause is between two such questions: a server that cannot join must not burden the primary.
	lookPause = 250 * time.Millisecond
	// kickInterval is the least pause between two attempts to start a replication thread that stops with an error.
	kickInterval = 10 * time.Second
)

// Source is where a replica replicates from.
type Source struct {
	Host string
	Port uint32
	// Acks says whether this replica acknowledges commits.
	Acks bool
	// HoldReceiver leaves a stopped receiver stopped.
	HoldReceiver bool
}

// Progress is how far a replica is. A nil field is unknown.
type Progress struct{ Received, Applied *string }

// Repl steers the replication of one server. Operations must not overlap, except WaitPosition.
type Repl struct {
	db *dba.DB
	fl *flavor.Flavor
	// login is the account of receivers, dba that with which a source is asked for its position.
	login, dba credentials.Login
	// apps are the users that are cut off when the server is fenced.
	apps []string
	log  *slog.Logger

	mu          sync.Mutex
	revivePause time.Duration // between two attempts to get a receiver to acknowledge
	reviveAt    time.Time     // when the next is due; zero while it acknowledges
	kicked      time.Time
}

// New makes a Repl for a server of a flavor.
func New(db *dba.DB, fl *flavor.Flavor, creds credentials.Credentials, log *slog.Logger) *Repl {
	return &Repl{db: db, fl: fl, login: creds.Repl, dba: creds.DBA, apps: []string{creds.App.User}, log: log}
}

// Flavor is the server's.
func (r *Repl) Flavor() *flavor.Flavor { return r.fl }

// state reads the variables that tell a server's role.
func (r *Repl) state(ctx context.Context) (flavor.State, error) {
	res, err := r.db.Query(ctx, r.fl.StateQuery())
	if err != nil {
		return flavor.State{}, fmt.Errorf("read the server's state: %w", err)
	}
	if len(res.Rows) != 1 {
		return flavor.State{}, fmt.Errorf("read the server's state: %d rows instead of one", len(res.Rows))
	}
	return r.fl.ParseState(res.Map(0)), nil
}

// status reads the state of replication; ok is false if no source is configured.
func (r *Repl) status(ctx context.Context) (st flavor.ReplicaStatus, ok bool, err error) {
	res, err := r.db.Query(ctx, r.fl.ReplicaStatusQuery())
	if err != nil {
		return st, false, fmt.Errorf("read the state of replication: %w", err)
	}
	switch len(res.Rows) {
	case 0:
		return st, false, nil
	case 1:
		return r.fl.ParseReplicaStatus(res.Map(0)), true, nil
	}
	return st, false, fmt.Errorf("the server replicates from %d sources, Pelorus knows what to do with one: remove the others: %w", len(res.Rows), ErrRefused)
}

// semiSync reads both sides of semi-sync; family is nil if the server has none.
func (r *Repl) semiSync(ctx context.Context) (family *flavor.SemiSync, st flavor.SemiSyncStatus, err error) {
	res, err := r.db.Query(ctx, r.fl.SemiSyncVariablesQuery())
	if err != nil {
		return nil, st, fmt.Errorf("read the semi-sync settings: %w", err)
	}
	vars := res.Pairs()
	family = r.fl.DetectSemiSync(vars)
	if family == nil {
		return nil, st, nil
	}
	return family, family.ParseSemiSync(vars, nil), nil
}

// Follow makes the server a read-only replica of a source. A server that is that already is not touched; changed says
// whether anything was done. A server with transactions that the source lacks is refused with ErrRefused: it stays closed,
// and on MySQL also to readers if it was so before.
func (r *Repl) Follow(ctx context.Context, src Source) (changed bool, err error) {
	st, err := r.state(ctx)
	if err != nil {
		return false, err
	}
	if !closed(st) {
		if err := r.fence(ctx, true); err != nil {
			return false, err
		}
		changed = true
	}
	toggled, err := r.setSides(ctx, false, src.Acks)
	if err != nil {
		return changed, err
	}
	did, err := r.connect(ctx, src, toggled)
	if err != nil {
		return changed, err
	}
	if is(st.OfflineMode) || changed {
		if err := r.db.Exec(ctx, r.fl.AdmitClients()...); err != nil {
			return true, fmt.Errorf("let readers in: %w", err)
		}
	}
	if src.Acks && !src.HoldReceiver && !changed && !toggled && !did {
		return r.reviveAcks(ctx)
	}
	return changed || toggled || did, nil
}

// reviveAcks connects a receiver anew that should acknowledge and does not: it may have connected before its source had
// semi-sync, and stays asynchronous for as long as that connection lives. It is tried less and less often, since the
// source may have it off on purpose.
func (r *Repl) reviveAcks(ctx context.Context) (changed bool, err error) {
	res, err := r.db.Query(ctx, r.fl.SemiSyncStatusQuery())
	if err != nil {
		return false, fmt.Errorf("read the state of semi-sync: %w", err)
	}
	vars, err := r.db.Query(ctx, r.fl.SemiSyncVariablesQuery())
	if err != nil {
		return false, fmt.Errorf("read the semi-sync settings: %w", err)
	}
	family := r.fl.DetectSemiSync(vars.Pairs())
	if family == nil {
		return false, nil
	}
	active := family.ParseSemiSync(vars.Pairs(), res.Pairs()).ReplicaActive
	rs, ok, err := r.status(ctx)
	if err != nil {
		return false, err
	}
	idle := r.fl.Has(flavor.KeepsReceived) || rs.Received != nil && text(rs.Received) == text(rs.Applied)
	if !ok || active == nil || text(rs.Receiver) != "Yes" || !idle || !r.mayRevive(*active) {
		return false, nil
	}
	if err := r.db.Exec(ctx, r.fl.StopReceiver(), r.fl.StartReceiver()); err != nil {
		return true, fmt.Errorf("connect the receiver anew, for it to acknowledge: %w", err)
	}
	return true, nil
}

// Pauses between two attempts of reviveAcks.
const (
	reviveFirst = 2 * time.Second
	reviveMost  = time.Minute
)

func (r *Repl) mayRevive(active bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	switch {
	case active:
		r.revivePause, r.reviveAt = reviveFirst, time.Time{}
		return false
	case r.reviveAt.IsZero(): // seen for the first time: it may be connecting
		r.revivePause = max(r.revivePause, reviveFirst)
		r.reviveAt = now.Add(r.revivePause)
		return false
	case now.Before(r.reviveAt):
		return false
	}
	r.revivePause = min(2*r.revivePause, reviveMost)
	r.reviveAt = now.Add(r.revivePause)
	return true
}

// connect points replication to the source and keeps it running.
func (r *Repl) connect(ctx context.Context, src Source, restartReceiver bool) (changed bool, err error) {
	rs, configured, err := r.status(ctx)
	if err != nil {
		return false, err
	}
	if configured && text(rs.SourceHost) == src.Host && num(rs.SourcePort) == src.Port && is(rs.AutoPosition) {
		return r.keepRunning(ctx, rs, src, restartReceiver)
	}
	if err := r.detach(ctx, rs, configured, src); err != nil {
		return false, err
	}
	start := r.fl.StartReplication()
	if src.HoldReceiver {
		start = r.fl.StartApplier()
	}
	err = r.db.Exec(ctx, r.fl.ChangeSource(flavor.Source{
		Host: src.Host, Port: int(src.Port), User: r.login.User, Password: r.login.Password,
	}), start)
	if err != nil {
		return true, fmt.Errorf("replicate from %s:%d: %w", src.Host, src.Port, err)
	}
	return true, nil
}

// keepRunning starts the threads that do not run; one that stopped with an error at most every kickInterval.
func (r *Repl) keepRunning(ctx context.Context, rs flavor.ReplicaStatus, src Source, restartReceiver bool) (changed bool, err error) {
	receiver, applier := text(rs.Receiver) == "No", text(rs.Applier) == "No"
	if src.HoldReceiver {
		receiver, restartReceiver = false, false
	}
	var do []string
	if restartReceiver && !receiver {
		do = append(do, r.fl.StopReceiver(), r.fl.StartReceiver())
	}
	failing := receiver && num(rs.LastIOErrno) != 0 || applier && num(rs.LastSQLErrno) != 0
	if (receiver || applier) && (!failing || r.mayKick()) {
		if receiver {
			do = append(do, r.fl.StartReceiver())
		}
		if applier {
			do = append(do, r.fl.StartApplier())
		}
	}
	if err := r.db.Exec(ctx, do...); err != nil {
		return true, fmt.Errorf("start replication: %w", err)
	}
	switch {
	case applier && num(rs.LastSQLErrno) != 0:
		return len(do) > 0, fmt.Errorf("the applier stopped with error %d: %s", num(rs.LastSQLErrno), text(rs.LastSQLError))
	case receiver && num(rs.LastIOErrno) != 0:
		return len(do) > 0, fmt.Errorf("the receiver stopped with error %d: %s", num(rs.LastIOErrno), text(rs.LastIOError))
	}
	return len(do) > 0, nil
}

func (r *Repl) mayKick() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.kicked) < kickInterval {
		return false
	}
	r.kicked = time.Now()
	return true
}

// detach prepares a server for another source. A replica applies what it has received first, because MariaDB would throw
// it away; a former primary takes its own writes as its position. Then the histories are compared.
func (r *Repl) detach(ctx context.Context, rs flavor.ReplicaStatus, configured bool, src Source) error {
	if !configured {
		if err := r.checkHistory(ctx, src); err != nil {
			return err
		}
		if err := r.db.Exec(ctx, r.fl.BecomeReplica()...); err != nil {
			return fmt.Errorf("take the server's own writes as its position: %w", err)
		}
		return nil
	}
	if err := r.db.Exec(ctx, r.fl.StopReceiver()); err != nil {
		return fmt.Errorf("stop the receiver: %w", err)
	}
	if text(rs.Applier) == "Yes" {
		waiting, cancel := context.WithTimeout(ctx, applyTime)
		defer cancel()
		if err := r.waitApplied(waiting); err != nil && ctx.Err() != nil {
			return err
		}
	}
	if err := r.checkHistory(ctx, src); err != nil {
		return err
	}
	if err := r.db.Exec(ctx, r.fl.StopReplication()); err != nil {
		return fmt.Errorf("stop replication: %w", err)
	}
	return nil
}

// checkHistory refuses to join a server with transactions that the source does not have. A new primary may still be applying
// what it has received, so it is given a moment.
func (r *Repl) checkHistory(ctx context.Context, src Source) error {
	st, err := r.state(ctx)
	if err != nil {
		return err
	}
	own, err := gtid.Parse(r.fl.Family(), text(st.Executed))
	if err != nil {
		return fmt.Errorf("read the server's position: %w", err)
	}
	if own.Empty() {
		return nil
	}
	addr := net.JoinHostPort(src.Host, strconv.FormatUint(uint64(src.Port), 10))
	source := dba.Open(dba.Config{Network: "tcp", Addr: addr, User: r.dba.User, Password: r.dba.Password})
	defer source.Close()
	ctx, cancel := context.WithTimeout(ctx, historyTime)
	defer cancel()
	for {
		extra, err := r.extra(ctx, own, source)
		if err != nil {
			return fmt.Errorf("compare the server's history with that of its new source: %w", err)
		}
		if extra == "" {
			return nil
		}
		// The last look is not cut short by the deadline, so that the error says what is in the way.
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < 2*lookTime || sleep(ctx, lookPause) != nil {
			return fmt.Errorf("the server has transactions that %s lacks: %s; save them if they matter, then make the server anew from a copy: %w", addr, extra, ErrRefused)
		}
	}
}

// extra is what the own position has and the source lacks.
func (r *Repl) extra(ctx context.Context, own gtid.Position, source *dba.DB) (string, error) {
	res, err := source.Query(ctx, r.fl.StateQuery())
	if err != nil {
		return "", err
	}
	if len(res.Rows) != 1 {
		return "", fmt.Errorf("the source's state has %d rows", len(res.Rows))
	}
	theirs, err := gtid.Parse(r.fl.Family(), text(r.fl.ParseState(res.Map(0)).Executed))
	if err != nil {
		return "", fmt.Errorf("read the position of the source: %w", err)
	}
	diff, err := own.Subtract(theirs)
	if err != nil || diff.Empty() {
		return "", err
	}
	return diff.String(), nil
}

// waitApplied waits until all that was received is applied; the receiver must have been stopped.
func (r *Repl) waitApplied(ctx context.Context) error {
	for {
		rs, configured, err := r.status(ctx)
		if err != nil || !configured {
			return err
		}
		if text(rs.Applier) != "Yes" {
			return fmt.Errorf("the applier does not run, so received transactions cannot be applied (error %d: %s): %w",
				num(rs.LastSQLErrno), text(rs.LastSQLError), ErrRefused)
		}
		if done, err := r.allApplied(rs); done || err != nil {
			return err
		}
		if err := sleep(ctx, poll); err != nil {
			return fmt.Errorf("received %s, applied %s: %w", text(rs.Received), text(rs.Applied), err)
		}
	}
}

// allApplied compares received and applied. After a restart MariaDB knows nothing of what it had received, and has
// nothing of it: it starts from what was applied.
func (r *Repl) allApplied(rs flavor.ReplicaStatus) (bool, error) {
	if rs.Received == nil && r.fl.IsMariaDB() {
		return true, nil
	}
	if rs.Received == nil || rs.Applied == nil {
		return false, errors.New("the server does not say what it has received and applied")
	}
	received, err := gtid.Parse(r.fl.Family(), *rs.Received)
	if err != nil {
		return false, fmt.Errorf("read what was received: %w", err)
	}
	applied, err := gtid.Parse(r.fl.Family(), *rs.Applied)
	if err != nil {
		return false, fmt.Errorf("read what was applied: %w", err)
	}
	missing, err := received.Subtract(applied)
	if err != nil {
		return false, fmt.Errorf("compare received and applied: %w", err)
	}
	return missing.Empty(), nil
}

// StopReceiver stops the receiver, leaves the applier running, and says how far the replica is.
func (r *Repl) StopReceiver(ctx context.Context) (Progress, error) {
	_, configured, err := r.status(ctx)
	if err != nil {
		return Progress{}, err
	}
	if configured {
		if err := r.db.Exec(ctx, r.fl.StopReceiver()); err != nil {
			return Progress{}, fmt.Errorf("stop the receiver: %w", err)
		}
	}
	return r.progress(ctx)
}

func (r *Repl) progress(ctx context.Context) (Progress, error) {
	rs, configured, err := r.status(ctx)
	if err != nil {
		return Progress{}, err
	}
	st, err := r.state(ctx)
	if err != nil {
		return Progress{}, err
	}
	if !configured {
		return Progress{Received: st.Executed, Applied: st.Executed}, nil
	}
	return Progress{Received: Received(r.fl, rs, st), Applied: st.Executed}, nil
}

// Received is all that a replica has: what its receiver got, and what it executed before that. It is nil if the server
// does not know.
func Received(fl *flavor.Flavor, rs flavor.ReplicaStatus, st flavor.State) *string {
	if fl.IsMariaDB() || rs.Received == nil || st.Executed == nil {
		return rs.Received
	}
	received, err := gtid.Parse(fl.Family(), *rs.Received)
	if err != nil {
		return nil
	}
	executed, err := gtid.Parse(fl.Family(), *st.Executed)
	if err != nil {
		return nil
	}
	all, err := received.Union(executed)
	if err != nil {
		return nil
	}
	s := all.String()
	return &s
}

// StartReceiver starts the receiver, if there is a source.
func (r *Repl) StartReceiver(ctx context.Context) error {
	rs, configured, err := r.status(ctx)
	if err != nil || !configured || text(rs.Receiver) != "No" {
		return err
	}
	if err := r.db.Exec(ctx, r.fl.StartReceiver()); err != nil {
		return fmt.Errorf("start the receiver: %w", err)
	}
	return nil
}

// setSides turns the sides of semi-sync on or off where they differ; toggled says that the replica's was, which takes
// effect when the receiver starts anew.
func (r *Repl) setSides(ctx context.Context, source, replica bool) (toggled bool, err error) {
	family, st, err := r.semiSync(ctx)
	if err != nil {
		return false, err
	}
	if family == nil {
		if source || replica {
			return false, fmt.Errorf("semi-sync is wanted and the server does not have it: %w", ErrRefused)
		}
		return false, nil
	}
	var do []string
	switch {
	case source:
		do = family.EnableSource(1)
	case is(st.SourceEnabled):
		do = family.DisableSource()
	}
	if st.ReplicaEnabled == nil || *st.ReplicaEnabled != replica {
		do = append(do, family.SetReplica(replica)...)
		toggled = true
	}
	if err := r.db.Exec(ctx, do...); err != nil {
		return false, fmt.Errorf("set semi-sync: %w", err)
	}
	return toggled, nil
}

// closed says whether the server is surely read-only to applications.
func closed(st flavor.State) bool {
	return is(st.ReadOnly) && (st.SuperReadOnly == nil || *st.SuperReadOnly)
}

func is(p *bool) bool { return p != nil && *p }

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func num(p *uint32) uint32 {
	if p == nil {
		return 0
	}
	return *p
}

// sleep waits for a moment, or fails with ErrTimeout when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrTimeout, ctx.Err())
	}
}
