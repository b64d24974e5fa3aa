package session

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pelorusdb/pelorus/internal/gateway/plancache"
)

// Registry knows the sessions of one gateway. Safe for concurrent use.
type Registry struct {
	started time.Time
	lastID  atomic.Uint32
	mu      sync.Mutex
	m       map[uint32]*Session
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry { return &Registry{started: time.Now(), m: map[uint32]*Session{}} }

func (r *Registry) next() uint32 {
	for {
		if id := r.lastID.Add(1); id != 0 {
			return id
		}
	}
}

func (r *Registry) add(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.m[s.id] = s
}

func (r *Registry) remove(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.m, s.id)
}

func (r *Registry) find(id uint64) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.m[uint32(id)]
}

func (r *Registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.m)
}

// list returns the sessions in the order of their ids.
func (r *Registry) list() []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := make([]*Session, 0, len(r.m))
	for _, s := range r.m {
		l = append(l, s)
	}
	slices.SortFunc(l, func(a, b *Session) int { return int(a.id) - int(b.id) })
	return l
}

// Metrics are the counters of all sessions of a gateway.
type Metrics struct {
	Errors   prometheus.Counter
	Sessions prometheus.GaugeFunc
	Plans    prometheus.GaugeFunc
}

// NewMetrics registers the counters.
func NewMetrics(reg prometheus.Registerer, r *Registry, plans *plancache.Cache) *Metrics {
	m := &Metrics{
		Errors:   prometheus.NewCounter(prometheus.CounterOpts{Name: "pelorus_gateway_errors_total", Help: "Statements answered with an error by the gateway itself."}),
		Sessions: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pelorus_gateway_sessions", Help: "Client connections."}, func() float64 { return float64(r.count()) }),
		Plans:    prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pelorus_gateway_plans", Help: "Plans in the cache."}, func() float64 { return float64(plans.Len()) }),
	}
	reg.MustRegister(m.Errors, m.Sessions, m.Plans)
	return m
}

// likePattern matches SQL LIKE without regard to case, with % and _ and the backslash as escape.
func likePattern(s, pattern string) bool {
	return likeMatch([]rune(strings.ToLower(s)), []rune(strings.ToLower(pattern)))
}

func likeMatch(s, p []rune) bool {
	// Greedy matching with one point to fall back to: linear in practice, never exponential.
	si, pi, star, mark := 0, 0, -1, 0
	for si < len(s) {
		switch {
		case pi < len(p) && p[pi] == '%':
			star, mark = pi, si
			pi++
		case pi+1 < len(p) && p[pi] == '\\' && p[pi+1] == s[si]:
			pi += 2
			si++
		case pi < len(p) && (p[pi] == '_' || p[pi] == s[si] && p[pi] != '\\'):
			pi++
			si++
		case star >= 0:
			mark++
			si, pi = mark, star+1
		default:
			return false
		}
	}
	for pi < len(p) && p[pi] == '%' {
		pi++
	}
	return pi == len(p)
}
