// Package claims checks against real servers of both families what the pure packages under internal/mysql say about them:
// statement texts and grants of mysql/flavor, the algebra of mysql/gtid, the texts, sums and collations of mysql/value.
//
// It tests nothing of Pelorus' own roles.
package claims

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/test/servers"
)

// session is one connection to a server.
type session struct {
	t    testing.TB
	conn *client.Conn
}

// login opens a connection; the test fails if it can't.
func login(t testing.TB, s *servers.Server, user, password string) *session {
	t.Helper()
	conn, err := client.Dial(t.Context(), client.Config{Addr: s.Addr, User: user, Password: password})
	if err != nil {
		t.Fatalf("log in as %s: %v", user, err)
	}
	t.Cleanup(func() { conn.Close() })
	return &session{t: t, conn: conn}
}

func root(t testing.TB, s *servers.Server) *session {
	t.Helper()
	return login(t, s, "root", "")
}

// run runs statements; each must succeed.
func (s *session) run(stmts ...string) {
	s.t.Helper()
	for _, q := range stmts {
		if _, _, err := s.conn.QueryAll(context.Background(), q); err != nil {
			s.t.Fatalf("%s: %v", q, err)
		}
	}
}

// fails runs a statement that the server must refuse.
func (s *session) fails(q string) {
	s.t.Helper()
	if _, _, err := s.conn.QueryAll(context.Background(), q); err == nil {
		s.t.Errorf("%s: was accepted", q)
	}
}

// all returns a result as text; NULL is nil.
func (s *session) all(q string) (cols []string, rows [][]*string) {
	s.t.Helper()
	defs, values, err := s.conn.QueryAll(context.Background(), q)
	if err != nil {
		s.t.Fatalf("%s: %v", q, err)
	}
	for _, d := range defs {
		cols = append(cols, d.Name)
	}
	for _, v := range values {
		row := make([]*string, len(v))
		for i := range v {
			if !v[i].IsNull() {
				text := v[i].String()
				row[i] = &text
			}
		}
		rows = append(rows, row)
	}
	return cols, rows
}

// row returns the first row as column name to value without NULLs; nil if there is no row.
func (s *session) row(q string) map[string]string {
	s.t.Helper()
	cols, rows := s.all(q)
	if len(rows) == 0 {
		return nil
	}
	out := map[string]string{}
	for i, c := range cols {
		if v := rows[0][i]; v != nil {
			out[c] = *v
		}
	}
	return out
}

// pairs returns a result of two columns as name to value.
func (s *session) pairs(q string) map[string]string {
	s.t.Helper()
	_, rows := s.all(q)
	out := map[string]string{}
	for _, r := range rows {
		if r[0] != nil && r[1] != nil {
			out[*r[0]] = *r[1]
		}
	}
	return out
}

// column returns the first column, NULL as "NULL".
func (s *session) column(q string) []string {
	s.t.Helper()
	_, rows := s.all(q)
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = "NULL"
		if r[0] != nil {
			out[i] = *r[0]
		}
	}
	return out
}

// value returns the single value of a query.
func (s *session) value(q string) string {
	s.t.Helper()
	got := s.column(q)
	if len(got) != 1 {
		s.t.Fatalf("%s: %d rows", q, len(got))
	}
	return got[0]
}

// detect asks the server for its flavor.
func (s *session) detect() *flavor.Flavor {
	s.t.Helper()
	f, _, err := flavor.Detect(s.value("SELECT VERSION()"))
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// until asks again until cond holds, for ten seconds.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// batch joins values into rows of an INSERT.
func batch(table string, values []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s VALUES ", table)
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("(" + v + ")")
	}
	return b.String()
}
