package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
)

// framed makes two ends with frames below their packets.
func framed(t testing.TB, transport string) (a, b *Conn) {
	t.Helper()
	a, b = pair(t, transport)
	return a.Compressed(), b.Compressed()
}

// TestCompressedPackets sends packets of all kinds of sizes and contents there and back.
func TestCompressedPackets(t *testing.T) {
	noise := make([]byte, 3*maxFrame+11)
	r := rand.New(rand.NewPCG(7, 7))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	var packets [][]byte
	for _, n := range []int{1, minCompress - 5, minCompress - 4, minCompress, 1000, maxFrame - 4, maxFrame, maxFrame + 1, len(noise)} {
		packets = append(packets, noise[:n], bytes.Repeat([]byte("all the same "), n/13+1)[:n])
	}
	packets = append(packets, bytes.Repeat([]byte{'x'}, maxChunk), bytes.Repeat([]byte{'y'}, maxChunk+5))
	for transport := range transports {
		t.Run(transport, func(t *testing.T) {
			a, b := framed(t, transport)
			wait := start(t, func() error {
				for range packets {
					p, _, err := b.ReadCommand()
					if err == nil {
						err = b.send(p)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
			for _, p := range packets {
				a.SetSeq(0)
				if err := a.send(p); err != nil {
					t.Fatal(err)
				}
				got, err := a.ReadPacket()
				if err != nil || !bytes.Equal(got, p) {
					t.Fatalf("%d bytes came back as %d: %v", len(p), len(got), err)
				}
			}
			wait()
		})
	}
}

// scripted is a connection whose peer has said all that it will say.
type scripted struct {
	net.Conn
	r io.Reader
}

func (s scripted) Read(p []byte) (int, error) { return s.r.Read(p) }

func frameOf(t testing.TB, p []byte, seq uint8) []byte {
	t.Helper()
	b, err := newDeflater().frame(p, seq)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b)
}

func TestBadCompressedFrames(t *testing.T) {
	long := AppendHeader(nil, 2000, 0)
	long = append(long, make([]byte, 2000)...)
	good := frameOf(t, long, 0)
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	command := append(AppendHeader(nil, 1, 3), ComPing)
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"good":                   {good, nil},
		"in two frames":          {append(frameOf(t, long[:900], 0), frameOf(t, long[900:], 1)...), nil},
		"empty frame first":      {append(make([]byte, frameHeaderLen), change(func(b []byte) { b[3] = 1 })...), nil},
		"wrong number":           {change(func(b []byte) { b[3] = 5 }), ErrSequence},
		"same number twice":      {append(frameOf(t, long[:900], 0), frameOf(t, long[900:], 0)...), ErrSequence},
		"no zlib at all":         {change(func(b []byte) { b[frameHeaderLen] ^= 0xff }), ErrMalformed},
		"broken checksum":        {change(func(b []byte) { b[len(b)-1] ^= 1 }), ErrMalformed},
		"more than announced":    {change(func(b []byte) { b[4] -= 4 }), ErrMalformed},
		"less than announced":    {change(func(b []byte) { b[4] += 4 }), nil}, // the command was whole
		"bytes after the stream": {append(change(func(b []byte) { b[0]++ }), 0), nil},
		"cut in the header":      {good[:5], io.ErrUnexpectedEOF},
		"cut in the stream":      {good[:len(good)-6], io.ErrUnexpectedEOF},
		"nothing":                {nil, io.EOF},
		"command out of order":   {frameOf(t, command, 0), ErrSequence},
	} {
		t.Run(name, func(t *testing.T) {
			conn := NewConn(scripted{r: bytes.NewReader(c.in)}, 0).Compressed()
			_, _, err := conn.ReadCommand()
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// FuzzCompressed reads any bytes as frames: what comes out is bounded by what the
// frames announce, and never by a panic.
func FuzzCompressed(f *testing.F) {
	long := append(AppendHeader(nil, 100, 0), make([]byte, 100)...)
	f.Add(frameOf(f, long, 0))
	f.Add(append(frameOf(f, long[:60], 0), frameOf(f, long[60:], 1)...))
	f.Add(frameOf(f, []byte{1, 0, 0, 0, ComPing}, 0))
	f.Fuzz(func(t *testing.T, in []byte) {
		conn := NewConn(scripted{r: bytes.NewReader(in)}, 1<<16).Compressed()
		for {
			conn.SetSeq(0)
			p, err := conn.ReadPacket()
			if err != nil {
				return
			}
			if len(p) > 1<<16 {
				t.Fatalf("a packet of %d bytes", len(p))
			}
		}
	})
}
