package devcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tagVariable marks each process that we start: its value is DIRECTORY, a colon, and the process' name. The kernel keeps it
// readable in /proc for as long as the process lives, so a process is found by what it is and not by a number that may have
// been given to somebody else. Servers inherit it from their agents, so the role in the command line has to fit as well.
const tagVariable = "PELORUS_LOCAL"

const (
	// pollStep is how often a condition on processes is looked at: cheap reads of /proc.
	pollStep = 20 * time.Millisecond
	// termTime is how long a role gets to end after SIGTERM; killTime how long a process may need to vanish after SIGKILL.
	termTime = 10 * time.Second
	killTime = 10 * time.Second
	// serverTime is how long a server gets to end cleanly.
	serverTime = 30 * time.Second
	logTail    = 2 << 10
)

// found are the processes of a cluster that run at this moment: pid by name. Servers are "mysqld-ALIAS".
type found map[string]int

// find looks through /proc.
func (d *directory) find() (found, error) { return find(d.path) }

func find(dir string) (found, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for the cluster's processes: %w", err)
	}
	out := found{}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if name := identify(pid, dir); name != "" {
				out[name] = pid
			}
		}
	}
	return out, nil
}

// identify says which of the directory's processes a pid is, or "".
func identify(pid int, dir string) string {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	cmdline, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if err != nil || len(cmdline) == 0 { // gone, a zombie, or one of the kernel's own
		return ""
	}
	args := bytes.Split(bytes.TrimSuffix(cmdline, []byte{0}), []byte{0})
	if alias := serverOf(args, dir); alias != "" {
		return RoleMysqld + "-" + alias
	}
	environ, err := os.ReadFile(filepath.Join(proc, "environ"))
	if err != nil {
		return ""
	}
	tag := []byte(tagVariable + "=" + dir + ":")
	for _, v := range bytes.Split(environ, []byte{0}) {
		if name, ok := bytes.CutPrefix(v, tag); ok && len(args) > 1 && roleOf(string(name)) == string(args[1]) {
			return string(name)
		}
	}
	return ""
}

// clusterOf says which process of which directory a pid is; "" for any other.
func clusterOf(pid int) (dir, name string) {
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return "", ""
	}
	for _, v := range bytes.Split(environ, []byte{0}) {
		if tag, ok := bytes.CutPrefix(v, []byte(tagVariable+"=")); ok {
			dir := string(tag[:max(0, bytes.LastIndexByte(tag, ':'))])
			return dir, identify(pid, dir)
		}
	}
	return "", ""
}

// serverOf says to which tablet's server a command line belongs, or "": a mysqld or mariadbd (possibly behind a loader) that was given
// an options file or a data directory below the tablet's directory.
func serverOf(args [][]byte, dir string) string {
	server := false
	for _, a := range args {
		switch base := filepath.Base(string(a)); base {
		case "mysqld", "mariadbd", "mysqld-debug":
			server = true
		}
		for _, option := range []string{"--defaults-file=", "--datadir="} {
			rest, ok := bytes.CutPrefix(a, []byte(option+filepath.Join(dir, tabletsDir)+"/"))
			if ok && server {
				alias, _, _ := strings.Cut(string(rest), "/")
				return alias
			}
		}
	}
	return ""
}

// roleOf is the part of a process' name before the first hyphen.
func roleOf(name string) string {
	role, _, _ := strings.Cut(name, "-")
	return role
}

// start starts a process detached from this one, with its output appended to its log. With gone, that is closed when
// the process ends, for as long as we are its parent.
func (d *directory) start(p *process, args []string) (gone <-chan struct{}, err error) {
	bin := p.Binary
	if bin == "" {
		if bin, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find this program's own file: %w", err)
		}
	}
	logFile, err := os.OpenFile(d.log(p), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", p.Name, err)
	}
	defer logFile.Close()
	cmd := exec.Command(bin, append([]string{p.Role}, args...)...)
	cmd.Env = append(os.Environ(), tagVariable+"="+d.path+":"+p.Name)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.Dir = d.path
	// A session of its own: Ctrl-C in our terminal must not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // how it ended is in its log; waiting keeps it from staying a zombie
	}()
	return done, nil
}

// signal sends a signal to the process that is name now; no error if there is none. The handle that FindProcess returns stays
// with the one process (pidfd), so what was identified after it was taken is what gets the signal.
func (d *directory) signal(name string, pid int, sig syscall.Signal) error {
	h, err := os.FindProcess(pid)
	if err != nil {
		return nil // it has ended
	}
	defer func() { _ = h.Release() }() // frees the handle only
	if identify(pid, d.path) != name {
		return nil
	}
	if err := h.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s (pid %d): %w", name, pid, err)
	}
	return nil
}

// end ends a process: SIGTERM, and SIGKILL if it takes longer than grace.
func (d *directory) end(ctx context.Context, name string, pid int, grace time.Duration) error {
	for _, s := range []struct {
		sig  syscall.Signal
		time time.Duration
	}{{syscall.SIGTERM, grace}, {syscall.SIGKILL, killTime}} {
		if err := d.signal(name, pid, s.sig); err != nil {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, s.time)
		err := until(wait, pollStep, func() (bool, error) { return identify(pid, d.path) != name, nil })
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("%s (pid %d) does not end even after SIGKILL", name, pid)
}

// until asks cond at once and then each step until it holds, fails, or ctx ends.
func until(ctx context.Context, step time.Duration, cond func() (bool, error)) error {
	t := time.NewTicker(step)
	defer t.Stop()
	for {
		ok, err := cond()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// tail is the end of a process' log, for a message about its death.
func (d *directory) tail(p *process) string {
	f, err := os.Open(d.log(p))
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Size() > logTail {
		if _, err := f.Seek(-logTail, io.SeekEnd); err != nil {
			return ""
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, logTail))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
