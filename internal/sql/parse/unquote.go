package parse

// Unquote appends to dst the value of the string slot s of src. Adjacent strings are joined. It expects a slot that
// Fingerprint returned for the same text and mode; for slots of other kinds it appends their text as written.
func Unquote(src []byte, s Slot, mode Mode, dst []byte) []byte {
	text := src[s.Start:s.End]
	if s.Kind != SlotString || len(text) < 2 {
		return append(dst, text...)
	}
	if !s.Escaped {
		return append(dst, text[1:len(text)-1]...)
	}
	for i := 0; i < len(text); i = skipPlain(text, i, &mode) {
		end, _ := skipString(text, i, !mode.NoBackslashEscapes)
		if end < 0 {
			return dst
		}
		dst = unescape(text[i+1:end-1], text[i], !mode.NoBackslashEscapes, dst)
		i = end
	}
	return dst
}

// unescape appends the value of the inside of a string in quotes q.
func unescape(in []byte, q byte, backslash bool, dst []byte) []byte {
	for i := 0; i < len(in); i++ {
		c := in[i]
		switch {
		case c == q: // doubled
			i++
		case c == '\\' && backslash && i+1 < len(in):
			i++
			switch c = in[i]; c {
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case 'r':
				c = '\r'
			case 'b':
				c = '\b'
			case '0':
				c = 0
			case 'Z':
				c = 26
			case '_', '%': // kept with their backslash: they matter to LIKE
				dst = append(dst, '\\')
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// value is Unquote for a string token.
func (l *lexer) value(t token) string {
	s := Slot{Start: t.start, End: t.end, Kind: SlotString, Escaped: t.escaped}
	return string(Unquote(l.src, s, l.mode, nil))
}

// name returns what a name in or without quotes means.
func name(text []byte) string {
	if len(text) < 2 || text[0] != '`' && text[0] != '"' {
		return string(text)
	}
	q, in := text[0], text[1:len(text)-1]
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		out = append(out, in[i])
		if in[i] == q {
			i++
		}
	}
	return string(out)
}
