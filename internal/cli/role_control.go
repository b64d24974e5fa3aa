package cli

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pelorusdb/pelorus/internal/control"
)

func (a *App) controlCommand() *cobra.Command {
	cfg := control.DefaultConfig()
	return a.roleCommand("control", "Run a control node: the API, changes of primary, the web page", func(f *pflag.FlagSet) {
		f.StringVar(&cfg.Listen, "listen", cfg.Listen, "HOST:PORT for gRPC, Connect, JSON and the web page")
		f.StringVar(&cfg.Name, "name", cfg.Name, "what this node is called in locks and logs")
		f.StringVar(&cfg.TokenFile, "token-file", cfg.TokenFile, "file with a secret that every caller must send")
		etcdFlags(f, &cfg.Etcd, &cfg.Prefix)
	}, func() error { return cfg.Validate() }, func(ctx context.Context, log *slog.Logger) error { return control.Run(ctx, cfg, log) })
}
