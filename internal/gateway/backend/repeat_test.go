package backend

import (
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// TestCoordinatorFirst holds that the one part that can't be replayed exactly becomes the coordinator, and that there is no
// atomic commit with two.
func TestCoordinatorFirst(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts string // name=reason
		first string
		code  errcode.Code
	}{
		{"none", "a b c", "a", 0},
		{"the first", "a=LIMIT b", "a", 0},
		{"another", "a b c=UUID()", "c", 0},
		{"two", "a b=LIMIT c=RAND()", "", errcode.NotRepeatable},
	} {
		t.Run(c.name, func(t *testing.T) {
			var parts []*Part
			for _, p := range strings.Fields(c.parts) {
				name, why, _ := strings.Cut(p, "=")
				parts = append(parts, &Part{shard: &target.Shard{Keyspace: &target.Keyspace{Name: "k"}, Name: name}, inexact: why})
			}
			n := len(parts)
			err := coordinatorFirst(parts)
			if e, ok := errcode.Of(err); ok != (c.code != 0) || ok && e.Code() != c.code {
				t.Fatalf("error %v, want code %d", err, c.code)
			}
			seen := map[string]bool{}
			for _, p := range parts {
				seen[p.shard.Name] = true
			}
			if len(seen) != n || err == nil && parts[0].shard.Name != c.first {
				t.Errorf("first %s of %v, want %s", parts[0].shard.Name, seen, c.first)
			}
			if err != nil && !strings.Contains(err.Error(), "k/b (LIMIT) and on k/c (RAND())") {
				t.Errorf("the error does not say what and where: %v", err)
			}
		})
	}
}

// A schema change commits before and after itself, so a later commit has nothing of it to repeat; one of a temporary table
// does not commit, and can't be repeated.
func TestSchemaChangeIsNoPart(t *testing.T) {
	for _, c := range []struct {
		name  string
		uses  plan.Uses
		wrote bool
		why   string
	}{
		{"table", 0, false, ""},
		{"temporary table", plan.UsesTempTable, true, "ddl statement"},
	} {
		b := &Backend{cfg: &Config{MaxRedoBytes: 1 << 20}, Tx: Txn{Mode: txn.Atomic}}
		p := &Part{Conn: &pool.Conn{}, begun: true}
		b.Wrote(p, Written{Plan: &plan.Plan{Class: plan.DDL, Uses: c.uses}, SQL: []byte("ALTER TABLE t DISABLE KEYS")})
		if p.wrote != c.wrote || p.inexact != c.why || len(p.redo) > 0 != c.wrote {
			t.Errorf("%s: wrote %v, %d statements to repeat, inexact %q", c.name, p.wrote, len(p.redo), p.inexact)
		}
	}
}

func TestDrawnLiteral(t *testing.T) {
	for _, c := range []struct {
		column wire.Column
		value  string
		want   string
	}{
		{wire.Column{Type: wire.TypeDouble}, "0.25", "0.25e0"},
		{wire.Column{Type: wire.TypeDouble}, "2.5e-7", "2.5e-7"},
		{wire.Column{Type: wire.TypeLongLong}, "17", "17"},
		{wire.Column{Type: wire.TypeDatetime, Charset: 63}, "2030-01-02 03:04:05.678901", "TIMESTAMP'2030-01-02 03:04:05.678901'"},
		{wire.Column{Type: wire.TypeVarString, Charset: 63}, "\x00a", "x'0061'"},
		{wire.Column{Type: wire.TypeVarString, Charset: 45}, "6ccd780c", "'6ccd780c'"},
	} {
		if got := drawnLiteral(c.column, []byte(c.value)); got != c.want {
			t.Errorf("%q of type %d: %s, want %s", c.value, c.column.Type, got, c.want)
		}
	}
}
