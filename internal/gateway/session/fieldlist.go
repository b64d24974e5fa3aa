package session

import (
	"context"
	"errors"

	"github.com/pelorusdb/pelorus/internal/errcode"
	"github.com/pelorusdb/pelorus/internal/gateway/backend"
	"github.com/pelorusdb/pelorus/internal/gateway/pool"
	"github.com/pelorusdb/pelorus/internal/mysql/wire"
)

// comFieldList forwards COM_FIELD_LIST, which clients send to complete names: a server tells the columns of a table and
// their default values.
func (s *Session) comFieldList(payload []byte) error {
	if s.back.Route.Scope.Keyspace == "" {
		return s.fail(errcode.New(errcode.NoKeyspace))
	}
	var broken error // between the gateway and the client
	err := s.back.OnFresh(func(_ context.Context, c *pool.Conn) error {
		s.out = append(s.out[:0], payload...)
		err := s.sendPacket(c)
		if err == nil {
			err = s.forwardAside(c, wire.ResponseFieldList)
		}
		lost, ok := errors.AsType[*backend.Lost](err)
		if !ok {
			broken = err
			return nil
		}
		c.Discard()
		return errcode.Wrap(errcode.ServerLost, lost.Err, c.Pool().Addr())
	})
	if err != nil {
		return s.fail(err)
	}
	return broken
}
