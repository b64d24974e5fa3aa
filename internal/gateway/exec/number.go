package exec

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// number is an exact sum of decimal texts, and the inexact one of the same values as doubles.
type number struct {
	digits big.Int // the sum times 10^scale
	scale  int
	float  float64
	rough  bool // a value had an exponent: only float holds the sum
}

// add adds a decimal or floating point text.
func (n *number) add(v []byte) error {
	text := string(v)
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		// Servers take the leading number of a string, and 0 when it has none; sums of strings come as doubles already.
		return fmt.Errorf("value %.64q to be summed is no number: %w", v, err)
	}
	n.float += f
	if strings.ContainsAny(text, "eE") {
		n.rough = true
	}
	if n.rough {
		return nil
	}
	whole, frac, _ := strings.Cut(text, ".")
	var d big.Int
	if _, ok := d.SetString(whole+frac, 10); !ok {
		return fmt.Errorf("value %.64q to be summed is no decimal number", v)
	}
	switch {
	case len(frac) > n.scale:
		n.digits.Mul(&n.digits, pow10(len(frac)-n.scale))
		n.scale = len(frac)
	case len(frac) < n.scale:
		d.Mul(&d, pow10(n.scale-len(frac)))
	}
	n.digits.Add(&n.digits, &d)
	return nil
}

func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// text is the sum with the given number of decimals, or as servers print a double.
func (n *number) text(scale int, double bool) []byte {
	if double || n.rough {
		return appendDouble(nil, n.float)
	}
	return n.quotient(1, scale)
}

// average is the sum divided by count, rounded half away from zero.
func (n *number) average(count int64, scale int, double bool) []byte {
	if double || n.rough {
		return appendDouble(nil, n.float/float64(count))
	}
	return n.quotient(count, scale)
}

func (n *number) quotient(by int64, scale int) []byte {
	num := new(big.Int).Set(&n.digits)
	den := new(big.Int).Mul(big.NewInt(by), pow10(n.scale))
	num.Mul(num, pow10(scale))
	negative := num.Sign() < 0
	num.Abs(num)
	// floor((2*num + den) / (2*den)) rounds half up.
	num.Lsh(num, 1).Add(num, den)
	num.Quo(num, den.Lsh(den, 1))
	text := num.String()
	if scale > 0 {
		if len(text) <= scale {
			text = strings.Repeat("0", scale+1-len(text)) + text
		}
		text = text[:len(text)-scale] + "." + text[len(text)-scale:]
	}
	if negative && num.Sign() != 0 {
		text = "-" + text
	}
	return []byte(text)
}

// appendDouble prints a double as servers do: the shortest text that reads back, with an exponent from 1e15 up and
// below 1e-15.
func appendDouble(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	if abs == 0 {
		return append(dst, '0')
	}
	if abs >= 1e15 || abs < 1e-15 {
		text := strconv.FormatFloat(f, 'e', -1, 64)
		mantissa, exp, _ := strings.Cut(text, "e")
		e, err := strconv.Atoi(exp)
		if err != nil {
			return append(dst, text...)
		}
		dst = append(dst, mantissa...)
		dst = append(dst, 'e')
		return strconv.AppendInt(dst, int64(e), 10)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}
