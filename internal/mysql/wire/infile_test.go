package wire

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
)

func TestSendFile(t *testing.T) {
	for _, n := range []int{0, 1, infileChunk, infileChunk + 1, 3*infileChunk + 5} {
		server, client := pair(t, "tcp")
		data := pattern(n)
		client.SetSeq(2)
		wait := start(t, func() error {
			defer client.Close()
			return client.SendFile(bytes.NewReader(data))
		})
		server.SetSeq(2)
		var got []byte
		for {
			p, err := server.ReadPacket()
			if err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			if len(p) == 0 {
				break
			}
			got = append(got, p...)
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%d bytes: %d came", n, len(got))
		}
		wait()
	}
	a, _ := pair(t, "tcp")
	broken := errors.New("disk broke")
	if err := a.SendFile(io.MultiReader(bytes.NewReader(pattern(10)), failing{broken})); !errors.Is(err, ErrSource) || !errors.Is(err, broken) {
		t.Errorf("a source that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestIdleConnectionsAreSmall: thousands of sessions that wait must cost next to
// nothing.
func TestIdleConnectionsAreSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector keeps memory of its own")
	}
	const sessions, limit = 200, 5 << 10
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := heap()
	type session struct {
		peer *Conn
		done chan error
	}
	var all []session
	for range sessions {
		a, b := pair(t, "tcp")
		s := session{a, make(chan error, 1)}
		all = append(all, s)
		ready := make(chan struct{})
		go func() {
			_, _, err := b.ReadCommand()
			close(ready)
			if err == nil {
				_, _, err = b.ReadCommand() // waits until the end of the test
			}
			s.done <- err
		}()
		a.SetSeq(0)
		if err := a.send(pattern(40_000)); err != nil {
			t.Fatal(err)
		}
		<-ready
	}
	// Both ends are ours, so a session's share is half of what each pair costs.
	if per := (heap() - before) / (2 * sessions); per > limit {
		t.Errorf("%d bytes for an idle connection, its goroutine included; %d are allowed", per, limit)
	}
	for _, s := range all {
		s.peer.Close()
		if err := <-s.done; !errors.Is(err, io.EOF) {
			t.Errorf("session ended with %v", err)
		}
	}
}
