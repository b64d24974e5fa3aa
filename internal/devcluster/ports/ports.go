// Package ports reserves TCP ports of 127.0.0.1 among the commands and tests of one user. A port that is free now may be taken
// before its process listens, so whoever chooses one locks it until then; and the port of a process that is stopped for
// a while stays claimed by the file that describes its cluster.
//
// It binds nothing, and it cannot keep programs that do not ask it away: it can only say who they are.
package ports

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxClaim bounds what is read of a claim: the path of a file.
const maxClaim = 4096

// Lock is a reserved port. Close gives it back.
type Lock struct{ file *os.File }

// Close gives the port back; the process that was started on it listens by now.
func (l *Lock) Close() error { return l.file.Close() }

// Claim keeps the port, after Close too, for whoever owns the file, as long as that exists.
func (l *Lock) Claim(owner string) error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("claim a port: %w", err)
	}
	if _, err := l.file.WriteAt([]byte(owner), 0); err != nil {
		return fmt.Errorf("claim a port: %w", err)
	}
	return nil
}

// Owner is the file that claims the port, "" if nobody does.
func (l *Lock) Owner() string {
	b := make([]byte, maxClaim)
	n, err := l.file.ReadAt(b, 0)
	if n == 0 || n == maxClaim && err == nil {
		return ""
	}
	owner := string(b[:n])
	if _, err := os.Stat(owner); err != nil {
		return ""
	}
	return owner
}

// Reserve locks a port if it is free and nobody else has locked it, whoever claims it.
func Reserve(port int) (*Lock, bool) {
	// Asking for the port first spares most of the lock files.
	if !free(port) {
		return nil, false
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("pelorus-ports-%d", os.Geteuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false
	}
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false
	}
	// Whoever had the lock before may be listening by now, so ask again.
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil || !free(port) {
		f.Close()
		return nil, false
	}
	return &Lock{file: f}, true
}

// ReserveUnclaimed is Reserve for a port that nobody claims, for those who have no wish for a certain one.
func ReserveUnclaimed(port int) (*Lock, bool) {
	l, ok := Reserve(port)
	if ok && l.Owner() != "" {
		l.Close()
		return nil, false
	}
	return l, ok
}

// free says whether somebody could listen on the port.
func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// Listener is the process that listens on a port, on whatever address; 0 if there is none or the kernel does not tell us whose it is.
func Listener(port int) (pid int) {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listening(table, port, inodes)
	}
	if len(inodes) == 0 {
		return 0
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && inodes[to] {
			pid, _ := strconv.Atoi(strings.Split(fd, "/")[2])
			return pid
		}
	}
	return 0
}

// listening adds the sockets of a table of the kernel that listen on the port, as links below /proc/PID/fd name them. Of a line the second
// field is the local address (hexadecimal, HOST:PORT), the fourth the state (0A listens) and the tenth the inode; see proc(5).
func listening(table string, port int, into map[string]bool) {
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != "0A" {
			continue
		}
		if _, local, ok := strings.Cut(fields[1], ":"); ok {
			if n, err := strconv.ParseUint(local, 16, 16); err == nil && int(n) == port {
				into["socket:["+fields[9]+"]"] = true
			}
		}
	}
}
