package budget

// Hoard counts bytes that a session keeps from command to command, such as the texts of its prepared statements, and what its
// account holds for them. Not safe for concurrent use.
type Hoard struct {
	account *Account
	free    int
	bytes   int
	held    int
}

// NewHoard makes an empty hoard whose first free bytes cost nothing.
func NewHoard(a *Account, free int) Hoard { return Hoard{account: a, free: free} }

// Held returns the bytes that the account holds for the hoard.
func (h *Hoard) Held() int { return h.held }

// Add counts n more bytes. Those beyond the free ones are taken a MiB at a time, without waiting. The error is
// errcode.MemoryLimit; then nothing was counted.
func (h *Hoard) Add(n int) error {
	const step = 1 << 20
	if lack := h.bytes + n - h.free - h.held; lack > 0 {
		lack = max(lack, step)
		if err := h.account.Grow(lack); err != nil {
			return err
		}
		h.held += lack
	}
	h.bytes += n
	return nil
}

// Drop takes away n bytes that were counted, and gives back what is held and not needed for the others.
func (h *Hoard) Drop(n int) {
	h.bytes -= n
	if surplus := min(h.held, h.held+h.free-h.bytes); surplus > 0 {
		h.account.Release(surplus)
		h.held -= surplus
	}
}
