// Command shop fills the sample shop and asks it five questions. It is an ordinary application of the gateway: it uses the
// usual Go driver for MySQL and knows nothing of shards. cluster.yaml, shop.sql and shop.json describe the cluster that it runs on.
//
//	pelorus up --detach --config examples/shop/cluster.yaml
//	go run ./examples/shop
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"
)

const (
	// rowsPerInsert keeps a statement at some 50 KB.
	rowsPerInsert = 500
	workers       = 4
)

func main() {
	addr := flag.String("gateway", "127.0.0.1:15306", "HOST:PORT of the gateway")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string, w io.Writer) error {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.DBName = "tcp", addr, "root", "shop"
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(workers)
	if err := fill(ctx, db, w); err != nil {
		return err
	}
	return ask(ctx, db, w)
}

// fill loads the rows unless they are there.
func fill(ctx context.Context, db *sql.DB, w io.Writer) error {
	began := time.Now()
	total := 0
	for _, t := range shop() {
		var have int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+t.name).Scan(&have); err != nil {
			return fmt.Errorf("count the rows of %s: %w", t.name, err)
		}
		if have >= len(t.rows) {
			continue
		}
		if have > 0 {
			// An earlier run was interrupted.
			if _, err := db.ExecContext(ctx, "DELETE FROM "+t.name); err != nil {
				return fmt.Errorf("empty %s: %w", t.name, err)
			}
		}
		if err := load(ctx, db, t); err != nil {
			return fmt.Errorf("load %s: %w", t.name, err)
		}
		total += len(t.rows)
	}
	if total > 0 {
		fmt.Fprintf(w, "%d rows loaded through the gateway in %.1f s\n", total, time.Since(began).Seconds())
	}
	return nil
}

func load(ctx context.Context, db *sql.DB, t table) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, statement := range t.inserts(rowsPerInsert) {
		g.Go(func() error {
			_, err := db.ExecContext(ctx, statement)
			return err
		})
	}
	return g.Wait()
}

// questions are asked in this order; each shows another way through the shards.
var questions = []struct{ about, sql string }{
	{"one customer, found by the sharding key: one shard", "SELECT name, city FROM customer WHERE id = 4711"},
	{"some customers: only the shards that hold them, each asked only for its own", "SELECT id, name FROM customer WHERE id IN (7, 42, 1001) ORDER BY id"},
	{"all that one customer bought: a join of four tables, on one shard, as written",
		"SELECT o.id, o.status, p.name, i.quantity FROM customer c JOIN orders o ON o.customer_id = c.id JOIN order_item i ON i.customer_id = c.id AND i.order_id = o.id " +
			"JOIN product p ON p.id = i.product_id WHERE c.id = 42 ORDER BY o.id, i.line LIMIT 5"},
	{"orders by status: every shard counts and adds up, the gateway merges", "SELECT status, COUNT(*) AS orders, SUM(total) AS total FROM orders GROUP BY status ORDER BY status"},
	{"the best cities: joined on each shard, merged, ordered and cut by the gateway",
		"SELECT c.city, SUM(o.total) AS revenue FROM customer c JOIN orders o ON o.customer_id = c.id GROUP BY c.city ORDER BY revenue DESC LIMIT 3"},
}

func ask(ctx context.Context, db *sql.DB, w io.Writer) error {
	for i, q := range questions {
		fmt.Fprintf(w, "\n%d. %s\n   %s\n", i+1, q.about, q.sql)
		plan, err := query(ctx, db, "EXPLAIN FORMAT=PELORUS "+q.sql)
		if err != nil {
			return fmt.Errorf("explain %q: %w", q.sql, err)
		}
		for _, row := range plan[1:] {
			for line := range strings.Lines(strings.Join(row, " ")) {
				fmt.Fprintf(w, "   | %s\n", strings.TrimRight(line, "\n"))
			}
		}
		began := time.Now()
		rows, err := query(ctx, db, q.sql)
		if err != nil {
			return fmt.Errorf("ask %q: %w", q.sql, err)
		}
		took := time.Since(began)
		tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		for _, row := range rows {
			fmt.Fprintln(tw, "     "+strings.Join(row, "\t"))
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		fmt.Fprintf(w, "     (%.1f ms)\n", float64(took.Microseconds())/1000)
	}
	return nil
}

// query returns the names of the columns and the rows, as text.
func query(ctx context.Context, db *sql.DB, statement string) ([][]string, error) {
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	out := [][]string{names}
	cells := make([]sql.NullString, len(names))
	into := make([]any, len(names))
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]string, len(cells))
		for i, c := range cells {
			row[i] = "NULL"
			if c.Valid {
				row[i] = c.String
			}
		}
		out = append(out, row)
	}
	return out, rows.Err()
}
