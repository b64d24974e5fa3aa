package variables

import (
	"strings"
	"testing"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// session is the rest of a session that has no server.
type session struct{ lastID uint64 }

func (s *session) Values() *rewrite.Values { return &rewrite.Values{} }
func (s *session) Read(*target.Snapshot, []byte, exec.Sink) error {
	return errcode.New(errcode.NotReady, "no server")
}
func (s *session) SetLastInsertID(n uint64) { s.lastID = n }
func (s *session) Kill(bool)                {}
func (s *session) TimeOut(time.Duration)    {}

// variables are those of a session without any server: what only a server could judge fails.
func variables(t *testing.T) (*Variables, *session) {
	t.Helper()
	s := &session{}
	back := backend.New(t.Context(), &backend.Config{}, 1, &route.Scope{})
	v := New(&Config{Settings: settings.NewTable(), MaxUser: 2, IdleTimeout: time.Hour}, s, back, clients.New().Add(1, s))
	back.Reset()
	v.Reset("", false)
	return v, s
}

func set(t *testing.T, v *Variables, sql string) error {
	t.Helper()
	stmt, err := parse.Parse([]byte(sql), parse.Mode{})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v.Set(nil, stmt.(*parse.SetStmt), []byte(sql))
}

func TestSetNeedsNoServer(t *testing.T) {
	v, s := variables(t)
	for _, sql := range []string{
		"SET @A = 1, @b = 'x'", "SET @a = -2", "SET last_insert_id = 77", "SET wait_timeout = 30", "SET autocommit = 0",
		"SET transaction_mode = 'single'", "SET TRANSACTION READ ONLY",
	} {
		if err := set(t, v, sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if got := v.Push("a", "b", "c"); got != "SET @`a` = -2, @`b` = 'x'" {
		t.Errorf("the user variables are %s", got)
	}
	if got := v.Push("c"); got != "" {
		t.Errorf("a variable that is not set is pushed: %s", got)
	}
	if s.lastID != 77 || v.me.IdleLimit() != 30*time.Second || v.back.Tx.Autocommit || v.back.Tx.Mode != txn.Single {
		t.Errorf("last id %d, idle limit %v, autocommit %v, mode %v", s.lastID, v.me.IdleLimit(), v.back.Tx.Autocommit, v.back.Tx.Mode)
	}
	if sql := v.back.Settings.SQL; !strings.Contains(sql, "autocommit = 0") {
		t.Errorf("connections are brought into %s", sql)
	}
	v.Reset("NAMES 'latin1'", true)
	if len(v.User()) != 0 || v.me.IdleLimit() != time.Hour || v.back.Settings.SQL != "SET NAMES 'latin1', SESSION sql_mode = concat(@@sql_mode,',IGNORE_SPACE')" {
		t.Errorf("after a reset: %v, %v, %s", v.User(), v.me.IdleLimit(), v.back.Settings.SQL)
	}
}

func TestSetRefused(t *testing.T) {
	for sql, want := range map[string]errcode.Code{
		"SET GLOBAL max_connections = 1":   errcode.PrivilegeNeeded,
		"SET GLOBAL TRANSACTION READ ONLY": errcode.PrivilegeNeeded,
		"SET sql_log_bin = 0":              errcode.PrivilegeNeeded,
		"SET PASSWORD = 'x'":               errcode.AccountManaged,
		"SET insert_id = 4":                errcode.Unsupported,
		"SET transaction_mode = 'maybe'":   errcode.BadVariableValue,
		"SET @a = 1, @b = 1, @c = 1":       errcode.StatementLimit,
	} {
		v, _ := variables(t)
		err := set(t, v, sql)
		if e, ok := errcode.Of(err); !ok || e.Code() != want {
			t.Errorf("%s: %v, want code %d", sql, err, want)
		}
	}
}

// A SET computes all values before the first of them takes effect.
func TestSetAllOrNothing(t *testing.T) {
	v, s := variables(t)
	if err := set(t, v, "SET @a = 1, last_insert_id = 5, wait_timeout = 7, autocommit = 'maybe'"); err == nil {
		t.Fatal("autocommit takes any value")
	}
	if len(v.User()) != 0 || s.lastID != 0 || v.me.IdleLimit() != time.Hour {
		t.Errorf("a SET that failed has set %v, %d, %v", v.User(), s.lastID, v.me.IdleLimit())
	}
}

func TestIdleLimit(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": time.Minute, "30": 30 * time.Second, "0": time.Second, "-5": time.Second, "99999999": 365 * 24 * time.Hour, "'x'": -1, "1.5": -1,
	} {
		got, err := idleLimit(value, time.Minute)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %v (%v), want %v", value, got, err, want)
		}
	}
}
