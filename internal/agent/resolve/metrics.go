package resolve

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pelorusdb/pelorus/internal/redo"
)

// metrics are the resolver's figures for Prometheus.
type metrics struct {
	resolved         *prometheus.CounterVec
	failures         prometheus.Counter
	changed          prometheus.Counter
	working, retries prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	const namespace, subsystem = "pelorus", "redo"
	m := &metrics{
		resolved: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: "resolved_total",
			Help: "Transactions across shards that recovery has finished on this server, by verdict."}, []string{"verdict"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: "failures_total",
			Help: "Attempts to finish a transaction across shards that failed."}),
		changed: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: "changed_rows_total",
			Help: "Transactions across shards whose replay met other rows than their first run, because others had changed them in between."}),
		working: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: "working",
			Help: "Transactions across shards that recovery works on now, or whose locks it holds."}),
		retries: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: "retrying",
			Help: "Transactions across shards that recovery could not finish yet."}),
	}
	if reg != nil {
		reg.MustRegister(m.resolved, m.failures, m.changed, m.working, m.retries)
	}
	return m
}

func (m *metrics) finished(v redo.Verdict) { m.resolved.WithLabelValues(string(v)).Inc() }

func (m *metrics) failed() { m.failures.Inc() }

func (m *metrics) state(working, retries int) {
	m.working.Set(float64(working))
	m.retries.Set(float64(retries))
}
