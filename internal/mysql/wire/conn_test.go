package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// transports are the kinds of connection that a Conn works over in different ways.
var transports = map[string]func(testing.TB) (a, b net.Conn){
	"tcp":  tcpPair,
	"unix": unixPair,
	"pipe": func(testing.TB) (net.Conn, net.Conn) { return net.Pipe() },
}

func tcpPair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	return dialPair(t, "tcp", "127.0.0.1:0")
}

func unixPair(t testing.TB) (net.Conn, net.Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "wire")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dialPair(t, "unix", filepath.Join(dir, "s"))
}

func dialPair(t testing.TB, network, addr string) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// The kernel completes the connection before it is accepted.
	a, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

// pair makes two ends that speak to each other, closed with the test.
func pair(t testing.TB, transport string) (a, b *Conn) {
	t.Helper()
	na, nb := transports[transport](t)
	a, b = NewConn(na, 0), NewConn(nb, 0)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// start runs f beside the test, which fails with f's error, and waits for it.
func start(t testing.TB, f func() error) (wait func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	return func() {
		t.Helper()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7 >> 3)
	}
	return p
}

func TestPacketsOfAllSizes(t *testing.T) {
	sizes := []int{
		0, 1, 3, 4, 5, smallWindow - 5, smallWindow - 4, smallWindow - 3, smallWindow, smallWindow + 1,
		largeWindow - 5, largeWindow - 4, largeWindow - 3, largeWindow, 1 << 20, 0, 1,
		maxChunk - 1, maxChunk, maxChunk + 1, 2 * maxChunk, 2*maxChunk + 7, 2,
	}
	for name := range transports {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, name)
			wait := start(t, func() error {
				for i, n := range sizes {
					if err := a.WritePacket(pattern(n)); err != nil {
						return err
					}
					if i%3 == 0 {
						if err := a.Flush(); err != nil {
							return err
						}
					}
				}
				return a.Flush()
			})
			for i, n := range sizes {
				p, err := b.ReadPacket()
				if err != nil {
					t.Fatalf("packet %d of %d bytes: %v", i, n, err)
				}
				if !bytes.Equal(p, pattern(n)) {
					t.Fatalf("packet %d: %d bytes came, %d were sent, or they differ", i, len(p), n)
				}
			}
			wait()
			if a.Seq() != b.Seq() {
				t.Errorf("sequence %d on one side, %d on the other", a.Seq(), b.Seq())
			}
		})
	}
}

func TestReadCommand(t *testing.T) {
	for name := range transports {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, name)
			sizes := []int{1, 30, smallWindow, 100_000, maxChunk - 1, maxChunk, maxChunk + 9, 30}
			wait := start(t, func() error {
				for _, n := range sizes {
					a.SetSeq(0)
					if err := a.send(pattern(n)); err != nil {
						return err
					}
				}
				return nil
			})
			for _, n := range sizes {
				payload, raw, err := b.ReadCommand()
				if err != nil || !bytes.Equal(payload, pattern(n)) {
					t.Fatalf("command of %d bytes: %d bytes, %v", n, len(payload), err)
				}
				if n >= maxChunk {
					if raw != nil {
						t.Errorf("%d bytes: raw bytes of a command in several chunks", n)
					}
					continue
				}
				if want := append(AppendHeader(nil, n, 0), payload...); !bytes.Equal(raw, want) {
					t.Errorf("%d bytes: the raw bytes are not header and payload", n)
				}
				if b.Seq() != 1 {
					t.Errorf("the answer would begin with sequence %d", b.Seq())
				}
			}
			wait()
		})
	}
}

func TestBadFrames(t *testing.T) {
	tests := []struct {
		name  string
		bytes []byte
		limit int
		want  error
	}{
		{"end between packets", nil, 0, io.EOF},
		{"end in the header", []byte{1, 0}, 0, io.ErrUnexpectedEOF},
		{"end in the payload", []byte{5, 0, 0, 0, 'a'}, 0, io.ErrUnexpectedEOF},
		{"end in a big payload", append([]byte{0, 0, 0x80, 0}, pattern(100_000)...), 0, io.ErrUnexpectedEOF},
		{"end after a full chunk", append([]byte{0xff, 0xff, 0xff, 0}, make([]byte, maxChunk)...), 0, io.ErrUnexpectedEOF},
		{"wrong sequence", []byte{1, 0, 0, 1, 'a'}, 0, ErrSequence},
		{"wrong sequence of the second chunk", append(append([]byte{0xff, 0xff, 0xff, 0}, make([]byte, maxChunk)...), 0, 0, 0, 0), 0, ErrSequence},
		{"over the limit", []byte{101, 0, 0, 0}, 100, ErrPacketTooLarge},
		{"over the limit in the second chunk", append(append([]byte{0xff, 0xff, 0xff, 0}, make([]byte, maxChunk)...), 2, 0, 0, 1), maxChunk + 1, ErrPacketTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			na, nb := tcpPair(t)
			b := NewConn(nb, tt.limit)
			defer b.Close()
			wait := start(t, func() error {
				if _, err := na.Write(tt.bytes); err != nil {
					return err
				}
				return na.Close()
			})
			if _, _, err := b.ReadCommand(); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if got := cap(b.big); got > 4*len(tt.bytes)+keepBig {
				t.Errorf("%d bytes of memory for %d bytes from the peer", got, len(tt.bytes))
			}
			wait()
		})
	}
}

// TestAnnouncedLengthCostsNothing: a header that promises 16 MB, and nothing after it.
func TestAnnouncedLengthCostsNothing(t *testing.T) {
	na, nb := tcpPair(t)
	b := NewConn(nb, 1<<30)
	defer b.Close()
	if _, err := na.Write([]byte{0xff, 0xff, 0xff, 0, 'x'}); err != nil {
		t.Fatal(err)
	}
	na.Close()
	if _, _, err := b.ReadCommand(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if cap(b.big) > largeWindow {
		t.Errorf("%d bytes of memory for 5 bytes", cap(b.big))
	}
}

func TestIdleConnectionHoldsNoBuffer(t *testing.T) {
	for name := range transports {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, name)
			for _, n := range []int{5, 200_000} {
				wait := start(t, func() error {
					a.SetSeq(0)
					return a.send(pattern(n))
				})
				if _, _, err := b.ReadCommand(); err != nil {
					t.Fatal(err)
				}
				wait()
				b.Release()
				if b.in != nil || b.big != nil || b.out != nil {
					t.Errorf("after a command of %d bytes the idle connection holds memory", n)
				}
			}
		})
	}
}

func TestFillAndDiscard(t *testing.T) {
	for name := range transports {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, name)
			data := pattern(300_000)
			wait := start(t, func() error { return a.WriteRaw2(data[:1000], data[1000:]) })
			var got []byte
			for len(got) < len(data)-largeWindow {
				p, err := b.Fill()
				if err != nil {
					t.Fatal(err)
				}
				n := len(p)/2 + 1
				got = append(got, p[:n]...)
				b.Discard(n)
				if rest := b.Buffered(); !bytes.Equal(rest, p[n:]) {
					t.Fatal("Buffered is not what Discard has left")
				}
			}
			for {
				if _, err := b.Fill(); err != nil {
					if !errors.Is(err, ErrWindowFull) {
						t.Fatal(err)
					}
					break
				}
				if len(got)+len(b.Buffered()) == len(data) {
					break
				}
			}
			if rest := b.Buffered(); !bytes.Equal(append(got, rest...), data[:len(got)+len(rest)]) {
				t.Error("the bytes differ from those sent")
			}
			b.Discard(len(b.Buffered()))
			a.Close()
			for {
				if _, err := b.Fill(); err != nil {
					break
				}
				b.Discard(len(b.Buffered()))
			}
			wait()
		})
	}
}

func TestLease(t *testing.T) {
	a, b := pair(t, "tcp")
	if err := a.WriteRaw([]byte("first,second")); err != nil {
		t.Fatal(err)
	}
	for len(b.Buffered()) < 12 {
		if _, err := b.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	l := b.Lease(6)
	if err := a.WriteRaw([]byte(",third")); err != nil {
		t.Fatal(err)
	}
	for len(b.Buffered()) < 12 {
		if _, err := b.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(l.Bytes()); got != "first," {
		t.Errorf("leased %q", got)
	}
	if got := string(b.Buffered()); got != "second,third" {
		t.Errorf("left %q", got)
	}
	l.Free()
	l.Free()
	whole := b.Lease(12)
	if got := string(whole.Bytes()); got != "second,third" || b.in != nil {
		t.Errorf("leased %q, and the connection still holds a buffer: %v", got, b.in != nil)
	}
	whole.Free()
}

func TestCheckIdle(t *testing.T) {
	a, b := pair(t, "tcp")
	if err := b.CheckIdle(); err != nil {
		t.Errorf("a silent peer: %v", err)
	}
	if err := a.WriteRaw([]byte{1}); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return errors.Is(b.CheckIdle(), ErrUnexpectedData) })
	if _, err := b.Fill(); err != nil {
		t.Fatal(err)
	}
	if err := b.CheckIdle(); !errors.Is(err, ErrUnexpectedData) {
		t.Errorf("unread bytes: %v", err)
	}
	b.Discard(1)
	a.Close()
	until(t, func() bool { return errors.Is(b.CheckIdle(), io.EOF) })
}

// until waits for a condition that the kernel brings about.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatal("the condition did not come true within 10 s")
		}
	}
}

func TestWriteTimeout(t *testing.T) {
	for _, name := range []string{"tcp", "unix", "pipe"} {
		t.Run(name, func(t *testing.T) {
			a, _ := pair(t, name)
			a.SetWriteTimeout(50 * time.Millisecond)
			var err error
			for range 1000 {
				if err = a.WriteRaw(make([]byte, 1<<20)); err != nil {
					break
				}
			}
			if !errors.Is(err, ErrWriteTimeout) {
				t.Fatalf("a peer that does not read: %v", err)
			}
			if again := a.WritePacket([]byte{1}); again == nil {
				t.Error("the connection can be written after part of a packet was lost")
			}
		})
	}
}

// TestSlowReaderIsNotTimedOut: the limit is for a peer that takes nothing at all.
func TestSlowReaderIsNotTimedOut(t *testing.T) {
	a, b := pair(t, "tcp")
	const limit = 300 * time.Millisecond
	a.SetWriteTimeout(limit)
	const total = 64 << 20
	wait := start(t, func() error { return a.WriteRaw(make([]byte, total)) })
	begin := time.Now()
	tick := time.NewTicker(limit / 10)
	defer tick.Stop()
	for got := 0; got < total; {
		if time.Since(begin) < 2*limit {
			<-tick.C
		}
		for range 16 {
			p, err := b.Fill()
			if err != nil {
				t.Fatal(err)
			}
			got += len(p)
			b.Discard(len(p))
			if got == total {
				break
			}
		}
	}
	wait()
	if err := a.WriteRaw([]byte{1}); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

func TestCloseEndsWaits(t *testing.T) {
	for name := range transports {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, name)
			done := make(chan error, 2)
			go func() {
				for {
					if _, _, err := b.ReadCommand(); err != nil { // the zeros that a writes are empty commands
						done <- err
						return
					}
				}
			}()
			go func() {
				for {
					if err := a.WriteRaw(make([]byte, 1<<20)); err != nil {
						done <- err
						return
					}
				}
			}()
			// Whatever the two are doing by now, both must come back.
			a.Close()
			b.Close()
			for range 2 {
				if err := <-done; err == nil {
					t.Error("no error from a closed connection")
				}
			}
		})
	}
}
