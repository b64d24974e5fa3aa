package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/test/servers"
)

// TestRealServers runs everything that a client does against both families.
func TestRealServers(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			s := servers.StartWith(t, family, servers.Options{Extra: []string{
				"local_infile = ON", "max_allowed_packet = 128M",
			}})
			e := &env{s: s, maria: family == servers.MariaDB}
			for _, sub := range []struct {
				name string
				f    func(*testing.T, *env)
			}{
				{"logins", testLogins},
				{"socket", testSocket},
				{"tls", testTLS},
				{"results", testResults},
				{"multi results", testMultiResults},
				{"big packets", func(t *testing.T, e *env) { testBigPackets(t, e.config()) }},
				{"compression", testCompression},
				{"local infile", testLocalInfile},
				{"session", testSession},
				{"scanner", testScanner},
				{"cancel", testCancel},
				{"prepared", testPrepared},
			} {
				t.Run(sub.name, func(t *testing.T) { sub.f(t, e) })
			}
		})
	}
}

type env struct {
	s     *servers.Server
	maria bool
}

func (e *env) config() client.Config {
	return client.Config{Addr: e.s.Addr, User: "root", DeprecateEOF: true, SessionTrack: true,
		MultiStatements: true, Attrs: map[string]string{"program_name": "pelorus-test"}}
}

func (e *env) dial(t *testing.T, cfg client.Config) *client.Conn {
	t.Helper()
	return dial(t, cfg)
}

func dial(t *testing.T, cfg client.Config) *client.Conn {
	t.Helper()
	c, err := client.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func exec(t *testing.T, c *client.Conn, sql string) wire.OK {
	t.Helper()
	ok, err := c.Exec(t.Context(), sql)
	if err != nil {
		t.Fatalf("%.200s: %v", sql, err)
	}
	return ok
}

func one(t *testing.T, c *client.Conn, sql string) string {
	t.Helper()
	_, rows, err := c.QueryAll(t.Context(), sql)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%.200s: %d rows, %v", sql, len(rows), err)
	}
	return rows[0][0].String()
}

func testLogins(t *testing.T, e *env) {
	root := e.dial(t, e.config())
	if root.IsMariaDB() != e.maria || root.ConnectionID() == 0 {
		t.Fatalf("greeting of %s: maria %v, id %d", root.ServerVersion(), root.IsMariaDB(), root.ConnectionID())
	}
	plugins := []string{wire.PluginSHA2}
	if e.maria {
		exec(t, root, "INSTALL SONAME 'auth_ed25519'")
		plugins = []string{wire.PluginNative, wire.PluginEd25519}
	}
	for i, plugin := range plugins {
		user := fmt.Sprintf("u%d", i)
		switch plugin {
		case wire.PluginEd25519:
			exec(t, root, "CREATE USER "+user+"@'%' IDENTIFIED VIA ed25519 USING PASSWORD('pässword')")
		case wire.PluginNative:
			exec(t, root, "CREATE USER "+user+"@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('pässword')")
		default:
			exec(t, root, "CREATE USER "+user+"@'%' IDENTIFIED WITH caching_sha2_password BY 'pässword'")
		}
		for _, network := range []string{"tcp", "tcp", "unix"} { // the first is full, the second fast
			cfg := e.config()
			cfg.User, cfg.Password = user, "pässword"
			if cfg.Network = network; network == "unix" {
				exec(t, root, "FLUSH PRIVILEGES") // empties the cache of passwords
				cfg.Addr = e.s.Socket
			}
			c := e.dial(t, cfg)
			if got := one(t, c, "SELECT current_user()"); got != user+"@%" {
				t.Errorf("%s over %s: logged in as %s", plugin, network, got)
			}
			for _, bad := range []string{"", "wrong"} {
				cfg.Password = bad
				_, err := client.Dial(t.Context(), cfg)
				var my *wire.MySQLError
				if !errors.As(err, &my) || my.Errno != 1045 {
					t.Errorf("%s over %s with password %q: %v, want 1045", plugin, network, bad, err)
				}
			}
			if err := c.ChangeUser(t.Context(), "root", "", "mysql"); err != nil {
				t.Errorf("change user from %s: %v", plugin, err)
			} else if got := one(t, c, "SELECT concat(user(), database())"); !strings.HasPrefix(got, "root@") || !strings.HasSuffix(got, "mysql") {
				t.Errorf("after change user: %s", got)
			}
			if err := c.ChangeUser(t.Context(), user, "pässword", ""); err != nil {
				t.Errorf("change user to %s: %v", plugin, err)
			} else if got := one(t, c, "SELECT current_user()"); got != user+"@%" {
				t.Errorf("change user to %s: logged in as %s", plugin, got)
			}
		}
	}
	cfg := e.config()
	cfg.User = "nobody"
	if _, err := client.Dial(t.Context(), cfg); !isErrno(err, 1045) {
		t.Errorf("unknown user: %v, want 1045", err)
	}
	cfg = e.config()
	cfg.Database = "missing"
	if _, err := client.Dial(t.Context(), cfg); !isErrno(err, 1049) {
		t.Errorf("unknown database: %v, want 1049", err)
	}
}

func isErrno(err error, errno uint16) bool {
	var my *wire.MySQLError
	return errors.As(err, &my) && my.Errno == errno
}

func testTLS(t *testing.T, e *env) {
	cfg := e.config()
	cfg.TLS = &tls.Config{InsecureSkipVerify: true}
	if e.maria {
		// 10.11 has no certificate of its own: the requirement must make us refuse.
		if _, err := client.Dial(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "TLS") {
			t.Fatalf("dial with TLS required: %v", err)
		}
		return
	}
	root := e.dial(t, e.config())
	exec(t, root, "CREATE USER tlsuser@'%' IDENTIFIED WITH caching_sha2_password BY 'secret' REQUIRE SSL")
	cfg.User, cfg.Password = "tlsuser", "secret"
	for range 2 {
		c := e.dial(t, cfg)
		if got := one(t, c, "SELECT variable_value FROM performance_schema.session_status WHERE variable_name = 'ssl_cipher'"); got == "" {
			t.Error("no cipher: the connection is not encrypted")
		}
		if got := one(t, c, "SELECT repeat('x', 1000000)"); len(got) != 1000000 {
			t.Errorf("%d bytes came over TLS", len(got))
		}
	}
	cfg.TLS = nil
	if _, err := client.Dial(t.Context(), cfg); !isErrno(err, 1045) {
		t.Errorf("without TLS: %v, want 1045", err)
	}
}

func testResults(t *testing.T, e *env) {
	for _, deprecate := range []bool{true, false} {
		cfg := e.config()
		cfg.DeprecateEOF, cfg.SessionTrack, cfg.QueryAttributes = deprecate, deprecate, deprecate
		c := e.dial(t, cfg)
		exec(t, c, "CREATE DATABASE IF NOT EXISTS d")
		if err := c.InitDB(t.Context(), "d"); err != nil {
			t.Fatal(err)
		}
		exec(t, c, "DROP TABLE IF EXISTS t")
		exec(t, c, "CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, s VARCHAR(40), n INT)")
		ok := exec(t, c, "INSERT INTO t (s, n) VALUES ('a', 1), ('', NULL), (NULL, -3)")
		if ok.Affected != 3 || ok.InsertID != 1 || !strings.HasPrefix(ok.Info, "Records: 3") {
			t.Errorf("insert: %+v", ok)
		}
		cols, rows, err := c.QueryAll(t.Context(), "SELECT * FROM t ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		if len(cols) != 3 || cols[0].Name != "id" || cols[0].Type != wire.TypeLongLong || !cols[0].Unsigned() || cols[1].Table != "t" || cols[1].Schema != "d" {
			t.Errorf("columns: %+v", cols)
		}
		want := "1,a,1|2,,NULL|3,NULL,-3"
		if got := printRows(rows); got != want {
			t.Errorf("rows %s, want %s", got, want)
		}
		_, err = c.Exec(t.Context(), "SELECT * FROM missing")
		if !isErrno(err, 1146) {
			t.Errorf("missing table: %v", err)
		}
		_, err = c.Exec(t.Context(), "SELECT 1 UNION ALL SELECT (SELECT id FROM t)")
		if !isErrno(err, 1242) {
			t.Errorf("error among the rows: %v", err)
		}
		if c.Broken() {
			t.Fatal("a server's error broke the connection")
		}
		if ok := exec(t, c, "BEGIN"); ok.Status&wire.StatusInTrans == 0 || c.Status()&wire.StatusInTrans == 0 {
			t.Errorf("BEGIN: status %#x", ok.Status)
		}
		exec(t, c, "ROLLBACK")
		fields, err := c.FieldList(t.Context(), "t", "s%")
		if err != nil || len(fields) != 1 || fields[0].Name != "s" {
			t.Errorf("field list: %v %v", fields, err)
		}
		if s, err := c.Statistics(t.Context()); err != nil || !strings.Contains(s, "Uptime") {
			t.Errorf("statistics: %q %v", s, err)
		}
	}
}

func printRows(rows [][]client.Value) string {
	var b strings.Builder
	for i, row := range rows {
		if i > 0 {
			b.WriteByte('|')
		}
		for j, v := range row {
			if j > 0 {
				b.WriteByte(',')
			}
			if v.IsNull() {
				b.WriteString("NULL")
				continue
			}
			b.WriteString(v.String())
		}
	}
	return b.String()
}

func testMultiResults(t *testing.T, e *env) {
	c := e.dial(t, e.config())
	exec(t, c, "CREATE DATABASE IF NOT EXISTS d; USE d")
	exec(t, c, "CREATE OR REPLACE VIEW v AS SELECT 1 AS a; DROP PROCEDURE IF EXISTS p")
	exec(t, c, "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2, 3; END")
	r, err := c.Query(t.Context(), "SELECT 7; DO 1; CALL p(); SELECT 8")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		var rows []string
		for r.Next() {
			rows = append(rows, string(bytes.Join(r.Values(), []byte{','})))
		}
		got = append(got, fmt.Sprint(len(r.Columns()), rows))
		if !r.NextResult() {
			break
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := "1 [7];0 [];1 [1];2 [2,3];0 [];1 [8]"
	if s := strings.Join(got, ";"); s != want {
		t.Errorf("results %s, want %s", s, want)
	}
	if _, err := c.Exec(t.Context(), "SELECT 1; SELECT nonsense; SELECT 2"); !isErrno(err, 1054) {
		t.Errorf("an error in the second statement: %v", err)
	}
	if err := c.SetOption(t.Context(), wire.OptionMultiStatementsOff); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "SELECT 1; SELECT 2"); !isErrno(err, 1064) {
		t.Errorf("multi-statements are off: %v", err)
	}
}

func testBigPackets(t *testing.T, cfg client.Config) {
	const chunk = 1<<24 - 1
	for _, deprecate := range []bool{true, false} {
		cfg.DeprecateEOF = deprecate
		c := dial(t, cfg)
		// Bytes of the value in a row with a length of 4 or 9 bytes before it: packets that
		// end just before, at, and after the border of a chunk, and of two.
		for _, n := range []int{1 << 20, chunk - 5, chunk - 4, chunk - 3, chunk, 20 << 20, 40 << 20} {
			sql := make([]byte, 0, n+100)
			sql = append(sql, "SELECT '"...)
			sql = append(sql, bytes.Repeat([]byte{'x'}, n)...)
			sql = append(sql, "' AS v"...)
			r, err := c.QueryBytes(t.Context(), sql)
			if err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			rows := 0
			for r.Next() {
				rows++
				if v := r.Values()[0]; len(v) != n || bytes.Count(v, []byte{'x'}) != n {
					t.Errorf("%d bytes came back of %d", len(v), n)
				}
			}
			if err := r.Close(); err != nil || rows != 1 {
				t.Errorf("%d bytes: %d rows, %v", n, rows, err)
			}
		}
	}
}

// testCompression sends and receives what has its own ways through frames: big
// packets, files, a login on an open connection, an error in the middle.
func testCompression(t *testing.T, e *env) {
	cfg := e.config()
	cfg.Compress = true
	file := strings.Repeat("1\tabcdefgh\n", 200_000)
	cfg.LocalInfile = func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(file)), nil }
	c := e.dial(t, cfg)
	if !c.Caps().Has(wire.ClientCompress) {
		t.Fatal("the server does not offer compression")
	}
	if got := one(t, c, "SHOW STATUS LIKE 'Compression'"); got != "Compression" {
		t.Errorf("status: %s", got)
	}
	exec(t, c, "CREATE DATABASE IF NOT EXISTS d; USE d; DROP TABLE IF EXISTS z; CREATE TABLE z (id INT, s VARCHAR(40))")
	if ok := exec(t, c, "LOAD DATA LOCAL INFILE 'z' INTO TABLE z"); ok.Affected != 200_000 {
		t.Errorf("loaded %d rows", ok.Affected)
	}
	if _, err := c.Exec(t.Context(), "SELECT nothing FROM z"); err == nil {
		t.Error("an unknown column is accepted")
	}
	if err := c.ChangeUser(t.Context(), "root", "", "d"); err != nil {
		t.Fatalf("change user: %v", err)
	}
	if got := one(t, c, "SELECT count(*) FROM z"); got != "200000" {
		t.Errorf("%s rows in the table", got)
	}
	testBigPackets(t, cfg)
}

func testLocalInfile(t *testing.T, e *env) {
	const rows = 50000
	cfg := e.config()
	fail := errors.New("no such file")
	cfg.LocalInfile = func(name string) (io.ReadCloser, error) {
		switch name {
		case "rows":
			var b bytes.Buffer
			for i := range rows {
				fmt.Fprintf(&b, "%d\tname %d\n", i, i)
			}
			return io.NopCloser(&b), nil
		case "empty":
			return io.NopCloser(strings.NewReader("")), nil
		}
		return nil, fail
	}
	c := e.dial(t, cfg)
	exec(t, c, "CREATE DATABASE IF NOT EXISTS d; USE d; DROP TABLE IF EXISTS f; CREATE TABLE f (id INT, s VARCHAR(40))")
	if ok := exec(t, c, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE f"); ok.Affected != rows {
		t.Errorf("loaded %d rows: %+v", ok.Affected, ok)
	}
	if ok := exec(t, c, "LOAD DATA LOCAL INFILE 'empty' INTO TABLE f"); ok.Affected != 0 {
		t.Errorf("loaded %d rows from an empty file", ok.Affected)
	}
	if _, err := c.Exec(t.Context(), "LOAD DATA LOCAL INFILE 'other' INTO TABLE f"); !errors.Is(err, fail) {
		t.Errorf("unknown file: %v", err)
	}
	if got := one(t, c, "SELECT count(*) FROM f"); got != fmt.Sprint(rows) {
		t.Errorf("%s rows in the table", got)
	}
}

func testSession(t *testing.T, e *env) {
	c := e.dial(t, e.config())
	id := c.ConnectionID()
	exec(t, c, "SET @a = 1")
	if err := c.ResetConnection(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := one(t, c, "SELECT concat(coalesce(@a, 'gone'), connection_id())"); got != fmt.Sprintf("gone%d", id) {
		t.Errorf("after reset: %s", got)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.InitDB(t.Context(), "missing"); !isErrno(err, 1049) {
		t.Errorf("init db: %v", err)
	}
	ok := exec(t, c, "CREATE DATABASE IF NOT EXISTS d; USE d")
	found := ""
	if err := wire.WalkState(ok.State, func(kind byte, data []byte) bool {
		if kind == wire.StateSchema {
			found = string(data)
		}
		return true
	}); err != nil || found != "\x01d" {
		t.Errorf("session state %q of USE d: %q, %v", ok.State, found, err)
	}
	r, err := c.Query(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); !errors.Is(err, client.ErrBusy) {
		t.Errorf("a command while rows are open: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Wire().CheckIdle(); err != nil {
		t.Errorf("an idle connection: %v", err)
	}
}

func testCancel(t *testing.T, e *env) {
	c := e.dial(t, e.config())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := c.Exec(ctx, "SELECT sleep(60)")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 30*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	if !c.Broken() {
		t.Error("the connection counts as sound")
	}
	if err := c.Ping(t.Context()); err == nil {
		t.Error("a broken connection answers")
	}

	killer, victim := e.dial(t, e.config()), e.dial(t, e.config())
	exec(t, killer, fmt.Sprintf("KILL %d", victim.ConnectionID()))
	if err := victim.Ping(t.Context()); err == nil {
		t.Error("a killed connection answers")
	}
	if err := victim.Wire().CheckIdle(); err == nil {
		t.Error("a killed connection looks idle")
	}
}
