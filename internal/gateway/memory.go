package gateway

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/budget"
	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/session"
)

const (
	// leastMemory and packetsInMemory are what a gateway needs to work at all: half of its memory is the budget, three
	// quarters of which must hold a packet of the largest size, its parts for two shards and some room to spare.
	leastMemory     = 128 << 20
	packetsInMemory = 8
	// memoryWait is how long a large statement waits for memory.
	memoryWait = 10 * time.Second
	// stallTime is how long a client may keep others waiting: it does not take its rows, or does not finish its command.
	stallTime = 2 * time.Second
	// reliefStep is how often it is looked whether somebody waits: together with stallTime the time after which
	// waiting ends.
	reliefStep = 250 * time.Millisecond
)

// memory returns how much memory the gateway aims to stay below, in bytes: as configured, or half of what the machine
// or its control group has.
func (c *Config) memory() int {
	if c.Memory > 0 {
		return c.Memory
	}
	return max(machineMemory()/2, leastMemory, packetsInMemory*c.MaxPacket)
}

// machineMemory returns the memory that processes here may use, in bytes; 2 GiB if nothing tells.
func machineMemory() int {
	total := 2 << 30
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if rest, ok := strings.CutPrefix(string(b), "MemTotal:"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				if kib, err := strconv.Atoi(f[0]); err == nil {
					total = kib << 10
				}
			}
		}
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil { // "max" is no number
			total = min(total, n)
		}
	}
	return total
}

// limitHeap has garbage collected before the heap grows past the gateway's memory, unless GOMEMLIMIT says otherwise.
func limitHeap(bytes int, log *slog.Logger) {
	const none = math.MaxInt64
	if debug.SetMemoryLimit(-1) != none {
		return
	}
	debug.SetMemoryLimit(int64(bytes))
	log.Info("memory is limited", "bytes", bytes, "for_large_statements", bytes/2)
}

// relieve ends clients that keep others waiting, until ctx ends.
func (g *gateway) relieve(ctx context.Context) {
	for pause(ctx, reliefStep) {
		all := g.shared.Clients
		for _, p := range g.targets.Pools() {
			if n := p.Stats().Waiting; n > 0 {
				g.cut.WithLabelValues("connection").Add(float64(cutStalled(all, p, n)))
			}
		}
		if n := g.memory.Stats().Waiting; n > 0 {
			g.cut.WithLabelValues("memory").Add(float64(cutStalled(all, nil, n)))
		}
	}
}

// cutStalled ends sessions whose client has stalled for stallTime, those that have the longest first, because others wait for
// what they hold: a connection of the pool or, if that is nil, memory. It ends no more than so many and returns how many.
func cutStalled(all *clients.Registry, p *pool.Pool, most int) int {
	type victim struct {
		s     *session.Session
		since time.Duration
	}
	now := time.Now()
	var found []victim
	for _, c := range all.List() {
		s, ok := c.Session().(*session.Session)
		if !ok {
			continue
		}
		if d := s.Stalled(now); d >= stallTime && s.Holds(p) {
			found = append(found, victim{s, d})
		}
	}
	slices.SortFunc(found, func(a, b victim) int { return cmp.Compare(b.since, a.since) })
	found = found[:min(len(found), most)]
	what := "memory of the gateway"
	if p != nil {
		what = "a connection to the server at " + p.Addr()
	}
	for _, v := range found {
		v.s.Cut(errcode.New(errcode.ClientStalled, v.since.Round(time.Millisecond), what))
	}
	return len(found)
}

// newCut makes the counter of clients that were cut off for others' sake.
func newCut() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pelorus_gateway_clients_cut_total", Help: "Clients cut off because they stalled and others waited for what they held.",
	}, []string{"for"})
}

// memoryCollector exports the readings of the budget and of the statements that wait for a primary.
type memoryCollector struct {
	memory *budget.Budget
	queue  *route.Queue
}

var (
	memoryBytes  = prometheus.NewDesc("pelorus_gateway_memory_bytes", "Memory for large statements.", []string{"state"}, nil)
	memoryClaims = prometheus.NewDesc("pelorus_gateway_memory_claims_total", "Claims of memory that were not granted at once.", []string{"result"}, nil)
	heldNow      = prometheus.NewDesc("pelorus_gateway_held_statements", "Statements that wait for a primary.", nil, nil)
	heldRefused  = prometheus.NewDesc("pelorus_gateway_held_refused_total", "Statements refused because too many wait for a primary.", nil, nil)
)

// Describe names the metrics.
func (c memoryCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{memoryBytes, memoryClaims, heldNow, heldRefused} {
		ch <- d
	}
}

// Collect reads them.
func (c memoryCollector) Collect(ch chan<- prometheus.Metric) {
	st := c.memory.Stats()
	ch <- prometheus.MustNewConstMetric(memoryBytes, prometheus.GaugeValue, float64(st.Limit), "limit")
	ch <- prometheus.MustNewConstMetric(memoryBytes, prometheus.GaugeValue, float64(st.Used), "used")
	ch <- prometheus.MustNewConstMetric(memoryClaims, prometheus.CounterValue, float64(st.Waits), "waited")
	ch <- prometheus.MustNewConstMetric(memoryClaims, prometheus.CounterValue, float64(st.Refused), "refused")
	held, _, refused := c.queue.Stats()
	ch <- prometheus.MustNewConstMetric(heldNow, prometheus.GaugeValue, float64(held))
	ch <- prometheus.MustNewConstMetric(heldRefused, prometheus.CounterValue, float64(refused))
}
