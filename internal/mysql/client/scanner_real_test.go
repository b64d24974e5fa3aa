package client_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// scan sends a command raw and follows the answer with a Scanner, in pieces of the
// given size, as a forwarder does. All bytes that come must belong to the answer.
func scan(t *testing.T, c *client.Conn, kind wire.ResponseKind, piece int, payload []byte) *wire.Scanner {
	t.Helper()
	w := c.Wire()
	w.SetSeq(0)
	if err := w.WritePacket(payload); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	var s wire.Scanner
	s.Reset(kind, c.Caps())
	for done := false; !done; {
		p := w.Buffered()
		if len(p) == 0 {
			var err error
			if p, err = w.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		p = p[:min(len(p), piece)]
		n, finished, err := s.Feed(p)
		if err != nil {
			t.Fatal(err)
		}
		w.Discard(n)
		done = finished
	}
	if rest := w.Buffered(); len(rest) > 0 {
		t.Errorf("%d bytes came after the end of the answer to %.60q", len(rest), payload[1:])
	}
	w.Release()
	return &s
}

// testScanner follows the servers' own answers, with and without DEPRECATE_EOF.
func testScanner(t *testing.T, e *env) {
	for _, deprecate := range []bool{true, false} {
		for _, piece := range []int{1, 7, 1 << 20} {
			cfg := e.config()
			cfg.DeprecateEOF = deprecate
			c := e.dial(t, cfg)
			exec(t, c, "CREATE DATABASE IF NOT EXISTS d; USE d; DROP TABLE IF EXISTS sc; DROP PROCEDURE IF EXISTS pc")
			exec(t, c, "CREATE TABLE sc (id INT PRIMARY KEY AUTO_INCREMENT, s VARCHAR(2000))")
			exec(t, c, "CREATE PROCEDURE pc() BEGIN SELECT * FROM sc; SELECT 1, 2; UPDATE sc SET s = 'x'; END")
			scanQueries(t, c, piece)
			scanPrepared(t, c, piece)
		}
	}
}

func scanQueries(t *testing.T, c *client.Conn, piece int) {
	t.Helper()
	for _, tt := range []struct {
		sql      string
		rows     uint64
		affected uint64
		insertID uint64
		results  uint32
		errno    uint16
	}{
		{sql: "DO 1", results: 1},
		{sql: "INSERT INTO sc (s) VALUES ('a'), (repeat('b', 2000)), ('')", affected: 3, insertID: 1, results: 1},
		{sql: "SELECT * FROM sc", rows: 3, results: 1},
		{sql: "SELECT * FROM sc WHERE id > 99", results: 1},
		{sql: "SELECT a.id FROM sc a, sc b, sc c, sc d, sc e, sc f", rows: 729, results: 1},
		{sql: "SELECT 1; DO 1; SELECT 2, 3 UNION SELECT 4, 5", rows: 3, results: 3},
		{sql: "CALL pc()", rows: 4, affected: 3, results: 3},
		{sql: "SELECT 1; SELECT nonsense", rows: 1, results: 1, errno: 1054},
		{sql: "SELECT id FROM sc WHERE id < 3 UNION ALL SELECT (SELECT id FROM sc)", errno: 1242},
		{sql: "", errno: 1065},
		{sql: "BEGIN; ROLLBACK; SET autocommit = 1", results: 3},
	} {
		s := scan(t, c, wire.ResponseQuery, piece, wire.AppendQuery(nil, []byte(tt.sql), nil, c.Caps()))
		if s.Rows != tt.rows && tt.errno != 1242 || s.Affected != tt.affected && tt.affected > 0 || s.Results != tt.results ||
			s.Errno != tt.errno || s.IsErr != (tt.errno != 0) || tt.insertID > 0 && s.InsertID != tt.insertID {
			t.Errorf("%q in pieces of %d, caps %#x: %+v", tt.sql, piece, c.Caps(), s)
		}
	}
	if s := scan(t, c, wire.ResponseQuery, piece, wire.AppendQuery(nil, []byte("USE d"), nil, c.Caps())); !s.SessionState {
		t.Error("USE d: no session state")
	}
	for command, kind := range map[byte]wire.ResponseKind{
		wire.ComPing: wire.ResponseOK, wire.ComStatistics: wire.ResponseText,
	} {
		if s := scan(t, c, kind, piece, []byte{command}); s.IsErr {
			t.Errorf("command %#x: %+v", command, s)
		}
	}
	if s := scan(t, c, wire.ResponseOK, piece, []byte{wire.ComSetOption, 0, 0}); s.IsErr {
		t.Errorf("set option: %+v", s)
	}
	if s := scan(t, c, wire.ResponseFieldList, piece, append([]byte{wire.ComFieldList}, "sc\x00"...)); s.IsErr || s.Rows != 2 {
		t.Errorf("field list: %+v", s)
	}
}

func scanPrepared(t *testing.T, c *client.Conn, piece int) {
	t.Helper()
	for _, tt := range []struct {
		sql             string
		params, columns uint16
		rows            uint64
	}{
		{"DO 1", 0, 0, 0},
		{"SELECT id, s FROM sc WHERE id < ? AND s <> ?", 2, 2, 0},
		{"SELECT id FROM sc", 0, 1, 3},
		{"UPDATE sc SET s = ? WHERE id = 0", 1, 0, 0},
	} {
		s := scan(t, c, wire.ResponsePrepare, piece, append([]byte{wire.ComStmtPrepare}, tt.sql...))
		if s.IsErr || s.NumParams != tt.params || s.NumColumns != tt.columns || s.StmtID == 0 {
			t.Fatalf("prepare %s: %+v", tt.sql, s)
		}
		id := s.StmtID
		params := make([]wire.Param, tt.params)
		for i := range params {
			params[i] = wire.NullParam()
		}
		r := scan(t, c, wire.ResponseQuery, piece, wire.AppendStmtExecute(nil, id, 0, params, nil, c.Caps()))
		if r.IsErr || r.Rows != tt.rows || r.Results != 1 {
			t.Errorf("execute %s: %+v", tt.sql, r)
		}
		if tt.rows == 0 {
			continue
		}
		r = scan(t, c, wire.ResponseQuery, piece, wire.AppendStmtExecute(nil, id, wire.CursorReadOnly, params, nil, c.Caps()))
		if r.IsErr || r.Rows != 0 || r.Status&wire.StatusCursorExists == 0 {
			t.Errorf("cursor of %s: %+v", tt.sql, r)
		}
		fetch := binary.LittleEndian.AppendUint32([]byte{wire.ComStmtFetch}, id)
		r = scan(t, c, wire.ResponseFetch, piece, binary.LittleEndian.AppendUint32(fetch, 2))
		if r.IsErr || r.Rows != 2 {
			t.Errorf("fetch of %s: %+v", tt.sql, r)
		}
		r = scan(t, c, wire.ResponseFetch, piece, binary.LittleEndian.AppendUint32(fetch, 2))
		if r.IsErr || r.Rows != 1 || r.Status&wire.StatusLastRowSent == 0 {
			t.Errorf("second fetch of %s: %+v", tt.sql, r)
		}
	}
	if s := scan(t, c, wire.ResponsePrepare, piece, append([]byte{wire.ComStmtPrepare}, "SELEKT"...)); s.Errno != 1064 {
		t.Errorf("prepare nonsense: %+v", s)
	}
	if got := one(t, c, "SELECT 5"); got != fmt.Sprint(5) {
		t.Errorf("afterwards: %s", got)
	}
}
