package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/version"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// clusterService answers ClusterService; its routing rules are in vschema.go, its doctor in doctor.go.
type clusterService struct{ *Server }

// GetStatus implements the API. It answers from what the node watches, so it works while the topology is away.
func (s clusterService) GetStatus(ctx context.Context, req *connect.Request[controlv1.GetStatusRequest]) (*connect.Response[controlv1.GetStatusResponse], error) {
	resp, err := s.status(ctx, req.Msg.GetKeyspace())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(resp), nil
}

func (s *Server) status(ctx context.Context, only string) (*controlv1.GetStatusResponse, error) {
	select {
	case <-s.Fleet.Listed():
	case <-ctx.Done():
		return nil, errcode.Wrap(errcode.TopoUnreachable, ctx.Err())
	}
	resp := &controlv1.GetStatusResponse{ControlVersion: proto.String(version.Version), TakenAt: timestamppb.New(time.Now())}
	views := s.Fleet.Keyspaces()
	names := make([]string, 0, len(views))
	for name := range views {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if only == "" || only == name {
			resp.Keyspaces = append(resp.Keyspaces, s.keyspaceStatus(views[name]))
		}
	}
	if only != "" && len(resp.Keyspaces) == 0 {
		return nil, errcode.New(errcode.RecordMissing, "keyspace", only)
	}
	return resp, nil
}

func (s *Server) keyspaceStatus(v *topo.KeyspaceView) *controlv1.KeyspaceStatus {
	out := &controlv1.KeyspaceStatus{Name: &v.Name, Keyspace: v.Record, HasVschema: proto.Bool(v.VSchema != "")}
	for _, name := range shardNames(v) {
		out.Shards = append(out.Shards, s.shardStatus(v, name))
	}
	return out
}

// shardNames are those of the records and those in which tablets have registered, in the order of their ranges.
func shardNames(v *topo.KeyspaceView) []string {
	var names []string
	for name := range v.Shards {
		names = append(names, name)
	}
	for _, t := range v.Tablets {
		if !slices.Contains(names, t.GetShard()) {
			names = append(names, t.GetShard())
		}
	}
	slices.SortFunc(names, topo.CompareShards)
	return names
}

func (s *Server) shardStatus(v *topo.KeyspaceView, name string) *controlv1.ShardStatus {
	rec := v.Shards[name]
	out := &controlv1.ShardStatus{Keyspace: &v.Name, Name: &name, Shard: rec}
	observed := make(map[string]evidence.Observation)
	for alias, t := range v.Tablets {
		if t.GetShard() == name {
			observed[alias] = s.Fleet.Observe(t)
			out.Tablets = append(out.Tablets, s.tabletStatus(t, rec))
		}
	}
	slices.SortFunc(out.Tablets, func(a, b *controlv1.TabletStatus) int {
		return strings.Compare(a.GetTablet().GetAlias(), b.GetTablet().GetAlias())
	})
	sum := evidence.ShardHealth(rec, v.Record, observed, time.Now())
	out.Health, out.Reasons = health(sum.Health), sum.Reasons
	return out
}

// page is the data of the web page.
func (s *Server) page(ctx context.Context) (*controlv1.GetStatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return s.status(ctx, "")
}

// GetVersion implements the API.
func (s clusterService) GetVersion(ctx context.Context, req *connect.Request[controlv1.GetVersionRequest]) (*connect.Response[controlv1.GetVersionResponse], error) {
	resp := &controlv1.GetVersionResponse{ControlVersion: proto.String(version.Version)}
	if !req.Msg.GetCluster() {
		return connect.NewResponse(resp), nil
	}
	tablets, err := s.Topo.Tablets(ctx, "", "")
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tablets, func(a, b *topov1.Tablet) int { return strings.Compare(a.GetAlias(), b.GetAlias()) })
	for _, t := range tablets {
		c := &controlv1.ComponentVersion{Tablet: t.Alias, Flavor: t.Flavor, ServerVersion: t.ServerVersion}
		if o := s.Fleet.Observe(t); !o.Stale(time.Now()) {
			c.AgentVersion = o.Status.AgentVersion
			if v := o.Status.GetServer(); v.GetVersion() != "" {
				c.ServerVersion = v.Version
			}
		}
		resp.Components = append(resp.Components, c)
	}
	return connect.NewResponse(resp), nil
}
