package fault

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/devcluster"
	"github.com/pelorusdb/pelorus/internal/devcluster/ports"
)

// outage is how long control and etcd stay dead.
func outage() time.Duration {
	if long() {
		return time.Minute
	}
	return 10 * time.Second
}

// killAll kills processes and keeps their ports from other clusters of this machine until they are started again, which
// the returned function does.
func (w *world) killAll(names ...string) (back func()) {
	w.t.Helper()
	var locks []*ports.Lock
	for _, name := range names {
		port := w.process(name).Port
		w.Kill(name)
		w.WaitFor("the port of "+name, func() error {
			lock, ok := ports.Reserve(port)
			if !ok {
				return fmt.Errorf("%d is taken", port)
			}
			locks = append(locks, lock)
			return nil
		})
	}
	return func() {
		w.t.Helper()
		for _, name := range names {
			w.Pelorus("local", "restart", name, "--dir", w.Dir)
		}
		for _, lock := range locks {
			lock.Close()
		}
	}
}

// killAgents kills the agents of all tablets at once, under load, and starts them again.
func killAgents(w *world) {
	l := w.startLoad(strict)
	bench := w.startSysbench()
	guard := w.guardServers()
	before, reigns := w.Running(), w.shardRecords()
	var agents []string
	for name := range before {
		if strings.HasPrefix(name, devcluster.RoleTablet+"-") {
			agents = append(agents, name)
		}
	}
	back := w.killAll(agents...)
	began := time.Now()
	l.progress()
	lasts(outage(), l)
	back()
	w.agentsAnswer(agents)
	w.t.Logf("%d agents were dead or starting for %.1f s", len(agents), time.Since(began).Seconds())
	l.progress()
	bench.wait()
	l.stop()
	guard.stop()
	after := w.Running()
	for name, pid := range before {
		if strings.HasPrefix(name, devcluster.RoleMysqld+"-") && after[name] != pid {
			w.t.Errorf("%s had pid %d and has %d: its agent did not leave it alone", name, pid, after[name])
		}
	}
	w.sameReigns(reigns)
}

// shardRecords is who reigns in which term.
func (w *world) shardRecords() string {
	w.t.Helper()
	return w.Pelorus("shard", "list", "--json")
}

// sameReigns checks that an outage has changed nothing.
func (w *world) sameReigns(before string) {
	w.t.Helper()
	if after := w.shardRecords(); after != before {
		w.t.Errorf("the outage has changed the shards' records from\n%s\nto\n%s", before, after)
	}
}

// agentsAnswer waits until control gets the full status of every agent, with a server that responds.
func (w *world) agentsAnswer(agents []string) {
	w.t.Helper()
	for _, name := range agents {
		alias := strings.TrimPrefix(name, devcluster.RoleTablet+"-")
		w.WaitFor("the status of "+alias, func() error {
			out, err := w.Try("tablet", "status", alias, "--json")
			if err == nil && !strings.Contains(strings.ReplaceAll(out, " ", ""), `"responding":true`) {
				err = fmt.Errorf("the server does not respond:\n%s", out)
			}
			return err
		})
	}
}

// killControl kills one control node, whose place the other takes, and then that one too.
func killControl(w *world) {
	reigns := w.shardRecords()
	l := w.startLoad(strict)
	bench := w.startSysbench()
	guard := w.guardServers()
	firstBack := w.killAll("control-1")
	l.progress()
	other := w.process("control-2")
	w.WaitFor("the other control node", func() error {
		_, err := w.Try("--control", fmt.Sprintf("127.0.0.1:%d", other.Port), "keyspace", "list")
		return err
	})
	otherBack := w.killAll(other.Name)
	lasts(outage(), l)
	firstBack()
	otherBack()
	w.WaitFor("control", func() error {
		_, err := w.Try("keyspace", "list")
		return err
	})
	l.progress()
	bench.wait()
	l.stop()
	guard.stop()
	w.sameReigns(reigns)
}

func killEtcd(w *world) {
	reigns := w.shardRecords()
	l := w.startLoad(strict)
	bench := w.startSysbench()
	guard := w.guardServers()
	back := w.killAll("topo")
	l.progress()
	// New clients too, whom the gateway has to admit without its topology.
	if err := w.DB(keyspace).Ping(); err != nil {
		w.t.Errorf("a client that comes while etcd is dead: %v", err)
	}
	lasts(outage(), l)
	if err := w.DB(keyspace).Ping(); err != nil {
		w.t.Errorf("a client that comes at the end of the outage: %v", err)
	}
	back()
	// The topology works again for everybody: control writes a record and the gateway sees it.
	w.WaitFor("control to write", func() error {
		_, err := w.Try("sql", "--keyspace", keyspace, "-e", "ALTER VSCHEMA CREATE VINDEX after_outage USING xxhash")
		if err != nil && strings.Contains(err.Error(), "exists") {
			return nil
		}
		return err
	})
	w.WaitFor("control to read it", func() error {
		out, err := w.Try("vschema", "show", keyspace)
		if err == nil && !strings.Contains(out, "after_outage") {
			err = errors.New(out)
		}
		return err
	})
	l.progress()
	bench.wait()
	l.stop()
	guard.stop()
	w.sameReigns(reigns)
	w.watchesResumed()
}

// watchesResumed checks that agents and gateways follow the topology again after etcd was away: a hand-over reaches them all.
func (w *world) watchesResumed() {
	w.t.Helper()
	first := w.reign()
	l := w.startLoad(cutTransactions)
	w.Pelorus("reparent", "planned", reparented)
	second := w.reign()
	w.replicates(first, second)
	w.Pelorus("reparent", "planned", reparented, "--new-primary", first)
	w.replicates(second, first)
	l.progress()
	l.stop()
}

// serverGuard watches servers of primaries: they must never be read-only.
type serverGuard struct {
	w       *world
	cancel  context.CancelFunc
	done    sync.WaitGroup
	mu      sync.Mutex
	samples int
	errs    []error
}

func (w *world) guardServers() *serverGuard {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g := &serverGuard{w: w, cancel: cancel}
	for _, p := range w.primaries() {
		db := w.server(p)
		g.done.Go(func() { g.watch(ctx, p.Name, db) })
	}
	w.t.Cleanup(func() { cancel(); g.done.Wait() })
	return g
}

func (g *serverGuard) watch(ctx context.Context, name string, db *sql.DB) {
	for pause(ctx, 100*time.Millisecond) {
		var closed bool
		err := db.QueryRowContext(ctx, "SELECT @@GLOBAL.read_only").Scan(&closed)
		if ctx.Err() != nil {
			return
		}
		if err == nil && closed {
			err = errors.New("it is read-only")
		}
		g.mu.Lock()
		g.samples++
		if err != nil && len(g.errs) < keptErrors {
			g.errs = append(g.errs, fmt.Errorf("%s: %w", name, err))
		}
		g.mu.Unlock()
	}
}

func (g *serverGuard) stop() {
	g.w.t.Helper()
	g.cancel()
	g.done.Wait()
	for _, err := range g.errs {
		g.w.t.Error(err)
	}
	if g.samples == 0 {
		g.w.t.Error("nobody looked at the servers")
	}
}

// bench is a run of sysbench through the gateway.
type bench struct {
	w      *world
	cmd    *exec.Cmd
	out    bytes.Buffer
	waited bool
}

// startSysbench runs oltp_read_write for as long as the outage lasts, on a table that is sharded by id. Any error but a deadlock ends it.
func (w *world) startSysbench() *bench {
	w.t.Helper()
	path, err := exec.LookPath("sysbench")
	if err != nil {
		w.t.Fatal("sysbench is not installed on this machine: run `make setup`")
	}
	host, port, _ := strings.Cut(w.Gateway, ":")
	args := []string{"oltp_read_write", "--db-driver=mysql", "--mysql-host=" + host, "--mysql-port=" + port, "--mysql-user=root", "--mysql-db=" + keyspace,
		"--tables=1", "--table-size=2000", "--auto_inc=off", "--threads=2", "--db-ps-mode=auto", "--events=0", "--report-interval=0",
		fmt.Sprintf("--time=%d", int(outage().Seconds()))}
	if _, err := w.Try("sql", "--keyspace", keyspace, "-e", "ALTER VSCHEMA ON sbtest1 ADD VINDEX hash(id)"); err == nil {
		if out, err := exec.Command(path, append(args, "prepare")...).CombinedOutput(); err != nil {
			w.t.Fatalf("sysbench prepare: %v\n%s", err, out)
		}
	}
	b := &bench{w: w, cmd: exec.Command(path, append(args, "run")...)}
	b.cmd.Stdout, b.cmd.Stderr = &b.out, &b.out
	if err := b.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if !b.waited {
			_ = b.cmd.Process.Kill()
			_ = b.cmd.Wait() // it was killed: how it ended says nothing
		}
	})
	return b
}

func (b *bench) wait() {
	b.w.t.Helper()
	b.waited = true
	if err := b.cmd.Wait(); err != nil {
		b.w.t.Errorf("sysbench: %v\n%s", err, b.out.String())
		return
	}
	for line := range strings.Lines(b.out.String()) {
		for _, want := range []string{"transactions:", "queries:", "ignored errors:", "reconnects:", "max:"} {
			if strings.HasPrefix(strings.TrimSpace(line), want) {
				b.w.t.Logf("sysbench: %s", strings.TrimSpace(line))
			}
		}
	}
}

// openTransactions is how many transactions are open when the gateway dies.
const openTransactions = 20

// killGateway kills the gateway under load and with open transactions, in all states that one can be in: idle, asleep
// in a statement, waiting for another's lock.
func killGateway(w *world) {
	l := w.startLoad(lenient)
	db := w.DB(keyspace)
	db.SetMaxOpenConns(2 * openTransactions)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range openTransactions {
		w.openTransaction(db, l, i, &wg)
	}
	var servers []*sql.DB
	for _, p := range w.primaries() {
		servers = append(servers, w.server(p))
	}
	w.WaitFor("the transactions on the servers", func() error {
		if n := open(w.t, servers); n < openTransactions {
			return fmt.Errorf("%d are open", n)
		}
		return nil
	})
	w.t.Logf("%d transactions are open on the servers", open(w.t, servers))
	old := w.Running()["gateway-1"]
	w.Kill("gateway-1")
	died := time.Now()
	w.WaitFor("the end of all transactions", func() error {
		if n := open(w.t, servers); n > 0 {
			return fmt.Errorf("%d transactions are open %.1f s after the gateway's death", n, time.Since(died).Seconds())
		}
		return nil
	})
	gone := time.Since(died)
	w.t.Logf("no transaction was open %.1f s after the gateway's death", gone.Seconds())
	if gone > 10*time.Second {
		w.t.Errorf("transactions were open for %.1f s after the gateway's death, want at most 10 s", gone.Seconds())
	}
	w.Pelorus("local", "restart", "gateway-1", "--dir", w.Dir)
	if now := w.Running()["gateway-1"]; now == old || now == 0 {
		w.t.Errorf("the gateway's pid was %d and is %d", old, now)
	}
	w.WaitFor("the load's clients to come back", func() error {
		if n := l.reconnects.Load(); n < workers {
			return fmt.Errorf("%d of %d are back", n, workers)
		}
		return nil
	})
	w.t.Logf("all clients were back %.1f s after the gateway's death", time.Since(died).Seconds())
	l.progress()
	// The rows that the open transactions had locked are free, and what was not committed is not there.
	free := w.DB(keyspace)
	for i := range openTransactions {
		var v int64
		if err := free.QueryRow("SELECT v FROM account WHERE id = ?", heldAccount(l, i)).Scan(&v); err != nil || v != 0 {
			w.t.Errorf("account %d holds %d (%v): an uncommitted change survived", i, v, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if _, err := free.ExecContext(ctx, "UPDATE account SET v = 0 WHERE id = ?", heldAccount(l, i)); err != nil {
			w.t.Errorf("account %d is still locked: %v", i, err)
		}
		cancel()
	}
	l.stop()
}

func heldAccount(l *load, i int) int64 { return l.account(500 + i) }

// openTransaction opens a transaction that changes two rows and stays open; every fourth sleeps in a statement, and every
// fourth has another wait for its lock.
func (w *world) openTransaction(db *sql.DB, l *load, i int, wg *sync.WaitGroup) {
	w.t.Helper()
	ctx := context.Background()
	if _, err := db.Exec("REPLACE INTO account (id, v) VALUES (?, 0)", heldAccount(l, i)); err != nil {
		w.t.Fatal(err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := tx.Exec("UPDATE account SET v = 1 WHERE id = ?", heldAccount(l, i)); err != nil {
		w.t.Fatal(err)
	}
	switch i % 4 {
	case 1:
		wg.Go(func() { _, _ = tx.Exec("SELECT SLEEP(120) FROM account WHERE id = ?", heldAccount(l, i)) }) // ends with the gateway
	case 2:
		// In a transaction too: a statement of its own may well be carried out when the lock is free.
		other, err := db.BeginTx(ctx, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		wg.Go(func() { _, _ = other.Exec("UPDATE account SET v = 2 WHERE id = ?", heldAccount(l, i)) })
	}
}

// open counts the transactions on the servers that belong to gateways.
func open(t testing.TB, servers []*sql.DB) int {
	t.Helper()
	sum := 0
	for _, db := range servers {
		var n int
		err := db.QueryRow("SELECT COUNT(*) FROM information_schema.innodb_trx t JOIN information_schema.processlist p " +
			"ON p.id = t.trx_mysql_thread_id WHERE p.user = 'pelorus_app'").Scan(&n)
		if err != nil {
			t.Fatalf("count transactions: %v", err)
		}
		sum += n
	}
	return sum
}
