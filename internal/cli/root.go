// Package cli is the command line of Pelorus: the roles as processes (`pelorus gateway`, ...), the client of control
// (`pelorus keyspace list`, ...), the local cluster (`pelorus up`, ...), and tools that need no cluster (`pelorus vindex map`).
//
// It parses, calls, prints, and turns errors into exit codes. It decides nothing about a cluster: control does.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// App is one run of the program: where it reads and writes, and the flags that every command has.
type App struct {
	name     string // as it was called, for commands to paste
	in       io.Reader
	out, err io.Writer

	controlAddr string
	token       string
	timeout     time.Duration
	json        bool
}

// Main runs the command line and returns the exit code. An interrupt, SIGTERM or the terminal's end (unless nohup has it ignored) ends the
// command's context; a second one ends the process.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	ends := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, args, in, out, errOut)
}

// Run is Main without signals.
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &App{name: os.Args[0], in: in, out: out, err: errOut}
	root := a.root()
	root.SetArgs(rangesLast(args))
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(errOut, message(err))
	}
	return exitCode(err)
}

// Groups of commands in the help.
const (
	groupLocal   = "local"
	groupCluster = "cluster"
	groupSQL     = "sql"
	groupRoles   = "roles"
)

func (a *App) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "pelorus",
		Short:         "Many MySQL or MariaDB servers as one sharded database",
		Long:          "Pelorus: many MySQL or MariaDB servers as one sharded database.\n\n`pelorus up` starts a whole cluster on this machine.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q; `pelorus help` lists them", args[0])
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v; see `%s --help`", err, cmd.CommandPath())
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddGroup(&cobra.Group{ID: groupLocal, Title: "A cluster on this machine:"}, &cobra.Group{ID: groupCluster, Title: "Any cluster, by its control node:"},
		&cobra.Group{ID: groupSQL, Title: "SQL:"}, &cobra.Group{ID: groupRoles, Title: "Roles, one process each:"})
	flags := root.PersistentFlags()
	flags.StringVar(&a.controlAddr, "control", envOr("PELORUS_CONTROL", "127.0.0.1:15000"), "HOST:PORT of a control node (env PELORUS_CONTROL)")
	flags.StringVar(&a.token, "token", os.Getenv("PELORUS_TOKEN"), "token for control, if it wants one (env PELORUS_TOKEN)")
	flags.DurationVar(&a.timeout, "timeout", defaultTimeout, "how long an answer of control may take")
	up, down := a.upCommand(), a.downCommand() // short for those of `local`
	up.GroupID, down.GroupID = groupLocal, groupLocal
	root.AddCommand(up, down, a.localCommand())
	root.AddCommand(a.statusCommand(), a.doctorCommand(), a.keyspaceCommand(), a.shardCommand(), a.tabletCommand(), a.transactionCommand(), a.vschemaCommand(),
		a.routingRulesCommand(), a.schemaCommand(), a.reparentCommand(), a.workflowCommand(), a.userCommand())
	root.AddCommand(a.sqlCommand(), a.explainCommand(), a.vindexCommand())
	root.AddCommand(a.gatewayCommand(), a.controlCommand(), a.topoCommand())
	root.AddCommand(a.versionCommand())
	return root
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
