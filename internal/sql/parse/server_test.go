package parse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// serverBinary finds a server, which the test cannot do without.
func serverBinary(t *testing.T, env string, places ...string) string {
	t.Helper()
	if p := os.Getenv(env); p != "" {
		places = []string{p}
	}
	for _, p := range places {
		if found, err := exec.LookPath(p); err == nil {
			return found
		}
	}
	t.Fatalf("no server at %s: run `make setup`, or set %s", strings.Join(places, ", "), env)
	return ""
}

// startServer runs an empty server on a socket until the test ends, and returns a connection to its database d.
func startServer(t *testing.T, mariaDB bool) *sql.Conn {
	t.Helper()
	dir, err := os.MkdirTemp("", "parse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	common := []string{"--no-defaults", "--datadir=" + data, "--user=root"}
	var server string
	var install *exec.Cmd
	if mariaDB {
		server = serverBinary(t, "PELORUS_MARIADBD", "mariadbd", "/usr/sbin/mariadbd")
		install = exec.Command("mariadb-install-db", append(common, "--auth-root-authentication-method=normal", "--skip-test-db")...)
	} else {
		server = serverBinary(t, "PELORUS_MYSQLD", "/opt/pelorus-mysql/bin/mysqld", "mysqld")
		install = exec.Command(server, append(common, "--initialize-insecure")...)
		common = append(common, "--mysqlx=OFF")
	}
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	cmd := exec.Command(server, append(common, "--socket="+socket, "--skip-networking", "--pid-file="+filepath.Join(dir, "pid"),
		"--log-error="+filepath.Join(dir, "log"), "--innodb-buffer-pool-size=16M")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return connect(t, socket, filepath.Join(dir, "log"))
}

func connect(t *testing.T, socket, log string) *sql.Conn {
	t.Helper()
	db, err := sql.Open("mysql", "root@unix("+socket+")/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = db.PingContext(ctx); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(log)
			t.Fatalf("server does not answer: %v\n%s", err, text)
		case <-tick.C:
		}
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"create database d", "use d"} {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// TestServers compares the package with real servers of both flavors.
func TestServers(t *testing.T) {
	for _, mode := range []Mode{modeMySQL, modeMariaDB} {
		t.Run(fmt.Sprintf("mariadb=%v", mode.MariaDB), func(t *testing.T) {
			conn := startServer(t, mode.MariaDB)
			t.Run("corpus", func(t *testing.T) { acceptsCorpus(t, conn, mode) })
			t.Run("mutations", func(t *testing.T) { acceptsMutations(t, conn, mode) })
			t.Run("names", func(t *testing.T) { columnNames(t, conn, mode) })
		})
	}
}

// acceptsCorpus asks a server about every statement of the corpus by PREPARE: what is not a syntax error there must
// not be one here.
func acceptsCorpus(t *testing.T, conn *sql.Conn, mode Mode) {
	accepted, total := 0, 0
	for _, m := range []Mode{modeMySQL, modeMariaDB} { // the other flavor's statements, too
		for _, e := range corpus(t, m.MariaDB) {
			refused := refuses(t, conn, e.src)
			if m == mode {
				total++
				if !refused {
					accepted++
				} else if testing.Verbose() {
					t.Logf("the server refuses %s", e.src)
				}
			}
			if _, err := Parse([]byte(e.src), mode); err != nil && !refused {
				t.Errorf("%s: %v", e.src, err)
			}
		}
	}
	t.Logf("the server accepts %d of its %d statements", accepted, total)
	if accepted*100 < total*85 {
		t.Errorf("the server accepts only %d of %d statements", accepted, total)
	}
}

// refuses says whether the server finds a syntax error.
func refuses(t *testing.T, conn *sql.Conn, src string) bool {
	t.Helper()
	stmt, err := conn.PrepareContext(t.Context(), src)
	if err == nil {
		stmt.Close()
		return false
	}
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		t.Fatalf("%s: %v", src, err)
	}
	return e.Number == 1064 || e.Number == 1149
}
