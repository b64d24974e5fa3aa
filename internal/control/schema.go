package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/sql/parse"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// maxStatements bounds one schema change.
	maxStatements = 1000
	// maxParallelShards bounds how many shards are changed at a time.
	maxParallelShards = 32
	// agentTimeout bounds a short question to an agent.
	agentTimeout = 5 * time.Second
)

// GetSchema implements the API.
func (s keyspaceService) GetSchema(ctx context.Context, req *connect.Request[controlv1.GetSchemaRequest]) (*connect.Response[controlv1.GetSchemaResponse], error) {
	m := req.Msg
	if _, err := s.keyspace(ctx, m.GetKeyspace()); err != nil {
		return nil, err
	}
	var only []string
	if m.GetShard() != "" {
		only = []string{m.GetShard()}
	}
	primaries, err := s.primaries(ctx, m.GetKeyspace(), only)
	if err != nil {
		return nil, err
	}
	p := primaries[0]
	resp, err := s.Agents.Agent(p.tablet).GetSchema(ctx, connect.NewRequest(&tabletv1.GetSchemaRequest{Tables: m.GetTables()}))
	if err != nil {
		return nil, fmt.Errorf("schema of %s/%s from %s: %w", m.GetKeyspace(), p.shard, p.tablet.GetAlias(), err)
	}
	return connect.NewResponse(&controlv1.GetSchemaResponse{
		Keyspace: m.Keyspace, Shard: &p.shard, Tablet: p.tablet.Alias, Tables: resp.Msg.GetTables(),
	}), nil
}

// primary is a shard with the tablet that reigns in it.
type primary struct {
	shard  string
	tablet *topov1.Tablet
}

// primaries returns the primary of each shard, or of those in only; a shard without one is an error.
func (s *Server) primaries(ctx context.Context, keyspace string, only []string) ([]primary, error) {
	shards, err := s.Topo.Shards(ctx, keyspace)
	if err != nil {
		return nil, err
	}
	var out []primary
	for _, rec := range shards {
		if len(only) > 0 && !slices.Contains(only, rec.GetName()) {
			continue
		}
		if rec.GetPrimary() == "" {
			return nil, errcode.New(errcode.NoPrimary, keyspace+"/"+rec.GetName())
		}
		t, _, err := s.Topo.Tablet(ctx, keyspace, rec.GetName(), rec.GetPrimary())
		if err != nil {
			return nil, fmt.Errorf("primary of %s/%s: %w", keyspace, rec.GetName(), err)
		}
		out = append(out, primary{shard: rec.GetName(), tablet: t})
	}
	for _, name := range only {
		if !slices.ContainsFunc(out, func(p primary) bool { return p.shard == name }) {
			return nil, errcode.New(errcode.RecordMissing, "shard", keyspace+"/"+name)
		}
	}
	if len(out) == 0 {
		return nil, refused(fmt.Sprintf("keyspace %s has no shards", keyspace))
	}
	return out, nil
}

// ApplySchema implements the API.
func (s keyspaceService) ApplySchema(ctx context.Context, req *connect.Request[controlv1.ApplySchemaRequest]) (*connect.Response[controlv1.ApplySchemaResponse], error) {
	m := req.Msg
	ks, err := s.keyspace(ctx, m.GetKeyspace())
	if err != nil {
		return nil, err
	}
	statements, err := split(m.GetSql())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	primaries, err := s.primaries(ctx, m.GetKeyspace(), m.GetShards())
	if err != nil {
		return nil, err
	}
	if err := s.allWritable(ctx, m.GetKeyspace(), primaries); err != nil {
		return nil, err
	}
	resp := &controlv1.ApplySchemaResponse{Statements: statements, Complete: proto.Bool(true)}
	if m.GetDryRun() {
		resp.Complete = proto.Bool(false)
		return connect.NewResponse(resp), nil
	}
	database := ks.GetDbName()
	if database == "" {
		database = ks.GetName()
	}
	resp.Results = make([]*controlv1.ShardSchemaResult, len(primaries))
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxParallelShards)
	for i, p := range primaries {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			resp.Results[i] = s.applyTo(ctx, p, database, statements)
		})
	}
	wg.Wait()
	for _, r := range resp.Results {
		if r.Error != nil {
			resp.Complete = proto.Bool(false)
		}
	}
	return connect.NewResponse(resp), nil
}

// allWritable makes sure before the first statement that no shard will stay behind for a reason that can be seen.
func (s *Server) allWritable(ctx context.Context, keyspace string, primaries []primary) error {
	errs := make([]error, len(primaries))
	var wg sync.WaitGroup
	for i, p := range primaries {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, agentTimeout)
			defer cancel()
			path := keyspace + "/" + p.shard
			resp, err := s.Agents.Agent(p.tablet).GetFullStatus(ctx, connect.NewRequest(&tabletv1.GetFullStatusRequest{}))
			server := resp0(resp).GetServer()
			switch {
			case err != nil:
				errs[i] = errcode.Wrap(errcode.EvidenceMissing, err, "whether the primary of "+path+" takes writes")
			case server == nil || server.Responding == nil || server.ReadOnly == nil:
				errs[i] = errcode.New(errcode.EvidenceMissing, "whether the primary of "+path+" takes writes")
			case !server.GetResponding() || server.GetReadOnly():
				errs[i] = refused(fmt.Sprintf("the primary %s of %s does not take writes", p.tablet.GetAlias(), path))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// resp0 is the status of an answer that may be nil.
func resp0(resp *connect.Response[tabletv1.GetFullStatusResponse]) *tabletv1.FullStatus {
	if resp == nil {
		return nil
	}
	return resp.Msg.GetStatus()
}

// applyTo runs the statements on one primary until one fails.
func (s *Server) applyTo(ctx context.Context, p primary, database string, statements []string) *controlv1.ShardSchemaResult {
	began := time.Now()
	out := &controlv1.ShardSchemaResult{Shard: &p.shard, Tablet: p.tablet.Alias, StatementsDone: proto.Uint32(0)}
	agent := s.Agents.Agent(p.tablet)
	for _, sql := range statements {
		if _, err := agent.ExecuteSql(ctx, connect.NewRequest(&tabletv1.ExecuteSqlRequest{Sql: &sql, Database: &database})); err != nil {
			out.Error = proto.String(err.Error())
			break
		}
		*out.StatementsDone++
	}
	out.Duration = durationpb.New(time.Since(began))
	return out
}

// split cuts a text into its statements; empty ones and those of comments alone are left out.
func split(text string) ([]string, error) {
	var out []string
	src := []byte(text)
	for len(src) > 0 {
		first, rest, err := parse.Split(src, parse.Mode{})
		if err != nil {
			return nil, fmt.Errorf("statement %d: %w", len(out)+1, err)
		}
		if sql := string(first.Text(src)); sql != "" {
			out = append(out, sql)
		}
		if rest <= 0 {
			break
		}
		src = src[rest:]
	}
	if len(out) == 0 {
		return nil, errors.New("there is no statement")
	}
	if len(out) > maxStatements {
		return nil, fmt.Errorf("%d statements, at most %d at a time", len(out), maxStatements)
	}
	return out, nil
}
