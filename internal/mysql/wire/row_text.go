package wire

import "math"

const nullValue = 0xfb

// AppendTextRow appends a text row's payload; a nil value is NULL.
func AppendTextRow(dst []byte, values [][]byte) []byte {
	for _, v := range values {
		if v == nil {
			dst = append(dst, nullValue)
			continue
		}
		dst = AppendLenencString(dst, v)
	}
	return dst
}

// ParseTextRow reads a text row's payload into the values of into, which must be as
// long as the result has columns; if into is nil, the row has as many values as it
// has. NULL is nil, the empty string is not. The values are slices of payload.
func ParseTextRow(payload []byte, into [][]byte) ([][]byte, error) {
	p := payload
	open := into == nil
	for i := 0; i < len(into) || open && len(p) > 0; i++ {
		if open {
			into = append(into, nil)
		}
		if len(p) > 0 && p[0] == nullValue {
			into[i] = nil
			p = p[1:]
			continue
		}
		n, size := LenencInt(p)
		if size == 0 || n > math.MaxInt32 || int(n) > len(p)-size {
			return nil, malformed("text row")
		}
		end := size + int(n)
		into[i] = p[size:end:end]
		p = p[end:]
	}
	if len(p) > 0 {
		return nil, malformed("text row: more values than columns")
	}
	return into, nil
}
