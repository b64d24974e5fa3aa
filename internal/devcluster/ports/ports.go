// Package ports reserves TCP ports of 127.0.0.1 among the commands and tests of one user: a port that is free now may be taken
// before its process listens, so whoever chooses one locks it until then.
//
// It binds nothing, and it cannot keep programs that do not ask it away.
package ports

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Lock is a reserved port. Close gives it back.
type Lock struct{ file *os.File }

// Close gives the port back; the process that was started on it listens by now.
func (l *Lock) Close() error { return l.file.Close() }

// Reserve locks a port if it is free and nobody else has reserved it.
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

// free says whether somebody could listen on the port.
func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
