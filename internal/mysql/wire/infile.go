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
