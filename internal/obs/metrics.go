package obs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pelorusdb/pelorus/internal/version"
)

// NewRegistry makes a registry that already has the metrics of the process and the Go runtime, and pelorus_build_info with the
// role.
func NewRegistry(role string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	in := version.Get()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pelorus_build_info", Help: "Always 1; the labels say which build runs.",
		ConstLabels: prometheus.Labels{"role": role, "version": in.Version, "revision": in.Revision, "go": in.Go},
	})
	build.Set(1)
	reg.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Ready says whether a role can do its job; the error says why not. It must return quickly.
type Ready func(ctx context.Context) error

// readyTimeout bounds one call of Ready.
const readyTimeout = 2 * time.Second

// NewMux makes a handler with /metrics of the registry, and /healthz, which answers 200 "ok" when ready returns nil and 503 with the
// reason otherwise. The caller may add paths.
func NewMux(reg *prometheus.Registry, ready Ready) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg, MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := ready(ctx); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// Limits of the HTTP servers: slow or huge requests must not hold memory or goroutines.
const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	stopTimeout   = 3 * time.Second
)

// Serve answers HTTP/1 and cleartext HTTP/2 on a listener until ctx ends; then the contexts of open requests end too, and they have three
// seconds to finish. It closes the listener. The error is nil when ctx ended it.
func Serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, Protocols: protocols,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	end := context.AfterFunc(ctx, func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err := srv.Shutdown(bounded)
		if err != nil {
			err = srv.Close()
		}
		stopped <- err
	})
	err := srv.Serve(ln)
	if end() {
		return fmt.Errorf("serve http on %v: %w", ln.Addr(), err)
	}
	if err := <-stopped; err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("stop http on %v: %w", ln.Addr(), err)
	}
	return nil
}
