package session

import (
	"fmt"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// relayInfile passes a server's request for a local file on to the client, the client's bytes back, and the answer on.
func (s *Session) relayInfile(c *pool.Conn, request []byte) error {
	if err := s.to.Conn.WriteRaw(request); err != nil {
		c.Discard()
		return err
	}
	w := c.Wire()
	w.SetSeq(2)
	s.to.Conn.SetSeq(2)
	for {
		p, err := s.to.Conn.ReadPacket()
		if err == nil {
			err = w.WritePacket(p)
		}
		if err != nil {
			c.Discard()
			return fmt.Errorf("relay local file: %w", err)
		}
		if len(p) == 0 {
			break
		}
	}
	if err := w.Flush(); err != nil {
		c.Discard()
		return fmt.Errorf("relay local file: %w", err)
	}
	s.relayed = true
	defer func() { s.relayed = false }()
	return s.forward(c, wire.ResponseQuery, !s.back.Tx.Active())
}

// loadData runs LOAD DATA. On one shard the file's bytes go through as they are; on several they are read as rows,
// which become inserts.
func (s *Session) loadData(snap *target.Snapshot, st *parse.LoadDataStmt, sql []byte, more bool) error {
	if more || s.follows || s.binary {
		return s.failMore(errcode.New(errcode.Unsupported, "LOAD DATA among several statements or prepared", "send it as a statement of its own"))
	}
	if !st.Local {
		return s.fail(errcode.New(errcode.PrivilegeNeeded, "FILE (use LOAD DATA LOCAL INFILE)"))
	}
	if s.to.Caps&wire.ClientLocalFiles == 0 {
		return s.fail(errcode.New(errcode.LocalInfileRefused))
	}
	name := s.back.Route.Scope.Keyspace
	if st.Table.Schema.Name != "" {
		name = st.Table.Schema.Name
	}
	ks := snap.Keyspaces[name]
	if ks == nil {
		return s.fail(errcode.New(errcode.NoSuchKeyspace, name))
	}
	if len(ks.Shards) == 1 || s.back.Route.Scope.Shard != "" {
		p := &plan.Plan{Class: plan.Write, Fast: &plan.Fast{Keyspace: ks.Name, Kind: plan.Unsharded}}
		sh, err := s.back.Route.Find(snap, p.Fast, sql, nil, nil)
		if err != nil {
			return s.fail(err)
		}
		return s.runFast(sh, p, sql, nil)
	}
	return s.loadSharded(st)
}
