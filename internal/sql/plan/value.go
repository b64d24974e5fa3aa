package plan

import (
	"fmt"
	"strings"

	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

// ValueRef says where a value stands in any statement of a plan's shape: in a slot, in a parameter, or nowhere
// because it is part of the shape (NULL, TRUE).
type ValueRef struct {
	Slot   int           // index of a slot; -1 for none
	Param  int           // index of a parameter; -1 for none
	Negate bool          // a minus sign stands before the slot
	Binary bool          // a string with the introducer _binary
	Const  *vindex.Value // neither slot nor parameter
	mode   parse.Mode
}

// ConstRef is a value that is part of the shape.
func ConstRef(v vindex.Value) ValueRef { return ValueRef{Slot: -1, Param: -1, Const: &v} }

// Resolve returns the value in a statement of the plan's shape. The result may alias src; nothing is allocated for
// plain numbers and strings without escapes.
func (v *ValueRef) Resolve(src []byte, slots []parse.Slot, params []vindex.Value) (vindex.Value, error) {
	switch {
	case v.Const != nil:
		return *v.Const, nil
	case v.Param >= 0:
		if v.Param >= len(params) {
			return vindex.Value{}, fmt.Errorf("parameter %d of the statement has no value (%d are bound)", v.Param+1, len(params))
		}
		return params[v.Param], nil
	case v.Slot < 0 || v.Slot >= len(slots):
		return vindex.Value{}, fmt.Errorf("plan refers to literal %d of a statement that has %d", v.Slot+1, len(slots))
	}
	s := slots[v.Slot]
	switch s.Kind {
	case parse.SlotNumber:
		return v.number(src, s), nil
	case parse.SlotHexBit:
		return hexBit(src[s.Start:s.End]), nil
	case parse.SlotString:
		kind := vindex.Text
		if v.Binary {
			kind = vindex.Binary
		}
		if s.Escaped || src[s.Start] != '\'' && src[s.Start] != '"' {
			return vindex.Value{Kind: kind, Raw: parse.Unquote(src, s, v.mode, nil)}, nil
		}
		return vindex.Value{Kind: kind, Raw: src[s.Start+1 : s.End-1]}, nil
	}
	return vindex.Value{}, fmt.Errorf("literal %d of the statement is not a value", v.Slot+1)
}

// number classifies the text of a numeric slot.
func (v *ValueRef) number(src []byte, s parse.Slot) vindex.Value {
	raw := src[s.Start:s.End]
	kind := vindex.Int
	for _, c := range raw {
		if c == '.' && kind == vindex.Int {
			kind = vindex.Decimal
		}
		if c == 'e' || c == 'E' {
			kind = vindex.Float
		}
	}
	if v.Negate {
		if s.Start > 0 && src[s.Start-1] == '-' {
			return vindex.Value{Kind: kind, Raw: src[s.Start-1 : s.End]}
		}
		return vindex.Value{Kind: kind, Raw: append([]byte{'-'}, raw...)}
	}
	// 9223372036854775807 has 19 digits: what is longer, or as long and greater, is unsigned.
	const maxInt = "9223372036854775807"
	if kind == vindex.Int && (len(raw) > len(maxInt) || len(raw) == len(maxInt) && string(raw) > maxInt) {
		kind = vindex.Uint
	}
	return vindex.Value{Kind: kind, Raw: raw}
}

// hexBit passes 0x.., x'..', 0b.. and b'..' on as written: whether they mean bytes or a number is the vindex's to say.
func hexBit(raw []byte) vindex.Value {
	mark := raw[0]
	if mark == '0' {
		mark = raw[1]
	}
	if mark == 'b' || mark == 'B' {
		return vindex.Value{Kind: vindex.BitLiteral, Raw: raw}
	}
	return vindex.Value{Kind: vindex.HexLiteral, Raw: raw}
}

// valueOf returns the reference to a constant expression; ok is false when the expression is anything else.
func (b *builder) valueOf(e parse.Expr) (v ValueRef, ok bool) {
	switch x := e.(type) {
	case *parse.Paren:
		return b.valueOf(x.Expr)
	case *parse.Param:
		return ValueRef{Slot: -1, Param: x.Index}, true
	case *parse.Unary:
		if x.Op != "-" && x.Op != "+" {
			return ValueRef{}, false
		}
		lit, isLit := x.Expr.(*parse.Literal)
		if !isLit || lit.Kind != parse.LitInt && lit.Kind != parse.LitDecimal && lit.Kind != parse.LitFloat {
			return ValueRef{}, false
		}
		return b.beyond(ValueRef{Slot: lit.Slot, Param: -1, Negate: x.Op == "-", mode: b.env.Mode}, lit), true
	case *parse.Literal:
		switch x.Kind {
		case parse.LitNull:
			return ConstRef(vindex.Value{Kind: vindex.Null}), true
		case parse.LitTrue:
			return ConstRef(vindex.Value{Kind: vindex.Int, Raw: []byte("1")}), true
		case parse.LitFalse:
			return ConstRef(vindex.Value{Kind: vindex.Int, Raw: []byte("0")}), true
		case parse.LitTemporal:
			return ValueRef{}, false
		}
		ref := ValueRef{Slot: x.Slot, Param: -1, mode: b.env.Mode}
		switch strings.ToLower(x.Introducer) {
		case "", "utf8mb4", "utf8", "utf8mb3", "ascii", "n":
		case "binary":
			ref.Binary = true
		default:
			return ValueRef{}, false
		}
		return b.beyond(ref, x), true
	}
	return ValueRef{}, false
}

// beyond makes the value of a literal part of the plan when the statement has more literals than slots.
func (b *builder) beyond(v ValueRef, lit *parse.Literal) ValueRef {
	if lit.Slot >= 0 && lit.Slot < len(b.slots) {
		return v
	}
	s := parse.Slot{Start: int32(lit.Start), End: int32(lit.End), Kind: parse.SlotNumber}
	switch lit.Kind {
	case parse.LitString:
		s.Kind, s.Escaped = parse.SlotString, true
		if lit.Introducer != "" {
			s.Start += int32(max(0, strings.IndexAny(string(lit.Text(b.src)), `'"`)))
		}
	case parse.LitHex, parse.LitBit:
		s.Kind = parse.SlotHexBit
	}
	v.Slot = 0
	val, err := v.Resolve(b.src, []parse.Slot{s}, nil)
	if err != nil {
		return v
	}
	return ConstRef(vindex.Value{Kind: val.Kind, Raw: append([]byte{}, val.Raw...)})
}

// sameValue reports whether two references surely hold the same value in this very statement; guard is true when
// that is so only because of the texts in the slots.
func (b *builder) sameValue(x, y ValueRef) (same, guard bool) {
	if x.Slot == y.Slot && x.Param == y.Param && x.Const == nil && y.Const == nil {
		return x.Negate == y.Negate, false
	}
	if x.Param >= 0 || y.Param >= 0 {
		return false, false
	}
	vx, errX := x.Resolve(b.src, b.slots, nil)
	vy, errY := y.Resolve(b.src, b.slots, nil)
	if errX != nil || errY != nil {
		return false, false
	}
	return vx.Kind == vy.Kind && string(vx.Raw) == string(vy.Raw), true
}

// guard makes the text of every slot inside the span a part of the plan.
func (b *builder) guard(s parse.Span) {
	for i, slot := range b.slots {
		if int(slot.Start) >= s.Start && int(slot.End) <= s.End && slot.Kind != parse.SlotComment {
			b.guardSlot(i)
		}
	}
}

// guardSlot makes the text of a slot a part of the plan. -1, the slot of a value that the shape has already, is none.
func (b *builder) guardSlot(i int) {
	if i < 0 {
		return
	}
	for _, g := range b.guards {
		if g.Slot == i {
			return
		}
	}
	b.guards = append(b.guards, Guard{Slot: i, Text: string(b.src[b.slots[i].Start:b.slots[i].End])})
}
