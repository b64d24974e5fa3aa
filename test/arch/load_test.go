package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pelorusdb/pelorus"

// file is one Go file of the project.
type file struct {
	path      string // from the root, such as "internal/topo/store.go"
	pkg       string // its folder, such as "internal/topo"
	test      bool
	generated bool
	ast       *ast.File
	lines     int
}

// tree is all Go files of the project, in the order of their paths.
type tree struct {
	root  string
	fset  *token.FileSet
	files []file
}

// load parses the whole project once per test binary's need; some hundred files take a fraction of a second.
func load(t *testing.T) *tree {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	tr := &tree{root: root, fset: token.NewFileSet()}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "bin" || name == "pelorus-data") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		return tr.add(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.files) < 20 {
		t.Fatalf("only %d Go files found under %s: the rules would hold for nothing", len(tr.files), root)
	}
	return tr
}

func (tr *tree) add(path string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(tr.fset, path, src, parser.ParseComments)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(tr.root, path)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	tr.files = append(tr.files, file{
		path: rel, pkg: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go"),
		generated: ast.IsGenerated(parsed), ast: parsed, lines: strings.Count(string(src), "\n"),
	})
	return nil
}

// packages groups the hand-written, non-test files by package.
func (tr *tree) packages() map[string][]file {
	out := map[string][]file{}
	for _, f := range tr.files {
		if !f.test && !f.generated {
			out[f.pkg] = append(out[f.pkg], f)
		}
	}
	return out
}

// imports are the paths that a file imports.
func (f *file) imports() []string {
	var out []string
	for _, s := range f.ast.Imports {
		out = append(out, strings.Trim(s.Path.Value, `"`))
	}
	return out
}

// selectors calls visit for each use of a name of an imported package, such as ("time", "Now").
func (f *file) selectors(visit func(pkg, name string, at token.Pos)) {
	local := map[string]string{} // name in this file → import path
	for _, s := range f.ast.Imports {
		path := strings.Trim(s.Path.Value, `"`)
		name := path[strings.LastIndex(path, "/")+1:]
		if s.Name != nil {
			name = s.Name.Name
		}
		local[name] = path
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		// An identifier that the parser resolved is a local variable, not a package.
		if id, ok := sel.X.(*ast.Ident); ok && id.Obj == nil && local[id.Name] != "" {
			visit(local[id.Name], sel.Sel.Name, sel.Pos())
		}
		return true
	})
}

// at is where a position is, as "path:line".
func (tr *tree) at(pos token.Pos) string {
	p := tr.fset.Position(pos)
	rel, err := filepath.Rel(tr.root, p.Filename)
	if err != nil {
		rel = p.Filename
	}
	p.Filename = filepath.ToSlash(rel)
	p.Column = 0
	return p.String()
}

// under says whether pkg is one of the roots or lies below one.
func under(pkg string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return pkg == r || strings.HasPrefix(pkg, r+"/") })
}
