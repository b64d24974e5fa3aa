package wire

// Meter decides about the memory of big packets.
type Meter interface {
	// Claim asks for n bytes more, and may wait for them. An error refuses the packet.
	Claim(n int) error
	// Release gives n bytes back. It does not wait.
	Release(n int)
}

const (
	// meterFrom is how much of a packet may be in memory without asking. Fewer bytes
	// than that are bounded well enough by the number of connections.
	meterFrom = 256 << 10
	// multiChunk is what is claimed for a packet of several chunks, whose header does
	// not tell its size: max_allowed_packet of most servers. More is claimed as it comes.
	multiChunk = 64 << 20
	// sendRate is the bytes per second that a peer must send in the middle of a packet
	// for which memory was claimed, or else it counts as stalled.
	sendRate = 256 << 10
)

// SetMeter has m asked for the memory of packets from now on; nil asks nobody. Memory
// that the meter before had granted is given back and dropped: slices returned by reads
// are invalid afterwards.
func (c *Conn) SetMeter(m Meter) {
	if c.metered > 0 {
		c.dropBig()
	}
	c.meter = m
}

// growBig moves a big packet into size bytes of memory.
func (c *Conn) growBig(size, announced int) error {
	if want := max(size, announced); c.meter != nil && size > meterFrom && size > c.metered {
		if err := c.meter.Claim(want - c.metered); err != nil {
			c.dropBig()
			return err
		}
		c.metered = want
	}
	grown := make([]byte, len(c.big), size)
	copy(grown, c.big)
	c.big = grown
	return nil
}

// fitMeter gives back what a packet that was read did not need.
func (c *Conn) fitMeter() {
	if surplus := c.metered - cap(c.big); surplus > 0 {
		c.meter.Release(surplus)
		c.metered -= surplus
	}
}

// dropBig lets go of the memory of big packets.
func (c *Conn) dropBig() {
	c.big = nil
	if c.metered > 0 {
		c.meter.Release(c.metered)
		c.metered = 0
	}
}
