package parse

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// maxSlots bounds the slots of one fingerprint: a plan that is worth caching has far fewer, and Slot is 12 bytes.
const maxSlots = 4096

// Fingerprint appends the slots of src to slots and returns the hash of all other bytes, blanks and case included. It
// allocates only when slots has too little room. It is false when the text has no tokens (a string that never ends, a
// zero byte), has more than 4096 slots, or is longer than 2 GB; then the shape means nothing.
//
// The sign of a number is part of the shape, as are introducers (_utf8mb4, N), hints, and comments with a version;
// a comment that the server would not execute is hashed as it stands.
func Fingerprint(src []byte, mode Mode, slots []Slot) (Shape, []Slot, bool) {
	if len(src) > math.MaxInt32 {
		return Shape{}, slots, false
	}
	f := fingerprinter{src: src, slots: slots, first: len(slots), a: seedA, b: seedB}
	if !f.scan(&mode) {
		return Shape{}, f.slots, false
	}
	f.hash(f.done, len(src), markEnd)
	return f.shape(), f.slots, true
}

// Seeds and multipliers of the two lanes: odd, with about half of their bits set, otherwise arbitrary.
const (
	seedA = 0x9c6e6877736c46e3
	seedB = 0xd1b54a32d192ed03
	mulA  = 0xa24baed4963ee407
	mulB  = 0x9fb21c651e98df25

	markLine = uint64(SlotComment) + 1 // a comment to the end of a line is another shape than a block
	markEnd  = markLine + 1
)

type fingerprinter struct {
	src   []byte
	slots []Slot
	first int // slots that were there before
	done  int // bytes before it are hashed or belong to slots
	a, b  uint64
}

func (f *fingerprinter) word(w uint64) {
	hi, lo := bits.Mul64(f.a^w, mulA)
	f.a = hi ^ lo
	hi, lo = bits.Mul64(f.b^bits.RotateLeft64(w, 32), mulB)
	f.b = hi ^ lo
}

// hash takes in src[from:to] and what follows it. The length and the mark make the sequence of pieces unambiguous.
func (f *fingerprinter) hash(from, to int, mark uint64) {
	p := f.src[from:to]
	n := len(p)
	f.word(uint64(n)<<8 | mark)
	for ; len(p) > 8; p = p[8:] {
		f.word(binary.LittleEndian.Uint64(p))
	}
	switch {
	case n >= 8: // the last eight bytes, some of them for the second time
		f.word(binary.LittleEndian.Uint64(f.src[to-8 : to]))
	case n >= 4:
		f.word(uint64(binary.LittleEndian.Uint32(p))<<32 | uint64(binary.LittleEndian.Uint32(p[n-4:])))
	case n > 0:
		f.word(uint64(p[0])<<16 | uint64(p[n/2])<<8 | uint64(p[n-1]))
	}
}

func (f *fingerprinter) shape() Shape {
	a, b := f.a, f.b
	hi, lo := bits.Mul64(a^seedB, b^mulA)
	return Shape{Hi: hi ^ lo ^ a, Lo: b ^ bits.RotateLeft64(a*mulB, 31)}
}

// add closes the piece before a slot.
func (f *fingerprinter) add(start, end int, kind SlotKind, mark uint64, escaped bool) bool {
	f.hash(f.done, start, mark)
	f.done = end
	if len(f.slots)-f.first >= maxSlots {
		return false
	}
	f.slots = append(f.slots, Slot{Start: int32(start), End: int32(end), Kind: kind, Escaped: escaped})
	return true
}

// scan finds the slots. It must agree with lexer.next about them; a fuzz test compares the two.
func (f *fingerprinter) scan(m *Mode) bool {
	src := f.src
	code := false // inside an executed comment
	for i := 0; i < len(src); {
		switch c := src[i]; class[c] {
		case classIdent:
			end, kind := i, tokenKind(0)
			if i+1 < len(src) && src[i+1] == '\'' {
				end, kind = quotedBits(src, i)
			}
			if kind != 0 {
				if end < 0 || !f.add(i, end, SlotHexBit, uint64(SlotHexBit), false) {
					return false
				}
				i = end
				continue
			}
			if c == '$' {
				if end = dollarQuoted(src, i, m); end > 0 {
					i = end
					continue
				}
			}
			for i++; i < len(src) && identByte[src[i]]; {
				i++
			}
			if i < len(src) && src[i] == '.' {
				i = skipDotted(src, i)
			}
		case classSpace, classPunct:
			i++
		case classDot:
			if i+1 == len(src) || !isDigit(src[i+1]) {
				i++
				continue
			}
			fallthrough
		case classDigit:
			end, kind := number(src, i)
			switch kind {
			case kindIdent:
				end = skipDotted(src, end)
			case kindHex, kindBit:
				if !f.add(i, end, SlotHexBit, uint64(SlotHexBit), false) {
					return false
				}
			default:
				if !f.add(i, end, SlotNumber, uint64(SlotNumber), false) {
					return false
				}
			}
			i = end
		case classQuote, classDoubleQuote:
			if c == '"' && m.ANSIQuotes {
				if i = skipQuotedName(src, i); i < 0 {
					return false
				}
				i = skipDotted(src, i)
				continue
			}
			end, escaped := skipStrings(src, i, m)
			if end < 0 || !f.add(i, end, SlotString, uint64(SlotString), escaped) {
				return false
			}
			i = end
		default:
			if i = f.rare(i, m, &code); i < 0 {
				return false
			}
		}
	}
	return !code
}

// rare is scan for the tokens that few statements have. It returns the end of the token, -1 if there is none.
func (f *fingerprinter) rare(i int, m *Mode, code *bool) int {
	src := f.src
	switch class[src[i]] {
	case classParam:
		if !f.add(i, i+1, SlotParam, uint64(SlotParam), false) {
			return -1
		}
		return i + 1
	case classBacktick:
		if i = skipQuotedName(src, i); i < 0 {
			return -1
		}
		return skipDotted(src, i)
	case classAt:
		return skipVariable(src, i)
	case classStar:
		if *code && i+1 < len(src) && src[i+1] == '/' {
			*code = false
			return i + 2
		}
		return i + 1
	case classNul:
		return -1
	}
	end, what := comment(src, i, m)
	switch what {
	case commentNone:
		return i + 1
	case commentBroken:
		return -1
	case commentCode:
		*code = true
	case commentLine, commentBlock:
		mark := uint64(SlotComment)
		if what == commentLine {
			mark = markLine
		}
		if !f.add(i, end, SlotComment, mark, false) {
			return -1
		}
	}
	return end
}
