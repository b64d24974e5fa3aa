package session

import (
	"bytes"
	"context"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/gateway/rewrite"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// comFieldList answers COM_FIELD_LIST, which clients send to complete names: the columns of a table.
func (s *Session) comFieldList(payload []byte) error {
	table, _, _ := bytes.Cut(payload[1:], []byte{0})
	if s.back.Route.Scope.Keyspace == "" {
		return s.fail(errcode.New(errcode.NoKeyspace))
	}
	var cols []wire.Column
	err := s.back.OnFresh(func(ctx context.Context, c *pool.Conn) error {
		var err error
		cols, _, err = backend.QueryAll(ctx, c, "SELECT * FROM "+rewrite.Ident(string(table))+" LIMIT 0", 0)
		return err
	})
	if err != nil {
		return s.fail(err)
	}
	return s.to.Fields(cols)
}
