// Package presence is about fields that may be absent: whether all fields of a message can say so, which fields there are,
// and how a message looks to somebody who was not told some of them.
//
// It reads no value and decides nothing by one. Removing a field is for tests and for the agent's switch that makes it stand for
// an older release.
package presence

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxDepth bounds a path; the messages of Pelorus are at most three deep.
const maxDepth = 8

// Path is a field of a message by numbers: 12.4 is field 4 of the message in field 12. Below a list of messages it is the
// field of each of them.
type Path []protoreflect.FieldNumber

// String is the numbers with dots.
func (p Path) String() string {
	parts := make([]string, len(p))
	for i, n := range p {
		parts[i] = strconv.Itoa(int(n))
	}
	return strings.Join(parts, ".")
}

// ParsePaths reads paths that are separated by commas, such as "11,12.4", and checks that m has such fields. An empty text
// is no path.
func ParsePaths(m proto.Message, text string) ([]Path, error) {
	if text == "" {
		return nil, nil
	}
	known := Paths(m)
	var out []Path
	for _, part := range strings.Split(text, ",") {
		at := slices.IndexFunc(known, func(p Path) bool { return p.String() == strings.TrimSpace(part) })
		if at < 0 {
			return nil, fmt.Errorf("%s has no field %q: write numbers, such as 11 or 12.4", m.ProtoReflect().Descriptor().Name(), part)
		}
		out = append(out, known[at])
	}
	return out, nil
}

// Paths lists all fields of a message and of the messages in it, those of other packages (such as timestamps) as a whole,
// in the order of their numbers.
func Paths(m proto.Message) []Path {
	var out []Path
	walk(m.ProtoReflect().Descriptor(), nil, func(p Path, _ protoreflect.FieldDescriptor) { out = append(out, slices.Clone(p)) })
	return out
}

func walk(d protoreflect.MessageDescriptor, prefix Path, visit func(Path, protoreflect.FieldDescriptor)) {
	if len(prefix) >= maxDepth {
		return
	}
	fields := make([]protoreflect.FieldDescriptor, d.Fields().Len())
	for i := range fields {
		fields[i] = d.Fields().Get(i)
	}
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number() - b.Number()) })
	for _, f := range fields {
		path := append(slices.Clone(prefix), f.Number())
		visit(path, f)
		if inner(f) {
			walk(f.Message(), path, visit)
		}
	}
}

// inner says whether a field holds messages of Pelorus' own.
func inner(f protoreflect.FieldDescriptor) bool {
	return f.Message() != nil && !f.IsMap() && f.Message().FullName().Parent() != "google.protobuf"
}

// Hide removes the fields from a message, as if its sender did not know them.
func Hide(m proto.Message, paths ...Path) {
	for _, p := range paths {
		hide(m.ProtoReflect(), p)
	}
}

func hide(m protoreflect.Message, p Path) {
	if len(p) == 0 {
		return
	}
	f := m.Descriptor().Fields().ByNumber(p[0])
	switch {
	case f == nil || !m.Has(f):
	case len(p) == 1:
		m.Clear(f)
	case f.IsList() && f.Message() != nil:
		for i := range m.Get(f).List().Len() {
			hide(m.Get(f).List().Get(i).Message(), p[1:])
		}
	case inner(f):
		hide(m.Mutable(f).Message(), p[1:])
	}
}

// Absent lists the fields that m does not have, by name, such as server.pid; of an absent message only the message itself. They come in the
// order in which they are declared.
func Absent(m proto.Message) []string { return absent(m.ProtoReflect(), "") }

func absent(m protoreflect.Message, prefix string) []string {
	var out []string
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		switch f := fields.Get(i); {
		case f.IsList() || f.IsMap():
		case !m.Has(f):
			out = append(out, prefix+string(f.Name()))
		case inner(f):
			out = append(out, absent(m.Get(f).Message(), prefix+string(f.Name())+".")...)
		}
	}
	return out
}

// Problems lists the fields in m, and in all messages in it, whose absence could be taken for a value. A list is only good as
// the one field of a message of its own. Fields in except, by full name, are passed over.
func Problems(m proto.Message, except ...protoreflect.FullName) []string {
	var out []string
	walk(m.ProtoReflect().Descriptor(), nil, func(_ Path, f protoreflect.FieldDescriptor) {
		if slices.Contains(except, f.FullName()) {
			return
		}
		if why := problem(f); why != "" {
			out = append(out, fmt.Sprintf("%s: %s", f.FullName(), why))
		}
	})
	return out
}

func problem(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsList() || f.IsMap():
		if f.ContainingMessage().Fields().Len() > 1 {
			return "a list has no presence: wrap it in a message of its own"
		}
	case !f.HasPresence():
		return "it has no explicit presence"
	}
	return ""
}
