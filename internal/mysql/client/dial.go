package client

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// Config says where to connect, as whom, and what to speak.
type Config struct {
	Network string // "tcp" (the default) or "unix"
	Addr    string // HOST:PORT, or the path of a socket
	// Socket is the path of the Unix socket of the server that listens on Addr's port on this machine. It is tried first;
	// Addr is used when nothing answers there, or another server does.
	Socket   string
	User     string
	Password string
	Database string

	// Capabilities that are asked for if the server offers them.

	DeprecateEOF    bool
	FoundRows       bool
	SessionTrack    bool
	MultiStatements bool
	LocalFiles      bool
	QueryAttributes bool // MySQL only
	IgnoreSpace     bool
	Compress        bool // by zlib; not worth its time on a fast network

	// TLS, if set, is required of the server.
	TLS *tls.Config
	// Charset is the collation id of the login; 0 means 45 (utf8mb4_general_ci), which
	// all servers know.
	Charset uint8
	// InitSQL is run, statement by statement, after the login.
	InitSQL []string
	// ConnectTimeout limits dialling, login and InitSQL; 0 means 10 s.
	ConnectTimeout time.Duration
	// MaxPacket limits a packet from the server, in bytes; 0 means 1 GiB, the most a
	// server can be set to.
	MaxPacket int
	Attrs     map[string]string
	// ServerKey is used in place of asking the server for its RSA key.
	ServerKey *rsa.PublicKey
	// LocalInfile opens the file that a LOAD DATA LOCAL names. Without it such
	// statements fail.
	LocalInfile func(name string) (io.ReadCloser, error)
}

const (
	defaultTimeout   = 10 * time.Second
	defaultMaxPacket = 1 << 30
	maxFirstPackets  = 16 // packets of one login, so that a server cannot keep us busy
)

// baseCaps are asked for whenever they are offered.
const baseCaps = wire.ClientLongFlag | wire.ClientProtocol41 | wire.ClientTransactions |
	wire.ClientSecureConnection | wire.ClientMultiResults | wire.ClientPSMultiResults |
	wire.ClientPluginAuth | wire.ClientPluginAuthLenenc | wire.ClientMySQL

func (cfg *Config) wanted() wire.Capability {
	caps := baseCaps
	for _, o := range [...]struct {
		on  bool
		cap wire.Capability
	}{
		{cfg.DeprecateEOF, wire.ClientDeprecateEOF},
		{cfg.FoundRows, wire.ClientFoundRows},
		{cfg.SessionTrack, wire.ClientSessionTrack},
		{cfg.MultiStatements, wire.ClientMultiStatements},
		{cfg.LocalFiles || cfg.LocalInfile != nil, wire.ClientLocalFiles},
		{cfg.QueryAttributes, wire.ClientQueryAttributes},
		{cfg.IgnoreSpace, wire.ClientIgnoreSpace},
		{cfg.Compress, wire.ClientCompress},
		{cfg.Database != "", wire.ClientConnectWithDB},
		{len(cfg.Attrs) > 0, wire.ClientConnectAttrs},
		{cfg.TLS != nil, wire.ClientSSL},
	} {
		if o.on {
			caps |= o.cap
		}
	}
	return caps
}

// Dial connects and logs in. A server that refuses gives a *wire.MySQLError.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	timeout := cfg.ConnectTimeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if c := dialSocket(ctx, cfg); c != nil {
		return c, nil
	}
	if cfg.Network == "" {
		cfg.Network = "tcp"
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, cfg.Network, cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("connect to mysql server %s: %w", cfg.Addr, err)
	}
	c, err := NewConn(ctx, nc, cfg)
	if err != nil {
		return nil, fmt.Errorf("log in to mysql server %s as %s: %w", cfg.Addr, cfg.User, err)
	}
	return c, nil
}

// NewConn logs in over an open connection, which it owns from then on, and closes if
// it fails.
func NewConn(ctx context.Context, nc net.Conn, cfg Config) (*Conn, error) {
	if cfg.Charset == 0 {
		cfg.Charset = wire.CharsetUTF8MB4
	}
	if cfg.MaxPacket <= 0 {
		cfg.MaxPacket = defaultMaxPacket
	}
	cfg.Attrs = maps.Clone(cfg.Attrs)
	_, unix := nc.(*net.UnixConn)
	c := &Conn{w: wire.NewConn(nc, cfg.MaxPacket), cfg: cfg, unix: unix}
	// Closing the socket below is enough to end any wait, with or without TLS.
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	err := c.login(ctx)
	if err == nil {
		for _, sql := range cfg.InitSQL {
			if _, err = c.Exec(context.Background(), sql); err != nil {
				err = fmt.Errorf("initial statement %q: %w", sql, err)
				break
			}
		}
	}
	if !stop() && ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// login runs the handshake.
func (c *Conn) login(ctx context.Context) error {
	p, err := c.w.ReadPacket()
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	g, err := wire.ParseGreeting(p)
	if err != nil {
		return err
	}
	c.greeting = *g
	c.caps = g.Caps & c.cfg.wanted()
	if c.cfg.TLS != nil && !c.caps.Has(wire.ClientSSL) {
		return errors.New("the server does not offer TLS, and the configuration requires it")
	}
	h := &wire.HandshakeResponse{
		Caps: c.caps, MaxPacket: uint32(min(c.cfg.MaxPacket, defaultMaxPacket)), Charset: c.cfg.Charset,
		User: c.cfg.User, Database: c.cfg.Database, Attrs: c.cfg.Attrs, Plugin: g.Plugin,
	}
	if c.cfg.TLS != nil {
		if err := c.send(wire.AppendSSLRequest(nil, h)); err != nil {
			return err
		}
		w, err := c.w.StartTLS(ctx, c.tlsConfig())
		if err != nil {
			return fmt.Errorf("tls handshake: %w", err)
		}
		c.w, c.tls = w, true
	}
	a := auth{c: c, password: c.cfg.Password, nonce: g.Nonce}
	if h.Plugin == "" {
		h.Plugin = wire.PluginNative
	}
	a.plugin = h.Plugin
	if h.Auth, err = a.answer(); err != nil {
		// A plugin that we do not know as the server's default: it may still switch.
		a.plugin, h.Plugin = wire.PluginNative, wire.PluginNative
		if h.Auth, err = a.answer(); err != nil {
			return err
		}
	}
	if err := c.send(wire.AppendHandshakeResponse(nil, h)); err != nil {
		return err
	}
	if err := a.finish(); err != nil {
		return err
	}
	if c.caps.Has(wire.ClientCompress) {
		c.w = c.w.Compressed()
	}
	return nil
}

// tlsConfig adds the server's name from the address, if nothing is said about it.
func (c *Conn) tlsConfig() *tls.Config {
	t := c.cfg.TLS
	if t.ServerName != "" || t.InsecureSkipVerify {
		return t
	}
	t = t.Clone()
	t.ServerName = c.cfg.Addr
	if host, _, err := net.SplitHostPort(c.cfg.Addr); err == nil {
		t.ServerName = host
	}
	return t
}

// send writes one packet at once.
func (c *Conn) send(payload []byte) error {
	if err := c.w.WritePacket(payload); err != nil {
		return err
	}
	return c.w.Flush()
}

// isMariaDB tells the family by the greeting.
func isMariaDB(g *wire.Greeting) bool {
	return strings.Contains(g.Version, "MariaDB") || !g.Caps.Has(wire.ClientMySQL)
}
