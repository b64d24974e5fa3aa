package resolve

import (
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	times := Times{Grace: 2 * time.Second, GiveUp: 30 * time.Second}
	for _, c := range []struct {
		name  string
		age   time.Duration
		alive bool
		want  action
	}{
		{"new, being committed", 0, true, actLeave},
		{"just within grace", 2*time.Second - 1, true, actLeave},
		{"slow, or its connection serves another", 2 * time.Second, true, actFinish},
		{"too slow", 30 * time.Second, true, actEnd},
		{"the gateway died at once", 0, false, actFinish},
		{"nobody for long", time.Hour, false, actFinish},
	} {
		if got := judge(c.age, c.alive, times); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestPauseAfter(t *testing.T) {
	last := time.Duration(0)
	for n := 1; n < 100; n++ {
		p := pauseAfter(n)
		if p < last || p < retryFirst || p > retryMost {
			t.Fatalf("after %d attempts %v, before it %v", n, p, last)
		}
		last = p
	}
	if last != retryMost {
		t.Errorf("it ends at %v, want %v", last, retryMost)
	}
}

func TestForgettable(t *testing.T) {
	clean := map[string]map[string]bool{"k/b": {"x": true}, "k/c": {"x": true, "y": true}}
	gone := map[string]bool{"k/d": true}
	for _, c := range []struct {
		name, txn    string
		participants []string
		want         bool
	}{
		{"all have said no", "x", []string{"k/a", "k/b", "k/c"}, true},
		{"one still has it", "y", []string{"k/a", "k/b", "k/c"}, false},
		{"one was not reached", "x", []string{"k/a", "k/b", "k/e"}, false},
		{"one does not exist", "x", []string{"k/a", "k/b", "k/d"}, true},
		{"the coordinator is not asked", "x", []string{"k/e", "k/b"}, true},
		{"no participants", "x", nil, true},
	} {
		if got := forgettable(c.txn, c.participants, clean, gone); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestParseHead(t *testing.T) {
	now := time.Now()
	h, err := parseHead([]string{"t1", "k/80-", "k/-80", "3", "17", "18", "1500000"}, now)
	want := head{txnID: "t1", participant: "k/80-", coordinator: "k/-80", term: 3, connID: 17, coordConnID: 18, age: 1500 * time.Millisecond, seen: now}
	if err != nil || h != want {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := parseHead([]string{"t1", "p", "c", "0", "0", "0", "-5"}, now); err != nil || h.age != 0 {
		t.Errorf("a record from the future has age %v, %v", h.age, err)
	}
	for _, row := range [][]string{nil, {"t1"}, {"t1", "p", "c", "x", "0", "0", "0"}, {"t1", "p", "c", "0", "0", "0", ""}} {
		if _, err := parseHead(row, now); err == nil {
			t.Errorf("%q is accepted", row)
		}
	}
}
