package session

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
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
	return s.okMore(wire.OK{}, more)
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
	text, locks, err := rewrite.Expr(e, sql, s.mode, s.values())
	if err != nil {
		return "", err
	}
	q := "SELECT " + text
	if stmt, err := parse.Parse([]byte(q), s.mode); err == nil {
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
	on := s.onFresh
	if s.locks(locks) {
		on = s.onOwn
	}
	err = on(func(ctx context.Context, c queryer) error {
		cols, rows, err := queryAll(ctx, c, q, 2)
		if err != nil {
			return err
		}
		if len(rows) != 1 || len(rows[0]) != 1 {
			return errcode.New(errcode.BadVariableValue, "expression", text)
		}
		out = rewrite.Literal(cols[0], rows[0][0])
		return nil
	})
	return out, err
}

// tryVars makes the settings the session's, if a server accepts them.
func (s *Session) tryVars(next *settings.Vars) error {
	to := s.sh.Settings.Intern(next)
	if to == s.settings {
		s.vars = *next
		return nil
	}
	var sqlMode string
	modeChanged := next.Value("sql_mode") != s.vars.Value("sql_mode")
	old := s.settings
	s.settings = to
	err := s.onFresh(func(ctx context.Context, c queryer) error {
		if !modeChanged {
			return nil
		}
		_, rows, err := queryAll(ctx, c, "SELECT @@sql_mode", 1)
		if err == nil && len(rows) == 1 {
			sqlMode = string(rows[0][0])
		}
		return err
	})
	if err != nil {
		s.settings = old
		return err
	}
	if modeChanged {
		s.mode = settings.Lexical(s.mode, sqlMode)
		if v := next.Value("sql_mode"); v != "" {
			next.Set("sql_mode", rewrite.String(sqlMode)) // the computed form: it may have named the old value
		}
	}
	before := s.vars
	s.vars = *next
	s.settings = s.sh.Settings.Intern(next)
	return s.changeParts(before.ChangeSQL(next))
}

// changeParts brings the connections that the session holds into its settings.
func (s *Session) changeParts(sql string) error {
	for _, p := range slices.Clone(s.tx.parts) {
		if _, err := p.conn.Exec(s.ctx, sql); err != nil {
			return err
		}
		p.conn.Adopt(s.settings)
	}
	return nil
}

// setAutocommit follows the server: switching it on commits, switching it off leaves an open transaction as it is.
func (s *Session) setAutocommit(on bool) error {
	if on == s.tx.autocommit {
		return nil
	}
	next := s.vars
	sql := "SET autocommit = 0"
	if on {
		if err := s.commit(); err != nil {
			return err
		}
		next.Set("autocommit", "")
		sql = "SET autocommit = 1"
	} else {
		next.Set("autocommit", "0")
	}
	s.tx.autocommit = on
	s.vars = next
	s.settings = s.sh.Settings.Intern(&next)
	return s.changeParts(sql)
}

func (s *Session) setMode(v string) error {
	if s.tx.open() {
		return errcode.New(errcode.TxnStateChange)
	}
	switch strings.ToLower(strings.Trim(v, "'\"")) {
	case "atomic", "twopc", "":
		s.tx.mode = txn.Atomic
	case "multi":
		s.tx.mode = txn.Multi
	case "single":
		s.tx.mode = txn.Single
	default:
		return errcode.New(errcode.BadVariableValue, "transaction_mode", v+" (atomic, multi or single)")
	}
	return nil
}

// maxNext bounds the texts of SET TRANSACTION that wait for the next transaction: isolation levels and access modes are six.
const maxNext = 12

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
		if s.tx.open() {
			return errcode.New(errcode.TxnStateChange)
		}
		text := "SET TRANSACTION " + strings.Join(st.Args, ", ")
		if !slices.Contains(s.tx.next, text) {
			if len(s.tx.next) >= maxNext {
				return errcode.New(errcode.StatementLimit, "SET TRANSACTION before one transaction", maxNext)
			}
			s.tx.next = append(slices.Clone(s.tx.next), text)
		}
		return nil
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
	sc, err := s.sh.resolve(s.login.User, s.scope.Keyspace, name)
	if err != nil {
		return err
	}
	s.scope = s.sh.Plans.scope(sc.Keyspace, sc.Shard, sc.Type)
	s.publish()
	return nil
}

// Admit says whether a user may log in to a database of the name.
func (sh *Shared) Admit(user, name string) error {
	_, err := sh.resolve(user, "", name)
	return err
}

// resolve reads the name of a target; now is the keyspace that an empty one means.
func (sh *Shared) resolve(user, now, name string) (scope, error) {
	ks, typ, hasType := strings.Cut(name, "@")
	ks, shard, _ := strings.Cut(ks, ":")
	if hasType {
		switch typ {
		case "primary", "replica", "rdonly":
		default:
			return scope{}, errcode.New(errcode.UnknownTargetType, typ)
		}
	}
	if ks == "" {
		ks = now
	}
	k := sh.Targets.Current().Keyspaces[ks]
	switch {
	case k == nil && !SystemSchema(ks):
		return scope{}, errcode.New(errcode.NoSuchKeyspace, ks)
	case k != nil && shard != "" && k.Shard(shard) == nil:
		return scope{}, errcode.New(errcode.NoSuchShard, ks, shard)
	case k != nil && !sh.May(user, ks):
		return scope{}, errcode.New(errcode.KeyspaceDenied, user, ks)
	}
	return scope{ks, shard, typ}, nil
}

// SystemSchema says whether a name is a schema of the servers themselves.
func SystemSchema(name string) bool {
	switch strings.ToLower(name) {
	case "information_schema", "performance_schema", "mysql", "sys":
		return true
	}
	return false
}

func parseUint(b []byte) uint64 {
	n, _ := strconv.ParseUint(string(b), 10, 64)
	return n
}
