package ports

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// freePort is a port that nobody listens on, of the range from which the kernel takes them.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if _, ok := Reserve(port); ok {
		t.Error("reserved a port that somebody listens on")
	}
	if pid := Listener(port); pid != os.Getpid() {
		t.Errorf("process %d listens, want this one, %d", pid, os.Getpid())
	}
	l.Close()
	if pid := Listener(port); pid != 0 {
		t.Errorf("process %d listens on a port that was given back", pid)
	}
	return port
}

func TestReserve(t *testing.T) {
	port := freePort(t)
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

func TestClaim(t *testing.T) {
	port, owner := freePort(t), filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(owner, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, ok := ReserveUnclaimed(port)
	if !ok {
		t.Fatal("a free port is refused")
	}
	if err := lock.Claim("/a path that is longer than the one that follows/and/that/nobody/has" + owner); err != nil {
		t.Fatal(err)
	}
	if err := lock.Claim(owner); err != nil {
		t.Fatal(err)
	}
	lock.Close()
	if _, ok := ReserveUnclaimed(port); ok {
		t.Error("a claimed port was given to somebody else")
	}
	mine, ok := Reserve(port)
	if !ok || mine.Owner() != owner {
		t.Fatal("the owner does not get its port back")
	}
	mine.Close()
	if err := os.Remove(owner); err != nil {
		t.Fatal(err)
	}
	free, ok := ReserveUnclaimed(port)
	if !ok {
		t.Fatal("the claim outlives its owner")
	}
	free.Close()
}
