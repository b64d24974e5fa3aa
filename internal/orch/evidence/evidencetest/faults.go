package evidencetest

import (
	"time"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/fact"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// refusedText is what receivers of both families say of a source that nobody listens at.
const refusedText = "error connecting to source 'r@10.0.0.1:3306': Can't connect to server (111)"

// Losses are how a receiver sees the loss of its source.
type Losses int

// The ways to lose a source.
const (
	LostRefused Losses = iota // its host answers that nobody listens
	LostSilent                // the server has noticed that nothing comes
	LostQuiet                 // the server still calls its receiver running, and nothing comes
)

// Lose makes replicas lose the primary.
func (s *Shard) Lose(how Losses, aliases ...string) {
	for _, alias := range aliases {
		r := s.Status(alias).Replication
		if r == nil {
			continue
		}
		r.SilentFor, r.LastHeartbeatAt = durationpb.New(4*time.Second), nil
		switch how {
		case LostRefused:
			r.Receiver, r.LastIoErrno, r.LastIoError = proto.String("Connecting"), proto.Uint32(2003), proto.String(refusedText)
		case LostSilent:
			r.Receiver = proto.String("Connecting")
		}
		if p := s.peer(alias, Primary); p != nil && how == LostRefused {
			p.Server = tabletv1.Contact_CONTACT_REFUSED.Enum()
		} else if p != nil {
			p.Server = tabletv1.Contact_CONTACT_SILENT.Enum()
		}
	}
}

// peer is what the agent of observer reports of another tablet; nil if nothing.
func (s *Shard) peer(observer, alias string) *tabletv1.Peer {
	for _, p := range s.Status(observer).GetPeers().GetList() {
		if p.GetAlias() == alias {
			return p
		}
	}
	return nil
}

// unheard makes a tablet's agent one that the other agents do not reach.
func (s *Shard) unheard(alias string, contact tabletv1.Contact) {
	for _, observer := range Aliases() {
		if p := s.peer(observer, alias); p != nil {
			p.Agent = &contact
		}
	}
}

// Regain makes replicas get the primary's transactions.
func (s *Shard) Regain(aliases ...string) {
	for _, alias := range aliases {
		r := s.Status(alias).Replication
		r.Receiver, r.LastIoErrno, r.LastIoError = proto.String("Yes"), proto.Uint32(0), proto.String("")
		r.SilentFor, r.LastHeartbeatAt = durationpb.New(0), timestamppb.New(s.Now)
		if p := s.peer(alias, Primary); p != nil {
			p.Server = tabletv1.Contact_CONTACT_ANSWERS.Enum()
		}
	}
}

// Followers are all but the primary.
func Followers() []string { return Aliases()[1:] }

// KillServer kills a tablet's server; its agent sees that it does not run.
func (s *Shard) KillServer(alias string) {
	st := s.Status(alias)
	lease := st.Lease
	st.Server = &tabletv1.ServerStatus{
		Running: proto.Bool(false), Responding: proto.Bool(false), Starting: proto.Bool(false), DiskFreeBytes: st.Server.DiskFreeBytes, DiskTotalBytes: st.Server.DiskTotalBytes,
		DiskReadOnly: st.Server.DiskReadOnly, DiskBlockedFor: st.Server.DiskBlockedFor, LastError: proto.String("the server died"),
	}
	st.Replication, st.SemiSync, st.Lag, st.Redo, st.ReignTerm, st.Lease = nil, nil, nil, nil, nil, lease
	s.Servers[alias] = s.contact(evidence.Refused)
	if alias == Primary {
		s.Lose(LostRefused, Followers()...)
	}
}

func (s *Shard) contact(standing evidence.Standing) fact.Fact[evidence.Contact] {
	return fact.Known(evidence.Contact{Standing: standing, Since: s.Now}, s.Now, s.Observer)
}

// KillAgent kills an agent; the host says that nobody listens.
func (s *Shard) KillAgent(alias string) {
	o := s.Reports[alias]
	o.Unreachable, o.Refused, o.Since, o.TriedAt = "connection refused", true, s.Now, s.Now
	s.Reports[alias] = o
	s.unheard(alias, tabletv1.Contact_CONTACT_REFUSED)
}

// Silence makes agent and server of a tablet unreachable for this observer, without a word.
func (s *Shard) Silence(alias string) {
	o := s.Reports[alias]
	o.Unreachable, o.Refused, o.Since, o.TriedAt = "nothing came for 1.5s", false, s.Now.Add(-2*time.Second), s.Now
	s.Reports[alias] = o
	s.Servers[alias] = s.contact(evidence.Silent)
}

// KillProcesses kills server and agent of a tablet; its host lives.
func (s *Shard) KillProcesses(alias string) {
	s.KillServer(alias)
	s.KillAgent(alias)
}

// KillHost makes a tablet's host vanish; the lease goes on until ExpireLease.
func (s *Shard) KillHost(alias string) {
	s.Silence(alias)
	s.unheard(alias, tabletv1.Contact_CONTACT_SILENT)
	if alias == Primary {
		s.Lose(LostSilent, Followers()...)
	}
}

// ExpireLease lets the lease of the reign end.
func (s *Shard) ExpireLease() { s.Lease = fact.Known(evidence.Lease{Term: Term}, s.Now, "topology") }

// Overload makes a tablet's server too slow to answer its agent; replicas still get its transactions.
func (s *Shard) Overload(alias string) {
	st := s.Status(alias)
	s.blind(st)
	st.Server.Responding = proto.Bool(false)
	st.Server.ProbeDuration, st.Server.CommitBlockedFor = durationpb.New(2*time.Second), durationpb.New(8*time.Second)
}

// blind removes what an agent can't know while its server does not answer.
func (s *Shard) blind(st *tabletv1.FullStatus) {
	st.Server = &tabletv1.ServerStatus{
		Running: st.Server.Running, Pid: st.Server.Pid, Starting: st.Server.Starting, DiskFreeBytes: st.Server.DiskFreeBytes, DiskTotalBytes: st.Server.DiskTotalBytes,
		DiskReadOnly: st.Server.DiskReadOnly, DiskBlockedFor: st.Server.DiskBlockedFor,
	}
	st.Replication, st.SemiSync, st.Lag, st.Redo, st.ReignTerm = nil, nil, nil, nil, nil
}

// Older makes a tablet's agent one of the release before: it does not send what this release added.
func (s *Shard) Older(alias string) {
	st := s.Status(alias)
	st.AgentVersion = proto.String("0.1.0")
	st.Host, st.Lease, st.Peers = nil, nil, nil
	if sv := st.Server; sv != nil {
		sv.Starting, sv.DiskReadOnly, sv.DiskBlockedFor, sv.CommitBlockedFor = nil, nil, nil, nil
	}
	if r := st.Replication; r != nil {
		r.SilentFor, r.Held = nil, nil
	}
	if ss := st.SemiSync; ss != nil {
		ss.WaitNoReplica, ss.AckCount, ss.YesTx = nil, nil, nil
	}
}
