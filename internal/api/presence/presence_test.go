package presence_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/internal/api/presence"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// TestEveryFieldHasPresence walks all that evidence consists of: a field whose absence cannot be told from zero would let
// an old agent's silence, or an old record, be taken for a fact.
func TestEveryFieldHasPresence(t *testing.T) {
	for _, m := range []proto.Message{
		&tabletv1.FullStatus{}, &tabletv1.GetFullStatusResponse{}, &tabletv1.WatchStatusResponse{},
		&topov1.Keyspace{}, &topov1.Shard{}, &topov1.Tablet{}, &topov1.Reparent{},
	} {
		// The map of reasons is about other fields: what it does not name is absent without a reason.
		for _, p := range presence.Problems(m, "pelorus.tablet.v1.FullStatus.unknowns") {
			t.Error(p)
		}
	}
	if n := len(presence.Paths(&tabletv1.FullStatus{})); n < 95 {
		t.Errorf("only %d fields were looked at: the walk is broken", n)
	}
}

// TestProblemsAreFound proves that the rule refuses a bad field, by messages that are not part of a status.
func TestProblemsAreFound(t *testing.T) {
	if got := presence.Problems(&tabletv1.GetSchemaResponse{}); len(got) == 0 || !strings.Contains(got[0], "tables") {
		t.Errorf("bare lists beside other fields are accepted: %v", got)
	}
	if got := presence.Problems(&tabletv1.FullStatus{}); len(got) != 1 {
		t.Errorf("only the map of reasons is an exception: %v", got)
	}
}

func full() *tabletv1.FullStatus {
	peer := func(alias string) *tabletv1.Peer { return &tabletv1.Peer{Alias: &alias, Term: proto.Uint64(7)} }
	return &tabletv1.FullStatus{
		Alias: proto.String("a-1"), TakenAt: timestamppb.New(timestamppb.Now().AsTime()),
		Server: &tabletv1.ServerStatus{Running: proto.Bool(false), Pid: proto.Uint32(0)},
		Peers:  &tabletv1.Peers{List: []*tabletv1.Peer{peer("a-2"), peer("a-3")}},
	}
}

func TestHide(t *testing.T) {
	tests := []struct {
		text string
		want func(*tabletv1.FullStatus)
	}{
		{"", func(*tabletv1.FullStatus) {}},
		{"1", func(s *tabletv1.FullStatus) { s.Alias = nil }},
		{"12.1", func(s *tabletv1.FullStatus) { s.Server.Running = nil }},
		{"12, 7", func(s *tabletv1.FullStatus) { s.Server, s.TakenAt = nil, nil }},
		{"23.1.6", func(s *tabletv1.FullStatus) { s.Peers.List[0].Term, s.Peers.List[1].Term = nil, nil }},
		{"13.6", func(*tabletv1.FullStatus) {}}, // what is not there anyway
	}
	for _, tt := range tests {
		got, want := full(), full()
		want.TakenAt = got.TakenAt
		paths, err := presence.ParsePaths(got, tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		presence.Hide(got, paths...)
		tt.want(want)
		if !proto.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", tt.text, got, want)
		}
	}
}

func TestParsePathsRefuses(t *testing.T) {
	for _, text := range []string{"0", "x", "12.999", "7.1", "1,", "12.1.1", "-1", "11,12.4,4711"} {
		if got, err := presence.ParsePaths(&tabletv1.FullStatus{}, text); err == nil {
			t.Errorf("%q gave %v", text, got)
		}
	}
}

func TestAbsent(t *testing.T) {
	s := full()
	s.Term, s.Server.Pid = proto.Uint64(0), nil
	got := presence.Absent(s)
	for name, want := range map[string]bool{
		"alias": false, "term": false, "keyspace": true, "server": false, "server.running": false, "server.pid": true, "replication": true, "replication.receiver": false,
	} {
		if slices.Contains(got, name) != want {
			t.Errorf("%s: absent is %v in %v", name, !want, got)
		}
	}
}

func TestPathsAreInOrder(t *testing.T) {
	var got []string
	for _, p := range presence.Paths(&tabletv1.Peers{}) {
		got = append(got, p.String())
	}
	if want := []string{"1", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
