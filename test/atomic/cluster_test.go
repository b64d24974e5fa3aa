package atomic

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/devcluster"
	"github.com/pelorusdb/pelorus/test/cluster"
	"github.com/pelorusdb/pelorus/test/servers"
)

const bankVSchema = `{"sharded": true, "vindexes": {"hash": {"type": "hash"}}, "tables": {
 "account": {"column_vindexes": [{"column": "id", "name": "hash"}]},
 "log": {"column_vindexes": [{"column": "account", "name": "hash"}]}}}`

const bankSchema = `CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
CREATE TABLE log (account int NOT NULL, txn varchar(40) NOT NULL, side int NOT NULL, at datetime(6) NOT NULL, PRIMARY KEY (account, txn, side));`

// TestCluster does the same as TestBank with a whole cluster, an ordinary driver, and kill -9 of the gateway's and the
// servers' processes.
func TestCluster(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) { wholeBank(t, family) })
	}
}

// customers is how many accounts the bank of a whole cluster has, with 1000 each.
const customers = 40

// bankCluster starts a cluster with a bank in it.
func bankCluster(t *testing.T, family string, gateways, replicas int) *cluster.Cluster {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"vschema.json": bankVSchema, "schema.sql": bankSchema} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := cluster.Start(t, cluster.Options{Family: family, Config: fmt.Sprintf(`
gateways: %d
keyspaces:
  - name: bank
    shards: ["-80", "80-"]
    replicas: %d
    schema: %s/schema.sql
    vschema: %s/vschema.json
`, gateways, replicas, dir, dir)})
	db := c.DB("bank")
	for i := range customers {
		if _, err := db.Exec("INSERT INTO account VALUES (?, 1000)", i); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// trade lets clients pay one another until ctx ends, each through one of the gateways, and returns what they were told once
// traded is called.
func trade(ctx context.Context, gateways ...*sql.DB) (traded func() [][]promise) {
	var wg sync.WaitGroup
	promises := make([][]promise, clients)
	for i := range clients {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("%d-%d", i, n)
				err := pay(gateways[i%len(gateways)], id, rng.IntN(customers), rng.IntN(customers), 1+rng.IntN(50))
				promises[i] = append(promises[i], promise{id, err})
				if err != nil {
					wait(ctx, 50*time.Millisecond)
				}
			}
		})
	}
	return func() [][]promise { wg.Wait(); return promises }
}

// unfinished waits until no shard has anything left to finish, which must be so within the time for recovery.
func unfinished(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	began := time.Now()
	c.WaitFor("nothing undecided", func() error {
		for _, shard := range []string{"bank/-80", "bank/80-"} {
			if out, err := c.Try("transaction", "list", shard); err != nil || strings.Count(out, "\n") != 1 {
				return fmt.Errorf("%s: %w: %s", shard, errors.Join(err, errors.New("unfinished transactions")), out)
			}
		}
		return nil
	})
	if took := time.Since(began); took > recovery {
		t.Errorf("recovery took %v", took)
	}
}

func wholeBank(t *testing.T, family string) {
	c := bankCluster(t, family, 1, 0)
	ctx, cancel := context.WithTimeout(t.Context(), bankTime)
	defer cancel()
	traded := trade(ctx, c.DB("bank"))
	rng := rand.New(rand.NewPCG(2, 2))
	for wait(ctx, time.Second) {
		if rng.IntN(2) == 0 {
			c.Kill(pick(c, devcluster.RoleGateway, rng))
			c.Up()
		} else {
			c.Kill(pick(c, devcluster.RoleMysqld, rng))
		}
	}
	promises := traded()
	c.Up()
	unfinished(t, c)
	audit(t, c.DB("bank"), promises, customers*1000)
	for _, verb := range []string{"show", "retry", "discard"} {
		if _, err := c.Try("transaction", verb, "bank/-80", "none"); err == nil || !strings.Contains(err.Error(), "no record of this transaction") {
			t.Errorf("%s of a transaction that is not there: %v", verb, err)
		}
	}
}

// pick names a process of a role that runs; a server may just be being started again.
func pick(c *cluster.Cluster, role string, rng *rand.Rand) string {
	var names []string
	c.WaitFor("a process of role "+role, func() error {
		running := c.Running()
		for _, p := range c.Processes() {
			if _, ok := running[p.Name]; ok && p.Role == role {
				names = append(names, p.Name)
			}
		}
		if len(names) == 0 {
			return errors.New("none runs")
		}
		return nil
	})
	return names[rng.IntN(len(names))]
}

// errInDoubt says that a COMMIT was sent and its answer was no refusal.
var errInDoubt = errors.New("the outcome is not known")

func pay(db *sql.DB, id string, from, to, amount int) error {
	ctx, cancel := context.WithTimeout(context.Background(), recovery)
	defer cancel()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		sql  string
		args []any
	}{
		{"UPDATE account SET balance = balance - ? WHERE id = ?", []any{amount, from}},
		{"INSERT INTO log VALUES (?, ?, 0, NOW(6))", []any{from, id}},
		{"UPDATE account SET balance = balance + ? WHERE id = ?", []any{amount, to}},
		{"INSERT INTO log VALUES (?, ?, 1, NOW(6))", []any{to, id}},
	} {
		if _, err := tx.ExecContext(ctx, s.sql, s.args...); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%w: %w", errInDoubt, err)
	}
	return nil
}

// audit compares what is in the bank with what clients were told.
func audit(t *testing.T, db *sql.DB, promises [][]promise, want int) {
	t.Helper()
	var sum int
	if err := db.QueryRow("SELECT SUM(balance) FROM account").Scan(&sum); err != nil || sum != want {
		t.Errorf("there is %d in the bank, want %d: %v", sum, want, err)
	}
	sides := map[string]int{}
	rows, err := db.Query("SELECT txn FROM log")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		sides[id]++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	acked, refused, doubtful := 0, 0, 0
	for _, list := range promises {
		for _, p := range list {
			n := sides[p.id]
			switch {
			case n != 0 && n != 2:
				t.Errorf("%s has %d of 2 sides", p.id, n)
			case p.err == nil && n == 0:
				t.Errorf("%s was acknowledged, and is not there", p.id)
			case p.err != nil && !errors.Is(p.err, errInDoubt) && n != 0:
				t.Errorf("%s is there, though it failed before its COMMIT: %v", p.id, p.err)
			}
			switch {
			case p.err == nil:
				acked++
			case errors.Is(p.err, errInDoubt):
				doubtful++
			default:
				refused++
			}
		}
	}
	t.Logf("%d committed, %d refused, %d in doubt", acked, refused, doubtful)
	if acked == 0 {
		t.Error("nothing was committed: the test has tested nothing")
	}
}
