package agent

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pelorusdb/pelorus/internal/agent/resolve"
	tabletv1 "github.com/pelorusdb/pelorus/internal/api/tabletv1"
)

// maxShown and maxShownBytes bound the statements that are shown of a transaction, and each one's length.
const maxShown, maxShownBytes = 1000, 4096

// ListTransactions lists what transactions across shards have left unfinished here.
func (s *service) ListTransactions(ctx context.Context, req *connect.Request[tabletv1.ListTransactionsRequest]) (*connect.Response[tabletv1.ListTransactionsResponse], error) {
	var list []resolve.Transaction
	var err error
	if id := req.Msg.GetTxnId(); id != "" {
		list = make([]resolve.Transaction, 1)
		list[0], err = s.agent.redo.Find(ctx, id)
	} else {
		list, err = s.agent.redo.List(ctx)
	}
	if err != nil {
		return nil, transactionError(err)
	}
	out := &tabletv1.ListTransactionsResponse{}
	for i := range list {
		out.Transactions = append(out.Transactions, transactionMessage(&list[i]))
	}
	return connect.NewResponse(out), nil
}

func transactionMessage(t *resolve.Transaction) *tabletv1.Transaction {
	m := &tabletv1.Transaction{
		TxnId: &t.TxnID, Participant: &t.Participant, Coordinator: &t.Coordinator, Age: durationpb.New(t.Age), Attempts: proto.Uint32(uint32(t.Attempts)),
	}
	switch {
	case t.Lost:
		m.State = tabletv1.TransactionState_TRANSACTION_STATE_FAILING.Enum()
	case t.Working:
		m.State = tabletv1.TransactionState_TRANSACTION_STATE_WORKING.Enum()
	case t.Err != nil:
		m.State = tabletv1.TransactionState_TRANSACTION_STATE_RETRYING.Enum()
	default:
		m.State = tabletv1.TransactionState_TRANSACTION_STATE_OPEN.Enum()
	}
	if t.Err != nil {
		m.Error = proto.String(t.Err.Error())
	}
	if t.Statements != nil {
		m.Database = &t.Database
	}
	for i := range t.Statements[:min(len(t.Statements), maxShown)] {
		sql := t.Statements[i].SQL
		m.Statements = append(m.Statements, sql[:min(len(sql), maxShownBytes)])
	}
	return m
}

// RetryTransaction lets recovery try again now.
func (s *service) RetryTransaction(ctx context.Context, req *connect.Request[tabletv1.RetryTransactionRequest]) (*connect.Response[tabletv1.RetryTransactionResponse], error) {
	if err := s.agent.redo.Retry(ctx, req.Msg.GetTxnId()); err != nil {
		return nil, transactionError(err)
	}
	return connect.NewResponse(&tabletv1.RetryTransactionResponse{}), nil
}

// DiscardTransaction gives this server's share up.
func (s *service) DiscardTransaction(ctx context.Context, req *connect.Request[tabletv1.DiscardTransactionRequest]) (*connect.Response[tabletv1.DiscardTransactionResponse], error) {
	ctx, cancel := context.WithTimeout(ctx, operationTime)
	defer cancel()
	if err := s.agent.redo.Discard(ctx, req.Msg.GetTxnId()); err != nil {
		return nil, transactionError(fmt.Errorf("discard the transaction: %w", err))
	}
	return connect.NewResponse(&tabletv1.DiscardTransactionResponse{}), nil
}

func transactionError(err error) error {
	switch {
	case errors.Is(err, resolve.ErrNotPrimary), errors.Is(err, resolve.ErrInUse):
		return connect.NewError(connect.CodeFailedPrecondition, err)
	case errors.Is(err, resolve.ErrNoTransaction):
		return connect.NewError(connect.CodeNotFound, err)
	}
	return coded(err)
}
