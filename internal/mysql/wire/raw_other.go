//go:build !linux

package wire

import (
	"errors"
	"net"
)

// rawSocket is not available on this system: Conn uses Read and Write.
type rawSocket struct{}

var errNoRawIO = errors.New("raw socket I/O is only built for Linux")

func (*rawSocket) init(*Conn, net.Conn)       {}
func (*rawSocket) usable() bool               { return false }
func (*rawSocket) read([]byte) (int, error)   { return 0, errNoRawIO }
func (*rawSocket) write([]byte, []byte) error { return errNoRawIO }
func (*rawSocket) peek() error                { return errNoRawIO }
