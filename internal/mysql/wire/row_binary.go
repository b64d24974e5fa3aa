package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// valueSize returns the size of a type's binary value, 0 if a length stands before
// it, and -1 if there is no value at all.
func valueSize(t byte) int {
	switch t {
	case TypeTiny:
		return 1
	case TypeShort, TypeYear:
		return 2
	case TypeLong, TypeInt24, TypeFloat:
		return 4
	case TypeLongLong, TypeDouble:
		return 8
	case TypeNull:
		return -1
	}
	return 0
}

// value takes a binary value of type t without the length before it.
func (r *reader) value(t byte) []byte {
	switch n := valueSize(t); {
	case n > 0:
		return r.bytes(n)
	case n < 0:
		return nil
	}
	return r.lenencBytes()
}

// bitmapLen is the size of the bitmap of NULLs of n values, of which the first has
// the bit offset.
func bitmapLen(n, offset int) int { return (n + offset + 7) / 8 }

// rowBitOffset is where the bits of a row's bitmap begin; those of parameters
// begin at 0.
const rowBitOffset = 2

// ParseBinaryRow reads a row of a prepared statement and gives its values as the
// text that the same server would send for the same query as text; nil is NULL.
// values is used if it is long enough; the text is appended to text, which is
// returned for use with the next row.
func ParseBinaryRow(payload []byte, cols []Column, values [][]byte, text []byte) ([][]byte, []byte, error) {
	r := reader{p: payload}
	head := r.u8()
	bitmap := r.bytes(bitmapLen(len(cols), rowBitOffset))
	if r.bad || head != packetOK {
		return nil, text, malformed("binary row")
	}
	if cap(values) < len(cols) {
		values = make([][]byte, len(cols))
	}
	values = values[:len(cols)]
	for i := range cols {
		bit := i + rowBitOffset
		if bitmap[bit/8]&(1<<(bit%8)) != 0 {
			values[i] = nil
			continue
		}
		raw := r.value(cols[i].Type)
		if r.bad {
			return nil, text, malformed("binary row")
		}
		if valueSize(cols[i].Type) == 0 && !isTemporal(cols[i].Type) {
			values[i] = raw[:len(raw):len(raw)]
			if raw == nil {
				values[i] = []byte{}
			}
			continue
		}
		at := len(text)
		var ok bool
		if text, ok = appendValueText(text, &cols[i], raw); !ok {
			return nil, text, malformed("binary row: value of column " + cols[i].Name)
		}
		values[i] = text[at:len(text):len(text)]
	}
	if len(r.p) > 0 {
		return nil, text, malformed("binary row: more values than columns")
	}
	return values, text, nil
}

func isTemporal(t byte) bool {
	switch t {
	case TypeDate, TypeNewDate, TypeDatetime, TypeTimestamp, TypeTime:
		return true
	}
	return false
}

// appendValueText appends the text of a number or a time.
func appendValueText(dst []byte, c *Column, raw []byte) ([]byte, bool) {
	switch c.Type {
	case TypeTiny, TypeShort, TypeYear, TypeLong, TypeInt24, TypeLongLong:
		return appendIntText(dst, c, raw), true
	case TypeFloat:
		return appendFloatText(dst, c, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))), 32), true
	case TypeDouble:
		return appendFloatText(dst, c, math.Float64frombits(binary.LittleEndian.Uint64(raw)), 64), true
	case TypeDate, TypeNewDate:
		d, ok := decodeDatetime(raw)
		return d.appendDate(dst), ok
	case TypeDatetime, TypeTimestamp:
		d, ok := decodeDatetime(raw)
		return appendFraction(d.appendClock(append(d.appendDate(dst), ' ')), d.micros, c.Decimals), ok
	case TypeTime:
		d, ok := decodeTime(raw)
		if d.negative {
			dst = append(dst, '-')
		}
		return appendFraction(d.appendClock(dst), d.micros, c.Decimals), ok
	}
	return dst, false
}

func uintOf(raw []byte) uint64 {
	var v uint64
	for i, b := range raw {
		v |= uint64(b) << (8 * i)
	}
	return v
}

// intOf reads a signed integer of len(raw) bytes.
func intOf(raw []byte) int64 {
	shift := 64 - 8*len(raw)
	return int64(uintOf(raw)<<shift) >> shift
}

func appendIntText(dst []byte, c *Column, raw []byte) []byte {
	at := len(dst)
	if c.Unsigned() {
		dst = strconv.AppendUint(dst, uintOf(raw), 10)
	} else {
		dst = strconv.AppendInt(dst, intOf(raw), 10)
	}
	if c.Flags&FlagZerofill == 0 {
		return dst
	}
	for len(dst)-at < int(min(c.Length, 255)) {
		dst = append(dst, 0)
		copy(dst[at+1:], dst[at:])
		dst[at] = '0'
	}
	return dst
}

// notFixed is the least Decimals of a floating-point column whose values are
// printed with as many digits as they need.
const notFixed = 31

// appendFloatText prints a number as the servers do: with the fixed decimals of the
// column, or with the shortest digits that give the value back (6 for a FLOAT), as
// a plain number while the point lies within 15 digits, else with an exponent.
func appendFloatText(dst []byte, c *Column, v float64, bits int) []byte {
	if c.Decimals < notFixed {
		return appendFixed(dst, v, int(c.Decimals))
	}
	prec := -1
	if bits == 32 {
		prec = 5
	}
	var mem [32]byte
	e := strconv.AppendFloat(mem[:0], v, 'e', prec, 64) // d.ddde±dd
	return appendShortest(dst, e)
}

// appendFixed prints v with so many decimals: if the shortest digits that give it
// back are fewer, these and zeros, not the digits of its exact value.
func appendFixed(dst []byte, v float64, decimals int) []byte {
	at := len(dst)
	dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
	have := 0
	if point := bytes.IndexByte(dst[at:], '.'); point >= 0 {
		have = len(dst) - at - point - 1
	} else if decimals > 0 {
		dst = append(dst, '.')
	}
	if have > decimals {
		return strconv.AppendFloat(dst[:at], v, 'f', decimals, 64)
	}
	for ; have < decimals; have++ {
		dst = append(dst, '0')
	}
	return dst
}

// appendShortest turns Go's exponent form into the servers' form.
func appendShortest(dst, e []byte) []byte {
	if len(e) > 0 && e[0] == '-' {
		dst = append(dst, '-')
		e = e[1:]
	}
	at := 0
	for at < len(e) && e[at] != 'e' {
		at++
	}
	if at == len(e) {
		return append(dst, e...) // NaN, Inf: servers have none
	}
	exp, err := strconv.Atoi(string(e[at+1:]))
	if err != nil {
		return append(dst, e...)
	}
	var digits []byte
	for _, d := range e[:at] {
		if d != '.' {
			digits = append(digits, d)
		}
	}
	for len(digits) > 1 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	const maxPoint = 15
	point := exp + 1 // the decimal point stands after so many digits
	switch {
	case point > maxPoint || point < -maxPoint+1:
		dst = append(dst, digits[0])
		if len(digits) > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		return strconv.AppendInt(append(dst, 'e'), int64(exp), 10)
	case point <= 0:
		dst = append(dst, '0')
		if digits[0] == '0' {
			return dst
		}
		dst = append(dst, '.')
		for range -point {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	for i := range max(point, len(digits)) {
		if i == point {
			dst = append(dst, '.')
		}
		if i < len(digits) {
			dst = append(dst, digits[i])
		} else {
			dst = append(dst, '0')
		}
	}
	return dst
}

// moment is a decoded date, datetime or time. hour may be as great as 838 in a time.
type moment struct {
	year, month, day, hour, minute, second, micros uint32
	negative                                       bool
}

func decodeDatetime(raw []byte) (moment, bool) {
	r := reader{p: raw}
	var m moment
	switch len(raw) {
	case 0:
		return m, true
	case 4, 7, 11:
	default:
		return m, false
	}
	m.year, m.month, m.day = uint32(r.u16()), uint32(r.u8()), uint32(r.u8())
	if len(raw) > 4 {
		m.hour, m.minute, m.second = uint32(r.u8()), uint32(r.u8()), uint32(r.u8())
	}
	if len(raw) > 7 {
		m.micros = r.u32()
	}
	return m, m.micros < 1e6
}

func decodeTime(raw []byte) (moment, bool) {
	r := reader{p: raw}
	var m moment
	switch len(raw) {
	case 0:
		return m, true
	case 8, 12:
	default:
		return m, false
	}
	m.negative = r.u8() != 0
	days := r.u32()
	m.hour, m.minute, m.second = uint32(r.u8()), uint32(r.u8()), uint32(r.u8())
	if len(raw) > 8 {
		m.micros = r.u32()
	}
	m.hour += days * 24
	return m, days < 1<<20 && m.micros < 1e6
}

func appendPadded(dst []byte, v uint32, width int) []byte {
	limit := uint32(1)
	for range width - 1 {
		limit *= 10
	}
	for ; v < limit && limit > 1; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendUint(dst, uint64(v), 10)
}

func (m *moment) appendDate(dst []byte) []byte {
	dst = append(appendPadded(dst, m.year, 4), '-')
	dst = append(appendPadded(dst, m.month, 2), '-')
	return appendPadded(dst, m.day, 2)
}

func (m *moment) appendClock(dst []byte) []byte {
	dst = append(appendPadded(dst, m.hour, 2), ':')
	dst = append(appendPadded(dst, m.minute, 2), ':')
	return appendPadded(dst, m.second, 2)
}

// appendFraction appends the column's number of fractional digits; where that is
// not known, all six or none.
func appendFraction(dst []byte, micros uint32, decimals byte) []byte {
	if decimals == 0 || decimals > 6 {
		if micros == 0 {
			return dst
		}
		decimals = 6
	}
	dst = appendPadded(append(dst, '.'), micros, 6)
	return dst[:len(dst)-6+int(decimals)]
}

// AppendBinaryRow appends a row of a prepared statement's answer: values are text,
// as in a text row, and are converted to what the types of cols demand; nil is NULL.
func AppendBinaryRow(dst []byte, cols []Column, values [][]byte) ([]byte, error) {
	if len(values) != len(cols) {
		return dst, fmt.Errorf("binary row: %d values for %d columns", len(values), len(cols))
	}
	dst = append(dst, packetOK)
	bitmap := len(dst)
	for range bitmapLen(len(cols), rowBitOffset) {
		dst = append(dst, 0)
	}
	for i, v := range values {
		if v == nil || cols[i].Type == TypeNull {
			bit := i + rowBitOffset
			dst[bitmap+bit/8] |= 1 << (bit % 8)
			continue
		}
		var ok bool
		if dst, ok = appendBinaryValue(dst, &cols[i], v); !ok {
			return dst, fmt.Errorf("binary row: column %s of type %d cannot hold %q", cols[i].Name, cols[i].Type, v)
		}
	}
	return dst, nil
}

// appendBinaryValue converts one text value.
func appendBinaryValue(dst []byte, c *Column, v []byte) ([]byte, bool) {
	switch c.Type {
	case TypeTiny, TypeShort, TypeYear, TypeLong, TypeInt24, TypeLongLong:
		n, ok := parseInt(v, c.Unsigned())
		size := valueSize(c.Type)
		for i := range size {
			dst = append(dst, byte(n>>(8*i)))
		}
		return dst, ok
	case TypeFloat:
		f, err := strconv.ParseFloat(string(v), 32)
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(f))), err == nil
	case TypeDouble:
		f, err := strconv.ParseFloat(string(v), 64)
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), err == nil
	case TypeDate, TypeNewDate, TypeDatetime, TypeTimestamp:
		m, ok := parseDatetime(v)
		return m.appendBinary(dst), ok
	case TypeTime:
		m, ok := parseTime(v)
		return m.appendBinaryTime(dst), ok
	}
	return AppendLenencString(dst, v), true
}

func parseInt(v []byte, unsigned bool) (uint64, bool) {
	if unsigned {
		n, err := strconv.ParseUint(string(v), 10, 64)
		return n, err == nil
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	return uint64(n), err == nil
}

// digits takes a number from the beginning of v.
func digits(v []byte) (n uint32, rest []byte, ok bool) {
	i := 0
	for i < len(v) && i < 9 && v[i] >= '0' && v[i] <= '9' {
		n = n*10 + uint32(v[i]-'0')
		i++
	}
	return n, v[i:], i > 0
}

// fields takes numbers with the separators of seps between them.
func fields(v []byte, sep byte, into ...*uint32) (rest []byte, ok bool) {
	for i, f := range into {
		if i > 0 {
			if len(v) == 0 || v[0] != sep {
				return v, false
			}
			v = v[1:]
		}
		if *f, v, ok = digits(v); !ok {
			return v, false
		}
	}
	return v, true
}

// fraction takes an optional fraction of a second.
func fraction(v []byte) (micros uint32, ok bool) {
	if len(v) == 0 {
		return 0, true
	}
	if v[0] != '.' || len(v) > 7 {
		return 0, false
	}
	n, rest, ok := digits(v[1:])
	if !ok || len(rest) > 0 {
		return 0, false
	}
	for range 7 - len(v) {
		n *= 10
	}
	return n, true
}

func parseDatetime(v []byte) (m moment, ok bool) {
	if v, ok = fields(v, '-', &m.year, &m.month, &m.day); !ok {
		return m, false
	}
	if len(v) > 0 {
		if v[0] != ' ' {
			return m, false
		}
		if v, ok = fields(v[1:], ':', &m.hour, &m.minute, &m.second); !ok {
			return m, false
		}
	}
	m.micros, ok = fraction(v)
	return m, ok && m.year < 1e4 && m.month < 100 && m.day < 100 && m.hour < 100 && m.minute < 100 && m.second < 100
}

func parseTime(v []byte) (m moment, ok bool) {
	if len(v) > 0 && v[0] == '-' {
		m.negative = true
		v = v[1:]
	}
	if v, ok = fields(v, ':', &m.hour, &m.minute, &m.second); !ok {
		return m, false
	}
	m.micros, ok = fraction(v)
	return m, ok && m.hour < 1e4 && m.minute < 100 && m.second < 100
}

// appendBinary appends a date or datetime in the shortest of its four forms.
func (m *moment) appendBinary(dst []byte) []byte {
	n := byte(11)
	switch {
	case m.micros != 0:
	case m.hour|m.minute|m.second != 0:
		n = 7
	case m.year|m.month|m.day != 0:
		n = 4
	default:
		return append(dst, 0)
	}
	dst = append(dst, n, byte(m.year), byte(m.year>>8), byte(m.month), byte(m.day))
	if n > 4 {
		dst = append(dst, byte(m.hour), byte(m.minute), byte(m.second))
	}
	if n > 7 {
		dst = binary.LittleEndian.AppendUint32(dst, m.micros)
	}
	return dst
}

func (m *moment) appendBinaryTime(dst []byte) []byte {
	n := byte(12)
	switch {
	case m.micros != 0:
	case m.hour|m.minute|m.second != 0:
		n = 8
	default:
		return append(dst, 0)
	}
	dst = append(dst, n, 0)
	if m.negative {
		dst[len(dst)-1] = 1
	}
	dst = binary.LittleEndian.AppendUint32(dst, m.hour/24)
	dst = append(dst, byte(m.hour%24), byte(m.minute), byte(m.second))
	if n > 8 {
		dst = binary.LittleEndian.AppendUint32(dst, m.micros)
	}
	return dst
}
