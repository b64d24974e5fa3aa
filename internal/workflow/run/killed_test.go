package run_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/etcd"
	"github.com/pelorusdb/pelorus/internal/topo/etcd/embed"
	"github.com/pelorusdb/pelorus/internal/workflow/run"
)

// childEndpoint makes the test binary a control node that begins a workflow and hangs in its second step.
const childEndpoint = "PELORUS_TEST_ETCD"

// takeOverWithin bounds the time from a node's death to the next beginning of its step: the lock's life of 2 s, at the end of which
// etcd looks twice in a second; the rest is for a busy machine.
const takeOverWithin = 2*time.Second + 500*time.Millisecond + 6*time.Second

// TestNodeIsKilled ends a node as kill -9 does: nothing is given back, nobody says good-bye.
func TestNodeIsKilled(t *testing.T) {
	if endpoint := os.Getenv(childEndpoint); endpoint != "" {
		hang(t, endpoint)
		return
	}
	cfg := embed.DefaultConfig()
	cfg.DataDir = filepath.Join(t.TempDir(), "topo")
	cfg.ClientPort, cfg.PeerPort = freePort(t), freePort(t)
	etcdNode, err := embed.Start(t.Context(), cfg, quiet)
	must(t, err)
	defer etcdNode.Stop()

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestNodeIsKilled$")
	child.Env = append(os.Environ(), childEndpoint+"="+cfg.Endpoint())
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "hangs") {
	}
	must(t, child.Process.Kill())
	killed := time.Now()
	if err := child.Wait(); err == nil {
		t.Error("the node ended well")
	}

	store, err := etcd.Open(etcd.Config{Endpoints: []string{cfg.Endpoint()}, Logger: quiet})
	must(t, err)
	defer store.Close()
	d := &diary{}
	r, stop := node(t, topo.New(store).WithLogger(quiet), "n2", one(d.step("a"), d.step("b"), d.step("c")))
	defer stop()
	w := until(t, r, done)
	wantDiary(t, d, "[b c]") // the first step was done and recorded
	took := w.GetOwner().GetSince().AsTime().Sub(killed)
	t.Logf("taken over %s after the death", took.Round(time.Millisecond))
	if took > takeOverWithin {
		t.Errorf("taken over after %s, want %s at most", took, takeOverWithin)
	}
}

func hang(t *testing.T, endpoint string) {
	store, err := etcd.Open(etcd.Config{Endpoints: []string{endpoint}, Logger: quiet})
	must(t, err)
	d := &diary{}
	b := d.step("b")
	b.Do = func(ctx context.Context, _ *run.Work) error {
		os.Stdout.WriteString("it hangs\n")
		<-ctx.Done()
		return ctx.Err()
	}
	r, _ := node(t, topo.New(store).WithLogger(quiet), "n1", one(d.step("a"), b, d.step("c")))
	begin(t, r)
	until(t, r, done)
}
