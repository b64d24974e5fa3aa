package drivers

import (
	"strings"
	"testing"

	"github.com/pelorusdb/pelorus/test/cluster"
)

// commandLines checks the interactive clients of both families: their batch mode, their vertical output, their errors and what
// they ask by themselves.
func commandLines(t *testing.T, c *cluster.Cluster) {
	// MySQL's client of today takes its own commands from a file only when it is told to.
	t.Run("mysql", func(t *testing.T) { commandLine(t, c, mysqlTool(t, "mysql"), "--commands") })
	t.Run("mariadb", func(t *testing.T) { commandLine(t, c, tool(t, "mariadb")) })
	t.Run("mysql compressed", func(t *testing.T) { commandLine(t, c, mysqlTool(t, "mysql"), "--commands", "--compress") })
	t.Run("mariadb compressed", func(t *testing.T) { commandLine(t, c, tool(t, "mariadb"), "--compress") })
}

func commandLine(t *testing.T, c *cluster.Cluster, program string, options ...string) {
	input := strings.Join([]string{
		"SELECT DATABASE();",
		"USE app;",
		"DELETE FROM item;",
		"INSERT INTO item (id, name) VALUES (1, 'naïve 🐬'), (4, 'tab\\there'), (6, 'six');",
		"SELECT id, name FROM item ORDER BY id;",
		"SELECT COUNT(*) AS n FROM item\\G",
		"DELIMITER //",
		"BEGIN; UPDATE item SET n = n + 1; ROLLBACK//",
		"DELIMITER ;",
		"SELECT SUM(n) FROM item;",
		"SHOW TABLES LIKE 'it%';",
		"DESCRIBE item;",
		"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'app' AND TABLE_NAME LIKE 'no%';",
		"status",
		"DELETE FROM item;",
	}, "\n")
	out := run(t, c, []byte(input), program, append(append(client(c.Gateway), options...), "--auto-rehash", "ids")...)
	for _, want := range []string{
		"DATABASE()\nids\n", "1\tnaïve 🐬\n4\ttab\\there\n6\tsix\n", "*** 1. row ***", "n: 3\n", "SUM(n)\n0\n", "Tables_in_app (it%)\nitem\n",
		"\nid\tbigint", "\tPRI\t", "\nnote\n", "Current database:\tapp\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the output:\n%s", want, clip(out))
		}
	}
	table := run(t, c, nil, program, append(client(c.Gateway), "--table", "--execute", "SHOW DATABASES", "app")...)
	for _, want := range []string{"+----", "| app ", "| copy ", "| ids "} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in the table:\n%s", want, clip(table))
		}
	}
	for query, want := range map[string]string{
		"SELECT 1 FROM": "ERROR 1064 (42000)", "SELECT * FROM nowhere": "ERROR 1146 (42S02)", "USE no_such_db": "ERROR 1049 (42000)",
	} {
		_, errOut, err := try(t, c, nil, program, append(client(c.Gateway), "--execute", query, "app")...)
		if err == nil || !strings.Contains(errOut, want) {
			t.Errorf("%s: %v, %q; want %s", query, err, clip(errOut), want)
		}
	}
}
