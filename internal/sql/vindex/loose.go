package vindex

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
)

// folder makes the collation key of level 1 (letters without case, accents and width) that the unicode_loose vindexes hash.
// Trailing spaces do not count, as in MySQL's PAD SPACE collations.
type folder struct {
	free chan *collation // idle ones; a collation is about 10 KB and not safe for concurrent use
	// ascii holds the keys of the single ASCII characters. No contraction of the root order consists of ASCII alone, so that the
	// key of an ASCII text is its characters' keys one after another.
	ascii *[utf8.RuneSelf][]byte
}

type collation struct {
	collator *collate.Collator
	buffer   collate.Buffer
	key      []byte // of an ASCII text
}

func newCollation() *collation {
	// English, because Go's collation wants a language: its order at level 1 is the root order of Unicode.
	return &collation{collator: collate.New(language.English, collate.Loose)}
}

// maxIdleCollations keeps idle memory of one vindex under a few hundred KB; more callers at once than that make their own.
const maxIdleCollations = 16

func newFolder() folder {
	f := folder{free: make(chan *collation, maxIdleCollations), ascii: new([utf8.RuneSelf][]byte)}
	c := newCollation()
	for i := range f.ascii {
		c.buffer.Reset()
		f.ascii[i] = bytes.Clone(c.collator.Key(&c.buffer, []byte{byte(i)}))
	}
	f.give(c)
	return f
}

// appendKey hands the collation key of text to add, which appends what it makes of it to dst and does not keep it.
func (f folder) appendKey(dst, text []byte, add func(dst, key []byte) []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("value %.64q is not valid UTF-8, which a unicode_loose vindex needs", text)
	}
	c := f.take()
	dst = add(dst, f.keyOf(c, bytes.TrimRight(text, " ")))
	if len(text) <= maxKeptText {
		f.give(c)
	}
	return dst, nil
}

// keyOf returns the key of text; it is valid until c's next use.
func (f folder) keyOf(c *collation, text []byte) []byte {
	c.key = c.key[:0]
	for _, b := range text {
		if b >= utf8.RuneSelf {
			c.buffer.Reset()
			return c.collator.Key(&c.buffer, text)
		}
		c.key = append(c.key, f.ascii[b]...)
	}
	return c.key
}

func (f folder) take() *collation {
	select {
	case c := <-f.free:
		return c
	default:
		return newCollation()
	}
}

// maxKeptText is the longest text after which a collation is kept: its buffers grow with the text (about 10 bytes for each of its own).
const maxKeptText = 4 << 10

func (f folder) give(c *collation) {
	select {
	case f.free <- c:
	default:
	}
}

// loose is a hash over the folded text.
type loose struct {
	base
	folder folder
	add    func(dst, key []byte) []byte
}

func (l *loose) Map(v Value, scratch []byte) (Dest, error) {
	b, err := bytesOf(v)
	if err != nil {
		return Dest{}, err
	}
	id, err := l.folder.appendKey(scratch[:0], b, l.add)
	if err != nil {
		return Dest{}, err
	}
	return destID(id)
}
