package exec_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/plan"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a session whose shards answer every statement with rows given in advance.
type fake struct {
	t      *testing.T
	shards []vschema.ShardInfo
	rows   map[string][][]string // by shard
	cols   []wire.Column
	fail   map[string]error // the error after the rows of a shard
	refuse map[string]error // the error instead of an answer
	limits exec.Limits

	mu   sync.Mutex
	open int
	sql  []string
	txns []string
	next int64 // of the sequence's table
}

func newFake(t *testing.T, names ...string) *fake {
	f := &fake{t: t, rows: map[string][][]string{}, fail: map[string]error{}, refuse: map[string]error{}, next: 1}
	for _, n := range names {
		r, err := vindex.ParseShardName(n)
		if err != nil {
			t.Fatal(err)
		}
		f.shards = append(f.shards, vschema.ShardInfo{Name: n, Range: r})
	}
	t.Cleanup(func() {
		if f.open != 0 {
			t.Errorf("%d answers were not closed", f.open)
		}
	})
	return f
}

func (f *fake) Shards(string) ([]vschema.ShardInfo, error) { return f.shards, nil }

func (f *fake) Query(_ context.Context, sh exec.ShardRef, q exec.Query) (exec.Rows, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sql = append(f.sql, sh.Shard+": "+string(q.SQL))
	if err := f.refuse[sh.Shard]; err != nil {
		return nil, err
	}
	f.open++
	return &fakeRows{f: f, rows: f.rows[sh.Shard], err: f.fail[sh.Shard], write: q.Write}, nil
}

func (f *fake) EnterTxn(context.Context) (func(error) error, error) {
	f.txns = append(f.txns, "begin")
	return func(err error) error {
		f.txns = append(f.txns, map[bool]string{true: "commit", false: "rollback"}[err == nil])
		return err
	}, nil
}

func (f *fake) Sequence(context.Context, *vschema.Table, int64) (int64, error) { return 1, nil }

// Autonomous plays the table of a sequence.
func (f *fake) Autonomous(_ context.Context, _ exec.ShardRef, q exec.Query) (exec.Rows, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	var to, from int64
	if _, err := fmt.Sscanf(string(q.SQL), "UPDATE `main`.`customer_seq` SET next_id = %d WHERE id = 0 AND next_id = %d", &to, &from); err != nil {
		return &fakeRows{f: f, rows: [][]string{{fmt.Sprint(f.next), "10"}}}, nil
	}
	r := &fakeRows{f: f, write: true}
	if from == f.next {
		f.next, r.affected = to, 1
	}
	return r, nil
}

func (f *fake) SetInsertID(uint64)  {}
func (f *fake) Note(uint16, string) {}
func (f *fake) Mode() parse.Mode    { return parse.Mode{} }
func (f *fake) Limits() exec.Limits { return f.limits }
func (f *fake) MariaDB() bool       { return false }

type fakeRows struct {
	f        *fake
	rows     [][]string
	at       int
	err      error
	write    bool
	affected uint64
	closed   bool
}

func (r *fakeRows) Columns() []wire.Column {
	if r.write {
		return nil
	}
	return r.f.cols
}
func (r *fakeRows) Next() bool {
	if r.write || r.at >= len(r.rows) {
		return false
	}
	r.at++
	return true
}
func (r *fakeRows) Raw() []byte { return wire.AppendTextRow(nil, r.Values()) }
func (r *fakeRows) Values() [][]byte {
	out := make([][]byte, 0, 4)
	for _, v := range r.rows[r.at-1] {
		out = append(out, []byte(v))
	}
	return out
}
func (r *fakeRows) Err() error {
	if r.at >= len(r.rows) {
		return r.err
	}
	return nil
}
func (r *fakeRows) OK() wire.OK {
	if r.affected > 0 {
		return wire.OK{Affected: r.affected}
	}
	return wire.OK{Affected: uint64(len(r.rows)), Warnings: 1}
}
func (r *fakeRows) Close() error {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.f.open--
	}
	return nil
}

var intColumn = wire.Column{Name: "n", Type: wire.TypeLongLong}

func route() *plan.Route {
	return &plan.Route{Keyspace: "shop", Dest: plan.Dest{Kind: plan.DestAll}, Text: &plan.Text{}}
}

func execute(f *fake, root plan.Op) (*answer, error) {
	a := &answer{}
	var err error
	a.ok, err = exec.Run(f.t.Context(), &plan.Plan{Root: root, Class: plan.Read}, exec.Input{Src: []byte("x")}, f, a)
	return a, err
}

// key orders by the only column.
var byFirst = []plan.Key{{Col: 0, Weight: plan.NoColumn, Number: -1}}

func threeShards(t *testing.T) *fake {
	f := newFake(t, "-40", "40-80", "80-")
	f.cols = []wire.Column{intColumn}
	f.rows["-40"] = [][]string{{"1"}, {"4"}, {"9"}, {"10"}}
	f.rows["40-80"] = nil
	f.rows["80-"] = [][]string{{"-3"}, {"4"}, {"100"}}
	return f
}

func TestStreams(t *testing.T) {
	limit := func(in plan.Op, count, offset int64) plan.Op {
		return &plan.Limit{Input: in, Count: count, Offset: offset}
	}
	for _, c := range []struct {
		name string
		root plan.Op
		want []string
	}{
		{"concat", route(), []string{"1", "4", "9", "10", "-3", "4", "100"}},
		{"merge", &plan.Merge{Input: route(), Keys: byFirst}, []string{"-3", "1", "4", "4", "9", "10", "100"}},
		{"limit", limit(&plan.Merge{Input: route(), Keys: byFirst}, 2, 1), []string{"1", "4"}},
		{"no limit", limit(&plan.Merge{Input: route(), Keys: byFirst}, -1, 5), []string{"10", "100"}},
		{"limit 0", limit(route(), 0, 0), nil},
		{"offset past the end", limit(route(), 5, 50), nil},
		{"dedup", &plan.Dedup{Input: route(), Keys: byFirst}, []string{"1", "4", "9", "10", "-3", "100"}},
		{"sort", &plan.Sort{Input: route(), Keys: []plan.Key{{Col: 0, Weight: plan.NoColumn, Number: -1, Desc: true}}}, []string{"100", "10", "9", "4", "4", "1", "-3"}},
		{"count", &plan.Group{Input: route(), Scalar: true, Aggs: []plan.Agg{{Kind: plan.AggCount, Col: 0, Weight: plan.NoColumn, Sum: plan.NoColumn, Count: plan.NoColumn}}}, []string{"125"}},
		{"max", &plan.Group{Input: route(), Scalar: true, Aggs: []plan.Agg{{Kind: plan.AggMax, Col: 0, Weight: plan.NoColumn, Sum: plan.NoColumn, Count: plan.NoColumn}}}, []string{"100"}},
		{"group", &plan.Group{Input: route(), Keys: byFirst}, []string{"1", "4", "9", "10", "-3", "100"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := execute(threeShards(t), c.root)
			if err != nil || !slices.Equal(a.rows, c.want) {
				t.Errorf("rows are %v, %v; want %v", a.rows, err, c.want)
			}
		})
	}
}

// TestErrorsOfShards has a shard fail at once, or in the middle of its rows, under every kind of node.
func TestErrorsOfShards(t *testing.T) {
	broken := errors.New("server lost")
	for name, root := range map[string]plan.Op{
		"concat": route(), "merge": &plan.Merge{Input: route(), Keys: byFirst}, "sort": &plan.Sort{Input: route(), Keys: byFirst},
		"group": &plan.Group{Input: route(), Keys: byFirst}, "dedup": &plan.Dedup{Input: route(), Keys: byFirst},
		"strip": &plan.Strip{Input: &plan.Limit{Input: route(), Count: 100}, Hidden: 0},
	} {
		for _, shard := range []string{"-40", "40-80", "80-"} {
			f := threeShards(t)
			f.fail[shard] = broken
			if _, err := execute(f, root); !errors.Is(err, broken) {
				t.Errorf("%s: rows of %s break off, the error is %v", name, shard, err)
			}
			f = threeShards(t)
			f.refuse[shard] = broken
			if _, err := execute(f, root); !errors.Is(err, broken) {
				t.Errorf("%s: %s refuses, the error is %v", name, shard, err)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	for name, root := range map[string]plan.Op{
		"sort": &plan.Sort{Input: route(), Keys: byFirst}, "group": &plan.Group{Input: route(), Keys: byFirst}, "dedup": &plan.Dedup{Input: route(), Keys: byFirst},
	} {
		f := threeShards(t)
		f.limits = exec.Limits{MaxRows: 3}
		if _, err := execute(f, root); !errcode.Has(err, errcode.RowLimit) {
			t.Errorf("%s beyond the rows: %v", name, err)
		}
		f = threeShards(t)
		f.limits = exec.Limits{MaxBytes: 60}
		if _, err := execute(f, root); !errcode.Has(err, errcode.ByteLimit) {
			t.Errorf("%s beyond the bytes: %v", name, err)
		}
	}
	f := threeShards(t)
	f.limits = exec.Limits{MaxRows: 1, MaxBytes: 1}
	if _, err := execute(f, &plan.Merge{Input: route(), Keys: byFirst}); err != nil {
		t.Errorf("a merge holds no rows, but is limited: %v", err)
	}
}

// stopping is a client that goes away after some rows.
type stopping struct {
	answer
	after int
}

var errGone = errors.New("client is gone")

func (s *stopping) RawRow(raw []byte) error {
	if s.after--; s.after < 0 {
		return errGone
	}
	return s.answer.RawRow(raw)
}

func TestClientGoesAway(t *testing.T) {
	for _, root := range []plan.Op{route(), &plan.Merge{Input: route(), Keys: byFirst}} {
		f := threeShards(t)
		_, err := exec.Run(t.Context(), &plan.Plan{Root: root, Class: plan.Read}, exec.Input{}, f, &stopping{after: 2})
		if !errors.Is(err, errGone) {
			t.Errorf("error is %v", err)
		}
	}
}

func TestManyShards(t *testing.T) {
	names := []string{}
	for _, r := range must(vindex.SplitEven(128)) {
		names = append(names, r.Name())
	}
	f := newFake(t, names...)
	f.cols = []wire.Column{intColumn}
	var want []string
	for i, n := range names {
		f.rows[n] = [][]string{{fmt.Sprint(i)}}
		want = append(want, fmt.Sprint(i))
	}
	for _, root := range []plan.Op{route(), &plan.Merge{Input: route(), Keys: byFirst}} {
		a, err := execute(f, root)
		if err != nil || !slices.Equal(a.rows, want) {
			t.Errorf("rows are %v, %v", a.rows, err)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestWritesAreAtomic(t *testing.T) {
	r := route()
	r.Write = true
	f := threeShards(t)
	if a, err := execute(f, r); err != nil || a.ok.Affected != 7 || a.ok.Warnings != 3 || strings.Join(f.txns, " ") != "begin commit" {
		t.Errorf("a write of three shards gives %+v, %v, transactions %v", a.ok, err, f.txns)
	}
	f = threeShards(t)
	f.refuse["80-"] = errors.New("duplicate")
	if _, err := execute(f, r); err == nil || strings.Join(f.txns, " ") != "begin rollback" {
		t.Errorf("a failed write gives %v, transactions %v", err, f.txns)
	}
}

// TestBroadcast has schema changes fail nowhere, everywhere and on some shards.
func TestBroadcast(t *testing.T) {
	ddl := &plan.Broadcast{Keyspace: "shop", Text: plan.FixedText("CREATE TABLE x (id int)"), Again: "repeat it"}
	f := newFake(t, "-40", "40-80", "80-")
	if _, err := execute(f, ddl); err != nil || len(f.sql) != 3 {
		t.Errorf("%v ran, error %v", f.sql, err)
	}
	exists := &wire.MySQLError{Errno: 1050, State: "42S01", Message: "table 'x' already exists"}
	for _, sh := range []string{"-40", "40-80", "80-"} {
		f.refuse[sh] = exists
	}
	if _, err := execute(f, ddl); !errors.Is(err, exists) {
		t.Errorf("all shards refuse, the error is %v", err)
	}
	delete(f.refuse, "40-80")
	_, err := execute(f, ddl)
	want := "done on shards 40-80, but failed on -40 (table 'x' already exists); 80- (table 'x' already exists); repeat it"
	if !errcode.Has(err, errcode.PartialDDL) || !strings.Contains(err.Error(), want) || errors.Is(err, exists) {
		t.Errorf("one shard agrees, the error is %v", err)
	}
}

// TestSequencesAreUnique has several gateways take values of one sequence at the same time.
func TestSequencesAreUnique(t *testing.T) {
	f := newFake(t, "0")
	f.cols = []wire.Column{intColumn, intColumn}
	ks := &vschema.Keyspace{Name: "main"}
	seq := &vschema.Table{Keyspace: ks, Name: "customer_seq"}
	var mu sync.Mutex
	var all []int64
	var wg sync.WaitGroup
	for range 4 {
		q := exec.NewSequences()
		for w := range 3 {
			wg.Go(func() {
				for range 20 {
					n := int64(w*6 + 1)
					first, err := q.Next(t.Context(), f, seq, n)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for v := first; v < first+n; v++ {
						all = append(all, v)
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	slices.Sort(all)
	if len(all) != 4*20*(1+7+13) || all[0] != 1 || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("%d values from %d, some of them twice", len(all), all[0])
	}
	if _, err := exec.NewSequences().Next(t.Context(), f, seq, 0); !errcode.Has(err, errcode.SequenceCount) {
		t.Errorf("zero values: %v", err)
	}
}
