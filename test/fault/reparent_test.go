package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pelorusdb/pelorus/internal/devcluster"
)

const reparented = keyspace + "/-80"

// reign returns the alias of the primary of the shard that is reparented.
func (w *world) reign() string {
	w.t.Helper()
	alias, _ := w.reigns()
	if alias == "" {
		w.t.Fatalf("%s has no primary", reparented)
	}
	return alias
}

func (w *world) reigns() (primary string, replicas []string) {
	w.t.Helper()
	for _, p := range w.Processes() {
		if p.Role != devcluster.RoleTablet || p.Keyspace+"/"+p.Shard != reparented {
			continue
		}
		if p.TabletType == "primary" {
			primary = p.Tablet
		} else {
			replicas = append(replicas, p.Tablet)
		}
	}
	return primary, replicas
}

// planned hands the reign over and back under load: statements may wait, none may fail.
func planned(w *world) {
	first := w.reign()
	l := w.startLoad(cutTransactions)
	began := time.Now()
	w.t.Log(strings.TrimSpace(w.Pelorus("reparent", "planned", reparented)))
	took := time.Since(began)
	second := w.reign()
	if second == first {
		w.t.Errorf("%s reigns as before", first)
	}
	l.progress()
	w.replicates(first, second)
	w.Pelorus("reparent", "planned", reparented, "--new-primary", first)
	if now := w.reign(); now != first {
		w.t.Errorf("%s reigns, want %s", now, first)
	}
	l.progress()
	w.replicates(second, first)
	w.t.Logf("%s to %s took %.2f s; and back", first, second, took.Seconds())
	l.stop()
}

// replicates waits until a tablet's server has what its primary has and is closed for writes.
func (w *world) replicates(alias, primary string) {
	w.t.Helper()
	w.WaitFor(alias+" to follow "+primary, w.follows(alias, primary))
}

// follows checks what replicates waits for.
func (w *world) follows(alias, primary string) func() error {
	replica, source := w.server(w.process("mysqld-"+alias)), w.server(w.process("mysqld-"+primary))
	return func() error {
		var closed bool
		var want, have int64
		if err := replica.QueryRow("SELECT @@GLOBAL.read_only").Scan(&closed); err != nil {
			return err
		}
		if !closed {
			return errors.New("it is open for writes")
		}
		// A count first taken from the primary is reached by a replica that goes on.
		if err := source.QueryRow("SELECT COUNT(*) FROM " + keyspace + ".entry").Scan(&want); err != nil {
			return err
		}
		if err := replica.QueryRow("SELECT COUNT(*) FROM " + keyspace + ".entry").Scan(&have); err != nil {
			return err
		}
		if have < want {
			return fmt.Errorf("it has %d of %d rows", have, want)
		}
		return nil
	}
}

// comesBack waits until a former primary follows, or, if it died with transactions that nobody acknowledged, until it is
// kept closed and an operator is told which: MySQL has committed them by itself when it listens again, and they are not thrown
// away without a word. It says whether the server follows.
func (w *world) comesBack(alias, primary string) (follows bool) {
	w.t.Helper()
	server, check := w.server(w.process("mysqld-"+alias)), w.follows(alias, primary)
	w.WaitFor(alias+" to follow or to be kept closed", func() error {
		err := check()
		if err == nil {
			follows = true
			return nil
		}
		status := w.Pelorus("tablet", "status", alias, "--json")
		if !strings.Contains(status, "has transactions that") || !strings.Contains(status, "save them if they matter") {
			return err
		}
		var readOnly, offline bool
		if err := server.QueryRow("SELECT @@GLOBAL.super_read_only, @@GLOBAL.offline_mode").Scan(&readOnly, &offline); err != nil {
			return err
		}
		if !readOnly || !offline {
			return fmt.Errorf("it has transactions of its own and is open: read-only %v, offline %v", readOnly, offline)
		}
		return nil
	})
	return follows
}

// emergency kills a primary, its agent too, and lets another tablet reign; the old one comes back as a replica.
func emergency(w *world) {
	old := w.reign()
	l := w.startLoad(lenient)
	w.Kill("tablet-" + old)
	w.Kill("mysqld-" + old)
	died := time.Now()
	w.t.Log(strings.TrimSpace(w.Pelorus("reparent", "emergency", reparented)))
	took := time.Since(died)
	reigns := w.reign()
	if reigns == old {
		w.t.Fatalf("%s is dead and reigns", old)
	}
	l.progress()
	w.t.Logf("%s to %s took %.2f s from the death", old, reigns, took.Seconds())
	w.Pelorus("local", "restart", "tablet-"+old, "--dir", w.Dir)
	w.WaitFor("the server of "+old, func() error {
		if w.Running()["mysqld-"+old] == 0 {
			return errors.New("it does not run")
		}
		return nil
	})
	joined := w.comesBack(old, reigns)
	l.progress()
	l.stop()
	if joined {
		w.replicates(old, reigns)
		return
	}
	w.t.Logf("%s died with transactions that nobody acknowledged: it is kept closed", old)
	w.WaitFor("status to tell of them", func() error {
		if status := w.Pelorus("status"); !strings.Contains(status, "save them if they matter") {
			return fmt.Errorf("it says:\n%s", status)
		}
		return nil
	})
}
