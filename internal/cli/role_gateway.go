package cli

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pelorusdb/pelorus/internal/gateway"
)

func (a *App) gatewayCommand() *cobra.Command {
	cfg := gateway.DefaultConfig()
	return a.roleCommand("gateway", "Run a gateway: what applications connect to", func(f *pflag.FlagSet) {
		f.StringVar(&cfg.Listen, "listen", cfg.Listen, "HOST:PORT for the MySQL protocol")
		f.StringVar(&cfg.HTTP, "http", cfg.HTTP, "HOST:PORT for /metrics and /healthz")
		f.StringVar(&cfg.Cell, "cell", cfg.Cell, "cell of this gateway")
		etcdFlags(f, &cfg.Etcd, &cfg.Prefix)
		f.StringVar(&cfg.CredentialsFile, "credentials", cfg.CredentialsFile, "file with the accounts on the servers")
		f.StringVar(&cfg.Version, "server-version", cfg.Version, "version announced to clients (default: that of the servers)")
		f.IntVar(&cfg.MaxConnections, "max-connections", cfg.MaxConnections, "most client connections")
		f.IntVar(&cfg.PoolSize, "pool-size", cfg.PoolSize, "most connections to each server")
		f.DurationVar(&cfg.PoolWait, "pool-wait", cfg.PoolWait, "how long a statement waits for a connection to a server")
		f.DurationVar(&cfg.PoolIdle, "pool-idle", cfg.PoolIdle, "how long an unused connection to a server stays open")
		f.IntVar(&cfg.MaxPacket, "max-packet", cfg.MaxPacket, "most bytes of a command or row")
		f.IntVar(&cfg.MergeRows, "merge-rows", cfg.MergeRows, "most rows that a statement over several shards may hold in memory")
		f.IntVar(&cfg.MergeBytes, "merge-bytes", cfg.MergeBytes, "most bytes of rows that a statement over several shards may hold in memory")
		f.IntVar(&cfg.Memory, "memory", cfg.Memory, "bytes that the gateway aims to stay below, half of them for large statements (default: half of the machine's)")
		f.IntVar(&cfg.HeldStatements, "held-statements", cfg.HeldStatements, "most statements that wait for a primary at once")
		f.IntVar(&cfg.HeldBytes, "held-bytes", cfg.HeldBytes, "most bytes of statements that wait for a primary")
		f.DurationVar(&cfg.WaitPrimary, "wait-primary", cfg.WaitPrimary, "how long statements wait for a shard without primary")
		f.DurationVar(&cfg.IdleTimeout, "idle-timeout", cfg.IdleTimeout, "after which a silent client is cut off, as wait_timeout; sessions may SET another (0: never)")
		f.DurationVar(&cfg.QueryTimeout, "query-timeout", cfg.QueryTimeout, "after which a statement that only reads is ended with error 3024 (0: never)")
		f.DurationVar(&cfg.WriteTimeout, "write-timeout", cfg.WriteTimeout, "after which a client that does not read its results is cut off")
		f.StringVar(&cfg.TLSCert, "tls-cert", cfg.TLSCert, "certificate (PEM) for clients")
		f.StringVar(&cfg.TLSKey, "tls-key", cfg.TLSKey, "key (PEM) of --tls-cert")
		f.BoolVar(&cfg.Profiling, "profiling", cfg.Profiling, "serve /debug/pprof/ beside /metrics, to anybody who reaches that port")
	}, func() error { return cfg.Validate() }, func(ctx context.Context, log *slog.Logger) error { return gateway.Run(ctx, cfg, log) })
}
