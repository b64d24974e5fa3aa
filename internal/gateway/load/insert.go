package load

import (
	"errors"
	"io"
	"strings"
)

// Batches of a load. Each is one INSERT, all or nothing.
const (
	batchRows  = 2000
	batchBytes = 512 << 10
)

// Target says what the rows of a file become.
type Target struct {
	Table   string   // as SQL text
	Columns []string // as SQL text, in the order of the file's fields; "" for a field that is read and dropped
	// Missing is what a row that is too short has in a column, as SQL text; "" is NULL. A server does not take the column's
	// default then: it stores NULL where that is the default, else the type's zero. So does an INSERT IGNORE of a NULL or of an
	// empty string. It is as long as Columns, or nil.
	Missing []string
	Charset string // of the file, as servers name it
	Replace bool   // rows replace those with the same key; otherwise, as with every LOAD DATA LOCAL, they are ignored
	Skip    uint64 // lines at the beginning of the file
}

// Insert reads all rows and hands them to insert as statements. It returns how many rows it has read, also with an error,
// which is the reader's or insert's own. The statement is insert's until it returns.
func Insert(rows *Reader, t Target, insert func(sql []byte) error) (read uint64, err error) {
	for range t.Skip {
		if err := rows.SkipLine(); err != nil {
			return 0, ignoreEOF(err)
		}
	}
	head := t.head()
	batch := []byte(head)
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		err := insert(batch)
		batch, n = append(batch[:0], head...), 0
		return err
	}
	for {
		fields, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return read, flush()
		}
		if err != nil {
			return read, err
		}
		if n > 0 {
			batch = append(batch, ',')
		}
		batch = t.appendRow(batch, fields)
		read++
		if n++; n >= batchRows || len(batch) >= batchBytes {
			if err := flush(); err != nil {
				return read, err
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

// head is the statement up to VALUES.
func (t *Target) head() string {
	verb := "INSERT IGNORE INTO "
	if t.Replace {
		verb = "REPLACE INTO "
	}
	var names []string
	for _, c := range t.Columns {
		if c != "" {
			names = append(names, c)
		}
	}
	return verb + t.Table + " (" + strings.Join(names, ", ") + ") VALUES "
}

func (t *Target) appendRow(dst []byte, fields []Field) []byte {
	dst = append(dst, '(')
	first := true
	for i, c := range t.Columns {
		if c == "" {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		switch {
		case i < len(fields) && !fields[i].Null:
			dst = AppendValue(dst, fields[i].Data, t.Charset)
		case i >= len(fields) && i < len(t.Missing) && t.Missing[i] != "":
			dst = append(dst, t.Missing[i]...)
		default:
			dst = append(dst, "NULL"...)
		}
	}
	return append(dst, ')')
}
