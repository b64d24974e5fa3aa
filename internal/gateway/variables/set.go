package variables

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// Set runs SET. Values are judged by a server: the new settings are tried on a connection, and what it refuses is the error.
func (v *Variables) Set(snap *target.Snapshot, st *parse.SetStmt, sql []byte) error {
	switch st.Special {
	case "":
	case "NAMES", "CHARACTER SET":
		next := v.system
		next.SetNames(settings.NamesClause(st))
		if err := v.try(&next); err != nil {
			return err
		}
		if len(st.Items) == 0 {
			return nil
		}
	case "TRANSACTION":
		return v.setTransaction(st)
	case "PASSWORD", "ROLE", "DEFAULT ROLE":
		return errcode.New(errcode.AccountManaged, "SET "+st.Special)
	default:
		return errcode.New(errcode.PrivilegeNeeded, "SUPER (account and role statements go to the servers' administrator)")
	}
	ch := change{next: v.system}
	for i := range st.Items {
		if err := v.compute(&ch, snap, &st.Items[i], sql); err != nil {
			return err
		}
	}
	if ch.changed {
		if err := v.try(&ch.next); err != nil {
			return err
		}
	}
	for _, f := range ch.after {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// change is what a SET is going to do: all values are computed before any of them takes effect.
type change struct {
	next    settings.Vars
	changed bool // next differs
	after   []func() error
}

// compute adds one assignment to a change.
func (v *Variables) compute(ch *change, snap *target.Snapshot, it *parse.SetItem, sql []byte) error {
	if !it.Var.System {
		literal, err := v.userValue(snap, it.Value, sql)
		if err != nil {
			return err
		}
		ch.after = append(ch.after, func() error { return v.SetUser(it.Var.Name, literal) })
		return nil
	}
	switch it.Var.Scope {
	case "GLOBAL", "PERSIST", "PERSIST_ONLY":
		return errcode.New(errcode.PrivilegeNeeded, "SYSTEM_VARIABLES_ADMIN")
	}
	value, err := v.Value(snap, it.Value, sql)
	if err != nil {
		return err
	}
	switch name := strings.ToLower(it.Var.Name); name {
	case "autocommit":
		on, err := settings.Bool(name, value)
		if err != nil {
			return err
		}
		ch.after = append(ch.after, func() error { return v.setAutocommit(on) })
	case "transaction_mode":
		return v.setMode(value)
	case "last_insert_id", "identity":
		n, _ := strconv.ParseUint(value, 10, 64) // 0 for what is no number
		ch.after = append(ch.after, func() error { v.session.SetLastInsertID(n); return nil })
	case "wait_timeout":
		limit, err := idleLimit(value, v.cfg.IdleTimeout)
		if err != nil {
			return err
		}
		ch.after = append(ch.after, func() error { v.me.SetIdleLimit(limit); return nil })
	case "insert_id":
		return errcode.New(errcode.Unsupported, "SET insert_id", "give the id in the INSERT itself")
	case "sql_log_bin", "gtid_next", "pseudo_slave_mode", "pseudo_replica_mode", "server_id":
		return errcode.New(errcode.PrivilegeNeeded, "SUPER")
	default:
		ch.next.Set(name, value)
		ch.changed = true
	}
	return nil
}

// idleLimit reads a value of wait_timeout: seconds, from 1 to a year. The gateway keeps to it, no server is told.
func idleLimit(value string, byDefault time.Duration) (time.Duration, error) {
	if value == "" {
		return byDefault, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, &wire.MySQLError{Errno: 1232, State: "42000", Message: "Incorrect argument type to variable 'wait_timeout'"}
	}
	const year = 365 * 24 * 3600
	return time.Duration(min(max(n, 1), year)) * time.Second, nil
}

// try makes the settings the session's, if a server accepts them.
func (v *Variables) try(next *settings.Vars) error {
	to := v.cfg.Settings.Intern(next)
	if to == v.back.Settings {
		v.system = *next
		return nil
	}
	var sqlMode string
	modeChanged := next.Value("sql_mode") != v.system.Value("sql_mode")
	old := v.back.Settings
	v.back.Settings = to
	err := v.back.OnFresh(func(ctx context.Context, c *pool.Conn) error {
		if !modeChanged {
			return nil
		}
		_, rows, err := backend.QueryAll(ctx, c, "SELECT @@sql_mode", 1)
		if err == nil && len(rows) == 1 {
			sqlMode = string(rows[0][0])
		}
		return err
	})
	if err != nil {
		v.back.Settings = old
		return err
	}
	if modeChanged {
		v.back.Mode = settings.Lexical(v.back.Mode, sqlMode)
		if next.Value("sql_mode") != "" {
			next.Set("sql_mode", rewrite.String(sqlMode)) // the computed form: it may have named the old value
		}
	}
	before := v.system
	v.system = *next
	v.back.Settings = v.cfg.Settings.Intern(next)
	return v.back.Change(before.ChangeSQL(next))
}

// setAutocommit follows the server: switching it on commits, switching it off leaves an open transaction as it is.
func (v *Variables) setAutocommit(on bool) error {
	if on == v.back.Tx.Autocommit {
		return nil
	}
	next := v.system
	sql := "SET autocommit = 0"
	if on {
		if err := v.back.Commit(); err != nil {
			return err
		}
		next.Set("autocommit", "")
		sql = "SET autocommit = 1"
	} else {
		next.Set("autocommit", "0")
	}
	v.back.Tx.Autocommit = on
	v.system = next
	v.back.Settings = v.cfg.Settings.Intern(&next)
	return v.back.Change(sql)
}

// setMode changes how transactions over shards are committed.
func (v *Variables) setMode(value string) error {
	if v.back.Tx.Open() {
		return errcode.New(errcode.TxnStateChange)
	}
	switch strings.ToLower(strings.Trim(value, "'\"")) {
	case "atomic", "twopc", "":
		v.back.Tx.Mode = txn.Atomic
	case "multi":
		v.back.Tx.Mode = txn.Multi
	case "single":
		v.back.Tx.Mode = txn.Single
	default:
		return errcode.New(errcode.BadVariableValue, "transaction_mode", value+" (atomic, multi or single)")
	}
	return nil
}

// setTransaction runs SET [SESSION] TRANSACTION ...
func (v *Variables) setTransaction(st *parse.SetStmt) error {
	scope := ""
	if len(st.Items) > 0 {
		scope = st.Items[0].Var.Scope
	}
	switch scope {
	case "GLOBAL":
		return errcode.New(errcode.PrivilegeNeeded, "SYSTEM_VARIABLES_ADMIN")
	case "":
		if v.back.Tx.Open() {
			return errcode.New(errcode.TxnStateChange)
		}
		return v.back.Tx.SetNext("SET TRANSACTION " + strings.Join(st.Args, ", "))
	}
	next := v.system
	next.SetTransaction(st.Args, v.cfg.MariaDB)
	return v.try(&next)
}
