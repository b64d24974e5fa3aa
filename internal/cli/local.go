package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pelorusdb/pelorus/internal/devcluster"
	"github.com/pelorusdb/pelorus/internal/devcluster/shape"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

const defaultDir = "./pelorus-data"

// stopTime bounds the end of a local cluster after an interrupt, when the command's own context has ended.
const stopTime = 2 * time.Minute

func (a *App) localCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "local", Short: "A whole cluster on this machine", GroupID: groupLocal, RunE: helpOnly,
		Long: "A whole cluster on this machine: real servers, every role a process of its own, all of it in one directory.",
	}
	cmd.AddCommand(a.upCommand(), a.downCommand(), a.psCommand(), a.addShardsCommand(), a.addTabletCommand(), a.restartCommand())
	return cmd
}

// upFlags are the flags of `up`.
type upFlags struct {
	dir, flavor, mysqld, config, keyspace, schema, vschema string
	shards, cells, etcd, bins                              []string
	replicas, gatewayPort, controlPort                     int
	detach                                                 bool
}

func (a *App) upCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use: "up", Short: "Start a cluster on this machine", Args: noArgs,
		Long: `Start a whole cluster on this machine. Without arguments: keyspace commerce with the shards -80 and 80-, one primary
and two replicas each, one control node, one gateway, embedded etcd. Everything listens on 127.0.0.1 only; log in as root
without password. Started again on the same directory it continues with the data that is there.

Without --detach it stays in the foreground, starts processes again that end, and ends the cluster on Ctrl-C (or when the terminal closes). With --detach
nobody looks after the processes: ` + "`pelorus local ps` shows those that ended, and `pelorus up`" + ` or
` + "`pelorus local restart NAME`" + ` starts them again. Agents restart their servers in both cases. A start that fails or is interrupted
ends what it has started; the data stays, and the next start continues with it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := f.options(cmd)
			if err != nil {
				return &codedError{code: exitUsage, err: err}
			}
			return a.up(cmd.Context(), o, f.detach)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.dir, "dir", defaultDir, "the cluster's directory")
	fl.StringVar(&f.flavor, "flavor", shape.FlavorAuto, "auto, mysql or mariadb")
	fl.StringVar(&f.mysqld, "mysqld", "", "server program (default: the one that is installed)")
	fl.StringVar(&f.config, "config", "", "YAML file: flavor, cells, gateways, controls, keyspaces")
	fl.StringVar(&f.keyspace, "keyspace", "commerce", "name of the keyspace")
	fl.StringSliceVar(&f.shards, "shards", []string{"-80", "80-"}, "its shards; - for one that is not sharded")
	fl.IntVar(&f.replicas, "replicas", 2, "replicas of each shard")
	fl.StringVar(&f.schema, "schema", "", "SQL file to apply to the keyspace when it is made")
	fl.StringVar(&f.vschema, "vschema", "", "vschema (JSON) to apply to the keyspace when it is made")
	fl.StringSliceVar(&f.cells, "cells", []string{"zone1"}, "cells; the tablets of a shard are spread over them")
	fl.IntVar(&f.gatewayPort, "gateway-port", 15306, "port of the first gateway; 0 for any free one")
	fl.IntVar(&f.controlPort, "control-port", 15000, "port of the first control node; 0 for any free one")
	fl.StringSliceVar(&f.etcd, "etcd", nil, "use this etcd instead of an embedded one")
	fl.StringArrayVar(&f.bins, "bin", nil, "ROLE=PATH: run that role (topo, control, gateway, tablet) from another build; repeatable")
	fl.BoolVar(&f.detach, "detach", false, "return when the cluster is ready")
	return cmd
}

// options turns flags into what devcluster wants to know. Flags that describe the shape count only when they were given, so
// that `up` continues with any cluster that is there.
func (f *upFlags) options(cmd *cobra.Command) (devcluster.Options, error) {
	changed := cmd.Flags().Changed
	o := devcluster.Options{Dir: f.dir, Mysqld: f.mysqld, Etcd: f.etcd}
	if f.dir == "" {
		return o, errors.New("--dir names no directory")
	}
	if f.mysqld != "" {
		if _, err := program(f.mysqld); err != nil {
			return o, fmt.Errorf("--mysqld: %w", err)
		}
	}
	for _, url := range f.etcd {
		if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
			return o, fmt.Errorf("--etcd %s: an endpoint is a URL such as http://127.0.0.1:2379", url)
		}
	}
	if err := f.ports(changed, &o); err != nil {
		return o, err
	}
	if err := f.binaries(&o); err != nil {
		return o, err
	}
	if err := f.shape(changed, &o); err != nil {
		return o, err
	}
	// What was said is checked at once, with the default for the rest, so that nonsense is wrong usage also where a cluster is there.
	spec := shape.Default()
	if o.Spec != nil {
		spec = *o.Spec
	}
	if changed("flavor") {
		o.Flavor, spec.Flavor = f.flavor, f.flavor
	}
	if changed("cells") {
		o.Cells, spec.Cells = f.cells, f.cells
	}
	if err := spec.Validate(); err != nil {
		return o, err
	}
	return o, spec.CheckFiles()
}

func (f *upFlags) ports(changed func(string) bool, o *devcluster.Options) error {
	for _, p := range []struct {
		flag string
		port *int
		out  **int
	}{{"gateway-port", &f.gatewayPort, &o.GatewayPort}, {"control-port", &f.controlPort, &o.ControlPort}} {
		if *p.port < 0 || *p.port > 65535 {
			return fmt.Errorf("--%s %d: a port is a number up to 65535, or 0 for any free one", p.flag, *p.port)
		}
		if changed(p.flag) {
			*p.out = p.port
		}
	}
	if f.gatewayPort == f.controlPort && f.gatewayPort != 0 {
		return fmt.Errorf("--gateway-port and --control-port are both %d: choose two", f.gatewayPort)
	}
	return nil
}

func (f *upFlags) binaries(o *devcluster.Options) error {
	o.Binaries = map[string]string{}
	roles := []string{devcluster.RoleTopo, devcluster.RoleControl, devcluster.RoleGateway, devcluster.RoleTablet}
	for _, b := range f.bins {
		role, path, ok := strings.Cut(b, "=")
		if !ok || !slices.Contains(roles, role) {
			return fmt.Errorf("--bin %s: want ROLE=PATH with a role of %s", b, strings.Join(roles, ", "))
		}
		path, err := program(path)
		if err != nil {
			return fmt.Errorf("--bin %s: %w", b, err)
		}
		o.Binaries[role] = path
	}
	return nil
}

// shape sets the spec if any flag describes one.
func (f *upFlags) shape(changed func(string) bool, o *devcluster.Options) error {
	short := []string{"keyspace", "shards", "replicas", "schema", "vschema"}
	anyShort := slices.ContainsFunc(short, changed)
	switch {
	case changed("config") && anyShort:
		return fmt.Errorf("--config describes the keyspaces: it goes without --%s", strings.Join(short, ", --"))
	case changed("config"):
		spec, err := shape.Load(f.config)
		o.Spec = &spec
		return err
	case !anyShort:
		return nil
	}
	k := shape.Keyspace{Name: f.keyspace, Shards: f.shards, Replicas: &f.replicas}
	for _, file := range []struct {
		in  string
		out *string
	}{{f.schema, &k.Schema}, {f.vschema, &k.VSchema}} {
		if file.in == "" {
			continue
		}
		path, err := readableFile(file.in)
		if err != nil {
			return err
		}
		*file.out = path
	}
	spec := shape.Default()
	spec.Keyspaces = []shape.Keyspace{k}
	o.Spec = &spec
	return nil
}

func (a *App) up(ctx context.Context, o devcluster.Options, detach bool) error {
	// Who reads our output may be gone before us: a signal that is caught keeps us alive to end the cluster in order.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)
	c, err := devcluster.Up(ctx, o, a.out)
	if err != nil {
		return localError(err)
	}
	a.printCluster(c)
	c.Release()
	if detach {
		return nil
	}
	fmt.Fprintln(a.out, "\nCtrl-C ends the cluster; its data stays.")
	c.Supervise(ctx, func(text string) { fmt.Fprintln(a.out, text) })
	if ctx.Err() == nil {
		fmt.Fprintln(a.out, "another command has ended the cluster")
		return nil
	}
	fmt.Fprintln(a.out, "\nending the cluster ...")
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	return localError(devcluster.Down(end, devcluster.DownOptions{Dir: c.Dir}, a.out))
}

// printCluster is the block that tells a newcomer where to go: every command in it can be pasted.
func (a *App) printCluster(c *devcluster.Cluster) {
	host, port, _ := strings.Cut(c.Gateway, ":")
	keyspace, _, _ := strings.Cut(c.Shards[len(c.Shards)-1], "/")
	control, dir := "", ""
	if c.Control != a.controlAddr {
		control = " --control " + c.Control
	}
	if own, err := filepath.Abs(defaultDir); err != nil || own != c.Dir {
		dir = " --dir " + c.Dir
	}
	fmt.Fprintf(a.out, "\nReady after %.1f s: %s (%s), %s (%s, %s)\n\n", c.Took.Seconds(), counted(len(c.Shards), "shard"), strings.Join(c.Shards, ", "),
		counted(c.Servers, "server"), c.Flavor, c.Mysqld)
	for _, line := range [][2]string{
		{"SQL", fmt.Sprintf("mysql -h %s -P %s -u root %s", host, port, keyspace)},
		{"", fmt.Sprintf("%s sql --gateway %s --keyspace %s", a.name, c.Gateway, keyspace)},
		{"status", a.name + control + " status"},
		{"web", "http://" + c.Control + "/"},
		{"processes", a.name + " local ps" + dir},
		{"logs", c.Dir + "/logs"},
		{"etcd", strings.Join(c.Etcd, ",")},
		{"end", a.name + " down" + dir + "   (with --purge also its data)"},
	} {
		fmt.Fprintf(a.out, "  %-10s %s\n", line[0], line[1])
	}
}

func (a *App) downCommand() *cobra.Command {
	var o devcluster.DownOptions
	cmd := &cobra.Command{
		Use: "down", Short: "End the cluster on this machine", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := devcluster.Down(cmd.Context(), o, a.out)
			if errors.Is(err, devcluster.ErrNoCluster) {
				fmt.Fprintln(a.out, "nothing runs:", err)
				return nil
			}
			return localError(err)
		},
	}
	cmd.Flags().StringVar(&o.Dir, "dir", defaultDir, "the cluster's directory")
	cmd.Flags().BoolVar(&o.Purge, "purge", false, "remove the directory with all data")
	return cmd
}

func (a *App) psCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "ps", Short: "List the processes of the cluster", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := devcluster.List(cmd.Context(), dir)
			if err != nil {
				return localError(err)
			}
			if a.json {
				return a.printJSON(list)
			}
			var rows [][]string
			dead := 0
			for _, p := range list {
				pid := "not running"
				if p.Pid != nil {
					pid = strconv.Itoa(*p.Pid)
				} else {
					dead++
				}
				rows = append(rows, []string{p.Name, pid, p.Role, p.Cell, p.Keyspace, p.Shard, p.Tablet, p.TabletType, strconv.Itoa(p.Port)})
			}
			if err := a.table([]string{"NAME", "PID", "ROLE", "CELL", "KEYSPACE", "SHARD", "TABLET", "TYPE", "PORT"}, rows); err != nil {
				return err
			}
			if dead > 0 {
				fmt.Fprintf(a.err, "%d of %d processes do not run: `pelorus up --detach --dir %s` starts them all, `pelorus local restart NAME --dir %s` one of them\n",
					dead, len(list), dir, dir)
			}
			return nil
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&dir, "dir", defaultDir, "the cluster's directory")
	return cmd
}

func (a *App) addShardsCommand() *cobra.Command {
	var dir string
	var replicas int
	cmd := &cobra.Command{
		Use: "add-shards KEYSPACE RANGES", Short: "Add shards with their tablets, to reshard into", Args: exactArgs("KEYSPACE", "RANGES"),
		Example: "  pelorus local add-shards commerce -40,40-80",
		RunE: func(cmd *cobra.Command, args []string) error {
			names := strings.Split(args[1], ",")
			for _, name := range names {
				if _, err := vindex.ParseShardName(name); err != nil {
					return &codedError{code: exitUsage, err: err}
				}
			}
			return localError(devcluster.AddShards(cmd.Context(), dir, args[0], names, replicas, a.out))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", defaultDir, "the cluster's directory")
	cmd.Flags().IntVar(&replicas, "replicas", 2, "replicas of each shard")
	return cmd
}

func (a *App) addTabletCommand() *cobra.Command {
	var dir, typ, cell string
	cmd := &cobra.Command{
		Use: "add-tablet KEYSPACE/SHARD", Short: "Add a tablet to a shard", Args: exactArgs("KEYSPACE/SHARD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyspace, shard, err := splitShard(args[0])
			if err != nil {
				return err
			}
			if !slices.Contains([]string{"replica", "rdonly", "spare", "drained"}, typ) {
				return usagef("a tablet cannot be added as %q: choose replica, rdonly, spare or drained", typ)
			}
			alias, err := devcluster.AddTablet(cmd.Context(), dir, keyspace, shard, typ, cell, a.out)
			if err != nil {
				return localError(err)
			}
			fmt.Fprintln(a.out, alias)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", defaultDir, "the cluster's directory")
	cmd.Flags().StringVar(&typ, "type", "replica", "replica, rdonly, spare or drained")
	cmd.Flags().StringVar(&cell, "cell", "", "cell (default: the first)")
	return cmd
}

func (a *App) restartCommand() *cobra.Command {
	var dir, bin string
	cmd := &cobra.Command{
		Use: "restart NAME", Short: "End a process of the cluster and start it again", Args: exactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return localError(devcluster.Restart(cmd.Context(), dir, args[0], bin, a.out))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", defaultDir, "the cluster's directory")
	cmd.Flags().StringVar(&bin, "bin", "", "run it from another build from now on")
	return cmd
}

// localError gives devcluster's errors their exit codes.
func localError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, devcluster.ErrBusy), errors.Is(err, devcluster.ErrOtherShape), errors.Is(err, devcluster.ErrNoCluster), errors.Is(err, devcluster.ErrPortTaken):
		return &codedError{code: exitRefused, err: err}
	case errors.Is(err, devcluster.ErrUnknown), errors.Is(err, devcluster.ErrWrongServer):
		return &codedError{code: exitUsage, err: err}
	}
	return err
}

// program is the absolute path of a program file.
func program(path string) (string, error) {
	path, err := readableFile(path)
	if err != nil {
		return "", err
	}
	if st, err := os.Stat(path); err != nil || st.Mode()&0o111 == 0 {
		return "", fmt.Errorf("%s is not a program", path)
	}
	return path, nil
}

// readFile reads a file that a flag names; "-" is the standard input.
func (a *App) readFile(path string) (string, error) {
	const limit = 64 << 20
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", &codedError{code: exitUsage, err: err}
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > limit {
		return "", usagef("%s is larger than %d bytes", path, limit)
	}
	return string(b), nil
}
