package analysis_test

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pelorusdb/pelorus/internal/api/presence"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/orch/analysis"
	"github.com/pelorusdb/pelorus/internal/orch/evidence"
	et "github.com/pelorusdb/pelorus/internal/orch/evidence/evidencetest"

	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"
)

// hidings is how many times facts are hidden of each world.
const hidings = 4

// sides is how many tests draw worlds at the same time: the smallest supported machine has two cores.
const sides = 2

// checks is how many worlds are tried: 20,000 pairs of a world and hidden facts, or a million.
func checks() int {
	if os.Getenv("PELORUS_LONG") != "" {
		return 1_000_000 / hidings
	}
	return 20_000 / hidings
}

// facts returns all facts below v, so that they can be hidden.
func facts(v reflect.Value) []reflect.Value {
	if _, ok := v.Interface().(interface{ IsKnown() bool }); ok {
		return []reflect.Value{v}
	}
	var out []reflect.Value
	switch v.Kind() {
	case reflect.Pointer:
		return facts(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Field(i).CanSet() {
				out = append(out, facts(v.Field(i))...)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = append(out, facts(v.Index(i))...)
		}
	}
	return out
}

// key names a finding; of a shard's, whose tablet is unknown when the primary is, the code is enough.
func key(f analysis.Finding) string {
	if f.Scope == analysis.OfShard {
		return string(f.Code)
	}
	return f.Key()
}

// compare says how a picture with facts hidden goes beyond the full one: empty if it does not.
func compare(full, hidden []analysis.Finding) string {
	inFull, inHidden := map[string]analysis.Finding{}, map[string]bool{}
	for _, f := range full {
		inFull[key(f)] = f
	}
	for _, h := range hidden {
		inHidden[key(h)] = true
		f, ok := inFull[key(h)]
		switch {
		case h.Verdict == analysis.Repair && (f.Verdict != analysis.Repair || f.Cure != h.Cure || f.Tablet != h.Tablet):
			return fmt.Sprintf("a recovery that the full picture would not run: %v; full: %v", h, f)
		case h.Verdict != analysis.Unclear && (!ok || f.Verdict == analysis.Unclear):
			return fmt.Sprintf("a finding that the full picture does not have: %v; full: %v", h, f)
		}
	}
	for _, f := range full {
		if f.Verdict != analysis.Unclear && !inHidden[key(f)] {
			return fmt.Sprintf("certainly not found, and the full picture has it: %v", f)
		}
	}
	return ""
}

// pool are texts that fields of statuses may have; numbers are taken from its length and below.
var pool = []string{"", "Yes", "No", "Connecting", "AFTER_SYNC", "mysql", "mariadb", "9.7.4", "8.4.0", "10.0.0.1", "rubbish",
	et.UUID(1) + ":1-100", et.UUID(1) + ":1-90," + et.UUID(2) + ":1-3", "0-1-100", "0-2-101", "connection refused (111)"}

// disturb sets one field of a status to something else that a field of its kind can be.
func disturb(t *rapid.T, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	f := fields.Get(rapid.IntRange(0, fields.Len()-1).Draw(t, "field"))
	switch {
	case f.IsMap() || f.IsList():
	case f.Message() != nil && f.Message().FullName().Parent() != "google.protobuf":
		disturb(t, m.Mutable(f).Message())
	case f.Message() != nil && f.Message().Name() == "Duration":
		m.Set(f, protoreflect.ValueOfMessage(seconds(rapid.SampledFrom([]int{0, 2, 20, 100}).Draw(t, "seconds")).ProtoReflect()))
	case f.Kind() == protoreflect.BoolKind:
		m.Set(f, protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool")))
	case f.Kind() == protoreflect.StringKind:
		m.Set(f, protoreflect.ValueOfString(rapid.SampledFrom(pool).Draw(t, "text")))
	case f.Kind() == protoreflect.EnumKind:
		m.Set(f, protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.IntRange(0, 8).Draw(t, "enum"))))
	case f.Kind() == protoreflect.Uint32Kind:
		m.Set(f, protoreflect.ValueOfUint32(rapid.SampledFrom([]uint32{0, 1, 2, 7, 1045, 1205, 1236, 1950, 2003, 3306}).Draw(t, "number")))
	case f.Kind() == protoreflect.Uint64Kind:
		m.Set(f, protoreflect.ValueOfUint64(rapid.SampledFrom([]uint64{0, 1, et.Term - 1, et.Term, et.Term + 1, 1 << 20, 1 << 40}).Draw(t, "number")))
	}
}

// faults are what happens to shards, by name: realistic worlds, each alone and with others.
func faults() map[string]func(world) {
	out := map[string]func(world){}
	for _, e := range examples() {
		out[string(e.code)] = e.yes
		out["not "+string(e.code)] = e.no
		if e.unconfirmed != nil {
			out["unconfirmed "+string(e.code)] = e.unconfirmed
		}
	}
	for _, a := range et.Followers() {
		out["lost by "+a] = func(s world) { s.Lose(et.LostSilent, a) }
		out["regained by "+a] = func(s world) {
			if s.Status(a).Replication != nil {
				s.Regain(a)
			}
		}
		out["dead "+a] = func(s world) { s.KillServer(a) }
	}
	for _, o := range orders() {
		out[o.name] = o.change
	}
	out["lease over"] = func(s world) { s.ExpireLease() }
	out["primary killed with its agent"] = func(s world) { s.KillProcesses(et.Primary) }
	return out
}

// drawWorld is a shard to which up to three things have happened, with agents of two releases, and sometimes with noise.
func drawWorld(t *rapid.T, all map[string]func(world), names []string) *et.Shard {
	s := et.New(rapid.SampledFrom([]string{"mysql", "mariadb"}).Draw(t, "flavor"))
	for range rapid.IntRange(0, 3).Draw(t, "faults") {
		attempt(s, all[rapid.SampledFrom(names).Draw(t, "fault")])
	}
	if rapid.IntRange(0, 3).Draw(t, "mixed") == 0 {
		for _, a := range et.Aliases() {
			if rapid.Bool().Draw(t, "older") {
				s.Older(a)
			}
		}
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 4}).Draw(t, "noise") {
		if st := s.Status(rapid.SampledFrom(et.Aliases()).Draw(t, "noisy")); st != nil {
			disturb(t, st.ProtoReflect())
		}
	}
	return s
}

// attempt lets a fault happen. Faults are written for a healthy shard: one that finds nothing left to break changes nothing more.
func attempt(s world, fault func(world)) {
	defer func() { _ = recover() }()
	fault(s)
}

// hide returns what a drawn part of the facts says: fields of statuses are missing as from an older agent, or facts of any kind
// are not known.
func hide(t *rapid.T, s *et.Shard, fields []presence.Path) *evidence.World {
	h := s.Clone()
	for range rapid.IntRange(0, 6).Draw(t, "fields") {
		p := rapid.SampledFrom(fields).Draw(t, "hidden field")
		who := rapid.SampledFrom(append(et.Aliases(), "all")).Draw(t, "of")
		for _, a := range et.Aliases() {
			if st := h.Status(a); st != nil && (who == a || who == "all") {
				presence.Hide(st, p)
			}
		}
	}
	w := h.Build()
	known := facts(reflect.ValueOf(w))
	for range rapid.SampledFrom([]int{0, 0, 1, 5, 50}).Draw(t, "facts") {
		f := known[rapid.IntRange(0, len(known)-1).Draw(t, "hidden fact")]
		f.SetZero()
	}
	return w
}

// tally counts what the worlds were like, over tests that run side by side.
type tally struct {
	mu                sync.Mutex
	reached, repaired map[analysis.Code]int
}

func (y *tally) count(fs []analysis.Finding) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, f := range fs {
		if f.Verdict != analysis.Unclear {
			y.reached[f.Code]++
		}
		if f.Verdict == analysis.Repair {
			y.repaired[f.Code]++
		}
	}
}

// TestHidingFactsNeverCreatesARecovery is the promise that the whole package is built on: who knows less does the same or nothing.
func TestHidingFactsNeverCreatesARecovery(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(checks() / sides)); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Value.Set(f.DefValue) }()
	}
	y := &tally{reached: map[analysis.Code]int{}, repaired: map[analysis.Code]int{}}
	t.Run("sides", func(t *testing.T) {
		for i := range sides {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				hideInWorlds(t, y)
			})
		}
	})
	for _, a := range analysis.Table() {
		if y.reached[a.Code] < 5 || a.Cure != analysis.NoRecovery && y.repaired[a.Code] < 5 {
			t.Errorf("%s was found %d times and repaired %d times: the worlds do not try it", a.Code, y.reached[a.Code], y.repaired[a.Code])
		}
	}
}

// hideInWorlds compares full pictures with what is left of them.
func hideInWorlds(t *testing.T, y *tally) {
	all := faults()
	names := evidence.Aliases(all)
	fields := presence.Paths(&tabletv1.FullStatus{})
	rapid.Check(t, func(t *rapid.T) {
		s := drawWorld(t, all, names)
		full := analysis.Analyse(s.Build())
		y.count(full)
		for range hidings {
			if why := compare(full, analysis.Analyse(hide(t, s, fields))); why != "" {
				t.Fatal(why)
			}
		}
	})
}

// TestEachFieldHidden hides every single field in turn, of one tablet and of all, in every world that the examples make.
func TestEachFieldHidden(t *testing.T) {
	fields := presence.Paths(&tabletv1.FullStatus{})
	all := faults()
	for _, name := range evidence.Aliases(all) {
		if strings.HasPrefix(name, "not ") {
			continue
		}
		s := et.New("mysql")
		attempt(s, all[name])
		full := analysis.Analyse(s.Build())
		for _, p := range fields {
			for _, who := range []string{et.Primary, et.Near, "all"} {
				h := s.Clone()
				for _, a := range et.Aliases() {
					if st := h.Status(a); st != nil && (who == a || who == "all") {
						presence.Hide(st, p)
					}
				}
				if why := compare(full, analysis.Analyse(h.Build())); why != "" {
					t.Errorf("%s, without field %s of %s: %s", name, p, who, why)
				}
			}
		}
	}
}

// TestHidingIsNoticed proves that the comparison can fail: a row that took an unknown for false would be caught.
func TestHidingIsNoticed(t *testing.T) {
	s := et.New("mysql")
	well := analysis.Analyse(s.Build())
	s.KillServer(et.Primary)
	dead := analysis.Analyse(s.Build())
	if compare(well, dead) == "" || compare(dead, well) == "" {
		t.Error("a recovery out of nothing is not noticed")
	}
	if n := len(facts(reflect.ValueOf(s.Build()))); n < 300 {
		t.Errorf("only %d facts can be hidden", n)
	}
	if !slices.ContainsFunc(evidence.Aliases(faults()), func(n string) bool { return strings.HasPrefix(n, "unconfirmed") }) {
		t.Error("no world in which a recovery is not confirmed")
	}
}

func BenchmarkAnalyse(b *testing.B) {
	s := et.New("mysql")
	s.KillServer(et.Primary)
	for b.Loop() {
		analysis.Analyse(s.Build())
	}
}
