package wire

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"
)

// allowance is a Meter with a limit.
type allowance struct{ limit, held, most int }

var errAllowance = errors.New("too much")

func (a *allowance) Claim(n int) error {
	if a.held+n > a.limit {
		return errAllowance
	}
	a.held += n
	a.most = max(a.most, a.held)
	return nil
}

func (a *allowance) Release(n int) { a.held -= n }

func TestMeter(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name         string
		size, limit  int
		claimed      int // while it is read
		held         int // afterwards
		refused, big bool
	}{
		{name: "small", size: 100_000, limit: 0},
		{name: "below the measure", size: meterFrom - headerLen, limit: 0},
		{name: "one chunk", size: 3 * mib, limit: 8 * mib, claimed: 3 * mib, held: 3 * mib},
		{name: "several chunks", size: 40 * mib, limit: 64 * mib, claimed: multiChunk, held: 40 * mib},
		{name: "more than expected", size: 70 * mib, limit: 80 * mib, claimed: 70 * mib, held: 70 * mib},
		{name: "refused", size: 3 * mib, limit: 2 * mib, refused: true},
		{name: "refused in several chunks", size: 40 * mib, limit: 63 * mib, refused: true},
		{name: "refused late", size: 70 * mib, limit: 66 * mib, claimed: multiChunk, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, far := tcpPair(t)
			r, w := NewConn(near, 100*mib), NewConn(far, 0)
			m := &allowance{limit: c.limit}
			r.SetMeter(m)
			payload := bytes.Repeat([]byte{7}, c.size)
			payload[0] = ComQuery
			sent := make(chan error, 1)
			go func() {
				err := w.WriteCommand(payload[0], payload[1:])
				if err == nil {
					err = w.WriteCommand(ComPing)
				}
				sent <- err
			}()
			got, _, err := r.ReadCommand()
			var refused *RefusedError
			if errors.As(err, &refused) != c.refused || err != nil && !errors.Is(err, errAllowance) {
				t.Fatalf("got %v", err)
			}
			if c.refused && refused.Command != ComQuery {
				t.Errorf("the refused command is %d", refused.Command)
			}
			if err == nil && !bytes.Equal(got, payload) {
				t.Errorf("%d other bytes", len(got))
			}
			const headers = 5 * headerLen
			if m.most < c.claimed || m.most > c.claimed+headers || m.held < c.held || m.held > c.held+headers {
				t.Errorf("%d bytes were claimed and %d held, want %d and %d", m.most, m.held, c.claimed, c.held)
			}
			// The connection is in step again.
			if got, _, err = r.ReadCommand(); err != nil || len(got) != 1 || got[0] != ComPing {
				t.Errorf("the next command: %v, %v", got, err)
			}
			if m.held != 0 {
				t.Errorf("%d bytes are held between commands", m.held)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWriteCommand: parts give the same bytes as a payload in one piece.
func TestWriteCommand(t *testing.T) {
	for _, size := range []int{0, 1, smallWindow - 6, smallWindow, maxChunk - 2, maxChunk - 1, maxChunk, 2*maxChunk - 1} {
		near, far := tcpPair(t)
		r, w := NewConn(near, 0), NewConn(far, 0)
		body := bytes.Repeat([]byte("ab"), size/2+1)[:size]
		sent := make(chan error, 1)
		go func() { sent <- w.WriteCommand(ComQuery, body[:size/3], nil, body[size/3:]) }()
		got, _, err := r.ReadCommand()
		if err != nil || got[0] != ComQuery || !bytes.Equal(got[1:], body) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}

// within waits for a condition.
func within(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// plainConn hides that a connection is a socket, as TLS does.
type plainConn struct{ net.Conn }

func TestStalled(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"socket": func(c net.Conn) net.Conn { return c },
		"plain":  func(c net.Conn) net.Conn { return plainConn{c} },
	} {
		t.Run(name+" that is not read", func(t *testing.T) {
			near, far := tcpPair(t)
			w := NewConn(wrap(near), 0)
			w.SetWriteTimeout(time.Minute)
			done := make(chan error, 1)
			go func() { done <- w.WriteRaw(make([]byte, 32<<20)) }()
			within(t, "a write that nobody takes does not count as stalled", func() bool { return w.Stalled(time.Now()) > 10*time.Millisecond })
			go func() {
				buf := make([]byte, 1<<20)
				for {
					if _, err := far.Read(buf); err != nil {
						return
					}
				}
			}()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if d := w.Stalled(time.Now()); d != 0 {
				t.Errorf("stalled for %v after all was taken", d)
			}
		})
		t.Run(name+" that sends too little", func(t *testing.T) {
			near, far := tcpPair(t)
			r := NewConn(wrap(near), 0)
			m := &allowance{limit: 1 << 30}
			r.SetMeter(m)
			go func() { _, _, _ = r.ReadCommand() }()
			if _, err := far.Write(append(AppendHeader(nil, 8<<20, 0), make([]byte, 300<<10)...)); err != nil {
				t.Fatal(err)
			}
			// 300 KiB are worth 1.2 seconds.
			within(t, "half a packet does not count as stalled", func() bool { return r.Stalled(time.Now()) > 10*time.Millisecond })
		})
	}
}
