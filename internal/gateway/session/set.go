package session

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

// set runs SET. Values are judged by a server: the new settings are tried on a connection, and what it refuses is
// the client's answer.
func (s *Session) set(snap *target.Snapshot, st *parse.SetStmt, sql []byte, more bool) error {
	if err := s.applySet(snap, st, sql); err != nil {
		return s.failMore(err)
	}
	s.rowCount = 0
	s.warnings = s.warnings[:0]
	return s.to.OK(wire.OK{}, more)
}

func (s *Session) applySet(snap *target.Snapshot, st *parse.SetStmt, sql []byte) error {
	switch st.Special {
	case "":
	case "NAMES", "CHARACTER SET":
		next := s.vars
		next.SetNames(settings.NamesClause(st))
		if err := s.tryVars(&next); err != nil {
			return err
		}
		if len(st.Items) == 0 {
			return nil
		}
	case "TRANSACTION":
		return s.setTransaction(st, sql)
	case "PASSWORD", "ROLE", "DEFAULT ROLE":
		return errcode.New(errcode.AccountManaged, "SET "+st.Special)
	default:
		return errcode.New(errcode.PrivilegeNeeded, "SUPER (account and role statements go to the servers' administrator)")
	}
	next := s.vars
	changed := false
	// All values are computed before any of them takes effect.
	var after []func() error
	for i := range st.Items {
		it := &st.Items[i]
		name := strings.ToLower(it.Var.Name)
		if !it.Var.System {
			v, err := s.userValue(snap, it.Value, sql)
			if err != nil {
				return err
			}
			after = append(after, func() error { return s.keepUserVar(it.Var.Name, v) })
			continue
		}
		switch it.Var.Scope {
		case "GLOBAL", "PERSIST", "PERSIST_ONLY":
			return errcode.New(errcode.PrivilegeNeeded, "SYSTEM_VARIABLES_ADMIN")
		}
		value, err := s.setValue(snap, it.Value, sql)
		if err != nil {
			return err
		}
		switch name {
		case "autocommit":
			on, err := settings.Bool(name, value)
			if err != nil {
				return err
			}
			after = append(after, func() error { return s.setAutocommit(on) })
		case "transaction_mode":
			if err := s.setMode(value); err != nil {
				return err
			}
		case "last_insert_id", "identity":
			after = append(after, func() error { s.lastInsertID = parseUint([]byte(value)); return nil })
		case "wait_timeout":
			limit, err := s.idleLimit(value)
			if err != nil {
				return err
			}
			after = append(after, func() error { s.me.SetIdleLimit(limit); return nil })
		case "insert_id":
			return errcode.New(errcode.Unsupported, "SET insert_id", "give the id in the INSERT itself")
		case "sql_log_bin", "gtid_next", "pseudo_slave_mode", "pseudo_replica_mode", "server_id":
			return errcode.New(errcode.PrivilegeNeeded, "SUPER")
		default:
			next.Set(name, value)
			changed = true
		}
	}
	if changed {
		if err := s.tryVars(&next); err != nil {
			return err
		}
	}
	for _, f := range after {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// idleLimit reads a value of wait_timeout: seconds, from 1 to a year. The gateway keeps to it, no server is told.
func (s *Session) idleLimit(v string) (time.Duration, error) {
	if v == "" {
		return s.sh.Limits.IdleTimeout, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, &wire.MySQLError{Errno: 1232, State: "42000", Message: "Incorrect argument type to variable 'wait_timeout'"}
	}
	const year = 365 * 24 * 3600
	return time.Duration(min(max(n, 1), year)) * time.Second, nil
}

// userValue returns the literal that a user variable is set to. Text whose meaning depends on sql_mode is read by a
// server now.
func (s *Session) userValue(snap *target.Snapshot, e parse.Expr, sql []byte) (string, error) {
	switch v := e.(type) {
	case *parse.ColumnRef:
		return s.evaluate(snap, e, sql)
	case *parse.Literal:
		if strings.ContainsAny(string(v.Text(sql)), "\"\\") {
			return s.evaluate(snap, e, sql)
		}
	}
	return s.setValue(snap, e, sql)
}

// setValue returns the SQL text of a new value: constants as they are, anything else computed by a server.
func (s *Session) setValue(snap *target.Snapshot, e parse.Expr, sql []byte) (string, error) {
	if text, ok := settings.Constant(e, sql); ok {
		return text, nil
	}
	return s.evaluate(snap, e, sql)
}

// evaluate has a server compute an expression over the session's own variables, and returns it as a literal.
func (s *Session) evaluate(snap *target.Snapshot, e parse.Expr, sql []byte) (string, error) {
	text, locks, err := rewrite.Expr(e, sql, s.back.Mode, s.values())
	if err != nil {
		return "", err
	}
	q := "SELECT " + text
	if stmt, err := parse.Parse([]byte(q), s.back.Mode); err == nil {
		reads := false
		parse.Walk(stmt, func(n parse.Node) bool {
			if sel, ok := n.(*parse.SelectStmt); ok && len(sel.From) > 0 {
				reads = true
			}
			return true
		})
		if reads {
			return s.evaluateRows(snap, q)
		}
	}
	var out string
	ask := func(ctx context.Context, c *pool.Conn) error {
		cols, rows, err := backend.QueryAll(ctx, c, q, 2)
		if err != nil {
			return err
		}
		if len(rows) != 1 || len(rows[0]) != 1 {
			return errcode.New(errcode.BadVariableValue, "expression", text)
		}
		out = rewrite.Literal(cols[0], rows[0][0])
		return nil
	}
	if locks == rewrite.NoLocks {
		err = s.back.OnFresh(ask)
	} else {
		err = s.onLockHome(snap, locks, ask)
	}
	return out, err
}

// onLockHome runs f where the named locks are, on a connection that the session keeps if f takes one.
func (s *Session) onLockHome(snap *target.Snapshot, locks rewrite.Locks, f func(context.Context, *pool.Conn) error) error {
	home, err := route.LockHome(snap)
	if err != nil {
		return err
	}
	if locks == rewrite.TakesLock {
		s.back.Reserve()
	}
	_, err = s.back.Statement(snap).On(home, nil, exec.Query{Lock: true}, nil, func(ctx context.Context, c *pool.Conn) (wire.OK, error) {
		err := f(ctx, c)
		return wire.OK{Status: c.Status()}, err
	})
	return err
}

// tryVars makes the settings the session's, if a server accepts them.
func (s *Session) tryVars(next *settings.Vars) error {
	to := s.sh.Settings.Intern(next)
	if to == s.back.Settings {
		s.vars = *next
		return nil
	}
	var sqlMode string
	modeChanged := next.Value("sql_mode") != s.vars.Value("sql_mode")
	old := s.back.Settings
	s.back.Settings = to
	err := s.back.OnFresh(func(ctx context.Context, c *pool.Conn) error {
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
		s.back.Settings = old
		return err
	}
	if modeChanged {
		s.back.Mode = settings.Lexical(s.back.Mode, sqlMode)
		if v := next.Value("sql_mode"); v != "" {
			next.Set("sql_mode", rewrite.String(sqlMode)) // the computed form: it may have named the old value
		}
	}
	before := s.vars
	s.vars = *next
	s.back.Settings = s.sh.Settings.Intern(next)
	return s.back.Change(before.ChangeSQL(next))
}

// setAutocommit follows the server: switching it on commits, switching it off leaves an open transaction as it is.
func (s *Session) setAutocommit(on bool) error {
	if on == s.back.Tx.Autocommit {
		return nil
	}
	next := s.vars
	sql := "SET autocommit = 0"
	if on {
		if err := s.back.Commit(); err != nil {
			return err
		}
		next.Set("autocommit", "")
		sql = "SET autocommit = 1"
	} else {
		next.Set("autocommit", "0")
	}
	s.back.Tx.Autocommit = on
	s.vars = next
	s.back.Settings = s.sh.Settings.Intern(&next)
	return s.back.Change(sql)
}

func (s *Session) setMode(v string) error {
	if s.back.Tx.Open() {
		return errcode.New(errcode.TxnStateChange)
	}
	switch strings.ToLower(strings.Trim(v, "'\"")) {
	case "atomic", "twopc", "":
		s.back.Tx.Mode = txn.Atomic
	case "multi":
		s.back.Tx.Mode = txn.Multi
	case "single":
		s.back.Tx.Mode = txn.Single
	default:
		return errcode.New(errcode.BadVariableValue, "transaction_mode", v+" (atomic, multi or single)")
	}
	return nil
}

// setTransaction runs SET [SESSION] TRANSACTION ...
func (s *Session) setTransaction(st *parse.SetStmt, sql []byte) error {
	scope := ""
	if len(st.Items) > 0 {
		scope = st.Items[0].Var.Scope
	}
	switch scope {
	case "GLOBAL":
		return errcode.New(errcode.PrivilegeNeeded, "SYSTEM_VARIABLES_ADMIN")
	case "":
		if s.back.Tx.Open() {
			return errcode.New(errcode.TxnStateChange)
		}
		text := "SET TRANSACTION " + strings.Join(st.Args, ", ")
		return s.back.Tx.SetNext(text)
	}
	next := s.vars
	next.SetTransaction(st.Args, s.sh.MariaDB)
	return s.tryVars(&next)
}

// keepUserVar sets a user variable. The value lives in the gateway, as a literal.
func (s *Session) keepUserVar(name, value string) error {
	name = strings.ToLower(name)
	if s.userVars == nil {
		s.userVars = map[string]string{}
	}
	if _, ok := s.userVars[name]; !ok && len(s.userVars) >= s.sh.Limits.MaxUserVars {
		return errcode.New(errcode.StatementLimit, "user variables", s.sh.Limits.MaxUserVars)
	}
	s.userVars[name] = value
	return nil
}

// use changes the keyspace: "ks", "ks:shard", "ks@replica" or "ks:shard@replica", or a system schema.
func (s *Session) use(name string) error {
	sc, err := s.sh.resolve(s.login.User, s.back.Route.Scope.Keyspace, name)
	if err != nil {
		return err
	}
	s.back.Route.Scope = s.sh.Scopes.Intern(sc)
	s.publish()
	return nil
}

// Admit says whether a user may log in to a database of the name.
func (sh *Shared) Admit(user, name string) error {
	_, err := sh.resolve(user, "", name)
	return err
}

// resolve reads the name of a target that the user may use; now is the keyspace that an empty one means.
func (sh *Shared) resolve(user, now, name string) (route.Scope, error) {
	sc, err := route.Parse(sh.Targets.Current(), now, name)
	if err == nil && !route.SystemSchema(sc.Keyspace) && !sh.May(user, sc.Keyspace) {
		err = errcode.New(errcode.KeyspaceDenied, user, sc.Keyspace)
	}
	return sc, err
}

func parseUint(b []byte) uint64 {
	n, _ := strconv.ParseUint(string(b), 10, 64)
	return n
}
