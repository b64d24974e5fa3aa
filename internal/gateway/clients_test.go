package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/test/servers"
)

// TestClients is what clients learn of each other and do to each other, and what the gateway does to clients that take too
// long. There is one connection to each server's database, so that statements easily wait for it.
func TestClients(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			b := newBedWith(t, family, func(c *Config) {
				c.PoolSize, c.PoolWait, c.WaitPrimary, c.QueryTimeout = 1, time.Minute, time.Minute, time.Second
			})
			c := b.dial(t, "shop")
			must(t, c, "CREATE TABLE sbtest1 (id bigint NOT NULL PRIMARY KEY, v int NOT NULL)")
			must(t, c, "INSERT INTO sbtest1 VALUES (1,1),(4,4)")
			for _, s := range []struct {
				name string
				f    func(*testing.T)
			}{
				{"kill while waiting for a connection", b.killWaiting}, {"kill while waiting for a lock", b.killLocked},
				{"kill without a primary", b.killWithoutPrimary}, {"kill while the primary is out of reach", b.killHeld},
				{"processlist", b.processlist}, {"wait_timeout", b.waitTimeout}, {"query timeout", b.queryTimeout},
			} {
				t.Run(s.name, s.f)
			}
		})
	}
}

// waitLimit bounds what the tests wait for. What is woken in them would wait for a minute.
const waitLimit = 20 * time.Second

// awaitText waits until a client runs a statement with the text.
func (b *bed) awaitText(t *testing.T, c *client.Conn, text string) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(waitLimit); ; <-tick.C {
		if known := b.gw.shared.Clients.Find(uint64(c.ConnectionID())); known != nil && strings.Contains(known.Info().Text, text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("client %d does not run %s", c.ConnectionID(), text)
		}
	}
}

// killed runs a statement that waits, kills it by both forms of KILL, and returns what its client was told.
func (b *bed) killed(t *testing.T, before []string, q string) (byQuery, byConnection string) {
	t.Helper()
	for _, verb := range []string{"KILL QUERY", "KILL"} {
		victim, killer := b.dial(t, "shop"), b.dial(t, "")
		for _, s := range before {
			must(t, victim, s)
		}
		told := make(chan string, 1)
		go func() { told <- answer(victim, q) }()
		b.awaitText(t, victim, strings.TrimPrefix(q, "@exec "))
		must(t, killer, fmt.Sprintf("%s %d", verb, victim.ConnectionID()))
		var got string
		select {
		case got = <-told:
		case <-time.After(waitLimit):
			t.Fatalf("%s does not end %s", verb, q)
		}
		if verb == "KILL" {
			byConnection = got
			break
		}
		byQuery = got
		_ = victim.Close()
	}
	return byQuery, byConnection
}

// expectKilled kills a statement that waits: KILL QUERY is an error, and KILL a connection that closes.
func (b *bed) expectKilled(t *testing.T, before []string, q string) {
	t.Helper()
	byQuery, byConnection := b.killed(t, before, q)
	if !strings.HasPrefix(byQuery, "error 1317") {
		t.Errorf("%s, KILL QUERY: %s", q, byQuery)
	}
	if !strings.Contains(byConnection, "lost") && !strings.Contains(byConnection, "1317") {
		t.Errorf("%s, KILL: %s", q, byConnection)
	}
}

func (b *bed) killWaiting(t *testing.T) {
	holder := b.dial(t, "shop")
	must(t, holder, "BEGIN")
	expect(t, holder, "SELECT v FROM sbtest1 WHERE id = 1", "1")
	for _, q := range []string{
		"SELECT v FROM sbtest1 WHERE id = 1", "SELECT v FROM sbtest1 ORDER BY id", "UPDATE sbtest1 SET v = 5 WHERE id = 1",
		"@exec SELECT v FROM sbtest1 WHERE id = 1", "SELECT @x := v FROM sbtest1 WHERE id = 1", "SET @y = 1 + 1", "LOCK TABLES sbtest1 WRITE",
	} {
		b.expectKilled(t, nil, q)
	}
	b.expectKilled(t, []string{"BEGIN"}, "SELECT v FROM sbtest1 WHERE id = 1")
	victim := b.dial(t, "shop")
	must(t, holder, "ROLLBACK")
	expect(t, victim, allRows, "1|1 4|4") // nothing that was killed has run, and every connection is back
}

func (b *bed) killLocked(t *testing.T) {
	// The holder is a client of the server itself: the gateway has one connection only.
	tx, err := b.direct(t, 0, "shop").Begin()
	if err != nil {
		t.Fatal(err)
	}
	run(t, tx, "UPDATE sbtest1 SET v = 9 WHERE id = 1")
	b.expectKilled(t, []string{"BEGIN"}, "UPDATE sbtest1 SET v = 5 WHERE id = 1")
	b.expectKilled(t, nil, "SELECT v FROM sbtest1 WHERE id = 1 FOR UPDATE")
	b.expectKilled(t, nil, "LOCK TABLES sbtest1 WRITE")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	expect(t, b.dial(t, "shop"), allRows, "1|1 4|4")
}

func (b *bed) killWithoutPrimary(t *testing.T) {
	var alias string
	change := func(to func(*topov1.Shard)) {
		t.Helper()
		if err := b.gw.topo.UpdateShard(t.Context(), "shop", "-80", func(s *topov1.Shard) error { to(s); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	primary := func() bool { return b.gw.targets.Current().Keyspaces["shop"].Shard("-80").Primary != nil }
	change(func(s *topov1.Shard) { alias = s.GetPrimary(); s.Primary = nil })
	b.awaitSnapshot(t, func() bool { return !primary() })
	b.expectKilled(t, nil, "SELECT v FROM sbtest1 WHERE id = 1")
	b.expectKilled(t, []string{"BEGIN"}, "UPDATE sbtest1 SET v = 5 WHERE id = 1")
	b.expectKilled(t, nil, "SELECT v FROM sbtest1 ORDER BY id")
	change(func(s *topov1.Shard) { s.Primary = &alias })
	b.awaitSnapshot(t, primary)
	expect(t, b.dial(t, "shop"), allRows, "1|1 4|4")
}

func (b *bed) killHeld(t *testing.T) {
	alias := b.gw.targets.Current().Keyspaces["shop"].Shard("-80").Primary.Alias
	addr := func() string { return b.gw.targets.Current().Keyspaces["shop"].Shard("-80").Primary.Addr }
	was := addr()
	move := func(port uint32) {
		t.Helper()
		if err := b.gw.topo.UpdateTablet(t.Context(), alias, func(x *topov1.Tablet) error { x.MysqlPort = &port; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	_, port := splitAddr(t, was)
	move(uint32(servers.FreePort(t)))
	b.awaitSnapshot(t, func() bool { return addr() != was })
	b.expectKilled(t, nil, "SELECT v FROM sbtest1 WHERE id = 1")
	b.expectKilled(t, nil, "@exec SELECT v FROM sbtest1 WHERE id = 1")
	b.expectKilled(t, nil, "SELECT v FROM sbtest1 ORDER BY id")
	move(port)
	b.awaitSnapshot(t, func() bool { return addr() == was })
	expect(t, b.dial(t, "shop"), allRows, "1|1 4|4")
}

func (b *bed) processlist(t *testing.T) {
	idle, busy, c := b.dial(t, ""), b.dial(t, "shop"), b.dial(t, "main")
	done := make(chan string, 1)
	go func() { done <- answer(busy, "SELECT SLEEP(0.9), 'busy'") }()
	b.awaitText(t, busy, "busy")
	got := answer(c, "SHOW PROCESSLIST")
	for _, want := range []string{
		fmt.Sprintf(`"%d"|"root"|"127.0.0.1"|NULL|"Sleep"|`, idle.ConnectionID()),
		fmt.Sprintf(`"%d"|"root"|"127.0.0.1"|"shop"|"Query"|`, busy.ConnectionID()), `|"executing"|"SELECT SLEEP(0.9), 'busy'"`,
		fmt.Sprintf(`"%d"|"root"|"127.0.0.1"|"main"|"Query"|"0"|"executing"|"SHOW PROCESSLIST"`, c.ConnectionID()),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in:\n%s", want, got)
		}
	}
	<-done
}

// namedLocks takes one lock by sessions of different keyspaces and shards.
func (b *bed) namedLocks(t *testing.T) {
	c, other, third := b.dial(t, "main"), b.dial(t, "shop:80-"), b.dial(t, "shop")
	expect(t, c, "SELECT GET_LOCK('l', 0)", "1")
	must(t, c, "USE shop")
	expect(t, c, "SELECT IS_FREE_LOCK('l')", "0")
	expect(t, other, "SELECT IS_FREE_LOCK('l'), IS_FREE_LOCK('other')", "0|1")
	told := make(chan string, 1)
	go func() { told <- answer(other, "SELECT GET_LOCK('l', 30)") }()
	b.awaitText(t, other, "GET_LOCK('l', 30)")
	expect(t, c, "SELECT RELEASE_LOCK('l')", "1")
	_ = c.Close()
	if got := <-told; !strings.Contains(got, `"1"`) {
		t.Errorf("the second session: %s", got)
	}
	_ = other.Close()
	expect(t, third, "SELECT GET_LOCK('l', 30)", "1")
	if got := answer(third, "SELECT GET_LOCK('m', 0), v FROM sbtest1 WHERE id = 4"); !strings.HasPrefix(got, "error 1235") {
		t.Errorf("a lock together with rows of another server: %s", got)
	}
	_ = third.Close()
}

func (b *bed) waitTimeout(t *testing.T) {
	c := b.dial(t, "shop")
	expect(t, c, "SELECT @@wait_timeout", "28800")
	must(t, c, "SET SESSION wait_timeout = 1")
	expect(t, c, "SELECT @@wait_timeout", "1")
	expect(t, c, "SHOW VARIABLES LIKE 'wait_timeout'", "wait_timeout|1")
	closed := make(chan error, 1)
	go func() {
		_, err := c.Wire().ReadPacket()
		closed <- err
	}()
	select {
	case err := <-closed:
		if err == nil {
			t.Error("a packet came from nowhere")
		}
	case <-time.After(waitLimit):
		t.Error("the silent client is not closed")
	}
}

func (b *bed) queryTimeout(t *testing.T) {
	c := b.dial(t, "main")
	must(t, c, "CREATE TABLE many (n int)")
	must(t, c, "INSERT INTO many VALUES (0)"+strings.Repeat(", (1)", 300))
	const long = "SELECT COUNT(*) FROM many a JOIN many b JOIN many c JOIN many d JOIN many e WHERE a.n + b.n + c.n + d.n + e.n < 5"
	for _, q := range []string{long, "@exec " + long, long + "; SELECT 1"} {
		if got := answer(c, q); !strings.Contains(got, "error 3024") {
			t.Errorf("%s: %s", q, got)
		}
		expect(t, c, "SELECT 1", "1")
	}
	must(t, c, "BEGIN")
	must(t, c, "INSERT INTO many VALUES (2)")
	if got := answer(c, long); !strings.Contains(got, "error 3024") {
		t.Errorf("in a transaction: %s", got)
	}
	expect(t, c, "SELECT COUNT(*) FROM many WHERE n = 2", "1") // the transaction goes on
	must(t, c, "ROLLBACK")
	// A statement that writes takes its time.
	must(t, c, "DO SLEEP(0)")
	must(t, c, "UPDATE many SET n = 3 + SLEEP(1.5) WHERE n = 0")
}
