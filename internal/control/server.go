package control

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1/controlv1connect"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/obs"
	"github.com/pelorusdb/pelorus/internal/orch/fleet"
	"github.com/pelorusdb/pelorus/internal/orch/reparent"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/web"
	"github.com/pelorusdb/pelorus/internal/workflow/run"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// maxRequest bounds a request: a vschema is at most a topology record of 1 MiB, a schema file may be longer.
	maxRequest = 16 << 20
	// maxCall bounds one call, so that a client which went away cannot keep work alive: a schema change may take long.
	maxCall = 30 * time.Minute
	// lookTimeout bounds looking into the topology for /healthz.
	lookTimeout = time.Second
)

// Parts is what a Server is made of.
type Parts struct {
	Topo       *topo.Topo
	Fleet      *fleet.Fleet
	Agents     fleet.Agents
	Reparenter *reparent.Reparenter
	Workflows  *run.Runner
	Log        *slog.Logger
	// Token is the secret of callers; empty means that none is needed.
	Token string
}

// Server answers the API.
type Server struct {
	Parts
	registry *prometheus.Registry
	calls    *prometheus.HistogramVec
}

// New makes a server.
func New(parts Parts) *Server {
	s := &Server{Parts: parts, registry: obs.NewRegistry("control"), calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "pelorus_control_call_seconds", Help: "Calls of the control API by procedure and code.",
		Buckets: []float64{0.001, 0.01, 0.1, 1, 10, 100},
	}, []string{"procedure", "code"})}
	s.registry.MustRegister(s.calls, newShardCollector(s))
	return s
}

// Handler serves the API, the web page, /healthz and /metrics.
func (s *Server) Handler() http.Handler {
	mux := obs.NewMux(s.registry, s.ready)
	opts := []connect.HandlerOption{connect.WithInterceptors(s.interceptor()), connect.WithReadMaxBytes(maxRequest)}
	mount := func(path string, h http.Handler) { mux.Handle(path, s.authorised(h)) }
	mount(controlv1connect.NewClusterServiceHandler(clusterService{s}, opts...))
	mount(controlv1connect.NewKeyspaceServiceHandler(keyspaceService{s}, opts...))
	mount(controlv1connect.NewShardServiceHandler(shardService{s}, opts...))
	mount(controlv1connect.NewFleetServiceHandler(fleetService{s}, opts...))
	mount(controlv1connect.NewUserServiceHandler(userService{s}, opts...))
	mount(controlv1connect.NewWorkflowServiceHandler(workflowService{s}, opts...))
	mount("GET /{$}", web.Page(s.page))
	return mux
}

// ready says whether the node can do its job: it has read the topology and reaches it now.
func (s *Server) ready(ctx context.Context) error {
	select {
	case <-s.Fleet.Listed():
	default:
		return errors.New("the topology has not been read yet")
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	_, err := s.Topo.Keyspaces(ctx)
	return err
}

// authorised lets a request through that carries the token: as bearer token, or as password for browsers.
func (s *Server) authorised(h http.Handler) http.Handler {
	if s.Token == "" {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			_, given, _ = r.BasicAuth()
		}
		if subtle.ConstantTimeCompare([]byte(given), []byte(s.Token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="pelorus"`)
			http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// interceptor bounds each call, turns errors into the API's codes, counts and logs.
func (s *Server) interceptor() connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			ctx, cancel := context.WithTimeout(ctx, maxCall)
			defer cancel()
			began := time.Now()
			resp, err := next(ctx, req)
			code := "ok"
			if err != nil {
				err = apiError(err)
				code = connect.CodeOf(err).String()
			}
			procedure := req.Spec().Procedure
			s.calls.WithLabelValues(procedure, code).Observe(time.Since(began).Seconds())
			level := slog.LevelInfo
			if reads(procedure) && err == nil {
				level = slog.LevelDebug
			}
			s.Log.Log(ctx, level, "call", "procedure", procedure, "code", code, "peer", req.Peer().Addr,
				"took", time.Since(began).Round(time.Millisecond), obs.Err(err))
			return resp, err
		}
	}
}

// reads says whether a procedure changes nothing.
func reads(procedure string) bool {
	name := procedure[strings.LastIndexByte(procedure, '/')+1:]
	return strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List") || strings.HasPrefix(name, "Run")
}

// apiError gives an error the code by which clients act; its whole text stays.
func apiError(err error) error {
	var coded *connect.Error
	if errors.As(err, &coded) && err == error(coded) {
		return err
	}
	out := connect.NewError(codeOf(err), err)
	if coded != nil {
		for _, d := range coded.Details() {
			out.AddDetail(d)
		}
	}
	return out
}

func codeOf(err error) connect.Code {
	if e, ok := errcode.Of(err); ok {
		if info, known := errcode.Lookup(e.Code()); known {
			return connect.Code(info.RPC)
		}
	}
	for _, m := range []struct {
		err  error
		code connect.Code
	}{
		{topo.ErrInvalid, connect.CodeInvalidArgument},
		{topo.ErrNotFound, connect.CodeNotFound},
		{topo.ErrExists, connect.CodeAlreadyExists},
		{topo.ErrNotEmpty, connect.CodeFailedPrecondition},
		{topo.ErrConflict, connect.CodeAborted},
		{context.DeadlineExceeded, connect.CodeDeadlineExceeded},
		{context.Canceled, connect.CodeCanceled},
	} {
		if errors.Is(err, m.err) {
			return m.code
		}
	}
	var coded *connect.Error
	if errors.As(err, &coded) {
		return coded.Code()
	}
	if st, ok := status.FromError(err); ok && st.Code() == codes.Unavailable {
		return connect.CodeUnavailable
	}
	return connect.CodeUnknown
}

// refused is an error about the state of the cluster.
func refused(reason string) error { return errcode.New(errcode.RefusedByState, reason) }
