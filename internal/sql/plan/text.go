package plan

import (
	"sort"

	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// Text is a statement for shards: pieces of the planned statement, the slots of the statement at hand, and at most
// one list whose members depend on the shard. It is immutable.
type Text struct {
	pieces []piece
}

// pieceKind tells the kinds of pieces apart.
type pieceKind uint8

const (
	pieceFixed   pieceKind = iota // the same for every statement of the shape
	pieceSlot                     // the text of a slot
	pieceList                     // the members of the IN list that belong to the shard
	pieceSchemas                  // the databases that the shard tells of
	pieceWeight                   // a hidden sort key: WEIGHT_STRING(fixed) or, for enumerations of MariaDB, fixed+0
)

type piece struct {
	kind  pieceKind
	fixed string
	slot  int     // index of the slot, or number of the sort key
	texts []*Text // members of the list, or the one expression of a weight
}

// Filling is what a Text needs to know to become a statement.
type Filling struct {
	Src   []byte
	Slots []parse.Slot
	List  []int  // indexes of the list's members to write; nil writes all
	Own   string // the keyspace that the shard tells of; "" for none that the client may see
	First bool   // the shard also tells of the system's databases
	Plus  uint64 // bit n: the n-th hidden sort key as expr+0
}

// Append writes the text for a statement of the plan's shape.
func (t *Text) Append(dst, src []byte, slots []parse.Slot) []byte {
	return t.Fill(dst, Filling{Src: src, Slots: slots})
}

// Fill writes the text with the given choices.
func (t *Text) Fill(dst []byte, f Filling) []byte {
	for i := range t.pieces {
		p := &t.pieces[i]
		switch p.kind {
		case pieceFixed:
			dst = append(dst, p.fixed...)
		case pieceSlot:
			dst = append(dst, f.Src[f.Slots[p.slot].Start:f.Slots[p.slot].End]...)
		case pieceList:
			dst = p.appendList(dst, f)
		case pieceSchemas:
			dst = append(dst, quoteText(f.Own)...)
			if f.First {
				dst = append(dst, ", "+systemSchemas...)
			}
		case pieceWeight:
			dst = p.appendWeight(dst, f)
		}
	}
	return dst
}

func (p *piece) appendList(dst []byte, f Filling) []byte {
	if f.List == nil {
		for i, t := range p.texts {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = t.Fill(dst, f)
		}
		return dst
	}
	for n, i := range f.List {
		if n > 0 {
			dst = append(dst, ", "...)
		}
		dst = p.texts[i].Fill(dst, f)
	}
	return dst
}

func (p *piece) appendWeight(dst []byte, f Filling) []byte {
	if f.Plus&(1<<min(p.slot, 63)) != 0 {
		dst = append(dst, '(')
		dst = p.texts[0].Fill(dst, f)
		return append(dst, ")+0"...)
	}
	return weightOf(p.texts[0]).Fill(dst, f)
}

// weightOf asks for the weight string of an expression, so that expressions that are equal for the server have equal
// ones: a collation that ignores trailing blanks finds no difference to the trimmed text, and then that is taken.
func weightOf(e *Text) *Text {
	out := wrap("WEIGHT_STRING(IF(", e, " = RTRIM(")
	out.append(e)
	out.append(wrap("), RTRIM(", e, "), "))
	out.append(wrap("", e, "))"))
	return out
}

// String is the text with slots as their numbers and without a shard's choice, for EXPLAIN of a plan alone.
func (t *Text) String() string {
	var out []byte
	for i := range t.pieces {
		p := &t.pieces[i]
		switch p.kind {
		case pieceFixed:
			out = append(out, p.fixed...)
		case pieceSlot:
			out = append(out, '?')
		case pieceList:
			out = append(out, "::list"...)
		case pieceSchemas:
			out = append(out, "::own"...)
		case pieceWeight:
			out = append(out, "WEIGHT_STRING("+p.texts[0].String()+")"...)
		}
	}
	return string(out)
}

// edit replaces a span of the statement; an empty span inserts.
type edit struct {
	span  parse.Span
	with  []piece
	order int // position among edits at one place
}

// editor collects edits of one statement and compiles them to a Text.
type editor struct {
	b     *builder
	edits []edit
}

// replace puts text, which becomes part of the plan, in the place of the span.
func (e *editor) replace(s parse.Span, text string) {
	e.put(s, piece{kind: pieceFixed, fixed: text})
}

// insert puts text before the byte at pos.
func (e *editor) insert(pos int, text string) {
	e.replace(parse.Span{Start: pos, End: pos}, text)
}

func (e *editor) put(s parse.Span, with ...piece) {
	e.edits = append(e.edits, edit{span: s, with: with, order: len(e.edits)})
}

// compile returns the text of the span of the source with the edits applied. Edits outside the span, and those
// inside a replaced span, are left out.
func (e *editor) compile(within parse.Span) *Text {
	edits := append([]edit(nil), e.edits...)
	sort.SliceStable(edits, func(i, j int) bool {
		if edits[i].span.Start != edits[j].span.Start {
			return edits[i].span.Start < edits[j].span.Start
		}
		if x, y := edits[i].span.End == edits[i].span.Start, edits[j].span.End == edits[j].span.Start; x != y {
			return x
		}
		return edits[i].order < edits[j].order
	})
	t := &Text{}
	pos := within.Start
	for _, ed := range edits {
		if ed.span.Start < pos || ed.span.End > within.End {
			continue
		}
		t.source(e.b, pos, ed.span.Start)
		for _, p := range ed.with {
			t.add(p)
		}
		pos = ed.span.End
	}
	t.source(e.b, pos, within.End)
	return t
}

// source appends the bytes [from, to) of the planned statement, slots apart.
func (t *Text) source(b *builder, from, to int) {
	i := sort.Search(len(b.slots), func(i int) bool { return int(b.slots[i].Start) >= from })
	for ; i < len(b.slots) && int(b.slots[i].End) <= to; i++ {
		t.add(piece{kind: pieceFixed, fixed: string(b.src[from:b.slots[i].Start])})
		t.add(piece{kind: pieceSlot, slot: i})
		from = int(b.slots[i].End)
	}
	if from < to {
		t.add(piece{kind: pieceFixed, fixed: string(b.src[from:to])})
	}
}

// add appends a piece and joins fixed ones.
func (t *Text) add(p piece) {
	if p.kind == pieceFixed {
		if p.fixed == "" {
			return
		}
		if n := len(t.pieces); n > 0 && t.pieces[n-1].kind == pieceFixed {
			t.pieces[n-1].fixed += p.fixed
			return
		}
	}
	t.pieces = append(t.pieces, p)
}

// FixedText is a text without places to fill in.
func FixedText(s string) *Text {
	t := &Text{}
	t.add(piece{kind: pieceFixed, fixed: s})
	return t
}

// Empty reports whether the text has nothing in it.
func (t *Text) Empty() bool { return len(t.pieces) == 0 }

// fixed returns a text that is the same for every statement; ok is false for others.
func (t *Text) fixed() (text string, ok bool) {
	if len(t.pieces) != 1 || t.pieces[0].kind != pieceFixed {
		return "", false
	}
	return t.pieces[0].fixed, true
}
