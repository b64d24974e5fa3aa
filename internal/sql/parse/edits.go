package parse

import "slices"

// Edits collects changes to the bytes of one statement. The zero value is empty and ready. Edits at one place keep the
// order in which they were made, insertions before a replacement that starts there. An edit that lies inside a
// replaced span, or begins inside it, is dropped: the outer one wins.
type Edits struct{ list []edit }

// edit replaces a span by parts.
type edit struct {
	span  Span
	parts []part
}

// part is a text, or the source's bytes of a span.
type part struct {
	text string
	copy Span
}

// Replace puts text in place of the span.
func (e *Edits) Replace(span Span, text string) {
	e.list = append(e.list, edit{span, []part{{text: text}}})
}

// Insert puts text before the byte at pos.
func (e *Edits) Insert(pos int, text string) { e.Replace(Span{pos, pos}, text) }

// Copy puts before, the source's own bytes of span and after, before the byte at pos. The slots in the span are
// carried along, so that a Template repeats them there.
func (e *Edits) Copy(pos int, before string, span Span, after string) {
	e.list = append(e.list, edit{Span{pos, pos}, []part{{text: before}, {copy: span}, {text: after}}})
}

// Empty says whether there is nothing to change.
func (e *Edits) Empty() bool { return len(e.list) == 0 }

// Apply appends the changed text of src to dst.
func (e *Edits) Apply(dst, src []byte) []byte {
	e.pieces(len(src), func(text string, s Span) {
		if text != "" {
			dst = append(dst, text...)
			return
		}
		dst = append(dst, src[s.Start:s.End]...)
	})
	return dst
}

// pieces calls f for each piece of the result in order: a text, or a span of the source.
func (e *Edits) pieces(length int, f func(text string, s Span)) {
	list := slices.Clone(e.list)
	slices.SortStableFunc(list, func(a, b edit) int {
		if a.span.Start != b.span.Start {
			return a.span.Start - b.span.Start
		}
		if aEmpty, bEmpty := a.span.End == a.span.Start, b.span.End == b.span.Start; aEmpty != bEmpty {
			if aEmpty {
				return -1
			}
			return 1
		}
		return 0
	})
	at := 0
	for _, ed := range list {
		if ed.span.Start < at || ed.span.End > length {
			continue
		}
		if ed.span.Start > at {
			f("", Span{at, ed.span.Start})
		}
		for _, p := range ed.parts {
			if p.text != "" || p.copy.End > p.copy.Start {
				f(p.text, p.copy)
			}
		}
		at = ed.span.End
	}
	if at < length {
		f("", Span{at, length})
	}
}
