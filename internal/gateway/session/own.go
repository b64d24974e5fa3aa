package session

import (
	"bytes"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/answer"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// isOwn tells the statements that the session answers itself, or takes apart itself.
func (s *Session) isOwn(stmt parse.Statement) bool {
	switch st := stmt.(type) {
	case *parse.SetStmt:
		return st.Special != "STATEMENT"
	case *parse.UseStmt, *parse.TxnStmt, *parse.KillStmt, *parse.LockTablesStmt, *parse.PrepareStmt,
		*parse.ExecuteStmt, *parse.DeallocateStmt, *parse.VSchemaStmt, *parse.LoadDataStmt, *parse.DoStmt:
		return true
	case *parse.ShowStmt:
		return answer.What(st) == "VARIABLES" || answer.Knows(st)
	case *parse.ExplainStmt:
		return st.Format == "PELORUS"
	case *parse.OtherStmt:
		return len(st.Words) > 0 && (st.Words[0] == "FLUSH" || st.Words[0] == "XA" || st.Words[0] == "SHUTDOWN" || st.Words[0] == "RESET")
	}
	return false
}

// mayOwn checks a statement of isOwn against the rights of a user who has not all of them.
func (s *Session) mayOwn(stmt parse.Statement) error {
	var tables []parse.TableName
	switch st := stmt.(type) {
	case *parse.VSchemaStmt:
		return errcode.New(errcode.PrivilegeNeeded, "ALTER VSCHEMA")
	case *parse.LoadDataStmt:
		if s.readOnly {
			return errcode.New(errcode.PrivilegeNeeded, "write")
		}
		tables = append(tables, st.Table)
	case *parse.LockTablesStmt:
		if s.readOnly && !st.Unlock {
			return errcode.New(errcode.PrivilegeNeeded, "LOCK TABLES")
		}
		tables = st.Tables
	}
	for _, t := range tables {
		if ks := t.Schema.Name; ks != "" && !s.sh.May(s.login.User, ks) {
			return errcode.New(errcode.KeyspaceDenied, s.login.User, ks)
		}
	}
	return nil
}

// own runs a statement of isOwn.
func (s *Session) own(snap *target.Snapshot, stmt parse.Statement, sql []byte, more bool) error {
	if s.bound || s.readOnly {
		if err := s.mayOwn(stmt); err != nil {
			return s.failMore(err)
		}
	}
	switch st := stmt.(type) {
	case *parse.SetStmt:
		if err := s.vars.Set(snap, st, sql); err != nil {
			return s.failMore(err)
		}
		return s.done(more)
	case *parse.UseStmt:
		return s.useStmt(st, more)
	case *parse.TxnStmt:
		return s.txnStmt(st, more)
	case *parse.KillStmt:
		return s.kill(snap, st, sql, more)
	case *parse.LockTablesStmt:
		return s.lockTables(snap, st, sql, more)
	case *parse.PrepareStmt:
		return s.sqlPrepare(st, more)
	case *parse.ExecuteStmt:
		return s.sqlExecute(snap, st, sql, more)
	case *parse.DeallocateStmt:
		return s.sqlDeallocate(st, more)
	case *parse.VSchemaStmt:
		return s.alterVSchema(sql, more)
	case *parse.LoadDataStmt:
		return s.loadData(snap, st, sql, more)
	case *parse.DoStmt:
		for _, e := range st.Exprs {
			if _, err := s.vars.Evaluate(snap, e, sql); err != nil {
				return s.failMore(err)
			}
		}
		return s.done(more)
	case *parse.ShowStmt:
		return s.show(snap, st, sql, more)
	case *parse.ExplainStmt:
		return s.explain(snap, st, sql, more)
	case *parse.OtherStmt:
		return s.other(st, more)
	}
	return s.failMore(errcode.New(errcode.InternalFault, "statement of the session's own has no code"))
}

// done answers OK to a statement that changed nothing on servers.
func (s *Session) done(more bool) error {
	s.rowCount = 0
	s.warnings = s.warnings[:0]
	return s.to.OK(wire.OK{}, more)
}

// other answers statements about a server as such, which a sharded database has not.
func (s *Session) other(st *parse.OtherStmt, more bool) error {
	switch st.Words[0] {
	case "XA":
		return s.failMore(errcode.New(errcode.XAForbidden))
	case "FLUSH":
		if len(st.Words) > 1 && (st.Words[1] == "TABLES" || st.Words[1] == "TABLE" || st.Words[1] == "STATUS" || st.Words[1] == "LOCAL" || st.Words[1] == "NO_WRITE_TO_BINLOG") &&
			(len(st.Words) < 3 || st.Words[2] != "WITH") {
			return s.done(more) // a hint to close files: the servers do that by themselves
		}
		return s.failMore(errcode.New(errcode.PrivilegeNeeded, "RELOAD"))
	default:
		return s.failMore(errcode.New(errcode.PrivilegeNeeded, "SUPER"))
	}
}

// explain answers EXPLAIN FORMAT=PELORUS: how the statement would be routed.
func (s *Session) explain(snap *target.Snapshot, st *parse.ExplainStmt, sql []byte, more bool) error {
	body := bytes.Clone(st.BodySpan.Text(sql))
	_, slots, _ := parse.Fingerprint(body, s.back.Mode, nil)
	stmt, err := parse.Parse(body, s.back.Mode)
	if err != nil {
		return s.failMore(errcode.New(errcode.SyntaxError, err.Error()))
	}
	if s.isOwn(stmt) {
		return s.table(more, answer.One("plan", "answered by the gateway"))
	}
	p, err := plan.Build(body, slots, stmt, s.env(snap))
	if err != nil {
		return s.failMore(err)
	}
	lines := strings.Split(strings.TrimRight(p.Explain(), "\n"), "\n")
	if p.Fast != nil {
		if sh, err := s.back.Route.Find(snap, p.Fast, body, slots, nil); err == nil {
			where := sh.Keyspace.Name + "/" + sh.Name
			if sh.Primary != nil {
				where += " at " + sh.Primary.Alias
			}
			lines = append(lines, "to "+where)
		}
	}
	return s.table(more, answer.One("plan", lines...))
}

// alterVSchema runs ALTER VSCHEMA.
func (s *Session) alterVSchema(sql []byte, more bool) error {
	if s.back.Route.Scope.Keyspace == "" {
		return s.failMore(errcode.New(errcode.NoKeyspace))
	}
	changed := s.sh.Targets.Changed()
	if err := s.sh.Admin.AlterVSchema(s.ctx, s.back.Route.Scope.Keyspace, string(sql)); err != nil {
		return s.failMore(err)
	}
	// The client expects its next statement to see the change: wait for the watch, for a bounded time.
	s.awaitChange(changed)
	return s.done(more)
}

// lockTables runs LOCK TABLES and UNLOCK TABLES on every shard of the keyspace.
func (s *Session) lockTables(snap *target.Snapshot, st *parse.LockTablesStmt, sql []byte, more bool) error {
	if st.Unlock && !s.back.Tx.Locked() {
		return s.done(more) // as on a server: only the end of locks ends the transaction
	}
	if err := s.back.Commit(); err != nil {
		return s.failMore(err)
	}
	if st.Unlock {
		if err := s.back.UnlockTables(); err != nil {
			return s.failMore(err)
		}
		return s.done(more)
	}
	ks := snap.Keyspaces[s.back.Route.Scope.Keyspace]
	if len(st.Tables) > 0 && st.Tables[0].Schema.Name != "" {
		ks = snap.Keyspaces[st.Tables[0].Schema.Name]
	}
	if ks == nil {
		return s.failMore(errcode.New(errcode.NoKeyspace))
	}
	for _, t := range st.Tables {
		if t.Schema.Name != "" && t.Schema.Name != ks.Name {
			return s.failMore(errcode.New(errcode.CrossKeyspace, ks.Name+", "+t.Schema.Name))
		}
	}
	if err := s.back.LockTables(ks.Shards, string(sql)); err != nil {
		return s.failMore(err)
	}
	return s.done(more)
}

// kill runs KILL [QUERY] id.
func (s *Session) kill(snap *target.Snapshot, st *parse.KillStmt, sql []byte, more bool) error {
	text, err := s.vars.Value(snap, st.ID, sql)
	if err != nil {
		return s.failMore(err)
	}
	return s.killStatement(parseUint([]byte(strings.Trim(text, "'\""))), st.Query, more)
}

func (s *Session) killStatement(id uint64, queryOnly, more bool) error {
	victim := s.sh.Clients.Find(id)
	if victim == nil {
		return s.failMore(errcode.New(errcode.NoSuchThread, id))
	}
	if victim.User() != s.login.User {
		return s.failMore(errcode.New(errcode.NotYourThread, id))
	}
	if victim == s.me { // as a server does it: the statement that is interrupted is this one
		if err := s.failMore(errcode.New(errcode.Killed)); err != nil || queryOnly {
			return err
		}
		return errQuit
	}
	victim.Session().Kill(queryOnly)
	return s.done(more)
}
