package run

import (
	"errors"
	"sync"
)

// At is where in the work on a workflow a point lies.
type At string

// The places of points.
const (
	BeforeWrite At = "before write"
	AfterWrite  At = "after write"
	BeforeDo    At = "before"
	AfterDo     At = "after"
	// Inside is a point that the step's own code names, by Work.Point.
	Inside At = "inside"
)

// Point is a place at which a node may die. They follow from the list of steps: a step that is added has its points by itself.
type Point struct {
	Workflow string
	At       At
	// Step is the step that is under way, if one is.
	Step string
	Back bool
	// Name is the event that is written, or the name that the step's code gave.
	Name string
}

// Seam is called at each point. An error means that the node dies there: nothing more is done or written, and the locks go as a
// dead node's leases would. It must be safe for concurrent use.
type Seam func(Point) error

// ErrDied is what a Seam's error becomes.
var ErrDied = errors.New("died at a point of a test")

// seam is one driver's view of the Seam: once dead it stays so, whatever the step's code makes of the error.
type seam struct {
	fn   Seam
	id   string
	mu   sync.Mutex
	dead bool
}

func (s *seam) at(p Point) error {
	if s.fn == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Workflow = s.id
	if !s.dead && s.fn(p) != nil {
		s.dead = true
	}
	if s.dead {
		return ErrDied
	}
	return nil
}
