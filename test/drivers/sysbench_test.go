package drivers

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/pelorusdb/pelorus/test/cluster"
)

const (
	sysbenchRows    = 2000
	sysbenchThreads = 4
	sysbenchSeconds = 2
)

// sysbench runs the tool's own workloads unchanged, on tables sharded by id whose ids come from sequences.
func sysbench(t *testing.T, c *cluster.Cluster) {
	program := tool(t, "sysbench")
	host, port := address(c)
	bench := func(t *testing.T, workload, mode, command string, threads int) string {
		t.Helper()
		return run(t, c, nil, program, workload, "--db-driver=mysql", "--mysql-host="+host, "--mysql-port="+port, "--mysql-user=root",
			"--mysql-db=app", "--tables=2", fmt.Sprint("--table-size=", sysbenchRows), fmt.Sprint("--threads=", threads),
			fmt.Sprint("--time=", sysbenchSeconds), "--rand-type=uniform", "--db-ps-mode="+mode, command)
	}
	bench(t, "oltp_read_write", "disable", "prepare", 2)
	var n, least, most int
	if err := c.DB("app").QueryRow("SELECT COUNT(*), MIN(id), MAX(id) FROM sbtest2").Scan(&n, &least, &most); err != nil {
		t.Fatal(err)
	}
	if n != sysbenchRows || least != 1 || most != sysbenchRows {
		t.Errorf("%d rows from %d to %d, want %d from 1", n, least, most, sysbenchRows)
	}
	// Deletes come last: they leave little for the others.
	for _, workload := range []string{"oltp_point_select", "oltp_read_only", "oltp_read_write", "oltp_write_only", "oltp_update_index",
		"oltp_update_non_index", "oltp_insert", "select_random_points", "select_random_ranges", "oltp_delete"} {
		for _, mode := range []string{"disable", "auto"} {
			t.Run(workload+"-"+mode, func(t *testing.T) { worked(t, bench(t, workload, mode, "run", sysbenchThreads)) })
		}
	}
	bench(t, "oltp_read_write", "disable", "cleanup", 2)
	t.Run("bulk_insert", func(t *testing.T) {
		bench(t, "bulk_insert", "disable", "prepare", 2)
		worked(t, bench(t, "bulk_insert", "disable", "run", 2))
		bench(t, "bulk_insert", "disable", "cleanup", 2)
	})
}

var sysbenchQueries = regexp.MustCompile(`queries: +([1-9]\d*) +\(([\d.]+) per sec`)

// worked checks that a run sent statements; that one failed ends the run with an exit code.
func worked(t *testing.T, out string) {
	t.Helper()
	m := sysbenchQueries.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no statement was run:\n%s", clip(out))
	}
	t.Logf("%s statements, %s in a second", m[1], m[2])
}
