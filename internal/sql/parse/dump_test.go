package parse

import (
	"fmt"
	"reflect"
	"strings"
)

// dump prints a tree on one line: types and fields that are not empty, names and literals as their text.
func dump(src []byte, n any) string {
	var b strings.Builder
	d := dumper{src: src, out: &b}
	d.value(reflect.ValueOf(n))
	return b.String()
}

type dumper struct {
	src []byte
	out *strings.Builder
}

func (d dumper) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		d.value(v.Elem())
	case reflect.Pointer:
		d.value(v.Elem())
	case reflect.Slice:
		d.out.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				d.out.WriteString(", ")
			}
			d.value(v.Index(i))
		}
		d.out.WriteByte(']')
	case reflect.Struct:
		d.node(v)
	case reflect.String:
		fmt.Fprintf(d.out, "%q", v.String())
	default:
		fmt.Fprint(d.out, v.Interface())
	}
}

func (d dumper) node(v reflect.Value) {
	switch n := v.Interface().(type) {
	case Span:
		fmt.Fprintf(d.out, "%q", n.Text(d.src))
		return
	case Ident:
		fmt.Fprintf(d.out, "`%s`", n.Name)
		return
	case TableName:
		if n.Schema.Name != "" {
			fmt.Fprintf(d.out, "`%s`.", n.Schema.Name)
		}
		fmt.Fprintf(d.out, "`%s`", n.Name.Name)
		return
	case ColumnRef:
		if n.Table.Name.Name != "" {
			d.value(reflect.ValueOf(n.Table))
			d.out.WriteByte('.')
		}
		fmt.Fprintf(d.out, "`%s`", n.Name.Name)
		return
	case Literal:
		fmt.Fprintf(d.out, "<%s %d", n.Text(d.src), n.Kind)
		if n.Introducer != "" {
			fmt.Fprintf(d.out, " %s", n.Introducer)
		}
		fmt.Fprintf(d.out, " #%d>", n.Slot)
		return
	}
	d.out.WriteString(v.Type().Name())
	d.out.WriteByte('{')
	first := true
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous || v.Field(i).IsZero() || f.Type == reflect.TypeFor[Ident]() && v.Field(i).Interface().(Ident).Name == "" {
			continue
		}
		if s, ok := v.Field(i).Interface().(Span); ok && s.Start == s.End {
			continue
		}
		if !first {
			d.out.WriteByte(' ')
		}
		first = false
		d.out.WriteString(f.Name)
		d.out.WriteByte(':')
		d.value(v.Field(i))
	}
	d.out.WriteByte('}')
}
