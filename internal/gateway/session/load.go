package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/load"
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

// loadSharded reads the client's file as rows and inserts them, batch by batch: each is one atomic statement, or part of the
// client's open transaction.
func (s *Session) loadSharded(st *parse.LoadDataStmt) error {
	if st.XML || len(st.Set) > 0 {
		return s.fail(errcode.New(errcode.Unsupported, "LOAD DATA with SET or LOAD XML into a sharded table", "load into an unsharded table and INSERT .. SELECT from it"))
	}
	in := load.NewFile(s.to.Conn)
	rows, err := load.NewReader(in, load.FormatOf(st))
	if err != nil {
		return s.fail(errcode.New(errcode.Unsupported, err.Error()+" into a sharded table", "load into an unsharded table and INSERT .. SELECT from it"))
	}
	rows.Reserve = s.back.Grow
	var into load.Target
	err = s.back.OnFresh(func(ctx context.Context, c *pool.Conn) error {
		var err error
		into, err = load.TargetOf(ctx, c, st)
		return err
	})
	if err != nil {
		return s.fail(err)
	}
	if err := s.to.Packet(append([]byte{0xfb}, st.File...)); err != nil {
		return err
	}
	s.warnings = s.warnings[:0]
	var total wire.OK
	read, loadErr := load.Insert(rows, into, func(sql []byte) error {
		ok, err := s.insertLoaded(sql)
		total.Affected += ok.Affected
		return err
	})
	if err := in.Drain(); err != nil {
		return fmt.Errorf("read local file: %w", err)
	}
	if errors.Is(loadErr, load.ErrRowTooLarge) {
		loadErr = errcode.New(errcode.PacketTooLarge, load.MaxRow)
	}
	if loadErr != nil {
		s.back.Recover()
		return s.failMore(loadErr)
	}
	s.rowCount = int64(total.Affected)
	total.Info = fmt.Sprintf("Records: %d  Deleted: 0  Skipped: %d  Warnings: %d", read, read-min(read, total.Affected), len(s.warnings))
	return s.to.OK(total, false)
}

// insertLoaded runs one INSERT of a load.
func (s *Session) insertLoaded(sql []byte) (wire.OK, error) {
	snap := s.sh.Targets.Current()
	if len(sql) >= largeText {
		n := parse.Weight(sql, s.back.Mode) + textCopies*len(sql)
		if err := s.back.Memory.Claim(n); err != nil {
			return wire.OK{}, err
		}
		defer s.back.Memory.Release(n)
	}
	_, slots, _ := parse.Fingerprint(sql, s.back.Mode, nil)
	stmt, err := parse.Parse(sql, s.back.Mode)
	if err != nil {
		return wire.OK{}, err
	}
	p, err := plan.Build(sql, slots, stmt, s.env(snap))
	if err != nil {
		return wire.OK{}, err
	}
	r := s.back.Statement(snap)
	ok, err := s.runPlan(r, p, sql, slots, s.to.Rows(false, false))
	s.back.Settle()
	s.warnings = append(s.warnings, r.Warnings[:min(len(r.Warnings), backend.MaxWarnings-len(s.warnings))]...)
	return ok, err
}
