package gtid

import (
	"encoding/binary"
	"fmt"
)

// The binary form is that of COM_BINLOG_DUMP_GTID and of the PREVIOUS_GTIDS event: a count of lines, and for each the
// UUID, a count of intervals, and each interval's start and end + 1; all integers 8 bytes, little-endian. With tags (MySQL
// 8.3 and later) the count's first and last byte are 1 with the count in the six bytes between, and behind each UUID
// stands the tag: twice its length in one byte, then its text.

// taggedMark is the first and the last byte of the count in the tagged form.
const taggedMark = 1

// AppendBinary appends the binary form to dst; the tagged form only if the set has a tag, so that older servers
// understand all sets that they can have.
func (s Set) AppendBinary(dst []byte) []byte {
	tagged := false
	for _, l := range s.lines {
		tagged = tagged || l.sid.Tag != ""
	}
	count := uint64(len(s.lines))
	if tagged {
		count = count<<8 | taggedMark | taggedMark<<56
	}
	dst = binary.LittleEndian.AppendUint64(dst, count)
	for _, l := range s.lines {
		dst = append(dst, l.sid.UUID[:]...)
		if tagged {
			dst = append(append(dst, byte(len(l.sid.Tag)<<1)), l.sid.Tag...)
		}
		dst = binary.LittleEndian.AppendUint64(dst, uint64(len(l.intervals)))
		for _, iv := range l.intervals {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(iv.First))
			dst = binary.LittleEndian.AppendUint64(dst, uint64(iv.Last)+1)
		}
	}
	return dst
}

// ParseBinary reads a set in binary form; all of data must belong to it. Memory is bounded by the length of data.
func ParseBinary(data []byte) (Set, error) {
	r := binaryReader{in: data}
	count := r.uint64()
	tagged := count>>56 == taggedMark
	if tagged {
		count = count << 8 >> 16
	}
	var lines []line
	for i := uint64(0); i < count && !r.bad; i++ {
		var l line
		copy(l.sid.UUID[:], r.take(16))
		if tagged {
			l.sid.Tag = r.tag()
		}
		n := r.uint64()
		if n > uint64(len(r.in)/16) {
			r.bad = true
			break
		}
		l.intervals = make([]Interval, 0, n)
		for range n {
			first, end := r.uint64(), r.uint64()
			if first < 1 || first >= end || end > MaxNumber+1 {
				r.bad = true
				break
			}
			l.intervals = append(l.intervals, Interval{int64(first), int64(end - 1)})
		}
		lines = append(lines, l)
	}
	if r.bad || len(r.in) > 0 {
		return Set{}, fmt.Errorf("parse binary gtid set of %d bytes: %w", len(data), ErrSyntax)
	}
	return canonical(lines), nil
}

// binaryReader takes values from the front of in; once bad, all it returns is zero.
type binaryReader struct {
	in  []byte
	bad bool
}

func (r *binaryReader) take(n int) []byte {
	if r.bad || len(r.in) < n {
		r.bad = true
		return nil
	}
	out := r.in[:n]
	r.in = r.in[n:]
	return out
}

func (r *binaryReader) uint64() uint64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (r *binaryReader) tag() string {
	b := r.take(1)
	if b == nil {
		return ""
	}
	n := int(b[0] >> 1)
	if b[0]&1 != 0 || n > maxTag {
		r.bad = true
		return ""
	}
	text := string(r.take(n))
	p := setParser{in: text}
	if tag, ok := p.tag(); text != "" && (!ok || tag != text) {
		r.bad = true
	}
	return text
}
