package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/version"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

const (
	// leastFree is the part of a server's disk that should be free.
	leastFree = 0.10
	// maxSkew is how far an agent's clock may be from this node's: reports are at most a second under way.
	maxSkew = 5 * time.Second
)

// findings collects what the doctor sees.
type findings struct {
	list []*controlv1.Finding
}

func (f *findings) add(severity controlv1.Severity, code, scope, message, cure string) {
	f.list = append(f.list, &controlv1.Finding{
		Severity: severity.Enum(), Code: &code, Scope: &scope, Message: &message, Cure: proto.String(cure),
	})
}

const (
	info    = controlv1.Severity_SEVERITY_INFO
	warning = controlv1.Severity_SEVERITY_WARNING
	failure = controlv1.Severity_SEVERITY_ERROR
)

// RunDoctor implements the API.
func (s clusterService) RunDoctor(ctx context.Context, req *connect.Request[controlv1.RunDoctorRequest]) (*connect.Response[controlv1.RunDoctorResponse], error) {
	status, err := s.status(ctx, req.Msg.GetKeyspace())
	if err != nil {
		return nil, err
	}
	f := new(findings)
	if _, err := s.Topo.Keyspaces(ctx); err != nil {
		f.add(failure, "topology_unreachable", "cluster", err.Error(), "bring etcd back; statements run on meanwhile by what the gateways last read")
	} else if err := s.examineVSchemas(ctx, f); err != nil {
		return nil, err
	}
	resp := &controlv1.RunDoctorResponse{TabletsChecked: proto.Uint32(0), ShardsChecked: proto.Uint32(0)}
	if len(status.GetKeyspaces()) == 0 {
		f.add(info, "no_keyspace", "cluster", "there is no keyspace", "create one: pelorus keyspace create NAME --shards ...")
	}
	for _, ks := range status.GetKeyspaces() {
		f.examineKeyspace(ks)
		for _, shard := range ks.GetShards() {
			*resp.ShardsChecked++
			f.examineShard(shard)
			for _, t := range shard.GetTablets() {
				*resp.TabletsChecked++
				f.examineTablet(t)
			}
		}
	}
	slices.SortStableFunc(f.list, func(a, b *controlv1.Finding) int { return int(b.GetSeverity()) - int(a.GetSeverity()) })
	resp.Findings = f.list
	return connect.NewResponse(resp), nil
}

// examineVSchemas compiles all vschemas as a gateway does.
func (s *Server) examineVSchemas(ctx context.Context, f *findings) error {
	inputs, err := s.inputs(ctx)
	if err != nil {
		return err
	}
	rules, _, err := s.Topo.RoutingRules(ctx)
	if err != nil {
		return err
	}
	_, problems := vschema.NewCluster(inputs, rules.GetJson(), 0)
	for _, p := range problems {
		f.add(failure, "vschema_problem", "cluster", p.Error(), "correct it and apply it: pelorus vschema apply, pelorus routing-rules apply")
	}
	return nil
}

func (f *findings) examineKeyspace(ks *controlv1.KeyspaceStatus) {
	if ks.GetKeyspace() == nil {
		f.add(failure, "keyspace_without_record", ks.GetName(), "tablets have registered in a keyspace that does not exist", "create it, or stop these tablets")
	}
	var serving []string
	for _, shard := range ks.GetShards() {
		if shard.GetShard().GetServing() {
			serving = append(serving, shard.GetName())
		}
	}
	if problem := partitionProblem(serving); problem != "" {
		f.add(failure, "serving_shards", ks.GetName(), problem, "correct which shards serve: pelorus shard set")
	}
}

// partitionProblem says what is wrong with a set of serving shards in the order of their ranges; empty if every keyspace id
// belongs to exactly one.
func partitionProblem(serving []string) string {
	if len(serving) == 0 {
		return "no shard serves"
	}
	var reached []byte
	for i, name := range serving {
		start, end, err := topo.ShardBounds(name)
		if err != nil {
			return err.Error()
		}
		if string(start) != string(reached) {
			return fmt.Sprintf("there is a hole or an overlap before shard %s", name)
		}
		if reached = end; len(end) == 0 && i < len(serving)-1 {
			return fmt.Sprintf("shard %s overlaps shard %s", name, serving[i+1])
		}
	}
	if len(reached) > 0 {
		return fmt.Sprintf("nobody serves the keyspace ids from %x on", reached)
	}
	return ""
}

func (f *findings) examineShard(shard *controlv1.ShardStatus) {
	scope := shard.GetKeyspace() + "/" + shard.GetName()
	rec := shard.GetShard()
	switch {
	case rec == nil:
		f.add(failure, "shard_without_record", scope, "tablets have registered in a shard that does not exist", "create it: pelorus shard create "+scope)
	case rec.GetTerm() == 0:
		f.add(failure, "shard_without_primary", scope, "the shard has no primary yet", "give it its first primary: pelorus shard init "+scope)
	case shard.GetHealth() == controlv1.Health_HEALTH_DOWN:
		f.add(failure, "shard_down", scope, join(shard.GetReasons()), "see the tablets below; a lost primary is replaced by: pelorus reparent emergency "+scope)
	case shard.GetHealth() == controlv1.Health_HEALTH_UNKNOWN:
		f.add(warning, "shard_unknown", scope, join(shard.GetReasons()), "start the agent of the primary again; that does not disturb its server")
	}
	replicas := 0
	for _, t := range shard.GetTablets() {
		if t.GetTablet().GetAlias() != rec.GetPrimary() && t.GetTablet().GetType() == topov1.TabletType_TABLET_TYPE_REPLICA {
			replicas++
		}
	}
	if rec.GetTerm() > 0 && replicas == 0 {
		f.add(warning, "shard_without_replica", scope, "no replica could replace the primary", "add a tablet of type replica")
	}
}

func (f *findings) examineTablet(t *controlv1.TabletStatus) {
	alias := t.GetTablet().GetAlias()
	switch t.GetHealth() {
	case controlv1.Health_HEALTH_DOWN:
		f.add(failure, "tablet_down", alias, join(t.GetReasons()), "see the server's error log; start it: pelorus tablet start "+alias)
	case controlv1.Health_HEALTH_DEGRADED:
		f.add(warning, "tablet_degraded", alias, join(t.GetReasons()), "see: pelorus tablet status "+alias)
	case controlv1.Health_HEALTH_UNKNOWN:
		f.add(warning, "tablet_unknown", alias, join(t.GetReasons()), "start its agent again; that does not disturb its server")
	}
	st := t.GetStatus()
	if t.GetStale() || st == nil {
		return
	}
	if v := st.GetAgentVersion(); v != "" && v != version.Version {
		f.add(info, "version_skew", alias, fmt.Sprintf("the agent is of version %s, this control node of %s", v, version.Version), "upgrade what is older")
	}
	if total := st.GetServer().GetDiskTotalBytes(); total > 0 && st.GetServer().DiskFreeBytes != nil {
		if free := float64(st.GetServer().GetDiskFreeBytes()) / float64(total); free < leastFree {
			f.add(warning, "disk_low", alias, fmt.Sprintf("%.0f%% of the disk are free", 100*free), "make room: a server with a full disk stops committing")
		}
	}
	if st.GetTakenAt() != nil && t.GetReceivedAt() != nil {
		if skew := t.GetReceivedAt().AsTime().Sub(st.GetTakenAt().AsTime()).Abs(); skew > maxSkew {
			f.add(warning, "clock_skew", alias, fmt.Sprintf("its clock differs by %s from this node's", skew.Round(time.Second)), "synchronise the clocks")
		}
	}
}

func join(reasons []string) string {
	out := ""
	for i, r := range reasons {
		if i > 0 {
			out += "; "
		}
		out += r
	}
	return out
}
