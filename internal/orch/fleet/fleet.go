// Package fleet keeps an eye on all tablets: a view of every keyspace by watches, and a status stream to each agent.
//
// It only observes. What comes in is kept in memory; nothing is written to the topology, and nothing is concluded.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/api/tabletv1/tabletv1connect"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
	"github.com/pelorusdb/pelorus/internal/topo"

	"connectrpc.com/connect"
)

const (
	// maxReport bounds one message of an agent: a full status with the largest GTID set that is parsed fits.
	maxReport = 16 << 20
	// silence is how long a stream may send nothing before it is given up: agents send at least each 500 ms.
	silence = 5 * time.Second
	// firstPause and lastPause bound the wait before an agent is called again.
	firstPause = 200 * time.Millisecond
	lastPause  = 5 * time.Second
)

// Dialer makes clients of agents; they share one HTTP/2 transport. Make it with NewDialer.
type Dialer struct {
	http *http.Client
}

// NewDialer makes a dialer. Close its idle connections by Close.
func NewDialer() *Dialer {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &Dialer{http: &http.Client{Transport: &http.Transport{
		Protocols:   protocols,
		DialContext: (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		// A peer that went without a word is noticed by a ping that it does not answer.
		HTTP2:           &http.HTTP2Config{SendPingTimeout: 3 * time.Second, PingTimeout: 3 * time.Second},
		IdleConnTimeout: time.Minute,
	}}}
}

// Agent returns the client of a tablet's agent; it connects at the first call.
func (d *Dialer) Agent(t *topov1.Tablet) tabletv1connect.TabletServiceClient {
	addr := net.JoinHostPort(t.GetHost(), strconv.FormatUint(uint64(t.GetAgentPort()), 10))
	return tabletv1connect.NewTabletServiceClient(d.http, "http://"+addr, connect.WithReadMaxBytes(maxReport))
}

// Close closes connections that are not in use.
func (d *Dialer) Close() { d.http.CloseIdleConnections() }

// Agents reaches the agent of a tablet.
type Agents interface {
	Agent(tablet *topov1.Tablet) tabletv1connect.TabletServiceClient
}

// Fleet is the newest view of everything. Make it with New, start it with Run; the rest may be called at any time.
type Fleet struct {
	topo   *topo.Topo
	agents Agents
	log    *slog.Logger

	mu        sync.Mutex
	keyspaces map[string]*topo.KeyspaceView
	reports   map[string]report
	// listed is closed when the keyspaces are known for the first time.
	listed     chan struct{}
	listedOnce sync.Once
}

// report is the newest word of one agent.
type report struct {
	status      *tabletv1.FullStatus
	at          time.Time
	unreachable string
	// refused, since and triedAt are of the attempts to reach it again.
	refused        bool
	since, triedAt time.Time
}

// New makes a fleet that knows nothing yet.
func New(t *topo.Topo, agents Agents, log *slog.Logger) *Fleet {
	return &Fleet{
		topo: t, agents: agents, log: log,
		keyspaces: make(map[string]*topo.KeyspaceView), reports: make(map[string]report), listed: make(chan struct{}),
	}
}

// Run watches until ctx ends.
func (f *Fleet) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	running := make(map[string]context.CancelFunc)
	for names := range f.topo.WatchKeyspaces(ctx) {
		for _, name := range names {
			if running[name] == nil {
				sub, cancel := context.WithCancel(ctx)
				running[name] = cancel
				wg.Go(func() { f.watchKeyspace(sub, name) })
			}
		}
		for name, cancel := range running {
			if !slices.Contains(names, name) {
				cancel()
				delete(running, name)
			}
		}
		f.listedOnce.Do(func() { close(f.listed) })
	}
	for _, cancel := range running {
		cancel()
	}
}

// Listed is closed when the topology has been read once.
func (f *Fleet) Listed() <-chan struct{} { return f.listed }

// watchKeyspace keeps the view of a keyspace and a stream to each of its tablets.
func (f *Fleet) watchKeyspace(ctx context.Context, name string) {
	var wg sync.WaitGroup
	defer wg.Wait()
	type stream struct {
		record *topov1.Tablet
		cancel context.CancelFunc
	}
	streams := make(map[string]stream)
	for view := range f.topo.WatchKeyspace(ctx, name) {
		f.mu.Lock()
		f.keyspaces[name] = view
		f.mu.Unlock()
		for alias, s := range streams {
			if t := view.Tablets[alias]; t == nil || !sameAgent(t, s.record) {
				s.cancel()
				delete(streams, alias)
			}
		}
		for alias, t := range view.Tablets {
			if _, ok := streams[alias]; !ok {
				sub, cancel := context.WithCancel(ctx)
				streams[alias] = stream{record: t, cancel: cancel}
				wg.Go(func() { f.follow(sub, t) })
			}
		}
	}
	for _, s := range streams {
		s.cancel()
	}
	f.mu.Lock()
	delete(f.keyspaces, name)
	f.mu.Unlock()
}

func sameAgent(a, b *topov1.Tablet) bool {
	return a.GetHost() == b.GetHost() && a.GetAgentPort() == b.GetAgentPort()
}

// follow keeps the status stream of one agent up.
func (f *Fleet) follow(ctx context.Context, t *topov1.Tablet) {
	defer f.forget(t.GetAlias())
	pause := firstPause
	for ctx.Err() == nil {
		heard, err := f.listen(ctx, t)
		if ctx.Err() != nil {
			return
		}
		f.unreachable(t.GetAlias(), err)
		if heard {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause + rand.N(pause/2)): // not all agents of a cluster at the same moment
		}
		pause = min(2*pause, lastPause)
	}
}

// listen reads one stream to its end and says whether anything came.
func (f *Fleet) listen(ctx context.Context, t *topov1.Tablet) (heard bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(fmt.Errorf("it sent nothing for %s", silence)) })
	defer quiet.Stop()
	stream, err := f.agents.Agent(t).WatchStatus(ctx, connect.NewRequest(&tabletv1.WatchStatusRequest{}))
	if err != nil {
		return false, reason(ctx, err)
	}
	defer stream.Close()
	for stream.Receive() {
		quiet.Reset(silence)
		heard = true
		f.mu.Lock()
		f.reports[t.GetAlias()] = report{status: stream.Msg().GetStatus(), at: time.Now()}
		f.mu.Unlock()
	}
	if err := stream.Err(); err != nil {
		return heard, reason(ctx, err)
	}
	return heard, errors.New("it ended its stream")
}

func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (f *Fleet) unreachable(alias string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.reports[alias]
	now := time.Now()
	r.triedAt, r.refused = now, errors.Is(err, syscall.ECONNREFUSED)
	if r.unreachable == "" {
		r.since = now
		f.log.Warn("agent cannot be heard", "tablet", alias, "error", err)
	}
	r.unreachable = err.Error()
	f.reports[alias] = r
}

func (f *Fleet) forget(alias string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.reports, alias)
}

// Keyspaces returns the views of all keyspaces by name. The map is the caller's, the views are shared.
func (f *Fleet) Keyspaces() map[string]*topo.KeyspaceView {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.keyspaces)
}

// Observe puts the newest report beside a tablet's record.
func (f *Fleet) Observe(t *topov1.Tablet) evidence.Observation {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.reports[t.GetAlias()]
	return evidence.Observation{
		Record: t, Status: r.status, ReceivedAt: r.at, Unreachable: r.unreachable, Refused: r.refused, Since: r.since, TriedAt: r.triedAt,
	}
}
