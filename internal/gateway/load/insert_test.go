package load

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestInsert(t *testing.T) {
	reader := func(file string) *Reader {
		r, err := NewReader(strings.NewReader(file), Format{FieldsTerminated: ",", FieldsEscaped: `\`, LinesTerminated: "\n"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	target := Target{Table: "`t`", Columns: []string{"`a`", "", "`b`"}, Missing: []string{"", "", "''"}, Charset: "utf8mb4", Skip: 1}
	var got []string
	keep := func(sql []byte) error { got = append(got, string(sql)); return nil }
	n, err := Insert(reader("head\n1,x,2\n\\N,x,3\n4\n"), target, keep)
	if want := []string{"INSERT IGNORE INTO `t` (`a`, `b`) VALUES ('1','2'),(NULL,'3'),('4','')"}; err != nil || n != 3 || !slices.Equal(got, want) {
		t.Errorf("%d rows, %v, %q, want %q", n, err, got, want)
	}
	got = nil
	target.Skip, target.Replace = 0, true
	n, err = Insert(reader(strings.Repeat("1,x,2\n", 2*batchRows+1)), target, keep)
	if err != nil || n != 2*batchRows+1 || len(got) != 3 || got[2] != "REPLACE INTO `t` (`a`, `b`) VALUES ('1','2')" {
		t.Errorf("%d rows in %d statements: %v", n, len(got), err)
	}
	for _, file := range []string{"", "only the head"} {
		got, target.Skip = nil, 5
		if n, err := Insert(reader(file), target, keep); n != 0 || err != nil || len(got) > 0 {
			t.Errorf("%q: %d rows, %v, %q", file, n, err, got)
		}
	}
	target.Skip = 0
	refused := errors.New("refused")
	if _, err := Insert(reader("1,x,2\n"), target, func([]byte) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("an error of the insert: %v", err)
	}
}
