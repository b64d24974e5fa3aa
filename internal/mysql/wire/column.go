package wire

// Column is a column definition.
type Column struct {
	Schema, Table, OrgTable, Name, OrgName string
	// Extended is MariaDB's extended metadata as sent (pairs of a kind byte and a
	// length-encoded string), under MariaDBExtendedMetadata.
	Extended string
	Charset  uint16 // collation id; 63: binary
	Length   uint32 // most bytes that a value's text takes
	Type     byte
	Flags    uint16
	Decimals byte // 31 or 39: not fixed
}

// Unsigned says whether the column holds unsigned numbers.
func (c *Column) Unsigned() bool { return c.Flags&FlagUnsigned != 0 }

// ParseColumn reads a column definition's payload.
func ParseColumn(payload []byte, caps Capability) (Column, error) {
	r := reader{p: payload}
	var c Column
	r.lenencBytes() // the catalog: always "def"
	c.Schema = string(r.lenencBytes())
	c.Table = string(r.lenencBytes())
	c.OrgTable = string(r.lenencBytes())
	c.Name = string(r.lenencBytes())
	c.OrgName = string(r.lenencBytes())
	if caps.Has(MariaDBExtendedMetadata) {
		c.Extended = string(r.lenencBytes())
	}
	fixed := reader{p: r.lenencBytes()}
	c.Charset, c.Length, c.Type = fixed.u16(), fixed.u32(), fixed.u8()
	c.Flags, c.Decimals = fixed.u16(), fixed.u8()
	if r.bad || fixed.bad {
		return Column{}, malformed("column definition")
	}
	return c, nil
}

// AppendColumn appends a column definition's payload.
func AppendColumn(dst []byte, c *Column, caps Capability) []byte {
	dst = append(dst, "\x03def"...)
	for _, s := range [...]string{c.Schema, c.Table, c.OrgTable, c.Name, c.OrgName} {
		dst = AppendLenencString(dst, s)
	}
	if caps.Has(MariaDBExtendedMetadata) {
		dst = AppendLenencString(dst, c.Extended)
	}
	return append(dst, 0x0c,
		byte(c.Charset), byte(c.Charset>>8),
		byte(c.Length), byte(c.Length>>8), byte(c.Length>>16), byte(c.Length>>24),
		c.Type, byte(c.Flags), byte(c.Flags>>8), c.Decimals, 0, 0)
}

// AppendColumnCount appends the payload of the packet that begins a result set,
// followed by the byte of the metadata capabilities if caps has one of them.
func AppendColumnCount(dst []byte, n int, caps Capability) []byte {
	dst = AppendLenencInt(dst, uint64(n))
	if caps&(ClientOptionalMetadata|MariaDBCacheMetadata) != 0 {
		dst = append(dst, 1)
	}
	return dst
}

// ParseColumnCount reads the packet that begins a result set. defs is false when the
// server leaves the definitions out.
func ParseColumnCount(payload []byte, caps Capability) (n int, defs bool, err error) {
	v, size := LenencInt(payload)
	if size == 0 || v == 0 || v > 0xffff {
		return 0, false, malformed("column count")
	}
	defs = true
	if caps&(ClientOptionalMetadata|MariaDBCacheMetadata) != 0 {
		if len(payload) <= size {
			return 0, false, malformed("column count")
		}
		defs = payload[size] != 0
	}
	return int(v), defs, nil
}
