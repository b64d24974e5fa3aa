package claims

import (
	"context"
	"testing"

	"github.com/pelorusdb/pelorus/test/servers"
)

// TestFenceStuckCommits holds that a server full of commits that wait for an acknowledgement becomes read-only by the flavor's
// sequence, and that no client is told OK for one of them.
func TestFenceStuckCommits(t *testing.T) {
	const clients = 5
	servers.ForEach(t, func(t *testing.T, srv *servers.Server) {
		dba, f := prepare(t, srv)
		dba.run("CREATE DATABASE my_shop", "CREATE TABLE my_shop.t (id INT AUTO_INCREMENT PRIMARY KEY)")
		sync := semiSync(dba, f)
		dba.run(sync.EnableSource(1)...)
		results := make(chan error, clients)
		for range clients {
			app := login(t, srv, "pelorus_app", password)
			go func() {
				_, err := app.conn.Exec(context.Background(), "INSERT INTO my_shop.t VALUES ()")
				results <- err
			}()
		}
		until(t, "all commits wait", func() bool {
			stuck := 0
			cols, rows := dba.all("SHOW PROCESSLIST")
			for _, r := range rows {
				for i, c := range cols {
					if c == "State" && r[i] != nil && f.IsStuckCommit(*r[i]) {
						stuck++
					}
				}
			}
			return stuck == clients
		})
		conns := map[int]*session{1: dba, 2: login(t, srv, "pelorus_dba", password)}
		blocked := make(chan error, 4)
		waiting := 0
		for _, st := range f.Fence([]string{"pelorus_app"}, sync, true) {
			conn := conns[st.Conn]
			if !st.MayBlock {
				conn.run(st.SQL)
				continue
			}
			waiting++
			go func() {
				_, err := conn.conn.Exec(context.Background(), st.SQL)
				blocked <- err
			}()
		}
		for range waiting {
			if err := <-blocked; err != nil {
				t.Errorf("a step that may block: %v", err)
			}
		}
		for range clients {
			if err := <-results; err == nil {
				t.Error("a client was told OK for a commit that nobody acknowledged")
			}
		}
		st := f.ParseState(root(t, srv).row(f.StateQuery()))
		if st.ReadOnly == nil || !*st.ReadOnly {
			t.Errorf("not read-only after the fence: %+v", st)
		}
	})
}
