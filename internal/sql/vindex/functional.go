package vindex

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// base is what every vindex of this package knows about itself.
type base struct {
	name, typ string
	cost      int
}

func (b *base) Name() string    { return b.name }
func (b *base) Type() string    { return b.typ }
func (b *base) Cost() int       { return b.cost }
func (*base) Unique() bool      { return true }
func (*base) NeedsLookup() bool { return false }

// idBytes is the length of the keyspace id of a 64-bit vindex.
const idBytes = 8

// room returns n bytes of scratch, or new ones if it has fewer.
func room(scratch []byte, n int) []byte {
	if cap(scratch) >= n {
		return scratch[:n]
	}
	return make([]byte, n)
}

func destID(id []byte) (Dest, error) { return Dest{Kind: DestID, ID: id}, nil }

// des64 is the permutation of "hash": DES with a key of zeros over the big-endian number.
type des64 struct{ block cipher.Block }

func newDES64() (des64, error) {
	block, err := des.NewCipher(make([]byte, des.BlockSize))
	if err != nil {
		return des64{}, fmt.Errorf("preparing the null-key DES of vindex type hash: %w", err)
	}
	return des64{block}, nil
}

// encrypt writes the keyspace id of n into out, which has 8 bytes.
func (d des64) encrypt(n uint64, out []byte) {
	binary.BigEndian.PutUint64(out, n)
	d.block.Encrypt(out, out)
}

func (d des64) decrypt(id []byte) (uint64, error) {
	if len(id) != idBytes {
		return 0, fmt.Errorf("keyspace id %x has %d bytes, one of vindex type hash has %d", id, len(id), idBytes)
	}
	var out [idBytes]byte
	d.block.Decrypt(out[:], id)
	return binary.BigEndian.Uint64(out[:]), nil
}

// hash spreads 64-bit numbers by des64. Negative numbers of signed type are taken as their two's complement.
type hash struct {
	base
	des des64
}

func (h *hash) Map(v Value, scratch []byte) (Dest, error) {
	n, ok := h.number(v)
	if !ok {
		return Dest{}, nil
	}
	id := room(scratch, idBytes)
	h.des.encrypt(n, id)
	return destID(id)
}

func (h *hash) number(v Value) (uint64, bool) {
	if v.Kind == Int {
		n, ok := asSigned(v.Raw)
		return uint64(n), ok
	}
	return asUint64(v)
}

func uintValue(n uint64) Value { return Value{Kind: Uint, Raw: strconv.AppendUint(nil, n, 10)} }

// numeric takes the number itself, big-endian.
type numeric struct{ base }

func (*numeric) Map(v Value, scratch []byte) (Dest, error) {
	n, ok := asUint64(v)
	if !ok {
		return Dest{}, nil
	}
	return destID(bigEndian(n, scratch))
}

func bigEndian(n uint64, scratch []byte) []byte {
	id := room(scratch, idBytes)
	binary.BigEndian.PutUint64(id, n)
	return id
}

// reverseBits takes the number with its bits in reverse order, so that ascending numbers are spread.
type reverseBits struct{ base }

func (*reverseBits) Map(v Value, scratch []byte) (Dest, error) {
	n, ok := asUint64(v)
	if !ok {
		return Dest{}, nil
	}
	return destID(bigEndian(bits.Reverse64(n), scratch))
}

// xxHash is XXH64 of the value's bytes, little-endian. Numbers are hashed as their decimal text.
type xxHash struct{ base }

func (*xxHash) Map(v Value, scratch []byte) (Dest, error) {
	b, err := bytesOf(v)
	if err != nil {
		return Dest{}, err
	}
	return destID(appendXX(room(scratch, idBytes)[:0], b))
}

func appendXX(dst, b []byte) []byte { return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(b)) }

// binaryMD5 is the MD5 of the value's bytes.
type binaryMD5 struct{ base }

func (*binaryMD5) Map(v Value, scratch []byte) (Dest, error) {
	b, err := bytesOf(v)
	if err != nil {
		return Dest{}, err
	}
	return destID(appendMD5(room(scratch, md5.Size)[:0], b))
}

func appendMD5(dst, b []byte) []byte {
	sum := md5.Sum(b)
	return append(dst, sum[:]...)
}

// plainBytes ("binary") is the value's bytes themselves.
type plainBytes struct{ base }

func (*plainBytes) Map(v Value, _ []byte) (Dest, error) {
	b, err := bytesOf(v)
	if err != nil {
		return Dest{}, err
	}
	return destID(b)
}

// null puts every row, NULL included, under one id in the first shard.
type null struct{ base }

func (*null) Map(_ Value, scratch []byte) (Dest, error) { return destID(append(scratch[:0], 0)) }
