package session

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/clients"
	"github.com/pelorusdb/pelorus/internal/gateway/exec"
	"github.com/pelorusdb/pelorus/internal/gateway/plancache"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/prepared"
	"github.com/pelorusdb/pelorus/internal/gateway/route"
	"github.com/pelorusdb/pelorus/internal/gateway/settings"
	"github.com/pelorusdb/pelorus/internal/gateway/target"
	"github.com/pelorusdb/pelorus/internal/gateway/txn"
	"github.com/pelorusdb/pelorus/internal/gateway/variables"
	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/topo"
	"github.com/pelorusdb/pelorus/internal/topo/mem"
)

// waitLimit bounds what a test waits for.
const waitLimit = 20 * time.Second

// noPasswords lets everybody in.
type noPasswords struct{}

func (noPasswords) Account(string) (wire.Account, bool) { return wire.Account{}, true }

func fakeConfig(version string) *wire.ServerConfig {
	return &wire.ServerConfig{
		Version: version, Charset: 45, DefaultAuth: wire.PluginNative, Auth: noPasswords{},
		Caps: wire.ClientMySQL | wire.ClientFoundRows | wire.ClientLongFlag | wire.ClientConnectWithDB | wire.ClientProtocol41 |
			wire.ClientTransactions | wire.ClientSecureConnection | wire.ClientMultiResults | wire.ClientPSMultiResults |
			wire.ClientPluginAuth | wire.ClientConnectAttrs | wire.ClientPluginAuthLenenc | wire.ClientSessionTrack |
			wire.ClientDeprecateEOF | wire.ClientLocalFiles,
	}
}

// listen accepts on loopback until the test ends.
func listen(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go serve(nc)
		}
	}()
	return l.Addr().String()
}

// fakeServer answers every SELECT and every EXECUTE with one row of one column, and everything else with OK. It allocates
// nothing per command, so that what is allocated is the gateway's.
func fakeServer(t testing.TB) string {
	var ids uint32
	return listen(t, func(nc net.Conn) {
		defer nc.Close()
		ids++
		c, login, err := greet(nc, ids)
		if err != nil {
			return
		}
		ok := frame(1, wire.AppendOK(nil, wire.OK{Status: wire.StatusAutocommit}, login.Caps, false))
		prepared := frame(1, wire.AppendPrepared(nil, wire.Prepared{ID: 1, Columns: 1, Params: 1}, login.Caps))
		for i, p := range listPackets(login.Caps, 2) {
			prepared = append(prepared, frame(byte(2+i), p)...)
		}
		text, binary := oneRow(login.Caps, []byte("\x0212")), oneRow(login.Caps, []byte{0, 0, 12, 0, 0, 0})
		for {
			payload, _, err := c.ReadCommand()
			if err != nil || payload[0] == wire.ComQuit {
				return
			}
			reply := ok
			switch {
			case payload[0] == wire.ComQuery && payload[1] == 'S' && payload[2] == 'E' && payload[3] == 'L':
				reply = text
			case payload[0] == wire.ComStmtPrepare:
				reply = prepared
			case payload[0] == wire.ComStmtExecute:
				reply = binary
			case payload[0] == wire.ComStmtClose:
				continue
			}
			if err := c.WriteRaw(reply); err != nil {
				return
			}
		}
	})
}

func greet(nc net.Conn, id uint32) (*wire.Conn, *wire.Login, error) {
	login, c, err := wire.ServerHandshake(wire.NewConn(nc, 0), id, fakeConfig("9.7.4"))
	return c, login, err
}

func frame(seq byte, payload []byte) []byte {
	n := len(payload)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}, payload...)
}

// listPackets are n column definitions, each closed by an EOF where the client wants one.
func listPackets(caps wire.Capability, n int) [][]byte {
	var out [][]byte
	for range n {
		out = append(out, wire.AppendColumn(nil, &wire.Column{Name: "c", Table: "t", Charset: 63, Length: 11, Type: wire.TypeLong}, caps))
		if caps&wire.ClientDeprecateEOF == 0 {
			out = append(out, wire.AppendEOF(nil, 0, wire.StatusAutocommit))
		}
	}
	return out
}

// oneRow is a whole result of one row.
func oneRow(caps wire.Capability, row []byte) []byte {
	packets := append([][]byte{{1}}, listPackets(caps, 1)...)
	packets = append(packets, row)
	if caps&wire.ClientDeprecateEOF != 0 {
		packets = append(packets, wire.AppendOK(nil, wire.OK{Status: wire.StatusAutocommit}, caps, true))
	} else {
		packets = append(packets, wire.AppendEOF(nil, 0, wire.StatusAutocommit))
	}
	var out []byte
	for i, p := range packets {
		out = append(out, frame(byte(i+1), p)...)
	}
	return out
}

// fakeTopology has the keyspaces plain (one shard) and sharded (two), all on fake servers.
func fakeTopology(t testing.TB, ctx context.Context) *topo.Topo {
	t.Helper()
	top := topo.New(mem.New())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	uid := uint32(100)
	for _, ks := range []struct {
		name, vschema string
		shards        []string
	}{
		{"plain", `{"sharded": false, "tables": {"t": {}}}`, []string{"-"}},
		{"sharded", `{"sharded": true, "vindexes": {"hash": {"type": "hash"}},
			"tables": {"t": {"column_vindexes": [{"column": "id", "name": "hash"}]}}}`, []string{"-80", "80-"}},
	} {
		must(top.CreateKeyspace(ctx, &topov1.Keyspace{Name: &ks.name}))
		_, err := top.PutVSchema(ctx, ks.name, &topov1.VSchema{Json: &ks.vschema}, 0)
		must(err)
		for _, sh := range ks.shards {
			uid++
			host, port, err := net.SplitHostPort(fakeServer(t))
			must(err)
			n, err := strconv.Atoi(port)
			must(err)
			alias, id, cell, flavor, version, mysqlPort := topo.Alias("zone1", uid), uid, "zone1", "mysql", "9.7.4", uint32(n)
			one, serving := uint64(1), true
			must(top.CreateShard(ctx, &topov1.Shard{Keyspace: &ks.name, Name: &sh, Term: &one, Primary: &alias, Serving: &serving}))
			must(top.CreateTablet(ctx, &topov1.Tablet{Alias: &alias, Cell: &cell, Uid: &id, Keyspace: &ks.name, Shard: &sh,
				Type: topov1.TabletType_TABLET_TYPE_PRIMARY.Enum(), Host: &host, MysqlPort: &mysqlPort, Flavor: &flavor, ServerVersion: &version}))
		}
	}
	return top
}

// fakeGateway serves sessions over a topology of fake servers and returns its address.
func fakeGateway(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	targets := target.NewWatcher(fakeTopology(t, ctx), target.Config{Log: log, NewPool: func(addr, _, db string) *pool.Pool {
		return pool.New(pool.Config{Dial: client.Config{Addr: addr, User: "app", Database: db}, Max: 10, Wait: waitLimit, IdleTimeout: time.Minute})
	}})
	done := make(chan struct{})
	go func() { defer close(done); targets.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; targets.Close() })
	limit := time.After(waitLimit)
	for !serving(targets.Current()) {
		changed := targets.Changed()
		if serving(targets.Current()) {
			break
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatal("the topology is not seen")
		}
	}
	reg, plans := clients.New(), plancache.New()
	sh := &Shared{
		Targets: targets, Plans: plans, Scopes: route.NewScopes(), Variables: &variables.Config{Settings: settings.NewTable(), MaxUser: 10}, Prepared: &prepared.Config{Table: prepared.NewTable(), Max: 100, MaxLong: 1 << 20}, Clients: reg, Server: fakeConfig("9.7.4-pelorus"),
		Backend: &backend.Config{
			Targets: targets, Sequences: exec.NewSequences(), Committer: txn.NewCommitter(log, txn.Hooks{}), Merge: exec.Limits{MaxRows: 1000, MaxBytes: 1 << 20},
			MaxRedoBytes: 1 << 20, WaitPrimary: waitLimit, Log: log,
		},
		Metrics: NewMetrics(prometheus.NewRegistry(), reg, plans),
		May:     func(string, string) bool { return true }, Rights: func(string) (bool, bool) { return false, false },
		Limits:  Limits{MaxPacket: 1 << 20, WriteTimeout: time.Minute},
		Version: "9.7.4-pelorus", Log: log,
	}
	return listen(t, func(nc net.Conn) { Serve(ctx, nc, sh) })
}

func serving(snap *target.Snapshot) bool {
	for _, name := range []string{"plain", "sharded"} {
		ks := snap.Keyspaces[name]
		if ks == nil || len(ks.Shards) == 0 {
			return false
		}
		for _, sh := range ks.Shards {
			if sh.Primary == nil {
				return false
			}
		}
	}
	return true
}

// fakeClient sends commands as raw bytes and reads their answers with a scanner, without an allocation.
type fakeClient struct {
	c    *client.Conn
	scan wire.Scanner
}

func dialFake(t testing.TB, addr, keyspace string, deprecateEOF bool) *fakeClient {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Config{Addr: addr, User: "root", Database: keyspace, DeprecateEOF: deprecateEOF, SessionTrack: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &fakeClient{c: c}
}

func (f *fakeClient) do(t testing.TB, command []byte) {
	w := f.c.Wire()
	if err := w.WriteRaw(command); err != nil {
		t.Fatal(err)
	}
	f.scan.Reset(wire.ResponseQuery, f.c.Caps())
	for {
		chunk, err := w.Fill()
		if err != nil {
			t.Fatal(err)
		}
		n, done, err := f.scan.Feed(chunk)
		if err != nil {
			t.Fatal(err)
		}
		w.Discard(n)
		if done {
			w.Release()
			break
		}
	}
	if f.scan.IsErr {
		t.Fatalf("the gateway answered with error %d", f.scan.Errno)
	}
}

// steady are commands that an application repeats, and how many rows each answers with.
func steady(t testing.TB, addr string) []struct {
	name     string
	client   *fakeClient
	commands [][]byte
	rows     uint64
} {
	query := func(q string) []byte { return frame(0, append([]byte{wire.ComQuery}, q...)) }
	plain, sharded, old := dialFake(t, addr, "plain", true), dialFake(t, addr, "sharded", true), dialFake(t, addr, "sharded", false)
	within := dialFake(t, addr, "sharded", true)
	within.do(t, query("BEGIN"))
	var points [][]byte
	for id := range 16 {
		points = append(points, query(fmt.Sprintf("SELECT c FROM t WHERE id=%d", 1000+id)))
	}
	var executes [][]byte
	handle, err := sharded.c.Prepare(t.Context(), "SELECT c FROM t WHERE id=?")
	if err != nil {
		t.Fatal(err)
	}
	for id := range 16 {
		executes = append(executes, frame(0, wire.AppendStmtExecute(nil, handle.ID, 0, []wire.Param{{Type: wire.TypeLongLong, Raw: binary.LittleEndian.AppendUint64(nil, uint64(1000+id))}}, nil, sharded.c.Caps())))
	}
	return []struct {
		name     string
		client   *fakeClient
		commands [][]byte
		rows     uint64
	}{
		{"unsharded text", plain, points, 1},
		{"sharded text", sharded, points, 1},
		{"sharded text with EOF", old, points, 1},
		{"sharded text in a transaction", within, points, 1},
		{"sharded prepared", sharded, executes, 1},
		{"unsharded write", plain, [][]byte{query("UPDATE t SET c=1 WHERE id=7")}, 0},
	}
}

// TestForwardAllocatesNothing: what an application repeats costs the forwarding loop no allocation. Counted are those of the
// whole process, the fake client's and server's included, which have none either.
func TestForwardAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools drop what they are given")
	}
	for _, s := range steady(t, fakeGateway(t)) {
		t.Run(s.name, func(t *testing.T) {
			next := 0
			one := func() {
				s.client.do(t, s.commands[next%len(s.commands)])
				next++
			}
			for range 4 * len(s.commands) {
				one() // plans are made, connections opened, statements prepared
			}
			if s.client.scan.Rows != s.rows {
				t.Fatalf("%d rows came back, want %d", s.client.scan.Rows, s.rows)
			}
			if n := testing.AllocsPerRun(500, one); n != 0 {
				t.Errorf("%v allocations per query, want none", n)
			}
		})
	}
}

// BenchmarkForward is one query through the gateway, over loopback, to a server that only answers.
func BenchmarkForward(b *testing.B) {
	for _, s := range steady(b, fakeGateway(b)) {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			next := 0
			for b.Loop() {
				s.client.do(b, s.commands[next%len(s.commands)])
				next++
			}
		})
	}
}
