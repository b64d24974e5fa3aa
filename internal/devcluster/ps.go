package devcluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
)

// Process is one process of a cluster as `local ps` shows it.
type Process struct {
	Name string `json:"name"`
	// Pid is absent (null) when it does not run.
	Pid        *int   `json:"pid"`
	Role       string `json:"role"`
	Cell       string `json:"cell,omitempty"`
	Keyspace   string `json:"keyspace,omitempty"`
	Shard      string `json:"shard,omitempty"`
	Tablet     string `json:"tablet,omitempty"`
	TabletType string `json:"tablet_type,omitempty"`
	Port       int    `json:"port"`
	// HTTPPort is where a gateway serves /healthz and /metrics.
	HTTPPort int    `json:"http_port,omitempty"`
	Log      string `json:"log,omitempty"`
}

// List lists the processes that the cluster should have, running or not. Tablet types are those of the topology if control
// answers, else those that the tablets were made with. It takes no lock.
func List(ctx context.Context, dir string) ([]Process, error) {
	d, err := readDir(dir)
	if err != nil {
		return nil, err
	}
	running, err := d.find()
	if err != nil {
		return nil, err
	}
	types := d.types(ctx)
	var out []Process
	add := func(p Process) {
		if pid, ok := running[p.Name]; ok {
			p.Pid = &pid
		}
		out = append(out, p)
	}
	for _, p := range d.state.Processes {
		row := Process{Name: p.Name, Role: p.Role, Cell: p.Cell, Keyspace: p.Keyspace, Shard: p.Shard, Tablet: p.Tablet, Port: p.Port, Log: d.log(p)}
		switch p.Role {
		case RoleGateway:
			row.HTTPPort = p.SidePort
		case RoleTablet:
			row.TabletType = cmp.Or(types[p.Tablet], p.Type)
			add(row)
			row.Name, row.Role, row.Port, row.Log = RoleMysqld+"-"+p.Tablet, RoleMysqld, p.SidePort, ""
		}
		add(row)
	}
	order := []string{RoleTopo, RoleControl, RoleGateway, RoleTablet, RoleMysqld}
	slices.SortStableFunc(out, func(a, b Process) int { return slices.Index(order, a.Role) - slices.Index(order, b.Role) })
	return out, nil
}

// readDir reads a cluster's directory without taking its lock.
func readDir(dir string) (*directory, error) {
	path, err := absolute(dir)
	if err != nil {
		return nil, err
	}
	s, err := readState(path)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("%s: %w", path, ErrNoCluster)
	}
	return &directory{path: path, state: s}, nil
}

// types asks control for the present types; empty if it does not answer.
func (d *directory) types(ctx context.Context) map[string]string {
	out := map[string]string{}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	res, err := newAPI(d.state.control()).fleet.ListTablets(ctx, connect.NewRequest(&controlv1.ListTabletsRequest{}))
	if err != nil {
		return out
	}
	for _, t := range res.Msg.GetTablets() {
		if rec := t.GetTablet(); rec != nil {
			out[rec.GetAlias()] = strings.ToLower(strings.TrimPrefix(rec.GetType().String(), "TABLET_TYPE_"))
		}
	}
	return out
}
