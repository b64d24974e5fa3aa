package wire

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendSQL appends the parameter as an SQL literal. noBackslash says that the
// session's sql_mode has NO_BACKSLASH_ESCAPES. Bytes that are not UTF-8, and values
// of the blob types, get the introducer _binary.
//
// It is for sessions whose character_set_client is utf8mb4, utf8mb3, latin1, ascii
// or binary. Where a multi-byte character may contain the byte of a backslash or a
// quote (gbk, sjis, big5, cp932, gb18030) quoting is not safe: use AppendHex there.
func (p *Param) AppendSQL(dst []byte, noBackslash bool) ([]byte, error) {
	if p.Null || p.Type == TypeNull {
		return append(dst, "NULL"...), nil
	}
	if n := valueSize(p.Type); n > 0 {
		if len(p.Raw) != n {
			return dst, malformed("parameter")
		}
		return p.appendNumber(dst), nil
	}
	if isTemporal(p.Type) {
		dst = append(dst, '\'')
		dst, err := p.AppendText(dst)
		return append(dst, '\''), err
	}
	switch p.Type {
	case TypeDecimal, TypeNewDecimal:
		if isNumber(p.Raw) {
			return append(dst, p.Raw...), nil
		}
	case TypeTinyBlob, TypeMediumBlob, TypeLongBlob, TypeBlob, TypeGeometry, TypeBit, TypeVector:
		return AppendQuoted(append(dst, "_binary"...), p.Raw, noBackslash), nil
	}
	if !utf8.Valid(p.Raw) {
		dst = append(dst, "_binary"...)
	}
	return AppendQuoted(dst, p.Raw, noBackslash), nil
}

// AppendHex appends a string parameter as a hexadecimal literal after an
// introducer, such as "_gbk"; all other values as AppendSQL does.
func (p *Param) AppendHex(dst []byte, introducer string) ([]byte, error) {
	if p.Null || valueSize(p.Type) != 0 || isTemporal(p.Type) {
		return p.AppendSQL(dst, true)
	}
	const hexDigits = "0123456789abcdef"
	dst = append(append(dst, introducer...), " x'"...)
	for _, b := range p.Raw {
		dst = append(dst, hexDigits[b>>4], hexDigits[b&15])
	}
	return append(dst, '\''), nil
}

// AppendText appends the value as the text that it has in a text row; nothing for
// NULL.
func (p *Param) AppendText(dst []byte) ([]byte, error) {
	if p.Null || p.Type == TypeNull {
		return dst, nil
	}
	n := valueSize(p.Type)
	if n == 0 && !isTemporal(p.Type) {
		return append(dst, p.Raw...), nil
	}
	if n > 0 && len(p.Raw) != n {
		return dst, malformed("parameter")
	}
	c := Column{Type: p.Type, Decimals: notFixed}
	if p.Unsigned {
		c.Flags = FlagUnsigned
	}
	out, ok := appendValueText(dst, &c, p.Raw)
	if !ok {
		return dst, malformed("parameter")
	}
	return out, nil
}

// Int returns an integer parameter's value: as bits, to be taken as an int64 unless
// Unsigned. ok is false if the parameter is no integer.
func (p *Param) Int() (v uint64, ok bool) {
	switch p.Type {
	case TypeTiny, TypeShort, TypeYear, TypeLong, TypeInt24, TypeLongLong:
		if p.Null || len(p.Raw) != valueSize(p.Type) {
			return 0, false
		}
		if p.Unsigned {
			return uintOf(p.Raw), true
		}
		return uint64(intOf(p.Raw)), true
	}
	return 0, false
}

// Float returns a floating-point parameter's value.
func (p *Param) Float() (v float64, ok bool) {
	switch {
	case p.Null:
	case p.Type == TypeFloat && len(p.Raw) == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(p.Raw))), true
	case p.Type == TypeDouble && len(p.Raw) == 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(p.Raw)), true
	}
	return 0, false
}

// maxExactFloat is the number up to which a double without fraction is printed as
// an integer, exactly.
const maxExactFloat = 1 << 53

func (p *Param) appendNumber(dst []byte) []byte {
	if v, ok := p.Int(); ok {
		if p.Unsigned {
			return strconv.AppendUint(dst, v, 10)
		}
		return strconv.AppendInt(dst, int64(v), 10)
	}
	v, _ := p.Float()
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return append(dst, "NULL"...) // what the servers make of them
	case v == math.Trunc(v) && math.Abs(v) <= maxExactFloat:
		// Clients that know only doubles send integers so, also where the grammar wants
		// an integer: LIMIT.
		return strconv.AppendInt(dst, int64(v), 10)
	case p.Type == TypeFloat:
		return strconv.AppendFloat(dst, v, 'e', -1, 32)
	}
	return strconv.AppendFloat(dst, v, 'e', -1, 64) // the exponent makes it a double, not a decimal
}

// isNumber says whether v can stand in a statement as a decimal number.
func isNumber(v []byte) bool {
	i, digits, points := 0, 0, 0
	if len(v) > 0 && (v[0] == '-' || v[0] == '+') {
		i++
	}
	for ; i < len(v); i++ {
		switch {
		case v[i] >= '0' && v[i] <= '9':
			digits++
		case v[i] == '.' && points == 0:
			points++
		default:
			return false
		}
	}
	return digits > 0
}

// AppendQuoted appends s as a string literal in single quotes. With noBackslash
// only quotes are doubled; see AppendSQL for the character sets that this is safe in.
func AppendQuoted(dst, s []byte, noBackslash bool) []byte {
	dst = append(dst, '\'')
	for _, b := range s {
		switch {
		case b == '\'':
			dst = append(dst, '\'', '\'')
		case noBackslash:
			dst = append(dst, b)
		case b == '\\':
			dst = append(dst, '\\', '\\')
		case b == 0:
			dst = append(dst, '\\', '0')
		default:
			dst = append(dst, b)
		}
	}
	return append(dst, '\'')
}

// Params for those who bind values themselves.

// IntParam binds a signed integer.
func IntParam(v int64) Param {
	return Param{Type: TypeLongLong, Raw: binary.LittleEndian.AppendUint64(nil, uint64(v))}
}

// UintParam binds an unsigned integer.
func UintParam(v uint64) Param {
	return Param{Type: TypeLongLong, Unsigned: true, Raw: binary.LittleEndian.AppendUint64(nil, v)}
}

// FloatParam binds a double.
func FloatParam(v float64) Param {
	return Param{Type: TypeDouble, Raw: binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))}
}

// TextParam binds a string in the connection's character set.
func TextParam(s string) Param { return Param{Type: TypeVarString, Raw: []byte(s)} }

// BlobParam binds bytes, which are kept.
func BlobParam(b []byte) Param { return Param{Type: TypeBlob, Raw: b} }

// NullParam binds NULL.
func NullParam() Param { return Param{Type: TypeNull, Null: true} }
