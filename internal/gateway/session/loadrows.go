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

// Batches of a sharded LOAD DATA. Each is one atomic statement, or part of the client's open transaction.
const (
	loadBatchRows  = 2000
	loadBatchBytes = 512 << 10
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

// loadSharded reads the client's file as rows and inserts them, batch by batch.
func (s *Session) loadSharded(st *parse.LoadDataStmt, sql []byte) error {
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
	l := &loader{s: s, st: st, rows: rows}
	if err := l.prepare(); err != nil {
		return s.fail(err)
	}
	if err := s.to.Conn.WritePacket(append([]byte{0xfb}, st.File...)); err != nil {
		return err
	}
	if err := s.to.Conn.Flush(); err != nil {
		return err
	}
	s.warnings = s.warnings[:0]
	total, loadErr := l.run()
	if err := in.drain(); err != nil {
		return fmt.Errorf("read local file: %w", err)
	}
	if loadErr != nil {
		s.back.Recover()
		return s.failMore(loadErr)
	}
	s.rowCount = int64(total.Affected)
	total.Info = fmt.Sprintf("Records: %d  Deleted: 0  Skipped: %d  Warnings: %d", l.records, l.records-min(l.records, total.Affected), len(s.warnings))
	return s.to.OK(total, false)
}

// prepare finds out about the columns in the order of the file's fields, "" for a field that is read and dropped, and
// about the character set of the file: that of the database if the statement names none.
func (l *loader) prepare() error {
	s := l.s
	l.charset = strings.ToLower(l.st.Charset)
	for _, c := range l.st.Columns {
		l.cols = append(l.cols, c.Column.Name)
	}
	err := s.back.OnFresh(func(ctx context.Context, c *pool.Conn) error {
		if l.charset == "" {
			_, rows, err := backend.QueryAll(ctx, c, "SELECT @@character_set_database", 1)
			if err != nil {
				return err
			}
			l.charset = string(rows[0][0])
		}
		_, rows, err := backend.QueryAll(ctx, c, "SHOW COLUMNS FROM "+rewrite.Table(l.st.Table), 4096)
		l.missing = make(map[string]string, len(rows))
		for _, r := range rows { // name, type, nullable, key, default, extra
			if len(l.st.Columns) == 0 {
				l.cols = append(l.cols, string(r[0]))
			}
			if string(r[2]) == "YES" && r[4] != nil {
				l.missing[strings.ToLower(string(r[0]))] = "''"
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if strings.ContainsFunc(l.charset, func(c rune) bool { return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') }) {
		return errcode.New(errcode.BadVariableValue, "CHARACTER SET", l.charset)
	}
	return nil
}

// loader turns rows into INSERT statements.
type loader struct {
	s       *Session
	st      *parse.LoadDataStmt
	cols    []string
	charset string
	missing map[string]string // lower-case name of a column: what a row has there that is too short, if not NULL
	rows    *load.Reader
	records uint64
}

func (l *loader) run() (wire.OK, error) {
	var total wire.OK
	head := l.head()
	for i := uint64(0); i < l.st.IgnoreLines; i++ {
		if err := l.rows.SkipLine(); err != nil {
			return total, ignoreEOF(err)
		}
	}
	batch := []byte(head)
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		ok, err := l.insert(batch)
		total.Affected += ok.Affected
		batch, n = append(batch[:0], head...), 0
		return err
	}
	for {
		fields, err := l.rows.Next()
		if errors.Is(err, load.ErrRowTooLarge) {
			return total, errcode.New(errcode.PacketTooLarge, load.MaxRow)
		}
		if err != nil {
			if err := ignoreEOF(err); err != nil {
				return total, err
			}
			return total, flush()
		}
		if n > 0 {
			batch = append(batch, ',')
		}
		batch = l.appendRow(batch, fields)
		l.records++
		if n++; n >= loadBatchRows || len(batch) >= loadBatchBytes {
			if err := flush(); err != nil {
				return total, err
			}
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// head is the statement up to VALUES. LOCAL means IGNORE unless REPLACE was said.
func (l *loader) head() string {
	verb := "INSERT IGNORE INTO "
	if l.st.Duplicate == "REPLACE" {
		verb = "REPLACE INTO "
	}
	var names []string
	for _, c := range l.cols {
		if c != "" {
			names = append(names, rewrite.Ident(c))
		}
	}
	return verb + rewrite.Table(l.st.Table) + " (" + strings.Join(names, ", ") + ") VALUES "
}

func (l *loader) appendRow(dst []byte, fields []load.Field) []byte {
	dst = append(dst, '(')
	first := true
	for i, c := range l.cols {
		if c == "" {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		switch {
		case i >= len(fields):
			// A server does not take the column's default then: it stores NULL where that is the default, else the type's
			// zero. So does an INSERT IGNORE of a NULL or of an empty string.
			if v := l.missing[strings.ToLower(c)]; v != "" {
				dst = append(dst, v...)
			} else {
				dst = append(dst, "NULL"...)
			}
		case fields[i].Null:
			dst = append(dst, "NULL"...)
		default:
			dst = load.AppendValue(dst, fields[i].Data, l.charset)
		}
	}
	return append(dst, ')')
}

func (l *loader) insert(sql []byte) (wire.OK, error) {
	s := l.s
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
	ok, err := s.runPlan(r, p, sql, slots, s.to.Rows(false))
	s.back.Settle()
	s.warnings = append(s.warnings, r.Warnings[:min(len(r.Warnings), backend.MaxWarnings-len(s.warnings))]...)
	return ok, err
}
