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
				t.Run("commands "+name, func(t *testing.T) { b.commands(t, deprecate) })
				t.Run("statements "+name, func(t *testing.T) { b.statements(t, deprecate) })
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
		if kind == wire.ResponseOK { // MySQL counts the warnings of an older statement here
			if len(p) == 5 {
				p[1], p[2] = 0, 0
			} else if len(p) >= 7 {
				p[5], p[6] = 0, 0
			}
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

// commands sends every command, well made and not. What a server does for its administrators the gateway refuses.
func (b *bed) commands(t *testing.T, deprecate bool) {
	p := b.pair(t, client.Config{DeprecateEOF: deprecate, SessionTrack: deprecate, MultiStatements: true, QueryAttributes: true})
	p.exec("DROP TABLE IF EXISTS fl")
	p.exec("CREATE TABLE fl (id INT PRIMARY KEY, v VARCHAR(20) DEFAULT 'x', n DECIMAL(5, 2) NOT NULL)")
	maria := b.family == servers.MariaDB
	query := []byte{wire.ComQuery}
	if !maria {
		query = append(query, 0, 1) // no query attributes
	}
	sql := func(q string) string { return string(query) + q }
	type command struct {
		what, payload string
		kind          wire.ResponseKind
		own           string // the gateway's answer, where it is meant to be another
	}
	list := []command{
		{"ping", "\x0e", wire.ResponseOK, ""},
		{"multi-statements off", "\x1b\x01\x00", wire.ResponseOK, ""},
		{"two statements, off", sql("DO 1; DO 2"), wire.ResponseQuery, ""},
		{"multi-statements on", "\x1b\x00\x00", wire.ResponseOK, ""},
		{"two statements, on", sql("DO 1; DO 2"), wire.ResponseQuery, ""},
		{"an error in the middle", sql("SELECT 1 AS a; SELECT nothing; SELECT 2"), wire.ResponseQuery, ""},
		{"results and none in turn", sql("SELECT 1 AS a; DO 1; SELECT 2 AS b; SET @a = 1"), wire.ResponseQuery, ""},
		{"unknown option", "\x1b\x09\x00", wire.ResponseOK, ""},
		{"empty statement", sql(""), wire.ResponseQuery, ""},
		{"semicolon", sql(";"), wire.ResponseQuery, ""},
		{"blanks", sql(" \n\t "), wire.ResponseQuery, ""},
		{"a comment", sql("/* nothing */"), wire.ResponseQuery, ""},
		{"a comment to the end", sql("-- nothing"), wire.ResponseQuery, ""},
		{"zero byte", sql("\x00"), wire.ResponseQuery, ""},
		{"prepare nothing", "\x16", wire.ResponsePrepare, ""},
		{"prepare two", "\x16DO 1; DO 2", wire.ResponsePrepare, ""},
		{"database", "\x02main", wire.ResponseOK, ""},
		{"no database's name", "\x02", wire.ResponseOK, ""},
		{"unknown database", "\x02no", wire.ResponseOK, ""},
		{"field list", "\x04fl\x00", wire.ResponseFieldList, ""},
		{"field list with a pattern", "\x04fl\x00v%", wire.ResponseFieldList, ""},
		{"use", sql("USE main"), wire.ResponseQuery, ""},
		{"use nothing known", sql("USE nothing"), wire.ResponseQuery, ""},
		{"field list of nothing", "\x04nowhere\x00", wire.ResponseFieldList, ""},
		{"execute what is unknown", "\x17\xe7\x03\x00\x00\x00\x01\x00\x00\x00", wire.ResponseQuery, ""},
		{"fetch from what is unknown", "\x1c\xe7\x03\x00\x00\x01\x00\x00\x00", wire.ResponseFetch, ""},
		{"reset what is unknown", "\x1a\xe7\x03\x00\x00", wire.ResponseOK, ""},
		{"kill nobody", "\x0c\xff\xff\xff\x7f", wire.ResponseOK, "error 1094 HY000\n"},
		{"debug", "\x0d", wire.ResponseOK, "error 1227 42000\n"},
		{"binlog dump", "\x12\x04\x00\x00\x00\x00\x00\x09\x00\x00\x00", wire.ResponseOK, "error 1047 08S01\n"},
		{"binlog dump by gtid", "\x1e\x00\x00\x09\x00\x00\x00", wire.ResponseOK, "error 1047 08S01\n"},
		{"register replica", "\x15\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", wire.ResponseOK, "error 1047 08S01\n"},
		{"refresh", "\x07\x01", wire.ResponseOK, "error 1047 08S01\n"},
		{"shutdown", "\x08", wire.ResponseOK, "error 1047 08S01\n"},
		{"process list", "\x0a", wire.ResponseOK, "error 1047 08S01\n"},
		{"bulk execute", "\xfa\x01\x00\x00\x00\x80\x00", wire.ResponseOK, "error 1047 08S01\n"},
	}
	for _, c := range "\x00\x05\x06\x0b\x0f\x10\x13\x14\x1d\x30\xfb\xfe\xff" {
		list = append(list, command{fmt.Sprintf("command %#x", c), string([]byte{byte(c)}), wire.ResponseOK, ""})
	}
	for _, c := range list {
		if c.own == "" {
			p.same(c.what, c.kind, statement{&client.Stmt{}, &client.Stmt{}}, func(uint32) []byte { return []byte(c.payload) })
		} else if got := packets(t, p.gated, c.kind, []byte(c.payload)); got != c.own {
			t.Errorf("%s: the gateway answers %s", c.what, got)
		}
		p.same("ping after "+c.what, wire.ResponseOK, statement{&client.Stmt{}, &client.Stmt{}}, func(uint32) []byte { return []byte{wire.ComPing} })
	}
}

// statements executes prepared statements, with and without faults in what is sent.
func (b *bed) statements(t *testing.T, deprecate bool) {
	p := b.pair(t, client.Config{DeprecateEOF: deprecate, SessionTrack: deprecate, QueryAttributes: true})
	caps := p.gated.Caps()
	if caps != p.direct.Caps()&caps {
		t.Fatalf("the gateway offers %#x beyond the server's", caps&^p.direct.Caps())
	}
	p.exec("DROP TABLE IF EXISTS ps")
	p.exec("CREATE TABLE ps (id INT PRIMARY KEY, v LONGTEXT)")
	p.exec("DROP PROCEDURE IF EXISTS two")
	p.exec("CREATE PROCEDURE two(IN a INT, OUT b INT) BEGIN SELECT a AS first; SET b = a + 1; SELECT 'x' AS second, a AS third; END")
	insert := p.prepare("INSERT INTO ps VALUES (?, ?)")
	read := p.prepare("SELECT id, v FROM ps WHERE id = ?")
	call := p.prepare("CALL two(?, ?)")
	execute := func(st statement, what string, change func([]byte) []byte, params ...wire.Param) {
		t.Helper()
		p.same(what, wire.ResponseQuery, st, func(id uint32) []byte {
			return change(wire.AppendStmtExecute(nil, id, 0, params, nil, caps))
		})
	}
	as := func(p []byte) []byte { return p }
	long := func(param uint16, data string) {
		t.Helper()
		for _, side := range []struct {
			c  *client.Conn
			id uint32
		}{{p.direct, insert.direct.ID}, {p.gated, insert.gated.ID}} {
			w := side.c.Wire()
			w.SetSeq(0)
			err := w.WritePacket(wire.AppendLongData(nil, wire.LongData{ID: side.id, Param: param, Data: []byte(data)}))
			if err == nil {
				err = w.Flush()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	text := func(s string) wire.Param { return wire.TextParam(s) }
	sent := func(s string) wire.Param { return wire.Param{Type: wire.TypeBlob, Long: true, Raw: []byte(s)} }

	execute(insert, "insert", as, wire.IntParam(1), text("one"))
	execute(insert, "insert twice", as, wire.IntParam(1), text("one"))
	execute(insert, "insert null", as, wire.IntParam(2), wire.NullParam())
	execute(read, "read", as, wire.IntParam(1))
	execute(read, "read null", as, wire.IntParam(2))
	execute(read, "read nothing", as, wire.IntParam(77))
	execute(read, "read by text", as, text("1"))

	long(1, "in two ")
	long(1, "pieces")
	execute(insert, "long data", as, wire.IntParam(3), sent(""))
	execute(read, "read long data", as, wire.IntParam(3))
	long(1, "dropped")
	p.same("reset drops long data", wire.ResponseOK, insert, func(id uint32) []byte {
		return []byte{wire.ComStmtReset, byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}
	})
	execute(insert, "after reset", as, wire.IntParam(4), text("given"))
	execute(read, "read after reset", as, wire.IntParam(4))
	long(9, "of no parameter")
	execute(insert, "after long data of no parameter", as, wire.IntParam(5), text("x"))
	p.same("reset", wire.ResponseOK, insert, func(id uint32) []byte {
		return []byte{wire.ComStmtReset, byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}
	})
	execute(insert, "and again", as, wire.IntParam(6), text("x"))
	long(1, "")
	execute(insert, "empty long data", as, wire.IntParam(7), sent(""))
	execute(read, "read empty long data", as, wire.IntParam(7))

	execute(insert, "cut in the types", func(p []byte) []byte { return p[:14] }, wire.IntParam(8), text("abc"))
	execute(insert, "cut in the head", func(p []byte) []byte { return p[:7] }, wire.IntParam(8), text("abc"))
	execute(read, "alive", as, wire.IntParam(1))

	execute(call, "several results of a call", as, wire.IntParam(5), wire.NullParam())
	execute(call, "and again", as, wire.IntParam(6), wire.NullParam())
}
