package devcluster

import (
	"errors"
	"fmt"

	"github.com/pelorusdb/pelorus/internal/devcluster/ports"
)

// Ports that are nobody's choice come from here: below 32768, where the kernel takes the ports of clients from.
const firstPort, lastPort = 16000, 22999

// allocator hands out ports of 127.0.0.1 that are free now, and keeps two commands that run at the same time from taking the same one:
// each port is locked until the command ends and its process listens.
type allocator struct {
	taken map[int]bool
	locks []*ports.Lock
	next  int
}

func newAllocator(s *state) *allocator {
	p := &allocator{taken: map[int]bool{}, next: firstPort}
	for _, proc := range s.Processes {
		p.taken[proc.Port] = true
		p.taken[proc.SidePort] = true
	}
	return p
}

func (p *allocator) close() {
	for _, f := range p.locks {
		f.Close()
	}
}

// any returns a free port.
func (p *allocator) any() (int, error) {
	for ; p.next <= lastPort; p.next++ {
		if p.take(p.next) {
			p.next++
			return p.next - 1, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d on 127.0.0.1", firstPort, lastPort)
}

// prefer returns the usual port if it is free, else any.
func (p *allocator) prefer(usual int) (int, error) {
	if p.take(usual) {
		return usual, nil
	}
	return p.any()
}

// wanted returns the port that somebody asked for; 0 asks for any.
func (p *allocator) wanted(port int, flag string) (int, error) {
	if port == 0 {
		return p.any()
	}
	if port < 1 || port > 65535 {
		return 0, fmt.Errorf("port %d is not between 1 and 65535", port)
	}
	if !p.take(port) {
		return 0, fmt.Errorf("port %d of 127.0.0.1 is in use by another program or cluster: choose another one with %s, or 0 for any: %w", port, flag, ErrPortTaken)
	}
	return port, nil
}

// ErrPortTaken says that a port that was asked for is in use.
var ErrPortTaken = errors.New("port taken")

func (p *allocator) take(port int) bool {
	if p.taken[port] {
		return false
	}
	lock, ok := ports.Reserve(port)
	if !ok {
		return false
	}
	p.taken[port] = true
	p.locks = append(p.locks, lock)
	return true
}
