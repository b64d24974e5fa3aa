package fault

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// answerTime bounds what a hostile client waits for. The gateway's own limit for a handshake is 10 s.
const answerTime = 20 * time.Second

// rawClient is a client that sends what it likes. It is written apart from the project's own protocol code, which may share
// an error with the gateway.
type rawClient struct {
	net.Conn
	r *bufio.Reader
}

// serverError is an ERR packet.
type serverError struct {
	code uint16
	text string
}

func (e *serverError) Error() string { return fmt.Sprintf("error %d: %s", e.code, e.text) }

// greeted connects and reads the greeting.
func greeted(addr string) (*rawClient, error) {
	nc, err := net.DialTimeout("tcp", addr, answerTime)
	if err != nil {
		return nil, err
	}
	c := &rawClient{Conn: nc, r: bufio.NewReaderSize(nc, 512)}
	if err := nc.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	if _, err := c.packet(); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// loggedIn connects and logs in as root without password, with few capabilities: the keyspace in the handshake, local files,
// protocol 4.1, transactions, secure connection.
func loggedIn(addr string) (*rawClient, error) {
	c, err := greeted(addr)
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32(nil, 1<<3|1<<7|1<<9|1<<13|1<<15)
	b = append(binary.LittleEndian.AppendUint32(b, 1<<24), 45)
	b = append(b, make([]byte, 23)...)
	b = append(b, "root\x00\x00"+keyspace+"\x00"...)
	if err := c.send(1, b); err != nil {
		c.Close()
		return nil, err
	}
	for {
		p, err := c.packet()
		if err != nil {
			c.Close()
			return nil, err
		}
		switch p[0] {
		case 0x00:
			return c, nil
		case 0x01: // caching_sha2: go on
		default:
			c.Close()
			return nil, fmt.Errorf("a login was answered by %x", p)
		}
	}
}

// send writes one packet, however large, in pieces of 16 MB - 1.
func (c *rawClient) send(seq byte, payload []byte) error {
	const most = 1<<24 - 1
	for {
		n := min(len(payload), most)
		if _, err := c.Write(append(header(n, seq), payload[:n]...)); err != nil {
			return err
		}
		if payload = payload[n:]; n < most {
			return nil
		}
		seq++
	}
}

func header(n int, seq byte) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16), seq} }

// command sends a command with its sequence id 0.
func (c *rawClient) command(code byte, arg string) error {
	return c.send(0, append([]byte{code}, arg...))
}

const (
	comQuit    = 0x01
	comQuery   = 0x03
	comPrepare = 0x16
	comExecute = 0x17
)

// packet reads one packet of at most 16 MB; an ERR is returned as a *serverError.
func (c *rawClient) packet() ([]byte, error) {
	var h [4]byte
	if _, err := io.ReadFull(c.r, h[:]); err != nil {
		return nil, err
	}
	p := make([]byte, int(h[0])|int(h[1])<<8|int(h[2])<<16)
	if _, err := io.ReadFull(c.r, p); err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return nil, errors.New("an empty packet")
	}
	if p[0] == 0xff && len(p) > 3 {
		text := p[3:]
		if len(text) > 6 && text[0] == '#' {
			text = text[6:]
		}
		return nil, &serverError{binary.LittleEndian.Uint16(p[1:]), string(text)}
	}
	return p, nil
}

// ended reads until the gateway ends the connection and returns the ERR that it sent before, if any.
func (c *rawClient) ended() (*serverError, error) {
	var last *serverError
	for {
		_, err := c.packet()
		var se *serverError
		var ne net.Error
		switch {
		case errors.As(err, &se):
			last = se
		case errors.As(err, &ne) && ne.Timeout():
			return last, errors.New("the gateway keeps the connection open")
		case err != nil:
			return last, nil
		}
	}
}

// query runs a statement whose rows do not matter, and returns its error.
func (c *rawClient) query(sql string) error {
	if err := c.command(comQuery, sql); err != nil {
		return err
	}
	p, err := c.packet()
	if err != nil || p[0] == 0 {
		return err
	}
	for eofs := 0; eofs < 2; {
		p, err := c.packet()
		if err != nil {
			return err
		}
		if p[0] == 0xfe && len(p) < 9 {
			eofs++
		}
	}
	return nil
}
