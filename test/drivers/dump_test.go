package drivers

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/test/cluster"
	"github.com/pelorusdb/pelorus/test/servers"
)

var dumped = []string{"item", "kinds", "note"}

// dumps dumps the sharded keyspace with the tools of both families, loads each dump into a plain server and into an empty sharded
// keyspace, and compares all rows.
func dumps(t *testing.T, c *cluster.Cluster) {
	app := c.DB("app")
	fill(t, app)
	want := sums(t, app)
	plain := servers.Start(t, c.Family)
	for _, d := range []struct {
		name, dump, load string
		options          []string
	}{
		{"mysqldump", mysqlTool(t, "mysqldump"), mysqlTool(t, "mysql"), nil},
		{"mysqldump-snapshot", mysqlTool(t, "mysqldump"), mysqlTool(t, "mysql"), []string{"--single-transaction", "--routines", "--events", "--hex-blob"}},
		{"mariadb-dump", tool(t, "mariadb-dump"), tool(t, "mariadb"), nil},
		{"mariadb-dump-snapshot", tool(t, "mariadb-dump"), tool(t, "mariadb"), []string{"--single-transaction", "--complete-insert"}},
	} {
		t.Run(d.name, func(t *testing.T) {
			out, errOut, err := try(t, c, nil, d.dump, append(client(c.Gateway), append(d.options, "app")...)...)
			if err != nil || errOut != "" {
				t.Fatalf("dump: %v\n%s", err, clip(errOut))
			}
			if strings.Contains(out, "GTID_PURGED") {
				t.Error("the dump names transactions of the shards' servers")
			}
			// MariaDB's first line is for its own client alone, and MySQL's client can't log in to a MariaDB server.
			load := d.load
			if c.Family == servers.MariaDB {
				load = tool(t, "mariadb")
			}
			db := plainDB(t, plain)
			run(t, c, []byte(out), load, append(client(plain.Addr), "dumped")...)
			compare(t, "the plain server", want, sums(t, db))
			for _, table := range dumped {
				if _, err := c.DB("copy").Exec("DROP TABLE IF EXISTS " + table); err != nil {
					t.Fatal(err)
				}
			}
			run(t, c, []byte(out), d.load, append(client(c.Gateway), "copy")...)
			compare(t, "the other keyspace", want, sums(t, c.DB("copy")))
		})
	}
	spread(t, c)
}

// client are the options by which the programs of both families reach a server.
func client(addr string) []string {
	host, port, _ := strings.Cut(addr, ":")
	return []string{"--no-defaults", "--host=" + host, "--port=" + port, "--protocol=tcp", "--user=root", "--default-character-set=utf8mb4"}
}

// plainDB makes the database dumped anew on a plain server.
func plainDB(t *testing.T, s *servers.Server) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", "root@tcp("+s.Addr+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{"DROP DATABASE IF EXISTS dumped", "CREATE DATABASE dumped"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	db, err = sql.Open("mysql", "root@tcp("+s.Addr+")/dumped")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// fill writes rows of all types, the same each time, through the gateway.
func fill(t *testing.T, db *sql.DB) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	exec := func(q string, args ...any) {
		t.Helper()
		if _, err := db.Exec(q, args...); err != nil {
			t.Fatal(err)
		}
	}
	var items, notes []string
	for i := range 3000 {
		items = append(items, fmt.Sprintf("(%d, 'item %d', %d)", i, i, i%11))
	}
	for i := range 300 {
		notes = append(notes, fmt.Sprintf("('note %d')", i))
	}
	exec("INSERT INTO item (id, name, n) VALUES " + strings.Join(items, ", "))
	exec("INSERT INTO note (txt) VALUES " + strings.Join(notes, ", "))
	for i := range 200 {
		bin := make([]byte, r.IntN(300))
		for j := range bin {
			bin[j] = byte(r.Uint32())
		}
		var col any = []string{"red", "green", "blue"}[i%3]
		if i%7 == 0 {
			col = nil
		}
		exec("INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", i, r.Int32()-1<<30, r.Uint64(), fmt.Sprintf("%d.%010d", r.Int64(), r.Int32()), r.NormFloat64(),
			fmt.Sprintf("20%02d-02-03 04:05:06.%06d", r.IntN(100), r.IntN(1000000)), fmt.Sprintf("-%d:11:12", r.IntN(800)), "2001-02-03",
			fmt.Sprintf(`{"k": [%d, "ä\\n"]}`, i), bin, col, "tab\there 'quoted' \\ \"double\"\r\n\x00\x1a 日本 🐬 "+strings.Repeat("x", r.IntN(500)))
	}
}

// sums are a checksum of all rows of each table, in the order of their keys.
func sums(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, table := range dumped {
		rows, err := db.Query("SELECT * FROM " + table + " ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		cols, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		h, n := sha256.New(), 0
		values := make([]sql.RawBytes, len(cols))
		into := make([]any, len(cols))
		for i := range values {
			into[i] = &values[i]
		}
		for ; rows.Next(); n++ {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				fmt.Fprintf(h, "%t %d %s,", v == nil, len(v), v)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		out[table] = fmt.Sprintf("%d rows, %s", n, hex.EncodeToString(h.Sum(nil)))
	}
	return out
}

func compare(t *testing.T, where string, want, got map[string]string) {
	t.Helper()
	for _, table := range dumped {
		if got[table] != want[table] {
			t.Errorf("%s in %s: %s, want %s", table, where, got[table], want[table])
		}
		if strings.HasPrefix(want[table], "0 ") {
			t.Errorf("%s was empty before the dump", table)
		}
	}
}

// spread makes sure that the load went to both shards.
func spread(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	for _, shard := range []string{"-80", "80-"} {
		var n int
		if err := c.DB("copy:" + shard).QueryRow("SELECT COUNT(*) FROM item").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n < 1000 || n > 2000 {
			t.Errorf("shard %s of copy has %d of 3000 rows", shard, n)
		}
	}
}
