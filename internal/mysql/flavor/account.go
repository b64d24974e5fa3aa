package flavor

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/mysql/value"
)

// Role is what an account of Pelorus is for.
type Role uint8

// The four accounts that each server has.
const (
	RoleApp    Role = iota // gateways, on behalf of applications: the keyspace's database, and redo and decision rows
	RoleDBA                // the agent and control: everything that steering a server needs
	RoleRepl               // receivers of replicas
	RoleStream             // change streams and copies between shards
)

// Sidecar is Pelorus' own database in each server.
const Sidecar = "_pelorus"

// Account is a server account as it should be.
type Account struct {
	User     string
	Host     string // "%" if empty
	Password string
	Role     Role
}

// name is 'user'@'host'.
func (a Account) name() string {
	host := a.Host
	if host == "" {
		host = "%"
	}
	return value.String(a.User) + "@" + value.String(host)
}

// AuthPlugin is how Pelorus' accounts log in: the strongest that client and server have in common in all versions.
func (f *Flavor) AuthPlugin() string { return f.pick("caching_sha2_password", "mysql_native_password") }

// CreateAccount are the statements that create an account or set its password anew, without grants. Run them with
// sql_log_bin=0: each agent creates the accounts on its own server.
func (f *Flavor) CreateAccount(a Account) []string {
	auth := " IDENTIFIED WITH " + f.AuthPlugin() + " BY " + value.String(a.Password)
	if f.IsMariaDB() {
		auth = " IDENTIFIED VIA " + f.AuthPlugin() + " USING PASSWORD(" + value.String(a.Password) + ")"
	}
	return []string{"CREATE USER IF NOT EXISTS " + a.name() + auth, "ALTER USER " + a.name() + auth}
}

// DropAccount is the statement that removes an account, if it exists.
func (f *Flavor) DropAccount(a Account) string { return "DROP USER IF EXISTS " + a.name() }

// Grants are the statements that give an account what its role needs on a server that holds the database of a keyspace. The
// sidecar's tables redo and decision must exist. Granting again changes nothing.
func (f *Flavor) Grants(a Account, database string) []string {
	to := " TO " + a.name()
	db := "`" + grantPattern(database) + "`.*"
	side := "`" + Sidecar + "`"
	switch a.Role {
	case RoleApp:
		// No SESSION_VARIABLES_ADMIN: it would let an application write past the binary log (sql_log_bin=0). PROCESS is
		// what mysqldump asks for; it shows nothing that the same account could not see in its other sessions.
		out := []string{
			"GRANT " + appPrivileges + " ON " + db + to,
			"GRANT SELECT, INSERT, UPDATE, DELETE ON " + side + ".`redo`" + to,
			"GRANT SELECT, INSERT, UPDATE, DELETE ON " + side + ".`decision`" + to,
			"GRANT PROCESS ON *.*" + to,
		}
		return out
	case RoleDBA:
		return []string{"GRANT " + strings.Join(f.dbaPrivileges(), ", ") + " ON *.*" + to + " WITH GRANT OPTION"}
	case RoleRepl:
		// An offline MySQL server ends the dump threads of accounts without CONNECTION_ADMIN, and its replicas would never
		// reach the last position.
		return []string{f.pick("GRANT REPLICATION SLAVE, CONNECTION_ADMIN ON *.*", "GRANT REPLICATION SLAVE ON *.*") + to}
	case RoleStream:
		return []string{
			f.pick("GRANT REPLICATION SLAVE, REPLICATION CLIENT, CONNECTION_ADMIN ON *.*",
				"GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.*") + to,
			"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER, REFERENCES, LOCK TABLES, SHOW VIEW, TRIGGER ON " + db + to,
			"GRANT SELECT, INSERT, UPDATE, DELETE ON " + side + ".*" + to,
		}
	}
	return nil
}

const appPrivileges = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, " +
	"CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER"

// dbaPrivileges are all that the agent and control use; neither FILE nor SUPER is among them.
func (f *Flavor) dbaPrivileges() []string {
	common := []string{
		"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "SHUTDOWN", "PROCESS", "REFERENCES", "INDEX", "ALTER",
		"SHOW DATABASES", "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE", "REPLICATION SLAVE",
		"CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "CREATE USER", "EVENT", "TRIGGER",
	}
	if f.IsMariaDB() {
		return append(common, "BINLOG MONITOR", "BINLOG ADMIN", "BINLOG REPLAY", "REPLICATION MASTER ADMIN", "REPLICATION SLAVE ADMIN",
			"SLAVE MONITOR", "CONNECTION ADMIN", "READ_ONLY ADMIN", "SET USER")
	}
	return append(common, "REPLICATION CLIENT", "BACKUP_ADMIN", "BINLOG_ADMIN", "CLONE_ADMIN", "CONNECTION_ADMIN", "SERVICE_CONNECTION_ADMIN",
		"REPLICATION_APPLIER", "REPLICATION_SLAVE_ADMIN", "SESSION_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN", "XA_RECOVER_ADMIN")
}

// grantPattern writes a database's name as GRANT takes it, where _ and % would match any characters.
func grantPattern(name string) string {
	return strings.NewReplacer("`", "``", "_", `\_`, "%", `\%`).Replace(name)
}
