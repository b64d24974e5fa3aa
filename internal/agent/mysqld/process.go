package mysqld

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process that was proven to be this server. The start time tells it from a later one with the same number.
type Process struct {
	Pid   int
	start uint64
}

// Alive says whether this very process still exists and is not a zombie.
func (p Process) Alive() bool {
	start, state, err := procStat(p.Pid)
	return err == nil && start == p.start && state != 'Z' && state != 'X'
}

// Wait returns nil when the process has ended, at once if it has already, or ctx's error.
func (p Process) Wait(ctx context.Context) error {
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch process %d: %w", p.Pid, err)
	}
	defer unix.Close(fd)
	// The number may have become another process' before it was opened.
	for ctx.Err() == nil && p.Alive() {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(waitSlice.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watch process %d: %w", p.Pid, err)
		}
		if n > 0 {
			return nil
		}
	}
	if !p.Alive() {
		return nil
	}
	return ctx.Err()
}

// waitSlice is how long an end of the context may go unnoticed.
const waitSlice = 200 * time.Millisecond

// Find looks for the running process of this server: by its pid file, and if that says nothing, among all processes. It
// fails with ErrNotRunning if there is none.
func (s *Server) Find() (Process, error) {
	if b, err := os.ReadFile(s.pidFile()); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			if p, ok := s.prove(pid); ok {
				return p, nil
			}
		}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return Process{}, fmt.Errorf("look for the server among the processes: %w", err)
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := s.prove(pid); ok {
				return p, nil
			}
		}
	}
	return Process{}, ErrNotRunning
}

// prove says whether the process is this server: its command line names our options file. A process that is just
// starting the server by way of a shell script counts too, since it becomes the server without changing its number.
func (s *Server) prove(pid int) (Process, bool) {
	start, state, err := procStat(pid)
	if err != nil || state == 'Z' || state == 'X' {
		return Process{}, false
	}
	cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return Process{}, false
	}
	want := []byte("--defaults-file=" + s.optionsFile())
	for _, arg := range bytes.Split(cmdline, []byte{0}) {
		if bytes.Equal(arg, want) {
			return Process{Pid: pid, start: start}, true
		}
	}
	return Process{}, false
}

// procStat reads the start time (in clock ticks since boot) and the state of a process.
func procStat(pid int) (start uint64, state byte, err error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, 0, err
	}
	return parseStat(string(b))
}

// parseStat takes the fields 3 (state) and 22 (start time) of /proc/PID/stat; the program's name before them may contain
// anything, so it counts from the last parenthesis.
func parseStat(line string) (start uint64, state byte, err error) {
	i := strings.LastIndexByte(line, ')')
	if i < 0 {
		return 0, 0, errors.New("no program name in the process' state")
	}
	f := strings.Fields(line[i+1:])
	if len(f) < 20 {
		return 0, 0, fmt.Errorf("only %d fields in the process' state", len(f))
	}
	start, err = strconv.ParseUint(f[19], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("start time of the process: %w", err)
	}
	return start, f[0][0], nil
}

// removeStaleLock removes the socket's lock file of a dead server, because mysqld refuses to start as long as any process
// has the number in it.
func (s *Server) removeStaleLock() error {
	lock := s.Socket() + ".lock"
	b, err := os.ReadFile(lock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the socket's lock file: %w", err)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
		if _, ok := s.prove(pid); ok {
			return fmt.Errorf("process %d still holds the socket %s", pid, s.Socket())
		}
	}
	if err := os.Remove(lock); err != nil {
		return fmt.Errorf("remove the socket's lock file of a dead server: %w", err)
	}
	return nil
}
