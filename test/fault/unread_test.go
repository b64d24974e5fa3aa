package fault

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// nonReaders is how many clients read nothing: enough to hold all connections that the gateway may open to a server.
	// Each lets some 10 MB be moved until all buffers are full.
	nonReaders   = 60
	nonReadPool  = 50
	nonReadCheck = 8 // statements of the client that does read
	// nonReadBound is how long such a statement may take: until those who hold all connections have got so much that
	// their sockets are full, count as stalled (2 s), are found (0.25 s) and cut off.
	nonReadBound = 9 * time.Second
)

// starve lets many clients ask for much and read nothing, so that they hold all connections to the servers, while others
// work. The write timeout, which would end them too, is far away.
func starve(w *world) {
	g := w.startGateway("--write-timeout", "10m", "--pool-size", fmt.Sprint(nonReadPool))
	db := g.DB(keyspace)
	rows := "INSERT IGNORE INTO account (id, v) VALUES (1000001, 0)"
	for i := range 60 { // more bytes than the sockets of a client's connection take: 4 MiB
		rows += fmt.Sprintf(", (%d, 0)", 1_000_002+i)
	}
	if _, err := db.Exec(rows); err != nil {
		w.t.Fatal(err)
	}
	size := logSize(w.t, g.process())
	began := time.Now()
	conns := make([]*rawClient, nonReaders)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	queries := []string{ // on the fast path, over all shards, merged
		"SELECT REPEAT('x', 6000000)",
		"SELECT a.id, REPEAT('x', 200000) FROM account a",
		"SELECT a.id, REPEAT('x', 200000) FROM account a ORDER BY a.id",
	}
	if _, err := each(nonReaders, func(i int) (err error) {
		if conns[i], err = loggedIn(g.Gateway); err != nil {
			return err
		}
		if err = conns[i].Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			return err
		}
		return conns[i].command(comQuery, queries[i%len(queries)])
	}); err != nil {
		w.t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range nonReadCheck {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), nonReadBound)
			defer cancel()
			from := time.Now()
			var n int
			if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM entry WHERE id = ?", i).Scan(&n); err != nil {
				w.t.Errorf("who reads its results, after %.1f s: %v", time.Since(from).Seconds(), err)
			}
		})
	}
	wg.Wait()
	cut, err := g.metric("pelorus_gateway_clients_cut_total", `for="connection"`)
	if err != nil || cut == 0 {
		w.t.Errorf("%d clients were cut off, %v", cut, err)
	}
	if lines := attackLines(logSince(w.t, g.process(), size)); len(lines) < cut {
		w.t.Errorf("%d log lines about %d clients", len(lines), cut)
	}
	w.t.Logf("%d of %d clients cut off in %.1f s", cut, nonReaders, time.Since(began).Seconds())
}
