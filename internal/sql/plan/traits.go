package plan

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// aggregates are the functions that work on a group of rows.
var aggregates = map[string]bool{
	"COUNT": true, "SUM": true, "MIN": true, "MAX": true, "AVG": true, "BIT_AND": true, "BIT_OR": true, "BIT_XOR": true,
	"GROUP_CONCAT": true, "STD": true, "STDDEV": true, "STDDEV_POP": true, "STDDEV_SAMP": true, "VARIANCE": true,
	"VAR_POP": true, "VAR_SAMP": true, "JSON_ARRAYAGG": true, "JSON_OBJECTAGG": true, "ANY_VALUE": true, "ST_COLLECT": true,
}

// isAggregate reports whether a call works on a group of rows.
func isAggregate(f *parse.FuncCall) bool {
	return f.Over == nil && f.Schema.Name == "" && aggregates[f.Name] && f.Name != "ANY_VALUE"
}

// containsAggregate reports whether an expression has an aggregate of its own block.
func containsAggregate(e parse.Expr) bool {
	found := false
	if e == nil {
		return false
	}
	parse.Walk(e, func(n parse.Node) bool {
		if _, ok := n.(parse.Query); ok {
			return false
		}
		if f, ok := n.(*parse.FuncCall); ok && isAggregate(f) {
			found = true
		}
		return !found
	})
	return found
}

// divides reports whether there is a division in the expression.
func divides(e parse.Expr) bool {
	found := false
	parse.Walk(e, func(n parse.Node) bool {
		b, ok := n.(*parse.Binary)
		found = found || ok && b.Op == "/"
		return !found
	})
	return found
}

// hasAggregate reports whether a SELECT groups all of its rows into one by an aggregate.
func hasAggregate(sel *parse.SelectStmt) bool {
	for _, it := range sel.Items {
		if containsAggregate(it.Expr) {
			return true
		}
	}
	for _, o := range sel.OrderBy {
		if containsAggregate(o.Expr) {
			return true
		}
	}
	return containsAggregate(sel.Having)
}

// hasWindow reports whether a SELECT has a window function of its own.
func hasWindow(sel *parse.SelectStmt) bool {
	found := false
	look := func(e parse.Expr) {
		if e == nil {
			return
		}
		parse.Walk(e, func(n parse.Node) bool {
			if _, ok := n.(parse.Query); ok {
				return false
			}
			if f, ok := n.(*parse.FuncCall); ok && f.Over != nil {
				found = true
			}
			return !found
		})
	}
	for _, it := range sel.Items {
		look(it.Expr)
	}
	for _, o := range sel.OrderBy {
		look(o.Expr)
	}
	return found
}

// containsQuery reports whether an expression has a subquery.
func containsQuery(e parse.Expr) bool {
	found := false
	if e == nil {
		return false
	}
	parse.Walk(e, func(n parse.Node) bool {
		if _, ok := n.(parse.Query); ok {
			found = true
		}
		return !found
	})
	return found
}

// functionUses are the functions that touch the session.
var functionUses = map[string]Uses{
	"FOUND_ROWS": UsesFoundRows, "ROW_COUNT": UsesRowCount,
	"GET_LOCK": UsesLocks, "RELEASE_LOCK": UsesLocks, "RELEASE_ALL_LOCKS": UsesLocks, "IS_FREE_LOCK": UsesLocks, "IS_USED_LOCK": UsesLocks,
	"CONNECTION_ID": UsesConnectionID, "DATABASE": UsesDatabase, "SCHEMA": UsesDatabase,
	"RAND": UsesNondeterminism, "UUID": UsesNondeterminism, "UUID_SHORT": UsesNondeterminism, "SYSDATE": UsesNondeterminism,
}

// uses finds the facilities of the session that a statement touches.
func uses(stmt parse.Statement) Uses {
	var u Uses
	parse.Walk(stmt, func(n parse.Node) bool {
		switch x := n.(type) {
		case *parse.FuncCall:
			u |= functionUses[x.Name]
			if x.Name == "LAST_INSERT_ID" {
				if len(x.Args) > 0 {
					u |= SetsLastInsertID
				} else {
					u |= UsesLastInsertID
				}
			}
		case *parse.Variable:
			if x.System {
				u |= UsesSystemVars
			} else {
				u |= UsesUserVars
			}
		case *parse.Binary:
			if x.Op == ":=" {
				u |= SetsUserVars
			}
		case *parse.SelectStmt:
			if x.Into != nil && len(x.Into.Vars) > 0 {
				u |= SetsUserVars
			}
			for _, o := range x.Options {
				if o.Name == "SQL_CALC_FOUND_ROWS" {
					u |= CalcsFoundRows
				}
			}
		case *parse.DDLStmt:
			if x.Temporary {
				u |= UsesTempTable
			}
		}
		return true
	})
	return u
}

// locks reports whether a query takes row locks.
func locks(q parse.Node) bool {
	found := false
	parse.Walk(q, func(n parse.Node) bool {
		switch x := n.(type) {
		case *parse.SelectStmt:
			found = found || x.Lock != nil
		case *parse.SetOpStmt:
			found = found || x.Lock != nil
		}
		return !found
	})
	return found
}

// itemExpr returns what a key of ORDER BY or GROUP BY means: the select item that its number or alias names, or the
// expression itself.
func (b *builder) itemExpr(sel *parse.SelectStmt, e parse.Expr) parse.Expr {
	if n := b.itemIndex(sel, e); n >= 0 && sel.Items[n].Expr != nil {
		return sel.Items[n].Expr
	}
	return unparenExpr(e)
}

// itemIndex returns the select item that a key of ORDER BY or GROUP BY names or repeats; -1 for none.
func (b *builder) itemIndex(sel *parse.SelectStmt, e parse.Expr) int {
	e = unparenExpr(e)
	if lit, ok := e.(*parse.Literal); ok && lit.Kind == parse.LitInt {
		n := 0
		for _, c := range lit.Text(b.src) {
			if n = n*10 + int(c-'0'); n > len(sel.Items) {
				return -1
			}
		}
		b.guard(lit.Span)
		for i := range min(n, len(sel.Items)) {
			if sel.Items[i].Star {
				return -1
			}
		}
		return n - 1
	}
	if c, ok := e.(*parse.ColumnRef); ok && c.Table.Name.Name == "" {
		for i, it := range sel.Items {
			if it.Alias.Name != "" && strings.EqualFold(it.Alias.Name, c.Name.Name) {
				return i
			}
		}
	}
	for i, it := range sel.Items {
		if it.Expr != nil && b.same(it.Expr, e) {
			return i
		}
	}
	return -1
}

// same reports whether two expressions are written alike; columns also match when only one names its table.
func (b *builder) same(x, y parse.Expr) bool {
	x, y = unparenExpr(x), unparenExpr(y)
	cx, okX := x.(*parse.ColumnRef)
	cy, okY := y.(*parse.ColumnRef)
	if okX && okY {
		if !strings.EqualFold(cx.Name.Name, cy.Name.Name) {
			return false
		}
		tx, ty := cx.Table.Name.Name, cy.Table.Name.Name
		return tx == ty || tx == "" || ty == ""
	}
	return parse.SameExpr(b.src, x, b.src, y)
}
