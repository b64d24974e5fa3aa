package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// state is what an agent must not forget when it is restarted: what it was told to hold back. All of it concerns one
// term and means nothing once there is a newer one.
type state struct {
	// Term is the newest term that the agent has seen.
	Term uint64 `json:"term"`
	// DemotedTerm is the reign that this tablet was told to end.
	DemotedTerm uint64 `json:"demoted_term,omitempty"`
	// HeldTerm is the term in which the receiver was told to stay stopped, as HeldPlus1-1: term 0 is a term too.
	HeldPlus1 uint64 `json:"held_plus_1,omitempty"`
	// Stopped says that the server was told to stay down.
	Stopped bool `json:"stopped,omitempty"`
}

func (s state) demoted(term uint64) bool { return s.DemotedTerm != 0 && s.DemotedTerm >= term }
func (s state) held(term uint64) bool    { return s.HeldPlus1 != 0 && s.HeldPlus1 > term }

func statePath(dir string) string { return filepath.Join(dir, "agent.json") }

// loadState reads the agent's memory; none is the state of a new tablet.
func loadState(dir string) (state, error) {
	var s state
	b, err := os.ReadFile(statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read the agent's state: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("read the agent's state: %s is damaged, look at the server's role before you remove it: %w", statePath(dir), err)
	}
	return s, nil
}

// save replaces the file in one step and flushes it, because an agent that forgets a demotion may open a server that
// must stay closed.
func (s state) save(dir string) (err error) {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write the agent's state: %w", err)
	}
	tmp := statePath(dir) + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("write the agent's state: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the agent's state: %w", err)
	}
	if err := os.Rename(tmp, statePath(dir)); err != nil {
		return fmt.Errorf("write the agent's state: %w", err)
	}
	return nil
}
