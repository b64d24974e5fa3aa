// Package shape says what a local cluster consists of: flavor, cells, keyspaces with their shards and how many of each. It is the form of the
// configuration file of `pelorus up`.
//
// It reads and checks; it chooses no port and no program, and starts nothing.
package shape

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/pelorusdb/pelorus/internal/api/topov1"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
	"github.com/pelorusdb/pelorus/internal/sql/vschema"
	"github.com/pelorusdb/pelorus/internal/topo"
)

// Flavors that a Cluster may ask for.
const (
	FlavorAuto    = "auto"
	FlavorMySQL   = "mysql"
	FlavorMariaDB = "mariadb"
)

// Limits of one machine: more would only be a typing error. A file is a schema or a vschema.
const (
	maxGateways        = 16
	maxControls        = 9
	MaxTabletsPerShard = 20 // with the primary
	maxTablets         = 200
	maxConfigBytes     = 1 << 20
	maxFileBytes       = 16 << 20
	defaultReplicas    = 2
)

// Cluster says what a cluster consists of. It is the form of the configuration file too.
type Cluster struct {
	// Flavor is auto, mysql or mariadb. auto takes the MySQL server that is installed, else the MariaDB server.
	Flavor string `yaml:"flavor" json:"flavor"`
	// Cells get the tablets of each shard in turn.
	Cells    []string `yaml:"cells" json:"cells"`
	Gateways int      `yaml:"gateways" json:"gateways"`
	Controls int      `yaml:"controls" json:"controls"`

	Keyspaces []Keyspace `yaml:"keyspaces" json:"keyspaces"`
}

// Keyspace is one keyspace of a Cluster.
type Keyspace struct {
	Name string `yaml:"name" json:"name"`
	// Shards are key ranges such as "-80"; "-" or "0" alone is an unsharded keyspace.
	Shards []string `yaml:"shards" json:"shards"`
	// Replicas and Rdonly are tablets per shard besides the primary. Replicas is 2 unless set.
	Replicas *int `yaml:"replicas" json:"replicas,omitempty"`
	Rdonly   int  `yaml:"rdonly" json:"rdonly,omitempty"`
	// Durability is none, semi_sync or cross_cell; empty leaves the choice to control.
	Durability string `yaml:"durability" json:"durability,omitempty"`
	// Schema and VSchema are files, applied when the keyspace is made; relative to the configuration file.
	Schema  string `yaml:"schema" json:"schema,omitempty"`
	VSchema string `yaml:"vschema" json:"vschema,omitempty"`
}

// ReplicaCount is how many replicas each shard gets.
func (k Keyspace) ReplicaCount() int {
	if k.Replicas == nil {
		return defaultReplicas
	}
	return *k.Replicas
}

// Default is what `up` makes without arguments.
func Default() Cluster {
	return Cluster{
		Flavor: FlavorAuto, Cells: []string{"zone1"}, Gateways: 1, Controls: 1,
		Keyspaces: []Keyspace{{Name: "commerce", Shards: []string{"-80", "80-"}}},
	}
}

// Load reads a configuration file. What it leaves out is as in Default; an unknown key is an error.
func Load(path string) (Cluster, error) {
	st, err := os.Stat(path)
	if err != nil {
		return Cluster{}, fmt.Errorf("read the cluster's configuration: %w", err)
	}
	if st.Size() > maxConfigBytes {
		return Cluster{}, fmt.Errorf("%s has %d bytes: a configuration has at most %d", path, st.Size(), maxConfigBytes)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return Cluster{}, fmt.Errorf("read the cluster's configuration: %w", err)
	}
	spec, err := Parse(b)
	if err != nil {
		return Cluster{}, fmt.Errorf("%s: %w", path, err)
	}
	// Absolute, because the state keeps them and the next command may run elsewhere.
	base, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return Cluster{}, fmt.Errorf("find the directory of %s: %w", path, err)
	}
	for i := range spec.Keyspaces {
		k := &spec.Keyspaces[i]
		for _, file := range []*string{&k.Schema, &k.VSchema} {
			if *file != "" && !filepath.IsAbs(*file) {
				*file = filepath.Join(base, *file)
			}
		}
	}
	return spec, nil
}

// Parse reads YAML and checks it.
func Parse(b []byte) (Cluster, error) {
	spec := Default()
	keyspaces := spec.Keyspaces
	spec.Keyspaces = nil
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&spec); err != nil {
		return Cluster{}, fmt.Errorf("not a configuration of a cluster: %w", err)
	}
	if len(spec.Keyspaces) == 0 {
		spec.Keyspaces = keyspaces
	}
	return spec, spec.Validate()
}

// Validate says what is wrong with it.
func (c *Cluster) Validate() error {
	if !slices.Contains([]string{FlavorAuto, FlavorMySQL, FlavorMariaDB}, c.Flavor) {
		return fmt.Errorf("flavor %q is none of auto, mysql, mariadb", c.Flavor)
	}
	if len(c.Cells) == 0 {
		return errors.New("no cell is named")
	}
	for i, cell := range c.Cells {
		if err := topo.ValidateCellName(cell); err != nil {
			return err
		}
		if slices.Contains(c.Cells[:i], cell) {
			return fmt.Errorf("cell %s is named twice", cell)
		}
	}
	if c.Gateways < 1 || c.Gateways > maxGateways {
		return fmt.Errorf("%d gateways: choose 1 to %d", c.Gateways, maxGateways)
	}
	if c.Controls < 1 || c.Controls > maxControls {
		return fmt.Errorf("%d control nodes: choose 1 to %d", c.Controls, maxControls)
	}
	tablets := 0
	for i, k := range c.Keyspaces {
		if slices.ContainsFunc(c.Keyspaces[:i], func(o Keyspace) bool { return o.Name == k.Name }) {
			return fmt.Errorf("keyspace %s is described twice", k.Name)
		}
		if err := k.validate(); err != nil {
			return err
		}
		tablets += len(k.Shards) * (1 + k.ReplicaCount() + k.Rdonly)
	}
	if tablets > maxTablets {
		return fmt.Errorf("%d tablets are more than one machine is asked to run (%d)", tablets, maxTablets)
	}
	return nil
}

func (k Keyspace) validate() error {
	if err := topo.ValidateKeyspaceName(k.Name); err != nil {
		return err
	}
	if len(k.Shards) == 0 {
		return fmt.Errorf("keyspace %s has no shards: name them, such as [\"-80\", \"80-\"], or [\"-\"] for one", k.Name)
	}
	if n := k.ReplicaCount() + k.Rdonly; k.ReplicaCount() < 0 || k.Rdonly < 0 || n >= MaxTabletsPerShard {
		return fmt.Errorf("keyspace %s: %d replicas and %d rdonly per shard: choose 0 to %d together", k.Name, k.ReplicaCount(), k.Rdonly, MaxTabletsPerShard-1)
	}
	if _, err := k.DurabilityValue(); err != nil {
		return fmt.Errorf("keyspace %s: %w", k.Name, err)
	}
	return checkRanges(k.Name, k.Shards)
}

// CheckFiles says what is wrong with the schema and vschema files, as far as that can be seen without servers. They have to be
// there for as long as they have not been applied.
func (c *Cluster) CheckFiles() error {
	for _, k := range c.Keyspaces {
		if k.Schema != "" {
			if _, err := ReadFile(k.Schema); err != nil {
				return fmt.Errorf("schema of keyspace %s: %w", k.Name, err)
			}
		}
		if k.VSchema == "" {
			continue
		}
		doc, err := ReadFile(k.VSchema)
		if err != nil {
			return fmt.Errorf("vschema of keyspace %s: %w", k.Name, err)
		}
		if _, err := vschema.Parse(doc); err != nil {
			return fmt.Errorf("vschema of keyspace %s: %s: %w", k.Name, k.VSchema, err)
		}
	}
	return nil
}

// checkRanges wants shards that cover all keyspace ids once.
func checkRanges(keyspace string, shards []string) error {
	ranges := make([]vindex.KeyRange, len(shards))
	for i, name := range shards {
		r, err := vindex.ParseShardName(name)
		if err != nil {
			return fmt.Errorf("keyspace %s: %w", keyspace, err)
		}
		ranges[i] = r
	}
	if err := vindex.CheckPartition(ranges); err != nil {
		return fmt.Errorf("keyspace %s, shards %s: %w", keyspace, strings.Join(shards, ","), err)
	}
	return nil
}

// DurabilityValue is the record's value; unspecified if nothing was said.
func (k Keyspace) DurabilityValue() (topov1.Durability, error) {
	if k.Durability == "" {
		return topov1.Durability_DURABILITY_UNSPECIFIED, nil
	}
	v, ok := topov1.Durability_value["DURABILITY_"+strings.ToUpper(k.Durability)]
	if !ok || v == 0 {
		return 0, fmt.Errorf("durability %q is none of none, semi_sync, cross_cell", k.Durability)
	}
	return topov1.Durability(v), nil
}

// ReadFile reads a schema or vschema.
func ReadFile(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if st.Size() > maxFileBytes {
		return "", fmt.Errorf("%s has %d bytes, more than %d", path, st.Size(), maxFileBytes)
	}
	b, err := os.ReadFile(path)
	return string(b), err
}
