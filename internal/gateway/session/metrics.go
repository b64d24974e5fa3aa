package session

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/plancache"
)

// Metrics are the counters of all sessions of a gateway.
type Metrics struct {
	Errors   prometheus.Counter
	Sessions prometheus.GaugeFunc
	Plans    prometheus.GaugeFunc
}

// NewMetrics registers the counters.
func NewMetrics(reg prometheus.Registerer, known *clients.Registry, plans *plancache.Cache) *Metrics {
	m := &Metrics{
		Errors:   prometheus.NewCounter(prometheus.CounterOpts{Name: "pelorus_gateway_errors_total", Help: "Statements answered with an error by the gateway itself."}),
		Sessions: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pelorus_gateway_sessions", Help: "Client connections."}, func() float64 { return float64(known.Count()) }),
		Plans:    prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pelorus_gateway_plans", Help: "Plans in the cache."}, func() float64 { return float64(plans.Len()) }),
	}
	reg.MustRegister(m.Errors, m.Sessions, m.Plans)
	return m
}
