package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/topov1"
)

func (a *App) tabletCommand() *cobra.Command {
	cmd := a.tabletRole()
	cmd.AddCommand(a.tabletList(), a.tabletShow(), a.tabletStatus(), a.tabletSetType(), a.tabletStart(), a.tabletStop(), a.tabletDelete())
	return cmd
}

func (a *App) tabletList() *cobra.Command {
	var keyspace, shard, cell string
	cmd := &cobra.Command{
		Use: "list", Short: "List the tablets with what their agents report", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := &controlv1.ListTabletsRequest{Keyspace: given(cmd, "keyspace", keyspace), Shard: given(cmd, "shard", shard), Cell: given(cmd, "cell", cell)}
			res, err := call(cmd.Context(), a, a.control().fleet.ListTablets, req)
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			return a.tabletTable(res.GetTablets())
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&keyspace, "keyspace", "", "only of this keyspace")
	cmd.Flags().StringVar(&shard, "shard", "", "only of this shard")
	cmd.Flags().StringVar(&cell, "cell", "", "only of this cell")
	return cmd
}

func (a *App) tabletTable(list []*controlv1.TabletStatus) error {
	var rows [][]string
	for _, t := range list {
		rec := t.GetTablet()
		rows = append(rows, []string{
			rec.GetAlias(), rec.GetKeyspace() + "/" + rec.GetShard(), typeWord(rec.GetType()), fmt.Sprintf("%s:%d", rec.GetHost(), rec.GetMysqlPort()),
			enumWord(t.GetHealth().String(), "HEALTH_"), lagCell(t), strings.Join(tabletRemarks(t), "; "),
		})
	}
	return a.table([]string{"TABLET", "SHARD", "TYPE", "SERVER", "HEALTH", "LAG", "REMARKS"}, rows)
}

// lagCell says how far a replica is behind; an unknown lag is unknown and not zero.
func lagCell(t *controlv1.TabletStatus) string {
	lag := t.GetStatus().GetLag()
	switch {
	case t.GetTablet().GetType() == topov1.TabletType_TABLET_TYPE_PRIMARY:
		return ""
	case lag.GetHeartbeatLag() != nil:
		return fmt.Sprintf("%.1fs", lag.GetHeartbeatLag().AsDuration().Seconds())
	case lag != nil && lag.SecondsBehind != nil:
		return fmt.Sprintf("%ds", lag.GetSecondsBehind())
	}
	return "unknown"
}

func tabletRemarks(t *controlv1.TabletStatus) []string {
	remarks := t.GetReasons()
	if t.GetUnreachable() != "" && len(remarks) == 0 {
		remarks = append(remarks, t.GetUnreachable())
	}
	return remarks
}

func (a *App) tabletShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show ALIAS", Short: "Show a tablet's record and its last report", Args: exactArgs("ALIAS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().fleet.GetTablet, &controlv1.GetTabletRequest{Alias: &args[0]})
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res.GetTablet())
			}
			return a.tabletTable([]*controlv1.TabletStatus{res.GetTablet()})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) tabletStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status ALIAS", Short: "Ask the agent itself for its full status; what is unknown is absent", Args: exactArgs("ALIAS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().fleet.GetTabletStatus, &controlv1.GetTabletStatusRequest{Alias: &args[0]})
			if err != nil {
				return err
			}
			return a.printProto(res.GetStatus())
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) tabletSetType() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set-type ALIAS TYPE", Short: "Change a tablet's type: replica, rdonly, spare, drained", Args: exactArgs("ALIAS", "TYPE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, ok := topov1.TabletType_value["TABLET_TYPE_"+strings.ToUpper(args[1])]
			if !ok || v == 0 {
				return usagef("there is no tablet type %q: choose replica, rdonly, spare or drained", args[1])
			}
			if topov1.TabletType(v) == topov1.TabletType_TABLET_TYPE_PRIMARY {
				return usagef("a tablet becomes primary by `pelorus reparent planned KEYSPACE/SHARD --new-primary %s`", args[0])
			}
			res, err := call(cmd.Context(), a, a.control().fleet.SetTabletType, &controlv1.SetTabletTypeRequest{Alias: &args[0], Type: topov1.TabletType(v).Enum()})
			if err != nil {
				return err
			}
			return a.done(res, "%s is %s", args[0], args[1])
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) tabletStart() *cobra.Command {
	cmd := &cobra.Command{
		Use: "start ALIAS", Short: "Start a tablet's server", Args: exactArgs("ALIAS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().fleet.StartTablet, &controlv1.StartTabletRequest{Alias: &args[0]})
			if err != nil {
				return err
			}
			return a.done(res, "the server of %s runs", args[0])
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) tabletStop() *cobra.Command {
	var fast, force bool
	cmd := &cobra.Command{
		Use: "stop ALIAS", Short: "End a tablet's server; the agent goes on", Args: exactArgs("ALIAS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().fleet.StopTablet, &controlv1.StopTabletRequest{Alias: &args[0], Fast: &fast, Force: &force})
			if err != nil {
				return err
			}
			return a.done(res, "the server of %s has ended", args[0])
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&fast, "fast", false, "do not wait for a slow shutdown")
	cmd.Flags().BoolVar(&force, "force", false, "although it is its shard's primary")
	return cmd
}

func (a *App) tabletDelete() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "delete ALIAS", Short: "Delete a tablet's record; the server and its data stay", Args: exactArgs("ALIAS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().fleet.DeleteTablet, &controlv1.DeleteTabletRequest{Alias: &args[0], Force: &force})
			if err != nil {
				return err
			}
			return a.done(res, "tablet %s deleted", args[0])
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "although it is its shard's primary")
	return cmd
}

func (a *App) statusCommand() *cobra.Command {
	var keyspace string
	cmd := &cobra.Command{
		Use: "status", Short: "The cluster at this moment", GroupID: groupCluster, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, a.control().cluster.GetStatus, &controlv1.GetStatusRequest{Keyspace: given(cmd, "keyspace", keyspace)})
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			var shards [][]string
			var tablets []*controlv1.TabletStatus
			for _, k := range res.GetKeyspaces() {
				for _, s := range k.GetShards() {
					rec := s.GetShard()
					shards = append(shards, []string{
						k.GetName() + "/" + s.GetName(), enumWord(s.GetHealth().String(), "HEALTH_"), rec.GetPrimary(), fmt.Sprint(rec.GetTerm()), strings.Join(s.GetReasons(), "; "),
					})
					tablets = append(tablets, s.GetTablets()...)
				}
				if len(k.GetShards()) == 0 {
					shards = append(shards, []string{k.GetName(), "", "", "", "no shards"})
				}
			}
			if err := a.table([]string{"SHARD", "HEALTH", "PRIMARY", "TERM", "REMARKS"}, shards); err != nil {
				return err
			}
			fmt.Fprintln(a.out)
			return a.tabletTable(tablets)
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&keyspace, "keyspace", "", "only this keyspace")
	return cmd
}

// errUnwell makes `doctor` exit with 1 when it found something serious.
var errUnwell = errors.New("not everything is well")

func (a *App) doctorCommand() *cobra.Command {
	var keyspace string
	cmd := &cobra.Command{
		Use: "doctor", Short: "What is wrong, or soon will be, and what to do about it", GroupID: groupCluster, Args: noArgs,
		Long: "What is wrong, or soon will be, and what to do about it. The exit code is 1 when a finding is an error.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, a.control().cluster.RunDoctor, &controlv1.RunDoctorRequest{Keyspace: given(cmd, "keyspace", keyspace)})
			if err != nil {
				return err
			}
			if a.json {
				err = a.printProto(res)
			} else {
				err = a.findings(res)
			}
			for _, f := range res.GetFindings() {
				if err == nil && f.GetSeverity() == controlv1.Severity_SEVERITY_ERROR {
					err = errUnwell
				}
			}
			return err
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&keyspace, "keyspace", "", "only this keyspace")
	return cmd
}

func (a *App) findings(res *controlv1.RunDoctorResponse) error {
	for _, f := range res.GetFindings() {
		fmt.Fprintf(a.out, "%-8s %s: %s\n", enumWord(f.GetSeverity().String(), "SEVERITY_"), f.GetScope(), f.GetMessage())
		if f.GetCure() != "" {
			fmt.Fprintf(a.out, "         %s\n", f.GetCure())
		}
	}
	_, err := fmt.Fprintf(a.out, "looked at %s and %s: %s\n", counted(int(res.GetShardsChecked()), "shard"), counted(int(res.GetTabletsChecked()), "tablet"), counted(len(res.GetFindings()), "finding"))
	return err
}
