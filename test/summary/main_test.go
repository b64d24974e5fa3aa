package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	in := strings.Join([]string{
		`{"Action":"run","Package":"p","Test":"TestA"}`,
		`{"Action":"output","Package":"p","Test":"TestA/sub","Output":"a says\n"}`,
		`{"Action":"fail","Package":"p","Test":"TestA/sub","Elapsed":1}`,
		`{"Action":"fail","Package":"p","Test":"TestA","Elapsed":1}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"b is silent\n"}`,
		`{"Action":"pass","Package":"p","Test":"TestB"}`,
		`{"Action":"skip","Package":"p","Test":"TestC"}`,
		`{"Action":"fail","Package":"p","Elapsed":2}`,
		`{"Action":"build-output","ImportPath":"q","Output":"q.go:1: no\n"}`,
		`{"Action":"fail","Package":"q","FailedBuild":"q"}`,
		`{"Action":"pass","Package":"r"}`,
		`not JSON`,
	}, "\n") + "\n"
	var c counts
	var out strings.Builder
	if err := c.read(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	want := counts{passed: 1, failed: 2, skipped: 1, slowest: []timed{{"p TestA", time.Second}}}
	if d := cmp.Diff(want, c, cmp.AllowUnexported(counts{}, timed{})); d != "" {
		t.Error(d)
	}
	for _, want := range []string{"a says", "q.go:1: no", "FAIL  q", "ok    r", "not JSON"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "b is silent") {
		t.Error("the output of a passed test is shown")
	}
}

func TestGroups(t *testing.T) {
	got := groups([]string{"-race", "./a", "--", "--", "./b", "--"})
	if d := cmp.Diff([][]string{{"-race", "./a"}, {"./b"}}, got); d != "" {
		t.Error(d)
	}
}

func TestSlowest(t *testing.T) {
	var c counts
	for i := range 3 * shownSlowest {
		c.time(fmt.Sprint("t", i), time.Duration(i*7%30)*time.Second)
	}
	var out strings.Builder
	c.printSlowest(&out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != shownSlowest || lines[0] != "slow  t17 29s" || lines[shownSlowest-1] != "slow  t20 20s" {
		t.Errorf("the slowest are\n%s", out.String())
	}
}
