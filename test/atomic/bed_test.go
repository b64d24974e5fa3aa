package atomic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/agent/mysqld"
	"github.com/pelorusdb/pelorus/internal/agent/resolve"
	"github.com/pelorusdb/pelorus/internal/agent/sidecar"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
	"github.com/pelorusdb/pelorus/test/servers"
)

// recovery is how long the system has for all or nothing after the last fault.
const recovery = 30 * time.Second

// app is the account of gateways, with the rights that agents give it.
var app = credentials.Login{User: "pelorus_app", Password: "p'w"}

// accounts is how many each shard has, with 1000 each.
const accounts = 10

// node is a shard of one server, with a resolver beside it as its agent has it.
type node struct {
	t        *testing.T
	name     string
	srv      *servers.Server
	fl       *flavor.Flavor
	db       *dba.DB
	resolver *resolve.Resolver
	metrics  *prometheus.Registry
	cut      context.CancelFunc
	done     chan struct{}
}

// bed is two shards, bank/-80 and bank/80-.
type bed struct {
	t     *testing.T
	nodes [2]*node
	mu    sync.Mutex
	away  map[string]bool
}

// Primary implements resolve.Shards.
func (b *bed) Primary(_ context.Context, shard string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away[shard] {
		return "", errors.New("the topology does not say")
	}
	for _, n := range b.nodes {
		if n.name == shard {
			return n.srv.Addr, nil
		}
	}
	return "", resolve.ErrNoShard
}

// hide makes a shard unreachable for resolvers, or reachable again.
func (b *bed) hide(shard string, away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away[shard] = away
}

func quick() resolve.Times {
	t := resolve.DefaultTimes()
	t.Collect, t.KeepCommit, t.KeepAbort = 200*time.Millisecond, time.Second, time.Second
	t.Grace, t.GiveUp = 500*time.Millisecond, 2*time.Second
	return t
}

func newBed(t *testing.T, family string) *bed {
	t.Helper()
	b := &bed{t: t, away: map[string]bool{}}
	for i, name := range []string{"bank/-80", "bank/80-"} {
		srv := servers.StartWith(t, family, servers.Options{Safe: true, ServerID: uint32(i + 1), Extra: []string{"innodb_lock_wait_timeout = 2"}})
		n := &node{t: t, name: name, srv: srv, db: dba.Open(dba.Config{Network: "unix", Addr: srv.Socket, User: "root"})}
		t.Cleanup(n.db.Close)
		var err error
		if n.fl, _, err = flavor.Detect(srv.Version); err != nil {
			t.Fatal(err)
		}
		n.setUp()
		b.nodes[i] = n
	}
	for _, n := range b.nodes {
		n.attend(b)
	}
	return b
}

func (n *node) setUp() {
	n.t.Helper()
	statements := sidecar.Plan(sidecar.Tables(), sidecar.Existing{}, sidecar.Version)
	account := flavor.Account{User: app.User, Password: app.Password, Role: flavor.RoleApp}
	statements = append(statements, n.fl.CreateAccount(account)...)
	statements = append(statements, n.fl.Grants(account, "bank")...)
	statements = append(statements, "CREATE DATABASE bank", "CREATE TABLE bank.account (id int PRIMARY KEY, balance int NOT NULL) ENGINE=InnoDB",
		"CREATE TABLE bank.log (id int AUTO_INCREMENT PRIMARY KEY, txn varbinary(64) NOT NULL, at datetime(6) NOT NULL) ENGINE=InnoDB")
	for i := range accounts {
		statements = append(statements, fmt.Sprintf("INSERT INTO bank.account VALUES (%d, 1000)", i))
	}
	n.exec(statements...)
}

// attend starts the resolver of an open server.
func (n *node) attend(b *bed) {
	log := slog.New(slog.NewTextHandler(logWriter{n.t}, &slog.HandlerOptions{Level: slog.LevelInfo})).With("on", n.name)
	n.metrics = prometheus.NewRegistry()
	n.resolver = resolve.New(resolve.Config{
		Network: "unix", Addr: n.srv.Socket, App: app, Admin: credentials.Login{User: "root"}, Shards: b, Log: log, Times: quick(), Registerer: n.metrics,
	})
	n.resolver.Start()
	ctx, cancel := context.WithCancel(context.Background())
	n.cut, n.done = cancel, make(chan struct{})
	go func() { defer close(n.done); n.resolver.Run(ctx) }()
	n.t.Cleanup(func() {
		n.cut()
		<-n.done
		n.resolver.Close()
	})
}

type logWriter struct{ t *testing.T }

func (w logWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

func (n *node) exec(statements ...string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), recovery)
	defer cancel()
	if err := n.db.Exec(ctx, statements...); err != nil {
		n.t.Fatalf("%s: %v", n.name, err)
	}
}

// get returns the first value of a query; "" and an error when the server is away.
func (n *node) get(sql string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := n.db.Query(ctx, sql)
	if err != nil {
		return "", err
	}
	return r.Text(0, 0), nil
}

// killAll runs KILL statements, separated by semicolons, of connections that may be gone.
func (n *node) killAll(statements string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, sql := range strings.FieldsFunc(statements, func(r rune) bool { return r == ';' }) {
		if err := n.db.Exec(ctx, sql); err != nil && dba.Errno(err) == 0 {
			return // the server is away, and the connections with it
		}
	}
}

// logged counts the log rows of each transaction.
func (n *node) logged() map[string]int {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), recovery)
	defer cancel()
	out := map[string]int{}
	err := n.db.Session(ctx, func(c *dba.Conn) error {
		r, err := c.Query(ctx, "SELECT txn FROM bank.log", 1_000_000)
		if err != nil {
			return err
		}
		for i := range r.Rows {
			out[r.Text(i, 0)]++
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// kill is kill -9.
func (n *node) kill() {
	if err := n.srv.Kill(); err != nil {
		n.t.Errorf("kill %s: %v", n.name, err)
	}
}

// restart does what an agent does when its primary is down: the server is started closed, and opened once unfinished
// transactions have their locks.
func (n *node) restart() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := n.srv.Start(ctx, mysqld.StartOptions{Role: mysqld.RolePrimary}); err != nil {
		n.t.Errorf("start %s: %v", n.name, err)
		return
	}
	n.db.Forget()
	if err := n.resolver.BeforeOpen(ctx, n.db); err != nil {
		n.t.Errorf("take over on %s: %v", n.name, err)
	}
	if err := n.db.Exec(ctx, n.fl.Open()...); err != nil {
		n.t.Errorf("open %s: %v", n.name, err)
	}
	n.resolver.Start()
}

// startOpen starts a server without the care of restart.
func (n *node) startOpen(ctx context.Context) {
	n.t.Helper()
	if _, err := n.srv.Start(ctx, mysqld.StartOptions{Role: mysqld.RolePrimary, Open: true}); err != nil {
		n.t.Fatalf("start %s: %v", n.name, err)
	}
	n.db.Forget()
}

// until waits for a condition that the servers must fulfil by themselves.
func (b *bed) until(what string, limit time.Duration, cond func() bool) {
	b.t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			b.t.Fatalf("not within %v: %s\n%s", limit, what, b.describe())
		case <-tick.C:
		}
	}
}

func (b *bed) describe() string {
	var out strings.Builder
	for _, n := range b.nodes {
		for _, q := range []string{
			"SELECT GROUP_CONCAT(txn_id, ' ', conn_id, ' ', created_at) FROM _pelorus.redo",
			"SELECT GROUP_CONCAT(txn_id, ' ', state, ' ', created_at) FROM _pelorus.decision",
			"SELECT GROUP_CONCAT(trx_mysql_thread_id, ' ', trx_started) FROM information_schema.innodb_trx",
			"SELECT GROUP_CONCAT(txn) FROM bank.log",
		} {
			v, err := n.get(q)
			fmt.Fprintf(&out, "%s: %s: %s %v\n", n.name, q, v, err)
		}
		fmt.Fprintf(&out, "%s: %+v\n", n.name, n.resolver.State())
	}
	return out.String()
}

// settled waits until nothing is left of any transaction but its effects, its locks included.
func (b *bed) settled() {
	b.t.Helper()
	begin := time.Now()
	b.until("no record and no decision is left", recovery, func() bool {
		for _, n := range b.nodes {
			v, err := n.get("SELECT (SELECT COUNT(*) FROM _pelorus.redo) + (SELECT COUNT(*) FROM _pelorus.decision)")
			if err != nil || v != "0" {
				return false
			}
		}
		return true
	})
	b.t.Logf("settled after %v", time.Since(begin).Round(time.Millisecond))
	for _, n := range b.nodes {
		n.exec("SET innodb_lock_wait_timeout = 1", "UPDATE bank.account SET balance = balance + 1", "UPDATE bank.account SET balance = balance - 1")
	}
}

// outcome checks a transaction by its log rows: it must be on both shards exactly once, or on none.
func (b *bed) outcome(txn string) (committed bool) {
	b.t.Helper()
	var counts [2]string
	for i, n := range b.nodes {
		v, err := n.get("SELECT COUNT(*) FROM bank.log WHERE txn = '" + txn + "'")
		if err != nil {
			b.t.Fatal(err)
		}
		counts[i] = v
	}
	switch counts {
	case [2]string{"0", "0"}:
		return false
	case [2]string{"1", "1"}:
		return true
	}
	b.t.Fatalf("%s is %v times on the shards: want 1 and 1, or 0 and 0\n%s", txn, counts, b.describe())
	return false
}

// balanced checks that no money was made or lost.
func (b *bed) balanced() {
	b.t.Helper()
	sum := 0
	for _, n := range b.nodes {
		v, err := n.get("SELECT SUM(balance) FROM bank.account")
		if err != nil {
			b.t.Fatal(err)
		}
		var one int
		if _, err := fmt.Sscan(v, &one); err != nil {
			b.t.Fatal(err)
		}
		sum += one
	}
	if want := len(b.nodes) * accounts * 1000; sum != want {
		b.t.Fatalf("there is %d in the bank, want %d", sum, want)
	}
}
