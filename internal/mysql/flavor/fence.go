package flavor

import (
	"strings"

	"github.com/pelorusdb/pelorus/internal/mysql/value"
)

// FenceStep is one statement of a sequence that uses two connections of the administrator.
type FenceStep struct {
	Conn int // 1 or 2
	SQL  string
	// MayBlock says that the statement may wait for what later steps on the other connection release: start it, go
	// on, and wait for its end last.
	MayBlock bool
}

// Fence is how clients are cut off and the server is made read-only, fast, and so that no client is told OK for a commit that
// was not acknowledged. The users are the accounts of applications. With release, commits that wait for an acknowledgement
// are let go when their clients are gone (their rows are then visible here and nowhere else); without it MySQL's
// read-only step waits for them, and the server can acknowledge nothing meanwhile.
//
// On MariaDB new logins are not held back: the gateways must not route to the server.
func (f *Flavor) Fence(users []string, sync *SemiSync, release bool) []FenceStep {
	if f.IsMariaDB() {
		steps := []FenceStep{{Conn: 1, SQL: "SET GLOBAL read_only=ON", MayBlock: true}}
		for _, sql := range f.CutClients(users) {
			steps = append(steps, FenceStep{Conn: 2, SQL: sql})
		}
		return steps
	}
	steps := []FenceStep{{Conn: 1, SQL: "SET GLOBAL offline_mode=ON"}, {Conn: 2, SQL: "SET GLOBAL super_read_only=ON", MayBlock: true}}
	if release && sync != nil {
		steps = append(steps, FenceStep{Conn: 1, SQL: sync.DisableSource()[0]})
	}
	return steps
}

// ReadOnly are the statements that only make the server read-only, for one that has no clients.
func (f *Flavor) ReadOnly() []string {
	return []string{f.pick("SET GLOBAL super_read_only=ON", "SET GLOBAL read_only=ON")}
}

// Open are the statements that let clients in and write.
func (f *Flavor) Open() []string {
	if f.IsMariaDB() {
		return []string{"SET GLOBAL read_only=OFF"}
	}
	return []string{"SET GLOBAL super_read_only=OFF", "SET GLOBAL read_only=OFF", "SET GLOBAL offline_mode=OFF"}
}

// AdmitClients are the statements that let clients connect again to a server that stays read-only, as a replica.
func (f *Flavor) AdmitClients() []string {
	if f.IsMariaDB() {
		return nil
	}
	return []string{"SET GLOBAL offline_mode=OFF"}
}

// CutClients are the statements that end all sessions of the users. MySQL's cuts all clients that are no
// administrators, and lets none in until AdmitClients or Open.
func (f *Flavor) CutClients(users []string) []string {
	if !f.IsMariaDB() {
		return []string{"SET GLOBAL offline_mode=ON"}
	}
	out := make([]string, len(users))
	for i, u := range users {
		out[i] = "KILL USER " + value.String(u)
	}
	return out
}

// SessionsQuery lists the ids of the users' sessions; users must not be empty.
func (f *Flavor) SessionsQuery(users []string) string {
	quoted := make([]string, len(users))
	for i, u := range users {
		quoted[i] = value.String(u)
	}
	return "SELECT ID FROM information_schema.PROCESSLIST WHERE USER IN (" + strings.Join(quoted, ", ") + ")"
}

// FencedStart are the server options with which a server is always started, so that nobody sees or changes anything before
// its role is decided. With asReplica it is known that the server will be a replica: a crashed MariaDB then cuts off
// what was not acknowledged. It must not be given for one that may be primary again.
func (f *Flavor) FencedStart(asReplica bool) []string {
	if !f.IsMariaDB() {
		return []string{"read_only=ON", "super_read_only=ON", "offline_mode=ON", f.Option("skip_replica_start") + "=ON"}
	}
	out := []string{"read_only=ON", "skip_slave_start=ON"}
	if asReplica {
		out = append(out, "init_rpl_role=SLAVE", "rpl_semi_sync_slave_enabled=ON")
	}
	return out
}
