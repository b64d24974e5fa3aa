package status

import (
	"testing"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
)

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
