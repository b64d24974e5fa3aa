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
	// Ignored is how many transactions sysbench tried again, after a deadlock for one.
	Ignored int `json:"ignored_errors"`
}

// prepare loads the table of sysbench into both keyspaces, through the gateway, and warms them up.
func (b *bed) prepare(ctx context.Context, cfg *config) error {
	for _, name := range []string{targetPlain, targetShards} {
		if _, err := sysbench(ctx, b.target(name), "point_select", "prepare", cfg.Rows, modeText, 1, 0); err != nil {
			return err
		}
	}
	for _, name := range cfg.Targets {
		if _, err := sysbench(ctx, b.target(name), "read_only", "run", cfg.Rows, modeText, 8, 1); err != nil {
			return err
		}
	}
	return nil
}

// sample measures once.
func (b *bed) sample(ctx context.Context, cfg *config, t *target, load, mode string, threads int) (*sample, error) {
	proxyBefore, serverBefore, err := t.cpu()
	if err != nil {
		return nil, err
	}
	out, err := sysbench(ctx, t, load, "run", cfg.Rows, mode, threads, cfg.Seconds)
	if err != nil {
		return nil, err
	}
	proxyAfter, serverAfter, err := t.cpu()
	if err != nil {
		return nil, err
	}
	s, err := parseSysbench(out)
	if err != nil {
		return nil, err
	}
	s.Target, s.Workload, s.Mode, s.Threads = t.name, load, mode, threads
	s.ProxyCPU = (proxyAfter - proxyBefore).Seconds() * 1e6 / s.Queries
	s.ServerCPU = (serverAfter - serverBefore).Seconds() * 1e6 / s.Queries
	return s, nil
}

// sysbench runs one of its scripts and returns what it prints.
func sysbench(ctx context.Context, t *target, load, command string, rows int, mode string, threads, seconds int) (string, error) {
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
		return "", fmt.Errorf("sysbench %s %s on %s: %w\n%s", load, command, t.name, err, out.Bytes())
	}
	return out.String(), nil
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
