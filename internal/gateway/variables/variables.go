// Package variables is what a client sets in its session: system variables, with the settings of the server connections that
// follow from them, user variables, and the values that a server computes for both.
//
// It judges no value (a server does), knows no statement but SET, and answers no client.
package variables

import (
	"context"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
)

// Config is the same for all sessions of a gateway. Immutable.
type Config struct {
	Settings    *settings.Table
	MaxUser     int           // user variables of one session
	IdleTimeout time.Duration // wait_timeout when it has its default; 0: none
	MariaDB     bool          // the family of the servers
}

// Session is the rest of the session, as far as SET concerns it.
type Session interface {
	// Values are what the session knows of itself, for expressions that ask for it.
	Values() *rewrite.Values
	// Read runs a query of tables within the user's rights and hands its rows to a sink.
	Read(snap *target.Snapshot, sql []byte, sink exec.Sink) error
	// SetLastInsertID makes n what LAST_INSERT_ID() is.
	SetLastInsertID(n uint64)
}

// Variables are those of one session. Their methods are called by the session's goroutine. System variables are kept as
// the settings of the session's backend.
type Variables struct {
	cfg     *Config
	session Session
	back    *backend.Backend
	me      *clients.Client
	system  settings.Vars
	user    map[string]string // lower-case name to SQL literal
}

// New makes the variables of a session that has set none.
func New(cfg *Config, session Session, back *backend.Backend, me *clients.Client) *Variables {
	return &Variables{cfg: cfg, session: session, back: back, me: me}
}

// Reset forgets all variables. names is the clause of SET that has the effect of the client's handshake, "" for none.
func (v *Variables) Reset(names string, ignoreSpace bool) {
	v.user = nil
	v.me.SetIdleLimit(v.cfg.IdleTimeout)
	v.system = settings.Vars{}
	v.system.SetNames(names)
	if ignoreSpace {
		v.system.Set("sql_mode", "concat(@@sql_mode,',IGNORE_SPACE')")
	}
	v.back.Settings = v.cfg.Settings.Intern(&v.system)
}

// User returns the user variables: lower-case name to SQL literal. They are read only, and valid until the next change.
func (v *Variables) User() map[string]string { return v.user }

// SetUser sets a user variable to an SQL literal.
func (v *Variables) SetUser(name, literal string) error {
	name = strings.ToLower(name)
	if v.user == nil {
		v.user = map[string]string{}
	}
	if _, ok := v.user[name]; !ok && len(v.user) >= v.cfg.MaxUser {
		return errcode.New(errcode.StatementLimit, "user variables", v.cfg.MaxUser)
	}
	v.user[name] = literal
	return nil
}

// Push is the statement that gives a connection those of the user variables that are set, "" if none is.
func (v *Variables) Push(names ...string) string {
	var sets []string
	for _, name := range names {
		if literal, ok := v.user[name]; ok {
			sets = append(sets, "@"+rewrite.Ident(name)+" = "+literal)
		}
	}
	if len(sets) == 0 {
		return ""
	}
	return "SET " + strings.Join(sets, ", ")
}

// Pull sets user variables to what they are on a connection.
func (v *Variables) Pull(ctx context.Context, c *pool.Conn, names []string) error {
	if len(names) == 0 {
		return nil
	}
	refs := make([]string, len(names))
	for i, n := range names {
		refs[i] = "@" + rewrite.Ident(n)
	}
	cols, rows, err := backend.QueryAll(ctx, c, "SELECT "+strings.Join(refs, ", "), 1)
	if err != nil {
		return err
	}
	for i, n := range names {
		if err := v.SetUser(n, rewrite.Literal(cols[i], rows[0][i])); err != nil {
			return err
		}
	}
	return nil
}
