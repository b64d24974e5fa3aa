package devcluster

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/devcluster/shape"
)

const (
	// initTime is how long a shard may take to get its first primary with its replicas attached.
	initTime = time.Minute
	// openTime is how long a shard that has a primary may take to open again; readyTime how long until the gateway serves it.
	openTime, readyTime = 2 * time.Minute, time.Minute
)

func (st *starter) createKeyspaces(ctx context.Context, api *api) error {
	for _, k := range st.d.state.Spec.Keyspaces {
		if err := api.createKeyspace(ctx, k); err != nil {
			return err
		}
	}
	return api.createRoot(ctx)
}

// openShards gives each shard that never had a primary its first one, all at the same time, and waits until those
// that had one have it back.
func (st *starter) openShards(ctx context.Context, api *api) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, name := range st.d.state.shards() {
		keyspace, shard, _ := strings.Cut(name, "/")
		g.Go(func() error {
			term, err := api.term(ctx, keyspace, shard)
			if err != nil {
				return err
			}
			if term == 0 {
				err = st.initShard(ctx, api, keyspace, shard)
			} else {
				err = st.reopened(ctx, keyspace, shard)
			}
			return err
		})
	}
	return g.Wait()
}

func (st *starter) initShard(ctx context.Context, api *api, keyspace, shard string) error {
	req := &controlv1.InitShardRequest{
		Keyspace: &keyspace, Name: &shard, Primary: proto.String(st.d.state.firstTablet(keyspace, shard)), Timeout: durationpb.New(initTime),
	}
	// Control may not yet have heard of every agent: what it refuses now it accepts a moment later.
	wait, cancel := context.WithTimeout(ctx, initTime)
	defer cancel()
	var last error
	err := until(wait, 4*askStep, func() (bool, error) {
		_, last = api.shards.InitShard(wait, connect.NewRequest(req))
		code := connect.CodeOf(last)
		if last == nil || code == connect.CodeFailedPrecondition || code == connect.CodeUnavailable || code == connect.CodeNotFound {
			return last == nil, nil
		}
		return false, last
	})
	if err != nil {
		return fmt.Errorf("give shard %s/%s its first primary: %w", keyspace, shard, errors.Join(err, last))
	}
	st.say("%s/%s has a primary", keyspace, shard)
	return nil
}

// firstTablet is the tablet that was planned to be the first primary.
func (s *state) firstTablet(keyspace, shard string) string {
	for _, p := range s.byRole(RoleTablet) {
		if p.Keyspace == keyspace && p.Shard == shard {
			return p.Tablet
		}
	}
	return ""
}

// reopened waits until an agent of the shard reigns again after a restart.
func (st *starter) reopened(ctx context.Context, keyspace, shard string) error {
	wait, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	err := until(wait, 2*askStep, func() (bool, error) {
		for _, p := range st.d.state.byRole(RoleTablet) {
			if p.Keyspace != keyspace || p.Shard != shard {
				continue
			}
			if s, err := agentStatus(wait, p); err == nil && s.GetPrimaryAlias() == p.Tablet && s.Fenced != nil && !s.GetFenced() {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("waiting until the primary of %s/%s opens: %w; see `pelorus tablet list` and the logs in %s", keyspace, shard, err, st.d.path)
	}
	return nil
}

// load applies the schema and vschema files of keyspaces that have not got theirs.
func (st *starter) load(ctx context.Context, api *api) error {
	s := st.d.state
	for _, k := range s.Spec.Keyspaces {
		if slices.Contains(s.Loaded, k.Name) {
			continue
		}
		if k.Schema != "" {
			if err := st.loadSchema(ctx, api, k); err != nil {
				return fmt.Errorf("apply %s to keyspace %s: %w", k.Schema, k.Name, err)
			}
		}
		if k.VSchema != "" {
			doc, err := shape.ReadFile(k.VSchema)
			if err != nil {
				return fmt.Errorf("vschema of keyspace %s: %w", k.Name, err)
			}
			if _, err := api.keyspaces.ApplyVSchema(ctx, connect.NewRequest(&controlv1.ApplyVSchemaRequest{Keyspace: &k.Name, Json: &doc})); err != nil {
				return fmt.Errorf("apply vschema %s to keyspace %s: %w", k.VSchema, k.Name, err)
			}
		}
		s.Loaded, s.Loading = append(s.Loaded, k.Name), nil
		if err := st.d.save(); err != nil {
			return err
		}
	}
	return nil
}

// loadSchema runs the statements of a schema file one by one and keeps count, so that a start that was interrupted goes on where
// it was. A statement that may have run before is taken as done where the server says that its work is there.
func (st *starter) loadSchema(ctx context.Context, api *api, k shape.Keyspace) error {
	text, err := shape.ReadFile(k.Schema)
	if err != nil {
		return err
	}
	res, err := api.keyspaces.ApplySchema(ctx, connect.NewRequest(&controlv1.ApplySchemaRequest{Keyspace: &k.Name, Sql: &text, DryRun: proto.Bool(true)}))
	if err != nil {
		return err
	}
	s := st.d.state
	again := s.Loading != nil && s.Loading.Keyspace == k.Name
	if !again {
		s.Loading = &loading{Keyspace: k.Name}
	}
	for i, sql := range res.Msg.GetStatements() {
		if i < s.Loading.Done {
			continue
		}
		s.Loading.Done = i
		if err := st.d.save(); err != nil {
			return err
		}
		res, err := api.keyspaces.ApplySchema(ctx, connect.NewRequest(&controlv1.ApplySchemaRequest{Keyspace: &k.Name, Sql: &sql}))
		if err != nil {
			return err
		}
		for _, r := range res.Msg.GetResults() {
			if r.GetError() != "" && !(again && alreadyDone(r.GetError())) {
				return fmt.Errorf("statement %d on shard %s: %s", i+1, r.GetShard(), r.GetError())
			}
		}
		again = false
	}
	return nil
}

// doneBefore are the errors of servers that say that a statement's work is there already: a database, table, column, key, row,
// routine, trigger, view or event that exists, or one to drop that does not (MySQL's and MariaDB's numbers are the same).
var doneBefore = regexp.MustCompile(`\bmysql error (1007|1008|1050|1051|1060|1061|1062|1091|1304|1305|1359|1360|1537|1539|1826) `)

func alreadyDone(text string) bool { return doneBefore.MatchString(text) }

// awaitShards waits until each shard that gateways may serve has answered through each gateway.
func (st *starter) awaitShards(ctx context.Context) error {
	var names []string
	for _, k := range st.d.state.Spec.Keyspaces {
		for _, shard := range k.Shards {
			names = append(names, k.Name+"/"+shard)
		}
	}
	return st.await(ctx, readyTime, st.d.state.byRole(RoleGateway), "every shard answers through the gateway", func(ctx context.Context, p *process) error {
		for _, name := range names {
			keyspace, shard, _ := strings.Cut(name, "/")
			if err := shardAnswers(ctx, addr(p), keyspace, shard); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
}
