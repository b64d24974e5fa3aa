package cli

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/pelorusdb/pelorus/internal/mysql/client"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
	"github.com/pelorusdb/pelorus/internal/sql/parse"
	"github.com/pelorusdb/pelorus/internal/sql/vindex"
)

const (
	// maxShownRows bounds a result that is held to be shown as a table or as JSON.
	maxShownRows = 100_000
	// maxStatement bounds one statement read from the standard input.
	maxStatement = 64 << 20
)

// gatewayFlags say how to reach a gateway.
type gatewayFlags struct{ addr, user, passwordFile, keyspace string }

func (g *gatewayFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&g.addr, "gateway", envOr("PELORUS_GATEWAY", "127.0.0.1:15306"), "HOST:PORT of a gateway (env PELORUS_GATEWAY)")
	cmd.Flags().StringVar(&g.user, "user", "root", "user")
	cmd.Flags().StringVar(&g.passwordFile, "password-file", "", "file with the password")
	cmd.Flags().StringVar(&g.keyspace, "keyspace", "", "keyspace to use; KEYSPACE:SHARD for one shard")
}

func (a *App) dial(ctx context.Context, g *gatewayFlags) (*client.Conn, error) {
	cfg := client.Config{Addr: g.addr, User: g.user, Database: g.keyspace, MultiStatements: true, DeprecateEOF: true}
	if g.passwordFile != "" {
		text, err := a.readFile(g.passwordFile)
		if err != nil {
			return nil, err
		}
		cfg.Password = strings.TrimRight(text, "\r\n")
	}
	conn, err := client.Dial(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the gateway at %s (--gateway, PELORUS_GATEWAY): %w", g.addr, err)
	}
	return conn, nil
}

func (a *App) sqlCommand() *cobra.Command {
	var g gatewayFlags
	var text string
	cmd := &cobra.Command{
		Use: "sql", Short: "Run statements through a gateway", GroupID: groupSQL, Args: noArgs,
		Long: "Run statements through a gateway: those of -e, or those of the standard input, each ended by a semicolon at the end of a line.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := a.dial(cmd.Context(), &g)
			if err != nil {
				return err
			}
			defer conn.Close()
			if text != "" {
				return a.query(cmd.Context(), conn, text)
			}
			return a.session(cmd.Context(), conn)
		},
	}
	a.jsonFlag(cmd)
	g.add(cmd)
	cmd.Flags().StringVarP(&text, "execute", "e", "", "the statements")
	return cmd
}

func (a *App) explainCommand() *cobra.Command {
	var g gatewayFlags
	cmd := &cobra.Command{
		Use: "explain SQL", Short: "Say how the gateway would run a statement", GroupID: groupSQL, Args: exactArgs("SQL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := a.dial(cmd.Context(), &g)
			if err != nil {
				return err
			}
			defer conn.Close()
			_, rows, err := conn.QueryAll(cmd.Context(), "EXPLAIN FORMAT=PELORUS "+args[0])
			if err != nil {
				return err
			}
			var lines []string
			for _, r := range rows {
				for _, v := range r {
					lines = append(lines, strings.TrimRight(v.String(), "\n"))
				}
			}
			if a.json {
				return a.printJSON(map[string]any{"statement": args[0], "plan": lines})
			}
			_, err = fmt.Fprintln(a.out, strings.Join(lines, "\n"))
			return err
		},
	}
	a.jsonFlag(cmd)
	g.add(cmd)
	return cmd
}

// session runs the statements of the standard input one after the other. On a terminal an error ends only its statement.
func (a *App) session(ctx context.Context, conn *client.Conn) error {
	terminal := isTerminal(a.in)
	in := bufio.NewReaderSize(a.in, 64<<10)
	var statement strings.Builder
	for {
		if terminal {
			fmt.Fprint(a.out, map[bool]string{true: "pelorus> ", false: "      -> "}[statement.Len() == 0])
		}
		line, err := in.ReadString('\n')
		statement.WriteString(line)
		if statement.Len() > maxStatement {
			return usagef("a statement of more than %d bytes", maxStatement)
		}
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return fmt.Errorf("read statements: %w", err)
		}
		text := strings.TrimSpace(statement.String())
		if last || strings.HasSuffix(text, ";") {
			statement.Reset()
			if text != "" {
				if err := a.query(ctx, conn, text); err != nil {
					if !terminal || conn.Broken() {
						return err
					}
					fmt.Fprintln(a.err, message(err))
				}
			}
		}
		if last {
			return nil
		}
	}
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// result is one result set or the outcome of a statement without one, in the form of --json.
type result struct {
	Columns      []string `json:"columns,omitempty"`
	Rows         [][]any  `json:"rows,omitempty"`
	AffectedRows *uint64  `json:"affected_rows,omitempty"`
	LastInsertID uint64   `json:"last_insert_id,omitempty"`
	Warnings     uint16   `json:"warnings,omitempty"`
}

// query sends text as it is and prints every result that comes back.
func (a *App) query(ctx context.Context, conn *client.Conn, text string) error {
	var results []result
	for rest := []byte(text); len(rest) > 0; {
		// What the splitter does not understand it gives back whole: the gateway's error says more.
		span, next, _ := parse.Split(rest, parse.Mode{})
		statement := rest[span.Start:span.End]
		rest = rest[next:]
		if len(statement) == 0 {
			continue
		}
		rows, err := conn.QueryBytes(ctx, statement)
		if err != nil {
			return err
		}
		err = a.results(rows, &results)
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(results)
	}
	return nil
}

func (a *App) results(rows *client.Rows, all *[]result) error {
	for {
		r, err := collect(rows)
		if err != nil {
			return err
		}
		if a.json {
			*all = append(*all, r)
		} else if err := a.printResult(r); err != nil {
			return err
		}
		if !rows.NextResult() {
			return rows.Err()
		}
	}
}

func collect(rows *client.Rows) (result, error) {
	var r result
	for _, c := range rows.Columns() {
		r.Columns = append(r.Columns, c.Name)
	}
	for rows.Next() {
		if len(r.Rows) >= maxShownRows {
			return r, fmt.Errorf("more than %d rows: add a LIMIT, or use a MySQL client", maxShownRows)
		}
		row := make([]any, len(r.Columns))
		for i, v := range rows.Values() {
			if v != nil {
				row[i] = text(v, rows.Columns()[i])
			}
		}
		r.Rows = append(r.Rows, row)
	}
	if err := rows.Err(); err != nil {
		return r, err
	}
	ok := rows.OK()
	if len(r.Columns) == 0 {
		r.AffectedRows, r.LastInsertID = &ok.Affected, ok.InsertID
	}
	r.Warnings = ok.Warnings
	return r, nil
}

// binaryCharset is the collation id of bytes that are no text.
const binaryCharset = 63

// text shows a value: as it is, or in base 64 when it is bytes that are no text.
func text(v []byte, c wire.Column) string {
	if c.Charset == binaryCharset && !utf8.Valid(v) {
		return "base64:" + base64.StdEncoding.EncodeToString(v)
	}
	return string(v)
}

func (a *App) printResult(r result) error {
	if len(r.Columns) == 0 {
		line := counted(int(*r.AffectedRows), "row") + " affected"
		if r.LastInsertID != 0 {
			line += fmt.Sprintf(", last insert id %d", r.LastInsertID)
		}
		if r.Warnings != 0 {
			line += ", " + counted(int(r.Warnings), "warning")
		}
		_, err := fmt.Fprintln(a.out, line)
		return err
	}
	rows := make([][]string, len(r.Rows))
	for i, row := range r.Rows {
		for _, v := range row {
			cell := "NULL"
			if v != nil {
				cell = strings.NewReplacer("\t", `\t`, "\n", `\n`).Replace(v.(string))
			}
			rows[i] = append(rows[i], cell)
		}
	}
	if err := a.table(r.Columns, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "(%s)\n\n", counted(len(rows), "row"))
	return err
}

func (a *App) vindexCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "vindex", Short: "Vindexes, without a cluster", GroupID: groupSQL, RunE: helpOnly}
	var file string
	mapping := &cobra.Command{
		Use: "map", Short: "Map values to keyspace ids", Args: noArgs,
		Long: `Map values to keyspace ids: JSON lines {"type", "params", "values": [{"type", "hex"}]} in, the same lines with
"keyspace_id" or "key_range" out; "(none)" where no shard can hold the values, "(empty)" for the empty keyspace id.`,
		RunE: func(_ *cobra.Command, _ []string) error {
			in, base := a.in, "."
			if file != "" && file != "-" {
				f, err := os.Open(file)
				if err != nil {
					return &codedError{code: exitUsage, err: err}
				}
				defer f.Close()
				in, base = f, filepath.Dir(file)
			}
			out := bufio.NewWriter(a.out)
			if err := vindex.MapJSONLines(in, out, vindex.Options{ReadFile: reader(base)}); err != nil {
				return err
			}
			return out.Flush()
		},
	}
	mapping.Flags().StringVar(&file, "file", "", "file with the lines (default: the standard input)")
	cmd.AddCommand(mapping)
	return cmd
}

// reader reads the files that vindex parameters name: relative to base, or else to the working directory.
func reader(base string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		paths := []string{name}
		if !filepath.IsAbs(name) {
			paths = []string{filepath.Join(base, name), name}
		}
		var errs []error
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err == nil {
				return b, nil
			}
			errs = append(errs, err)
		}
		return nil, errs[0]
	}
}
