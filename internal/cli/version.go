package cli

import (
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/version"
)

func (a *App) versionCommand() *cobra.Command {
	var cluster bool
	cmd := &cobra.Command{
		Use: "version", Short: "The release of this binary, or of every part of the cluster", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cluster {
				return a.clusterVersion(cmd)
			}
			info := version.Get()
			if a.json {
				return a.printJSON(info)
			}
			return a.table([]string{"VERSION", "REVISION", "GO", "PLATFORM"}, [][]string{{info.Version, info.Revision, info.Go, info.Platform}})
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&cluster, "cluster", false, "ask control for the versions of all agents and servers")
	return cmd
}

func (a *App) clusterVersion(cmd *cobra.Command) error {
	res, err := call(cmd.Context(), a, a.control().cluster.GetVersion, &controlv1.GetVersionRequest{Cluster: proto.Bool(true)})
	if err != nil {
		return err
	}
	if a.json {
		return a.printProto(res)
	}
	rows := [][]string{{"control", res.GetControlVersion(), "", ""}}
	for _, c := range res.GetComponents() {
		rows = append(rows, []string{c.GetTablet(), c.GetAgentVersion(), c.GetFlavor(), c.GetServerVersion()})
	}
	return a.table([]string{"PART", "PELORUS", "FLAVOR", "SERVER"}, rows)
}
