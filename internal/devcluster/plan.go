package devcluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/pelorusdb/pelorus/internal/agent/mysqld"
	"github.com/pelorusdb/pelorus/internal/devcluster/ports"
	"github.com/pelorusdb/pelorus/internal/devcluster/shape"
)

// The usual ports.
const (
	defaultGatewayPort  = 15306
	defaultGatewayHTTP  = 15001
	defaultControlPort  = 15000
	defaultTopoPort     = 15379
	defaultTopoPeerPort = 15380
)

// Options are what `up` was told besides the spec.
type Options struct {
	Dir string
	// Spec is nil for: what the directory holds, or the default. Flavor and Cells win over it; empty means that nothing was said.
	Spec   *shape.Cluster
	Flavor string
	Cells  []string
	// Mysqld is the server program; empty means the one that is installed.
	Mysqld string
	// GatewayPort and ControlPort are those of the first of each; nil means the one that it has, or the usual one, 0 any free one.
	GatewayPort, ControlPort *int
	// Etcd is an etcd that exists; empty means an embedded one.
	Etcd []string
	// Binaries runs roles from other programs.
	Binaries map[string]string
}

// chooseServer finds the server program and its flavor.
func chooseServer(ctx context.Context, flavor, path string) (string, string, error) {
	if path == "" {
		for _, family := range []string{mysqld.FamilyMySQL, mysqld.FamilyMariaDB} {
			if flavor != shape.FlavorAuto && flavor != family {
				continue
			}
			if p := mysqld.Locate(family); p != "" && executable(p) {
				path = p
				break
			}
		}
	}
	if path == "" {
		what := "neither MySQL nor MariaDB is"
		if flavor != shape.FlavorAuto {
			what = "no " + flavor + " server is"
		}
		return "", "", fmt.Errorf("%s installed here: `apt-get install mariadb-server`, or name a server program with --mysqld", what)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", "", fmt.Errorf("find the server program: %w", err)
	}
	b, err := mysqld.Inspect(ctx, path)
	if err != nil {
		return "", "", err
	}
	if flavor != shape.FlavorAuto && flavor != b.Family {
		return "", "", fmt.Errorf("%s is %s %s, but the cluster's flavor is to be %s: %w", path, b.Family, b.Version, flavor, ErrWrongServer)
	}
	return b.Family, path, nil
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir() && st.Mode()&0o111 != 0
}

// plan makes the state of a new cluster: every process with its name and ports.
func plan(ctx context.Context, o Options, spec shape.Cluster, alloc *allocator, s *state) error {
	var err error
	s.Format, s.Spec, s.Etcd = stateFormat, spec, o.Etcd
	if s.Flavor, s.Mysqld, err = chooseServer(ctx, spec.Flavor, o.Mysqld); err != nil {
		return err
	}
	if len(o.Etcd) == 0 {
		if err := planTopo(alloc, s); err != nil {
			return err
		}
	} else {
		// An etcd that exists may serve several local clusters: each has its own prefix.
		sum := sha256.Sum256([]byte(o.Dir))
		s.Prefix = "/pelorus-" + hex.EncodeToString(sum[:4])
	}
	if err := planDoors(o, spec, alloc, s); err != nil {
		return err
	}
	for _, k := range spec.Keyspaces {
		for _, shard := range k.Shards {
			if err := planShard(s, alloc, k, shard); err != nil {
				return err
			}
		}
	}
	return nil
}

func planTopo(alloc *allocator, s *state) error {
	client, err := alloc.prefer(defaultTopoPort)
	if err != nil {
		return err
	}
	peer, err := alloc.prefer(defaultTopoPeerPort)
	if err != nil {
		return err
	}
	s.Processes = append(s.Processes, &process{Name: RoleTopo, Role: RoleTopo, Port: client, SidePort: peer})
	return nil
}

// planDoors plans control nodes and gateways. The first of each has the usual port, or the one asked for.
func planDoors(o Options, spec shape.Cluster, alloc *allocator, s *state) error {
	for i := range spec.Controls {
		port, err := doorPort(alloc, i, o.ControlPort, defaultControlPort, "--control-port")
		if err != nil {
			return err
		}
		s.Processes = append(s.Processes, &process{Name: fmt.Sprintf("%s-%d", RoleControl, i+1), Role: RoleControl, Cell: spec.Cells[i%len(spec.Cells)], Port: port})
	}
	for i := range spec.Gateways {
		port, err := doorPort(alloc, i, o.GatewayPort, defaultGatewayPort, "--gateway-port")
		if err != nil {
			return err
		}
		side := alloc.any
		if i == 0 {
			side = func() (int, error) { return alloc.prefer(defaultGatewayHTTP) }
		}
		http, err := side()
		if err != nil {
			return err
		}
		s.Processes = append(s.Processes, &process{
			Name: fmt.Sprintf("%s-%d", RoleGateway, i+1), Role: RoleGateway, Cell: spec.Cells[i%len(spec.Cells)], Port: port, SidePort: http,
		})
	}
	return nil
}

func doorPort(alloc *allocator, i int, asked *int, usual int, flag string) (int, error) {
	if i > 0 {
		return alloc.any()
	}
	if asked != nil {
		usual = *asked
	}
	return alloc.wanted(usual, flag)
}

// planShard plans the tablets of one shard. Their numbers begin at a multiple of a hundred, so that zone1-203 is the
// third tablet of the second shard.
func planShard(s *state, alloc *allocator, k shape.Keyspace, shard string) error {
	base := 0
	for _, p := range s.byRole(RoleTablet) {
		_, uid := splitAlias(p.Tablet)
		base = max(base, uid/100)
	}
	n := 1 + k.ReplicaCount() + k.Rdonly
	for i := range n {
		typ := "replica"
		if i > k.ReplicaCount() {
			typ = "rdonly"
		}
		cell := s.Spec.Cells[i%len(s.Spec.Cells)]
		if err := planTablet(s, alloc, k.Name, shard, cell, (base+1)*100+i+1, typ); err != nil {
			return err
		}
	}
	return nil
}

func planTablet(s *state, alloc *allocator, keyspace, shard, cell string, uid int, typ string) error {
	agent, err := alloc.any()
	if err != nil {
		return err
	}
	server, err := alloc.any()
	if err != nil {
		return err
	}
	alias := fmt.Sprintf("%s-%d", cell, uid)
	s.Processes = append(s.Processes, &process{
		Name: RoleTablet + "-" + alias, Role: RoleTablet, Cell: cell, Keyspace: keyspace, Shard: shard, Tablet: alias, Type: typ, Port: agent, SidePort: server,
	})
	return nil
}

// splitAlias takes CELL-UID apart.
func splitAlias(alias string) (cell string, uid int) {
	i := len(alias) - 1
	for i >= 0 && alias[i] != '-' {
		i--
	}
	uid, err := strconv.Atoi(alias[i+1:])
	if err != nil || i < 0 {
		return alias, 0
	}
	return alias[:i], uid
}

// adapt changes the state of a cluster that exists by what may change: programs, and the ports of what does not run. What else
// was asked for must be what the cluster is.
func adapt(ctx context.Context, o Options, s *state, alloc *allocator, running found) error {
	if o.Spec != nil && !sameSpec(*o.Spec, s.Spec) || len(o.Cells) > 0 && !slices.Equal(o.Cells, s.Spec.Cells) {
		return fmt.Errorf("%s holds a cluster of another shape (see `pelorus local ps`): start it without saying the shape, grow it with `pelorus local add-shards`, or remove it with `pelorus down --purge`: %w", o.Dir, ErrOtherShape)
	}
	flavor := o.Flavor
	if flavor == "" && o.Spec != nil {
		flavor = o.Spec.Flavor
	}
	if flavor != "" && flavor != shape.FlavorAuto && flavor != s.Flavor {
		return fmt.Errorf("the cluster in %s has servers of the flavor %s, whose data %s cannot read: choose another --dir: %w", o.Dir, s.Flavor, flavor, ErrOtherShape)
	}
	for _, want := range []struct {
		port       *int
		role, flag string
	}{{o.GatewayPort, RoleGateway, "--gateway-port"}, {o.ControlPort, RoleControl, "--control-port"}} {
		if err := adaptPort(want.port, s.byRole(want.role), want.flag, alloc, running); err != nil {
			return err
		}
	}
	if len(o.Etcd) > 0 && !slices.Equal(o.Etcd, s.Etcd) {
		return fmt.Errorf("the cluster in %s lives in another etcd: %w", o.Dir, ErrOtherShape)
	}
	path := o.Mysqld
	if path == "" && !executable(s.Mysqld) {
		return fmt.Errorf("%s, the server program of the cluster in %s, is not there any more: name one of the flavor %s with --mysqld", s.Mysqld, o.Dir, s.Flavor)
	}
	if path != "" {
		var err error
		if s.Flavor, s.Mysqld, err = chooseServer(ctx, s.Flavor, path); err != nil {
			return err
		}
	}
	return nil
}

// adaptPort gives the first process of a role the port that was asked for.
func adaptPort(port *int, have []*process, flag string, alloc *allocator, running found) error {
	if port == nil || len(have) == 0 || have[0].Port == *port {
		return nil
	}
	p := have[0]
	if _, ok := running[p.Name]; ok {
		if *port == 0 {
			return nil
		}
		return fmt.Errorf("%s runs on port %d: end the cluster with `pelorus down` before it gets another one: %w", p.Name, p.Port, ErrOtherShape)
	}
	if *port == 0 {
		if lock, ok := ports.Reserve(p.Port); ok { // any will do: that of the last time does
			alloc.keep(p.Port, lock)
			return nil
		}
	}
	var err error
	p.Port, err = alloc.wanted(*port, flag)
	return err
}

// ErrWrongServer says that a server program is not of the flavor that was asked for.
var ErrWrongServer = errors.New("wrong server program")

// ErrOtherShape says that what was asked for and what the directory holds do not fit.
var ErrOtherShape = errors.New("not the cluster that is there")

// sameSpec compares shapes. Flavors are not of them: auto may have become any.
func sameSpec(a, b shape.Cluster) bool {
	if !slices.Equal(a.Cells, b.Cells) || a.Gateways != b.Gateways || a.Controls != b.Controls {
		return false
	}
	return slices.EqualFunc(a.Keyspaces, b.Keyspaces, func(x, y shape.Keyspace) bool {
		return x.Name == y.Name && slices.Equal(x.Shards, y.Shards) && x.ReplicaCount() == y.ReplicaCount() && x.Rdonly == y.Rdonly
	})
}
