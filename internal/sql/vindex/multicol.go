package vindex

import (
	"fmt"
	"strconv"
	"strings"
)

// multiCol joins the leading bytes of one functional vindex for each column into an id of at most 8 bytes.
type multiCol struct {
	base
	parts []multiColPart
}

type multiColPart struct {
	vindex Functional
	bytes  int // taken of the part's id
}

func newMultiCol(b base, p params, opts Options) (Vindex, error) {
	count, err := strconv.Atoi(p["column_count"])
	if err != nil || count < 1 || count > idBytes {
		return nil, fmt.Errorf("parameter column_count is %q: want a number from 1 to %d", p["column_count"], idBytes)
	}
	m := &multiCol{base: b, parts: make([]multiColPart, count)}
	if err := m.setBytes(p); err != nil {
		return nil, fmt.Errorf("parameter column_bytes is %q: %w", p["column_bytes"], err)
	}
	if err := m.setVindexes(p, opts); err != nil {
		return nil, err
	}
	return m, nil
}

// setBytes takes each column's bytes from the parameter and shares the rest of the 8 evenly among the columns that it
// leaves out, the earlier ones getting the larger share.
func (m *multiCol) setBytes(p params) error {
	given := make([]bool, len(m.parts))
	rest, open := idBytes, len(m.parts)
	if list, ok := p["column_bytes"]; ok {
		items := strings.Split(list, ",")
		if len(items) > len(m.parts) {
			return fmt.Errorf("%d numbers for %d columns", len(items), len(m.parts))
		}
		for i, item := range items {
			if item == "" {
				continue
			}
			n, err := strconv.Atoi(item)
			if err != nil || n < 0 {
				return fmt.Errorf("%q is not a number of bytes", item)
			}
			m.parts[i].bytes, given[i] = n, true
			rest -= n
			open--
		}
	}
	if open > rest {
		return fmt.Errorf("the columns together need more than the %d bytes of a keyspace id", idBytes)
	}
	for i := range m.parts {
		if given[i] {
			continue
		}
		m.parts[i].bytes = (rest + open - 1) / open
		rest -= m.parts[i].bytes
		open--
	}
	return nil
}

// setVindexes makes each column's vindex; "hash" for those that the parameter leaves out. They share the parameters that are not multicol's own.
func (m *multiCol) setVindexes(p params, opts Options) error {
	var names []string
	if list, ok := p["column_vindex"]; ok {
		names = strings.Split(list, ",")
	}
	if len(names) > len(m.parts) {
		return fmt.Errorf("parameter column_vindex names %d vindexes for %d columns", len(names), len(m.parts))
	}
	used := map[string]bool{"column_count": true, "column_bytes": true, "column_vindex": true}
	m.cost = 0
	for i := range m.parts {
		typ := "hash"
		if i < len(names) && strings.TrimSpace(names[i]) != "" {
			typ = strings.TrimSpace(names[i])
		}
		v, err := New(typ, fmt.Sprintf("%s_%d", m.name, i), p.only(typ, used), opts)
		if err != nil {
			return fmt.Errorf("parameter column_vindex, column %d: %w", i+1, err)
		}
		f, ok := v.(Functional)
		if !ok {
			return fmt.Errorf("parameter column_vindex, column %d: %s is not a functional vindex over one column", i+1, typ)
		}
		m.parts[i].vindex = f
		m.cost += f.Cost()
	}
	for _, k := range p.names() {
		if !used[k] {
			return fmt.Errorf("parameter %s is known neither to multicol nor to the vindexes of its columns", k)
		}
	}
	return nil
}

// only returns the parameters that vindexes of the type know, and marks them as used.
func (p params) only(typ string, used map[string]bool) params {
	def, ok := definitionOf(typ)
	if !ok {
		return nil
	}
	out := params{}
	for _, k := range def.params {
		if v, ok := p[k]; ok {
			out[k], used[k] = v, true
		}
	}
	return out
}

func (m *multiCol) Columns() int { return len(m.parts) }

// Partial implements MultiColumn.
func (*multiCol) Partial() bool { return true }

func (m *multiCol) MapMulti(vs []Value, scratch []byte) (Dest, error) {
	if len(vs) > len(m.parts) {
		return Dest{}, nil
	}
	var id [idBytes]byte // apart from scratch, which serves the parts; what a short part leaves open stays zero
	n, at := 0, 0
	for i, v := range vs {
		part := m.parts[i]
		d, err := part.vindex.Map(v, scratch)
		if err != nil || d.Kind != DestID {
			return Dest{}, nil // as in Vitess: what one column can't map, no shard holds
		}
		n = at + copy(id[at:at+part.bytes], d.ID)
		at += part.bytes
	}
	joined := append(room(scratch, n)[:0], id[:n]...)
	if len(vs) < len(m.parts) {
		return prefixRange(joined), nil
	}
	return destID(joined)
}
