package wire

import "encoding/binary"

// Greeting is a server's first packet (protocol version 10).
type Greeting struct {
	Version string
	ConnID  uint32
	Nonce   []byte // 20 bytes
	Caps    Capability
	Charset uint8
	Status  uint16
	Plugin  string
}

// AppendGreeting appends the greeting's payload. The nonce must have 20 bytes.
func AppendGreeting(dst []byte, g *Greeting) []byte {
	low := uint32(g.Caps)
	dst = append(dst, 10)
	dst = append(append(dst, g.Version...), 0)
	dst = binary.LittleEndian.AppendUint32(dst, g.ConnID)
	dst = append(append(dst, g.Nonce[:8]...), 0)
	dst = append(dst, byte(low), byte(low>>8), g.Charset, byte(g.Status), byte(g.Status>>8), byte(low>>16), byte(low>>24))
	dst = append(dst, scrambleLen+1, 0, 0, 0, 0, 0, 0)
	ext := uint32(g.Caps >> 32)
	if g.Caps.Has(ClientMySQL) {
		ext = 0
	}
	dst = binary.LittleEndian.AppendUint32(dst, ext)
	dst = append(append(dst, g.Nonce[8:scrambleLen]...), 0)
	return append(append(dst, g.Plugin...), 0)
}

// ParseGreeting reads a server's first packet. A server that refuses the connection
// sends an ERR instead, which is returned as the error.
func ParseGreeting(payload []byte) (*Greeting, error) {
	if IsErr(payload) {
		e, err := ParseErr(payload)
		if err != nil {
			return nil, err
		}
		return nil, e
	}
	r := reader{p: payload}
	if v := r.u8(); v != 10 {
		return nil, malformed("greeting: unknown protocol version")
	}
	g := &Greeting{Version: string(r.zeroString()), ConnID: r.u32()}
	nonce := append(make([]byte, 0, scrambleLen), r.bytes(8)...)
	r.u8()
	g.Caps = Capability(r.u16())
	g.Charset = r.u8()
	g.Status = r.u16()
	g.Caps |= Capability(r.u16()) << 16
	authLen := int(r.u8())
	r.bytes(6)
	ext := r.u32()
	if !g.Caps.Has(ClientMySQL) {
		g.Caps |= Capability(ext) << 32
	}
	// The second part has 13 bytes at least, of which the last is zero.
	nonce = append(nonce, r.bytes(max(13, authLen-8))...)
	if r.bad || !g.Caps.Has(ClientProtocol41|ClientSecureConnection) {
		return nil, malformed("greeting")
	}
	g.Nonce = nonce[:scrambleLen]
	if g.Caps.Has(ClientPluginAuth) {
		g.Plugin = string(r.zeroString())
		if r.bad {
			return nil, malformed("greeting")
		}
	}
	return g, nil
}

// HandshakeResponse is a client's answer to the greeting.
type HandshakeResponse struct {
	// Caps is what the client sends; what counts is its intersection with the offer.
	Caps      Capability
	MaxPacket uint32
	Charset   uint8
	User      string
	Auth      []byte
	Database  string
	Plugin    string
	Attrs     map[string]string
}

// AppendSSLRequest appends the payload that asks for TLS: the head of a response.
func AppendSSLRequest(dst []byte, h *HandshakeResponse) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(h.Caps))
	dst = binary.LittleEndian.AppendUint32(dst, h.MaxPacket)
	dst = append(dst, h.Charset)
	dst = append(dst, make([]byte, 19)...)
	ext := uint32(h.Caps >> 32)
	if h.Caps.Has(ClientMySQL) {
		ext = 0
	}
	return binary.LittleEndian.AppendUint32(dst, ext)
}

// AppendHandshakeResponse appends the response's payload. Which fields are written
// depends on its Caps, which must be a subset of what the server offered.
func AppendHandshakeResponse(dst []byte, h *HandshakeResponse) []byte {
	dst = AppendSSLRequest(dst, h)
	dst = append(append(dst, h.User...), 0)
	if h.Caps.Has(ClientPluginAuthLenenc) {
		dst = AppendLenencString(dst, h.Auth)
	} else {
		dst = append(append(dst, byte(len(h.Auth))), h.Auth...)
	}
	if h.Caps.Has(ClientConnectWithDB) {
		dst = append(append(dst, h.Database...), 0)
	}
	if h.Caps.Has(ClientPluginAuth) {
		dst = append(append(dst, h.Plugin...), 0)
	}
	if h.Caps.Has(ClientConnectAttrs) {
		dst = AppendAttrs(dst, h.Attrs)
	}
	return dst
}

const sslRequestLen = 32

// ParseHandshakeResponse reads a client's answer to a greeting that offered caps.
// Its Caps are those sent AND offered. partial: the client asks for TLS, and sends
// the whole answer after it.
func ParseHandshakeResponse(payload []byte, offered Capability) (h *HandshakeResponse, partial bool, err error) {
	r := reader{p: payload}
	sent := Capability(r.u32())
	h = &HandshakeResponse{MaxPacket: r.u32(), Charset: r.u8()}
	r.bytes(19)
	if ext := r.u32(); !sent.Has(ClientMySQL) && !offered.Has(ClientMySQL) {
		sent |= Capability(ext) << 32
	}
	if r.bad || !sent.Has(ClientProtocol41) {
		return nil, false, malformed("handshake response")
	}
	caps := sent & offered
	h.Caps = caps
	if caps.Has(ClientSSL) && len(payload) == sslRequestLen {
		return h, true, nil
	}
	h.User = string(r.zeroString())
	switch {
	case caps.Has(ClientPluginAuthLenenc):
		h.Auth = r.lenencBytes()
	case caps.Has(ClientSecureConnection):
		h.Auth = r.bytes(int(r.u8()))
	default:
		h.Auth = r.zeroString()
	}
	if r.bad {
		return nil, false, malformed("handshake response")
	}
	parseLoginTail(&r, h)
	if r.bad {
		return nil, false, malformed("handshake response")
	}
	return h, false, nil
}

// parseLoginTail reads database, plugin and attributes. Old clients end before
// fields that they have announced: what is missing is empty.
func parseLoginTail(r *reader, h *HandshakeResponse) {
	if h.Caps.Has(ClientConnectWithDB) && len(r.p) > 0 {
		h.Database = string(r.zeroString())
	}
	if h.Caps.Has(ClientPluginAuth) && len(r.p) > 0 {
		h.Plugin = lastString(r)
	}
	if h.Caps.Has(ClientConnectAttrs) && len(r.p) > 0 {
		h.Attrs = parseAttrs(r)
	}
}

// lastString takes a string whose final zero may be missing.
func lastString(r *reader) string {
	for _, b := range r.p {
		if b == 0 {
			return string(r.zeroString())
		}
	}
	return string(r.rest())
}

// maxAttrs limits the connection attributes that are kept of a client: MySQL's own
// clients send about ten.
const maxAttrs = 128

func parseAttrs(r *reader) map[string]string {
	block := reader{p: r.lenencBytes()}
	attrs := make(map[string]string)
	for len(block.p) > 0 && len(attrs) < maxAttrs {
		name, value := block.lenencBytes(), block.lenencBytes()
		if block.bad {
			r.fail()
			return nil
		}
		attrs[string(name)] = string(value)
	}
	return attrs
}

// AppendAttrs appends a block of connection attributes, in no particular order.
func AppendAttrs(dst []byte, attrs map[string]string) []byte {
	var block []byte
	for name, value := range attrs {
		block = AppendLenencString(AppendLenencString(block, name), value)
	}
	return AppendLenencString(dst, block)
}

// AppendAuthSwitch appends the payload that asks a client to use another plugin.
func AppendAuthSwitch(dst []byte, plugin string, nonce []byte) []byte {
	dst = append(dst, packetEOF)
	dst = append(append(dst, plugin...), 0)
	dst = append(dst, nonce...)
	if plugin == PluginEd25519 {
		return dst
	}
	return append(dst, 0)
}

// ParseAuthSwitch reads the request to use another plugin.
func ParseAuthSwitch(payload []byte) (plugin string, nonce []byte, err error) {
	r := reader{p: payload}
	if r.u8() != packetEOF {
		return "", nil, malformed("authentication switch")
	}
	if len(r.p) == 0 {
		return "", nil, malformed("authentication switch: the server wants pre-4.1 passwords")
	}
	plugin = lastString(&r)
	nonce = r.rest()
	if plugin != PluginEd25519 && len(nonce) > 0 && nonce[len(nonce)-1] == 0 {
		nonce = nonce[:len(nonce)-1]
	}
	return plugin, append([]byte(nil), nonce...), nil
}

// AppendChangeUser appends the payload of COM_CHANGE_USER, h.Auth being the answer
// to the connection's first nonce.
func AppendChangeUser(dst []byte, h *HandshakeResponse) []byte {
	dst = append(dst, ComChangeUser)
	dst = append(append(dst, h.User...), 0)
	dst = append(append(dst, byte(len(h.Auth))), h.Auth...)
	dst = append(append(dst, h.Database...), 0)
	dst = append(dst, h.Charset, 0)
	if h.Caps.Has(ClientPluginAuth) {
		dst = append(append(dst, h.Plugin...), 0)
	}
	if h.Caps.Has(ClientConnectAttrs) {
		dst = AppendAttrs(dst, h.Attrs)
	}
	return dst
}

// ParseChangeUser reads COM_CHANGE_USER on a connection that speaks caps.
func ParseChangeUser(payload []byte, caps Capability) (*HandshakeResponse, error) {
	r := reader{p: payload}
	h := &HandshakeResponse{Caps: caps}
	if r.u8() != ComChangeUser {
		return nil, malformed("change user")
	}
	h.User = string(r.zeroString())
	if caps.Has(ClientSecureConnection) {
		h.Auth = r.bytes(int(r.u8()))
	} else {
		h.Auth = r.zeroString()
	}
	h.Database = lastString(&r)
	if len(r.p) >= 2 {
		h.Charset = byte(r.u16())
	}
	if caps.Has(ClientPluginAuth) && len(r.p) > 0 {
		h.Plugin = lastString(&r)
	}
	if caps.Has(ClientConnectAttrs) && len(r.p) > 0 {
		h.Attrs = parseAttrs(&r)
	}
	if r.bad {
		return nil, malformed("change user")
	}
	return h, nil
}
