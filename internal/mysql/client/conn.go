package client

import (
	"context"
	"errors"
	"fmt"

	"strings"

	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// Conn is a connection to one server, for one goroutine at a time; only Close may
// come from another.
type Conn struct {
	w        *wire.Conn
	cfg      Config
	greeting wire.Greeting
	caps     wire.Capability
	status   uint16
	tls      bool
	unix     bool // over a Unix socket
	broken   bool
	busy     bool // a Rows is open
}

// ErrBusy says that the rows of the query before were not read to their end or closed.
var ErrBusy = errors.New("the result of the query before is still open; close it first")

// Wire returns the connection's packets, for forwarding. Whoever uses it must leave
// the connection between two commands.
func (c *Conn) Wire() *wire.Conn { return c.w }

// Caps returns what the connection speaks.
func (c *Conn) Caps() wire.Capability { return c.caps }

// ServerVersion returns the version string of the greeting, as it came.
func (c *Conn) ServerVersion() string { return c.greeting.Version }

// IsMariaDB says whether the server is a MariaDB.
func (c *Conn) IsMariaDB() bool { return isMariaDB(&c.greeting) }

// ConnectionID is the server's id of the connection, for KILL.
func (c *Conn) ConnectionID() uint32 { return c.greeting.ConnID }

// Status returns the status flags of the last OK or EOF.
func (c *Conn) Status() uint16 { return c.status }

// Broken says whether the connection failed and can only be closed.
func (c *Conn) Broken() bool { return c.broken }

// Close says good-bye and closes the connection.
func (c *Conn) Close() error {
	if !c.broken && !c.busy {
		c.w.SetSeq(0)
		// Whether the server hears it does not matter: the socket is closed anyway.
		_ = c.send([]byte{wire.ComQuit})
	}
	c.broken = true
	return c.w.Close()
}

// Kill closes the socket at once; it may be called while another goroutine waits.
func (c *Conn) Kill() error { return c.w.Close() }

// call is one exchange: it watches the context until end.
type call struct {
	c    *Conn
	ctx  context.Context
	stop func() bool
}

// begin starts an exchange by sending a command.
func (c *Conn) begin(ctx context.Context, command byte, body ...[]byte) (*call, error) {
	if c.broken {
		return nil, errors.New("the mysql connection is broken or closed; open a new one")
	}
	if c.busy {
		return nil, ErrBusy
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k := &call{c: c, ctx: ctx}
	if ctx.Done() != nil {
		w := c.w
		k.stop = context.AfterFunc(ctx, func() { w.Close() })
	}
	err := c.w.WriteCommand(command, body...)
	if err != nil {
		return nil, k.fail(fmt.Errorf("send command: %w", err))
	}
	return k, nil
}

// end stops watching the context. It reports the context's error if that has closed
// the connection meanwhile.
func (k *call) end() error {
	k.c.w.Release()
	if k.stop != nil && !k.stop() {
		k.c.broken = true
		return context.Cause(k.ctx)
	}
	return nil
}

// fail ends the exchange with an error that leaves the connection unusable.
func (k *call) fail(err error) error {
	k.c.broken = true
	k.c.w.Close()
	if cause := k.end(); cause != nil {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

// read reads a packet. A *wire.MySQLError is the server's answer, and the end of it.
func (k *call) read() ([]byte, error) {
	for {
		p, err := k.c.w.ReadPacket()
		if err == nil && len(p) == 0 {
			err = wire.ErrMalformed
		}
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		if wire.IsProgress(p) {
			continue
		}
		if !wire.IsErr(p) {
			return p, nil
		}
		e, err := wire.ParseErr(p)
		if err != nil {
			return nil, err
		}
		return nil, e
	}
}

// done ends the exchange with what it came to: a server's error leaves the
// connection as it was.
func (k *call) done(err error) error {
	var e *wire.MySQLError
	if err != nil && !errors.As(err, &e) {
		return k.fail(err)
	}
	if cause := k.end(); cause != nil && err == nil {
		return cause
	}
	return err
}

// simple sends a command whose answer is one OK, EOF or ERR.
func (c *Conn) simple(ctx context.Context, command byte, body ...[]byte) (wire.OK, error) {
	k, err := c.begin(ctx, command, body...)
	if err != nil {
		return wire.OK{}, err
	}
	ok, err := k.ok()
	return ok, k.done(err)
}

func (k *call) ok() (wire.OK, error) {
	p, err := k.read()
	if err != nil {
		return wire.OK{}, err
	}
	ok, err := wire.ParseOK(p, k.c.caps)
	if err != nil {
		return wire.OK{}, err
	}
	ok.State = append([]byte(nil), ok.State...)
	k.c.status = ok.Status
	return ok, nil
}

// Ping asks the server whether it lives.
func (c *Conn) Ping(ctx context.Context) error {
	_, err := c.simple(ctx, wire.ComPing)
	return err
}

// InitDB changes the default database.
func (c *Conn) InitDB(ctx context.Context, db string) error {
	_, err := c.simple(ctx, wire.ComInitDB, []byte(db))
	return err
}

// ResetConnection resets the session: transaction, variables, temporary tables,
// prepared statements. MySQL then has the server's default character set, MariaDB
// that of the login.
func (c *Conn) ResetConnection(ctx context.Context) error {
	_, err := c.simple(ctx, wire.ComResetConnection)
	return err
}

// SetOption switches multi-statements on or off, see wire.OptionMultiStatementsOn.
func (c *Conn) SetOption(ctx context.Context, option uint16) error {
	_, err := c.simple(ctx, wire.ComSetOption, []byte{byte(option), byte(option >> 8)})
	return err
}

// ChangeUser logs in again on the same connection, as somebody else, and resets the
// session. After an error the connection is broken: the server closes it.
func (c *Conn) ChangeUser(ctx context.Context, user, password, database string) error {
	a := auth{c: c, password: password, plugin: c.greeting.Plugin, nonce: c.greeting.Nonce}
	h := &wire.HandshakeResponse{
		Caps: c.caps, Charset: c.cfg.Charset, User: user, Database: database, Attrs: c.cfg.Attrs,
	}
	var err error
	if h.Auth, err = a.answer(); err != nil || len(h.Auth) > 250 {
		a.plugin = wire.PluginNative
		h.Auth, _ = a.answer()
	}
	h.Plugin = a.plugin
	command := wire.AppendChangeUser(nil, h)
	k, err := c.begin(ctx, command[0], command[1:])
	if err != nil {
		return err
	}
	if err := a.finish(); err != nil {
		return k.fail(fmt.Errorf("change user to %s: %w", user, err))
	}
	c.cfg.User, c.cfg.Password, c.cfg.Database = user, password, database
	return k.done(nil)
}

// Statistics returns the server's line of statistics.
func (c *Conn) Statistics(ctx context.Context) (string, error) {
	k, err := c.begin(ctx, wire.ComStatistics)
	if err != nil {
		return "", err
	}
	p, err := k.read()
	text := strings.TrimSpace(string(p))
	return text, k.done(err)
}

// FieldList returns the columns of a table whose names match a wildcard; the
// command is gone from newer servers.
func (c *Conn) FieldList(ctx context.Context, table, wildcard string) ([]wire.Column, error) {
	k, err := c.begin(ctx, wire.ComFieldList, []byte(table), []byte{0}, []byte(wildcard))
	if err != nil {
		return nil, err
	}
	var cols []wire.Column
	for {
		p, err := k.read()
		if err != nil {
			return nil, k.done(err)
		}
		if wire.IsEnd(p) {
			return cols, k.done(nil)
		}
		col, err := wire.ParseColumn(p, c.caps)
		if err != nil {
			return nil, k.done(err)
		}
		cols = append(cols, col)
	}
}

// sendFile answers a server's request for a file.
func (k *call) sendFile(request []byte) error {
	name := string(request[1:])
	if k.c.cfg.LocalInfile == nil {
		return k.noFile(fmt.Errorf("the server asks for the file %q, and no handler for LOAD DATA LOCAL is set", name))
	}
	f, err := k.c.cfg.LocalInfile(name)
	if err != nil {
		return k.noFile(fmt.Errorf("open %q for LOAD DATA LOCAL: %w", name, err))
	}
	defer f.Close()
	if err := k.c.w.SendFile(f); err != nil {
		if errors.Is(err, wire.ErrSource) {
			// What was sent is loaded: only a broken connection makes the server roll back.
			return fmt.Errorf("read %q for LOAD DATA LOCAL: %w", name, err)
		}
		return err
	}
	return nil
}

// noFile sends no bytes, takes the server's answer to that, and returns err.
func (k *call) noFile(err error) error {
	if e := k.c.w.SendFile(strings.NewReader("")); e != nil {
		return e
	}
	if _, e := k.read(); e != nil {
		var my *wire.MySQLError
		if !errors.As(e, &my) {
			return e
		}
	}
	return &noFileError{err}
}

// noFileError is an error of ours after which the connection is in order.
type noFileError struct{ err error }

func (e *noFileError) Error() string { return e.err.Error() }
func (e *noFileError) Unwrap() error { return e.err }
