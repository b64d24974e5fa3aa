package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/topov1"
)

// enumWord is an enum's value as a word: TABLET_TYPE_PRIMARY becomes primary.
func enumWord(name, prefix string) string {
	w := strings.ToLower(strings.TrimPrefix(name, prefix))
	if w == "unspecified" {
		return ""
	}
	return w
}

func typeWord(t topov1.TabletType) string { return enumWord(t.String(), "TABLET_TYPE_") }

// durabilityAuto is how a keyspace without a durability of its own is shown.
const durabilityAuto = "auto"

func durabilityWord(d topov1.Durability) string {
	return cmp.Or(enumWord(d.String(), "DURABILITY_"), durabilityAuto)
}

const durabilityHelp = "none, semi_sync or cross_cell (" + durabilityAuto + ", if never set: semi_sync where two replicas can acknowledge)"

func parseDurability(word string) (*topov1.Durability, error) {
	if word == "" {
		return nil, nil
	}
	v, ok := topov1.Durability_value["DURABILITY_"+strings.ToUpper(strings.ReplaceAll(word, "-", "_"))]
	if !ok || v == 0 {
		return nil, usagef("durability %q is none of none, semi_sync, cross_cell", word)
	}
	return topov1.Durability(v).Enum(), nil
}

func timeCell(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

// given is a pointer to a flag's value if the flag was given, else nil: what is absent stays as it is.
func given[T any](cmd *cobra.Command, flag string, v T) *T {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	return &v
}

func (a *App) keyspaceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keyspace", Short: "Keyspaces", GroupID: groupCluster, RunE: helpOnly}
	cmd.AddCommand(a.keyspaceCreate(), a.keyspaceList(), a.keyspaceShow(), a.keyspaceSet(), a.keyspaceDelete())
	return cmd
}

func (a *App) keyspaceCreate() *cobra.Command {
	var dbName, durability string
	var shards []string
	var ifNotExists bool
	cmd := &cobra.Command{
		Use: "create KEYSPACE", Short: "Create a keyspace, with its shards if they are named", Args: exactArgs("KEYSPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := parseDurability(durability)
			if err != nil {
				return err
			}
			req := &controlv1.CreateKeyspaceRequest{
				Name: &args[0], DbName: given(cmd, "db-name", dbName), Durability: d, Shards: shards, IfNotExists: &ifNotExists,
			}
			res, err := call(cmd.Context(), a, a.control().keyspaces.CreateKeyspace, req)
			if err != nil {
				return err
			}
			return a.done(res, "keyspace %s created, %d shards", args[0], len(res.GetShards()))
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&dbName, "db-name", "", "database on the servers (default: the keyspace's name)")
	cmd.Flags().StringVar(&durability, "durability", "", durabilityHelp)
	cmd.Flags().StringSliceVar(&shards, "shards", nil, "shards to create along with it")
	cmd.Flags().BoolVar(&ifNotExists, "if-not-exists", false, "no error if it is there; shards that are missing are created")
	return cmd
}

func (a *App) keyspaceList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the keyspaces", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, a.control().keyspaces.ListKeyspaces, &controlv1.ListKeyspacesRequest{})
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			return a.keyspaceTable(res.GetKeyspaces())
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) keyspaceTable(list []*topov1.Keyspace) error {
	var rows [][]string
	for _, k := range list {
		db := k.GetDbName()
		if db == "" {
			db = k.GetName()
		}
		rows = append(rows, []string{k.GetName(), db, durabilityWord(k.GetDurability()), timeCell(k.GetCreatedAt())})
	}
	return a.table([]string{"KEYSPACE", "DATABASE", "DURABILITY", "CREATED"}, rows)
}

func (a *App) keyspaceShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show KEYSPACE", Short: "Show a keyspace and its shards", Args: exactArgs("KEYSPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().keyspaces.GetKeyspace, &controlv1.GetKeyspaceRequest{Name: &args[0]})
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			if err := a.keyspaceTable([]*topov1.Keyspace{res.GetKeyspace()}); err != nil {
				return err
			}
			fmt.Fprintln(a.out)
			return a.shardTable(res.GetShards())
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) keyspaceSet() *cobra.Command {
	var durability string
	cmd := &cobra.Command{
		Use: "set KEYSPACE", Short: "Change a keyspace", Args: exactArgs("KEYSPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := parseDurability(durability)
			if err != nil {
				return err
			}
			if d == nil {
				return usagef("nothing to change: give --durability")
			}
			res, err := call(cmd.Context(), a, a.control().keyspaces.UpdateKeyspace, &controlv1.UpdateKeyspaceRequest{Name: &args[0], Durability: d})
			if err != nil {
				return err
			}
			return a.done(res, "keyspace %s changed", args[0])
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&durability, "durability", "", durabilityHelp)
	return cmd
}

func (a *App) keyspaceDelete() *cobra.Command {
	var recursive, force bool
	cmd := &cobra.Command{
		Use: "delete KEYSPACE", Short: "Delete a keyspace's records; servers and their data stay", Args: exactArgs("KEYSPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &controlv1.DeleteKeyspaceRequest{Name: &args[0], Recursive: &recursive, Force: &force}
			res, err := call(cmd.Context(), a, a.control().keyspaces.DeleteKeyspace, req)
			if err != nil {
				return err
			}
			return a.done(res, "keyspace %s deleted", args[0])
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&recursive, "recursive", false, "with its shards and tablets")
	cmd.Flags().BoolVar(&force, "force", false, "although a shard is serving")
	return cmd
}

// done ends a command that changed something: the answer as JSON, or one line.
func (a *App) done(res proto.Message, format string, args ...any) error {
	if a.json {
		return a.printProto(res)
	}
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}
