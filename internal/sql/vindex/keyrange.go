package vindex

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// KeyRange is a range of keyspace ids, compared as byte strings. Start is inclusive, empty for the lowest; End is
// exclusive, empty for past the highest. The zero value is the whole range.
type KeyRange struct {
	Start, End []byte
}

// maxBoundBytes bounds one end of a shard's name. Keyspace ids are 8 or 16 bytes; names are far shorter.
const maxBoundBytes = 64

// ParseShardName reads a shard's name: "-80", "80-", "40-80", and "-" or "0" for the whole range. Bounds are whole bytes in hexadecimal.
func ParseShardName(name string) (KeyRange, error) {
	if name == "0" || name == "-" {
		return KeyRange{}, nil
	}
	from, to, ok := strings.Cut(name, "-")
	if !ok {
		return KeyRange{}, fmt.Errorf(`shard name %q: want a range like "-80", "40-80" or "80-", or "0" for an unsharded keyspace`, name)
	}
	var r KeyRange
	var err error
	if r.Start, err = parseBound(from); err != nil {
		return KeyRange{}, fmt.Errorf("shard name %q: lower bound %q: %w", name, from, err)
	}
	if r.End, err = parseBound(to); err != nil {
		return KeyRange{}, fmt.Errorf("shard name %q: upper bound %q: %w", name, to, err)
	}
	if len(r.End) > 0 && bytes.Compare(r.Start, r.End) >= 0 {
		return KeyRange{}, fmt.Errorf("shard name %q: lower bound must be below the upper bound", name)
	}
	return r, nil
}

func parseBound(s string) ([]byte, error) {
	if len(s) > 2*maxBoundBytes {
		return nil, fmt.Errorf("%d hexadecimal digits, at most %d are accepted", len(s), 2*maxBoundBytes)
	}
	b, err := hex.DecodeString(s)
	switch {
	case errors.Is(err, hex.ErrLength):
		return nil, fmt.Errorf("want an even number of hexadecimal digits (%s0 or 0%s)", s, s)
	case err != nil:
		return nil, fmt.Errorf("not hexadecimal: %w", err)
	case len(b) == 0:
		return nil, nil
	}
	return b, nil
}

// Name returns the range as a shard's name; "-" for the whole range.
func (r KeyRange) Name() string {
	return hex.EncodeToString(r.Start) + "-" + hex.EncodeToString(r.End)
}

// Whole says whether the range holds every keyspace id.
func (r KeyRange) Whole() bool { return len(r.Start) == 0 && len(r.End) == 0 }

// Contains says whether the keyspace id lies in the range.
func (r KeyRange) Contains(id []byte) bool {
	return bytes.Compare(id, r.Start) >= 0 && (len(r.End) == 0 || bytes.Compare(id, r.End) < 0)
}

// Intersects says whether any keyspace id lies in both ranges.
func (r KeyRange) Intersects(o KeyRange) bool {
	return (len(o.End) == 0 || bytes.Compare(r.Start, o.End) < 0) && (len(r.End) == 0 || bytes.Compare(o.Start, r.End) < 0)
}

// Covers says whether every keyspace id of o lies in r.
func (r KeyRange) Covers(o KeyRange) bool {
	return bytes.Compare(r.Start, o.Start) <= 0 && (len(r.End) == 0 || len(o.End) > 0 && bytes.Compare(o.End, r.End) <= 0)
}

// Equal says whether both are the same range.
func (r KeyRange) Equal(o KeyRange) bool {
	return bytes.Equal(r.Start, o.Start) && bytes.Equal(r.End, o.End)
}

// CompareRanges orders ranges by Start, then by End.
func CompareRanges(a, b KeyRange) int {
	if c := bytes.Compare(a.Start, b.Start); c != 0 {
		return c
	}
	switch {
	case len(a.End) == 0 && len(b.End) == 0:
		return 0
	case len(a.End) == 0:
		return 1
	case len(b.End) == 0:
		return -1
	}
	return bytes.Compare(a.End, b.End)
}

// CheckPartition returns nil if the ranges together hold every keyspace id exactly once, else an error that names the first gap or overlap.
func CheckPartition(ranges []KeyRange) error {
	if len(ranges) == 0 {
		return fmt.Errorf("no shards: the whole range is missing")
	}
	sorted := slices.SortedFunc(slices.Values(ranges), CompareRanges)
	if len(sorted[0].Start) != 0 {
		return fmt.Errorf("no shard holds the range %s", KeyRange{End: sorted[0].Start}.Name())
	}
	for i := 1; i < len(sorted); i++ {
		prev, next := sorted[i-1], sorted[i]
		switch {
		case prev.Intersects(next):
			return fmt.Errorf("shards %s and %s overlap", prev.Name(), next.Name())
		case !bytes.Equal(prev.End, next.Start):
			return fmt.Errorf("no shard holds the range %s", KeyRange{Start: prev.End, End: next.Start}.Name())
		}
	}
	if last := sorted[len(sorted)-1]; len(last.End) != 0 {
		return fmt.Errorf("no shard holds the range %s", KeyRange{Start: last.End}.Name())
	}
	return nil
}

// MaxShards is the most shards that SplitEven makes: two bytes of bounds.
const MaxShards = 1 << 16

// SplitEven cuts the whole range into n ranges of nearly equal width, with bounds of one byte up to 256 ranges and of two bytes above.
func SplitEven(n int) ([]KeyRange, error) {
	if n < 1 || n > MaxShards {
		return nil, fmt.Errorf("cannot split a keyspace into %d shards: want 1 to %d", n, MaxShards)
	}
	width, span := 1, 1<<8
	if n > 1<<8 {
		width, span = 2, 1<<16
	}
	bound := func(i int) []byte {
		if i == 0 || i == n {
			return nil
		}
		at := i * span / n
		return []byte{byte(at >> 8), byte(at)}[2-width:]
	}
	ranges := make([]KeyRange, n)
	for i := range ranges {
		ranges[i] = KeyRange{Start: bound(i), End: bound(i + 1)}
	}
	return ranges, nil
}

// prefixRange is the range of all ids that begin with prefix: from it to the next string of the same length. The whole range for an empty prefix.
func prefixRange(prefix []byte) Dest {
	end := slices.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return Dest{Kind: DestRange, Start: prefix, End: end}
		}
	}
	return Dest{Kind: DestRange, Start: prefix}
}
