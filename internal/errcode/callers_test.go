package errcode

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// codeNames maps the names of the constants of this package to their codes.
func codeNames(t *testing.T, fset *token.FileSet) map[string]Code {
	t.Helper()
	out := map[string]Code{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			lit, isLit := spec.Values[0].(*ast.BasicLit)
			typ, isIdent := spec.Type.(*ast.Ident)
			if isLit && isIdent && typ.Name == "Code" {
				n, err := strconv.ParseUint(lit.Value, 10, 16)
				if err != nil {
					t.Errorf("%s: %s", fset.Position(lit.Pos()), lit.Value)
				}
				out[spec.Names[0].Name] = Code(n)
			}
			return true
		})
	}
	return out
}

// TestCallers finds every errcode.New and errcode.Wrap of the project and counts its arguments, as vet does for Printf: the text of
// a code has a fixed number of places. A code that nobody names is one that the documentation promises and nobody ever sees.
func TestCallers(t *testing.T) {
	fset := token.NewFileSet()
	names := codeNames(t, fset)
	if len(names) != len(All()) {
		t.Errorf("%d constants, %d rows", len(names), len(All()))
	}
	checked := 0
	named := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go"):
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if checkCall(t, fset, names, n) {
					checked++
				}
			case *ast.SelectorExpr:
				if name, ok := selector(n); ok && !strings.HasSuffix(path, "_test.go") {
					named[name] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked == 0 {
		t.Error("no caller was found")
	}
	for name, code := range names {
		if !named[name] {
			t.Errorf("nobody answers with %s (errcode.%s)", code, name)
		}
	}
}

// checkCall checks one call, and says whether it was one of those.
func checkCall(t *testing.T, fset *token.FileSet, names map[string]Code, call *ast.CallExpr) bool {
	fn, ok := selector(call.Fun)
	if !ok || fn != "New" && fn != "Wrap" || len(call.Args) == 0 || call.Ellipsis.IsValid() {
		return false
	}
	name, ok := selector(call.Args[0])
	if !ok {
		return false
	}
	at := fset.Position(call.Pos())
	code, ok := names[name]
	if !ok {
		t.Errorf("%s: there is no errcode.%s", at, name)
		return true
	}
	given := len(call.Args) - 1
	if fn == "Wrap" {
		given--
	}
	in, ok := Lookup(code)
	if !ok {
		t.Errorf("%s: errcode.%s has no row", at, name)
	} else if given != len(in.Args) && (fn != "Wrap" || given != len(in.Args)-1) {
		t.Errorf("%s: errcode.%s takes %d arguments %q, %d are given", at, name, len(in.Args), in.Args, given)
	}
	return true
}

// selector returns X of the expression errcode.X.
func selector(e ast.Expr) (string, bool) {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	pkg, ok := s.X.(*ast.Ident)
	if !ok || pkg.Name != "errcode" {
		return "", false
	}
	return s.Sel.Name, true
}
