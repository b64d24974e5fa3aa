package obs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestEventJSON(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, LogConfig{Format: "json", Level: "info"}, slog.String("role", "gateway"))
	if err != nil {
		t.Fatal(err)
	}
	Event(t.Context(), log, "primary_promoted", slog.Int("term", 7), Err(nil))
	log.Debug("not written")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	for k, want := range map[string]any{"event": "primary_promoted", "msg": "primary_promoted", "level": "INFO", "role": "gateway", "term": 7.0, "error": ""} {
		if line[k] != want {
			t.Errorf("%s = %v, want %v", k, line[k], want)
		}
	}
}

func TestLevelsAndFormats(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, LogConfig{Format: "text", Level: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	Event(t.Context(), log, "quiet")
	Warn(t.Context(), log, "disk_full", Err(errors.New("no space")))
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, `event=disk_full error="no space"`) {
		t.Errorf("log is %q", got)
	}
	for _, c := range []LogConfig{{"xml", "info"}, {"json", "loud"}, {}} {
		if _, err := NewLogger(&out, c); err == nil || c.Validate() == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	if err := DefaultLogConfig().Validate(); err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestMux(t *testing.T) {
	reg := NewRegistry("gateway")
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "pelorus_x", Help: "x"}))
	var notReady error
	mux := NewMux(reg, func(context.Context) error { return notReady })
	if code, body := get(t, mux, "/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz %d %q", code, body)
	}
	notReady = errors.New("topology not read yet")
	if code, body := get(t, mux, "/healthz"); code != 503 || body != "topology not read yet\n" {
		t.Errorf("healthz %d %q", code, body)
	}
	if code, body := get(t, mux, "/metrics"); code != 200 || !strings.Contains(body, "pelorus_x 0") || !strings.Contains(body, `role="gateway"`) || !strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics %d %.200q", code, body)
	}
}

func TestServe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, ln, NewMux(NewRegistry("test"), func(context.Context) error { return nil }))
	}()
	for _, http2 := range []bool{false, true} {
		p := new(http.Protocols)
		p.SetHTTP1(!http2)
		p.SetUnencryptedHTTP2(http2)
		tr := &http.Transport{Protocols: p}
		resp, err := (&http.Client{Transport: tr}).Get("http://" + ln.Addr().String() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		tr.CloseIdleConnections()
		if err != nil || string(body) != "ok\n" || (resp.ProtoMajor == 2) != http2 {
			t.Errorf("HTTP/%d answered %q, %v", resp.ProtoMajor, body, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve ended with %v", err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := Serve(t.Context(), closed, http.NotFoundHandler()); err == nil {
		t.Error("a closed listener gave no error")
	}
}
