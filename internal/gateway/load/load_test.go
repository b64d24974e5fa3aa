package load

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var (
	tabs = Format{FieldsTerminated: "\t", FieldsEscaped: "\\", LinesTerminated: "\n"}
	csv  = Format{FieldsTerminated: ",", FieldsEnclosed: `"`, FieldsEscaped: "\\", LinesTerminated: "\n"}
)

// read returns a file's rows, a line per row: fields quoted, NULL bare.
func read(t *testing.T, r *Reader) string {
	t.Helper()
	var b strings.Builder
	for {
		fields, err := r.Next()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range fields {
			if i > 0 {
				b.WriteByte(' ')
			}
			if f.Null {
				b.WriteString("NULL")
			} else {
				fmt.Fprintf(&b, "%q", f.Data)
			}
		}
		b.WriteByte('\n')
	}
}

func TestReader(t *testing.T) {
	with := func(f Format, change func(*Format)) Format {
		change(&f)
		return f
	}
	for _, c := range []struct {
		name string
		f    Format
		in   string
		want string
	}{
		{"empty file", tabs, "", ""},
		{"one row without end", tabs, "a\tb", "\"a\" \"b\"\n"},
		{"rows", tabs, "a\tb\nc\td\n", "\"a\" \"b\"\n\"c\" \"d\"\n"},
		{"empty line is one empty field", tabs, "a\n\nb\n", "\"a\"\n\"\"\n\"b\"\n"},
		{"empty fields", tabs, "\t\t\n", "\"\" \"\" \"\"\n"},
		{"null", tabs, "\\N\tN\t\\Nx\tx\\N\n", "NULL \"N\" \"Nx\" \"xN\"\n"},
		{"escapes", tabs, "\\t\\n\\0\\b\\r\\Z\\\\\\q\n", "\"\\t\\n\\x00\\b\\r\\x1a\\\\q\"\n"},
		{"escaped terminators", tabs, "a\\\tb\\\nc\td\n", "\"a\\tb\\nc\" \"d\"\n"},
		{"escape at the end", tabs, "a\\", "\"a\\\\\"\n"},
		{"carriage returns stay", tabs, "a\r\n", "\"a\\r\"\n"},
		{"crlf", with(tabs, func(f *Format) { f.LinesTerminated = "\r\n" }), "a\tb\r\nc\rd\ne\r\n", "\"a\" \"b\"\n\"c\\rd\\ne\"\n"},
		{"enclosed", csv, "\"a,b\",\"c\nd\",e\n", "\"a,b\" \"c\\nd\" \"e\"\n"},
		{"doubled quotes", csv, `"a""b","""",""` + "\n", "\"a\\\"b\" \"\\\"\" \"\"\n"},
		{"quote inside", csv, `"a"b",c` + "\n", "\"a\\\"b\" \"c\"\n"},
		{"quote in the middle of a bare field", csv, `a"b,c` + "\n", "\"a\\\"b\" \"c\"\n"},
		{"quoted NULL is text", csv, `NULL,"NULL",\N,"\N"` + "\n", "NULL \"NULL\" NULL NULL\n"},
		{"NULL is text without enclosing", tabs, "NULL\n", "\"NULL\"\n"},
		{"quote at the end of the file", csv, `"a"`, "\"a\"\n"},
		{"quote that never ends", csv, "\"a,b\nc", "\"a,b\\nc\"\n"},
		{"escaped by the quote", with(csv, func(f *Format) { f.FieldsEscaped = `"` }), `"a""b",c"d` + "\n", "\"a\\\"b\" \"c\\\"d\"\n"},
		{"no escape", with(tabs, func(f *Format) { f.FieldsEscaped = "" }), "a\\tb\t\\N\n", "\"a\\\\tb\" \"\\\\N\"\n"},
		{"long terminators", with(csv, func(f *Format) { f.FieldsTerminated, f.LinesTerminated = "||", "<eol>" }), "a|b||c<eol>d<e<eol>", "\"a|b\" \"c\"\n\"d<e\"\n"},
		{"starting by", with(csv, func(f *Format) { f.LinesStarting = "xxx" }), "xxx\"abc\",1\nsomething xxx\"def\",2\n\"ghi\",3\n", "\"abc\" \"1\"\n\"def\" \"2\"\n"},
		{"utf-8", tabs, "é\t😀\n", "\"é\" \"😀\"\n"},
		{"binary", tabs, "\xff\xfe\t\x00\n", "\"\\xff\\xfe\" \"\\x00\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
				r, err := NewReader(in, c.f)
				if err != nil {
					t.Fatal(err)
				}
				if got := read(t, r); got != c.want {
					t.Errorf("got\n%swant\n%s", got, c.want)
				}
			}
		})
	}
}

func TestSkipLine(t *testing.T) {
	r, err := NewReader(strings.NewReader("\"head\nline\",\\\nx\na,b\n"), csv)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.SkipLine(); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, r); got != "\"a\" \"b\"\n" {
		t.Errorf("after two lines: %s", got)
	}
	if err := r.SkipLine(); !errors.Is(err, io.EOF) {
		t.Errorf("past the end: %v", err)
	}
}

func TestErrors(t *testing.T) {
	if _, err := NewReader(strings.NewReader(""), Format{LinesTerminated: "\n"}); !errors.Is(err, ErrFixedWidth) {
		t.Errorf("fixed width: %v", err)
	}
	broken := errors.New("connection lost")
	r, err := NewReader(io.MultiReader(strings.NewReader("a\tb"), iotest.ErrReader(broken)), tabs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	if r, err = NewReader(zeros{}, tabs); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, ErrRowTooLarge) {
		t.Errorf("a row without end: %v", err)
	}
}

// zeros is a file without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAppendValue(t *testing.T) {
	for _, c := range []struct{ in, charset, want string }{
		{"", "utf8mb4", "''"},
		{"12", "latin1", "'12'"},
		{"it's", "utf8mb4", "'it''s'"},
		{"a\nb\x00", "utf8mb4", "'a\nb\x00'"},
		{`a\b`, "utf8mb4", "_utf8mb4 x'615c62'"},
		{"é", "utf8mb4", "_utf8mb4 x'c3a9'"},
		{"\xe9", "latin1", "_latin1 x'e9'"},
		{"\xff", "binary", "_binary x'ff'"},
	} {
		if got := string(AppendValue(nil, []byte(c.in), c.charset)); got != c.want {
			t.Errorf("%q in %s: %s, want %s", c.in, c.charset, got, c.want)
		}
	}
}

// FuzzReader checks that a reader ends, whatever the file, and that its answers do not depend on how the bytes arrive.
func FuzzReader(f *testing.F) {
	f.Add("a,b\n", ",", `"`, "\\", "", "\n")
	f.Add(`"a""b",\N`, ",", `"`, `"`, "x", "\r\n")
	f.Fuzz(func(t *testing.T, in, term, enclosed, escaped, start, line string) {
		format := Format{FieldsTerminated: term, FieldsEnclosed: enclosed, FieldsEscaped: escaped, LinesStarting: start, LinesTerminated: line}
		if len(term)+len(line)+len(start) > 1000 {
			return
		}
		whole, err := NewReader(strings.NewReader(in), format)
		if err != nil {
			return
		}
		pieces, err := NewReader(iotest.OneByteReader(strings.NewReader(in)), format)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; ; n++ {
			a, aerr := whole.Next()
			b, berr := pieces.Next()
			if fmt.Sprint(a, aerr) != fmt.Sprint(b, berr) {
				t.Fatalf("row %d: %v %v in one piece, %v %v in many", n, a, aerr, b, berr)
			}
			if aerr != nil {
				return
			}
			if n > len(in) {
				t.Fatal("more rows than bytes")
			}
		}
	})
}
