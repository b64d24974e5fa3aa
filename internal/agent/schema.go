package agent

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	"github.com/pelorusdb/pelorus/internal/mysql/value"
)

// maxTables bounds one answer about the schema.
const maxTables = 5000

// GetSchema describes the base tables and views of the keyspace's database.
func (s *service) GetSchema(ctx context.Context, req *connect.Request[tabletv1.GetSchemaRequest]) (*connect.Response[tabletv1.GetSchemaResponse], error) {
	database := s.agent.database()
	out := &tabletv1.GetSchemaResponse{Database: &database}
	err := s.agent.db.Session(ctx, func(c *dba.Conn) error {
		tables, err := listTables(ctx, c, database, req.Msg.GetTables())
		if err != nil {
			return err
		}
		for _, t := range tables {
			if err := describeTable(ctx, c, database, t); err != nil {
				return err
			}
		}
		out.Tables = tables
		return nil
	})
	if err != nil {
		return nil, executeError(err)
	}
	return connect.NewResponse(out), nil
}

func listTables(ctx context.Context, c *dba.Conn, database string, only []string) ([]*tabletv1.TableSchema, error) {
	query := "SELECT table_name, data_length + index_length, table_rows FROM information_schema.tables WHERE table_schema = " + value.String(database)
	if len(only) > 0 {
		names := make([]string, len(only))
		for i, n := range only {
			names[i] = value.String(n)
		}
		query += " AND table_name IN (" + strings.Join(names, ", ") + ")"
	}
	r, err := c.Query(ctx, query+" ORDER BY table_name", maxTables)
	if err != nil {
		return nil, fmt.Errorf("list the tables of %s: %w", database, err)
	}
	if r.Truncated {
		return nil, fmt.Errorf("database %s has more than %d tables: ask for some of them by name", database, maxTables)
	}
	out := make([]*tabletv1.TableSchema, len(r.Rows))
	for i := range r.Rows {
		out[i] = &tabletv1.TableSchema{Name: proto.String(r.Text(i, 0)), DataBytes: number(r.Rows[i][1]), RowsEstimate: number(r.Rows[i][2])}
	}
	return out, nil
}

func number(s *string) *uint64 {
	if s == nil {
		return nil
	}
	n, err := strconv.ParseUint(*s, 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

func describeTable(ctx context.Context, c *dba.Conn, database string, t *tabletv1.TableSchema) error {
	name := value.Ident(database) + "." + value.Ident(t.GetName())
	r, err := c.Query(ctx, "SHOW CREATE TABLE "+name, 1)
	if err != nil {
		return fmt.Errorf("describe %s: %w", name, err)
	}
	t.CreateStatement = proto.String(r.Text(0, 1))
	where := " WHERE table_schema = " + value.String(database) + " AND table_name = " + value.String(t.GetName())
	r, err = c.Query(ctx, "SELECT column_name, column_type, character_set_name, collation_name, is_nullable, extra, generation_expression, column_key"+
		" FROM information_schema.columns"+where+" ORDER BY ordinal_position", dba.MaxRows)
	if err != nil {
		return fmt.Errorf("describe the columns of %s: %w", name, err)
	}
	for i, row := range r.Rows {
		t.Columns = append(t.Columns, &tabletv1.ColumnSchema{
			Name: proto.String(r.Text(i, 0)), ColumnType: proto.String(r.Text(i, 1)), Charset: row[2], Collation: row[3],
			Nullable: proto.Bool(r.Text(i, 4) == "YES"), AutoIncrement: proto.Bool(strings.Contains(strings.ToLower(r.Text(i, 5)), "auto_increment")),
			GenerationExpression: row[6],
		})
	}
	r, err = c.Query(ctx, "SELECT column_name FROM information_schema.key_column_usage"+where+" AND constraint_name = 'PRIMARY' ORDER BY ordinal_position", dba.MaxRows)
	if err != nil {
		return fmt.Errorf("describe the primary key of %s: %w", name, err)
	}
	for i := range r.Rows {
		t.PrimaryKey = append(t.PrimaryKey, r.Text(i, 0))
	}
	return nil
}
