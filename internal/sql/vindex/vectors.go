package vindex

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// maxVectorLine bounds one line of MapJSONLines: 64 MiB of hexadecimal digits and some.
const maxVectorLine = 129 << 20

// MapJSONLines reads lines {"type", "params", "values": [{"type", "hex"}]} and writes each with its answer added at the end:
// "keyspace_id" as hexadecimal digits, "(empty)" for the empty id or "(none)" if no shard can hold the values, or "key_range" as
// "START-END". Other fields stay as they are; answers that are there already are replaced. A line that can't be
// answered gets "error" and does not stop the rest; only a failure of r or w is returned.
func MapJSONLines(r io.Reader, w io.Writer, opts Options) error {
	m := mapper{opts: opts, made: map[string]Vindex{}}
	out := bufio.NewWriter(w)
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxVectorLine)
	for n := 1; in.Scan(); n++ {
		line := bytes.TrimSpace(in.Bytes())
		if len(line) == 0 {
			continue
		}
		out.Write(m.answer(line))
		if err := out.WriteByte('\n'); err != nil {
			return fmt.Errorf("writing the answer to line %d: %w", n, err)
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("reading the values: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the answers: %w", err)
	}
	return nil
}

// mapper answers lines and keeps the vindexes it has made.
type mapper struct {
	opts Options
	made map[string]Vindex
}

// maxMade bounds the vindexes that a mapper keeps; past it, it starts anew.
const maxMade = 256

// field is a member of a JSON object, its value as written.
type field struct {
	name  string
	value json.RawMessage
}

func (m *mapper) answer(line []byte) []byte {
	fields, err := splitObject(line)
	if err != nil {
		return encodeObject([]field{textField("error", fmt.Sprintf("not a JSON object: %v", err))})
	}
	fields = slices.DeleteFunc(fields, func(f field) bool {
		return f.name == "keyspace_id" || f.name == "key_range" || f.name == "error"
	})
	d, err := m.mapLine(line)
	switch {
	case err != nil:
		fields = append(fields, textField("error", err.Error()))
	case d.Kind == DestRange:
		fields = append(fields, textField("key_range", d.KeyRange().Name()))
	case d.Kind == DestNone:
		fields = append(fields, textField("keyspace_id", "(none)"))
	case len(d.ID) == 0:
		fields = append(fields, textField("keyspace_id", "(empty)"))
	default:
		fields = append(fields, textField("keyspace_id", hex.EncodeToString(d.ID)))
	}
	return encodeObject(fields)
}

func (m *mapper) mapLine(line []byte) (Dest, error) {
	var ask struct {
		Type   string            `json:"type"`
		Params map[string]string `json:"params"`
		Values []struct {
			Type string `json:"type"`
			Hex  string `json:"hex"`
		} `json:"values"`
	}
	if err := json.Unmarshal(line, &ask); err != nil {
		return Dest{}, fmt.Errorf("want {\"type\", \"params\", \"values\": [{\"type\", \"hex\"}]}: %w", err)
	}
	vs := make([]Value, len(ask.Values))
	for i, v := range ask.Values {
		kind, err := KindOf(v.Type)
		if err != nil {
			return Dest{}, fmt.Errorf("value %d: %w", i+1, err)
		}
		raw, err := hex.DecodeString(v.Hex)
		if err != nil {
			return Dest{}, fmt.Errorf("value %d: hex: %w", i+1, err)
		}
		vs[i] = Value{Kind: kind, Raw: raw}
	}
	v, err := m.vindex(ask.Type, ask.Params)
	if err != nil {
		return Dest{}, err
	}
	switch v := v.(type) {
	case MultiColumn:
		return v.MapMulti(vs, nil)
	case Functional:
		if len(vs) != 1 {
			return Dest{}, fmt.Errorf("%d values: vindex type %s maps one column", len(vs), ask.Type)
		}
		return v.Map(vs[0], nil)
	}
	return Dest{}, fmt.Errorf("vindex type %s maps by the rows of a lookup table, which can't be read here", ask.Type)
}

func (m *mapper) vindex(typ string, ps map[string]string) (Vindex, error) {
	key := strings.Builder{}
	fmt.Fprintf(&key, "%q", typ)
	for _, k := range slices.Sorted(maps.Keys(ps)) {
		fmt.Fprintf(&key, " %q=%q", k, ps[k])
	}
	if v, ok := m.made[key.String()]; ok {
		return v, nil
	}
	v, err := New(typ, typ, ps, m.opts)
	if err != nil {
		return nil, err
	}
	if len(m.made) >= maxMade {
		clear(m.made)
	}
	m.made[key.String()] = v
	return v, nil
}

// KindOf returns the kind of values of a column or literal type, by the names that Vitess gives to types (INT64, VARCHAR, NULL_TYPE, ...).
func KindOf(typeName string) (ValueKind, error) {
	switch typeName {
	case "NULL_TYPE", "NULL":
		return Null, nil
	case "INT8", "INT16", "INT24", "INT32", "INT64":
		return Int, nil
	case "UINT8", "UINT16", "UINT24", "UINT32", "UINT64", "YEAR":
		return Uint, nil
	case "DECIMAL":
		return Decimal, nil
	case "FLOAT32", "FLOAT64":
		return Float, nil
	case "VARCHAR", "CHAR", "TEXT", "ENUM", "SET", "JSON", "DATE", "TIME", "DATETIME", "TIMESTAMP":
		return Text, nil
	case "VARBINARY", "BINARY", "BLOB", "BIT", "GEOMETRY", "VECTOR", "RAW":
		return Binary, nil
	case "HEXNUM", "HEXVAL":
		return HexLiteral, nil
	case "BITNUM":
		return BitLiteral, nil
	}
	return Null, fmt.Errorf("unknown type of value %q", typeName)
}

// splitObject returns the members of a JSON object in their order.
func splitObject(text []byte) ([]field, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("want an object in braces")
	}
	var fields []field
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		f := field{name: name.(string)} // a member's name is a string, or Token fails
		if err := dec.Decode(&f.value); err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("text after the object")
	}
	return fields, nil
}

func encodeObject(fields []field) []byte {
	out := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, encodeText(f.name)...), ':')
		out = append(out, f.value...)
	}
	return append(out, '}')
}

func textField(name, value string) field { return field{name: name, value: encodeText(value)} }

// encodeText writes a JSON string as the vector files do: characters of HTML are not escaped.
func encodeText(s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return []byte(`""`) // a string always encodes
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'})
}
