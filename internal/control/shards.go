package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/orch/reparent"
	"github.com/pelorusdb/pelorus/internal/topo"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// lockTTL is how long a shard stays locked if this node dies; lockWait how long to wait for another's lock.
	lockTTL  = 5 * time.Second
	lockWait = 10 * time.Second
)

// shardService answers ShardService.
type shardService struct{ *Server }

// CreateShard implements the API.
func (s shardService) CreateShard(ctx context.Context, req *connect.Request[controlv1.CreateShardRequest]) (*connect.Response[controlv1.CreateShardResponse], error) {
	m := req.Msg
	if _, err := s.keyspace(ctx, m.GetKeyspace()); err != nil {
		return nil, err
	}
	rec, err := s.createShard(ctx, m.GetKeyspace(), m.GetName(), m.Serving, m.GetIfNotExists())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.CreateShardResponse{Shard: rec}), nil
}

// createShard makes a shard. It serves if asked to, or if nothing was asked and its range is free.
func (s *Server) createShard(ctx context.Context, keyspace, name string, serving *bool, ifNotExists bool) (*topov1.Shard, error) {
	if err := topo.ValidateShardName(name); err != nil {
		return nil, err
	}
	existing, err := s.Topo.Shards(ctx, keyspace)
	if err != nil {
		return nil, err
	}
	overlap := servingOverlap(existing, name)
	serve := overlap == ""
	if serving != nil {
		serve = *serving
	}
	rec := &topov1.Shard{
		Keyspace: &keyspace, Name: &name, Term: proto.Uint64(0), Serving: &serve, CreatedAt: timestamppb.New(time.Now()),
	}
	for _, e := range existing {
		if e.GetName() == name {
			if ifNotExists {
				return e, nil
			}
			return nil, errcode.New(errcode.RecordExists, "shard", keyspace+"/"+name)
		}
	}
	if serve && overlap != "" {
		return nil, errcode.New(errcode.ShardsOverlap, keyspace, name+" and "+overlap)
	}
	if err := s.Topo.CreateShard(ctx, rec); err != nil {
		return nil, err
	}
	return rec, nil
}

// servingOverlap names a serving shard other than name that has keyspace ids in common with it.
func servingOverlap(shards []*topov1.Shard, name string) string {
	for _, s := range shards {
		if s.GetServing() && s.GetName() != name && topo.ShardsOverlap(s.GetName(), name) {
			return s.GetName()
		}
	}
	return ""
}

// ListShards implements the API.
func (s shardService) ListShards(ctx context.Context, req *connect.Request[controlv1.ListShardsRequest]) (*connect.Response[controlv1.ListShardsResponse], error) {
	names := []string{req.Msg.GetKeyspace()}
	if req.Msg.GetKeyspace() == "" {
		var err error
		if names, err = s.Topo.Keyspaces(ctx); err != nil {
			return nil, err
		}
	} else if _, err := s.keyspace(ctx, req.Msg.GetKeyspace()); err != nil {
		return nil, err
	}
	resp := &controlv1.ListShardsResponse{}
	for _, name := range names {
		shards, err := s.Topo.Shards(ctx, name)
		if err != nil {
			return nil, err
		}
		resp.Shards = append(resp.Shards, shards...)
	}
	return connect.NewResponse(resp), nil
}

// shardRecord reads a record by names that came from outside.
func (s *Server) shardRecord(ctx context.Context, keyspace, name string) (*topov1.Shard, error) {
	if err := topo.ValidateKeyspaceName(keyspace); err != nil {
		return nil, err
	}
	if err := topo.ValidateShardName(name); err != nil {
		return nil, err
	}
	rec, _, err := s.Topo.Shard(ctx, keyspace, name)
	if errors.Is(err, topo.ErrNotFound) {
		return nil, errcode.Wrap(errcode.RecordMissing, err, "shard", keyspace+"/"+name)
	}
	return rec, err
}

// GetShard implements the API.
func (s shardService) GetShard(ctx context.Context, req *connect.Request[controlv1.GetShardRequest]) (*connect.Response[controlv1.GetShardResponse], error) {
	rec, err := s.shardRecord(ctx, req.Msg.GetKeyspace(), req.Msg.GetName())
	if err != nil {
		return nil, err
	}
	tablets, err := s.Topo.Tablets(ctx, req.Msg.GetKeyspace(), req.Msg.GetName())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.GetShardResponse{Shard: rec, Tablets: tablets}), nil
}

// UpdateShard implements the API.
func (s shardService) UpdateShard(ctx context.Context, req *connect.Request[controlv1.UpdateShardRequest]) (*connect.Response[controlv1.UpdateShardResponse], error) {
	m := req.Msg
	if m.Serving == nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("nothing to change: say whether the shard serves"))
	}
	if _, err := s.shardRecord(ctx, m.GetKeyspace(), m.GetName()); err != nil {
		return nil, err
	}
	var out *topov1.Shard
	err := s.locked(ctx, m.GetKeyspace(), m.GetName(), func(ctx context.Context) error {
		shards, err := s.Topo.Shards(ctx, m.GetKeyspace())
		if err != nil {
			return err
		}
		if overlap := servingOverlap(shards, m.GetName()); m.GetServing() && overlap != "" {
			return errcode.New(errcode.ShardsOverlap, m.GetKeyspace(), m.GetName()+" and "+overlap)
		}
		return s.Topo.UpdateShard(ctx, m.GetKeyspace(), m.GetName(), func(rec *topov1.Shard) error {
			if rec.GetServing() && !m.GetServing() && !m.GetForce() {
				return errcode.New(errcode.ShardsOverlap, m.GetKeyspace(), "nobody would serve "+m.GetName()+"; --force does it all the same")
			}
			rec.Serving, out = m.Serving, rec
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.UpdateShardResponse{Shard: out}), nil
}

// locked runs fn while holding the shard's lock; its context ends with the lock.
func (s *Server) locked(ctx context.Context, keyspace, shard string, fn func(context.Context) error) error {
	wait, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lock, err := s.Topo.Lock(wait, reparent.LockName(keyspace, shard), s.Reparenter.Owner, lockTTL)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	held, done := lock.Context(ctx)
	defer done()
	return fn(held)
}

// mayDelete refuses to delete a shard that serves.
func mayDelete(rec *topov1.Shard, force bool) error {
	if rec.GetServing() && rec.GetTerm() > 0 && !force {
		return errcode.New(errcode.RecordInUse, "shard", rec.GetKeyspace()+"/"+rec.GetName(), "it serves; --force deletes its record all the same")
	}
	return nil
}

// DeleteShard implements the API.
func (s shardService) DeleteShard(ctx context.Context, req *connect.Request[controlv1.DeleteShardRequest]) (*connect.Response[controlv1.DeleteShardResponse], error) {
	rec, err := s.shardRecord(ctx, req.Msg.GetKeyspace(), req.Msg.GetName())
	if err != nil {
		return nil, err
	}
	if err := s.deleteShard(ctx, rec, req.Msg.GetRecursive(), req.Msg.GetForce()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.DeleteShardResponse{}), nil
}

func (s *Server) deleteShard(ctx context.Context, rec *topov1.Shard, recursive, force bool) error {
	keyspace, name := rec.GetKeyspace(), rec.GetName()
	return s.locked(ctx, keyspace, name, func(ctx context.Context) error {
		rec, rev, err := s.Topo.Shard(ctx, keyspace, name)
		if err != nil {
			return err
		}
		if err := mayDelete(rec, force); err != nil {
			return err
		}
		tablets, err := s.Topo.Tablets(ctx, keyspace, name)
		if err != nil {
			return err
		}
		if len(tablets) > 0 && !recursive {
			return errcode.New(errcode.RecordInUse, "shard", keyspace+"/"+name, fmt.Sprintf("%d tablets; --recursive deletes their records too", len(tablets)))
		}
		for _, t := range tablets {
			if err := s.Topo.DeleteTablet(ctx, t.GetAlias()); err != nil && !errors.Is(err, topo.ErrNotFound) {
				return err
			}
		}
		return s.Topo.DeleteShard(ctx, keyspace, name, rev)
	})
}

// InitShard implements the API.
func (s shardService) InitShard(ctx context.Context, req *connect.Request[controlv1.InitShardRequest]) (*connect.Response[controlv1.InitShardResponse], error) {
	m := req.Msg
	got, err := s.reparent(ctx, m.GetKeyspace(), m.GetName(), s.Reparenter.Init, reparent.Options{
		NewPrimary: m.GetPrimary(), Timeout: m.GetTimeout().AsDuration(), DryRun: m.GetDryRun(), Force: m.GetForce(),
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.InitShardResponse{Shard: got.Shard, Steps: steps(got.Steps)}), nil
}

// ReparentPlanned implements the API.
func (s shardService) ReparentPlanned(ctx context.Context, req *connect.Request[controlv1.ReparentPlannedRequest]) (*connect.Response[controlv1.ReparentPlannedResponse], error) {
	m := req.Msg
	got, err := s.reparent(ctx, m.GetKeyspace(), m.GetName(), s.Reparenter.Planned, reparent.Options{
		NewPrimary: m.GetNewPrimary(), Timeout: m.GetTimeout().AsDuration(), DryRun: m.GetDryRun(),
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.ReparentPlannedResponse{Shard: got.Shard, Steps: steps(got.Steps)}), nil
}

// ReparentEmergency implements the API.
func (s shardService) ReparentEmergency(ctx context.Context, req *connect.Request[controlv1.ReparentEmergencyRequest]) (*connect.Response[controlv1.ReparentEmergencyResponse], error) {
	m := req.Msg
	got, err := s.reparent(ctx, m.GetKeyspace(), m.GetName(), s.Reparenter.Emergency, reparent.Options{
		NewPrimary: m.GetNewPrimary(), Timeout: m.GetTimeout().AsDuration(), DryRun: m.GetDryRun(), Force: m.GetForce(),
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.ReparentEmergencyResponse{Shard: got.Shard, Steps: steps(got.Steps)}), nil
}

// reparent checks the names and runs one kind of reparent. The operation goes on to a safe end if the caller goes away. An
// error carries the steps that were taken as details.
func (s *Server) reparent(ctx context.Context, keyspace, shard string,
	operation func(context.Context, string, string, reparent.Options) (reparent.Result, error), opts reparent.Options,
) (reparent.Result, error) {
	if _, err := s.shardRecord(ctx, keyspace, shard); err != nil {
		return reparent.Result{}, err
	}
	if opts.NewPrimary != "" {
		if _, _, err := topo.ParseAlias(opts.NewPrimary); err != nil {
			return reparent.Result{}, err
		}
	}
	got, err := operation(context.WithoutCancel(ctx), keyspace, shard, opts)
	if err == nil {
		return got, nil
	}
	out := connect.NewError(codeOf(err), err)
	for _, step := range steps(got.Steps) {
		if d, detailErr := connect.NewErrorDetail(step); detailErr == nil {
			out.AddDetail(d)
		}
	}
	return got, out
}

func steps(in []reparent.Step) []*controlv1.Step {
	out := make([]*controlv1.Step, len(in))
	for i, step := range in {
		out[i] = &controlv1.Step{
			Name: &step.Name, Target: &step.Target, Detail: &step.Detail,
			StartedAt: timestamppb.New(step.Started), Duration: durationpb.New(step.Duration),
		}
		if step.Err != nil {
			out[i].Error = proto.String(step.Err.Error())
		}
	}
	return out
}
