package agent

import (
	"fmt"
	"slices"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/durability"
)

// task is what the agent has to do with its server.
type task int

const (
	// taskHold means: touch nothing, the knowledge is missing or another has the word.
	taskHold task = iota
	// taskFence means: keep closed to writes; there is nobody to replicate from.
	taskFence
	// taskReign means: be the writable primary.
	taskReign
	// taskFollow means: be a read-only replica.
	taskFollow
)

// duty is a task with its particulars.
type duty struct {
	task task
	why  string
	term uint64
	// primary is the alias of who reigns.
	primary string
	// host and port are the primary's server, with taskFollow.
	host string
	port uint32
	// acks says whether this replica acknowledges commits, with taskFollow.
	acks bool
	// semiSync says whether commits wait for an acknowledgement, with taskReign.
	semiSync bool
}

// decide reads the duty of a tablet off the topology. It is pure: the same view gives the same duty.
func decide(alias string, view *topo.ShardView, keyspace *topov1.Keyspace, s state) duty {
	if view == nil {
		return duty{task: taskHold, why: "the topology has not been read yet"}
	}
	shard := view.Shard
	if shard.GetTerm() == 0 || shard.GetPrimary() == "" {
		return duty{task: taskFence, why: "the shard has no primary yet", term: s.Term}
	}
	d := duty{term: shard.GetTerm(), primary: shard.GetPrimary()}
	if d.term < s.Term {
		d.why = fmt.Sprintf("the shard's record is of term %d, and term %d was announced", d.term, s.Term)
		return d
	}
	if d.primary == alias {
		if s.demoted(d.term) {
			d.task, d.why = taskFence, fmt.Sprintf("the reign of term %d was ended by a demotion", d.term)
			return d
		}
		d.task, d.semiSync = taskReign, durability.SemiSync(keyspace, view.Tablets, alias)
		return d
	}
	source, ok := view.Tablets[d.primary]
	if !ok || source.GetHost() == "" || source.GetMysqlPort() == 0 {
		d.task, d.why = taskFence, fmt.Sprintf("the primary %s has no complete record in the topology", d.primary)
		return d
	}
	d.task, d.host, d.port = taskFollow, source.GetHost(), source.GetMysqlPort()
	d.acks = slices.Contains(durability.Ackers(keyspace, view.Tablets, d.primary), alias)
	return d
}
