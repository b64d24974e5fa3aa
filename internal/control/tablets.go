package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
	"github.com/pelorusdb/pelorus/internal/orch/recovery"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/durability"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// serverTimeout bounds starting and stopping a server: recovery after a crash may take minutes.
const serverTimeout = 10 * time.Minute

// fleetService answers FleetService.
type fleetService struct{ *Server }

// ListTablets implements the API.
func (s fleetService) ListTablets(ctx context.Context, req *connect.Request[controlv1.ListTabletsRequest]) (*connect.Response[controlv1.ListTabletsResponse], error) {
	m := req.Msg
	if m.GetKeyspace() != "" {
		if _, err := s.keyspace(ctx, m.GetKeyspace()); err != nil {
			return nil, err
		}
	}
	if m.GetShard() != "" {
		if _, err := s.shardRecord(ctx, m.GetKeyspace(), m.GetShard()); err != nil {
			return nil, err
		}
	}
	tablets, err := s.Topo.Tablets(ctx, m.GetKeyspace(), m.GetShard())
	if err != nil {
		return nil, err
	}
	resp := &controlv1.ListTabletsResponse{}
	shards := make(map[string]*topov1.Shard)
	for _, t := range tablets {
		if m.GetCell() != "" && t.GetCell() != m.GetCell() {
			continue
		}
		resp.Tablets = append(resp.Tablets, s.tabletStatus(t, s.shardOf(ctx, shards, t)))
	}
	return connect.NewResponse(resp), nil
}

// shardOf reads the record of a tablet's shard once per answer; nil if there is none.
func (s *Server) shardOf(ctx context.Context, known map[string]*topov1.Shard, t *topov1.Tablet) *topov1.Shard {
	path := t.GetKeyspace() + "/" + t.GetShard()
	if rec, ok := known[path]; ok {
		return rec
	}
	rec, _, err := s.Topo.Shard(ctx, t.GetKeyspace(), t.GetShard())
	if err != nil {
		rec = nil
	}
	known[path] = rec
	return rec
}

// tabletStatus puts record, report and summary together.
func (s *Server) tabletStatus(t *topov1.Tablet, shard *topov1.Shard) *controlv1.TabletStatus {
	o, now := s.Fleet.Observe(t), time.Now()
	sum := evidence.TabletHealth(o, shard, now)
	out := &controlv1.TabletStatus{
		Tablet: t, Status: o.Status, Stale: proto.Bool(o.Stale(now)), Health: health(sum.Health), Reasons: sum.Reasons,
	}
	if o.Status != nil {
		out.ReceivedAt = timestamppb.New(o.ReceivedAt)
	}
	if o.Unreachable != "" {
		out.Unreachable = &o.Unreachable
	}
	return out
}

func health(h evidence.Health) *controlv1.Health {
	switch h {
	case evidence.OK:
		return controlv1.Health_HEALTH_OK.Enum()
	case evidence.Degraded:
		return controlv1.Health_HEALTH_DEGRADED.Enum()
	case evidence.Down:
		return controlv1.Health_HEALTH_DOWN.Enum()
	}
	return controlv1.Health_HEALTH_UNKNOWN.Enum()
}

// tablet reads a record by an alias that came from outside, and the record of its shard, which may be nil.
func (s *Server) tablet(ctx context.Context, alias string) (*topov1.Tablet, *topov1.Shard, error) {
	rec, _, err := s.Topo.TabletByAlias(ctx, alias)
	if errors.Is(err, topo.ErrNotFound) {
		return nil, nil, errcode.Wrap(errcode.RecordMissing, err, "tablet", alias)
	}
	if err != nil {
		return nil, nil, err
	}
	shard, _, err := s.Topo.Shard(ctx, rec.GetKeyspace(), rec.GetShard())
	if err != nil && !errors.Is(err, topo.ErrNotFound) {
		return nil, nil, err
	}
	return rec, shard, nil
}

// GetTablet implements the API.
func (s fleetService) GetTablet(ctx context.Context, req *connect.Request[controlv1.GetTabletRequest]) (*connect.Response[controlv1.GetTabletResponse], error) {
	rec, shard, err := s.tablet(ctx, req.Msg.GetAlias())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.GetTabletResponse{Tablet: s.tabletStatus(rec, shard)}), nil
}

// GetTabletStatus implements the API.
func (s fleetService) GetTabletStatus(ctx context.Context, req *connect.Request[controlv1.GetTabletStatusRequest]) (*connect.Response[controlv1.GetTabletStatusResponse], error) {
	rec, _, err := s.tablet(ctx, req.Msg.GetAlias())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, agentTimeout)
	defer cancel()
	resp, err := s.Agents.Agent(rec).GetFullStatus(ctx, connect.NewRequest(&tabletv1.GetFullStatusRequest{}))
	if err != nil {
		return nil, agentError(rec, err)
	}
	return connect.NewResponse(&controlv1.GetTabletStatusResponse{Status: resp.Msg.GetStatus()}), nil
}

// agentError names the agent that did not answer; what an agent itself refuses stays as it is.
func agentError(t *topov1.Tablet, err error) error {
	if code := connect.CodeOf(err); code == connect.CodeUnavailable || code == connect.CodeDeadlineExceeded {
		return errcode.Wrap(errcode.AgentUnreachable, err, t.GetAlias(), fmt.Sprintf("%s:%d", t.GetHost(), t.GetAgentPort()))
	}
	return fmt.Errorf("agent of %s: %w", t.GetAlias(), err)
}

// SetTabletType implements the API. The agent and the gateways follow the record.
func (s fleetService) SetTabletType(ctx context.Context, req *connect.Request[controlv1.SetTabletTypeRequest]) (*connect.Response[controlv1.SetTabletTypeResponse], error) {
	m := req.Msg
	switch m.GetType() {
	case topov1.TabletType_TABLET_TYPE_REPLICA, topov1.TabletType_TABLET_TYPE_RDONLY, topov1.TabletType_TABLET_TYPE_SPARE, topov1.TabletType_TABLET_TYPE_DRAINED:
	case topov1.TabletType_TABLET_TYPE_PRIMARY:
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("a tablet becomes primary by \"reparent planned\" only"))
	default:
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("type must be replica, rdonly, spare or drained"))
	}
	rec, shard, err := s.tablet(ctx, m.GetAlias())
	if err != nil {
		return nil, err
	}
	var out *topov1.Tablet
	err = s.locked(ctx, rec.GetKeyspace(), rec.GetShard(), func(ctx context.Context) error {
		if err := s.mayRetype(ctx, rec, m.GetType()); err != nil {
			return err
		}
		return s.Topo.UpdateTablet(ctx, m.GetAlias(), func(rec *topov1.Tablet) error {
			rec.Type, out = m.Type, rec
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "tablet type set", "tablet", m.GetAlias(), "type", recovery.TypeName(m.GetType()), "shard", shard.GetName())
	return connect.NewResponse(&controlv1.SetTabletTypeResponse{Tablet: out}), nil
}

// mayRetype refuses to take the reign or the last acknowledgement away by a change of type. It reads anew, under the lock.
func (s *Server) mayRetype(ctx context.Context, t *topov1.Tablet, to topov1.TabletType) error {
	shard, _, err := s.Topo.Shard(ctx, t.GetKeyspace(), t.GetShard())
	if errors.Is(err, topo.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if shard.GetPrimary() == t.GetAlias() {
		return refused(fmt.Sprintf("%s is the primary of %s/%s; reparent first", t.GetAlias(), t.GetKeyspace(), t.GetShard()))
	}
	ks, _, err := s.Topo.Keyspace(ctx, t.GetKeyspace())
	if err != nil {
		return err
	}
	policy := ks.GetDurability()
	if policy != topov1.Durability_DURABILITY_SEMI_SYNC && policy != topov1.Durability_DURABILITY_CROSS_CELL || shard.GetTerm() == 0 {
		return nil
	}
	tablets, err := s.Topo.Tablets(ctx, t.GetKeyspace(), t.GetShard())
	if err != nil {
		return err
	}
	records := make(map[string]*topov1.Tablet, len(tablets))
	for _, rec := range tablets {
		if rec.GetAlias() == t.GetAlias() {
			rec.Type = to.Enum()
		}
		records[rec.GetAlias()] = rec
	}
	if len(durability.Ackers(ks, records, shard.GetPrimary())) < durability.Acks {
		return refused(fmt.Sprintf("nobody would acknowledge the commits of %s/%s any more; change the keyspace's durability first", t.GetKeyspace(), t.GetShard()))
	}
	return nil
}

// StartTablet implements the API.
func (s fleetService) StartTablet(ctx context.Context, req *connect.Request[controlv1.StartTabletRequest]) (*connect.Response[controlv1.StartTabletResponse], error) {
	rec, _, err := s.tablet(ctx, req.Msg.GetAlias())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	if _, err := s.Agents.Agent(rec).StartServer(ctx, connect.NewRequest(&tabletv1.StartServerRequest{})); err != nil {
		return nil, agentError(rec, err)
	}
	return connect.NewResponse(&controlv1.StartTabletResponse{}), nil
}

// StopTablet implements the API. What an operator stops stays down until somebody starts it.
func (s fleetService) StopTablet(ctx context.Context, req *connect.Request[controlv1.StopTabletRequest]) (*connect.Response[controlv1.StopTabletResponse], error) {
	m := req.Msg
	rec, shard, err := s.tablet(ctx, m.GetAlias())
	if err != nil {
		return nil, err
	}
	if shard.GetPrimary() == m.GetAlias() && !m.GetForce() {
		return nil, refused(fmt.Sprintf("%s is the primary of %s/%s; reparent first, or stop it with --force", m.GetAlias(), rec.GetKeyspace(), rec.GetShard()))
	}
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	if _, err := s.Agents.Agent(rec).StopServer(ctx, connect.NewRequest(&tabletv1.StopServerRequest{Fast: m.Fast, KeepDown: proto.Bool(true)})); err != nil {
		return nil, agentError(rec, err)
	}
	return connect.NewResponse(&controlv1.StopTabletResponse{}), nil
}

// DeleteTablet implements the API.
func (s fleetService) DeleteTablet(ctx context.Context, req *connect.Request[controlv1.DeleteTabletRequest]) (*connect.Response[controlv1.DeleteTabletResponse], error) {
	m := req.Msg
	rec, shard, err := s.tablet(ctx, m.GetAlias())
	if err != nil {
		return nil, err
	}
	if shard.GetPrimary() == m.GetAlias() && !m.GetForce() {
		return nil, errcode.New(errcode.RecordInUse, "tablet", m.GetAlias(), fmt.Sprintf("it is the primary of %s/%s; --force deletes its record all the same", rec.GetKeyspace(), rec.GetShard()))
	}
	if err := s.Topo.DeleteTablet(ctx, m.GetAlias()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.DeleteTabletResponse{}), nil
}
