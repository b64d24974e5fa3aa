package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const sysbenchReport = `SQL statistics:
    queries performed:
        read:                            51694
        write:                           0
        other:                           0
        total:                           51694
    transactions:                        51694  (17231.23 per sec.)
    queries:                             51694  (17231.23 per sec.)
    ignored errors:                      3      (1.00 per sec.)
    reconnects:                          0      (0.00 per sec.)

Latency (ms):
         min:                                    0.09
         95th percentile:                        0.87
`

func TestParseSysbench(t *testing.T) {
	s, err := parseSysbench(sysbenchReport)
	if err != nil {
		t.Fatal(err)
	}
	if s.Queries != 51694 || s.QPS != 17231.23 || s.P95 != 0.87 || s.Ignored != 3 {
		t.Errorf("got %+v", s)
	}
	for _, bad := range []string{"", "FATAL: no", strings.Replace(sysbenchReport, "51694  (", "x  (", 2), strings.Replace(sysbenchReport, "95th", "99th", 1)} {
		if s, err := parseSysbench(bad); err == nil {
			t.Errorf("parseSysbench(%q) = %+v, want an error", bad, s)
		}
	}
}

func TestParseStat(t *testing.T) {
	const line = "7262 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1"
	got, err := parseStat(line)
	if err != nil || got != 2*time.Second {
		t.Errorf("parseStat = %v, %v; want 2s", got, err)
	}
	for _, bad := range []string{"", "1 (x) S 1 2", "1 (x) S 1 2 3 4 5 6 7 8 9 10 a b 0"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) gave no error", bad)
		}
	}
}

// TestOwnProcess reads this process: the kernel's files have the form that is expected.
func TestOwnProcess(t *testing.T) {
	if _, err := cpuTime(os.Getpid()); err != nil {
		t.Error(err)
	}
	if mb, err := residentMB(os.Getpid()); err != nil || mb < 1 {
		t.Errorf("resident memory %v MiB, %v", mb, err)
	}
}

func TestParseMachine(t *testing.T) {
	busy, all, err := parseMachine("cpu  100 200 300 4000 500 60 7 8 99 99\ncpu0 1 1 1 1\n")
	if err != nil || busy != 6750*time.Millisecond || all != 51750*time.Millisecond {
		t.Errorf("parseMachine = %v, %v, %v", busy, all, err)
	}
	for _, bad := range []string{"", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3 4 5 6 7 x"} {
		if _, _, err := parseMachine(bad); err == nil {
			t.Errorf("parseMachine(%q) gave no error", bad)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}} {
		if got := median(c.in); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

// TestSummary: a round in which everything was slow does not spoil a ratio, and promises are judged by ratios to Router.
func TestSummary(t *testing.T) {
	cfg, err := parseFlags([]string{"-quick", "-targets", "direct,router,pelorus,pelorus-2"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r := &report{Config: cfg}
	for round, speed := range []float64{1, 0.1, 1} {
		for target, qps := range map[string]float64{targetDirect: 2000, targetRouter: 1000, targetPlain: 1200, targetShards: 900} {
			r.Samples = append(r.Samples, sample{Round: round, Target: target, Workload: "point_select", Mode: modeText, Threads: 8, QPS: qps * speed, Queries: 1})
		}
	}
	r.summarise()
	if len(r.Rows) != 4 {
		t.Fatalf("%d rows, want one for each target: %+v", len(r.Rows), r.Rows)
	}
	for _, rw := range r.Rows {
		if rw.Target == targetPlain && (rw.ToRouter != 1.2 || rw.ToDirect != 0.6 || rw.Median != 1200 || rw.Min != 120) {
			t.Errorf("row %+v", rw)
		}
	}
	if len(r.Promises) != 2 || !r.Promises[0].Held || r.Promises[1].Held {
		t.Errorf("promises %+v, want the first held and the second, for two shards, not", r.Promises)
	}
	var out bytes.Buffer
	r.print(&out)
	for _, want := range []string{"1.20, promised 1.15: held", "0.90, promised 0.95: NOT HELD"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	path, err := r.save(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	var back report
	if err != nil || json.Unmarshal(b, &back) != nil || len(back.Samples) != len(r.Samples) {
		t.Errorf("the JSON file does not hold the samples: %v", err)
	}
}

func TestFlags(t *testing.T) {
	cfg, err := parseFlags([]string{"-flavor", "mariadb", "-threads", "1,4"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(cfg.Targets, targetRouter) || len(cfg.Threads) != 2 || cfg.Threads[1] != 4 {
		t.Errorf("config %+v", cfg)
	}
	if cfg, err = parseFlags([]string{"-quick", "-rounds", "4"}, io.Discard); err != nil || cfg.Rounds != 4 || cfg.Seconds != 1 || len(cfg.Modes) != 1 {
		t.Errorf("quick with rounds: %+v, %v", cfg, err)
	}
	for _, bad := range []string{"-flavor=oracle", "-threads=0", "-threads=x", "-workloads=tpcc", "-modes=binary", "-seconds=0", "-rounds=-1", "-targets=a", "extra"} {
		if _, err := parseFlags([]string{bad}, io.Discard); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
