package agent

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/presence"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"

	"google.golang.org/protobuf/proto"
)

// told is what vitals put into a status.
func told(v *vitals, managed bool, now time.Time) *tabletv1.FullStatus {
	s := &tabletv1.FullStatus{Server: &tabletv1.ServerStatus{}}
	v.fill(s, managed, now)
	return s
}

func TestVitalsOfWrites(t *testing.T) {
	v, now := newVitals(), time.Now()
	if s := told(v, false, now).Server; s.DiskBlockedFor != nil || s.CommitBlockedFor != nil || s.Starting != nil {
		t.Errorf("what was never tried is known: %v", s)
	}
	done := v.track(&v.disk)
	if got := told(v, true, time.Now().Add(time.Minute)).Server.DiskBlockedFor.AsDuration(); got < time.Minute {
		t.Errorf("a write that hangs: %s", got)
	}
	done()
	if s := told(v, true, now).Server; s.DiskBlockedFor == nil || s.DiskBlockedFor.AsDuration() != 0 || s.CommitBlockedFor != nil || s.GetStarting() {
		t.Errorf("a write that came back: %v", s)
	}
	v.forget(&v.disk)
	v.setStarting(true)
	if s := told(v, true, now).Server; s.DiskBlockedFor != nil || !s.GetStarting() {
		t.Errorf("a write that is made no more, a server that starts: %v", s)
	}
}

func TestVitalsOfPauses(t *testing.T) {
	v, now := newVitals(), time.Now()
	v.ticked(clockTick+pauseLeast, now)
	if h := told(v, true, now).Host; h.PausedFor != nil || h.PausedUntil != nil {
		t.Errorf("a short gap is a pause: %v", h)
	}
	v.ticked(20*time.Second, now)
	v.ticked(5*time.Second, now.Add(10*time.Second))
	h := told(v, true, now.Add(time.Second)).Host
	if h.PausedFor.AsDuration() != 20*time.Second-clockTick || !h.PausedUntil.AsTime().Equal(now) {
		t.Errorf("the longest pause: %v", h)
	}
	if h := told(v, true, now.Add(pauseKept+1)).Host; h.PausedFor != nil {
		t.Errorf("an old pause: %v", h)
	}
}

func TestWatchClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVitals()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		v.watchClock(ctx)
		if h := told(v, true, time.Now()).Host; h.PausedFor != nil {
			t.Errorf("a clock that runs: %v", h)
		}
	})
}

// TestHiddenFields: what is hidden is not told, and the agent itself still knows it.
func TestHiddenFields(t *testing.T) {
	s := &tabletv1.FullStatus{Term: proto.Uint64(7), Server: &tabletv1.ServerStatus{Running: proto.Bool(true), Pid: proto.Uint32(1)}}
	paths, err := presence.ParsePaths(s, "10,12.1")
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{hidden: paths}
	got := a.told(s)
	if got.Term != nil || got.Server.Running != nil || got.Server.GetPid() != 1 || s.GetTerm() != 7 || !s.Server.GetRunning() {
		t.Errorf("told %v of %v", got, s)
	}
	if a.hidden = nil; a.told(s) != s {
		t.Error("a status of which nothing is hidden is copied")
	}
}

func TestWriteFlushed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.probe")
	for range 2 {
		if err := writeFlushed(path); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || len(b) == 0 || len(b) > 64 {
		t.Errorf("%q, %v", b, err)
	}
	if err := writeFlushed(filepath.Join(path, "no", "directory")); err == nil {
		t.Error("a write that fails is not told")
	}
}
