package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/devcluster"
	"github.com/pelorusdb/pelorus/test/servers"
)

// gateway is one that the test has started beside the cluster's own.
type gateway struct {
	*world
	pid  int
	log  string
	http string
}

// startGateway starts a gateway of the cluster and waits until it serves. w's fields that name a gateway name it then.
func (w *world) startGateway(args ...string) *gateway {
	w.t.Helper()
	dir := w.t.TempDir()
	sub := *w
	sub.Cluster = w.For(w.t)
	sub.Gateway = fmt.Sprintf("127.0.0.1:%d", servers.FreePort(w.t))
	g := &gateway{world: &sub, log: filepath.Join(dir, "gateway.log"), http: fmt.Sprintf("127.0.0.1:%d", servers.FreePort(w.t))}
	args = append([]string{"gateway", "--listen", sub.Gateway, "--http", g.http, "--credentials", filepath.Join(w.Dir, "credentials.yaml"),
		"--etcd", fmt.Sprintf("http://127.0.0.1:%d", w.process("topo").Port)}, args...)
	logFile, err := os.Create(g.log)
	if err != nil {
		w.t.Fatal(err)
	}
	defer logFile.Close()
	cmd := exec.Command(w.Bin, args...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	g.pid = cmd.Process.Pid
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself, which alive tells
		_ = cmd.Wait()
		if b, err := os.ReadFile(g.log); err == nil && w.t.Failed() {
			w.t.Logf("the end of the gateway's log:\n%s", b[max(0, len(b)-4<<10):])
		}
	})
	sub.WaitFor("the gateway", func() error {
		res, err := http.Get("http://" + g.http + "/healthz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
	return g
}

// in is the gateway with t as its test.
func (g *gateway) in(t *testing.T) *gateway {
	sub := *g
	sub.world = g.world.in(t)
	return &sub
}

func (g *gateway) process() devcluster.Process { return devcluster.Process{Log: g.log} }

// resetPeak makes the kernel forget the largest memory so far.
func (g *gateway) resetPeak() {
	g.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", g.pid), []byte("5"), 0); err != nil {
		g.t.Fatalf("reset the peak of the gateway's memory: %v", err)
	}
}

// alive proves that a new client is served.
func (g *gateway) alive() {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if err := g.DB(keyspace).PingContext(ctx); err != nil {
		b, _ := os.ReadFile(g.log) // the error above is what counts
		g.t.Fatalf("the gateway serves no new client: %v\n%s", err, b[max(0, len(b)-8<<10):])
	}
}

// metric sums the samples of a metric that carry a label.
func (g *gateway) metric(name, label string) (int, error) {
	res, err := http.Get("http://" + g.http + "/metrics")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, mib))
	if err != nil {
		return 0, err
	}
	sum, seen := 0, false
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, name+"{") || !strings.Contains(line, label) {
			continue
		}
		var n float64
		if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
			return 0, fmt.Errorf("read %s: %w", line, err)
		}
		sum, seen = sum+int(n), true
	}
	if !seen {
		return 0, fmt.Errorf("the gateway has no metric %s with %s", name, label)
	}
	return sum, nil
}
