// Package orchtest is a model of a shard for tests: servers as sets of transactions, each with an agent that answers by the
// real protocol over a real socket.
//
// It models what reparents depend on (positions, receivers, read-only, terms) and nothing else: no SQL runs here.
package orchtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/api/tabletv1/tabletv1connect"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/internal/topo"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// World is the servers of one shard and who replicates from whom.
type World struct {
	Keyspace, Shard string
	mu              sync.Mutex
	servers         map[string]*Server
}

// Server is a model server with its agent. Fields are read and changed under World's lock by its methods.
type Server struct {
	tabletv1connect.UnimplementedTabletServiceHandler
	world  *World
	http   *httptest.Server
	Record *topov1.Tablet

	alive    bool
	mute     bool // the agent answers nothing
	readOnly bool
	fenced   bool
	source   string // alias
	receiver bool
	stuck    bool // receives and does not apply
	term     uint64
	// received and applied count the transactions of each server.
	received, applied map[string]uint64
	fail              map[string]error
	calls             []string
	// SQL are the statements that ExecuteSql got.
	SQL []string
	// broken is the statement which fails.
	broken string
	// wake is closed and replaced at each change.
	wake chan struct{}
}

// New makes a shard of replicas that are read-only and replicate from nobody, registered in the topology.
func New(t *testing.T, tp *topo.Topo, keyspace, shard string, aliases ...string) *World {
	t.Helper()
	w := &World{Keyspace: keyspace, Shard: shard, servers: make(map[string]*Server)}
	for _, alias := range aliases {
		cell, uid, err := topo.ParseAlias(alias)
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{
			world: w, alive: true, readOnly: true, received: map[string]uint64{}, applied: map[string]uint64{},
			fail: map[string]error{}, wake: make(chan struct{}),
		}
		mux := http.NewServeMux()
		mux.Handle(tabletv1connect.NewTabletServiceHandler(s, connect.WithInterceptors(s.gate())))
		s.http = httptest.NewUnstartedServer(mux)
		s.http.Config.Protocols = new(http.Protocols)
		s.http.Config.Protocols.SetHTTP1(true)
		s.http.Config.Protocols.SetUnencryptedHTTP2(true)
		s.http.Start()
		t.Cleanup(func() { s.http.CloseClientConnections(); s.http.Close() })
		_, port, err := net.SplitHostPort(s.http.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		agentPort, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		s.Record = &topov1.Tablet{
			Alias: &alias, Cell: &cell, Uid: &uid, Keyspace: &keyspace, Shard: &shard,
			Type: topov1.TabletType_TABLET_TYPE_REPLICA.Enum(), Host: proto.String("127.0.0.1"),
			MysqlPort: proto.Uint32(10_000 + uid), AgentPort: proto.Uint32(uint32(agentPort)), Flavor: proto.String("mysql"),
		}
		w.mu.Lock()
		w.servers[alias] = s
		w.mu.Unlock()
		if err := tp.CreateTablet(t.Context(), s.Record); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// Reign makes alias the primary of a term, with all others replicating from it, as a finished reparent leaves them.
func (w *World) Reign(alias string, term uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for a, s := range w.servers {
		s.term, s.readOnly, s.source, s.receiver = term, a != alias, alias, true
		if a == alias {
			s.source, s.receiver = "", false
		}
		s.changed()
	}
}

// Do changes a server under the world's lock.
func (w *World) Do(alias string, fn func(s *Server)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn(w.servers[alias])
	w.settle()
	w.servers[alias].changed()
}

// Kill makes a server dead; its agent lives.
func (s *Server) Kill() { s.alive = false }

// Mute makes the agent silent.
func (s *Server) Mute() { s.mute = true }

// Close ends the agent for good: nobody listens at its address any more.
func (s *Server) Close() { _ = s.http.Listener.Close(); s.http.CloseClientConnections() }

// Unmute lets the agent speak again.
func (s *Server) Unmute() { s.mute = false }

// Fence leaves a primary closed, as a control node does that dies in the middle of a hand-over.
func (s *Server) Fence() { s.readOnly, s.fenced = true, true }

// StopReceiving stops the receiver as an operator would.
func (s *Server) StopReceiving() { s.receiver = false }

// StopApplying lets the server receive and not apply.
func (s *Server) StopApplying() { s.stuck = true }

// BreakSQL makes one statement fail.
func (s *Server) BreakSQL(sql string) { s.broken = sql }

// Fail makes a call of the agent fail, such as "Promote"; nil mends it.
func (s *Server) Fail(call string, err error) { s.fail[call] = err }

// Write commits a transaction on this server, whoever it is, and replicates it.
func (s *Server) Write() {
	s.applied[s.uuid()]++
	s.received[s.uuid()] = s.applied[s.uuid()]
}

// settle lets replicas receive and apply what their sources have.
func (w *World) settle() {
	for range w.servers { // as many rounds as a chain can be long
		for _, s := range w.servers {
			source := w.servers[s.source]
			if source == nil || !s.alive || !source.alive {
				continue
			}
			if s.receiver {
				for uuid, n := range source.applied {
					s.received[uuid] = max(s.received[uuid], n)
				}
			}
			if !s.stuck {
				for uuid, n := range s.received {
					s.applied[uuid] = max(s.applied[uuid], n)
				}
			}
		}
	}
}

// View is what a test may want to know of a server.
type View struct {
	ReadOnly, Receiver bool
	Source             string
	Term               uint64
	Applied            string
	Calls              []string
	SQL                []string
}

// Look returns the state of a server.
func (w *World) Look(alias string) View {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.servers[alias]
	return View{
		ReadOnly: s.readOnly, Receiver: s.receiver, Source: s.source, Term: s.term, Applied: set(s.applied),
		Calls: append([]string(nil), s.calls...), SQL: append([]string(nil), s.SQL...),
	}
}

func (s *Server) changed() {
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *Server) uuid() string {
	return fmt.Sprintf("00000000-0000-0000-0000-%012d", s.Record.GetUid())
}

// set writes transaction counts as a MySQL set.
func set(counts map[string]uint64) string {
	text := ""
	for uuid, n := range counts {
		if n > 0 {
			text += fmt.Sprintf("%s:1-%d,", uuid, n)
		}
	}
	if text != "" {
		text = text[:len(text)-1]
	}
	return text
}

// gate lets a call fail as the test asked, and writes it down.
func (s *Server) gate() connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			name := req.Spec().Procedure[len("/pelorus.tablet.v1.TabletService/"):]
			s.world.mu.Lock()
			s.calls = append(s.calls, name)
			mute, fail := s.mute, s.fail[name]
			s.world.mu.Unlock()
			if mute {
				return nil, connect.NewError(connect.CodeUnavailable, errors.New("the agent is gone"))
			}
			if fail != nil {
				return nil, fail
			}
			return next(ctx, req)
		}
	}
}

// act runs fn under the lock if the server lives and the term is not old, then lets replication settle.
func (s *Server) act(term uint64, fn func() error) error {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if term != 0 && term < s.term {
		return connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("term %d is over, %d is the newest", term, s.term))
	}
	if !s.alive {
		return connect.NewError(connect.CodeUnavailable, errors.New("the server is dead"))
	}
	s.term = max(s.term, term)
	err := fn()
	s.world.settle()
	s.changed()
	return err
}

func (s *Server) status() *tabletv1.FullStatus {
	st := &tabletv1.FullStatus{
		Alias: s.Record.Alias, Term: proto.Uint64(s.term), TakenAt: timestamppb.Now(), AgentVersion: proto.String("0.1.0"),
		Fenced: proto.Bool(s.fenced), Server: &tabletv1.ServerStatus{Responding: proto.Bool(s.alive), Running: proto.Bool(s.alive)},
	}
	if !s.alive {
		return st
	}
	st.Server.Flavor, st.Server.ReadOnly, st.Server.ServerUuid = proto.String("mysql"), proto.Bool(s.readOnly), proto.String(s.uuid())
	st.Server.Version, st.Server.Executed = proto.String("9.7.4"), proto.String(set(s.applied))
	st.Replication = &tabletv1.ReplicationStatus{Configured: proto.Bool(s.source != "")}
	if source := s.world.servers[s.source]; source != nil {
		yes := map[bool]string{true: "Yes", false: "No"}
		st.Replication.Receiver, st.Replication.Applier = proto.String(yes[s.receiver]), proto.String("Yes")
		st.Replication.SourceHost, st.Replication.SourcePort = source.Record.Host, source.Record.MysqlPort
		st.Replication.Received, st.Replication.Applied = proto.String(set(s.received)), proto.String(set(s.applied))
	}
	return st
}

// GetFullStatus implements the service.
func (s *Server) GetFullStatus(context.Context, *connect.Request[tabletv1.GetFullStatusRequest]) (*connect.Response[tabletv1.GetFullStatusResponse], error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return connect.NewResponse(&tabletv1.GetFullStatusResponse{Status: s.status()}), nil
}

// WatchStatus implements the service.
func (s *Server) WatchStatus(ctx context.Context, _ *connect.Request[tabletv1.WatchStatusRequest], stream *connect.ServerStream[tabletv1.WatchStatusResponse]) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		s.world.mu.Lock()
		status, wake, mute := s.status(), s.wake, s.mute
		s.world.mu.Unlock()
		if mute {
			return connect.NewError(connect.CodeUnavailable, errors.New("the agent is gone"))
		}
		if err := stream.Send(&tabletv1.WatchStatusResponse{Status: status}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		case <-tick.C:
		}
	}
}

// Promote implements the service.
func (s *Server) Promote(_ context.Context, req *connect.Request[tabletv1.PromoteRequest]) (*connect.Response[tabletv1.PromoteResponse], error) {
	err := s.act(req.Msg.GetTerm(), func() error {
		s.source, s.receiver, s.readOnly, s.fenced = "", false, false, false
		for uuid, n := range s.received {
			s.applied[uuid] = max(s.applied[uuid], n)
		}
		s.applied[s.uuid()]++ // the reign
		s.received[s.uuid()] = s.applied[s.uuid()]
		return nil
	})
	return connect.NewResponse(&tabletv1.PromoteResponse{}), err
}

// Demote implements the service.
func (s *Server) Demote(_ context.Context, req *connect.Request[tabletv1.DemoteRequest]) (*connect.Response[tabletv1.DemoteResponse], error) {
	resp := &tabletv1.DemoteResponse{}
	err := s.act(req.Msg.GetTerm(), func() error {
		s.readOnly, s.fenced = true, true
		resp.Position = proto.String(set(s.applied))
		return nil
	})
	return connect.NewResponse(resp), err
}

// UndoDemote implements the service.
func (s *Server) UndoDemote(_ context.Context, req *connect.Request[tabletv1.UndoDemoteRequest]) (*connect.Response[tabletv1.UndoDemoteResponse], error) {
	err := s.act(req.Msg.GetTerm(), func() error { s.readOnly, s.fenced = false, false; return nil })
	return connect.NewResponse(&tabletv1.UndoDemoteResponse{}), err
}

// SetSource implements the service.
func (s *Server) SetSource(_ context.Context, req *connect.Request[tabletv1.SetSourceRequest]) (*connect.Response[tabletv1.SetSourceResponse], error) {
	err := s.act(req.Msg.GetTerm(), func() error {
		s.source, s.receiver, s.readOnly = req.Msg.GetSourceAlias(), true, true
		return nil
	})
	return connect.NewResponse(&tabletv1.SetSourceResponse{}), err
}

// StopReceiver implements the service.
func (s *Server) StopReceiver(_ context.Context, req *connect.Request[tabletv1.StopReceiverRequest]) (*connect.Response[tabletv1.StopReceiverResponse], error) {
	resp := &tabletv1.StopReceiverResponse{}
	err := s.act(req.Msg.GetTerm(), func() error {
		s.receiver = false
		resp.Received, resp.Applied = proto.String(set(s.received)), proto.String(set(s.applied))
		return nil
	})
	return connect.NewResponse(resp), err
}

// StartReceiver implements the service.
func (s *Server) StartReceiver(_ context.Context, req *connect.Request[tabletv1.StartReceiverRequest]) (*connect.Response[tabletv1.StartReceiverResponse], error) {
	err := s.act(req.Msg.GetTerm(), func() error { s.receiver = s.source != ""; return nil })
	return connect.NewResponse(&tabletv1.StartReceiverResponse{}), err
}

// WaitPosition implements the service. The model applies at once what it ever will.
func (s *Server) WaitPosition(_ context.Context, req *connect.Request[tabletv1.WaitPositionRequest]) (*connect.Response[tabletv1.WaitPositionResponse], error) {
	resp := &tabletv1.WaitPositionResponse{}
	err := s.act(0, func() error {
		have, err := parseCounts(set(s.applied))
		if err != nil {
			return err
		}
		want, err := parseCounts(req.Msg.GetPosition())
		if err != nil {
			return err
		}
		reached := true
		for uuid, n := range want {
			reached = reached && have[uuid] >= n
		}
		resp.Reached, resp.Position = &reached, proto.String(set(s.applied))
		return nil
	})
	return connect.NewResponse(resp), err
}

// ExecuteSql implements the service: it writes the statement down, or fails on the one that was named.
func (s *Server) ExecuteSql(_ context.Context, req *connect.Request[tabletv1.ExecuteSqlRequest]) (*connect.Response[tabletv1.ExecuteSqlResponse], error) {
	err := s.act(0, func() error {
		if s.broken != "" && s.broken == req.Msg.GetSql() {
			return connect.NewError(connect.CodeInvalidArgument, errors.New("1064 (42000): you have an error in your SQL syntax"))
		}
		s.SQL = append(s.SQL, req.Msg.GetSql())
		return nil
	})
	return connect.NewResponse(&tabletv1.ExecuteSqlResponse{}), err
}

// StartServer implements the service.
func (s *Server) StartServer(context.Context, *connect.Request[tabletv1.StartServerRequest]) (*connect.Response[tabletv1.StartServerResponse], error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.alive = true
	return connect.NewResponse(&tabletv1.StartServerResponse{}), nil
}

// StopServer implements the service.
func (s *Server) StopServer(context.Context, *connect.Request[tabletv1.StopServerRequest]) (*connect.Response[tabletv1.StopServerResponse], error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.alive = false
	return connect.NewResponse(&tabletv1.StopServerResponse{}), nil
}

// parseCounts reads what set writes, in any order and with single numbers, as positions come back in canonical form.
func parseCounts(text string) (map[string]uint64, error) {
	counts := make(map[string]uint64)
	if text == "" {
		return counts, nil
	}
	parsed, err := gtid.ParseSet(text)
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(parsed.String(), ",") {
		uuid, rng, _ := strings.Cut(strings.TrimSpace(line), ":")
		_, last, found := strings.Cut(rng, "-")
		if !found {
			last = rng
		}
		if counts[uuid], err = strconv.ParseUint(last, 10, 64); err != nil {
			return nil, err
		}
	}
	return counts, nil
}
