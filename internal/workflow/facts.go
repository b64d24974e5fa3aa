package workflow

import (
	"strings"
	"time"
	"unicode/utf8"

	workflowv1 "github.com/pelorusdb/pelorus/internal/api/workflowv1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Facts are what steps leave for later steps, by name. What is absent, or of another type than asked for, is not known: it is
// never zero or empty by itself.
type Facts map[string]*workflowv1.Value

// Text makes a fact of a text; what is no UTF-8 in it becomes question marks. Bytes that must stay as they are belong into Data.
func Text(s string) *workflowv1.Value {
	return &workflowv1.Value{Kind: &workflowv1.Value_Text{Text: strings.ToValidUTF8(s, "?")}}
}

// Number makes a fact of a number.
func Number(n int64) *workflowv1.Value {
	return &workflowv1.Value{Kind: &workflowv1.Value_Number{Number: n}}
}

// Flag makes a fact of a condition.
func Flag(b bool) *workflowv1.Value {
	return &workflowv1.Value{Kind: &workflowv1.Value_Flag{Flag: b}}
}

// Texts makes a fact of a list, which is copied, with the rule of Text for each.
func Texts(list []string) *workflowv1.Value {
	values := make([]string, len(list))
	for i, s := range list {
		values[i] = strings.ToValidUTF8(s, "?")
	}
	return &workflowv1.Value{Kind: &workflowv1.Value_Texts{Texts: &workflowv1.TextList{Values: values}}}
}

// Data makes a fact of bytes, which are copied.
func Data(b []byte) *workflowv1.Value {
	return &workflowv1.Value{Kind: &workflowv1.Value_Data{Data: append([]byte{}, b...)}}
}

// Time makes a fact of an instant.
func Time(t time.Time) *workflowv1.Value {
	return &workflowv1.Value{Kind: &workflowv1.Value_Time{Time: timestamppb.New(t)}}
}

// Text returns a text, and whether it is known.
func (f Facts) Text(name string) (string, bool) {
	k, ok := f[name].GetKind().(*workflowv1.Value_Text)
	if !ok {
		return "", false
	}
	return k.Text, true
}

// Number returns a number, and whether it is known.
func (f Facts) Number(name string) (int64, bool) {
	k, ok := f[name].GetKind().(*workflowv1.Value_Number)
	if !ok {
		return 0, false
	}
	return k.Number, true
}

// Flag returns a condition, and whether it is known.
func (f Facts) Flag(name string) (value, known bool) {
	k, ok := f[name].GetKind().(*workflowv1.Value_Flag)
	if !ok {
		return false, false
	}
	return k.Flag, true
}

// Texts returns a list that belongs to the caller, and whether it is known; a known list may be empty.
func (f Facts) Texts(name string) ([]string, bool) {
	k, ok := f[name].GetKind().(*workflowv1.Value_Texts)
	if !ok {
		return nil, false
	}
	return append([]string{}, k.Texts.GetValues()...), true
}

// Data returns bytes that belong to the caller, and whether they are known.
func (f Facts) Data(name string) ([]byte, bool) {
	k, ok := f[name].GetKind().(*workflowv1.Value_Data)
	if !ok {
		return nil, false
	}
	return append([]byte{}, k.Data...), true
}

// Time returns an instant, and whether it is known.
func (f Facts) Time(name string) (time.Time, bool) {
	k, ok := f[name].GetKind().(*workflowv1.Value_Time)
	if !ok {
		return time.Time{}, false
	}
	return k.Time.AsTime(), true
}

// CheckFacts says whether these facts, merged into those of a record, would still fit.
func CheckFacts(present, more Facts) error {
	all := make(Facts, len(present)+len(more))
	merge(all, present)
	merge(all, more)
	return checkFacts(all)
}

// merge puts facts over others; a nil value takes one away.
func merge(into, from Facts) {
	for name, v := range from {
		if v == nil {
			delete(into, name)
			continue
		}
		into[name] = v
	}
}

func checkFacts(f Facts) error {
	if len(f) > MaxFacts {
		return bad("%d facts are more than %d", len(f), MaxFacts)
	}
	total := 0
	for _, name := range sortedNames(f) {
		if name == "" || len(name) > maxName || !utf8.ValidString(name) {
			return bad("fact name %.40q has %d bytes, not 1 to %d", name, len(name), maxName)
		}
		// Tags and lengths of a map's entry take at most 16 bytes.
		total += len(name) + proto.Size(f[name]) + 16
	}
	if total > MaxFactBytes {
		return bad("the facts take %d bytes, the limit is %d", total, MaxFactBytes)
	}
	return nil
}

// dropLongFacts leaves, after the end, only what a person may want to read.
func dropLongFacts(w *workflowv1.Workflow) {
	for _, name := range sortedNames(w.GetFacts()) {
		if proto.Size(w.GetFacts()[name]) > finalFactBytes {
			delete(w.Facts, name)
			w.DroppedFacts = append(w.DroppedFacts, name)
		}
	}
}
