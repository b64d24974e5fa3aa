package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
	"github.com/pelorusdb/pelorus/internal/topo"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// GetVSchema implements the API.
func (s keyspaceService) GetVSchema(ctx context.Context, req *connect.Request[controlv1.GetVSchemaRequest]) (*connect.Response[controlv1.GetVSchemaResponse], error) {
	if _, err := s.keyspace(ctx, req.Msg.GetKeyspace()); err != nil {
		return nil, err
	}
	rec, rev, err := s.Topo.VSchema(ctx, req.Msg.GetKeyspace())
	if errors.Is(err, topo.ErrNotFound) {
		rec, err = &topov1.VSchema{}, nil
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.GetVSchemaResponse{Json: proto.String(rec.GetJson()), Revision: &rev, UpdatedAt: rec.GetUpdatedAt()}), nil
}

// ApplyVSchema implements the API. The document is kept in its canonical form.
func (s keyspaceService) ApplyVSchema(ctx context.Context, req *connect.Request[controlv1.ApplyVSchemaRequest]) (*connect.Response[controlv1.ApplyVSchemaResponse], error) {
	m := req.Msg
	if _, err := s.keyspace(ctx, m.GetKeyspace()); err != nil {
		return nil, err
	}
	doc, err := vschema.Parse(m.GetJson())
	if err != nil {
		return nil, errcode.Wrap(errcode.InvalidVSchema, err, m.GetKeyspace())
	}
	text := doc.Encode()
	before, err := s.inputs(ctx)
	if err != nil {
		return nil, err
	}
	rules, _, err := s.Topo.RoutingRules(ctx)
	if err != nil {
		return nil, err
	}
	after := make(map[string]vschema.Input, len(before))
	for name, in := range before {
		after[name] = in
	}
	after[m.GetKeyspace()] = vschema.Input{JSON: text, Shards: before[m.GetKeyspace()].Shards}
	if err := s.newProblems(before, after, rules.GetJson(), rules.GetJson(), "keyspace "+m.GetKeyspace()+":"); err != nil {
		return nil, errcode.Wrap(errcode.InvalidVSchema, err, m.GetKeyspace())
	}
	_, rev, err := s.Topo.VSchema(ctx, m.GetKeyspace())
	if err != nil && !errors.Is(err, topo.ErrNotFound) {
		return nil, err
	}
	if m.Revision != nil && m.GetRevision() != rev {
		return nil, errcode.New(errcode.TopoConflict, fmt.Sprintf("the vschema of %s (revision %d, not %d)", m.GetKeyspace(), rev, m.GetRevision()))
	}
	if !m.GetDryRun() {
		rec := &topov1.VSchema{Json: &text, UpdatedAt: timestamppb.New(time.Now())}
		if rev, err = s.Topo.PutVSchema(ctx, m.GetKeyspace(), rec, rev); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(&controlv1.ApplyVSchemaResponse{Json: &text, Revision: &rev}), nil
}

// inputs is what all keyspaces bring to the compiled vschema.
func (s *Server) inputs(ctx context.Context) (map[string]vschema.Input, error) {
	names, err := s.Topo.Keyspaces(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]vschema.Input, len(names))
	for _, name := range names {
		rec, _, err := s.Topo.VSchema(ctx, name)
		if err != nil && !errors.Is(err, topo.ErrNotFound) {
			return nil, err
		}
		shards, err := s.Topo.Shards(ctx, name)
		if err != nil {
			return nil, err
		}
		in := vschema.Input{JSON: rec.GetJson()}
		for _, shard := range shards {
			if shard.GetServing() {
				in.Shards = append(in.Shards, shard.GetName())
			}
		}
		out[name] = in
	}
	return out, nil
}

// newProblems compiles the vschema as it is and as it would be. What is wrong with the changed part itself is refused, and
// what the change would break elsewhere; what was broken before does not stand in the way of a repair.
func (s *Server) newProblems(before, after map[string]vschema.Input, rulesBefore, rulesAfter, own string) error {
	known := make(map[string]bool)
	_, problems := vschema.NewCluster(before, rulesBefore, 0)
	for _, p := range problems {
		known[p.Error()] = true
	}
	_, problems = vschema.NewCluster(after, rulesAfter, 0)
	var errs []error
	for _, p := range problems {
		if !known[p.Error()] || strings.HasPrefix(p.Error(), own) {
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}

// GetRoutingRules implements the API.
func (s clusterService) GetRoutingRules(ctx context.Context, _ *connect.Request[controlv1.GetRoutingRulesRequest]) (*connect.Response[controlv1.GetRoutingRulesResponse], error) {
	rec, rev, err := s.Topo.RoutingRules(ctx)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.GetRoutingRulesResponse{Json: proto.String(rec.GetJson()), Revision: &rev}), nil
}

// ApplyRoutingRules implements the API.
func (s clusterService) ApplyRoutingRules(ctx context.Context, req *connect.Request[controlv1.ApplyRoutingRulesRequest]) (*connect.Response[controlv1.ApplyRoutingRulesResponse], error) {
	m := req.Msg
	rules, err := vschema.ParseRules(m.GetJson())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("routing rules: %w", err))
	}
	text := rules.Encode()
	old, rev, err := s.Topo.RoutingRules(ctx)
	if err != nil {
		return nil, err
	}
	if m.Revision != nil && m.GetRevision() != rev {
		return nil, errcode.New(errcode.TopoConflict, fmt.Sprintf("the routing rules (revision %d, not %d)", rev, m.GetRevision()))
	}
	inputs, err := s.inputs(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.newProblems(inputs, inputs, old.GetJson(), text, "routing rules"); err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	if !m.GetDryRun() {
		if rev, err = s.Topo.PutRoutingRules(ctx, &topov1.RoutingRules{Json: &text}, rev); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(&controlv1.ApplyRoutingRulesResponse{Json: &text, Revision: &rev}), nil
}
