package value

import (
	"bytes"
	"cmp"
	"strconv"
)

// Compare orders two values of one column, in the text protocol's form, as ORDER BY of the server does; nil is NULL and
// comes first. It returns a negative number, zero or a positive one. For kinds that are not Comparable it orders by
// bytes, which groups equal bytes and is not the server's order. Text that is no value of the type compares by bytes.
func Compare(a, b []byte, t *Type) int {
	if a == nil || b == nil {
		switch {
		case a != nil:
			return 1
		case b != nil:
			return -1
		}
		return 0
	}
	switch t.Kind() {
	case KindInt, KindUint, KindYear, KindDecimal:
		return CompareNumbers(a, b)
	case KindFloat, KindDouble:
		x, err1 := strconv.ParseFloat(string(a), 64)
		y, err2 := strconv.ParseFloat(string(b), 64)
		if err1 == nil && err2 == nil {
			return cmp.Compare(x, y)
		}
	case KindTime:
		x, ok1 := parseTime(a)
		y, ok2 := parseTime(b)
		if ok1 && ok2 {
			return cmp.Compare(x, y)
		}
	case KindDate, KindDateTime:
		return compareMoments(a, b)
	case KindBit:
		return compareMagnitudes(bytes.TrimLeft(a, "\x00"), bytes.TrimLeft(b, "\x00"))
	}
	return bytes.Compare(a, b)
}

// compareMagnitudes compares unsigned big-endian numbers, or digits, without leading zeros.
func compareMagnitudes(a, b []byte) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}

// CompareNumbers compares two decimal numbers (-12, 3.50, .5, +7) exactly, of any length. Text that is no number compares by
// bytes.
func CompareNumbers(a, b []byte) int {
	x, ok1 := splitNumber(a)
	y, ok2 := splitNumber(b)
	if !ok1 || !ok2 {
		return bytes.Compare(a, b)
	}
	if x.neg != y.neg {
		if x.neg {
			return -1
		}
		return 1
	}
	c := compareMagnitudes(x.whole, y.whole)
	if c == 0 {
		c = bytes.Compare(x.frac, y.frac) // no trailing zeros, so a prefix is the smaller one
	}
	if x.neg {
		return -c
	}
	return c
}

// number is a decimal number in parts: digits before the point without leading zeros, behind it without trailing zeros.
type number struct {
	neg         bool // false for zero
	whole, frac []byte
}

func splitNumber(s []byte) (n number, ok bool) {
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		n.neg = s[0] == '-'
		s = s[1:]
	}
	point := len(s)
	for i, c := range s {
		switch {
		case c == '.' && point == len(s):
			point = i
		case c < '0' || c > '9':
			return n, false
		}
	}
	if len(s) == 0 || len(s) == 1 && point == 0 {
		return n, false
	}
	n.whole = bytes.TrimLeft(s[:point], "0")
	if point < len(s) {
		n.frac = bytes.TrimRight(s[point+1:], "0")
	}
	if len(n.whole) == 0 && len(n.frac) == 0 {
		n.neg = false
	}
	return n, true
}

// compareMoments compares dates and datetimes, 2026-01-31 or 2026-01-31 12:00:00.5: what is missing behind counts as zero.
func compareMoments(a, b []byte) int {
	n := min(len(a), len(b))
	if c := bytes.Compare(a[:n], b[:n]); c != 0 {
		return c
	}
	switch {
	case hasDigit(a[n:]):
		return 1
	case hasDigit(b[n:]):
		return -1
	}
	return 0
}

// hasDigit says whether there is a digit other than zero.
func hasDigit(s []byte) bool {
	for _, c := range s {
		if c >= '1' && c <= '9' {
			return true
		}
	}
	return false
}

// parseTime reads [-]HHH:MM:SS[.ffffff] as microseconds.
func parseTime(s []byte) (int64, bool) {
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	var parts [3]int64
	part, digits := 0, 0
	for len(s) > 0 && s[0] != '.' {
		switch c := s[0]; {
		case c == ':' && digits > 0 && part < 2:
			part, digits = part+1, 0
		case c >= '0' && c <= '9' && digits < 4:
			parts[part] = parts[part]*10 + int64(c-'0')
			digits++
		default:
			return 0, false
		}
		s = s[1:]
	}
	if part != 2 || digits == 0 {
		return 0, false
	}
	us := ((parts[0]*60+parts[1])*60 + parts[2]) * 1e6
	if len(s) > 0 {
		scale := int64(1e5)
		for _, c := range s[1:] {
			if c < '0' || c > '9' {
				return 0, false
			}
			us += int64(c-'0') * scale
			scale /= 10
		}
	}
	if neg {
		us = -us
	}
	return us, true
}
