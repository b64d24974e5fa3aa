package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/test/servers"
)

// accounts is the server's list of users.
type accounts map[string]wire.Account

func (a accounts) Account(user string) (wire.Account, bool) {
	acc, ok := a[user]
	return acc, ok
}

const secret = "sécret'\\ word"

func testAccounts() accounts {
	all := wire.NewAccount(secret)
	return accounts{
		"all":      all,
		"native":   {NativeHash: all.NativeHash},
		"sha2":     {SHA2Hash: all.SHA2Hash},
		"ed25519":  {Ed25519Key: all.Ed25519Key},
		"strict":   {Plugin: wire.PluginNative, NativeHash: all.NativeHash, SHA2Hash: all.SHA2Hash},
		"strict25": {Plugin: wire.PluginEd25519, NativeHash: all.NativeHash, Ed25519Key: all.Ed25519Key},
		"blank":    {},
	}
}

// tinyServer logs clients in and answers each command that it knows with an OK.
type tinyServer struct {
	cfg    *wire.ServerConfig
	addr   string
	socket string

	mu     sync.Mutex
	logins []wire.Login
	errs   []error
}

func startServer(t *testing.T, cfg *wire.ServerConfig) *tinyServer {
	t.Helper()
	dir := servers.TempDir(t)
	s := &tinyServer{cfg: cfg, socket: filepath.Join(dir, "s")}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Error("a connection of the server does not end")
		}
	})
	for _, a := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", s.socket}} {
		l, err := net.Listen(a[0], a[1])
		if err != nil {
			t.Fatal(err)
		}
		if a[0] == "tcp" {
			s.addr = l.Addr().String()
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				wg.Add(1)
				go func() {
					defer wg.Done()
					s.serve(nc)
				}()
			}
		}()
		t.Cleanup(func() { l.Close() })
	}
	return s
}

func (s *tinyServer) serve(nc net.Conn) {
	login, c, err := wire.ServerHandshake(wire.NewConn(nc, 1<<20), 42, s.cfg)
	defer c.Close()
	if err != nil {
		s.mu.Lock()
		s.errs = append(s.errs, err)
		s.mu.Unlock()
		return
	}
	for {
		s.mu.Lock()
		s.logins = append(s.logins, *login)
		s.mu.Unlock()
		if login, err = s.commands(c, login); err != nil {
			return
		}
	}
}

// commands answers until the user changes or the client leaves.
func (s *tinyServer) commands(c *wire.Conn, login *wire.Login) (*wire.Login, error) {
	for {
		p, _, err := c.ReadCommand()
		if err != nil {
			return nil, err
		}
		reply := wire.AppendOK(nil, wire.OK{Status: wire.StatusAutocommit}, login.Caps, false)
		switch p[0] {
		case wire.ComChangeUser:
			return wire.ServerChangeUser(c, p, login, s.cfg)
		case wire.ComQuery, wire.ComPing, wire.ComInitDB:
		default:
			reply = wire.AppendErr(nil, &wire.MySQLError{Errno: 1047, State: "08S01", Message: "Unknown command"})
		}
		if err := c.WritePacket(reply); err != nil {
			return nil, err
		}
		if err := c.Flush(); err != nil {
			return nil, err
		}
	}
}

func (s *tinyServer) lastLogin(t *testing.T) wire.Login {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.logins) == 0 {
		t.Fatalf("nobody has logged in; errors: %v", s.errs)
	}
	return s.logins[len(s.logins)-1]
}

const mysqlCaps = wire.ClientMySQL | wire.ClientFoundRows | wire.ClientLongFlag | wire.ClientConnectWithDB |
	wire.ClientLocalFiles | wire.ClientTransactions | wire.ClientMultiStatements | wire.ClientMultiResults |
	wire.ClientPSMultiResults | wire.ClientConnectAttrs | wire.ClientSessionTrack | wire.ClientDeprecateEOF | wire.ClientCompress

func testCert(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"gateway"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func testConfig(t *testing.T, maria bool) *wire.ServerConfig {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &wire.ServerConfig{
		Version: "8.4.0-test", Caps: mysqlCaps | wire.ClientQueryAttributes, Charset: 45, TLS: testCert(t), RSAKey: key,
		AllowCleartextOverUnix: true, Auth: testAccounts(), HandshakeTimeout: 10 * time.Second,
	}
	if maria {
		cfg.Version = "5.5.5-10.11.0-MariaDB-test"
		cfg.Caps = mysqlCaps &^ wire.ClientMySQL
		cfg.DefaultAuth = wire.PluginNative
	}
	cfg.Admit = func(l *wire.Login) error {
		if l.Database == "missing" {
			return &wire.MySQLError{Errno: 1049, State: "42000", Message: "Unknown database 'missing'"}
		}
		return nil
	}
	return cfg
}

// TestLoginsOfBothSides lets our client log in at our server, by every plugin over
// every kind of connection.
func TestLoginsOfBothSides(t *testing.T) {
	for _, maria := range []bool{false, true} {
		s := startServer(t, testConfig(t, maria))
		for _, kind := range []string{"tcp", "tls", "unix"} {
			for user := range testAccounts() {
				name := map[bool]string{false: "mysql", true: "mariadb"}[maria] + "/" + kind + "/" + user
				t.Run(name, func(t *testing.T) { oneLogin(t, s, kind, user) })
			}
		}
	}
}

func oneLogin(t *testing.T, s *tinyServer, kind, user string) {
	cfg := client.Config{Addr: s.addr, User: user, Password: secret, Database: "shop",
		DeprecateEOF: true, SessionTrack: true, Attrs: map[string]string{"program": "test"}}
	if user == "blank" {
		cfg.Password = ""
	}
	switch kind {
	case "unix":
		cfg.Network, cfg.Addr = "unix", s.socket
	case "tls":
		cfg.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	c, err := client.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := s.lastLogin(t)
	if l.User != user || l.Database != "shop" || l.TLS != (kind == "tls") || l.Attrs["program"] != "test" || l.Charset != 45 {
		t.Errorf("login %+v", l)
	}
	if l.Caps != c.Caps() {
		t.Errorf("the server takes the capabilities for %#x, the client for %#x", l.Caps, c.Caps())
	}
	if c.ConnectionID() != 42 {
		t.Errorf("connection id %d", c.ConnectionID())
	}
	for _, other := range []string{"native", "sha2", "strict25", "blank"} {
		password := secret
		if other == "blank" {
			password = ""
		}
		if err := c.ChangeUser(t.Context(), other, password, "other"); err != nil {
			t.Fatalf("change user to %s: %v", other, err)
		}
		if err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l := s.lastLogin(t); l.User != other || l.Database != "other" || l.Caps != c.Caps() {
			t.Errorf("after change user: %+v", l)
		}
	}
	if err := c.ChangeUser(t.Context(), "all", "wrong", ""); !isErrno(err, 1045) || !c.Broken() {
		t.Errorf("change user with a wrong password: %v", err)
	}
	for _, bad := range []string{"wrong", "", "x"} {
		if user == "blank" && bad == "" {
			continue
		}
		cfg.Password = bad
		if _, err := client.Dial(t.Context(), cfg); !isErrno(err, 1045) {
			t.Errorf("password %q: %v, want 1045", bad, err)
		}
	}
}

func TestRefusedLogins(t *testing.T) {
	cfg := testConfig(t, false)
	s := startServer(t, cfg)
	ask := func(change func(*client.Config)) error {
		c := client.Config{Addr: s.addr, User: "all", Password: secret}
		change(&c)
		conn, err := client.Dial(t.Context(), c)
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := ask(func(c *client.Config) { c.User = "nobody" }); !isErrno(err, 1045) || !strings.Contains(err.Error(), "'nobody'@'127.0.0.1' (using password: YES)") {
		t.Errorf("unknown user: %v", err)
	}
	if err := ask(func(c *client.Config) { c.User, c.Password = "nobody", "" }); !isErrno(err, 1045) || !strings.Contains(err.Error(), "password: NO") {
		t.Errorf("unknown user without password: %v", err)
	}
	if err := ask(func(c *client.Config) { c.Database = "missing" }); !isErrno(err, 1049) {
		t.Errorf("unknown database: %v", err)
	}
	if err := ask(func(c *client.Config) { c.TLS = &tls.Config{} }); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody: %v", err)
	}
	if err := ask(func(c *client.Config) { c.User = strings.Repeat("u", 100_000) }); err == nil {
		t.Error("a user name of 100,000 bytes was taken")
	}
	strict := testConfig(t, false)
	strict.RequireTLS = true
	s = startServer(t, strict)
	if err := ask(func(*client.Config) {}); !isErrno(err, 3159) {
		t.Errorf("without TLS: %v", err)
	}
	if err := ask(func(c *client.Config) { c.TLS = &tls.Config{InsecureSkipVerify: true} }); err != nil {
		t.Errorf("with TLS: %v", err)
	}
	bare := testConfig(t, false)
	bare.RSAKey, bare.TLS = nil, nil
	s = startServer(t, bare)
	// No way to get the clear password: the user's own plugin is asked for.
	if err := ask(func(c *client.Config) { c.User = "native" }); err != nil {
		t.Errorf("native without RSA and TLS: %v", err)
	}
}

// TestGarbageAtTheDoor: a client that talks nonsense harms only itself.
func TestGarbageAtTheDoor(t *testing.T) {
	cfg := testConfig(t, false)
	cfg.HandshakeTimeout = 200 * time.Millisecond
	s := startServer(t, cfg)
	for name, data := range map[string][]byte{
		"nothing":           nil,
		"half a header":     {1, 2},
		"a gigabyte":        {0xff, 0xff, 0xff, 1},
		"a wrong sequence":  {1, 0, 0, 7, 0},
		"an empty packet":   {0, 0, 0, 1},
		"zeros":             append([]byte{64, 0, 0, 1}, make([]byte, 64)...),
		"http":              []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"tls for nobody":    append([]byte{32, 0, 0, 1, 0, 0x0a, 0, 0}, append(make([]byte, 28), "not a client hello"...)...),
		"a response's head": append([]byte{40, 0, 0, 1, 0, 2, 0, 0}, make([]byte, 10)...),
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if _, err := nc.Write(data); err != nil {
				t.Fatal(err)
			}
			if err := nc.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 4096)
			for err == nil {
				_, err = nc.Read(buf)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the server does not close the connection")
			}
		})
	}
	c, err := client.Dial(t.Context(), client.Config{Addr: s.addr, User: "all", Password: secret})
	if err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	c.Close()
}

// TestForeignClients lets the command line clients of both families log in.
func TestForeignClients(t *testing.T) {
	mysql := filepath.Join(filepath.Dir(servers.Binary(t, servers.MySQL)), "mysql")
	maria, err := osexec.LookPath("mariadb")
	if err != nil {
		t.Fatal("the mariadb client is not installed: run `make setup`")
	}
	for _, flavor := range []bool{false, true} {
		s := startServer(t, testConfig(t, flavor))
		_, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			t.Fatal(err)
		}
		tcp := []string{"--no-defaults", "-h127.0.0.1", "-P" + port, "--protocol=tcp"}
		unix := []string{"--no-defaults", "-S" + s.socket, "--protocol=socket"}
		for _, tt := range []struct {
			name, bin string
			args      []string
			users     string
		}{
			{"mysql tls", mysql, append(tcp, "--ssl-mode=REQUIRED"), "all native sha2 ed25519"},
			{"mysql rsa", mysql, append(tcp, "--ssl-mode=DISABLED", "--get-server-public-key"), "all native sha2 ed25519"},
			{"mysql unix", mysql, unix, "all native sha2 ed25519"},
			{"mariadb", maria, append(tcp, "--skip-ssl"), "all native sha2 ed25519 strict strict25"},
			{"mariadb tls", maria, append(tcp, "--ssl"), "all native sha2 ed25519 strict strict25"},
			{"mariadb unix", maria, unix, "all native sha2 ed25519 strict strict25"},
			{"mysql tls compressed", mysql, append(tcp, "--ssl-mode=REQUIRED", "--compression-algorithms=zlib"), "sha2"},
			{"mysql unix compressed", mysql, append(unix, "--compress"), "sha2"},
			{"mariadb compressed", maria, append(tcp, "--skip-ssl", "--compress"), "native"},
			{"mariadb tls compressed", maria, append(tcp, "--ssl", "--compress"), "ed25519"},
		} {
			for _, user := range strings.Fields(tt.users) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				args := append(append([]string{}, tt.args...), "-u"+user, "-p"+secret, "-e", "DO 1", "shop")
				out, err := osexec.CommandContext(ctx, tt.bin, args...).CombinedOutput()
				cancel()
				if err != nil {
					t.Errorf("%s as %s, server is mariadb: %v: %v\n%s", tt.name, user, flavor, err, out)
					continue
				}
				l := s.lastLogin(t)
				if l.User != user || l.Database != "shop" || l.Caps.Has(wire.ClientCompress) != strings.Contains(tt.name, "compressed") {
					t.Errorf("%s as %s: login %+v", tt.name, user, l)
				}
			}
		}
	}
}
