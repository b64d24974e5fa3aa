package durability_test

import (
	"fmt"
	"testing"

	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/topo/durability"
)

func TestSemiSync(t *testing.T) {
	const (
		none  = topov1.Durability_DURABILITY_NONE
		semi  = topov1.Durability_DURABILITY_SEMI_SYNC
		cross = topov1.Durability_DURABILITY_CROSS_CELL
		unset = topov1.Durability_DURABILITY_UNSPECIFIED
	)
	tests := []struct {
		policy            topov1.Durability
		replicas, rdonlys int
		want              bool
	}{
		{unset, 0, 0, false}, {unset, 1, 0, false}, {unset, 1, 5, false}, {unset, 2, 0, true},
		{none, 3, 0, false}, {semi, 0, 3, false}, {semi, 1, 0, true}, {cross, 1, 0, true},
	}
	for _, tt := range tests {
		tablets := map[string]*topov1.Tablet{"a-1": {Type: topov1.TabletType_TABLET_TYPE_PRIMARY.Enum()}}
		for i := range tt.replicas {
			tablets[fmt.Sprintf("a-%d", 10+i)] = &topov1.Tablet{Type: topov1.TabletType_TABLET_TYPE_REPLICA.Enum()}
		}
		for i := range tt.rdonlys {
			tablets[fmt.Sprintf("a-%d", 20+i)] = &topov1.Tablet{Type: topov1.TabletType_TABLET_TYPE_RDONLY.Enum()}
		}
		if got := durability.SemiSync(&topov1.Keyspace{Durability: tt.policy.Enum()}, tablets, "a-1"); got != tt.want {
			t.Errorf("%+v: got %v", tt, got)
		}
		if got := len(durability.Ackers(nil, tablets, "a-1")); got != tt.replicas {
			t.Errorf("%+v: %d ackers", tt, got)
		}
	}
}

func TestCrossCell(t *testing.T) {
	tablet := func(cell string) *topov1.Tablet {
		return &topov1.Tablet{Type: topov1.TabletType_TABLET_TYPE_REPLICA.Enum(), Cell: &cell}
	}
	tablets := map[string]*topov1.Tablet{"a-1": tablet("a"), "a-2": tablet("a"), "b-3": tablet("b"), "c-4": tablet("c")}
	keyspace := &topov1.Keyspace{Durability: topov1.Durability_DURABILITY_CROSS_CELL.Enum()}
	for primary, want := range map[string]string{"a-1": "[b-3 c-4]", "b-3": "[a-1 a-2 c-4]"} {
		if got := fmt.Sprint(durability.Ackers(keyspace, tablets, primary)); got != want {
			t.Errorf("under %s: %s, want %s", primary, got, want)
		}
	}
	delete(tablets, "b-3")
	delete(tablets, "c-4")
	if got := fmt.Sprint(durability.Ackers(keyspace, tablets, "a-1")); got != "[a-2]" {
		t.Errorf("in one cell: %s", got)
	}
}
