package recovery_test

import (
	"strings"
	"testing"

	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/orch/recovery"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

const (
	old, one, two = "zone1-101", "zone1-102", "zone2-103"
	uOld          = "00000000-0000-0000-0000-000000000101"
	uOne          = "00000000-0000-0000-0000-000000000102"
)

var versions = map[string]string{"mysql": "8.4.3", "mariadb": "10.11.19-MariaDB"}

var uids = map[string]uint32{old: 101, one: 102, two: 103}

// world is a shard of three under old in term 7 whose servers stand at the given positions.
func world(flavor string, executed map[string]string) recovery.Shard {
	s := recovery.Shard{
		Keyspace: &topov1.Keyspace{Name: proto.String("shop")},
		Record:   &topov1.Shard{Keyspace: proto.String("shop"), Name: proto.String("0"), Term: proto.Uint64(7), Primary: proto.String(old)},
		Tablets:  map[string]recovery.Tablet{},
	}
	for alias, uid := range uids {
		cell, _, _ := strings.Cut(alias, "-")
		rec := &topov1.Tablet{
			Alias: &alias, Cell: &cell, Uid: &uid, Type: topov1.TabletType_TABLET_TYPE_REPLICA.Enum(),
			Host: proto.String("h"), MysqlPort: &uid, Flavor: &flavor,
		}
		st := &tabletv1.FullStatus{
			Term: proto.Uint64(7), Fenced: proto.Bool(false),
			Server: &tabletv1.ServerStatus{
				Responding: proto.Bool(true), ReadOnly: proto.Bool(alias != old), Executed: proto.String(executed[alias]),
				Flavor: &flavor, Version: proto.String(versions[flavor]),
				ServerUuid: proto.String("00000000-0000-0000-0000-000000000" + alias[len(alias)-3:]), ServerId: &uid,
			},
			Replication: &tabletv1.ReplicationStatus{Configured: proto.Bool(false)},
		}
		if alias != old {
			st.Replication = &tabletv1.ReplicationStatus{
				Configured: proto.Bool(true), Receiver: proto.String("Yes"), Applier: proto.String("Yes"),
				SourceHost: proto.String("h"), SourcePort: proto.Uint32(101),
			}
		}
		s.Tablets[alias] = recovery.Tablet{Record: rec, Status: st}
	}
	return s
}

func received(r, a string) recovery.Received { return recovery.Received{Received: &r, Applied: &a} }

func TestEmergencyChoice(t *testing.T) {
	silent := recovery.Received{Err: "no answer"}
	tests := []struct {
		name, flavor string
		one, two     recovery.Received
		demoted      string
		asked        string
		force        bool
		want         string
		code         errcode.Code
	}{
		{name: "equal: the old primary's cell", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9"), two: received(uOld+":1-9", uOld+":1-9"), want: one},
		{name: "equal: who was asked for", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9"), two: received(uOld+":1-9", uOld+":1-9"), asked: two, want: two},
		{name: "received counts, not applied", flavor: "mysql", one: received(uOld+":1-8", uOld+":1-8"), two: received(uOld+":5-9", uOld+":1-6"), want: two},
		{name: "relay logs that begin later", flavor: "mysql", one: received("", uOld+":1-9"), two: received(uOld+":1-8", uOld+":1-8"), want: one},
		{name: "asked for the one behind", flavor: "mysql", one: received(uOld+":1-8", uOld+":1-8"), two: received(uOld+":1-9", uOld+":1-9"), asked: one, code: errcode.RefusedByState},
		{name: "an acknowledger is silent", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9"), two: silent, code: errcode.EvidenceMissing},
		{name: "silent, forced", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9"), two: silent, force: true, want: one},
		{name: "silent, but the old primary ended here", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9"), two: silent, demoted: uOld + ":1-9", want: one},
		{name: "silent, and the old primary has more", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9"), two: silent, demoted: uOld + ":1-10", code: errcode.EvidenceMissing},
		{name: "nobody answers", flavor: "mysql", one: silent, two: silent, force: true, code: errcode.NoCandidate},
		{name: "positions not reported", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9"), two: recovery.Received{}, code: errcode.EvidenceMissing},
		{name: "position unreadable", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9"), two: received("rubbish", "rubbish"), code: errcode.EvidenceMissing},
		{name: "errant is passed over", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9,"+uOne+":1"), two: received(uOld+":1-9", uOld+":1-9"), want: two},
		{name: "errant and further", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9,"+uOne+":1"), two: received(uOld+":1-8", uOld+":1-8"), want: two},
		{name: "former reigns are not errant", flavor: "mysql", one: received(uOld+":1-9", uOld+":1-9,"+uOne+":1-5"), two: received(uOld+":1-8", uOld+":1-8,"+uOne+":1-5"), want: one},
		{name: "mariadb: received counts", flavor: "mariadb", one: received("0-101-8", "0-101-8"), two: received("0-101-9", "0-101-5"), want: two},
		{name: "mariadb: nothing said of what was received", flavor: "mariadb", one: received("0-101-8", "0-101-8"), two: received("", "0-101-7"), want: one},
		{name: "mariadb: diverged", flavor: "mariadb", one: received("0-101-9", "0-101-9"), two: received("0-101-8", "0-999-9"), code: errcode.EvidenceMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := world(tt.flavor, nil)
			ev := recovery.Evidence{Stopped: map[string]recovery.Received{one: tt.one, two: tt.two}}
			if tt.demoted != "" {
				ev.Demoted = &tt.demoted
			}
			plan, err := recovery.Emergency(s, ev, tt.asked, tt.force)
			if tt.code != 0 {
				if !errcode.Has(err, tt.code) {
					t.Fatalf("got %+v, %v; want PLR%d", plan, err, tt.code)
				}
				return
			}
			if err != nil || plan.New != tt.want || plan.Term != 8 || plan.Old != old || len(plan.Followers) != 2 || !plan.SemiSync {
				t.Fatalf("got %+v, %v; want %s", plan, err, tt.want)
			}
		})
	}
}

func TestEmergencyWithoutSemiSync(t *testing.T) {
	s := world("mysql", nil)
	s.Keyspace.Durability = topov1.Durability_DURABILITY_NONE.Enum()
	ev := recovery.Evidence{Stopped: map[string]recovery.Received{one: received(uOld+":1-8", uOld+":1-8"), two: {Err: "no answer"}}}
	plan, err := recovery.Emergency(s, ev, "", false)
	if err != nil || plan.New != one || plan.SemiSync || len(plan.Notes) == 0 {
		t.Fatalf("got %+v, %v", plan, err)
	}
}

func TestOnlyReplicasReign(t *testing.T) {
	s := world("mysql", nil)
	for _, alias := range []string{one, two} {
		s.Tablets[alias].Record.Type = topov1.TabletType_TABLET_TYPE_RDONLY.Enum()
	}
	ev := recovery.Evidence{Stopped: map[string]recovery.Received{one: received("", ""), two: received("", "")}}
	if _, err := recovery.Emergency(s, ev, "", true); !errcode.Has(err, errcode.NoCandidate) {
		t.Errorf("emergency: %v", err)
	}
	if _, err := recovery.Emergency(s, ev, one, true); !errcode.Has(err, errcode.RefusedByState) {
		t.Errorf("emergency, asked: %v", err)
	}
	if _, err := recovery.Planned(s, ""); !errcode.Has(err, errcode.NoCandidate) {
		t.Errorf("planned: %v", err)
	}
}

func TestPlannedOnMariaDB(t *testing.T) {
	s := world("mariadb", map[string]string{old: "0-101-9", one: "0-101-9", two: "0-101-8"})
	if plan, err := recovery.Planned(s, ""); err != nil || plan.New != one {
		t.Errorf("got %+v, %v", plan, err)
	}
	s = world("mariadb", map[string]string{old: "0-101-9", one: "0-102-9", two: "0-101-8"})
	if _, err := recovery.Planned(s, one); !errcode.Has(err, errcode.RefusedByState) && !errcode.Has(err, errcode.EvidenceMissing) {
		t.Errorf("a diverged candidate: %v", err)
	}
}

// TestHidingFactsNeverMakesAPlan hides random facts of a random world: what is then planned must have been plannable with
// the full picture too, for the same tablet.
func TestHidingFactsNeverMakesAPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		positions := []string{"", uOld + ":1-8", uOld + ":1-9", uOld + ":1-9," + uOne + ":1"}
		executed := map[string]string{}
		for _, alias := range []string{old, one, two} {
			executed[alias] = rapid.SampledFrom(positions).Draw(t, "position of "+alias)
		}
		build := func() recovery.Shard { return world("mysql", executed) }
		full, hidden := build(), build()
		for _, alias := range []string{old, one, two} {
			version := rapid.SampledFrom([]string{"8.4.3", "8.4.3", "9.7.4"}).Draw(t, "version of "+alias)
			breakage := rapid.IntRange(0, 4).Draw(t, "breakage of "+alias)
			for _, s := range []recovery.Shard{full, hidden} {
				st := s.Tablets[alias].Status
				st.Server.Version = &version
				switch breakage {
				case 1:
					st.Server.Responding = proto.Bool(false)
				case 2:
					st.Fenced = proto.Bool(true)
				case 3:
					st.Replication.Applier = proto.String("No")
				}
			}
			st := hidden.Tablets[alias].Status
			for i, hide := range []func(){
				func() { st.Server.Responding = nil }, func() { st.Server.ReadOnly = nil }, func() { st.Server.Executed = nil },
				func() { st.Fenced = nil }, func() { st.Replication.Receiver = nil }, func() { st.Replication.Applier = nil },
				func() { st.Replication.SourcePort = nil }, func() { st.Term = nil }, func() { st.Replication = nil },
				func() { st.Server.Version = nil }, func() { st.Server.Flavor = nil },
			} {
				if rapid.IntRange(0, 5).Draw(t, "hide") == i%6 {
					hide()
				}
			}
		}
		asked := rapid.SampledFrom([]string{one, two}).Draw(t, "asked")
		if _, err := recovery.Planned(hidden, asked); err != nil {
			return
		}
		if _, err := recovery.Planned(full, asked); err != nil {
			t.Fatalf("with facts hidden %s may reign, with all of them it may not: %v", asked, err)
		}
	})
}

// TestVersions: nobody reigns from whom another replica could not replicate.
func TestVersions(t *testing.T) {
	const older, newer = "8.4.3", "9.7.4"
	at := uOld + ":1-9"
	tests := []struct {
		name               string
		old, one, two      string
		planned, emergency string
	}{
		{"all the same", older, older, older, one, one},
		{"one is upgraded", older, newer, older, two, two},
		{"all but the old primary are upgraded", older, newer, newer, one, one},
		{"the version of a candidate is not known", older, "", older, "", ""},
		{"not a version", older, "rubbish", older, "", ""},
	}
	for _, tt := range tests {
		s := world("mysql", map[string]string{old: at, one: at, two: at})
		for alias, v := range map[string]string{old: tt.old, one: tt.one, two: tt.two} {
			s.Tablets[alias].Status.Server.Version = &v
		}
		plan, err := recovery.Planned(s, "")
		if plan.New != tt.planned || (err != nil) != (tt.planned == "") {
			t.Errorf("%s: planned %+v, %v", tt.name, plan, err)
		}
		if noted := len(plan.Notes) > 0; noted != (tt.planned != "" && tt.old == older && plan.New != "" && tt.one == newer && tt.two == newer) {
			t.Errorf("%s: that the old primary cannot follow: %v", tt.name, plan.Notes)
		}
		ev := recovery.Evidence{Stopped: map[string]recovery.Received{one: received(at, at), two: received(at, at)}}
		plan, err = recovery.Emergency(s, ev, "", false)
		if plan.New != tt.emergency || (err != nil) != (tt.emergency == "") {
			t.Errorf("%s: emergency %+v, %v", tt.name, plan, err)
		}
	}
}

// TestBrokenReplicaHoldsUpNobody: a replica whose server is dead does not tell its version, and that forbids nothing.
func TestBrokenReplicaHoldsUpNobody(t *testing.T) {
	at := uOld + ":1-9"
	s := world("mysql", map[string]string{old: at, one: at, two: at})
	s.Keyspace.Durability = topov1.Durability_DURABILITY_NONE.Enum()
	s.Tablets[two].Record.ServerVersion = proto.String("8.4.3")
	s.Tablets[two].Status.Server = &tabletv1.ServerStatus{Responding: proto.Bool(false)}
	if plan, err := recovery.Planned(s, ""); err != nil || plan.New != one {
		t.Errorf("planned: %+v, %v", plan, err)
	}
	ev := recovery.Evidence{Stopped: map[string]recovery.Received{one: received(at, at), two: {Err: "the server is dead"}}}
	if plan, err := recovery.Emergency(s, ev, "", false); err != nil || plan.New != one {
		t.Errorf("emergency: %+v, %v", plan, err)
	}
}

// TestPromotionRules: they decide between equals, and one of them always.
func TestPromotionRules(t *testing.T) {
	at := uOld + ":1-9"
	tests := []struct {
		one, two topov1.Promotion
		want     string
	}{
		{topov1.Promotion_PROMOTION_UNSPECIFIED, topov1.Promotion_PROMOTION_UNSPECIFIED, one},
		{topov1.Promotion_PROMOTION_NEUTRAL, topov1.Promotion_PROMOTION_PREFER, two},
		{topov1.Promotion_PROMOTION_PREFER_NOT, topov1.Promotion_PROMOTION_UNSPECIFIED, two},
		{topov1.Promotion_PROMOTION_MUST_NOT, topov1.Promotion_PROMOTION_PREFER_NOT, two},
		{topov1.Promotion_PROMOTION_MUST_NOT, topov1.Promotion_PROMOTION_MUST_NOT, ""},
	}
	for _, tt := range tests {
		s := world("mysql", map[string]string{old: at, one: at, two: at})
		s.Tablets[one].Record.Promotion, s.Tablets[two].Record.Promotion = tt.one.Enum(), tt.two.Enum()
		if plan, err := recovery.Planned(s, ""); plan.New != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%+v: planned %+v, %v", tt, plan, err)
		}
		ev := recovery.Evidence{Stopped: map[string]recovery.Received{one: received(at, at), two: received(at, at)}}
		if plan, err := recovery.Emergency(s, ev, "", false); plan.New != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%+v: emergency %+v, %v", tt, plan, err)
		}
		if _, err := recovery.Planned(s, one); (err != nil) != (tt.one == topov1.Promotion_PROMOTION_MUST_NOT) {
			t.Errorf("%+v: asked for: %v", tt, err)
		}
	}
	s := world("mysql", nil)
	s.Tablets[two].Record.Promotion = topov1.Promotion_PROMOTION_PREFER.Enum()
	ev := recovery.Evidence{Stopped: map[string]recovery.Received{one: received(at, at), two: received(uOld+":1-8", uOld+":1-8")}}
	if plan, err := recovery.Emergency(s, ev, "", false); plan.New != one {
		t.Errorf("a preferred replica that is behind was taken: %+v, %v", plan, err)
	}
}

// TestCrossCell: only acknowledgements from other cells count, so only the replicas there have to be heard.
func TestCrossCell(t *testing.T) {
	at := uOld + ":1-9"
	s := world("mysql", map[string]string{old: at, one: at, two: at})
	s.Keyspace.Durability = topov1.Durability_DURABILITY_CROSS_CELL.Enum()
	ev := recovery.Evidence{Stopped: map[string]recovery.Received{one: {Err: "no answer"}, two: received(at, at)}}
	if plan, err := recovery.Emergency(s, ev, "", false); err != nil || plan.New != two {
		t.Errorf("the silent one did not acknowledge: %+v, %v", plan, err)
	}
	ev = recovery.Evidence{Stopped: map[string]recovery.Received{one: received(at, at), two: {Err: "no answer"}}}
	if plan, err := recovery.Emergency(s, ev, "", false); !errcode.Has(err, errcode.EvidenceMissing) {
		t.Errorf("the silent one may have acknowledged: %+v, %v", plan, err)
	}
}
