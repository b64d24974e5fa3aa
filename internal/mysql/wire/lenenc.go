package wire

import (
	"encoding/binary"
	"math"
)

// AppendLenencInt appends n as a length-encoded integer.
func AppendLenencInt(dst []byte, n uint64) []byte {
	switch {
	case n < 0xfb:
		return append(dst, byte(n))
	case n <= 0xffff:
		return append(dst, 0xfc, byte(n), byte(n>>8))
	case n <= 0xffffff:
		return append(dst, 0xfd, byte(n), byte(n>>8), byte(n>>16))
	default:
		return binary.LittleEndian.AppendUint64(append(dst, 0xfe), n)
	}
}

// AppendLenencString appends s with its length before it.
func AppendLenencString[T string | []byte](dst []byte, s T) []byte {
	return append(AppendLenencInt(dst, uint64(len(s))), s...)
}

// LenencInt reads a length-encoded integer and says how many bytes it took; 0
// bytes: p is too short or begins with no such integer. The byte 0xfb (NULL where
// a string may stand) is no integer.
func LenencInt(p []byte) (v uint64, size int) {
	if len(p) == 0 {
		return 0, 0
	}
	switch b := p[0]; {
	case b < 0xfb:
		return uint64(b), 1
	case b == 0xfc && len(p) >= 3:
		return uint64(p[1]) | uint64(p[2])<<8, 3
	case b == 0xfd && len(p) >= 4:
		return uint64(p[1]) | uint64(p[2])<<8 | uint64(p[3])<<16, 4
	case b == 0xfe && len(p) >= 9:
		return binary.LittleEndian.Uint64(p[1:]), 9
	}
	return 0, 0
}

// reader takes fields from a packet. After the first field that is not there it
// returns zero values, and bad stays set: callers check once, at the end.
type reader struct {
	p   []byte
	bad bool
}

func (r *reader) fail() { r.p, r.bad = nil, true }

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.p) {
		r.fail()
		return nil
	}
	b := r.p[:n:n]
	r.p = r.p[n:]
	return b
}

func (r *reader) u8() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) lenencInt() uint64 {
	v, n := LenencInt(r.p)
	if n == 0 {
		r.fail()
		return 0
	}
	r.p = r.p[n:]
	return v
}

func (r *reader) lenencBytes() []byte {
	n := r.lenencInt()
	if n > math.MaxInt32 {
		r.fail()
		return nil
	}
	return r.bytes(int(n))
}

// zeroString takes a string that ends with a zero byte.
func (r *reader) zeroString() []byte {
	for i, b := range r.p {
		if b == 0 {
			s := r.p[:i:i]
			r.p = r.p[i+1:]
			return s
		}
	}
	r.fail()
	return nil
}

// rest takes all that is left.
func (r *reader) rest() []byte {
	b := r.p
	r.p = nil
	return b
}
