package parse

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the trees that the parser makes into the corpus")

// The modes of the corpus: statements under testdata/both belong to each.
var (
	modeMySQL   = Mode{Version: 90704}
	modeMariaDB = Mode{MariaDB: true, Version: 101119}
)

// entry is a statement of the corpus and the dump of its tree.
type entry struct{ src, want string }

func readCorpus(t testing.TB, file string) []entry {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []entry
	for _, e := range strings.Split(string(text), "\n\n") {
		if src, want, ok := strings.Cut(e, "\n----"); ok {
			list = append(list, entry{strings.TrimLeft(src, "\n"), strings.TrimSpace(want)})
		}
	}
	return list
}

// corpus returns the statements of one flavor.
func corpus(t testing.TB, mariaDB bool) []entry {
	t.Helper()
	dirs := []string{"both", "mysql"}
	if mariaDB {
		dirs[1] = "mariadb"
	}
	var list []entry
	for _, d := range dirs {
		files, err := filepath.Glob(filepath.Join("testdata", d, "*.txt"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no corpus in %s: %v", d, err)
		}
		for _, f := range files {
			list = append(list, readCorpus(t, f)...)
		}
	}
	return list
}

func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, file := range files {
		mode := modeMySQL
		if filepath.Base(filepath.Dir(file)) == "mariadb" {
			mode = modeMariaDB
		}
		var out strings.Builder
		for _, e := range readCorpus(t, file) {
			total++
			got := ""
			if stmt, err := Parse([]byte(e.src), mode); err != nil {
				t.Errorf("%s: %s\n%v", file, e.src, err)
			} else {
				got = dump([]byte(e.src), stmt)
			}
			if got != e.want && !*rewrite {
				t.Errorf("%s: %s\n got %s\nwant %s", file, e.src, got, e.want)
			}
			fmt.Fprintf(&out, "%s\n----\n%s\n\n", e.src, got)
		}
		if *rewrite {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if total < 400 {
		t.Errorf("only %d statements", total)
	}
}

func TestCorpusInvariants(t *testing.T) {
	for _, mode := range []Mode{modeMySQL, modeMariaDB} {
		for _, e := range corpus(t, mode.MariaDB) {
			stmt, err := Parse([]byte(e.src), mode)
			if err != nil {
				t.Errorf("%s: %v", e.src, err)
				continue
			}
			checkTree(t, []byte(e.src), mode, stmt)
			checkQueries(t, []byte(e.src), mode, stmt)
			first, rest, err := Split([]byte(e.src+"; select 1"), mode)
			if err != nil {
				t.Errorf("split %s: %v", e.src, err)
			} else if got := e.src + "; select 1"; !strings.HasSuffix(e.src, "-- end") && !strings.HasSuffix(e.src, "# comment") &&
				!strings.HasSuffix(e.src, " ; ") && !strings.HasSuffix(e.src, ";") && got[rest:] != "select 1" {
				t.Errorf("split %s: %q, %q", e.src, first.Text([]byte(got)), got[rest:])
			}
		}
	}
}

// children returns the nodes directly inside n.
func children(n Node) []Node {
	var list []Node
	Walk(n, func(c Node) bool {
		if c == n {
			return true
		}
		list = append(list, c)
		return false
	})
	return list
}

// checkTree checks that spans nest, that siblings come in the order of the source, and that slots agree.
func checkTree(t *testing.T, src []byte, mode Mode, n Node) {
	t.Helper()
	_, slots, ok := Fingerprint(src, mode, nil)
	if !ok && len(slots) < maxSlots {
		t.Fatalf("%q: a tree, but no fingerprint", src)
	}
	checkSpans(t, src, reflect.ValueOf(n), Span{0, len(src)})
	nodes := 0
	var visit func(n Node)
	visit = func(n Node) {
		nodes++
		outer := n.Range()
		at := outer.Start
		for _, c := range children(n) {
			s := c.Range()
			if s.Start < at || s.End < s.Start || s.End > outer.End {
				t.Fatalf("%q: %T %v in %T %v after %d", src, c, s, n, outer, at)
			}
			at = s.End
			visit(c)
		}
		slot, span := -1, Span{}
		switch n := n.(type) {
		case *Literal:
			slot, span = n.Slot, n.Span
		case *Param:
			slot, span = n.Slot, n.Span
		}
		if slot >= 0 && slot < len(slots) {
			if s := slots[slot]; int(s.Start) < span.Start || int(s.End) > span.End || s.Kind == SlotComment {
				t.Fatalf("%q: literal %v has slot %v", src, span, s)
			}
		} else if slot >= 0 && ok {
			t.Fatalf("%q: literal %v has slot %d of %d", src, span, slot, len(slots))
		}
	}
	visit(n)
}

// checkSpans checks every Span in the tree, also of the parts that Walk does not visit.
func checkSpans(t *testing.T, src []byte, v reflect.Value, outer Span) {
	t.Helper()
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			checkSpans(t, src, v.Elem(), outer)
		}
	case reflect.Slice:
		for i := range v.Len() {
			checkSpans(t, src, v.Index(i), outer)
		}
	case reflect.Struct:
		if s, ok := v.Interface().(Span); ok {
			if s != (Span{}) && (s.Start < outer.Start || s.End > outer.End || s.End < s.Start) {
				t.Fatalf("%q: span %v in %v", src, s, outer)
			}
			return
		}
		if f := v.FieldByName("Span"); f.IsValid() && f.Interface() != any(Span{}) {
			checkSpans(t, src, f, outer)
			outer = f.Interface().(Span)
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Span" {
				checkSpans(t, src, v.Field(i), outer)
			}
		}
	}
}

// checkQueries parses the text of each query again.
func checkQueries(t *testing.T, src []byte, mode Mode, n Node) {
	t.Helper()
	Walk(n, func(n Node) bool {
		q, ok := n.(Query)
		if !ok {
			return true
		}
		text := q.Range().Text(src)
		if strings.Contains(string(text), "/*!") || strings.Contains(string(text), "/*M!") {
			return true // the span may end before the comment does
		}
		again, err := Parse(text, mode)
		if err != nil {
			t.Errorf("%s: query %q: %v", src, text, err)
			return true
		}
		if reflect.TypeOf(again) != reflect.TypeOf(n) {
			t.Errorf("%s: query %q becomes %T, was %T", src, text, again, n)
		}
		return true
	})
}
