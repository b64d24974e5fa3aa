package load

import (
	"errors"
	"io"
	"slices"
	"testing"
)

// pieces are the packets of a client, which then says nothing more.
type pieces []string

var errGone = errors.New("the client is gone")

func (p *pieces) ReadPacket() ([]byte, error) {
	if len(*p) == 0 {
		return nil, errGone
	}
	b := []byte((*p)[0])
	*p = (*p)[1:]
	return b, nil
}

func TestFile(t *testing.T) {
	from := pieces{"a,b\n", "c", "", "SELECT 1"}
	f := NewFile(&from)
	if got, err := io.ReadAll(f); string(got) != "a,b\nc" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
	if err := f.Drain(); err != nil || !slices.Equal(from, pieces{"SELECT 1"}) {
		t.Errorf("%v: what follows the file is %q", err, from)
	}
}

func TestFileDrained(t *testing.T) {
	from := pieces{"abc", "def", "", "SELECT 1"}
	f := NewFile(&from)
	if _, err := io.ReadFull(f, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	if err := f.Drain(); err != nil || !slices.Equal(from, pieces{"SELECT 1"}) {
		t.Errorf("%v: what follows the file is %q", err, from)
	}
	cut := pieces{"abc"}
	if err := NewFile(&cut).Drain(); !errors.Is(err, errGone) {
		t.Errorf("a file that is cut off: %v", err)
	}
}

func TestIsCharset(t *testing.T) {
	for name, want := range map[string]bool{"utf8mb4": true, "latin1_x": true, "": true, "utf8 x": false, "a'b": false, "ä": false} {
		if got := isCharset(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
