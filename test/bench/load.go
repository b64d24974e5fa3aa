package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's unit of processor time in /proc: 1/100 s on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// sample is one measurement.
type sample struct {
	Round    int     `json:"round"`
	Target   string  `json:"target"`
	Workload string  `json:"workload"`
	Mode     string  `json:"mode"`
	Threads  int     `json:"threads"`
	QPS      float64 `json:"queries_per_second"`
	Queries  float64 `json:"queries"`
	P95      float64 `json:"p95_milliseconds"`
	// ProxyCPU and ServerCPU are processor seconds per million queries, of Router or the gateway and of the servers together.
	ProxyCPU  float64 `json:"proxy_cpu_seconds_per_million"`
	ServerCPU float64 `json:"server_cpu_seconds_per_million"`
	// Others is the share of the machine's processors, in percent, that was used by processes that are no part of this.
	Others float64 `json:"others_cpu_percent"`
	// Ignored is how many transactions sysbench tried again, after a deadlock for one.
	Ignored int `json:"ignored_errors"`
}

// prepare loads the table of sysbench into both keyspaces, through the gateway, and warms them up.
func (b *bed) prepare(ctx context.Context, cfg *config) error {
	for _, name := range []string{targetPlain, targetShards} {
		if _, _, err := runSysbench(ctx, b.target(name), "point_select", "prepare", cfg.Rows, modeText, 1, 0); err != nil {
			return err
		}
	}
	for _, name := range cfg.Targets {
		if _, _, err := runSysbench(ctx, b.target(name), "read_only", "run", cfg.Rows, modeText, 8, 1); err != nil {
			return err
		}
	}
	return nil
}

// sample measures once, or up to calmTries times until the rest of the machine was calm; it returns the calmest.
func (b *bed) sample(ctx context.Context, cfg *config, t *target, load, mode string, threads int) (*sample, error) {
	var best *sample
	for range calmTries {
		s, err := b.measure(ctx, cfg, t, load, mode, threads)
		if err != nil {
			return nil, err
		}
		if best == nil || s.Others < best.Others {
			best = s
		}
		if best.Others <= cfg.Calm {
			break
		}
	}
	return best, nil
}

// calmTries is how often a disturbed measurement is made again.
const calmTries = 10

// measure measures once.
func (b *bed) measure(ctx context.Context, cfg *config, t *target, load, mode string, threads int) (*sample, error) {
	before, err := b.usage(t)
	if err != nil {
		return nil, err
	}
	out, own, err := runSysbench(ctx, t, load, "run", cfg.Rows, mode, threads, cfg.Seconds)
	if err != nil {
		return nil, err
	}
	after, err := b.usage(t)
	if err != nil {
		return nil, err
	}
	s, err := parseSysbench(out)
	if err != nil {
		return nil, err
	}
	s.Target, s.Workload, s.Mode, s.Threads = t.name, load, mode, threads
	s.ProxyCPU = (after.proxy - before.proxy).Seconds() * 1e6 / s.Queries
	s.ServerCPU = (after.servers - before.servers).Seconds() * 1e6 / s.Queries
	others := (after.busy - before.busy) - (after.bed - before.bed) - own
	s.Others = max(0, 100*others.Seconds()/(after.all-before.all).Seconds())
	return s, nil
}

// usage is processor time up to now: of the process in between, of the target's servers, of everything that bench started,
// and of the machine, busy and all.
type usage struct{ proxy, servers, bed, busy, all time.Duration }

func (b *bed) usage(t *target) (u usage, err error) {
	if u.proxy, u.servers, err = t.cpu(); err != nil {
		return u, err
	}
	pids := []int{os.Getpid()}
	for _, p := range b.processes {
		pids = append(pids, *p.Pid)
	}
	if b.router != nil {
		pids = append(pids, b.router.Process.Pid)
	}
	for _, pid := range pids {
		d, err := cpuTime(pid)
		if err != nil {
			return u, err
		}
		u.bed += d
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u, fmt.Errorf("read the machine's processor time: %w", err)
	}
	u.busy, u.all, err = parseMachine(string(stat))
	return u, err
}

// parseMachine reads the first line of proc_stat(5): the time since the start, by what it was used for; the fourth and fifth
// are idle. Guests' time, from the ninth on, is part of the first two.
func parseMachine(stat string) (busy, all time.Duration, err error) {
	line, _, _ := strings.Cut(stat, "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, 0, errors.New("not /proc/stat: " + line)
	}
	for i, v := range f[1:9] {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		all += time.Duration(n) * tick
		if i != 3 && i != 4 {
			busy += time.Duration(n) * tick
		}
	}
	return busy, all, nil
}

// runSysbench runs one of its scripts and returns what it prints and the processor time that it used itself.
func runSysbench(ctx context.Context, t *target, load, command string, rows int, mode string, threads, seconds int) (string, time.Duration, error) {
	ps := "disable"
	if mode == modePrepared {
		ps = "auto"
	}
	cmd := exec.CommandContext(ctx, "sysbench", "oltp_"+load, "--db-driver=mysql", "--mysql-host=127.0.0.1",
		"--mysql-port="+strconv.Itoa(t.port), "--mysql-user="+t.user, "--mysql-db="+t.db, "--db-ps-mode="+ps,
		"--tables=1", "--table-size="+strconv.Itoa(rows), "--auto_inc=off", "--threads="+strconv.Itoa(threads),
		"--time="+strconv.Itoa(seconds), command)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", 0, fmt.Errorf("sysbench %s %s on %s: %w\n%s", load, command, t.name, err, out.Bytes())
	}
	return out.String(), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// parseSysbench reads the figures from sysbench's report.
func parseSysbench(out string) (*sample, error) {
	s := &sample{}
	found := 0
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		var err error
		switch {
		case f[0] == "queries:" && len(f) >= 3:
			if s.Queries, err = strconv.ParseFloat(f[1], 64); err == nil {
				s.QPS, err = strconv.ParseFloat(strings.TrimPrefix(f[2], "("), 64)
			}
			found++
		case f[0] == "95th":
			s.P95, err = strconv.ParseFloat(f[len(f)-1], 64)
			found++
		case f[0] == "ignored" && len(f) >= 3:
			s.Ignored, err = strconv.Atoi(f[2])
		}
		if err != nil {
			return nil, fmt.Errorf("read sysbench's line %q: %w", strings.TrimSpace(line), err)
		}
	}
	if found != 2 || s.Queries == 0 {
		return nil, fmt.Errorf("sysbench did not report its queries:\n%s", out)
	}
	return s, nil
}

// cpu returns the processor time that the process in between and the servers have used so far.
func (t *target) cpu() (proxy, servers time.Duration, err error) {
	if t.proxy != 0 {
		if proxy, err = cpuTime(t.proxy); err != nil {
			return 0, 0, err
		}
	}
	for _, pid := range t.servers {
		d, err := cpuTime(pid)
		if err != nil {
			return 0, 0, err
		}
		servers += d
	}
	return proxy, servers, nil
}

func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("a measured process has ended: %w", err)
	}
	return parseStat(string(b))
}

// parseStat reads utime and stime, fields 14 and 15 of proc_pid_stat(5). The name, field 2, may hold blanks and brackets.
func parseStat(stat string) (time.Duration, error) {
	_, rest, ok := strings.Cut(stat[max(0, strings.LastIndexByte(stat, ')')):], ")")
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0, errors.New("not a line of /proc/PID/stat: " + stat)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// memory returns the resident memory of every process of the bed, in MiB.
func (b *bed) memory() []memory {
	var out []memory
	add := func(name string, pid int) {
		if mb, err := residentMB(pid); err == nil {
			out = append(out, memory{Process: name, MB: mb})
		}
	}
	for _, p := range b.processes {
		add(p.Name, *p.Pid)
	}
	if b.router != nil {
		add("router", b.router.Process.Pid)
	}
	return out
}

// memory is the resident memory of a process at the end of the run.
type memory struct {
	Process string  `json:"process"`
	MB      float64 `json:"resident_mib"`
}

func residentMB(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 64)
			return n / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no resident memory", pid)
}
