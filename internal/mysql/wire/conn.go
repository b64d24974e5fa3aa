package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Conn is one end of a connection. It is for one goroutine at a time; only Close
// may be called from others, and makes their reads and writes fail.
//
// On a TCP or Unix socket it reads and writes by system calls of its own inside
// the runtime's SyscallConn callbacks: the first try happens before any parking,
// nothing is allocated per call, and a connection that waits for its peer's next
// command holds no buffer. On anything else (TLS, net.Pipe) it uses Read and Write.
type Conn struct {
	nc        net.Conn
	raw       rawSocket
	frames    *compressed // the layer below the packets; nil: none
	maxPacket int
	seq       uint8

	in       *buffer // nil: nothing is buffered
	r, w     int     // in.b[r:w] is read and not yet consumed
	inFilled bool    // the last read filled all the room there was
	big      []byte  // header and payload of a packet that did not fit a window
	meter    Meter   // nil: big may grow up to maxPacket
	metered  int     // what the meter has granted to big

	out          *buffer // nil: nothing waits to be written
	outN         int
	writeTimeout time.Duration
	writeErr     error        // the first failure; the stream is cut after it
	stalled      atomic.Int64 // since when the peer has not done its part, in Unix nanoseconds; 0: nothing is awaited

	first [64]byte // where a connection without raw I/O waits for its next bytes
}

// NewConn makes a Conn of nc and takes ownership of it. maxPacket limits a logical
// packet, in bytes; 0 means DefaultMaxPacket.
func NewConn(nc net.Conn, maxPacket int) *Conn {
	if maxPacket <= 0 {
		maxPacket = DefaultMaxPacket
	}
	c := &Conn{nc: nc, maxPacket: maxPacket}
	if t, ok := nc.(*net.TCPConn); ok {
		// Go sets it at birth; a connection that was handed over may lack it. That it
		// fails on a dead socket shows at the first read.
		_ = t.SetNoDelay(true)
	}
	c.raw.init(c, nc)
	return c
}

// NetConn returns the connection below, for addresses and deadlines.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Seq is the sequence number of the next packet, whoever sends it.
func (c *Conn) Seq() uint8 { return c.seq }

// SetSeq sets the number of the next packet; 0 begins a command.
func (c *Conn) SetSeq(s uint8) {
	c.seq = s
	if s == 0 && c.frames != nil {
		c.frames.seq = 0
	}
}

// MaxPacket returns the limit of a logical packet, in bytes.
func (c *Conn) MaxPacket() int { return c.maxPacket }

// SetMaxPacket changes the limit of a logical packet, in bytes.
func (c *Conn) SetMaxPacket(n int) { c.maxPacket = n }

// SetWriteTimeout limits how long a write may wait without the peer taking a byte;
// 0 means no limit. It costs nothing as long as writes do not block.
func (c *Conn) SetWriteTimeout(d time.Duration) { c.writeTimeout = d }

// Stalled says for how long the peer has kept this end waiting: it takes none of the
// bytes that are written to it (noticed only with a write timeout), or is slow with a
// packet for which memory was claimed. It may be called from any goroutine.
func (c *Conn) Stalled(now time.Time) time.Duration {
	since := c.stalled.Load()
	if since == 0 {
		return 0
	}
	return now.Sub(time.Unix(0, since))
}

// Close closes the socket. The buffers are left to the collector, since another
// goroutine may still be using them.
func (c *Conn) Close() error { return c.nc.Close() }

// Buffered returns the bytes that are read and not consumed, valid until the next
// read.
func (c *Conn) Buffered() []byte {
	if c.in == nil {
		return nil
	}
	return c.in.b[c.r:c.w]
}

// Discard consumes n bytes of Buffered.
func (c *Conn) Discard(n int) {
	if n < 0 || n > c.w-c.r {
		panic("wire: Discard beyond the buffered bytes")
	}
	c.r += n
}

// Lease consumes the first n bytes of Buffered and hands them over: they stay
// valid until the lease is freed, whatever happens to c. It is how a backend
// connection returns to its pool before its last bytes are written to the client.
func (c *Conn) Lease(n int) Lease {
	if n <= 0 || n > c.w-c.r {
		if n == 0 {
			return Lease{}
		}
		panic("wire: Lease beyond the buffered bytes")
	}
	old, data := c.in, c.in.b[c.r:c.r+n]
	rest := c.in.b[c.r+n : c.w]
	c.in, c.r, c.w = nil, 0, 0
	if len(rest) > 0 {
		c.in = takeSmall()
		if len(rest) > len(c.in.b) {
			c.in.free()
			c.in = takeLarge()
		}
		c.w = copy(c.in.b, rest)
	}
	return Lease{buf: old, data: data}
}

// Release gives the read buffer back if nothing unread is in it, and the memory of
// big packets in any case. Slices returned by reads are invalid afterwards.
func (c *Conn) Release() {
	c.dropBig()
	if c.in != nil && c.r == c.w {
		c.in.free()
		c.in, c.r, c.w, c.inFilled = nil, 0, 0, false
	}
}

// Fill reads at least one more byte, blocking, and returns all bytes not consumed.
// It fails with ErrWindowFull when 64 KiB are unread already: whoever forwards
// bytes must consume what it has seen.
func (c *Conn) Fill() ([]byte, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	return c.in.b[c.r:c.w], nil
}

func (c *Conn) fill() error {
	if c.in == nil {
		return c.fillFirst()
	}
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
		if c.inFilled && len(c.in.b) == smallWindow {
			c.in.free()
			c.in = takeLarge()
		}
	case c.w < len(c.in.b):
	case c.r > 0:
		c.w = copy(c.in.b, c.in.b[c.r:c.w])
		c.r = 0
	case len(c.in.b) == smallWindow:
		c.grow()
	default:
		return ErrWindowFull
	}
	room := c.in.b[c.w:]
	n, err := c.read(room)
	if err != nil {
		return err
	}
	c.w += n
	c.inFilled = n == len(room)
	return nil
}

// grow moves the unread bytes into a large window.
func (c *Conn) grow() {
	large := takeLarge()
	n := copy(large.b, c.in.b[c.r:c.w])
	c.in.free()
	c.in, c.r, c.w = large, 0, n
}

// fillFirst reads when there is no buffer, and holds none while it waits.
func (c *Conn) fillFirst() error {
	c.r, c.w = 0, 0
	if c.raw.usable() {
		n, err := c.raw.read(nil)
		if err != nil {
			return err
		}
		c.w = n
		c.inFilled = n == len(c.in.b)
		return nil
	}
	n, err := c.read(c.first[:])
	if err != nil {
		return err
	}
	c.in = takeSmall()
	c.w = copy(c.in.b, c.first[:n])
	return nil
}

// read reads once into dst, which must not be empty.
func (c *Conn) read(dst []byte) (int, error) {
	if c.raw.usable() {
		return c.raw.read(dst)
	}
	for {
		n, err := c.nc.Read(dst)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// need makes n bytes available in the window; n is at most largeWindow.
func (c *Conn) need(n int) error {
	for c.w-c.r < n {
		if c.in != nil && c.r+n > len(c.in.b) {
			if n > len(c.in.b) {
				c.grow()
			} else {
				c.w = copy(c.in.b, c.in.b[c.r:c.w])
				c.r = 0
			}
		}
		if err := c.fill(); err != nil {
			if c.w > c.r && errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// CheckIdle looks whether an idle connection is still good, without blocking: nil
// if the peer is silent, io.EOF if it has closed, ErrUnexpectedData if it has sent
// something (a server's farewell error, for one). Connections without raw I/O are
// always taken for good.
func (c *Conn) CheckIdle() error {
	if c.w > c.r {
		return ErrUnexpectedData
	}
	if !c.raw.usable() {
		return nil
	}
	return c.raw.peek()
}

// WriteRaw writes b as it is, after what is buffered, in one system call if the
// socket takes it.
func (c *Conn) WriteRaw(b []byte) error {
	if c.out == nil {
		return c.write(b, nil)
	}
	err := c.write(c.out.b[:c.outN], b)
	c.dropOut()
	return err
}

// WriteRaw2 writes a, then b, in one system call if the socket takes it.
func (c *Conn) WriteRaw2(a, b []byte) error {
	if c.out != nil {
		if err := c.Flush(); err != nil {
			return err
		}
	}
	return c.write(a, b)
}

// Flush writes what is buffered.
func (c *Conn) Flush() error {
	if c.out == nil {
		return c.writeErr
	}
	err := c.write(c.out.b[:c.outN], nil)
	c.dropOut()
	return err
}

func (c *Conn) dropOut() {
	c.out.free()
	c.out, c.outN = nil, 0
}

// write writes a and b. A failure is final: part of the bytes may be out.
func (c *Conn) write(a, b []byte) error {
	if c.writeErr != nil {
		return c.writeErr
	}
	if len(a)+len(b) == 0 {
		return nil
	}
	var err error
	if c.raw.usable() {
		err = c.raw.write(a, b)
	} else {
		err = c.writePlain(a, b)
	}
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w (for %v): %w", ErrWriteTimeout, c.writeTimeout, err)
		}
		c.writeErr = err
	}
	return err
}

// writePlain writes in pieces, so that a peer that takes some of the bytes is not taken
// for one that takes none.
func (c *Conn) writePlain(a, b []byte) error {
	for _, p := range [2][]byte{a, b} {
		for len(p) > 0 {
			piece := p[:min(len(p), largeWindow)]
			if c.writeTimeout > 0 {
				now := time.Now()
				c.stalled.Store(now.UnixNano())
				if err := c.nc.SetWriteDeadline(now.Add(c.writeTimeout)); err != nil {
					return err
				}
			}
			if _, err := c.nc.Write(piece); err != nil {
				return err
			}
			p = p[len(piece):]
		}
	}
	if c.writeTimeout > 0 {
		c.stalled.Store(0)
		return c.nc.SetWriteDeadline(time.Time{})
	}
	return nil
}
