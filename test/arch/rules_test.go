package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// layers lists, lowest first, the packages of each layer below internal/. A package may import its own layer and those
// below it. A package that is in no layer fails the test: give it its place here.
var layers = [][]string{
	{"errcode", "fact", "obs", "version"},
	{"mysql"},
	{"sql"},
	{"api", "topo", "redo", "workflow", "move", "backup"},
	{"gateway", "agent", "orch", "reshard"},
	{"control", "cli", "web", "devcluster"},
}

// roles never import one another: they meet in api messages and in etcd.
var roles = []string{"internal/gateway", "internal/agent", "internal/orch", "internal/reshard"}

// pure packages have no goroutine, clock, network, disk or global randomness.
var pure = []string{
	"internal/errcode", "internal/fact", "internal/mysql/value", "internal/mysql/gtid", "internal/mysql/flavor",
	"internal/sql/parse", "internal/sql/vindex", "internal/sql/vschema", "internal/sql/plan", "internal/redo", "internal/topo/durability",
	"internal/gateway/rewrite", "internal/workflow", "internal/move", "internal/orch/evidence", "internal/orch/analysis", "internal/orch/recovery",
	"internal/orch/decision", "internal/api/presence",
}

// impureBelow lists packages below a pure one that are not pure themselves.
var impureBelow = []string{"internal/workflow/run", "internal/workflow/workflowtest", "internal/move/feed", "internal/move/copy", "internal/move/apply", "internal/move/diff"}

const maxFileLines, maxFuncLines, maxPackageLines = 800, 100, 2500

// longFuncs may be longer than maxFuncLines: tables in the shape of a switch, where cutting would only scatter the cases.
var longFuncs = map[string]string{}

// largePackages may have more than maxPackageLines, without their tests and what is generated: one subject each, whose parts
// share unexported types all through. What coordinates other packages has no place here: cut it.
var largePackages = map[string]string{
	"internal/mysql/wire":   "one protocol: each file is one of its messages, for both sides",
	"internal/sql/parse":    "one grammar: each file is one kind of statement",
	"internal/sql/plan":     "one planner: each file is one kind of statement, over the same tree of operations",
	"internal/gateway/exec": "one executor: each file is one operation of plans",
	"internal/cli":          "one command line: each file is one command",
}

// layerOf says in which layer a package of the project is; 6 is cmd, 7 is tests and examples.
func layerOf(pkg string) (int, bool) {
	if under(pkg, "cmd") {
		return 6, true
	}
	if under(pkg, "test", "examples") {
		return 7, true
	}
	rest, ok := strings.CutPrefix(pkg, "internal/")
	if !ok {
		return 0, false
	}
	first, _, _ := strings.Cut(rest, "/")
	for i, names := range layers {
		if slices.Contains(names, first) {
			return i, true
		}
	}
	return 0, false
}

func TestImportsRunDownwards(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		from, ok := layerOf(f.pkg)
		if !ok {
			t.Errorf("%s: package %s has no layer: add it to layers", f.path, f.pkg)
			continue
		}
		for _, path := range f.imports() {
			pkg, ours := strings.CutPrefix(path, module+"/")
			if !ours {
				continue
			}
			to, _ := layerOf(pkg)
			// A test may start real servers and clusters through the packages below test/.
			if to > from && !(f.test && under(pkg, "test")) {
				t.Errorf("%s imports %s of a higher layer (%d > %d)", f.path, pkg, to, from)
			}
			for _, r := range roles {
				if under(pkg, r) && under(f.pkg, roles...) && !under(f.pkg, r) {
					t.Errorf("%s: a role imports another role, %s", f.path, pkg)
				}
			}
		}
	}
}

func TestPurePackages(t *testing.T) {
	forbiddenImports := []string{
		"crypto/rand", "io/ioutil", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/exec", "os/signal",
		"sync/atomic", "syscall", "golang.org/x/sync/errgroup", "golang.org/x/sys/unix",
	}
	// Values that are made once or given back are no state that a caller could see.
	allowedSync := []string{"Once", "OnceFunc", "OnceValue", "OnceValues", "Pool"}
	forbiddenTime := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local"}
	tr := load(t)
	for _, f := range tr.files {
		if f.test || !under(f.pkg, pure...) || under(f.pkg, impureBelow...) {
			continue
		}
		for _, path := range f.imports() {
			if slices.Contains(forbiddenImports, path) {
				t.Errorf("%s: a pure package imports %s", f.path, path)
			}
		}
		f.selectors(func(pkg, name string, at token.Pos) {
			switch {
			case pkg == "time" && slices.Contains(forbiddenTime, name),
				pkg == "sync" && !slices.Contains(allowedSync, name),
				pkg == "context" && name == "AfterFunc":
				t.Errorf("%s: a pure package uses %s.%s", tr.at(at), pkg, name)
			}
		})
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: a pure package starts a goroutine", tr.at(g.Pos()))
			}
			return true
		})
	}
}

// blankImports may be there; everything else is wired by hand.
var blankImports = map[string]string{
	"embed":                          "makes //go:embed work for a string or byte slice",
	"github.com/go-sql-driver/mysql": "the driver knows no other way to be found by database/sql; tests only",
}

func TestNoHiddenWiring(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		if f.generated {
			continue
		}
		for _, s := range f.ast.Imports {
			path := strings.Trim(s.Path.Value, `"`)
			if s.Name != nil && s.Name.Name == "_" && blankImports[path] == "" {
				t.Errorf("%s: blank import of %s", tr.at(s.Pos()), path)
			}
			if s.Name != nil && s.Name.Name == "." {
				t.Errorf("%s: dot import of %s", tr.at(s.Pos()), path)
			}
			if path == "github.com/go-sql-driver/mysql" && !f.test && !under(f.pkg, "test", "examples") {
				t.Errorf("%s: go-sql-driver is the foreign client of the tests; the product speaks through internal/mysql/client", f.path)
			}
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init function", tr.at(fn.Pos()))
			}
		}
	}
}

// sleepers may call time.Sleep, each for its reason.
var sleepers = map[string]string{}

func TestNoSleep(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		f.selectors(func(pkg, name string, at token.Pos) {
			if pkg == "time" && name == "Sleep" && sleepers[f.path] == "" {
				t.Errorf("%s: time.Sleep: wait for the condition, for a timer with ctx, or use testing/synctest", tr.at(at))
			}
		})
	}
}

func TestNoMutableGlobals(t *testing.T) {
	tr := load(t)
	for pkg, files := range tr.packages() {
		if !under(pkg, "internal", "cmd") {
			continue
		}
		globals := map[string]bool{}
		for _, f := range files {
			for _, d := range f.ast.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
					for _, s := range g.Specs {
						for _, n := range s.(*ast.ValueSpec).Names {
							globals[n.Name] = true
						}
					}
				}
			}
		}
		for _, f := range files {
			check := func(e ast.Expr) {
				id, ok := e.(*ast.Ident)
				if !ok || id.Name == "_" || !globals[id.Name] {
					return
				}
				// A local variable of the same name was declared inside a function; a global is unresolved or at file level.
				if id.Obj == nil || f.ast.Scope.Lookup(id.Name) == id.Obj {
					t.Errorf("%s: assigns to the package variable %s", tr.at(id.Pos()), id.Name)
				}
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					if n.Tok != token.DEFINE {
						for _, e := range n.Lhs {
							check(e)
						}
					}
				case *ast.IncDecStmt:
					check(n.X)
				}
				return true
			})
		}
	}
}

func TestDocumented(t *testing.T) {
	tr := load(t)
	for pkg, files := range tr.packages() {
		if !slices.ContainsFunc(files, func(f file) bool { return f.ast.Doc != nil && len(f.ast.Doc.Text()) > 40 }) {
			t.Errorf("%s: no package comment: say what it is for, then what it refuses to do", pkg)
		}
		if files[0].ast.Name.Name == "main" {
			continue
		}
		for _, f := range files {
			for _, d := range f.ast.Decls {
				undocumented(d, func(name string, at token.Pos) { t.Errorf("%s: exported %s has no comment", tr.at(at), name) })
			}
		}
	}
}

// undocumented calls report for each exported name of a declaration without a comment of its own or of its group.
func undocumented(d ast.Decl, report func(name string, at token.Pos)) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !wellKnown[d.Name.Name] {
			report(d.Name.Name, d.Pos())
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
					report(s.Name.Name, s.Pos())
				}
			case *ast.ValueSpec:
				if s.Doc == nil && s.Comment == nil && d.Doc == nil && slices.ContainsFunc(s.Names, (*ast.Ident).IsExported) && len(d.Specs) == 1 {
					report(s.Names[0].Name, s.Pos())
				}
			}
		}
	}
}

// wellKnown methods mean what the standard library says, so that a comment could only repeat it.
var wellKnown = map[string]bool{"String": true, "Error": true, "Unwrap": true, "Is": true, "Close": true, "Len": true, "Less": true, "Swap": true,
	"Write": true, "Read": true, "ServeHTTP": true, "MarshalJSON": true, "UnmarshalJSON": true}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

func TestSizes(t *testing.T) {
	tr := load(t)
	for _, f := range tr.files {
		if f.generated {
			continue
		}
		if f.lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d: cut it", f.path, f.lines, maxFileLines)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || f.test {
				continue
			}
			n := tr.fset.Position(fn.End()).Line - tr.fset.Position(fn.Pos()).Line
			if n > maxFuncLines && longFuncs[f.pkg+"."+fn.Name.Name] == "" {
				t.Errorf("%s: %s has %d lines, more than %d", tr.at(fn.Pos()), fn.Name.Name, n, maxFuncLines)
			}
		}
	}
}

func TestPackageSizes(t *testing.T) {
	sizes := map[string]int{}
	for pkg, files := range load(t).packages() {
		for _, f := range files {
			sizes[pkg] += f.lines
		}
	}
	for pkg, n := range sizes {
		if n > maxPackageLines && largePackages[pkg] == "" {
			t.Errorf("%s has %d lines, more than %d: cut it along its seams", pkg, n, maxPackageLines)
		}
	}
	for pkg := range largePackages {
		if sizes[pkg] == 0 {
			t.Errorf("%s has an exception, but there is no such package", pkg)
		}
	}
}

// ARCHITECTURE.md is where a reader looks for a package, and the gateway has the most of them.
func TestArchitectureNamesPackages(t *testing.T) {
	tr := load(t)
	doc, err := os.ReadFile(filepath.Join(tr.root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range tr.packages() {
		if name, ok := strings.CutPrefix(pkg, "internal/gateway/"); ok && !strings.Contains(string(doc), "`"+name+"`") {
			t.Errorf("ARCHITECTURE.md does not name %s", pkg)
		}
	}
}

func TestPackageNames(t *testing.T) {
	refused := []string{"base", "common", "helper", "helpers", "lib", "misc", "shared", "types", "util", "utils"}
	tr := load(t)
	for pkg := range tr.packages() {
		if slices.Contains(refused, filepath.Base(pkg)) {
			t.Errorf("%s: a package is named for what it is about", pkg)
		}
	}
}

func TestUnfinishedMarks(t *testing.T) {
	marks := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	tr := load(t)
	for _, f := range tr.files {
		if f.generated {
			continue
		}
		for _, g := range f.ast.Comments {
			if m := marks.FindString(g.Text()); m != "" {
				t.Errorf("%s: %s in a comment: finish it or open an issue", tr.at(g.Pos()), m)
			}
		}
	}
}

func TestDependenciesHaveReasons(t *testing.T) {
	root := load(t).root
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join(root, "docs/dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	direct := directDependencies(load(t))
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+`).FindAllStringSubmatch(string(mod), -1) {
		path := m[1]
		used := slices.ContainsFunc(direct, func(p string) bool { return p == path || strings.HasPrefix(p, path+"/") })
		named := strings.Contains(string(doc), "`"+path+"`")
		if used && !named {
			t.Errorf("docs/dependencies.md does not say why %s is needed", path)
		}
		if !used && named {
			t.Errorf("docs/dependencies.md names %s, which nothing imports", path)
		}
	}
}

// directDependencies are the foreign packages that the project's own files import.
func directDependencies(tr *tree) []string {
	seen := map[string]bool{}
	for _, f := range tr.files {
		for _, p := range f.imports() {
			if first, _, _ := strings.Cut(p, "/"); strings.Contains(first, ".") && !strings.HasPrefix(p, module) {
				seen[p] = true
			}
		}
	}
	var out []string
	for p := range seen {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

func TestErrorCodesDocumented(t *testing.T) {
	tr := load(t)
	doc, err := os.ReadFile(filepath.Join(tr.root, "docs/errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`PLR[0-9]{4}\b`)
	for _, f := range tr.files {
		if f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				for _, c := range code.FindAllString(lit.Value, -1) {
					if !strings.Contains(string(doc), c) {
						t.Errorf("%s: %s is not in docs/errors.md", tr.at(lit.Pos()), c)
					}
				}
			}
			return true
		})
	}
}

// Processes are ended by their own id: a name may belong to somebody else's.
func TestNoKillByName(t *testing.T) {
	byName := regexp.MustCompile(`\b(p` + `kill|kill` + `all|skill)\b`)
	root := load(t).root
	var scripts []string
	for _, pattern := range []string{"Makefile", ".ci/*", "scripts/*", "test/*/*.sh", "examples/*/*.sh"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, found...)
	}
	if len(scripts) < 4 {
		t.Fatalf("only %d scripts found", len(scripts))
	}
	for _, s := range scripts {
		src, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		if m := byName.FindString(string(src)); m != "" {
			t.Errorf("%s uses %s", s, m)
		}
	}
	tr := load(t)
	for _, f := range tr.files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && byName.MatchString(lit.Value) && !under(f.pkg, "test/arch") {
				t.Errorf("%s uses %s", tr.at(lit.Pos()), fmt.Sprintf("%.60s", lit.Value))
			}
			return true
		})
	}
}
