// Command bench measures what Pelorus costs: sysbench against a server itself, MySQL Router before that server, Pelorus before
// it (a keyspace that is not sharded) and Pelorus before two servers (a keyspace of two shards), all in one run and taking
// turns, so that what disturbs the machine disturbs all of them. It starts its own cluster and Router, on loopback, and
// removes them when it ends.
//
// It decides nothing: no test depends on a time that it measures. It does not tune the machine, and it does not compare
// figures of different runs, which on a shared machine mean little.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// workloads are the sysbench scripts that are run, without their prefix.
func workloads() []string { return []string{"point_select", "read_only", "read_write", "write_only"} }

// modes are the ways of sending statements.
func modes() []string { return []string{modeText, modePrepared} }

const (
	modeText     = "text"
	modePrepared = "prepared"
)

// Limits of the flags: beyond them is a typing error.
const (
	maxSeconds = 3600
	maxRounds  = 1000
	maxThreads = 1024
	maxRows    = 10_000_000
)

// config is what a run is told.
type config struct {
	Flavor    string   `json:"flavor"`
	Seconds   int      `json:"seconds"`
	Rounds    int      `json:"rounds"`
	Threads   []int    `json:"threads"`
	Workloads []string `json:"workloads"`
	Modes     []string `json:"modes"`
	Targets   []string `json:"targets"`
	Rows      int      `json:"rows"`
	// Calm is how much of the machine, in percent, others may use before a measurement is made again.
	Calm    float64 `json:"calm_percent"`
	pelorus string
	router  string
	out     string
	profile string
}

func main() {
	cfg, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cfg, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// parseFlags reads and checks the command line.
func parseFlags(args []string, w io.Writer) (*config, error) {
	c := &config{}
	var threads, loads, ms, targets string
	var quick bool
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(w)
	fs.StringVar(&c.Flavor, "flavor", "mysql", "mysql or mariadb; Router speaks to MySQL only")
	fs.IntVar(&c.Seconds, "seconds", 5, "seconds of each measurement")
	fs.IntVar(&c.Rounds, "rounds", 5, "how often each measurement is repeated")
	fs.StringVar(&threads, "threads", "1,8,32", "client threads")
	fs.StringVar(&loads, "workloads", strings.Join(workloads(), ","), "sysbench oltp_* scripts")
	fs.StringVar(&ms, "modes", strings.Join(modes(), ","), "text, prepared")
	fs.StringVar(&targets, "targets", strings.Join(targetNames(), ","), "what to measure")
	fs.IntVar(&c.Rows, "rows", 100_000, "rows of the table")
	fs.Float64Var(&c.Calm, "calm", 100, "make a measurement again, up to 10 times, when others used more than this percentage of the machine")
	fs.BoolVar(&quick, "quick", false, "unless other flags say otherwise: point selects as text, 8 and 32 threads, 9 rounds of 1 second")
	fs.StringVar(&c.pelorus, "pelorus", "bin/pelorus", "the program to measure")
	fs.StringVar(&c.router, "router", "", "mysqlrouter (default: the one beside mysqld, or in PATH)")
	fs.StringVar(&c.out, "out", "bench-results", "directory of the JSON file")
	fs.StringVar(&c.profile, "profile", "", "also write a CPU profile of the gateway over the whole run to this file")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	var err error
	if quick {
		if err = setQuick(fs); err != nil {
			return nil, err
		}
	}
	if c.Threads, err = numbers(threads); err != nil {
		return nil, err
	}
	c.Workloads, c.Modes, c.Targets = strings.Split(loads, ","), strings.Split(ms, ","), strings.Split(targets, ",")
	return c, c.validate()
}

// setQuick gives the flags that were not given the values of a short run. Many short rounds stand noise better than few long
// ones.
func setQuick(fs *flag.FlagSet) error {
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, v := range map[string]string{"seconds": "1", "rounds": "9", "workloads": "point_select", "modes": modeText, "threads": "8,32"} {
		if given[name] {
			continue
		}
		if err := fs.Set(name, v); err != nil {
			return err
		}
	}
	return nil
}

func numbers(list string) ([]int, error) {
	var out []int
	for _, f := range strings.Split(list, ",") {
		n, err := strconv.Atoi(f)
		if err != nil || n < 1 || n > maxThreads {
			return nil, fmt.Errorf("threads %q: want numbers of 1 to %d, separated by commas", list, maxThreads)
		}
		out = append(out, n)
	}
	return out, nil
}

func (c *config) validate() error {
	for _, l := range []struct {
		what        string
		given, want []string
	}{
		{"flavor", []string{c.Flavor}, []string{flavorMySQL, flavorMariaDB}},
		{"workload", c.Workloads, workloads()}, {"mode", c.Modes, modes()}, {"target", c.Targets, targetNames()},
	} {
		for _, g := range l.given {
			if !slices.Contains(l.want, g) {
				return fmt.Errorf("%s %q is none of %s", l.what, g, strings.Join(l.want, ", "))
			}
		}
	}
	for _, n := range []struct {
		what   string
		v, top int
	}{{"seconds", c.Seconds, maxSeconds}, {"rounds", c.Rounds, maxRounds}, {"rows", c.Rows, maxRows}} {
		if n.v < 1 || n.v > n.top {
			return fmt.Errorf("%s is %d, want 1 to %d", n.what, n.v, n.top)
		}
	}
	if c.Flavor == flavorMariaDB {
		c.Targets = slices.DeleteFunc(c.Targets, func(t string) bool { return t == targetRouter })
	}
	return nil
}

// run makes the cluster, measures, and reports. What was measured before an interrupt is reported too.
func run(ctx context.Context, cfg *config, w io.Writer) error {
	if _, err := exec.LookPath("sysbench"); err != nil {
		return errors.New("sysbench is not installed: run `scripts/setup.sh bench`")
	}
	bin, err := filepath.Abs(cfg.pelorus)
	if err != nil {
		return err
	}
	if _, err := os.Stat(bin); err != nil {
		return fmt.Errorf("%w: run `make build`", err)
	}
	dir, err := os.MkdirTemp("", "pelorus-bench-")
	if err != nil {
		return fmt.Errorf("make a directory for the cluster: %w", err)
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(w, "starting a cluster (%s)\n", cfg.Flavor)
	bed, err := newBed(ctx, cfg, bin, dir)
	if bed != nil {
		defer bed.close(w)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "loading %d rows into each keyspace\n", cfg.Rows)
	if err := bed.prepare(ctx, cfg); err != nil {
		return err
	}
	r := &report{Started: time.Now().UTC(), Config: cfg, Machine: machine(), Server: bed.version, RouterVersion: bed.routerVersion}
	fmt.Fprintf(w, "%d measurements of %d s, about %s\n", cfg.count(), cfg.Seconds, (time.Duration(cfg.count()*(cfg.Seconds+1)) * time.Second).Round(time.Minute))
	endProfile := bed.startProfile(ctx, cfg)
	err = measure(ctx, cfg, bed, r, w)
	if perr := endProfile(); perr != nil && err == nil {
		err = perr
	}
	r.RSS = bed.memory()
	r.summarise()
	r.print(w)
	path, serr := r.save(cfg.out)
	if serr == nil {
		fmt.Fprintf(w, "\nAll figures: %s\n", path)
	}
	return errors.Join(err, serr)
}

func (c *config) count() int {
	return c.Rounds * len(c.Threads) * len(c.Workloads) * len(c.Modes) * len(c.Targets)
}

// measure runs all rounds. Within a round the targets take turns, and begin with another one each time.
func measure(ctx context.Context, cfg *config, bed *bed, r *report, w io.Writer) error {
	for round := range cfg.Rounds {
		fmt.Fprintf(w, "round %d of %d\n", round+1, cfg.Rounds)
		for _, load := range cfg.Workloads {
			for _, mode := range cfg.Modes {
				for _, threads := range cfg.Threads {
					for i := range cfg.Targets {
						t := bed.target(cfg.Targets[(i+round)%len(cfg.Targets)])
						s, err := bed.sample(ctx, cfg, t, load, mode, threads)
						if err != nil {
							return err
						}
						s.Round = round
						r.Samples = append(r.Samples, *s)
					}
				}
			}
		}
	}
	return nil
}

// machine says what the figures were measured on.
func machine() string {
	model := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%d x %s, %s", runtime.NumCPU(), model, runtime.Version())
}
