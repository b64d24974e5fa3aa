package cli

import (
	"github.com/spf13/cobra"

	"github.com/pelorusdb/pelorus/internal/version"
)

func (a *App) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "The release of this binary",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info := version.Get()
			if a.json {
				return a.printJSON(info)
			}
			return a.table([]string{"VERSION", "REVISION", "GO", "PLATFORM"}, [][]string{{info.Version, info.Revision, info.Go, info.Platform}})
		},
	}
	a.jsonFlag(cmd)
	return cmd
}
