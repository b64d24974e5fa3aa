package exec

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// broadcast runs a schema change on all shards at the same time. Servers commit each such change at once, so nothing takes
// back what some shards did when others fail: the error says which did what.
func (r *run) broadcast(ctx context.Context, b *plan.Broadcast) (wire.OK, error) {
	shards, err := r.s.Shards(b.Keyspace)
	if err != nil {
		return wire.OK{}, err
	}
	sql := b.Text.Append(nil, r.in.Src, r.in.Slots)
	oks, errs := make([]wire.OK, len(shards)), make([]error, len(shards))
	var g errgroup.Group
	g.SetLimit(maxParallel)
	for i := range shards {
		g.Go(func() error {
			oks[i], errs[i] = r.writeOne(ctx, ShardRef{b.Keyspace, shards[i].Name}, sql)
			return errs[i]
		})
	}
	if g.Wait() == nil {
		return oks[0], nil
	}
	var done, failed []string
	var first error
	for i, err := range errs {
		if err == nil {
			done = append(done, shards[i].Name)
			continue
		}
		if first == nil {
			first = err
		}
		failed = append(failed, shards[i].Name+" ("+reason(err)+")")
	}
	if len(done) == 0 {
		return wire.OK{}, first
	}
	// The cause is not wrapped: who holds statements during a failover must not run this one again.
	return wire.OK{}, errcode.New(errcode.PartialDDL, strings.Join(done, ", "), strings.Join(failed, "; "), b.Again)
}

// reason is a server's error, or any other, on one line.
func reason(err error) string {
	var my *wire.MySQLError
	if errors.As(err, &my) {
		return my.Message
	}
	return err.Error()
}

// writeOne runs a write on one shard.
func (r *run) writeOne(ctx context.Context, shard ShardRef, sql []byte) (wire.OK, error) {
	rows, err := r.s.Query(ctx, shard, Query{SQL: sql, Write: true})
	if err != nil {
		return wire.OK{}, err
	}
	return finishWrite(rows, nil)
}
