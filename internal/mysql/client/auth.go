package client

import (
	"errors"
	"fmt"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// First bytes of packets while authenticating.
const (
	authOK     = 0x00
	authMore   = 0x01
	authSwitch = 0xfe
	authErr    = 0xff

	sha2Fast   = 0x03 // the server's cache knew the password
	sha2Full   = 0x04 // it wants the clear password
	sha2GetKey = 0x02 // we want its public key
)

// auth is one run of authentication.
type auth struct {
	c        *Conn
	password string
	plugin   string
	nonce    []byte
	asked    bool // for the server's public key
}

// answer makes the response of the current plugin to the current nonce.
func (a *auth) answer() ([]byte, error) {
	switch a.plugin {
	case wire.PluginNative:
		return wire.ScrambleNative(a.password, a.nonce), nil
	case wire.PluginSHA2:
		return wire.ScrambleSHA2(a.password, a.nonce), nil
	case wire.PluginEd25519:
		return wire.SignEd25519(a.password, a.nonce), nil
	case wire.PluginSHA256:
		// Without TLS the key must be asked for first.
		if a.password == "" || a.clearAllowed() {
			return []byte(a.password + "\x00"), nil
		}
		return []byte{1}, nil
	case wire.PluginClear:
		if !a.clearAllowed() {
			return nil, errors.New("the server asks for the clear password, which is only sent over TLS or a unix socket")
		}
		return []byte(a.password + "\x00"), nil
	}
	return nil, fmt.Errorf("the server asks for the authentication plugin %q, which is not supported; "+
		"give the user a password of caching_sha2_password, mysql_native_password or ed25519", a.plugin)
}

// clearAllowed says whether nobody can listen.
func (a *auth) clearAllowed() bool {
	return a.c.unix || a.c.tls
}

// finish goes on until the server admits or refuses us.
func (a *auth) finish() error {
	for range maxFirstPackets {
		p, err := a.c.w.ReadPacket()
		if err != nil {
			return fmt.Errorf("authentication: %w", err)
		}
		if len(p) == 0 {
			return fmt.Errorf("authentication: %w", wire.ErrMalformed)
		}
		switch p[0] {
		case authOK:
			ok, err := wire.ParseOK(p, a.c.caps)
			a.c.status = ok.Status
			a.c.w.Release()
			return err
		case authErr:
			e, err := wire.ParseErr(p)
			if err != nil {
				return err
			}
			return e
		case authSwitch:
			err = a.switchPlugin(p)
		case authMore:
			err = a.more(p[1:])
		default:
			err = fmt.Errorf("authentication: %w", wire.ErrMalformed)
		}
		if err != nil {
			return err
		}
	}
	return errors.New("authentication: the server does not come to an end")
}

func (a *auth) switchPlugin(p []byte) error {
	var err error
	if a.plugin, a.nonce, err = wire.ParseAuthSwitch(p); err != nil {
		return err
	}
	answer, err := a.answer()
	if err != nil {
		return err
	}
	return a.c.send(answer)
}

// more answers the second part of the sha2 plugins.
func (a *auth) more(data []byte) error {
	switch {
	case a.asked, a.plugin == wire.PluginSHA256:
		key, err := wire.ParsePublicKey(data)
		if err != nil {
			return err
		}
		a.asked = false
		enc, err := wire.EncryptPassword(a.password, a.nonce, key)
		if err != nil {
			return fmt.Errorf("encrypt the password: %w", err)
		}
		return a.c.send(enc)
	case a.plugin != wire.PluginSHA2 || len(data) != 1:
		return fmt.Errorf("authentication by %s: %w", a.plugin, wire.ErrMalformed)
	case data[0] == sha2Fast:
		return nil
	case data[0] != sha2Full:
		return fmt.Errorf("authentication by %s: %w", a.plugin, wire.ErrMalformed)
	case a.clearAllowed():
		return a.c.send([]byte(a.password + "\x00"))
	case a.c.cfg.ServerKey != nil:
		enc, err := wire.EncryptPassword(a.password, a.nonce, a.c.cfg.ServerKey)
		if err != nil {
			return fmt.Errorf("encrypt the password: %w", err)
		}
		return a.c.send(enc)
	default:
		a.asked = true
		return a.c.send([]byte{sha2GetKey})
	}
}
