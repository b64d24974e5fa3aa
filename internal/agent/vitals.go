package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
)

const (
	// clockTick is how often the agent looks at the clock to notice that it was stopped; a gap beyond pauseLeast is a pause.
	clockTick  = 250 * time.Millisecond
	pauseLeast = time.Second
	// pauseKept is how long a pause stays in the status.
	pauseKept = time.Minute
	// diskTick is how often a small write beside the data is flushed.
	diskTick = time.Second
	// lastWrite is how long the agent's end waits for such a write that is under way.
	lastWrite = time.Second
)

// vitals is what the agent finds out about its host, and about writes that do not come back. It is safe for concurrent use.
type vitals struct {
	bootID string

	mu sync.Mutex
	// pausedFor and pausedUntil are the longest pause of late; zero without one.
	pausedFor   time.Duration
	pausedUntil time.Time
	// disk and commit are the writes under way.
	disk, commit pending
	// starting says that this agent has launched the server and it does not greet yet.
	starting bool
}

// pending is a write that is made again and again. It is known after the first attempt.
type pending struct {
	tried bool
	// since is when the write that is under way began; zero while none is.
	since time.Time
}

func newVitals() *vitals {
	v := &vitals{}
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		v.bootID = strings.TrimSpace(string(b))
	}
	return v
}

// track notes that a write begins, and by the returned function that it has come back, if only with an error.
func (v *vitals) track(p *pending) (done func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p.tried, p.since = true, time.Now()
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		p.since = time.Time{}
	}
}

// forget makes a write that is not made any more unknown.
func (v *vitals) forget(p *pending) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*p = pending{}
}

func (v *vitals) setStarting(on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.starting = on
}

// ticked notes the time between two looks at the clock.
func (v *vitals) ticked(gap time.Duration, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.pausedUntil) > pauseKept {
		v.pausedFor, v.pausedUntil = 0, time.Time{}
	}
	if gap -= clockTick; gap > pauseLeast && gap >= v.pausedFor {
		v.pausedFor, v.pausedUntil = gap, now
	}
}

// fill puts what is known into a status. managed says that the server is the agent's own, so that it knows of its starts.
func (v *vitals) fill(s *tabletv1.FullStatus, managed bool, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s.Host = &tabletv1.HostStatus{}
	if v.bootID != "" {
		s.Host.BootId = proto.String(v.bootID)
	}
	if v.pausedFor > 0 && now.Sub(v.pausedUntil) <= pauseKept {
		s.Host.PausedFor, s.Host.PausedUntil = durationpb.New(v.pausedFor), timestamppb.New(v.pausedUntil)
	}
	if managed {
		s.Server.Starting = proto.Bool(v.starting)
	}
	s.Server.DiskBlockedFor, s.Server.CommitBlockedFor = v.disk.blockedFor(now), v.commit.blockedFor(now)
}

func (p pending) blockedFor(now time.Time) *durationpb.Duration {
	switch {
	case !p.tried:
		return nil
	case p.since.IsZero():
		return durationpb.New(0)
	}
	return durationpb.New(now.Sub(p.since))
}

// watchClock notices pauses of the agent, which are mostly those of its host, until ctx ends.
func (v *vitals) watchClock(ctx context.Context) {
	last := time.Now()
	for pause(ctx, clockTick) {
		now := time.Now()
		v.ticked(now.Sub(last), now)
		last = now
	}
}

// watchDisk writes a small file beside the data and flushes it, again and again, until ctx ends. That a write hangs is in the status;
// a write that fails has come back, and what it says is in the log, once. At the end a write that hangs is not waited for.
func (a *Agent) watchDisk(ctx context.Context, dir string) {
	path, failing := filepath.Join(dir, "disk.probe"), false
	for pause(ctx, diskTick) {
		done := a.vitals.track(&a.vitals.disk)
		written := make(chan error, 1)
		go func() { written <- writeFlushed(path) }()
		var err error
		select {
		case err = <-written:
		case <-ctx.Done():
			select {
			case err = <-written:
			case <-time.After(lastWrite):
				return
			}
		}
		done()
		if (err != nil) != failing {
			failing = err != nil
			a.log.Warn("disk_probe", "failing", failing, "error", err)
		}
	}
}

func writeFlushed(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("try the disk: %w", err)
	}
	_, err = f.WriteString(time.Now().UTC().Format(time.RFC3339Nano) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("try the disk: %w", err)
	}
	return nil
}
