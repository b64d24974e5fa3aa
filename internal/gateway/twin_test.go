package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/test/servers"
)

// The scripts of testdata/twin are run on a server itself and through the gateway, and every answer has to be the same:
// rows, names of columns, errors, affected rows, generated ids, numbers of warnings and the status flags that clients
// act upon. A line is a statement, or begins with a directive:
//
//	#            a comment
//	@mysql       for MySQL alone; @mariadb for MariaDB alone
//	@loose       only whether there is an error is compared: the answer is meant to be another
//	@conn NAME   the next lines are sent on this connection
//	@reset, @ping, @init DB, @change DB, @option N, @fields TABLE   commands of the protocol
//	@exec SQL    as prepared statement without parameters
//	@bag SQL     the rows may come in any order
//
// The scripts of testdata/twin are for the unsharded keyspace main, those of testdata/twin/sharded for shop, whose tables
// are on two shards.
func TestTwin(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			b := newBed(t, family)
			// On the second server a database main has no other users; shop needs a server of its own.
			b.twins(t, "testdata/twin/*.sql", b.servers[1].Addr, "main")
			own := servers.Start(t, family)
			d := connect(t, own.Addr, "")
			must(t, d, "CREATE DATABASE shop")
			must(t, d, "CREATE DATABASE main")
			b.twins(t, "testdata/twin/sharded/*.sql", own.Addr, "shop")
		})
	}
}

// twins runs scripts on the server at addr and through the gateway, in a database of one name.
func (b *bed) twins(t *testing.T, pattern, addr, db string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts at %s: %v", pattern, err)
	}
	for _, f := range files {
		t.Run(db+" "+strings.TrimSuffix(filepath.Base(f), ".sql"), func(t *testing.T) { b.twin(t, f, addr, db) })
	}
}

// side is one of the two that a script runs on.
type side struct {
	addr, db string
	conns    map[string]*client.Conn
}

func (s *side) conn(t *testing.T, name string) *client.Conn {
	t.Helper()
	if c := s.conns[name]; c != nil {
		return c
	}
	c := connect(t, s.addr, s.db)
	s.conns[name] = c
	return c
}

func connect(t *testing.T, addr, db string) *client.Conn {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Config{Addr: addr, User: "root", Database: db, MultiStatements: true, DeprecateEOF: true})
	if err != nil {
		t.Fatalf("connect to %s: %v", addr, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// twin runs one script on the plain server at addr and through the gateway.
func (b *bed) twin(t *testing.T, file, addr, db string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain := &side{addr: addr, db: db, conns: map[string]*client.Conn{}}
	gate := &side{addr: b.addr, db: db, conns: map[string]*client.Conn{}}
	name := "a"
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		verb, rest, _ := strings.Cut(line, " ")
		loose, bag := false, false
		if verb == "@mysql" || verb == "@mariadb" {
			if verb[1:] != b.family {
				continue
			}
			line = rest
			verb, rest, _ = strings.Cut(line, " ")
		}
		if verb == "@loose" {
			loose, line = true, rest
			verb, rest, _ = strings.Cut(line, " ")
		}
		if verb == "@bag" {
			bag, line = true, rest
			verb, rest, _ = strings.Cut(line, " ")
		}
		switch {
		case line == "" || line[0] == '#':
			continue
		case verb == "@conn":
			name = rest
			continue
		}
		want := answer(plain.conn(t, name), line)
		got := answer(gate.conn(t, name), line)
		if loose {
			want, got = fate(want), fate(got)
		}
		if db == "shop" { // each shard warns for itself
			want, got = warned.ReplaceAllString(want, "warnings some"), warned.ReplaceAllString(got, "warnings some")
		}
		if bag {
			want, got = sorted(want), sorted(got)
		}
		if got != want {
			t.Errorf("%s:%d: %s\n--- a server's answer:\n%s--- the gateway's:\n%s", file, n, line, want, got)
		}
		for _, s := range []*side{plain, gate} {
			if s.conns[name].Broken() {
				delete(s.conns, name)
			}
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
}

var warned = regexp.MustCompile(`warnings [1-9][0-9]*`)

// sorted puts the lines of an answer in order.
func sorted(answer string) string {
	lines := strings.SplitAfter(answer, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func fate(answer string) string {
	if strings.HasPrefix(answer, "error") {
		return "error\n"
	}
	return "ok\n"
}

// compared are the status flags that clients act upon.
const compared = wire.StatusInTrans | wire.StatusAutocommit | wire.StatusNoBackslashEscapes

// answer sends one line of a script and returns everything that came back.
func answer(c *client.Conn, line string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	verb, rest, _ := strings.Cut(line, " ")
	plain := func(err error) string {
		if err != nil {
			return failed(err)
		}
		return fmt.Sprintf("ok status %x\n", c.Status()&compared)
	}
	switch verb {
	case "@reset":
		return plain(c.ResetConnection(ctx))
	case "@ping":
		return plain(c.Ping(ctx))
	case "@init":
		return plain(c.InitDB(ctx, rest))
	case "@change":
		return plain(c.ChangeUser(ctx, "root", "", rest))
	case "@option":
		return plain(c.SetOption(ctx, uint16(rest[0]-'0')))
	case "@fields":
		cols, err := c.FieldList(ctx, rest, "")
		var b strings.Builder
		for _, col := range cols {
			fmt.Fprintf(&b, "%s type %d\n", col.Name, col.Type)
		}
		return b.String() + plain(err)
	case "@exec":
		st, err := c.Prepare(ctx, rest)
		if err != nil {
			return failed(err)
		}
		rows, err := st.Execute(ctx)
		if err != nil {
			return failed(err)
		}
		out := results(rows)
		if err := st.Close(ctx); err != nil {
			return out + failed(err)
		}
		return out
	}
	rows, err := c.Query(ctx, line)
	if err != nil {
		return failed(err)
	}
	return results(rows)
}

func failed(err error) string {
	var my *wire.MySQLError
	if errors.As(err, &my) {
		return fmt.Sprintf("error %d %s\n", my.Errno, my.State)
	}
	return "error: connection lost\n"
}

func results(rows *client.Rows) string {
	var b strings.Builder
	for {
		cols := rows.Columns()
		for i, c := range cols {
			if i > 0 {
				b.WriteByte('|')
			}
			b.WriteString(c.Name)
		}
		if len(cols) > 0 {
			b.WriteByte('\n')
		}
		n := 0
		for rows.Next() {
			for i, v := range rows.Values() {
				if i > 0 {
					b.WriteByte('|')
				}
				if v == nil {
					b.WriteString("NULL")
				} else {
					fmt.Fprintf(&b, "%q", v)
				}
			}
			b.WriteByte('\n')
			n++
		}
		if err := rows.Err(); err != nil {
			b.WriteString(failed(err))
			break
		}
		ok := rows.OK()
		fmt.Fprintf(&b, "ok rows %d affected %d id %d warnings %d status %x info %q\n", n, ok.Affected, ok.InsertID, ok.Warnings, ok.Status&(compared|wire.StatusMoreResults), ok.Info)
		if !rows.NextResult() {
			if err := rows.Err(); err != nil {
				b.WriteString(failed(err))
			}
			break
		}
	}
	if err := rows.Close(); err != nil {
		return b.String()
	}
	return b.String()
}
