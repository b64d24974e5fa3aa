// Package flavor knows what each version of MySQL and MariaDB can do and how it wants to be told: statement texts,
// option names, grants, and how to read what status statements answer. It is the only place that compares versions of
// servers; everybody else asks a Flavor.
//
// It runs no statement and keeps no state of a server. It does not decide when something is done: the agent and the
// recoveries do. Texts end without a semicolon, and are for sessions without NO_BACKSLASH_ESCAPES and ANSI_QUOTES.
package flavor

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/mysql/gtid"
)

// Version is a server's version.
type Version struct{ Major, Minor, Patch int }

// String is MAJOR.MINOR.PATCH.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Number is the version as versioned comments and client libraries write it: 80040 is 8.0.40.
func (v Version) Number() int { return v.Major*10000 + v.Minor*100 + v.Patch }

// Compare is negative if v is older than o, positive if newer.
func (v Version) Compare(o Version) int { return v.Number() - o.Number() }

// Flavor is one version of one family. It is immutable and safe for concurrent use.
type Flavor struct {
	family  gtid.Family
	version Version
}

// Oldest versions that are supported.
var (
	oldestMySQL   = Version{8, 0, 20}
	oldestMariaDB = Version{10, 6, 0}
)

// maxVersionText bounds what is looked at of a version string; real ones have up to 60 bytes.
const maxVersionText = 256

// Detect reads a server's version as its greeting or SELECT VERSION() has it. A server that is too old or of another
// family gives errcode.ServerVersion.
func Detect(text string) (*Flavor, Version, error) {
	refuse := func(why string) (*Flavor, Version, error) {
		return nil, Version{}, errcode.New(errcode.ServerVersion, strconv.Quote(text[:min(len(text), maxVersionText)]), why)
	}
	if len(text) > maxVersionText {
		return refuse("the text is too long for a version")
	}
	lower := strings.ToLower(text)
	for _, other := range []string{"tidb", "vitess", "pelorus", "oceanbase", "singlestore"} {
		if strings.Contains(lower, other) {
			return refuse("it is not a MySQL or MariaDB server")
		}
	}
	f := Flavor{family: gtid.MySQL}
	oldest, name := oldestMySQL, "MySQL"
	if strings.Contains(lower, "mariadb") {
		f.family = gtid.MariaDB
		oldest, name = oldestMariaDB, "MariaDB"
		// MariaDB 10 greets with this prefix, so that old clients do not take it for MySQL 10.
		text = strings.TrimPrefix(text, "5.5.5-")
	}
	v, ok := parseVersion(text)
	if !ok {
		return refuse("the version cannot be read")
	}
	if v.Compare(oldest) < 0 {
		return refuse(fmt.Sprintf("the oldest %s that is supported is %v", name, oldest))
	}
	f.version = v
	return &f, v, nil
}

func parseVersion(text string) (Version, bool) {
	end := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end >= 0 {
		text = text[:end]
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Version{}, false
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v > 99 {
			return Version{}, false
		}
		n[i] = v
	}
	return Version{n[0], n[1], n[2]}, true
}

// Family says whose GTIDs the server has.
func (f *Flavor) Family() gtid.Family { return f.family }

// Version is the server's version.
func (f *Flavor) Version() Version { return f.version }

// Name is "mysql" or "mariadb".
func (f *Flavor) Name() string { return f.family.String() }

// IsMariaDB says whether it is MariaDB.
func (f *Flavor) IsMariaDB() bool { return f.family == gtid.MariaDB }

// String is the name and the version.
func (f *Flavor) String() string { return f.Name() + " " + f.version.String() }

// my says whether it is MySQL of the version or later.
func (f *Flavor) my(major, minor, patch int) bool {
	return f.family == gtid.MySQL && f.version.Compare(Version{major, minor, patch}) >= 0
}

// ma says whether it is MariaDB of the version or later.
func (f *Flavor) ma(major, minor, patch int) bool {
	return f.family == gtid.MariaDB && f.version.Compare(Version{major, minor, patch}) >= 0
}

// pick returns the text of the family.
func (f *Flavor) pick(mysql, mariadb string) string {
	if f.IsMariaDB() {
		return mariadb
	}
	return mysql
}

// CanFollow says whether a server of flavor f may replicate from one of flavor source: the same family, and the source not
// of a newer release series than the replica.
func (f *Flavor) CanFollow(source *Flavor) bool {
	if f.family != source.family {
		return false
	}
	a, b := f.version, source.version
	return a.Major > b.Major || a.Major == b.Major && a.Minor >= b.Minor
}

// Announce is the version that a gateway in front of such servers tells its clients: in its greeting, and (with
// greeting false) for SELECT VERSION().
func (f *Flavor) Announce(release string, greeting bool) string {
	if !f.IsMariaDB() {
		return f.version.String() + "-Pelorus-" + release
	}
	s := f.version.String() + "-MariaDB-Pelorus-" + release
	if greeting && !f.ma(11, 0, 0) {
		s = "5.5.5-" + s
	}
	return s
}

// Capability is something that only some servers can do.
type Capability uint8

// Capabilities.
const (
	OfflineMode      Capability = iota // SET GLOBAL offline_mode cuts all clients
	SuperReadOnly                      // read-only even for administrators
	GTIDTags                           // transactions may have tags
	AckCount                           // semi-sync can wait for more than one replica
	KeepsReceived                      // received and not applied transactions survive a restart of the replica
	TruncateOnStart                    // a crashed server started as a replica cuts off what was not acknowledged
	KillUser                           // KILL USER ends all sessions of an account
	ValuesRow                          // VALUES ROW(...), ROW(...) and TABLE t
	DerivedColumns                     // (SELECT ...) AS x(a, b)
	ReopensTemporary                   // a temporary table may be used twice in one statement
	SetVarHint                         // SELECT /*+ SET_VAR(a=1) */
	SetStatement                       // SET STATEMENT a=1 FOR
	Returning                          // INSERT ... RETURNING
	MD5Function                        // MD5() and SHA1() are built in
	CloneInstance                      // CLONE INSTANCE FROM
	RemovedSlaveSQL                    // CHANGE MASTER, START SLAVE and the like are syntax errors
	capabilityCount
)

// capabilityNames are the words for people, in the order of the constants.
var capabilityNames = [capabilityCount]string{
	"offline_mode", "super_read_only", "gtid_tags", "ack_count", "keeps_received", "truncate_on_start", "kill_user", "values_row",
	"derived_columns", "reopens_temporary", "set_var_hint", "set_statement", "returning", "md5_function", "clone_instance", "removed_slave_sql",
}

// String is the capability's name.
func (c Capability) String() string {
	if c < capabilityCount {
		return capabilityNames[c]
	}
	return "capability " + strconv.Itoa(int(c))
}

// Has says whether the server has a capability.
func (f *Flavor) Has(c Capability) bool {
	mysql := !f.IsMariaDB()
	switch c {
	case OfflineMode, SuperReadOnly, AckCount, KeepsReceived, ValuesRow, DerivedColumns, SetVarHint, CloneInstance:
		return mysql
	case TruncateOnStart, KillUser, ReopensTemporary, SetStatement, Returning:
		return !mysql
	case GTIDTags:
		return f.my(8, 3, 0)
	case MD5Function:
		return !f.my(9, 6, 0)
	case RemovedSlaveSQL:
		return f.my(8, 4, 0)
	}
	return false
}

// Capabilities returns all that the server has.
func (f *Flavor) Capabilities() []Capability {
	var out []Capability
	for c := range capabilityCount {
		if f.Has(c) {
			out = append(out, c)
		}
	}
	return out
}
