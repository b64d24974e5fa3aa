package wire

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// answer is an answer in packets, from which the bytes are made.
type answer struct {
	kind ResponseKind
	caps Capability
	want Scanner // the facts that a scanner must find
	buf  []byte
	seq  uint8
}

func (a *answer) packet(payload []byte) {
	n := 0
	for {
		chunk := payload[:min(len(payload), maxChunk)]
		a.buf = append(AppendHeader(a.buf, len(chunk), a.seq), chunk...)
		a.seq++
		n += headerLen + len(chunk)
		payload = payload[len(chunk):]
		if len(chunk) < maxChunk {
			break
		}
	}
	a.want.LastPacket = n
}

func (a *answer) ok(o OK) {
	a.packet(AppendOK(nil, o, a.caps, false))
	a.facts(o)
	a.want.Affected, a.want.InsertID = o.Affected, o.InsertID
}

func (a *answer) facts(o OK) {
	a.want.Status, a.want.Warnings = o.Status, o.Warnings
	if a.caps.Has(ClientSessionTrack) && len(o.State) > 0 {
		a.want.Status |= StatusSessionState
		a.want.SessionState = true
	}
	a.want.Results++
}

// end is the end of rows.
func (a *answer) end(o OK) {
	if a.caps.Has(ClientDeprecateEOF) {
		a.packet(AppendOK(nil, o, a.caps, true))
		a.facts(o)
		a.want.Affected, a.want.InsertID = o.Affected, o.InsertID
		return
	}
	a.packet(AppendEOF(nil, o.Warnings, o.Status))
	o.State = nil
	a.facts(o)
}

func (a *answer) fail() {
	a.packet(AppendErr(nil, &MySQLError{1317, "70100", "Query execution was interrupted"}))
	a.want.IsErr, a.want.Errno = true, 1317
	copy(a.want.State[:], "70100")
}

func (a *answer) columns(n int) {
	a.packet(AppendColumnCount(nil, n, a.caps))
	a.want.HadResultSet = true
	a.definitions(n)
}

func (a *answer) definitions(n int) {
	for i := range n {
		c := Column{Schema: "d", Table: "t", Name: fmt.Sprint("c", i), Type: TypeVarString}
		a.packet(AppendColumn(nil, &c, a.caps))
	}
	if n > 0 && !a.caps.Has(ClientDeprecateEOF) {
		a.packet(AppendEOF(nil, 0, StatusAutocommit))
		a.want.Warnings, a.want.Status = 0, StatusAutocommit
	}
}

func (a *answer) row(payload []byte) {
	a.packet(payload)
	a.want.Rows++
}

// randomAnswer makes an answer of any kind.
func randomAnswer(r *rand.Rand) *answer {
	a := &answer{kind: ResponseKind(r.IntN(6))}
	for _, c := range []Capability{ClientDeprecateEOF, ClientSessionTrack, MariaDBExtendedMetadata, MariaDBCacheMetadata} {
		if r.IntN(2) == 0 {
			a.caps |= c
		}
	}
	last := OK{Affected: r.Uint64N(1 << r.IntN(64)), InsertID: r.Uint64N(1 << r.IntN(64)), Status: StatusAutocommit, Warnings: uint16(r.IntN(3))}
	if r.IntN(2) == 0 {
		last.State = []byte("\x01\x02\x01d")
		last.Info = "Records: 3"
	}
	switch a.kind {
	case ResponseOK:
		a.single(r, last)
	case ResponseText:
		a.packet([]byte("Uptime: 3"))
	case ResponsePrepare:
		a.prepared(r)
	case ResponseFetch, ResponseFieldList:
		a.rows(r)
		if r.IntN(4) == 0 {
			a.fail()
		} else {
			a.end(last)
		}
	default:
		a.results(r, last)
	}
	return a
}

func (a *answer) single(r *rand.Rand, last OK) {
	switch r.IntN(3) {
	case 0:
		a.fail()
	case 1:
		a.packet(AppendEOF(nil, 1, StatusAutocommit))
		a.want.Warnings, a.want.Status = 1, StatusAutocommit
	default:
		a.ok(last)
		a.want.Results = 0 // not counted for this kind
	}
}

func (a *answer) prepared(r *rand.Rand) {
	if r.IntN(4) == 0 {
		a.fail()
		return
	}
	p := Prepared{ID: r.Uint32(), Params: r.IntN(3), Columns: r.IntN(3), Warnings: 1}
	a.packet(AppendPrepared(nil, p, a.caps))
	a.want.StmtID, a.want.NumParams, a.want.NumColumns = p.ID, uint16(p.Params), uint16(p.Columns)
	a.want.Warnings, a.want.Results = 1, 1
	a.definitions(p.Params)
	a.definitions(p.Columns)
}

func (a *answer) rows(r *rand.Rand) {
	for range r.IntN(20) {
		switch r.IntN(8) {
		case 0:
			a.row([]byte{nullValue, nullValue})
		case 1:
			a.row(append([]byte{0}, pattern(r.IntN(30))...)) // a binary row, or an empty string
		default:
			a.row(AppendTextRow(nil, [][]byte{pattern(r.IntN(300)), nil, pattern(r.IntN(5))}))
		}
	}
}

func (a *answer) results(r *rand.Rand, last OK) {
	for range r.IntN(4) {
		if r.IntN(2) == 0 {
			a.ok(OK{Affected: 1, Status: StatusMoreResults})
			continue
		}
		a.columns(1 + r.IntN(3))
		a.rows(r)
		a.end(OK{Status: StatusMoreResults})
	}
	if r.IntN(5) == 0 {
		a.packet([]byte{packetErr, 0xff, 0xff, 1, 2, 3}) // progress
	}
	switch r.IntN(5) {
	case 0:
		a.fail()
	case 1:
		a.packet([]byte("\xfbfile"))
		a.want.LocalInfile = true
	case 2:
		a.ok(last)
	case 3:
		// A cursor: no rows, and the only end is that of the definitions.
		last.Status |= StatusCursorExists
		a.packet(AppendColumnCount(nil, 1, a.caps))
		a.packet(AppendColumn(nil, &Column{Name: "c"}, a.caps))
		a.want.HadResultSet = true
		a.end(last)
	default:
		a.columns(2)
		a.rows(r)
		if r.IntN(4) == 0 {
			a.fail()
		} else {
			a.end(last)
		}
	}
}

// facts strips a scanner of its working state.
func facts(s *Scanner) Scanner {
	return Scanner{
		Status: s.Status, Warnings: s.Warnings, Affected: s.Affected, InsertID: s.InsertID, Rows: s.Rows,
		HadResultSet: s.HadResultSet, SessionState: s.SessionState, LocalInfile: s.LocalInfile, IsErr: s.IsErr,
		Errno: s.Errno, State: s.State, StmtID: s.StmtID, NumColumns: s.NumColumns, NumParams: s.NumParams,
		Results: s.Results, LastPacket: s.LastPacket,
	}
}

// feed feeds the bytes in pieces that size chooses.
func feed(s *Scanner, p []byte, size func() int) (n int, done bool, err error) {
	for n < len(p) && !done && err == nil {
		var k int
		piece := p[n:min(len(p), n+size())]
		k, done, err = s.Feed(piece)
		n += k
		if !done && err == nil && k != len(piece) {
			return n, false, fmt.Errorf("%d bytes of %d taken although the answer goes on", k, len(piece))
		}
	}
	return n, done, err
}

func TestScannerOnRandomAnswers(t *testing.T) {
	seed := rand.Uint64()
	for i := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, i))
		a := randomAnswer(r)
		tail := pattern(r.IntN(40)) // of another answer
		data := append(a.buf, tail...)
		for name, size := range map[string]func() int{
			"whole":  func() int { return len(data) },
			"bytes":  func() int { return 1 },
			"random": func() int { return 1 + r.IntN(50) },
		} {
			var s Scanner
			s.Reset(a.kind, a.caps)
			n, done, err := feed(&s, data, size)
			if err != nil || !done || n != len(a.buf) {
				t.Fatalf("seed %d/%d, %s: %d bytes of %d, done %v, %v (kind %d, caps %#x)", seed, i, name, n, len(a.buf), done, err, a.kind, a.caps)
			}
			if got := facts(&s); got != a.want {
				t.Fatalf("seed %d/%d, %s, kind %d, caps %#x:\n got %+v\nwant %+v", seed, i, name, a.kind, a.caps, got, a.want)
			}
			if n, done, err := s.Feed(tail); n != 0 || !done || err != nil {
				t.Fatalf("after the end: %d bytes taken, done %v, %v", n, done, err)
			}
		}
	}
}

// TestScannerOnBigRows: rows of several chunks, whose later chunks look like ends.
// TestScannerOnOutParams reads what both servers answer to a prepared CALL with an OUT parameter: without
// ClientDeprecateEOF only the first EOF of the parameter's result tells that the OK of the call follows.
func TestScannerOnOutParams(t *testing.T) {
	const out = StatusAutocommit | StatusMoreResults | StatusPSOutParams
	column := AppendColumn(nil, &Column{Name: "b", Type: TypeLong, Charset: 63}, 0)
	row := []byte{0, 0, 6, 0, 0, 0}
	ok := AppendOK(nil, OK{Status: StatusAutocommit}, 0, false)
	for name, tt := range map[string]struct {
		caps    Capability
		packets [][]byte
	}{
		"classic":    {0, [][]byte{{1}, column, AppendEOF(nil, 0, out), row, AppendEOF(nil, 0, StatusAutocommit), ok}},
		"deprecated": {ClientDeprecateEOF, [][]byte{{1}, column, row, AppendOK(nil, OK{Status: out}, ClientDeprecateEOF, true), ok}},
	} {
		t.Run(name, func(t *testing.T) {
			var answer []byte
			for i, p := range tt.packets {
				answer = append(AppendHeader(answer, len(p), uint8(i+1)), p...)
			}
			var s Scanner
			s.Reset(ResponseQuery, tt.caps)
			n, done, err := s.Feed(answer)
			if n != len(answer) || !done || err != nil || s.Results != 2 || s.Rows != 1 {
				t.Errorf("%d of %d bytes, done %v, %v: %+v", n, len(answer), done, err, s)
			}
		})
	}
}

func TestScannerOnBigRows(t *testing.T) {
	for _, caps := range []Capability{0, ClientDeprecateEOF} {
		for _, n := range []int{maxChunk - 10, maxChunk - 9, maxChunk - 8, maxChunk, 2*maxChunk - 9, 2 * maxChunk} {
			a := &answer{kind: ResponseQuery, caps: caps}
			a.columns(1)
			v := make([]byte, n)
			for i := range v {
				v[i] = 0xfe
			}
			a.row(AppendTextRow(nil, [][]byte{v}))
			a.row(AppendTextRow(nil, [][]byte{[]byte("x")}))
			a.end(OK{Status: StatusAutocommit})
			var s Scanner
			s.Reset(a.kind, a.caps)
			got, done, err := feed(&s, a.buf, func() int { return 65521 })
			if err != nil || !done || got != len(a.buf) || facts(&s) != a.want {
				t.Errorf("row of %d bytes: %d bytes of %d, done %v, %v; %+v", n, got, len(a.buf), done, err, facts(&s))
			}
		}
	}
}

func TestScannerOnNonsense(t *testing.T) {
	frame := func(payload ...byte) []byte { return append(AppendHeader(nil, len(payload), 1), payload...) }
	tests := []struct {
		name string
		kind ResponseKind
		data []byte
	}{
		{"empty packet", ResponseQuery, frame()},
		{"no columns", ResponseQuery, frame(0xfc, 0, 0)},
		{"too many columns", ResponseQuery, frame(0xfd, 0, 0, 1)},
		{"short OK", ResponseQuery, frame(0, 1)},
		{"short ERR", ResponseQuery, frame(0xff, 1)},
		{"EOF first", ResponseQuery, frame(0xfe, 0, 0, 2, 0)},
		{"row where OK is due", ResponseOK, frame(1, 'a')},
		{"no EOF after the definitions", ResponseQuery, append(append(frame(1), frame(3, 'd', 'e', 'f')...), frame(1, 'a')...)},
		{"short answer to a prepare", ResponsePrepare, frame(0, 1, 0, 0, 0)},
		{"EOF of a wrong length", ResponseFetch, frame(0xfe, 0, 0, 2)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s Scanner
			s.Reset(tt.kind, 0)
			if _, done, err := s.Feed(tt.data); done || !errors.Is(err, ErrMalformed) {
				t.Errorf("done %v, error %v; want malformed", done, err)
			}
		})
	}
}

// naive is the scanner's twin: it has all bytes, splits them into logical packets
// first, and walks these. It returns the length of the answer, or -1 if it is not
// complete or no answer.
func naive(p []byte, kind ResponseKind, caps Capability) int {
	var packets [][]byte
	var ends []int
	var joined []byte
	for i := 0; len(p)-i >= headerLen; {
		n := int(p[i]) | int(p[i+1])<<8 | int(p[i+2])<<16
		if len(p)-i-headerLen < n {
			break
		}
		joined = append(joined, p[i+headerLen:i+headerLen+n]...)
		i += headerLen + n
		if n < maxChunk {
			packets, ends = append(packets, joined), append(ends, i)
			joined = nil
		}
	}
	w := walker{packets: packets, kind: kind, caps: caps}
	if !w.walk() {
		return -1
	}
	return ends[w.at-1]
}

type walker struct {
	packets [][]byte
	at      int
	kind    ResponseKind
	caps    Capability
	ended   bool // by an error
}

// next returns the next packet, nil at the end of the bytes.
func (w *walker) next() []byte {
	if w.at == len(w.packets) || len(w.packets[w.at]) == 0 {
		return nil
	}
	p := w.packets[w.at]
	w.at++
	if w.kind != ResponseText && p[0] == packetErr {
		if len(p) < 3 {
			return nil
		}
		if IsProgress(p) {
			return w.next()
		}
		w.ended = true
	}
	return p
}

func (w *walker) walk() bool {
	switch w.kind {
	case ResponseText:
		return w.next() != nil
	case ResponseOK:
		p := w.next()
		return w.ended || w.status(p) >= 0
	case ResponseFetch, ResponseFieldList:
		return w.rows() >= 0
	case ResponsePrepare:
		return w.prepare()
	}
	for {
		p := w.next()
		if p == nil {
			return false
		}
		if w.ended || p[0] == packetLocalInfile {
			return true
		}
		status := -1
		if p[0] == packetOK {
			status = w.status(p)
		} else if n, defs, err := ParseColumnCount(p, w.caps); err == nil {
			status = w.result(n, defs)
		}
		if w.ended {
			return true
		}
		if status < 0 {
			return false
		}
		if uint16(status)&StatusMoreResults == 0 {
			return true
		}
	}
}

// status reads an OK or EOF; -1 if it is none.
func (w *walker) status(p []byte) int {
	if len(p) == 0 || p[0] != packetOK && p[0] != packetEOF {
		return -1
	}
	if p[0] == packetEOF && (len(p) == 5 || !w.caps.Has(ClientDeprecateEOF)) {
		ok, err := parseEOF(p)
		if err != nil {
			return -1
		}
		return int(ok.Status)
	}
	r := reader{p: p[1:]}
	r.lenencInt()
	r.lenencInt()
	status := r.u16()
	r.u16()
	if r.bad {
		return -1
	}
	return int(status)
}

func (w *walker) result(n int, defs bool) int {
	if !defs {
		n = 0
	}
	for range n {
		if w.next() == nil {
			return -1
		}
		if w.ended {
			return 0
		}
	}
	if !w.caps.Has(ClientDeprecateEOF) {
		p := w.next()
		if w.ended {
			return 0
		}
		ok, err := parseEOF(p)
		if err != nil {
			return -1
		}
		if ok.Status&StatusCursorExists != 0 {
			return int(ok.Status)
		}
	}
	return w.rows()
}

func (w *walker) rows() int {
	for {
		p := w.next()
		if p == nil {
			return -1
		}
		if w.ended {
			return 0
		}
		if p[0] == packetEOF && len(p) < maxChunk {
			return w.status(p)
		}
	}
}

func (w *walker) prepare() bool {
	p := w.next()
	if w.ended {
		return true
	}
	if len(p) < 9 || p[0] != packetOK {
		return false
	}
	for _, n := range []int{int(p[7]) | int(p[8])<<8, int(p[5]) | int(p[6])<<8} {
		for i := range n {
			if w.next() == nil {
				return false
			}
			if w.ended {
				return true
			}
			if i == n-1 && !w.caps.Has(ClientDeprecateEOF) {
				p := w.next()
				if w.ended {
					return true
				}
				if _, err := parseEOF(p); err != nil {
					return false
				}
			}
		}
	}
	return true
}

// FuzzScanner compares the scanner with its twin on any bytes, in any pieces.
func FuzzScanner(f *testing.F) {
	for i := range uint64(40) {
		a := randomAnswer(rand.New(rand.NewPCG(1, i)))
		f.Add(a.buf, uint8(a.kind), a.caps.Has(ClientDeprecateEOF), a.caps.Has(MariaDBCacheMetadata), uint8(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, deprecate, cached bool, piece uint8) {
		var caps Capability
		if deprecate {
			caps |= ClientDeprecateEOF
		}
		if cached {
			caps |= MariaDBCacheMetadata
		}
		k := ResponseKind(kind % 6)
		want := naive(data, k, caps)
		var s Scanner
		s.Reset(k, caps)
		n, done, err := feed(&s, data, func() int { return int(piece) + 1 })
		if done != (want >= 0) || done && n != want {
			t.Fatalf("scanner: %d bytes, done %v, %v; its twin: %d", n, done, err, want)
		}
	})
}
