package session

import (
	"time"

	"github.com/pelorusdb/pelorus/internal/gateway/answer"
	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// show answers the SHOW statements that are not for one server alone.
func (s *Session) show(snap *target.Snapshot, st *parse.ShowStmt, sql []byte, more bool) error {
	if answer.What(st) == "VARIABLES" {
		return s.showVariables(snap, st, sql, more)
	}
	return s.table(more, answer.Show(st, &answer.Facts{
		Snapshot: snap, Keyspace: s.back.Route.Scope.Keyspace, User: s.login.User, Warnings: s.warnings,
		Visible: s.back.Visible, Plans: s.sh.Plans.Len,
		Clients: func() []clients.Info {
			var list []clients.Info
			for _, c := range s.sh.Clients.List() {
				list = append(list, c.Info())
			}
			return list
		},
		Pools: func() map[string]pool.Stats {
			stats := map[string]pool.Stats{}
			for server, p := range s.sh.Targets.Pools() {
				stats[server] = p.Stats()
			}
			return stats
		},
	}))
}

// showVariables answers with one server's variables, but for those that are the gateway's own.
func (s *Session) showVariables(snap *target.Snapshot, st *parse.ShowStmt, sql []byte, more bool) error {
	_, slots, _ := parse.Fingerprint(sql, s.back.Mode, nil)
	p, err := plan.Build(sql, slots, st, s.env(snap))
	if err != nil {
		return s.failMore(err)
	}
	out := s.to.Rows(s.binary, more)
	sink := &answer.Variables{Sink: out, Version: s.sh.Version, WaitTimeout: s.me.IdleLimit()}
	if _, err := s.runPlan(s.back.Statement(snap), p, sql, slots, sink); err != nil {
		return s.failMore(err)
	}
	s.rowCount, s.foundRows = -1, out.Count()
	return out.Finish(wire.OK{}, more)
}

// awaitChange waits a bounded time for a newer snapshot.
func (s *Session) awaitChange(changed <-chan struct{}) {
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-s.ctx.Done():
	}
}
