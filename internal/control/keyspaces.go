package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/topo"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// keyspaceService answers KeyspaceService; the parts about schemas are in schema.go and vschema.go.
type keyspaceService struct{ *Server }

// CreateKeyspace implements the API.
func (s keyspaceService) CreateKeyspace(ctx context.Context, req *connect.Request[controlv1.CreateKeyspaceRequest]) (*connect.Response[controlv1.CreateKeyspaceResponse], error) {
	m := req.Msg
	for i, name := range m.GetShards() {
		if err := topo.ValidateShardName(name); err != nil {
			return nil, err
		}
		for _, other := range m.GetShards()[:i] {
			if topo.ShardsOverlap(name, other) {
				return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("shards %s and %s overlap", other, name))
			}
		}
	}
	if _, ok := topov1.Durability_name[int32(m.GetDurability())]; !ok {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("durability %d is not known", m.GetDurability()))
	}
	if m.GetDbName() != "" {
		if err := topo.ValidateKeyspaceName(m.GetDbName()); err != nil {
			return nil, fmt.Errorf("database name: %w", err)
		}
	}
	rec := &topov1.Keyspace{Name: proto.String(m.GetName()), Durability: m.Durability, CreatedAt: timestamppb.New(time.Now())}
	if m.GetDbName() != "" {
		rec.DbName = m.DbName
	}
	err := s.Topo.CreateKeyspace(ctx, rec)
	if err != nil && (!errors.Is(err, topo.ErrExists) || !m.GetIfNotExists()) {
		return nil, err
	}
	for _, name := range m.GetShards() {
		if _, err := s.createShard(ctx, m.GetName(), name, nil, m.GetIfNotExists()); err != nil {
			return nil, err
		}
	}
	rec, _, err = s.Topo.Keyspace(ctx, m.GetName())
	if err != nil {
		return nil, err
	}
	shards, err := s.Topo.Shards(ctx, m.GetName())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.CreateKeyspaceResponse{Keyspace: rec, Shards: shards}), nil
}

// ListKeyspaces implements the API.
func (s keyspaceService) ListKeyspaces(ctx context.Context, _ *connect.Request[controlv1.ListKeyspacesRequest]) (*connect.Response[controlv1.ListKeyspacesResponse], error) {
	names, err := s.Topo.Keyspaces(ctx)
	if err != nil {
		return nil, err
	}
	resp := &controlv1.ListKeyspacesResponse{}
	for _, name := range names {
		rec, _, err := s.Topo.Keyspace(ctx, name)
		if errors.Is(err, topo.ErrNotFound) {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		resp.Keyspaces = append(resp.Keyspaces, rec)
	}
	return connect.NewResponse(resp), nil
}

// GetKeyspace implements the API.
func (s keyspaceService) GetKeyspace(ctx context.Context, req *connect.Request[controlv1.GetKeyspaceRequest]) (*connect.Response[controlv1.GetKeyspaceResponse], error) {
	rec, err := s.keyspace(ctx, req.Msg.GetName())
	if err != nil {
		return nil, err
	}
	shards, err := s.Topo.Shards(ctx, req.Msg.GetName())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.GetKeyspaceResponse{Keyspace: rec, Shards: shards}), nil
}

// keyspace reads a record by a name that came from outside.
func (s *Server) keyspace(ctx context.Context, name string) (*topov1.Keyspace, error) {
	if err := topo.ValidateKeyspaceName(name); err != nil {
		return nil, err
	}
	rec, _, err := s.Topo.Keyspace(ctx, name)
	if errors.Is(err, topo.ErrNotFound) {
		return nil, errcode.Wrap(errcode.RecordMissing, err, "keyspace", name)
	}
	return rec, err
}

// UpdateKeyspace implements the API.
func (s keyspaceService) UpdateKeyspace(ctx context.Context, req *connect.Request[controlv1.UpdateKeyspaceRequest]) (*connect.Response[controlv1.UpdateKeyspaceResponse], error) {
	m := req.Msg
	if _, err := s.keyspace(ctx, m.GetName()); err != nil {
		return nil, err
	}
	if m.Durability == nil || topov1.Durability_name[int32(m.GetDurability())] == "" {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("nothing to change: give a durability"))
	}
	var out *topov1.Keyspace
	err := s.Topo.UpdateKeyspace(ctx, m.GetName(), func(rec *topov1.Keyspace) error {
		rec.Durability = m.Durability
		out = rec
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.UpdateKeyspaceResponse{Keyspace: out}), nil
}

// DeleteKeyspace implements the API.
func (s keyspaceService) DeleteKeyspace(ctx context.Context, req *connect.Request[controlv1.DeleteKeyspaceRequest]) (*connect.Response[controlv1.DeleteKeyspaceResponse], error) {
	m := req.Msg
	if _, err := s.keyspace(ctx, m.GetName()); err != nil {
		return nil, err
	}
	shards, err := s.Topo.Shards(ctx, m.GetName())
	if err != nil {
		return nil, err
	}
	tablets, err := s.Topo.Tablets(ctx, m.GetName(), "")
	if err != nil {
		return nil, err
	}
	if len(shards)+len(tablets) > 0 && !m.GetRecursive() {
		return nil, errcode.New(errcode.RecordInUse, "keyspace", m.GetName(), fmt.Sprintf("%d shards and %d tablets; --recursive deletes their records too", len(shards), len(tablets)))
	}
	for _, rec := range shards {
		if err := mayDelete(rec, m.GetForce()); err != nil {
			return nil, err
		}
	}
	for _, rec := range shards {
		if err := s.deleteShard(ctx, rec, true, m.GetForce()); err != nil {
			return nil, err
		}
	}
	// Tablets may have registered in shards that were never made.
	for _, t := range tablets {
		if err := s.Topo.DeleteTablet(ctx, t.GetAlias()); err != nil && !errors.Is(err, topo.ErrNotFound) {
			return nil, err
		}
	}
	if err := s.Topo.DeleteKeyspace(ctx, m.GetName()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.DeleteKeyspaceResponse{}), nil
}
