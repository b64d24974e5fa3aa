package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pelorusdb/pelorus/internal/obs"
	"github.com/pelorusdb/pelorus/internal/topo/etcd/embed"
)

// roleCommand is the command of one role: flags come from its configuration, and each may be given by the environment too, as
// PELORUS_ROLE_FLAG. run ends when ctx does; what it returns then is not a failure.
func (a *App) roleCommand(role, short string, flags func(*pflag.FlagSet), validate func() error, run func(context.Context, *slog.Logger) error) *cobra.Command {
	logs := obs.DefaultLogConfig()
	cmd := &cobra.Command{
		Use:     role,
		Short:   short,
		Long:    short + ".\n\nEach flag may be given by the environment too: --log-level as " + envName(role, "log-level") + ".\nIt runs until SIGTERM or an interrupt.",
		GroupID: groupRoles,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags(), role, os.LookupEnv); err != nil {
				return err
			}
			if err := validate(); err != nil {
				return &codedError{code: exitUsage, err: err}
			}
			log, err := obs.NewLogger(a.err, logs, slog.String("role", role))
			if err != nil {
				return &codedError{code: exitUsage, err: err}
			}
			ctx := cmd.Context()
			if err := run(ctx, log); err != nil && !(ctx.Err() != nil && errors.Is(err, ctx.Err())) {
				return err
			}
			return nil
		},
	}
	flags(cmd.Flags())
	cmd.Flags().StringVar(&logs.Format, "log-format", logs.Format, "text or json")
	cmd.Flags().StringVar(&logs.Level, "log-level", logs.Level, "debug, info, warn or error")
	return cmd
}

func envName(role, flag string) string {
	return "PELORUS_" + strings.ToUpper(role+"_"+strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment sets the flags that the command line did not.
func fromEnvironment(flags *pflag.FlagSet, role string, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if v, ok := lookup(envName(role, f.Name)); ok && !f.Changed {
			if err := flags.Set(f.Name, v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", envName(role, f.Name), err))
			}
		}
	})
	if len(errs) > 0 {
		return &codedError{code: exitUsage, err: errors.Join(errs...)}
	}
	return nil
}

// etcdFlags are those of every role that reads the topology.
func etcdFlags(f *pflag.FlagSet, endpoints *[]string, prefix *string) {
	f.StringSliceVar(endpoints, "etcd", *endpoints, "endpoints of etcd, such as http://127.0.0.1:15379")
	f.StringVar(prefix, "etcd-prefix", *prefix, "where the cluster's keys are in etcd")
}

func (a *App) topoCommand() *cobra.Command {
	cfg := embed.DefaultConfig()
	return a.roleCommand("topo", "Run an embedded etcd of one node, for a local or small cluster", func(f *pflag.FlagSet) {
		f.StringVar(&cfg.DataDir, "data-dir", cfg.DataDir, "directory of etcd's data")
		f.StringVar(&cfg.Host, "host", cfg.Host, "address to listen on")
		f.IntVar(&cfg.ClientPort, "client-port", cfg.ClientPort, "port for clients")
		f.IntVar(&cfg.PeerPort, "peer-port", cfg.PeerPort, "port of etcd's own protocol")
	}, func() error { return cfg.Validate() }, func(ctx context.Context, log *slog.Logger) error { return embed.Run(ctx, cfg, log) })
}
