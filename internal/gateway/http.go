package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
	"github.com/pelorusdb/pelorus/internal/topo"
)

// serveHTTP serves metrics and health. The returned function ends it.
func (g *gateway) serveHTTP() (stop func(), err error) {
	lis, err := net.Listen("tcp", g.cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	g.reg.MustRegister(collectors.NewGoCollector(), poolCollector{g}, memoryCollector{g.memory, g.queue}, g.cut)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if why := g.notReady(); why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	if g.cfg.Profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("metrics ended", "error", err)
		}
	}()
	return func() {
		_ = srv.Close()
		<-done
	}, nil
}

// notReady says why the gateway can't do its job, "" if it can.
func (g *gateway) notReady() string {
	if !g.ready.Load() {
		return "no server's version is known yet"
	}
	for _, ks := range g.targets.Current().Keyspaces {
		for _, sh := range ks.Shards {
			if sh.Primary == nil {
				return "shard " + ks.Name + "/" + sh.Name + " has no primary"
			}
		}
	}
	return ""
}

// poolCollector exports the readings of all pools.
type poolCollector struct{ g *gateway }

var (
	poolOpen = prometheus.NewDesc("pelorus_gateway_pool_connections", "Connections to a server.", []string{"server", "state"}, nil)
	poolSum  = prometheus.NewDesc("pelorus_gateway_pool_events_total", "Events of a server's pool.", []string{"server", "event"}, nil)
)

// Describe names the metrics.
func (c poolCollector) Describe(ch chan<- *prometheus.Desc) { ch <- poolOpen; ch <- poolSum }

// Collect reads the pools.
func (c poolCollector) Collect(ch chan<- prometheus.Metric) {
	for server, p := range c.g.targets.Pools() {
		st := p.Stats()
		for state, v := range map[string]int{"open": st.Open, "idle": st.Idle, "waiting": st.Waiting} {
			ch <- prometheus.MustNewConstMetric(poolOpen, prometheus.GaugeValue, float64(v), server, state)
		}
		for event, v := range map[string]uint64{"dial": st.Dials, "wait": st.Waits, "timeout": st.Timeouts, "reset": st.Resets, "stale": st.StaleDiscarded} {
			ch <- prometheus.MustNewConstMetric(poolSum, prometheus.CounterValue, float64(v), server, event)
		}
	}
}

func isTooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func stack() string { return string(debug.Stack()) }

// AlterVSchema applies an ALTER VSCHEMA statement to the keyspace's document, by compare-and-put.
func (g *gateway) AlterVSchema(ctx context.Context, keyspace, sql string) error {
	alter, err := vschema.ParseAlter(sql)
	if err != nil {
		return err
	}
	const tries = 5
	for range tries {
		doc := "{}"
		rec, rev, err := g.topo.VSchema(ctx, keyspace)
		switch {
		case err == nil:
			doc = rec.GetJson()
		case !errors.Is(err, topo.ErrNotFound):
			return err
		}
		text, err := vschema.Apply(doc, alter)
		if err != nil {
			return err
		}
		if problems := vschema.Check(g.targets.VSchemas(), g.targets.RoutingRules(), keyspace, text, vindex.Options{}); len(problems) > 0 {
			return errcode.New(errcode.InvalidVSchema, keyspace, errors.Join(problems...).Error())
		}
		_, err = g.topo.PutVSchema(ctx, keyspace, &topov1.VSchema{Json: &text}, rev)
		if err == nil || !errors.Is(err, topo.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("vschema of keyspace %s: %w", keyspace, topo.ErrConflict)
}
