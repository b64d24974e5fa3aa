package parse

import (
	"go/ast"
	goparser "go/parser"
	gotoken "go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// TestWordsInTable checks that every word that the parser asks for is in the table: others are never found.
func TestWordsInTable(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	check := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != gotoken.STRING {
			return
		}
		w, err := strconv.Unquote(lit.Value)
		if err != nil || w == "" || strings.IndexFunc(w, func(r rune) bool { return !unicode.IsUpper(r) && r != '_' }) >= 0 {
			return
		}
		found++
		if words[w].word == "" {
			t.Errorf("%q is not in the table of words", w)
		}
	}
	asking := map[string]bool{"is": true, "isAhead": true, "accept": true, "accept2": true, "expect": true, "oneOf": true, "isOneOf": true,
		"skipUntil": true, "skipWords": true, "options": true}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := goparser.ParseFile(gotoken.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fn := ""
			switch c := call.Fun.(type) {
			case *ast.SelectorExpr:
				fn = c.Sel.Name
			case *ast.Ident:
				fn = c.Name
			}
			if asking[fn] {
				for _, a := range call.Args {
					check(a)
				}
			}
			return true
		})
	}
	if found < 200 {
		t.Errorf("looked at %d words only", found)
	}
	for w := range words {
		if len(w) > maxWord {
			t.Errorf("%s is longer than maxWord", w)
		}
	}
}
