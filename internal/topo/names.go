package topo

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrInvalid is wrapped by every refusal of a name or record that can never be right.
var ErrInvalid = errors.New("invalid")

const (
	// maxKeyspaceName leaves room in MySQL's 64 characters for a suffix that a workflow adds to a database's name.
	maxKeyspaceName = 48
	maxCellName     = 32
	maxUserName     = 128
	maxLockName     = 256
	maxWorkflowName = 64
	// maxShardBound is the length of a bound of a range in hexadecimal digits: 8 bytes, the length of a hashed keyspace id.
	maxShardBound = 16
)

// reservedNames are databases of the servers themselves; compared without regard to case.
func reservedName(name string) bool {
	switch strings.ToLower(name) {
	case "mysql", "sys", "information_schema", "performance_schema", "_pelorus", "dual":
		return true
	}
	return false
}

// ValidateKeyspaceName says whether name can be a keyspace: 1 to 48 letters, digits or underscores, and no database that
// belongs to the servers.
func ValidateKeyspaceName(name string) error {
	if name == "" || len(name) > maxKeyspaceName || !allBytes(name, isWordByte) {
		return fmt.Errorf("keyspace name %q: use 1 to %d letters, digits or underscores: %w", name, maxKeyspaceName, ErrInvalid)
	}
	if reservedName(name) {
		return fmt.Errorf("keyspace name %q belongs to the servers themselves: %w", name, ErrInvalid)
	}
	return nil
}

// ValidateCellName says whether name can be a cell: 1 to 32 letters, digits or underscores.
func ValidateCellName(name string) error {
	if name == "" || len(name) > maxCellName || !allBytes(name, isWordByte) {
		return fmt.Errorf("cell name %q: use 1 to %d letters, digits or underscores: %w", name, maxCellName, ErrInvalid)
	}
	return nil
}

// ValidateUserName says whether name can log in: 1 to 128 bytes, none of them a control character or a slash.
func ValidateUserName(name string) error {
	ok := func(c byte) bool { return c >= 0x20 && c != 0x7f && c != '/' }
	if name == "" || len(name) > maxUserName || !allBytes(name, ok) {
		return fmt.Errorf("user name %q: use 1 to %d bytes without slash or control characters: %w", name, maxUserName, ErrInvalid)
	}
	return nil
}

// ValidateShardName says whether name is a range of keyspace ids: "0" or "-" for all, or START-END in lower case
// hexadecimal with whole bytes, either side open.
func ValidateShardName(name string) error {
	_, _, err := ShardBounds(name)
	return err
}

// ShardBounds returns the range that a shard's name stands for: start is inclusive, end exclusive; empty is open.
func ShardBounds(name string) (start, end []byte, err error) {
	if name == "0" || name == "-" {
		return nil, nil, nil
	}
	from, to, found := strings.Cut(name, "-")
	if !found {
		return nil, nil, fmt.Errorf("shard name %q: write a range such as -80, 40-80 or 80-, or 0 for all: %w", name, ErrInvalid)
	}
	if start, err = shardBound(name, from); err != nil {
		return nil, nil, err
	}
	if end, err = shardBound(name, to); err != nil {
		return nil, nil, err
	}
	if len(end) > 0 && bytes.Compare(start, end) >= 0 {
		return nil, nil, fmt.Errorf("shard name %q: the range is empty: %w", name, ErrInvalid)
	}
	return start, end, nil
}

func shardBound(name, digits string) ([]byte, error) {
	if len(digits) > maxShardBound {
		return nil, fmt.Errorf("shard name %q: a bound has at most %d digits: %w", name, maxShardBound, ErrInvalid)
	}
	b, err := hex.DecodeString(digits)
	if err != nil || digits != strings.ToLower(digits) {
		return nil, fmt.Errorf("shard name %q: %q is not whole bytes in lower case hexadecimal: %w", name, digits, ErrInvalid)
	}
	return b, nil
}

// ShardsOverlap says whether two shards' ranges have a keyspace id in common. Names that are no range overlap nothing.
func ShardsOverlap(a, b string) bool {
	as, ae, errA := ShardBounds(a)
	bs, be, errB := ShardBounds(b)
	if errA != nil || errB != nil {
		return false
	}
	before := func(end, start []byte) bool { return len(end) > 0 && bytes.Compare(end, start) <= 0 }
	return !before(ae, bs) && !before(be, as)
}

// Alias makes the alias of a tablet of its cell and number.
func Alias(cell string, uid uint32) string { return cell + "-" + strconv.FormatUint(uint64(uid), 10) }

// ParseAlias takes an alias CELL-UID apart.
func ParseAlias(alias string) (cell string, uid uint32, err error) {
	i := strings.LastIndexByte(alias, '-')
	if i < 0 {
		return "", 0, fmt.Errorf("tablet alias %q: write CELL-NUMBER, such as zone1-101: %w", alias, ErrInvalid)
	}
	if err := ValidateCellName(alias[:i]); err != nil {
		return "", 0, fmt.Errorf("tablet alias %q: %w", alias, err)
	}
	n, err := strconv.ParseUint(alias[i+1:], 10, 32)
	if err != nil || n == 0 || Alias(alias[:i], uint32(n)) != alias {
		return "", 0, fmt.Errorf("tablet alias %q: the number must be 1 to 4294967295 without leading zeros: %w", alias, ErrInvalid)
	}
	return alias[:i], uint32(n), nil
}

// ValidateWorkflowID says whether id is KEYSPACE.NAME: the name has 1 to 64 letters, digits, underscores or hyphens.
func ValidateWorkflowID(id string) error {
	keyspace, name, found := strings.Cut(id, ".")
	ok := func(c byte) bool { return isWordByte(c) || c == '-' }
	if !found || name == "" || len(name) > maxWorkflowName || !allBytes(name, ok) {
		return fmt.Errorf("workflow %.80q: write KEYSPACE.NAME with a name of 1 to %d letters, digits, underscores or hyphens: %w", id, maxWorkflowName, ErrInvalid)
	}
	return ValidateKeyspaceName(keyspace)
}

// ParseShardPath takes KEYSPACE/SHARD apart.
func ParseShardPath(path string) (keyspace, shard string, err error) {
	keyspace, shard, found := strings.Cut(path, "/")
	if !found {
		return "", "", fmt.Errorf("shard %q: write KEYSPACE/SHARD: %w", path, ErrInvalid)
	}
	if err := ValidateKeyspaceName(keyspace); err != nil {
		return "", "", err
	}
	return keyspace, shard, ValidateShardName(shard)
}

func validateLockName(name string) error {
	ok := func(c byte) bool { return c > 0x20 && c < 0x7f }
	if name == "" || len(name) > maxLockName || !allBytes(name, ok) {
		return fmt.Errorf("lock name %q: %w", name, ErrInvalid)
	}
	return nil
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func allBytes(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

// Keys. They are paths without a leading slash; a Store puts the cluster's prefix before them.
const (
	cellsPrefix     = "cells/"
	namesPrefix     = "names/"
	keyspacesPrefix = "keyspaces/"
	tabletsPrefix   = "tablets/"
	usersPrefix     = "users/"
	locksPrefix     = "locks/"
	reparentsPrefix = "reparents/"
	routingRulesKey = "routing_rules"
	// An open workflow's record is moved below finishedPrefix by the transaction that makes it final and drops its claims.
	openPrefix     = "workflows/open/"
	finishedPrefix = "workflows/finished/"
	claimsPrefix   = "workflows/claims/"
	recordSuffix   = "/record"
)

func cellKey(name string) string            { return cellsPrefix + name }
func nameKey(keyspace string) string        { return namesPrefix + keyspace }
func keyspacePrefix(keyspace string) string { return keyspacesPrefix + keyspace + "/" }
func keyspaceKey(keyspace string) string    { return keyspacesPrefix + keyspace + recordSuffix }
func vschemaKey(keyspace string) string     { return keyspacesPrefix + keyspace + "/vschema" }
func shardsPrefix(keyspace string) string   { return keyspacesPrefix + keyspace + "/shards/" }
func shardPrefix(keyspace, shard string) string {
	return shardsPrefix(keyspace) + shard + "/"
}
func shardKey(keyspace, shard string) string { return shardsPrefix(keyspace) + shard + recordSuffix }
func tabletKey(keyspace, shard, alias string) string {
	return shardPrefix(keyspace, shard) + "tablets/" + alias
}
func locatorKey(alias string) string { return tabletsPrefix + alias }
func userKey(name string) string     { return usersPrefix + name }
func lockKey(name string) string     { return locksPrefix + name }
func openKey(id string) string       { return openPrefix + id }
func claimKey(claim string) string   { return claimsPrefix + claim }
func finishedKey(id string, createdAt time.Time) string {
	return fmt.Sprintf("%s%s/%020d", finishedPrefix, id, createdAt.UnixNano())
}
func reparentKey(keyspace, shard string) string {
	return reparentsPrefix + keyspace + "/" + shard
}

// keyKind says what record a key below a keyspace holds.
type keyKind uint8

const (
	kindOther keyKind = iota
	kindKeyspace
	kindVSchema
	kindShard
	kindTablet
)

// parseKeyspaceKey takes a key below keyspaces/ apart; shard and alias are empty where the kind has none.
func parseKeyspaceKey(key string) (kind keyKind, keyspace, shard, alias string) {
	parts := strings.Split(strings.TrimPrefix(key, keyspacesPrefix), "/")
	switch {
	case len(parts) == 2 && parts[1] == "record":
		return kindKeyspace, parts[0], "", ""
	case len(parts) == 2 && parts[1] == "vschema":
		return kindVSchema, parts[0], "", ""
	case len(parts) == 4 && parts[1] == "shards" && parts[3] == "record":
		return kindShard, parts[0], parts[2], ""
	case len(parts) == 5 && parts[1] == "shards" && parts[3] == "tablets":
		return kindTablet, parts[0], parts[2], parts[4]
	}
	return kindOther, "", "", ""
}
