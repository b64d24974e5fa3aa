package budget

import (
	"testing"
	"time"
)

func TestHoard(t *testing.T) {
	const mib = 1 << 20
	b := New(4*mib, time.Second)
	a := b.Account()
	h := NewHoard(&a, 1000)
	for i, step := range []struct {
		add, drop int
		refused   bool
		held      int64
	}{
		{add: 1000, held: 0},                         // free
		{add: 1, held: mib},                          // a MiB at a time
		{add: mib - 1, held: mib},                    // of which there is room left
		{add: 2 * mib, held: 3 * mib},                // more than a step
		{add: 2 * mib, held: 3 * mib, refused: true}, // nothing is counted then
		{drop: 2 * mib, held: mib},
		{add: 5, held: 2 * mib},
		{drop: mib + 1005, held: 0},
	} {
		if step.add > 0 {
			if err := h.Add(step.add); (err != nil) != step.refused {
				t.Fatalf("step %d: %v", i, err)
			}
		}
		if step.drop > 0 {
			h.Drop(step.drop)
		}
		if got := a.Held(); got != step.held || int64(h.Held()) != got {
			t.Errorf("step %d: the account holds %d, the hoard says %d, want %d", i, got, h.Held(), step.held)
		}
	}
}
