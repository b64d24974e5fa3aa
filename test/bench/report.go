package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is the document that a run leaves.
type report struct {
	Started       time.Time `json:"started"`
	Machine       string    `json:"machine"`
	Server        string    `json:"server"`
	RouterVersion string    `json:"router,omitempty"`
	Config        *config   `json:"config"`
	Rows          []row     `json:"summary"`
	Promises      []verdict `json:"promises,omitempty"`
	RSS           []memory  `json:"memory"`
	Samples       []sample  `json:"samples"`
}

// row sums up one target under one load. The ratios are medians of the rounds' ratios: what disturbed a round is in both
// of its figures.
type row struct {
	Workload  string  `json:"workload"`
	Mode      string  `json:"mode"`
	Threads   int     `json:"threads"`
	Target    string  `json:"target"`
	Median    float64 `json:"queries_per_second_median"`
	Min       float64 `json:"queries_per_second_min"`
	Max       float64 `json:"queries_per_second_max"`
	ToDirect  float64 `json:"to_direct,omitempty"`
	ToRouter  float64 `json:"to_router,omitempty"`
	P95       float64 `json:"p95_milliseconds"`
	ProxyCPU  float64 `json:"proxy_cpu_seconds_per_million"`
	ServerCPU float64 `json:"server_cpu_seconds_per_million"`
}

// promise is a ratio to Router that text point selects are to reach.
type promise struct {
	target  string
	threads int
	ratio   float64
}

func promises() []promise {
	return []promise{{targetPlain, 8, 1.15}, {targetPlain, 32, 1.05}, {targetShards, 8, 0.95}, {targetShards, 32, 0.75}}
}

// verdict says what became of a promise.
type verdict struct {
	Target  string  `json:"target"`
	Threads int     `json:"threads"`
	Want    float64 `json:"want"`
	Got     float64 `json:"got"`
	Held    bool    `json:"held"`
}

// summarise makes the rows and verdicts of the samples.
func (r *report) summarise() {
	r.Rows, r.Promises = nil, nil
	for _, load := range r.Config.Workloads {
		for _, mode := range r.Config.Modes {
			for _, threads := range r.Config.Threads {
				for _, t := range r.Config.Targets {
					if rw, ok := r.row(load, mode, threads, t); ok {
						r.Rows = append(r.Rows, rw)
					}
				}
			}
		}
	}
	for _, p := range promises() {
		for _, rw := range r.Rows {
			if rw.Workload == "point_select" && rw.Mode == modeText && rw.Target == p.target && rw.Threads == p.threads && rw.ToRouter > 0 {
				r.Promises = append(r.Promises, verdict{p.target, p.threads, p.ratio, rw.ToRouter, rw.ToRouter >= p.ratio})
			}
		}
	}
}

func (r *report) row(load, mode string, threads int, target string) (row, bool) {
	of := func(name string) []sample {
		var out []sample
		for _, s := range r.Samples {
			if s.Workload == load && s.Mode == mode && s.Threads == threads && s.Target == name {
				out = append(out, s)
			}
		}
		return out
	}
	mine := of(target)
	if len(mine) == 0 {
		return row{}, false
	}
	get := func(f func(*sample) float64) []float64 {
		out := make([]float64, len(mine))
		for i := range mine {
			out[i] = f(&mine[i])
		}
		return out
	}
	qps := get(func(s *sample) float64 { return s.QPS })
	return row{
		Workload: load, Mode: mode, Threads: threads, Target: target,
		Median: median(qps), Min: slices.Min(qps), Max: slices.Max(qps),
		ToDirect: ratio(mine, of(targetDirect)), ToRouter: ratio(mine, of(targetRouter)),
		P95:       median(get(func(s *sample) float64 { return s.P95 })),
		ProxyCPU:  median(get(func(s *sample) float64 { return s.ProxyCPU })),
		ServerCPU: median(get(func(s *sample) float64 { return s.ServerCPU })),
	}, true
}

// ratio is the median of the rounds' ratios, 0 if no round has both.
func ratio(mine, other []sample) float64 {
	var out []float64
	for _, m := range mine {
		for _, o := range other {
			if o.Round == m.Round && o.QPS > 0 {
				out = append(out, m.QPS/o.QPS)
			}
		}
	}
	if len(out) == 0 {
		return 0
	}
	return median(out)
}

// median of at least one value.
func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// print writes the tables.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\nserver %s, no replicas, no semi-sync, binlog and commit flushed to disk; %d rows in one table\n", r.Machine, r.Server, r.Config.Rows)
	if r.RouterVersion != "" {
		fmt.Fprintf(w, "router %s, TLS off on both sides\n", r.RouterVersion)
	} else if r.Config.Flavor == flavorMariaDB {
		fmt.Fprintln(w, "MySQL Router does not speak to MariaDB: compared with the server itself only")
	}
	fmt.Fprintf(w, "%d rounds of %d s; ratios are medians of the rounds' ratios; CPU is seconds per million queries\n", r.Config.Rounds, r.Config.Seconds)
	if len(r.Samples) > 0 {
		others := make([]float64, len(r.Samples))
		for i := range r.Samples {
			others[i] = r.Samples[i].Others
		}
		fmt.Fprintf(w, "other processes used %.0f %% of the machine meanwhile (median; at most %.0f %%)\n\n", median(others), slices.Max(others))
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "workload\tmode\tthreads\ttarget\tqueries/s\tmin-max\tx direct\tx router\tp95 ms\tproxy CPU\tserver CPU")
	for _, rw := range r.Rows {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\t%.0f\t%.0f-%.0f\t%s\t%s\t%.2f\t%s\t%.1f\n", rw.Workload, rw.Mode, rw.Threads, rw.Target,
			rw.Median, rw.Min, rw.Max, optional(rw.ToDirect), optional(rw.ToRouter), rw.P95, optional(rw.ProxyCPU), rw.ServerCPU)
	}
	fmt.Fprintln(tw)
	_ = tw.Flush()
	var mem []string
	for _, m := range r.RSS {
		mem = append(mem, fmt.Sprintf("%s %.0f", m.Process, m.MB))
	}
	fmt.Fprintf(w, "resident memory at the end, MiB: %s\n", strings.Join(mem, ", "))
	if len(r.Promises) > 0 {
		fmt.Fprintln(w, "\nPromises: text point selects, in relation to Router")
	}
	for _, p := range r.Promises {
		word := "held"
		if !p.Held {
			word = "NOT HELD"
		}
		fmt.Fprintf(w, "  %-10s %2d threads: %.2f, promised %.2f: %s\n", p.Target, p.Threads, p.Got, p.Want, word)
	}
}

func optional(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", v)
}

// save writes the report as JSON and returns the file's path.
func (r *report) save(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("save the figures: %w", err)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", fmt.Errorf("save the figures: %w", err)
	}
	path := filepath.Join(dir, r.Started.Format("2006-01-02T150405")+"-"+r.Config.Flavor+".json")
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return "", fmt.Errorf("save the figures: %w", err)
	}
	return path, nil
}
