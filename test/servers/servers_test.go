package servers_test

import (
	"net"
	"testing"

	"github.com/pelorusdb/pelorus/test/servers"
)

func TestStart(t *testing.T) {
	servers.ForEach(t, func(t *testing.T, s *servers.Server) {
		other := servers.FreePort(t)
		if other == s.Port {
			t.Fatalf("port %d given twice", other)
		}
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if !s.Greets(t.Context()) {
			t.Fatal("no greeting on the socket")
		}
	})
}
