package control

import (
	"time"

	"github.com/pelorusdb/pelorus/internal/orch/evidence"

	"github.com/prometheus/client_golang/prometheus"
)

// shardCollector shows at each scrape how many shards and tablets are in which health.
type shardCollector struct {
	server          *Server
	shards, tablets *prometheus.Desc
}

func newShardCollector(s *Server) *shardCollector {
	return &shardCollector{
		server:  s,
		shards:  prometheus.NewDesc("pelorus_control_shards", "Shards of a keyspace by health.", []string{"keyspace", "health"}, nil),
		tablets: prometheus.NewDesc("pelorus_control_tablets", "Tablets of a keyspace by health.", []string{"keyspace", "health"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *shardCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.shards
	ch <- c.tablets
}

// Collect implements prometheus.Collector.
func (c *shardCollector) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	healths := []evidence.Health{evidence.OK, evidence.Degraded, evidence.Down, evidence.Unknown}
	for name, view := range c.server.Fleet.Keyspaces() {
		shards, tablets := map[evidence.Health]int{}, map[evidence.Health]int{}
		observed := make(map[string]map[string]evidence.Observation)
		for alias, t := range view.Tablets {
			o := c.server.Fleet.Observe(t)
			if observed[t.GetShard()] == nil {
				observed[t.GetShard()] = make(map[string]evidence.Observation)
			}
			observed[t.GetShard()][alias] = o
			tablets[evidence.TabletHealth(o, view.Shards[t.GetShard()], now).Health]++
		}
		for shard, rec := range view.Shards {
			shards[evidence.ShardHealth(rec, view.Record, observed[shard], now).Health]++
		}
		for _, h := range healths {
			ch <- prometheus.MustNewConstMetric(c.shards, prometheus.GaugeValue, float64(shards[h]), name, h.String())
			ch <- prometheus.MustNewConstMetric(c.tablets, prometheus.GaugeValue, float64(tablets[h]), name, h.String())
		}
	}
}
