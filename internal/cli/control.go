package cli

import (
	"context"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/pelorusdb/pelorus/internal/api/controlv1/controlv1connect"
)

// defaultTimeout bounds a call to control; operations that move a primary have their own limit besides.
const defaultTimeout = time.Minute

// controlClient is the connection to control.
type controlClient struct {
	cluster   controlv1connect.ClusterServiceClient
	keyspaces controlv1connect.KeyspaceServiceClient
	shards    controlv1connect.ShardServiceClient
	fleet     controlv1connect.FleetServiceClient
	users     controlv1connect.UserServiceClient
	workflows controlv1connect.WorkflowServiceClient
}

func (a *App) control() *controlClient {
	base := a.controlAddr
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	opt := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			if a.token != "" {
				req.Header().Set("Authorization", "Bearer "+a.token)
			}
			return next(ctx, req)
		}
	}))
	c := http.DefaultClient
	return &controlClient{
		cluster: controlv1connect.NewClusterServiceClient(c, base, opt), keyspaces: controlv1connect.NewKeyspaceServiceClient(c, base, opt),
		shards: controlv1connect.NewShardServiceClient(c, base, opt), fleet: controlv1connect.NewFleetServiceClient(c, base, opt),
		users: controlv1connect.NewUserServiceClient(c, base, opt), workflows: controlv1connect.NewWorkflowServiceClient(c, base, opt),
	}
}

// call makes one request to control within the command's time limit.
func call[Req, Res any](ctx context.Context, a *App, f func(context.Context, *connect.Request[Req]) (*connect.Response[Res], error), req *Req) (*Res, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	res, err := f(ctx, connect.NewRequest(req))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}
