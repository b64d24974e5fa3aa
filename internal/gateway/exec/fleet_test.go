package exec_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
	"github.com/pelorusdb/pelorus/test/servers"
)

// fleet is a session over one server whose databases play the shards; the database shop holds all rows of the
// sharded keyspace once more and is the oracle.
type fleet struct {
	cluster *vschema.Cluster
	mode    parse.Mode
	mariadb bool
	limits  exec.Limits
	seqs    *exec.Sequences
	plans   map[parse.Shape]*plan.Plan // kept for statements of the same shape, as the gateway does
	conns   map[exec.ShardRef]*client.Conn
	dial    func(database string) (*client.Conn, error)

	mu       sync.Mutex
	inTxn    bool
	begun    map[exec.ShardRef]bool
	insertID uint64
	queries  int
}

// databases are the databases that play the shards.
var databases = map[exec.ShardRef]string{
	{Keyspace: "shop", Shard: "-80"}: "s1", {Keyspace: "shop", Shard: "80-"}: "s2",
	{Keyspace: "main", Shard: "0"}: "main",
}

func newFleet(t *testing.T, srv *servers.Server) *fleet {
	t.Helper()
	f := &fleet{
		mariadb: srv.Family == servers.MariaDB, limits: exec.Limits{MaxRows: 100_000, MaxBytes: 64 << 20},
		seqs: exec.NewSequences(), plans: map[parse.Shape]*plan.Plan{}, conns: map[exec.ShardRef]*client.Conn{},
	}
	f.mode = parse.Mode{MariaDB: f.mariadb, Version: 90700}
	if f.mariadb {
		f.mode.Version = 101100
	}
	f.dial = func(database string) (*client.Conn, error) {
		return client.Dial(t.Context(), client.Config{Addr: srv.Addr, User: "root", Database: database, InitSQL: []string{"SET NAMES utf8mb4"}})
	}
	inputs := map[string]vschema.Input{}
	for name, shards := range map[string][]string{"shop": {"-80", "80-"}, "main": {"0"}} {
		b, err := os.ReadFile(filepath.Join("..", "..", "sql", "plan", "testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		inputs[name] = vschema.Input{JSON: string(b), Shards: shards}
	}
	c, errs := vschema.NewCluster(inputs, "", 1)
	for _, err := range errs {
		t.Fatal(err)
	}
	f.cluster = c
	admin := f.open(t, "")
	for _, db := range []string{"shop", "s1", "s2", "main"} {
		mustExec(t, admin, "CREATE DATABASE "+db+" CHARACTER SET utf8mb4")
	}
	for ref, db := range databases {
		f.conns[ref] = f.open(t, db)
	}
	return f
}

func (f *fleet) open(t *testing.T, database string) *client.Conn {
	t.Helper()
	c, err := f.dial(database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close a connection: %v", err)
		}
	})
	return c
}

func mustExec(t *testing.T, c *client.Conn, sql string) {
	t.Helper()
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (f *fleet) Shards(keyspace string) ([]vschema.ShardInfo, error) {
	return f.cluster.Keyspace(keyspace).Shards, nil
}

func (f *fleet) Query(ctx context.Context, sh exec.ShardRef, q exec.Query) (exec.Rows, error) {
	c := f.conns[sh]
	if c == nil {
		return nil, fmt.Errorf("no shard %v", sh)
	}
	f.mu.Lock()
	f.queries++
	begin := f.inTxn && !f.begun[sh]
	if begin {
		f.begun[sh] = true
	}
	f.mu.Unlock()
	if begin {
		if _, err := c.Exec(ctx, "BEGIN"); err != nil {
			return nil, err
		}
	}
	rows, err := c.QueryBytes(ctx, q.SQL)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.SQL, err)
	}
	return rows, nil
}

func (f *fleet) EnterTxn(ctx context.Context) (func(error) error, error) {
	f.inTxn, f.begun = true, map[exec.ShardRef]bool{}
	return func(err error) error {
		end := "COMMIT"
		if err != nil {
			end = "ROLLBACK"
		}
		for sh := range f.begun {
			if _, e := f.conns[sh].Exec(ctx, end); e != nil && err == nil {
				err = e
			}
		}
		f.inTxn = false
		return err
	}, nil
}

func (f *fleet) Sequence(ctx context.Context, seq *vschema.Table, n int64) (int64, error) {
	return f.seqs.Next(ctx, f, seq, n)
}

// Autonomous uses a connection of its own, which is closed with the rows.
func (f *fleet) Autonomous(ctx context.Context, sh exec.ShardRef, q exec.Query) (exec.Rows, error) {
	c, err := f.dial(databases[sh])
	if err != nil {
		return nil, err
	}
	rows, err := c.QueryBytes(ctx, q.SQL)
	if err != nil {
		return nil, fmt.Errorf("%w (closing: %v)", err, c.Close())
	}
	return &ownRows{Rows: rows, conn: c}, nil
}

type ownRows struct {
	*client.Rows
	conn *client.Conn
}

func (r *ownRows) Close() error {
	if r.conn == nil {
		return nil
	}
	err := r.Rows.Close()
	if cerr := r.conn.Close(); err == nil {
		err = cerr
	}
	r.conn = nil
	return err
}

func (f *fleet) SetInsertID(id uint64) { f.insertID = id }
func (f *fleet) Note(uint16, string)   {}
func (f *fleet) Mode() parse.Mode      { return f.mode }
func (f *fleet) Limits() exec.Limits   { return f.limits }
func (f *fleet) MariaDB() bool         { return f.mariadb }

// answer is what a statement gave.
type answer struct {
	cols []wire.Column
	rows []string
	ok   wire.OK
}

func (a *answer) Columns(cols []wire.Column) error {
	a.cols = append([]wire.Column(nil), cols...)
	return nil
}

// Row keeps a row as text, in which values that a case-insensitive collation takes for equal look alike.
func (a *answer) Row(values [][]byte) error {
	var s strings.Builder
	for i, v := range values {
		if i > 0 {
			s.WriteByte('|')
		}
		if v == nil {
			s.WriteString("NULL")
			continue
		}
		s.WriteString(strings.ToLower(strings.TrimRight(string(v), " ")))
	}
	a.rows = append(a.rows, s.String())
	return nil
}

func (a *answer) RawRow(raw []byte) error {
	values, err := wire.ParseTextRow(raw, make([][]byte, len(a.cols)))
	if err != nil {
		return err
	}
	return a.Row(values)
}

// run plans and runs a statement in the keyspace shop.
func (f *fleet) run(ctx context.Context, sql string) (*answer, *plan.Plan, error) {
	src := []byte(sql)
	shape, slots, keep := parse.Fingerprint(src, f.mode, nil)
	p := f.plans[shape]
	if p == nil || !keep || !p.Fits(src, slots) {
		stmt, err := parse.Parse(src, f.mode)
		if err != nil {
			return nil, nil, err
		}
		p, err = plan.Build(src, slots, stmt, plan.Env{VSchema: f.cluster, Keyspace: "shop", Mode: f.mode})
		if err != nil {
			return nil, nil, err
		}
		if keep && !p.NoCache {
			f.plans[shape] = p
		}
	}
	a := &answer{}
	var err error
	a.ok, err = exec.Run(ctx, p, exec.Input{Src: src, Slots: slots}, f, a)
	return a, p, err
}

// oracle runs a statement on one connection.
func oracle(ctx context.Context, c *client.Conn, sql string) (*answer, error) {
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	a := &answer{cols: append([]wire.Column(nil), rows.Columns()...)}
	for rows.Next() {
		if err := a.Row(rows.Values()); err != nil {
			return nil, err
		}
	}
	a.ok = rows.OK()
	return a, rows.Close()
}
