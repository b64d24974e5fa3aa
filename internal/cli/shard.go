package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/topov1"
)

func (a *App) shardCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "shard", Short: "Shards", GroupID: groupCluster, RunE: helpOnly}
	cmd.AddCommand(a.shardCreate(), a.shardList(), a.shardShow(), a.shardSet(), a.shardDelete(), a.shardInit())
	return cmd
}

func (a *App) shardTable(list []*topov1.Shard) error {
	var rows [][]string
	for _, s := range list {
		serving := "unknown"
		if s.Serving != nil {
			serving = strconv.FormatBool(s.GetServing())
		}
		rows = append(rows, []string{s.GetKeyspace() + "/" + s.GetName(), serving, s.GetPrimary(), strconv.FormatUint(s.GetTerm(), 10), timeCell(s.GetPrimarySince())})
	}
	return a.table([]string{"SHARD", "SERVING", "PRIMARY", "TERM", "SINCE"}, rows)
}

func (a *App) shardCreate() *cobra.Command {
	var serving, ifNotExists bool
	cmd := &cobra.Command{
		Use: "create KEYSPACE/SHARD", Short: "Create a shard", Args: exactArgs("KEYSPACE/SHARD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyspace, shard, err := splitShard(args[0])
			if err != nil {
				return err
			}
			req := &controlv1.CreateShardRequest{Keyspace: &keyspace, Name: &shard, Serving: given(cmd, "serving", serving), IfNotExists: &ifNotExists}
			res, err := call(cmd.Context(), a, a.control().shards.CreateShard, req)
			if err != nil {
				return err
			}
			return a.done(res, "shard %s created", args[0])
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&serving, "serving", true, "whether gateways send statements there (default: unless its range belongs to a serving shard)")
	cmd.Flags().BoolVar(&ifNotExists, "if-not-exists", false, "no error if it is there")
	return cmd
}

func (a *App) shardList() *cobra.Command {
	var keyspace string
	cmd := &cobra.Command{
		Use: "list", Short: "List the shards", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, a.control().shards.ListShards, &controlv1.ListShardsRequest{Keyspace: given(cmd, "keyspace", keyspace)})
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			return a.shardTable(res.GetShards())
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&keyspace, "keyspace", "", "only of this keyspace")
	return cmd
}

func (a *App) shardShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show KEYSPACE/SHARD", Short: "Show a shard and its tablets", Args: exactArgs("KEYSPACE/SHARD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyspace, shard, err := splitShard(args[0])
			if err != nil {
				return err
			}
			res, err := call(cmd.Context(), a, a.control().shards.GetShard, &controlv1.GetShardRequest{Keyspace: &keyspace, Name: &shard})
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			if err := a.shardTable([]*topov1.Shard{res.GetShard()}); err != nil {
				return err
			}
			fmt.Fprintln(a.out)
			var rows [][]string
			for _, t := range res.GetTablets() {
				rows = append(rows, []string{t.GetAlias(), typeWord(t.GetType()), fmt.Sprintf("%s:%d", t.GetHost(), t.GetMysqlPort()), t.GetServerVersion()})
			}
			return a.table([]string{"TABLET", "TYPE", "SERVER", "VERSION"}, rows)
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) shardSet() *cobra.Command {
	var serving, force bool
	cmd := &cobra.Command{
		Use: "set KEYSPACE/SHARD", Short: "Change a shard", Args: exactArgs("KEYSPACE/SHARD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyspace, shard, err := splitShard(args[0])
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("serving") {
				return usagef("nothing to change: give --serving")
			}
			req := &controlv1.UpdateShardRequest{Keyspace: &keyspace, Name: &shard, Serving: &serving, Force: &force}
			res, err := call(cmd.Context(), a, a.control().shards.UpdateShard, req)
			if err != nil {
				return err
			}
			return a.done(res, "shard %s changed", args[0])
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&serving, "serving", true, "whether gateways send statements there")
	cmd.Flags().BoolVar(&force, "force", false, "although keyspace ids are left without a serving shard")
	return cmd
}

func (a *App) shardDelete() *cobra.Command {
	var recursive, force bool
	cmd := &cobra.Command{
		Use: "delete KEYSPACE/SHARD", Short: "Delete a shard's records; servers and their data stay", Args: exactArgs("KEYSPACE/SHARD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyspace, shard, err := splitShard(args[0])
			if err != nil {
				return err
			}
			req := &controlv1.DeleteShardRequest{Keyspace: &keyspace, Name: &shard, Recursive: &recursive, Force: &force}
			res, err := call(cmd.Context(), a, a.control().shards.DeleteShard, req)
			if err != nil {
				return err
			}
			return a.done(res, "shard %s deleted", args[0])
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&recursive, "recursive", false, "with its tablets")
	cmd.Flags().BoolVar(&force, "force", false, "although it is serving")
	return cmd
}

func (a *App) shardInit() *cobra.Command {
	var primary string
	var dryRun, force bool
	cmd := &cobra.Command{
		Use: "init KEYSPACE/SHARD", Short: "Give a shard its first primary", Args: exactArgs("KEYSPACE/SHARD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyspace, shard, err := splitShard(args[0])
			if err != nil {
				return err
			}
			req := &controlv1.InitShardRequest{Keyspace: &keyspace, Name: &shard, Primary: given(cmd, "primary", primary), DryRun: &dryRun, Force: &force, Timeout: durationpb.New(a.timeout)}
			res, err := call(cmd.Context(), a, a.control().shards.InitShard, req)
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			return a.steps(dryRun, res.GetShard(), res.GetSteps())
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&primary, "primary", "", "alias of who is to reign (default: the replica with the lowest alias)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say the steps, do nothing")
	cmd.Flags().BoolVar(&force, "force", false, "although the servers hold different transactions: the new primary's win")
	return cmd
}

func (a *App) reparentCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "reparent", Short: "Change the primary of a shard", GroupID: groupCluster, RunE: helpOnly}
	cmd.AddCommand(a.reparentPlanned(), a.reparentEmergency())
	return cmd
}

func (a *App) reparentPlanned() *cobra.Command {
	var primary string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "planned KEYSPACE/SHARD", Short: "Hand the reign of a healthy primary to another tablet", Args: exactArgs("KEYSPACE/SHARD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyspace, shard, err := splitShard(args[0])
			if err != nil {
				return err
			}
			req := &controlv1.ReparentPlannedRequest{
				Keyspace: &keyspace, Name: &shard, NewPrimary: given(cmd, "new-primary", primary), DryRun: &dryRun, Timeout: durationpb.New(a.operationTime()),
			}
			res, err := call(cmd.Context(), a, a.control().shards.ReparentPlanned, req)
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			return a.steps(dryRun, res.GetShard(), res.GetSteps())
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&primary, "new-primary", "", "alias of who is to reign (default: the best replica)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say the steps, do nothing")
	return cmd
}

func (a *App) reparentEmergency() *cobra.Command {
	var primary string
	var dryRun, force bool
	cmd := &cobra.Command{
		Use: "emergency KEYSPACE/SHARD", Short: "Replace a primary that is dead or out of reach", Args: exactArgs("KEYSPACE/SHARD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyspace, shard, err := splitShard(args[0])
			if err != nil {
				return err
			}
			req := &controlv1.ReparentEmergencyRequest{
				Keyspace: &keyspace, Name: &shard, NewPrimary: given(cmd, "new-primary", primary), DryRun: &dryRun, Force: &force, Timeout: durationpb.New(a.operationTime()),
			}
			res, err := call(cmd.Context(), a, a.control().shards.ReparentEmergency, req)
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			return a.steps(dryRun, res.GetShard(), res.GetSteps())
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&primary, "new-primary", "", "alias of who is to reign (default: the most advanced replica)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say the steps, do nothing")
	cmd.Flags().BoolVar(&force, "force", false, "although acknowledged transactions may be lost")
	return cmd
}

// operationTime is what an operation gets of the command's time: a little less, so that control says what was not done in time.
func (a *App) operationTime() time.Duration { return a.timeout - a.timeout/10 }

// steps prints what an operation did, or in a dry run would do.
func (a *App) steps(dryRun bool, shard *topov1.Shard, steps []*controlv1.Step) error {
	var rows [][]string
	for _, s := range steps {
		took, result := "", "ok"
		switch {
		case s.GetError() != "":
			result = s.GetError()
		case dryRun || s.GetStartedAt() == nil:
			result = "would be done"
		}
		if s.GetDuration() != nil && !dryRun {
			took = s.GetDuration().AsDuration().Round(time.Millisecond).String()
		}
		rows = append(rows, []string{s.GetName(), s.GetTarget(), s.GetDetail(), took, result})
	}
	if err := a.table([]string{"STEP", "TARGET", "DETAIL", "TOOK", "RESULT"}, rows); err != nil {
		return err
	}
	if dryRun {
		fmt.Fprintln(a.out, "\nnothing was changed")
	}
	if shard != nil {
		fmt.Fprintf(a.out, "\n%s/%s: primary %s, term %d\n", shard.GetKeyspace(), shard.GetName(), shard.GetPrimary(), shard.GetTerm())
	}
	return nil
}
