package status

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
)

// TestEveryFieldHasPresence walks all that a FullStatus consists of: a field whose absence cannot be told from zero would
// let an old agent's silence be taken for a fact.
func TestEveryFieldHasPresence(t *testing.T) {
	seen := map[protoreflect.FullName]bool{}
	fields := 0
	var walk func(m protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] || m.FullName().Parent() == "google.protobuf" {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			fields++
			if why := presence(f); why != "" {
				t.Errorf("%s: %s", f.FullName(), why)
			}
			if f.Message() != nil && !f.IsMap() {
				walk(f.Message())
			}
		}
	}
	walk((&tabletv1.FullStatus{}).ProtoReflect().Descriptor())
	if fields < 60 || len(seen) < 7 {
		t.Fatalf("only %d fields of %d messages were looked at: the walk is broken", fields, len(seen))
	}
}

// presence says why a field's absence could be mistaken.
func presence(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap() && f.Name() == "unknowns":
		return "" // it is about the others
	case f.IsList() || f.IsMap():
		if f.ContainingMessage().Fields().Len() > 1 {
			return "a list has no presence: wrap it in a message of its own"
		}
	case !f.HasPresence():
		return "it has no explicit presence"
	}
	return ""
}

// TestPresenceCatches proves that the rule would refuse a bad field, by fields of messages that are not part of a status.
func TestPresenceCatches(t *testing.T) {
	fields := (&tabletv1.TableSchema{}).ProtoReflect().Descriptor().Fields()
	if presence(fields.ByName("columns")) == "" {
		t.Error("a bare list beside other fields is accepted")
	}
	if presence(fields.ByName("name")) != "" {
		t.Error("a field with explicit presence is refused")
	}
}

func TestHub(t *testing.T) {
	h := NewHub()
	if last, _ := h.Last(); last != nil {
		t.Fatal("a new hub has a status")
	}
	first := &tabletv1.FullStatus{}
	go h.Publish(first)
	got, err := h.Wait(t.Context(), nil)
	if err != nil || got != first {
		t.Fatalf("got %v, %v", got, err)
	}
	second := &tabletv1.FullStatus{}
	h.Publish(&tabletv1.FullStatus{})
	h.Publish(second)
	if got, err := h.Wait(t.Context(), first); err != nil || got != second {
		t.Fatalf("a slow reader must get the newest: %v, %v", got, err)
	}
}
