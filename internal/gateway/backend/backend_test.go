package backend

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/budget"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// fresh is a backend that has no server.
func fresh(t *testing.T, memory *budget.Budget) *Backend {
	t.Helper()
	b := New(t.Context(), &Config{Memory: memory}, 1, &route.Scope{})
	b.Reset()
	return b
}

func TestInterrupted(t *testing.T) {
	b := fresh(t, nil)
	if b.Interrupted() != nil || b.Waiting().Err() != nil {
		t.Fatal("a new session is interrupted")
	}
	why := errcode.New(errcode.TimeLimit, time.Second)
	b.Kill(why)
	b.Kill(errcode.New(errcode.Killed)) // the first reason is the one
	if err := b.Interrupted(); !errors.Is(err, why) || b.Waiting().Err() == nil {
		t.Errorf("the statement goes on: %v", err)
	}
	b.Begin(10)
	if b.Interrupted() != nil || b.Waiting().Err() != nil {
		t.Error("the next command is interrupted too")
	}
}

// What a command claims it has until its end, and no longer.
func TestClaimsEndWithTheCommand(t *testing.T) {
	b := fresh(t, budget.New(1000, time.Second))
	for range 3 {
		b.Begin(0)
		if err := errors.Join(b.Claim(600), b.Grow(100)); err != nil {
			t.Fatal(err)
		}
		if b.Memory.Held() != 700 {
			t.Errorf("%d bytes are held", b.Memory.Held())
		}
		b.End()
		if b.Memory.Held() != 0 {
			t.Errorf("%d bytes are held after the command", b.Memory.Held())
		}
	}
}

func TestTxnActive(t *testing.T) {
	for name, c := range map[string]struct {
		tx   Txn
		open bool
		want bool
	}{
		"autocommit":      {tx: Txn{Autocommit: true}},
		"no autocommit":   {tx: Txn{}, want: true},
		"begun":           {tx: Txn{Autocommit: true, explicit: true}, want: true, open: true},
		"reserved":        {tx: Txn{Autocommit: true, reserved: true}, want: true},
		"SET TRANSACTION": {tx: Txn{Autocommit: true, next: []string{"x"}}, want: true},
		"a part":          {tx: Txn{Autocommit: true, parts: []*Part{{}}}, want: true},
		"a begun part":    {tx: Txn{parts: []*Part{{}, {begun: true}}}, want: true, open: true},
	} {
		if c.tx.Active() != c.want || c.tx.Open() != c.open {
			t.Errorf("%s: active %v, open %v", name, c.tx.Active(), c.tx.Open())
		}
	}
}

// In the mode single a transaction may read anywhere and write on one shard.
func TestMayWrite(t *testing.T) {
	a, c := &target.Shard{Name: "-80"}, &target.Shard{Name: "80-"}
	b := fresh(t, nil)
	b.Tx.Mode = txn.Single
	b.Tx.parts = []*Part{{shard: a, wrote: true}, {shard: c}}
	if err := errors.Join(b.MayWrite(a, true), b.MayWrite(c, false)); err != nil {
		t.Error(err)
	}
	if e, ok := errcode.Of(b.MayWrite(c, true)); !ok || e.Code() != errcode.MultiShardInSingle {
		t.Errorf("a write on a second shard: %v", e)
	}
	b.Tx.Mode = txn.Atomic
	if err := b.MayWrite(c, true); err != nil {
		t.Error(err)
	}
}

// After follows the status of a server whose connection the session reserves.
func TestAfter(t *testing.T) {
	for _, c := range []struct {
		what   string
		tx     Txn
		status uint16
		errno  uint16
		begun  bool
	}{
		{"a transaction is open", Txn{explicit: true}, wire.StatusInTrans, 0, true},
		{"an implicit commit", Txn{explicit: true, parts: []*Part{{begun: true}}}, 0, 0, false},
		{"an error", Txn{explicit: true, parts: []*Part{{begun: true}}}, 0, 1062, true},
		{"nothing begun yet", Txn{explicit: true}, 0, 0, false},
	} {
		b := fresh(t, nil)
		tx := c.tx
		tx.reserved = true
		if len(tx.parts) == 0 {
			tx.parts = []*Part{{}}
		}
		b.Tx = tx
		p := tx.parts[0]
		b.After(p, c.status, c.errno != 0, c.errno)
		if p.begun != c.begun {
			t.Errorf("%s: begun %v", c.what, p.begun)
		}
	}
}

func TestBounds(t *testing.T) {
	b := fresh(t, nil)
	b.Tx.explicit = true
	for i := range maxSavepoints {
		if err := b.Savepoint(strings.Repeat("s", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if e, ok := errcode.Of(b.Savepoint("x")); !ok || e.Code() != errcode.StatementLimit {
		t.Errorf("one more savepoint: %v", e)
	}
	for i := range maxNext {
		if err := errors.Join(b.Tx.SetNext(strings.Repeat("n", i+1)), b.Tx.SetNext("n")); err != nil {
			t.Fatal(err)
		}
	}
	if e, ok := errcode.Of(b.Tx.SetNext("x")); !ok || e.Code() != errcode.StatementLimit {
		t.Errorf("one more SET TRANSACTION: %v", e)
	}
}

func TestSavepointNames(t *testing.T) {
	b := fresh(t, nil)
	if err := b.Savepoint("outside"); err != nil || len(b.Tx.savepoints) != 0 {
		t.Errorf("outside a transaction: %v, %v", err, b.Tx.savepoints)
	}
	b.Tx.explicit = true
	for _, name := range []string{"a", "b", "c", "A"} { // again: it moves to the end
		if err := b.Savepoint(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.RollbackTo("C"); err != nil || strings.Join(b.Tx.savepoints, " ") != "`b` `c`" {
		t.Errorf("%v: %v are left", err, b.Tx.savepoints)
	}
	if err := b.ReleaseSavepoint("b"); err != nil || len(b.Tx.savepoints) != 0 {
		t.Errorf("%v: %v are left", err, b.Tx.savepoints)
	}
	if e, ok := errcode.Of(b.RollbackTo("a")); !ok || e.Code() != errcode.NoSuchSavepoint {
		t.Errorf("a savepoint that is gone: %v", e)
	}
}

func TestBeginOf(t *testing.T) {
	for sql, want := range map[string]string{
		"BEGIN":                       "",
		"START TRANSACTION":           "",
		"START TRANSACTION READ ONLY": beginText + " READ ONLY",
		"START TRANSACTION /* now */ READ WRITE, WITH CONSISTENT SNAPSHOT": beginText + " WITH CONSISTENT SNAPSHOT, READ WRITE",
	} {
		stmt, err := parse.Parse([]byte(sql), parse.Mode{})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if got := beginOf(stmt.(*parse.TxnStmt)); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}
