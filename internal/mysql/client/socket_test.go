package client_test

import (
	"io"
	"net"
	"path/filepath"
	"testing"
)

// testSocket: the socket beside an address is used if the server behind it is that of the address, and only then.
func testSocket(t *testing.T, e *env) {
	empty := filepath.Join(t.TempDir(), "s")
	for _, tt := range []struct {
		name, addr, socket string
		over               string // how information_schema calls the client's host
	}{
		{"the server's own", e.s.Addr, e.s.Socket, "localhost"},
		{"none", e.s.Addr, empty, "127.0.0.1"},
		{"of another server", alias(t, e.s.Addr), e.s.Socket, "127.0.0.1"},
	} {
		cfg := e.config()
		cfg.Addr, cfg.Socket = tt.addr, tt.socket
		c := e.dial(t, cfg)
		host := one(t, c, "SELECT substring_index(host, ':', 1) FROM information_schema.processlist WHERE id = connection_id()")
		if host != tt.over {
			t.Errorf("%s: connected from %s, want %s", tt.name, host, tt.over)
		}
	}
}

// alias makes the server at an address listen on another port too, by forwarding, and returns the address of that.
func alias(t *testing.T, addr string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", addr)
			if err != nil {
				in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); out.Close() }()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	}()
	return l.Addr().String()
}
