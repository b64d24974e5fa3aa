package prepared

import (
	"sync"

	"github.com/pelorusdb/pelorus/internal/gateway/pool"
)

// Table shares the texts of prepared statements between sessions, so that a server's connection prepares
// each once. Safe for concurrent use.
type Table struct {
	mu sync.Mutex
	m  map[string]*pool.Statement
}

// NewTable makes an empty table.
func NewTable() *Table { return &Table{m: map[string]*pool.Statement{}} }

// Retain returns the shared statement of a text. Drop is called once for each call.
func (t *Table) Retain(sql string) *pool.Statement {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.m[sql]
	if s == nil {
		s = &pool.Statement{SQL: sql}
		t.m[sql] = s
	}
	s.Retain()
	return s
}

// Drop ends a use of a statement.
func (t *Table) Drop(s *pool.Statement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.Drop() {
		delete(t.m, s.SQL)
	}
}
