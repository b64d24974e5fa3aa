package resolve

import (
	"context"
	"fmt"

	"github.com/pelorusdb/pelorus/internal/agent/dba"
	"github.com/pelorusdb/pelorus/internal/redo"
)

// BeforeOpen takes the locks of all unfinished transactions, by replaying them in transactions that stay open until their
// coordinators have answered. The server must be closed to applications. It waits neither for coordinators nor for
// acknowledgements, and gives up on locks that cannot be had in time: then the transaction is still finished later, only its
// rows are not protected until then, and the log says so. It may be called again, and begins anew.
func (r *Resolver) BeforeOpen(ctx context.Context, db *dba.DB) error {
	for _, j := range r.cancelJobs(phaseOpening) {
		select {
		case <-j.done:
		case <-ctx.Done():
			return fmt.Errorf("end earlier work on transactions across shards: %w", ctx.Err())
		}
	}
	rows, err := r.listClosed(ctx, db)
	if err != nil || len(rows) == 0 {
		return err
	}
	heads, err := parseHeads(rows)
	if err != nil {
		return err
	}
	if err := allowAdmin(ctx, db); err != nil {
		return err
	}
	unlocked := r.takeLocks(ctx, heads)
	if unlocked > 0 && ctx.Err() != nil {
		return fmt.Errorf("take the locks of %d transactions across shards: %w", unlocked, ctx.Err())
	}
	if unlocked > 0 || len(heads) == maxHeads {
		r.cfg.Log.Error("opened_without_locks", "transactions", unlocked,
			"hint", "their rows may be changed by others before they are replayed")
	}
	r.cfg.Log.Info("redo_taken_over", "transactions", len(heads), "unlocked", unlocked)
	return nil
}

// takeLocks starts a job for each record and returns how many have not got their locks in time.
func (r *Resolver) takeLocks(ctx context.Context, heads []head) int {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Times.Open)
	defer cancel()
	unlocked := 0
	jobs := make([]*job, 0, len(heads))
	for _, h := range heads {
		if j := r.start(h, true); j != nil {
			jobs = append(jobs, j)
		} else {
			unlocked++
		}
	}
	for _, j := range jobs {
		select {
		case <-j.ready:
		case <-ctx.Done():
			unlocked++
		}
	}
	return unlocked
}

func (r *Resolver) listClosed(ctx context.Context, db *dba.DB) ([][]string, error) {
	res, err := db.Query(ctx, redo.SelectHeads(maxHeads))
	if err != nil {
		return nil, fmt.Errorf("look for records of transactions: %w", err)
	}
	rows := make([][]string, len(res.Rows))
	for i := range res.Rows {
		for k := range res.Rows[i] {
			rows[i] = append(rows[i], res.Text(i, k))
		}
	}
	return rows, nil
}

// allowAdmin lifts MySQL's stricter lock, which keeps administrators from writing too; read_only stays.
func allowAdmin(ctx context.Context, db *dba.DB) error {
	res, err := db.Query(ctx, "SHOW GLOBAL VARIABLES LIKE 'super_read_only'")
	if err == nil && res.Pairs()["super_read_only"] == "ON" {
		err = db.Exec(ctx, "SET GLOBAL super_read_only = OFF")
	}
	if err != nil {
		return fmt.Errorf("let the administrator write to the closed server: %w", err)
	}
	return nil
}
