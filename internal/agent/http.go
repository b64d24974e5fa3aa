package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/api/tabletv1/tabletv1connect"
)

// headerTime bounds how long a client may take to send a request's header.
const headerTime = 10 * time.Second

// serve answers the agent's service, /healthz and /metrics until ctx ends.
func (a *Agent) serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	path, handler := tabletv1connect.NewTabletServiceHandler(&service{agent: a})
	mux.Handle(path, handler)
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Handler: mux, Protocols: protocols, ReadHeaderTimeout: headerTime,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	a.log.Info("agent_listening", "addr", l.Addr().String())
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the agent's service: %w", err)
	}
	return nil
}

// healthz says ready only when the server plays the role that the topology gives it.
func (a *Agent) healthz(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	ready, why := a.ready, a.lastError
	a.mu.Unlock()
	if ready {
		if last, _ := a.hub.Last(); last.GetServer().DiskFreeBytes != nil && last.GetServer().GetDiskFreeBytes() < a.cfg.MinFreeBytes {
			ready, why = false, fmt.Sprintf("only %d bytes are free on the server's disk", last.GetServer().GetDiskFreeBytes())
		}
	}
	if !ready {
		if why == "" {
			why = "the server has no role yet"
		}
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// metrics are the agent's figures for Prometheus. An unknown value leaves its series out.
type metrics struct {
	registry *prometheus.Registry
	gauges   map[string]*prometheus.GaugeVec
}

// gaugeHelp names the figures.
func gaugeHelp() map[string]string {
	return map[string]string{
		"term":                  "Newest term of the shard that the agent has seen.",
		"fenced":                "1 while the agent holds the server closed to writes.",
		"server_responding":     "1 if the server answers the agent.",
		"server_read_only":      "1 if the server is read-only.",
		"threads_connected":     "Connections to the server.",
		"threads_running":       "Connections that run a statement.",
		"stuck_commits":         "Commits that have waited for an acknowledgement for a second or more.",
		"disk_free_bytes":       "Free space where the server writes.",
		"probe_seconds":         "How long the server took to tell its state.",
		"heartbeat_lag_seconds": "Age of the newest heartbeat of the primary.",
		"seconds_behind":        "The server's own figure of its lag.",
		"redo_undecided":        "Transactions across shards that wait for their decision.",
	}
}

func newMetrics(registry *prometheus.Registry, cfg Config) *metrics {
	m := &metrics{registry: registry, gauges: map[string]*prometheus.GaugeVec{}}
	labels := prometheus.Labels{"tablet": cfg.Alias, "keyspace": cfg.Keyspace, "shard": cfg.Shard}
	for name, help := range gaugeHelp() {
		// A vector without labels, because only a vector can be without a value.
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "pelorus", Subsystem: "tablet", Name: name, Help: help, ConstLabels: labels}, nil)
		registry.MustRegister(g)
		m.gauges[name] = g
	}
	return m
}

// update takes the figures from a status.
func (m *metrics) update(s *tabletv1.FullStatus) {
	set := func(name string, known bool, v float64) {
		if known {
			m.gauges[name].WithLabelValues().Set(v)
		} else {
			m.gauges[name].Reset()
		}
	}
	srv, lag := s.GetServer(), s.GetLag()
	set("term", s.Term != nil, float64(s.GetTerm()))
	set("fenced", s.Fenced != nil, oneIf(s.GetFenced()))
	set("server_responding", srv != nil && srv.Responding != nil, oneIf(srv.GetResponding()))
	set("server_read_only", srv != nil && srv.ReadOnly != nil, oneIf(srv.GetReadOnly()))
	set("threads_connected", srv != nil && srv.ThreadsConnected != nil, float64(srv.GetThreadsConnected()))
	set("threads_running", srv != nil && srv.ThreadsRunning != nil, float64(srv.GetThreadsRunning()))
	set("stuck_commits", srv != nil && srv.StuckCommits != nil, float64(srv.GetStuckCommits()))
	set("disk_free_bytes", srv != nil && srv.DiskFreeBytes != nil, float64(srv.GetDiskFreeBytes()))
	set("probe_seconds", srv != nil && srv.ProbeDuration != nil, srv.GetProbeDuration().AsDuration().Seconds())
	set("heartbeat_lag_seconds", lag != nil && lag.HeartbeatLag != nil, lag.GetHeartbeatLag().AsDuration().Seconds())
	set("seconds_behind", lag != nil && lag.SecondsBehind != nil, float64(lag.GetSecondsBehind()))
	set("redo_undecided", s.GetRedo() != nil && s.GetRedo().Undecided != nil, float64(s.GetRedo().GetUndecided()))
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
