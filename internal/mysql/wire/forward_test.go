package wire

import (
	"testing"
)

// forwarder is the gateway's inner loop in its barest form: a client's command goes
// to a server as it came, the answer comes back undecoded.
type forwarder struct {
	client, server *Conn
	scanner        Scanner
}

func (f *forwarder) step() error {
	_, raw, err := f.client.ReadCommand()
	if err != nil {
		return err
	}
	if err := f.server.WriteRaw(raw); err != nil {
		return err
	}
	f.scanner.Reset(ResponseQuery, ClientDeprecateEOF|ClientProtocol41)
	for done := false; !done; {
		p := f.server.Buffered()
		if len(p) == 0 {
			if p, err = f.server.Fill(); err != nil {
				return err
			}
		}
		var n int
		if n, done, err = f.scanner.Feed(p); err != nil {
			return err
		}
		// The server's connection is free again before the client gets the last bytes.
		lease := f.server.Lease(n)
		if done {
			f.server.Release()
		}
		err = f.client.WriteRaw(lease.Bytes())
		lease.Free()
		if err != nil {
			return err
		}
	}
	return nil
}

// pointSelect is the answer to a point select of sysbench, packet by packet.
func pointSelect() []byte {
	a := &answer{caps: ClientDeprecateEOF | ClientProtocol41, seq: 1}
	a.columns(1)
	a.row(AppendTextRow(nil, [][]byte{pattern(119)}))
	a.end(OK{Status: StatusAutocommit})
	return a.buf
}

// chain connects client, forwarder and server by sockets; ask makes one query.
func chain(t testing.TB) (f *forwarder, ask func() error) {
	clientOut, clientIn := pair(t, "tcp")
	serverIn, serverOut := pair(t, "tcp")
	f = &forwarder{client: clientIn, server: serverIn}
	query := append([]byte{ComQuery}, "SELECT c FROM sbtest1 WHERE id=501234"...)
	command := append(AppendHeader(nil, len(query), 0), query...)
	reply := pointSelect()
	return f, func() error {
		if err := clientOut.WriteRaw(command); err != nil {
			return err
		}
		// Everything fits the socket buffers: the ends can take turns on one goroutine.
		if err := serverOut.WriteRaw(reply); err != nil {
			return err
		}
		if err := f.step(); err != nil {
			return err
		}
		if _, _, err := serverOut.ReadCommand(); err != nil {
			return err
		}
		for got := 0; got < len(reply); {
			p, err := clientOut.Fill()
			if err != nil {
				return err
			}
			got += len(p)
			clientOut.Discard(len(p))
		}
		return nil
	}
}

// TestForwardingAllocatesNothing holds the promise of the hot path.
func TestForwardingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and drops pooled memory at random")
	}
	_, ask := chain(t)
	var err error
	allocs := testing.AllocsPerRun(2000, func() {
		if e := ask(); e != nil {
			err = e
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if allocs != 0 {
		t.Errorf("%v allocations per query", allocs)
	}
}

func BenchmarkForward(b *testing.B) {
	_, ask := chain(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := ask(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanner(b *testing.B) {
	a := &answer{caps: ClientDeprecateEOF}
	a.columns(3)
	for range 500 {
		a.row(AppendTextRow(nil, [][]byte{pattern(8), pattern(20), pattern(60)}))
	}
	a.end(OK{})
	b.SetBytes(int64(len(a.buf)))
	b.ReportAllocs()
	var s Scanner
	for b.Loop() {
		s.Reset(ResponseQuery, a.caps)
		if _, done, err := s.Feed(a.buf); !done || err != nil {
			b.Fatal(done, err)
		}
	}
}
