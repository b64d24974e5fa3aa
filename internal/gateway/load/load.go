// Package load reads the file of a LOAD DATA as servers read it, row by row and field by field, and writes its values as
// literals, for a table whose rows go to several servers. It asks one of them what the table's columns are.
//
// It does not ask the client for the file, plans nothing and inserts nothing. Rows of fixed width (fields
// neither terminated nor enclosed) it does not read.
package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Format says how a file is divided; the fields are the clauses of the statement, with their defaults filled in.
type Format struct {
	FieldsTerminated, FieldsEnclosed, FieldsEscaped string
	LinesStarting, LinesTerminated                  string
}

// MaxRow bounds one row of a file, in bytes, as max_allowed_packet does for one row of an INSERT.
const MaxRow = 64 << 20

// Errors of a Reader.
var (
	// ErrFixedWidth says that the format is one without separators.
	ErrFixedWidth = errors.New("rows of fixed width (fields neither terminated nor enclosed)")
	// ErrRowTooLarge says that a row is longer than MaxRow.
	ErrRowTooLarge = errors.New("a row of the file is too large")
)

// Field is one value of a row.
type Field struct {
	Data []byte
	Null bool
}

// Reader divides a file into rows and fields (MySQL manual, "LOAD DATA Statement", field and line handling; the odd
// cases as servers were seen to do them).
type Reader struct {
	r                      *bufio.Reader
	term, line, start      []byte
	enclosed, escape       byte
	hasEnclosed, hasEscape bool
	fields                 []Field
	spans                  []span
	buf                    []byte
	allowed                int // bytes that a row may have without asking further
	// Reserve is asked before a row takes more memory than any before it; nil: MaxRow is the only limit.
	Reserve func(bytes int) error
}

// freeRow is how many bytes a row may have without asking.
const freeRow = 256 << 10

type span struct {
	from, to int
	null     bool
}

// NewReader reads a file of the format.
func NewReader(in io.Reader, f Format) (*Reader, error) {
	if f.FieldsTerminated == "" && f.FieldsEnclosed == "" {
		return nil, ErrFixedWidth
	}
	r := &Reader{r: bufio.NewReaderSize(in, 64<<10), term: []byte(f.FieldsTerminated), line: []byte(f.LinesTerminated), start: []byte(f.LinesStarting), allowed: freeRow}
	if f.FieldsEnclosed != "" {
		r.enclosed, r.hasEnclosed = f.FieldsEnclosed[0], true
	}
	if f.FieldsEscaped != "" {
		r.escape, r.hasEscape = f.FieldsEscaped[0], true
	}
	return r, nil
}

// Next returns the fields of the next row; they are valid until the call after. io.EOF ends the file.
func (r *Reader) Next() ([]Field, error) {
	r.fields, r.spans, r.buf = r.fields[:0], r.spans[:0], r.buf[:0]
	if err := r.skipStart(); err != nil {
		return nil, err
	}
	if _, err := r.r.Peek(1); err != nil {
		return nil, err
	}
	for {
		from := len(r.buf)
		null, last, err := r.field()
		if err != nil {
			return nil, err
		}
		r.spans = append(r.spans, span{from, len(r.buf), null})
		if err := r.room(len(r.buf) + len(r.spans)); err != nil {
			return nil, err
		}
		if last {
			break
		}
	}
	for _, s := range r.spans {
		r.fields = append(r.fields, Field{Data: r.buf[s.from:s.to], Null: s.null})
	}
	return r.fields, nil
}

// room says whether a row may have n bytes.
func (r *Reader) room(n int) error {
	if n <= r.allowed {
		return nil
	}
	if n > MaxRow {
		return ErrRowTooLarge
	}
	if r.Reserve != nil {
		if err := r.Reserve(r.allowed); err != nil {
			return err
		}
	}
	r.allowed *= 2
	return nil
}

// SkipLine passes over one line, as IGNORE n LINES does: quotes have no meaning in it.
func (r *Reader) SkipLine() error {
	for n := 0; ; n++ {
		if len(r.line) > 0 && r.at(r.line) {
			return nil
		}
		b, err := r.r.ReadByte()
		if err != nil {
			return err
		}
		if r.hasEscape && b == r.escape {
			if _, err := r.r.ReadByte(); err != nil {
				return err
			}
		}
	}
}

// skipStart drops everything up to and with LINES STARTING BY.
func (r *Reader) skipStart() error {
	if len(r.start) == 0 {
		return nil
	}
	for {
		p, err := r.r.Peek(len(r.start))
		if err != nil {
			return err
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
func (r *Reader) at(text []byte) bool {
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
func (r *Reader) field() (null, last bool, err error) {
	from := len(r.buf)
	quoted := r.hasEnclosed && r.at([]byte{r.enclosed})
	sawN := false // \N came, whatever else
	for {
		if err := r.room(len(r.buf)); err != nil {
			return false, false, err
		}
		if !quoted {
			if r.at(r.line) {
				last = true
				break
			}
			if r.at(r.term) {
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
		if r.hasEscape && b == r.escape {
			done, err := r.escaped(&sawN)
			if err != nil {
				return false, false, err
			}
			if done {
				continue
			}
		}
		if quoted && b == r.enclosed {
			if r.at([]byte{r.enclosed}) {
				r.buf = append(r.buf, b)
				continue
			}
			if r.closes(&last) {
				break
			}
		}
		r.buf = append(r.buf, b)
	}
	text := r.buf[from:]
	null = sawN && len(text) == 1 || r.hasEnclosed && !quoted && string(text) == "NULL"
	return null, last, nil
}

// escaped handles what follows the escape character. It says no if that is the enclosing character too and stands for
// itself here.
func (r *Reader) escaped(sawN *bool) (bool, error) {
	p, err := r.r.Peek(1)
	if errors.Is(err, io.EOF) {
		r.buf = append(r.buf, r.escape)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	c := p[0]
	if r.hasEnclosed && r.escape == r.enclosed && c != r.escape {
		return false, nil
	}
	_, _ = r.r.Discard(1)
	*sawN = *sawN || c == 'N'
	r.buf = append(r.buf, unescape(c))
	return true, nil
}

// closes says whether the quote just read ends its field: a terminator or the end of the file follows.
func (r *Reader) closes(last *bool) bool {
	if r.at(r.line) {
		*last = true
		return true
	}
	if r.at(r.term) {
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

// AppendValue writes a value of a file as a literal of the character set that the file is in. It reads the same under
// every sql_mode.
func AppendValue(dst, v []byte, charset string) []byte {
	for _, b := range v {
		if b >= 0x80 || b == '\\' {
			return fmt.Appendf(dst, "_%s x'%x'", charset, v)
		}
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
