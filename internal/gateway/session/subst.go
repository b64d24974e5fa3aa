package session

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
)

// A statement may name things that are the session's own and that no server can know, because the session has no server:
// its variables, its ids, its user. They are written into the text before it is planned.

// substitution is the outcome of looking for such names.
type substitution struct {
	changed bool
	sql     []byte
	assigns []string // user variables that the statement itself assigns: read back afterwards
	reads   []string // user variables that it reads and that therefore must be set before
	into    bool
	locks   bool // GET_LOCK and friends: the session keeps its connection
	calc    bool // SQL_CALC_FOUND_ROWS
}

// pins says whether the statement needs a connection that is prepared before and asked afterwards.
func (u *substitution) pins(p *plan.Plan) bool {
	return len(u.assigns) > 0 || u.locks || u.calc && p.Fast != nil // the executor counts over shards itself
}

// substitute looks for the session's own names in a statement.
func (s *Session) substitute(stmt parse.Statement, sql []byte) *substitution {
	return s.substituteIn(stmt, sql, topItems(stmt))
}

// substituteIn names the items that a substitution would rename.
func (s *Session) substituteIn(stmt parse.Statement, sql []byte, items []*parse.SelectItem) *substitution {
	u := &substitution{}
	var edits parse.Edits
	assigned := map[string]bool{}
	parse.Walk(stmt, func(n parse.Node) bool {
		switch x := n.(type) {
		case *parse.Binary:
			if v, ok := x.Left.(*parse.Variable); ok && x.Op == ":=" && !v.System {
				assigned[strings.ToLower(v.Name)] = true
			}
		case *parse.SelectStmt:
			if x.Into != nil {
				for _, v := range x.Into.Vars {
					assigned[strings.ToLower(v)] = true
				}
				u.into = true
			}
			for _, o := range x.Options {
				u.calc = u.calc || o.Name == "SQL_CALC_FOUND_ROWS"
			}
		case *parse.CallStmt:
			for _, a := range x.Args { // what is a variable may be an OUT parameter
				if v, ok := a.(*parse.Variable); ok && !v.System {
					assigned[strings.ToLower(v.Name)] = true
				}
			}
		case *parse.FuncCall:
			switch x.Name {
			case "GET_LOCK":
				u.locks = true
			case "RELEASE_LOCK", "RELEASE_ALL_LOCKS", "IS_USED_LOCK", "IS_FREE_LOCK":
				u.locks = u.locks || s.tx.reserved
			}
		}
		return true
	})
	for v := range assigned {
		u.assigns = append(u.assigns, v)
	}
	parse.Walk(stmt, func(n parse.Node) bool {
		text, ok := s.ownValue(n, assigned, u)
		if !ok {
			return true
		}
		edits.Replace(n.Range(), text)
		u.changed = true
		for _, it := range items {
			if it.Alias.Name == "" && !it.Star && it.Start <= n.Range().Start && n.Range().End <= it.End {
				edits.Insert(it.End, " AS "+quoteIdent(parse.ColumnName(sql, *it, s.mode)))
				it.Alias.Name = "-" // once
			}
		}
		return false
	})
	if u.changed {
		u.sql = edits.Apply(nil, sql)
	}
	return u
}

// topItems returns copies of the select items whose names the client sees.
func topItems(stmt parse.Statement) []*parse.SelectItem {
	for {
		switch q := stmt.(type) {
		case *parse.SelectStmt:
			items := make([]*parse.SelectItem, len(q.Items))
			for i := range q.Items {
				it := q.Items[i]
				items[i] = &it
			}
			return items
		case *parse.SetOpStmt:
			stmt = q.Left
		case *parse.ParenQuery:
			stmt = q.Query
		default:
			return nil
		}
	}
}

// ownValue returns the text that stands for a node, if the node is one of the session's own names.
func (s *Session) ownValue(n parse.Node, assigned map[string]bool, u *substitution) (string, bool) {
	switch x := n.(type) {
	case *parse.Variable:
		if x.System {
			return s.ownSysVar(x)
		}
		name := strings.ToLower(x.Name)
		if assigned[name] {
			return "", false
		}
		if len(u.assigns) > 0 {
			u.reads = append(u.reads, name)
			return "", false
		}
		if v, ok := s.userVars[name]; ok {
			return "(" + v + ")", true
		}
		return "NULL", true
	case *parse.FuncCall:
		if x.Schema.Name != "" {
			return "", false
		}
		return s.ownFunc(x)
	case *parse.ColumnRef:
		if x.Table.Name.Name == "" && (strings.EqualFold(x.Name.Name, "CURRENT_USER")) {
			return quoteString(s.login.User + "@%"), true
		}
	}
	return "", false
}

func (s *Session) ownFunc(x *parse.FuncCall) (string, bool) {
	switch x.Name {
	case "LAST_INSERT_ID":
		if len(x.Args) == 0 {
			return strconv.FormatUint(s.lastInsertID, 10), true
		}
	case "ROW_COUNT":
		return strconv.FormatInt(s.rowCount, 10), true
	case "FOUND_ROWS":
		return strconv.FormatUint(s.foundRows, 10), true
	case "CONNECTION_ID":
		return strconv.FormatUint(uint64(s.id), 10), true
	case "DATABASE", "SCHEMA":
		if len(x.Args) == 0 {
			if s.scope.Keyspace == "" {
				return "NULL", true
			}
			return quoteString(s.scope.Keyspace), true
		}
	case "USER", "SESSION_USER", "SYSTEM_USER":
		if len(x.Args) == 0 {
			return quoteString(s.login.User + "@" + s.host), true
		}
	case "CURRENT_USER":
		return quoteString(s.login.User + "@%"), true
	case "VERSION":
		return quoteString(strings.TrimPrefix(s.sh.Version, "5.5.5-")), true
	}
	return "", false
}

func (s *Session) ownSysVar(x *parse.Variable) (string, bool) {
	switch x.Name {
	case "version":
		return quoteString(strings.TrimPrefix(s.sh.Version, "5.5.5-")), true
	case "version_comment":
		return quoteString("Pelorus"), true
	case "hostname":
		return quoteString("pelorus"), true
	case "transaction_mode":
		return quoteString(s.tx.mode.String()), true
	case "last_insert_id", "identity":
		return strconv.FormatUint(s.lastInsertID, 10), true
	case "warning_count":
		return strconv.Itoa(len(s.warnings)), true
	case "error_count":
		n := 0
		for _, w := range s.warnings {
			if w.Level == "Error" {
				n++
			}
		}
		return strconv.Itoa(n), true
	case "read_only", "super_read_only", "innodb_read_only":
		return "0", true
	case "gtid_mode":
		return quoteString("OFF"), true
	case "gtid_executed", "gtid_purged":
		return "''", true
	case "pseudo_thread_id":
		return strconv.FormatUint(uint64(s.id), 10), true
	}
	return "", false
}

// substituteExpr returns an expression's text with the session's own names written in, and whether it takes locks.
func (s *Session) substituteExpr(e parse.Expr, sql []byte) (string, bool, error) {
	span := e.Range()
	text := []byte("SELECT " + string(span.Text(sql)))
	stmt, err := parse.Parse(text, s.mode)
	if err != nil {
		return "", false, err
	}
	u := s.substituteIn(stmt, text, nil)
	if u.changed {
		text = u.sql
	}
	return string(text[len("SELECT "):]), u.locks, nil
}

// runPinned runs a statement that assigns user variables, takes locks or counts found rows: on one shard, with
// the variables set before and read back afterwards on the same connection.
func (s *Session) runPinned(snap *target.Snapshot, p *plan.Plan, stmt parse.Statement, u *substitution, sql []byte, slots []parse.Slot, more bool) error {
	if p.Fast == nil {
		if u.locks {
			return s.failMore(errcode.New(errcode.Unsupported, "a named lock in a statement over several shards", "take the lock in a statement of its own"))
		}
		return s.failMore(errcode.New(errcode.Unsupported, "assigning user variables in a statement over several shards", "select the values and set the variables with SET"))
	}
	sh, err := s.resolveFast(snap, p.Fast, sql, slots, nil)
	if err != nil {
		return s.failMore(err)
	}
	if s.bound || s.readOnly {
		if err := s.allowed(p); err != nil {
			return s.failMore(err)
		}
	}
	if u.locks {
		s.tx.reserved = true
	}
	r := &runner{s: s, snap: snap}
	out := &resultWriter{s: s, binary: s.binary}
	s.warnings = s.warnings[:0]
	ok, err := s.pinnedOn(r, sh, u, p, sql, out)
	if err != nil {
		s.afterExecError()
		return s.failMore(err)
	}
	if out.started {
		s.rowCount = -1
		if !u.calc {
			s.foundRows = out.rows
		}
		return out.finish(ok, more)
	}
	s.rowCount = int64(ok.Affected)
	if ok.InsertID != 0 {
		s.lastInsertID = ok.InsertID
	}
	ok.Status = 0
	return s.okMore(ok, more)
}

// pinnedOn runs the statement of runPinned on the transaction's connection or one of its own.
func (s *Session) pinnedOn(r *runner, sh *target.Shard, u *substitution, p *plan.Plan, sql []byte, out *resultWriter) (wire.OK, error) {
	write := writes(p)
	if err := s.mayWrite(sh, write); err != nil {
		return wire.OK{}, err
	}
	if !s.tx.active() {
		ep, err := s.endpoint(sh, write)
		if err != nil {
			return wire.OK{}, err
		}
		c, err := ep.Pool.Get(s.ctx, s.class, s.settings)
		if err != nil {
			return wire.OK{}, s.serverError(ep, err)
		}
		c.KillHard.Store(write && s.sh.MariaDB)
		ok, err := s.pinnedAsk(c, u, sql, out)
		r.aloneDone(sh, c, wire.OK{Status: ok.Status}, err)
		return ok, err
	}
	pt, err := s.part(s.ctx, sh, write)
	if err != nil {
		return wire.OK{}, err
	}
	if err := s.beginOn(s.ctx, pt); err != nil {
		return wire.OK{}, r.lost(pt, err)
	}
	ok, err := s.pinnedAsk(pt.conn, u, sql, out)
	s.track(pt.conn, false)
	if err != nil {
		return ok, r.lost(pt, err)
	}
	if write {
		pt.wrote = true
		if set := s.setUserVars(u); set != "" {
			s.record(pt, []byte(set), 0)
		}
		s.record(pt, sql, ok.InsertID)
	}
	if err := s.pullUserVars(pt.conn, u); err != nil {
		return ok, r.lost(pt, err)
	}
	s.afterInTxn(pt, ok.Status, false, 0)
	return ok, nil
}

// pinnedAsk runs the statement between setting the variables and reading them back. The connection stays tracked.
func (s *Session) pinnedAsk(c *pool.Conn, u *substitution, sql []byte, out *resultWriter) (ok wire.OK, err error) {
	c.Dirty = c.Dirty || len(u.assigns) > 0
	s.track(c, true)
	if set := s.setUserVars(u); set != "" {
		if _, err := c.Exec(s.ctx, set); err != nil {
			return ok, err
		}
	}
	rows, err := c.QueryBytes(s.ctx, sql)
	if err != nil {
		return ok, err
	}
	err = copyResults(rows, out)
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return ok, err
	}
	ok = rows.OK()
	if ok.Warnings > 0 && !u.calc { // SHOW WARNINGS would change what FOUND_ROWS() is
		s.warnings = s.fetchWarnings(c, s.warnings[:0])
	}
	if !s.tx.active() {
		err = s.pullUserVars(c, u)
	}
	return ok, err
}

// setUserVars is the statement that gives a connection the variables that the statement reads, as far as they are set.
func (s *Session) setUserVars(u *substitution) string {
	var sets []string
	for _, name := range append(append([]string(nil), u.reads...), u.assigns...) {
		if v, ok := s.userVars[name]; ok {
			sets = append(sets, "@"+quoteIdent(name)+" = "+v)
		}
	}
	if len(sets) == 0 {
		return ""
	}
	return "SET " + strings.Join(sets, ", ")
}

func (s *Session) pullUserVars(c *pool.Conn, u *substitution) error {
	if u.calc {
		_, rows, err := queryAll(s.ctx, c, "SELECT FOUND_ROWS()", 1)
		if err != nil {
			return err
		}
		s.foundRows = parseUint(rows[0][0])
	}
	if len(u.assigns) == 0 {
		return nil
	}
	names := make([]string, len(u.assigns))
	for i, n := range u.assigns {
		names[i] = "@" + quoteIdent(n)
	}
	cols, rows, err := queryAll(s.ctx, c, "SELECT "+strings.Join(names, ", "), 1)
	if err != nil {
		return err
	}
	for i, n := range u.assigns {
		if err := s.keepUserVar(n, literal(cols[i], rows[0][i])); err != nil {
			return err
		}
	}
	return nil
}

// queryer is a connection that statements of the gateway's own run on.
type queryer = *pool.Conn

// queryAll reads a small result.
func queryAll(ctx context.Context, c queryer, sql string, limit int) ([]wire.Column, [][][]byte, error) {
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	cols := append([]wire.Column(nil), rows.Columns()...)
	var out [][][]byte
	for rows.Next() {
		if len(out) >= limit {
			continue
		}
		vals := rows.Values()
		row := make([][]byte, len(vals))
		for i, v := range vals {
			if v != nil {
				row[i] = append([]byte{}, v...)
			}
		}
		out = append(out, row)
	}
	if err := rows.Close(); err != nil {
		return nil, nil, err
	}
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	return cols, out, nil
}

// onFresh runs f on a connection with the session's settings, of the session's keyspace or of any that serves. It is
// never one of the transaction's, and what f leaves open is rolled back.
func (s *Session) onFresh(f func(context.Context, queryer) error) error {
	ep, err := s.anyEndpoint()
	if err != nil {
		return err
	}
	c, err := ep.Pool.Get(s.ctx, s.class, s.settings)
	if err != nil {
		return s.serverError(ep, err)
	}
	s.track(c, true)
	err = f(s.ctx, c)
	if !c.Broken() && (c.Status()&wire.StatusInTrans != 0 || !s.tx.autocommit) {
		if _, rerr := c.Exec(s.ctx, "ROLLBACK"); rerr != nil {
			c.Discard()
		}
	}
	s.release(c)
	return err
}

// onOwn runs f on a connection that the session keeps from now on: it takes locks there.
func (s *Session) onOwn(f func(context.Context, queryer) error) error {
	sh, err := s.anyShard(s.sh.Targets.Current())
	if err != nil {
		return err
	}
	s.tx.reserved = true
	p, err := s.part(s.ctx, sh, false)
	if err != nil {
		return err
	}
	s.track(p.conn, true)
	err = f(s.ctx, p.conn)
	s.track(p.conn, false)
	if c := p.conn; !c.Broken() && !p.begun {
		p.begun = c.Status()&wire.StatusInTrans != 0
	}
	return err
}

// anyEndpoint returns the primary of some shard, of the session's keyspace first.
func (s *Session) anyEndpoint() (*target.Endpoint, error) {
	snap := s.sh.Targets.Current()
	if ks := snap.Keyspaces[s.scope.Keyspace]; ks != nil && len(ks.Shards) > 0 {
		return s.endpoint(ks.Shards[0], false)
	}
	for _, n := range snap.Names() {
		for _, sh := range snap.Keyspaces[n].Shards {
			if sh.Primary != nil {
				return sh.Primary, nil
			}
		}
	}
	return nil, errcode.New(errcode.NotReady, "no keyspace has a serving shard")
}

// evaluateRows computes an expression that reads tables, by planning it as the statement it is.
func (s *Session) evaluateRows(snap *target.Snapshot, q string) (string, error) {
	sql := []byte(q)
	_, slots, _ := parse.Fingerprint(sql, s.mode, nil)
	stmt, err := parse.Parse(sql, s.mode)
	if err != nil {
		return "", err
	}
	p, err := plan.Build(sql, slots, stmt, s.env(snap))
	if err != nil {
		return "", err
	}
	if s.bound || s.readOnly {
		if err := s.allowed(p); err != nil {
			return "", err
		}
	}
	v := &oneValue{}
	if _, err := s.runPlan(&runner{s: s, snap: snap}, p, sql, slots, v); err != nil {
		return "", err
	}
	if v.rows != 1 {
		return "", errcode.New(errcode.BadVariableValue, "expression", fmt.Sprintf("a query of %d rows", v.rows))
	}
	return v.text, nil
}
