// Package devcluster runs a whole cluster on this machine: etcd, control, gateways, an agent and a real server for every tablet,
// each its own process, all of them described by one directory. `pelorus up`, `down` and `local` are its commands.
//
// It is for development, demonstrations and tests. It listens on 127.0.0.1 only. Only `up` in the foreground starts again what dies
// (Supervise); behind --detach nobody does until the next `up` or `local restart`. It never signals a process that it cannot prove
// to be one of this directory, and removes no file that is not its own.
package devcluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/pelorusdb/pelorus/internal/devcluster/shape"
)

// Roles of processes, as `local ps` names them.
const (
	RoleTopo    = "topo"
	RoleControl = "control"
	RoleGateway = "gateway"
	RoleTablet  = "tablet"
	RoleMysqld  = "mysqld"
)

const (
	stateFile   = "state.json"
	lockFile    = "lock"
	stateTemp   = ".state-*" // what a crash may leave of a save
	secretsFile = "credentials.yaml"
	logsDir     = "logs"
	tabletsDir  = "tablets"
	topoDir     = "topo"
	stateFormat = 1
)

// ErrNoCluster says that the directory holds no cluster.
var ErrNoCluster = errors.New("there is no local cluster here")

// ErrBusy says that another command is changing the cluster.
var ErrBusy = errors.New("another pelorus command is at work on this cluster")

// process is one process that the cluster should have. Which process of the machine it is at present is found each time anew
// (see find), so that nothing here can be out of date.
type process struct {
	Name     string `json:"name"`
	Role     string `json:"role"`
	Cell     string `json:"cell,omitempty"`
	Keyspace string `json:"keyspace,omitempty"`
	Shard    string `json:"shard,omitempty"`
	Tablet   string `json:"tablet,omitempty"`
	// Type is the type that the tablet was made with; the topology knows the present one.
	Type string `json:"type,omitempty"`
	// Port is the main one: MySQL protocol of a gateway, HTTP of control and agents, etcd's client port.
	Port int `json:"port"`
	// SidePort is a gateway's HTTP port, an agent's server's port, etcd's peer port.
	SidePort int `json:"side_port,omitempty"`
	// Binary runs this role instead of the program that runs `up`.
	Binary string `json:"binary,omitempty"`
}

// state is what state.json holds. Only the holder of the directory's lock writes it.
type state struct {
	Format int           `json:"format"`
	Spec   shape.Cluster `json:"spec"`
	// Flavor and Mysqld are what auto was resolved to.
	Flavor string `json:"flavor"`
	Mysqld string `json:"mysqld"`
	// Etcd lists the endpoints of an etcd that is not ours; empty with an embedded one. Prefix is where our keys are.
	Etcd   []string `json:"etcd,omitempty"`
	Prefix string   `json:"prefix,omitempty"`
	// Loaded lists keyspaces whose schema and vschema files were applied; Loading is how far that has come for the present one.
	Loaded  []string `json:"loaded,omitempty"`
	Loading *loading `json:"loading,omitempty"`
	// Stopped says that `down` has ended the cluster, so that nobody starts a part of it again.
	Stopped   bool       `json:"stopped,omitempty"`
	Processes []*process `json:"processes"`
}

// loading is a schema file that is being applied, statement by statement: Done of them have run on every shard, the next one may have
// run on some.
type loading struct {
	Keyspace string `json:"keyspace"`
	Done     int    `json:"done"`
}

// directory is a cluster's directory, held by this process.
type directory struct {
	path string
	lock *os.File
	made bool // by openDir

	mu    sync.Mutex // guards state.json against concurrent saves
	state *state
}

// openDir takes the directory's lock. The state is nil if there is none yet.
func openDir(dir string, create bool) (*directory, error) {
	made := false
	if create {
		_, err := os.Stat(dir)
		made = errors.Is(err, fs.ErrNotExist)
		if err := os.MkdirAll(filepath.Join(dir, logsDir), 0o700); err != nil {
			return nil, fmt.Errorf("make the cluster's directory: %w", err)
		}
	}
	path, err := absolute(dir)
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNoCluster)
	}
	if err != nil {
		return nil, fmt.Errorf("open the cluster's lock: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s: %w", path, ErrBusy)
	}
	d := &directory{path: path, lock: lock, made: made}
	if d.state, err = readState(path); err != nil {
		lock.Close()
		return nil, err
	}
	return d, nil
}

// absolute resolves links, so that one directory has one name; processes are known by it.
func absolute(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the cluster's directory: %w", err)
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		parent, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return path, nil // neither is there: the name as it is
		}
		return filepath.Join(parent, filepath.Base(path)), nil
	}
	if err != nil {
		return "", fmt.Errorf("find the cluster's directory: %w", err)
	}
	return real, nil
}

// readState reads state.json; nil without an error if there is none.
func readState(path string) (*state, error) {
	b, err := os.ReadFile(filepath.Join(path, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the cluster's state: %w", err)
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", filepath.Join(path, stateFile), err)
	}
	if s.Format != stateFormat {
		return nil, fmt.Errorf("%s has format %d, this program knows %d: use the program that made it", filepath.Join(path, stateFile), s.Format, stateFormat)
	}
	return &s, nil
}

// save writes state.json so that a crash leaves the old or the new one.
func (d *directory) save() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, err := json.MarshalIndent(d.state, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the cluster's state: %w", err)
	}
	f, err := os.CreateTemp(d.path, stateTemp)
	if err != nil {
		return fmt.Errorf("write the cluster's state: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.statePath())
	}
	if err != nil {
		return fmt.Errorf("write the cluster's state: %w", err)
	}
	return nil
}

// discard removes what openDir and create have made where no cluster came of it.
func (d *directory) discard() error {
	for _, name := range []string{secretsFile, lockFile, logsDir} {
		if err := os.Remove(filepath.Join(d.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("tidy up: %w", err)
		}
	}
	if !d.made {
		return nil
	}
	if err := os.Remove(d.path); err != nil {
		return fmt.Errorf("tidy up: %w", err)
	}
	return nil
}

func (d *directory) close() { d.lock.Close() }

func (d *directory) statePath() string { return filepath.Join(d.path, stateFile) }

func (d *directory) credentials() string { return filepath.Join(d.path, secretsFile) }

func (d *directory) log(p *process) string { return filepath.Join(d.path, logsDir, p.Name+".log") }

// tabletDir is what the agent is given as its own.
func (d *directory) tabletDir(alias string) string { return filepath.Join(d.path, tabletsDir, alias) }

// byRole returns the processes of a role in their order.
func (s *state) byRole(role string) []*process {
	var out []*process
	for _, p := range s.Processes {
		if p.Role == role {
			out = append(out, p)
		}
	}
	return out
}

// byName finds a process by its name, an agent also by its tablet's alias; nil if there is none.
func (s *state) byName(name string) *process {
	i := slices.IndexFunc(s.Processes, func(p *process) bool { return p.Name == name || p.Role == RoleTablet && p.Tablet == name })
	if i < 0 {
		return nil
	}
	return s.Processes[i]
}

// endpoints are the etcd endpoints that roles connect to.
func (s *state) endpoints() []string {
	if len(s.Etcd) > 0 {
		return s.Etcd
	}
	var out []string
	for _, p := range s.byRole(RoleTopo) {
		out = append(out, fmt.Sprintf("http://127.0.0.1:%d", p.Port))
	}
	return out
}

func (s *state) control() string {
	for _, p := range s.byRole(RoleControl) {
		return fmt.Sprintf("127.0.0.1:%d", p.Port)
	}
	return ""
}
