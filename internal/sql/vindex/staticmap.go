package vindex

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
)

// staticMap is numeric with exceptions: a number in the map gets the mapped one; the others go to the fallback vindex, or stay as they are.
type staticMap struct {
	base
	mapped   map[uint64]uint64
	fallback Functional // nil: the number itself
}

func newStaticMap(b base, p params, opts Options) (Vindex, error) {
	text, inline := p["json"]
	path, file := p["json_path"]
	var data []byte
	switch {
	case inline == file:
		return nil, fmt.Errorf("give exactly one of the parameters json and json_path")
	case inline:
		data = []byte(text)
	default:
		var err error
		if data, err = opts.read("json_path", path); err != nil {
			return nil, err
		}
	}
	s := &staticMap{base: b}
	var err error
	if s.mapped, err = parseStaticMap(data); err != nil {
		return nil, fmt.Errorf("map of numbers: %w", err)
	}
	if typ, ok := p["fallback_type"]; ok {
		v, err := New(typ, b.name+"_fallback", nil, opts)
		if err != nil {
			return nil, fmt.Errorf("parameter fallback_type: %w", err)
		}
		f, ok := v.(Functional)
		if !ok {
			return nil, fmt.Errorf("parameter fallback_type: %s is not a functional vindex over one column", typ)
		}
		s.fallback = f
	}
	return s, nil
}

func parseStaticMap(data []byte) (map[uint64]uint64, error) {
	var byText map[string]uint64
	if err := json.Unmarshal(data, &byText); err != nil {
		return nil, err
	}
	mapped := make(map[uint64]uint64, len(byText))
	for k, to := range byText {
		from, err := strconv.ParseUint(k, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("key %q: want an unsigned 64-bit number", k)
		}
		if old, dup := mapped[from]; dup && old != to {
			return nil, fmt.Errorf("number %d is mapped twice, to %d and to %d", from, old, to)
		}
		mapped[from] = to
	}
	return mapped, nil
}

func (s *staticMap) Map(v Value, scratch []byte) (Dest, error) {
	n, ok := asUint64(v)
	if !ok {
		return Dest{}, nil
	}
	to, ok := s.mapped[n]
	switch {
	case ok:
		n = to
	case s.fallback != nil:
		return s.fallback.Map(v, scratch)
	}
	return destID(bigEndian(n, scratch))
}

// regionJSON prefixes the hash of the first column with the number of the region that the map gives for the second.
type regionJSON struct {
	base
	des     des64
	bytes   int // of the region's number: 1 or 2
	regions map[string]uint64
}

func newRegionJSON(b base, p params, opts Options) (Vindex, error) {
	n, err := p.regionBytes()
	if err != nil {
		return nil, err
	}
	path, ok := p["region_map"]
	if !ok {
		return nil, fmt.Errorf("parameter region_map is missing: want the path of a JSON file {\"name\": number}")
	}
	data, err := opts.read("region_map", path)
	if err != nil {
		return nil, err
	}
	r := &regionJSON{base: b, bytes: n}
	if err := json.Unmarshal(data, &r.regions); err != nil {
		return nil, fmt.Errorf("region map %s: %w", path, err)
	}
	r.des, err = newDES64()
	return r, err
}

func (*regionJSON) Columns() int  { return 2 }
func (*regionJSON) Partial() bool { return false }

func (r *regionJSON) MapMulti(vs []Value, scratch []byte) (Dest, error) {
	if len(vs) != 2 {
		return Dest{}, nil
	}
	n, ok := asUint64(vs[0])
	if !ok {
		return Dest{}, nil
	}
	region, ok := r.regions[string(vs[1].Raw)]
	if !ok {
		return Dest{}, nil
	}
	return destID(regionID(region, r.bytes, r.des, n, scratch))
}

// regionID is the low 1 or 2 bytes of region, then the hash of n.
func regionID(region uint64, width int, d des64, n uint64, scratch []byte) []byte {
	id := room(scratch, width+idBytes)
	putRegion(id, region, width)
	d.encrypt(n, id[width:])
	return id
}

func putRegion(dst []byte, region uint64, width int) {
	if width == 1 {
		dst[0] = byte(region)
		return
	}
	binary.BigEndian.PutUint16(dst, uint16(region))
}

// region ("region_experimental") prefixes the hash of the second column with the number in the first.
type region struct {
	base
	des   des64
	bytes int
}

func newRegion(b base, p params) (Vindex, error) {
	n, err := p.regionBytes()
	if err != nil {
		return nil, err
	}
	r := &region{base: b, bytes: n}
	r.des, err = newDES64()
	return r, err
}

func (*region) Columns() int  { return 2 }
func (*region) Partial() bool { return true }

func (r *region) MapMulti(vs []Value, scratch []byte) (Dest, error) {
	if len(vs) == 0 || len(vs) > 2 {
		return Dest{}, nil
	}
	num, ok := asUint64(vs[0])
	if !ok {
		return Dest{}, nil
	}
	if len(vs) == 1 {
		prefix := room(scratch, r.bytes)
		putRegion(prefix, num, r.bytes)
		return prefixRange(prefix), nil
	}
	n, ok := asUint64(vs[1])
	if !ok {
		return Dest{}, nil
	}
	return destID(regionID(num, r.bytes, r.des, n, scratch))
}

func (p params) regionBytes() (int, error) {
	switch p["region_bytes"] {
	case "1":
		return 1, nil
	case "2":
		return 2, nil
	}
	return 0, fmt.Errorf("parameter region_bytes is %q: want 1 or 2", p["region_bytes"])
}
