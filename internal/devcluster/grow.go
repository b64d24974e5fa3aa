package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/devcluster/shape"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// ErrUnknown says that the cluster has no such thing.
var ErrUnknown = errors.New("not in this cluster")

// change opens a cluster's directory for a change and hands a starter to f.
func change(ctx context.Context, dir string, w io.Writer, f func(*starter) error) error {
	d, err := openDir(dir, false)
	if err != nil {
		return err
	}
	defer d.close()
	if d.state == nil {
		return fmt.Errorf("%s: %w", d.path, ErrNoCluster)
	}
	st := &starter{d: d, began: time.Now()}
	st.say = func(format string, args ...any) {
		fmt.Fprintf(w, "%6.1fs  %s\n", time.Since(st.began).Seconds(), fmt.Sprintf(format, args...))
	}
	return f(st)
}

// AddShards adds shards with their tablets to a keyspace, for a reshard into them. They get a primary; gateways send
// nothing there as long as their ranges belong to serving shards.
func AddShards(ctx context.Context, dir, keyspace string, shards []string, replicas int, w io.Writer) error {
	for _, name := range shards {
		if _, err := vindex.ParseShardName(name); err != nil {
			return err
		}
	}
	if replicas < 0 || replicas >= shape.MaxTabletsPerShard {
		return fmt.Errorf("%d replicas per shard: choose 0 to %d", replicas, shape.MaxTabletsPerShard-1)
	}
	return change(ctx, dir, w, func(st *starter) error {
		s := st.d.state
		if !slices.ContainsFunc(s.Spec.Keyspaces, func(k shape.Keyspace) bool { return k.Name == keyspace }) {
			return fmt.Errorf("keyspace %s: %w", keyspace, ErrUnknown)
		}
		before := len(s.Processes)
		p := newAllocator(st.d.statePath(), s)
		defer p.close()
		for _, name := range shards {
			if slices.Contains(s.shards(), keyspace+"/"+name) {
				return fmt.Errorf("shard %s/%s is there already: %w", keyspace, name, ErrOtherShape)
			}
			if err := planShard(s, p, shape.Keyspace{Name: keyspace, Replicas: &replicas}, name); err != nil {
				return err
			}
		}
		api := newAPI(s.control())
		for _, name := range shards {
			req := &controlv1.CreateShardRequest{Keyspace: &keyspace, Name: &name, IfNotExists: proto.Bool(true)}
			if _, err := api.shards.CreateShard(ctx, connect.NewRequest(req)); err != nil {
				return fmt.Errorf("create shard %s/%s: %w", keyspace, name, err)
			}
		}
		if err := st.startNew(ctx, before); err != nil {
			return err
		}
		for _, name := range shards {
			if err := st.initShard(ctx, api, keyspace, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// startNew saves the state and starts the tablets planned from index first on.
func (st *starter) startNew(ctx context.Context, first int) error {
	if err := st.d.save(); err != nil {
		return err
	}
	added := st.d.state.Processes[first:]
	for _, p := range added {
		if err := st.startOne(p); err != nil {
			return err
		}
	}
	if err := st.awaitServers(ctx, added); err != nil {
		return err
	}
	st.say("%d servers run", len(added))
	return nil
}

// AddTablet adds a tablet to a shard; cell "" means the first one. The new server gets its data by replication.
func AddTablet(ctx context.Context, dir, keyspace, shard, typ, cell string, w io.Writer) (alias string, err error) {
	err = change(ctx, dir, w, func(st *starter) error {
		s := st.d.state
		if !slices.Contains(s.shards(), keyspace+"/"+shard) {
			return fmt.Errorf("shard %s/%s: %w", keyspace, shard, ErrUnknown)
		}
		if cell == "" {
			cell = s.Spec.Cells[0]
		}
		uid := 0
		for _, p := range s.byRole(RoleTablet) {
			if p.Keyspace == keyspace && p.Shard == shard {
				_, n := splitAlias(p.Tablet)
				uid = max(uid, n)
			}
		}
		before := len(s.Processes)
		p := newAllocator(st.d.statePath(), s)
		defer p.close()
		if err := planTablet(s, p, keyspace, shard, cell, uid+1, typ); err != nil {
			return err
		}
		alias = s.Processes[before].Tablet
		return st.startNew(ctx, before)
	})
	return alias, err
}

// Restart ends a process and starts it again, with another program if bin is not empty. name is that of `local ps`, or a tablet's
// alias for its agent. A server is restarted by its agent.
func Restart(ctx context.Context, dir, name, bin string, w io.Writer) error {
	return change(ctx, dir, w, func(st *starter) error {
		if roleOf(name) == RoleMysqld {
			return st.restartServer(ctx, name, bin)
		}
		p := st.d.state.byName(name)
		if p == nil {
			return fmt.Errorf("process %q: %w; `pelorus local ps` lists the names", name, ErrUnknown)
		}
		if bin != "" {
			path, err := filepath.Abs(bin)
			if err != nil {
				return fmt.Errorf("find the program %s: %w", bin, err)
			}
			if !executable(path) {
				return fmt.Errorf("%s is not a program", path)
			}
			p.Binary = path
			if err := st.d.save(); err != nil {
				return err
			}
		}
		running, err := st.d.find()
		if err != nil {
			return err
		}
		if pid, ok := running[p.Name]; ok {
			if err := st.d.end(ctx, p.Name, pid, termTime); err != nil {
				return err
			}
		}
		if err := st.startOne(p); err != nil {
			return err
		}
		if err := st.awaitRole(ctx, p); err != nil {
			return err
		}
		st.say("%s runs again", p.Name)
		return nil
	})
}

// awaitRole waits until a single process does its work.
func (st *starter) awaitRole(ctx context.Context, p *process) error {
	all := []*process{p}
	switch p.Role {
	case RoleTopo:
		return st.await(ctx, roleTime, all, "etcd answers", etcdAnswers)
	case RoleControl:
		return st.await(ctx, roleTime, all, "control answers", func(ctx context.Context, p *process) error { return newAPI(addr(p)).ready(ctx) })
	case RoleTablet:
		return st.awaitServers(ctx, all)
	default:
		return st.awaitShards(ctx)
	}
}

func (st *starter) restartServer(ctx context.Context, name, bin string) error {
	if bin != "" {
		return errors.New("a server's program is changed by `pelorus down` and `pelorus up --mysqld PATH`")
	}
	p := st.d.state.byName(name[len(RoleMysqld)+1:])
	if p == nil {
		return fmt.Errorf("process %q: %w; `pelorus local ps` lists the names", name, ErrUnknown)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*serverTime)
	defer cancel()
	if _, err := agentOf(p).StopServer(ctx, connect.NewRequest(&tabletv1.StopServerRequest{})); err != nil {
		return fmt.Errorf("stop the server of %s: %w", p.Tablet, err)
	}
	if err := st.awaitRole(ctx, p); err != nil {
		return err
	}
	st.say("the server of %s runs again", p.Tablet)
	return nil
}
