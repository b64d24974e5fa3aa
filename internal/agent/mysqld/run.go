package mysqld

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// killWait is how long a process may take to end after SIGKILL: it may be writing a core or be in disk wait.
	killWait = 10 * time.Second
	// greetTime bounds one attempt to be greeted on the local socket.
	greetTime = 2 * time.Second
	pollStep  = 10 * time.Millisecond
)

// Role is what a server will be once it is up. It decides how MariaDB recovers from a crash: a coming replica cuts from
// its binary log what the engine had not committed, since nobody has acknowledged it; a returning primary must keep it.
type Role int

// Roles of a starting server.
const (
	RoleReplica Role = iota
	RolePrimary
)

// StartOptions say how to start a server. The zero value is the safe one: fenced, to be a replica.
type StartOptions struct {
	Role Role
	// Open starts the server writable: for throw-away servers that no agent looks after.
	Open bool
}

// Start starts the server detached from this process, unless it runs already, and waits until it greets or ctx ends.
// started says whether it was this call that started it.
func (s *Server) Start(ctx context.Context, o StartOptions) (started bool, err error) {
	p, err := s.Find()
	switch {
	case err == nil:
		return false, s.waitGreeting(ctx, p)
	case !errors.Is(err, ErrNotRunning):
		return false, err
	}
	if _, err := os.Stat(s.DataDir()); err != nil {
		return false, fmt.Errorf("start the server: it has no data directory: %w", err)
	}
	if err := os.MkdirAll(s.tmpDir(), 0o750); err != nil {
		return false, fmt.Errorf("make the server's temporary directory: %w", err)
	}
	if err := s.removeStaleLock(); err != nil {
		return false, err
	}
	if err := s.writeOptions(); err != nil {
		return false, err
	}
	p, err = s.launch(o)
	if err != nil {
		return false, err
	}
	return true, s.waitGreeting(ctx, p)
}

// launch runs the server in a session of its own: signals to the agent's terminal or process group do not reach it, and
// it outlives the agent. As long as the agent lives it must reap the server, or its number would stay taken.
func (s *Server) launch(o StartOptions) (Process, error) {
	log, err := os.OpenFile(s.ErrorLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return Process{}, fmt.Errorf("open the server's error log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(s.binary.Path, append([]string{"--defaults-file=" + s.optionsFile()}, s.startArgs(o)...)...)
	cmd.Dir = s.cfg.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Process{}, fmt.Errorf("start %s: %w", s.binary.Path, err)
	}
	pid := cmd.Process.Pid
	start, _, err := procStat(pid)
	go func() { _ = cmd.Wait() }() // ends with the server; its exit is noticed by Process.Alive
	if err != nil {
		return Process{}, fmt.Errorf("%s ended at once: %s", s.binary.Path, s.LogTail(800))
	}
	return Process{Pid: pid, start: start}, nil
}

// startArgs are the options that depend on this start and so are not in the options file. After a crash rows that nobody
// acknowledged may be visible at once, so applications are kept out until the role is known.
func (s *Server) startArgs(o StartOptions) []string {
	if o.Open {
		return nil
	}
	var args []string
	for _, option := range s.binary.Flavor.FencedStart(o.Role == RoleReplica) {
		args = append(args, "--"+option)
	}
	return args
}

// waitGreeting waits until the server greets on its socket, ends, or ctx does.
func (s *Server) waitGreeting(ctx context.Context, p Process) error {
	err := waitUntil(ctx, pollStep, func() (bool, error) {
		if !p.Alive() {
			return false, fmt.Errorf("the server ended while starting; its log ends with: %s", s.LogTail(1200))
		}
		return s.Greets(ctx), nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the server did not become ready in time; its log ends with: %s: %w", s.LogTail(600), err)
	}
	return err
}

// Greets says whether a server answers on the local socket with a greeting or with an error of the protocol, such as too
// many connections. It needs no account.
func (s *Server) Greets(ctx context.Context) bool {
	d := net.Dialer{Timeout: greetTime}
	c, err := d.DialContext(ctx, "unix", s.Socket())
	if err != nil {
		return false
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(greetTime)); err != nil {
		return false
	}
	var head [5]byte
	n, err := c.Read(head[:])
	return err == nil && n == len(head) && (head[4] == 10 || head[4] == 0xff)
}

// Stop ends the server: it asks it to shut down, waits until ctx ends, then kills it. Commits that wait for an
// acknowledgement may be answered OK by a server that shuts down, so the clients must have been cut before. A server that
// does not run is success.
func (s *Server) Stop(ctx context.Context) error {
	p, err := s.Find()
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := signal(p, syscall.SIGTERM); err != nil {
		return err
	}
	if err := waitUntil(ctx, pollStep, func() (bool, error) { return !p.Alive(), nil }); err == nil {
		return nil
	}
	return s.Kill()
}

// Kill ends the server at once, as a crash does, and waits until the process is gone.
func (s *Server) Kill() error {
	p, err := s.Find()
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := signal(p, syscall.SIGKILL); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), killWait)
	defer cancel()
	if err := waitUntil(ctx, pollStep, func() (bool, error) { return !p.Alive(), nil }); err != nil {
		return fmt.Errorf("server process %d does not end after SIGKILL: %w", p.Pid, err)
	}
	return nil
}

func signal(p Process, sig syscall.Signal) error {
	if !p.Alive() {
		return nil
	}
	err := syscall.Kill(p.Pid, sig)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to server process %d: %w", sig, p.Pid, err)
	}
	return nil
}
