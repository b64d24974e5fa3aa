package fleet_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
	"github.com/pelorusdb/pelorus/internal/orch/fleet"
	"github.com/pelorusdb/pelorus/internal/orch/orchtest"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/mem"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventually waits for a condition of what the fleet sees.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

func TestFleetSeesAndForgets(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store := mem.New()
	defer store.Close()
	tp := topo.New(store).WithLogger(log)
	if err := tp.CreateKeyspace(t.Context(), &topov1.Keyspace{Name: proto.String("shop")}); err != nil {
		t.Fatal(err)
	}
	w := orchtest.New(t, tp, "shop", "0", "zone1-101", "zone1-102")
	w.Reign("zone1-101", 1)
	dialer := fleet.NewDialer()
	defer dialer.Close()
	f := fleet.New(tp, dialer, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()

	observe := func() evidence.Observation {
		rec, _, err := tp.TabletByAlias(t.Context(), "zone1-102")
		if err != nil {
			t.Fatal(err)
		}
		return f.Observe(rec)
	}
	eventually(t, "a report", func() bool { return !observe().Stale(time.Now()) })
	w.Do("zone1-102", (*orchtest.Server).Kill)
	eventually(t, "the death of the server", func() bool {
		o := observe()
		return o.Status.GetServer().Responding != nil && !o.Status.GetServer().GetResponding()
	})
	w.Do("zone1-102", (*orchtest.Server).Mute)
	eventually(t, "the silence of the agent", func() bool { return observe().Unreachable != "" })
	eventually(t, "that the old report is not believed any more", func() bool { return observe().Stale(time.Now()) })
	w.Do("zone1-102", (*orchtest.Server).Unmute)
	eventually(t, "that the agent is back", func() bool { o := observe(); return o.Unreachable == "" && !o.Stale(time.Now()) })
	gone := observe().Record
	if err := tp.DeleteTablet(t.Context(), "zone1-102"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that a deleted tablet is forgotten", func() bool { return f.Observe(gone).Status == nil })
	cancel()
	<-done
}

// TestRefused: a host that answers that nobody listens is told from one that says nothing: the first is evidence of a death.
func TestRefused(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store := mem.New()
	defer store.Close()
	tp := topo.New(store).WithLogger(log)
	if err := tp.CreateKeyspace(t.Context(), &topov1.Keyspace{Name: proto.String("shop")}); err != nil {
		t.Fatal(err)
	}
	w := orchtest.New(t, tp, "shop", "0", "zone1-101")
	dialer := fleet.NewDialer()
	defer dialer.Close()
	f := fleet.New(tp, dialer, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	defer func() { cancel(); <-done }()

	rec, _, err := tp.TabletByAlias(t.Context(), "zone1-101")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a report", func() bool { return f.Observe(rec).Status != nil })
	w.Do("zone1-101", (*orchtest.Server).Mute)
	eventually(t, "that it says nothing", func() bool { return f.Observe(rec).Unreachable != "" })
	since := f.Observe(rec).Since
	if o := f.Observe(rec); o.Refused || o.TriedAt.IsZero() || since.IsZero() {
		t.Errorf("an agent that ends its streams is no dead one: %+v", o)
	}
	w.Do("zone1-101", (*orchtest.Server).Close)
	eventually(t, "that nobody listens", func() bool { return f.Observe(rec).Refused })
	if o := f.Observe(rec); !o.Since.Equal(since) || !o.TriedAt.After(since) {
		t.Errorf("it was lost at %s: %+v", since, o)
	}
}
