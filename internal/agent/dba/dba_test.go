package dba_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/test/servers"
)

func TestDB(t *testing.T) {
	servers.ForEach(t, func(t *testing.T, s *servers.Server) {
		db := dba.Open(dba.Config{Network: "unix", Addr: s.Socket, User: "root"})
		defer db.Close()
		ctx := t.Context()
		r, err := db.Query(ctx, "SELECT 'a' AS name, NULL AS nothing, '' AS blank")
		if err != nil {
			t.Fatal(err)
		}
		if m := r.Map(0); len(m) != 2 || m["name"] != "a" || r.Rows[0][1] != nil || r.Text(0, 0) != "a" || r.Text(5, 5) != "" {
			t.Errorf("got %v", m)
		}
		connectionsAreKept(t, db)
		sessionsAreNot(t, db)
		survivesKill(t, db)
		err = db.Exec(ctx, "CREATE USER u IDENTIFIED BY 'secret' nonsense")
		if dba.Errno(err) != 1064 || strings.Contains(strings.SplitN(err.Error(), ":", 2)[0], "secret") {
			t.Errorf("the error must have its number and no password: %v", err)
		}
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := db.Exec(short, "SELECT SLEEP(30)"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a statement outlived its time: %v", err)
		}
		db.Close()
		if _, err := db.Query(ctx, "SELECT 1"); !errors.Is(err, dba.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func id(t *testing.T, db *dba.DB) string {
	t.Helper()
	r, err := db.Query(t.Context(), "SELECT CONNECTION_ID()")
	if err != nil {
		t.Fatal(err)
	}
	return r.Text(0, 0)
}

func connectionsAreKept(t *testing.T, db *dba.DB) {
	t.Helper()
	if a, b := id(t, db), id(t, db); a != b {
		t.Errorf("connection %s was not used again, but %s", a, b)
	}
	if err := db.Exec(t.Context(), "SELEC 1"); err == nil {
		t.Error("nonsense was accepted")
	}
	if a, b := id(t, db), id(t, db); a != b {
		t.Error("an error of the server must not cost the connection")
	}
}

func sessionsAreNot(t *testing.T, db *dba.DB) {
	t.Helper()
	err := db.Session(t.Context(), func(c *dba.Conn) error { return c.Exec(t.Context(), "SET SESSION sql_log_bin = 0") })
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r, err := db.Query(t.Context(), "SELECT @@SESSION.sql_log_bin")
		if err != nil || r.Text(0, 0) != "1" {
			t.Errorf("a session's variable was left behind: %v, %v", r, err)
		}
	}
}

// survivesKill ends the pooled connection behind the pool's back, as a restart of the server does.
func survivesKill(t *testing.T, db *dba.DB) {
	t.Helper()
	victim := id(t, db)
	err := db.Session(t.Context(), func(c *dba.Conn) error { return c.Exec(t.Context(), "KILL "+victim) })
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := db.Query(t.Context(), "SELECT CONNECTION_ID()")
		if err == nil && r.Text(0, 0) != victim {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the pool does not get over a dead connection: %v", err)
		}
		<-tick.C
	}
}
