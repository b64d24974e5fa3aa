package wire

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// ReadCommand waits for the next command of a client. payload is the command
// without its headers; raw is the same as it came, header included, for forwarding
// as it is, and nil if the command came in more than one chunk (16 MiB and more).
// Both are valid until the next read or Release. While it waits for the first byte
// the connection holds no buffer. A command must begin with the sequence number 0.
func (c *Conn) ReadCommand() (payload, raw []byte, err error) {
	c.Release()
	c.SetSeq(0)
	if payload, raw, err = c.readPacket(); err == nil && raw != nil && raw[3] != 0 {
		err = fmt.Errorf("%w: a command is packet %d", ErrSequence, raw[3])
	}
	return payload, raw, err
}

// ReadPacket reads the next logical packet, whose chunks it joins, and advances
// the sequence number. The payload is valid until the next read or Release. At the
// end of the stream between packets the error is io.EOF, within one
// io.ErrUnexpectedEOF.
func (c *Conn) ReadPacket() ([]byte, error) {
	payload, _, err := c.readPacket()
	return payload, err
}

func (c *Conn) readPacket() (payload, raw []byte, err error) {
	if err := c.need(headerLen); err != nil {
		return nil, nil, err
	}
	n, err := c.header()
	if err != nil {
		return nil, nil, err
	}
	if n > c.maxPacket {
		return nil, nil, tooLarge(n, c.maxPacket)
	}
	if n > largeWindow-headerLen {
		return c.readBig(n)
	}
	if err := c.need(headerLen + n); err != nil {
		return nil, nil, err
	}
	raw = c.in.b[c.r : c.r+headerLen+n : c.r+headerLen+n]
	c.r += headerLen + n
	return raw[headerLen:], raw, nil
}

// header reads the length of the chunk whose header lies at the read position, and
// checks and advances the sequence; it consumes nothing. In frames the packets'
// numbers are what the peer makes them, and the frames' count: MySQL's own library
// goes on with the frame's number after each write.
func (c *Conn) header() (int, error) {
	h := c.in.b[c.r : c.r+headerLen]
	if h[3] != c.seq && c.frames == nil {
		return 0, fmt.Errorf("%w: packet %d came, %d was due", ErrSequence, h[3], c.seq)
	}
	c.seq = h[3] + 1
	return int(h[0]) | int(h[1])<<8 | int(h[2])<<16, nil
}

func tooLarge(n, limit int) error {
	return fmt.Errorf("%w: %d bytes announced, %d are allowed", ErrPacketTooLarge, n, limit)
}

// readBig reads a packet that does not fit a window; n is the length of its first
// chunk. Memory grows with the bytes that arrive, not with those announced. A packet
// that the meter refuses is read to its end and dropped, so that the next one can be
// read: the error is a *RefusedError.
func (c *Conn) readBig(n int) (payload, raw []byte, err error) {
	if cap(c.big) > keepBig {
		c.dropBig()
	}
	c.big = append(c.big[:0], c.in.b[c.r:c.r+headerLen]...)
	defer c.stalled.Store(0)
	p := bigPacket{began: time.Now(), announced: n}
	single := n < maxChunk
	if !single {
		p.announced = min(c.maxPacket, multiChunk)
	}
	for total := n; ; total += n {
		if total > c.maxPacket {
			return nil, nil, tooLarge(total, c.maxPacket)
		}
		c.r += headerLen
		if err := c.readChunk(&p, n); err != nil {
			return nil, nil, err
		}
		if n < maxChunk {
			break
		}
		if err := c.needMore(headerLen); err != nil {
			return nil, nil, err
		}
		if n, err = c.header(); err != nil {
			return nil, nil, err
		}
	}
	if p.refused != nil {
		return nil, nil, &RefusedError{Command: p.first, Err: p.refused}
	}
	c.fitMeter()
	if single {
		raw = c.big
	}
	return c.big[headerLen:], raw, nil
}

// bigPacket is the state of reading one.
type bigPacket struct {
	began     time.Time
	announced int   // bytes that its first header lets expect
	got       int   // bytes of the payload that came
	first     byte  // the first of them
	refused   error // why the packet is not kept
}

// bigGrowth is the factor by which the memory of a big packet grows: of 64 KiB four
// steps make the 16 MiB of a chunk, so that all steps before the last cost a third of it.
const bigGrowth = 4

// readChunk appends the n bytes of a chunk to big, or skips them if the packet was refused.
func (c *Conn) readChunk(p *bigPacket, n int) error {
	for left := n; left > 0; {
		if p.refused == nil && len(c.big) == cap(c.big) {
			asked := time.Now()
			p.refused = c.growBig(min(max(bigGrowth*cap(c.big), largeWindow), len(c.big)+left), p.announced)
			p.began = p.began.Add(time.Since(asked)) // waiting for memory is not the peer's fault
		}
		m, err := c.readPiece(p, left)
		if err != nil {
			return unexpected(err)
		}
		p.got += m
		left -= m
	}
	return nil
}

// readPiece takes what is buffered, or reads once: into big, or into the window if the
// packet was refused.
func (c *Conn) readPiece(p *bigPacket, left int) (int, error) {
	if c.w == c.r && c.metered > 0 {
		// Who holds memory and sends less than sendRate falls behind this clock.
		c.stalled.Store(p.began.Add(time.Duration(p.got) * time.Second / sendRate).UnixNano())
	}
	if c.w == c.r && p.refused != nil {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	if p.refused != nil {
		m := min(left, c.w-c.r)
		c.r += m
		return m, nil
	}
	room := c.big[len(c.big):min(cap(c.big), len(c.big)+left)]
	m := copy(room, c.in.b[c.r:c.w])
	c.r += m
	if m == 0 {
		var err error
		if m, err = c.read(room); err != nil {
			return 0, err
		}
	}
	if p.got == 0 {
		p.first = room[0]
	}
	c.big = c.big[:len(c.big)+m]
	return m, nil
}

func (c *Conn) needMore(n int) error { return unexpected(c.need(n)) }

// unexpected turns the end of the stream into the error for an end within a packet.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// WritePacket appends payload with its header and the running sequence number to
// the write buffer, in chunks if it is 16 MiB or longer, and writes when the buffer
// is full. Flush sends the rest.
func (c *Conn) WritePacket(payload []byte) error {
	for {
		n := min(len(payload), maxChunk)
		if err := c.writeChunk(payload[:n]); err != nil {
			return err
		}
		payload = payload[n:]
		if n < maxChunk {
			return nil
		}
	}
}

// WriteCommand begins an exchange with a command and flushes it. The parts of its body are
// written one after the other; large ones are not copied.
func (c *Conn) WriteCommand(command byte, parts ...[]byte) error {
	c.SetSeq(0)
	left, room := 1, 0 // bytes of the packet that are to come; of them in the current chunk
	for _, p := range parts {
		left += len(p)
	}
	first := [1]byte{command}
	last := false
	write := func(p []byte) error {
		for len(p) > 0 {
			if room == 0 {
				room = min(left, maxChunk)
				last = room < maxChunk
				if err := c.writeHeader(room); err != nil {
					return err
				}
			}
			k := min(len(p), room)
			if err := c.writeBytes(p[:k]); err != nil {
				return err
			}
			p, room, left = p[k:], room-k, left-k
		}
		return nil
	}
	if err := write(first[:]); err != nil {
		return err
	}
	for _, p := range parts {
		if err := write(p); err != nil {
			return err
		}
	}
	if !last { // a packet ends with a chunk that is not full
		if err := c.writeHeader(0); err != nil {
			return err
		}
	}
	return c.Flush()
}

func (c *Conn) writeChunk(p []byte) error {
	if err := c.writeHeader(len(p)); err != nil {
		return err
	}
	return c.writeBytes(p)
}

// writeHeader buffers the header of a chunk of n bytes.
func (c *Conn) writeHeader(n int) error {
	if c.writeErr != nil {
		return c.writeErr
	}
	if c.out != nil && c.outN+headerLen > len(c.out.b) {
		if err := c.Flush(); err != nil {
			return err
		}
	}
	if c.out == nil {
		c.out = takeSmall()
	}
	b := c.out.b[c.outN:]
	b[0], b[1], b[2], b[3] = byte(n), byte(n>>8), byte(n>>16), c.seq
	c.seq++
	c.outN += headerLen
	return nil
}

// writeBytes buffers p, or writes it with what is buffered if it does not fit.
func (c *Conn) writeBytes(p []byte) error {
	if c.out != nil && len(p) <= len(c.out.b)-c.outN {
		c.outN += copy(c.out.b[c.outN:], p)
		return nil
	}
	return c.WriteRaw(p)
}

// AppendHeader appends the header of a packet of n bytes, which must be less than
// 16 MiB - 1, for those who build raw bytes themselves.
func AppendHeader(dst []byte, n int, seq uint8) []byte {
	return append(dst, byte(n), byte(n>>8), byte(n>>16), seq)
}
