package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/agent/repl"
	"github.com/pelorusdb/pelorus/internal/agent/sidecar"
	"github.com/pelorusdb/pelorus/internal/mysql/flavor"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
)

// errAccessDenied is the servers' error for a wrong account or password.
const errAccessDenied = 1045

// prepare learns what the server is and brings accounts, sidecar and plugins up to date, outside the binary log. A server
// that has all is only read.
func (a *Agent) prepare(ctx context.Context, database string) (*repl.Repl, error) {
	fl, err := a.detect(ctx, a.db)
	if dba.Errno(err) == errAccessDenied && a.srv != nil {
		if fl, err = a.bootstrap(ctx, database); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	missing, err := a.missing(ctx, fl, database)
	if err != nil {
		return nil, err
	}
	if missing != "" {
		a.log.Info("server_setup", "reason", missing)
		if err := a.setUp(ctx, a.db, fl, database); err != nil {
			return nil, err
		}
	}
	return repl.New(a.db, fl, a.creds, a.log), nil
}

// detect asks the server for its version.
func (a *Agent) detect(ctx context.Context, db *dba.DB) (*flavor.Flavor, error) {
	r, err := db.Query(ctx, "SELECT VERSION()")
	if err != nil {
		return nil, err
	}
	fl, _, err := flavor.Detect(r.Text(0, 0))
	return fl, err
}

// bootstrap sets up a fresh server by its first administrator, root without password on the local socket, and then takes
// that way in away.
func (a *Agent) bootstrap(ctx context.Context, database string) (*flavor.Flavor, error) {
	root := dba.Open(dba.Config{Network: "unix", Addr: a.srv.Socket(), User: "root"})
	defer root.Close()
	fl, err := a.detect(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("neither %s with the password of the credentials file nor a fresh server's root can log in: %w", a.creds.DBA.User, err)
	}
	a.log.Info("server_setup", "reason", "the server is fresh")
	if err := a.setUp(ctx, root, fl, database); err != nil {
		return nil, err
	}
	return fl, a.lockRoot(ctx, root, fl)
}

// lockRoot leaves root to who may be it anyway: the operating system's root on MariaDB, who has the credentials on MySQL.
func (a *Agent) lockRoot(ctx context.Context, root *dba.DB, fl *flavor.Flavor) error {
	r, err := root.Query(ctx, "SELECT host FROM mysql.user WHERE user = 'root' AND host <> 'localhost'")
	if err != nil {
		return fmt.Errorf("look for accounts of a fresh server: %w", err)
	}
	statements := []string{fl.NoBinlog()}
	for i := range r.Rows {
		statements = append(statements, fl.DropAccount(flavor.Account{User: "root", Host: r.Text(i, 0)}))
	}
	if fl.IsMariaDB() {
		statements = append(statements, "ALTER USER 'root'@'localhost' IDENTIFIED VIA unix_socket")
	} else {
		auth := " IDENTIFIED WITH " + fl.AuthPlugin() + " BY " + value.String(a.creds.DBA.Password)
		statements = append(statements, "ALTER USER 'root'@'localhost'"+auth)
	}
	return root.Session(ctx, func(c *dba.Conn) error {
		return unlocked(ctx, c, fl, func() error {
			if err := c.Exec(ctx, statements...); err != nil {
				return fmt.Errorf("lock the accounts of a fresh server: %w", err)
			}
			return nil
		})
	})
}

func (a *Agent) accounts() []flavor.Account {
	account := func(l credentials.Login, role flavor.Role) flavor.Account {
		return flavor.Account{User: l.User, Password: l.Password, Role: role}
	}
	return []flavor.Account{
		account(a.creds.DBA, flavor.RoleDBA), account(a.creds.App, flavor.RoleApp),
		account(a.creds.Repl, flavor.RoleRepl), account(a.creds.Stream, flavor.RoleStream),
	}
}

// missing says what of accounts, sidecar and plugins is not as it should be; "" when nothing is missing.
func (a *Agent) missing(ctx context.Context, fl *flavor.Flavor, database string) (string, error) {
	have, err := sidecar.Read(ctx, a.db)
	if err != nil {
		return "", err
	}
	if plan := sidecar.Plan(sidecar.Tables(), have, sidecar.Version); len(plan) > 0 {
		return "the sidecar database is older than this release", nil
	}
	names := make([]string, 0, 4)
	for _, acc := range a.accounts() {
		names = append(names, value.String(acc.User))
	}
	r, err := a.db.Query(ctx, "SELECT COUNT(*) FROM mysql.user WHERE host = '%' AND user IN ("+strings.Join(names, ", ")+")")
	if err != nil {
		return "", fmt.Errorf("look for accounts: %w", err)
	}
	if r.Text(0, 0) != fmt.Sprint(len(names)) {
		return "accounts are missing", nil
	}
	pattern := strings.NewReplacer("_", `\_`, "%", `\%`).Replace(database)
	r, err = a.db.Query(ctx, "SELECT COUNT(*) FROM mysql.db WHERE user = "+value.String(a.creds.App.User)+" AND db = "+value.String(pattern))
	if err != nil {
		return "", fmt.Errorf("look for grants: %w", err)
	}
	if r.Text(0, 0) == "0" {
		return "the application's account has no rights on " + database, nil
	}
	for _, acc := range a.accounts() {
		if !a.canLogIn(ctx, acc) {
			return "the password of " + acc.User + " was changed", nil
		}
	}
	r, err = a.db.Query(ctx, fl.SemiSyncVariablesQuery())
	if err != nil {
		return "", fmt.Errorf("look for semi-sync: %w", err)
	}
	if fl.DetectSemiSync(r.Pairs()) == nil {
		return "semi-sync is not installed", nil
	}
	return "", nil
}

// canLogIn is false only if the server says that the password is wrong.
func (a *Agent) canLogIn(ctx context.Context, acc flavor.Account) bool {
	db := dba.Open(a.db.As(acc.User, acc.Password))
	defer db.Close()
	_, err := db.Query(ctx, "SELECT 1")
	return dba.Errno(err) != errAccessDenied
}

// setUp creates and grants whatever is not there yet; doing it again changes nothing.
func (a *Agent) setUp(ctx context.Context, db *dba.DB, fl *flavor.Flavor, database string) error {
	have, err := sidecar.Read(ctx, db)
	if err != nil {
		return err
	}
	vars, err := db.Query(ctx, fl.SemiSyncVariablesQuery())
	if err != nil {
		return fmt.Errorf("look for semi-sync: %w", err)
	}
	return db.Session(ctx, func(c *dba.Conn) error {
		return unlocked(ctx, c, fl, func() error {
			statements := append([]string{fl.NoBinlog()}, sidecar.Plan(sidecar.Tables(), have, sidecar.Version)...)
			for _, acc := range a.accounts() {
				statements = append(statements, fl.CreateAccount(acc)...)
				statements = append(statements, fl.Grants(acc, database)...)
			}
			if err := c.Exec(ctx, statements...); err != nil {
				return fmt.Errorf("set up accounts and sidecar: %w", err)
			}
			if fl.DetectSemiSync(vars.Pairs()) != nil {
				return nil
			}
			for _, s := range fl.InstallSemiSync() {
				if err := c.Exec(ctx, s.SQL); err != nil && dba.Errno(err) != s.DoneErrno {
					return fmt.Errorf("install semi-sync: %w", err)
				}
			}
			return nil
		})
	})
}

// unlocked runs f while MySQL's stricter lock is off, which keeps even administrators from writing; applications stay
// locked out, since read_only itself stays on.
func unlocked(ctx context.Context, c *dba.Conn, fl *flavor.Flavor, f func() error) error {
	if !fl.Has(flavor.SuperReadOnly) {
		return f()
	}
	r, err := c.Query(ctx, "SELECT @@GLOBAL.super_read_only", 1)
	if err != nil {
		return fmt.Errorf("ask whether the server is read-only: %w", err)
	}
	if r.Text(0, 0) != "1" {
		return f()
	}
	if err := c.Exec(ctx, "SET GLOBAL super_read_only=OFF"); err != nil {
		return fmt.Errorf("unlock the server for the administrator: %w", err)
	}
	err = f()
	back := c.Exec(context.WithoutCancel(ctx), "SET GLOBAL super_read_only=ON")
	if back != nil {
		back = fmt.Errorf("lock the server again: %w", back)
	}
	return errors.Join(err, back)
}
