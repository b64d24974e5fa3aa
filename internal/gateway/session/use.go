package session

import (
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
)

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

// useStmt runs USE.
func (s *Session) useStmt(st *parse.UseStmt, more bool) error {
	if err := s.use(st.DB); err != nil {
		return s.failMore(err)
	}
	s.rowCount = 0
	s.warnings = s.warnings[:0]
	return s.to.OK(wire.OK{State: schemaState(st.DB)}, more)
}

// schemaState is the session state that tells of a new default database.
func schemaState(name string) []byte {
	return wire.AppendState(nil, wire.StateSchema, wire.AppendLenencString(nil, name))
}

// comInitDB is USE as a command.
func (s *Session) comInitDB(name string) error {
	if name == "" {
		return s.fail(errcode.New(errcode.NoKeyspace))
	}
	if err := s.use(name); err != nil {
		return s.fail(err)
	}
	return s.to.OK(wire.OK{State: schemaState(name)}, false)
}
