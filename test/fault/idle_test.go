package fault

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	idleClients = 5000
	// idleMemory is what they may cost.
	idleMemory = 150 * mib
	// idleLeft is how many connections to one server may be left of the burst: as many statements as run at once.
	idleLeft = 64
	// openers is how many clients log in at the same time.
	openers = 32
)

// idle lets thousands of clients log in, run a statement and stay.
func idle(w *world) {
	g := w.startGateway("--pool-idle", "3s")
	before := rss(w.t, g.pid)
	clients := make([]*rawClient, idleClients)
	errs := make([]error, openers)
	began := time.Now()
	var wg sync.WaitGroup
	for o := range openers {
		wg.Go(func() {
			for i := o; i < idleClients && errs[o] == nil; i += openers {
				if clients[i], errs[o] = loggedIn(g.Gateway); errs[o] == nil {
					errs[o] = clients[i].query(fmt.Sprintf("SELECT v FROM entry WHERE id = %d", i))
				}
			}
		})
	}
	wg.Wait()
	w.t.Cleanup(func() {
		for _, c := range clients {
			if c != nil {
				c.Close()
			}
		}
	})
	for _, err := range errs {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	took := time.Since(began)
	grown := rss(w.t, g.pid) - before
	w.t.Logf("%d idle clients, each after one statement, logged in within %.1f s: the gateway has %d MiB, %d more than before (%.1f KiB each)",
		idleClients, took.Seconds(), rss(w.t, g.pid)/mib, grown/mib, float64(grown)/1024/idleClients)
	if grown > idleMemory {
		w.t.Errorf("%d idle clients cost %d MiB, want at most %d", idleClients, grown/mib, idleMemory/mib)
	}
	for _, p := range w.primaries() {
		db := w.server(p)
		n, err := appConnections(context.Background(), db)
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Logf("%s: %d connections of gateways", p.Name, n)
		if n > idleLeft {
			w.t.Errorf("%s: %d connections of gateways, want at most %d", p.Name, n, idleLeft)
		}
	}
	w.t.Logf("after a while the pools hold %s", g.poolsEmpty())
	// They still work.
	for _, i := range []int{0, idleClients / 2, idleClients - 1} {
		if err := clients[i].SetDeadline(time.Now().Add(answerTime)); err != nil {
			w.t.Fatal(err)
		}
		if err := clients[i].query("SELECT v FROM entry WHERE id = 1"); err != nil {
			w.t.Errorf("client %d after its rest: %v", i, err)
		}
	}
}

// poolsEmpty waits until the gateway's pools have given up what nobody uses.
func (g *gateway) poolsEmpty() (text string) {
	g.t.Helper()
	g.WaitFor("the pools to let go", func() error {
		n, err := g.metric(`pelorus_gateway_pool_connections`, `state="open"`)
		text = fmt.Sprintf("%d connections", n)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d connections are open", n)
		}
		return err
	})
	return text
}
