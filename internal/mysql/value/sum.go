package value

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// ErrNotNumber is in the chain of errors about text that is no number.
var ErrNotNumber = errors.New("not a number")

// ErrTooLarge says that a sum has more digits than MySQL's DECIMAL can have.
var ErrTooLarge = errors.New("more than 65 digits")

const (
	maxDigits = 65 // of a DECIMAL
	maxScale  = 38 // of them behind the point, on MariaDB; MySQL has 30
	// maxNumberText bounds the text of one number; DECIMAL needs 67 bytes, a server sends no more.
	maxNumberText = 128
)

// Sum adds numbers as SUM does: integers and decimals exactly, to the largest scale seen; floats in double precision, in the
// order in which they come. The zero value is an empty exact sum. Not for concurrent use.
type Sum struct {
	approx bool
	rows   bool    // something was added
	small  int64   // scaled by 10^scale; is to be added to total
	total  big.Int // scaled by 10^scale
	scale  int
	double float64
}

// NewSum makes an empty sum for partial sums of the column type: exact, but for FLOAT and DOUBLE.
func NewSum(t *Type) *Sum {
	k := t.Kind()
	return &Sum{approx: k == KindDouble || k == KindFloat}
}

// Add adds a number; nil (NULL) changes nothing.
func (s *Sum) Add(text []byte) error {
	if text == nil {
		return nil
	}
	if s.approx {
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return fmt.Errorf("add %q: %w", clip(text), ErrNotNumber)
		}
		s.double += f
		s.rows = true
		return nil
	}
	if n, scale, ok := parseSmall(text); ok && (scale == s.scale || !s.rows) {
		s.scale = scale
		s.addSmall(n)
		s.rows = true
		return nil
	}
	n, scale, err := parseDecimal(text)
	if err != nil {
		return err
	}
	s.flush()
	switch {
	case scale > s.scale:
		s.total.Mul(&s.total, pow10(scale-s.scale))
		s.scale = scale
	case scale < s.scale:
		n.Mul(n, pow10(s.scale-scale))
	}
	s.total.Add(&s.total, n)
	s.rows = true
	return nil
}

// addSmall adds without a big number as long as nothing overflows.
func (s *Sum) addSmall(n int64) {
	sum := s.small + n
	if (sum > s.small) != (n > 0) && n != 0 {
		s.flush()
		sum = n
	}
	s.small = sum
}

// flush moves the small part into the total, as it must be before the scale changes.
func (s *Sum) flush() {
	if s.small != 0 {
		s.total.Add(&s.total, big.NewInt(s.small))
		s.small = 0
	}
}

// Append appends the sum in the server's text form with decimals digits behind the point (39 and more: as many as the numbers
// had; for doubles see AppendDouble); it reports false, and appends nothing, if no number was added: then SUM is NULL.
func (s *Sum) Append(dst []byte, decimals int) ([]byte, bool, error) {
	if !s.rows {
		return dst, false, nil
	}
	if s.approx {
		return AppendDouble(dst, s.double, decimals), true, nil
	}
	s.flush()
	if decimals > maxScale {
		decimals = s.scale
	}
	dst, err := appendScaled(dst, rescale(&s.total, s.scale, decimals), decimals)
	return dst, err == nil, err
}

// Avg is the average of numbers known by partial sums and counts. The zero value is empty and exact.
type Avg struct {
	sum   Sum
	count uint64
}

// NewAvg makes an empty average for partial sums of the column type.
func NewAvg(t *Type) *Avg { return &Avg{sum: *NewSum(t)} }

// Add adds the SUM and the COUNT of one part.
func (a *Avg) Add(sum []byte, count []byte) error {
	n, err := strconv.ParseUint(string(count), 10, 64)
	if err != nil {
		return fmt.Errorf("count %q: %w", clip(count), ErrNotNumber)
	}
	a.count += n
	return a.sum.Add(sum)
}

// Append appends the average rounded half away from zero to decimals digits behind the point, as AVG is; false if it
// is NULL.
func (a *Avg) Append(dst []byte, decimals int) ([]byte, bool, error) {
	if !a.sum.rows || a.count == 0 {
		return dst, false, nil
	}
	if a.sum.approx {
		return AppendDouble(dst, a.sum.double/float64(a.count), decimals), true, nil
	}
	a.sum.flush()
	decimals = min(decimals, maxScale)
	num := new(big.Int).Set(&a.sum.total)
	den := new(big.Int).SetUint64(a.count)
	if shift := decimals - a.sum.scale; shift >= 0 {
		num.Mul(num, pow10(shift))
	} else {
		den.Mul(den, pow10(-shift))
	}
	dst, err := appendScaled(dst, divRound(num, den), decimals)
	return dst, err == nil, err
}

// parseSmall reads a number of up to 18 digits as an integer scaled by 10^scale.
func parseSmall(text []byte) (n int64, scale int, ok bool) {
	digits := text
	neg := len(text) > 0 && text[0] == '-'
	if neg {
		digits = text[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, 0, false
	}
	point := -1
	for i, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			n = n*10 + int64(c-'0')
		case c == '.' && point < 0 && len(digits) > 1:
			point = i
		default:
			return 0, 0, false
		}
	}
	if point >= 0 {
		scale = len(digits) - point - 1
	}
	if neg {
		n = -n
	}
	return n, scale, true
}

// parseDecimal reads an exact number as an integer scaled by 10^scale. Exponents are not exact numbers of SQL.
func parseDecimal(text []byte) (n *big.Int, scale int, err error) {
	bad := func() (*big.Int, int, error) {
		return nil, 0, fmt.Errorf("add %q: %w", clip(text), ErrNotNumber)
	}
	if len(text) > maxNumberText {
		return bad()
	}
	if _, ok := splitNumber(text); !ok {
		return bad()
	}
	s := string(text)
	if i := strings.IndexByte(s, '.'); i >= 0 {
		scale = len(s) - i - 1
		s = s[:i] + s[i+1:]
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return bad()
	}
	return n, scale, nil
}

// rescale changes the scale of n, rounding half away from zero.
func rescale(n *big.Int, from, to int) *big.Int {
	switch {
	case to > from:
		return new(big.Int).Mul(n, pow10(to-from))
	case to < from:
		return divRound(n, pow10(from-to))
	}
	return n
}

// divRound divides, rounding half away from zero; den is positive.
func divRound(num, den *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(num, den, new(big.Int))
	if r.Abs(r).Lsh(r, 1).Cmp(den) >= 0 {
		q.Add(q, big.NewInt(int64(num.Sign())))
	}
	return q
}

// pow10 is 10^n; n is at most maxNumberText.
func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// appendScaled appends n / 10^scale with all scale digits.
func appendScaled(dst []byte, n *big.Int, scale int) ([]byte, error) {
	digits := new(big.Int).Abs(n).String()
	if len(digits) > maxDigits {
		return dst, fmt.Errorf("sum of %d digits: %w", len(digits), ErrTooLarge)
	}
	if n.Sign() < 0 {
		dst = append(dst, '-')
	}
	for len(digits) <= scale {
		digits = "0" + digits
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	if scale > 0 {
		dst = append(append(dst, '.'), digits[len(digits)-scale:]...)
	}
	return dst, nil
}

// clip shortens text for an error message.
func clip(b []byte) []byte { return b[:min(len(b), 64)] }
