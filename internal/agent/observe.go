package agent

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pelorusdb/pelorus/internal/api/presence"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/version"
)

// lookForServer is how often a server that is not there is looked for, so that its death can be waited for.
const lookForServer = 250 * time.Millisecond

// capabilities are what this release of the agent can do, for peers of other releases.
func capabilities() []string {
	return []string{"full_status_1", "full_status_2", "promote_1", "demote_1", "set_source_1", "receiver_hold_1", "wait_position_1", "execute_sql_1", "get_schema_1"}
}

// observe reads the status again and again and publishes it, until ctx ends. While a server takes its time to answer, what
// the agent knows without it is published, so that silence always means the agent.
func (a *Agent) observe(ctx context.Context) {
	ticker := time.NewTicker(a.cfg.StatusInterval)
	defer ticker.Stop()
	publish := func(s *tabletv1.FullStatus) {
		a.hub.Publish(s)
		a.metrics.update(s)
	}
	for ctx.Err() == nil {
		begin := time.Now()
		done := make(chan *tabletv1.FullStatus, 1)
		go func() { done <- a.readStatus(ctx) }()
		for waiting, died := true, false; waiting; {
			select {
			case s := <-done:
				if !died { // what was read before the server died is no longer so
					publish(s)
				}
				waiting = false
			case <-a.died:
				died = true
				publish(a.agentStatus())
			case <-ticker.C:
				s := a.agentStatus()
				s.Unknowns["server"] = fmt.Sprintf("the server has not answered for %v", time.Since(begin).Round(time.Millisecond))
				publish(s)
			}
		}
		select {
		case <-ctx.Done():
		case <-a.died:
			publish(a.agentStatus())
		case <-ticker.C:
		}
	}
}

// watchServer tells of the death of the server at the moment at which it happens, until ctx ends: a primary's is everybody's business.
func (a *Agent) watchServer(ctx context.Context) {
	for ctx.Err() == nil {
		p, err := a.srv.Find()
		if err != nil || p.Wait(ctx) != nil {
			pause(ctx, lookForServer)
			continue
		}
		select {
		case a.died <- struct{}{}:
		default:
		}
		a.look()
	}
}

// told is what others get to see of a status: all of it, or, for tests, without the fields that an older release would not send.
func (a *Agent) told(s *tabletv1.FullStatus) *tabletv1.FullStatus {
	if len(a.hidden) == 0 {
		return s
	}
	s = proto.CloneOf(s)
	presence.Hide(s, a.hidden...)
	return s
}

// readStatus reads the whole status now.
func (a *Agent) readStatus(ctx context.Context) *tabletv1.FullStatus {
	s := a.agentStatus()
	a.reader.Read(ctx, s)
	if s.Replication != nil {
		a.mu.Lock()
		s.Replication.Held = proto.Bool(a.state.held(a.state.Term))
		a.mu.Unlock()
	}
	if s.Redo != nil {
		redo := a.redo.State()
		s.Redo.Failing, s.Redo.LastError = proto.Uint32(uint32(redo.Failing)), &redo.Error
	}
	return s
}

// agentStatus is what the agent knows without asking the server.
func (a *Agent) agentStatus() *tabletv1.FullStatus {
	s := &tabletv1.FullStatus{
		Alias: &a.cfg.Alias, Keyspace: &a.cfg.Keyspace, Shard: &a.cfg.Shard, AgentVersion: proto.String(version.Version),
		Capabilities: &tabletv1.Capabilities{Names: capabilities()}, AgentStartedAt: timestamppb.New(a.started),
		TakenAt: timestamppb.Now(), Unknowns: map[string]string{}, Server: &tabletv1.ServerStatus{},
	}
	a.vitals.fill(s, a.srv != nil, time.Now())
	a.mu.Lock()
	s.Term = proto.Uint64(a.state.Term)
	if a.decided {
		own := a.own
		s.OwnType, s.Fenced, s.FenceReason = &own, proto.Bool(a.fenceReason != ""), proto.String(a.fenceReason)
	} else {
		for _, f := range []string{"own_type", "fenced", "fence_reason"} {
			s.Unknowns[f] = "the agent has not found out its role yet"
		}
	}
	if a.view != nil {
		if t, ok := a.view.Tablets[a.cfg.Alias]; ok && t.Type != nil {
			s.TopoType = t.Type
		}
		if p := a.view.Shard.GetPrimary(); p != "" {
			s.PrimaryAlias = proto.String(p)
		}
	}
	s.Server.LastError = proto.String(a.lastError)
	a.mu.Unlock()
	if s.TopoType == nil {
		s.Unknowns["topo_type"] = "the topology has not been read, or has no record of this tablet"
	}
	if s.PrimaryAlias == nil {
		s.Unknowns["primary_alias"] = "the topology has not been read, or the shard has no primary"
	}
	if a.srv == nil {
		s.Unknowns["server.running"], s.Unknowns["server.pid"] = "the server was adopted", "the server was adopted"
	} else if p, err := a.srv.Find(); err == nil {
		s.Server.Running, s.Server.Pid = proto.Bool(true), proto.Uint32(uint32(p.Pid))
	} else {
		s.Server.Running, s.Server.Responding = proto.Bool(false), proto.Bool(false)
		s.Unknowns["server.pid"] = err.Error()
	}
	return s
}

// beat writes the heartbeat while the server reigns, until ctx ends. A heartbeat that waits for an acknowledgement is waited
// for: giving it up would leave one more waiting session in the server each time.
func (a *Agent) beat(ctx context.Context) {
	_, uid, err := topo.ParseAlias(a.cfg.Alias)
	if err != nil {
		return // the configuration was validated
	}
	ticker := time.NewTicker(a.cfg.HeartbeatInterval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		a.mu.Lock()
		reigns := a.ready && a.own == topov1.TabletType_TABLET_TYPE_PRIMARY && a.fenceReason == ""
		term := a.state.Term
		a.mu.Unlock()
		if !reigns {
			a.vitals.forget(&a.vitals.commit)
			continue
		}
		done := a.vitals.track(&a.vitals.commit)
		err := a.reader.Beat(ctx, uid, a.cfg.Alias, term)
		done()
		if (err != nil) != failing && ctx.Err() == nil {
			failing = err != nil
			a.log.Warn("heartbeat", "failing", failing, "error", err)
		}
	}
}
