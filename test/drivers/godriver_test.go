package drivers

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"github.com/pelorusdb/pelorus/test/cluster"
)

const faces = "naïve – 日本 🐬🧭"

// goDriver checks go-sql-driver/mysql: prepared statements and parameters that the driver writes into the text.
func goDriver(t *testing.T, c *cluster.Cluster) {
	for name, options := range map[string]string{
		"prepared":     "?parseTime=true",
		"interpolated": "?parseTime=true&interpolateParams=true",
		"found-rows":   "?parseTime=true&clientFoundRows=true&charset=utf8mb4",
	} {
		t.Run(name, func(t *testing.T) {
			db := goOpen(t, c, "app", options)
			goTypes(t, db)
			goTransactions(t, db)
			goErrors(t, db)
			goIDs(t, db)
			goAffected(t, db, strings.Contains(options, "clientFoundRows"))
			goBig(t, db)
			goPool(t, db)
			goKilled(t, db)
		})
	}
	t.Run("several", func(t *testing.T) { goSeveral(t, c) })
	t.Run("unsharded", func(t *testing.T) { goUnsharded(t, c) })
}

func goOpen(t *testing.T, c *cluster.Cluster, keyspace, options string) *sql.DB {
	t.Helper()
	cfg, err := mysql.ParseDSN("root@tcp(" + c.Gateway + ")/" + keyspace + options)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{} // killed connections are meant to break
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

// execer is a sql.DB, Conn or Tx.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// change runs a write and returns the affected rows.
func change(t *testing.T, db execer, query string, args ...any) int64 {
	t.Helper()
	res, err := db.ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func scan(t *testing.T, db execer, into any, query string, args ...any) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(into); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// kind is a row of the table kinds without the columns that Go has no type for.
type kind struct {
	id       int64
	i        sql.NullInt32
	u        sql.Null[uint64]
	dec      sql.NullString
	dbl      sql.NullFloat64
	dt       sql.NullTime
	tm       sql.NullString
	bin      []byte
	col, txt sql.NullString
}

func goTypes(t *testing.T, db *sql.DB) {
	change(t, db, "DELETE FROM kinds")
	at := time.Date(2024, 2, 29, 23, 59, 58, 123456000, time.UTC)
	bin := make([]byte, 256)
	for i := range bin {
		bin[i] = byte(i)
	}
	for _, id := range []int64{1, 4, 2} {
		want := kind{id: id}
		args := []any{id, nil, nil, nil, nil, nil, nil, nil, nil, nil}
		if id != 2 {
			want = kind{
				id, sql.NullInt32{Int32: -1 << 31, Valid: true}, sql.Null[uint64]{V: 1<<64 - 1, Valid: true}, text("-12345678901234567890.0123456789"),
				sql.NullFloat64{Float64: 1.5e-300, Valid: true}, sql.NullTime{Time: at, Valid: true}, text("-25:01:02"), bin, text("green"), text(faces),
			}
			args = []any{id, int32(-1 << 31), uint64(1<<64 - 1), want.dec.String, 1.5e-300, at, want.tm.String, bin, "green", faces}
		}
		if n := change(t, db, "INSERT INTO kinds (id, i, u, dec_, dbl, dt, tm, bin, col, txt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", args...); n != 1 {
			t.Errorf("%d rows were affected, want 1", n)
		}
		var k kind
		if err := db.QueryRow("SELECT id, i, u, dec_, dbl, dt, tm, bin, col, txt FROM kinds WHERE id = ?", id).
			Scan(&k.id, &k.i, &k.u, &k.dec, &k.dbl, &k.dt, &k.tm, &k.bin, &k.col, &k.txt); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(k) != fmt.Sprint(want) {
			t.Errorf("row %d is\n%v, want\n%v", id, k, want)
		}
	}
	var n int
	scan(t, db, &n, "SELECT COUNT(*) FROM kinds WHERE txt = ? OR dt IS NULL", faces)
	if n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
	change(t, db, "DELETE FROM kinds")
}

func text(s string) sql.NullString { return sql.NullString{String: s, Valid: true} }

func goTransactions(t *testing.T, db *sql.DB) {
	change(t, db, "DELETE FROM item")
	for _, ids := range [][]any{{1, 2}, {1, 4}} {
		begin := func() *sql.Tx {
			t.Helper()
			tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
			if err != nil {
				t.Fatal(err)
			}
			return tx
		}
		var n int
		tx := begin()
		change(t, tx, "INSERT INTO item (id, name) VALUES (?, 'a'), (?, 'b')", ids...)
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if scan(t, db, &n, "SELECT COUNT(*) FROM item"); n != 0 {
			t.Errorf("%d rows after a rollback", n)
		}
		tx = begin()
		for _, id := range ids {
			change(t, tx, "INSERT INTO item (id, name) VALUES (?, 'kept')", id)
		}
		change(t, tx, "SAVEPOINT s")
		change(t, tx, "UPDATE item SET name = 'lost' WHERE id = ?", ids[1])
		change(t, tx, "ROLLBACK TO SAVEPOINT s")
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if scan(t, db, &n, "SELECT COUNT(*) FROM item WHERE name = 'kept' AND id IN (?, ?)", ids...); n != 2 {
			t.Errorf("%d rows after a commit, want 2", n)
		}
		change(t, db, "DELETE FROM item")
	}
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec("INSERT INTO item (id, name) VALUES (1, 'x')")
	wantErrno(t, err, 1792)
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
}

func wantErrno(t *testing.T, err error, errno uint16) {
	t.Helper()
	var my *mysql.MySQLError
	if !errors.As(err, &my) || my.Number != errno {
		t.Errorf("error %v, want number %d", err, errno)
	}
}

func goErrors(t *testing.T, db *sql.DB) {
	change(t, db, "INSERT INTO item (id, name) VALUES (?, 'x')", 1)
	for query, errno := range map[string]uint16{
		"INSERT INTO item (id, name) VALUES (?, 'y')": 1062,
		"SELEC ?":                                                      1064,
		"SELECT * FROM nowhere WHERE id = ?":                           1146,
		"SELECT nothing FROM item WHERE id = ?":                        1054,
		"SELECT * FROM no_such_db.t WHERE id = ?":                      1049,
		"INSERT INTO item (id, name, n) VALUES (?, 'y', 'not an int')": 1366,
	} {
		_, err := db.Exec(query, 1)
		wantErrno(t, err, errno)
	}
	change(t, db, "DELETE FROM item")
}

func goIDs(t *testing.T, db *sql.DB) {
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	res, err := conn.ExecContext(t.Context(), "INSERT INTO note (txt) VALUES (?), (?), (?)", "a", "b", "c")
	if err != nil {
		t.Fatal(err)
	}
	first, err := res.LastInsertId()
	if err != nil {
		t.Fatal(err)
	}
	var got int64
	if scan(t, conn, &got, "SELECT LAST_INSERT_ID()"); got != first {
		t.Errorf("LAST_INSERT_ID() is %d, the driver's %d", got, first)
	}
	var txt string
	if scan(t, conn, &txt, "SELECT txt FROM note WHERE id = ?", first+2); txt != "c" {
		t.Errorf("the third row is %q", txt)
	}
	if n := change(t, db, "DELETE FROM note"); n != 3 {
		t.Errorf("%d rows were deleted, want 3", n)
	}
}

func goAffected(t *testing.T, db *sql.DB, found bool) {
	change(t, db, "INSERT INTO item (id, name) VALUES (1, 'same'), (4, 'same')")
	want := int64(0)
	if found {
		want = 2
	}
	if n := change(t, db, "UPDATE item SET name = ?", "same"); n != want {
		t.Errorf("%d rows were affected by an update that changes nothing, want %d", n, want)
	}
	if n := change(t, db, "INSERT INTO item (id, name) VALUES (?, 'x') ON DUPLICATE KEY UPDATE name = 'y'", 4); n != 2 {
		t.Errorf("%d rows were affected by an upsert, want 2", n)
	}
	change(t, db, "DELETE FROM item")
}

func goBig(t *testing.T, db *sql.DB) {
	blob := bytes.Repeat([]byte("\x00\xff'\\\"\n"), 5<<20/6)
	change(t, db, "INSERT INTO kinds (id, bin) VALUES (?, ?)", 4, blob)
	var got []byte
	if scan(t, db, &got, "SELECT bin FROM kinds WHERE id = ?", 4); !bytes.Equal(got, blob) {
		t.Errorf("5 MB came back as %d other bytes", len(got))
	}
	change(t, db, "DELETE FROM kinds")
}

func goPool(t *testing.T, db *sql.DB) {
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(8)
	for i := range 200 {
		g.Go(func() error {
			if _, err := db.ExecContext(ctx, "INSERT INTO item (id, name, n) VALUES (?, ?, ?)", i, fmt.Sprint("row ", i), i); err != nil {
				return err
			}
			var n int
			return db.QueryRowContext(ctx, "SELECT n FROM item WHERE id = ?", i).Scan(&n)
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	var sum int
	if scan(t, db, &sum, "SELECT SUM(n) FROM item"); sum != 199*200/2 {
		t.Errorf("the sum is %d", sum)
	}
	change(t, db, "DELETE FROM item")
}

// goKilled checks that a statement whose context ends leaves nothing behind, and that the pool gets over a killed connection.
func goKilled(t *testing.T, db *sql.DB) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(ctx, "SELECT SLEEP(30) FROM item RIGHT JOIN (SELECT 1) AS one ON item.id = 1"); err == nil {
		t.Error("a statement ended that sleeps for 30 seconds")
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var id int64
	scan(t, conn, &id, "SELECT CONNECTION_ID()")
	change(t, db, fmt.Sprint("KILL ", id))
	if err := conn.PingContext(t.Context()); err == nil {
		t.Error("a killed connection answers")
	}
	conn.Close()
	var one int
	scan(t, db, &one, "SELECT 1")
}

// goSeveral sends several statements in one command.
func goSeveral(t *testing.T, c *cluster.Cluster) {
	db := goOpen(t, c, "app", "?multiStatements=true&interpolateParams=true")
	rows, err := db.Query("SELECT id FROM item WHERE id = ?; INSERT INTO item (id, name) VALUES (?, 'm'); SELECT name FROM item WHERE id = ?; SELECT COUNT(*) FROM item", 4, 4, 4)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			var v string
			if err := rows.Scan(&v); err != nil {
				t.Fatal(err)
			}
			got = append(got, v)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, " "); s != "m 1" {
		t.Errorf("the results are %q", s)
	}
	change(t, db, "DELETE FROM item; DELETE FROM note")
	_, err = goOpen(t, c, "app", "").Exec("SELECT 1; SELECT 2")
	wantErrno(t, err, 1064)
}

// goUnsharded uses a keyspace with one shard as an ordinary database: its tables need no vschema.
func goUnsharded(t *testing.T, c *cluster.Cluster) {
	db := goOpen(t, c, "ids", "?parseTime=true")
	change(t, db, "CREATE TABLE plain (id INT AUTO_INCREMENT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES plain (id))")
	res, err := db.Exec("INSERT INTO plain (parent) VALUES (NULL), (1), (2)")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := res.LastInsertId(); err != nil || id != 1 {
		t.Errorf("the first id is %d (%v), want 1", id, err)
	}
	var depth int
	scan(t, db, &depth, "WITH RECURSIVE up AS (SELECT id, parent FROM plain WHERE id = ? UNION ALL SELECT p.id, p.parent FROM plain p JOIN up ON p.id = up.parent) SELECT COUNT(*) FROM up", 3)
	if depth != 3 {
		t.Errorf("%d ancestors, want 3", depth)
	}
	_, err = db.Exec("INSERT INTO plain (parent) VALUES (?)", 99)
	wantErrno(t, err, 1452)
	change(t, db, "DROP TABLE plain")
}
