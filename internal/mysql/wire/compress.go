package wire

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// The layer that ClientCompress puts below the packets: frames of 3 bytes length,
// 1 byte sequence, 3 bytes length before compression (0: not compressed), and the
// bytes, which know nothing of the packets' bounds.
const (
	frameHeaderLen = 7
	// minCompress is the shortest piece that is compressed, as in the servers: shorter ones grow.
	minCompress = 50
	// maxFrame is how much one frame carries. Both limits of the format are 16 MiB - 1; this much lets the
	// peer begin to read early, and bounds the memory of a write.
	maxFrame = 256 << 10
	// frameWindow is what is read of the socket at once, and held by each connection that is compressed.
	frameWindow = 4 << 10
)

// deflaters and inflaters hold memory and no state. A deflater takes about 800 KiB,
// so that one is taken for the time of a write only.
var (
	deflaters = sync.Pool{New: func() any { return newDeflater() }}
	inflaters sync.Pool
)

type deflater struct {
	z   *zlib.Writer
	out bytes.Buffer
}

func newDeflater() *deflater {
	z, err := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed)
	if err != nil {
		panic(err) // the level is one of the package's own
	}
	return &deflater{z: z}
}

// frame makes the frame that carries p, valid until the next call.
func (d *deflater) frame(p []byte, seq uint8) ([]byte, error) {
	d.out.Reset()
	d.out.Write(make([]byte, frameHeaderLen))
	plain := 0
	if len(p) >= minCompress {
		d.z.Reset(&d.out)
		if _, err := d.z.Write(p); err != nil {
			return nil, err
		}
		if err := d.z.Close(); err != nil {
			return nil, err
		}
		plain = len(p)
	}
	if plain == 0 || d.out.Len()-frameHeaderLen >= plain {
		plain = 0
		d.out.Truncate(frameHeaderLen)
		d.out.Write(p)
	}
	b := d.out.Bytes()
	n := len(b) - frameHeaderLen
	copy(b, []byte{byte(n), byte(n >> 8), byte(n >> 16), seq, byte(plain), byte(plain >> 8), byte(plain >> 16)})
	return b, nil
}

// compressed is a connection whose bytes travel in frames. It inflates as it is read,
// so that a frame costs the memory of what is asked for, whatever it announces.
type compressed struct {
	net.Conn
	seq  uint8 // of the next frame, whoever sends it
	in   *bufio.Reader
	body io.LimitedReader // what is left of the current frame
	z    io.ReadCloser    // inflates body; nil: it is not compressed
	left int              // bytes of the frame still to come, after inflating
}

// Compressed puts the layer of ClientCompress below the packets: on both sides right
// after the OK that ends the login. The returned Conn replaces c.
func (c *Conn) Compressed() *Conn {
	nc := c.unread()
	z := &compressed{Conn: nc, in: bufio.NewReaderSize(nc, frameWindow)}
	n := c.over(z)
	n.frames = z
	return n
}

// Read implements io.Reader.
func (z *compressed) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for z.left == 0 {
		if err := z.next(); err != nil {
			return 0, err
		}
	}
	src := io.Reader(&z.body)
	if z.z != nil {
		src = z.z
	}
	n, err := src.Read(p[:min(len(p), z.left)])
	z.left -= n
	if z.left == 0 {
		err = z.endFrame()
	} else if n > 0 {
		return n, nil
	} else if err != nil {
		err = z.broken(err)
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// next reads the header of a frame.
func (z *compressed) next() error {
	h, err := z.in.Peek(frameHeaderLen)
	if err != nil {
		if len(h) > 0 {
			return unexpected(err)
		}
		return err
	}
	size := int(h[0]) | int(h[1])<<8 | int(h[2])<<16
	plain := int(h[4]) | int(h[5])<<8 | int(h[6])<<16
	if h[3] != z.seq {
		return fmt.Errorf("%w: compressed packet %d came, %d was due", ErrSequence, h[3], z.seq)
	}
	z.seq++
	if _, err := z.in.Discard(frameHeaderLen); err != nil {
		return err
	}
	z.body = io.LimitedReader{R: z.in, N: int64(size)}
	z.left = size
	if plain == 0 {
		return nil
	}
	z.left = plain
	return z.inflate()
}

// inflate takes an inflater for the current frame.
func (z *compressed) inflate() error {
	if old, ok := inflaters.Get().(io.ReadCloser); ok {
		if err := old.(zlib.Resetter).Reset(&z.body, nil); err != nil {
			return z.broken(err)
		}
		z.z = old
		return nil
	}
	r, err := zlib.NewReader(&z.body)
	if err != nil {
		return z.broken(err)
	}
	z.z = r
	return nil
}

// endFrame checks that the stream ends where the frame said, and gives the inflater back.
func (z *compressed) endFrame() error {
	if z.z == nil {
		return nil
	}
	var one [1]byte
	// The end of the compressed stream carries a checksum, which is only looked at here.
	if n, err := z.z.Read(one[:]); n > 0 || err != io.EOF {
		if err == nil || n > 0 {
			err = ErrMalformed
		}
		return z.broken(err)
	}
	inflaters.Put(z.z)
	z.z = nil
	_, err := z.in.Discard(int(z.body.N)) // as the servers do: what follows the stream means nothing
	return err
}

// broken tells a frame that is no such thing from a connection that fails.
func (z *compressed) broken(err error) error {
	if _, ok := errors.AsType[net.Error](err); ok {
		return err
	}
	if z.body.N > 0 && unexpected(err) == io.ErrUnexpectedEOF {
		return io.ErrUnexpectedEOF // the peer left in the middle
	}
	return fmt.Errorf("compressed packet: %w: %w", ErrMalformed, err)
}

// Write implements io.Writer.
func (z *compressed) Write(p []byte) (int, error) {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	n := 0
	for n < len(p) {
		piece := p[n:min(len(p), n+maxFrame)]
		b, err := d.frame(piece, z.seq)
		if err != nil {
			return n, fmt.Errorf("compress: %w", err)
		}
		z.seq++
		if _, err := z.Conn.Write(b); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}
