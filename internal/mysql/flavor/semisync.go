package flavor

import (
	"strconv"

	"github.com/pelorusdb/pelorus/internal/fact"
)

// SemiSync names the variables of one family of semi-synchronous replication: source/replica (MySQL 8.0.26 and later) or
// master/slave (before, MariaDB, and upgraded servers that still have the old plugins).
type SemiSync struct {
	source, replica string
	counts          bool // the number of acknowledgements can be chosen
}

// Statement is a statement that may have been run already.
type Statement struct {
	SQL string
	// DoneErrno is the error that says so, or 0.
	DoneErrno uint16
}

// errPluginLoaded is MySQL's "function already exists", which INSTALL PLUGIN gives for a plugin that is there.
const errPluginLoaded = 1125

// InstallSemiSync are the statements that make semi-sync available; none where it is built in. Run them only when
// DetectSemiSync found nothing (the two families cannot be loaded together), and before the server is made
// read-only: a fenced MySQL server installs no plugin.
func (f *Flavor) InstallSemiSync() []Statement {
	switch {
	case f.IsMariaDB():
		return nil
	case f.my(8, 0, 26):
		return []Statement{
			{"INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'", errPluginLoaded},
			{"INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'", errPluginLoaded},
		}
	}
	return []Statement{
		{"INSTALL PLUGIN rpl_semi_sync_master SONAME 'semisync_master.so'", errPluginLoaded},
		{"INSTALL PLUGIN rpl_semi_sync_slave SONAME 'semisync_slave.so'", errPluginLoaded},
	}
}

// SemiSyncVariablesQuery gives the variables for DetectSemiSync and ParseSemiSync, as name and value.
func (f *Flavor) SemiSyncVariablesQuery() string {
	return `SHOW GLOBAL VARIABLES LIKE 'rpl\_semi\_sync%'`
}

// SemiSyncStatusQuery gives the status for ParseSemiSync, as name and value.
func (f *Flavor) SemiSyncStatusQuery() string { return `SHOW GLOBAL STATUS LIKE 'Rpl\_semi\_sync%'` }

// DetectSemiSync finds the family by the variables that exist; nil if source or replica side is not there.
func (f *Flavor) DetectSemiSync(variables map[string]string) *SemiSync {
	for _, s := range []SemiSync{{"source", "replica", true}, {"master", "slave", !f.IsMariaDB()}} {
		_, a := variables["rpl_semi_sync_"+s.source+"_enabled"]
		_, b := variables["rpl_semi_sync_"+s.replica+"_enabled"]
		if a && b {
			return &s
		}
	}
	return nil
}

// AckTimeoutMS is how long a commit waits for its acknowledgement before it falls back to asynchronous replication, in
// milliseconds: 49.7 days, the longest that both families' older versions take. Pelorus never wants to fall back.
const AckTimeoutMS = 1<<32 - 1

// EnableSource turns the source side on, lossless and without falling back, for commits that begin from now on. acks is
// how many replicas must have a transaction; MariaDB always waits for one.
func (s *SemiSync) EnableSource(acks int) []string {
	v := "SET GLOBAL rpl_semi_sync_" + s.source + "_"
	out := []string{
		v + "wait_point=AFTER_SYNC",
		v + "timeout=" + strconv.Itoa(AckTimeoutMS),
		v + "wait_no_" + s.replica + "=ON",
	}
	if s.counts {
		out = append(out, v+"wait_for_"+s.replica+"_count="+strconv.Itoa(max(1, acks)))
	}
	return append(out, v+"enabled=ON")
}

// DisableSource turns the source side off. **Commits that wait are then answered OK without an acknowledgement**: cut
// the clients first.
func (s *SemiSync) DisableSource() []string {
	return []string{"SET GLOBAL rpl_semi_sync_" + s.source + "_enabled=OFF"}
}

// SetReplica turns the replica side on or off. It takes effect when the receiver is started again.
func (s *SemiSync) SetReplica(on bool) []string {
	word := "OFF"
	if on {
		word = "ON"
	}
	return []string{"SET GLOBAL rpl_semi_sync_" + s.replica + "_enabled=" + word}
}

// SemiSyncStatus is the state of both sides. A nil field is unknown.
type SemiSyncStatus struct {
	SourceEnabled  *bool
	ReplicaEnabled *bool
	ReplicaActive  *bool   // the replica side really acknowledges
	Clients        *uint32 // replicas connected that acknowledge; lags a second behind on MySQL
	WaitPoint      *string
	TimeoutMS      *uint64
	WaitNoReplica  *bool   // waits also when no replica is connected
	AckCount       *uint32 // nil on MariaDB: always one
	NoTx           *uint64 // commits that were not acknowledged; if it grows, semi-sync is not lossless
	YesTx          *uint64
}

// ParseSemiSync reads variables and status, each as name to value.
func (s *SemiSync) ParseSemiSync(variables, status map[string]string) SemiSyncStatus {
	v, st := statusRow(variables), statusRow(status)
	src, rep := "rpl_semi_sync_"+s.source+"_", "rpl_semi_sync_"+s.replica+"_"
	stSrc, stRep := "Rpl_semi_sync_"+s.source+"_", "Rpl_semi_sync_"+s.replica+"_"
	return SemiSyncStatus{
		SourceEnabled: v.onOff(src + "enabled"), ReplicaEnabled: v.onOff(rep + "enabled"), ReplicaActive: st.onOff(stRep + "status"),
		Clients: st.uint32(stSrc + "clients"), WaitPoint: v.text(src + "wait_point"), TimeoutMS: v.uint64(src + "timeout"),
		WaitNoReplica: v.onOff(src + "wait_no_" + s.replica), AckCount: v.uint32(src + "wait_for_" + s.replica + "_count"),
		NoTx: st.uint64(stSrc + "no_tx"), YesTx: st.uint64(stSrc + "yes_tx"),
	}
}

// MinAckTimeoutMS is the shortest timeout that counts as not falling back: 24 days, above any that people choose.
const MinAckTimeoutMS = 1 << 31

// Lossless says whether a source is so set that no commit is answered before enough replicas have it. The server's own
// "status ON" is no evidence for it. That each acker really acknowledges is to be asked of the ackers.
func (s SemiSyncStatus) Lossless() fact.Truth {
	t := fact.And(holds(s.SourceEnabled), is(s.WaitPoint, func(p string) bool { return p == "AFTER_SYNC" }),
		is(s.TimeoutMS, func(ms uint64) bool { return ms >= MinAckTimeoutMS }), holds(s.WaitNoReplica))
	return t
}

// HasAckers says whether at least n acknowledging replicas are connected to a source.
func (s SemiSyncStatus) HasAckers(n uint32) fact.Truth {
	return is(s.Clients, func(c uint32) bool { return c >= n })
}

func holds(p *bool) fact.Truth { return is(p, func(b bool) bool { return b }) }

func is[T any](p *T, pred func(T) bool) fact.Truth {
	if p == nil {
		return fact.Unknown
	}
	return fact.Of(pred(*p))
}
