package reply

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// capture runs f against a client of some capabilities and returns the packets that the client got: the first byte and the
// length of each.
func capture(t *testing.T, caps wire.Capability, f func(*Client) error) string {
	t.Helper()
	near, far := net.Pipe()
	sent := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(far) // the end is what is waited for
		sent <- b
	}()
	c := &Client{Conn: wire.NewConn(near, 0), Caps: caps | wire.ClientProtocol41, Gone: func() {}, Status: func(more bool) uint16 {
		if more {
			return wire.StatusAutocommit | wire.StatusMoreResults
		}
		return wire.StatusAutocommit
	}}
	if err := f(c); err != nil {
		t.Fatal(err)
	}
	if err := c.Conn.Flush(); err != nil {
		t.Fatal(err)
	}
	_ = near.Close()
	b := <-sent
	out := ""
	for seq := 0; len(b) > 0; seq++ {
		n := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		if int(b[3]) != seq {
			t.Errorf("packet %d has the number %d", seq, b[3])
		}
		p := b[4 : 4+n]
		switch {
		case n > 20:
			out += "column "
		default:
			out += fmt.Sprintf("%x ", p)
		}
		b = b[4+n:]
	}
	return out
}

func TestPackets(t *testing.T) {
	cols := []wire.Column{{Name: "a", Charset: 63, Type: wire.TypeLongLong}}
	rows := func(binary, more bool) func(*Client) error {
		return func(c *Client) error {
			r := c.Rows(binary, more)
			err := errors.Join(r.Columns(cols), r.Row([][]byte{[]byte("7")}), r.RawRow([]byte("\x0212")), r.Row([][]byte{nil}))
			if r.Count() != 3 || !r.Started() {
				t.Errorf("%d rows, started %v", r.Count(), r.Started())
			}
			return errors.Join(err, r.Finish(wire.OK{Warnings: 1}, more))
		}
	}
	for _, c := range []struct {
		what string
		caps wire.Capability
		do   func(*Client) error
		want string
	}{
		{"ok", 0, func(c *Client) error { return c.OK(wire.OK{Affected: 2, InsertID: 5}, false) }, "00020502000000 "},
		{"ok, and more follows", 0, func(c *Client) error { return c.OK(wire.OK{}, true) }, "0000000a000000 "},
		{"eof", 0, func(c *Client) error { return c.EOF() }, "fe00000200 "},
		{"ok in its place", wire.ClientDeprecateEOF, func(c *Client) error { return c.EOF() }, "fe000002000000 "},
		{"text rows", 0, rows(false, false), "01 column fe00000200 0137 023132 fb fe01000200 "},
		{"text rows without EOF", wire.ClientDeprecateEOF, rows(false, false), "01 column 0137 023132 fb fe000002000100 "},
		{"text rows, and more follows", 0, rows(false, true), "01 column fe00000a00 0137 023132 fb fe01000a00 "},
		{"binary rows", wire.ClientDeprecateEOF, rows(true, false), "01 column 00000700000000000000 00000c00000000000000 0004 fe000002000100 "},
		{"prepared", 0, func(c *Client) error { return c.Prepared(3, nil, cols) }, "000300000001000000000000 column fe00000200 "},
		{"two results", wire.ClientDeprecateEOF, func(c *Client) error {
			r := c.Rows(false, false)
			return errors.Join(r.Columns(cols), r.NextResult(wire.OK{}), r.NextResult(wire.OK{Affected: 1}), r.Columns(cols), r.Finish(wire.OK{}, false))
		}, "01 column fe00000a000000 0001000a000000 01 column fe000002000000 "},
	} {
		if got := capture(t, c.caps, c.do); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// Who hands rows on is told when nobody reads them.
func TestGone(t *testing.T) {
	near, far := net.Pipe()
	_ = far.Close()
	gone := 0
	c := &Client{Conn: wire.NewConn(near, 0), Caps: wire.ClientProtocol41, Status: func(bool) uint16 { return 0 }, Gone: func() { gone++ }}
	r := c.Rows(false, false)
	big := make([]byte, 4<<20) // more than a connection keeps before it writes
	if err := r.Row([][]byte{big}); err == nil || gone == 0 {
		t.Errorf("a row for a client that is gone: %v, told %d times", err, gone)
	}
}
