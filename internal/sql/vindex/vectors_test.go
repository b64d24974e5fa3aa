package vindex

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func testOptions() Options {
	return Options{ReadFile: func(path string) ([]byte, error) { return os.ReadFile(filepath.Join("testdata", path)) }}
}

// TestVectors: the answers to the vector file's questions are the file itself, byte for byte.
func TestVectors(t *testing.T) {
	want, err := os.ReadFile("testdata/vindex-vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var questions bytes.Buffer
	for line := range bytes.Lines(want) {
		fields, err := splitObject(line)
		if err != nil {
			t.Fatal(err)
		}
		fields = slices.DeleteFunc(fields, func(f field) bool { return f.name == "keyspace_id" || f.name == "key_range" })
		questions.Write(encodeObject(fields))
		questions.WriteByte('\n')
	}
	var got bytes.Buffer
	if err := MapJSONLines(&questions, &got, testOptions()); err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	if len(gotLines) != len(wantLines) {
		t.Fatalf("%d lines of answers, want %d", len(gotLines), len(wantLines))
	}
	if len(wantLines) < 900 {
		t.Fatalf("the vector file has only %d lines", len(wantLines))
	}
	for i := range wantLines {
		if gotLines[i] != wantLines[i] {
			t.Errorf("line %d:\n got %s\nwant %s", i+1, gotLines[i], wantLines[i])
		}
	}
}

func TestMapJSONLinesGoesOnAfterErrors(t *testing.T) {
	in := strings.Join([]string{
		`not json`,
		`[1]`,
		`{"type":"nosuch","values":[{"type":"INT64","hex":"31"}]}`,
		`{"type":"hash","params":{"x":"y"},"values":[{"type":"INT64","hex":"31"}]}`,
		`{"type":"hash","values":[{"type":"INT64","hex":"3"}]}`,
		`{"type":"hash","values":[{"type":"NOSUCH","hex":"31"}]}`,
		`{"type":"hash","values":[]}`,
		`{"type":"lookup","params":{"table":"t","from":"a","to":"b"},"values":[{"type":"INT64","hex":"31"}]}`,
		`{"type":"unicode_loose_md5","values":[{"type":"VARCHAR","hex":"ff"}]}`,
		``,
		`{"note":1.50,"type":"hash","error":"old","values":[{"type":"INT64","hex":"31"}],"keyspace_id":"old"}`,
	}, "\n")
	var out bytes.Buffer
	if err := MapJSONLines(strings.NewReader(in), &out, testOptions()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 10 {
		t.Fatalf("%d lines, want 10:\n%s", len(lines), out.String())
	}
	for i, line := range lines[:9] {
		var answer struct{ Error, Keyspace_ID string }
		if err := json.Unmarshal([]byte(line), &answer); err != nil || answer.Error == "" || answer.Keyspace_ID != "" {
			t.Errorf("line %d is not an error: %s (%v)", i+1, line, err)
		}
	}
	want := `{"note":1.50,"type":"hash","values":[{"type":"INT64","hex":"31"}],"keyspace_id":"166b40b44aba4bd6"}`
	if lines[9] != want {
		t.Errorf("last line is %s, want %s", lines[9], want)
	}
}
