package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/load"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// infileReader reads the file that the client sends, until its empty packet.
type infileReader struct {
	conn *wire.Conn
	rest []byte
	done bool
}

// Read returns the next bytes of the file.
func (r *infileReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.done {
			return 0, io.EOF
		}
		b, err := r.conn.ReadPacket()
		if err != nil {
			return 0, err
		}
		if len(b) == 0 {
			r.done = true
			return 0, io.EOF
		}
		r.rest = b
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// drain reads the rest of the file, so that the answer can be sent.
func (r *infileReader) drain() error {
	r.rest = nil
	for !r.done {
		b, err := r.conn.ReadPacket()
		if err != nil {
			return err
		}
		r.done = len(b) == 0
	}
	return nil
}

// loadSharded reads the client's file as rows and inserts them, batch by batch: each is one atomic statement, or part of the
// client's open transaction.
func (s *Session) loadSharded(st *parse.LoadDataStmt) error {
	if st.XML || len(st.Set) > 0 {
		return s.fail(errcode.New(errcode.Unsupported, "LOAD DATA with SET or LOAD XML into a sharded table", "load into an unsharded table and INSERT .. SELECT from it"))
	}
	in := &infileReader{conn: s.to.Conn}
	rows, err := load.NewReader(in, load.Format{
		FieldsTerminated: st.FieldsTerminated, FieldsEnclosed: st.FieldsEnclosed, FieldsEscaped: st.FieldsEscaped,
		LinesStarting: st.LinesStarting, LinesTerminated: st.LinesTerminated,
	})
	if err != nil {
		return s.fail(errcode.New(errcode.Unsupported, err.Error()+" into a sharded table", "load into an unsharded table and INSERT .. SELECT from it"))
	}
	rows.Reserve = s.back.Grow
	into, err := s.loadTarget(st)
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
	if err := in.drain(); err != nil {
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

// loadTarget finds out about the columns in the order of the file's fields, and about the character set of the file: that
// of the database if the statement names none.
func (s *Session) loadTarget(st *parse.LoadDataStmt) (load.Target, error) {
	to := load.Target{Table: rewrite.Table(st.Table), Charset: strings.ToLower(st.Charset), Replace: st.Duplicate == "REPLACE", Skip: st.IgnoreLines}
	var names []string
	for _, c := range st.Columns {
		names = append(names, c.Column.Name)
	}
	zero := map[string]bool{} // by lower-case name: the column may be NULL, but has another default
	err := s.back.OnFresh(func(ctx context.Context, c *pool.Conn) error {
		if to.Charset == "" {
			_, rows, err := backend.QueryAll(ctx, c, "SELECT @@character_set_database", 1)
			if err != nil {
				return err
			}
			to.Charset = string(rows[0][0])
		}
		_, rows, err := backend.QueryAll(ctx, c, "SHOW COLUMNS FROM "+to.Table, maxColumns)
		for _, r := range rows { // name, type, nullable, key, default, extra
			if len(st.Columns) == 0 {
				names = append(names, string(r[0]))
			}
			zero[strings.ToLower(string(r[0]))] = string(r[2]) == "YES" && r[4] != nil
		}
		return err
	})
	if err != nil {
		return to, err
	}
	to.Columns, to.Missing = make([]string, len(names)), make([]string, len(names))
	for i, n := range names {
		if n != "" {
			to.Columns[i] = rewrite.Ident(n)
		}
		if zero[strings.ToLower(n)] {
			to.Missing[i] = "''"
		}
	}
	if strings.ContainsFunc(to.Charset, func(c rune) bool { return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') }) {
		return to, errcode.New(errcode.BadVariableValue, "CHARACTER SET", to.Charset)
	}
	return to, nil
}

// maxColumns is how many columns a table may have on either family of servers.
const maxColumns = 4096

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
