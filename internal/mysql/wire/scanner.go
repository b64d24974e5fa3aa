package wire

import "encoding/binary"

// ResponseKind tells a Scanner what the answer to a command looks like.
type ResponseKind uint8

// Kinds of responses.
const (
	// ResponseQuery answers COM_QUERY, COM_STMT_EXECUTE and COM_STMT_BULK_EXECUTE: one
	// or more results.
	ResponseQuery ResponseKind = iota
	// ResponseOK answers with one OK, EOF or ERR packet: COM_INIT_DB, COM_PING,
	// COM_RESET_CONNECTION, COM_SET_OPTION, COM_STMT_RESET, ...
	ResponseOK
	// ResponsePrepare answers COM_STMT_PREPARE.
	ResponsePrepare
	// ResponseFetch answers COM_STMT_FETCH: rows and their end.
	ResponseFetch
	// ResponseFieldList answers COM_FIELD_LIST: column definitions and their end.
	ResponseFieldList
	// ResponseText answers COM_STATISTICS: one packet of text.
	ResponseText
)

type scanState uint8

const (
	scanFirst scanState = iota
	scanColumns
	scanColumnsEOF
	scanRows
	scanParams // the definitions of a prepared statement, parameters first
	scanParamsEOF
	scanPrepColumns
	scanPrepColumnsEOF
	scanDone
)

// headMax is how much of a packet a Scanner looks at: an OK up to its warnings
// (1 + 9 + 9 + 2 + 2 bytes); all others need less.
const headMax = 23

// Scanner finds the end of a server's answer in its raw bytes, fed in pieces of any
// size, and notes what a forwarder must know of it. It neither allocates nor holds
// on to what it is fed. The zero Scanner must be Reset before use.
//
// Sequence numbers are not looked at: the bytes go on as they came, and the client
// checks them.
type Scanner struct {
	// Facts about the answer, valid once Feed has said done.

	Status, Warnings   uint16 // of the last OK or EOF
	Affected, InsertID uint64 // of the last OK
	Rows               uint64 // rows of all results together
	HadResultSet       bool
	SessionState       bool // an OK carried session state
	LocalInfile        bool // the server asks for a file; the answer goes on after it: Reset again
	IsErr              bool // the answer ended with an error
	Errno              uint16
	State              [5]byte // SQLSTATE, if IsErr
	StmtID             uint32  // of ResponsePrepare
	NumColumns         uint16  // of ResponsePrepare
	NumParams          uint16  // of ResponsePrepare
	Results            uint32  // OKs and result sets
	// LastPacket is the length of the last packet with its header. If it is at most
	// the n of the last Feed, the packet lies in the last LastPacket of those n bytes.
	LastPacket int

	kind  ResponseKind
	state scanState
	caps  Capability
	cols  uint64 // definitions still to come

	hdr   [headerLen]byte
	hdrN  uint8
	left  int // bytes of this chunk still to come
	size  int // length of the packet's first chunk
	total int // bytes of the packet so far, with headers
	cont  bool
	head  [headMax]byte
	headN int
}

// Reset begins a new answer of the given kind on a connection that speaks caps.
func (s *Scanner) Reset(kind ResponseKind, caps Capability) {
	*s = Scanner{kind: kind, caps: caps}
	if kind == ResponseFetch || kind == ResponseFieldList {
		s.state = scanRows
	}
}

// Feed looks at the next bytes. n of them belong to the answer; done says that it
// is complete. Bytes after the first n belong to something else: with commands
// that are not pipelined, the server has misbehaved.
func (s *Scanner) Feed(p []byte) (n int, done bool, err error) {
	i := 0
	for s.state != scanDone {
		if s.state == scanRows && s.hdrN == 0 && !s.cont {
			i += s.skipRows(p[i:])
		}
		k, complete := s.chunk(p[i:])
		i += k
		if !complete {
			return i, false, nil
		}
		if s.cont {
			continue
		}
		if err := s.packet(); err != nil {
			return i, false, err
		}
	}
	return i, true, nil
}

// skipRows passes over whole rows at the beginning of p.
func (s *Scanner) skipRows(p []byte) int {
	i := 0
	for len(p)-i > headerLen {
		size := int(p[i]) | int(p[i+1])<<8 | int(p[i+2])<<16
		first := p[i+headerLen]
		if first >= packetEOF || size == maxChunk || size == 0 || size > len(p)-i-headerLen {
			break
		}
		i += headerLen + size
		s.Rows++
	}
	return i
}

// chunk takes bytes of the current chunk and says whether it is complete; s.cont
// then tells that the packet goes on in another.
func (s *Scanner) chunk(p []byte) (n int, complete bool) {
	if s.hdrN < headerLen {
		n = copy(s.hdr[s.hdrN:], p)
		s.hdrN += uint8(n)
		if s.hdrN < headerLen {
			return n, false
		}
		s.left = int(s.hdr[0]) | int(s.hdr[1])<<8 | int(s.hdr[2])<<16
		if !s.cont {
			s.size, s.headN, s.total = s.left, 0, 0
		}
		s.total += headerLen + s.left
	}
	k := min(s.left, len(p)-n)
	if !s.cont && s.headN < headMax {
		s.headN += copy(s.head[s.headN:], p[n:n+k])
	}
	s.left -= k
	n += k
	if s.left > 0 {
		return n, false
	}
	s.cont = s.hdr[0] == 0xff && s.hdr[1] == 0xff && s.hdr[2] == 0xff
	s.hdrN = 0
	return n, true
}

// packet acts on a complete packet, whose beginning is in head.
func (s *Scanner) packet() error {
	if s.headN == 0 {
		return malformed("empty packet in a response")
	}
	s.LastPacket = s.total
	head := s.head[:s.headN]
	if head[0] == packetErr && s.kind != ResponseText {
		return s.err(head)
	}
	switch s.state {
	case scanFirst:
		return s.first(head)
	case scanColumns:
		if s.cols--; s.cols == 0 {
			s.columnsDone()
		}
	case scanColumnsEOF:
		if err := s.eof(head); err != nil {
			return err
		}
		s.state = scanRows
		if s.Status&StatusCursorExists != 0 {
			s.resultDone()
		}
	case scanRows:
		if head[0] != packetEOF || s.size == maxChunk {
			s.Rows++
			return nil
		}
		before := s.Status
		if err := s.end(head); err != nil {
			return err
		}
		if !s.caps.Has(ClientDeprecateEOF) {
			s.Status |= AfterOutParams(before)
		}
		s.resultDone()
	default:
		return s.prepared(head)
	}
	return nil
}

func (s *Scanner) err(head []byte) error {
	if len(head) < 3 {
		return malformed("ERR packet")
	}
	errno := binary.LittleEndian.Uint16(head[1:])
	if errno == errnoProgress {
		return nil
	}
	s.IsErr, s.Errno = true, errno
	s.State = [5]byte{'H', 'Y', '0', '0', '0'}
	if len(head) >= 9 && head[3] == '#' {
		copy(s.State[:], head[4:9])
	}
	s.state = scanDone
	return nil
}

// first acts on the first packet of a result.
func (s *Scanner) first(head []byte) error {
	switch s.kind {
	case ResponseText:
		s.state = scanDone
		return nil
	case ResponseOK:
		err := s.end(head)
		s.state = scanDone
		return err
	case ResponsePrepare:
		return s.prepareOK(head)
	}
	switch head[0] {
	case packetOK:
		if err := s.ok(head); err != nil {
			return err
		}
		s.resultDone()
		return nil
	case packetLocalInfile:
		s.LocalInfile = true
		s.state = scanDone
		return nil
	}
	n, size := LenencInt(head)
	if size == 0 || n == 0 || n > 0xffff {
		return malformed("column count")
	}
	s.cols, s.state, s.HadResultSet = n, scanColumns, true
	if s.caps&(ClientOptionalMetadata|MariaDBCacheMetadata) != 0 {
		if len(head) <= size {
			return malformed("column count")
		}
		if head[size] == 0 {
			s.columnsDone()
		}
	}
	return nil
}

func (s *Scanner) columnsDone() {
	s.state = scanColumnsEOF
	if s.caps.Has(ClientDeprecateEOF) {
		s.state = scanRows
	}
}

// end reads what ends rows, or the single packet of ResponseOK.
func (s *Scanner) end(head []byte) error {
	if head[0] == packetEOF && (s.size == 5 || !s.caps.Has(ClientDeprecateEOF)) {
		return s.eof(head)
	}
	return s.ok(head)
}

func (s *Scanner) eof(head []byte) error {
	if head[0] != packetEOF || s.size != 5 {
		return malformed("EOF packet")
	}
	s.Warnings = binary.LittleEndian.Uint16(head[1:])
	s.Status = binary.LittleEndian.Uint16(head[3:])
	return nil
}

func (s *Scanner) ok(head []byte) error {
	if head[0] != packetOK && head[0] != packetEOF {
		return malformed("OK packet")
	}
	r := reader{p: head[1:]}
	s.Affected, s.InsertID = r.lenencInt(), r.lenencInt()
	s.Status, s.Warnings = r.u16(), r.u16()
	if r.bad {
		return malformed("OK packet")
	}
	if s.Status&StatusSessionState != 0 && s.caps.Has(ClientSessionTrack) {
		s.SessionState = true
	}
	return nil
}

// resultDone ends one result: of the answer too, unless more are announced.
func (s *Scanner) resultDone() {
	s.Results++
	if s.kind == ResponseQuery && s.Status&StatusMoreResults != 0 {
		s.state = scanFirst
		return
	}
	s.state = scanDone
}

func (s *Scanner) prepareOK(head []byte) error {
	if head[0] != packetOK || len(head) < 9 {
		return malformed("answer to a prepare")
	}
	s.StmtID = binary.LittleEndian.Uint32(head[1:])
	s.NumColumns = binary.LittleEndian.Uint16(head[5:])
	s.NumParams = binary.LittleEndian.Uint16(head[7:])
	if len(head) >= 12 {
		s.Warnings = binary.LittleEndian.Uint16(head[10:])
	}
	s.Results++
	if s.caps.Has(ClientOptionalMetadata) && len(head) >= 13 && head[12] == 0 {
		s.state = scanDone
		return nil
	}
	s.cols = uint64(s.NumParams)
	s.state = scanParams
	if s.cols == 0 {
		s.prepareColumns()
	}
	return nil
}

// prepareColumns goes on to the column definitions of a prepared statement.
func (s *Scanner) prepareColumns() {
	s.cols = uint64(s.NumColumns)
	s.state = scanPrepColumns
	if s.cols == 0 {
		s.state = scanDone
	}
}

// prepared acts on the packets after the first of ResponsePrepare.
func (s *Scanner) prepared(head []byte) error {
	classic := !s.caps.Has(ClientDeprecateEOF)
	switch s.state {
	case scanParams:
		if s.cols--; s.cols > 0 {
			return nil
		}
		if classic {
			s.state = scanParamsEOF
		} else {
			s.prepareColumns()
		}
	case scanPrepColumns:
		if s.cols--; s.cols > 0 {
			return nil
		}
		s.state = scanDone
		if classic {
			s.state = scanPrepColumnsEOF
		}
	case scanParamsEOF:
		if err := s.eof(head); err != nil {
			return err
		}
		s.prepareColumns()
	case scanPrepColumnsEOF:
		if err := s.eof(head); err != nil {
			return err
		}
		s.state = scanDone
	}
	return nil
}
