package wire

import (
	"errors"
	"fmt"
	"io"
)

// ErrSource: the reader of a LOCAL INFILE failed, not the connection. The server
// must not be told that the file is complete: close the connection.
var ErrSource = errors.New("reading the source of LOAD DATA LOCAL failed")

// infileChunk is the size of the packets that a file is sent in, as big as what a
// write takes at once.
const infileChunk = largeWindow - headerLen

// SendFile is the client's side of LOCAL INFILE: it sends r in packets and then the
// empty one. The sequence goes on from the server's request.
func (c *Conn) SendFile(r io.Reader) error {
	b := takeLarge()
	defer b.free()
	for {
		n, err := io.ReadFull(r, b.b[:infileChunk])
		if n > 0 {
			if werr := c.WritePacket(b.b[:n]); werr != nil {
				return werr
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			if err := c.WritePacket(nil); err != nil {
				return err
			}
			return c.Flush()
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSource, err)
		}
	}
}

// RequestFile is the server's side of LOCAL INFILE: it asks the client for a file,
// after which the client's packets are read with a FileReader.
func (c *Conn) RequestFile(name string) error {
	return c.send(append([]byte{packetLocalInfile}, name...))
}

// FileReader reads the file that a client sends, up to the empty packet: it is an
// io.Reader. Its reader must come to the end before the connection goes on, even
// if the bytes are of no more use; Drain does that.
type FileReader struct {
	c    *Conn
	rest []byte
	done bool
	err  error
}

// NewFileReader reads what the client sends after RequestFile.
func NewFileReader(c *Conn) *FileReader { return &FileReader{c: c} }

// Packet returns the next piece of the file as the client cut it, valid until the
// next call, or io.EOF.
func (f *FileReader) Packet() ([]byte, error) {
	if len(f.rest) > 0 {
		p := f.rest
		f.rest = nil
		return p, nil
	}
	if f.err == nil && !f.done {
		var p []byte
		if p, f.err = f.c.ReadPacket(); f.err == nil {
			if len(p) > 0 {
				return p, nil
			}
			f.done = true
		}
		f.err = unexpected(f.err)
	}
	if f.err != nil {
		return nil, f.err
	}
	return nil, io.EOF
}

// Read implements io.Reader.
func (f *FileReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(f.rest) == 0 {
		rest, err := f.Packet()
		if err != nil {
			return 0, err
		}
		f.rest = rest
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// Drain reads and drops what is left of the file.
func (f *FileReader) Drain() error {
	for {
		if _, err := f.Packet(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}
