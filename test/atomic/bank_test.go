package atomic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/test/servers"
)

const (
	bankTime = 12 * time.Second
	longTime = 3 * time.Minute
	clients  = 4
)

// TestBank moves money between the shards from several gateways while servers are killed and started, connections are ended
// and coordinators are away, all from one seed. PELORUS_SEED repeats the faults of a run; PELORUS_LONG runs it for longer.
func TestBank(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("PELORUS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			t.Logf("PELORUS_SEED=%d", seed)
			newBed(t, family).bank(seed)
		})
	}
}

// promise is what a gateway said of a transaction.
type promise struct {
	id  string
	err error
}

func (b *bed) bank(seed uint64) {
	limit := bankTime
	if os.Getenv("PELORUS_LONG") != "" {
		limit = longTime
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	defer cancel()
	var wg sync.WaitGroup
	promises := make([][]promise, clients)
	for i := range clients {
		g := b.gate()
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() { promises[i] = b.customer(ctx, i, g, rng) })
	}
	faults := b.nemesis(ctx, rand.New(rand.NewPCG(seed, 1000)))
	wg.Wait()
	b.settled()
	b.balanced()
	acked, refused, unknown := 0, 0, 0
	logs := [2]map[string]int{b.nodes[0].logged(), b.nodes[1].logged()}
	for _, list := range promises {
		for _, p := range list {
			there := logs[0][p.id]
			switch {
			case there != logs[1][p.id] || there > 1:
				b.t.Errorf("%s is %d and %d times on the shards", p.id, there, logs[1][p.id])
			case p.err == nil && there == 0:
				b.t.Errorf("%s was acknowledged, and is not there", p.id)
			case p.err != nil && !errors.Is(p.err, txn.ErrUnknown) && there == 1:
				b.t.Errorf("%s is there, though the gateway said: %v", p.id, p.err)
			}
			switch {
			case p.err == nil:
				acked++
			case errors.Is(p.err, txn.ErrUnknown):
				unknown++
			default:
				refused++
			}
		}
	}
	b.t.Logf("%d committed, %d refused, %d unknown to their gateway; faults: %v", acked, refused, unknown, faults)
	if acked == 0 {
		b.t.Error("nothing was committed: the test has tested nothing")
	}
}

// customer transfers until ctx ends. A transaction that is under way then is finished.
func (b *bed) customer(ctx context.Context, number int, g *gate, rng *rand.Rand) []promise {
	var out []promise
	for i := 0; ctx.Err() == nil; i++ {
		tr := transfer{ID: fmt.Sprintf("bank-%d-%d", number, i), From: rng.IntN(accounts), To: rng.IntN(accounts), Amount: 1 + rng.IntN(50), First: rng.IntN(2)}
		cut, die := "", rng.IntN(40)
		if die < len(txn.Steps()) {
			cut = txn.Steps()[die]
		}
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), recovery)
		err := g.run(bounded, tr, txn.Hooks{At: func(step string) {
			if step == cut {
				g.cutOff() // what a dying gateway does to its connections; the transaction in memory goes on and gets errors
			}
		}})
		cancel()
		out = append(out, promise{tr.ID, err})
		if err != nil {
			wait(ctx, 20*time.Millisecond)
		}
	}
	return out
}

// nemesis does harm until ctx ends, heals everything, and says what it did.
func (b *bed) nemesis(ctx context.Context, rng *rand.Rand) map[string]int {
	done := map[string]int{}
	for wait(ctx, time.Duration(200+rng.IntN(1500))*time.Millisecond) {
		n := b.nodes[rng.IntN(2)]
		switch k := rng.IntN(10); {
		case k < 4:
			done["server killed"]++
			n.kill()
			wait(ctx, time.Duration(rng.IntN(500))*time.Millisecond)
			n.restart()
		case k < 5:
			done["both servers killed"]++
			b.each(3, (*node).kill)
			b.each(3, (*node).restart)
		case k < 8:
			done["connections ended"]++
			ids, err := n.get("SELECT GROUP_CONCAT('KILL ', ID SEPARATOR ';') FROM information_schema.PROCESSLIST WHERE USER = '" + app.User + "'")
			if err == nil {
				n.killAll(ids)
			}
		default:
			done["shard out of reach"]++
			b.hide(n.name, true)
			wait(ctx, time.Duration(rng.IntN(1500))*time.Millisecond)
			b.hide(n.name, false)
		}
	}
	return done
}

// wait waits and says whether ctx still lives.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
