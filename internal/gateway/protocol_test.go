package gateway

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/test/servers"
)

// TestProtocol sends the same packets to a server itself and through the gateway, and compares the bytes of the answers.
func TestProtocol(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			b := newBed(t, family)
			for _, deprecate := range []bool{false, true} {
				name := map[bool]string{false: "eof", true: "deprecated eof"}[deprecate]
				t.Run("cursors "+name, func(t *testing.T) { b.cursors(t, deprecate) })
			}
			t.Run("sharded cursors", b.shardedCursors)
			t.Run("cursors and pool", b.cursorsAndPool)
		})
	}
}

// protocolPair is a connection to a server and one to the gateway before such a server.
type protocolPair struct {
	t             *testing.T
	direct, gated *client.Conn
}

func (b *bed) pair(t *testing.T, cfg client.Config) *protocolPair {
	t.Helper()
	p := &protocolPair{t: t}
	cfg.User, cfg.Database = "root", "main"
	for _, side := range []struct {
		addr string
		c    **client.Conn
	}{{b.servers[1].Addr, &p.direct}, {b.addr, &p.gated}} {
		cfg.Addr = side.addr
		c, err := client.Dial(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		*side.c = c
	}
	return p
}

// exec runs a statement on both sides.
func (p *protocolPair) exec(q string) {
	p.t.Helper()
	must(p.t, p.direct, q)
	must(p.t, p.gated, q)
}

// statement is a prepared statement on both sides.
type statement struct{ direct, gated *client.Stmt }

func (p *protocolPair) prepare(q string) statement {
	p.t.Helper()
	var st statement
	var err error
	if st.direct, err = p.direct.Prepare(p.t.Context(), q); err != nil {
		p.t.Fatal(err)
	}
	if st.gated, err = p.gated.Prepare(p.t.Context(), q); err != nil {
		p.t.Fatal(err)
	}
	return st
}

// same sends a command to both sides, made with each side's id of the statement, and compares the answers.
func (p *protocolPair) same(what string, kind wire.ResponseKind, st statement, command func(id uint32) []byte) {
	p.t.Helper()
	want := packets(p.t, p.direct, kind, command(st.direct.ID))
	got := packets(p.t, p.gated, kind, command(st.gated.ID))
	if got != want {
		p.t.Errorf("%s\nthe server answers\n%sthe gateway\n%s", what, want, got)
	}
}

// packets sends a command and returns the packets of the answer in hexadecimal; of errors what drivers go by.
func packets(t *testing.T, c *client.Conn, kind wire.ResponseKind, command []byte) string {
	t.Helper()
	w := c.Wire()
	w.SetSeq(0)
	err := w.WritePacket(command)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	var scan wire.Scanner
	scan.Reset(kind, c.Caps())
	var out strings.Builder
	for done := false; !done; {
		seq := w.Seq()
		p, err := w.ReadPacket()
		if err != nil {
			return out.String() + err.Error()
		}
		if wire.IsErr(p) {
			my, err := wire.ParseErr(p)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "error %d %s\n", my.Errno, my.State)
			break
		}
		fmt.Fprintln(&out, hex.EncodeToString(p))
		if _, done, err = scan.Feed(append(wire.AppendHeader(nil, len(p), seq), p...)); err != nil {
			t.Fatal(err)
		}
	}
	w.Release()
	return out.String()
}

// cursors opens cursors, fetches from them, and leaves them in every way, in transactions and outside.
func (b *bed) cursors(t *testing.T, deprecate bool) {
	p := b.pair(t, client.Config{DeprecateEOF: deprecate, SessionTrack: deprecate})
	p.exec("DROP TABLE IF EXISTS cu")
	p.exec("CREATE TABLE cu (id INT PRIMARY KEY, v VARCHAR(20))")
	p.exec("INSERT INTO cu VALUES (1, 'a'), (2, NULL), (3, 'c'), (4, 'd'), (5, 'e')")
	st := p.prepare("SELECT id, v FROM cu WHERE id >= ? ORDER BY id")
	other := p.prepare("SELECT v FROM cu ORDER BY id")
	twin := p.prepare("SELECT id, v FROM cu WHERE id >= ? ORDER BY id")
	open := func(st statement, from ...int64) {
		t.Helper()
		var params []wire.Param
		for _, n := range from {
			params = append(params, wire.IntParam(n))
		}
		p.same("execute", wire.ResponseQuery, st, func(id uint32) []byte {
			return wire.AppendStmtExecute(nil, id, wire.CursorReadOnly, params, nil, 0)
		})
	}
	fetch := func(st statement, n uint32) {
		t.Helper()
		p.same(fmt.Sprintf("fetch %d", n), wire.ResponseFetch, st, func(id uint32) []byte { return wire.AppendFetch(nil, id, n) })
	}
	reset := func(st statement) {
		t.Helper()
		p.same("reset", wire.ResponseOK, st, func(id uint32) []byte {
			return []byte{wire.ComStmtReset, byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}
		})
	}
	rest := func(st statement) { t.Helper(); fetch(st, 100); fetch(st, 1) }

	fetch(st, 1) // nothing is open
	open(st, 1)
	fetch(st, 2)
	fetch(st, 0)
	fetch(st, 3) // exactly the rest: more may follow
	fetch(st, 3)
	fetch(st, 1) // has ended
	open(st, 6)
	rest(st)
	open(st, 1)
	fetch(st, 1)
	open(st, 4) // in place of the one before
	rest(st)
	open(st, 1)
	reset(st)
	fetch(st, 1)

	open(st, 1) // several at a time, and other statements meanwhile
	open(other)
	open(twin, 4)
	fetch(st, 1)
	p.exec("UPDATE cu SET v = 'later' WHERE id = 5")
	fetch(other, 2)
	fetch(twin, 1)
	rest(st)
	rest(other)
	rest(twin)

	p.exec("BEGIN") // cursors outlive transactions, and begin before them
	open(st, 1)
	fetch(st, 1)
	open(other)
	p.exec("COMMIT")
	fetch(st, 1)
	p.exec("BEGIN")
	p.exec("INSERT INTO cu VALUES (6, 'f')")
	fetch(other, 1)
	open(twin, 1)
	rest(twin)
	p.exec("ROLLBACK")
	rest(st)
	rest(other)
	p.exec("SET autocommit = 0")
	open(st, 1)
	fetch(st, 1)
	p.exec("SET autocommit = 1")
	rest(st)

	open(st, 1)
	for _, c := range []*client.Conn{p.direct, p.gated} {
		if err := c.ResetConnection(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	fetch(st, 1)
}

// shardedCursors opens a cursor where one shard has the rows, and gets the rows at once where several have.
func (b *bed) shardedCursors(t *testing.T) {
	c := b.dial(t, "shop")
	must(t, c, "CREATE TABLE IF NOT EXISTS customer (id BIGINT PRIMARY KEY, name VARCHAR(40))")
	must(t, c, "DELETE FROM customer")
	must(t, c, "INSERT INTO customer (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")
	for _, tt := range []struct {
		query  string
		params []wire.Param
		cursor bool
		rows   int
	}{
		{"SELECT id FROM customer WHERE id = ?", []wire.Param{wire.IntParam(3)}, true, 1},
		{"SELECT id FROM customer WHERE id IN (?, ?) ORDER BY id", []wire.Param{wire.IntParam(1), wire.IntParam(4)}, false, 2},
		{"SELECT id FROM customer ORDER BY id", nil, false, 4},
	} {
		st, err := c.Prepare(t.Context(), tt.query)
		if err != nil {
			t.Fatal(err)
		}
		r, err := st.OpenCursor(t.Context(), tt.params...)
		if err != nil {
			t.Fatalf("%s: %v", tt.query, err)
		}
		cols := r.Columns()
		n := 0
		for r.Next() {
			n++
		}
		if err := r.Close(); err != nil {
			t.Fatalf("%s: %v", tt.query, err)
		}
		if has := r.OK().Status&wire.StatusCursorExists != 0; has != tt.cursor || has && n > 0 {
			t.Errorf("%s: status %#x after %d rows", tt.query, r.OK().Status, n)
		}
		if tt.cursor {
			if r, err = st.Fetch(t.Context(), 10, cols); err != nil {
				t.Fatal(err)
			}
			for r.Next() {
				n++
			}
			if err := r.Close(); err != nil || r.OK().Status&wire.StatusLastRowSent == 0 {
				t.Errorf("%s: status %#x, %v after the last row", tt.query, r.OK().Status, err)
			}
		}
		if n != tt.rows {
			t.Errorf("%s: %d rows", tt.query, n)
		}
	}
}

// cursorsAndPool counts the connections that cursors keep from others: bounded while they are open, none afterwards.
func (b *bed) cursorsAndPool(t *testing.T) {
	c := b.dial(t, "main")
	must(t, c, "CREATE TABLE IF NOT EXISTS cp (id INT PRIMARY KEY)")
	must(t, c, "REPLACE INTO cp VALUES (1), (2), (3)")
	inUse := func() int {
		s := b.gw.targets.Current().Keyspaces["main"].Shards[0].Primary.Pool.Stats()
		return s.Open - s.Idle
	}
	before := inUse()
	open := 0
	var stmts []*client.Stmt
	for range 20 {
		st, err := c.Prepare(t.Context(), "SELECT id FROM cp ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		r, err := st.OpenCursor(t.Context())
		if err == nil {
			err = r.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.OK().Status&wire.StatusCursorExists != 0 {
			open++
			stmts = append(stmts, st)
		}
	}
	if n := inUse() - before; open != 8 || n != open {
		t.Errorf("%d cursors are open on %d connections", open, n)
	}
	for i, st := range stmts {
		if i%2 == 0 {
			if err := st.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Ping(t.Context()); err != nil { // closing has no answer
		t.Fatal(err)
	}
	if n := inUse() - before; n != open/2 {
		t.Errorf("%d connections are in use with %d cursors open", n, open/2)
	}
	must(t, c, "BEGIN")
	for range 3 { // those of a transaction are on its connection
		st, err := c.Prepare(t.Context(), "SELECT id FROM cp ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		r, err := st.OpenCursor(t.Context())
		if err == nil {
			err = r.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := inUse() - before; n != open/2+1 {
		t.Errorf("%d connections are in use with %d cursors open and a transaction", n, open/2)
	}
	must(t, c, "ROLLBACK")
	if err := c.ResetConnection(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := inUse() - before; n != 0 {
		t.Errorf("%d connections are in use after a reset", n)
	}
}
