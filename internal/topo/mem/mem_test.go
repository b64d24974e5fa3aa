package mem_test

import (
	"context"
	"testing"

	"github.com/pelorusdb/pelorus/internal/topo/mem"
	"github.com/pelorusdb/pelorus/internal/topo/topotest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	topotest.Run(t, func(t *testing.T) topotest.Harness {
		s := mem.New()
		t.Cleanup(func() { s.Close() })
		return topotest.Harness{Store: s, Compact: func(_ context.Context, rev int64) error { s.Compact(rev); return nil }}
	})
}

func TestClosedStoreRefuses(t *testing.T) {
	s := mem.New()
	events, err := s.Watch(t.Context(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, ok := <-events; ok {
		t.Error("a watch sent something after the store closed")
	}
	if _, _, err := s.List(t.Context(), ""); err == nil {
		t.Error("a closed store listed")
	}
}
