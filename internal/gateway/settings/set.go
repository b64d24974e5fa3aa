package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// HandshakeNames turns the charset byte of a client's handshake into the clause of SetNames that has the same effect, ""
// when it is what pooled connections have anyway. Ids that the family of servers does not know mean its general utf8mb4.
func HandshakeNames(id uint8, mariaDB bool) string {
	const generalUTF8MB4 = 45
	if id == generalUTF8MB4 || id == 0 {
		return ""
	}
	family := gtid.MySQL
	if mariaDB {
		family = gtid.MariaDB
	}
	c, ok := value.CollationByID(family, uint16(id))
	if !ok {
		return ""
	}
	return "NAMES '" + c.Charset + "' COLLATE '" + c.Name + "'"
}

// NamesClause is the clause of SetNames that SET NAMES or SET CHARACTER SET means.
func NamesClause(st *parse.SetStmt) string {
	if len(st.Args) == 0 || strings.EqualFold(st.Args[0], "DEFAULT") {
		return ""
	}
	q := func(v string) string { return "'" + strings.ReplaceAll(v, "'", "") + "'" }
	c := st.Special + " " + q(st.Args[0])
	if len(st.Args) > 1 && st.Args[1] != "" {
		c += " COLLATE " + q(st.Args[1])
	}
	return c
}

// Constant returns the SQL text of a value that needs no computing: "" for DEFAULT, and a bare word as it is. ok is false
// for any other expression.
func Constant(e parse.Expr, sql []byte) (text string, ok bool) {
	switch v := e.(type) {
	case nil, *parse.Default:
		return "", true
	case *parse.Literal:
		return string(v.Text(sql)), true
	case *parse.ColumnRef:
		return string(v.Text(sql)), true // a bare word: ON, utf8mb4, ANSI
	case *parse.Unary:
		if lit, ok := v.Expr.(*parse.Literal); ok && v.Op == "-" {
			return "-" + string(lit.Text(sql)), true
		}
	}
	return "", false
}

// CheckStatementSet refuses values in SET STATEMENT that are no constants: MariaDB 10.11 crashes when it prepares some of
// those. Other statements pass.
func CheckStatementSet(stmt parse.Statement) error {
	st, ok := stmt.(*parse.SetStmt)
	if !ok || st.Special != "STATEMENT" {
		return nil
	}
	for i := range st.Items {
		e := st.Items[i].Value
		if u, ok := e.(*parse.Unary); ok {
			e = u.Expr
		}
		switch v := e.(type) {
		case nil, *parse.Literal, *parse.Default:
		case *parse.ColumnRef:
			switch strings.ToUpper(v.Name.Name) {
			case "ON", "OFF":
				continue
			}
			return errcode.New(errcode.BadVariableValue, st.Items[i].Var.Name, v.Name.Name+" (SET STATEMENT takes constants)")
		default:
			return errcode.New(errcode.BadVariableValue, st.Items[i].Var.Name, "an expression (SET STATEMENT takes constants)")
		}
	}
	return nil
}

// Bool reads the value of a variable that is on or off, as servers do.
func Bool(name, v string) (bool, error) {
	switch strings.ToUpper(strings.Trim(v, "'\"")) {
	case "1", "ON", "TRUE", "":
		return true, nil
	case "0", "OFF", "FALSE":
		return false, nil
	}
	return false, &wire.MySQLError{Errno: 1231, State: "42000", Message: fmt.Sprintf("Variable '%s' can't be set to the value of '%s'", name, v)}
}

// Lexical returns the mode with what a value of @@sql_mode says of how text is read.
func Lexical(mode parse.Mode, sqlMode string) parse.Mode {
	words := strings.Split(strings.ToUpper(sqlMode), ",")
	has := func(m string) bool { return slices.Contains(words, m) }
	mode.ANSIQuotes = has("ANSI_QUOTES")
	mode.NoBackslashEscapes = has("NO_BACKSLASH_ESCAPES")
	mode.PipesAsConcat = has("PIPES_AS_CONCAT")
	mode.IgnoreSpace = has("IGNORE_SPACE")
	mode.HighNotPrecedence = has("HIGH_NOT_PRECEDENCE")
	return mode
}

// SetTransaction changes the variables as SET SESSION TRANSACTION with the characteristics does.
func (v *Vars) SetTransaction(characteristics []string, mariaDB bool) {
	prefix := "transaction_"
	if mariaDB {
		prefix = "tx_"
	}
	for _, c := range characteristics {
		switch c {
		case "READ ONLY":
			v.Set(prefix+"read_only", "1")
		case "READ WRITE":
			v.Set(prefix+"read_only", "0")
		default:
			level := strings.ReplaceAll(strings.TrimPrefix(c, "ISOLATION LEVEL "), " ", "-")
			v.Set(prefix+"isolation", "'"+level+"'")
		}
	}
}
