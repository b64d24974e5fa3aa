package load

import (
	"context"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// maxColumns is how many columns a table may have on either family of servers.
const maxColumns = 4096

// FormatOf is how the statement says that its file is divided.
func FormatOf(st *parse.LoadDataStmt) Format {
	return Format{
		FieldsTerminated: st.FieldsTerminated, FieldsEnclosed: st.FieldsEnclosed, FieldsEscaped: st.FieldsEscaped,
		LinesStarting: st.LinesStarting, LinesTerminated: st.LinesTerminated,
	}
}

// TargetOf asks a server that has the table about the columns in the order of the file's fields, and about the character set
// of the file: that of the database if the statement names none.
func TargetOf(ctx context.Context, c *pool.Conn, st *parse.LoadDataStmt) (Target, error) {
	to := Target{Table: rewrite.Table(st.Table), Charset: strings.ToLower(st.Charset), Replace: st.Duplicate == "REPLACE", Skip: st.IgnoreLines}
	if to.Charset == "" {
		_, rows, err := backend.QueryAll(ctx, c, "SELECT @@character_set_database", 1)
		if err != nil {
			return to, err
		}
		to.Charset = string(rows[0][0])
	}
	if !isCharset(to.Charset) {
		return to, errcode.New(errcode.BadVariableValue, "CHARACTER SET", to.Charset)
	}
	_, rows, err := backend.QueryAll(ctx, c, "SHOW COLUMNS FROM "+to.Table, maxColumns)
	if err != nil {
		return to, err
	}
	var names []string
	for _, c := range st.Columns {
		names = append(names, c.Column.Name)
	}
	zero := map[string]bool{} // by lower-case name: the column may be NULL, but has another default
	for _, r := range rows {  // name, type, nullable, key, default, extra
		if len(st.Columns) == 0 {
			names = append(names, string(r[0]))
		}
		zero[strings.ToLower(string(r[0]))] = string(r[2]) == "YES" && r[4] != nil
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
	return to, nil
}

// isCharset says whether the word can be the name of a character set: it becomes part of a statement's text.
func isCharset(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool { return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') })
}
