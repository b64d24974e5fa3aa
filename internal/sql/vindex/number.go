package vindex

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// asUint64 reads v as an unsigned number the way Vitess casts any value for its numeric vindexes: optional blanks (space,
// tab), decimal digits, optional blanks. A sign, a fraction, an exponent or a value above 2^64-1 is no number, and neither is NULL.
func asUint64(v Value) (uint64, bool) {
	if v.Kind == Null {
		return 0, false
	}
	s := v.Raw
	for len(s) > 0 && isBlank(s[0]) {
		s = s[1:]
	}
	n := 0
	var u uint64
	for ; n < len(s) && s[n] >= '0' && s[n] <= '9'; n++ {
		d := uint64(s[n] - '0')
		if u > (1<<64-1)/10 || u*10 > 1<<64-1-d {
			return 0, false
		}
		u = u*10 + d
	}
	if n == 0 {
		return 0, false
	}
	for ; n < len(s); n++ {
		if !isBlank(s[n]) {
			return 0, false
		}
	}
	return u, true
}

// asSigned reads the text of a signed integer: an optional sign and digits, nothing else, within 64 bits.
func asSigned(s []byte) (int64, bool) {
	neg := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if len(s) == 0 || isBlank(s[0]) || isBlank(s[len(s)-1]) {
		return 0, false
	}
	u, ok := asUint64(Value{Kind: Uint, Raw: s})
	switch {
	case !ok:
		return 0, false
	case neg && u <= 1<<63:
		return -int64(u), true // for 1<<63 the negation wraps to the lowest int64, which is right
	case !neg && u < 1<<63:
		return int64(u), true
	}
	return 0, false
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

var errLiteral = errors.New("not a well-formed literal")

// bytesOf returns the bytes that a byte-wise vindex hashes: the text of a number, the bytes of a string, nothing for NULL,
// and the decoded bytes of a hexadecimal or bit literal.
func bytesOf(v Value) ([]byte, error) {
	switch v.Kind {
	case Null:
		return nil, nil
	case HexLiteral:
		b, err := decodeHex(v.Raw)
		if err != nil {
			return nil, fmt.Errorf("hexadecimal literal %q: %w", v.Raw, err)
		}
		return b, nil
	case BitLiteral:
		b, err := decodeBits(v.Raw)
		if err != nil {
			return nil, fmt.Errorf("bit literal %q: %w", v.Raw, err)
		}
		return b, nil
	default:
		return v.Raw, nil
	}
}

// LiteralNumber returns the number that a hexadecimal or bit literal is where a number is wanted; ok is false when it has
// more than 64 bits, or is not well-formed.
func LiteralNumber(v Value) (n uint64, ok bool) {
	b, err := bytesOf(v)
	if err != nil || len(b) > idBytes {
		return 0, false
	}
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n, true
}

// decodeHex decodes 0xA1 (an odd count of digits has a zero put before it, as in MySQL) and x'A1'.
func decodeHex(raw []byte) ([]byte, error) {
	switch {
	case len(raw) > 2 && raw[0] == '0' && raw[1] == 'x':
		digits := raw[2:]
		if len(digits)%2 == 1 {
			digits = append([]byte{'0'}, digits...)
		}
		return decodeDigits(digits)
	case len(raw) >= 3 && (raw[0] == 'x' || raw[0] == 'X') && raw[1] == '\'' && raw[len(raw)-1] == '\'':
		return decodeDigits(raw[2 : len(raw)-1])
	}
	return nil, errLiteral
}

func decodeDigits(digits []byte) ([]byte, error) {
	out := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(out, digits); err != nil {
		return nil, err
	}
	return out, nil
}

// maxBitDigits bounds a bit literal; MySQL's BIT has at most 64.
const maxBitDigits = 4096

// decodeBits decodes 0b101 and b'101' to the bytes that MySQL stores for them: as many as the digits fill, zeros included.
func decodeBits(raw []byte) ([]byte, error) {
	var digits []byte
	switch {
	case len(raw) > 2 && raw[0] == '0' && raw[1] == 'b':
		digits = raw[2:]
	case len(raw) >= 3 && (raw[0] == 'b' || raw[0] == 'B') && raw[1] == '\'' && raw[len(raw)-1] == '\'':
		digits = raw[2 : len(raw)-1]
	default:
		return nil, errLiteral
	}
	if len(digits) > maxBitDigits {
		return nil, fmt.Errorf("%d binary digits, at most %d are accepted", len(digits), maxBitDigits)
	}
	out := make([]byte, (len(digits)+7)/8)
	for i, c := range digits {
		place := len(digits) - 1 - i
		switch c {
		case '1':
			out[len(out)-1-place/8] |= 1 << (place % 8)
		case '0':
		default:
			return nil, errLiteral
		}
	}
	return out, nil
}
