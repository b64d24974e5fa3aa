package vindex

import (
	"encoding/json"
	"fmt"
)

// cfc is a composite of fixed-width parts in one column, each hashed on its own, so that values with a common prefix
// lie in a common range. Without a hash the id is the value itself. A part's hash is never longer than the part.
type cfc struct {
	base
	add     func(dst, b []byte) []byte // nil: no hash
	offsets []int                      // ends of all parts but the last; ascending; only with a hash
}

func newCFC(b base, p params) (Vindex, error) {
	c := &cfc{base: b}
	switch h := p["hash"]; h {
	case "":
		if p["offsets"] != "" {
			return nil, fmt.Errorf("parameter offsets has a meaning only together with the parameter hash")
		}
		return c, nil
	case "md5":
		c.add = appendMD5
	case "xxhash64":
		c.add = appendXX
	default:
		return nil, fmt.Errorf("parameter hash is %q: want md5 or xxhash64", h)
	}
	text := p["offsets"]
	if err := json.Unmarshal([]byte(text), &c.offsets); err != nil || !ascending(c.offsets) {
		return nil, fmt.Errorf("parameter offsets is %q: want ascending positive numbers such as [2,4]", text)
	}
	return c, nil
}

func ascending(ns []int) bool {
	prev := 0
	for _, n := range ns {
		if n <= prev {
			return false
		}
		prev = n
	}
	return len(ns) > 0
}

func (c *cfc) Map(v Value, scratch []byte) (Dest, error) {
	b, err := bytesOf(v)
	if err != nil {
		return Dest{}, err
	}
	if c.add == nil {
		return destID(b)
	}
	if need := c.offsets[len(c.offsets)-1]; len(b) < need {
		return Dest{}, fmt.Errorf("value has %d bytes, vindex %s needs at least %d (its last offset)", len(b), c.name, need)
	}
	return destID(c.appendParts(scratch[:0], b))
}

// appendParts appends the hashes of b's parts; a b that ends within a fixed part leaves that part out.
func (c *cfc) appendParts(dst, b []byte) []byte {
	from := 0
	for _, to := range c.offsets {
		if len(b) < to {
			return dst
		}
		dst = c.appendPart(dst, b[from:to])
		from = to
	}
	if from < len(b) {
		dst = c.appendPart(dst, b[from:])
	}
	return dst
}

func (c *cfc) appendPart(dst, part []byte) []byte {
	at := len(dst)
	dst = c.add(dst, part)
	return dst[:min(len(dst), at+len(part))]
}
