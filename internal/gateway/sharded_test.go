package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/test/servers"
)

// TestSharded is what sessions do over two shards. Of sbtest1's rows, 1, 2 and 3 are on the first shard, 4, 6 and 7 on
// the second.
func TestSharded(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			b := newBed(t, family)
			c := b.dial(t, "shop")
			must(t, c, "CREATE TABLE sbtest1 (id bigint NOT NULL PRIMARY KEY, v int NOT NULL)")
			for _, s := range []struct {
				name string
				f    func(*testing.T)
			}{
				{"savepoints", b.shardedSavepoints}, {"autocommit off", b.shardedAutocommit}, {"deadlock", b.shardedDeadlock},
				{"lock wait", b.shardedLockWait}, {"modes", b.shardedModes}, {"implicit commit", b.shardedImplicit},
				{"read only", b.shardedReadOnly}, {"warnings", b.shardedWarnings}, {"temporary tables", b.shardedTemporary},
				{"kill", b.shardedKill}, {"named locks", b.namedLocks}, {"targets", b.shardedTargets}, {"users", b.shardedUsers}, {"set statement", b.setStatement}, {"bulk insert", b.shardedBulk},
				{"managed", b.managed}, {"copies", b.copies}, {"no connection is kept", b.nothingKept}, {"replan", b.replan},
			} {
				must(t, c, "DELETE FROM sbtest1")
				must(t, c, "INSERT INTO sbtest1 VALUES (1,1),(2,2),(3,3),(4,4),(6,6),(7,7)")
				t.Run(s.name, s.f)
			}
		})
	}
}

func (b *bed) dial(t *testing.T, db string) *client.Conn {
	t.Helper()
	c, err := b.dialAs(db, "root", "")
	if err != nil {
		t.Fatalf("connect to %s: %v", db, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (b *bed) dialAs(db, user, password string) (*client.Conn, error) {
	return client.Dial(context.Background(), client.Config{Addr: b.addr, User: user, Password: password, Database: db, DeprecateEOF: true, MultiStatements: true})
}

// expect compares an answer's rows, or its error's number.
func expect(t *testing.T, c *client.Conn, q, want string) {
	t.Helper()
	got := answer(c, q)
	if !strings.HasPrefix(got, "error") {
		_, got, _ = strings.Cut(got, "\n") // without names
		got, _, _ = strings.Cut(got, "ok ")
		got = strings.ReplaceAll(strings.ReplaceAll(got, "\n", " "), "\"", "")
	} else if f := strings.Fields(got); len(f) > 1 {
		got = f[0] + " " + f[1]
	}
	if strings.TrimSpace(got) != want {
		t.Errorf("%s: %q, want %q", q, got, want)
	}
}

const allRows = "SELECT id, v FROM sbtest1 ORDER BY id"

func (b *bed) shardedSavepoints(t *testing.T) {
	c := b.dial(t, "shop")
	must(t, c, "BEGIN")
	must(t, c, "UPDATE sbtest1 SET v = 10 WHERE id = 1")
	must(t, c, "SAVEPOINT a")
	must(t, c, "UPDATE sbtest1 SET v = 40 WHERE id = 4") // this shard joins after the savepoint
	must(t, c, "UPDATE sbtest1 SET v = 20 WHERE id = 2")
	must(t, c, "ROLLBACK TO a")
	must(t, c, "UPDATE sbtest1 SET v = 60 WHERE id = 6")
	must(t, c, "RELEASE SAVEPOINT a")
	expect(t, c, "ROLLBACK TO a", "error 1305")
	must(t, c, "COMMIT")
	expect(t, c, allRows, "1|10 2|2 3|3 4|4 6|60 7|7")
	must(t, c, "BEGIN")
	must(t, c, "UPDATE sbtest1 SET v = v + 1")
	expect(t, c, "INSERT INTO sbtest1 VALUES (8, 8), (4, 0), (1, 0)", "error 1062") // taken back on both shards, the update stays
	must(t, c, "COMMIT")
	expect(t, c, allRows, "1|11 2|3 3|4 4|5 6|61 7|8")
}

func (b *bed) shardedAutocommit(t *testing.T) {
	c := b.dial(t, "shop")
	must(t, c, "SET autocommit = 0")
	for _, end := range []string{"ROLLBACK", "COMMIT"} {
		must(t, c, "UPDATE sbtest1 SET v = 10 WHERE id = 1")
		must(t, c, "UPDATE sbtest1 SET v = 40 WHERE id = 4")
		if c.Status()&wire.StatusInTrans == 0 || c.Status()&wire.StatusAutocommit != 0 {
			t.Errorf("status %x inside", c.Status())
		}
		must(t, c, end)
		if c.Status()&wire.StatusInTrans != 0 {
			t.Errorf("status %x after %s", c.Status(), end)
		}
	}
	// A statement that fails still leaves a transaction open on its server.
	expect(t, c, "INSERT INTO sbtest1 VALUES (2, 0)", "error 1062")
	must(t, c, "COMMIT")
	d := b.dial(t, "shop")
	must(t, d, "SET innodb_lock_wait_timeout = 2")
	must(t, d, "UPDATE sbtest1 SET v = 20 WHERE id = 2")
	must(t, c, "UPDATE sbtest1 SET v = v + 1")
	must(t, c, "SET autocommit = 1")
	expect(t, d, allRows, "1|11 2|21 3|4 4|41 6|7 7|8")
}

func (b *bed) shardedDeadlock(t *testing.T) {
	x, y := b.dial(t, "shop"), b.dial(t, "shop")
	must(t, x, "BEGIN")
	must(t, y, "BEGIN")
	must(t, x, "UPDATE sbtest1 SET v = 40 WHERE id = 4")
	must(t, y, "UPDATE sbtest1 SET v = 60 WHERE id = 6")
	must(t, x, "UPDATE sbtest1 SET v = 10 WHERE id = 1")
	must(t, y, "UPDATE sbtest1 SET v = 20 WHERE id = 2")
	waits := make(chan string, 1)
	go func() { waits <- answer(x, "UPDATE sbtest1 SET v = 21 WHERE id = 2") }()
	b.awaitStatement(t, 0, "v = 21")
	other := answer(y, "UPDATE sbtest1 SET v = 11 WHERE id = 1")
	first := <-waits
	victim, winner, want := x, y, "1|11 2|20 3|3 4|4 6|60 7|7"
	if strings.HasPrefix(other, "error 1213") {
		victim, winner, want = y, x, "1|10 2|21 3|3 4|40 6|6 7|7"
	} else if !strings.HasPrefix(first, "error 1213") {
		t.Fatalf("no deadlock: %s and %s", first, other)
	}
	must(t, victim, "DO 1")
	if victim.Status()&wire.StatusInTrans != 0 {
		t.Error("the victim is still in its transaction")
	}
	must(t, victim, "COMMIT")
	must(t, winner, "COMMIT")
	expect(t, victim, allRows, want)
}

// awaitStatement waits until a server runs a statement with the text.
func (b *bed) awaitStatement(t *testing.T, server int, text string) {
	t.Helper()
	b.awaitStatements(t, server, text, func(n int) bool { return n > 0 })
}

func (b *bed) awaitStatements(t *testing.T, server int, text string, ok func(int) bool) {
	t.Helper()
	d := b.direct(t, server, "")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(15 * time.Second); ; <-tick.C {
		var n int
		if err := d.QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE ? AND id <> CONNECTION_ID()", "%"+text+"%").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if ok(n) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d statements %q on server %d", n, text, server)
		}
	}
}

func (b *bed) shardedLockWait(t *testing.T) {
	x, y := b.dial(t, "shop"), b.dial(t, "shop")
	must(t, x, "BEGIN")
	must(t, x, "UPDATE sbtest1 SET v = 40 WHERE id = 4")
	must(t, y, "SET innodb_lock_wait_timeout = 1")
	must(t, y, "BEGIN")
	must(t, y, "UPDATE sbtest1 SET v = 10 WHERE id = 1")
	expect(t, y, "UPDATE sbtest1 SET v = v + 1", "error 1205") // on one of two shards: taken back on both
	must(t, y, "UPDATE sbtest1 SET v = 60 WHERE id = 6")
	must(t, y, "COMMIT")
	must(t, x, "COMMIT")
	expect(t, x, allRows, "1|10 2|2 3|3 4|40 6|60 7|7")
}

func (b *bed) shardedModes(t *testing.T) {
	c := b.dial(t, "shop")
	must(t, c, "SET transaction_mode = 'single'")
	expect(t, c, "SELECT @@transaction_mode", "single")
	must(t, c, "BEGIN")
	expect(t, c, "SET transaction_mode = 'multi'", "error 1568")
	must(t, c, "UPDATE sbtest1 SET v = 10 WHERE id = 1")
	if got := answer(c, "UPDATE sbtest1 SET v = 40 WHERE id = 4"); !strings.HasPrefix(got, "error") {
		t.Errorf("a second shard's write under single: %s", got)
	}
	must(t, c, "COMMIT")
	expect(t, c, allRows, "1|10 2|2 3|3 4|4 6|6 7|7")
	must(t, c, "SET transaction_mode = 'multi'")
	must(t, c, "BEGIN")
	must(t, c, "UPDATE sbtest1 SET v = 0")
	must(t, c, "COMMIT")
	expect(t, c, "SELECT SUM(v) FROM sbtest1", "0")
}

func (b *bed) shardedImplicit(t *testing.T) {
	c := b.dial(t, "shop")
	for i := range 2 { // the second time by a kept plan, if there is one
		must(t, c, "BEGIN")
		must(t, c, fmt.Sprintf("UPDATE sbtest1 SET v = %d WHERE id IN (1, 4)", 100+i))
		must(t, c, "CREATE TABLE IF NOT EXISTS orders (customer_id bigint PRIMARY KEY)")
		if c.Status()&wire.StatusInTrans != 0 {
			t.Error("in a transaction after DDL")
		}
		must(t, c, "ROLLBACK")
		expect(t, c, allRows, fmt.Sprintf("1|%d 2|2 3|3 4|%d 6|6 7|7", 100+i, 100+i))
	}
}

func (b *bed) shardedReadOnly(t *testing.T) {
	c := b.dial(t, "shop")
	must(t, c, "START TRANSACTION READ ONLY")
	expect(t, c, allRows, "1|1 2|2 3|3 4|4 6|6 7|7")
	expect(t, c, "UPDATE sbtest1 SET v = 0 WHERE id = 4", "error 1792")
	expect(t, c, "UPDATE sbtest1 SET v = 0", "error 1792")
	must(t, c, "COMMIT")
	must(t, c, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
	must(t, b.dial(t, "shop"), "UPDATE sbtest1 SET v = 0")
	expect(t, c, allRows, "1|1 2|2 3|3 4|4 6|6 7|7")
	must(t, c, "COMMIT")
	expect(t, c, "SELECT SUM(v) FROM sbtest1", "0")
}

func (b *bed) shardedWarnings(t *testing.T) {
	c := b.dial(t, "shop")
	must(t, c, "INSERT IGNORE INTO sbtest1 VALUES (1, 0), (4, 0), (8, 8)")
	if got := answer(c, "SHOW WARNINGS"); strings.Count(got, "\"1062\"") != 2 {
		t.Errorf("warnings of two shards: %s", got)
	}
	expect(t, c, "SHOW COUNT(*) WARNINGS", "2")
	must(t, c, "SELECT COUNT(*) FROM sbtest1")
	expect(t, c, "SHOW COUNT(*) WARNINGS", "0")
}

func (b *bed) shardedTemporary(t *testing.T) {
	c := b.dial(t, "shop")
	if got := answer(c, "CREATE TEMPORARY TABLE tmp (a int)"); !strings.HasPrefix(got, "error") {
		t.Errorf("a temporary table in a sharded keyspace: %s", got)
	}
	must(t, c, "USE main")
	must(t, c, "CREATE TEMPORARY TABLE tmp (a int)")
	must(t, c, "INSERT INTO tmp VALUES (1)")
	must(t, c, "BEGIN")
	must(t, c, "INSERT INTO tmp VALUES (2)")
	must(t, c, "COMMIT")
	expect(t, c, "SELECT COUNT(*) FROM tmp", "2")
	if err := c.ResetConnection(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, c, "SELECT COUNT(*) FROM main.tmp", "error 1146")
}

func (b *bed) shardedKill(t *testing.T) {
	killer := b.dial(t, "shop")
	for _, q := range []string{
		"SELECT id, SLEEP(20) AS kill_me FROM sbtest1 WHERE id = 4",
		"SELECT id, SLEEP(20) AS kill_me FROM sbtest1 ORDER BY id",
	} {
		victim := b.dial(t, "shop")
		done := make(chan string, 1)
		start := time.Now()
		go func() { done <- answer(victim, q) }()
		b.awaitStatement(t, 1, "kill_me")
		must(t, killer, fmt.Sprintf("KILL QUERY %d", victim.ConnectionID()))
		// A SLEEP that is interrupted may end its statement well, with the value 1.
		if got := <-done; time.Since(start) > 15*time.Second || !strings.Contains(got, "error 1317") && !strings.Contains(got, "\"4\"|\"1\"") {
			t.Errorf("%s: killed after %s: %s", q, time.Since(start), got)
		}
		expect(t, victim, "SELECT COUNT(*) FROM sbtest1", "6")

		go func() { done <- answer(victim, q) }()
		b.awaitStatement(t, 1, "kill_me")
		must(t, killer, fmt.Sprintf("KILL %d", victim.ConnectionID()))
		if got := <-done; !strings.Contains(got, "lost") && !strings.Contains(got, "1317") {
			t.Errorf("%s: its client was told %s", q, got)
		}
		for i := range b.servers {
			b.awaitStatements(t, i, "kill_me", func(n int) bool { return n == 0 })
		}
	}
	expect(t, killer, fmt.Sprintf("KILL QUERY %d", killer.ConnectionID()), "error 1317")
	if got := answer(killer, "SELECT 1; KILL QUERY 4000000000"); !strings.Contains(got, "error 1094") {
		t.Errorf("among several statements: %s", got)
	}
	must(t, killer, "DO 1")
}

func (b *bed) shardedTargets(t *testing.T) {
	// A server that is no replica of anything stands in for one: its rows tell who answered.
	host, port := splitAddr(t, b.servers[1].Addr)
	alias := topo.Alias("zone1", 200)
	if err := b.gw.topo.CreateTablet(t.Context(), &topov1.Tablet{Alias: ptr(alias), Cell: ptr("zone1"), Uid: ptr(uint32(200)), Keyspace: ptr("shop"), Shard: ptr("-80"),
		Type: topov1.TabletType_TABLET_TYPE_REPLICA.Enum(), Host: ptr(host), MysqlPort: ptr(port), Flavor: ptr(b.family), ServerVersion: ptr(b.servers[1].Version)}); err != nil {
		t.Fatal(err)
	}
	b.awaitSnapshot(t, func() bool { return len(b.gw.targets.Current().Keyspaces["shop"].Shard("-80").Replicas) == 1 })
	c := b.dial(t, "shop:-80")
	expect(t, c, allRows, "1|1 2|2 3|3")
	must(t, c, "USE `shop:80-`")
	expect(t, c, allRows, "4|4 6|6 7|7")
	must(t, c, "USE `shop:-80@replica`")
	expect(t, c, allRows, "4|4 6|6 7|7")
	expect(t, c, "SHOW TABLES LIKE 'sb%'", "sbtest1")
	expect(t, c, "SELECT 1", "1")
	expect(t, c, "BEGIN", "")
	expect(t, c, "SELECT v FROM sbtest1 WHERE id = 4", "4")
	must(t, c, "COMMIT")
	if got := answer(c, "UPDATE sbtest1 SET v = 0 WHERE id = 1"); !strings.HasPrefix(got, "error") {
		t.Errorf("a write on a replica: %s", got)
	}
	if got := answer(c, "SELECT v FROM sbtest1 WHERE id = 1 FOR UPDATE"); strings.HasPrefix(got, "error: connection") {
		t.Errorf("a locking read on a replica: %s", got)
	}
	must(t, c, "USE `shop@rdonly`")
	if got := answer(c, allRows); !strings.HasPrefix(got, "error") {
		t.Errorf("there is no rdonly: %s", got)
	}
	for _, db := range []string{"shop:c0-", "shop@nonsense", "nosuch"} {
		if c, err := b.dialAs(db, "root", ""); err == nil {
			t.Errorf("a login to %s was accepted", db)
			_ = c.Close()
		}
		must(t, c, "USE shop")
		if got := answer(c, "USE `"+db+"`"); !strings.HasPrefix(got, "error") {
			t.Errorf("USE %s: %s", db, got)
		}
		expect(t, c, "SELECT DATABASE()", "shop")
	}
	if err := b.gw.topo.DeleteTablet(t.Context(), alias); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) awaitSnapshot(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		changed := b.gw.targets.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatal("the gateway does not see the change of the topology")
		}
	}
}

func (b *bed) shardedUsers(t *testing.T) {
	acc := wire.NewAccount("secret")
	for _, u := range []*topov1.User{
		{Name: ptr("bound"), Keyspaces: []string{"main"}, NativeHash: acc.NativeHash, Sha2Hash: acc.SHA2Hash},
		{Name: ptr("reader"), ReadOnly: ptr(true), NativeHash: acc.NativeHash, Sha2Hash: acc.SHA2Hash},
	} {
		if _, err := b.gw.topo.PutUser(t.Context(), u, 0); err != nil {
			t.Fatal(err)
		}
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); b.gw.accounts.find("reader") == nil || b.gw.accounts.find("bound") == nil; <-tick.C {
		if time.Now().After(end) {
			t.Fatal("the gateway does not see its users")
		}
	}
	for _, l := range [][3]string{{"main", "bound", "wrong"}, {"main", "bound", ""}, {"shop", "bound", "secret"}, {"", "nobody", ""}} {
		if c, err := b.dialAs(l[0], l[1], l[2]); err == nil {
			t.Errorf("the login %q was accepted", l)
			_ = c.Close()
		}
	}
	c, err := b.dialAs("main", "bound", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	expect(t, c, "SELECT 1", "1")
	for _, q := range []string{"USE shop", "SELECT * FROM shop.sbtest1", "SELECT * FROM shop.sbtest1 WHERE id = 1", "UPDATE shop.sbtest1 SET v = 0 WHERE id = 1",
		"SELECT * FROM mysql.user", "SET @a = (SELECT MAX(v) FROM shop.sbtest1)", "PREPARE p FROM 'SELECT * FROM shop.sbtest1'; EXECUTE p",
		"@exec SELECT * FROM shop.sbtest1 WHERE id = 1", "DROP TABLE shop.sbtest1", "CREATE TABLE shop.x (id int)", "ALTER TABLE shop.sbtest1 ADD COLUMN n int",
		"SHOW TABLES FROM shop", "SHOW CREATE TABLE shop.sbtest1", "DESCRIBE shop.sbtest1", "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'"} {
		if got := answer(c, q); !strings.Contains(got, "error") {
			t.Errorf("bound to main: %s: %s", q, got)
		}
	}
	expect(t, c, "SELECT table_name FROM information_schema.tables WHERE table_schema IN ('main', 'shop')", "")
	expect(t, c, "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')", "main")
	expect(t, c, "SHOW DATABASES LIKE '%o%'", "information_schema performance_schema")
	r, err := b.dialAs("shop", "reader", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	expect(t, r, "SELECT v FROM sbtest1 WHERE id = 1", "1")
	expect(t, r, "SHOW TABLES LIKE 'sb%'", "sbtest1")
	for _, q := range []string{"UPDATE sbtest1 SET v = 0", "UPDATE sbtest1 SET v = 0 WHERE id = 1", "DROP TABLE sbtest1", "@exec DELETE FROM sbtest1 WHERE id = 1",
		"TRUNCATE TABLE sbtest1", "LOAD DATA LOCAL INFILE 'x' INTO TABLE sbtest1", "SET @a = 1; DELETE FROM sbtest1", "LOCK TABLES sbtest1 WRITE"} {
		if got := answer(r, q); !strings.Contains(got, "error") {
			t.Errorf("read only: %s: %s", q, got)
		}
	}
	expect(t, b.dial(t, "shop"), allRows, "1|1 2|2 3|3 4|4 6|6 7|7")
}

func (b *bed) setStatement(t *testing.T) {
	c := b.dial(t, "main")
	for _, q := range []string{
		"SET STATEMENT max_statement_time = (SELECT 1) FOR SELECT 1", "SET STATEMENT sort_buffer_size = id FOR SELECT id FROM t",
		"@exec SET STATEMENT max_statement_time = id FOR SELECT 1 AS id", "@exec SET STATEMENT max_statement_time = 1 + 1 FOR SELECT 1",
	} {
		if got := answer(c, q); !strings.HasPrefix(got, "error ") {
			t.Errorf("%s: %s", q, got)
		}
	}
	if b.family == servers.MariaDB {
		expect(t, c, "SET STATEMENT max_statement_time = 5 FOR SELECT 1", "1")
	}
	expect(t, c, "SELECT 1", "1")
}

// nothingKept checks that every path gives its connections back.
// copies has a reference table written through its source and through a copy: both have all rows, on every shard.
func (b *bed) copies(t *testing.T) {
	c := b.dial(t, "shop")
	// The bed's first server holds shards of both keyspaces, which have one redo table there.
	must(t, c, "SET transaction_mode = 'multi'")
	must(t, c, "CREATE TABLE currency (code char(3) PRIMARY KEY, title varchar(20))")
	must(t, c, "CREATE TABLE main.currency (code char(3) PRIMARY KEY, title varchar(20))")
	must(t, c, "INSERT INTO currency VALUES ('EUR', 'Euro'), ('USD', 'Dollar')")
	must(t, c, "INSERT INTO main.currency VALUES ('JPY', 'Yen')")
	must(t, c, "UPDATE main.currency SET title = 'E' WHERE code = 'EUR'")
	must(t, c, "DELETE FROM currency WHERE code = 'USD'")
	expect(t, c, "INSERT INTO main.currency VALUES ('CHF', 'Franc'), ('JPY', 'again')", "error 1062")
	// On one shard alone the row is in the way: nothing is written anywhere.
	must(t, b.dial(t, "shop:80-"), "INSERT INTO currency VALUES ('GBP', 'odd')")
	expect(t, c, "INSERT INTO currency VALUES ('GBP', 'Pound')", "error 1062")
	must(t, b.dial(t, "shop:80-"), "DELETE FROM currency WHERE code = 'GBP'")
	for _, place := range []string{"main", "shop:-80", "shop:80-"} {
		expect(t, b.dial(t, place), "SELECT code, title FROM currency ORDER BY code", "EUR|E JPY|Yen")
	}
	must(t, c, "DROP TABLE currency")
	must(t, c, "DROP TABLE main.currency")
}

// managed has clients send what is the cluster's to manage: databases and accounts.
func (b *bed) managed(t *testing.T) {
	for _, ks := range []string{"main", "shop", "shop:-80"} {
		c := b.dial(t, ks)
		for _, q := range []string{"CREATE DATABASE fresh", "CREATE DATABASE IF NOT EXISTS fresh", "DROP DATABASE main", "DROP SCHEMA IF EXISTS shop"} {
			refused(t, c, q, 1044, "pelorus keyspace ")
		}
		for _, q := range []string{
			"CREATE USER x IDENTIFIED BY 'y'", "ALTER USER root IDENTIFIED BY 'y'", "DROP USER IF EXISTS x", "CREATE ROLE r", "RENAME USER a TO b",
			"GRANT SELECT ON *.* TO x", "REVOKE SELECT ON main.t FROM x", "SET PASSWORD = 'x'", "SET PASSWORD FOR root = 'x'",
		} {
			refused(t, c, q, 1227, "pelorus user ")
		}
	}
}

// refused wants an error of the number whose text holds the hint and does not name the gateway's account.
func refused(t *testing.T, c *client.Conn, q string, errno uint16, hint string) {
	t.Helper()
	_, err := c.Exec(t.Context(), q)
	var my *wire.MySQLError
	if !errors.As(err, &my) || my.Errno != errno || !strings.Contains(my.Message, "PLR") || !strings.Contains(my.Message, hint) {
		t.Errorf("%s: %v, want error %d with %q", q, err, errno, hint)
	}
}

func (b *bed) nothingKept(t *testing.T) {
	c := b.dial(t, "shop")
	for _, q := range []string{
		"SELECT nosuch FROM sbtest1", "SELECT nosuch FROM sbtest1 WHERE id = 1", "INSERT INTO sbtest1 VALUES (1, 1)", "INSERT INTO sbtest1 VALUES (1, 1), (4, 4)",
		"@exec SELECT nosuch FROM sbtest1 WHERE id = 1", "@exec INSERT INTO sbtest1 VALUES (1, 1)", "SET TRANSACTION READ ONLY", allRows,
		"SET TRANSACTION READ ONLY", "UPDATE sbtest1 SET v = 0 WHERE id = 1", "SELECT 1", "SET @a = nosuch()", "SELECT @x := v FROM sbtest1 WHERE id = 1",
		"SELECT nosuch, @x := 1 FROM sbtest1 WHERE id = 1", "BEGIN", "UPDATE sbtest1 SET v = 1 WHERE id = 1", "ROLLBACK", "@fields nosuch", "@fields sbtest1",
		"SELECT SQL_CALC_FOUND_ROWS v FROM sbtest1 WHERE id = 1", "SHOW WARNINGS", "SET NAMES nosuch", "SELECT 1; SELECT nosuch; SELECT 2",
		"SET autocommit = 0", "INSERT INTO sbtest1 VALUES (1, 1)", allRows, "COMMIT", "SELECT 1", "SET autocommit = 1",
		"SELECT v INTO @n FROM sbtest1", "SELECT id FROM sbtest1 WHERE id = 1 UNION SELECT nosuch",
	} {
		answer(c, q)
	}
	for name, p := range b.gw.targets.Pools() {
		if st := p.Stats(); st.Open != st.Idle {
			t.Errorf("%s: %d open, %d idle", name, st.Open, st.Idle)
		}
	}
}

// replan checks that prepared statements follow changes of the vschema and of the primary. It comes last: the main
// keyspace moves to the other server.
func (b *bed) replan(t *testing.T) {
	for i := range b.servers {
		d := b.direct(t, i, "main")
		run(t, d, "CREATE TABLE who (id bigint PRIMARY KEY, server int)")
		run(t, d, "INSERT INTO who VALUES (1, ?)", i)
	}
	c := b.dial(t, "shop")
	prepare := func(q string) *client.Stmt {
		t.Helper()
		st, err := c.Prepare(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	one := func(st *client.Stmt, id int) string {
		t.Helper()
		rows, err := st.Execute(t.Context(), wire.Param{Type: wire.TypeLongLong, Raw: binary.LittleEndian.AppendUint64(nil, uint64(id))})
		if err != nil {
			t.Fatal(err)
		}
		return results(rows)
	}
	who, row := prepare("SELECT server FROM main.who WHERE id = ?"), prepare("SELECT v FROM sbtest1 WHERE id = ?")
	if got := one(who, 1); !strings.Contains(got, "\"0\"") {
		t.Errorf("before: %s", got)
	}
	if got := one(row, 4); !strings.Contains(got, "\"4\"") {
		t.Errorf("before: %s", got)
	}
	_, rev, err := b.gw.topo.VSchema(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	old := b.gw.targets.Current().Version
	changed := strings.Replace(shopVSchema, `"sbtest1": {"column_vindexes": [{"column": "id", "name": "hash"}]}`, `"sbtest1": {"type": "reference"}`, 1)
	if _, err := b.gw.topo.PutVSchema(t.Context(), "shop", &topov1.VSchema{Json: ptr(changed)}, rev); err != nil {
		t.Fatal(err)
	}
	b.awaitSnapshot(t, func() bool { return b.gw.targets.Current().Version > old })
	if got := one(row, 4); strings.Contains(got, "\"4\"") || strings.Contains(got, "error") {
		t.Errorf("as a reference table, of which the first shard has no row 4: %s", got)
	}
	host, port := splitAddr(t, b.servers[1].Addr)
	alias := topo.Alias("zone1", 300)
	if err := b.gw.topo.CreateTablet(t.Context(), &topov1.Tablet{Alias: ptr(alias), Cell: ptr("zone1"), Uid: ptr(uint32(300)), Keyspace: ptr("main"), Shard: ptr("-"),
		Type: topov1.TabletType_TABLET_TYPE_PRIMARY.Enum(), Host: ptr(host), MysqlPort: ptr(port), Flavor: ptr(b.family), ServerVersion: ptr(b.servers[1].Version)}); err != nil {
		t.Fatal(err)
	}
	if err := b.gw.topo.UpdateShard(t.Context(), "main", "-", func(s *topov1.Shard) error {
		s.Primary, s.Term = ptr(alias), ptr(uint64(2))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.awaitSnapshot(t, func() bool {
		p := b.gw.targets.Current().Keyspaces["main"].Shard("-").Primary
		return p != nil && p.Alias == alias
	})
	if got := one(who, 1); !strings.Contains(got, "\"1\"") {
		t.Errorf("after the primary moved: %s", got)
	}
	expect(t, c, "SELECT server FROM main.who WHERE id = 1", "1")
}

func splitAddr(t *testing.T, addr string) (string, uint32) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return host, uint32(n)
}
