package wire

import (
	"encoding/binary"
)

// Flags of COM_STMT_EXECUTE.
const (
	CursorReadOnly      byte = 0x01 // answer without rows; COM_STMT_FETCH gets them
	CursorForUpdate     byte = 0x02
	CursorScrollable    byte = 0x04
	ParamCountAvailable byte = 0x08 // a count stands before the parameters: ClientQueryAttributes only
)

// maxAttributes limits the query attributes of one command.
const maxAttributes = 1024

// ParamType is the type that a client has bound to a parameter.
type ParamType struct {
	Type     byte
	Unsigned bool
}

// Param is a bound parameter, or a query attribute.
type Param struct {
	Type     byte
	Unsigned bool
	Null     bool
	// Long says that the value was sent by COM_STMT_SEND_LONG_DATA: it does not stand in
	// the COM_STMT_EXECUTE. Clear it to have AppendStmtExecute write the value.
	Long bool
	// Raw is the value in the binary form of its type, without the length that stands
	// before strings and times: 1 to 8 bytes of a number, little endian; 0, 4, 7 or 11
	// bytes of a date, 0, 8 or 12 of a time; the bytes of anything else.
	Raw []byte
}

// Attribute is a query attribute: a named value that goes with a statement.
type Attribute struct {
	Name string
	Param
}

// Execute is a parsed COM_STMT_EXECUTE. Its slices are used again by the next Parse.
type Execute struct {
	ID         uint32
	Flags      byte
	Iterations uint32
	Params     []Param
	// NewTypes are the types of Params if this packet carried them; nil if it relies
	// on those of the execution before. Keep a copy per handle.
	NewTypes []ParamType
	Attrs    []Attribute

	names [][]byte
	types []ParamType
}

// StmtID returns the statement that a COM_STMT_EXECUTE, CLOSE, RESET, FETCH or
// SEND_LONG_DATA means.
func StmtID(payload []byte) (uint32, error) {
	r := reader{p: payload}
	r.u8()
	id := r.u32()
	if r.bad {
		return 0, malformed("statement id")
	}
	return id, nil
}

// ParseStmtExecute reads COM_STMT_EXECUTE; see Execute.Parse.
func ParseStmtExecute(payload []byte, nparams int, types []ParamType, long [][]byte, caps Capability) (Execute, error) {
	var e Execute
	err := e.Parse(payload, nparams, types, long, caps)
	return e, err
}

// Parse reads COM_STMT_EXECUTE of a statement with nparams parameters on a
// connection that speaks caps. types are those that the handle's last execution
// with types had. long holds the parameters that COM_STMT_SEND_LONG_DATA has sent
// since the last execution (nil where none was): such a value is not in the packet.
// Raw values are slices of payload and of long.
func (e *Execute) Parse(payload []byte, nparams int, types []ParamType, long [][]byte, caps Capability) error {
	r := reader{p: payload}
	if r.u8() != ComStmtExecute {
		return malformed("execute")
	}
	e.ID, e.Flags, e.Iterations = r.u32(), r.u8(), r.u32()
	e.Params, e.Attrs, e.NewTypes = e.Params[:0], nil, nil
	if r.bad {
		return malformed("execute")
	}
	n := nparams
	attrs := caps.Has(ClientQueryAttributes)
	if attrs && (nparams > 0 || e.Flags&ParamCountAvailable != 0) {
		count := r.lenencInt()
		if r.bad || count < uint64(nparams) || count > uint64(nparams+maxAttributes) {
			return malformed("execute: parameter count")
		}
		n = int(count)
	}
	if n == 0 {
		return nil
	}
	bitmap := r.bytes(bitmapLen(n, 0))
	if bound := r.u8(); bound != 0 {
		if e.readTypes(&r, n, attrs); r.bad {
			return malformed("execute: types of the parameters")
		}
		e.NewTypes = e.types[:nparams]
		types = e.types
	} else if len(types) < n || r.bad {
		return malformed("execute: parameters without types")
	}
	for i := range n {
		p := Param{Type: types[i].Type, Unsigned: types[i].Unsigned}
		switch {
		case i < len(long) && long[i] != nil && i < nparams:
			p.Raw, p.Long = long[i], true
		case bitmap[i/8]&(1<<(i%8)) != 0 || p.Type == TypeNull:
			p.Null = true
		default:
			p.Raw = r.value(p.Type)
		}
		if i < nparams {
			e.Params = append(e.Params, p)
			continue
		}
		name := ""
		if i < len(e.names) {
			name = string(e.names[i])
		}
		e.Attrs = append(e.Attrs, Attribute{Name: name, Param: p})
	}
	if r.bad || len(r.p) > 0 {
		return malformed("execute: values of the parameters")
	}
	return nil
}

func (e *Execute) readTypes(r *reader, n int, names bool) {
	e.types, e.names = e.types[:0], e.names[:0]
	for range n {
		t, f := r.u8(), r.u8()
		e.types = append(e.types, ParamType{Type: t, Unsigned: f&0x80 != 0})
		if names {
			e.names = append(e.names, r.lenencBytes())
		}
		if r.bad {
			return
		}
	}
}

// AppendStmtExecute appends COM_STMT_EXECUTE with the types of the parameters, for
// a connection that speaks caps. Attributes are only sent if caps has them.
func AppendStmtExecute(dst []byte, id uint32, flags byte, params []Param, attrs []Attribute, caps Capability) []byte {
	withAttrs := caps.Has(ClientQueryAttributes)
	if !withAttrs {
		attrs = nil
	}
	flags &^= ParamCountAvailable
	if len(attrs) > 0 {
		flags |= ParamCountAvailable
	}
	dst = append(dst, ComStmtExecute)
	dst = binary.LittleEndian.AppendUint32(dst, id)
	dst = append(dst, flags, 1, 0, 0, 0)
	n := len(params) + len(attrs)
	if n == 0 {
		return dst
	}
	if withAttrs {
		dst = AppendLenencInt(dst, uint64(n))
	}
	at := len(dst)
	for range bitmapLen(n, 0) {
		dst = append(dst, 0)
	}
	param := func(i int) (*Param, string) {
		if i < len(params) {
			return &params[i], ""
		}
		a := &attrs[i-len(params)]
		return &a.Param, a.Name
	}
	dst = append(dst, 1)
	for i := range n {
		p, name := param(i)
		if p.Null {
			dst[at+i/8] |= 1 << (i % 8)
		}
		sign := byte(0)
		if p.Unsigned {
			sign = 0x80
		}
		dst = append(dst, p.Type, sign)
		if withAttrs {
			dst = AppendLenencString(dst, name)
		}
	}
	for i := range n {
		p, _ := param(i)
		dst = p.appendValue(dst)
	}
	return dst
}

func (p *Param) appendValue(dst []byte) []byte {
	switch {
	case p.Null || p.Long || p.Type == TypeNull:
		return dst
	case valueSize(p.Type) > 0:
		return append(dst, p.Raw...)
	}
	return AppendLenencString(dst, p.Raw)
}

// LongData is a parsed COM_STMT_SEND_LONG_DATA, a command without answer.
type LongData struct {
	ID    uint32
	Param uint16
	Data  []byte
}

// ParseLongData reads COM_STMT_SEND_LONG_DATA. Data is a slice of payload.
func ParseLongData(payload []byte) (LongData, error) {
	r := reader{p: payload}
	if r.u8() != ComStmtSendLongData {
		return LongData{}, malformed("long data")
	}
	d := LongData{ID: r.u32(), Param: r.u16(), Data: r.rest()}
	if r.bad {
		return LongData{}, malformed("long data")
	}
	return d, nil
}

// AppendLongData appends COM_STMT_SEND_LONG_DATA.
func AppendLongData(dst []byte, d LongData) []byte {
	dst = append(dst, ComStmtSendLongData)
	dst = binary.LittleEndian.AppendUint32(dst, d.ID)
	dst = binary.LittleEndian.AppendUint16(dst, d.Param)
	return append(dst, d.Data...)
}

// ParseFetch reads COM_STMT_FETCH: the statement and how many rows are wanted.
func ParseFetch(payload []byte) (id, rows uint32, err error) {
	r := reader{p: payload}
	if r.u8() != ComStmtFetch {
		return 0, 0, malformed("fetch")
	}
	id, rows = r.u32(), r.u32()
	if r.bad {
		return 0, 0, malformed("fetch")
	}
	return id, rows, nil
}

// AppendFetch appends COM_STMT_FETCH.
func AppendFetch(dst []byte, id, rows uint32) []byte {
	dst = binary.LittleEndian.AppendUint32(append(dst, ComStmtFetch), id)
	return binary.LittleEndian.AppendUint32(dst, rows)
}

// Prepared is the first packet of the answer to COM_STMT_PREPARE.
type Prepared struct {
	ID            uint32
	Columns       int
	Params        int
	Warnings      uint16
	NoDefinitions bool // ClientOptionalMetadata: the definitions are left out
}

// ParsePrepared reads the first packet of the answer to COM_STMT_PREPARE. The
// definitions of the parameters follow, then those of the columns, each block with
// an EOF unless ClientDeprecateEOF is spoken.
func ParsePrepared(payload []byte, caps Capability) (Prepared, error) {
	r := reader{p: payload}
	head := r.u8()
	p := Prepared{ID: r.u32(), Columns: int(r.u16()), Params: int(r.u16())}
	r.u8()
	p.Warnings = r.u16()
	if caps.Has(ClientOptionalMetadata) {
		p.NoDefinitions = r.u8() == 0
	}
	if r.bad || head != packetOK {
		return Prepared{}, malformed("answer to a prepare")
	}
	return p, nil
}

// AppendPrepared appends the first packet of the answer to COM_STMT_PREPARE.
func AppendPrepared(dst []byte, p Prepared, caps Capability) []byte {
	dst = append(dst, packetOK)
	dst = binary.LittleEndian.AppendUint32(dst, p.ID)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(p.Columns))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(p.Params))
	dst = append(dst, 0, byte(p.Warnings), byte(p.Warnings>>8))
	if caps.Has(ClientOptionalMetadata) {
		sent := byte(1)
		if p.NoDefinitions {
			sent = 0
		}
		dst = append(dst, sent)
	}
	return dst
}

// StripQueryAttributes reads COM_QUERY on a connection that speaks caps: the text
// of the statement, a slice of payload, and the attributes before it, if any.
func StripQueryAttributes(payload []byte, caps Capability) (query []byte, attrs []Attribute, err error) {
	r := reader{p: payload}
	if r.u8() != ComQuery {
		return nil, nil, malformed("query")
	}
	if !caps.Has(ClientQueryAttributes) {
		return r.p, nil, nil
	}
	if len(r.p) >= 2 && r.p[0] == 0 && r.p[1] == 1 {
		return r.p[2:], nil, nil
	}
	n, sets := r.lenencInt(), r.lenencInt()
	if r.bad || sets != 1 || n > maxAttributes {
		return nil, nil, malformed("query attributes")
	}
	if n > 0 {
		if attrs, err = readAttributes(&r, int(n)); err != nil {
			return nil, nil, err
		}
	}
	return r.rest(), attrs, nil
}

func readAttributes(r *reader, n int) ([]Attribute, error) {
	bitmap := r.bytes(bitmapLen(n, 0))
	if r.u8() != 1 || r.bad {
		return nil, malformed("query attributes")
	}
	attrs := make([]Attribute, n)
	for i := range attrs {
		a := &attrs[i]
		t, f := r.u8(), r.u8()
		a.Type, a.Unsigned, a.Name = t, f&0x80 != 0, string(r.lenencBytes())
		a.Null = bitmap[i/8]&(1<<(i%8)) != 0 || t == TypeNull
	}
	for i := range attrs {
		if a := &attrs[i]; !a.Null {
			a.Raw = r.value(a.Type)
		}
	}
	if r.bad {
		return nil, malformed("query attributes")
	}
	return attrs, nil
}

// AppendQuery appends COM_QUERY, with attributes if caps has them.
func AppendQuery(dst, sql []byte, attrs []Attribute, caps Capability) []byte {
	dst = append(dst, ComQuery)
	if !caps.Has(ClientQueryAttributes) {
		return append(dst, sql...)
	}
	dst = append(AppendLenencInt(dst, uint64(len(attrs))), 1)
	if len(attrs) > 0 {
		at := len(dst)
		for range bitmapLen(len(attrs), 0) {
			dst = append(dst, 0)
		}
		dst = append(dst, 1)
		for i := range attrs {
			a := &attrs[i]
			if a.Null {
				dst[at+i/8] |= 1 << (i % 8)
			}
			sign := byte(0)
			if a.Unsigned {
				sign = 0x80
			}
			dst = AppendLenencString(append(dst, a.Type, sign), a.Name)
		}
		for i := range attrs {
			dst = attrs[i].appendValue(dst)
		}
	}
	return append(dst, sql...)
}
