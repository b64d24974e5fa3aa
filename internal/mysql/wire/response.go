package wire

import "strings"

// OK is the content of an OK packet, and of the EOF packets that end a result.
type OK struct {
	Affected, InsertID uint64
	Status, Warnings   uint16
	Info               string
	State              []byte // session state entries, see WalkState; a slice of the packet when parsed
}

// AppendOK appends an OK packet's payload for a connection that speaks caps.
// eofHeader makes it the end of a result under ClientDeprecateEOF (header 0xfe).
// The session state bit of the status is set and cleared as the content demands.
func AppendOK(dst []byte, ok OK, caps Capability, eofHeader bool) []byte {
	head := packetOK
	if eofHeader {
		head = packetEOF
	}
	track := caps.Has(ClientSessionTrack)
	ok.Status &^= StatusSessionState
	if track && len(ok.State) > 0 {
		ok.Status |= StatusSessionState
	}
	dst = append(dst, head)
	dst = AppendLenencInt(dst, ok.Affected)
	dst = AppendLenencInt(dst, ok.InsertID)
	dst = append(dst, byte(ok.Status), byte(ok.Status>>8), byte(ok.Warnings), byte(ok.Warnings>>8))
	switch {
	case track && len(ok.State) > 0:
		dst = AppendLenencString(dst, ok.Info)
		return AppendLenencString(dst, ok.State)
	case ok.Info != "":
		return AppendLenencString(dst, ok.Info)
	default:
		return dst
	}
}

// ParseOK reads an OK packet's payload (header 0x00, or 0xfe at the end of a
// result under ClientDeprecateEOF) or a classic EOF, which is told by its length.
func ParseOK(payload []byte, caps Capability) (OK, error) {
	r := reader{p: payload}
	var ok OK
	switch head := r.u8(); {
	case head == packetEOF && !caps.Has(ClientDeprecateEOF):
		return parseEOF(payload)
	case head != packetOK && head != packetEOF:
		return OK{}, malformed("OK packet")
	case head == packetEOF && len(payload) == 5:
		// COM_SET_OPTION and others answer with a classic EOF even under DEPRECATE_EOF;
		// an OK has at least 7 bytes.
		return parseEOF(payload)
	}
	ok.Affected, ok.InsertID = r.lenencInt(), r.lenencInt()
	ok.Status, ok.Warnings = r.u16(), r.u16()
	// The documents have the info without ClientSessionTrack as the rest of the packet;
	// the servers send its length in any case.
	if len(r.p) > 0 {
		ok.Info = string(r.lenencBytes())
	}
	if caps.Has(ClientSessionTrack) && ok.Status&StatusSessionState != 0 && len(r.p) > 0 {
		ok.State = r.lenencBytes()
	}
	if r.bad {
		return OK{}, malformed("OK packet")
	}
	return ok, nil
}

// AppendEOF appends a classic EOF packet's payload.
func AppendEOF(dst []byte, warnings, status uint16) []byte {
	return append(dst, packetEOF, byte(warnings), byte(warnings>>8), byte(status), byte(status>>8))
}

func parseEOF(payload []byte) (OK, error) {
	r := reader{p: payload}
	head := r.u8()
	ok := OK{Warnings: r.u16(), Status: r.u16()}
	if r.bad || head != packetEOF || len(payload) != 5 {
		return OK{}, malformed("EOF packet")
	}
	return ok, nil
}

// AppendErr appends an ERR packet's payload. An empty state is sent as HY000.
func AppendErr(dst []byte, e *MySQLError) []byte {
	state := e.State
	if len(state) != 5 {
		state = "HY000"
	}
	dst = append(dst, packetErr, byte(e.Errno), byte(e.Errno>>8), '#')
	dst = append(dst, state...)
	return append(dst, e.Message...)
}

// ParseErr reads an ERR packet's payload. Errors sent before the handshake carry no
// SQLSTATE.
func ParseErr(payload []byte) (*MySQLError, error) {
	r := reader{p: payload}
	head, errno := r.u8(), r.u16()
	if r.bad || head != packetErr {
		return nil, malformed("ERR packet")
	}
	e := &MySQLError{Errno: errno}
	if len(r.p) >= 6 && r.p[0] == '#' {
		e.State = string(r.p[1:6])
		r.p = r.p[6:]
	}
	e.Message = strings.ToValidUTF8(string(r.p), "\ufffd")
	return e, nil
}

// IsErr, IsOK and IsLocalInfile tell the first packet of an answer by its first
// byte; IsEnd tells the last packet of a result's rows.
func IsErr(payload []byte) bool { return len(payload) > 0 && payload[0] == packetErr }

// IsOK says whether payload is an OK packet (header 0x00) where one may stand.
func IsOK(payload []byte) bool { return len(payload) > 0 && payload[0] == packetOK }

// IsLocalInfile says whether the server asks for a file of the client.
func IsLocalInfile(payload []byte) bool { return len(payload) > 0 && payload[0] == packetLocalInfile }

// IsEnd says whether payload, where a row may stand, ends the rows: an EOF, or an
// OK with the header 0xfe.
func IsEnd(payload []byte) bool {
	return len(payload) > 0 && payload[0] == packetEOF && len(payload) < maxChunk
}

// AfterOutParams returns the status flags that a result's last EOF must be given when the EOF after its columns had the
// status columns: servers that send the OUT parameters of a procedure say only there that more follows.
func AfterOutParams(columns uint16) uint16 {
	if columns&StatusPSOutParams == 0 {
		return 0
	}
	return columns & (StatusPSOutParams | StatusMoreResults)
}

// IsProgress says whether payload is MariaDB's progress report, which only looks
// like an ERR packet.
func IsProgress(payload []byte) bool {
	return len(payload) >= 3 && payload[0] == packetErr && payload[1] == 0xff && payload[2] == 0xff
}

// Types of session state entries.
const (
	StateVariable           byte = 0 // length-encoded name, length-encoded value, repeated
	StateSchema             byte = 1 // length-encoded name
	StateChanged            byte = 2 // length-encoded "1" or "0"
	StateGTIDs              byte = 3 // one byte of encoding, length-encoded text
	StateTrxCharacteristics byte = 4
	StateTrxState           byte = 5
)

// AppendState appends an entry of session state.
func AppendState(dst []byte, kind byte, data []byte) []byte {
	return AppendLenencString(append(dst, kind), data)
}

// WalkState calls f for each entry of an OK packet's session state, until f says
// false. data is a slice of state.
func WalkState(state []byte, f func(kind byte, data []byte) bool) error {
	r := reader{p: state}
	for len(r.p) > 0 {
		kind, data := r.u8(), r.lenencBytes()
		if r.bad {
			return malformed("session state")
		}
		if !f(kind, data) {
			return nil
		}
	}
	return nil
}

// StateGTID returns the GTID text of a session state: MySQL's own entry for GTIDs,
// or the variable last_gtid of MariaDB; "" if there is none.
func StateGTID(state []byte) (string, error) {
	gtid := ""
	bad := false
	err := WalkState(state, func(kind byte, data []byte) bool {
		r := reader{p: data}
		switch kind {
		case StateGTIDs:
			r.u8()
			gtid = string(r.lenencBytes())
		case StateVariable:
			for len(r.p) > 0 && !r.bad {
				if name, value := r.lenencBytes(), r.lenencBytes(); string(name) == "last_gtid" {
					gtid = string(value)
				}
			}
		}
		bad = bad || r.bad
		return true
	})
	if err == nil && bad {
		err = malformed("session state entry")
	}
	return gtid, err
}
