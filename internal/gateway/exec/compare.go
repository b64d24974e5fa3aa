package exec

import (
	"bytes"
	"strconv"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// keyCompare compares rows by one key.
type keyCompare struct {
	col  int
	typ  value.Type
	raw  bool // byte by byte: weight strings, and what only has to be told apart
	desc bool
}

// typeOf is the type of a column as values are compared by.
func typeOf(c *wire.Column) value.Type {
	return value.TypeOf(c.Type, c.Flags, c.Charset, c.Decimals, c.Length)
}

// comparers resolves keys against the columns of the rows. plus has a bit for each key whose weight has to be asked
// for as a number, because it orders an enumeration; equal says that only equality matters, where a label will do.
func comparers(keys []plan.Key, cols []wire.Column, equal bool) (out []keyCompare, plus uint64, err error) {
	for _, k := range keys {
		at := index(k.Col, len(cols))
		if at < 0 {
			return nil, 0, errcode.New(errcode.InternalFault, "a sort key is beyond the columns of the shards")
		}
		c := keyCompare{col: at, typ: typeOf(&cols[at]), desc: k.Desc}
		weighed := k.Weight != plan.NoColumn
		switch kind := c.typ.Kind(); {
		case kind == value.KindJSON && !equal:
			return nil, 0, errcode.New(errcode.Unsupported, "ORDER BY a JSON value over several shards", "order by a value extracted from it")
		case (kind == value.KindEnum || kind == value.KindSet) && !equal && weighed && k.Number >= 0:
			plus |= 1 << min(k.Number, 63)
			c.col = index(k.Weight, len(cols))
			c.typ = typeOf(&cols[c.col])
		case kind == value.KindString && weighed:
			c.col, c.raw = index(k.Weight, len(cols)), true
		case !kind.Comparable():
			c.raw = true
		}
		out = append(out, c)
	}
	return out, plus, nil
}

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
	for i := range keys {
		k := &keys[i]
		c := compareValues(a[k.col], b[k.col], k)
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

// compareValues orders two values of one key.
func compareValues(a, b []byte, k *keyCompare) int {
	if k.raw && a != nil && b != nil {
		return bytes.Compare(a, b)
	}
	return value.Compare(a, b, &k.typ)
}

// appendIdentity writes what rows that are equal by the keys have in common, and others don't.
func appendIdentity(dst []byte, row [][]byte, keys []keyCompare) []byte {
	for i := range keys {
		v := row[keys[i].col]
		if v == nil {
			dst = append(dst, 0)
			continue
		}
		if kind := keys[i].typ.Kind(); !keys[i].raw && kind.Numeric() {
			v = canonicalZero(v)
		}
		dst = append(dst, 1)
		dst = strconv.AppendInt(dst, int64(len(v)), 10)
		dst = append(dst, ':')
		dst = append(dst, v...)
	}
	return dst
}

// canonicalZero makes the zeros of a number type alike: -0, 0.00.
func canonicalZero(v []byte) []byte {
	for _, c := range v {
		if c != '0' && c != '.' && c != '-' {
			return v
		}
	}
	return []byte{'0'}
}
