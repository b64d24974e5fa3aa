package devcluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pelorusdb/pelorus/internal/devcluster/shape"
)

func TestPlan(t *testing.T) {
	spec := shape.Default()
	spec.Cells = []string{"a", "b"}
	spec.Keyspaces[0].Rdonly = 1
	s := &state{Spec: spec}
	p := newAllocator(filepath.Join(t.TempDir(), stateFile), s)
	defer p.close()
	zero := 0
	if err := planTopo(p, s); err != nil {
		t.Fatal(err)
	}
	if err := planDoors(Options{GatewayPort: &zero, ControlPort: &zero}, spec, p, s); err != nil {
		t.Fatal(err)
	}
	for _, shard := range spec.Keyspaces[0].Shards {
		if err := planShard(s, p, spec.Keyspaces[0], shard); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	seen := map[int]bool{}
	for _, p := range s.Processes {
		got = append(got, strings.TrimSpace(strings.Join([]string{p.Name, p.Keyspace, p.Shard, p.Type}, " ")))
		for _, port := range []int{p.Port, p.SidePort} {
			if port == 0 {
				continue
			}
			if seen[port] {
				t.Errorf("port %d is used twice", port)
			}
			if seen[port] = true; port >= 32768 {
				t.Errorf("port %d lies where the kernel takes the ports of clients", port)
			}
		}
	}
	want := []string{
		"topo", "control-1", "gateway-1",
		"tablet-a-101 commerce -80 replica", "tablet-b-102 commerce -80 replica", "tablet-a-103 commerce -80 replica", "tablet-b-104 commerce -80 rdonly",
		"tablet-a-201 commerce 80- replica", "tablet-b-202 commerce 80- replica", "tablet-a-203 commerce 80- replica", "tablet-b-204 commerce 80- rdonly",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s.byName("b-102") != s.byName("tablet-b-102") || s.byName("b-102") == nil || s.byName("nobody") != nil {
		t.Error("an agent is found by its name and by its tablet's alias, nobody is not")
	}
	if d := cmp.Diff([]string{"commerce/-80", "commerce/80-"}, s.shards()); d != "" {
		t.Error(d)
	}
}

func TestPortsAreNotSharedByTwoCommands(t *testing.T) {
	a, b := newAllocator("/none", nil), newAllocator("/none", nil)
	defer a.close()
	defer b.close()
	x, err := a.any()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.any()
	if err != nil {
		t.Fatal(err)
	}
	if x == y {
		t.Errorf("both got %d", x)
	}
	if _, err := b.wanted(x, "--gateway-port"); !errors.Is(err, ErrPortTaken) {
		t.Errorf("the other's port: %v", err)
	}
}

func TestStateSurvives(t *testing.T) {
	dir := t.TempDir()
	d, err := openDir(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDir(dir, true); !errors.Is(err, ErrBusy) {
		t.Errorf("a second command: %v, want ErrBusy", err)
	}
	d.state = &state{Format: stateFormat, Spec: shape.Default(), Flavor: "mysql", Processes: []*process{{Name: "topo", Role: RoleTopo, Port: 1, SidePort: 2}}}
	if err := d.save(); err != nil {
		t.Fatal(err)
	}
	d.close()
	again, err := openDir(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if diff := cmp.Diff(d.state, again.state); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readState(dir); err == nil {
		t.Error("a damaged state is accepted")
	}
}

func TestNoCluster(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if err := Down(t.Context(), DownOptions{Dir: dir}, new(bytes.Buffer)); !errors.Is(err, ErrNoCluster) {
		t.Errorf("down: %v", err)
	}
	if _, err := List(t.Context(), dir); !errors.Is(err, ErrNoCluster) {
		t.Errorf("ps: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("asking made the directory")
	}
}

// TestMain lets the test's own program stand for a role: one that ends at SIGTERM, or one that does not.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case RoleGateway:
			select {}
		case RoleControl:
			// A signal that is caught and never looked at.
			stubborn()
		}
	}
	os.Exit(m.Run())
}

func stubborn() {
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGTERM)
	os.Stdout.WriteString("ready\n")
	select {}
}

func TestProcesses(t *testing.T) {
	d, err := openDir(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.state = &state{}
	gw, ctl := &process{Name: "gateway-1", Role: RoleGateway}, &process{Name: "control-1", Role: RoleControl}
	var done []<-chan struct{}
	for _, p := range []*process{gw, ctl} {
		ch, err := d.start(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, ch)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var running found
	err = until(ctx, pollStep, func() (bool, error) {
		running, err = d.find()
		return len(running) == 2 && strings.Contains(d.tail(ctl), "ready"), err
	})
	if err != nil {
		t.Fatalf("%v: running %v", err, running)
	}
	other := t.TempDir()
	if none, err := find(other); err != nil || len(none) > 0 {
		t.Errorf("another directory's processes: %v, %v", none, err)
	}
	// A process that is not the one meant is not signalled, whatever its number.
	if err := d.signal("gateway-2", running["gateway-1"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if identify(running["gateway-1"], d.path) != "gateway-1" {
		t.Fatal("a process was ended under another one's name")
	}
	if err := d.end(ctx, "gateway-1", running["gateway-1"], 10*time.Second); err != nil {
		t.Error(err)
	}
	if err := d.end(ctx, "control-1", running["control-1"], 100*time.Millisecond); err != nil {
		t.Error(err)
	}
	for _, ch := range done {
		<-ch
	}
	if left, err := d.find(); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	// Ending what has ended is no error.
	if err := d.end(ctx, "gateway-1", running["gateway-1"], time.Second); err != nil {
		t.Error(err)
	}
}

func TestStartFailureShowsTheLog(t *testing.T) {
	d, err := openDir(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	sh, err := exec.LookPath("false")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Name: "topo", Role: RoleTopo, Binary: sh}
	d.state = &state{Processes: []*process{p}}
	if err := os.WriteFile(d.log(p), []byte("the disk is full\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	st := &starter{d: d, say: func(string, ...any) {}}
	if err := st.startOne(p); err != nil {
		t.Fatal(err)
	}
	never := func(context.Context, *process) error { return errors.New("not yet") }
	err = st.await(t.Context(), 30*time.Second, []*process{p}, "it answers", never)
	if err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("error %v: it should end at once, with what its log says", err)
	}
}

func TestServerOf(t *testing.T) {
	args := func(s string) [][]byte {
		var out [][]byte
		for _, a := range strings.Fields(s) {
			out = append(out, []byte(a))
		}
		return out
	}
	for _, c := range []struct{ cmdline, want string }{
		{"/usr/sbin/mariadbd --defaults-file=/d/tablets/zone1-101/server/my.cnf", "zone1-101"},
		{"/lib/ld.so --library-path x /opt/mysqld --defaults-file=/d/tablets/zone1-102/my.cnf --basedir=x", "zone1-102"},
		{"/usr/sbin/mysqld --no-defaults --initialize-insecure --datadir=/d/tablets/zone1-103/data.new", "zone1-103"},
		{"/usr/bin/mysql --defaults-file=/d/tablets/zone1-101/my.cnf", ""},
		{"/usr/sbin/mysqld --defaults-file=/other/tablets/zone1-101/my.cnf", ""},
		{"/usr/sbin/mysqld --defaults-file=/d/tablets-old/zone1-101/my.cnf", ""},
	} {
		if got := serverOf(args(c.cmdline), "/d"); got != c.want {
			t.Errorf("%s: %q, want %q", c.cmdline, got, c.want)
		}
	}
}

func TestArgsCoverEveryRole(t *testing.T) {
	d := &directory{path: "/d", state: &state{Etcd: []string{"http://e:1", "http://f:1"}, Prefix: "/p", Mysqld: "/m"}}
	for _, role := range []string{RoleTopo, RoleControl, RoleGateway, RoleTablet} {
		args := d.args(&process{Role: role, Tablet: "z-1", Port: 7, SidePort: 8})
		if len(args) < 3 {
			t.Errorf("%s: %v", role, args)
		}
		if role != RoleTopo && (!slices.Contains(args, "--etcd=http://e:1,http://f:1") || !slices.Contains(args, "--etcd-prefix=/p")) {
			t.Errorf("%s does not learn where etcd is: %v", role, args)
		}
	}
}

func TestPause(t *testing.T) {
	now := time.Unix(0, 0)
	p := &pause{since: now}
	var got []time.Duration
	// It dies at once, again and again; then it lasts for a while and dies once more.
	for _, lasts := range []time.Duration{0, 0, 0, 0, 0, 0, 0, steady, steady / 2} {
		p.runs(now)
		now = now.Add(lasts)
		if !p.ended(now) {
			t.Error("an end is no news")
		}
		if p.ended(now.Add(time.Second)) {
			t.Error("the same end is news twice")
		}
		got = append(got, p.length)
		now = p.until
	}
	const s = time.Second
	if d := cmp.Diff([]time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s, s, 2 * s}, got); d != "" {
		t.Error(d)
	}
}

func TestCheckSpace(t *testing.T) {
	const need = topoBytes + 3*tabletBytes
	if err := checkSpace("/d", need, 3); err != nil {
		t.Error(err)
	}
	if err := checkSpace("/d", need-1, 3); err == nil || !strings.Contains(err.Error(), "--replicas") {
		t.Errorf("too little space: %v", err)
	}
}

func TestAlreadyDone(t *testing.T) {
	for text, want := range map[string]bool{
		"invalid_argument: CREATE TABLE t (id INT): mysql error 1050 (42S01): Table 't' already exists": true,
		"invalid_argument: INSERT INTO t VALUES (1): mysql error 1062 (23000): Duplicate entry":         true,
		"invalid_argument: CREATE TABL t: mysql error 1064 (42000): You have an error":                  false,
		"unavailable: the agent does not answer; port 1050 ":                                            false,
	} {
		if alreadyDone(text) != want {
			t.Errorf("%s: want %v", text, want)
		}
	}
}

// TestPurgeKeepsWhatIsNotOurs gives the cluster a directory that somebody uses for more.
func TestPurgeKeepsWhatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "cluster.yaml")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := openDir(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	d.state = &state{Format: stateFormat, Spec: shape.Default()}
	if err := d.save(); err != nil {
		t.Fatal(err)
	}
	d.close()
	if err := Down(t.Context(), DownOptions{Dir: dir, Purge: true}, new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "cluster.yaml" {
		t.Errorf("left: %v, %v", left, err)
	}
}
