package value

import (
	"bytes"
	"math"
	"strconv"
)

// notFixed is the smallest number of decimals that means: as many as the value needs (MySQL announces 31, MariaDB 39).
const notFixed = 31

// AppendDouble appends a double as the servers print it: the shortest digits that give the value again; with an
// exponent, without a plus sign, when the value is 1e15 or larger and whole, or smaller than 1e-15. With fewer
// than 31 decimals the number has exactly that many digits behind the point. For very small numbers the servers print
// now and then a last digit that differs by one and gives the same double.
func AppendDouble(dst []byte, v float64, decimals int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "NULL"...)
	}
	if decimals < notFixed {
		return strconv.AppendFloat(dst, v, 'f', decimals, 64)
	}
	var buf [32]byte
	e := strconv.AppendFloat(buf[:0], v, 'e', -1, 64)
	mant, expText, _ := bytes.Cut(e, []byte{'e'})
	exp, err := strconv.Atoi(string(expText))
	if err != nil {
		return append(dst, e...)
	}
	digits := len(bytes.TrimLeft(mant, "-"))
	if digits > 1 {
		digits-- // the point
	}
	point := exp + 1 // digits before the point
	if point > -15 && (point <= 15 || digits > point) {
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	dst = append(append(dst, mant...), 'e')
	return strconv.AppendInt(dst, int64(exp), 10)
}
