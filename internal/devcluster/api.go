package devcluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/controlv1/controlv1connect"
	"github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/api/tabletv1/tabletv1connect"
	"github.com/pelorusdb/pelorus/internal/devcluster/shape"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
)

// callTime bounds one small request to a process of this machine.
const callTime = 2 * time.Second

// api is control as devcluster uses it.
type api struct {
	base      string
	cluster   controlv1connect.ClusterServiceClient
	keyspaces controlv1connect.KeyspaceServiceClient
	shards    controlv1connect.ShardServiceClient
	fleet     controlv1connect.FleetServiceClient
	users     controlv1connect.UserServiceClient
}

func newAPI(addr string) *api {
	base := "http://" + addr
	c := http.DefaultClient
	return &api{
		base: base, cluster: controlv1connect.NewClusterServiceClient(c, base), keyspaces: controlv1connect.NewKeyspaceServiceClient(c, base),
		shards: controlv1connect.NewShardServiceClient(c, base), fleet: controlv1connect.NewFleetServiceClient(c, base),
		users: controlv1connect.NewUserServiceClient(c, base),
	}
}

// ready says whether control answers requests.
func (a *api) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err := a.keyspaces.ListKeyspaces(ctx, connect.NewRequest(&controlv1.ListKeyspacesRequest{}))
	return err
}

func agentOf(p *process) tabletv1connect.TabletServiceClient {
	return tabletv1connect.NewTabletServiceClient(http.DefaultClient, "http://"+addr(p))
}

// agentStatus asks an agent for its full status.
func agentStatus(ctx context.Context, p *process) (*tabletv1.FullStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	res, err := agentOf(p).GetFullStatus(ctx, connect.NewRequest(&tabletv1.GetFullStatusRequest{}))
	if err != nil {
		return nil, err
	}
	return res.Msg.GetStatus(), nil
}

// serverAnswers says whether the agent's server answers its agent.
func serverAnswers(ctx context.Context, p *process) error {
	st, err := agentStatus(ctx, p)
	if err != nil {
		return err
	}
	if !st.GetServer().GetResponding() {
		return fmt.Errorf("the server does not answer its agent: %s", st.GetServer().GetLastError())
	}
	return nil
}

// startServer asks an agent to start its server; it returns when the server greets.
func startServer(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	if _, err := agentOf(p).StartServer(ctx, connect.NewRequest(&tabletv1.StartServerRequest{})); err != nil {
		return fmt.Errorf("start the server of %s: %w", p.Tablet, err)
	}
	return nil
}

// etcdAnswers asks etcd's own health page.
func etcdAnswers(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr(p)+"/health", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd says %s", res.Status)
	}
	return nil
}

// createKeyspace makes the keyspace and its shards if they are not there.
func (a *api) createKeyspace(ctx context.Context, k shape.Keyspace) error {
	req := &controlv1.CreateKeyspaceRequest{Name: proto.String(k.Name), Shards: k.Shards, IfNotExists: proto.Bool(true)}
	d, err := k.DurabilityValue()
	if err != nil {
		return err
	}
	if d != 0 {
		req.Durability = d.Enum()
	}
	if _, err := a.keyspaces.CreateKeyspace(ctx, connect.NewRequest(req)); err != nil {
		return fmt.Errorf("create keyspace %s: %w", k.Name, err)
	}
	return nil
}

// createRoot makes the user that everybody may log in as.
func (a *api) createRoot(ctx context.Context) error {
	list, err := a.users.ListUsers(ctx, connect.NewRequest(&controlv1.ListUsersRequest{}))
	if err != nil {
		return fmt.Errorf("list the gateway's users: %w", err)
	}
	for _, u := range list.Msg.GetUsers() {
		if u.GetName() == "root" {
			return nil
		}
	}
	if _, err := a.users.SetUser(ctx, connect.NewRequest(&controlv1.SetUserRequest{Name: proto.String("root")})); err != nil {
		return fmt.Errorf("make the gateway's user root: %w", err)
	}
	return nil
}

// term is the term of a shard: 0 before it has had a primary.
func (a *api) term(ctx context.Context, keyspace, shard string) (uint64, error) {
	res, err := a.shards.GetShard(ctx, connect.NewRequest(&controlv1.GetShardRequest{Keyspace: &keyspace, Name: &shard}))
	if err != nil {
		return 0, fmt.Errorf("read shard %s/%s: %w", keyspace, shard, err)
	}
	return res.Msg.GetShard().GetTerm(), nil
}

// shardAnswers sends a statement to one shard through a gateway.
func shardAnswers(ctx context.Context, gateway, keyspace, shard string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*callTime)
	defer cancel()
	conn, err := client.Dial(ctx, client.Config{Addr: gateway, User: "root", ConnectTimeout: callTime})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.InitDB(ctx, keyspace+":"+shard); err != nil {
		return err
	}
	// A statement that only a server can answer, so that it proves the way to one.
	_, rows, err := conn.QueryAll(ctx, "SELECT @@server_id")
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		return errors.New("an empty answer")
	}
	return nil
}
