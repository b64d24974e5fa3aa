package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/agent/repl"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
)

const (
	// operationTime bounds an operation whose request has no deadline of its own.
	operationTime = 60 * time.Second
	// promoteWait is how long a promotion waits for received transactions unless the request says otherwise.
	promoteWait = 30 * time.Second
	// openWait is how long a promotion waits for the server to open: longer only when redo must be committed first, and that
	// may need the replicas that are repointed after the promotion has answered.
	openWait = 2 * time.Second
	// defaultRows bounds ExecuteSql unless the request sets a limit.
	defaultRows = 1000
)

// service answers the agent's calls. Operations are serialised; calls that only look are not.
type service struct{ agent *Agent }

// operate runs one operation on the server. term 0 is for operations that belong to no reign.
func (s *service) operate(ctx context.Context, term *uint64, f func(ctx context.Context, rp *repl.Repl) error) error {
	a := s.agent
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	end, err := a.begin(ctx)
	if err != nil {
		return connect.NewError(connect.CodeUnavailable, err)
	}
	defer a.look()
	defer end()
	if term != nil {
		if err := s.admit(*term); err != nil {
			return err
		}
	}
	rp, err := a.currentRepl()
	if err != nil {
		return connect.NewError(connect.CodeUnavailable, err)
	}
	return coded(f(ctx, rp))
}

// admit refuses the calls of a reign that is over, and remembers a new one.
func (s *service) admit(term uint64) error {
	s.agent.mu.Lock()
	newest := s.agent.state.Term
	s.agent.mu.Unlock()
	if term < newest {
		return connect.NewError(connect.CodeFailedPrecondition,
			fmt.Errorf("the call is of term %d, and this tablet has seen term %d: read the shard's record again", term, newest))
	}
	return internal(s.agent.change(func(st *state) { st.Term = max(st.Term, term) }))
}

// coded gives an error the code by which callers decide.
func coded(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, repl.ErrTimeout):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	case errors.Is(err, repl.ErrRefused):
		return connect.NewError(connect.CodeFailedPrecondition, err)
	case errors.Is(err, repl.ErrInvalid):
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	var c *connect.Error
	if errors.As(err, &c) {
		return err
	}
	return connect.NewError(connect.CodeUnavailable, err)
}

func internal(err error) error {
	if err == nil {
		return nil
	}
	return connect.NewError(connect.CodeInternal, err)
}

// GetFullStatus reads the status now.
func (s *service) GetFullStatus(ctx context.Context, _ *connect.Request[tabletv1.GetFullStatusRequest]) (*connect.Response[tabletv1.GetFullStatusResponse], error) {
	return connect.NewResponse(&tabletv1.GetFullStatusResponse{Status: s.agent.told(s.agent.readStatus(ctx))}), nil
}

// WatchStatus sends the last status and then each new one until the caller goes away.
func (s *service) WatchStatus(ctx context.Context, _ *connect.Request[tabletv1.WatchStatusRequest], stream *connect.ServerStream[tabletv1.WatchStatusResponse]) error {
	var seen *tabletv1.FullStatus
	for {
		next, err := s.agent.hub.Wait(ctx, seen)
		if err != nil {
			return connect.NewError(connect.CodeCanceled, err)
		}
		if err := stream.Send(&tabletv1.WatchStatusResponse{Status: s.agent.told(next)}); err != nil {
			return err
		}
		seen = next
	}
}

// StartServer lets the agent start the server; it answers once the server greets.
func (s *service) StartServer(ctx context.Context, _ *connect.Request[tabletv1.StartServerRequest]) (*connect.Response[tabletv1.StartServerResponse], error) {
	a := s.agent
	if a.srv == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("this server was adopted: start it where it was started"))
	}
	if err := a.stopped(false, false); err != nil {
		return nil, internal(err)
	}
	a.look()
	for {
		last, next := a.hub.Last()
		if last.GetServer().GetResponding() {
			return connect.NewResponse(&tabletv1.StartServerResponse{}), nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, connect.NewError(connect.CodeDeadlineExceeded, fmt.Errorf("wait for the server to start: %w", ctx.Err()))
		}
	}
}

// StopServer ends the server and keeps it down until StartServer, over restarts of the agent if so asked. Applications are
// cut off first, because a server that shuts down may answer OK to commits that nobody has acknowledged.
func (s *service) StopServer(ctx context.Context, req *connect.Request[tabletv1.StopServerRequest]) (*connect.Response[tabletv1.StopServerResponse], error) {
	a := s.agent
	if a.srv == nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("this server was adopted: stop it where it was started"))
	}
	end, err := a.begin(ctx)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	defer a.look()
	defer end()
	if err := a.stopped(true, req.Msg.GetKeepDown()); err != nil {
		return nil, internal(err)
	}
	limit := stopTime
	if req.Msg.GetFast() {
		limit /= 3
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if rp, err := a.currentRepl(); err == nil {
		if err := rp.CutClients(ctx); err != nil {
			a.log.Warn("clients could not be cut off before the server is stopped", "error", err)
		}
	}
	if err := a.srv.Stop(ctx); err != nil {
		return nil, internal(err)
	}
	a.db.Forget()
	return connect.NewResponse(&tabletv1.StopServerResponse{}), nil
}

// Promote makes the server the primary of a term.
func (s *service) Promote(ctx context.Context, req *connect.Request[tabletv1.PromoteRequest]) (*connect.Response[tabletv1.PromoteResponse], error) {
	a := s.agent
	d := duty{task: taskReign, term: req.Msg.GetTerm(), primary: a.cfg.Alias, semiSync: req.Msg.GetSemiSync()}
	if d.term == 0 {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("a promotion needs a term"))
	}
	wait := promoteWait
	if req.Msg.Wait != nil {
		wait = req.Msg.GetWait().AsDuration()
	}
	var position string
	err := s.operate(ctx, &d.term, func(ctx context.Context, rp *repl.Repl) (err error) {
		if a.demoted(d.term) {
			return fmt.Errorf("the reign of term %d was ended by a demotion: %w", d.term, repl.ErrRefused)
		}
		if err := a.change(func(st *state) { st.HeldPlus1 = 0 }); err != nil {
			return err
		}
		waiting, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		position, err = rp.Promote(waiting, repl.Reign{Term: d.term, Alias: a.cfg.Alias, Database: a.database(), SemiSync: d.semiSync})
		if err != nil {
			return err
		}
		if open, err := rp.Reigns(ctx, d.term); err != nil || open {
			return err
		}
		opening, cancel := context.WithTimeout(ctx, openWait)
		defer cancel()
		if err := a.open(opening, rp, d); err != nil {
			a.log.Warn("the new primary is not open yet; the agent goes on", "term", d.term, "error", err)
			return nil
		}
		a.setFence("")
		a.setOwn(topov1.TabletType_TABLET_TYPE_PRIMARY)
		a.redo.Start()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&tabletv1.PromoteResponse{Position: &position}), nil
}

// Demote ends a reign: the server accepts no write after it returns. The agent remembers it first, whatever its server does:
// one that is dead, or starts just now, does not open again.
func (s *service) Demote(ctx context.Context, req *connect.Request[tabletv1.DemoteRequest]) (*connect.Response[tabletv1.DemoteResponse], error) {
	a, term := s.agent, req.Msg.GetTerm()
	if err := s.admit(term); err != nil {
		return nil, err
	}
	if err := a.change(func(st *state) { st.DemotedTerm = max(term, st.DemotedTerm) }); err != nil {
		return nil, internal(err)
	}
	var out repl.Demoted
	err := s.operate(ctx, &term, func(ctx context.Context, rp *repl.Repl) (err error) {
		a.setFence(fmt.Sprintf("the reign of term %d was ended by a demotion", term))
		a.redo.Stop()
		out, err = rp.Demote(ctx, req.Msg.GetDrain().AsDuration())
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&tabletv1.DemoteResponse{Position: &out.Position, PreparedXa: proto.Uint32(uint32(out.PreparedXA))}), nil
}

// UndoDemote takes a demotion back, if no newer term is known. A server that is dead will open when it comes back.
func (s *service) UndoDemote(ctx context.Context, req *connect.Request[tabletv1.UndoDemoteRequest]) (*connect.Response[tabletv1.UndoDemoteResponse], error) {
	a, term := s.agent, req.Msg.GetTerm()
	if err := s.admit(term); err != nil {
		return nil, err
	}
	view, keyspace := a.shardView()
	if view != nil && (view.Shard.GetTerm() != term || view.Shard.GetPrimary() != a.cfg.Alias) {
		return nil, coded(fmt.Errorf("the shard's record says that %s reigns in term %d: %w", view.Shard.GetPrimary(), view.Shard.GetTerm(), repl.ErrRefused))
	}
	if err := a.change(func(st *state) { st.DemotedTerm = 0 }); err != nil {
		return nil, internal(err)
	}
	err := s.operate(ctx, &term, func(ctx context.Context, rp *repl.Repl) error {
		d := decide(a.cfg.Alias, view, keyspace, state{})
		if d.task != taskReign {
			return fmt.Errorf("this tablet is not the shard's primary: %s: %w", d.why, repl.ErrRefused)
		}
		return a.reign(ctx, rp, d)
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&tabletv1.UndoDemoteResponse{}), nil
}

// SetSource makes the server a replica.
func (s *service) SetSource(ctx context.Context, req *connect.Request[tabletv1.SetSourceRequest]) (*connect.Response[tabletv1.SetSourceResponse], error) {
	a, term := s.agent, req.Msg.GetTerm()
	source := repl.Source{Host: req.Msg.GetHost(), Port: req.Msg.GetPort(), Acks: req.Msg.GetAcks()}
	err := s.operate(ctx, &term, func(ctx context.Context, rp *repl.Repl) error {
		if view, _ := a.shardView(); view != nil && view.Shard.GetTerm() == term && view.Shard.GetPrimary() == a.cfg.Alias && !a.demoted(term) {
			return fmt.Errorf("this tablet reigns in term %d: demote it first: %w", term, repl.ErrRefused)
		}
		if err := a.change(func(st *state) { st.HeldPlus1 = 0 }); err != nil {
			return err
		}
		a.setFence("the shard's primary is " + req.Msg.GetSourceAlias())
		a.redo.Stop()
		_, err := rp.Follow(ctx, source)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&tabletv1.SetSourceResponse{}), nil
}

// StopReceiver stops the receiver, and keeps it stopped in this term.
func (s *service) StopReceiver(ctx context.Context, req *connect.Request[tabletv1.StopReceiverRequest]) (*connect.Response[tabletv1.StopReceiverResponse], error) {
	a, term := s.agent, req.Msg.GetTerm()
	var out repl.Progress
	err := s.operate(ctx, &term, func(ctx context.Context, rp *repl.Repl) (err error) {
		if err := a.change(func(st *state) { st.HeldPlus1 = term + 1 }); err != nil {
			return err
		}
		out, err = rp.StopReceiver(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&tabletv1.StopReceiverResponse{Received: out.Received, Applied: out.Applied}), nil
}

// StartReceiver lets the receiver run again.
func (s *service) StartReceiver(ctx context.Context, req *connect.Request[tabletv1.StartReceiverRequest]) (*connect.Response[tabletv1.StartReceiverResponse], error) {
	a, term := s.agent, req.Msg.GetTerm()
	err := s.operate(ctx, &term, func(ctx context.Context, rp *repl.Repl) error {
		if err := a.change(func(st *state) { st.HeldPlus1 = 0 }); err != nil {
			return err
		}
		return rp.StartReceiver(ctx)
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&tabletv1.StartReceiverResponse{}), nil
}

// WaitPosition waits beside other operations, since it changes nothing.
func (s *service) WaitPosition(ctx context.Context, req *connect.Request[tabletv1.WaitPositionRequest]) (*connect.Response[tabletv1.WaitPositionResponse], error) {
	rp, err := s.agent.currentRepl()
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	reached, position, err := rp.WaitPosition(ctx, req.Msg.GetPosition(), min(req.Msg.GetTimeout().AsDuration(), operationTime))
	if err != nil {
		return nil, coded(err)
	}
	return connect.NewResponse(&tabletv1.WaitPositionResponse{Reached: &reached, Position: &position}), nil
}

// ExecuteSql runs one statement as the administrator.
func (s *service) ExecuteSql(ctx context.Context, req *connect.Request[tabletv1.ExecuteSqlRequest]) (*connect.Response[tabletv1.ExecuteSqlResponse], error) {
	limit := int(req.Msg.GetMaxRows())
	if limit == 0 {
		limit = defaultRows
	}
	var r *dba.Result
	err := s.agent.db.Session(ctx, func(c *dba.Conn) (err error) {
		var before []string
		if db := req.Msg.GetDatabase(); db != "" {
			before = append(before, "USE "+value.Ident(db))
		}
		if req.Msg.GetNoBinlog() {
			before = append(before, "SET SESSION sql_log_bin = 0")
		}
		if err := c.Exec(ctx, before...); err != nil {
			return err
		}
		r, err = c.Query(ctx, req.Msg.GetSql(), min(limit, dba.MaxRows))
		return err
	})
	if err != nil {
		return nil, executeError(err)
	}
	return connect.NewResponse(executeResponse(r)), nil
}

// executeError tells statements that the server refused from a server that could not be asked.
func executeError(err error) error {
	if dba.Errno(err) != 0 {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	return coded(err)
}

func executeResponse(r *dba.Result) *tabletv1.ExecuteSqlResponse {
	out := &tabletv1.ExecuteSqlResponse{AffectedRows: &r.Affected, InsertId: &r.InsertID, Truncated: &r.Truncated}
	for _, c := range r.Columns {
		out.Columns = append(out.Columns, &tabletv1.Column{
			Name: proto.String(c.Name), MysqlType: proto.Uint32(uint32(c.Type)), Flags: proto.Uint32(uint32(c.Flags)),
			Charset: proto.Uint32(uint32(c.Charset)),
		})
	}
	for _, row := range r.Rows {
		values := make([]*tabletv1.Value, len(row))
		for i, v := range row {
			values[i] = &tabletv1.Value{}
			if v != nil {
				values[i].Text = []byte(*v)
			}
		}
		out.Rows = append(out.Rows, &tabletv1.Row{Values: values})
	}
	return out
}
