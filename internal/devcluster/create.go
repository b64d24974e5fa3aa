package devcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pelorusdb/pelorus/internal/devcluster/shape"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
)

// A fresh tablet takes 145 MB, most of it the server's redo log and undo space; etcd takes 64 MB at once for its journal.
const (
	tabletBytes = 160 << 20
	topoBytes   = 80 << 20
)

// prepare makes the state of a new cluster, or adapts that of one that is there, and makes sure of the ports.
func (d *directory) prepare(ctx context.Context, o Options, alloc *allocator, running found) error {
	var err error
	if d.state == nil {
		err = d.create(ctx, o, alloc)
	} else {
		err = adapt(ctx, o, d.state, alloc, running)
	}
	if err != nil {
		return err
	}
	if err := reachable(ctx, d.state.Etcd); err != nil {
		return err
	}
	for role, bin := range o.Binaries {
		for _, p := range d.state.byRole(role) {
			p.Binary = bin
		}
	}
	if err := alloc.hold(d.state, running); err != nil {
		return err
	}
	d.state.Stopped = false
	return d.save()
}

// reachable wants at least one of the endpoints of an etcd that is not ours to be there; none means an embedded one.
func reachable(ctx context.Context, endpoints []string) error {
	var errs []error
	for _, e := range endpoints {
		u, err := url.Parse(e)
		if err == nil {
			dialer := net.Dialer{Timeout: callTime}
			var conn net.Conn
			if conn, err = dialer.DialContext(ctx, "tcp", u.Host); err == nil {
				return conn.Close()
			}
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("no etcd answers at %s (--etcd): %w", strings.Join(endpoints, ","), errors.Join(errs...))
}

// create plans a cluster. Whatever can be known to go wrong later is said now, before anything is started.
func (d *directory) create(ctx context.Context, o Options, alloc *allocator) error {
	if err := d.unused(); err != nil {
		return err
	}
	spec := shape.Default()
	if o.Spec != nil {
		spec = *o.Spec
	}
	if o.Flavor != "" {
		spec.Flavor = o.Flavor
	}
	if len(o.Cells) > 0 {
		spec.Cells = o.Cells
	}
	if err := errors.Join(spec.Validate(), spec.CheckFiles()); err != nil {
		return err
	}
	s := &state{}
	if err := plan(ctx, o, spec, alloc, s); err != nil {
		return err
	}
	var fsys unix.Statfs_t
	if err := unix.Statfs(d.path, &fsys); err != nil {
		return fmt.Errorf("look how much space %s has: %w", d.path, err)
	}
	if err := checkSpace(d.path, fsys.Bavail*uint64(fsys.Bsize), len(s.byRole(RoleTablet))); err != nil {
		return err
	}
	if _, err := os.Stat(d.credentials()); errors.Is(err, fs.ErrNotExist) {
		if err := credentials.Generate().Save(d.credentials()); err != nil {
			return err
		}
	}
	d.state = s
	return nil
}

// unused wants a directory in which nobody else's files would be taken for the cluster's, and be removed with it. Logs may be
// there, but none in them: a start that was killed before its first save leaves that.
func (d *directory) unused() error {
	for _, name := range []string{tabletsDir, topoDir, logsDir} {
		entries, err := os.ReadDir(filepath.Join(d.path, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look what %s holds: %w", d.path, err)
		}
		if len(entries) > 0 {
			return fmt.Errorf("%s holds %s with files, but no %s of a cluster: choose another --dir: %w", d.path, name, stateFile, ErrOtherShape)
		}
	}
	return nil
}

// checkSpace refuses a cluster that would fill the disk with its first files.
func checkSpace(dir string, free uint64, tablets int) error {
	if need := uint64(topoBytes + tablets*tabletBytes); free < need {
		return fmt.Errorf("%s has %d MB free, and %d servers need %d MB to begin with: choose another --dir, or fewer tablets (--replicas)", dir, free>>20, tablets, need>>20)
	}
	return nil
}
