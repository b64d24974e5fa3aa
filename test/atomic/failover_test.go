package atomic

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/pelorusdb/pelorus/internal/devcluster"
	"github.com/pelorusdb/pelorus/test/cluster"
	"github.com/pelorusdb/pelorus/test/servers"
)

// TestFailover lets clients of two gateways pay one another while the primaries of both shards die for good, one after the
// other and each together with a gateway, and replicas take over with what transactions have left in their redo tables.
func TestFailover(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			c := bankCluster(t, family, 2, 2)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			traded := trade(ctx, c.DB("bank"), second(t, c))
			for i, shard := range []string{"-80", "80-"} {
				wait(ctx, 2*time.Second)
				dead := reigns(t, c, shard)
				for _, name := range []string{fmt.Sprintf("gateway-%d", i+1), "tablet-" + dead, "mysqld-" + dead} {
					c.Kill(name)
				}
				began := time.Now()
				c.Pelorus("reparent", "emergency", "bank/"+shard)
				t.Logf("%s: %s died with a gateway, %s reigns after %.1f s", shard, dead, reigns(t, c, shard), time.Since(began).Seconds())
				c.Pelorus("local", "restart", fmt.Sprintf("gateway-%d", i+1), "--dir", c.Dir)
			}
			wait(ctx, 2*time.Second)
			cancel()
			promises := traded()
			unfinished(t, c)
			audit(t, c.DB("bank"), promises, customers*1000)
		})
	}
}

// reigns names the primary of a shard.
func reigns(t *testing.T, c *cluster.Cluster, shard string) string {
	t.Helper()
	for _, p := range c.Processes() {
		if p.Role == devcluster.RoleTablet && p.Shard == shard && p.TabletType == "primary" {
			return p.Tablet
		}
	}
	t.Fatalf("%s has no primary", shard)
	return ""
}

// second is a pool of connections to the second gateway.
func second(t *testing.T, c *cluster.Cluster) *sql.DB {
	t.Helper()
	for _, p := range c.Processes() {
		if p.Name != "gateway-2" {
			continue
		}
		cfg := mysql.NewConfig()
		cfg.Net, cfg.Addr, cfg.User, cfg.DBName = "tcp", fmt.Sprintf("127.0.0.1:%d", p.Port), "root", "bank"
		connector, err := mysql.NewConnector(cfg)
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(connector)
		t.Cleanup(func() { db.Close() })
		return db
	}
	t.Fatal("there is no second gateway")
	return nil
}
