package devcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/devcluster/ports"
)

// Ports that are nobody's choice come from here: below 32768, where the kernel takes the ports of clients from.
const firstPort, lastPort = 16000, 22999

// ErrPortTaken says that a port that is needed is in use.
var ErrPortTaken = errors.New("port taken")

// allocator hands out ports of 127.0.0.1 that are free now, and keeps two commands that run at the same time from taking the same one:
// each port is locked until the command ends and its process listens. Ports that nobody asked for stay the directory's own also
// while its processes are stopped (see ports.Lock.Claim); one that somebody asked for is whoever's comes first.
type allocator struct {
	owner string // the file of the state
	taken map[int]bool
	locks map[int]*ports.Lock
	next  int
}

// newAllocator makes the allocator of a cluster that may not have a state yet.
func newAllocator(owner string, s *state) *allocator {
	p := &allocator{owner: owner, taken: map[int]bool{}, locks: map[int]*ports.Lock{}, next: firstPort}
	if s == nil {
		return p
	}
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
		if p.claim(p.next) {
			p.next++
			return p.next - 1, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d on 127.0.0.1", firstPort, lastPort)
}

// prefer returns the usual port if it is free, else any.
func (p *allocator) prefer(usual int) (int, error) {
	if p.claim(usual) {
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
	lock, ok := (*ports.Lock)(nil), false
	if !p.taken[port] {
		lock, ok = ports.Reserve(port)
	}
	if !ok {
		return 0, fmt.Errorf("port %d of 127.0.0.1 is in use by %s: choose another one with %s, or 0 for any: %w", port, holder(port), flag, ErrPortTaken)
	}
	p.keep(port, lock)
	return port, nil
}

// claim takes a port for good if it is free and nobody else's.
func (p *allocator) claim(port int) bool {
	if p.taken[port] {
		return false
	}
	lock, ok := ports.ReserveUnclaimed(port)
	if !ok {
		return false
	}
	if lock.Claim(p.owner) != nil {
		lock.Close()
		return false
	}
	p.keep(port, lock)
	return true
}

func (p *allocator) keep(port int, lock *ports.Lock) {
	p.taken[port] = true
	p.locks[port] = lock
}

// hold makes sure that the ports of a cluster's processes that are about to start are free, and keeps other commands from
// taking them meanwhile. A gateway's HTTP port, which nobody depends on, is planned anew where it is not.
func (p *allocator) hold(s *state, running found) error {
	for _, proc := range s.Processes {
		_, runs := running[proc.Name]
		sideRuns, side := runs, proc.Name
		if proc.Role == RoleTablet {
			side = RoleMysqld + "-" + proc.Tablet
			_, sideRuns = running[side]
		}
		for _, need := range []struct {
			port  int
			whose string
			runs  bool
		}{{proc.Port, proc.Name, runs}, {proc.SidePort, side, sideRuns}} {
			if need.port == 0 || need.runs || p.locks[need.port] != nil {
				continue
			}
			if lock, ok := ports.Reserve(need.port); ok {
				p.keep(need.port, lock)
				continue
			}
			if proc.Role != RoleGateway || need.port != proc.SidePort {
				return fmt.Errorf("port %d of 127.0.0.1, which %s needs, is in use by %s: end that first%s: %w",
					need.port, need.whose, holder(need.port), otherPort(proc), ErrPortTaken)
			}
			var err error
			if proc.SidePort, err = p.any(); err != nil {
				return err
			}
		}
	}
	return nil
}

// otherPort says how a process comes by another port, if it may.
func otherPort(p *process) string {
	switch p.Name {
	case RoleGateway + "-1":
		return ", or choose another port with --gateway-port"
	case RoleControl + "-1":
		return ", or choose another port with --control-port"
	}
	return ""
}

// holder says in words who listens on a port.
func holder(port int) string {
	pid := ports.Listener(port)
	if pid == 0 {
		return "another program or a cluster that starts at this moment"
	}
	if dir, name := clusterOf(pid); name != "" {
		return fmt.Sprintf("%s (pid %d) of the cluster in %s", name, pid, dir)
	}
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(b)), pid)
}
