package wire

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Sockets are read and written by recv and send, which cost a tenth less than read and write: those go through the layer of
// files first.

// rawLimit is the longest transfer for which the scheduler is not told that a
// system call is going on. Non-blocking calls of this size return within tens of
// microseconds, less than the scheduler's own reaction time; telling it costs more.
const rawLimit = 64 << 10

// rawSocket does the I/O of a Conn by system calls of its own. The callbacks are
// made once, and what they work on is kept here, so that a call allocates nothing.
type rawSocket struct {
	rc              syscall.RawConn // nil: not a plain socket
	c               *Conn
	readFn, writeFn func(fd uintptr) bool

	dst   []byte // read: where to; nil: into a pooled window that becomes c.in
	n     int    // read: the bytes got
	errno syscall.Errno

	a, b     []byte // write: what is left
	iov      [2]syscall.Iovec
	progress bool // write: bytes have gone out since the deadline was set
	blocked  bool // write: the deadline has to be set (again) before waiting
}

func (s *rawSocket) init(c *Conn, nc net.Conn) {
	var sc syscall.Conn
	// Only the two exact types: a type that wraps them may mean to see the bytes.
	switch t := nc.(type) {
	case *net.TCPConn:
		sc = t
	case *net.UnixConn:
		sc = t
	default:
		return
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return
	}
	s.rc, s.c = rc, c
	s.readFn, s.writeFn = s.tryRead, s.tryWrite
}

func (s *rawSocket) usable() bool { return s.rc != nil }

// read reads once, into dst or, if dst is nil, into a window taken when there is
// something to read.
func (s *rawSocket) read(dst []byte) (int, error) {
	s.dst, s.n, s.errno = dst, 0, 0
	err := s.rc.Read(s.readFn)
	s.dst = nil
	if err != nil {
		return 0, err
	}
	if s.errno != 0 {
		return 0, os.NewSyscallError("read", s.errno)
	}
	if s.n == 0 {
		return 0, io.EOF
	}
	return s.n, nil
}

func (s *rawSocket) tryRead(fd uintptr) bool {
	dst := s.dst
	var lent *buffer
	if dst == nil {
		lent = takeSmall()
		dst = lent.b
	}
	n, e := readOnce(fd, dst)
	if e == 0 && n > 0 {
		s.n = n
		if lent != nil {
			s.c.in = lent
		}
		return true
	}
	if lent != nil {
		lent.free()
	}
	if e == syscall.EAGAIN {
		return false
	}
	s.errno = e
	return true
}

func readOnce(fd uintptr, dst []byte) (int, syscall.Errno) {
	for {
		var n uintptr
		var e syscall.Errno
		p, size := uintptr(unsafe.Pointer(&dst[0])), uintptr(len(dst))
		if len(dst) <= rawLimit {
			n, _, e = syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, p, size, syscall.MSG_DONTWAIT, 0, 0)
		} else {
			n, _, e = syscall.Syscall6(syscall.SYS_RECVFROM, fd, p, size, syscall.MSG_DONTWAIT, 0, 0)
		}
		if e != syscall.EINTR {
			return int(n), e
		}
	}
}

// write writes a, then b.
func (s *rawSocket) write(a, b []byte) error {
	s.a, s.b, s.errno, s.progress = a, b, 0, true
	armed := false
	for {
		s.blocked = false
		err := s.rc.Write(s.writeFn)
		if err == nil && s.blocked {
			armed = true
			s.progress = false
			now := time.Now()
			s.c.stalled.Store(now.UnixNano())
			if err = s.c.nc.SetWriteDeadline(now.Add(s.c.writeTimeout)); err == nil {
				continue
			}
		}
		s.a, s.b = nil, nil
		if err != nil {
			return err
		}
		if s.errno != 0 {
			return os.NewSyscallError("write", s.errno)
		}
		if armed {
			s.c.stalled.Store(0)
			return s.c.nc.SetWriteDeadline(time.Time{})
		}
		return nil
	}
}

func (s *rawSocket) tryWrite(fd uintptr) bool {
	for len(s.a)+len(s.b) > 0 {
		n, e := s.writeOnce(fd)
		switch e {
		case 0:
			s.progress = true
			k := min(n, len(s.a))
			s.a = s.a[k:]
			s.b = s.b[n-k:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			if s.c.writeTimeout > 0 && s.progress {
				s.blocked = true
				return true
			}
			return false
		default:
			s.errno = e
			return true
		}
	}
	return true
}

func (s *rawSocket) writeOnce(fd uintptr) (int, syscall.Errno) {
	total := len(s.a) + len(s.b)
	trap, p, n, flags := uintptr(syscall.SYS_SENDTO), unsafe.Pointer(nil), uintptr(total), uintptr(syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
	switch {
	case len(s.b) == 0:
		p = unsafe.Pointer(&s.a[0])
	case len(s.a) == 0:
		p = unsafe.Pointer(&s.b[0])
	default:
		s.iov[0].Base, s.iov[1].Base = &s.a[0], &s.b[0]
		s.iov[0].SetLen(len(s.a))
		s.iov[1].SetLen(len(s.b))
		trap, p, n, flags = syscall.SYS_WRITEV, unsafe.Pointer(&s.iov[0]), 2, 0
	}
	var w uintptr
	var e syscall.Errno
	if total <= rawLimit {
		w, _, e = syscall.RawSyscall6(trap, fd, uintptr(p), n, flags, 0, 0)
	} else {
		w, _, e = syscall.Syscall6(trap, fd, uintptr(p), n, flags, 0, 0)
	}
	s.iov[0].Base, s.iov[1].Base = nil, nil
	return int(w), e
}

// peek looks for bytes or the end of the stream without waiting.
func (s *rawSocket) peek() error {
	var one [1]byte
	var n int
	var rerr error
	err := s.rc.Control(func(fd uintptr) {
		for {
			n, _, rerr = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if rerr != syscall.EINTR {
				return
			}
		}
	})
	switch {
	case err != nil:
		return err
	case rerr == syscall.EAGAIN:
		return nil
	case rerr != nil:
		return os.NewSyscallError("recv", rerr)
	case n == 0:
		return io.EOF
	default:
		return ErrUnexpectedData
	}
}
