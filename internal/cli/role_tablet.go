package cli

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pelorusdb/pelorus/internal/agent"
)

func (a *App) tabletRoleFlags(cfg *agent.Config, bind *string, port *int) func(*pflag.FlagSet) {
	return func(f *pflag.FlagSet) {
		f.StringVar(&cfg.Alias, "alias", cfg.Alias, "the tablet's name: CELL-NUMBER")
		f.StringVar(&cfg.Keyspace, "keyspace", cfg.Keyspace, "keyspace that it belongs to")
		f.StringVar(&cfg.Shard, "shard", cfg.Shard, "shard that it belongs to")
		f.StringVar(&cfg.Type, "type", cfg.Type, "type to register with when it is new: replica, rdonly, spare or drained")
		f.StringVar(&cfg.Dir, "dir", cfg.Dir, "directory of the server and the agent, absolute")
		f.StringVar(bind, "bind", *bind, "address that the agent listens on")
		f.IntVar(port, "port", *port, "port that the agent listens on")
		f.StringVar(&cfg.Host, "host", cfg.Host, "name or address by which others reach this machine")
		etcdFlags(f, &cfg.Etcd, &cfg.Prefix)
		f.StringVar(&cfg.Credentials, "credentials", cfg.Credentials, "file with the accounts on the servers")
		f.StringVar(&cfg.ServerBinary, "server-binary", cfg.ServerBinary, "mysqld or mariadbd, absolute")
		f.IntVar(&cfg.ServerPort, "server-port", cfg.ServerPort, "port that the server listens on")
		f.StringVar(&cfg.ServerBind, "server-bind", cfg.ServerBind, "address that the server listens on")
		f.Int64Var(&cfg.BufferPoolBytes, "buffer-pool-bytes", cfg.BufferPoolBytes, "the server's InnoDB buffer pool")
		f.BoolVar(&cfg.PerformanceSchema, "performance-schema", cfg.PerformanceSchema, "turn the server's performance schema on")
		f.StringArrayVar(&cfg.ServerOptions, "server-option", cfg.ServerOptions, "a line for the server's options file; repeatable")
		f.StringVar(&cfg.Adopt, "adopt", cfg.Adopt, "look after a server that runs already: its socket, or HOST:PORT")
		f.StringVar(&cfg.DBName, "db-name", cfg.DBName, "the keyspace's database (default: as the keyspace's record says)")
		f.DurationVar(&cfg.HeartbeatInterval, "heartbeat-interval", cfg.HeartbeatInterval, "how often a primary writes its heartbeat")
		f.DurationVar(&cfg.StatusInterval, "status-interval", cfg.StatusInterval, "how often the server's status is read")
		f.StringVar(&cfg.HideStatusFields, "hide-status-fields", cfg.HideStatusFields, "for tests: fields of the status, by number, that are not reported, as by an older release: 11,12.4")
		f.Uint64Var(&cfg.MinFreeBytes, "min-free-bytes", cfg.MinFreeBytes, "free space below which the agent calls itself unhealthy")
	}
}

// tabletRole is `pelorus tablet`: with flags it runs an agent, and below it are the commands that look at tablets.
func (a *App) tabletRole() *cobra.Command {
	cfg := agent.DefaultConfig()
	bind, port := "127.0.0.1", 15100
	cmd := a.roleCommand("tablet", "Tablets: run the agent of one, or look at them",
		a.tabletRoleFlags(&cfg, &bind, &port),
		func() error {
			cfg.Listen = net.JoinHostPort(bind, strconv.Itoa(port))
			return cfg.Validate()
		},
		func(ctx context.Context, log *slog.Logger) error {
			return agent.Run(ctx, cfg, log)
		})
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("alias") && os.Getenv(envName("tablet", "alias")) == "" {
			return helpOnly(cmd, args)
		}
		return run(cmd, args)
	}
	return cmd
}
