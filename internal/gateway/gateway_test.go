package gateway

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
	"github.com/pelorusdb/pelorus/test/servers"
)

// bed is two real servers that hold an unsharded keyspace "main" and a sharded one "shop", with a gateway in front.
type bed struct {
	family  string
	servers []*servers.Server
	gw      *gateway
	addr    string
	stop    context.CancelFunc
	done    chan error
	file    string // what LOAD DATA LOCAL sends
}

const shopVSchema = `{"sharded": true,
 "vindexes": {"hash": {"type": "hash"}, "xxhash": {"type": "xxhash"}, "binary": {"type": "binary"}, "loose": {"type": "unicode_loose_md5"}},
 "tables": {
  "sbtest1": {"column_vindexes": [{"column": "id", "name": "hash"}]},
  "customer": {"column_vindexes": [{"column": "id", "name": "hash"}], "auto_increment": {"column": "id", "sequence": "main.customer_seq"}},
  "orders": {"column_vindexes": [{"column": "customer_id", "name": "hash"}]},
  "item": {"column_vindexes": [{"column": "k", "name": "xxhash"}]},
  "raw": {"column_vindexes": [{"column": "k", "name": "binary"}]},
  "word": {"column_vindexes": [{"column": "k", "name": "loose"}]},
  "currency": {"type": "reference", "source": "main.currency"},
  "country": {"type": "reference"}}}`

const mainVSchema = `{"sharded": false, "tables": {"customer_seq": {"type": "sequence"}, "currency": {}}}`

func ptr[T any](v T) *T { return &v }

func newBed(t *testing.T, family string) *bed {
	t.Helper()
	return newBedWith(t, family, func(*Config) {})
}

// newBedWith is newBed with another configuration.
func newBedWith(t *testing.T, family string, change func(*Config)) *bed {
	t.Helper()
	b := &bed{family: family}
	for range 2 {
		b.servers = append(b.servers, servers.Start(t, family))
	}
	for i, s := range b.servers {
		db := b.direct(t, i, "")
		for _, q := range []string{
			"CREATE DATABASE main", "CREATE DATABASE shop", "CREATE DATABASE _pelorus",
			"CREATE TABLE _pelorus.redo (txn_id varbinary(64) NOT NULL, seq int unsigned NOT NULL, term bigint unsigned NOT NULL, participant varbinary(160) NOT NULL, statement longblob NOT NULL, settings blob, conn_id bigint unsigned NOT NULL DEFAULT 0, created_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), coordinator varbinary(160) NOT NULL DEFAULT '', coord_conn_id bigint unsigned NOT NULL DEFAULT 0, db varbinary(256) NOT NULL DEFAULT '', insert_id bigint unsigned NOT NULL DEFAULT 0, ts_micro bigint NOT NULL DEFAULT 0, PRIMARY KEY (txn_id, seq))",
			"CREATE TABLE _pelorus.decision (txn_id varbinary(64) NOT NULL PRIMARY KEY, state enum('commit','abort') NOT NULL, participants longblob NOT NULL, created_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))",
		} {
			if _, err := db.Exec(q); err != nil {
				t.Fatalf("%s on %s: %v", q, s.Addr, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	top := topo.New(mem.New())
	b.fill(t, ctx, top)
	cfg := DefaultConfig()
	change(&cfg)
	cfg.Listen, cfg.HTTP = "127.0.0.1:"+strconv.Itoa(servers.FreePort(t)), "127.0.0.1:"+strconv.Itoa(servers.FreePort(t))
	level := slog.LevelWarn
	if os.Getenv("PELORUS_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	b.gw = newGateway(cfg, credentials.Credentials{App: credentials.Login{User: "root"}}, top, log)
	b.addr, b.stop, b.done = cfg.Listen, cancel, make(chan error, 1)
	go func() { b.done <- b.gw.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-b.done; err != nil {
			t.Errorf("gateway: %v", err)
		}
	})
	b.await(t)
	return b
}

func (b *bed) fill(t *testing.T, ctx context.Context, top *topo.Topo) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	uid := uint32(100)
	for _, ks := range []struct {
		name, vschema string
		shards        []string
	}{{"main", mainVSchema, []string{"-"}}, {"shop", shopVSchema, []string{"-80", "80-"}}} {
		must(top.CreateKeyspace(ctx, &topov1.Keyspace{Name: ptr(ks.name)}))
		_, err := top.PutVSchema(ctx, ks.name, &topov1.VSchema{Json: ptr(ks.vschema)}, 0)
		must(err)
		for i, sh := range ks.shards {
			uid++
			alias := topo.Alias("zone1", uid)
			host, port, _ := net.SplitHostPort(b.servers[i].Addr)
			n, _ := strconv.Atoi(port)
			must(top.CreateShard(ctx, &topov1.Shard{Keyspace: ptr(ks.name), Name: ptr(sh), Term: ptr(uint64(1)), Primary: ptr(alias), Serving: ptr(true)}))
			must(top.CreateTablet(ctx, &topov1.Tablet{Alias: ptr(alias), Cell: ptr("zone1"), Uid: ptr(uid), Keyspace: ptr(ks.name), Shard: ptr(sh),
				Type: topov1.TabletType_TABLET_TYPE_PRIMARY.Enum(), Host: ptr(host), MysqlPort: ptr(uint32(n)),
				Flavor: ptr(b.family), ServerVersion: ptr(b.servers[i].Version)}))
		}
	}
	_, err := top.PutUser(ctx, &topov1.User{Name: ptr("root")}, 0)
	must(err)
}

// direct opens a server itself.
func (b *bed) direct(t *testing.T, i int, db string) *sql.DB {
	t.Helper()
	d, err := sql.Open("mysql", fmt.Sprintf("root@tcp(%s)/%s?multiStatements=true", b.servers[i].Addr, db))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// open connects through the gateway.
func (b *bed) open(t *testing.T, keyspace, params string) *sql.DB {
	t.Helper()
	d, err := sql.Open("mysql", fmt.Sprintf("root@tcp(%s)/%s?%s", b.addr, keyspace, params))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func (b *bed) await(t *testing.T) {
	t.Helper()
	d := b.open(t, "shop", "")
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := d.Ping()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("gateway does not answer: %v", err)
		}
		select {
		case err := <-b.done:
			b.done <- err
			t.Fatalf("gateway ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// rows reads a whole answer as text, a line per row.
func rows(t *testing.T, d interface {
	Query(string, ...any) (*sql.Rows, error)
}, q string, args ...any) string {
	t.Helper()
	r, err := d.Query(q, args...)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	defer r.Close()
	cols, err := r.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for r.Next() {
		vals := make([]sql.NullString, len(cols))
		ptrs := make([]any, len(cols))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		if err := r.Scan(ptrs...); err != nil {
			t.Fatal(err)
		}
		for i, v := range vals {
			if i > 0 {
				b.WriteByte('\t')
			}
			if v.Valid {
				b.WriteString(v.String)
			} else {
				b.WriteString("NULL")
			}
		}
		b.WriteByte('\n')
	}
	if err := r.Err(); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return b.String()
}

func run(t *testing.T, d interface {
	Exec(string, ...any) (sql.Result, error)
}, q string, args ...any) sql.Result {
	t.Helper()
	r, err := d.Exec(q, args...)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return r
}

func TestGateway(t *testing.T) {
	for _, family := range servers.Families() {
		t.Run(family, func(t *testing.T) {
			b := newBed(t, family)
			t.Run("unsharded", b.testUnsharded)
			t.Run("sharded", b.testSharded)
			t.Run("atomic", b.testAtomic)
			t.Run("session", b.testSession)
			t.Run("repeat", b.testRepeat)
		})
	}
}

func (b *bed) testUnsharded(t *testing.T) {
	d := b.open(t, "main", "")
	d.SetMaxOpenConns(1)
	run(t, d, "CREATE TABLE t (id int primary key auto_increment, v varchar(40))")
	res := run(t, d, "INSERT INTO t (v) VALUES ('a'), ('b')")
	if id, _ := res.LastInsertId(); id != 1 {
		t.Errorf("last insert id %d", id)
	}
	if got := rows(t, d, "SELECT LAST_INSERT_ID(), DATABASE(), @@version_comment"); got != "1\tmain\tPelorus\n" {
		t.Errorf("session functions: %q", got)
	}
	if got := rows(t, d, "SELECT v FROM t WHERE id = ?", 2); got != "b\n" {
		t.Errorf("prepared: %q", got)
	}
	tx, err := d.Begin()
	if err != nil {
		t.Fatal(err)
	}
	run(t, tx, "UPDATE t SET v = 'x' WHERE id = 1")
	if got := rows(t, tx, "SELECT v FROM t ORDER BY id"); got != "x\nb\n" {
		t.Errorf("in transaction: %q", got)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := rows(t, d, "SELECT v FROM t ORDER BY id"); got != "a\nb\n" {
		t.Errorf("after rollback: %q", got)
	}
}

func (b *bed) testSharded(t *testing.T) {
	d := b.open(t, "shop", "interpolateParams=true")
	d.SetMaxOpenConns(1)
	run(t, d, "CREATE TABLE main.customer_seq (id bigint primary key, next_id bigint, cache bigint)")
	run(t, d, "INSERT INTO main.customer_seq VALUES (0, 1, 100)")
	run(t, d, "CREATE TABLE customer (id bigint primary key, name varchar(40), country char(2))")
	run(t, d, "CREATE TABLE orders (customer_id bigint, no int, amount decimal(10,2), primary key (customer_id, no))")
	run(t, d, "CREATE TABLE country (code char(2) primary key, name varchar(40))")
	run(t, d, "INSERT INTO country VALUES ('de', 'Germany'), ('fr', 'France')")
	res := run(t, d, "INSERT INTO customer (name, country) VALUES ('ann', 'de'), ('bob', 'fr'), ('cid', 'de'), ('dan', 'fr'), ('eve', 'de')")
	if id, _ := res.LastInsertId(); id != 1 {
		t.Errorf("last insert id %d, want 1", id)
	}
	if n, _ := res.RowsAffected(); n != 5 {
		t.Errorf("%d rows, want 5", n)
	}
	for i := 1; i <= 5; i++ {
		run(t, d, "INSERT INTO orders VALUES (?, 1, ?), (?, 2, ?)", i, float64(i)*1.5, i, float64(i)*2)
	}
	for i := range b.servers {
		var n int
		if err := b.direct(t, i, "shop").QueryRow("SELECT COUNT(*) FROM customer").Scan(&n); err != nil || n == 0 || n == 5 {
			t.Errorf("server %d has %d of 5 customers: %v", i, n, err)
		}
	}
	for _, c := range []struct{ q, want string }{
		{"SELECT name FROM customer WHERE id = 3", "cid\n"},
		{"SELECT id, name FROM customer ORDER BY name DESC LIMIT 2", "5\teve\n4\tdan\n"},
		{"SELECT COUNT(*), SUM(amount), MIN(amount), MAX(amount), AVG(amount) FROM orders", "10\t52.50\t1.50\t10.00\t5.250000\n"},
		{"SELECT country, COUNT(*) FROM customer GROUP BY country ORDER BY country", "de\t3\nfr\t2\n"},
		{"SELECT c.name, SUM(o.amount) FROM customer c JOIN orders o ON o.customer_id = c.id GROUP BY c.name ORDER BY 2 DESC LIMIT 1", "eve\t17.50\n"},
		{"SELECT c.name, n.name FROM customer c JOIN country n ON n.code = c.country WHERE c.id IN (1, 2) ORDER BY c.id", "ann\tGermany\nbob\tFrance\n"},
		{"SELECT DISTINCT country FROM customer ORDER BY country", "de\nfr\n"},
	} {
		if got := rows(t, d, c.q); got != c.want {
			t.Errorf("%s: got %q, want %q", c.q, got, c.want)
		}
	}
	res = run(t, d, "UPDATE customer SET name = UPPER(name) WHERE country = 'de'")
	if n, _ := res.RowsAffected(); n != 3 {
		t.Errorf("updated %d rows, want 3", n)
	}
	res = run(t, d, "DELETE FROM orders WHERE no = 2")
	if n, _ := res.RowsAffected(); n != 5 {
		t.Errorf("deleted %d rows, want 5", n)
	}
	p := b.open(t, "shop", "")
	if got := rows(t, p, "SELECT id, name FROM customer WHERE id IN (?, ?) ORDER BY id", 1, 2); got != "1\tANN\n2\tbob\n" {
		t.Errorf("prepared over shards: %q", got)
	}
	if got := rows(t, p, "SELECT name FROM customer WHERE id = ?", 5); got != "EVE\n" {
		t.Errorf("prepared on one shard: %q", got)
	}
}

func (b *bed) testAtomic(t *testing.T) {
	d := b.open(t, "shop", "interpolateParams=true")
	d.SetMaxOpenConns(1)
	total := func() string { return rows(t, d, "SELECT SUM(amount) FROM orders") }
	before := total()
	tx, err := d.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 5; i++ {
		run(t, tx, "UPDATE orders SET amount = amount + 10 WHERE customer_id = ? AND no = 1", i)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := total(); got != before {
		t.Errorf("after rollback %q, want %q", got, before)
	}
	tx, err = d.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 5; i++ {
		run(t, tx, "UPDATE orders SET amount = amount + 10 WHERE customer_id = ? AND no = 1", i)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := total(); got != "72.50\n" {
		t.Errorf("after commit %q", got)
	}
	b.forgotten(t)
}

func (b *bed) testSession(t *testing.T) {
	d := b.open(t, "shop", "multiStatements=true")
	d.SetMaxOpenConns(1)
	run(t, d, "SET @a = 5, @b = CONCAT('x', 'y')")
	if got := rows(t, d, "SELECT @a + 1, @b, @c"); got != "6\txy\tNULL\n" {
		t.Errorf("user variables: %q", got)
	}
	run(t, d, "SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
	if got := rows(t, d, `SELECT "name" FROM customer WHERE "id" = 2`); got != "bob\n" {
		t.Errorf("ansi quotes: %q", got)
	}
	if _, err := d.Exec("SET SESSION sql_mode = 'NONSENSE'"); err == nil || !strings.Contains(err.Error(), "1231") {
		t.Errorf("bad sql_mode: %v", err)
	}
	if _, err := d.Exec("SELECT * FROM _pelorus.redo"); err == nil || !strings.Contains(err.Error(), "PLR1407") {
		t.Errorf("sidecar: %v", err)
	}
	if _, err := d.Exec("INSERT INTO _pelorus.redo (txn_id) VALUES ('x')"); err == nil || !strings.Contains(err.Error(), "PLR") {
		t.Errorf("sidecar write: %v", err)
	}
	if got := rows(t, d, "SHOW DATABASES LIKE 'sh%'"); got != "shop\n" {
		t.Errorf("databases: %q", got)
	}
	if got := rows(t, d, "SELECT CAST('7x' AS SIGNED)"); got != "7\n" {
		t.Errorf("cast: %q", got)
	}
	if got := rows(t, d, "SHOW WARNINGS"); !strings.Contains(got, "1292") {
		t.Errorf("warnings: %q", got)
	}
	run(t, d, "SET autocommit = 0")
	run(t, d, "UPDATE customer SET name = 'zzz' WHERE id = 2")
	run(t, d, "ROLLBACK")
	if got := rows(t, d, "SELECT name FROM customer WHERE id = 2"); got != "bob\n" {
		t.Errorf("after rollback: %q", got)
	}
	run(t, d, "SET autocommit = 1")
	r, err := d.Query("SELECT 1; SELECT 2; SELECT name FROM customer WHERE id = 2")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 1
	for r.NextResultSet() {
		n++
	}
	if n != 3 || r.Err() != nil {
		t.Errorf("%d results: %v", n, r.Err())
	}
}
