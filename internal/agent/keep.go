package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pelorusdb/pelorus/internal/agent/mysqld"
	"github.com/pelorusdb/pelorus/internal/agent/repl"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/topo"
)

const (
	// keepInterval is how often server and duty are compared without a reason.
	keepInterval = time.Second
	// restartFirst and restartMost bound the pause between two starts of a server that does not stay up.
	restartFirst = time.Second
	restartMost  = 30 * time.Second
	// stayedUp is how long a server must have run for its next death to count as a first one.
	stayedUp = time.Minute
	// startTime bounds one start: a crash recovery of a large server takes minutes.
	startTime = 15 * time.Minute
	// convergeTime bounds one attempt to give the server its role.
	convergeTime = 30 * time.Second
	// stopTime bounds an orderly end of the server before it is killed.
	stopTime = 30 * time.Second
)

// restarts spaces out the starts of a server that dies again and again.
type restarts struct {
	pause time.Duration
	next  time.Time
	since time.Time
}

// due says whether a start may be tried now.
func (r *restarts) due(now time.Time) bool { return !now.Before(r.next) }

// tried notes an attempt and puts the next one off.
func (r *restarts) tried(now time.Time) {
	if !r.since.IsZero() && now.Sub(r.since) > stayedUp {
		r.pause = 0
	}
	r.pause = min(max(2*r.pause, restartFirst), restartMost)
	r.next, r.since = now.Add(r.pause), now
}

// keep compares the server with its duty, at each change and once a second, until ctx ends.
func (a *Agent) keep(ctx context.Context) {
	var r restarts
	ticker := time.NewTicker(keepInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		err := a.keepOnce(ctx, &r)
		a.note(ctx, err)
		select {
		case <-ctx.Done():
		case <-a.wake:
		case <-ticker.C:
		}
	}
}

// note keeps the last error for the status, and logs it when it changes.
func (a *Agent) note(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	a.mu.Lock()
	changed := a.lastError != text
	a.lastError = text
	if err != nil {
		a.ready = false
	}
	a.mu.Unlock()
	if changed && ctx.Err() == nil {
		if err != nil {
			a.log.Warn("the server does not play its role", "error", err)
		} else {
			a.log.Info("the server plays its role")
		}
	}
}

func (a *Agent) keepOnce(ctx context.Context, r *restarts) error {
	end, err := a.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	a.mu.Lock()
	d := decide(a.cfg.Alias, a.view, a.keyspace, a.state)
	stopped := a.state.Stopped || a.down
	a.primary = d.primary
	a.mu.Unlock()
	if stopped {
		a.setReady(false)
		return nil
	}
	if d.task != taskHold {
		if err := a.change(func(s *state) { s.Term = max(s.Term, d.term) }); err != nil {
			return err
		}
	}
	if err := a.ensureServer(ctx, d, r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, convergeTime)
	defer cancel()
	if err := a.ensureSetup(ctx); err != nil {
		return err
	}
	return a.converge(ctx, d)
}

// ensureServer starts the server if it does not run. Without knowing its role a server that may have crashed is not
// started, because that decides how MariaDB recovers.
func (a *Agent) ensureServer(ctx context.Context, d duty, r *restarts) error {
	if a.srv == nil {
		return nil
	}
	// A process that is there and does not answer yet shows in the first question that it is asked.
	if _, err := a.srv.Find(); !errors.Is(err, mysqld.ErrNotRunning) {
		return err
	}
	if d.task == taskHold && a.srv.Initialised() {
		return fmt.Errorf("the server is down and stays down until its role is known: %s", d.why)
	}
	if !r.due(time.Now()) {
		return fmt.Errorf("the server is down; it is started again in %v", time.Until(r.next).Round(time.Second))
	}
	return a.startServer(ctx, d, r)
}

func (a *Agent) startServer(ctx context.Context, d duty, r *restarts) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	begin := time.Now()
	r.tried(begin)
	if err := a.srv.Initialise(ctx); err != nil {
		return err
	}
	role := mysqld.RoleReplica
	if d.task == taskReign || (d.task == taskFence && d.primary == a.cfg.Alias) {
		role = mysqld.RolePrimary
	}
	a.vitals.setStarting(true)
	started, err := a.srv.Start(ctx, mysqld.StartOptions{Role: role})
	a.vitals.setStarting(false)
	if err != nil {
		return err
	}
	a.db.Forget()
	if started {
		a.log.Info("server_started", "took", time.Since(begin).Round(time.Millisecond), "version", a.srv.Binary().Version)
	}
	return nil
}

// ensureSetup learns what the server is, and brings accounts and sidecar up to date: once, and when the name of the keyspace's
// database becomes known.
func (a *Agent) ensureSetup(ctx context.Context) error {
	database := a.database()
	a.mu.Lock()
	done := a.repl != nil && a.granted == database
	a.mu.Unlock()
	if done {
		return nil
	}
	rp, err := a.prepare(ctx, database)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.repl, a.granted = rp, database
	a.mu.Unlock()
	a.reader.Use(rp.Flavor())
	return nil
}

// converge gives the server the role that is its duty. A server that already has it is not touched.
func (a *Agent) converge(ctx context.Context, d duty) error {
	rp, err := a.currentRepl()
	if err != nil {
		return err
	}
	switch d.task {
	case taskHold:
		return fmt.Errorf("the server keeps its role: %s", d.why)
	case taskFence:
		a.setFence(d.why)
		a.setOwn(topov1.TabletType_TABLET_TYPE_SPARE)
		a.redo.Stop()
		if err := rp.Fence(ctx); err != nil {
			return err
		}
		a.setReady(false)
		return nil
	case taskFollow:
		return a.follow(ctx, rp, d)
	case taskReign:
		return a.reign(ctx, rp, d)
	}
	return fmt.Errorf("no such task: %d", d.task)
}

func (a *Agent) follow(ctx context.Context, rp *repl.Repl, d duty) error {
	a.mu.Lock()
	held := a.state.held(d.term)
	typ := a.view.Tablets[a.cfg.Alias].GetType()
	a.mu.Unlock()
	if typ == topov1.TabletType_TABLET_TYPE_PRIMARY || typ == topov1.TabletType_TABLET_TYPE_UNSPECIFIED {
		typ = topov1.TabletType_TABLET_TYPE_REPLICA
	}
	a.setFence("the shard's primary is " + d.primary)
	a.setOwn(typ)
	a.redo.Stop()
	changed, err := rp.Follow(ctx, repl.Source{Host: d.host, Port: d.port, Acks: d.acks, HoldReceiver: held})
	if err != nil {
		return err
	}
	if changed {
		a.log.Info("replication_set", "source", d.primary, "host", d.host, "port", d.port, "term", d.term, "acks", d.acks)
	}
	a.setReady(true)
	return nil
}

// reign makes the server the writable primary of its term: at once if it was it before the agent's restart, else by
// finishing or repeating a promotion.
func (a *Agent) reign(ctx context.Context, rp *repl.Repl, d duty) error {
	open, err := rp.Reigns(ctx, d.term)
	if err != nil {
		return err
	}
	if !open {
		a.setFence(fmt.Sprintf("the reign of term %d is being prepared", d.term))
		if err := a.promote(ctx, rp, d); err != nil {
			return err
		}
		if err := a.open(ctx, rp, d); err != nil {
			return err
		}
	}
	a.setFence("")
	a.setOwn(topov1.TabletType_TABLET_TYPE_PRIMARY)
	a.redo.Start()
	a.setReady(true)
	if !open {
		return nil
	}
	_, keyspace := a.shardView()
	never := keyspace.GetDurability() == topov1.Durability_DURABILITY_NONE
	changed, err := rp.AdjustSemiSync(ctx, d.semiSync, never)
	if changed {
		a.log.Info("semi_sync_changed", "wanted", d.semiSync, "term", d.term)
	}
	return err
}

// promote makes the server a primary that is still closed.
func (a *Agent) promote(ctx context.Context, rp *repl.Repl, d duty) error {
	_, err := rp.Promote(ctx, repl.Reign{Term: d.term, Alias: a.cfg.Alias, Database: a.database(), SemiSync: d.semiSync})
	return err
}

// open takes over what transactions across shards left behind, and lets applications in.
func (a *Agent) open(ctx context.Context, rp *repl.Repl, d duty) error {
	if err := a.redo.BeforeOpen(ctx, a.db); err != nil {
		return fmt.Errorf("take over the transactions across shards before opening: %w", err)
	}
	// A demotion may have come while the server was being started or its locks taken; it waits for this operation's end.
	if a.demoted(d.term) {
		return fmt.Errorf("the reign of term %d was ended by a demotion: %w", d.term, repl.ErrRefused)
	}
	if err := rp.Open(ctx); err != nil {
		return err
	}
	a.log.Info("primary_opened", "term", d.term, "semi_sync", d.semiSync)
	return nil
}

func (a *Agent) demoted(term uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state.demoted(term)
}

func (a *Agent) setReady(ready bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ready = ready
}

func (a *Agent) setFence(reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fenceReason = reason
}

func (a *Agent) setOwn(t topov1.TabletType) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.own, a.decided = t, true
}

// shardView returns the last view and the keyspace's record; both may be nil.
func (a *Agent) shardView() (*topo.ShardView, *topov1.Keyspace) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.view, a.keyspace
}
