package parse

import "testing"

func TestEdits(t *testing.T) {
	const src = "select a from t where id = 5"
	var e Edits
	if !e.Empty() {
		t.Error("not empty")
	}
	e.Replace(Span{14, 15}, "db.t")
	e.Insert(8, ", b")
	e.Insert(8, ", c")
	e.Copy(8, ", ", Span{22, 28}, " as x")
	e.Insert(len(src), " limit 1")
	want := "select a, b, c, id = 5 as x from db.t where id = 5 limit 1"
	if got := string(e.Apply(nil, []byte(src))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEditsOuterWins(t *testing.T) {
	var e Edits
	e.Replace(Span{2, 3}, "inner")
	e.Replace(Span{1, 4}, "X")
	e.Insert(1, "<")
	e.Insert(4, ">")
	if got := string(e.Apply(nil, []byte("abcdef"))); got != "a<X>ef" {
		t.Errorf("got %s", got)
	}
}
