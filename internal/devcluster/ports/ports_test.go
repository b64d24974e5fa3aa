package ports

import (
	"net"
	"testing"
)

func TestReserve(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if _, ok := Reserve(port); ok {
		t.Error("reserved a port that somebody listens on")
	}
	l.Close()
	lock, ok := Reserve(port)
	if !ok {
		t.Fatal("a free port is refused")
	}
	if _, ok := Reserve(port); ok {
		t.Error("reserved twice")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, ok := Reserve(port)
	if !ok {
		t.Fatal("a port that was given back is refused")
	}
	again.Close()
}
