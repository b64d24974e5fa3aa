package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pelorusdb/pelorus/internal/topo/credentials"
)

const (
	// roleTime is how long a role may take until it answers; serversTime how long all servers may take to be initialised and
	// started: a second or two each when they have to be made from nothing on a slow disk.
	roleTime    = 30 * time.Second
	serversTime = 3 * time.Minute
	// askStep is how often a condition is looked at that costs a request.
	askStep = 50 * time.Millisecond
	// watchStep is how often a cluster in the foreground is looked at.
	watchStep = 500 * time.Millisecond
)

// Cluster is a local cluster that has been started.
type Cluster struct {
	Dir     string
	Gateway string // HOST:PORT of the first gateway
	Control string // HOST:PORT of the first control node
	Etcd    []string
	Flavor  string
	Mysqld  string
	// Shards are KEYSPACE/SHARD, in the order of the spec.
	Shards []string
	Took   time.Duration

	dir *directory
}

// exit is a process that we are the parent of.
type exit struct {
	name string
	done <-chan struct{}
}

// starter brings a cluster up.
type starter struct {
	d     *directory
	say   func(format string, args ...any)
	began time.Time

	mu   sync.Mutex
	gone []exit
}

// Up starts what does not run of the cluster in the directory, makes it first if there is none, and returns when every shard answers
// through the gateway. It tells of its progress on w. What was started stays when it fails, for another try or Down.
func Up(ctx context.Context, o Options, w io.Writer) (*Cluster, error) {
	st := &starter{began: time.Now()}
	var sayMu sync.Mutex
	st.say = func(format string, args ...any) {
		sayMu.Lock()
		defer sayMu.Unlock()
		fmt.Fprintf(w, "%6.1fs  %s\n", time.Since(st.began).Seconds(), fmt.Sprintf(format, args...))
	}
	d, err := openDir(o.Dir, true)
	if err != nil {
		return nil, err
	}
	o.Dir = d.path
	st.d = d
	if err := st.up(ctx, o); err != nil {
		d.close()
		return nil, err
	}
	s := d.state
	c := &Cluster{
		Dir: d.path, Control: s.control(), Etcd: s.endpoints(), Flavor: s.Flavor, Mysqld: s.Mysqld, Took: time.Since(st.began), dir: d,
	}
	if g := s.byRole(RoleGateway); len(g) > 0 {
		c.Gateway = fmt.Sprintf("127.0.0.1:%d", g[0].Port)
	}
	c.Shards = s.shards()
	return c, nil
}

// Release lets other commands work on the cluster. The processes go on.
func (c *Cluster) Release() { c.dir.close() }

// Wait waits until ctx ends or no process is left, and tells meanwhile of processes that end. Call it after Release: other commands
// may stop, restart and add processes.
func (c *Cluster) Wait(ctx context.Context, say func(name string)) {
	before := found{}
	// The condition never fails: a look that did not work is followed by the next one.
	_ = until(ctx, watchStep, func() (bool, error) {
		now, err := find(c.Dir)
		if err != nil {
			return false, nil
		}
		for name := range before {
			if _, ok := now[name]; !ok && len(now) > 0 {
				say(name)
			}
		}
		before = now
		return len(now) == 0, nil
	})
}

func (st *starter) up(ctx context.Context, o Options) error {
	if err := st.prepare(ctx, o); err != nil {
		return err
	}
	d, s := st.d, st.d.state
	running, err := d.find()
	if err != nil {
		return err
	}
	if err := st.startTopo(ctx, running); err != nil {
		return err
	}
	// Everything else may start at once: each role waits by itself for what it needs.
	for _, role := range []string{RoleTablet, RoleControl} {
		if err := st.startRole(role, running); err != nil {
			return err
		}
	}
	api := newAPI(s.control())
	if err := st.await(ctx, roleTime, s.byRole(RoleControl), "control answers", func(ctx context.Context, p *process) error { return newAPI(addr(p)).ready(ctx) }); err != nil {
		return err
	}
	st.say("control ready")
	if err := st.createKeyspaces(ctx, api); err != nil {
		return err
	}
	if err := st.awaitServers(ctx, s.byRole(RoleTablet)); err != nil {
		return err
	}
	st.say("%d servers run (%s)", len(s.byRole(RoleTablet)), s.Flavor)
	if err := st.startRole(RoleGateway, running); err != nil {
		return err
	}
	if err := st.openShards(ctx, api); err != nil {
		return err
	}
	if err := st.load(ctx, api); err != nil {
		return err
	}
	if err := st.awaitShards(ctx); err != nil {
		return err
	}
	st.say("every shard answers through the gateway")
	return nil
}

// prepare makes or adapts the state and takes the ports.
func (st *starter) prepare(ctx context.Context, o Options) error {
	d := st.d
	fresh := d.state == nil
	if fresh {
		d.state = new(state)
	}
	ports := newAllocator(d.state)
	defer ports.close()
	if fresh {
		spec := DefaultSpec()
		if o.Spec != nil {
			spec = *o.Spec
		}
		if err := spec.Validate(); err != nil {
			return err
		}
		if err := plan(ctx, o, spec, ports, d.state); err != nil {
			return err
		}
		if _, err := os.Stat(d.credentials()); errors.Is(err, os.ErrNotExist) {
			if err := credentials.Generate().Save(d.credentials()); err != nil {
				return err
			}
		}
	} else if err := adapt(ctx, o, d.state); err != nil {
		return err
	}
	for role, bin := range o.Binaries {
		for _, p := range d.state.byRole(role) {
			p.Binary = bin
		}
	}
	return d.save()
}

func (st *starter) startTopo(ctx context.Context, running found) error {
	if err := st.startRole(RoleTopo, running); err != nil {
		return err
	}
	if err := st.await(ctx, roleTime, st.d.state.byRole(RoleTopo), "etcd answers", etcdAnswers); err != nil {
		return err
	}
	st.say("topology ready (etcd at %s)", strings.Join(st.d.state.endpoints(), ","))
	return nil
}

// startRole starts the processes of a role that do not run.
func (st *starter) startRole(role string, running found) error {
	for _, p := range st.d.state.byRole(role) {
		if _, ok := running[p.Name]; ok {
			continue
		}
		if err := st.startOne(p); err != nil {
			return err
		}
	}
	return nil
}

func (st *starter) startOne(p *process) error {
	if p.Role == RoleTablet {
		if err := os.MkdirAll(st.d.tabletDir(p.Tablet), 0o700); err != nil {
			return fmt.Errorf("make the directory of %s: %w", p.Tablet, err)
		}
	}
	done, err := st.d.start(p, st.d.args(p))
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.gone = append(st.gone, exit{name: p.Name, done: done})
	return nil
}

// ended says whether a process that we started has ended.
func (st *starter) ended(name string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	i := slices.IndexFunc(st.gone, func(e exit) bool { return e.name == name })
	if i < 0 {
		return false
	}
	select {
	case <-st.gone[i].done:
		return true
	default:
		return false
	}
}

// await waits until the condition holds for every process; it fails at once when one of them has ended.
func (st *starter) await(ctx context.Context, limit time.Duration, all []*process, what string, cond func(context.Context, *process) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range all {
		g.Go(func() error {
			var last error
			err := until(ctx, askStep, func() (bool, error) {
				if st.ended(p.Name) {
					return false, fmt.Errorf("%s ended at its start; the end of %s:\n%s", p.Name, st.d.log(p), st.d.tail(p))
				}
				if err := cond(ctx, p); err != nil {
					if ctx.Err() == nil {
						last = err
					}
					return false, nil
				}
				return true, nil
			})
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				return fmt.Errorf("%s: waiting until %s: %w (%v); see %s", p.Name, what, err, last, st.d.log(p))
			}
			return err
		})
	}
	return g.Wait()
}

// awaitServers waits until the servers of some agents answer. A server that `down` stopped stays stopped when its agent starts
// again, until somebody says otherwise: here.
func (st *starter) awaitServers(ctx context.Context, tablets []*process) error {
	return st.await(ctx, serversTime, tablets, "the server answers", func(ctx context.Context, p *process) error {
		s, err := agentStatus(ctx, p)
		if err != nil {
			return err
		}
		if srv := s.GetServer(); srv.Running != nil && !srv.GetRunning() {
			if err := startServer(ctx, p); err != nil {
				return err
			}
		}
		return serverAnswers(ctx, p)
	})
}

func addr(p *process) string { return fmt.Sprintf("127.0.0.1:%d", p.Port) }

// shards are the cluster's shards as KEYSPACE/SHARD in the order in which they were planned.
func (s *state) shards() []string {
	var out []string
	for _, p := range s.byRole(RoleTablet) {
		if name := p.Keyspace + "/" + p.Shard; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
