package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/etcd"
)

// DownOptions are what `down` was told.
type DownOptions struct {
	Dir string
	// Purge removes the cluster's files with all data, and the directory if nothing else is in it.
	Purge bool
}

// Down ends every process of the cluster: gateways and control first, then the servers cleanly, then agents and etcd. It needs none of them to be healthy, and does nothing where nothing runs.
func Down(ctx context.Context, o DownOptions, w io.Writer) error {
	d, err := openDir(o.Dir, false)
	if err != nil {
		return err
	}
	defer d.close()
	return d.down(ctx, o.Purge, w)
}

func (d *directory) down(ctx context.Context, purge bool, w io.Writer) error {
	// The directory of a cluster that was never made has a lock and nothing else.
	if d.state == nil && purge {
		if _, err := os.Stat(d.credentials()); err != nil {
			return fmt.Errorf("%s: %w", d.path, ErrNoCluster)
		}
	}
	began := time.Now()
	if d.state != nil {
		// Said first, so that `up` in a foreground somewhere starts nothing again.
		d.state.Stopped = true
		if err := d.save(); err != nil {
			return err
		}
	}
	n, err := d.stopAll(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d processes ended in %.1fs\n", n, time.Since(began).Seconds())
	if !purge {
		return nil
	}
	if err := d.forgetTopology(ctx); err != nil {
		return fmt.Errorf("%w; if that etcd is gone for good, remove %s by hand", err, d.path)
	}
	left, err := d.remove()
	if err != nil {
		return fmt.Errorf("remove the cluster's files: %w", err)
	}
	if left {
		fmt.Fprintf(w, "the cluster's files in %s removed; what else is there stays\n", d.path)
		return nil
	}
	fmt.Fprintf(w, "%s removed\n", d.path)
	return nil
}

// remove removes all that is ours, and says whether anything else is left. The state goes last but for the lock, so that what was
// interrupted can be done again.
func (d *directory) remove() (left bool, err error) {
	names := []string{tabletsDir, topoDir, logsDir, secretsFile, stateFile, lockFile}
	unsaved, err := filepath.Glob(filepath.Join(d.path, stateTemp))
	if err != nil {
		return false, err
	}
	for _, path := range unsaved {
		names = append(names, filepath.Base(path))
	}
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(d.path, name)); err != nil {
			return false, err
		}
	}
	rest, err := os.ReadDir(d.path)
	if err != nil || len(rest) > 0 {
		return true, err
	}
	return false, os.Remove(d.path)
}

// stopAll ends everything and says how much that was.
func (d *directory) stopAll(ctx context.Context) (int, error) {
	running, err := d.find()
	if err != nil {
		return 0, err
	}
	n := len(running)
	if err := d.endRoles(ctx, running, termTime, RoleGateway, RoleControl); err != nil {
		return 0, err
	}
	d.stopServers(ctx, running)
	if err := d.endRoles(ctx, running, termTime, RoleTablet); err != nil {
		return 0, err
	}
	// Servers that no agent stopped. An agent may have started one meanwhile, so look again.
	for _, role := range []string{RoleMysqld, RoleTopo} {
		if running, err = d.find(); err != nil {
			return 0, err
		}
		if err := d.endRoles(ctx, running, serverTime, role); err != nil {
			return 0, err
		}
	}
	if running, err = d.find(); err != nil {
		return 0, err
	}
	if len(running) > 0 {
		return 0, fmt.Errorf("these did not end: %v", running)
	}
	return n, nil
}

// endRoles ends all processes of some roles at the same time.
func (d *directory) endRoles(ctx context.Context, running found, grace time.Duration, roles ...string) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for name, pid := range running {
		for _, role := range roles {
			if roleOf(name) != role {
				continue
			}
			wg.Go(func() {
				if err := d.end(ctx, name, pid, grace); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
				}
			})
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stopServers asks the agents to end their servers, all at the same time: a MySQL primary that ends while its replicas stay
// connected takes ten seconds longer. What replicas miss they fetch after the next start, for nobody reigns meanwhile. What
// fails is left to the signals that follow.
func (d *directory) stopServers(ctx context.Context, running found) {
	if d.state == nil {
		return
	}
	var wg sync.WaitGroup
	for _, p := range d.state.byRole(RoleTablet) {
		if _, ok := running[p.Name]; !ok {
			continue
		}
		if _, ok := running[RoleMysqld+"-"+p.Tablet]; !ok {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, serverTime)
			defer cancel()
			// An error needs no word: the server is ended by a signal if it still runs.
			_, _ = agentOf(p).StopServer(ctx, connect.NewRequest(&tabletv1.StopServerRequest{}))
		})
	}
	wg.Wait()
}

// forgetTopology removes our keys from an etcd that is not ours.
func (d *directory) forgetTopology(ctx context.Context) error {
	if d.state == nil || len(d.state.Etcd) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, roleTime)
	defer cancel()
	store, err := etcd.Open(etcd.Config{Endpoints: d.state.Etcd, Prefix: d.state.Prefix})
	if err != nil {
		return fmt.Errorf("open the topology to remove the cluster's keys: %w", err)
	}
	defer store.Close()
	keys, _, err := store.List(ctx, "")
	if err != nil {
		return fmt.Errorf("list the cluster's keys below %s in %s: %w", d.state.Prefix, strings.Join(d.state.Etcd, ","), err)
	}
	for chunk := range slices.Chunk(keys, 100) { // the most that one transaction of a Store takes
		var ops []topo.Op
		for _, kv := range chunk {
			ops = append(ops, topo.Op{Key: kv.Key, Delete: true})
		}
		if _, err := store.Txn(ctx, nil, ops); err != nil {
			return fmt.Errorf("remove the cluster's keys below %s: %w", d.state.Prefix, err)
		}
	}
	return nil
}
