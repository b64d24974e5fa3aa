package gtid

import "fmt"

// ParseSet reads a MySQL set as the server does: UUIDs with or without hyphens or braces, tags, intervals in any order,
// white space between the parts, empty parts. An interval whose end is before its start is empty.
func ParseSet(text string) (Set, error) {
	if len(text) > MaxText {
		return Set{}, fmt.Errorf("parse gtid set: %d bytes, the limit is %d: %w", len(text), MaxText, ErrSyntax)
	}
	p := setParser{in: text}
	var lines []line
	for {
		p.space()
		if p.done() {
			break
		}
		if p.take(',') {
			continue
		}
		var ok bool
		if lines, ok = p.server(lines); !ok {
			return Set{}, fmt.Errorf("parse gtid set: %s at byte %d of %q: %w", p.what, p.at, clip(text), ErrSyntax)
		}
	}
	return canonical(lines), nil
}

type setParser struct {
	in   string
	at   int
	what string // what was wrong, if something was
}

func (p *setParser) done() bool { return p.at >= len(p.in) }

func (p *setParser) space() {
	for p.at < len(p.in) {
		switch p.in[p.at] {
		case ' ', '\t', '\n', '\r', '\v', '\f':
			p.at++
		default:
			return
		}
	}
}

func (p *setParser) take(c byte) bool {
	if p.at < len(p.in) && p.in[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *setParser) fail(what string) bool {
	p.what = what
	return false
}

// server reads a UUID and what belongs to it, up to a comma or the end.
func (p *setParser) server(lines []line) ([]line, bool) {
	sid := SID{}
	if !p.uuid(&sid.UUID) {
		return lines, p.fail("expected a UUID")
	}
	cur := -1
	for {
		p.space()
		if !p.take(':') {
			break
		}
		p.space()
		if tag, ok := p.tag(); ok {
			sid.Tag, cur = tag, -1
			continue
		}
		iv, ok := p.interval()
		if !ok {
			return lines, false
		}
		if iv.Last < iv.First {
			continue
		}
		if cur < 0 {
			cur = len(lines)
			lines = append(lines, line{sid: sid})
		}
		lines[cur].intervals = append(lines[cur].intervals, iv)
	}
	if !p.done() && !p.take(',') {
		return lines, p.fail("expected a comma")
	}
	return lines, true
}

func (p *setParser) uuid(out *[16]byte) bool {
	brace := p.take('{')
	hyphens := len(p.in) > p.at+8 && p.in[p.at+8] == '-'
	for i := range out {
		if hyphens && (i == 4 || i == 6 || i == 8 || i == 10) && !p.take('-') {
			return false
		}
		if p.at+2 > len(p.in) {
			return false
		}
		hi, lo := unhex(p.in[p.at]), unhex(p.in[p.at+1])
		if hi > 15 || lo > 15 {
			return false
		}
		out[i] = hi<<4 | lo
		p.at += 2
	}
	return !brace || p.take('}')
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// maxTag is the longest tag, in bytes.
const maxTag = 32

// tag reads a tag, in lower case; if there is none or it is too long, it takes nothing.
func (p *setParser) tag() (string, bool) {
	end := p.at
	for end < len(p.in) && tagByte(p.in[end], end == p.at) {
		end++
	}
	if end == p.at || end-p.at > maxTag {
		return "", false
	}
	raw := []byte(p.in[p.at:end])
	for i, c := range raw {
		if 'A' <= c && c <= 'Z' {
			raw[i] = c + 'a' - 'A'
		}
	}
	p.at = end
	return string(raw), true
}

func tagByte(c byte, first bool) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || !first && '0' <= c && c <= '9'
}

func (p *setParser) interval() (iv Interval, ok bool) {
	if iv.First, ok = p.number(); !ok {
		return iv, false
	}
	if iv.First == 0 {
		return iv, p.fail("a number is zero")
	}
	iv.Last = iv.First
	p.space()
	if !p.take('-') {
		return iv, true
	}
	p.space()
	iv.Last, ok = p.number()
	return iv, ok
}

func (p *setParser) number() (int64, bool) {
	start := p.at
	var n int64
	for p.at < len(p.in) && '0' <= p.in[p.at] && p.in[p.at] <= '9' {
		d := int64(p.in[p.at] - '0')
		if n > (MaxNumber-d)/10 {
			return 0, p.fail("a number is out of range")
		}
		n = n*10 + d
		p.at++
	}
	if p.at == start {
		return 0, p.fail("expected a number")
	}
	return n, true
}
