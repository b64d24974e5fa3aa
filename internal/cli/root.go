// Package cli is the command line of Pelorus: the roles as processes (`pelorus gateway`, ...), the client of control
// (`pelorus keyspace list`, ...), the local cluster (`pelorus up`, ...), and tools that need no cluster (`pelorus vindex map`).
//
// It parses, calls, prints, and turns errors into exit codes. It decides nothing about a cluster: control does.
package cli

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// App is one run of the program: where it reads and writes, and the flags that every command has.
type App struct {
	in       io.Reader
	out, err io.Writer

	controlAddr string
	token       string
	json        bool
}

// Main runs the command line and returns the exit code. An interrupt or SIGTERM ends the command's context; a second one ends the process.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, args, in, out, errOut)
}

// Run is Main without signals.
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &App{in: in, out: out, err: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(errOut, message(err))
	}
	return exitCode(err)
}

func (a *App) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "pelorus",
		Short:         "Many MySQL or MariaDB servers as one sharded database",
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
	root.AddCommand(a.versionCommand())
	return root
}
