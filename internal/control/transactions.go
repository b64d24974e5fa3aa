package control

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
	topov1 "github.com/pelorusdb/pelorus/internal/api/topov1"
)

// ListTransactions implements the API.
func (s shardService) ListTransactions(ctx context.Context, req *connect.Request[controlv1.ListTransactionsRequest]) (*connect.Response[controlv1.ListTransactionsResponse], error) {
	m := req.Msg
	primary, err := s.primaryOf(ctx, m.GetKeyspace(), m.GetShard())
	if err != nil {
		return nil, err
	}
	resp, err := s.Agents.Agent(primary).ListTransactions(ctx, connect.NewRequest(&tabletv1.ListTransactionsRequest{TxnId: m.TxnId}))
	if err != nil {
		return nil, agentError(primary, err)
	}
	return connect.NewResponse(&controlv1.ListTransactionsResponse{Transactions: resp.Msg.GetTransactions()}), nil
}

// RetryTransaction implements the API.
func (s shardService) RetryTransaction(ctx context.Context, req *connect.Request[controlv1.RetryTransactionRequest]) (*connect.Response[controlv1.RetryTransactionResponse], error) {
	m := req.Msg
	primary, err := s.primaryOf(ctx, m.GetKeyspace(), m.GetShard())
	if err != nil {
		return nil, err
	}
	if _, err := s.Agents.Agent(primary).RetryTransaction(ctx, connect.NewRequest(&tabletv1.RetryTransactionRequest{TxnId: m.TxnId})); err != nil {
		return nil, agentError(primary, err)
	}
	return connect.NewResponse(&controlv1.RetryTransactionResponse{}), nil
}

// DiscardTransaction implements the API.
func (s shardService) DiscardTransaction(ctx context.Context, req *connect.Request[controlv1.DiscardTransactionRequest]) (*connect.Response[controlv1.DiscardTransactionResponse], error) {
	m := req.Msg
	primary, err := s.primaryOf(ctx, m.GetKeyspace(), m.GetShard())
	if err != nil {
		return nil, err
	}
	if _, err := s.Agents.Agent(primary).DiscardTransaction(ctx, connect.NewRequest(&tabletv1.DiscardTransactionRequest{TxnId: m.TxnId})); err != nil {
		return nil, agentError(primary, err)
	}
	return connect.NewResponse(&controlv1.DiscardTransactionResponse{}), nil
}

// primaryOf reads the record of the tablet that reigns over a shard.
func (s *Server) primaryOf(ctx context.Context, keyspace, shard string) (*topov1.Tablet, error) {
	rec, err := s.shardRecord(ctx, keyspace, shard)
	if err != nil {
		return nil, err
	}
	if rec.GetPrimary() == "" {
		return nil, refused(fmt.Sprintf("%s/%s has no primary, and only a primary knows its shard's transactions", keyspace, shard))
	}
	tablet, _, err := s.tablet(ctx, rec.GetPrimary())
	return tablet, err
}
