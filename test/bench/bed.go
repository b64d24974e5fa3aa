package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/pelorusdb/pelorus/internal/agent/mysqld"
	"github.com/pelorusdb/pelorus/internal/devcluster"
	"github.com/pelorusdb/pelorus/internal/devcluster/shape"
	"github.com/pelorusdb/pelorus/internal/topo/credentials"
)

const (
	flavorMySQL   = shape.FlavorMySQL
	flavorMariaDB = shape.FlavorMariaDB

	targetDirect = "direct"
	targetRouter = "router"
	targetPlain  = "pelorus"
	targetShards = "pelorus-2"
)

func targetNames() []string { return []string{targetDirect, targetRouter, targetPlain, targetShards} }

const (
	// stopTime bounds the end of the cluster and of Router.
	stopTime = time.Minute
	// routerTime bounds Router's start.
	routerTime = 20 * time.Second
	pollStep   = 50 * time.Millisecond
	// Router's port is taken from below the range of the kernel's client ports.
	firstPort, lastPort = 23210, 23390
	// benchUser has no password: the servers listen on loopback only and are removed at the end.
	benchUser = "bench"
)

// clusterYAML has no replicas and no semi-sync, so that a write costs each target the same at the server.
const clusterYAML = `flavor: %s
cells: [zone1]
keyspaces:
- {name: plain, shards: ["-"], replicas: 0, durability: none}
- {name: sharded, shards: ["-80", "80-"], replicas: 0, durability: none, vschema: vschema.json}
`

const vschemaJSON = `{
  "sharded": true,
  "vindexes": {"hash": {"type": "hash"}},
  "tables": {"sbtest1": {"column_vindexes": [{"column": "id", "name": "hash"}]}}
}
`

// target is something that sysbench is pointed at.
type target struct {
	name, user, db string
	port           int
	proxy          int // pid of the process in between, 0 for none
	servers        []int
}

// bed is the cluster, the Router, and what runs in them.
type bed struct {
	bin, dir      string
	version       string
	routerVersion string
	processes     []devcluster.Process
	router        *exec.Cmd
	routerDone    chan error
	targets       map[string]*target
	up            bool
	env           []string
}

// newBed starts everything. A bed that it returns together with an error has to be closed too.
func newBed(ctx context.Context, cfg *config, bin, dir string) (*bed, error) {
	b := &bed{bin: bin, dir: filepath.Join(dir, "cluster"), targets: map[string]*target{}}
	if cfg.profile != "" {
		b.env = []string{"PELORUS_GATEWAY_PROFILING=true"}
	}
	config := filepath.Join(dir, "cluster.yaml")
	for path, text := range map[string]string{config: fmt.Sprintf(clusterYAML, cfg.Flavor), filepath.Join(dir, "vschema.json"): vschemaJSON} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	b.up = true
	if _, err := b.pelorus(ctx, "up", "--dir", b.dir, "--config", config, "--gateway-port", "0", "--control-port", "0", "--detach"); err != nil {
		return b, err
	}
	out, err := b.pelorus(ctx, "local", "ps", "--dir", b.dir, "--json")
	if err != nil {
		return b, err
	}
	if b.processes, err = processes(out); err != nil {
		return b, err
	}
	if err := b.makeTargets(); err != nil {
		return b, err
	}
	if err := b.makeUser(ctx); err != nil {
		return b, err
	}
	if cfg.Flavor == flavorMySQL && slices.Contains(cfg.Targets, targetRouter) {
		if err := b.startRouter(ctx, cfg.router, filepath.Join(dir, "router")); err != nil {
			return b, err
		}
	}
	return b, nil
}

func (b *bed) pelorus(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, b.bin, args...)
	cmd.Env = append(os.Environ(), b.env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("pelorus %s: %w\n%s%s", args[0], err, out, stderr.Bytes())
	}
	return out, nil
}

// processes reads what `local ps --json` prints.
func processes(out []byte) ([]devcluster.Process, error) {
	var list []devcluster.Process
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("read the list of processes: %w", err)
	}
	for _, p := range list {
		if p.Pid == nil {
			return nil, fmt.Errorf("process %s does not run; see %s", p.Name, p.Log)
		}
	}
	return list, nil
}

func (b *bed) makeTargets() error {
	direct := &target{name: targetDirect, user: benchUser, db: "plain"}
	router := &target{name: targetRouter, user: benchUser, db: "plain"}
	plain := &target{name: targetPlain, user: "root", db: "plain"}
	shards := &target{name: targetShards, user: "root", db: "sharded"}
	for _, p := range b.processes {
		switch {
		case p.Role == devcluster.RoleGateway:
			plain.port, plain.proxy, shards.port, shards.proxy = p.Port, *p.Pid, p.Port, *p.Pid
		case p.Role == devcluster.RoleMysqld && p.Keyspace == "plain":
			direct.port = p.Port
			direct.servers = []int{*p.Pid}
			router.servers, plain.servers = direct.servers, direct.servers
		case p.Role == devcluster.RoleMysqld:
			shards.servers = append(shards.servers, *p.Pid)
		}
	}
	if plain.port == 0 || direct.port == 0 || len(shards.servers) != 2 {
		return errors.New("the cluster lacks a gateway or a server")
	}
	for _, t := range []*target{direct, router, plain, shards} {
		b.targets[t.name] = t
	}
	return nil
}

func (b *bed) target(name string) *target { return b.targets[name] }

// makeUser lets sysbench log in to the server of the keyspace that is not sharded, without the gateway.
func (b *bed) makeUser(ctx context.Context) error {
	creds, err := credentials.Load(filepath.Join(b.dir, "credentials.yaml"))
	if err != nil {
		return err
	}
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.AllowNativePasswords = creds.DBA.User, creds.DBA.Password, "tcp", true
	c.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(b.targets[targetDirect].port))
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return err
	}
	defer db.Close()
	for _, q := range []string{
		"CREATE USER IF NOT EXISTS " + benchUser + "@'%' IDENTIFIED BY ''",
		"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER ON *.* TO " + benchUser + "@'%'",
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("make the benchmark's account: %w", err)
		}
	}
	return db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&b.version)
}

const routerConf = `[DEFAULT]
logging_folder=%[1]s
runtime_folder=%[1]s
data_folder=%[1]s
plugin_folder=%[2]s
[logger]
level=WARNING
[routing:bench]
bind_address=127.0.0.1
bind_port=%[3]d
destinations=127.0.0.1:%[4]d
routing_strategy=first-available
protocol=classic
client_ssl_mode=DISABLED
server_ssl_mode=DISABLED
max_connections=2000
max_connect_errors=1000000
`

// startRouter starts MySQL Router before the server of the keyspace that is not sharded.
func (b *bed) startRouter(ctx context.Context, program, dir string) error {
	program, plugins, err := findRouter(program)
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if plugins, err = linkPlugins(plugins, dir); err != nil {
		return err
	}
	conf := filepath.Join(dir, "router.conf")
	text := fmt.Sprintf(routerConf, dir, plugins, port, b.targets[targetDirect].port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	version, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", program, err)
	}
	b.routerVersion = strings.TrimSpace(string(version))
	args := []string{"-c", conf}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	log, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start MySQL Router: %w", err)
	}
	b.router, b.routerDone = cmd, make(chan error, 1)
	go func() { b.routerDone <- cmd.Wait() }()
	t := b.targets[targetRouter]
	t.port, t.proxy = port, cmd.Process.Pid
	return b.awaitRouter(ctx, log.Name())
}

func (b *bed) awaitRouter(ctx context.Context, log string) error {
	ctx, cancel := context.WithTimeout(ctx, routerTime)
	defer cancel()
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(b.targets[targetRouter].port))
	tick := time.NewTicker(pollStep)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
		select {
		case err := <-b.routerDone:
			b.routerDone <- err
			said, _ := os.ReadFile(log)
			return fmt.Errorf("MySQL Router ended: %w\n%s", err, said)
		case <-ctx.Done():
			said, _ := os.ReadFile(log)
			return fmt.Errorf("MySQL Router does not listen: %w\n%s", ctx.Err(), said)
		case <-tick.C:
		}
	}
}

// findRouter returns Router's program and the directory of its plugins.
func findRouter(program string) (path, plugins string, err error) {
	tries := []string{program}
	if program == "" {
		tries = []string{filepath.Join(filepath.Dir(mysqld.Locate(flavorMySQL)), "mysqlrouter"), "mysqlrouter"}
	}
	for _, t := range tries {
		if path, err = exec.LookPath(t); err == nil {
			break
		}
	}
	if err != nil {
		return "", "", fmt.Errorf("MySQL Router is not installed (%w): run `scripts/setup.sh bench`, or leave router out of -targets", err)
	}
	prefix := filepath.Dir(filepath.Dir(path))
	for _, dir := range []string{prefix + "/root/usr/lib", prefix + "/lib", prefix + "/lib64"} {
		for _, sub := range []string{"mysqlrouter/plugin", "mysqlrouter"} {
			if found, _ := filepath.Glob(filepath.Join(dir, sub, "routing.so")); len(found) == 1 {
				return path, filepath.Dir(found[0]), nil
			}
		}
	}
	return "", "", fmt.Errorf("%s has no plugin routing.so under %s", path, prefix)
}

// linkPlugins makes a directory of links to Router's plugins, in which they find their libraries although they were unpacked
// and not installed: they look in ../private, beside the directory that they were loaded from.
func linkPlugins(plugins, dir string) (string, error) {
	libraries, err := filepath.Abs(filepath.Join(plugins, "..", "..", "mysql-router"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(libraries); err != nil {
		return plugins, nil
	}
	files, err := filepath.Glob(filepath.Join(plugins, "*.so"))
	if err != nil {
		return "", err
	}
	linked := filepath.Join(dir, "plugin")
	errs := []error{os.Mkdir(linked, 0o700), os.Symlink(libraries, filepath.Join(dir, "private"))}
	for _, f := range files {
		errs = append(errs, os.Symlink(f, filepath.Join(linked, filepath.Base(f))))
	}
	return linked, errors.Join(errs...)
}

func freePort() (int, error) {
	for port := firstPort; port <= lastPort; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no port of %d to %d is free", firstPort, lastPort)
}

// startProfile has the gateway profile itself for the length of the run, if that is wanted. The returned function waits for
// the profile and writes it.
func (b *bed) startProfile(ctx context.Context, cfg *config) func() error {
	if cfg.profile == "" {
		return func() error { return nil }
	}
	seconds := cfg.count() * (cfg.Seconds + 1)
	port := 0
	for _, p := range b.processes {
		if p.Role == devcluster.RoleGateway {
			port = p.HTTPPort
		}
	}
	done := make(chan error, 1)
	go func() { done <- saveProfile(ctx, port, seconds, cfg.profile) }()
	return func() error { return <-done }
}

func saveProfile(ctx context.Context, port, seconds int, path string) error {
	url := fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/profile?seconds=%d", port, seconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("profile the gateway: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("profile the gateway: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("profile the gateway: %s: %s", res.Status, body)
	}
	return os.WriteFile(path, body, 0o600)
}

// close ends Router and the cluster.
func (b *bed) close(w io.Writer) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if b.router != nil {
		_ = b.router.Process.Signal(syscall.SIGTERM)
		select {
		case <-b.routerDone:
		case <-ctx.Done():
			_ = b.router.Process.Kill()
		}
	}
	if b.up {
		if _, err := b.pelorus(ctx, "down", "--dir", b.dir, "--purge"); err != nil {
			fmt.Fprintln(w, "the cluster did not end:", err)
		}
	}
}
