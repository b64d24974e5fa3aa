package atomic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/redo"
)

// gate is the part of a gateway that commits.
type gate struct {
	names [2]string
	pools [2]*pool.Pool
	mu    sync.Mutex
	used  []*pool.Conn
}

func newGate(names, addrs [2]string) *gate {
	g := &gate{names: names}
	for i, addr := range addrs {
		g.pools[i] = pool.New(pool.Config{
			Dial: client.Config{Addr: addr, User: app.User, Password: app.Password, Database: "bank", ConnectTimeout: 5 * time.Second},
			Max:  50, Wait: 5 * time.Second, IdleTimeout: time.Minute, MaxHandles: 10,
		})
	}
	return g
}

func (b *bed) gate() *gate {
	g := newGate([2]string{b.nodes[0].name, b.nodes[1].name}, [2]string{b.nodes[0].srv.Addr, b.nodes[1].srv.Addr})
	b.t.Cleanup(g.close)
	return g
}

func (g *gate) close() {
	for _, p := range g.pools {
		p.Close()
	}
}

// cutOff closes the sockets of the transaction that is under way.
func (g *gate) cutOff() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.used {
		_ = c.Kill() // a socket that is closed already is as good
	}
}

func (g *gate) use(c *pool.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used = append(g.used, c)
}

func (g *gate) unuse() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used = nil
}

// transfer says what goes from one shard's account to the other's.
type transfer struct {
	ID       string
	From, To int
	Amount   int
	// First is the shard that coordinates.
	First int
}

// run does the transfer as a session of a gateway does: begin, change, commit, and give the connections back.
func (g *gate) run(ctx context.Context, tr transfer, hooks txn.Hooks) error {
	parts := make([]txn.Participant, 0, 2)
	broken := []*pool.Conn{}
	defer func() {
		g.unuse()
		for _, p := range parts {
			if slices.Contains(broken, p.Conn) || p.Conn.Broken() {
				p.Conn.Discard()
			} else if _, err := p.Conn.Exec(ctx, "ROLLBACK"); err != nil {
				p.Conn.Discard()
			} else {
				p.Conn.Release()
			}
		}
	}()
	for _, i := range []int{tr.First, 1 - tr.First} {
		conn, err := g.pools[i].Get(ctx, 0, nil)
		if err != nil {
			return err
		}
		g.use(conn)
		keyspace, shard := g.names[i][:4], g.names[i][5:]
		parts = append(parts, txn.Participant{Keyspace: keyspace, Shard: shard, Term: 1, Conn: conn, Database: "bank"})
		p := &parts[len(parts)-1]
		change := fmt.Sprintf("UPDATE account SET balance = balance - %d WHERE id = %d", tr.Amount, tr.From)
		if i == 1 {
			change = fmt.Sprintf("UPDATE account SET balance = balance + %d WHERE id = %d", tr.Amount, tr.To)
		}
		for _, sql := range []string{"START TRANSACTION", change, "INSERT INTO log (txn, at) VALUES ('" + tr.ID + "', NOW(6))"} {
			ok, err := conn.Exec(ctx, sql)
			if err != nil {
				return err
			}
			if sql != "START TRANSACTION" {
				p.Redo = append(p.Redo, redo.Statement{SQL: []byte(sql), InsertID: ok.InsertID, UnixMicro: time.Now().UnixMicro(), Affected: int64(ok.Affected)})
			}
		}
	}
	var err error
	committer := txn.NewCommitter(slog.New(slog.NewTextHandler(io.Discard, nil)), hooks)
	broken, err = committer.Commit(ctx, parts)
	committer.Close()
	return err
}

// errand is what a gateway in a process of its own does: one transfer, and die at a step.
type errand struct {
	Names, Addrs [2]string
	Transfer     transfer
	Step         string
}

const errandEnv = "PELORUS_TEST_ERRAND"

func TestMain(m *testing.M) {
	if text := os.Getenv(errandEnv); text != "" {
		os.Exit(runErrand(text))
	}
	os.Exit(m.Run())
}

func runErrand(text string) int {
	var e errand
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	err := newGate(e.Names, e.Addrs).run(context.Background(), e.Transfer, txn.Hooks{At: func(step string) {
		if step == e.Step {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			select {}
		}
	}})
	fmt.Fprintln(os.Stderr, "the gateway lived through its transfer:", err)
	return 1
}

// killedGateway runs a transfer in a process that is killed at a step.
func (b *bed) killedGateway(tr transfer, step string) {
	b.t.Helper()
	e := errand{Transfer: tr, Step: step}
	for i, n := range b.nodes {
		e.Names[i], e.Addrs[i] = n.name, n.srv.Addr
	}
	text, err := json.Marshal(e)
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), errandEnv+"="+string(text))
	out, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		b.t.Fatalf("the gateway was not killed at %s: %v\n%s", step, err, out)
	}
}
