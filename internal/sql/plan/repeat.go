package plan

import "github.com/pelorusdb/pelorus/internal/sql/parse"

// unrepeatable are the functions that answer otherwise when a statement is run again on the same rows, at the same time
// by @@timestamp, by the same session. True: they only draw a value, wherever they are asked.
var unrepeatable = map[string]bool{
	"UUID": true, "UUID_SHORT": true, "UUID_V4": true, "UUID_V7": true, "SYS_GUID": true, "RAND": true, "RANDOM_BYTES": true, "SYSDATE": true,
	"LOAD_FILE": false, "NEXTVAL": false, "LASTVAL": false, "SETVAL": false,
	"GET_LOCK": false, "RELEASE_LOCK": false, "RELEASE_ALL_LOCKS": false, "IS_FREE_LOCK": false, "IS_USED_LOCK": false,
}

// unrepeatableCall says whether a call is one of those. RAND(3) is the same each time.
func unrepeatableCall(f *parse.FuncCall) bool {
	_, ok := unrepeatable[f.Name]
	return ok && f.Schema.Name == "" && (f.Name != "RAND" || len(f.Args) == 0)
}

// inexact names what in a write makes a second run of it, on the same rows, do something else than the first; "" for nothing.
// What triggers and column defaults do is not seen here.
func inexact(stmt parse.Statement) string {
	found := ""
	see := func(what string) {
		if found == "" {
			found = what
		}
	}
	parse.Walk(stmt, func(n parse.Node) bool {
		switch x := n.(type) {
		case *parse.FuncCall:
			if x.Schema.Name != "" {
				see("the stored function " + x.Name)
			} else if unrepeatableCall(x) {
				see(x.Name + "()")
			}
		case *parse.UpdateStmt:
			if x.Limit != nil {
				see("LIMIT")
			}
		case *parse.DeleteStmt:
			if x.Limit != nil {
				see("LIMIT")
			}
		case *parse.SelectStmt:
			if x.Limit != nil {
				see("LIMIT")
			}
		}
		return found == ""
	})
	return found
}

// ordersKeys says whether keys that the server makes for the rows follow the order in which a query yields them.
func ordersKeys(stmt parse.Statement) bool {
	ins, ok := stmt.(*parse.InsertStmt)
	return ok && ins.Query != nil
}

// Draws lists the calls in the rows of an INSERT whose answers a replay would not get again, and which stand for one value
// each: their arguments are constants, and a row is made once.
func Draws(stmt parse.Statement) []*parse.FuncCall {
	ins, ok := stmt.(*parse.InsertStmt)
	if !ok {
		return nil
	}
	var out []*parse.FuncCall
	look := func(e parse.Expr) {
		parse.Walk(e, func(n parse.Node) bool {
			f, ok := n.(*parse.FuncCall)
			if _, isQuery := n.(parse.Query); isQuery {
				return false
			}
			if ok && unrepeatableCall(f) && unrepeatable[f.Name] && constantArgs(f) {
				out = append(out, f)
				return false
			}
			return true
		})
	}
	for _, row := range ins.Rows {
		for _, v := range row.Values {
			look(v)
		}
	}
	for _, a := range ins.Set {
		look(a.Value)
	}
	return out
}

func constantArgs(f *parse.FuncCall) bool {
	for _, a := range f.Args {
		if _, ok := a.(*parse.Literal); !ok {
			return false
		}
	}
	return true
}
