package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pelorusdb/pelorus/internal/api/controlv1"
	"github.com/pelorusdb/pelorus/internal/api/tabletv1"
)

func (a *App) transactionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "transaction", Short: "Transactions across shards that are not finished", GroupID: groupCluster, RunE: helpOnly}
	cmd.AddCommand(a.transactionList(), a.transactionShow(), a.transactionRetry(), a.transactionDiscard())
	return cmd
}

// transactions asks for a shard's transactions, or for one.
func (a *App) transactions(cmd *cobra.Command, path string, txnID *string) ([]*tabletv1.Transaction, error) {
	keyspace, shard, err := splitShard(path)
	if err != nil {
		return nil, err
	}
	res, err := call(cmd.Context(), a, a.control().shards.ListTransactions, &controlv1.ListTransactionsRequest{Keyspace: &keyspace, Shard: &shard, TxnId: txnID})
	if err != nil || a.json {
		if err == nil {
			err = a.printProto(res)
		}
		return nil, err
	}
	return res.GetTransactions(), nil
}

func (a *App) transactionList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list KEYSPACE/SHARD", Short: "List what transactions across shards have left unfinished on a shard", Args: exactArgs("KEYSPACE/SHARD"),
		Long: "List what transactions across shards have left unfinished on a shard.\n\n" +
			"open: a gateway commits it just now. working: recovery is at it, or waits for the coordinator's shard. retrying: recovery\n" +
			"tries again by itself. failing: it is committed on other shards and can't be repeated here; repair what the error names.",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.transactions(cmd, args[0], nil)
			if err != nil || a.json {
				return err
			}
			var rows [][]string
			for _, t := range list {
				rows = append(rows, transactionRow(t))
			}
			return a.table([]string{"TRANSACTION", "COORDINATOR", "AGE", "STATE", "ATTEMPTS", "ERROR"}, rows)
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func transactionRow(t *tabletv1.Transaction) []string {
	return []string{
		t.GetTxnId(), t.GetCoordinator(), t.GetAge().AsDuration().Round(100 * time.Millisecond).String(),
		enumWord(t.GetState().String(), "TRANSACTION_STATE_"), strconv.FormatUint(uint64(t.GetAttempts()), 10), t.GetError(),
	}
}

func (a *App) transactionShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show KEYSPACE/SHARD TRANSACTION", Short: "Show what a transaction still has to do on a shard", Args: exactArgs("KEYSPACE/SHARD", "TRANSACTION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.transactions(cmd, args[0], &args[1])
			if err != nil || a.json {
				return err
			}
			for _, t := range list {
				row := transactionRow(t)
				fmt.Fprintf(a.out, "transaction %s of %s, decided by %s, %s old, %s after %s attempts\n", row[0], args[0], row[1], row[2], row[3], row[4])
				if t.GetError() != "" {
					fmt.Fprintf(a.out, "error: %s\n", t.GetError())
				}
				for i, sql := range t.GetStatements() {
					fmt.Fprintf(a.out, "%4d  %s\n", i+1, strings.ToValidUTF8(string(sql), "?"))
				}
			}
			return nil
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) transactionRetry() *cobra.Command {
	cmd := &cobra.Command{
		Use: "retry KEYSPACE/SHARD TRANSACTION", Short: "Let recovery try a transaction again now", Args: exactArgs("KEYSPACE/SHARD", "TRANSACTION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyspace, shard, err := splitShard(args[0])
			if err != nil {
				return err
			}
			req := &controlv1.RetryTransactionRequest{Keyspace: &keyspace, Shard: &shard, TxnId: &args[1]}
			res, err := call(cmd.Context(), a, a.control().shards.RetryTransaction, req)
			if err != nil {
				return err
			}
			return a.done(res, "transaction %s is tried again; see `pelorus transaction list %s`", args[1], args[0])
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *App) transactionDiscard() *cobra.Command {
	cmd := &cobra.Command{
		Use: "discard KEYSPACE/SHARD TRANSACTION", Short: "Give a transaction's work on a shard up", Args: exactArgs("KEYSPACE/SHARD", "TRANSACTION"),
		Long: "Give a transaction's work on a shard up.\n\n" +
			"It may be committed on other shards: what this shard's part was is lost then, but for the statements in the agent's log\n" +
			"(txn_discarded_statement). Look at it with `pelorus transaction show` first.",
		RunE: func(cmd *cobra.Command, args []string) error {
			keyspace, shard, err := splitShard(args[0])
			if err != nil {
				return err
			}
			req := &controlv1.DiscardTransactionRequest{Keyspace: &keyspace, Shard: &shard, TxnId: &args[1]}
			res, err := call(cmd.Context(), a, a.control().shards.DiscardTransaction, req)
			if err != nil {
				return err
			}
			return a.done(res, "transaction %s is discarded on %s; its statements are in the log of the primary's agent", args[1], args[0])
		},
	}
	a.jsonFlag(cmd)
	return cmd
}
