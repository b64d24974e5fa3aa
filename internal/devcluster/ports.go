package devcluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Ports that are nobody's choice come from here: below 32768, where the kernel takes the ports of clients from.
const firstPort, lastPort = 16000, 22999

// ports hands out ports of 127.0.0.1 that are free now, and keeps two commands that run at the same time from taking the same one:
// each port is locked until the command ends and its process listens.
type ports struct {
	taken map[int]bool
	locks []*os.File
	next  int
}

func newPorts(s *state) *ports {
	p := &ports{taken: map[int]bool{}, next: firstPort}
	for _, proc := range s.Processes {
		p.taken[proc.Port] = true
		p.taken[proc.SidePort] = true
	}
	return p
}

func (p *ports) close() {
	for _, f := range p.locks {
		f.Close()
	}
}

// any returns a free port.
func (p *ports) any() (int, error) {
	for ; p.next <= lastPort; p.next++ {
		if p.take(p.next) {
			p.next++
			return p.next - 1, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d on 127.0.0.1", firstPort, lastPort)
}

// prefer returns the usual port if it is free, else any.
func (p *ports) prefer(usual int) (int, error) {
	if p.take(usual) {
		return usual, nil
	}
	return p.any()
}

// wanted returns the port that somebody asked for; 0 asks for any.
func (p *ports) wanted(port int, flag string) (int, error) {
	if port == 0 {
		return p.any()
	}
	if port < 1 || port > 65535 {
		return 0, fmt.Errorf("port %d is not between 1 and 65535", port)
	}
	if !p.take(port) {
		return 0, fmt.Errorf("port %d of 127.0.0.1 is in use by another program or cluster: choose another one with %s, or 0 for any: %w", port, flag, errPortTaken)
	}
	return port, nil
}

var errPortTaken = errors.New("port taken")

func (p *ports) take(port int) bool {
	if p.taken[port] || !listens(port) {
		return false
	}
	f, ok := lockPort(port)
	if !ok {
		return false
	}
	// Whoever had the lock before may be listening by now.
	if !listens(port) {
		f.Close()
		return false
	}
	p.taken[port] = true
	p.locks = append(p.locks, f)
	return true
}

// listens says whether we could listen on the port.
func listens(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// lockPort locks a port among the commands of this user for as long as the file is open.
func lockPort(port int) (*os.File, bool) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("pelorus-ports-%d", os.Geteuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false
	}
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, false
	}
	return f, true
}
