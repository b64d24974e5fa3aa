package wire

import (
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// ServerConfig is how a server greets and admits clients. It may be shared by any
// number of connections and must not change while it is.
type ServerConfig struct {
	// Version is the version string that clients see.
	Version string
	// Caps are the capabilities offered. Leave ClientMySQL out to be a MariaDB.
	// ClientCompress offers compression by zlib. Zstandard, TLS without TLS, and
	// multi-factor logins are never offered.
	Caps    Capability
	Charset uint8
	Status  uint16 // of the greeting and the final OK; 0 means StatusAutocommit
	// DefaultAuth is the plugin announced: PluginNative or PluginSHA2 (the default).
	DefaultAuth string
	// TLS, if set, is offered to clients; RequireTLS refuses those who do without it.
	TLS        *tls.Config
	RequireTLS bool
	// RSAKey lets clients without TLS send the clear password that the full exchange
	// of caching_sha2_password needs.
	RSAKey *rsa.PrivateKey
	// AllowCleartextOverUnix accepts clear passwords over Unix sockets in that exchange.
	AllowCleartextOverUnix bool
	Auth                   Accounts
	// Admit, if set, is asked after the password was right and before the client is
	// told so: an unknown database, too many connections. An error that is a
	// *MySQLError goes to the client as it is.
	Admit func(*Login) error
	// HandshakeTimeout limits the whole handshake; 0 means 10 s.
	HandshakeTimeout time.Duration
}

// Login is a client that was admitted.
type Login struct {
	User, Database string
	Caps           Capability // offered AND sent: what the connection speaks
	Charset        uint8
	Attrs          map[string]string
	MaxPacket      uint32 // what the client says it can take, in bytes
	TLS            bool
	Plugin         string // by which the client was admitted

	nonce []byte // of the greeting; clients without plugins use it again
	unix  bool   // the client came over a Unix socket
}

const (
	defaultHandshakeTimeout = 10 * time.Second
	// maxHandshakePacket limits packets before the login: names and a response take
	// hundreds of bytes, attributes 64 KiB at the most.
	maxHandshakePacket = 72 << 10

	errnoHandshake    = 1043
	errnoAccessDenied = 1045
	errnoOldClient    = 1251
	errnoNeedTLS      = 3159
)

// neverOffered are the capabilities that this package does not speak as a server.
const neverOffered = ClientZstd | ClientMultiFactor | ClientCapabilityExtension |
	ClientSSL | ClientVerifyServerCert

func (cfg *ServerConfig) caps() Capability {
	caps := cfg.Caps&^neverOffered |
		ClientProtocol41 | ClientSecureConnection | ClientPluginAuth | ClientPluginAuthLenenc
	if cfg.TLS != nil {
		caps |= ClientSSL
	}
	if caps.Has(ClientMySQL) {
		caps &= 1<<32 - 1
	}
	return caps
}

func (cfg *ServerConfig) plugin() string {
	if cfg.DefaultAuth == "" {
		return PluginSHA2
	}
	return cfg.DefaultAuth
}

func (cfg *ServerConfig) status() uint16 {
	if cfg.Status == 0 {
		return StatusAutocommit
	}
	return cfg.Status
}

// ServerHandshake greets a client and lets it log in. It sends the final OK or ERR
// itself. The returned Conn is the one to go on with: c, or one with TLS or
// compression below the packets; it is never nil, and the caller closes it. A client whose password is wrong, whose
// user does not exist, or that cfg.Admit refuses gets the *MySQLError that is
// returned; unknown users take part in the same exchange as known ones.
func ServerHandshake(c *Conn, connID uint32, cfg *ServerConfig) (*Login, *Conn, error) {
	limit := c.MaxPacket()
	timeout := cfg.HandshakeTimeout
	if timeout <= 0 {
		timeout = defaultHandshakeTimeout
	}
	nc := c.NetConn()
	if err := nc.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, c, err
	}
	c.SetMaxPacket(maxHandshakePacket)
	login, c, err := handshake(c, connID, cfg)
	c.SetMaxPacket(limit)
	if err != nil {
		return nil, c, err
	}
	c.Release()
	if login.Caps.Has(ClientCompress) {
		c = c.Compressed()
	}
	return login, c, nc.SetDeadline(time.Time{})
}

func handshake(c *Conn, connID uint32, cfg *ServerConfig) (*Login, *Conn, error) {
	nonce := newNonce(scrambleLen)
	offered := cfg.caps()
	c.SetSeq(0)
	greeting := AppendGreeting(nil, &Greeting{
		Version: cfg.Version, ConnID: connID, Nonce: nonce, Caps: offered,
		Charset: cfg.Charset, Status: cfg.status(), Plugin: cfg.plugin(),
	})
	if err := c.send(greeting); err != nil {
		return nil, c, err
	}
	payload, err := c.ReadPacket()
	if err != nil {
		return nil, c, badHandshake(c, err)
	}
	h, partial, err := ParseHandshakeResponse(payload, offered)
	isTLS := false
	_, unix := c.NetConn().(*net.UnixConn)
	if err == nil && partial {
		if c, err = c.startTLS(cfg.TLS); err != nil {
			return nil, c, fmt.Errorf("tls handshake with client: %w", err)
		}
		isTLS = true
		if payload, err = c.ReadPacket(); err == nil {
			h, partial, err = ParseHandshakeResponse(payload, offered)
		}
	}
	if err == nil && partial {
		err = malformed("handshake response: TLS asked for twice")
	}
	if err != nil {
		return nil, c, badHandshake(c, err)
	}
	if cfg.RequireTLS && !isTLS {
		return nil, c, c.refuse(&MySQLError{errnoNeedTLS, "HY000",
			"Connections using insecure transport are prohibited; connect with TLS."})
	}
	login := &Login{
		User: h.User, Database: h.Database, Caps: h.Caps, Charset: h.Charset,
		Attrs: h.Attrs, MaxPacket: h.MaxPacket, TLS: isTLS, nonce: nonce, unix: unix,
	}
	x := exchange{c: c, cfg: cfg, login: login, nonce: nonce, response: h.Auth, offered: h.Plugin}
	if h.Plugin == "" {
		x.offered = PluginNative
	}
	return login, c, x.run()
}

// ServerChangeUser answers COM_CHANGE_USER, whose payload it is given, with the
// final OK or ERR. After an error the session must end, as in MySQL. The new Login
// speaks the capabilities of prev.
func ServerChangeUser(c *Conn, payload []byte, prev *Login, cfg *ServerConfig) (*Login, error) {
	h, err := ParseChangeUser(payload, prev.Caps)
	if err != nil {
		return nil, badHandshake(c, err)
	}
	login := &Login{
		User: h.User, Database: h.Database, Caps: prev.Caps, Charset: h.Charset,
		Attrs: h.Attrs, MaxPacket: prev.MaxPacket, TLS: prev.TLS, nonce: prev.nonce, unix: prev.unix,
	}
	x := exchange{c: c, cfg: cfg, login: login, nonce: prev.nonce, response: h.Auth, offered: h.Plugin}
	if prev.Caps.Has(ClientPluginAuth) {
		// A nonce is used once: ask for a new answer, as the servers do.
		x.offered, x.stale = h.Plugin, true
	} else {
		x.offered = PluginNative
	}
	if err := x.run(); err != nil {
		return nil, err
	}
	return login, nil
}

// exchange is one run of authentication.
type exchange struct {
	c        *Conn
	cfg      *ServerConfig
	login    *Login
	nonce    []byte
	response []byte
	offered  string // the client's plugin, of which response is
	stale    bool   // the response answers a nonce that was used before
}

// run verifies the client and sends the last packet.
func (x *exchange) run() error {
	account, known := x.cfg.Auth.Account(x.login.User)
	if !known {
		// Hashes that no password has: the exchange goes on as for any user.
		account = Account{NativeHash: newNonce(20), SHA2Hash: newNonce(32), Ed25519Key: newNonce(32)}
	}
	plugin := x.choose(&account)
	if x.blank() && !account.empty() && x.offered != x.cfg.plugin() {
		// A client that does not know the announced plugin offers one of its own, and
		// keeps its answer back until it is asked by that plugin.
		x.stale = true
	}
	if plugin != x.offered || x.stale || plugin == PluginEd25519 {
		if err := x.switchTo(plugin); err != nil {
			return err
		}
	}
	x.login.Plugin = plugin
	ok, err := x.verify(&account, plugin)
	if err != nil {
		return err
	}
	if !ok || !known {
		return x.c.refuse(x.denied())
	}
	if x.cfg.Admit != nil {
		if err := x.cfg.Admit(x.login); err != nil {
			return x.c.refuse(asMySQLError(err))
		}
	}
	return x.c.send(AppendOK(nil, OK{Status: x.cfg.status()}, x.login.Caps, false))
}

// choose picks the plugin for an account.
func (x *exchange) choose(a *Account) string {
	if a.Plugin != "" {
		return a.Plugin
	}
	if a.fits(x.offered) {
		return x.offered
	}
	// No hash for the client's plugin; but a clear password can be compared with any.
	if x.offered == PluginSHA2 && (x.secure() || x.cfg.RSAKey != nil && x.lacksNative()) {
		return PluginSHA2
	}
	for _, p := range [...]string{x.cfg.plugin(), PluginSHA2, PluginNative, PluginEd25519} {
		if a.fits(p) {
			return p
		}
	}
	return x.cfg.plugin()
}

// lacksNative says whether the client cannot speak mysql_native_password: MySQL's
// own library from 9.0 on. Others may refuse to send a password under a key that
// they do not know, so they are not asked to unless they must.
func (x *exchange) lacksNative() bool {
	major, _, _ := strings.Cut(x.login.Attrs["_client_version"], ".")
	n, err := strconv.Atoi(major)
	return x.login.Attrs["_client_name"] == "libmysql" && err == nil && n >= 9
}

// secure says whether a clear password may be sent.
func (x *exchange) secure() bool {
	return x.login.TLS || x.login.unix && x.cfg.AllowCleartextOverUnix
}

func (x *exchange) switchTo(plugin string) error {
	if !x.login.Caps.Has(ClientPluginAuth) {
		if plugin == PluginNative {
			return nil
		}
		return x.c.refuse(&MySQLError{errnoOldClient, "08004",
			"Client does not support authentication protocol requested by server; use a newer client."})
	}
	n := scrambleLen
	if plugin == PluginEd25519 {
		n = ed25519NonceLen
	}
	x.nonce = newNonce(n)
	if err := x.c.send(AppendAuthSwitch(nil, plugin, x.nonce)); err != nil {
		return err
	}
	return x.read()
}

// read takes the client's next packet as its response. The bytes are copied: they
// outlive the packet's buffer.
func (x *exchange) read() error {
	p, err := x.c.ReadPacket()
	if err != nil {
		return badHandshake(x.c, err)
	}
	x.response = append([]byte(nil), p...)
	return nil
}

// blank says whether the response is that of an empty password.
func (x *exchange) blank() bool {
	return len(x.response) == 0 || len(x.response) == 1 && x.response[0] == 0
}

// verify says whether the response proves the password.
func (x *exchange) verify(a *Account, plugin string) (bool, error) {
	if x.blank() || a.empty() {
		return x.blank() && a.empty(), nil
	}
	switch plugin {
	case PluginNative:
		return checkNative(x.response, x.nonce, a.NativeHash), nil
	case PluginEd25519:
		return checkEd25519(x.response, x.nonce, a.Ed25519Key), nil
	case PluginSHA2:
		if len(a.SHA2Hash) == 0 {
			return x.full(a)
		}
		if !checkSHA2(x.response, x.nonce, a.SHA2Hash) {
			return false, nil
		}
		return true, x.c.send([]byte{packetMore, 3})
	}
	return false, nil
}

// full runs the full exchange of caching_sha2_password: the client sends its clear
// password, under TLS, over a Unix socket, or encrypted with our RSA key.
func (x *exchange) full(a *Account) (bool, error) {
	if err := x.c.send([]byte{packetMore, 4}); err != nil {
		return false, err
	}
	if err := x.read(); err != nil {
		return false, err
	}
	if x.secure() {
		n := len(x.response)
		if n == 0 || x.response[n-1] != 0 {
			return false, nil
		}
		return a.matches(x.response[:n-1]), nil
	}
	if x.cfg.RSAKey == nil {
		return false, nil
	}
	if len(x.response) == 1 && x.response[0] == 2 {
		key, err := marshalPublicKey(x.cfg.RSAKey)
		if err != nil {
			return false, err
		}
		if err := x.c.send(append([]byte{packetMore}, key...)); err != nil {
			return false, err
		}
		if err := x.read(); err != nil {
			return false, err
		}
	}
	plain, err := decryptPassword(x.response, x.nonce, x.cfg.RSAKey)
	if err != nil || len(plain) == 0 || plain[len(plain)-1] != 0 {
		return false, nil // bytes that do not decrypt are a wrong password
	}
	return a.matches(plain[:len(plain)-1]), nil
}

func (x *exchange) denied() *MySQLError {
	host := "localhost"
	if addr, ok := x.c.NetConn().RemoteAddr().(*net.TCPAddr); ok {
		host = addr.IP.String()
	}
	using := "NO"
	if len(x.response) > 1 {
		using = "YES"
	}
	return &MySQLError{errnoAccessDenied, "28000",
		fmt.Sprintf("Access denied for user '%s'@'%s' (using password: %s)", x.login.User, host, using)}
}

// send writes one packet at once.
func (c *Conn) send(payload []byte) error {
	if err := c.WritePacket(payload); err != nil {
		return err
	}
	return c.Flush()
}

// refuse sends e and returns it.
func (c *Conn) refuse(e *MySQLError) error {
	if err := c.send(AppendErr(nil, e)); err != nil {
		return fmt.Errorf("%w (and the client could not be told: %w)", e, err)
	}
	return e
}

// badHandshake tells the client, where it makes sense, why a login ends.
func badHandshake(c *Conn, err error) error {
	if errors.Is(err, ErrMalformed) || errors.Is(err, ErrSequence) || errors.Is(err, ErrPacketTooLarge) {
		if e := c.send(AppendErr(nil, &MySQLError{errnoHandshake, "08S01", "Bad handshake"})); e != nil {
			return fmt.Errorf("bad handshake: %w (and the client could not be told: %w)", err, e)
		}
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("client went away during the handshake: %w", err)
	}
	return fmt.Errorf("handshake: %w", err)
}

func asMySQLError(err error) *MySQLError {
	var e *MySQLError
	if errors.As(err, &e) {
		return e
	}
	return &MySQLError{1105, "HY000", err.Error()}
}
