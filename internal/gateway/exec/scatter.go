package exec

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// maxParallel is how many shards one statement asks at the same time: enough to hide the slowest of them, few enough
// that one client does not empty the pools of a gateway with hundreds.
const maxParallel = 32

// openRoute asks the shards of a route; their rows come one shard after the other, while the others are already at
// work and held back by their connections' own flow control.
func (r *run) openRoute(ctx context.Context, route *plan.Route, plus uint64) (stream, error) {
	targets, err := r.targets(ctx, route, plus)
	if err != nil {
		return nil, err
	}
	c := &concat{run: r, lock: route.Lock, targets: targets, opened: make([]*opening, len(targets))}
	c.ctx, c.cancel = context.WithCancel(ctx)
	for i := range min(len(targets), maxParallel) {
		c.start(i)
	}
	if c.cur, err = c.await(0); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.cols = c.cur.Columns()
	return c, nil
}

// opening is a statement that was sent and whose answer is awaited.
type opening struct {
	done chan struct{}
	rows Rows
	err  error
}

// concat is the rows of several shards, one shard after the other.
type concat struct {
	run     *run
	ctx     context.Context
	cancel  context.CancelFunc
	lock    bool
	targets []target
	opened  []*opening
	next    int // the shard after the current
	cur     Rows
	cols    []wire.Column
	ok      wire.OK
	err     error
	closed  bool
}

// start sends the statement of one shard.
func (c *concat) start(i int) {
	o := &opening{done: make(chan struct{})}
	c.opened[i] = o
	t := c.targets[i]
	go func() {
		defer close(o.done)
		o.rows, o.err = c.run.s.Query(c.ctx, t.shard, Query{SQL: t.sql, Lock: c.lock})
	}()
}

// await returns the answer of shard i, which becomes the current one.
func (c *concat) await(i int) (Rows, error) {
	c.next = i + 1
	if ahead := i + maxParallel; i > 0 && ahead-1 < len(c.targets) && c.opened[ahead-1] == nil {
		c.start(ahead - 1)
	}
	o := c.opened[i]
	<-o.done
	return o.rows, o.err
}

func (c *concat) Columns() []wire.Column { return c.cols }

func (c *concat) Next() bool {
	for c.err == nil && c.cur != nil {
		if c.cur.Next() {
			return true
		}
		if c.err = c.cur.Err(); c.err == nil {
			c.ok = addOK(c.ok, c.cur.OK())
			c.err = c.cur.Close()
		}
		if c.err != nil || c.next >= len(c.targets) {
			c.cur = nil
			return false
		}
		c.cur, c.err = c.await(c.next)
	}
	return false
}

func (c *concat) Raw() []byte      { return c.cur.Raw() }
func (c *concat) Values() [][]byte { return c.cur.Values() }
func (c *concat) Err() error       { return c.err }
func (c *concat) OK() wire.OK      { return c.ok }

// Close waits for statements that are under way and gives all connections back.
func (c *concat) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	defer c.cancel()
	var g errgroup.Group
	for _, o := range c.opened {
		if o == nil {
			continue
		}
		g.Go(func() error {
			<-o.done
			if o.err != nil || o.rows == nil {
				return nil
			}
			return o.rows.Close()
		})
	}
	err := g.Wait()
	if c.err != nil {
		return c.err
	}
	return err
}

// openAll asks all shards of a route and returns when each has begun to answer. On an error all are closed.
func (r *run) openAll(ctx context.Context, targets []target, lock bool) ([]Rows, error) {
	rows := make([]Rows, len(targets))
	var g errgroup.Group
	g.SetLimit(maxParallel)
	for i, t := range targets {
		g.Go(func() (err error) {
			rows[i], err = r.s.Query(ctx, t.shard, Query{SQL: t.sql, Lock: lock})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, closeAll(rows))
	}
	return rows, nil
}

// closeAll closes answers concurrently, because closing reads what is left.
func closeAll(rows []Rows) error {
	var g errgroup.Group
	for _, x := range rows {
		if x != nil {
			g.Go(x.Close)
		}
	}
	return g.Wait()
}

// execAll runs writes on several shards and sums their OKs. Rows that come with them (RETURNING) go to the sink.
func (r *run) execAll(ctx context.Context, targets []target, sink Sink) ([]wire.OK, error) {
	oks := make([]wire.OK, len(targets))
	var mu sync.Mutex // one answer is read at a time: the sink is not for two
	var g errgroup.Group
	g.SetLimit(maxParallel)
	for i, t := range targets {
		g.Go(func() error {
			rows, err := r.s.Query(ctx, t.shard, Query{SQL: t.sql, Write: true})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			oks[i], err = finishWrite(rows, sink)
			return err
		})
	}
	return oks, g.Wait()
}

// finishWrite reads the answer of a write.
func finishWrite(rows Rows, sink Sink) (wire.OK, error) {
	if len(rows.Columns()) > 0 && sink != nil {
		return drain(rows, sink)
	}
	for rows.Next() {
	}
	ok, err := rows.OK(), rows.Err()
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	return ok, err
}

// addOK sums what the OKs of several shards say.
func addOK(a, b wire.OK) wire.OK {
	a.Affected += b.Affected
	if a.InsertID == 0 {
		a.InsertID = b.InsertID
	}
	a.Status |= b.Status
	a.Warnings += b.Warnings
	if a.Info == "" {
		a.Info = b.Info
	} else if b.Info != "" {
		a.Info = addInfo(a.Info, b.Info)
	}
	return a
}

// addInfo adds the numbers of two texts such as "Rows matched: 1  Changed: 1  Warnings: 0", if they have the same form.
func addInfo(a, b string) string {
	fa, fb := strings.Fields(a), strings.Fields(b)
	if len(fa) != len(fb) {
		return a
	}
	var out strings.Builder
	for i := range fa {
		na, errA := strconv.ParseUint(fa[i], 10, 64)
		nb, errB := strconv.ParseUint(fb[i], 10, 64)
		isNumber := errA == nil && errB == nil
		if !isNumber && fa[i] != fb[i] {
			return a
		}
		if i > 0 {
			// Servers put two blanks after a number and one after a name.
			out.WriteByte(' ')
			if !isNumber && !strings.HasSuffix(fa[i-1], ":") && i > 1 && strings.HasSuffix(fa[i-2], ":") {
				out.WriteByte(' ')
			}
		}
		if isNumber {
			out.WriteString(strconv.FormatUint(na+nb, 10))
		} else {
			out.WriteString(fa[i])
		}
	}
	return out.String()
}
