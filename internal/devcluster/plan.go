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
)

// Options are what `up` was told besides the spec.
type Options struct {
	Dir string
	// Spec is nil for: what the directory holds, or the default.
	Spec *Spec
	// Mysqld is the server program; empty means the one that is installed.
	Mysqld string
	// GatewayPort and ControlPort are those of the first of each; nil means the usual one, 0 any free one.
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
			if flavor != FlavorAuto && flavor != family {
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
		if flavor != FlavorAuto {
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
	if flavor != FlavorAuto && flavor != b.Family {
		return "", "", fmt.Errorf("%s is %s %s, but the flavor is to be %s", path, b.Family, b.Version, flavor)
	}
	return b.Family, path, nil
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir() && st.Mode()&0o111 != 0
}

// plan makes the state of a new cluster: every process with its name and ports.
func plan(ctx context.Context, o Options, spec Spec, ports *allocator, s *state) error {
	var err error
	s.Format, s.Spec, s.Etcd = stateFormat, spec, o.Etcd
	if s.Flavor, s.Mysqld, err = chooseServer(ctx, spec.Flavor, o.Mysqld); err != nil {
		return err
	}
	if len(o.Etcd) == 0 {
		if err := planTopo(ports, s); err != nil {
			return err
		}
	} else {
		// An etcd that exists may serve several local clusters: each has its own prefix.
		sum := sha256.Sum256([]byte(o.Dir))
		s.Prefix = "/pelorus-" + hex.EncodeToString(sum[:4])
	}
	if err := planDoors(o, spec, ports, s); err != nil {
		return err
	}
	for _, k := range spec.Keyspaces {
		for _, shard := range k.Shards {
			if err := planShard(s, ports, k, shard); err != nil {
				return err
			}
		}
	}
	return nil
}

func planTopo(ports *allocator, s *state) error {
	client, err := ports.prefer(defaultTopoPort)
	if err != nil {
		return err
	}
	peer, err := ports.prefer(defaultTopoPeerPort)
	if err != nil {
		return err
	}
	s.Processes = append(s.Processes, &process{Name: RoleTopo, Role: RoleTopo, Port: client, SidePort: peer})
	return nil
}

// planDoors plans control nodes and gateways. The first of each has the usual port, or the one asked for.
func planDoors(o Options, spec Spec, ports *allocator, s *state) error {
	for i := range spec.Controls {
		port, err := doorPort(ports, i, o.ControlPort, defaultControlPort, "--control-port")
		if err != nil {
			return err
		}
		s.Processes = append(s.Processes, &process{Name: fmt.Sprintf("%s-%d", RoleControl, i+1), Role: RoleControl, Cell: spec.Cells[i%len(spec.Cells)], Port: port})
	}
	for i := range spec.Gateways {
		port, err := doorPort(ports, i, o.GatewayPort, defaultGatewayPort, "--gateway-port")
		if err != nil {
			return err
		}
		side := ports.any
		if i == 0 {
			side = func() (int, error) { return ports.prefer(defaultGatewayHTTP) }
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

func doorPort(ports *allocator, i int, asked *int, usual int, flag string) (int, error) {
	if i > 0 {
		return ports.any()
	}
	if asked != nil {
		usual = *asked
	}
	return ports.wanted(usual, flag)
}

// planShard plans the tablets of one shard. Their numbers begin at a multiple of a hundred, so that zone1-203 is the
// third tablet of the second shard.
func planShard(s *state, ports *allocator, k Keyspace, shard string) error {
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
		if err := planTablet(s, ports, k.Name, shard, cell, (base+1)*100+i+1, typ); err != nil {
			return err
		}
	}
	return nil
}

func planTablet(s *state, ports *allocator, keyspace, shard, cell string, uid int, typ string) error {
	agent, err := ports.any()
	if err != nil {
		return err
	}
	server, err := ports.any()
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

// adapt changes the state of a cluster that exists by what may change: programs. What else was asked for must be what
// the cluster is.
func adapt(ctx context.Context, o Options, s *state) error {
	if o.Spec != nil && !sameSpec(*o.Spec, s.Spec) {
		return fmt.Errorf("%s holds a cluster of another shape (see `pelorus local ps`): start it without saying the shape, grow it with `pelorus local add-shards`, or remove it with `pelorus down --purge`: %w", o.Dir, ErrOtherShape)
	}
	for _, want := range []struct {
		port *int
		role string
	}{{o.GatewayPort, RoleGateway}, {o.ControlPort, RoleControl}} {
		have := s.byRole(want.role)
		if want.port != nil && *want.port != 0 && len(have) > 0 && have[0].Port != *want.port {
			return fmt.Errorf("the cluster in %s has its %s on port %d, which stays for its life: %w", o.Dir, want.role, have[0].Port, ErrOtherShape)
		}
	}
	if len(o.Etcd) > 0 && !slices.Equal(o.Etcd, s.Etcd) {
		return fmt.Errorf("the cluster in %s lives in another etcd: %w", o.Dir, ErrOtherShape)
	}
	if o.Mysqld != "" {
		flavor, path, err := chooseServer(ctx, s.Flavor, o.Mysqld)
		if err != nil {
			return err
		}
		s.Flavor, s.Mysqld = flavor, path
	}
	return nil
}

// ErrOtherShape says that what was asked for and what the directory holds do not fit.
var ErrOtherShape = errors.New("not the cluster that is there")

func sameSpec(a, b Spec) bool {
	if (a.Flavor != b.Flavor && a.Flavor != FlavorAuto && b.Flavor != FlavorAuto) || !slices.Equal(a.Cells, b.Cells) || a.Gateways != b.Gateways || a.Controls != b.Controls {
		return false
	}
	return slices.EqualFunc(a.Keyspaces, b.Keyspaces, func(x, y Keyspace) bool {
		return x.Name == y.Name && slices.Equal(x.Shards, y.Shards) && x.ReplicaCount() == y.ReplicaCount() && x.Rdonly == y.Rdonly
	})
}
