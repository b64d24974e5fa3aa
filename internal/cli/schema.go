package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
)

func (a *App) vschemaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "vschema", Short: "VSchemas: how tables are spread over shards", GroupID: groupCluster, RunE: helpOnly}
	show := &cobra.Command{
		Use: "show KEYSPACE", Short: "Print a keyspace's vschema", Args: exactArgs("KEYSPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().keyspaces.GetVSchema, &controlv1.GetVSchemaRequest{Keyspace: &args[0]})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, cmp.Or(strings.TrimSpace(res.GetJson()), "{}"))
			return err
		},
	}
	a.jsonFlag(show) // it is JSON in any case
	var file string
	var dryRun bool
	apply := &cobra.Command{
		Use: "apply KEYSPACE", Short: "Check a vschema and put it in place", Args: exactArgs("KEYSPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usagef("which file? give --file F, or --file - for the standard input")
			}
			doc, err := a.readFile(file)
			if err != nil {
				return err
			}
			res, err := call(cmd.Context(), a, a.control().keyspaces.ApplyVSchema, &controlv1.ApplyVSchemaRequest{Keyspace: &args[0], Json: &doc, DryRun: &dryRun})
			if err != nil {
				return err
			}
			if dryRun {
				return a.done(res, "the vschema is valid; nothing was changed")
			}
			return a.done(res, "vschema of %s applied", args[0])
		},
	}
	a.jsonFlag(apply)
	apply.Flags().StringVar(&file, "file", "", "the vschema as JSON; - for the standard input")
	apply.Flags().BoolVar(&dryRun, "dry-run", false, "only check it")
	cmd.AddCommand(show, apply)
	return cmd
}

func (a *App) routingRulesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "routing-rules", Short: "Routing rules: which keyspace's table a name means", GroupID: groupCluster, RunE: helpOnly}
	show := &cobra.Command{
		Use: "show", Short: "Print the routing rules", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, a.control().cluster.GetRoutingRules, &controlv1.GetRoutingRulesRequest{})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, cmp.Or(strings.TrimSpace(res.GetJson()), `{"rules": []}`))
			return err
		},
	}
	a.jsonFlag(show) // it is JSON in any case
	var file string
	var dryRun bool
	apply := &cobra.Command{
		Use: "apply", Short: "Check routing rules and put them in place", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usagef("which file? give --file F, or --file - for the standard input")
			}
			doc, err := a.readFile(file)
			if err != nil {
				return err
			}
			res, err := call(cmd.Context(), a, a.control().cluster.ApplyRoutingRules, &controlv1.ApplyRoutingRulesRequest{Json: &doc, DryRun: &dryRun})
			if err != nil {
				return err
			}
			return a.done(res, "routing rules applied")
		},
	}
	a.jsonFlag(apply)
	apply.Flags().StringVar(&file, "file", "", "the rules as JSON; - for the standard input")
	apply.Flags().BoolVar(&dryRun, "dry-run", false, "only check them")
	cmd.AddCommand(show, apply)
	return cmd
}

func (a *App) schemaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "schema", Short: "Schemas: the tables on the servers", GroupID: groupCluster, RunE: helpOnly}
	cmd.AddCommand(a.schemaShow(), a.schemaApply())
	return cmd
}

func (a *App) schemaShow() *cobra.Command {
	var shard string
	var tables []string
	cmd := &cobra.Command{
		Use: "show KEYSPACE", Short: "Print the CREATE statements of a keyspace's tables", Args: exactArgs("KEYSPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &controlv1.GetSchemaRequest{Keyspace: &args[0], Shard: given(cmd, "shard", shard), Tables: tables}
			res, err := call(cmd.Context(), a, a.control().keyspaces.GetSchema, req)
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			if len(res.GetTables()) == 0 {
				fmt.Fprintf(a.err, "keyspace %s has no %s\n", args[0], cmp.Or(strings.Join(tables, ", "), "tables"))
			}
			for _, t := range res.GetTables() {
				fmt.Fprintf(a.out, "%s;\n\n", t.GetCreateStatement())
			}
			return nil
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&shard, "shard", "", "read them from this shard")
	cmd.Flags().StringSliceVar(&tables, "tables", nil, "only these")
	return cmd
}

func (a *App) schemaApply() *cobra.Command {
	var sql, file string
	var shards []string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "apply KEYSPACE", Short: "Run statements on the primary of every shard", Args: exactArgs("KEYSPACE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.statements(sql, file)
			if err != nil {
				return err
			}
			res, err := call(cmd.Context(), a, a.control().keyspaces.ApplySchema, &controlv1.ApplySchemaRequest{Keyspace: &args[0], Sql: &text, Shards: shards, DryRun: &dryRun})
			if err != nil {
				return err
			}
			if a.json {
				err = a.printProto(res)
			} else {
				err = a.schemaResults(res)
			}
			if err == nil && !dryRun && !res.GetComplete() {
				err = fmt.Errorf("not every statement was done on every shard of %s", args[0])
			}
			return err
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&sql, "sql", "", "the statements, with semicolons between them")
	cmd.Flags().StringVar(&file, "file", "", "file with the statements; - for the standard input")
	cmd.Flags().StringSliceVar(&shards, "shards", nil, "only on these shards")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be run")
	return cmd
}

// statements takes SQL from exactly one of two flags.
func (a *App) statements(sql, file string) (string, error) {
	switch {
	case sql != "" && file != "":
		return "", usagef("give either --sql or --file")
	case sql != "":
		return sql, nil
	case file != "":
		return a.readFile(file)
	}
	return "", usagef("which statements? give --sql S or --file F")
}

func (a *App) schemaResults(res *controlv1.ApplySchemaResponse) error {
	for _, s := range res.GetStatements() {
		fmt.Fprintf(a.out, "%s;\n", s)
	}
	var rows [][]string
	for _, r := range res.GetResults() {
		rows = append(rows, []string{
			r.GetShard(), r.GetTablet(), fmt.Sprintf("%d of %d", r.GetStatementsDone(), len(res.GetStatements())),
			r.GetDuration().AsDuration().Round(time.Millisecond).String(), r.GetError(),
		})
	}
	return a.table([]string{"SHARD", "TABLET", "DONE", "TOOK", "ERROR"}, rows)
}

func (a *App) userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Logins of the gateways", GroupID: groupCluster, RunE: helpOnly}
	cmd.AddCommand(a.userSet(), a.userList(), a.userDelete())
	return cmd
}

func (a *App) userSet() *cobra.Command {
	var keyspaces []string
	var passwordFile string
	var readOnly bool
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Make or change a user", Args: exactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &controlv1.SetUserRequest{Name: &args[0], ReadOnly: given(cmd, "read-only", readOnly)}
			if cmd.Flags().Changed("keyspaces") {
				req.Keyspaces = &controlv1.KeyspaceList{Names: keyspaces}
			}
			if passwordFile != "" {
				text, err := a.readFile(passwordFile)
				if err != nil {
					return err
				}
				password := strings.TrimRight(text, "\r\n")
				req.Password = &password
			}
			res, err := call(cmd.Context(), a, a.control().users.SetUser, req)
			if err != nil {
				return err
			}
			return a.done(res, "user %s set", args[0])
		},
	}
	a.jsonFlag(cmd)
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "file with the password, - for the standard input (a flag's value would be seen by other users of the machine)")
	cmd.Flags().StringSliceVar(&keyspaces, "keyspaces", nil, "the keyspaces that the user may use (default: all)")
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "may only read")
	return cmd
}

func (a *App) userList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the users", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := call(cmd.Context(), a, a.control().users.ListUsers, &controlv1.ListUsersRequest{})
			if err != nil {
				return err
			}
			if a.json {
				return a.printProto(res)
			}
			var rows [][]string
			for _, u := range res.GetUsers() {
				keyspaces := strings.Join(u.GetKeyspaces(), ",")
				if keyspaces == "" {
					keyspaces = "all"
				}
				rows = append(rows, []string{u.GetName(), fmt.Sprint(u.GetHasPassword()), keyspaces, fmt.Sprint(u.GetReadOnly())})
			}
			return a.table([]string{"USER", "PASSWORD", "KEYSPACES", "READ ONLY"}, rows)
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) userDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a user", Args: exactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := call(cmd.Context(), a, a.control().users.DeleteUser, &controlv1.DeleteUserRequest{Name: &args[0]})
			if err != nil {
				return err
			}
			return a.done(res, "user %s deleted", args[0])
		},
	}
	a.jsonFlag(cmd)
	return cmd
}
