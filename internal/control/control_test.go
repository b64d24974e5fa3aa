package control_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/controlv1/controlv1connect"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/control"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/orch/fleet"
	"github.com/pelorusdb/pelorus/internal/orch/orchtest"
	"github.com/pelorusdb/pelorus/internal/orch/reparent"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
	"github.com/pelorusdb/pelorus/internal/workflow/run"

	"connectrpc.com/connect"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is a control node over a store in memory, with clients of its services.
type api struct {
	topo      *topo.Topo
	url       string
	http      *http.Client
	cluster   controlv1connect.ClusterServiceClient
	keyspaces controlv1connect.KeyspaceServiceClient
	shards    controlv1connect.ShardServiceClient
	fleet     controlv1connect.FleetServiceClient
	users     controlv1connect.UserServiceClient
	workflows controlv1connect.WorkflowServiceClient
	runner    *run.Runner
}

func newAPI(t *testing.T, token string, opts ...connect.ClientOption) *api {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store := mem.New()
	t.Cleanup(func() { store.Close() })
	tp := topo.New(store).WithLogger(log)
	dialer := fleet.NewDialer()
	t.Cleanup(dialer.Close)
	watch := fleet.New(tp, dialer, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); watch.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	runner, err := run.New(run.Config{Topo: tp, Owner: "test", Kinds: []run.Kind{slow{}}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	worked := make(chan struct{})
	go func() { defer close(worked); runner.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-worked })
	srv := httptest.NewUnstartedServer(control.New(control.Parts{
		Topo: tp, Fleet: watch, Agents: dialer, Log: log, Token: token,
		Reparenter: &reparent.Reparenter{Topo: tp, Agents: dialer, Owner: "test", Log: log}, Workflows: runner,
	}).Handler())
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	client := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}}
	client.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(client.CloseIdleConnections)
	return &api{
		topo: tp, url: srv.URL, http: client,
		cluster:   controlv1connect.NewClusterServiceClient(client, srv.URL, opts...),
		keyspaces: controlv1connect.NewKeyspaceServiceClient(client, srv.URL, opts...),
		shards:    controlv1connect.NewShardServiceClient(client, srv.URL, opts...),
		fleet:     controlv1connect.NewFleetServiceClient(client, srv.URL, opts...),
		users:     controlv1connect.NewUserServiceClient(client, srv.URL, opts...),
		workflows: controlv1connect.NewWorkflowServiceClient(client, srv.URL, opts...),
		runner:    runner,
	}
}

// call calls a method and fails the test on an error.
func call[Req, Resp any](t *testing.T, method func(context.Context, *connect.Request[Req]) (*connect.Response[Resp], error), req *Req) *Resp {
	t.Helper()
	resp, err := method(t.Context(), connect.NewRequest(req))
	if err != nil {
		t.Fatal(err)
	}
	return resp.Msg
}

// refuse calls a method that must fail with the code, and returns the error's text.
func refuse[Req, Resp any](t *testing.T, code connect.Code, method func(context.Context, *connect.Request[Req]) (*connect.Response[Resp], error), req *Req) string {
	t.Helper()
	_, err := method(t.Context(), connect.NewRequest(req))
	if connect.CodeOf(err) != code || err == nil {
		t.Fatalf("got %v (%s), want %s", err, connect.CodeOf(err), code)
	}
	return err.Error()
}

func createShop(t *testing.T, a *api, shards ...string) {
	t.Helper()
	call(t, a.keyspaces.CreateKeyspace, &controlv1.CreateKeyspaceRequest{Name: proto.String("shop"), Shards: shards})
}

// withShard makes keyspace shop with one shard of three tablets, initialised.
func withShard(t *testing.T, a *api) *orchtest.World {
	t.Helper()
	createShop(t, a, "0")
	w := orchtest.New(t, a.topo, "shop", "0", "zone1-101", "zone1-102", "zone1-103")
	call(t, a.shards.InitShard, &controlv1.InitShardRequest{Keyspace: proto.String("shop"), Name: proto.String("0")})
	return w
}

func TestKeyspaces(t *testing.T) {
	a := newAPI(t, "")
	createShop(t, a, "-80", "80-")
	refuse(t, connect.CodeAlreadyExists, a.keyspaces.CreateKeyspace, &controlv1.CreateKeyspaceRequest{Name: proto.String("shop")})
	again := call(t, a.keyspaces.CreateKeyspace, &controlv1.CreateKeyspaceRequest{
		Name: proto.String("shop"), Shards: []string{"-80", "80-"}, IfNotExists: proto.Bool(true),
	})
	if len(again.GetShards()) != 2 || !again.GetShards()[0].GetServing() {
		t.Errorf("shards %v", again.GetShards())
	}
	for _, bad := range []*controlv1.CreateKeyspaceRequest{
		{Name: proto.String("mysql")}, {Name: proto.String("a b")}, {},
		{Name: proto.String("x"), Shards: []string{"-80", "40-"}},
		{Name: proto.String("x"), Shards: []string{"nonsense"}},
		{Name: proto.String("x"), DbName: proto.String("_pelorus")},
		{Name: proto.String("x"), Durability: topov1.Durability(77).Enum()},
	} {
		refuse(t, connect.CodeInvalidArgument, a.keyspaces.CreateKeyspace, bad)
	}
	semi := topov1.Durability_DURABILITY_SEMI_SYNC
	call(t, a.keyspaces.UpdateKeyspace, &controlv1.UpdateKeyspaceRequest{Name: proto.String("shop"), Durability: semi.Enum()})
	got := call(t, a.keyspaces.GetKeyspace, &controlv1.GetKeyspaceRequest{Name: proto.String("shop")})
	if got.GetKeyspace().GetDurability() != semi || len(got.GetShards()) != 2 {
		t.Errorf("got %v", got)
	}
	refuse(t, connect.CodeNotFound, a.keyspaces.GetKeyspace, &controlv1.GetKeyspaceRequest{Name: proto.String("none")})
	refuse(t, connect.CodeFailedPrecondition, a.keyspaces.DeleteKeyspace, &controlv1.DeleteKeyspaceRequest{Name: proto.String("shop")})
	call(t, a.keyspaces.DeleteKeyspace, &controlv1.DeleteKeyspaceRequest{Name: proto.String("shop"), Recursive: proto.Bool(true)})
	if n := len(call(t, a.keyspaces.ListKeyspaces, &controlv1.ListKeyspacesRequest{}).GetKeyspaces()); n != 0 {
		t.Errorf("%d keyspaces left", n)
	}
}

func TestShards(t *testing.T) {
	a := newAPI(t, "")
	createShop(t, a, "-80", "80-")
	shard := func(name string) *controlv1.CreateShardRequest {
		return &controlv1.CreateShardRequest{Keyspace: proto.String("shop"), Name: &name}
	}
	if rec := call(t, a.shards.CreateShard, shard("-40")).GetShard(); rec.GetServing() {
		t.Error("a shard whose range is served already serves too")
	}
	refuse(t, connect.CodeAlreadyExists, a.shards.CreateShard, shard("-80"))
	refuse(t, connect.CodeInvalidArgument, a.shards.CreateShard, shard("80"))
	refuse(t, connect.CodeNotFound, a.shards.CreateShard, &controlv1.CreateShardRequest{Keyspace: proto.String("none"), Name: proto.String("0")})
	overlapping := shard("40-80")
	overlapping.Serving = proto.Bool(true)
	refuse(t, connect.CodeFailedPrecondition, a.shards.CreateShard, overlapping)

	set := func(name string, serving, force bool) *controlv1.UpdateShardRequest {
		return &controlv1.UpdateShardRequest{Keyspace: proto.String("shop"), Name: &name, Serving: &serving, Force: &force}
	}
	refuse(t, connect.CodeFailedPrecondition, a.shards.UpdateShard, set("-40", true, true))
	refuse(t, connect.CodeFailedPrecondition, a.shards.UpdateShard, set("-80", false, false))
	call(t, a.shards.UpdateShard, set("-80", false, true))
	call(t, a.shards.UpdateShard, set("-40", true, false))
	call(t, a.shards.DeleteShard, &controlv1.DeleteShardRequest{Keyspace: proto.String("shop"), Name: proto.String("-80")})
	list := call(t, a.shards.ListShards, &controlv1.ListShardsRequest{Keyspace: proto.String("shop")}).GetShards()
	if len(list) != 2 || list[0].GetName() != "-40" {
		t.Errorf("shards %v", list)
	}
}

func TestDeleteProtectsWhatServes(t *testing.T) {
	a := newAPI(t, "")
	withShard(t, a)
	recursive := &controlv1.DeleteShardRequest{Keyspace: proto.String("shop"), Name: proto.String("0"), Recursive: proto.Bool(true)}
	refuse(t, connect.CodeFailedPrecondition, a.shards.DeleteShard, recursive)
	refuse(t, connect.CodeFailedPrecondition, a.keyspaces.DeleteKeyspace, &controlv1.DeleteKeyspaceRequest{Name: proto.String("shop"), Recursive: proto.Bool(true)})
	refuse(t, connect.CodeFailedPrecondition, a.shards.DeleteShard, &controlv1.DeleteShardRequest{
		Keyspace: proto.String("shop"), Name: proto.String("0"), Force: proto.Bool(true),
	})
	refuse(t, connect.CodeFailedPrecondition, a.fleet.DeleteTablet, &controlv1.DeleteTabletRequest{Alias: proto.String("zone1-101")})
	call(t, a.fleet.DeleteTablet, &controlv1.DeleteTabletRequest{Alias: proto.String("zone1-103")})
	recursive.Force = proto.Bool(true)
	call(t, a.shards.DeleteShard, recursive)
	if left := call(t, a.fleet.ListTablets, &controlv1.ListTabletsRequest{}).GetTablets(); len(left) != 0 {
		t.Errorf("tablets left: %v", left)
	}
}

func TestReparentsOverTheAPI(t *testing.T) {
	a := newAPI(t, "")
	w := withShard(t, a)
	planned := &controlv1.ReparentPlannedRequest{Keyspace: proto.String("shop"), Name: proto.String("0"), NewPrimary: proto.String("zone1-102")}
	got := call(t, a.shards.ReparentPlanned, planned)
	if got.GetShard().GetPrimary() != "zone1-102" || got.GetShard().GetTerm() != 2 || len(got.GetSteps()) == 0 {
		t.Errorf("got %v", got)
	}
	refuse(t, connect.CodeFailedPrecondition, a.shards.ReparentPlanned, planned)
	refuse(t, connect.CodeInvalidArgument, a.shards.ReparentPlanned, &controlv1.ReparentPlannedRequest{
		Keyspace: proto.String("shop"), Name: proto.String("0"), NewPrimary: proto.String("nonsense"),
	})
	refuse(t, connect.CodeNotFound, a.shards.ReparentPlanned, &controlv1.ReparentPlannedRequest{Keyspace: proto.String("shop"), Name: proto.String("-")})
	w.Do("zone1-102", (*orchtest.Server).Kill)
	emergency := &controlv1.ReparentEmergencyRequest{Keyspace: proto.String("shop"), Name: proto.String("0")}
	if got := call(t, a.shards.ReparentEmergency, emergency); got.GetShard().GetTerm() != 3 {
		t.Errorf("got %v", got)
	}
	// A refusal carries the steps that were taken.
	w.Do("zone1-103", (*orchtest.Server).Mute)
	w.Do("zone1-101", (*orchtest.Server).Mute)
	_, err := a.shards.ReparentEmergency(t.Context(), connect.NewRequest(emergency))
	var coded *connect.Error
	if !errors.As(err, &coded) || coded.Code() != connect.CodeFailedPrecondition {
		t.Fatalf("error %v", err)
	}
}

func TestTablets(t *testing.T) {
	a := newAPI(t, "")
	w := withShard(t, a)
	setType := func(alias string, to topov1.TabletType) *controlv1.SetTabletTypeRequest {
		return &controlv1.SetTabletTypeRequest{Alias: &alias, Type: to.Enum()}
	}
	const replica, rdonly, prim = topov1.TabletType_TABLET_TYPE_REPLICA, topov1.TabletType_TABLET_TYPE_RDONLY, topov1.TabletType_TABLET_TYPE_PRIMARY
	refuse(t, connect.CodeInvalidArgument, a.fleet.SetTabletType, setType("zone1-102", prim))
	refuse(t, connect.CodeInvalidArgument, a.fleet.SetTabletType, setType("zone1-102", topov1.TabletType_TABLET_TYPE_BACKUP))
	refuse(t, connect.CodeFailedPrecondition, a.fleet.SetTabletType, setType("zone1-101", replica))
	refuse(t, connect.CodeNotFound, a.fleet.SetTabletType, setType("zone1-999", replica))
	semi := topov1.Durability_DURABILITY_SEMI_SYNC
	call(t, a.keyspaces.UpdateKeyspace, &controlv1.UpdateKeyspaceRequest{Name: proto.String("shop"), Durability: semi.Enum()})
	call(t, a.fleet.SetTabletType, setType("zone1-102", rdonly))
	refuse(t, connect.CodeFailedPrecondition, a.fleet.SetTabletType, setType("zone1-103", rdonly))

	refuse(t, connect.CodeFailedPrecondition, a.fleet.StopTablet, &controlv1.StopTabletRequest{Alias: proto.String("zone1-101")})
	call(t, a.fleet.StopTablet, &controlv1.StopTabletRequest{Alias: proto.String("zone1-103")})
	status := call(t, a.fleet.GetTabletStatus, &controlv1.GetTabletStatusRequest{Alias: proto.String("zone1-103")}).GetStatus()
	if status.GetServer().Responding == nil || status.GetServer().GetResponding() || status.GetServer().ReadOnly != nil {
		t.Errorf("status of a stopped server: %v", status)
	}
	call(t, a.fleet.StartTablet, &controlv1.StartTabletRequest{Alias: proto.String("zone1-103")})
	w.Do("zone1-103", (*orchtest.Server).Mute)
	text := refuse(t, connect.CodeUnavailable, a.fleet.GetTabletStatus, &controlv1.GetTabletStatusRequest{Alias: proto.String("zone1-103")})
	if !strings.Contains(text, "PLR1711") || !strings.Contains(text, "zone1-103") {
		t.Errorf("error %s", text)
	}
}

// await asks until the answer is as wanted: what the fleet sees comes a moment later than it happens.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

func TestStatusDoctorAndVersion(t *testing.T) {
	a := newAPI(t, "")
	w := withShard(t, a)
	shard := func() *controlv1.ShardStatus {
		ks := call(t, a.cluster.GetStatus, &controlv1.GetStatusRequest{}).GetKeyspaces()
		if len(ks) != 1 || len(ks[0].GetShards()) != 1 {
			return nil
		}
		return ks[0].GetShards()[0]
	}
	await(t, "a healthy shard", func() bool {
		return shard().GetHealth() == controlv1.Health_HEALTH_OK && len(shard().GetTablets()) == 3
	})
	doctor := func() []string {
		var out []string
		for _, f := range call(t, a.cluster.RunDoctor, &controlv1.RunDoctorRequest{}).GetFindings() {
			if f.GetCure() == "" || f.GetMessage() == "" {
				t.Errorf("finding without cure or message: %v", f)
			}
			out = append(out, f.GetCode())
		}
		return out
	}
	if got := doctor(); len(got) != 0 {
		t.Errorf("a healthy cluster has findings: %v", got)
	}
	versions := call(t, a.cluster.GetVersion, &controlv1.GetVersionRequest{Cluster: proto.Bool(true)})
	if c := versions.GetComponents(); len(c) != 3 || c[0].GetAgentVersion() != "0.1.0" || c[0].GetServerVersion() != "9.7.4" {
		t.Errorf("versions %v", versions)
	}
	w.Do("zone1-101", (*orchtest.Server).Kill)
	await(t, "a shard that is down", func() bool { return shard().GetHealth() == controlv1.Health_HEALTH_DOWN })
	if got := doctor(); !slices.Contains(got, "shard_down") || !slices.Contains(got, "tablet_down") {
		t.Errorf("findings %v", got)
	}
	w.Do("zone1-101", (*orchtest.Server).Mute)
	await(t, "an unknown shard", func() bool { return shard().GetHealth() == controlv1.Health_HEALTH_UNKNOWN })
	refuse(t, connect.CodeNotFound, a.cluster.GetStatus, &controlv1.GetStatusRequest{Keyspace: proto.String("none")})
}

func TestDoctorSeesHoles(t *testing.T) {
	a := newAPI(t, "")
	createShop(t, a, "-40", "80-")
	await(t, "the hole", func() bool {
		for _, f := range call(t, a.cluster.RunDoctor, &controlv1.RunDoctorRequest{}).GetFindings() {
			if f.GetCode() == "serving_shards" && strings.Contains(f.GetMessage(), "80-") {
				return true
			}
		}
		return false
	})
}

func TestVSchema(t *testing.T) {
	a := newAPI(t, "")
	createShop(t, a, "-80", "80-")
	apply := func(json string) *controlv1.ApplyVSchemaRequest {
		return &controlv1.ApplyVSchemaRequest{Keyspace: proto.String("shop"), Json: &json}
	}
	const good = `{"sharded": true, "vindexes": {"hash": {"type": "hash"}}, "tables": {"customer": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}`
	dry := apply(good)
	dry.DryRun = proto.Bool(true)
	call(t, a.keyspaces.ApplyVSchema, dry)
	if got := call(t, a.keyspaces.GetVSchema, &controlv1.GetVSchemaRequest{Keyspace: proto.String("shop")}); got.GetJson() != "" || got.GetRevision() != 0 {
		t.Errorf("a dry run wrote %v", got)
	}
	first := call(t, a.keyspaces.ApplyVSchema, apply(good))
	got := call(t, a.keyspaces.GetVSchema, &controlv1.GetVSchemaRequest{Keyspace: proto.String("shop")})
	if got.GetRevision() != first.GetRevision() || !strings.Contains(got.GetJson(), "customer") || got.GetUpdatedAt() == nil {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{
		`{`, `{"shardedd": true}`,
		`{"sharded": true, "tables": {"t": {"column_vindexes": [{"column": "id", "name": "nope"}]}}}`,
		`{"sharded": true, "vindexes": {"v": {"type": "nope"}}}`,
	} {
		refuse(t, connect.CodeInvalidArgument, a.keyspaces.ApplyVSchema, apply(bad))
	}
	stale := apply(good)
	stale.Revision = proto.Int64(first.GetRevision() - 1)
	refuse(t, connect.CodeAborted, a.keyspaces.ApplyVSchema, stale)
}

func TestRoutingRules(t *testing.T) {
	a := newAPI(t, "")
	createShop(t, a, "0")
	rules := `{"rules": [{"from_table": "old", "to_tables": ["shop.customer"]}]}`
	call(t, a.cluster.ApplyRoutingRules, &controlv1.ApplyRoutingRulesRequest{Json: &rules})
	got := call(t, a.cluster.GetRoutingRules, &controlv1.GetRoutingRulesRequest{})
	if !strings.Contains(got.GetJson(), "shop.customer") || got.GetRevision() == 0 {
		t.Errorf("got %v", got)
	}
	refuse(t, connect.CodeInvalidArgument, a.cluster.ApplyRoutingRules, &controlv1.ApplyRoutingRulesRequest{Json: proto.String(`{"rulez": 1}`)})
	refuse(t, connect.CodeAborted, a.cluster.ApplyRoutingRules, &controlv1.ApplyRoutingRulesRequest{Json: &rules, Revision: proto.Int64(1)})
}

func TestApplySchema(t *testing.T) {
	a := newAPI(t, "")
	w := withShard(t, a)
	apply := func(sql string) *controlv1.ApplySchemaRequest {
		return &controlv1.ApplySchemaRequest{Keyspace: proto.String("shop"), Sql: &sql}
	}
	got := call(t, a.keyspaces.ApplySchema, apply("CREATE TABLE a (id INT); -- the second\nCREATE TABLE b (c VARCHAR(9) DEFAULT ';');\n"))
	if !got.GetComplete() || len(got.GetStatements()) != 2 || len(got.GetResults()) != 1 || got.GetResults()[0].GetStatementsDone() != 2 {
		t.Errorf("got %v", got)
	}
	if sql := w.Look("zone1-101").SQL; len(sql) != 2 || !strings.HasPrefix(sql[0], "CREATE TABLE a") {
		t.Errorf("the primary got %q", sql)
	}
	w.Do("zone1-101", func(s *orchtest.Server) { s.BreakSQL("BROKEN x") })
	got = call(t, a.keyspaces.ApplySchema, apply("CREATE TABLE c (id INT); BROKEN x; CREATE TABLE d (id INT)"))
	if r := got.GetResults()[0]; got.GetComplete() || r.GetStatementsDone() != 1 || !strings.Contains(r.GetError(), "1064") {
		t.Errorf("got %v", got)
	}
	refuse(t, connect.CodeInvalidArgument, a.keyspaces.ApplySchema, apply(" ; "))
	shard := apply("CREATE TABLE e (id INT)")
	shard.Shards = []string{"-80"}
	refuse(t, connect.CodeNotFound, a.keyspaces.ApplySchema, shard)
	w.Do("zone1-101", (*orchtest.Server).Kill)
	refuse(t, connect.CodeFailedPrecondition, a.keyspaces.ApplySchema, apply("CREATE TABLE f (id INT)"))
}

func TestUsers(t *testing.T) {
	a := newAPI(t, "")
	set := func(m *controlv1.SetUserRequest) *controlv1.UserInfo { return call(t, a.users.SetUser, m).GetUser() }
	if u := set(&controlv1.SetUserRequest{Name: proto.String("root")}); u.GetHasPassword() {
		t.Error("a user without a password has one")
	}
	set(&controlv1.SetUserRequest{Name: proto.String("root"), Password: proto.String("secret"), Keyspaces: &controlv1.KeyspaceList{Names: []string{"shop"}}})
	// What is not named stays.
	u := set(&controlv1.SetUserRequest{Name: proto.String("root"), ReadOnly: proto.Bool(true)})
	if !u.GetHasPassword() || !u.GetReadOnly() || len(u.GetKeyspaces()) != 1 {
		t.Errorf("user %v", u)
	}
	rec, _, err := a.topo.User(t.Context(), "root")
	if err != nil || string(rec.GetNativeHash()) != string(wire.HashNative("secret")) || string(rec.GetSha2Hash()) != string(wire.HashSHA2("secret")) || len(rec.GetEd25519Key()) != 32 {
		t.Errorf("record %v, %v", rec, err)
	}
	if strings.Contains(rec.String(), "secret") {
		t.Error("the password itself was kept")
	}
	if u := set(&controlv1.SetUserRequest{Name: proto.String("root"), Password: proto.String("")}); u.GetHasPassword() {
		t.Error("the password was not taken away")
	}
	refuse(t, connect.CodeInvalidArgument, a.users.SetUser, &controlv1.SetUserRequest{Name: proto.String("a/b")})
	call(t, a.users.DeleteUser, &controlv1.DeleteUserRequest{Name: proto.String("root")})
	refuse(t, connect.CodeNotFound, a.users.DeleteUser, &controlv1.DeleteUserRequest{Name: proto.String("root")})
	if n := len(call(t, a.users.ListUsers, &controlv1.ListUsersRequest{}).GetUsers()); n != 0 {
		t.Errorf("%d users left", n)
	}
}

func get(t *testing.T, client *http.Client, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(header) == 2 {
		req.Header.Set(header[0], header[1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestPageAndMetrics(t *testing.T) {
	a := newAPI(t, "")
	withShard(t, a)
	await(t, "readiness", func() bool { code, _ := get(t, a.http, a.url+"/healthz"); return code == http.StatusOK })
	await(t, "the page with all tablets", func() bool {
		code, body := get(t, a.http, a.url+"/")
		return code == http.StatusOK && strings.Contains(body, "shop/0") && strings.Contains(body, "zone1-103") && strings.Contains(body, `<td class="primary">primary`)
	})
	await(t, "the metrics of a healthy shard", func() bool {
		_, body := get(t, a.http, a.url+"/metrics")
		return strings.Contains(body, `pelorus_control_shards{health="ok",keyspace="shop"} 1`) && strings.Contains(body, "pelorus_control_call_seconds")
	})
	if code, _ := get(t, a.http, a.url+"/nothing"); code != http.StatusNotFound {
		t.Errorf("an unknown path gave %d", code)
	}
}

func TestJSONOverHTTP1(t *testing.T) {
	a := newAPI(t, "")
	createShop(t, a, "0")
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	resp, err := client.Post(a.url+"/pelorus.control.v1.KeyspaceService/ListKeyspaces", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(b), `"name":"shop"`) {
		t.Errorf("%d %s", resp.StatusCode, b)
	}
}

func TestGRPC(t *testing.T) {
	a := newAPI(t, "", connect.WithGRPC())
	createShop(t, a, "0")
	refuse(t, connect.CodeAlreadyExists, a.keyspaces.CreateKeyspace, &controlv1.CreateKeyspaceRequest{Name: proto.String("shop")})
}

func TestToken(t *testing.T) {
	a := newAPI(t, "0123456789abcdef")
	refuse(t, connect.CodeUnauthenticated, a.keyspaces.ListKeyspaces, &controlv1.ListKeyspacesRequest{})
	req := connect.NewRequest(&controlv1.ListKeyspacesRequest{})
	req.Header().Set("Authorization", "Bearer 0123456789abcdef")
	if _, err := a.keyspaces.ListKeyspaces(t.Context(), req); err != nil {
		t.Error(err)
	}
	if code, _ := get(t, a.http, a.url+"/"); code != http.StatusUnauthorized {
		t.Errorf("the page without token: %d", code)
	}
	if code, _ := get(t, a.http, a.url+"/", "Authorization", "Bearer wrong"); code != http.StatusUnauthorized {
		t.Errorf("the page with a wrong token: %d", code)
	}
	if code, _ := get(t, a.http, a.url+"/metrics"); code != http.StatusOK {
		t.Errorf("the metrics need no token: %d", code)
	}
}
