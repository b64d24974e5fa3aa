package wire

import (
	"errors"
	"fmt"
)

// Errors of the framing and of the codecs. They come wrapped with what was being
// read; compare with errors.Is. After any of them the connection is unusable.
var (
	// ErrPacketTooLarge: a packet is longer than the limit of the connection.
	// MySQL's number for it is 1153.
	ErrPacketTooLarge = errors.New("packet is larger than max_allowed_packet")
	// ErrSequence: a packet came with a wrong sequence number. MySQL's is 1156.
	ErrSequence = errors.New("packets out of order")
	// ErrMalformed: the bytes are not what the protocol allows here.
	ErrMalformed = errors.New("malformed packet")
	// ErrWindowFull: Fill was called although the whole window is unread.
	ErrWindowFull = errors.New("read window is full of unread bytes")
	// ErrWriteTimeout: the peer has not taken any byte for the whole write timeout.
	ErrWriteTimeout = errors.New("peer does not read what is sent to it")
	// ErrUnexpectedData: an idle peer has sent bytes that nobody asked for.
	ErrUnexpectedData = errors.New("unexpected data on an idle connection")
)

// RefusedError: there was no memory for a packet. It was read to its end and dropped, so
// the connection stays usable.
type RefusedError struct {
	Command byte  // the first byte of the packet
	Err     error // the meter's reason
}

// Error says why.
func (e *RefusedError) Error() string { return "no memory for a packet: " + e.Err.Error() }

// Unwrap returns the meter's reason.
func (e *RefusedError) Unwrap() error { return e.Err }

// malformed makes an ErrMalformed that names the part.
func malformed(part string) error { return fmt.Errorf("%s: %w", part, ErrMalformed) }

// MySQLError is the content of an ERR packet.
type MySQLError struct {
	Errno   uint16
	State   string // SQLSTATE, 5 characters; empty if the peer sent none
	Message string
}

// Error prints the error as the command line clients do.
func (e *MySQLError) Error() string {
	if e.State == "" {
		return fmt.Sprintf("mysql error %d: %s", e.Errno, e.Message)
	}
	return fmt.Sprintf("mysql error %d (%s): %s", e.Errno, e.State, e.Message)
}
