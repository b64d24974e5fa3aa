package exec

import (
	"bytes"
	"strconv"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// form is how the values of a column are compared.
type form uint8

const (
	formBytes   form = iota // byte by byte: dates, bits, binary strings
	formInt                 // decimal digits with an optional sign
	formDecimal             // the same with a fraction
	formFloat
	formTime   // [-]hhh:mm:ss[.f]
	formWeight // by the server's weight string
)

// keyCompare compares rows by one key.
type keyCompare struct {
	col  int
	form form
	desc bool
}

// charsetBinary is the character set of values that have no collation.
const charsetBinary = 63

// formOf tells how a column is compared. Enumerations need their index when they order rows: ok is false then.
func formOf(c *wire.Column) (f form, ok bool) {
	if c.Flags&(wire.FlagEnum|wire.FlagSet) != 0 {
		return formWeight, false
	}
	switch c.Type {
	case wire.TypeTiny, wire.TypeShort, wire.TypeInt24, wire.TypeLong, wire.TypeLongLong, wire.TypeYear:
		return formInt, true
	case wire.TypeDecimal, wire.TypeNewDecimal:
		return formDecimal, true
	case wire.TypeFloat, wire.TypeDouble:
		return formFloat, true
	case wire.TypeTime:
		return formTime, true
	case wire.TypeVarchar, wire.TypeVarString, wire.TypeString, wire.TypeTinyBlob, wire.TypeBlob, wire.TypeMediumBlob, wire.TypeLongBlob:
		if c.Charset != charsetBinary {
			return formWeight, true
		}
	}
	return formBytes, true
}

// comparers resolves keys against the columns of the rows. plus has a bit for each key whose weight has to be asked
// for as a number, because it orders an enumeration; equal says that only equality matters, where a label will do.
func comparers(keys []plan.Key, cols []wire.Column, equal bool) (out []keyCompare, plus uint64, err error) {
	for _, k := range keys {
		at := index(k.Col, len(cols))
		if at < 0 {
			return nil, 0, errcode.New(errcode.InternalFault, "a sort key is beyond the columns of the shards")
		}
		f, ok := formOf(&cols[at])
		if cols[at].Type == typeJSON && !equal {
			return nil, 0, errcode.New(errcode.Unsupported, "ORDER BY a JSON value over several shards", "order by a value extracted from it")
		}
		c := keyCompare{col: at, form: f, desc: k.Desc}
		switch {
		case !ok && equal:
			c.form = formBytes
		case !ok && k.Number >= 0 && k.Weight != plan.NoColumn:
			plus |= 1 << min(k.Number, 63)
			c.col, c.form = index(k.Weight, len(cols)), formFloat
		case f == formWeight && k.Weight != plan.NoColumn:
			c.col, c.form = index(k.Weight, len(cols)), formBytes
		case f == formWeight:
			c.form = formBytes
		}
		out = append(out, c)
	}
	return out, plus, nil
}

// typeJSON is the type of JSON values of MySQL; MariaDB has none.
const typeJSON = 245

// index turns a Column into an index; -1 when it is outside.
func index(c plan.Column, width int) int {
	n := int(c)
	if n < 0 {
		n += width
	}
	if n < 0 || n >= width {
		return -1
	}
	return n
}

// compareRows orders two rows; NULL comes before everything else.
func compareRows(a, b [][]byte, keys []keyCompare) int {
	for _, k := range keys {
		c := compareValues(a[k.col], b[k.col], k.form)
		if c == 0 {
			continue
		}
		if k.desc {
			return -c
		}
		return c
	}
	return 0
}

// compareValues orders two values of one form.
func compareValues(a, b []byte, f form) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch f {
	case formInt, formDecimal:
		return compareDecimals(a, b)
	case formFloat:
		x, _ := strconv.ParseFloat(string(a), 64)
		y, _ := strconv.ParseFloat(string(b), 64)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	case formTime:
		return compareTimes(a, b)
	}
	return bytes.Compare(a, b)
}

// compareDecimals orders decimal texts without converting them.
func compareDecimals(a, b []byte) int {
	na, a := sign(a)
	nb, b := sign(b)
	c := compareMagnitudes(a, b)
	switch {
	case c == 0 && isZero(a):
		return 0
	case na != nb && na:
		return -1
	case na != nb:
		return 1
	case na:
		return -c
	}
	return c
}

func sign(v []byte) (negative bool, rest []byte) {
	if len(v) > 0 && (v[0] == '-' || v[0] == '+') {
		return v[0] == '-', v[1:]
	}
	return false, v
}

func isZero(v []byte) bool {
	for _, c := range v {
		if c != '0' && c != '.' {
			return false
		}
	}
	return true
}

func compareMagnitudes(a, b []byte) int {
	ia, fa, _ := bytes.Cut(a, []byte{'.'})
	ib, fb, _ := bytes.Cut(b, []byte{'.'})
	ia, ib = bytes.TrimLeft(ia, "0"), bytes.TrimLeft(ib, "0")
	if len(ia) != len(ib) {
		if len(ia) < len(ib) {
			return -1
		}
		return 1
	}
	if c := bytes.Compare(ia, ib); c != 0 {
		return c
	}
	return bytes.Compare(bytes.TrimRight(fa, "0"), bytes.TrimRight(fb, "0"))
}

// compareTimes orders [-]hhh:mm:ss[.f]; hours may have two or three digits.
func compareTimes(a, b []byte) int {
	na, a := sign(a)
	nb, b := sign(b)
	c := 0
	ha, hb := bytes.IndexByte(a, ':'), bytes.IndexByte(b, ':')
	if ha != hb {
		c = 1
		if ha < hb {
			c = -1
		}
	} else {
		c = bytes.Compare(a, b)
	}
	switch {
	case na != nb && na:
		return -1
	case na != nb:
		return 1
	case na:
		return -c
	}
	return c
}

// appendIdentity writes what rows that are equal by the keys have in common, and others don't.
func appendIdentity(dst []byte, row [][]byte, keys []keyCompare) []byte {
	for _, k := range keys {
		v := row[k.col]
		if v == nil {
			dst = append(dst, 0)
			continue
		}
		if k.form == formDecimal && isZero(bytes.TrimPrefix(v, []byte{'-'})) {
			v = []byte{'0'}
		}
		dst = append(dst, 1)
		dst = strconv.AppendInt(dst, int64(len(v)), 10)
		dst = append(dst, ':')
		dst = append(dst, v...)
	}
	return dst
}
