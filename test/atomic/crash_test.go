package atomic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/agent/resolve"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/test/servers"
)

// TestCrashes goes through every step of a commit and kills whoever takes part.
func TestCrashes(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			b := newBed(t, family)
			t.Run("none", func(t *testing.T) { b.with(t).noFault() })
			t.Run("gateway", func(t *testing.T) { b.with(t).gatewayDies() })
			t.Run("frozen", func(t *testing.T) { b.with(t).gatewayFreezes() })
			t.Run("connection", func(t *testing.T) { b.with(t).connectionDies() })
			t.Run("server", func(t *testing.T) { b.with(t).serverDies() })
			t.Run("all", func(t *testing.T) { b.with(t).everybodyDies() })
			t.Run("held", func(t *testing.T) { b.with(t).coordinatorAway() })
			t.Run("lost", func(t *testing.T) { b.with(t).replayFails() })
			t.Run("discarded", func(t *testing.T) { b.with(t).discarded() })
			t.Run("changed", func(t *testing.T) { b.with(t).changedRows() })
			t.Run("in use", func(t *testing.T) { b.with(t).inUse() })
			b.balanced()
		})
	}
}

// with is the bed for a subtest.
func (b *bed) with(t *testing.T) *bed {
	b.t = t
	for _, n := range b.nodes {
		n.t = t
	}
	return b
}

func (b *bed) noFault() {
	g := b.gate()
	var mu sync.Mutex
	var steps []string
	err := g.run(b.t.Context(), transfer{ID: "calm", From: 1, To: 2, Amount: 5}, txn.Hooks{At: func(s string) {
		mu.Lock()
		defer mu.Unlock()
		steps = append(steps, s)
	}})
	if err != nil || !slices.Equal(steps, txn.Steps()) {
		b.t.Fatalf("%v; steps %v, want %v", err, steps, txn.Steps())
	}
	b.settled()
	if !b.outcome("calm") {
		b.t.Error("a transaction without fault is not there")
	}
}

// decidedAt says whether a transaction that dies at a step is committed.
func decidedAt(step string) bool {
	return slices.Index(txn.Steps(), step) >= slices.Index(txn.Steps(), "decided")
}

func (b *bed) gatewayDies() {
	for i, step := range txn.Steps() {
		id := "gateway-" + step
		b.killedGateway(transfer{ID: id, From: i, To: i, Amount: 7, First: i % 2}, step)
		b.settled()
		if got := b.outcome(id); got != decidedAt(step) {
			b.t.Errorf("the gateway died at %s: committed %v", step, got)
		}
	}
}

// gatewayFreezes stops a gateway for longer than recovery has patience, and lets it go on.
func (b *bed) gatewayFreezes() {
	g := b.gate()
	for i, step := range txn.Steps()[1:4] {
		id := "frozen-" + step
		at, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			done <- g.run(b.t.Context(), transfer{ID: id, From: i, To: i, Amount: 3, First: i % 2}, txn.Hooks{At: func(s string) {
				if s == step {
					close(at)
					<-goOn
				}
			}})
		}()
		<-at
		b.until("recovery ends what is frozen at "+step, recovery, func() bool {
			for _, n := range b.nodes {
				if v, err := n.get("SELECT COUNT(*) FROM _pelorus.redo"); err != nil || v != "0" {
					return false
				}
			}
			return true
		})
		close(goOn)
		err := <-done
		b.settled()
		if got := b.outcome(id); got != decidedAt(step) || got != (err == nil) {
			b.t.Errorf("frozen at %s: committed %v, the gateway got %v", step, got, err)
		}
	}
}

// connectionDies ends each connection of the transaction at each step.
func (b *bed) connectionDies() {
	g := b.gate()
	for _, step := range txn.Steps()[:4] {
		for victim, n := range b.nodes {
			id := fmt.Sprintf("connection-%s-%d", step, victim)
			err := g.run(b.t.Context(), transfer{ID: id, From: 4, To: 5, Amount: 2}, txn.Hooks{At: func(s string) {
				if s != step {
					return
				}
				ids, err := n.get("SELECT GROUP_CONCAT(ID) FROM information_schema.PROCESSLIST WHERE USER = '" + app.User + "'")
				if err != nil {
					b.t.Error(err)
				}
				for _, conn := range strings.FieldsFunc(ids, func(r rune) bool { return r == ',' }) {
					n.exec("KILL " + conn)
				}
			}})
			b.settled()
			b.agree(id, err)
		}
	}
}

// agree holds what the gateway said against what happened.
func (b *bed) agree(id string, err error) {
	b.t.Helper()
	got := b.outcome(id)
	if err == nil && !got {
		b.t.Errorf("%s was acknowledged, and is not there", id)
	}
	if err != nil && got && !errors.Is(err, txn.ErrUnknown) {
		b.t.Errorf("%s is there, though the gateway said: %v", id, err)
	}
}

// serverDies kills each server, and both, at each step.
func (b *bed) serverDies() {
	for _, step := range txn.Steps() {
		for victims := 1; victims <= 3; victims++ {
			id := fmt.Sprintf("server-%s-%d", step, victims)
			g := b.gate()
			err := g.run(b.t.Context(), transfer{ID: id, From: 6, To: 7, Amount: 4}, txn.Hooks{At: func(s string) {
				if s == step {
					b.each(victims, (*node).kill)
				}
			}})
			g.close()
			begin := time.Now()
			b.each(victims, (*node).restart)
			b.settled()
			if took := time.Since(begin); took > recovery {
				b.t.Errorf("%s: recovery took %v", id, took)
			}
			b.agree(id, err)
		}
	}
}

// everybodyDies kills the gateway at each step and both servers after it, and the participant once more while it recovers.
func (b *bed) everybodyDies() {
	for i, step := range txn.Steps() {
		id := "all-" + step
		b.killedGateway(transfer{ID: id, From: i, To: i, Amount: 9}, step)
		b.each(3, (*node).kill)
		begin := time.Now()
		b.nodes[1].restart() // it finds its record, and nobody to ask
		b.nodes[1].kill()
		b.each(3, (*node).restart)
		b.settled()
		if took := time.Since(begin); took > recovery {
			b.t.Errorf("%s: recovery took %v", id, took)
		}
		if got := b.outcome(id); got != decidedAt(step) {
			b.t.Errorf("everybody died at %s: committed %v", step, got)
		}
	}
}

// each does something to the nodes of a bit mask at once.
func (b *bed) each(mask int, f func(*node)) {
	var wg sync.WaitGroup
	for i, n := range b.nodes {
		if mask&(1<<i) != 0 {
			wg.Go(func() { f(n) })
		}
	}
	wg.Wait()
}

// coordinatorAway restarts a participant of a decided transaction while its coordinator cannot be asked: it opens, but the
// transaction's rows are locked until the answer comes.
func (b *bed) coordinatorAway() {
	coordinator, participant := b.nodes[0], b.nodes[1]
	b.hide(coordinator.name, true)
	defer b.hide(coordinator.name, false)
	b.killedGateway(transfer{ID: "held", From: 8, To: 8, Amount: 6}, "decided")
	participant.kill()
	participant.restart()
	const row = "UPDATE bank.account SET balance = balance WHERE id = "
	ctx, cancel := context.WithTimeout(b.t.Context(), recovery)
	defer cancel()
	if err := participant.db.Exec(ctx, "SET innodb_lock_wait_timeout = 1", row+"9"); err != nil {
		b.t.Errorf("the server is not open for others: %v", err)
	}
	if err := participant.db.Exec(ctx, "SET innodb_lock_wait_timeout = 1", row+"8"); err == nil || !strings.Contains(err.Error(), "1205") {
		b.t.Errorf("a row of an undecided transaction is not locked: %v", err)
	}
	if s := participant.resolver.State(); s.Working != 1 {
		b.t.Errorf("state %+v, want one transaction that waits", s)
	}
	b.hide(coordinator.name, false)
	b.settled()
	if !b.outcome("held") {
		b.t.Error("the decided transaction is not there")
	}
}

// replayFails takes a decided transaction's table away: its record must stay, and the state must say so.
func (b *bed) replayFails() {
	participant := b.nodes[1]
	b.failing("lost")
	if v, err := participant.get("SELECT COUNT(*) FROM _pelorus.redo"); err != nil || v != "1" {
		b.t.Fatalf("%s records are left (%v), want the one that failed", v, err)
	}
	participant.exec("RENAME TABLE bank.gone TO bank.log")
	t := b.onlyOne()
	if err := participant.resolver.Retry(b.t.Context(), t.TxnID); err != nil {
		b.t.Error(err)
	}
	b.settled()
	if !b.outcome("lost") {
		b.t.Error("the transaction was not replayed when it could be")
	}
}

// failing leaves a transaction that is committed on the coordinator and can't be replayed on the participant.
func (b *bed) failing(id string) {
	participant := b.nodes[1]
	b.hide(b.nodes[0].name, true)
	b.killedGateway(transfer{ID: id, From: 0, To: 0, Amount: 1}, "decided")
	// Whoever replays now holds the table; a restart with it gone is what happens after a wrong restore.
	participant.exec("SET GLOBAL innodb_lock_wait_timeout = 1")
	participant.kill()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	participant.resolver.Stop()
	participant.startOpen(ctx)
	participant.exec("RENAME TABLE bank.log TO bank.gone")
	participant.resolver.Start()
	b.hide(b.nodes[0].name, false)
	b.until("the failure is reported", recovery, func() bool { return participant.resolver.State().Failing == 1 })
}

// onlyOne returns the participant's only unfinished transaction, as an operator is shown it.
func (b *bed) onlyOne() resolve.Transaction {
	b.t.Helper()
	list, err := b.nodes[1].resolver.List(b.t.Context())
	if err != nil || len(list) != 1 || !list[0].Lost || list[0].Attempts == 0 || !strings.Contains(list[0].Err.Error(), "1146") {
		b.t.Fatalf("%+v (%v), want one that is lost for want of a table", list, err)
	}
	t, err := b.nodes[1].resolver.Find(b.t.Context(), list[0].TxnID)
	if err != nil || t.Database != "bank" || len(t.Statements) != 2 || t.Participant != b.nodes[1].name {
		b.t.Fatalf("%+v: %v", t, err)
	}
	return t
}

// discarded gives a transaction up that can't be replayed, and repeats its statements by hand as an operator would.
func (b *bed) discarded() {
	participant := b.nodes[1]
	b.failing("discarded")
	t := b.onlyOne()
	if err := participant.resolver.Discard(b.t.Context(), t.TxnID); err != nil {
		b.t.Fatal(err)
	}
	if err := participant.resolver.Discard(b.t.Context(), t.TxnID); !errors.Is(err, resolve.ErrNoTransaction) {
		b.t.Errorf("discarded twice: %v", err)
	}
	participant.exec("RENAME TABLE bank.gone TO bank.log")
	err := participant.db.Session(b.t.Context(), func(c *dba.Conn) error {
		statements := []string{"USE bank"}
		for i := range t.Statements {
			statements = append(append(statements, t.Statements[i].Before()...), string(t.Statements[i].SQL))
		}
		return c.Exec(b.t.Context(), statements...)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.settled()
	if !b.outcome("discarded") {
		b.t.Error("the statements of the record are not the whole transaction")
	}
}

// changedRows lets somebody change a row between the loss of a decided transaction's connection and its replay, which meets
// other rows then: it is committed, and told of.
func (b *bed) changedRows() {
	participant := b.nodes[1]
	participant.resolver.Stop()
	b.killedGateway(transfer{ID: "changed", From: 1, To: 1, Amount: 2}, "decided")
	b.until("the transaction's rows are free", recovery, func() bool {
		v, err := participant.get("SELECT COUNT(*) FROM information_schema.innodb_trx")
		return err == nil && v == "0"
	})
	if got := participant.counter("pelorus_redo_changed_rows_total"); got != 0 {
		b.t.Errorf("%v transactions have met changed rows before", got)
	}
	participant.exec("UPDATE bank.account SET id = 100 WHERE id = 1")
	participant.resolver.Start()
	b.settled()
	if !b.outcome("changed") {
		b.t.Error("the transaction is not committed everywhere")
	}
	if got := participant.counter("pelorus_redo_changed_rows_total"); got != 1 {
		b.t.Errorf("%v transactions are said to have met changed rows, want 1", got)
	}
	participant.exec("UPDATE bank.account SET id = 1, balance = balance + 2 WHERE id = 100")
}

// counter is the value of a metric of the node's resolver.
func (n *node) counter(name string) float64 {
	n.t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	n.t.Fatalf("there is no metric %s", name)
	return 0
}

// inUse holds that a transaction which a gateway is committing can't be discarded.
func (b *bed) inUse() {
	g := b.gate()
	var err error
	commitErr := g.run(b.t.Context(), transfer{ID: "in use", From: 3, To: 3, Amount: 1}, txn.Hooks{At: func(s string) {
		if s != "prepared" {
			return
		}
		list, lerr := b.nodes[1].resolver.List(b.t.Context())
		if lerr != nil || len(list) != 1 {
			b.t.Errorf("%+v: %v", list, lerr)
			return
		}
		err = b.nodes[1].resolver.Discard(b.t.Context(), list[0].TxnID)
	}})
	if !errors.Is(err, resolve.ErrInUse) {
		b.t.Errorf("discard: %v, want ErrInUse", err)
	}
	b.settled()
	if !b.outcome("in use") || commitErr != nil {
		b.t.Errorf("the transaction is not committed: %v", commitErr)
	}
}
