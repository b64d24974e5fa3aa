package load

import (
	"io"
)

// Packets is how the file comes. ReadPacket returns its next piece, valid until the next call; an empty one ends it.
type Packets interface {
	ReadPacket() ([]byte, error)
}

// File is the file that a client sends: an io.Reader of the bytes in its packets.
type File struct {
	from Packets
	rest []byte
	done bool
}

// NewFile makes the reader of a file of which nothing was read.
func NewFile(from Packets) *File { return &File{from: from} }

// Read returns the next bytes of the file.
func (f *File) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		if f.done {
			return 0, io.EOF
		}
		b, err := f.from.ReadPacket()
		if err != nil {
			return 0, err
		}
		if len(b) == 0 {
			f.done = true
			return 0, io.EOF
		}
		f.rest = b
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// Drain reads the rest of the file, so that the client listens to the answer.
func (f *File) Drain() error {
	f.rest = nil
	for !f.done {
		b, err := f.from.ReadPacket()
		if err != nil {
			return err
		}
		f.done = len(b) == 0
	}
	return nil
}
