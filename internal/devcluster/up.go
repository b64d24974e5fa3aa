package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// roleTime is how long a role may take until it answers; serversTime how long all servers may take to be initialised and
	// started: a second or two each when they have to be made from nothing on a slow disk.
	roleTime    = 30 * time.Second
	serversTime = 3 * time.Minute
	// askStep is how often a condition is looked at that costs a request.
	askStep = 50 * time.Millisecond
	// abandonTime is how long the end of a start that failed may take.
	abandonTime = 2 * time.Minute
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
	// Servers is how many there are.
	Servers int
	Took    time.Duration

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

	// idle says that nothing of the cluster ran when we began.
	idle bool

	mu   sync.Mutex
	gone []exit
}

// Up starts what does not run of the cluster in the directory, makes it first if there is none, and returns when every shard answers
// through the gateway. It tells of its progress on w. When it fails or ctx ends, and nothing ran before, it ends what it has started;
// the data stays, for another try or Down.
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
		err = st.abandon(ctx, err)
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
	c.Shards, c.Servers = s.shards(), len(s.byRole(RoleTablet))
	return c, nil
}

// Release lets other commands work on the cluster. The processes go on.
func (c *Cluster) Release() { c.dir.close() }

// abandon leaves, after a start that failed, nothing behind that was not there before: no process, and no directory if there
// never was a cluster in it.
func (st *starter) abandon(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		cause = fmt.Errorf("the start was interrupted: %w", context.Cause(ctx))
	}
	if _, err := os.Stat(st.d.statePath()); errors.Is(err, fs.ErrNotExist) {
		return errors.Join(cause, st.d.discard())
	}
	if !st.idle || len(st.gone) == 0 {
		return cause
	}
	st.say("ending what was started")
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer cancel()
	if _, err := st.d.stopAll(end); err != nil {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("%w\nthe data stays in %s: `pelorus up` continues with it, `pelorus down --purge` removes it (both with --dir)", cause, st.d.path)
}

func (st *starter) up(ctx context.Context, o Options) error {
	d := st.d
	running, err := d.find()
	if err != nil {
		return err
	}
	st.idle = len(running) == 0
	alloc := newAllocator(d.statePath(), d.state)
	defer alloc.close() // when everything listens
	if err := d.prepare(ctx, o, alloc, running); err != nil {
		return err
	}
	s := d.state
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
