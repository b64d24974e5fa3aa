package session

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
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
	cols, err := s.loadColumns(st)
	if err != nil {
		return s.fail(err)
	}
	if err := s.conn.WritePacket(append([]byte{0xfb}, st.File...)); err != nil {
		return err
	}
	if err := s.conn.Flush(); err != nil {
		return err
	}
	in := &infileReader{conn: s.conn}
	l := &loader{s: s, st: st, cols: cols, rows: newRowReader(in, st)}
	total, loadErr := l.run()
	if err := in.drain(); err != nil {
		return fmt.Errorf("read local file: %w", err)
	}
	if loadErr != nil {
		s.afterExecError()
		return s.failMore(loadErr)
	}
	s.rowCount = int64(total.Affected)
	total.Info = fmt.Sprintf("Records: %d  Deleted: 0  Skipped: %d  Warnings: %d", l.records, l.records-min(l.records, total.Affected), len(s.warnings))
	return s.okMore(total, false)
}

// loadColumns returns the columns in the order of the file's fields; "" for a field that is read and dropped.
func (s *Session) loadColumns(st *parse.LoadDataStmt) ([]string, error) {
	if len(st.Columns) > 0 {
		cols := make([]string, len(st.Columns))
		for i, c := range st.Columns {
			cols[i] = c.Column.Name
		}
		return cols, nil
	}
	q := "SHOW COLUMNS FROM " + tableText(st.Table)
	var cols []string
	err := s.onFresh(func(ctx context.Context, c queryer) error {
		_, rows, err := queryAll(ctx, c, q, 4096)
		for _, r := range rows {
			cols = append(cols, string(r[0]))
		}
		return err
	})
	return cols, err
}

func tableText(t parse.TableName) string {
	if t.Schema.Name != "" {
		return quoteIdent(t.Schema.Name) + "." + quoteIdent(t.Name.Name)
	}
	return quoteIdent(t.Name.Name)
}

// loader turns rows into INSERT statements.
type loader struct {
	s       *Session
	st      *parse.LoadDataStmt
	cols    []string
	rows    *rowReader
	records uint64
}

func (l *loader) run() (wire.OK, error) {
	var total wire.OK
	head := l.head()
	for i := uint64(0); i < l.st.IgnoreLines; i++ {
		if _, err := l.rows.next(); err != nil {
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
		fields, err := l.rows.next()
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
			names = append(names, quoteIdent(c))
		}
	}
	return verb + tableText(l.st.Table) + " (" + strings.Join(names, ", ") + ") VALUES "
}

func (l *loader) appendRow(dst []byte, fields []field) []byte {
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
			dst = append(dst, "DEFAULT"...)
		case fields[i].null:
			dst = append(dst, "NULL"...)
		default:
			dst = l.appendValue(dst, fields[i].data)
		}
	}
	return append(dst, ')')
}

func (l *loader) appendValue(dst, v []byte) []byte {
	switch {
	case l.st.Charset != "" && !strings.EqualFold(l.st.Charset, "binary"):
		return fmt.Appendf(dst, "_%s x'%x'", l.st.Charset, v)
	case !utf8.Valid(v) || strings.EqualFold(l.st.Charset, "binary"):
		return fmt.Appendf(dst, "x'%x'", v)
	case bytes.IndexByte(v, '\\') >= 0:
		return fmt.Appendf(dst, "_utf8mb4 x'%x'", v)
	}
	dst = append(dst, '\'')
	for _, b := range v {
		if b == '\'' {
			dst = append(dst, '\'')
		}
		dst = append(dst, b)
	}
	return append(dst, '\'')
}

func (l *loader) insert(sql []byte) (wire.OK, error) {
	s := l.s
	snap := s.sh.Targets.Current()
	_, slots, _ := parse.Fingerprint(sql, s.mode, nil)
	stmt, err := parse.Parse(sql, s.mode)
	if err != nil {
		return wire.OK{}, err
	}
	p, err := plan.Build(sql, slots, stmt, s.env(snap))
	if err != nil {
		return wire.OK{}, err
	}
	return s.runPlan(&runner{s: s, snap: snap}, p, sql, slots, &resultWriter{s: s})
}

// runPlan runs a plan of either kind and hands its rows to a sink.
func (s *Session) runPlan(r *runner, p *plan.Plan, sql []byte, slots []parse.Slot, sink exec.Sink) (wire.OK, error) {
	if p.Fast == nil {
		return exec.Run(s.ctx, p, exec.Input{Src: sql, Slots: slots}, r, sink)
	}
	sh, err := s.resolveFast(r.snap, p.Fast, sql, slots, nil)
	if errors.Is(err, errNotFast) {
		return exec.Run(s.ctx, p, exec.Input{Src: sql, Slots: slots}, r, sink)
	}
	if err != nil {
		return wire.OK{}, err
	}
	if p.Fast.Rewrite != nil {
		sql = p.Fast.Rewrite.Append(nil, sql, slots)
	}
	rows, err := r.Query(s.ctx, exec.ShardRef{Keyspace: sh.Keyspace.Name, Shard: sh.Name}, exec.Query{SQL: sql, Write: p.Class != plan.Read})
	if err != nil {
		return wire.OK{}, err
	}
	defer rows.Close()
	if err := copyResults(rows, sink); err != nil {
		return wire.OK{}, err
	}
	if err := rows.Close(); err != nil {
		return wire.OK{}, err
	}
	return rows.OK(), nil
}

// copyResults hands an answer's rows to a sink, those of all its results if the sink takes several.
func copyResults(rows exec.Rows, sink exec.Sink) error {
	several, ok := rows.(interface{ NextResult() bool })
	into, takes := sink.(interface{ NextResult(wire.OK) error })
	for {
		if cols := rows.Columns(); len(cols) > 0 {
			if err := sink.Columns(cols); err != nil {
				return err
			}
		}
		for rows.Next() {
			if err := sink.RawRow(rows.Raw()); err != nil {
				return err
			}
		}
		end := rows.OK()
		if !ok || !takes || end.Status&wire.StatusMoreResults == 0 {
			return nil
		}
		if !several.NextResult() {
			return nil // an error, which Close returns
		}
		if err := into.NextResult(end); err != nil {
			return err
		}
	}
}

// field is one value of a file's row.
type field struct {
	data []byte
	null bool
}

// rowReader splits a file into rows and fields as LOAD DATA does (MySQL manual, "LOAD DATA Statement", field and line handling).
type rowReader struct {
	r                      *bufio.Reader
	term, line, start      []byte
	enclosed, escape       byte
	hasEnclosed, hasEscape bool
	optionally             bool
	fields                 []field
	buf                    []byte
}

func newRowReader(in io.Reader, st *parse.LoadDataStmt) *rowReader {
	r := &rowReader{r: bufio.NewReaderSize(in, 64<<10), term: []byte(st.FieldsTerminated), line: []byte(st.LinesTerminated), start: []byte(st.LinesStarting)}
	if st.FieldsEnclosed != "" {
		r.enclosed, r.hasEnclosed = st.FieldsEnclosed[0], true
	}
	if st.FieldsEscaped != "" {
		r.escape, r.hasEscape = st.FieldsEscaped[0], true
	}
	r.optionally = st.FieldsOptionallyEnclosed
	return r
}

// maxLoadRow bounds one row of a file, as max_allowed_packet does for one row of an INSERT.
const maxLoadRow = 64 << 20

// next returns the fields of the next row; they are valid until the call after. io.EOF ends the file.
func (r *rowReader) next() ([]field, error) {
	r.fields, r.buf = r.fields[:0], r.buf[:0]
	if err := r.skipStart(); err != nil {
		return nil, err
	}
	if _, err := r.r.Peek(1); err != nil {
		return nil, err
	}
	var spans [][3]int // start, end, null
	for {
		begin := len(r.buf)
		null, last, err := r.field()
		if err != nil {
			return nil, err
		}
		n := 0
		if null {
			n = 1
		}
		spans = append(spans, [3]int{begin, len(r.buf), n})
		if last {
			break
		}
	}
	for _, s := range spans {
		r.fields = append(r.fields, field{data: r.buf[s[0]:s[1]], null: s[2] == 1})
	}
	return r.fields, nil
}

// skipStart drops everything up to and with LINES STARTING BY.
func (r *rowReader) skipStart() error {
	if len(r.start) == 0 {
		return nil
	}
	for {
		p, err := r.r.Peek(len(r.start))
		if err != nil {
			return io.EOF
		}
		if bytes.Equal(p, r.start) {
			_, err := r.r.Discard(len(r.start))
			return err
		}
		if _, err := r.r.Discard(1); err != nil {
			return err
		}
	}
}

// at says whether the text comes next, and takes it.
func (r *rowReader) at(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	p, err := r.r.Peek(len(text))
	if err != nil || !bytes.Equal(p, text) {
		return false
	}
	_, err = r.r.Discard(len(text))
	return err == nil
}

// field appends one field to buf and says whether it was NULL and whether it ended the row.
func (r *rowReader) field() (null, last bool, err error) {
	begin := len(r.buf)
	quoted := false
	if r.hasEnclosed {
		if p, err := r.r.Peek(1); err == nil && p[0] == r.enclosed {
			_, _ = r.r.Discard(1)
			quoted = true
		}
	}
	escapedNull := false
	for {
		if len(r.buf) > maxLoadRow {
			return false, false, errcode.New(errcode.PacketTooLarge, maxLoadRow)
		}
		if !quoted {
			if r.at(r.term) {
				break
			}
			if r.at(r.line) {
				last = true
				break
			}
		}
		b, err := r.r.ReadByte()
		if errors.Is(err, io.EOF) {
			last = true
			break
		}
		if err != nil {
			return false, false, err
		}
		switch {
		case r.hasEscape && b == r.escape && !(r.hasEnclosed && r.escape == r.enclosed):
			c, err := r.r.ReadByte()
			if err != nil {
				r.buf = append(r.buf, b)
				continue
			}
			if c == 'N' && len(r.buf) == begin && !quoted {
				escapedNull = true
			}
			r.buf = append(r.buf, unescape(c))
		case quoted && b == r.enclosed:
			p, err := r.r.Peek(1)
			if err == nil && p[0] == r.enclosed {
				_, _ = r.r.Discard(1)
				r.buf = append(r.buf, b)
				continue
			}
			if r.closes(&last) {
				return false, last, nil
			}
			r.buf = append(r.buf, b)
		default:
			r.buf = append(r.buf, b)
		}
	}
	text := r.buf[begin:]
	if escapedNull && len(text) == 1 {
		return true, last, nil
	}
	if r.hasEnclosed && !quoted && string(text) == "NULL" {
		return true, last, nil
	}
	return false, last, nil
}

// closes says whether the quote just read ends its field: a terminator or the end of the file follows.
func (r *rowReader) closes(last *bool) bool {
	if r.at(r.term) {
		return true
	}
	if r.at(r.line) {
		*last = true
		return true
	}
	if _, err := r.r.Peek(1); err != nil {
		*last = true
		return true
	}
	return false
}

func unescape(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'b':
		return '\b'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'Z':
		return 26
	}
	return c
}
